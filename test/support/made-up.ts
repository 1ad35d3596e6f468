/** Made-up results, for tests of what is concluded from them. */
import type {
  CellResult,
  LatencySummary,
  MemoryLedger,
  RunResult,
  ScenarioResult,
  TargetResult,
} from '../../harness/result.ts';

export function latency(p50: number, p99: number, count = 10_000): LatencySummary {
  return {
    count,
    min: p50 / 2,
    mean: p50 * 1.1,
    stddev: p50 / 4,
    max: p99 * 3,
    p50,
    p75: p50 * 1.2,
    p90: p50 * 1.5,
    p95: p50 * 2,
    p99,
    p999: p99 * 1.5,
    p9999: p99 * 2,
    curve: [
      [0, p50 / 2],
      [50, p50],
      [99, p99],
      [100, p99 * 3],
    ],
    histogram: null,
  };
}

export interface MadeUp {
  rate?: number;
  p50?: number;
  p99?: number;
  hitRatio?: number | null;
  cpu?: number;
  evictions?: number;
  payload?: number;
  status?: RunResult['status'];
  failure?: string;
  failedGuard?: string;
  /** Hit ratio in the first and the second half of the run. */
  halves?: [number, number];
}

export function makeRun(repetition: number, over: MadeUp = {}): RunResult {
  const { rate = 50_000, p50 = 80, p99 = 300, hitRatio = null, cpu = 10, evictions = 0, payload = 1_000_000 } = over;
  const operations = Math.round(rate * 2);
  const hits = hitRatio === null ? 0 : Math.round(operations * hitRatio);
  const memory: MemoryLedger = {
    keys: 1_000,
    payload,
    payloadIs: 'exact',
    used: payload * 1.3,
    allocated: payload * 1.4,
    active: payload * 1.5,
    resident: payload * 1.6,
    rss: payload * 2,
    limit: null,
    evictions,
    expired: 0,
    raw: {},
  };
  const entry = { kind: 'all', count: operations, errors: 0, response: latency(p50, p99), service: latency(p50, p99) };
  return {
    repetition,
    seed: `1/${repetition}`,
    status: over.status ?? (over.failedGuard ? 'inconclusive' : 'ok'),
    failure: over.failure ?? null,
    durationS: 2,
    arrival: 'closed',
    offeredRate: null,
    achievedRate: rate,
    operations,
    errors: 0,
    errorTexts: {},
    bytesSent: 1,
    bytesReceived: 1,
    latency: [entry],
    hits,
    misses: hitRatio === null ? 0 : operations - hits,
    hitRatio,
    cacheAside: null,
    fanout: null,
    verified: { checked: 10, wrong: 0 },
    timeline: (over.halves ?? []).map((share, i) => ({
      t: i + 1,
      operations: 1_000,
      errors: 0,
      hits: 1_000 * share,
      misses: 1_000 * (1 - share),
      p50,
      p99,
      p999: p99,
      max: p99,
      rss: null,
      serverCpu: null,
    })),
    server: {
      pid: 1,
      userS: 1,
      systemS: 1,
      cpuUsPerOperation: cpu,
      rssBytes: 1,
      pssBytes: 1,
      peakRssBytes: 1,
    },
    memory,
    client: { cpu: 0.5, threads: 1, connections: 10, sendLag: null },
    validity: over.failedGuard
      ? [{ name: over.failedGuard, passed: false, detail: `${over.failedGuard} was out of bounds.` }]
      : [{ name: 'errors', passed: true, detail: 'No errors.' }],
  };
}

export function makeTargetResult(over: Partial<TargetResult> = {}): TargetResult {
  return {
    id: 'redis',
    label: 'redis-server',
    engine: 'redis',
    kind: 'spawned',
    version: '7.0.15',
    configuration: {},
    commandLine: ['redis-server'],
    address: 'redis://127.0.0.1:1',
    keysBefore: 0,
    remark: null,
    ...over,
  };
}

export const REDIS = makeTargetResult();
export const MEMCACHED = makeTargetResult({ id: 'memcached', label: 'memcached', engine: 'memcached' });

export function makeScenarioResult(
  targets: TargetResult[],
  cells: CellResult[],
  over: Partial<ScenarioResult> = {},
): ScenarioResult {
  return {
    name: 'made-up',
    title: 'Made up',
    question: 'Which?',
    source: 'made-up.yaml',
    yaml: '',
    kind: 'load',
    axes: [],
    settings: {},
    targets,
    skippedTargets: [],
    cells,
    verdict: { headline: '', text: '', confidence: 'low', caveats: [] },
    notes: [],
    ...over,
  };
}

/** One cell of each target, with the figures of its repetitions. */
export function pairOf(redis: MadeUp[], memcached: MadeUp[], axis: CellResult['axis'] = {}): CellResult[] {
  return [
    { axis, targetId: 'redis', runs: redis.map((run, i) => makeRun(i + 1, run)) },
    { axis, targetId: 'memcached', runs: memcached.map((run, i) => makeRun(i + 1, run)) },
  ];
}
