// What each product's webhook sends when an image was pushed or deleted, from its documentation.

/** What happened at the primary. */
export interface Change {
  readonly action: 'push' | 'delete';
  readonly repository: string;
  readonly tag: string;
  readonly digest: string;
}

/** The body for a change; undefined where the product sends none. */
export type Notification = (change: Change) => object | undefined;

const split = (repository: string): readonly [string, string] => {
  const at = repository.indexOf('/');
  return [repository.slice(0, at), repository.slice(at + 1)];
};

/** By its webhooks, which have Distribution's events without an envelope. */
export const azure: Notification = ({ action, repository, tag, digest }) => ({
  id: 'cb8c3971-9adc-488b-bdd8-43cbb4974ff5',
  timestamp: '2026-11-17T16:52:01.343145347Z',
  action,
  target:
    action === 'push'
      ? { mediaType: 'application/vnd.oci.image.manifest.v1+json', size: 524, digest, length: 524, repository, tag }
      : { mediaType: 'application/vnd.oci.image.manifest.v1+json', digest, repository },
  request: { id: '3cbb6949-7549-4fa1-86cd-a6d5451dffc7', host: 'myregistry.azurecr.io', method: 'PUT' },
});

/** By EventBridge, whose API destinations send the event as it is. */
export const ecr: Notification = ({ action, repository, tag, digest }) => ({
  version: '0',
  id: '13cde686-328b-6117-af20-0e5566167482',
  'detail-type': 'ECR Image Action',
  source: 'aws.ecr',
  account: '123456789012',
  time: '2026-11-16T01:54:34Z',
  region: 'us-west-2',
  resources: [],
  detail: {
    result: 'SUCCESS',
    'repository-name': repository,
    'image-digest': digest,
    'action-type': action.toUpperCase(),
    'image-tag': tag,
  },
});

/** By a push subscription of Pub/Sub. */
export const artifactRegistry: Notification = ({ action, repository, tag, digest }) => {
  const image = `europe-docker.pkg.dev/${repository}`;
  const data = {
    action: action === 'push' ? 'INSERT' : 'DELETE',
    digest: `${image}@${digest}`,
    tag: `${image}:${tag}`,
  };
  return {
    message: { data: Buffer.from(JSON.stringify(data)).toString('base64'), messageId: '2070443601311540' },
    subscription: 'projects/myproject/subscriptions/mysubscription',
  };
};

/** GitHub's `package` event; there is none for a deletion. */
export const github: Notification = ({ action, repository, tag, digest }) => {
  const [owner, name] = split(repository);
  if (action === 'delete') return undefined;
  return {
    action: 'published',
    package: {
      id: 1,
      name,
      namespace: owner.toUpperCase(),
      ecosystem: 'CONTAINER',
      package_type: 'CONTAINER',
      owner: { login: owner.toUpperCase() },
      package_version: { version: digest, container_metadata: { tag: { name: tag, digest } } },
      registry: { name: 'GitHub CONTAINER registry', type: 'CONTAINER' },
    },
    sender: { login: owner },
  };
};

/** There is none for a deletion. */
export const dockerHub: Notification = ({ action, repository, tag }) => {
  const [namespace, name] = split(repository);
  if (action === 'delete') return undefined;
  return {
    callback_url: 'https://registry.hub.docker.com/u/group/app/hook/2141b5bi5i5b02bec211i4eeih0242eg11000a/',
    push_data: { pushed_at: 1_417_566_161, pusher: 'trustedbuilder', tag },
    repository: { name, namespace, owner: namespace, repo_name: repository, status: 'Active' },
  };
};

/** Its default form. */
export const harbor: Notification = ({ action, repository, tag, digest }) => {
  const [namespace, name] = split(repository);
  return {
    type: action === 'push' ? 'PUSH_ARTIFACT' : 'DELETE_ARTIFACT',
    occur_at: 1_586_922_308,
    operator: 'admin',
    event_data: {
      resources: [{ digest, tag, resource_url: `hub.harbor.com/${repository}:${tag}` }],
      repository: { date_created: 1_586_922_308, name, namespace, repo_full_name: repository, repo_type: 'private' },
    },
  };
};

/** There is none for a deletion. */
export const quay: Notification = ({ action, repository, tag }) => {
  const [namespace, name] = split(repository);
  if (action === 'delete') return undefined;
  return {
    name,
    repository,
    namespace,
    docker_url: `quay.io/${repository}`,
    homepage: `https://quay.io/repository/${repository}`,
    updated_tags: [tag],
  };
};

/** Of components. */
export const nexus: Notification = ({ action, repository, tag }) => ({
  timestamp: '2026-11-10T23:57:49.664+0000',
  nodeId: '52905B51-085CCABB-CEBBEAAD-16795588-FC927D93',
  initiator: 'admin/127.0.0.1',
  repositoryName: 'docker-hosted',
  action: action === 'push' ? 'CREATED' : 'DELETED',
  component: { id: '08909bf0c86cf6c9600aade89e1c5e25', format: 'docker', name: repository, version: tag },
});

export const artifactory: Notification = ({ action, repository, tag, digest }) => ({
  domain: 'docker',
  event_type: action === 'push' ? 'pushed' : 'deleted',
  data: {
    repo_key: 'docker-local',
    path: `${repository}/${tag}/manifest.json`,
    name: 'manifest.json',
    sha256: digest.replace('sha256:', ''),
    size: 1_206,
    image_name: repository,
    tag,
    platforms: [],
  },
  subscription_key: 'geo',
  jpd_origin: 'https://artifactory.example.com/artifactory',
});
