// Nothing that a sender may think of makes it send that again for ever, or hides the good events beside it.
import { Client } from 'undici';
import { expect, onTestFinished, test } from 'vitest';
import { isDigest } from '../../src/oci/digest.ts';
import { isName, isTag } from '../../src/oci/reference.ts';
import type { EventMark } from '../../src/replication/events.ts';
import { WEBHOOK_PATH } from '../../src/replication/webhook.ts';
import { seededBytes } from '../support/content.ts';
import { parseEvents } from './parsed.ts';
import { pushOf, Rows, startWebhook, token } from './webhook-rig.ts';

const digest = `sha256:${'0'.repeat(64)}`;
const keys =
  'events action target repository tag digest mediaType rename from to type data actor __proto__ constructor'.split(
    ' ',
  );
const actions = ['push', 'push', 'delete', 'rename', 'pull', 'mount', 'explode'];
const repositories = ['group/project', 'group/project', 'a/b/c', '../..', 'Group'];
const words = [
  ...actions,
  ...repositories,
  'latest',
  'v1.0',
  '',
  '*',
  '%',
  '\0',
  '\u{d800}',
  '\u{feff}',
  'ä',
  'x'.repeat(300),
  digest,
  `${digest}0`,
  'application/octet-stream',
  'application/vnd.oci.image.index.v1+json',
];
const good = pushOf('good').events[0];

/** Chance that depends on the seed alone. */
class Chance {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(seed: string) {
    this.#bytes = seededBytes(4 * 1024 * 1024, seed);
  }

  /** A whole number from 0 to `end` - 1. */
  below(end: number): number {
    this.#at = (this.#at + 4) % (this.#bytes.length - 4);
    return this.#bytes.readUInt32LE(this.#at) % end;
  }

  of<T>(choices: readonly T[]): T {
    return choices[this.below(choices.length)]!;
  }

  value(depth = 0): unknown {
    const kind = this.below(depth > 4 ? 5 : 9);
    if (kind === 0) return this.of([null, true, false, 0, -1, 1e308, 1e-9]);
    if (kind <= 4) return this.of(words);
    if (kind === 5) return Array.from({ length: this.below(4) }, () => this.value(depth + 1));
    return Object.fromEntries(Array.from({ length: this.below(6) }, () => [this.of(keys), this.value(depth + 1)]));
  }

  /** Something that looks like an event, with some fields of another kind. */
  event(): unknown {
    if (this.below(4) === 0) return this.value();
    const [action, repository, tag] = [this.of(actions), this.of(repositories), this.of(words)];
    const target = { repository, ...this.of([{}, { tag }, { tag, digest: this.value() }, { digest: this.value() }]) };
    const mediaType = this.of([undefined, this.of(words), this.value()]);
    const to = this.of(repositories);
    const rename = this.of([undefined, { type: 'name', from: repository, to }, this.value()]);
    return { action, target: { ...target, mediaType, rename } };
  }

  /** A body that may be anything. */
  body(): Buffer {
    const events = Array.from({ length: this.below(5) }, () => this.event());
    const document = this.of<() => unknown>([() => ({ events }), () => events, () => events[0], () => this.value()])();
    const bytes = Buffer.from(JSON.stringify(document) ?? '');
    const kind = this.below(4);
    if (kind === 0) return bytes.subarray(0, this.below(bytes.length + 1));
    if (kind === 1) for (let n = 0; n < bytes.length / 20; n++) bytes[this.below(bytes.length)] = this.below(256);
    return kind === 2 && this.below(4) === 0 ? seededBytes(this.below(2_000), this.below(1_000)) : bytes;
  }
}

function isSound({ repository, reference }: EventMark): boolean {
  return isName(repository) && (isTag(reference) || isDigest(reference) || reference === '*');
}

test.each(['first', 'second', 'third'])('of any events each is counted once, and the good one marked (%s)', (seed) => {
  const chance = new Chance(seed);
  const seen = { marked: 0, ignored: 0, 'not-replicated': 0, malformed: 0 };
  for (let round = 0; round < 3_000; round++) {
    const events = Array.from({ length: chance.below(6) }, () => chance.event());
    events.splice(chance.below(events.length + 1), 0, good);
    const text = JSON.stringify({ events });
    const { marks, malformed, counts } = parseEvents(Buffer.from(text), (name) => name !== 'a/b/c');
    expect(marks, text).toContainEqual({ repository: 'group/project', reference: 'good', isPush: true });
    expect(marks.filter((mark) => !isSound(mark))).toEqual([]);
    expect(malformed).toHaveLength(counts.malformed);
    expect(Object.values(counts).reduce((sum, count) => sum + count, 0)).toBe(events.length);
    for (const result of ['marked', 'ignored', 'not-replicated', 'malformed'] as const) seen[result] += counts[result];
  }
  // The generator reaches every result.
  expect(Math.min(...Object.values(seen))).toBeGreaterThan(50);
});

test('any body under any content type is answered with success', async () => {
  const chance = new Chance('bodies');
  const { rows, origin, counted } = await startWebhook({ rows: new Rows() });
  const client = new Client(origin);
  onTestFinished(() => client.close());
  const headerWords = ['application/json', 'text/', '/', ';', ';;', '"', 'charset=', 'x', 'ä', ',', ' ', '\t', '='];
  for (let round = 0; round < 1_500; round++) {
    const contentType = Array.from({ length: chance.below(4) }, () => chance.of(headerWords)).join('');
    const body = chance.body();
    const headers = { authorization: token, 'content-type': contentType };
    const answer = await client.request({ path: WEBHOOK_PATH, method: 'POST', headers, body });
    expect(answer.statusCode, `${contentType}: ${body.toString()}`).toBe(200);
    expect(await answer.body.text()).toBe('{}');
  }
  expect(counted['event_requests_total stored']).toBe(1_500);
  expect(rows.kept).toHaveLength(counted['events_total malformed']!);
  expect(rows.marks.length).toBeGreaterThan(20);
  expect(rows.calls.flat().filter((mark) => !isSound(mark))).toEqual([]);
});
