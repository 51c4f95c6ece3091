// A chart of the last hour or day: bars, stacked by where pulls were answered from.
import type { JSX } from 'preact';
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import type { TrafficPoint } from '../contract.ts';
import { bytesText, clockText, countText, rateText } from '../lib/format.ts';
import { useStore } from '../lib/store.ts';
import { theme } from '../lib/theme.ts';
import { layersOf, stacked, sumOf, type Layer, type Measure } from './series.ts';

interface ChartProps {
  readonly points: readonly TrafficPoint[];
  readonly stepMs: number;
  readonly measure: Measure;
  /** What it shows, for screen readers: `Requests a second, last hour`. */
  readonly label: string;
}

const UNIT: Readonly<Record<Measure, (value: number) => string>> = {
  requests: (value) => rateText(value),
  bytes: (value) => `${bytesText(value)}/s`,
};

/** A colour of the style sheet as a canvas takes it: variables and light-dark() are resolved. */
function colourOf(place: HTMLElement, name: string): string {
  place.style.color = `var(${name})`;
  const { color } = getComputedStyle(place);
  place.style.color = '';
  return color;
}

/** The topmost layer is drawn first, so that those below it cover all but its own part. */
function optionsOf(
  place: HTMLElement,
  { measure, stepMs }: ChartProps,
  onPoint: (index: number | null) => void,
): uPlot.Options {
  const axis = {
    stroke: colourOf(place, '--text-3'),
    font: '11px system-ui, sans-serif',
    ticks: { show: false },
  };
  const grid = { stroke: colourOf(place, '--line'), width: 1 };
  const bars = uPlot.paths.bars!({ size: [0.72, 14], radius: 0.15 });
  const series = layersOf(measure).map(({ label, colour }): uPlot.Series => {
    const fill = colourOf(place, colour);
    return { label, fill, stroke: fill, width: 0, paths: bars, points: { show: false } };
  });
  return {
    width: place.clientWidth,
    height: place.clientHeight,
    padding: [8, 18, 0, 0],
    legend: { show: false },
    cursor: { y: false, points: { show: false }, drag: { x: false, y: false } },
    scales: {
      x: { time: true, range: (_, first, last) => [first - stepMs / 2_000, last + stepMs / 2_000] },
      y: { range: (_, __, most) => [0, Math.max(most * 1.08, measure === 'bytes' ? 1_024 : 1)] },
    },
    axes: [
      {
        ...axis,
        grid: { show: false },
        size: 26,
        space: 64,
        values: (_, splits) => splits.map((split) => clockText(split * 1_000)),
      },
      {
        ...axis,
        grid,
        size: measure === 'bytes' ? 76 : 40,
        space: 36,
        values: (_, splits) => splits.map(UNIT[measure]),
      },
    ],
    series: [{}, ...series.toReversed()],
    hooks: { setCursor: [({ cursor }) => onPoint(cursor.idx ?? null)] },
  };
}

function dataOf({ points, stepMs, measure }: ChartProps): uPlot.AlignedData {
  const times = points.map(({ at }) => Date.parse(at) / 1_000);
  return [times, ...stacked(points, measure, stepMs).toReversed()];
}

function Legend({ props, index }: { props: ChartProps; index: number | null }): JSX.Element {
  const { points, measure, stepMs } = props;
  const point = index === null ? undefined : points[index];
  const shown = point ? [point] : points;
  const total = measure === 'bytes' ? bytesText : countText;
  const isUsed = ({ name }: Layer): boolean => sumOf(points, measure, name) > 0;
  return (
    <figcaption class="legend">
      {layersOf(measure)
        .filter(isUsed)
        .map(({ name, label }) => (
          <span key={name} class={`origin origin-${name}`}>
            <i aria-hidden="true" />
            {label} <b>{total(sumOf(shown, measure, name))}</b>
          </span>
        ))}
      <span class="legend-time">
        {point && `${clockText(Date.parse(point.at))}–${clockText(Date.parse(point.at) + stepMs)}`}
      </span>
    </figcaption>
  );
}

/** @see ChartProps */
export function Chart(props: ChartProps): JSX.Element {
  const { measure, label } = props;
  const looks = useStore(theme, (value) => value.looks);
  const place = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | undefined>(undefined);
  const [index, setIndex] = useState<number | null>(null);
  const data = useMemo(() => dataOf(props), [props.points, props.stepMs, measure]);

  useEffect(() => {
    const element = place.current!;
    const made = new uPlot(optionsOf(element, props, setIndex), data, element);
    plot.current = made;
    const sizes = new ResizeObserver(() => made.setSize({ width: element.clientWidth, height: element.clientHeight }));
    sizes.observe(element);
    return () => {
      sizes.disconnect();
      made.destroy();
    };
  }, [measure, props.stepMs, looks]);

  useEffect(() => plot.current?.setData(data), [data]);

  return (
    <figure class="chart">
      <div ref={place} class="chart-place" role="img" aria-label={label} />
      <Legend props={props} index={index} />
    </figure>
  );
}
