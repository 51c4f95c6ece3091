// Counters that the rooms increment; only `status` knows how metrics are exposed.

/** Everything that is counted, with its help text. */
export const COUNTERS = {
  pulls_total: 'Answers of the pull API by kind (manifest, blob, …) and where they came from, or why there was none',
  pushes_refused_total: 'Pushes refused',
  stale_answers_total: 'Answers given from the local copy because the primary could not be asked',
  primary_body_bytes_total: 'Body bytes received from the primary',
  flights_total: 'Blob transfers from the primary by how they ended',
  flight_resumes_total: 'Times a blob transfer was resumed after a cut',
  digest_mismatches_total: 'Bodies whose digest was wrong, by registry',
  passed_through_total: 'Blobs streamed to a client without the spool',
  local_repairs_total: 'Local blobs that were short or wrong and were continued from the primary',
  local_deliveries_total:
    'Local blobs by who moved the bytes: registry and file (the proxy did), nginx, or storage (the client was sent there)',
  nginx_misses_total: 'Local blobs that nginx was told to deliver and could not; their pulls are counted twice',
  stores_total: 'Uploads into the secondary by result',
  copies_total: 'Background copies of an image by result',
  events_total: 'Events of the primary by result',
  event_requests_total: 'Requests to the webhook by result',
  readers_dropped_total:
    'Clients dropped because they took no byte for a minute, or too few of a blob that goes past the spool',
} as const;

/** The name of a counter. */
export type CounterName = keyof typeof COUNTERS;

/** Counts events: `meter('flights_total', { result: 'complete' })`. */
export type Meter = (name: CounterName, labels?: Record<string, string>, by?: number) => void;
