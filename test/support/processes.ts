/** What processes there are, for tests that must leave none behind. Linux. */
import { readdirSync, readFileSync } from 'node:fs';
import { sampleProcess } from '../../harness/measure/process-sample.ts';
import { until } from './wait.ts';

/** Pids of the living children of a process. */
export function childrenOf(parent: number): number[] {
  const found: number[] = [];
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const stat = readFileSync(`/proc/${name}/stat`, 'latin1');
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      if (Number(fields[1]) === parent && fields[0] !== 'Z') found.push(Number(name));
    } catch {
      // It ended while we looked.
    }
  }
  return found;
}

/** Words of a process's command line; empty when it is gone. */
export function commandOf(pid: number): string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'latin1').split('\0').slice(0, -1);
  } catch {
    return [];
  }
}

/** @throws Error when the condition does not come true in time */
export const waitFor = (what: string, isTrue: () => boolean, ms = 10_000): Promise<void> => until(what, isTrue, ms);

/** Seconds that a process has spent on a processor; 0 when it is gone. */
export function cpuSeconds(pid: number): number {
  const sample = sampleProcess(pid);
  return sample === null ? 0 : sample.userS + sample.systemS;
}
