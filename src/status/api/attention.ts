// What needs a person, the doctor, the session and the actions.
import type { ListedRow } from './content.ts';
import type { Suspension } from './snapshot.ts';

export type DamageKind = 'damaged-here' | 'missing-here' | 'missing-at-primary';

export interface Damage {
  readonly repository: string;
  readonly digest: string;
  readonly foundAt: string;
  readonly kind: DamageKind;
  readonly file: string;
  readonly advice: string;
}

export interface CauseGroup {
  readonly cause: string;
  readonly kind: string;
  readonly count: number;
  readonly advice: string;
  /** The first ones; all by `GET /api/replication?cause=`. */
  readonly sample: readonly ListedRow[];
}

/** `GET /api/attention`. */
export interface Attention {
  readonly groups: readonly CauseGroup[];
  readonly damaged: readonly Damage[];
  readonly held: {
    readonly count: number;
    readonly rows: readonly ListedRow[];
    readonly suspension: Suspension | null;
  };
  readonly malformed: readonly { readonly at: string; readonly reason: string; readonly body: string }[];
}

export interface Finding {
  readonly check: string;
  readonly level: 'ok' | 'warning' | 'error' | 'skipped';
  readonly text: string;
  readonly advice: string | null;
}

/** `GET /api/session`, open to all. */
export interface Session {
  /** A token is set, and this request did not carry it. */
  readonly needsLogin: boolean;
  /** This request was admitted by the cookie, which `POST /api/logout` ends. */
  readonly canLogout: boolean;
  readonly site: string;
  readonly version: string;
}

/** What each action answers. */
export interface ActionAnswers {
  readonly retry: { readonly changed: number };
  readonly verify: { readonly started: boolean };
  readonly backfill: { readonly started: boolean };
  readonly 'confirm-removals': { readonly confirmed: number; readonly suspended: boolean };
  readonly 'clear-damaged': { readonly cleared: number };
}

export type ActionName = keyof ActionAnswers;
