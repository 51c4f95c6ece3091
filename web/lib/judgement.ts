// The judgement: one tone and one word for all that is wrong, the same in the badge, the title and the icon.
import type { Problem, Snapshot } from '../contract.ts';
import { counted } from './format.ts';

export type Tone = 'ok' | 'warning' | 'error' | 'neutral';

export interface Judgement {
  readonly tone: Tone;
  /** One word or two: `Degraded`. */
  readonly word: string;
  /** A sentence for people. */
  readonly sentence: string;
  /** What needs a person, errors first. */
  readonly problems: readonly Problem[];
  /** What is worth knowing. */
  readonly notes: readonly Problem[];
}

const WORDS: Readonly<Record<string, string>> = {
  starting: 'Starting',
  draining: 'Shutting down',
  stopped: 'Stopped',
  'no registry answers': 'No registry answers',
};

const SENTENCES: Readonly<Record<string, string>> = {
  starting: 'The proxy has just been started; pulls are answered in a moment.',
  draining: 'Open transfers may end; new pulls are refused.',
  stopped: 'No process of the proxy answers.',
  'no registry answers': 'Neither registry can be reached: no pull is answered.',
};

// What others follow from comes first, then the images that fail.
const ROOTS = new Set([
  'no-registry',
  'database-unavailable',
  'data-directory-gone',
  'disk-full',
  'refused-key',
  'no-credentials',
  'unreachable',
  'breaker-open',
]);

function rankOf({ severity, code }: Problem): number {
  const bySeverity = { error: 0, warning: 3, info: 6 }[severity];
  return bySeverity + (ROOTS.has(code) ? 0 : code === 'failed' ? 1 : 2);
}

function toneOf(status: string, problems: readonly Problem[]): Tone {
  if (status === 'starting' || status === 'draining') return 'neutral';
  if (status !== 'ok' && status !== 'degraded') return 'error';
  if (problems.some(({ severity }) => severity === 'error')) return 'error';
  return problems.length > 0 || status === 'degraded' ? 'warning' : 'ok';
}

/** Judges a snapshot; never `ok` while a problem is an error or a warning, whatever its status says. */
export function judge({ status, problems: all, reasons }: Snapshot): Judgement {
  const sorted = [...all].sort((one, other) => rankOf(one) - rankOf(other));
  const problems = sorted.filter(({ severity }) => severity !== 'info');
  const notes = sorted.filter(({ severity }) => severity === 'info');
  const tone = toneOf(status, problems);
  const word = WORDS[status] ?? (tone === 'ok' ? 'Healthy' : 'Degraded');
  const many = counted(problems.length, 'thing needs', 'things need');
  const trouble = problems.length > 0 ? `${many} attention` : (reasons[0] ?? 'Not everything works');
  const sentence = SENTENCES[status] ?? (tone === 'ok' ? 'Everything works' : trouble);
  return { tone, word, sentence, problems, notes };
}
