// The one factor of every time limit in the tests: none of them passes or fails by how fast the machine is.

const FACTOR = 3;

function factorOf(text: string | undefined): number {
  if (text === undefined || text === '') return FACTOR;
  const factor = Number(text);
  if (factor > 0 && Number.isFinite(factor)) return factor;
  throw new Error(`TEST_PATIENCE: ${text} is no number above 0`);
}

const factor = factorOf(process.env['TEST_PATIENCE']);

/** A limit in milliseconds for two idle cores, as this run has it: `TEST_PATIENCE` times as long, 3 unless given. */
export function scaled(milliseconds: number): number {
  return Math.round(milliseconds * factor);
}
