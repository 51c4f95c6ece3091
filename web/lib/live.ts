// What the proxy sends by itself (`GET /api/events`): followed, and taken up again when the connection breaks.
import type { Pull, Pulls, Snapshot, TrafficPoint, Transfer, Transfers } from '../contract.ts';
import { access, ApiError, get, openSession, parseAnswer } from './api.ts';
import { createStore, useStore } from './store.ts';

export interface Live {
  readonly connection: 'connecting' | 'live' | 'lost';
  /** When the last event came, in milliseconds since the epoch; what is shown is of then. */
  readonly heardAt: number;
  readonly status: Snapshot | undefined;
  /** Newest first. */
  readonly pulls: readonly Pull[] | undefined;
  readonly transfers: readonly Transfer[] | undefined;
  /** The point of the current minute. */
  readonly point: TrafficPoint | undefined;
  /** Grows with each connection: what was loaded before may have missed something. */
  readonly connections: number;
}

const PULLS_MAX = 200;
// The proxy sends a status each 5 s at least.
const SILENCE_MAX = 20_000;
const PAUSES = [500, 1_000, 2_000, 5_000, 10_000];

export const live = createStore<Live>({
  connection: 'connecting',
  heardAt: Date.now(),
  status: undefined,
  pulls: undefined,
  transfers: undefined,
  point: undefined,
  connections: 0,
});

/** What `select` gives of what was heard last. */
export function useLive<S>(select: (value: Live) => S): S {
  return useStore(live, select);
}

let source: EventSource | undefined;
let failures = 0;
// Grows with each try: what an earlier one finds out late no longer counts.
let attempt = 0;
let retryTimer: ReturnType<typeof setTimeout> | undefined;
let silenceTimer: ReturnType<typeof setTimeout> | undefined;

function addPulls(fresh: readonly Pull[]): void {
  const known = live.get().pulls ?? [];
  const newest = known[0]?.id ?? -1;
  const added = fresh.filter(({ id }) => id > newest).sort((one, other) => other.id - one.id);
  if (added.length > 0 || !live.get().pulls) live.set({ pulls: [...added, ...known].slice(0, PULLS_MAX) });
}

function heard(): void {
  clearTimeout(silenceTimer);
  silenceTimer = setTimeout(lose, SILENCE_MAX);
  live.set({ heardAt: Date.now() });
}

function close(): void {
  attempt += 1;
  clearTimeout(retryTimer);
  clearTimeout(silenceTimer);
  source?.close();
  source = undefined;
}

function lose(): void {
  close();
  live.set({ connection: 'lost' });
  const pause = PAUSES[Math.min(failures, PAUSES.length - 1)]!;
  failures += 1;
  // An EventSource does not say why it ended: the session's end is one reason.
  retryTimer = setTimeout(() => {
    const mine = attempt;
    openSession().then(
      () => mine === attempt && !access.get().isClosed && connect(),
      () => mine === attempt && lose(),
    );
  }, pause);
}

async function catchUp(): Promise<void> {
  const [{ pulls }, { transfers }] = await Promise.all([
    get<Pulls>('/api/pulls', { limit: PULLS_MAX }),
    get<Transfers>('/api/transfers'),
  ]);
  addPulls(pulls);
  live.set({ transfers });
}

function on<T>(name: string, take: (value: T) => void): void {
  source!.addEventListener(name, (event) => {
    take(parseAnswer<T>((event as MessageEvent<string>).data));
    heard();
  });
}

/** Follows the events; in the place of a connection that there may be. */
export function connect(): void {
  close();
  source = new EventSource('/api/events');
  source.addEventListener('error', lose);
  source.addEventListener('open', () => {
    failures = 0;
    heard();
    live.set({ connection: 'live', connections: live.get().connections + 1 });
    catchUp().catch((error: unknown) => {
      if (!(error instanceof ApiError)) throw error;
    });
  });
  on<Snapshot>('status', (status) => live.set({ status }));
  on<readonly Pull[]>('pull', addPulls);
  on<Transfers>('transfers', ({ transfers }) => live.set({ transfers }));
  on<TrafficPoint>('traffic', (point) => live.set({ point }));
}

/** Follows no longer, and forgets what was heard: for a login. */
export function disconnect(): void {
  close();
  live.set({ connection: 'connecting', status: undefined, pulls: undefined, transfers: undefined });
}

// Whoever comes back to the page does not wait for the pause to end.
function hurry(): void {
  if (live.get().connection === 'lost' && document.visibilityState === 'visible') connect();
}
addEventListener('online', hurry);
document.addEventListener('visibilitychange', hurry);
