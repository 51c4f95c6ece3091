// A value that components follow: they are drawn anew when what they select of it has changed.
import { useEffect, useRef, useState } from 'preact/hooks';

export interface Store<T> {
  get(): T;
  set(change: Partial<T>): void;
  subscribe(listener: () => void): () => void;
}

/** A store of `initial`; `set` merges, and calls the listeners. */
export function createStore<T extends object>(initial: T): Store<T> {
  let value = initial;
  const listeners = new Set<() => void>();
  return {
    get: () => value,
    set(change) {
      value = { ...value, ...change };
      for (const listener of listeners) listener();
    },
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}

/** What `select` gives of the store, always of now; `select` may be another function each time. */
export function useStore<T, S>(store: Store<T>, select: (value: T) => S): S {
  const [, redraw] = useState(0);
  const selected = select(store.get());
  const latest = useRef({ select, selected });
  latest.current = { select, selected };
  useEffect(() => {
    const look = (): void => {
      const { select: choose, selected: last } = latest.current;
      if (!Object.is(choose(store.get()), last)) redraw((count) => count + 1);
    };
    look();
    return store.subscribe(look);
  }, [store]);
  return selected;
}
