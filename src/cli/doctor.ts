// The command `doctor`: a line for each check, and an exit code; or the primary's part of the webhook.
import type { Config } from '../config/config.ts';
import { runDoctor, type DoctorOptions, type Report } from '../doctor/doctor.ts';
import { worstOf } from '../doctor/finding.ts';
import { notificationKinds, notificationsFor, type NotificationKind } from '../doctor/notifications.ts';
import { visibleText } from '../status/figures.ts';
import { EXIT } from './exit-code.ts';
import { onInterrupt } from './interrupt.ts';
import { columnsOf, createStyle, wrapped, type Style } from './terminal.ts';

/** What the command line gives. */
export interface DoctorCommandOptions extends Pick<DoctorOptions, 'readOnly' | 'url'> {
  readonly json?: true;
  /** Checks that are not told. */
  readonly except?: readonly string[];
}

// The longest check's name, and the longest verdict.
const NAME = 'secondary-token'.length;
const VERDICT = 'warning'.length;

const TOKEN = /eyJ[\w-]+\.[\w-]*\.?[\w-]*/g;

/** A text of others' on the terminal: in one line, and without what is secret, should somebody echo it. */
export function harmless({ eventsToken = [], adminToken }: Config, text: string): string {
  const secrets = [...eventsToken, ...(adminToken === undefined ? [] : [adminToken])];
  return secrets.reduce((rest, secret) => rest.replaceAll(secret, '***'), visibleText(text)).replaceAll(TOKEN, '***');
}

/** A finding on a terminal: in colour, and what to do on lines of its own. */
function shown({ check, verdict, message, advice }: Report, style: Style, columns: number): string {
  const paint = { ok: style.good, warning: style.warn, failed: style.bad, skipped: style.dim }[verdict];
  const indent = ' '.repeat(VERDICT + NAME + 4);
  const [first = '', ...rest] = wrapped(message, columns - indent.length);
  const todo = advice === undefined ? [] : wrapped(`-> ${advice}`, columns - indent.length).map(style.strong);
  const head = `${paint(verdict.padEnd(VERDICT))}  ${check.padEnd(NAME)}  ${verdict === 'skipped' ? style.dim(first) : first}`;
  return [head, ...[...rest, ...todo].map((more) => indent + more)].join('\n');
}

function line({ check, verdict, message, advice }: Report): string {
  const end = advice === undefined ? '' : ` -> ${advice}`;
  return `${verdict.padEnd(VERDICT)}  ${check.padEnd(NAME)}  ${message}${end}`;
}

function summary(reports: readonly Report[]): string {
  const counts = (['ok', 'warning', 'failed', 'skipped'] as const).map(
    (verdict) => `${reports.filter((report) => report.verdict === verdict).length} ${verdict}`,
  );
  return `${reports.length} checks: ${counts.join(', ')}`;
}

function asJson(reports: readonly Report[]): string {
  const checks = reports.map(({ check, verdict, message, advice = null }) => ({ check, verdict, message, advice }));
  return JSON.stringify({ result: worstOf(reports), checks }, null, 2);
}

/** Runs the checks and prints them; answers the exit code: warnings are no failures. */
export async function doctor(config: Config, { json, except = [], ...options }: DoctorCommandOptions): Promise<number> {
  const reports: Report[] = [];
  const interrupt = new AbortController();
  onInterrupt(() => {
    process.stderr.write('interrupted: what was pushed is deleted; again Ctrl-C ends at once\n');
    interrupt.abort();
  });
  for await (const { message, advice, ...report } of runDoctor(config, { ...options, signal: interrupt.signal })) {
    if (except.includes(report.check)) continue;
    const clean = (text: string): string => harmless(config, text);
    const told = { ...report, message: clean(message), ...(advice === undefined ? {} : { advice: clean(advice) }) };
    reports.push(told);
    if (json) continue;
    const { stdout } = process;
    stdout.write(`${stdout.isTTY ? shown(told, createStyle(stdout), columnsOf(stdout)) : line(told)}\n`);
  }
  process.stdout.write(`${json ? asJson(reports) : summary(reports)}\n`);
  if (interrupt.signal.aborted) return EXIT.interrupted;
  return worstOf(reports) === 'failed' ? EXIT.attention : EXIT.ok;
}

const PRIMARIES: Readonly<Record<NotificationKind, string>> = {
  gitlab: "The primary's /etc/gitlab/gitlab.rb (Omnibus)",
  distribution: 'The configuration of a primary registry of its own (Distribution 2.8 and 3)',
  zot: 'The configuration of a zot primary, beside its other extensions',
};

/** Prints the block for the primary registry's configuration, for one kind or for all; the secret is a placeholder. */
export function printNotifications(
  kind: NotificationKind | true,
  base: URL | undefined,
  { json }: { json?: true },
): void {
  const { url, distribution, omnibus, zot } = notificationsFor(base);
  if (json) {
    process.stdout.write(`${JSON.stringify({ url, distribution, omnibus, zot }, null, 2)}\n`);
    return;
  }
  const hint = base
    ? ''
    : '# Replace registry.secondary.example.com by the name that the primary reaches this site by, or give --url.\n';
  const blocks: Readonly<Record<NotificationKind, string>> = { gitlab: omnibus, distribution, zot };
  const kinds = kind === true ? notificationKinds : [kind];
  process.stdout.write(kinds.map((each) => `# ${PRIMARIES[each]}:\n${hint}${blocks[each]}`).join('\n'));
}
