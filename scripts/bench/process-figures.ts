// What the operating system knows of a process: the memory that it held, the time that it took.
import { readFileSync, writeFileSync } from 'node:fs';

// Of a second (USER_HZ); Linux has this one on all that Node runs on.
const TICKS = 100;

/** The most memory that a process held so far, in bytes. */
export function peakMemoryOf(pid: number): number {
  const kilobytes = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return Number(kilobytes) * 1024;
}

/** Lets the peak begin anew from what it holds now. */
export function resetPeakMemoryOf(pid: number): void {
  writeFileSync(`/proc/${pid}/clear_refs`, '5');
}

function childrenOf(pid: number): number[] {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number);
}

/** Seconds of a core that processes took so far, their children included. */
export function cpuSecondsOf(...pids: readonly number[]): number {
  const each = pids.map((pid) => {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The name of the program may hold anything; what follows its bracket does not.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return (Number(fields[11]) + Number(fields[12])) / TICKS + cpuSecondsOf(...childrenOf(pid));
  });
  return each.reduce((sum, seconds) => sum + seconds, 0);
}

/** Bytes that a process wrote so far, to files and sockets. */
export function bytesWrittenBy(pid: number): number {
  return Number(/^wchar: (\d+)$/m.exec(readFileSync(`/proc/${pid}/io`, 'utf8'))?.[1]);
}
