// What the admin listener shows of this process, put together.
import { statfs } from 'node:fs/promises';
import type { Config } from '../config/config.ts';
import type { Registry } from '../registry/registry.ts';
import type { Replication } from '../replication/replication.ts';
import type { RowStore } from '../replication/rows.ts';
import type { Views } from '../status/api-routes.ts';
import { createAttention } from '../status/attention.ts';
import { createImageFacts } from '../status/image-facts.ts';
import { ImageAsker } from '../status/image.ts';
import { createBrowse } from '../status/repository.ts';
import { createDoctorView } from './doctor-view.ts';

/** What the views look at. */
export interface ViewsDeps extends Pick<Views, 'pulls' | 'transfers'> {
  readonly config: Config;
  readonly primary: Registry;
  readonly secondary: Registry;
  readonly rows: RowStore;
  readonly replication: Pick<Replication, 'inspector' | 'clearDamaged'>;
  /** The URL that pulls are served at, once it is known. */
  readonly url: () => string | undefined;
}

/** Where clients pull: our own address, or the name that the page was asked by where we listen at all addresses. */
function pullHost(url: string | undefined, host: string): string {
  if (url === undefined) return host;
  const { hostname, port, host: own } = new URL(url);
  if (hostname !== '0.0.0.0' && hostname !== '[::]') return own;
  const asked = URL.parse(`http://${host}`)?.hostname ?? host;
  return port === '' ? asked : `${asked}:${port}`;
}

/** @see Views */
export function createViews(deps: ViewsDeps): Views {
  const { config, primary, secondary, rows, replication, pulls, transfers } = deps;
  const isOn = config.replication && config.store;
  const images = new ImageAsker({ primary, secondary, rows });
  return {
    pulls,
    transfers,
    browse: createBrowse({
      rows,
      lastPulledAt: (repository, reference) => pulls.lastPulledAt(repository, reference),
      factsOf: createImageFacts(secondary),
    }),
    attention: createAttention({ rows, primary, inspector: replication.inspector }, { isOn }),
    image: (repository, reference, host) => images.ask(repository, reference, pullHost(deps.url(), host)),
    doctor: createDoctorView(config),
    clearDamaged: (filter) => replication.clearDamaged(filter),
  };
}

/** Bytes that are free on the disk of a directory; null where that is not known. */
export async function diskFreeBytes(directory: string): Promise<number | null> {
  try {
    const { bavail, bsize } = await statfs(directory);
    return bavail * bsize;
  } catch {
    return null;
  }
}
