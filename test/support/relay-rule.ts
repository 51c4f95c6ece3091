// What a test can ask a relay to do to a request and its answer.
import type { RelayMatch } from './relay.ts';

/** A point where requests wait until the test lets them go on: tests wait for events with it, never for time. */
export interface Gate {
  /** How many requests have come to it so far. */
  readonly arrived: number;
  readonly isOpen: boolean;
  /** Lets all go on, now and later. */
  open(): void;
  /** Settles when the gate is open; rejects when `signal` is aborted before. */
  pass(signal: AbortSignal): Promise<void>;
}

export interface RelayRule {
  /** Which requests it is for; all when absent. */
  readonly match?: RelayMatch;
  /** How often it is applied; without limit when absent. */
  readonly times?: number;
  /** How often it was applied so far; the relay counts. */
  used?: number;

  /** Milliseconds before the registry is asked. */
  readonly delay?: number;
  /** Waits at this gate before the registry is asked. */
  readonly gate?: Gate;
  /** Answers so, without asking the registry. */
  readonly answer?: {
    readonly status: number;
    readonly headers?: Readonly<Record<string, string | string[]>>;
    readonly body?: string | Buffer;
  };
  /** `true`: never answers. A number: sends that many body bytes and then no more, the connection left open. */
  readonly hang?: true | number;

  /** Asks the registry without the request's Range, so that it answers 200 with the whole body. */
  readonly ignoreRange?: boolean;
  /** Leaves these headers of the answer out. */
  readonly dropHeaders?: readonly string[];
  /** Adds headers to the answer or replaces them. */
  readonly setHeaders?: Readonly<Record<string, string>>;
  /** Sends the body chunked, without Content-Length. */
  readonly chunked?: boolean;

  /** Most body bytes a second. */
  readonly bytesPerSecond?: number;
  /** Sends so many body bytes, then waits at `holdGate` before the rest. */
  readonly holdAfter?: number;
  readonly holdGate?: Gate;
  /** Sends so many body bytes, then destroys the connection. */
  readonly cutAfter?: number;
  /** Flips the lowest bit of the body byte at this offset. */
  readonly corruptAt?: number;
}

/** A closed gate. */
export function createGate(): Gate {
  let arrived = 0;
  let isOpen = false;
  const opened = Promise.withResolvers<void>();
  return {
    get arrived() {
      return arrived;
    },
    get isOpen() {
      return isOpen;
    },
    open() {
      isOpen = true;
      opened.resolve();
    },
    async pass(signal) {
      arrived += 1;
      signal.throwIfAborted();
      const left = Promise.withResolvers<never>();
      signal.addEventListener('abort', () => left.reject(signal.reason), { once: true });
      await Promise.race([opened.promise, left.promise]);
    },
  };
}
