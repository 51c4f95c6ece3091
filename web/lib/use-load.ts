// A component's question to the API: asked when it is drawn, when it changes, and when what it is about has changed.
import { useCallback, useEffect, useState } from 'preact/hooks';
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

function useCalm(key: string): string {
  const [calm, setCalm] = useState(key);
  useEffect(() => {
    if (key === calm) return undefined;
    const timer = setTimeout(() => setCalm(key), CALM);
    return () => clearTimeout(timer);
  }, [key, calm]);
  return calm;
}

/** Asks for the JSON at `path`, and again when `key` changes: at once for another question, else after a moment. */
export function useLoad<T>(path: string, query: Query = {}, key: string = ''): Loaded<T> {
  const url = withQuery(path, query);
  const calm = useCalm(key);
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
  }, [url, calm, turn]);

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

const liveKey = ({ status, connections }: Live): string => `${connections} ${status ? keyOf(status) : ''}`;

/** A key that changes with the states of tags and blobs, and with each new connection. */
export function useReplicationKey(): string {
  return useLive(liveKey);
}
