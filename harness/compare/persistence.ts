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
  /** Repetitions that these come from: the fewest of a cell. */
  pairs: number;
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
      pairs: Math.min(...cells.map((cell) => ratios([cell], bases, (run) => run.achievedRate).length)),
      lostShare: worst(numbers((crash) => crash.lost! / crash.acknowledged)),
      oldestLostS: worst(numbers((crash) => crash.oldestLostS ?? 0)),
      recoveryS: worst(numbers((crash) => crash.recoveryS)),
    };
  });
}

const percentOf = (share: number): string => `${Math.round(share * 100)} %`;

function costText({ mode, rate, tail }: ModeFigures): string | null {
  if (rate === null) return null;
  const change = rate - 1;
  const cost = Math.abs(change) < COST_TOLD_MIN ? 'no difference in throughput that can be told' : null;
  const told = cost ?? `${percentOf(Math.abs(change))} ${change < 0 ? 'less' : 'more'} throughput`;
  return `${mode} ${told}${tail === null ? '' : ` and ${tail.toFixed(1)} times the p99.9`}`;
}

function lossText(target: TargetResult, figures: readonly ModeFigures[]): string | null {
  const kept = figures.filter((one) => one.lostShare === 0).map((one) => one.mode);
  const lost = figures.filter((one) => one.lostShare !== null && one.lostShare > 0 && one.mode !== 'none');
  const parts = lost.map(
    (one) =>
      `${one.mode} lost up to ${Math.max(1, Math.round(one.lostShare! * 100))} % of the writes acknowledged just before, back to ${one.oldestLostS!.toFixed(1)} s`,
  );
  if (kept.length > 0) parts.push(`${kept.join(', ')} lost none of them`);
  if (parts.length > 0 && figures.some((one) => one.mode === 'none' && (one.lostShare ?? 0) > 0)) {
    parts.push('without persistence all data were lost');
  }
  return parts.length === 0 ? null : `When ${target.label} was killed amid writes ${parts.join('; ')}.`;
}

/** Which mode suits which need, and what it leaves of the throughput. */
const NEEDS: readonly [mode: string, need: string][] = [
  ['rdb', 'where all since the last snapshot may be lost'],
  ['aof-everysec', 'where the last second or two may be lost in a power failure'],
  ['aof-always', 'where no acknowledged write may be lost'],
];

/** What to do with it; null where the figures cannot carry advice. */
function adviceText(figures: readonly ModeFigures[]): string | null {
  if (scatter(figures) !== null) return null;
  const parts = NEEDS.flatMap(([mode, need]) => {
    const rate = figures.find((one) => one.mode === mode)?.rate ?? null;
    if (rate === null) return [];
    const cost = rate > 1 - COST_TOLD_MIN ? 'about all of' : `${percentOf(rate)} of`;
    return [`${need}: ${mode} (${cost} the throughput of none)`];
  });
  return parts.length < 2 ? null : `To choose: ${parts.join('; ')}; where the data can be made again: none.`;
}

/**
 * Files cost time: a mode that comes out faster than none shows how far the runs differ by chance.
 * @returns the mode that is furthest ahead of none, or null where none is by more than is told at all
 */
function scatter(figures: readonly ModeFigures[]): ModeFigures | null {
  const ahead = figures.filter((one) => one.rate !== null && one.rate > 1 + COST_TOLD_MIN);
  return ahead.sort((a, b) => b.rate! - a.rate!)[0] ?? null;
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
    lossText(target, figures),
    slowest === undefined
      ? null
      : `The slowest start after it took ${formatUs(slowest.recoveryS! * 1e6)} (${slowest.mode}).`,
  ].filter((text) => text !== null);
}

/** What a reader must know before a mode is chosen for what it lost, or did not lose, here. */
function caveatsOf(targets: readonly [TargetResult, readonly ModeFigures[]][]): string[] {
  const caveats: string[] = [];
  const crashed = targets.flatMap(([, figures]) => figures.filter((one) => one.lostShare !== null));
  const inFiles = crashed.filter(
    (one) => one.mode.startsWith('aof-') && one.mode !== 'aof-always' && one.lostShare === 0,
  );
  if (inFiles.length > 0) {
    const modes = [...new Set(inFiles.map((one) => one.mode))].join(', ');
    caveats.push(
      `The process was killed, not the machine: ${modes} lost nothing because the kernel still had it. When power fails, what was not yet synced is lost: with appendfsync everysec up to two seconds, with appendfsync no as much as the kernel holds back (some 30 s on Linux).`,
    );
  }
  if (crashed.some((one) => one.mode === 'rdb' && one.lostShare! > 0)) {
    caveats.push(
      'What rdb loses is all since its last finished snapshot began: here seconds, because snapshots were begun in this run; with a save point of an hour, up to an hour.',
    );
  }
  for (const [target, figures] of targets) {
    const ahead = scatter(figures);
    if (ahead === null) continue;
    caveats.push(
      `On ${target.label} ${ahead.mode} came out ${percentOf(ahead.rate! - 1)} faster than none. Files cannot cause that: the runs differ by chance at least as much, so costs of that size are not known. Repeat it on a quiet machine, with --repetitions 3 or more.`,
    );
  }
  return caveats;
}

function headlineOf({ label }: TargetResult, figures: readonly ModeFigures[]): string {
  const modes = figures.filter((one) => one.mode !== 'none');
  const unjudged = modes.filter((one) => one.rate === null).map((one) => one.mode);
  const but = unjudged.length === 0 ? '' : ` (no valid runs of ${unjudged.join(', ')})`;
  const dearest = modes.filter((one) => one.rate !== null).sort((a, b) => a.rate! - b.rate!)[0];
  const ahead = scatter(figures);
  if (dearest === undefined) {
    return `What a crash took from ${label} was measured; what persistence costs was not, for want of valid runs`;
  }
  if (ahead !== null && 1 / dearest.rate! <= ahead.rate!) {
    return `On ${label} the runs differed by chance more than any mode of persistence costs (${ahead.mode} came out ${percentOf(ahead.rate! - 1)} faster than none)${but}`;
  }
  if (dearest.rate! > 1 - COST_TOLD_MIN) {
    return `On ${label} no mode of persistence costs throughput that can be told${but}`;
  }
  return `On ${label} the dearest mode of persistence, ${dearest.mode}, leaves ${percentOf(dearest.rate!)} of the throughput${but}`;
}

/**
 * @returns headline, paragraphs and caveats, with the pairs of runs behind the headline and the share of its target's runs that count; null where the
 *   scenario is not about modes of persistence
 */
export function persistenceAnswer(
  result: ScenarioResult,
): { headline: string; paragraphs: string[]; caveats: string[]; pairs: number; share: number } | null {
  if (!result.axes.some((axis) => axis.field === MODE_FIELD && axis.values.length > 1)) return null;
  // What a reader can rely on is the real server; the embedded engine stands beside it.
  const targets = [...result.targets]
    .sort((a, b) => Number(a.kind === 'embedded') - Number(b.kind === 'embedded'))
    .map((target): [TargetResult, ModeFigures[]] => [target, modeFigures(result, target.id)]);
  const paragraphs = targets.map((one) => sentences(...one).join(' ')).filter((text) => text !== '');
  const first = targets[0];
  if (first === undefined || paragraphs.length === 0) return null;
  const advice = adviceText(first[1]);
  if (advice !== null) paragraphs.unshift(advice);
  const runs = result.cells.filter((cell) => cell.targetId === first[0].id).flatMap((cell) => cell.runs);
  return {
    headline: headlineOf(...first),
    paragraphs,
    caveats: caveatsOf(targets),
    // A headline that chance decides is not made surer by repetitions.
    pairs: scatter(first[1]) === null ? Math.min(...first[1].map((one) => one.pairs)) : 0,
    share: runs.filter(isBelieved).length / Math.max(1, runs.length),
  };
}
