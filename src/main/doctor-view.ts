// The doctor for the page: the checks of `doctor --read-only`, one run at a time.
import { harmless } from '../cli/doctor.ts';
import type { Config } from '../config/config.ts';
import { runDoctor, type Report } from '../doctor/doctor.ts';
import { createSingleFlight } from '../lib/single-flight.ts';
import type { Finding } from '../status/api.ts';

const LEVELS = { ok: 'ok', warning: 'warning', failed: 'error', skipped: 'skipped' } as const;

/** Runs the checks, or joins a run under way; secrets are left out of what they say. */
export function createDoctorView(config: Config): () => Promise<readonly Finding[]> {
  const flight = createSingleFlight<readonly Finding[]>();

  function findingOf({ check, verdict, message, advice }: Report): Finding {
    return {
      check,
      level: LEVELS[verdict],
      text: harmless(config, message),
      advice: advice === undefined ? null : harmless(config, advice),
    };
  }

  async function run(): Promise<readonly Finding[]> {
    const findings: Finding[] = [];
    for await (const report of runDoctor(config, { readOnly: true })) findings.push(findingOf(report));
    return findings;
  }

  return () => flight('', run);
}
