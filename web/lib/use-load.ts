// A component's question to the API: asked when it is drawn, when it changes, and when what it is about has changed.
import { useCallback, useEffect, useRef, useState } from 'preact/hooks';
import { ApiError, get, withQuery, type Query } from './api.ts';
import type { Snapshot } from '../contract.ts';
import { useLive, type Live } from './live.ts';

export interface Loaded<T> {
  /** Stays while it is asked for anew. */
  readonly data: T | undefined;
  readonly error: string | undefined;
  readonly isLoading: boolean;
  reload(): void;
}

interface State<T> {
  readonly url: string;
  readonly data?: T;
  readonly error?: string;
  readonly isLoading: boolean;
}

// What changes several times a second is asked for once in this time (ms).
const CALM = 1_500;

/** How often the key has changed; the first one that is known is no change. */
function useChanges(key: string): number {
  const known = useRef(key);
  const [changes, setChanges] = useState(0);
  useEffect(() => {
    if (known.current === '') known.current = key;
    if (key === known.current) return undefined;
    const timer = setTimeout(() => {
      known.current = key;
      setChanges((last) => last + 1);
    }, CALM);
    return () => clearTimeout(timer);
  }, [key]);
  return changes;
}

/** Asks for the JSON at `path`; another path or query at once, and for the same again a moment after `key` changed. */
export function useLoad<T>(path: string, query: Query = {}, key: string = ''): Loaded<T> {
  const url = withQuery(path, query);
  const changes = useChanges(key);
  const [turn, setTurn] = useState(0);
  const [state, setState] = useState<State<T>>({ url, isLoading: true });

  useEffect(() => {
    const leaving = new AbortController();
    setState((last) => (last.url === url ? { ...last, isLoading: true } : { url, isLoading: true }));
    get<T>(url, {}, leaving.signal).then(
      (data) => !leaving.signal.aborted && setState({ url, data, isLoading: false }),
      (error: unknown) => {
        if (leaving.signal.aborted) return;
        const text = error instanceof ApiError ? error.message : String(error);
        setState((last) => ({ ...last, url, error: text, isLoading: false }));
      },
    );
    return () => leaving.abort();
  }, [url, changes, turn]);

  const reload = useCallback(() => setTurn((last) => last + 1), []);
  const isOld = state.url !== url;
  return {
    data: isOld ? undefined : state.data,
    error: isOld ? undefined : state.error,
    isLoading: isOld || state.isLoading,
    reload,
  };
}

function keyOf({ replication, damaged }: Snapshot): string {
  const { tags, removals, malformedEvents } = replication;
  return [...Object.values(tags), removals.held, removals.suspension?.isCompared, malformedEvents, damaged].join(' ');
}

const liveKey = ({ status, connections }: Live): string =>
  status && connections > 0 ? `${connections} ${keyOf(status)}` : '';

/** A key that changes with the states of tags and blobs, and with each new connection. */
export function useReplicationKey(): string {
  return useLive(liveKey);
}
