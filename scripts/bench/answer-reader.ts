// Reads an HTTP/1.1 answer off a socket for its status and its size: the body is counted, not kept, so that reading
// costs the load generator next to nothing.

type Phase = 'head' | 'length' | 'chunk-size' | 'chunk' | 'chunk-end' | 'trailer' | 'close' | 'done';

const HEAD_END = '\r\n\r\n';

/** One answer. */
export class AnswerReader {
  status = 0;
  /** Body bytes so far, without the framing of chunks. */
  bytes = 0;
  /** The header lines, once they are here. */
  head = '';
  readonly #hasBody: boolean;
  readonly #onBody: ((part: Buffer) => void) | undefined;
  #phase: Phase = 'head';
  #text = '';
  #left = 0;

  constructor({
    hasBody,
    onBody,
  }: {
    readonly hasBody: boolean;
    readonly onBody?: ((part: Buffer) => void) | undefined;
  }) {
    this.#hasBody = hasBody;
    this.#onBody = onBody;
  }

  /** Whether the answer is whole; one without a length is, at the end of its connection. */
  get isDone(): boolean {
    return this.#phase === 'done';
  }

  /** Takes what the socket gave; answers whether the answer is whole. */
  feed(data: Buffer): boolean {
    let rest = data;
    while (rest.length > 0 && this.#phase !== 'done') rest = this.#step(rest);
    return this.isDone;
  }

  /** The connection has ended. @throws when that is not where the answer ends. */
  end(): void {
    if (this.#phase === 'close') this.#phase = 'done';
    if (this.#phase !== 'done') throw new Error(`an answer broke off after ${this.bytes} bytes of its body`);
  }

  #step(data: Buffer): Buffer {
    if (this.#phase === 'head') return this.#readHead(data);
    if (this.#phase === 'length' || this.#phase === 'chunk' || this.#phase === 'close') return this.#readBody(data);
    return this.#readLine(data);
  }

  #readHead(data: Buffer): Buffer {
    const before = this.#text.length;
    this.#text += data.toString('latin1');
    const end = this.#text.indexOf(HEAD_END);
    if (end < 0) return data.subarray(data.length);
    this.head = this.#text.slice(0, end);
    this.status = Number(this.head.slice(9, 12));
    this.#text = '';
    this.#begin();
    return data.subarray(end + HEAD_END.length - before);
  }

  #begin(): void {
    const isBodiless = !this.#hasBody || this.status === 204 || this.status === 304;
    const length = /^content-length: *(\d+)/im.exec(this.head)?.[1];
    if (isBodiless || length === '0') this.#phase = 'done';
    else if (length !== undefined) [this.#phase, this.#left] = ['length', Number(length)];
    else this.#phase = /^transfer-encoding: *chunked/im.test(this.head) ? 'chunk-size' : 'close';
  }

  #readBody(data: Buffer): Buffer {
    const part = this.#phase === 'close' ? data : data.subarray(0, this.#left);
    this.bytes += part.length;
    this.#onBody?.(part);
    if (this.#phase === 'close') return data.subarray(data.length);
    this.#left -= part.length;
    if (this.#left === 0) this.#phase = this.#phase === 'chunk' ? 'chunk-end' : 'done';
    return data.subarray(part.length);
  }

  /** A line of the framing: a chunk's size, the empty one after it, or a trailer. */
  #readLine(data: Buffer): Buffer {
    const end = data.indexOf(10);
    this.#text += data.toString('latin1', 0, end < 0 ? data.length : end);
    if (end < 0) return data.subarray(data.length);
    const line = this.#text.trim();
    this.#text = '';
    if (this.#phase === 'chunk-size') {
      this.#left = Number.parseInt(line, 16);
      this.#phase = this.#left > 0 ? 'chunk' : 'trailer';
    } else if (this.#phase === 'chunk-end') this.#phase = 'chunk-size';
    else if (line === '') this.#phase = 'done';
    return data.subarray(end + 1);
  }
}
