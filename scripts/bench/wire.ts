// A connection of the load generator: one HTTP/1.1 request at a time over a plain socket, read into one buffer for all.
import { connect, type Socket } from 'node:net';
import { AnswerReader } from './answer-reader.ts';

/** One request. */
export interface WireRequest {
  readonly method: 'GET' | 'HEAD' | 'POST';
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

/** What came back; times in milliseconds since the request was sent. */
export interface WireAnswer {
  readonly status: number;
  readonly bytes: number;
  readonly firstByte: number;
  readonly total: number;
}

interface Waiting {
  readonly reader: AnswerReader;
  readonly begin: number;
  readonly resolve: (answer: WireAnswer) => void;
  readonly reject: (error: Error) => void;
  firstByte: number;
}

const READ_MAX = 256 * 1024;
// A body is looked at before the next read: all connections can share what they read into.
const buffer = Buffer.allocUnsafeSlow(READ_MAX);

function bytesOf({ method, path, headers = {}, body = '' }: WireRequest): string {
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  const length = method === 'POST' ? `content-length: ${Buffer.byteLength(body)}\r\n` : '';
  return `${method} ${path} HTTP/1.1\r\nhost: 127.0.0.1\r\n${lines.join('')}${length}\r\n${body}`;
}

/** A kept connection to a port of 127.0.0.1; opened with the first request, and again where the server closed it. */
export class Wire {
  readonly #port: number;
  #socket: Socket | undefined;
  #waiting: Waiting | undefined;

  constructor(port: number) {
    this.#port = port;
  }

  /** Asks, and reads the answer to its end; `onBody` sees the body, in a buffer that is used again. @throws Error */
  ask(request: WireRequest, onBody?: (part: Buffer) => void): Promise<WireAnswer> {
    const { promise, resolve, reject } = Promise.withResolvers<WireAnswer>();
    const reader = new AnswerReader({ hasBody: request.method !== 'HEAD', onBody });
    this.#socket ??= this.#open();
    this.#waiting = { reader, begin: performance.now(), resolve, reject, firstByte: 0 };
    this.#socket.write(bytesOf(request));
    return promise;
  }

  /** Cuts the connection; an answer that is waited for breaks off. */
  close(): void {
    const [socket, waiting] = [this.#socket, this.#waiting];
    [this.#socket, this.#waiting] = [undefined, undefined];
    socket?.destroy();
    waiting?.reject(new Error('the connection was cut'));
  }

  #open(): Socket {
    const callback = (read: number): boolean => {
      this.#read(buffer.subarray(0, read));
      return true;
    };
    const socket = connect({ port: this.#port, host: '127.0.0.1', onread: { buffer, callback } });
    socket.setNoDelay();
    let failure: Error | undefined;
    socket.on('error', (error) => (failure = error));
    socket.on('close', () => this.#lost(socket, failure));
    return socket;
  }

  #read(data: Buffer): void {
    const waiting = this.#waiting;
    if (!waiting) return;
    const { reader } = waiting;
    const isDone = reader.feed(data);
    if (waiting.firstByte === 0 && reader.bytes > 0) waiting.firstByte = performance.now() - waiting.begin;
    if (isDone) this.#answer(waiting);
  }

  #answer({ reader, begin, firstByte, resolve }: Waiting): void {
    this.#waiting = undefined;
    if (/^connection: *close/im.test(reader.head)) {
      this.#socket?.destroy();
      this.#socket = undefined;
    }
    resolve({ status: reader.status, bytes: reader.bytes, firstByte, total: performance.now() - begin });
  }

  #lost(socket: Socket, failure: Error | undefined): void {
    if (this.#socket !== socket) return;
    this.#socket = undefined;
    const waiting = this.#waiting;
    if (!waiting) return;
    try {
      waiting.reader.end();
      this.#answer(waiting);
    } catch (error) {
      this.#waiting = undefined;
      waiting.reject(failure ?? (error as Error));
    }
  }
}
