// What the command line says on standard error: a line at a time, begun by the program's name.

/** Writes one line. */
export function say(line: string): void {
  process.stderr.write(`geo-registry-proxy: ${line}\n`);
}

/** Writes one line that is no failure. */
export function warn(line: string): void {
  say(`warning: ${line}`);
}

/** An error for people: its message and those of its causes that add something, without a stack. */
export function errorLines(error: unknown): string[] {
  if (!(error instanceof Error)) return [String(error)];
  const { message, cause } = error;
  const [reason] = cause === undefined ? [] : errorLines(cause);
  return (reason === undefined ? message : `${message}: ${reason}`).split('\n');
}
