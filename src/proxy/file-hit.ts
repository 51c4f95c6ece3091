// A blob that the local registry has, read from its file: the registry is not asked.
import type { Span } from '../oci/range.ts';
import { resolveRange } from '../oci/range.ts';
import { found, type Answer } from '../registry/answer.ts';
import { sendBody, unsatisfiable } from './body.ts';
import type { ProxyDeps, ProxyOptions } from './deps.ts';
import { FileBody } from './file-body.ts';
import type { Onward, ServeHit } from './local-blob.ts';
import { createJudge, NOT_HERE, type Sendable } from './judge.ts';
import type { Proof } from './proof.ts';
import type { Storage } from './storage.ts';

/** As a hit, but undefined where the files do not show the blob: the registry is asked then. */
export type ServeFile = (...asked: Parameters<ServeHit>) => Promise<Answer<true> | undefined>;

/** @see ServeFile */
export function createFileHit(
  deps: ProxyDeps,
  options: ProxyOptions,
  { proof, onward, storage }: { readonly proof: Proof; readonly onward: Onward; readonly storage: Storage },
): ServeFile {
  const { memory, meter } = deps;
  const { readerTimeout } = options;
  const judge = createJudge(memory, proof);

  /** What is to be sent of a file; a failure where it is not what its digest names. @throws {OciError} 416 */
  async function sendable(
    ...[request, , place, range, size]: [...Parameters<ServeHit>, number]
  ): Promise<Answer<Sendable & { readonly part: Span | undefined }>> {
    const part = range && resolveRange(range, size);
    if (range && !part) {
      if ((await proof.prove(place, size, request)) !== 'whole') return NOT_HERE;
      throw unsatisfiable(size);
    }
    const judged = await judge(request, place, { size, part }, range);
    return judged.kind === 'found' ? found({ ...judged.value, part }) : judged;
  }

  return async (request, reply, place, range) => {
    const opened = await storage.open(place);
    if (!opened) return undefined;
    const { file } = opened;
    const answer = await sendable(request, reply, place, range, opened.size).catch(async (error: unknown) => {
      await file.close();
      throw error;
    });
    if (answer.kind !== 'found') {
      await file.close();
      return answer;
    }
    const { size, span, part } = answer.value;
    const until = size === undefined ? undefined : span.end + 1;
    // Hashed for its first reader in this process, who might otherwise get a flipped bit.
    const isHashed = span.start === 0 && until === size && !memory.wasRead(place.digest);
    const body = new FileBody({
      digest: place.digest,
      file,
      start: span.start,
      until,
      isHashed,
      onward: onward(request.caller, place, until),
      onDamage: (position, cause) => proof.doubt(place, request.log, { what: 'its file', position, cause }),
      onWhole: (whole) => {
        if (size !== undefined && !isHashed) return;
        memory.learnSize(place.digest, whole);
        memory.markRead(place.digest);
      },
    });
    meter('local_deliveries_total', { by: 'file' });
    const sent = { size, span, isPart: part !== undefined };
    sendBody(reply, place.digest, sent, body, { timeout: readerTimeout, meter });
    return found(true as const);
  };
}
