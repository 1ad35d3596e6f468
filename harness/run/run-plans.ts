/**
 * From scenarios to one result document: the product of cells, targets and repetitions, measured one after the other.
 *
 * Order: repetitions are outermost and targets innermost, and the target that goes first changes from one round to the
 * next. A machine that grows slower over minutes, or is disturbed for some, then meets all targets alike; compared are
 * figures that were taken side by side.
 */
import type { Scenario, ScenarioPlan, TargetSpec } from '../../scenarios/spec.ts';
import { withoutSecrets } from '../../scenarios/targets.ts';
import { judge } from '../compare/verdict.ts';
import {
  type CellResult,
  RESULT_VERSION,
  type ResultDocument,
  type RunResult,
  type ScenarioResult,
  type TargetResult,
  type Verdict,
} from '../result.ts';
import { createTarget } from '../target/create-target.ts';
import { maskCredentials } from '../target/remote-url.ts';
import { ServerKeeper } from '../target/server-keeper.ts';
import type { RunningTarget, Target, TargetFacts } from '../target/target.ts';
import { datasetBytes } from '../workload/dataset-totals.ts';
import type { LoadDriver } from './load-driver.ts';
import { machineFacts } from './machine-facts.ts';
import { measure } from './measure.ts';
import { grouped, type Progress } from './progress.ts';
import { ResultStore, runId } from './result-store.ts';
import { RunError } from './run-error.ts';

export interface RunOptions {
  plans: readonly ScenarioPlan[];
  /** Folder that receives a folder for this run. */
  out: string;
  commandLine: readonly string[];
  cachelabVersion: string;
  allowFlush: boolean;
  driver: LoadDriver;
  progress: Progress;
  /** Aborts the run in order; what was measured is kept. */
  signal: AbortSignal;
}

export interface RunOutcome {
  document: ResultDocument;
  /** Folder of the run, with result.json in it. */
  folder: string;
  /** Set where the result could not be kept on disk: the reason in one line. */
  writeError: string | null;
}

/** Text of a result while the run goes on: what a reader finds after a crash of the harness. */
const NOT_FINISHED = 'the run has not finished';

const NO_VERDICT: Verdict = {
  headline: 'Not measured',
  text: 'Nothing was measured, so there is no answer.',
  confidence: 'low',
  caveats: [],
};

/**
 * @throws RunError when nothing can be written at the start, or no target is left
 * @throws TargetError when a remote's URL cannot be read
 */
export async function runPlans(options: RunOptions): Promise<RunOutcome> {
  const startedAt = new Date();
  const store = new ResultStore(options.out, runId(startedAt, options.plans.map((plan) => plan.name).join('+')));
  const document: ResultDocument = {
    format: 'cachelab-result',
    version: RESULT_VERSION,
    run: {
      id: store.id,
      startedAt: startedAt.toISOString(),
      finishedAt: null,
      status: 'partial',
      partialReason: NOT_FINISHED,
      commandLine: options.commandLine.map(maskCredentials),
      cachelabVersion: options.cachelabVersion,
    },
    machine: machineFacts(),
    scenarios: [],
  };
  store.save(document);
  const keeper = new ServerKeeper();
  let writeError: string | null = null;
  try {
    const prepared = options.plans.map((plan) => prepare(plan, keeper, options, document));
    const counter = { index: 0, total: prepared.reduce((sum, one) => sum + one.total, 0) };
    for (const one of prepared) {
      if (options.signal.aborted) break;
      await runScenario(one, options, counter, () => store.save(document));
    }
    finish(document, options.signal);
    store.save(document);
  } catch (error) {
    // What was measured stays in memory even where it cannot be written: the caller can still show it.
    if (!(error instanceof RunError) || !error.message.startsWith('Cannot write')) throw error;
    writeError = error.message;
    finish(document, options.signal);
    document.run.status = 'partial';
    document.run.partialReason = error.message;
  } finally {
    await keeper.close();
    options.progress.close();
  }
  return { document, folder: store.folder, writeError };
}

interface Prepared {
  plan: ScenarioPlan;
  result: ScenarioResult;
  targets: Target[];
  total: number;
}

function prepare(plan: ScenarioPlan, keeper: ServerKeeper, options: RunOptions, document: ResultDocument): Prepared {
  const first = plan.cells[0]?.scenario;
  if (first === undefined) throw new RunError(`Cannot run ${plan.name}: its matrix has no cell`);
  const result: ScenarioResult = {
    name: plan.name,
    title: plan.title,
    question: plan.question,
    source: plan.source,
    yaml: maskCredentials(plan.yaml),
    kind: first.kind,
    axes: plan.axes,
    settings: { ...withoutSecrets(first) },
    targets: [],
    skippedTargets: [],
    cells: [],
    verdict: NO_VERDICT,
    notes: [],
  };
  const targets: Target[] = [];
  for (const spec of first.targets) {
    const target = createTarget(spec, keeper, { allowFlush: options.allowFlush });
    if (target.missing === null) {
      targets.push(target);
      continue;
    }
    if (!spec.optional) throw new RunError(`Cannot run ${plan.name}: target ${spec.label}: ${target.missing}`);
    result.skippedTargets.push({ id: spec.id, label: spec.label, reason: target.missing });
    options.progress.note(`${plan.name}: without ${spec.label}, because ${target.missing}`);
  }
  if (targets.length === 0) throw new RunError(`Cannot run ${plan.name}: none of its targets is there`);
  document.scenarios.push(result);
  const total = plan.cells.reduce((sum, cell) => sum + cell.scenario.repetitions * targets.length, 0);
  return { plan, result, targets, total };
}

async function runScenario(
  prepared: Prepared,
  options: RunOptions,
  counter: { index: number; total: number },
  save: () => void,
): Promise<void> {
  const { plan, result, targets } = prepared;
  const cells = plan.cells.map((cell) => ({ ...cell, sized: sizes(cell.scenario) }));
  const rounds = Math.max(...cells.map((cell) => cell.scenario.repetitions));
  let turn = 0;
  for (let repetition = 1; repetition <= rounds; repetition++) {
    for (const cell of cells) {
      if (repetition > cell.scenario.repetitions) continue;
      for (let i = 0; i < targets.length; i++) {
        if (options.signal.aborted) return;
        const target = targets[(i + turn) % targets.length] as Target;
        options.progress.begin({
          index: ++counter.index,
          total: counter.total,
          target: target.spec.label,
          cell: describeAxis(cell.axis),
          repetition,
          repetitions: cell.scenario.repetitions,
        });
        const run = await measure({
          target,
          scenario: cell.scenario,
          ...cell.sized,
          repetition,
          // The same for all targets: they are asked the same questions in the same order.
          seed: `${cell.scenario.seed}/${repetition}`,
          driver: options.driver,
          progress: options.progress,
          signal: options.signal,
          onFacts: (running, facts) => recordTarget(result, target.spec, running, facts),
        });
        addRun(result, cell.axis, target.spec.id, run);
        sortAsPlanned(prepared);
        options.progress.end(describeRun(run));
        result.verdict = judge(result);
        save();
      }
      turn++;
    }
  }
}

interface Sizes {
  limitBytes: number;
  datasetBytes: number;
  entries: number;
}

function sizes(scenario: Scenario): Sizes {
  if (scenario.kind !== 'load') return { limitBytes: scenario.memory.limitBytes, datasetBytes: 0, entries: 0 };
  const totals = datasetBytes(scenario);
  const { limitBytes, limitShare } = scenario.memory;
  return {
    datasetBytes: totals.bytes,
    entries: totals.entries,
    limitBytes: limitShare > 0 ? Math.round(limitShare * totals.bytes) : limitBytes,
  };
}

/** Facts of the first start stand for the target; cells that changed its limit or policy say so in their axis. */
function recordTarget(result: ScenarioResult, spec: TargetSpec, running: RunningTarget, facts: TargetFacts): void {
  for (const note of running.notes) {
    const text = `${spec.label}: ${note}`;
    if (!result.notes.includes(text)) result.notes.push(text);
  }
  if (result.targets.some((target) => target.id === spec.id)) return;
  const polling = result.kind === 'pubsub-fanout' && spec.engine === 'memcached';
  const entry: TargetResult = {
    id: spec.id,
    label: spec.label,
    engine: spec.engine,
    kind: spec.kind,
    version: facts.version,
    configuration: facts.configuration,
    commandLine: running.commandLine && maskFlags(running.commandLine),
    address: running.address,
    keysBefore: facts.keysBefore,
    remark: polling ? 'Polling of a key stands in for pub/sub, which memcached does not have.' : null,
  };
  result.targets.push(entry);
}

/** The words of a command line without the passwords in it. */
function maskFlags(words: readonly string[]): string[] {
  return words.map((word, i) => (/^--?(requirepass|masterauth)$/i.test(words[i - 1] ?? '') ? '***' : word));
}

function addRun(result: ScenarioResult, axis: CellResult['axis'], targetId: string, run: RunResult): void {
  const same = result.cells.find(
    (cell) => cell.targetId === targetId && JSON.stringify(cell.axis) === JSON.stringify(axis),
  );
  if (same) same.runs.push(run);
  else result.cells.push({ axis, targetId, runs: [run] });
}

/** Measured in changing order, shown in the order of the scenario. */
function sortAsPlanned({ plan, result, targets }: Prepared): void {
  const targetOrder = targets.map((target) => target.spec.id);
  const cellOrder = plan.cells.map((cell) => JSON.stringify(cell.axis));
  result.targets.sort((a, b) => targetOrder.indexOf(a.id) - targetOrder.indexOf(b.id));
  result.cells.sort(
    (a, b) =>
      cellOrder.indexOf(JSON.stringify(a.axis)) - cellOrder.indexOf(JSON.stringify(b.axis)) ||
      targetOrder.indexOf(a.targetId) - targetOrder.indexOf(b.targetId),
  );
}

export function describeAxis(axis: CellResult['axis']): string {
  return Object.entries(axis)
    .map(([field, value]) => `${field}=${value}`)
    .join(' ');
}

/** One line about a finished measurement. */
export function describeRun(run: RunResult): string {
  if (run.status === 'failed') return `FAILED: ${run.failure}`;
  const all = run.latency.find((entry) => entry.kind === 'all') ?? run.latency.find((e) => e.kind === 'delivery');
  const parts = [`${grouped(run.achievedRate)} operations/s`];
  if (run.fanout) parts[0] = `${grouped(run.fanout.deliveries / Math.max(run.durationS, 1e-9))} deliveries/s`;
  if (all) parts.push(`p50 ${grouped(all.response.p50)} µs`, `p99 ${grouped(all.response.p99)} µs`);
  if (run.hitRatio !== null) parts.push(`${(100 * run.hitRatio).toFixed(1)} % hits`);
  if (run.status === 'inconclusive') {
    const failed = run.validity.filter((guard) => !guard.passed).map((guard) => guard.name);
    parts.push(`INCONCLUSIVE (${failed.join(', ')})`);
  }
  return parts.join(', ');
}

function finish(document: ResultDocument, signal: AbortSignal): void {
  document.run.finishedAt = new Date().toISOString();
  const runs = document.scenarios.flatMap((scenario) => scenario.cells.flatMap((cell) => cell.runs));
  const failed = runs.find((run) => run.status === 'failed');
  if (signal.aborted) {
    document.run.partialReason = 'interrupted by the user; measurements until then are kept';
  } else if (failed) {
    document.run.partialReason = `a measurement failed: ${failed.failure}`;
  } else {
    document.run.status = 'complete';
    document.run.partialReason = null;
  }
}
