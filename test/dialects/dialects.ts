// What differs between registries, from their public documentation and from reports of what they answer.
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
} from './notifications.ts';

/** An answer that is a refusal; without a code its message is the body. */
export interface Words {
  readonly status: number;
  readonly code: string;
  readonly message: string;
  readonly type?: string;
}

export interface Dialect {
  readonly name: string;
  readonly auth: 'basic' | 'bearer';
  readonly service: string;
  readonly tokenPath: string;
  /** Where the token stands in the token service's answer. */
  readonly tokenField: 'token' | 'access_token';
  /** The token service is on another host, for which there are credentials. */
  readonly isTokenElsewhere?: boolean;
  readonly unauthorized: Words;
  readonly baseHeaders?: Readonly<Record<string, string>>;
  /** `empty`: 200 with nothing in it. */
  readonly catalog: 'yes' | 'empty' | Words;
  /** The query's name of the next page, and what a Link looks like; `prefix` is a path that only a load balancer knows. */
  readonly paging: { readonly cursor: string; readonly link: 'relative' | 'absolute' | 'prefix' };
  /** More names at once are refused. */
  readonly maxPage?: number;
  readonly extraTagFields?: object;
  /** The status of a redirect of blobs to the object storage; absent where they are streamed. */
  readonly redirect?: 302 | 307;
  readonly hasReferrers: boolean;
  /** The first manifest is refused with 429. */
  readonly isLimited?: boolean;
  readonly missing: { readonly manifest: Words; readonly repository: Words; readonly blob: Words };
  /** What its webhook sends. */
  readonly notification: Notification;
}

const UNAUTHORIZED = { status: 401, code: 'UNAUTHORIZED', message: 'authentication required' };
const NO_BLOB = { status: 404, code: 'BLOB_UNKNOWN', message: 'blob unknown to registry' };
const NO_MANIFEST = { status: 404, code: 'MANIFEST_UNKNOWN', message: 'manifest unknown' };
const NO_NAME = { status: 404, code: 'NAME_UNKNOWN', message: 'repository name not known to registry' };
const BY_LAST = { cursor: 'last', link: 'relative' } as const;

export const DIALECTS: readonly Dialect[] = [
  {
    name: 'Azure Container Registry',
    notification: azure,
    auth: 'bearer',
    service: 'myregistry.azurecr.io',
    tokenPath: '/oauth2/token',
    tokenField: 'access_token',
    unauthorized: UNAUTHORIZED,
    catalog: 'yes',
    paging: BY_LAST,
    redirect: 307,
    hasReferrers: false,
    missing: {
      manifest: { status: 404, code: 'MANIFEST_UNKNOWN', message: 'manifest tagged by "v9" is not found' },
      repository: NO_NAME,
      blob: NO_BLOB,
    },
  },
  {
    name: 'Amazon ECR',
    notification: ecr,
    auth: 'basic',
    service: 'ecr.amazonaws.com',
    tokenPath: '/none',
    tokenField: 'token',
    unauthorized: { status: 401, code: '', message: 'Not Authorized\n', type: 'text/plain; charset=utf-8' },
    catalog: 'yes',
    paging: { cursor: 'nextToken', link: 'absolute' },
    maxPage: 1_000,
    redirect: 307,
    hasReferrers: false,
    missing: {
      manifest: { status: 404, code: 'MANIFEST_UNKNOWN', message: 'Requested image not found' },
      repository: {
        status: 404,
        code: 'NAME_UNKNOWN',
        message: "The repository with name 'group/none' does not exist in the registry with id '123456789012'",
      },
      blob: { status: 404, code: 'BLOB_UNKNOWN', message: 'Layer not found' },
    },
  },
  {
    name: 'Google Artifact Registry',
    notification: artifactRegistry,
    auth: 'bearer',
    service: 'europe-docker.pkg.dev',
    tokenPath: '/v2/token',
    tokenField: 'token',
    unauthorized: UNAUTHORIZED,
    catalog: 'empty',
    paging: { cursor: 'none', link: 'relative' },
    extraTagFields: { child: [], manifest: {} },
    redirect: 302,
    hasReferrers: false,
    missing: {
      manifest: { status: 404, code: 'MANIFEST_UNKNOWN', message: 'Failed to fetch "v9"' },
      repository: NO_NAME,
      blob: NO_BLOB,
    },
  },
  {
    name: 'GitHub Container Registry',
    notification: github,
    auth: 'bearer',
    service: 'ghcr.io',
    tokenPath: '/token',
    tokenField: 'token',
    unauthorized: UNAUTHORIZED,
    catalog: { status: 404, code: '', message: '404 page not found\n', type: 'text/plain' },
    paging: BY_LAST,
    redirect: 307,
    hasReferrers: false,
    missing: { manifest: NO_MANIFEST, repository: NO_NAME, blob: NO_BLOB },
  },
  {
    name: 'Docker Hub',
    notification: dockerHub,
    auth: 'bearer',
    service: 'registry.docker.io',
    tokenPath: '/token',
    tokenField: 'token',
    isTokenElsewhere: true,
    unauthorized: UNAUTHORIZED,
    baseHeaders: { 'docker-distribution-api-version': 'registry/2.0' },
    catalog: UNAUTHORIZED,
    paging: BY_LAST,
    redirect: 307,
    hasReferrers: false,
    isLimited: true,
    missing: { manifest: NO_MANIFEST, repository: NO_NAME, blob: NO_BLOB },
  },
  {
    name: 'Harbor',
    notification: harbor,
    auth: 'bearer',
    service: 'harbor-registry',
    tokenPath: '/service/token',
    tokenField: 'token',
    unauthorized: { status: 401, code: 'UNAUTHORIZED', message: 'unauthorized to access repository' },
    catalog: 'yes',
    paging: BY_LAST,
    hasReferrers: false,
    missing: {
      manifest: { status: 404, code: 'NOT_FOUND', message: 'artifact group/app:v9 not found' },
      repository: { status: 404, code: 'NOT_FOUND', message: 'repository group/none not found' },
      blob: NO_BLOB,
    },
  },
  {
    name: 'Quay',
    notification: quay,
    auth: 'bearer',
    service: 'quay.io',
    tokenPath: '/v2/auth',
    tokenField: 'token',
    unauthorized: UNAUTHORIZED,
    catalog: 'yes',
    paging: { cursor: 'next_page', link: 'absolute' },
    redirect: 302,
    hasReferrers: false,
    missing: {
      manifest: { status: 404, code: 'TAG_EXPIRED', message: 'Tag v9 was deleted or has expired' },
      repository: NO_NAME,
      blob: NO_BLOB,
    },
  },
  {
    name: 'Nexus',
    notification: nexus,
    auth: 'basic',
    service: 'nexus',
    tokenPath: '/none',
    tokenField: 'token',
    unauthorized: UNAUTHORIZED,
    catalog: 'yes',
    paging: { cursor: 'last', link: 'prefix' },
    hasReferrers: false,
    missing: { manifest: NO_MANIFEST, repository: NO_NAME, blob: NO_BLOB },
  },
  {
    name: 'Artifactory',
    notification: artifactory,
    auth: 'bearer',
    service: 'artifactory.example.com',
    tokenPath: '/v2/token',
    tokenField: 'token',
    unauthorized: UNAUTHORIZED,
    catalog: 'yes',
    paging: { cursor: 'last', link: 'absolute' },
    redirect: 302,
    hasReferrers: false,
    missing: {
      manifest: { status: 404, code: 'MANIFEST_UNKNOWN', message: 'The named manifest is not known to the registry.' },
      repository: { status: 404, code: 'NAME_UNKNOWN', message: 'Repository name not known to registry.' },
      blob: NO_BLOB,
    },
  },
];
