/**
 * What the system tells about a process and about the machine: CPU time, resident memory, stolen CPU (Linux's /proc). Elsewhere, and
 * for processes that are gone, the answer is null: a figure that could not be had is never invented.
 */
import { readFileSync } from 'node:fs';

/** The kernel reports CPU time to user space in hundredths of a second on every architecture that Node runs on (USER_HZ). */
const TICKS_PER_SECOND = 100;
const PAGE_BYTES = 4_096;

export interface ProcessSample {
  /** Seconds of CPU since the process began. */
  userS: number;
  systemS: number;
  /**
   * Seconds of CPU of its children, running or ended, and of theirs: a snapshot of redis-server is a child, which its own CPU time does not
   * hold.
   */
  childrenS: number;
  /** Resident set in bytes. */
  rssBytes: number;
  /** Largest resident set so far in bytes; null where not told. */
  peakRssBytes: number | null;
  /** Proportional set in bytes (shared pages divided by their users); null where the system does not tell us. */
  pssBytes: number | null;
  /** Start time in ticks since boot: with the pid it names a process for good. */
  startTicks: number;
  threads: number;
}

export interface MachineSample {
  /** Seconds of CPU of all CPUs together since boot. */
  totalS: number;
  idleS: number;
  /** Seconds in which programs and the kernel on their behalf ran; without interrupts, which are nobody's. */
  programsS: number;
  /** Seconds in which the hypervisor ran something else although a CPU of ours wanted to run. */
  stealS: number;
}

function read(path: string): string | null {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return null;
  }
}

/** A "Name:   123 kB" line in bytes, or null. */
function kilobytes(text: string | null, name: string): number | null {
  const match = text === null ? null : new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(text);
  return match ? Number(match[1]) * 1_024 : null;
}

/** The fields of /proc/PID/stat behind the name, or null. */
function statFields(pid: number): string[] | null {
  const stat = read(`/proc/${pid}/stat`);
  // The second field is the name in parentheses and may itself hold blanks and parentheses: count from the last one.
  return stat === null ? null : stat.slice(stat.lastIndexOf(')') + 2).split(' ');
}

/** Seconds of CPU of all children that run, with all that these have waited for. Only what the main thread forked is found. */
function runningChildrenS(pid: number): number {
  let seconds = 0;
  for (const child of (read(`/proc/${pid}/task/${pid}/children`) ?? '').split(' ')) {
    const fields = child === '' ? null : statFields(Number(child));
    if (fields === null) continue;
    for (let i = 11; i <= 14; i++) seconds += Number(fields[i]) / TICKS_PER_SECOND;
    seconds += runningChildrenS(Number(child));
  }
  return seconds;
}

/**
 * Reads /proc/PID. `pss` costs the kernel a walk over all mappings (milliseconds for a large process), so it is left out unless
 * asked for.
 * @returns null where there is no such process or no /proc
 */
export function sampleProcess(pid: number, pss = false): ProcessSample | null {
  const fields = statFields(pid);
  if (fields === null) return null;
  return {
    userS: Number(fields[11]) / TICKS_PER_SECOND,
    systemS: Number(fields[12]) / TICKS_PER_SECOND,
    childrenS: (Number(fields[13]) + Number(fields[14])) / TICKS_PER_SECOND + runningChildrenS(pid),
    threads: Number(fields[17]),
    startTicks: Number(fields[19]),
    rssBytes: Number(fields[21]) * PAGE_BYTES,
    peakRssBytes: kilobytes(read(`/proc/${pid}/status`), 'VmHWM'),
    pssBytes: pss ? kilobytes(read(`/proc/${pid}/smaps_rollup`), 'Pss') : null,
  };
}

/** Reads /proc/stat. @returns null without /proc */
export function sampleMachine(): MachineSample | null {
  const match = /^cpu +(.*)$/m.exec(read('/proc/stat') ?? '');
  if (match === null) return null;
  const ticks = match[1]!.split(' ').map(Number);
  // user nice system idle iowait irq softirq steal; guest time is part of user time already.
  const total = ticks.slice(0, 8).reduce((sum, value) => sum + value, 0);
  return {
    totalS: total / TICKS_PER_SECOND,
    idleS: (ticks[3]! + ticks[4]!) / TICKS_PER_SECOND,
    programsS: (ticks[0]! + ticks[1]! + ticks[2]!) / TICKS_PER_SECOND,
    stealS: (ticks[7] ?? 0) / TICKS_PER_SECOND,
  };
}

/** @returns the share of the machine's CPU time between two samples that was stolen, 0 to 1; null without samples or time */
export function stolenShare(before: MachineSample | null, after: MachineSample | null): number | null {
  if (before === null || after === null || after.totalS <= before.totalS) return null;
  return (after.stealS - before.stealS) / (after.totalS - before.totalS);
}

/** What the machine did with its CPU time between two samples. */
export interface MachineUse {
  /** Share that programs beside those measured took, 0 to 1. */
  others: number;
  /** Share that nobody wanted. */
  idle: number;
}

/** @param ownS seconds of CPU in between of all that is part of the measurement @returns null without samples or time */
export function machineUse(before: MachineSample | null, after: MachineSample | null, ownS: number): MachineUse | null {
  if (before === null || after === null || after.totalS <= before.totalS) return null;
  const total = after.totalS - before.totalS;
  const programs = after.programsS - before.programsS;
  return { others: Math.max(0, programs - ownS) / total, idle: (after.idleS - before.idleS) / total };
}
