// The link to the primary, shared out: connections for flights, for look-ups, lists and manifests; bytes for replication.
import { setTimeout as delay } from 'node:timers/promises';
import type { Config } from '../config/config.ts';
import { createBudget, noBudget, type Budget } from '../lib/budget.ts';
import { createPlaces, type Places } from '../lib/places.ts';
import type { RateEffects } from '../lib/rate.ts';
import { createSlots, type Slots } from '../lib/slots.ts';

/** What each may take of the link. */
export interface Link {
  /** For flights, and parts beside them. */
  readonly slots: Slots;
  readonly budget: Budget;
  readonly places: { readonly lists: Places; readonly manifests: Places };
}

// Connections that flights leave to look-ups and to parts far from a flight: a tag's HEAD must not wait for a layer.
const LOOKUP_CONNECTIONS = 6;
// How many of those lists and manifests by digest may take: two are left to tags' look-ups at any time. Where flights leave
// slots free, each kind has more of them, a quarter of all connections at the most.
const LIST_CONNECTIONS = 1;
const MANIFEST_CONNECTIONS = 3;

const sleep: RateEffects['sleep'] = (time, signal) => delay(time, undefined, signal ? { signal } : {});

/** The link of this configuration, `GEO_FETCH_CONNECTIONS` wide. */
export function createLink(config: Pick<Config, 'fetchConnections' | 'primaryTimeout' | 'replicationBandwidth'>): Link {
  const { fetchConnections, primaryTimeout: patience, replicationBandwidth: bandwidth } = config;
  const slots = createSlots(Math.max(1, fetchConnections - LOOKUP_CONNECTIONS));
  const lend = (): (() => void) | undefined => slots.takeFree({ priority: 'on-demand' });

  /** Places for requests of one kind, at least `most` of them where the quarter is not less. */
  function places(most: number): Places {
    const total = Math.max(1, Math.floor(fetchConnections / 4));
    return createPlaces({ own: Math.min(most, total), total, lend, patience });
  }

  return {
    slots,
    budget: bandwidth === undefined ? noBudget : createBudget(bandwidth, { clock: () => performance.now(), sleep }),
    places: { lists: places(LIST_CONNECTIONS), manifests: places(MANIFEST_CONNECTIONS) },
  };
}
