// Running the doctor in the test's process: a configuration, and the reports by their checks.
import { inspectConfig } from '../../src/config/config.ts';
import { runDoctor, type DoctorOptions, type Report } from '../../src/doctor/doctor.ts';
import type { Finding } from '../../src/doctor/finding.ts';
import { realMachine, type Machine } from '../../src/doctor/machine.ts';

export interface Examining extends DoctorOptions {
  readonly machine?: Partial<Machine>;
}

/** The reports of all checks by name. */
export type Reports = Readonly<Record<string, Report>>;

// The machine that tests run on is not what they are about.
const machine: Machine = {
  ...realMachine,
  statfs: async () => ({ type: 0xef53, bsize: 4_096, bavail: 2 ** 30 }),
  readText: async () => 'Max open files            65536                65536                files\n',
};

/** Runs all checks. */
export async function examine(env: NodeJS.ProcessEnv, options: Examining = {}): Promise<Reports> {
  const { config } = inspectConfig(env);
  const { machine: changes, ...rest } = options;
  const reports: Record<string, Report> = {};
  for await (const report of runDoctor(config, rest, { ...machine, ...changes })) reports[report.check] = report;
  return reports;
}

/** A finding in one line, as a person reads it. */
export function told(report: Finding | undefined): string {
  if (!report) return 'no such check';
  const { verdict, message, advice = '' } = report;
  return `${verdict}: ${message} -> ${advice}`;
}
