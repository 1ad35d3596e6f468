/** Tells a process from another that later got the same number, so that nobody else's process is ever killed. */
import { readFileSync } from 'node:fs';

/**
 * Start time of a process in clock ticks since boot, as /proc/PID/stat tells it (field 22).
 *
 * @returns null where the process is gone or there is no /proc
 */
export function processStartTime(pid: number): string | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // The name in parentheses may hold spaces and parentheses itself, so counting starts behind the last one.
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? null;
  } catch {
    return null;
  }
}

/** True while the process lives. A zombie counts as gone. */
export function isAlive(pid: number, startTime: string | null): boolean {
  if (startTime !== null) {
    if (processStartTime(pid) !== startTime) return false;
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
      return stat[stat.lastIndexOf(')') + 2] !== 'Z';
    } catch {
      return false;
    }
  }
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** Sends a signal to the process that started at `startTime`, and to no other. */
export function killExactly(pid: number, startTime: string | null, signal: NodeJS.Signals): void {
  if (!isAlive(pid, startTime)) return;
  try {
    process.kill(pid, signal);
  } catch {
    // It ended between the look and the signal.
  }
}
