// What the mock server answers to each question, by a site's rows.
import type {
  Attention,
  CauseGroup,
  Groups,
  Image,
  ListedRow,
  RepositoryPage,
  Repository,
  RowPage,
} from '../../../web/contract.ts';
import { countStates, digestOf } from './data.ts';
import type { MockSite } from './site.ts';

type Query = URLSearchParams;

function limitOf(query: Query): number {
  return Number(query.get('limit') ?? 100);
}

function lastOf(rows: MockSite['rows']): string | null {
  return (
    rows
      .flatMap(({ syncedAt }) => syncedAt ?? [])
      .sort()
      .at(-1) ?? null
  );
}

/** The repositories that match, by their names. */
function byRepository(site: MockSite): Map<string, MockSite['rows']> {
  const found = new Map<string, MockSite['rows']>();
  for (const row of site.rows) {
    const list = found.get(row.repository);
    if (list) list.push(row);
    else found.set(row.repository, [row]);
  }
  return found;
}

export function repositories(site: MockSite, query: Query): RepositoryPage {
  const [group, search, state] = ['group', 'search', 'state'].map((name) => query.get(name) ?? '');
  const all = [...byRepository(site)]
    .filter(([name]) => (group === '' || name === group || name.startsWith(`${group}/`)) && name.includes(search!))
    .map(([name, rows]) => ({
      name,
      tags: countStates(rows),
      tagged: rows.length,
      verified: rows.length,
      syncedAt: lastOf(rows),
    }))
    .filter(({ tags }) => state === '' || tags[state as keyof typeof tags] > 0)
    .sort((one, other) => {
      const sort = query.get('sort') ?? 'name';
      if (sort === 'failed' || sort === 'pending') return other.tags[sort] - one.tags[sort];
      return sort === 'name'
        ? one.name.localeCompare(other.name)
        : (other.syncedAt ?? '').localeCompare(one.syncedAt ?? '');
    });
  const start = Number(query.get('after') ?? 0);
  const end = start + limitOf(query);
  return { repositories: all.slice(start, end), next: end < all.length ? String(end) : null, total: all.length };
}

export function groups(site: MockSite, query: Query): Groups {
  const parent = query.get('parent') ?? '';
  const prefix = parent === '' ? '' : `${parent}/`;
  const children = new Map<string, MockSite['rows']>();
  const names = [...byRepository(site).keys()];
  for (const [name, rows] of byRepository(site)) {
    if (!name.startsWith(prefix)) continue;
    const path = prefix + name.slice(prefix.length).split('/')[0];
    children.set(path, [...(children.get(path) ?? []), ...rows]);
  }
  const all = [...children].sort(([one], [other]) => one.localeCompare(other));
  const limit = limitOf(query);
  return {
    parent,
    children: all.slice(0, limit).map(([path, rows]) => ({
      path,
      isRepository: names.includes(path),
      hasChildren: names.some((name) => name.startsWith(`${path}/`)),
      tags: countStates(rows),
    })),
    next: all.length > limit ? all[limit - 1]![0] : null,
  };
}

export function repository(site: MockSite, query: Query): Repository {
  const name = query.get('name') ?? '';
  const rows = site.rows.filter((row) => row.repository === name);
  const [search, state] = [query.get('search') ?? '', query.get('state') ?? ''];
  const found = rows
    .filter((row) => row.reference.includes(search) && (state === '' || row.state === state))
    .filter(({ id }) => id > Number(query.get('after') ?? 0));
  const limit = limitOf(query);
  return {
    name,
    tags: countStates(rows),
    syncedAt: lastOf(rows),
    rows: found.slice(0, limit),
    next: found.length > limit ? found[limit - 1]!.id : null,
  };
}

function isFailing({ error, state }: ListedRow): boolean {
  return error !== null && state !== 'synced' && state !== 'unsupported';
}

export function listing(site: MockSite, query: Query): RowPage {
  const after = Number(query.get('after') ?? 0);
  const found = site.rows.filter((row) => row.id > after && isFailing(row) && row.error === query.get('cause'));
  const limit = limitOf(query);
  return { rows: found.slice(0, limit), next: found.length > limit ? found[limit - 1]!.id : null };
}

export function attention(site: MockSite): Attention {
  const groupsOf = new Map<string, ListedRow[]>();
  for (const row of site.rows.filter((one) => isFailing(one) || one.state === 'unsupported')) {
    const list = groupsOf.get(row.error!);
    if (list) list.push(row);
    else groupsOf.set(row.error!, [row]);
  }
  const found = [...groupsOf].map(([cause, rows]): CauseGroup => {
    const isUnsupported = rows[0]!.state === 'unsupported';
    const known = site.causes[cause] ?? {
      kind: isUnsupported ? 'unsupported' : cause.includes('does not answer') ? 'unreachable' : 'other',
      advice: isUnsupported
        ? 'Clients get it from the primary. A newer registry here may take it; then retry.'
        : 'Mend the cause; it is tried again by itself, or at once with Retry.',
    };
    return { cause, ...known, count: rows.length, sample: rows.slice(0, 10) };
  });
  const held = site.rows.filter((row) => row.held && !row.confirmed);
  return {
    groups: found.sort((one, other) => other.count - one.count),
    damaged: site.damaged,
    held: { count: held.length, rows: held.slice(0, 50), suspension: site.status.replication.removals.suspension },
    malformed: site.malformed,
  };
}

const LAYER = 'application/vnd.oci.image.layer.v1.tar+gzip';

export function image(site: MockSite, query: Query): Image {
  const [name, reference] = [query.get('repository') ?? '', query.get('reference') ?? ''];
  const row = site.rows.find((one) => one.repository === name && one.reference === reference) ?? null;
  const digest = row?.primaryDigest ?? digestOf(`${name}:${reference}`);
  const isHere = row?.localDigest === digest;
  const config = { mediaType: 'application/vnd.oci.image.config.v1+json', digest: digestOf('config'), size: 2_304 };
  const layers = [31_407_112, 8_204_991, 402, 118_332_870].map((size, index) => ({
    digest: digestOf(`${name}${index}`),
    mediaType: LAYER,
    size,
  }));
  const mediaType = 'application/vnd.oci.image.manifest.v1+json';
  const json = JSON.stringify({ schemaVersion: 2, mediaType, config, layers }, null, 2);
  return {
    repository: name,
    reference,
    pull: `docker pull registry.berlin.example.com/${name}${reference.includes(':') ? '@' : ':'}${reference}`,
    row,
    primary: { digest, state: 'found', cause: null },
    secondary: isHere ? { digest, state: 'found', cause: null } : { digest: null, state: 'missing', cause: null },
    manifest: { digest, mediaType, size: json.length, json },
    platforms: (row?.platforms ?? []).map((platform) => ({
      platform,
      digest: digestOf(name + platform),
      size: 157_945_375,
      here: isHere,
    })),
    layers: layers.map((layer, index) => ({ ...layer, local: isHere ? 'here' : index === 3 ? 'missing' : 'here' })),
    referrers: [
      {
        digest: digestOf(`sig${name}`),
        artifactType: 'application/vnd.dev.cosign.artifact.sig.v1+json',
        what: 'signature',
        here: isHere,
      },
      { digest: digestOf(`sbom${name}`), artifactType: 'application/spdx+json', what: 'SBOM (SPDX)', here: isHere },
    ],
  };
}
