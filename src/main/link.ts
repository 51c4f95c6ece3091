// The link to the primary, shared out: connections for fills, for look-ups, lists and manifests; bytes for replication.
import { setTimeout as delay } from 'node:timers/promises';
import type { Config } from '../config/config.ts';
import { createBudget, noBudget, type Budget } from '../lib/budget.ts';
import type { Claim } from '../lib/claim.ts';
import { createPlaces, type Places } from '../lib/places.ts';
import type { RateEffects } from '../lib/rate.ts';
import { createSlots, type Slots } from '../lib/slots.ts';
import type { QuestionPlaces } from '../proxy/deps.ts';

/** What each may take of the link. */
export interface Link {
  /** For fills, and parts beside them. */
  readonly slots: Slots;
  readonly budget: Budget;
  readonly places: QuestionPlaces;
}

// Connections that fills leave to questions: a tag's HEAD must not wait for a layer.
const QUESTION_CONNECTIONS = 6;
// How many of those each kind may take: two are left at any time to what is asked by HEAD (tags, membership), and two to
// the others. Where fills leave slots free, lists and manifests have more of them, a quarter of all connections at the
// most; what is asked by HEAD may have all, since each ends within a round trip.
const LIST_CONNECTIONS = 1;
const MANIFEST_CONNECTIONS = 3;
const LOOKUP_CONNECTIONS = 4;

// Questions to the local registry at once, and those of one share: more would not be answered sooner, but later for
// everybody else. A Distribution with files answers 500 to 1,000 a second on two cores, and has 2 s for each.
const LOCAL_AT_ONCE = 64;
const LOCAL_OF_SHARE = 16;
// How long (ms) one waits for its turn: those of a client that asks for thousands take some seconds.
const LOCAL_PATIENCE = 30_000;

const sleep: RateEffects['sleep'] = (time, signal) => delay(time, undefined, signal ? { signal } : {});

/** The link of this configuration, `GEO_FETCH_CONNECTIONS` wide. */
export function createLink(config: Pick<Config, 'fetchConnections' | 'primaryTimeout' | 'replicationBandwidth'>): Link {
  const { fetchConnections, primaryTimeout: patience, replicationBandwidth: bandwidth } = config;
  const slots = createSlots(Math.max(1, fetchConnections - QUESTION_CONNECTIONS));
  const lend = (claim: Claim): (() => void) | undefined => slots.takeFree({ priority: 'on-demand', claim });
  const quarter = Math.max(1, Math.floor(fetchConnections / 4));

  /** Places for questions of one kind: so many of its own, and those that are lent, up to `total`. */
  function places(own: number, total: number): Places {
    return createPlaces({ own: Math.min(own, total), total, lend, onLendable: (act) => slots.onFree(act), patience });
  }

  return {
    slots,
    budget: bandwidth === undefined ? noBudget : createBudget(bandwidth, { clock: () => performance.now(), sleep }),
    places: {
      lists: places(LIST_CONNECTIONS, quarter),
      manifests: places(MANIFEST_CONNECTIONS, quarter),
      lookups: places(LOOKUP_CONNECTIONS, fetchConnections),
      local: createPlaces({
        own: LOCAL_AT_ONCE,
        total: LOCAL_AT_ONCE,
        shareMax: LOCAL_OF_SHARE,
        patience: LOCAL_PATIENCE,
      }),
    },
  };
}
