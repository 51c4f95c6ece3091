// Node's response with the times and the bytes of its answer, which the log, the page and the metrics show.
import { ServerResponse, type IncomingMessage, type OutgoingHttpHeader, type OutgoingHttpHeaders } from 'node:http';

type Headers = OutgoingHttpHeaders | OutgoingHttpHeader[];

/** The response of every request; times are those of `performance.now()`. */
export class TimedResponse extends ServerResponse {
  readonly arrivedAt = performance.now();
  /** When the answer's head went out. */
  firstByteAt: number | undefined = undefined;
  /** Bytes that the connection had sent before the head of a body that streams. */
  sentBefore: number | undefined = undefined;

  override writeHead(status: number, second?: string | Headers, third?: Headers): this {
    this.firstByteAt = performance.now();
    return super.writeHead(status, second as string, third);
  }
}

/**
 * Body bytes that went out, read at the end: of a complete answer its `length` (Content-Length); of one that was cut, or is
 * chunked, what its connection sent since the head, with the few bytes of the chunks' frames.
 */
export function bodyBytes(raw: TimedResponse, { method, socket }: IncomingMessage, length: number): number {
  if (method === 'HEAD' || raw.statusCode === 204 || raw.statusCode === 304) return 0;
  if (raw.writableFinished && length >= 0) return length;
  if (raw.sentBefore === undefined || raw.firstByteAt === undefined) return 0;
  const { _header: head } = raw as unknown as { readonly _header: string | null };
  const sent = Math.max(0, (socket.bytesWritten ?? 0) - raw.sentBefore - (head?.length ?? 0));
  return length >= 0 ? Math.min(length, sent) : sent;
}
