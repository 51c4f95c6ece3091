// Reads the primary's notifications: from a body in any known form to the references that have to be looked at again.
// Events are hints only: the worker asks the primary, and an event's digest is not trusted.
import { parseDigest } from '../oci/digest.ts';
import { checkJson, TooComplex } from '../oci/json.ts';
import { isManifestType } from '../oci/media-types.ts';
import { isName, isTag } from '../oci/reference.ts';
import type { MalformedEvent } from './records.ts';
import type { Mark } from './row-queue.ts';
import { WHOLE_REPOSITORY } from './row.ts';
import { vendorEvents } from './vendor-events.ts';

/** What an event names: a tag, a digest, or {@link WHOLE_REPOSITORY}; and whether it was pushed. */
export type EventMark = Pick<Mark, 'repository' | 'reference' | 'isPush'>;

/** A repository got another name, and so did all repositories below it. */
export interface Rename {
  readonly from: string;
  readonly to: string;
}

/** The result of an event. `ignored`: pulls and blobs, which do not concern manifests. */
export type EventResult = 'marked' | 'ignored' | 'not-replicated' | 'malformed';

/** What one body holds. */
export interface ParsedEvents {
  /** Each reference once, of the repositories that are replicated. */
  readonly marks: readonly EventMark[];
  /** Each reference once, of all repositories. */
  readonly named: readonly EventMark[];
  /** Renames; their own two names are among the marks, see {@link marksBelow} for the others. */
  readonly renames: readonly Rename[];
  /** The first hundred of the events that could not be understood. */
  readonly malformed: readonly Omit<MalformedEvent, 'at'>[];
  /** How many events of the body have which result. */
  readonly counts: Readonly<Record<EventResult, number>>;
}

type Fields = Readonly<Record<string, unknown>>;

type Reading =
  | { readonly kind: 'marked'; readonly marks: readonly EventMark[]; readonly rename?: Rename }
  | { readonly kind: 'ignored' }
  | { readonly kind: 'malformed'; readonly reason: string };

// Malformed events of one body that are kept.
const MALFORMED_MAX = 100;
const BODY_MAX = 64 * 1024;
/** Events of one body that are read. Registries send one, Azure's Event Grid 5,000 at the most. */
export const EVENTS_MAX = 5_000;
/** Renames of one body that are read: each marks all that is known below a name. */
export const RENAMES_MAX = 100;
// Events that are read in one turn of the event loop. A body larger than `LARGE` bytes is checked and parsed in turns
// of their own.
const STEP = 250;
const LARGE = 64 * 1024;
// `mount` concerns blobs. The others are Azure's: its test button, and Helm charts of the old form, which no registry
// API serves.
const IGNORED = new Set(['pull', 'mount', 'ping', 'chart_push', 'chart_delete']);

const IS_IGNORED: Reading = { kind: 'ignored' };

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

// Go leaves empty fields out; others write them.
function isGiven(value: unknown): boolean {
  return value !== undefined && value !== null && value !== '';
}

function malformed(reason: string): Reading {
  return { kind: 'malformed', reason };
}

function marked(repository: string, reference: string, isPush: boolean): Reading {
  return { kind: 'marked', marks: [isPush ? { repository, reference, isPush } : { repository, reference }] };
}

function isManifest(mediaType: unknown): boolean {
  return typeof mediaType === 'string' && (isManifestType(mediaType) || /manifest/i.test(mediaType));
}

/** A push or a deletion. A deleted digest has no media type: it may have been a blob's or a manifest's. */
function readTarget(action: 'push' | 'delete', { repository, tag, digest, mediaType }: Fields): Reading {
  if (typeof repository !== 'string' || !isName(repository))
    return malformed('target.repository is no repository name');
  const isPush = action === 'push';
  if (isGiven(tag)) {
    return typeof tag === 'string' && isTag(tag) ? marked(repository, tag, isPush) : malformed('target.tag is no tag');
  }
  if (isGiven(mediaType) && !isManifest(mediaType)) return IS_IGNORED;
  if (isGiven(digest)) {
    const parsed = parseDigest(digest);
    return parsed ? marked(repository, parsed, isPush) : malformed('target.digest is no digest of sha256 or sha512');
  }
  return isPush ? malformed('a push of neither tag nor digest') : marked(repository, WHOLE_REPOSITORY, false);
}

/** GitLab's rename, whose two types differ in which part of the path changed; both names are whole paths. */
function readRename({ rename }: Fields): Reading {
  if (!isFields(rename)) return malformed('target.rename is missing');
  const { from, to } = rename;
  if (typeof from !== 'string' || !isName(from)) return malformed('target.rename.from is no repository name');
  if (typeof to !== 'string' || !isName(to)) return malformed('target.rename.to is no repository name');
  const marks = [from, to].map((repository) => ({ repository, reference: WHOLE_REPOSITORY }));
  return { kind: 'marked', marks, rename: { from, to } };
}

function readEvent(event: unknown): Reading {
  if (!isFields(event)) return malformed('the event is no object');
  const { action, target } = event;
  if (typeof action !== 'string') return malformed('action is missing');
  if (IGNORED.has(action)) return IS_IGNORED;
  if (action !== 'push' && action !== 'delete' && action !== 'rename') return malformed('action is unknown');
  if (!isFields(target)) return malformed('target is missing');
  return action === 'rename' ? readRename(target) : readTarget(action, target);
}

/** Event Grid's and CloudEvents' items carry the registry's own event as `data`. */
function dataOf(item: unknown): unknown {
  return isFields(item) && item['action'] === undefined && isFields(item['data']) ? item['data'] : item;
}

/** An event in Distribution's form, and the event as it was sent. */
interface SentEvent {
  readonly event: unknown;
  readonly sent: unknown;
}

/** A bare event, as Azure's webhooks send it, or one in the form of another registry, which may stand for several. */
function eventsOf(item: unknown): readonly SentEvent[] {
  const events = vendorEvents(item) ?? [dataOf(item)];
  return events.map((event) => ({ event, sent: item }));
}

/** Distribution's envelope, Event Grid's array, or one event. */
function eventsIn(document: unknown): readonly SentEvent[] {
  if (isFields(document) && Array.isArray(document['events'])) {
    return document['events'].map((event: unknown) => ({ event, sent: event }));
  }
  return (Array.isArray(document) ? document : [document]).flatMap(eventsOf);
}

/** Leaves out the actor, which may hold a token of GitLab's, and cuts long texts. */
function withoutActor(key: string, value: unknown): unknown {
  if (key === 'actor') return undefined;
  return typeof value === 'string' && value.length > BODY_MAX ? value.slice(0, BODY_MAX) : value;
}

/** An event as text. */
function textOf(event: unknown): string {
  return JSON.stringify(event, withoutActor).slice(0, BODY_MAX);
}

/** Collects the results of one body's events. */
class Collector implements ParsedEvents {
  readonly counts = { marked: 0, ignored: 0, 'not-replicated': 0, malformed: 0 };
  readonly renames: Rename[] = [];
  readonly malformed: Omit<MalformedEvent, 'at'>[] = [];
  readonly #named = new Map<string, EventMark>();
  readonly #isReplicated: (repository: string) => boolean;

  constructor(isReplicated: (repository: string) => boolean) {
    this.#isReplicated = isReplicated;
  }

  get named(): readonly EventMark[] {
    return [...this.#named.values()];
  }

  get marks(): readonly EventMark[] {
    return this.named.filter(({ repository }) => this.#isReplicated(repository));
  }

  add({ event, sent }: SentEvent): void {
    let reading = readEvent(event);
    if (reading.kind === 'marked' && reading.rename && this.renames.length === RENAMES_MAX) {
      reading = malformed(`more than ${RENAMES_MAX} renames in one body`);
    }
    if (reading.kind === 'malformed') return this.addMalformed(reading.reason, () => textOf(sent));
    if (reading.kind === 'ignored') return void (this.counts.ignored += 1);
    const { marks, rename } = reading;
    // Neither a name nor a reference has a space.
    for (const mark of marks) this.#named.set(`${mark.repository} ${mark.reference}`, mark);
    if (rename) this.renames.push(rename);
    const isMarked = marks.some(({ repository }) => this.#isReplicated(repository));
    this.counts[isMarked ? 'marked' : 'not-replicated'] += 1;
  }

  addMalformed(reason: string, body: () => string, count = 1): void {
    this.counts.malformed += count;
    if (this.malformed.length < MALFORMED_MAX) this.malformed.push({ reason, body: body() });
  }
}

/**
 * Reads a body: the envelope of `application/vnd.docker.distribution.events.v1+json` and `v2+json`, a bare event, an
 * array of events, or an event in the form of another registry ({@link vendorEvents}). Never throws: an event that does
 * not fit is kept with its reason, and the others are read. Yields where other work may run. `type` is that of a
 * CloudEvent in binary mode, whose body is its data alone.
 */
export function* readEvents(
  body: Uint8Array,
  isReplicated: (repository: string) => boolean,
  type?: string,
): Generator<undefined, ParsedEvents> {
  const collector = new Collector(isReplicated);
  let document: unknown;
  try {
    checkJson(body);
    if (body.length > LARGE) yield;
    document = JSON.parse(new TextDecoder().decode(body));
    if (body.length > LARGE) yield;
  } catch (error) {
    const reason = error instanceof TooComplex ? `the body is ${error.message}` : 'the body is no JSON';
    collector.addMalformed(reason, () => new TextDecoder().decode(body.subarray(0, BODY_MAX)));
    return collector;
  }
  if (type !== undefined && isFields(document)) document = { specversion: '1.0', type, data: document };
  const events = eventsIn(document);
  for (let start = 0; start < Math.min(events.length, EVENTS_MAX); start += STEP) {
    if (start > 0) yield;
    for (const event of events.slice(start, Math.min(start + STEP, EVENTS_MAX))) collector.add(event);
  }
  if (events.length > EVENTS_MAX) {
    const reason = `the body holds ${events.length} events, of which the first ${EVENTS_MAX} are read`;
    collector.addMalformed(reason, () => textOf(events[EVENTS_MAX]?.sent), events.length - EVENTS_MAX);
  }
  return collector;
}

/** The marks of all known repositories below a renamed one, by their old and their new names. */
export function marksBelow({ from, to }: Rename, known: readonly string[]): readonly EventMark[] {
  return known.flatMap((repository) => {
    if (!repository.startsWith(`${from}/`)) return [];
    const names = [repository, `${to}${repository.slice(from.length)}`].filter(isName);
    return names.map((name) => ({ repository: name, reference: WHOLE_REPOSITORY }));
  });
}
