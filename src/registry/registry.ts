// An OCI registry as the rest of the program sees it: its nouns over one client.
import { createBlobs, type Blobs } from './blob.ts';
import { createClassify } from './classify.ts';
import type { Client } from './client.ts';
import { createLists, type Lists } from './list.ts';
import { createManifests, type Manifests } from './manifest.ts';
import { createPinger, type Pinger } from './ping.ts';
import { createUploads, type Uploads } from './upload.ts';

/** One registry. Every noun answers with an {@link Answer}; none throws for what a registry does. */
export interface Registry {
  readonly client: Client;
  readonly ping: Pinger;
  readonly manifests: Manifests;
  readonly blobs: Blobs;
  readonly uploads: Uploads;
  readonly lists: Lists;
}

/** @see Registry */
export function createRegistry(client: Client): Registry {
  const ping = createPinger(client);
  const classify = createClassify(client, ping);
  return {
    client,
    ping,
    manifests: createManifests(client, classify),
    blobs: createBlobs(client, classify),
    uploads: createUploads(client, classify),
    lists: createLists(client, classify),
  };
}
