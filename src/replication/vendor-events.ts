// Events of registries that have a form of their own, put into Distribution's: Harbor, Quay, Docker Hub, Artifactory, Nexus, Amazon
// ECR by EventBridge, Google Artifact Registry by Pub/Sub, GitHub's packages, and zot. The forms are those of their documentation.
// A wrong name does no harm: the primary is asked what is true.
import { checkJson } from '../oci/json.ts';

type Fields = Readonly<Record<string, unknown>>;

/** An event in Distribution's form, as far as it is read. Its fields are as they were sent, and may be of any type. */
export interface RegistryEvent {
  readonly action: 'push' | 'delete' | 'pull';
  readonly target?: { readonly repository: unknown; readonly tag?: unknown; readonly digest?: unknown };
}

/** The events of a document; undefined where it is of another form. */
type Reader = (document: Fields) => readonly RegistryEvent[] | undefined;

const TEXT_MAX = 1_024;
// Of a message of Pub/Sub, in base64; those of Artifact Registry have some hundred characters.
const MESSAGE_MAX = 64 * 1024;

// Says nothing of manifests, as pulls do.
const NOTHING: readonly RegistryEvent[] = [{ action: 'pull' }];

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function fieldsOf(value: unknown): Fields {
  return isFields(value) ? value : {};
}

function listOf(value: unknown): readonly Fields[] {
  return Array.isArray(value) ? value.filter(isFields) : [];
}

/** A text; empty where it is none, or longer than any name, tag and digest together. */
function textOf(value: unknown, max = TEXT_MAX): string {
  return typeof value === 'string' && value.length <= max ? value : '';
}

function isDigestText(value: unknown): boolean {
  return typeof value === 'string' && value.includes(':');
}

function push(repository: unknown, tag: unknown, digest?: unknown): RegistryEvent {
  return { action: 'push', target: { repository, tag, digest } };
}

function tagDeletion(repository: unknown, tag: unknown): RegistryEvent {
  return { action: 'delete', target: { repository, tag } };
}

/** An image went, and its event names one of its tags or none: all of the repository is looked at. */
function imageDeletion(repository: unknown): RegistryEvent {
  return { action: 'delete', target: { repository } };
}

// Harbor 2's default form and its CloudEvents.
const HARBOR_PUSH = new Set(['PUSH_ARTIFACT', 'harbor.artifact.pushed']);
const HARBOR_DELETE = new Set(['DELETE_ARTIFACT', 'harbor.artifact.deleted']);
const HARBOR_RETENTION = new Set(['TAG_RETENTION', 'harbor.tag_retention.finished']);

/**
 * What Harbor's retention has deleted: `name_tag` is the name below the project, with a tag. Of several images Harbor 2
 * names one: the others are found by a compare run.
 */
function readRetention({ project_name: project, deleted_artifact: deleted }: Fields): readonly RegistryEvent[] {
  const names = listOf(deleted).map(({ name_tag: name }) => textOf(name));
  const events = names
    .filter((name) => name !== '')
    .map((name) => imageDeletion(`${textOf(project)}/${name.replace(/:[^/]*$/, '')}`));
  return events.length === 0 ? NOTHING : events;
}

const readHarbor: Reader = ({ type, event_data: own, data, specversion }) => {
  if (typeof type !== 'string') return undefined;
  if (!isFields(own) && !(specversion !== undefined && type.startsWith('harbor.'))) return undefined;
  const { repository, resources, retention } = fieldsOf(own ?? data);
  const { repo_full_name: name } = fieldsOf(repository);
  if (HARBOR_RETENTION.has(type)) return readRetention(fieldsOf(retention));
  if (HARBOR_DELETE.has(type)) return [imageDeletion(name)];
  if (!HARBOR_PUSH.has(type)) return NOTHING;
  const pushed = listOf(resources);
  if (pushed.length === 0) return [push(name, undefined)];
  // Without a tag the digest stands in its place.
  return pushed.map(({ tag, digest }) => push(name, isDigestText(tag) ? undefined : tag, digest));
};

/** zot 2, in CloudEvents; what stands before `image` may be configured. */
const readZot: Reader = ({ specversion, type, data }) => {
  if (specversion === undefined || typeof type !== 'string' || !isFields(data)) return undefined;
  const [, kind] =
    /(?:^|\.)(image\.updated|image\.deleted|image\.lint_failed|repository\.created)$/.exec(textOf(type)) ?? [];
  if (kind === undefined) return undefined;
  const { name, reference, digest } = data;
  const tag = isDigestText(reference) ? undefined : reference;
  if (kind === 'image.updated') return [push(name, tag, digest)];
  if (kind !== 'image.deleted') return NOTHING;
  return [tag === undefined ? imageDeletion(name) : tagDeletion(name, tag)];
};

/** Quay: a push has `updated_tags`, once with the ids of images; builds and scans have none. */
const readQuay: Reader = ({ docker_url: url, repository, updated_tags: tags }) => {
  if (typeof url !== 'string' || typeof repository !== 'string') return undefined;
  const names: readonly unknown[] = Array.isArray(tags) ? tags : Object.keys(fieldsOf(tags));
  return names.length === 0 ? NOTHING : names.map((tag) => push(repository, tag));
};

const readDockerHub: Reader = ({ push_data: pushed, repository }) => {
  if (!isFields(pushed) || !isFields(repository)) return undefined;
  return [push(repository['repo_name'], pushed['tag'])];
};

/** Clients name an image with or without the repository that holds it, by how the registry is reached: both are looked at. */
function namesIn(repository: unknown, image: unknown): readonly unknown[] {
  return typeof repository === 'string' && typeof image === 'string' ? [image, `${repository}/${image}`] : [image];
}

const readArtifactory: Reader = ({ domain, event_type: type, data }) => {
  if (typeof domain !== 'string' || typeof type !== 'string' || !isFields(data)) return undefined;
  if (domain !== 'docker') return NOTHING;
  const { repo_key: key, image_name: image, tag } = data;
  if (type === 'deleted') return namesIn(key, image).map((name) => tagDeletion(name, tag));
  return type === 'pushed' || type === 'promoted' ? namesIn(key, image).map((name) => push(name, tag)) : NOTHING;
};

const NEXUS_ACTIONS: ReadonlyMap<unknown, 'push' | 'delete'> = new Map([
  ['CREATED', 'push'],
  ['UPDATED', 'push'],
  ['DELETED', 'delete'],
  ['PURGED', 'delete'],
]);

/** Nexus: of components (an image with a tag), and of assets (a path below `/v2/`). */
const readNexus: Reader = ({ repositoryName: repository, action, component, asset }) => {
  const act = NEXUS_ACTIONS.get(action);
  if (typeof repository !== 'string' || act === undefined) return undefined;
  const { format, name, version } = fieldsOf(component ?? asset);
  if (format !== 'docker') return NOTHING;
  const path = isFields(component) ? undefined : /^\/?v2\/(.+)\/manifests\/([^/]+)$/.exec(textOf(name));
  if (path === null) return NOTHING;
  const [image, reference] = path ? path.slice(1) : [name, version];
  const target = isDigestText(reference) ? { digest: reference } : { tag: reference };
  return namesIn(repository, image).map((one) => ({ action: act, target: { repository: one, ...target } }));
};

const readEcr: Reader = ({ source, 'detail-type': type, detail }) => {
  if (source !== 'aws.ecr' || typeof type !== 'string') return undefined;
  const { 'repository-name': name, 'image-tag': tag, 'image-digest': digest, 'action-type': action } = fieldsOf(detail);
  if (action === 'DELETE') return [imageDeletion(name)];
  return action === 'PUSH' || action === 'REPLICATE' ? [push(name, tag, digest)] : NOTHING;
};

/** `host/repository:tag` or `host/repository@digest`, without the host. */
function partsOf(reference: unknown): readonly [repository: unknown, rest: unknown] {
  const [, repository, rest] = /^[^/]+\/(.+?)[:@](.+)$/.exec(textOf(reference)) ?? [];
  return [repository, rest];
}

const readArtifactRegistry: Reader = ({ action, tag, digest }) => {
  if (action !== 'INSERT' && action !== 'DELETE') return undefined;
  const [repository, name] = partsOf(tag ?? digest);
  if (tag === undefined) {
    return [action === 'DELETE' ? imageDeletion(repository) : push(repository, undefined, name)];
  }
  return [action === 'DELETE' ? tagDeletion(repository, name) : push(repository, name)];
};

/** A push subscription of Pub/Sub carries the message in base64. */
const readPubSub: Reader = ({ message, subscription }) => {
  if (!isFields(message) || typeof subscription !== 'string') return undefined;
  const bytes = Buffer.from(textOf(message['data'], MESSAGE_MAX), 'base64');
  try {
    checkJson(bytes);
    const data: unknown = JSON.parse(bytes.toString());
    return isFields(data) ? readArtifactRegistry(data) : undefined;
  } catch {
    return undefined;
  }
};

/** GitHub's `package` and `registry_package`; the trial of a new webhook has `zen`. */
const readGitHub: Reader = ({ action, package: own, registry_package: older, zen, hook_id: hook }) => {
  if (typeof zen === 'string' && hook !== undefined) return NOTHING;
  const found = own ?? older;
  if (!isFields(found) || typeof action !== 'string') return undefined;
  const { name, namespace, owner, package_type: type, package_version: version } = found;
  if (textOf(type).toLowerCase() !== 'container') return NOTHING;
  const { login = namespace } = fieldsOf(owner);
  const { container_metadata: metadata, version: digest } = fieldsOf(version);
  const { name: tag, digest: tagged } = fieldsOf(fieldsOf(metadata)['tag']);
  // Names of owners may have capitals, names of repositories of the registry have none.
  return [push(`${textOf(login)}/${textOf(name)}`.toLowerCase(), tag, isDigestText(tagged) ? tagged : digest)];
};

const READERS: readonly Reader[] = [
  readHarbor,
  readZot,
  readQuay,
  readDockerHub,
  readArtifactory,
  readNexus,
  readEcr,
  readArtifactRegistry,
  readPubSub,
  readGitHub,
];

/** The events of a document of one of these forms, in Distribution's form; undefined for any other document. Never throws. */
export function vendorEvents(document: unknown): readonly RegistryEvent[] | undefined {
  if (!isFields(document)) return undefined;
  for (const read of READERS) {
    const events = read(document);
    if (events) return events;
  }
  return undefined;
}
