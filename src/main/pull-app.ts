// The pull API with the webhook, put together from the parts.
import type { Logger } from 'pino';
import { createApp, type App } from '../app.ts';
import type { Config } from '../config/config.ts';
import type { Meter } from '../lib/meter.ts';
import { isDigest } from '../oci/digest.ts';
import { createGoesByFiles } from '../proxy/delivery-check.ts';
import { createStorage } from '../proxy/storage.ts';
import type { OnPull } from '../proxy/tell.ts';
import { viaOf } from '../registry/client.ts';
import type { WebhookDeps } from '../replication/webhook.ts';
import { takesEvents, type Content } from './content.ts';
import { SECONDARY_TIMEOUT, type Sites } from './sites.ts';

/** What the pull API is made of. */
export interface PullAppDeps {
  readonly config: Config;
  readonly sites: Sites;
  readonly content: Content;
  readonly log: Logger;
  readonly meter: Meter;
  /** Counts what the webhook is asked. */
  readonly webhookMeter: Meter;
  readonly onPull: OnPull;
}

// How long (ms) a client may take no byte before it is dropped.
const READER_TIMEOUT = 60_000;

/** What an event names is asked anew; a rename moves what lies below, too. */
function forgetNamed({ tags, memory }: Content): NonNullable<WebhookDeps['onNamed']> {
  return ({ named, renames }) => {
    if (renames.length > 0) tags.forgetAll();
    for (const { repository, reference, isPush } of named) {
      tags.forget(repository, reference);
      // Gone from the primary: from here on the local registry says whether it is still there.
      if (!isPush && isDigest(reference)) memory.forget(repository, reference);
    }
  };
}

/** The instance for `GEO_LISTEN`; a client that takes no byte for `readerTimeout` ms is dropped. */
export function createPullApp(deps: PullAppDeps, { readerTimeout = READER_TIMEOUT } = {}): Promise<App> {
  const { config, sites, content, log, meter, webhookMeter, onPull } = deps;
  const { primary, secondary, gate, localSockets } = sites;
  const { link, filler, memory, tags, isStored, replication, rows } = content;
  const { secondaryRoot: root, eventsToken: tokens } = config;
  return createApp({
    logger: log,
    proxy: {
      primary,
      secondary,
      storage: root === undefined ? undefined : createStorage(root, createGoesByFiles(secondary.ping)),
      filler,
      gate,
      memory,
      tags,
      places: link.places,
      meter,
      enqueue: (wish) => replication.enqueue(wish),
      isStored,
      suspicion: {
        suspect: (name, digest) => replication.reportDamage(name, digest),
        clear: (name, digest) => replication.reportWhole(name, digest),
      },
    },
    proxyOptions: {
      pushHost: config.pushHost,
      delivery: config.blobDelivery,
      redirect: config.secondaryRedirect,
      via: viaOf(config.siteName),
      primaryTimeout: config.primaryTimeout,
      secondaryTimeout: SECONDARY_TIMEOUT,
      readerTimeout,
    },
    secondary: { origin: config.secondaryUrl.origin, dispatcher: localSockets },
    trustedProxies: config.trustedProxies,
    onPull,
    webhook:
      tokens && takesEvents(config)
        ? {
            rows,
            tokens,
            isReplicated: isStored,
            onNamed: forgetNamed(content),
            onMarked: () => replication.nudge(),
            meter: webhookMeter,
          }
        : undefined,
  });
}
