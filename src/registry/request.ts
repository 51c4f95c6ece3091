// One HTTP request to a registry: HEAD without body streams, and one repetition on a socket that its peer had closed.
import type { Dispatcher } from 'undici';
import type { RegistryResponse } from './response.ts';

/** Options beside undici's own. */
export interface SocketOptions {
  /** Called when the request goes out: until then it waits for a connection. */
  readonly onSent?: () => void;
}

/** Whether a request failed on a reused socket: its peer had closed it while it was idle. */
function diedOnReusedSocket(error: unknown): boolean {
  const { bytesReadBefore, socket } = error as { bytesReadBefore?: number; socket?: { bytesRead?: number } };
  return (bytesReadBefore ?? socket?.bytesRead ?? 0) > 0;
}

/** The body of an answer to a HEAD. */
const NO_BODY = {
  closed: true,
  on: () => NO_BODY,
  dump: () => Promise.resolve(),
  destroy: () => NO_BODY,
  async *[Symbol.asyncIterator]() {},
} as unknown as Dispatcher.ResponseData['body'];

type Headers = Dispatcher.ResponseData['headers'];

/** A HEAD without the streams of a body, which would cost time at each tag look-up. */
async function head(
  dispatcher: Dispatcher,
  options: Dispatcher.RequestOptions & SocketOptions,
): Promise<RegistryResponse> {
  const { signal, ...request } = options as typeof options & { readonly signal?: AbortSignal };
  const { promise, resolve, reject } = Promise.withResolvers<RegistryResponse>();
  let leave: (() => void) | undefined;
  const over = (): void => {
    if (leave) signal?.removeEventListener('abort', leave);
  };
  dispatcher.dispatch(request as Dispatcher.DispatchOptions, {
    onRequestStart(controller) {
      leave = () => controller.abort(signal!.reason as Error);
      if (signal?.aborted) leave();
      else signal?.addEventListener('abort', leave);
    },
    onResponseStart(_controller, statusCode, headers) {
      if (statusCode >= 200) resolve({ statusCode, headers: headers as Headers, body: NO_BODY });
    },
    onResponseData() {},
    onResponseEnd: over,
    onResponseError(_controller, error) {
      over();
      reject(error);
    },
  });
  return promise;
}

/** Makes a request. A GET or HEAD that failed on a reused socket is made once more. */
export async function requestOnce(
  dispatcher: Dispatcher,
  options: Dispatcher.RequestOptions & SocketOptions,
): Promise<RegistryResponse> {
  const make = (): Promise<RegistryResponse> =>
    options.method === 'HEAD' ? head(dispatcher, options) : dispatcher.request(options);
  try {
    return await make();
  } catch (error) {
    const isIdempotent = options.method === 'GET' || options.method === 'HEAD';
    if (!isIdempotent || !diedOnReusedSocket(error)) throw error;
    return make();
  }
}
