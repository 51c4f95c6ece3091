// An OCI registry as the other rooms see it: its nouns over one client.
import { answered, found, type Answer } from './answer.ts';
import { Blobs } from './blob.ts';
import { createClassify } from './classify.ts';
import type { Client } from './client.ts';
import { Lists } from './list.ts';
import { Manifests } from './manifest.ts';
import { createPinger, type Ping, type Pinger } from './ping.ts';
import { Uploads } from './upload.ts';

/** One registry. Every noun resolves with an {@link Answer}, and never throws for what a registry does. */
export interface Registry {
  readonly client: Client;
  /** @see Pinger */
  ping(...options: Parameters<Pinger>): Promise<Answer<Ping>>;
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
    ping: (options) => answered(async () => found(await ping(options))),
    manifests: new Manifests(client, classify),
    blobs: new Blobs(client, classify),
    uploads: new Uploads(client, classify),
    lists: new Lists(client, classify),
  };
}
