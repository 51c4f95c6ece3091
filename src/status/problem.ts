// What can be wrong, each with how bad it is, what to do, and where the page shows it.
import type { Problem, RegistryName, Severity } from './api.ts';

interface ProblemKind {
  readonly severity: Severity;
  readonly advice: string;
  readonly link?: string;
}

/** All kinds of problems, root causes first: the order in which they are told, within errors and warnings each. */
export const PROBLEMS = {
  stopped: {
    severity: 'error',
    advice: 'Start it: geo-registry-proxy serve. What is told here was read from the database.',
  },
  'no-registry': {
    severity: 'error',
    advice: 'Check the URL and what answers there. The doctor says what it is.',
    link: '#/doctor',
  },
  'data-directory-gone': {
    severity: 'error',
    advice: 'Put the directory of GEO_DATA_DIR back, or restart the proxy.',
    link: '#/doctor',
  },
  'database-unavailable': {
    severity: 'error',
    advice: 'See to the disk of GEO_DATA_DIR. Pulls go on; events are refused, and the primary sends them again.',
    link: '#/doctor',
  },
  'disk-full': {
    severity: 'error',
    advice: 'Make room on the disk of GEO_DATA_DIR. Until then blobs are passed on and not stored.',
    link: '#/doctor',
  },
  'refused-key': {
    severity: 'error',
    advice: 'Compare key, issuer and service with what that registry trusts. The doctor says which of them differs.',
    link: '#/doctor',
  },
  'no-credentials': {
    severity: 'error',
    advice:
      'Add credentials for its host to the Docker configuration of the proxy (docker login), or see to the credential helper or token service that is named.',
    link: '#/doctor',
  },
  unreachable: {
    severity: 'error',
    advice: 'Check that the registry runs and can be reached from here. It is asked again by itself.',
    link: '#/doctor',
  },
  'breaker-open': {
    severity: 'error',
    advice: 'Check that the registry runs and can be reached from here. It is asked again by itself.',
    link: '#/doctor',
  },
  'key-files': {
    severity: 'error',
    advice: 'Mend the file. It is read again by itself; what was read before stays in use.',
    link: '#/doctor',
  },
  failed: {
    severity: 'error',
    advice: 'See the causes, mend them, then retry. They are tried again by themselves at growing intervals.',
    link: '#/attention',
  },
  damaged: {
    severity: 'error',
    advice: 'See what is wrong with each, and what to do. Clients get these blobs from the primary.',
    link: '#/attention',
  },
  'run-failed': {
    severity: 'warning',
    advice: 'Mend the cause and start the run again. Compare runs and verifications come again by themselves.',
    link: '#/',
  },
  'worker-paused': {
    severity: 'warning',
    advice: 'Nothing is copied until the cause is gone. It goes on by itself.',
    link: '#/',
  },
  unsupported: {
    severity: 'warning',
    advice:
      'The secondary does not take these images: clients get them from the primary. A newer registry may take them.',
    link: '#/attention',
  },
  held: {
    severity: 'warning',
    advice: 'Look at the list, and confirm what may be removed here.',
    link: '#/attention',
  },
  'removals-suspended': {
    severity: 'warning',
    advice: 'Check that GEO_PRIMARY_URL is right, then confirm the removals.',
    link: '#/attention',
  },
  'webhook-never-called': {
    severity: 'warning',
    advice:
      'Set up the notifications of the primary (geo-registry-proxy doctor --notifications prints them). Until then pushes are found by compare runs alone.',
    link: '#/doctor',
  },
  'webhook-refused': {
    severity: 'warning',
    advice: 'The Authorization that the primary sends is not GEO_EVENTS_TOKEN: set both to one value.',
    link: '#/doctor',
  },
  'spool-full': {
    severity: 'warning',
    advice: 'Blobs that do not fit are passed on and not stored. Raise GEO_SPOOL_MAX, or see why uploads are slow.',
    link: '#/',
  },
  'malformed-events': {
    severity: 'info',
    advice: 'See what the primary sent. Images that such an event named are found by the next compare run.',
    link: '#/attention',
  },
  'replication-off': {
    severity: 'info',
    advice: 'Only what clients pull is stored. Set GEO_REPLICATION=on to copy all that the primary has.',
  },
  'no-client-auth': {
    severity: 'info',
    advice: 'All who reach the proxy can pull everything. Set GEO_CLIENT_AUTH=token to ask for tokens.',
  },
} as const satisfies Readonly<Record<string, ProblemKind>>;

/** A problem's name, stable for tests and scripts. */
export type ProblemCode = keyof typeof PROBLEMS;

/** A problem, and of which registry. */
export interface ToldProblem extends Problem {
  readonly code: ProblemCode;
  readonly registry?: RegistryName;
}

/** A problem of a kind. */
export function problem(
  code: ProblemCode,
  text: string,
  more: { readonly count?: number; readonly registry?: RegistryName } = {},
): ToldProblem {
  const kind: ProblemKind = PROBLEMS[code];
  return {
    code,
    severity: kind.severity,
    text,
    advice: kind.advice,
    ...more,
    ...(kind.link ? { link: kind.link } : {}),
  };
}

const SEVERITIES: readonly Severity[] = ['error', 'warning', 'info'];
const CODES = Object.keys(PROBLEMS);

/** Problems in the order in which they are told. */
export function inOrder<T extends Problem>(problems: readonly T[]): readonly T[] {
  const place = ({ severity, code }: T): number => SEVERITIES.indexOf(severity) * CODES.length + CODES.indexOf(code);
  return problems.toSorted((one, other) => place(one) - place(other));
}
