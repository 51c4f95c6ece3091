// A value that components follow: they are drawn anew when what they select of it has changed.
import { useEffect, useState } from 'preact/hooks';

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

/** What `select` gives of the store, always of now. */
export function useStore<T, S>(store: Store<T>, select: (value: T) => S): S {
  const [, redraw] = useState<S>();
  const selected = select(store.get());
  useEffect(() => {
    let last = selected;
    const look = (): void => {
      const next = select(store.get());
      if (Object.is(next, last)) return;
      last = next;
      redraw(() => next);
    };
    look();
    return store.subscribe(look);
  }, [store]);
  return selected;
}
