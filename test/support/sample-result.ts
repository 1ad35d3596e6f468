/** Made-up result documents for tests of reports: every field filled, deterministic, with hostile texts where asked. */
import type {
  CellResult,
  LatencySummary,
  ResultDocument,
  RunResult,
  ScenarioResult,
  TargetResult,
} from '../../harness/result.ts';

/** Names and server strings that try to break out of every format. */
export const HOSTILE = '<script>alert(1)</script>|`*_[x](javascript:alert(1))"\'&\u001b[31m\u202e';

export function sampleLatency(scaleUs: number): LatencySummary {
  const at = (percentile: number) =>
    scaleUs * (1 + percentile / 100 + 0.08 * Math.log10(1 / (1.00001 - percentile / 100)) ** 2.4);
  const percentiles = [0, 10, 25, 50, 75, 90, 95, 99, 99.5, 99.9, 99.99, 99.999];
  return {
    count: 100_000,
    min: at(0),
    mean: at(50),
    stddev: scaleUs / 3,
    max: at(99.9999),
    p50: at(50),
    p75: at(75),
    p90: at(90),
    p95: at(95),
    p99: at(99),
    p999: at(99.9),
    p9999: at(99.99),
    curve: [...percentiles.map((p): [number, number] => [p, at(p)]), [100, at(99.9999)]],
    histogram: null,
  };
}

export function sampleRun(index: number, overrides: Partial<RunResult> = {}): RunResult {
  const scale = 80 + 25 * index;
  const both = (kind: string, count: number) => ({
    kind,
    count,
    errors: 0,
    response: { ...sampleLatency(scale * 1.2), count },
    service: { ...sampleLatency(scale), count },
  });
  return {
    repetition: 1,
    seed: `sample:${index}`,
    status: 'ok',
    failure: null,
    durationS: 6,
    arrival: 'open',
    offeredRate: 20_000,
    achievedRate: 20_000 - 35 * index,
    operations: 120_000,
    errors: 0,
    errorTexts: {},
    bytesSent: 9_000_000,
    bytesReceived: 48_000_000,
    latency: [both('all', 120_000), both('get', 108_000), both('set', 12_000)],
    hits: 97_000,
    misses: 11_000,
    hitRatio: 0.9 - index * 0.013,
    cacheAside: {
      user: sampleLatency(scale * 3),
      originRate: 1_800 + 100 * index,
      originShare: 0.1 + index * 0.013,
      originMeanMs: 5,
    },
    fanout: null,
    verified: { checked: 1_000, wrong: 0 },
    timeline: [1, 2, 3, 4, 5, 6].map((t) => ({
      t,
      operations: 20_000 - 30 * index - (t === 4 ? 900 : 0),
      errors: 0,
      hits: 16_000,
      misses: 2_000,
      p50: scale,
      p99: scale * 2.3 + (t === 4 ? 700 : 0),
      p999: scale * 4,
      max: scale * 9,
      rss: 30e6 + t * 1e6,
      serverCpu: 0.3 + index * 0.02,
    })),
    server: {
      pid: 4_000 + index,
      userS: 0.9,
      systemS: 1.1,
      cpuUsPerOperation: 9 + index,
      rssBytes: 36e6 + index * 4e6,
      pssBytes: 33e6,
      peakRssBytes: 38e6,
    },
    memory: {
      keys: 80_000,
      payload: 14e6,
      payloadIs: index % 2 === 0 ? 'exact' : 'estimated',
      used: 20e6 + index * 5e5,
      allocated: 21e6 + index * 5e5,
      active: 22.5e6 + index * 5e5,
      resident: 26e6,
      rss: 36e6 + index * 4e6,
      limit: 24e6,
      evictions: 12_345,
      expired: 12,
      raw: { used_memory: '20000000' },
    },
    client: { cpu: 0.6, threads: 1, connections: 32, sendLag: sampleLatency(5) },
    validity: [
      { name: 'client-cpu', passed: true, detail: 'driver threads used 0.60 of 1 core; the bound is 0.90' },
      { name: 'achieved-rate', passed: true, detail: '99.9 % of the offered rate was achieved; the bound is 99 %' },
    ],
    ...overrides,
  };
}

/** What a run of a scenario about persistence has beside the rest. */
export function samplePersistence(index: number): NonNullable<RunResult['persistence']> {
  return {
    mode: 'aof-rdb',
    events: [
      { t: 1.5, kind: 'snapshot-start' },
      { t: 2, kind: 'fsync' },
      { t: 2.2, kind: 'write-postponed' },
      { t: 3.25 + index / 100, kind: 'snapshot-end' },
    ],
    snapshots: 1,
    rewrites: 0,
    snapshotS: 1.75,
    pauseUs: 900,
    copiedBytes: 5e6,
    delayedFsyncs: 1,
    files: [
      { name: 'appendonlydir/appendonly.aof.1.incr.aof', bytes: 9e6 },
      { name: 'dump.rdb', bytes: 6e6 },
    ],
    crash: {
      acknowledged: 20_000,
      lost: 12 + index,
      oldestLostS: 0.8,
      recoveryS: 0.4,
      keysBefore: 80_000,
      keysAfter: 100_000,
      failure: null,
    },
  };
}

export function sampleTargets(): TargetResult[] {
  const target = (
    id: string,
    label: string,
    engine: 'redis' | 'memcached',
    kind: 'embedded' | 'spawned',
  ): TargetResult => ({
    id,
    label,
    engine,
    kind,
    version: engine === 'redis' ? '7.0.15' : '1.6.18',
    configuration: { maxmemory: '24000000', 'maxmemory-policy': 'allkeys-lru' },
    commandLine: [engine, '--port', '0'],
    address: '127.0.0.1:7001',
    keysBefore: 0,
    remark: null,
  });
  return [
    target('embedded-redis', 'Redis-like (embedded)', 'redis', 'embedded'),
    target('embedded-memcached', 'Memcached-like (embedded)', 'memcached', 'embedded'),
    target('redis', 'redis-server', 'redis', 'spawned'),
    target('memcached', 'memcached', 'memcached', 'spawned'),
  ];
}

export interface SampleOptions {
  axes?: ScenarioResult['axes'];
  repetitions?: number;
  hostile?: boolean;
}

export function sampleScenario(options: SampleOptions = {}): ScenarioResult {
  const axes = options.axes ?? [];
  const targets = sampleTargets();
  if (options.hostile) targets[0]!.label = HOSTILE;
  let combinations: CellResult['axis'][] = [{}];
  for (const axis of axes) {
    combinations = combinations.flatMap((base) => axis.values.map((value) => ({ ...base, [axis.field]: value })));
  }
  const cells = combinations.flatMap((axis, c) =>
    targets.map((target, t) => ({
      axis,
      targetId: target.id,
      runs: Array.from({ length: options.repetitions ?? 1 }, (_, r) =>
        sampleRun(t + c * 0.3 + r * 0.1, { repetition: r + 1, seed: `sample:${r}` }),
      ),
    })),
  );
  return {
    name: 'sample',
    title: options.hostile ? HOSTILE : 'A small cache-aside mix',
    question: options.hostile
      ? HOSTILE
      : 'Which of the four answers a small read-mostly cache fastest, and what does it hold?',
    source: 'sample.yaml',
    yaml: options.hostile ? `title: ${HOSTILE}\n</pre>` : 'title: A small cache-aside mix\nkeys: 100000\n',
    kind: 'load',
    axes,
    settings: { seed: 'sample', connections: 32 },
    targets,
    skippedTargets: [{ id: 'extra', label: 'valkey-server', reason: 'valkey-server is not on PATH' }],
    cells,
    verdict: {
      headline: options.hostile ? HOSTILE : 'memcached keeps more of this data set in the same memory.',
      text: 'In the same 24 MB memcached held 4 % more keys and answered 91.2 % of the gets; redis-server answered 89.9 %. At 20,000 operations a second both were far from saturation, and their 99th percentiles lie within each other’s spread.',
      confidence: 'medium',
      caveats: ['One machine: client and servers share two cores.'],
    },
    notes: ['memcached’s limit was rounded up to 23 MiB.'],
  };
}

export function sampleResult(scenarios: ScenarioResult[] = [sampleScenario()]): ResultDocument {
  return {
    format: 'cachelab-result',
    version: 1,
    run: {
      id: '2026-11-23T01-00-00-sample',
      startedAt: '2026-11-23T01:00:00.000Z',
      finishedAt: '2026-11-23T01:00:48.000Z',
      status: 'complete',
      partialReason: null,
      commandLine: ['cachelab', 'run', 'sample', '--set', 'title=a b'],
      cachelabVersion: '0.1.0',
    },
    machine: {
      hostname: 'bench',
      platform: 'linux x64',
      kernel: '6.18',
      cpuModel: 'Example CPU',
      cpus: 2,
      memoryBytes: 24 * 2 ** 30,
      nodeVersion: 'v20.20.2',
      v8Version: '11.3',
      packages: { ioredis: '6.0.0', koffi: '3.3.0' },
    },
    scenarios,
  };
}
