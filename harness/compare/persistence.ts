/** The answer of a scenario whose matrix holds the modes of persistence: what each costs against none, and what a crash takes. */
import type { CellResult, RunResult, ScenarioResult, TargetResult } from '../result.ts';
import { formatUs } from './metrics.ts';
import { isBelieved } from './paired.ts';

const MODE_FIELD = 'persistence.mode';
/** Costs below this share are within what runs differ by themselves. */
const COST_TOLD_MIN = 0.1;

interface ModeFigures {
  mode: string;
  /** Throughput and p99.9 over those without persistence, in the median over the cells; null where no pair of runs can be believed. */
  rate: number | null;
  tail: number | null;
  /** Over all runs that came to a crash; the worst. null without any. */
  lostShare: number | null;
  oldestLostS: number | null;
  recoveryS: number | null;
}

function median(values: number[]): number | null {
  if (values.length === 0) return null;
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

const worst = (values: number[]): number | null => (values.length === 0 ? null : Math.max(...values));

function tailOf(run: RunResult): number | null {
  const all = run.latency.find((entry) => entry.kind === 'all');
  return all && all.response.count > 0 ? all.response.p999 : null;
}

/** Ratios of a figure to that of the run without persistence of the same repetition and otherwise the same cell. */
function ratios(
  cells: readonly CellResult[],
  bases: readonly CellResult[],
  pick: (run: RunResult) => number | null,
): number[] {
  const found: number[] = [];
  for (const cell of cells) {
    const base = bases.find((one) =>
      Object.entries(one.axis).every(([field, value]) => field === MODE_FIELD || cell.axis[field] === value),
    );
    for (const run of cell.runs.filter(isBelieved)) {
      const other = base?.runs.find((one) => one.repetition === run.repetition && isBelieved(one));
      const [value, against] = [pick(run), other === undefined ? null : pick(other)];
      if (value !== null && against !== null && against > 0) found.push(value / against);
    }
  }
  return found;
}

/** Figures of each mode of one target; none first. */
export function modeFigures(result: ScenarioResult, targetId: string): ModeFigures[] {
  const axis = result.axes.find((one) => one.field === MODE_FIELD);
  const own = result.cells.filter((cell) => cell.targetId === targetId);
  const bases = own.filter((cell) => cell.axis[MODE_FIELD] === 'none');
  return (axis?.values ?? []).map((mode) => {
    const cells = own.filter((cell) => cell.axis[MODE_FIELD] === mode);
    const crashes = cells.flatMap((cell) => cell.runs.map((run) => run.persistence?.crash ?? null));
    const told = crashes.filter((crash) => crash !== null && crash.lost !== null && crash.acknowledged > 0);
    const numbers = (pick: (crash: NonNullable<(typeof told)[number]>) => number | null): number[] =>
      told.map((crash) => pick(crash!)).filter((value) => value !== null);
    return {
      mode: String(mode),
      rate: mode === 'none' ? 1 : median(ratios(cells, bases, (run) => run.achievedRate)),
      tail: mode === 'none' ? 1 : median(ratios(cells, bases, tailOf)),
      lostShare: worst(numbers((crash) => crash.lost! / crash.acknowledged)),
      oldestLostS: worst(numbers((crash) => crash.oldestLostS ?? 0)),
      recoveryS: worst(numbers((crash) => crash.recoveryS)),
    };
  });
}

function costText({ mode, rate, tail }: ModeFigures): string | null {
  if (rate === null) return null;
  const change = rate - 1;
  const share = `${Math.round(Math.abs(change) * 100)} %`;
  const cost = Math.abs(change) < COST_TOLD_MIN ? 'no difference in throughput that can be told' : null;
  const told = cost ?? (change < 0 ? `${share} less throughput` : `${share} more throughput`);
  return `${mode} ${told}${tail === null ? '' : `, p99.9 ${tail.toFixed(1)} times`}`;
}

function lossText(figures: readonly ModeFigures[]): string | null {
  const kept = figures.filter((one) => one.lostShare === 0).map((one) => one.mode);
  const lost = figures.filter((one) => one.lostShare !== null && one.lostShare > 0 && one.mode !== 'none');
  const parts = lost.map(
    (one) =>
      `${one.mode} lost up to ${Math.max(1, Math.round(one.lostShare! * 100))} % of the writes acknowledged just before, back to ${one.oldestLostS!.toFixed(1)} s`,
  );
  if (kept.length > 0) parts.push(`${kept.join(', ')} lost none`);
  return parts.length === 0 ? null : `In a kill amid writes ${parts.join('; ')}.`;
}

/** The sentences about one target; empty where nothing can be said. */
function sentences(target: TargetResult, figures: readonly ModeFigures[]): string[] {
  const costs = figures
    .filter((one) => one.mode !== 'none')
    .map(costText)
    .filter((text) => text !== null);
  const slowest = figures
    .filter((one) => one.recoveryS !== null && one.mode !== 'none')
    .sort((a, b) => b.recoveryS! - a.recoveryS!)[0];
  return [
    costs.length === 0 ? null : `${target.label} against itself without persistence: ${costs.join('; ')}.`,
    lossText(figures),
    slowest === undefined
      ? null
      : `The slowest start after it took ${formatUs(slowest.recoveryS! * 1e6)} (${slowest.mode}).`,
  ].filter((text) => text !== null);
}

/** @returns headline and sentences, or null where the scenario is not about modes of persistence */
export function persistenceAnswer(result: ScenarioResult): { headline: string; text: string } | null {
  if (!result.axes.some((axis) => axis.field === MODE_FIELD && axis.values.length > 1)) return null;
  // What a reader can rely on is the real server; the embedded engine stands beside it.
  const targets = [...result.targets].sort((a, b) => Number(a.kind === 'embedded') - Number(b.kind === 'embedded'));
  const text = targets.flatMap((target) => sentences(target, modeFigures(result, target.id))).join(' ');
  const first = targets[0];
  if (first === undefined || text === '') return null;
  const modes = modeFigures(result, first.id).filter((one) => one.mode !== 'none');
  const costs = modes.filter((one) => one.rate !== null);
  const unjudged = modes.filter((one) => one.rate === null).map((one) => one.mode);
  const but = unjudged.length === 0 ? '' : ` (no valid runs of ${unjudged.join(', ')})`;
  const dearest = costs.sort((a, b) => a.rate! - b.rate!)[0];
  const headline =
    dearest === undefined
      ? `What a crash took from ${first.label} was measured; what persistence costs was not, for want of valid runs`
      : dearest.rate! > 1 - COST_TOLD_MIN
        ? `On ${first.label} no mode of persistence costs throughput that can be told${but}`
        : `On ${first.label} the dearest mode of persistence, ${dearest.mode}, leaves ${Math.round(dearest.rate! * 100)} % of the throughput${but}`;
  return { headline, text };
}
