// What the charts draw: by origin for requests and for bytes, stacked, and what a window comes to.
import type { PullOrigin, TrafficPoint } from '../contract.ts';

export type Measure = 'requests' | 'bytes';

export interface Layer {
  readonly name: PullOrigin | 'error';
  readonly label: string;
  readonly colour: string;
}

/** From the bottom of the stack to its top. */
export const LAYERS: readonly Layer[] = [
  { name: 'memory', label: 'memory', colour: '--origin-memory' },
  { name: 'local', label: 'local registry', colour: '--origin-local' },
  { name: 'primary', label: 'primary', colour: '--origin-primary' },
  { name: 'stale', label: 'stale copy', colour: '--origin-stale' },
  { name: 'error', label: 'errors', colour: '--origin-error' },
];

function valueOf(point: TrafficPoint, measure: Measure, name: Layer['name']): number {
  if (measure === 'requests') return point.requests[name];
  return name === 'error' ? 0 : point.bytes[name];
}

/** The layers of a measure: no bytes are counted of errors. */
export function layersOf(measure: Measure): readonly Layer[] {
  return measure === 'requests' ? LAYERS : LAYERS.filter(({ name }) => name !== 'error');
}

/** One list a layer, each the sum of the layers up to it, per second. */
export function stacked(points: readonly TrafficPoint[], measure: Measure, stepMs: number): number[][] {
  const sums = points.map(() => 0);
  return layersOf(measure).map(({ name }) =>
    points.map((point, index) => {
      sums[index]! += (valueOf(point, measure, name) * 1_000) / stepMs;
      return sums[index]!;
    }),
  );
}

/** What a layer comes to over these points: requests, or bytes. */
export function sumOf(points: readonly TrafficPoint[], measure: Measure, name: Layer['name']): number {
  return points.reduce((sum, point) => sum + valueOf(point, measure, name), 0);
}

/** The points with that of the current minute in its place; as many as there were. */
export function withPoint(points: readonly TrafficPoint[], fresh: TrafficPoint | undefined): readonly TrafficPoint[] {
  if (!fresh || points.length === 0 || fresh.at < points[0]!.at) return points;
  const last = points.at(-1)!;
  if (fresh.at > last.at) return [...points.slice(1), fresh];
  return points.map((point) => (point.at === fresh.at ? fresh : point));
}
