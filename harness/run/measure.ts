/**
 * One measurement: one cell of the matrix on one target, once. A server that the harness starts is a fresh process each
 * time, because what came before stays in a server that is merely flushed: memcached keeps its slab pages in the classes
 * they were given to, an allocator keeps its fragmentation, hash tables keep their size. A server elsewhere is given up its
 * own keys of the last measurement instead.
 */
import type { Scenario } from '../../scenarios/spec.ts';
import type { LoadPlan, LoadReport } from '../driver/load-plan.ts';
import {
  type MachineUse,
  machineUse,
  type ProcessSample,
  sampleMachine,
  sampleProcess,
  stolenShare,
} from '../measure/process-sample.ts';
import type { MemoryLedger, MemoryPhase, RunResult, TimelineRow } from '../result.ts';
import type { RunningTarget, Target, TargetFacts } from '../target/target.ts';
import { expectedHitRatio } from '../workload/dataset-totals.ts';
import { crash } from './crash.ts';
import type { LoadDriver } from './load-driver.ts';
import { PersistenceWatch, saveDataSet } from './persistence-watch.ts';
import { grouped, type Progress } from './progress.ts';
import { RunError } from './run-error.ts';
import { emptyReport, toRunResult } from './run-result.ts';
import { isOnThisMachine } from './same-machine.ts';

/** A driver that does not come back so long after its time is told to stop … */
const OVERTIME_S = 60;
/** … and is given up after so much more. */
const GIVE_UP_S = 15;
/** So long after a failure we wait to hear that the server's process has ended. */
const DEATH_NEWS_MS = 500;

export interface Measurement {
  target: Target;
  scenario: Scenario;
  limitBytes: number;
  datasetBytes: number;
  /** Keys of the data set, counters among them. */
  entries: number;
  repetition: number;
  seed: string;
  driver: LoadDriver;
  progress: Progress;
  signal: AbortSignal;
  /** Called with what the server says about itself, once it is up. */
  onFacts: (running: RunningTarget, facts: TargetFacts) => void;
}

/** Never throws for what a target or a driver does: the failure is in the result. */
export async function measure(measurement: Measurement): Promise<RunResult> {
  const { scenario, repetition, seed, target } = measurement;
  const phases: MemoryPhase[] = [];
  let running: RunningTarget | null = null;
  try {
    measurement.progress.phase('starting', null);
    running = await target.start({
      scenario,
      limitBytes: measurement.limitBytes,
      datasetBytes: measurement.datasetBytes,
      entries: measurement.entries,
    });
    return await measureRunning(measurement, running, phases);
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    const died = running && (await causeOfDeath(running, true));
    return toRunResult({
      scenario,
      engine: target.spec.engine,
      repetition,
      seed,
      report: emptyReport(scenario),
      before: null,
      after: null,
      pid: running?.pid ?? null,
      memory: null,
      memoryPhases: phases,
      expectedHitRatio: null,
      stolenShare: null,
      machineUse: null,
      persistence: null,
      failure: measurement.signal.aborted ? 'interrupted before the measured phase' : died ? `${died}: ${text}` : text,
    });
  } finally {
    await running?.stop().catch(() => {});
  }
}

async function measureRunning(
  measurement: Measurement,
  running: RunningTarget,
  phases: MemoryPhase[],
): Promise<RunResult> {
  const { scenario, repetition, seed, driver, progress, signal } = measurement;
  const isRemote = running.pid === null;
  const facts = await running.facts();
  measurement.onFacts(running, facts);
  if (isRemote) await running.flush();
  const empty = await running.memory();
  phases.push(phaseOf('start', empty));
  refuseTinyLimit(empty);
  const plan: LoadPlan = {
    endpoint: running.endpoint,
    scenario,
    seed,
    eventLoop: 'auto',
  };
  if (scenario.kind === 'load' && scenario.dataset.preload > 0) {
    progress.phase('preloading', null);
    await driver.preload(plan, { signal, onInterval: (row) => progress.tick(row) });
    signal.throwIfAborted();
    phases.push(phaseOf('preloaded', await running.memory()));
  }
  if (running.persistent && scenario.persistence !== null) {
    progress.phase('saving', null);
    await saveDataSet(running.persistent, scenario.persistence.mode, signal);
  }
  await running.resetStats();
  const watched = await watchLoad(measurement, running, plan);
  progress.phase('reading memory', null);
  const ledger = await running.memory().catch(() => null);
  const memory = ledger && withPayload(ledger, measurement);
  const persistence = watched.persistence?.result() ?? null;
  if (memory) phases.push(phaseOf('measured', memory));
  if (isRemote) await running.flush().catch(() => null);
  const died = await causeOfDeath(running, memory === null || watched.report.aborted !== null);
  if (persistence !== null && scenario.persistence?.crash === true && died === null && !signal.aborted) {
    progress.phase('crashing', null);
    persistence.crash = await crash(running.persistent!, running.endpoint, scenario.persistence.mode, seed);
  }
  const interrupted = signal.aborted ? 'interrupted: only a part of the measured phase is here' : null;
  return toRunResult({
    scenario,
    engine: measurement.target.spec.engine,
    repetition,
    seed,
    report: watched.report,
    before: watched.before,
    after: watched.after,
    pid: running.pid,
    memory,
    memoryPhases: phases,
    // A server elsewhere may have a limit that we do not know of.
    expectedHitRatio: isRemote ? null : expectedHitRatio(scenario),
    stolenShare: watched.stolen,
    machineUse: watched.use,
    persistence,
    failure: interrupted ?? (died ? `${died}${watched.report.aborted ? `: ${watched.report.aborted}` : ''}` : null),
  });
}

/** A limit below what the empty server takes refuses every write (redis) and says nothing about the workload. */
function refuseTinyLimit(empty: MemoryLedger): void {
  const taken = Number(empty.raw['used_memory'] ?? Number.NaN);
  if (empty.keys !== 0 || empty.limit === null || !(taken >= empty.limit)) return;
  throw new RunError(
    `the memory limit of ${grouped(empty.limit)} bytes is less than the empty server itself takes (${grouped(taken)} bytes): raise memory.limit, or make the data set larger`,
  );
}

/** @param suspected something went wrong: the news of a process's end may come a moment after its connections broke */
async function causeOfDeath(running: RunningTarget, suspected: boolean): Promise<string | null> {
  const deadline = performance.now() + (suspected && running.pid !== null ? DEATH_NEWS_MS : 0);
  while (running.died() === null && performance.now() < deadline) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return running.died();
}

interface Watched {
  report: LoadReport;
  before: ProcessSample | null;
  after: ProcessSample | null;
  stolen: number | null;
  use: MachineUse | null;
  /** What the server did with its files; null where nothing was asked. */
  persistence: PersistenceWatch | null;
}

/** Runs the load and looks at the server's process at the edges of the measured phase and in each interval. */
async function watchLoad(measurement: Measurement, running: RunningTarget, plan: LoadPlan): Promise<Watched> {
  const { scenario, driver, progress, signal } = measurement;
  const { pid } = running;
  let before: ProcessSample | null = null;
  let after: ProcessSample | null = null;
  let machineBefore = sampleMachine();
  let machineAfter = machineBefore;
  let ownBefore = process.cpuUsage();
  let ownAfter = ownBefore;
  let last: { sample: ProcessSample; atMs: number } | null = null;
  const seen = new Map<number, { rss: number; serverCpu: number }>();
  const { persistent = null } = running;
  const persistence =
    persistent !== null && scenario.persistence !== null
      ? new PersistenceWatch(persistent, scenario.persistence)
      : null;
  const overtime = new AbortController();
  const stop = (): void => overtime.abort(signal.reason);
  signal.addEventListener('abort', stop, { once: true });
  if (signal.aborted) stop();
  progress.phase(scenario.warmUpS > 0 ? 'warming up' : 'measuring', scenario.warmUpS || scenario.durationS);
  const onInterval = (row: TimelineRow, phase: string): void => {
    progress.tick(row);
    if (phase !== 'measure' || pid === null) return;
    const sample = sampleProcess(pid);
    const atMs = performance.now();
    if (sample === null) return;
    if (last !== null && atMs > last.atMs) {
      // A child that ends between two looks may be missed once.
      const cpuS = Math.max(0, cpuBetween(last.sample, sample) ?? 0);
      seen.set(row.t, { rss: sample.rssBytes, serverCpu: (cpuS * 1_000) / (atMs - last.atMs) });
    }
    last = { sample, atMs };
  };
  const load = driver.runLoad(plan, {
    signal: overtime.signal,
    onInterval,
    onMeasureStart: () => {
      before = pid === null ? null : sampleProcess(pid);
      last = before && { sample: before, atMs: performance.now() };
      machineBefore = sampleMachine();
      ownBefore = process.cpuUsage();
      persistence?.start();
      progress.phase('measuring', scenario.durationS);
    },
    onMeasureEnd: () => {
      after = pid === null ? null : sampleProcess(pid);
      machineAfter = sampleMachine();
      ownAfter = process.cpuUsage(ownBefore);
    },
  });
  const budgetS = scenario.warmUpS + scenario.durationS + OVERTIME_S;
  const timers: NodeJS.Timeout[] = [];
  const tooLate = new Promise<never>((_resolve, reject) => {
    timers.push(setTimeout(() => overtime.abort(new Error('overtime')), budgetS * 1_000));
    const text = `the load did not end ${OVERTIME_S + GIVE_UP_S} s after its time`;
    timers.push(setTimeout(() => reject(new Error(text)), (budgetS + GIVE_UP_S) * 1_000));
  });
  try {
    const report = await Promise.race([load, tooLate]);
    // PSS costs a walk over all mappings, so it is read once, outside the measured phase.
    const pss = pid === null ? null : sampleProcess(pid, true);
    const end = after as ProcessSample | null;
    if (end !== null && pss !== null && pss.startTicks === end.startTicks) end.pssBytes = pss.pssBytes;
    await persistence?.stop();
    persistence?.fill(report.timeline);
    for (const row of report.timeline) {
      const sampled = seen.get(row.t);
      row.rss ??= sampled?.rss ?? null;
      row.serverCpu ??= sampled?.serverCpu ?? null;
    }
    // A server that is none of our processes but on this machine would count among the others, so there nothing is told of them.
    const elsewhere = pid === null && !(await isOnThisMachine(plan.endpoint.address));
    const serverS = elsewhere ? 0 : cpuBetween(before, end);
    const use =
      serverS === null
        ? null
        : machineUse(machineBefore, machineAfter, serverS + (ownAfter.user + ownAfter.system) / 1e6);
    return { report, before, after: end, stolen: stolenShare(machineBefore, machineAfter), use, persistence };
  } finally {
    for (const timer of timers) clearTimeout(timer);
    signal.removeEventListener('abort', stop);
    await persistence?.stop();
  }
}

/** Seconds of CPU of a process and its children between two samples of it; null where it is not the same one. */
function cpuBetween(before: ProcessSample | null, after: ProcessSample | null): number | null {
  if (before === null || after === null || before.startTicks !== after.startTicks) return null;
  const total = ({ userS, systemS, childrenS }: ProcessSample): number => userS + systemS + childrenS;
  return total(after) - total(before);
}

/** Fills in the payload: servers that do not count it hold a share of the data set whose average we know. */
function withPayload(ledger: MemoryLedger, { scenario, entries, datasetBytes }: Measurement): MemoryLedger {
  if (ledger.payload !== null || ledger.keys === null || scenario.kind !== 'load') return ledger;
  return {
    ...ledger,
    payload: Math.round((ledger.keys / entries) * datasetBytes),
    payloadIs: 'estimated',
  };
}

function phaseOf(phase: MemoryPhase['phase'], ledger: MemoryLedger): MemoryPhase {
  const { keys, used, allocated, active, resident, rss } = ledger;
  return { phase, keys, used, allocated, active, resident, rss };
}
