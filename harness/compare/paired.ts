/**
 * Statistics of paired runs. Two targets that were measured in the same repetition of the same cell stood side by side in
 * time, so what disturbed one disturbed the other; their difference is steadier than either figure. A difference is told
 * only where it is larger than what the pairs themselves scatter.
 */
import { bootstrapInterval, median } from '../measure/statistics.ts';
import type { CellResult, RunResult, ScenarioResult } from '../result.ts';
import type { Metric } from './metrics.ts';

/** With fewer pairs than this the scatter is hardly known, and only large differences are told. */
export const FEW_PAIRS = 3;
/** Least difference that is told from fewer pairs: ln of a ratio, and share. Machines drift by some percent a minute. */
export const FEW_PAIRS_FLOOR = { ratio: 0.1, points: 0.005 } as const;

export interface PairedDifference {
  metric: Metric;
  axis: CellResult['axis'];
  /** Runs of both that could be believed. */
  pairs: number;
  /** Medians of both. */
  a: number;
  b: number;
  /** Median of (b − a): ln of the ratio, or a difference of shares. */
  difference: number;
  /** 95 % bootstrap interval of that median. */
  interval: [number, number];
  /** +1: b is better; -1: a is better; 0: no difference beyond the noise. */
  winner: -1 | 0 | 1;
}

/** Guards that watch the speed of client, machine and server; what is in the cache does not depend on them. */
const SPEED_GUARDS = new Set(['client-cpu', 'send-lag', 'achieved-rate', 'stolen-cpu', 'other-programs']);
/** The hit ratio of both halves of a run may differ by so much where only its throughput was unsteady. */
const HALVES_DIFFERENCE_MAX = 0.01;

/** A run that may be compared in every figure. */
export function isBelieved(run: RunResult): boolean {
  return run.status === 'ok';
}

/** Whether a run may be compared in this figure: some guards say nothing against what is stored and found. */
export function isBelievedFor(metric: Metric, run: RunResult): boolean {
  if (isBelieved(run)) return true;
  if (run.status === 'failed' || !metric.ofContents) return false;
  return run.validity.every(
    (guard) =>
      guard.passed || SPEED_GUARDS.has(guard.name) || (guard.name === 'steady-state' && contentsWereSteady(run)),
  );
}

/** Whether both halves of the time series found the same share of keys. */
function contentsWereSteady(run: RunResult): boolean {
  const middle = Math.floor(run.timeline.length / 2);
  const share = (rows: RunResult['timeline']): number => {
    const hits = rows.reduce((sum, row) => sum + row.hits, 0);
    return hits / rows.reduce((sum, row) => sum + row.hits + row.misses, 0);
  };
  // Without gets in a half this is NaN, and no.
  return Math.abs(share(run.timeline.slice(0, middle)) - share(run.timeline.slice(middle))) <= HALVES_DIFFERENCE_MAX;
}

/**
 * @param believe which runs count
 * @returns null where no repetition has the figure for both
 */
export function comparePair(
  metric: Metric,
  a: CellResult,
  b: CellResult,
  believe: (run: RunResult) => boolean = (run) => isBelievedFor(metric, run),
): PairedDifference | null {
  const as: number[] = [];
  const bs: number[] = [];
  const differences: number[] = [];
  for (const runA of a.runs) {
    const runB = b.runs.find((run) => run.repetition === runA.repetition);
    if (runB === undefined || !believe(runA) || !believe(runB)) continue;
    const x = metric.value(runA);
    const y = metric.value(runB);
    if (x === null || y === null) continue;
    if (metric.scale === 'ratio' && !(x > 0 && y > 0)) continue;
    as.push(x);
    bs.push(y);
    differences.push(metric.scale === 'ratio' ? Math.log(y / x) : y - x);
  }
  if (differences.length === 0) return null;
  const difference = median(differences);
  const interval = bootstrapInterval(differences, median, { seed: metric.name });
  // Half the range of the pairs: with few repetitions a bootstrap alone is too sure of itself.
  const scatter = (Math.max(...differences) - Math.min(...differences)) / 2;
  const floor = differences.length < FEW_PAIRS ? Math.max(metric.floor, FEW_PAIRS_FLOOR[metric.scale]) : metric.floor;
  const size = Math.abs(difference);
  const clear = size >= floor && size > scatter && interval[0] * interval[1] > 0;
  const bIsBetter = difference > 0 === (metric.better === 'higher');
  return {
    metric,
    axis: a.axis,
    pairs: differences.length,
    a: median(as),
    b: median(bs),
    difference,
    interval,
    winner: !clear ? 0 : bIsBetter ? 1 : -1,
  };
}

/** All cells that both targets were measured in. */
export function compareTargets(
  result: ScenarioResult,
  metric: Metric,
  idA: string,
  idB: string,
  believe?: (run: RunResult) => boolean,
): PairedDifference[] {
  const found: PairedDifference[] = [];
  for (const a of result.cells) {
    if (a.targetId !== idA) continue;
    const key = JSON.stringify(a.axis);
    const b = result.cells.find((cell) => cell.targetId === idB && JSON.stringify(cell.axis) === key);
    const difference = b ? comparePair(metric, a, b, believe) : null;
    if (difference) found.push(difference);
  }
  return found;
}

/** "12 %" or "3.1 points", as an amount by which the winner is ahead. */
export function amountOf(one: PairedDifference): string {
  const { metric, difference } = one;
  if (metric.scale === 'points') return `${(100 * Math.abs(difference)).toFixed(1)} points`;
  // "x % more" relates to the loser, "x % less" relates to the loser as well.
  const share = metric.better === 'higher' ? Math.exp(Math.abs(difference)) - 1 : 1 - Math.exp(-Math.abs(difference));
  const percent = 100 * share;
  return percent >= 200 ? `${(share + 1).toFixed(1)} times` : `${percent.toFixed(percent < 10 ? 1 : 0)} %`;
}
