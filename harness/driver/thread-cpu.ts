/** CPU time of the calling thread: what a driver thread spent, without the rest of the process. */
import { readFileSync } from 'node:fs';

/** @returns seconds of CPU that this thread has used, or null where the system does not tell (only Linux does) */
export function threadCpuSeconds(): number | null {
  try {
    // Nanoseconds on the CPU, nanoseconds waiting for one, slices.
    const onCpuNs = Number(readFileSync('/proc/thread-self/schedstat', 'latin1').split(' ')[0]);
    if (onCpuNs > 0) return onCpuNs / 1e9;
  } catch {
    // A kernel without scheduler statistics: the coarser figures follow.
  }
  try {
    const stat = readFileSync('/proc/thread-self/stat', 'latin1');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return (Number(fields[11]) + Number(fields[12])) / 100;
  } catch {
    return null;
  }
}
