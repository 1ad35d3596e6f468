/**
 * Guards: may the figures of a run be believed? Each checks one way in which a measurement goes wrong unnoticed, and says in a sentence
 * what was seen and what the bound is. A run with a failed guard is inconclusive (wrong values and errors fail it); it is never
 * silently averaged in.
 */
import type { Guard, LatencySummary, OperationLatency, TimelineRow } from '../result.ts';
import type { MachineUse } from './process-sample.ts';
import { median, trend } from './statistics.ts';

/** A driver thread that is busier than this (cores) is itself what limits the run. */
export const CLIENT_CPU_PER_THREAD_MAX = 0.9;
/** 99 % of operations must have left within this time (µs) of being due and having a free connection. */
export const SEND_LAG_P99_US_MAX = 1_000;
/** Share of the offered rate that must be achieved. */
export const ACHIEVED_SHARE_MIN = 0.99;
/** Hit ratio may differ from what the data set implies by so much. */
export const HIT_RATIO_DIFFERENCE_MAX = 0.02;
/** Throughput and hit ratio may rise or fall over the run by so much (share of the median; points). */
export const THROUGHPUT_DRIFT_MAX = 0.15;
export const HIT_RATIO_DRIFT_MAX = 0.03;
/** A trend counts when chance alone would show one so seldom. */
export const TREND_P_VALUE_MAX = 0.01;
/** Fewer intervals than this tell no trend. */
export const TREND_INTERVALS_MIN = 6;
/** Share of the machine's CPU time that the hypervisor may take. */
export const STOLEN_SHARE_MAX = 0.05;
/**
 * Other programs may take so much of the machine's CPU time, unless more than `IDLE_SHARE_MIN` of it was left over: on a machine with cores
 * to spare they are in nobody's way.
 */
export const OTHERS_SHARE_MAX = 0.1;
export const IDLE_SHARE_MIN = 0.2;
/** Share of operations that may end in an error. */
export const ERROR_SHARE_MAX = 0;

/** What the guards look at. A load report of the driver room has the first eleven fields as they are. */
export interface ValidityInput {
  durationS: number;
  offeredRate: number | null;
  operations: number;
  errors: number;
  errorTexts: Record<string, number>;
  hits: number;
  misses: number;
  latency: readonly OperationLatency[];
  sendLag: LatencySummary | null;
  verified: { checked: number; wrong: number };
  timeline: readonly TimelineRow[];
  clientCpuS: number | null;
  threads: number;
  aborted: string | null;
  /** Hit ratio that data set and limits imply (1 when every key was stored and fits, say); null where nothing can be expected. */
  expectedHitRatio: number | null;
  /** See `stolenShare`; null where unknown. */
  stolenShare: number | null;
  /** See `machineUse`; null where unknown, or where a server that is none of our own processes is on this machine. */
  machineUse: MachineUse | null;
  /** Share of replies the scenario asks to have verified, 0: none. */
  verify: number;
}

/** All guards that apply, in the order of result.ts. */
export function judgeValidity(input: ValidityInput): Guard[] {
  const guards = [
    clientCpu(input),
    sendLag(input),
    achievedRate(input),
    hitRatio(input),
    steadyState(input),
    stolenCpu(input),
    otherPrograms(input),
    verification(input),
    errors(input),
  ];
  return guards.filter((guard) => guard !== null);
}

function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}

function clientCpu(input: ValidityInput): Guard | null {
  if (input.clientCpuS === null || input.durationS <= 0) return null;
  const perThread = input.clientCpuS / input.durationS / input.threads;
  const passed = perThread <= CLIENT_CPU_PER_THREAD_MAX;
  const detail =
    `Driver threads used ${perThread.toFixed(2)} cores each; bound ${CLIENT_CPU_PER_THREAD_MAX}.` +
    (passed ? '' : ' The client may be what limits this run: give it more threads, or a lower rate.');
  return { name: 'client-cpu', passed, detail };
}

function sendLag(input: ValidityInput): Guard | null {
  if (input.sendLag === null || input.sendLag.count === 0) return null;
  const p99 = input.sendLag.p99;
  const passed = p99 <= SEND_LAG_P99_US_MAX;
  const detail =
    `99 % of operations left within ${Math.round(p99)} µs of being due with a connection free; bound ${SEND_LAG_P99_US_MAX} µs.` +
    (passed ? '' : ' The load generator itself was late, so response times are overstated.');
  return { name: 'send-lag', passed, detail };
}

function achievedRate(input: ValidityInput): Guard | null {
  if (input.offeredRate === null || input.durationS <= 0) return null;
  // Fills follow from misses: the target answers them beside what was offered.
  const fills = input.latency.find((latency) => latency.kind === 'fill')?.count ?? 0;
  const achieved = (input.operations - fills) / input.durationS;
  // A Poisson stream of n operations has a spread of sqrt(n): three of them are chance, not failure.
  const chance = 3 / Math.sqrt(Math.max(1, input.offeredRate * input.durationS));
  const bound = Math.min(ACHIEVED_SHARE_MIN, 1 - chance);
  const passed = achieved >= bound * input.offeredRate;
  const detail =
    `${Math.round(achieved)} of ${Math.round(input.offeredRate)} offered operations per second were answered ` +
    `(${percent(achieved / input.offeredRate)}; bound ${percent(bound)}).` +
    (passed ? '' : ' The target could not keep up: latencies are those of a growing queue.');
  return { name: 'achieved-rate', passed, detail };
}

function hitRatio(input: ValidityInput): Guard | null {
  const gets = input.hits + input.misses;
  if (input.expectedHitRatio === null || gets === 0) return null;
  const seen = input.hits / gets;
  const passed = Math.abs(seen - input.expectedHitRatio) <= HIT_RATIO_DIFFERENCE_MAX;
  const detail = `Hit ratio ${percent(seen)} where ${percent(input.expectedHitRatio)} was to be expected; bound ${percent(
    HIT_RATIO_DIFFERENCE_MAX,
  )} apart.`;
  return { name: 'hit-ratio', passed, detail };
}

function steadyState(input: ValidityInput): Guard {
  const name = 'steady-state';
  // The last interval may be cut short or hold only the drained rest.
  const rows = input.timeline.slice(0, -1);
  if (rows.length < TREND_INTERVALS_MIN) {
    return {
      name,
      passed: true,
      detail: `Not judged: ${rows.length} whole intervals, ${TREND_INTERVALS_MIN} are needed.`,
    };
  }
  const rates = rows.map((row) => row.operations);
  const throughput = drift(rates, median(rates));
  const ratios = rows.filter((row) => row.hits + row.misses > 0).map((row) => row.hits / (row.hits + row.misses));
  const hits = drift(ratios, 1);
  const unsteady: string[] = [];
  if (throughput.real && Math.abs(throughput.rise) > THROUGHPUT_DRIFT_MAX) unsteady.push('throughput');
  if (hits.real && Math.abs(hits.rise) > HIT_RATIO_DRIFT_MAX) unsteady.push('hit ratio');
  const detail =
    `Over the run throughput moved by ${percent(throughput.rise)} (bound ${percent(THROUGHPUT_DRIFT_MAX)})` +
    (ratios.length > 0 ? `, hit ratio by ${percent(hits.rise)} (bound ${percent(HIT_RATIO_DRIFT_MAX)})` : '') +
    (unsteady.length === 0 ? '.' : `: ${unsteady.join(' and ')} had not settled; lengthen the warm-up.`);
  return { name, passed: unsteady.length === 0, detail };
}

function drift(values: readonly number[], scale: number): { rise: number; real: boolean } {
  const { rise, pValue } = trend(values);
  return { rise: scale > 0 ? rise / scale : 0, real: pValue <= TREND_P_VALUE_MAX };
}

function stolenCpu(input: ValidityInput): Guard | null {
  if (input.stolenShare === null) return null;
  const passed = input.stolenShare <= STOLEN_SHARE_MAX;
  const detail = `The hypervisor kept ${percent(input.stolenShare)} of this machine's CPU time for others; bound ${percent(STOLEN_SHARE_MAX)}.`;
  return { name: 'stolen-cpu', passed, detail };
}

/** A closed loop takes what it can get, so no other guard sees that it got little. */
function otherPrograms(input: ValidityInput): Guard | null {
  if (input.machineUse === null) return null;
  const { others, idle } = input.machineUse;
  const passed = others <= OTHERS_SHARE_MAX || idle >= IDLE_SHARE_MIN;
  const detail =
    `Other programs used ${percent(others)} of this machine's CPU time, and ${percent(idle)} was left over; bound ${percent(OTHERS_SHARE_MAX)} ` +
    `where less than ${percent(IDLE_SHARE_MIN)} is left.` +
    (passed ? '' : ' Client and server had to wait for them: end them, or measure when the machine is quiet.');
  return { name: 'other-programs', passed, detail };
}

/** That no value was checked is a fault of the measurement when it is less likely than this by chance. */
const NONE_CHECKED_CHANCE_MAX = 1e-6;

function verification(input: ValidityInput): Guard | null {
  if (input.verify <= 0) return null;
  const { checked, wrong } = input.verified;
  // Of a few hits none may have been drawn; of many that can hardly be.
  const missing = checked === 0 && input.hits > 0 && (1 - input.verify) ** input.hits < NONE_CHECKED_CHANCE_MAX;
  const passed = wrong === 0 && !missing;
  const detail = missing
    ? `No value was checked, although the scenario asks for ${percent(input.verify)} of ${input.hits} hits.`
    : `${wrong} of ${checked} checked values were wrong; bound 0.`;
  return { name: 'verification', passed, detail };
}

function errors(input: ValidityInput): Guard {
  const name = 'errors';
  const shown = Object.entries(input.errorTexts)
    .sort((a, b) => b[1] - a[1])
    .slice(0, 3)
    .map(([text, count]) => `${count} × "${text}"`);
  if (input.aborted !== null) return { name, passed: false, detail: `The load ended early: ${input.aborted}` };
  const answered = input.operations + input.errors;
  const share = answered === 0 ? 1 : input.errors / answered;
  const passed = share <= ERROR_SHARE_MAX && answered > 0;
  const detail =
    answered === 0
      ? 'Not one operation was answered.'
      : `${input.errors} of ${answered} operations ended in an error${shown.length > 0 ? `: ${shown.join(', ')}` : ''}; bound 0.`;
  return { name, passed, detail };
}
