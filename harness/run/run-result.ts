/** Turns what the driver, the server and the system reported about one run into its entry of the result document. */
import type { DurationSpec, EngineName, Scenario } from '../../scenarios/spec.ts';
import type { LoadReport } from '../driver/load-plan.ts';
import type { MachineUse, ProcessSample } from '../measure/process-sample.ts';
import { judgeValidity } from '../measure/validity.ts';
import type {
  CacheAsideResult,
  Guard,
  MemoryLedger,
  PersistenceResult,
  RunResult,
  RunStatus,
  ServerUsage,
} from '../result.ts';

export interface RunEvidence {
  scenario: Scenario;
  engine: EngineName;
  repetition: number;
  seed: string;
  report: LoadReport;
  /** The server's process at the start and the end of the measured phase; null for a remote or without /proc. */
  before: ProcessSample | null;
  after: ProcessSample | null;
  pid: number | null;
  memory: MemoryLedger | null;
  memoryPhases: RunResult['memoryPhases'];
  expectedHitRatio: number | null;
  stolenShare: number | null;
  machineUse: MachineUse | null;
  persistence: PersistenceResult | null;
  /** Why the run failed beside what the report says, or null. */
  failure: string | null;
}

/** Guards whose failure means wrong answers, not merely figures that cannot be trusted. */
const FATAL_GUARDS = new Set(['verification', 'errors']);
/** A full cache that may not evict refuses writes: a result to think about, no breakdown. */
const REFUSED_FOR_MEMORY = /^(OOM |SERVER_ERROR out of memory)/;

/** Mean of a latency distribution in ms. */
export function meanMs(spec: DurationSpec): number {
  switch (spec.kind) {
    case 'none':
      return 0;
    case 'fixed':
      return spec.ms;
    case 'uniform':
      return (spec.min + spec.max) / 2;
    case 'exponential':
      return spec.mean;
    default:
      return Math.min(spec.max, Math.max(spec.min, spec.median * Math.exp(spec.sigma ** 2 / 2)));
  }
}

function serverUsage(evidence: RunEvidence): ServerUsage | null {
  const { before, after, pid, report } = evidence;
  if (pid === null) return null;
  const same = before !== null && after !== null && before.startTicks === after.startTicks;
  const userS = same ? after.userS - before.userS : null;
  const systemS = same ? after.systemS - before.systemS : null;
  const childrenS = same ? Math.max(0, after.childrenS - before.childrenS) : null;
  return {
    pid,
    userS,
    systemS,
    childrenS,
    cpuUsPerOperation:
      userS !== null && systemS !== null && childrenS !== null && report.operations > 0
        ? ((userS + systemS + childrenS) / report.operations) * 1e6
        : null,
    rssBytes: after?.rssBytes ?? null,
    pssBytes: after?.pssBytes ?? null,
    peakRssBytes: after?.peakRssBytes ?? null,
  };
}

function cacheAside(scenario: Scenario, report: LoadReport): CacheAsideResult | null {
  if (scenario.cacheAside === null || report.userLatency === null) return null;
  const gets = report.hits + report.misses;
  return {
    user: report.userLatency,
    originRate: report.durationS > 0 ? report.originRequests / report.durationS : 0,
    originShare: gets > 0 ? report.originRequests / gets : 0,
    originMeanMs: meanMs(scenario.cacheAside.originLatency),
  };
}

function statusOf(
  failure: string | null,
  guards: readonly Guard[],
  errorTexts: Record<string, number>,
): { status: RunStatus; failure: string | null } {
  if (failure !== null) return { status: 'failed', failure };
  const texts = Object.keys(errorTexts);
  const onlyRefused = texts.length > 0 && texts.every((text) => REFUSED_FOR_MEMORY.test(text));
  const fatal = guards.find(
    (guard) => !guard.passed && FATAL_GUARDS.has(guard.name) && !(guard.name === 'errors' && onlyRefused),
  );
  if (fatal) return { status: 'failed', failure: fatal.detail };
  return { status: guards.every((guard) => guard.passed) ? 'ok' : 'inconclusive', failure: null };
}

/** memcached's pages may pass its limit by so much: it rounds, and keeps some pages in reserve. */
const LIMIT_EXCESS_MAX = 0.15;

/**
 * memcached gives each class of sizes a first page of 1 MiB even past `-m`. Where those pages are more than the limit, the limit decided
 * nothing, and a comparison with a server that kept to it would be unfair.
 * @returns null where there is nothing to judge
 */
export function memoryLimitGuard(engine: EngineName, memory: MemoryLedger | null): Guard | null {
  if (engine !== 'memcached' || !memory?.limit || memory.active === null) return null;
  const excess = memory.active / memory.limit - 1;
  const passed = excess <= LIMIT_EXCESS_MAX;
  const mib = (bytes: number) => `${(bytes / 2 ** 20).toFixed(1)} MiB`;
  const detail =
    `Slab pages take ${mib(memory.active)} under a limit of ${mib(memory.limit)}; bound ${Math.round(LIMIT_EXCESS_MAX * 100)} % more.` +
    (passed
      ? ''
      : ' Each class of sizes gets a first page of 1 MiB even past the limit: raise the limit, or let values differ less in size.');
  return { name: 'memory-limit', passed, detail };
}

/** What `appendfsync everysec` promises: a sync each second, and writes wait for one that takes longer than another. */
const EVERYSEC_LOSS_MAX_S = 2;

/**
 * A server that was crashed must start again, and lose nothing that it had acknowledged with `appendfsync always`, nothing older than two seconds with
 * `everysec`.
 */
export function persistenceGuards(persistence: PersistenceResult | null): Guard[] {
  const crash = persistence?.crash ?? null;
  if (persistence === null || crash === null) return [];
  const guards: Guard[] = [
    {
      name: 'recovery',
      passed: crash.failure === null,
      detail:
        crash.failure === null
          ? `After a crash the server answered again in ${crash.recoveryS?.toFixed(2)} s.`
          : `The crash could not be carried through, or the server did not come back: ${crash.failure}`,
    },
  ];
  if (persistence.mode === 'aof-always' && crash.lost !== null) {
    const detail = `${crash.lost} of ${crash.acknowledged} acknowledged writes were lost with appendfsync always; bound 0.`;
    guards.push({ name: 'durability', passed: crash.lost === 0, detail });
  }
  if ((persistence.mode === 'aof-everysec' || persistence.mode === 'aof-rdb') && crash.lost !== null) {
    const oldest = crash.oldestLostS ?? 0;
    const detail =
      `${crash.lost} of ${crash.acknowledged} acknowledged writes were lost with appendfsync everysec` +
      (crash.lost === 0 ? '; ' : `, the oldest ${oldest.toFixed(2)} s before the crash; `) +
      `bound ${EVERYSEC_LOSS_MAX_S} s.`;
    guards.push({ name: 'durability', passed: oldest <= EVERYSEC_LOSS_MAX_S, detail });
  }
  return guards;
}

export function toRunResult(evidence: RunEvidence): RunResult {
  const { scenario, report } = evidence;
  const gets = report.hits + report.misses;
  const validity = judgeValidity({
    ...report,
    expectedHitRatio: evidence.expectedHitRatio,
    stolenShare: evidence.stolenShare,
    machineUse: evidence.machineUse,
    verify: scenario.kind === 'load' && gets > 0 ? scenario.verify : 0,
  });
  const limit = memoryLimitGuard(evidence.engine, evidence.memory);
  if (limit !== null) validity.push(limit);
  validity.push(...persistenceGuards(evidence.persistence));
  const judged = statusOf(evidence.failure ?? report.aborted, validity, report.errorTexts);
  return {
    repetition: evidence.repetition,
    seed: evidence.seed,
    status: judged.status,
    failure: judged.failure,
    durationS: report.durationS,
    arrival: scenario.arrival.kind,
    offeredRate: report.offeredRate,
    achievedRate: report.durationS > 0 ? report.operations / report.durationS : 0,
    operations: report.operations,
    errors: report.errors,
    errorTexts: report.errorTexts,
    bytesSent: report.bytesSent,
    bytesReceived: report.bytesReceived,
    latency: report.latency,
    hits: report.hits,
    misses: report.misses,
    hitRatio: gets > 0 ? report.hits / gets : null,
    cacheAside: cacheAside(scenario, report),
    fanout: report.fanout === null ? null : { subscribers: scenario.fanout?.subscribers ?? 0, ...report.fanout },
    ...(evidence.persistence === null ? {} : { persistence: evidence.persistence }),
    verified: report.verified,
    timeline: report.timeline,
    server: serverUsage(evidence),
    memory: evidence.memory,
    memoryPhases: evidence.memoryPhases,
    client: {
      cpu: report.clientCpuS !== null && report.durationS > 0 ? report.clientCpuS / report.durationS : null,
      threads: report.threads,
      connections: report.connections,
      sendLag: report.sendLag,
    },
    validity,
  };
}

/** The report of a run that never came to its measured phase. */
export function emptyReport(scenario: Scenario): LoadReport {
  return {
    durationS: 0,
    offeredRate: scenario.arrival.kind === 'open' ? scenario.arrival.rate : null,
    operations: 0,
    errors: 0,
    errorTexts: {},
    bytesSent: 0,
    bytesReceived: 0,
    latency: [],
    hits: 0,
    misses: 0,
    originRequests: 0,
    userLatency: null,
    sendLag: null,
    verified: { checked: 0, wrong: 0 },
    timeline: [],
    clientCpuS: null,
    threads: scenario.threads,
    connections: scenario.connections,
    aborted: null,
    fanout: null,
  };
}
