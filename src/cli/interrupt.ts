// Ctrl-C and SIGTERM: every command ends at once with 130, unless it has something to put in order first.
import { EXIT } from './exit-code.ts';

type Handler = () => void;

const end: Handler = () => process.exit(EXIT.interrupted);

let current: Handler | undefined;
let isInterrupted = false;

function handle(): void {
  if (isInterrupted) end();
  isInterrupted = true;
  (current ?? end)();
}

/** From here on a signal ends the process with 130; a second one does so whatever the command does at the first. */
export function endOnSignals(): void {
  process.on('SIGINT', handle).on('SIGTERM', handle);
}

/** What the first signal does in the place of ending the process. */
export function onInterrupt(handler: Handler): void {
  current = handler;
}
