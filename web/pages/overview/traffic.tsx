// What clients pull: rates, where it came from, how fast; the last hour and the last day.
import type { JSX } from 'preact';
import { useState } from 'preact/hooks';
import type { PullTotals, Snapshot, Traffic, TrafficPoint, TrafficWindow } from '../../contract.ts';
import { bytesParts, countText, durationText, rateText, shareText } from '../../lib/format.ts';
import { useLive } from '../../lib/live.ts';
import { useLoad } from '../../lib/use-load.ts';
import { Chart } from '../../parts/chart.tsx';
import { Choice, Empty, Figure, Figures, Pending, Section } from '../../parts/page.tsx';
import { sumOf, LAYERS, withPoint, type Measure } from '../../parts/series.ts';

const WINDOWS: Readonly<Record<TrafficWindow, string>> = { hour: '1 h', day: '24 h' };
const MEASURES: Readonly<Record<Measure, string>> = { requests: 'Requests', bytes: 'Bytes' };
const LABELS: Readonly<Record<Measure, string>> = {
  requests: 'Requests per second by origin',
  bytes: 'Bytes per second to clients by origin',
};

function perSecond(point: TrafficPoint | undefined, measure: Measure, stepMs: number): number {
  if (!point) return 0;
  const sum = LAYERS.reduce((total, { name }) => total + sumOf([point], measure, name), 0);
  return (sum * 1_000) / stepMs;
}

function timeText(ms: number | null): string {
  return ms === null ? '–' : durationText(ms);
}

function Rates({ traffic, today }: { traffic: Traffic; today: PullTotals | undefined }): JSX.Element {
  // The last minute is not over: the one before it is whole.
  const minute = traffic.points.at(-2);
  const [bytes, unit] = bytesParts(perSecond(minute, 'bytes', traffic.stepMs));
  return (
    <Figures>
      <Figure label="Requests/s" value={rateText(perSecond(minute, 'requests', traffic.stepMs))} note="last minute" />
      <Figure label="To clients" value={bytes} unit={`${unit}/s`} note="last minute" />
      <Figure
        label="Answered from here"
        value={shareText(today?.hitRatioBytes ?? null)}
        {...(today?.hitRatioBytes === null ? {} : { unit: 'of bytes' })}
        note={`${shareText(today?.hitRatioRequests ?? null)} of requests`}
      />
      <Figure
        label="First byte after"
        value={timeText(today?.ttfbP50Ms ?? null)}
        note={`median; p99 ${timeText(today?.ttfbP99Ms ?? null)}`}
      />
    </Figures>
  );
}

function quietText(window: TrafficWindow): string {
  return window === 'hour' ? 'No pulls in the last hour' : 'No pulls in the last 24 hours';
}

/** The hour is always loaded: it has the rates of now. */
export function TrafficCard({ status }: { status: Snapshot }): JSX.Element {
  const [window, setWindow] = useState<TrafficWindow>('hour');
  const [measure, setMeasure] = useState<Measure>('requests');
  const connections = useLive((value) => (value.connections > 0 ? String(value.connections) : ''));
  const point = useLive((value) => value.point);
  const quarter = Math.floor(Date.parse(point?.at ?? '') / 900_000) || 0;
  const hour = useLoad<Traffic>('/api/traffic', { window: 'hour' }, connections);
  const chosen = useLoad<Traffic>(
    '/api/traffic',
    { window },
    connections && `${connections} ${window === 'day' ? quarter : ''}`,
  );
  const traffic = window === 'hour' ? hour.data : chosen.data;
  const points = traffic && (window === 'hour' ? withPoint(traffic.points, point) : traffic.points);
  const isQuiet = points?.every((one) => LAYERS.every(({ name }) => one.requests[name] === 0));
  const requests = points?.reduce((sum, one) => sum + LAYERS.reduce((all, { name }) => all + one.requests[name], 0), 0);
  return (
    <Section
      title="Pulls"
      look="traffic"
      aside={
        <>
          <Choice label="Measure" value={measure} options={MEASURES} onChange={setMeasure} />
          <Choice label="Time" value={window} options={WINDOWS} onChange={setWindow} />
        </>
      }
    >
      {hour.data && (
        <Rates traffic={{ ...hour.data, points: withPoint(hour.data.points, point) }} today={status.pulls?.today} />
      )}
      {!traffic && <Pending error={hour.error ?? chosen.error} onRetry={chosen.reload} />}
      {isQuiet && (
        <Empty icon="backfill" title={quietText(window)}>
          <p>Lead the registry’s hostname to this proxy; each pull then shows up here at once.</p>
        </Empty>
      )}
      {traffic && points && !isQuiet && (
        <Chart
          points={points}
          stepMs={traffic.stepMs}
          measure={measure}
          label={`${LABELS[measure]}, last ${window === 'hour' ? 'hour' : '24 hours'}: ${countText(requests ?? 0)} requests in all`}
        />
      )}
    </Section>
  );
}
