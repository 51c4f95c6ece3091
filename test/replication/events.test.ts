// What bodies of events come to; the forms are those that registries were seen to send, or document.
import { expect, test } from 'vitest';
import { EVENTS_MAX, marksBelow, readEvents, RENAMES_MAX, type ParsedEvents } from '../../src/replication/events.ts';
import { parseEvents } from './parsed.ts';

const digest = `sha256:${'a'.repeat(64)}`;
const otherDigest = `sha512:${'b'.repeat(128)}`;
const manifestType = 'application/vnd.docker.distribution.manifest.v2+json';

function push(target: object): object {
  return {
    id: '1',
    action: 'push',
    target: { repository: 'group/project', mediaType: manifestType, digest, ...target },
  };
}

function deletion(target: object): object {
  return { id: '2', action: 'delete', target: { repository: 'group/project', ...target } };
}

function rename(type: string, from: string, to: string): object {
  return { id: '3', action: 'rename', target: { repository: from, rename: { type, from, to } } };
}

function parse(document: unknown, isReplicated: (repository: string) => boolean = () => true): ParsedEvents {
  return parseEvents(Buffer.from(typeof document === 'string' ? document : JSON.stringify(document)), isReplicated);
}

function marks(document: unknown): string[] {
  return parse(document).marks.map(({ repository, reference }) => `${repository} ${reference}`);
}

function counts(document: unknown): object {
  return Object.fromEntries(Object.entries(parse(document).counts).filter(([, count]) => count > 0));
}

/** The reason why the one event of a body is malformed. */
function reason(event: unknown): string | undefined {
  const { malformed, counts: counted } = parse({ events: [event] });
  expect(counted).toEqual({ marked: 0, ignored: 0, 'not-replicated': 0, malformed: 1 });
  return malformed[0]?.reason;
}

test('a push with a tag marks the tag, whatever digest it tells', () => {
  expect(marks({ events: [push({ tag: 'v1' })] })).toEqual(['group/project v1']);
  expect(marks({ events: [push({ tag: 'v1', digest: 'sha256:cafe' })] })).toEqual(['group/project v1']);
});

test.each([
  manifestType,
  `${manifestType}; charset=utf-8`,
  'application/vnd.docker.distribution.manifest.list.v2+json',
  'application/vnd.docker.distribution.manifest.v1+prettyjws',
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.oci.artifact.manifest.v1+json',
  'application/vnd.example.manifest.v9+json',
])('a push of %s by digest marks the digest', (mediaType) => {
  expect(marks({ events: [push({ mediaType })] })).toEqual([`group/project ${digest}`]);
});

test('digests of sha512 are marked, too', () => {
  expect(marks({ events: [push({ digest: otherDigest })] })).toEqual([`group/project ${otherDigest}`]);
});

test.each([
  ['a blob that was pushed', push({ mediaType: 'application/octet-stream' })],
  ['a blob of another type', push({ mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip' })],
  ['a blob that was mounted', { action: 'mount', target: { repository: 'a', digest, fromRepository: 'b' } }],
  ['a manifest that was pulled', { action: 'pull', target: { repository: 'group/project', tag: 'v1', digest } }],
  ['a pull of anything', { action: 'pull', target: { repository: 'Not A Name' } }],
  ['a blob that was deleted, where that is said', deletion({ digest, mediaType: 'application/octet-stream' })],
  ["Azure's trial of a webhook", { id: '1', timestamp: '2026-01-01T00:00:00Z', action: 'ping' }],
  ["Azure's old form of a chart", { action: 'chart_push', target: { repository: 'charts', tag: 'v1', name: 'c' } }],
])('%s is ignored', (_, event) => {
  expect(counts({ events: [event] })).toEqual({ ignored: 1 });
  expect(marks({ events: [event] })).toEqual([]);
});

test('a deletion marks what it names: a tag, a digest, or the repository', () => {
  expect(marks({ events: [deletion({ tag: 'v1' })] })).toEqual(['group/project v1']);
  expect(marks({ events: [deletion({ tag: 'v1', digest })] })).toEqual(['group/project v1']);
  expect(marks({ events: [deletion({ digest })] })).toEqual([`group/project ${digest}`]);
  expect(marks({ events: [deletion({ digest, mediaType: manifestType })] })).toEqual([`group/project ${digest}`]);
  expect(marks({ events: [deletion({})] })).toEqual(['group/project *']);
});

test('fields that are there but empty count as absent', () => {
  const empty = { tag: '', mediaType: null, digest: '' };
  expect(marks({ events: [deletion(empty)] })).toEqual(['group/project *']);
  expect(marks({ events: [push({ tag: null })] })).toEqual([`group/project ${digest}`]);
});

test.each(['name', 'namespace', 'something'])('a rename of type %s marks both names', (type) => {
  const { marks: both, renames } = parse({ events: [rename(type, 'group/old', 'other/group/new')] });
  expect(both).toEqual([
    { repository: 'group/old', reference: '*' },
    { repository: 'other/group/new', reference: '*' },
  ]);
  expect(renames).toEqual([{ from: 'group/old', to: 'other/group/new' }]);
});

test('a rename marks the known repositories below it by both names', () => {
  const known = [
    'group/old',
    'group/old/app',
    'group/old/app/cache',
    'group/older',
    'group/older/app',
    'x/group/old/a',
  ];
  expect(marksBelow({ from: 'group/old', to: 'new' }, known)).toEqual([
    { repository: 'group/old/app', reference: '*' },
    { repository: 'new/app', reference: '*' },
    { repository: 'group/old/app/cache', reference: '*' },
    { repository: 'new/app/cache', reference: '*' },
  ]);
});

test('a rename to a name that is too long for what lies below marks the old name alone', () => {
  const to = `${'a'.repeat(250)}/b`;
  expect(marksBelow({ from: 'old', to }, ['old/project'])).toEqual([{ repository: 'old/project', reference: '*' }]);
});

test('one body holds several events, and each reference is marked once', () => {
  const events = [push({ tag: 'v1' }), push({}), push({ tag: 'v2' }), push({ tag: 'v1' }), deletion({ tag: 'v2' })];
  expect(marks({ events })).toEqual(['group/project v1', `group/project ${digest}`, 'group/project v2']);
  expect(counts({ events })).toEqual({ marked: 5 });
});

test('the same reference of two repositories is two marks', () => {
  const events = [push({ tag: 'v1' }), push({ tag: 'v1', repository: 'other' })];
  expect(marks({ events })).toEqual(['group/project v1', 'other v1']);
});

test("a bare event is read, as Azure's webhooks send it", () => {
  expect(marks(push({ tag: 'v1' }))).toEqual(['group/project v1']);
});

test("an array of Event Grid's events is read", () => {
  const items = [push({ tag: 'v1' }), deletion({ digest })].map((data) => ({ eventType: 'x', subject: 'y', data }));
  expect(marks(items)).toEqual(['group/project v1', `group/project ${digest}`]);
});

test("a single one of CloudEvents' form is read", () => {
  expect(marks({ specversion: '1.0', type: 'x', data: push({ tag: 'v1' }) })).toEqual(['group/project v1']);
});

test('a bare event with data of its own is read itself', () => {
  expect(marks({ ...push({ tag: 'v1' }), data: push({ tag: 'v2' }) })).toEqual(['group/project v1']);
});

test('an envelope without events says nothing', () => {
  expect(counts({ events: [] })).toEqual({});
});

test('a byte order mark is no part of the JSON', () => {
  expect(marks(`\u{feff}${JSON.stringify({ events: [push({ tag: 'v1' })] })}`)).toEqual(['group/project v1']);
});

test('repositories that are not replicated are counted, not marked', () => {
  const events = [push({ tag: 'v1' }), push({ tag: 'v1', repository: 'private/project' })];
  const parsed = parse({ events }, (repository) => !repository.startsWith('private/'));
  expect(parsed.marks).toEqual([{ repository: 'group/project', reference: 'v1', isPush: true }]);
  expect(parsed.counts).toEqual({ marked: 1, ignored: 0, 'not-replicated': 1, malformed: 0 });
});

test('a rename out of what is replicated marks the name that was', () => {
  const parsed = parse({ events: [rename('namespace', 'group/a', 'private/a')] }, (name) => name !== 'private/a');
  expect(parsed.marks).toEqual([{ repository: 'group/a', reference: '*' }]);
  expect(parsed.counts.marked).toBe(1);
});

test.each([
  ['text', 'push'],
  ['a number', 7],
  ['null', null],
  ['an array', []],
])('an event that is %s is malformed', (_, event) => {
  expect(reason(event)).toBe('the event is no object');
});

test.each([
  [{}, 'action is missing'],
  [{ action: 1, target: {} }, 'action is missing'],
  [{ action: 'explode', target: { repository: 'a', tag: 'v1' } }, 'action is unknown'],
  [{ action: 'toString', target: { repository: 'a', tag: 'v1' } }, 'action is unknown'],
  [{ action: 'push' }, 'target is missing'],
  [{ action: 'push', target: 'a:v1' }, 'target is missing'],
  [{ action: 'rename', target: { repository: 'a' } }, 'target.rename is missing'],
  [rename('name', 'Old', 'new'), 'target.rename.from is no repository name'],
  [rename('name', 'old', '../new'), 'target.rename.to is no repository name'],
  [push({ digest: undefined }), 'a push of neither tag nor digest'],
])('%j is malformed: %s', (event, why) => {
  expect(reason(event)).toBe(why);
});

test.each(['', '/', 'Group/project', 'group//project', '../etc', 'group/project ', 'a'.repeat(256), 5, null, ['a']])(
  'the repository %j is malformed',
  (repository) => {
    expect(reason(push({ repository, tag: 'v1' }))).toBe('target.repository is no repository name');
  },
);

test.each(['*', '-v1', 'v1/..', 'v 1', 'a'.repeat(129), digest, 5, {}, [], true])('the tag %j is malformed', (tag) => {
  expect(reason(push({ tag }))).toBe('target.tag is no tag');
});

test.each([
  'sha256:cafe',
  `sha256:${'A'.repeat(64)}`,
  `md5:${'a'.repeat(32)}`,
  `sha384:${'a'.repeat(96)}`,
  `${digest}\n`,
  '*',
  5,
  {},
])('the digest %j is malformed, for a push and for a deletion', (wrong) => {
  expect(reason(push({ digest: wrong }))).toBe('target.digest is no digest of sha256 or sha512');
  expect(reason(deletion({ digest: wrong }))).toBe('target.digest is no digest of sha256 or sha512');
});

test('a malformed event spoils nothing of its neighbours', () => {
  const events = [push({ tag: 'v1' }), push({ tag: '*' }), null, push({ tag: 'v2' })];
  expect(marks({ events })).toEqual(['group/project v1', 'group/project v2']);
  expect(counts({ events })).toEqual({ marked: 2, malformed: 2 });
});

test('a malformed event is kept as it came, but for its actor, which carries a token', () => {
  const event = { ...push({ tag: '*' }), actor: { name: 'root', user: 'a.secret.token' } };
  const [kept] = parse({ events: [event] }).malformed;
  expect(JSON.parse(kept!.body)).toEqual(push({ tag: '*' }));
});

test('a body that is no JSON is kept as text', () => {
  const parsed = parse('{"events": [');
  expect(parsed.malformed).toEqual([{ reason: 'the body is no JSON', body: '{"events": [' }]);
  expect(parsed.counts.malformed).toBe(1);
});

test('an empty body is malformed', () => {
  expect(parse('').malformed).toEqual([{ reason: 'the body is no JSON', body: '' }]);
});

test('at most 64 KiB of a malformed event are kept', () => {
  const event = push({ tag: '*', url: 'x'.repeat(100_000) });
  expect(parse({ events: [event] }).malformed[0]?.body).toHaveLength(65_536);
  expect(parse('x'.repeat(100_000)).malformed[0]?.body).toHaveLength(65_536);
});

test('of very many malformed events of one body all are counted and a hundred kept', () => {
  const parsed = parse({ events: Array.from({ length: 5_000 }, () => 0) });
  expect(parsed.malformed).toHaveLength(100);
  expect(parsed.counts.malformed).toBe(5_000);
});

test('a body that is nested deeper than is read is malformed as a whole, and none of it is parsed', () => {
  const depth = 100_000;
  const nested = `${'['.repeat(depth)}${']'.repeat(depth)}`;
  const parsed = parse(`{"events":[${nested},${JSON.stringify(push({ tag: 'v1' }))}]}`);
  expect(parsed.counts).toEqual({ marked: 0, ignored: 0, 'not-replicated': 0, malformed: 1 });
  expect(parsed.malformed[0]?.reason).toBe('the body is JSON that is nested deeper than 64');
  expect(parsed.malformed[0]?.body).toHaveLength(65_536);
});

test('a body of more values than are read is malformed as a whole', () => {
  const parsed = parse({ events: Array.from({ length: 70_000 }, (_, at) => rename('name', `a${at}`, `b${at}`)) });
  expect(parsed.counts.malformed).toBe(1);
  expect(parsed.malformed[0]?.reason).toBe('the body is JSON of more than 100000 values');
});

test('an event with as many references as an image may have is read', () => {
  const references = Array.from({ length: 10_000 }, () => ({ mediaType: manifestType, size: 1, digest }));
  expect(marks({ events: [push({ tag: 'v1', references })] })).toEqual(['group/project v1']);
});

test('of more events than any registry sends in one body the first are read, and the others counted', () => {
  const events = Array.from({ length: EVENTS_MAX + 3 }, (_, at) => push({ tag: `v${at}` }));
  const parsed = parse({ events });
  expect(parsed.marks).toHaveLength(EVENTS_MAX);
  expect(parsed.counts).toMatchObject({ marked: EVENTS_MAX, malformed: 3 });
  expect(parsed.malformed).toHaveLength(1);
  expect(parsed.malformed[0]?.reason).toBe(
    `the body holds ${EVENTS_MAX + 3} events, of which the first ${EVENTS_MAX} are read`,
  );
  expect(JSON.parse(parsed.malformed[0]!.body)).toEqual(events[EVENTS_MAX]);
});

test('of very many renames of one body the first are read', () => {
  const events = Array.from({ length: RENAMES_MAX + 2 }, (_, at) => rename('name', `a${at}`, `b${at}`));
  const parsed = parse({ events });
  expect(parsed.renames).toHaveLength(RENAMES_MAX);
  expect(parsed.counts).toMatchObject({ marked: RENAMES_MAX, malformed: 2 });
});

test('events are read in steps, between which other work may come', () => {
  const events = Array.from({ length: 1_000 }, (_, at) => push({ tag: `v${at}` }));
  const reading = readEvents(Buffer.from(JSON.stringify({ events })), () => true);
  let steps = 0;
  while (!reading.next().done) steps += 1;
  expect(steps).toBeGreaterThan(1);
});
