// Icons of 16 units, drawn as lines in the colour of the text; what they say is said in words beside them.
import type { JSX } from 'preact';

const PATHS = {
  ok: 'M8 1.75a6.25 6.25 0 1 1 0 12.5 6.25 6.25 0 0 1 0-12.5M5.2 8.2l2 2 3.7-4.2',
  warning: 'M8 2.2 14.4 13.5H1.6zM8 6.4v3.2M8 11.6v.1',
  error: 'M5.4 1.75h5.2l3.65 3.65v5.2l-3.65 3.65H5.4L1.75 10.6V5.4zM5.9 5.9l4.2 4.2M10.1 5.9l-4.2 4.2',
  info: 'M8 1.75a6.25 6.25 0 1 1 0 12.5 6.25 6.25 0 0 1 0-12.5M8 7.4v3.6M8 5v.1',
  queued: 'M8 1.75a6.25 6.25 0 1 1 0 12.5 6.25 6.25 0 0 1 0-12.5M8 4.5V8l2.4 1.5',
  sync: 'M13.5 6.5A5.75 5.75 0 0 0 3.2 5M2.5 9.5A5.75 5.75 0 0 0 12.8 11M3 2.2V5h2.8M13 13.8V11h-2.8',
  unsupported: 'M8 1.75a6.25 6.25 0 1 1 0 12.5 6.25 6.25 0 0 1 0-12.5M3.7 3.7l8.6 8.6',
  held: 'M8 1.75a6.25 6.25 0 1 1 0 12.5 6.25 6.25 0 0 1 0-12.5M6.3 5.6v4.8M9.7 5.6v4.8',
  copy: 'M5.75 5.75h7.5v7.5h-7.5zM3.25 10.25h-.5v-7.5h7.5v.5',
  check: 'm3 8.6 3.2 3.2L13 4.6',
  search: 'M7 2.5a4.5 4.5 0 1 1 0 9 4.5 4.5 0 0 1 0-9M10.3 10.3l3.4 3.4',
  sun: 'M8 5.25a2.75 2.75 0 1 1 0 5.5 2.75 2.75 0 0 1 0-5.5M8 1.2v1.6M8 13.2v1.6M1.2 8h1.6M13.2 8h1.6M3.2 3.2l1.1 1.1M11.7 11.7l1.1 1.1M3.2 12.8l1.1-1.1M11.7 4.3l1.1-1.1',
  moon: 'M13.5 9.6A5.8 5.8 0 0 1 6.4 2.5a5.8 5.8 0 1 0 7.1 7.1z',
  system: 'M1.75 2.75h12.5v8.5H1.75zM5.5 14h5M8 11.25V14',
  right: 'm6 3.5 4.5 4.5L6 12.5',
  left: 'M10 3.5 5.5 8l4.5 4.5',
  retry: 'M13.25 8A5.25 5.25 0 1 1 11.6 4.2M11.75 1.5v3h-3',
  verify: 'M8 1.6 13.5 3.5v4.3c0 3.2-2.3 5.5-5.5 6.6-3.2-1.1-5.5-3.4-5.5-6.6V3.5zM5.6 8l1.7 1.7 3.2-3.5',
  backfill: 'M8 1.75v8M4.75 6.75 8 10l3.25-3.25M2.5 13.5h11',
  remove: 'M2.5 4.25h11M6 4.25v-1.5h4v1.5M4 4.25l.6 9h6.8l.6-9',
  folder: 'M1.75 3.25h4.5l1.5 1.75h6.5v8H1.75z',
  repository: 'M8 1.75 13.5 4.5v7L8 14.25 2.5 11.5v-7zM2.7 4.6 8 7.25l5.3-2.65M8 7.25v7',
  out: 'M6.25 2.75h-3.5v10.5h3.5M10 5l3 3-3 3M13 8H6',
  memory: 'M9 1.5 3.5 9H8l-1 5.5L12.5 7H8z',
  stale: 'M8 4.5V8l2 1.5M2.4 5.5A6.25 6.25 0 1 1 1.75 8M2 2.5v3h3',
} as const;

export type IconName = keyof typeof PATHS;

/** An icon; hidden from screen readers. */
export function Icon({ name, size = 16 }: { name: IconName; size?: number }): JSX.Element {
  return (
    <svg class={`icon icon-${name}`} width={size} height={size} viewBox="0 0 16 16" aria-hidden="true">
      <path d={PATHS[name]} />
    </svg>
  );
}
