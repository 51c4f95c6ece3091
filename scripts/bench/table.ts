// The table as people read it: figures by topic, each with its limit, and in the end those that miss it.
import { stripVTControlCharacters, styleText } from 'node:util';
import { missedBy, verdict, type Figure, type Limit } from './figure.ts';

/** The figures of one topic. */
export interface Section {
  readonly topic: string;
  readonly about: string;
  readonly figures: readonly Figure[];
}

const WIDTHS = { name: 66, value: 16, limit: 18, runs: 6 } as const;

/** A number with its unit, with as many digits as say something. */
export function valueText(value: number, unit: string): string {
  const digits = Math.abs(value) < 10 ? 2 : Math.abs(value) < 100 ? 1 : 0;
  return `${value.toFixed(digits)} ${unit}`;
}

function limitText(limit: Limit | undefined, unit: string): string {
  if (limit === undefined) return '';
  return 'atMost' in limit ? `<= ${limit.atMost} ${unit}` : `>= ${limit.atLeast} ${unit}`;
}

function verdictText(figure: Figure): string {
  const kind = verdict(figure);
  if (kind === 'ok') return styleText('green', 'ok');
  if (kind === 'missed') return styleText('red', `MISSED by ${Math.ceil(missedBy(figure)! * 100)}%`);
  return '';
}

function line(figure: Figure): string {
  const { name, value, unit, limit, runs } = figure;
  const shown = value === undefined ? 'n/a' : valueText(value, unit);
  const cells = [
    `  ${name}`.padEnd(WIDTHS.name),
    shown.padStart(WIDTHS.value),
    `  ${limitText(limit, unit)}`.padEnd(WIDTHS.limit),
    String(runs).padStart(WIDTHS.runs),
    `  ${verdictText(figure)}`,
  ];
  return cells.join('').trimEnd();
}

/** The notes of a topic, each once, with a mark in front. */
function notes(figures: readonly Figure[]): string[] {
  return [...new Set(figures.flatMap(({ note }) => note ?? []))].map((note) => styleText('dim', `    · ${note}`));
}

/** One topic as lines. */
export function sectionText({ topic, about, figures }: Section): string {
  return [styleText('bold', `${topic}: ${about}`), ...figures.map(line), ...notes(figures)].join('\n');
}

/** The line above all columns. */
export function headText(): string {
  const { name, value, limit, runs } = WIDTHS;
  return ['  figure'.padEnd(name), 'median'.padStart(value), '  limit'.padEnd(limit), 'runs'.padStart(runs)].join('');
}

/** What the whole run comes to, in a line for each figure that misses its limit. */
export function summaryText(sections: readonly Section[]): string {
  const limited = sections.flatMap(({ topic, figures }) =>
    figures.filter(({ limit }) => limit !== undefined).map((figure) => ({ topic, figure })),
  );
  const missed = limited.filter(({ figure }) => verdict(figure) === 'missed');
  const absent = limited.filter(({ figure }) => verdict(figure) === 'n/a').length;
  const kept = limited.length - missed.length - absent;
  const lines = missed.map(
    ({ topic, figure }) =>
      `  ${topic}: ${figure.name}: ${valueText(figure.value!, figure.unit)}, ${verdictText(figure)}`,
  );
  const counts = `${kept} of ${limited.length} limits kept, ${missed.length} missed, ${absent} not measured`;
  return [counts, ...lines].join('\n');
}

/** The figures for programs: null where there is no value, and the verdict on each. */
export function forPrograms(sections: readonly Section[]): object[] {
  return sections.map(({ figures, ...section }) => ({
    ...section,
    figures: figures.map((figure) => ({ ...figure, value: figure.value ?? null, verdict: verdict(figure) })),
  }));
}

/** The text without colours. */
export const plain = stripVTControlCharacters;
