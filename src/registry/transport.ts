// The sockets of one registry: an agent that is replaced when its certificate authorities change, and how busy it is.
import { Dispatcher } from 'undici';
import { countChunk } from '../lib/chunk-memory.ts';
import { AddressRefused } from './address-rule.ts';
import { certificateAuthorities, createAgent, portOf, type AgentOptions } from './agent.ts';
import type { SocketOptions } from './request.ts';

/** A dispatcher of one registry that knows how busy it is. */
export interface Sockets extends Dispatcher {
  /** Whether all connections that are allowed to an origin are in use. */
  isFull(origin: string): boolean;
  /** A dispatcher with connections of its own. To be destroyed by the caller. */
  apart(): Dispatcher;
}

/** Reports when undici starts and ends a request, and counts its bytes. The handler belongs to this request alone. */
function watch(handler: Dispatcher.DispatchHandler, onBegin: () => void, onEnd: () => void): () => void {
  const { onRequestStart, onResponseData, onResponseEnd, onResponseError } = handler;
  let state: 'waiting' | 'running' | 'over' = 'waiting';
  const end = (): void => {
    if (state === 'running') onEnd();
    state = 'over';
  };
  handler.onRequestStart = function (this: Dispatcher.DispatchHandler, controller, context) {
    if (state === 'waiting') {
      state = 'running';
      onBegin();
    }
    onRequestStart?.call(this, controller, context);
  };
  handler.onResponseData = function (this: Dispatcher.DispatchHandler, controller, chunk) {
    countChunk(chunk.length);
    onResponseData?.call(this, controller, chunk);
  };
  handler.onResponseEnd = function (this: Dispatcher.DispatchHandler, controller, trailers) {
    end();
    onResponseEnd?.call(this, controller, trailers);
  };
  handler.onResponseError = function (this: Dispatcher.DispatchHandler, controller, error) {
    end();
    onResponseError?.call(this, controller, error);
  };
  return end;
}

/** A dispatcher whose agent can be replaced: requests under way end on the old one. */
export class Transport extends Dispatcher implements Sockets {
  readonly #options: AgentOptions;
  #ca: string[] | undefined;
  #agent: Dispatcher;
  /** Requests that have a connection of this agent, by origin; agents for an HTTP proxy have no such figures. */
  #running = new Map<string, number>();

  constructor(options: AgentOptions) {
    super();
    this.#options = options;
    this.#ca = certificateAuthorities(options.caFile);
    this.#agent = createAgent(options, this.#ca);
  }

  override dispatch(options: Dispatcher.DispatchOptions & SocketOptions, handler: Dispatcher.DispatchHandler): boolean {
    const { onSent } = options;
    const running = this.#running;
    const origin = String(options.origin);
    this.#check(origin);
    // Origins without requests are removed: redirects may name any number of them.
    const add = (by: number): void => {
      const count = (running.get(origin) ?? 0) + by;
      if (count > 0) running.set(origin, count);
      else running.delete(origin);
    };
    const begin = (): void => {
      add(1);
      onSent?.();
    };
    const end = watch(handler, begin, () => add(-1));
    try {
      return this.#agent.dispatch(options, handler);
    } catch (error) {
      end();
      throw error;
    }
  }

  /** Checks a host without resolving it, which is all that can be done where an HTTP proxy resolves it. */
  #check(origin: string): void {
    const { bounds } = this.#options;
    if (!bounds || origin === bounds.home) return;
    const url = new URL(origin);
    const reason = bounds.rule.refusal(url.hostname, portOf(url));
    if (reason !== undefined) throw new AddressRefused(reason);
  }

  isFull(origin: string): boolean {
    return (this.#running.get(origin) ?? 0) >= this.#options.connections;
  }

  apart(): Dispatcher {
    return createAgent({ ...this.#options, connections: 1 }, this.#ca);
  }

  /** Reads the certificate authorities again. @throws when the file cannot be read: the old agent stays. */
  reload(): void {
    const old = this.#agent;
    this.#ca = certificateAuthorities(this.#options.caFile);
    this.#agent = createAgent(this.#options, this.#ca);
    this.#running = new Map();
    void old.close();
  }

  override close(): Promise<void>;
  override close(callback: () => void): void;
  override close(callback?: () => void): Promise<void> | void {
    return callback ? this.#agent.close(callback) : this.#agent.close();
  }

  override destroy(): Promise<void>;
  override destroy(error: Error | null): Promise<void>;
  override destroy(callback: () => void): void;
  override destroy(error: Error | null, callback: () => void): void;
  override destroy(first?: Error | null | (() => void), second?: () => void): Promise<void> | void {
    const error = first instanceof Error ? first : null;
    const callback = typeof first === 'function' ? first : second;
    return callback ? this.#agent.destroy(error, callback) : this.#agent.destroy(error);
  }
}
