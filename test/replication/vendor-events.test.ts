// Events of registries that have a form of their own, as their documentation shows them: what they come to.
import { expect, test } from 'vitest';
import {
  artifactory,
  artifactRegistry,
  azure,
  dockerHub,
  ecr,
  github,
  harbor,
  nexus,
  quay,
  type Notification,
} from '../dialects/notifications.ts';
import { parseEvents } from './parsed.ts';

const digest = `sha256:${'a'.repeat(64)}`;
const change = { repository: 'group/app', tag: 'v1', digest };

function parse(document: unknown) {
  return parseEvents(Buffer.from(JSON.stringify(document)), () => true);
}

/** Repositories and references, a push with a `+`. */
function marks(document: unknown): string[] {
  return parse(document).marks.map(
    ({ repository, reference, isPush }) => `${isPush ? '+' : ''}${repository} ${reference}`,
  );
}

function pubSub(data: string): object {
  return { message: { data: Buffer.from(data).toString('base64') }, subscription: 'projects/p/subscriptions/s' };
}

test.each<[string, body: Notification, pushed: readonly string[], deleted: readonly string[] | undefined]>([
  ['azure', azure, ['+group/app v1'], [`group/app ${digest}`]],
  ['ecr', ecr, ['+group/app v1'], ['group/app *']],
  ['artifactRegistry', artifactRegistry, ['+group/app v1'], ['group/app v1']],
  ['github', github, ['+group/app v1'], undefined],
  ['dockerHub', dockerHub, ['+group/app v1'], undefined],
  ['harbor', harbor, ['+group/app v1'], ['group/app *']],
  ['quay', quay, ['+group/app v1'], undefined],
  // Clients name an image with the repository that holds it, or without: the primary is asked for both.
  ['nexus', nexus, ['+group/app v1', '+docker-hosted/group/app v1'], ['group/app v1', 'docker-hosted/group/app v1']],
  [
    'artifactory',
    artifactory,
    ['+group/app v1', '+docker-local/group/app v1'],
    ['group/app v1', 'docker-local/group/app v1'],
  ],
])('a push and a deletion of %s', (_, body, pushed, deleted) => {
  expect(marks(body({ ...change, action: 'push' }))).toEqual(pushed);
  const deletion = body({ ...change, action: 'delete' });
  expect(deletion === undefined ? undefined : marks(deletion)).toEqual(deleted);
});

const harborRepository = { name: 'app', namespace: 'group', repo_full_name: 'group/app', repo_type: 'private' };

test.each<[name: string, document: unknown, expected: readonly string[]]>([
  [
    'a push without a tag, for which Harbor writes the digest',
    { type: 'PUSH_ARTIFACT', event_data: { resources: [{ digest, tag: digest }], repository: harborRepository } },
    [`+group/app ${digest}`],
  ],
  [
    'a push in the CloudEvents of Harbor',
    {
      specversion: '1.0',
      type: 'harbor.artifact.pushed',
      data: { resources: [{ digest, tag: 'v1' }], repository: harborRepository, custom_attributes: {} },
      operator: 'robot$x',
    },
    ['+group/app v1'],
  ],
  [
    "what Harbor's retention has deleted",
    {
      type: 'TAG_RETENTION',
      event_data: {
        retention: { project_name: 'group', deleted_artifact: [{ name_tag: 'sub/app:v1', type: 'image' }] },
      },
    },
    ['group/sub/app *'],
  ],
  [
    "tags with the ids of their images, in Quay's old form",
    { repository: 'group/app', docker_url: 'quay.io/group/app', updated_tags: { latest: 'b750fe', v1: 'b750fe' } },
    ['+group/app latest', '+group/app v1'],
  ],
  [
    'a manifest among the assets of Nexus',
    {
      repositoryName: 'hosted',
      action: 'CREATED',
      asset: { format: 'docker', name: `v2/group/app/manifests/${digest}` },
    },
    [`+group/app ${digest}`, `+hosted/group/app ${digest}`],
  ],
  [
    'an image that ECR replicated here',
    {
      source: 'aws.ecr',
      'detail-type': 'ECR Replication Action',
      detail: { 'repository-name': 'group/app', 'image-tag': 'v1', 'image-digest': digest, 'action-type': 'REPLICATE' },
    },
    ['+group/app v1'],
  ],
  [
    'an image without a tag in ECR',
    {
      source: 'aws.ecr',
      'detail-type': 'ECR Image Action',
      detail: { 'repository-name': 'group/app', 'image-digest': digest, 'action-type': 'PUSH' },
    },
    [`+group/app ${digest}`],
  ],
  [
    'a message of Pub/Sub that came without its envelope',
    { action: 'INSERT', digest: `europe-docker.pkg.dev/p/r/app@${digest}` },
    [`+p/r/app ${digest}`],
  ],
  ['an image that went from Artifact Registry', { action: 'DELETE', digest: `gcr.io/p/app@${digest}` }, ['p/app *']],
  [
    "a version without a tag among GitHub's packages, in the older event",
    {
      action: 'published',
      registry_package: {
        name: 'app',
        namespace: 'Group',
        package_type: 'container',
        package_version: { version: digest, container_metadata: { tag: { name: '', digest: '' } } },
      },
    },
    [`+group/app ${digest}`],
  ],
  [
    "a push to zot, with a type of the operator's, in structured CloudEvents",
    { specversion: '1.0', type: 'my.zot.image.updated', data: { name: 'group/app', reference: 'v1', digest } },
    ['+group/app v1'],
  ],
  [
    'several in one array, whatever their forms',
    [harbor({ ...change, action: 'push' }), ecr({ ...change, action: 'delete' })],
    ['+group/app v1', 'group/app *'],
  ],
])('%s', (_, document, expected) => {
  expect(marks(document)).toEqual(expected);
});

test.each<[name: string, document: object]>([
  ['a pull from Harbor', { type: 'PULL_ARTIFACT', event_data: { resources: [], repository: harborRepository } }],
  ['a scan of Harbor', { type: 'SCANNING_COMPLETED', event_data: { resources: [], repository: harborRepository } }],
  ['a quota of Harbor', { specversion: '1.0', type: 'harbor.quota.exceeded', data: {} }],
  ['a retention that names nothing', { type: 'TAG_RETENTION', event_data: { retention: { deleted_artifact: [{}] } } }],
  ['a build of Quay', { repository: 'group/app', docker_url: 'quay.io/group/app', build_id: '296ec063' }],
  ['a file in Artifactory', { domain: 'artifact', event_type: 'deployed', data: { repo_key: 'maven', path: 'a.jar' } }],
  [
    'a package of another format in Nexus',
    { repositoryName: 'maven', action: 'CREATED', component: { format: 'maven2' } },
  ],
  [
    'a blob among the assets of Nexus',
    { repositoryName: 'hosted', action: 'CREATED', asset: { format: 'docker', name: `v2/-/blobs/${digest}` } },
  ],
  ['a scan of ECR', { source: 'aws.ecr', 'detail-type': 'ECR Image Scan', detail: { 'scan-status': 'COMPLETE' } }],
  ['a package of npm at GitHub', { action: 'published', package: { package_type: 'npm', name: 'a' } }],
  ['the trial of a webhook of GitHub', { zen: 'Keep it logically awesome.', hook_id: 1, hook: {} }],
])('%s says nothing of images', (_, document) => {
  expect(parse(document)).toMatchObject({ marks: [], counts: { ignored: 1, malformed: 0 } });
});

test.each<[name: string, document: object, reason: string]>([
  ['a push to Harbor without a repository', { type: 'PUSH_ARTIFACT', event_data: {} }, 'no repository name'],
  ['a push to Docker Hub without a tag', { push_data: {}, repository: { repo_name: 'a/b' } }, 'neither tag nor digest'],
  ['a digest that is none', { action: 'INSERT', digest: 'gcr.io/p/app@sha256:1' }, 'no digest'],
  ['a message of Pub/Sub that is no JSON', pubSub('not JSON'), 'action is missing'],
  ['a message of Pub/Sub of another kind', pubSub('{"name":"x"}'), 'action is missing'],
  ['a body of no known form', { event: 'artifact.created', payload: {} }, 'action is missing'],
])('%s is malformed, and kept as it was sent', (_, document, reason) => {
  const { marks: none, counts, malformed } = parse(document);
  expect({ none, malformed: counts.malformed }).toEqual({ none: [], malformed: 1 });
  expect(malformed[0]?.reason).toContain(reason);
  expect(JSON.parse(malformed[0]!.body)).toEqual(document);
});

test('fields of any type are read without an error', () => {
  const odd: readonly unknown[] = [null, 1, '', 'x', true, [], {}, [null], { a: [] }, { toString: 1, valueOf: 1 }];
  const fields = [
    'type event_data specversion data',
    'docker_url repository updated_tags',
    'push_data repository',
    'domain event_type data',
    'repositoryName action component asset',
    'source detail-type detail',
    'action tag digest',
    'message subscription',
    'action package registry_package zen hook_id',
  ];
  for (const names of fields.map((text) => text.split(' '))) {
    for (let nth = 0; nth < odd.length ** 2; nth += 1) {
      const values = names.map(
        (name, at) => [name, odd[Math.floor(nth / odd.length ** (at % 2)) % odd.length]] as const,
      );
      const { counts } = parse(Object.fromEntries(values));
      expect(Object.values(counts).reduce((sum, count) => sum + count, 0)).toBeGreaterThan(0);
    }
  }
});

test.each<[name: string, document: (text: string) => object]>([
  ['tag', (text) => ({ action: 'INSERT', tag: `host/${text}\n` })],
  ['asset', (text) => ({ repositoryName: 'a', action: 'CREATED', asset: { format: 'docker', name: `v2/${text}` } })],
  [
    'retention',
    (text) => ({
      type: 'TAG_RETENTION',
      event_data: { retention: { project_name: {}, deleted_artifact: [{ name_tag: `${text}/` }] } },
    }),
  ],
  ['type', (text) => ({ specversion: '1.0', type: text, data: {} })],
  ['message', (text) => pubSub(text)],
])('a text of a million characters costs nothing: %s', (_, document) => {
  for (const part of [':', '@', '/manifests/', '.', '[']) {
    expect(marks(document(part.repeat(1_000_000)))).toEqual([]);
  }
});

test('what stands in the place of texts may have any fields', () => {
  const odd = { toString: 1, valueOf: 1 };
  const documents = [
    { action: 'published', package: { package_type: odd, name: odd, owner: { login: odd } } },
    { action: 'published', package: { package_type: 'container', name: odd, owner: { login: odd } } },
    { action: 'DELETE', tag: odd },
    { message: { data: odd }, subscription: 'x' },
    { repositoryName: 'a', action: 'CREATED', asset: { format: 'docker', name: odd } },
    { type: 'TAG_RETENTION', event_data: { retention: { project_name: odd, deleted_artifact: [{ name_tag: odd }] } } },
    {
      type: 'TAG_RETENTION',
      event_data: { retention: { project_name: odd, deleted_artifact: [{ name_tag: 'a:b' }] } },
    },
  ];
  for (const document of documents) expect(marks(document)).toEqual([]);
});
