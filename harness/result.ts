/**
 * The versioned result document: what `run` writes, and all that reports read. Everything needed to draw every report again
 * is in it. Times are microseconds and sizes bytes unless a name says otherwise. A figure that could not be had is null.
 */

/** Raised whenever a reader of the older form would misread the newer. */
export const RESULT_VERSION = 1;

export interface ResultDocument {
  format: 'cachelab-result';
  version: typeof RESULT_VERSION;
  run: RunFacts;
  machine: MachineFacts;
  scenarios: ScenarioResult[];
}

export interface RunFacts {
  /** Also the name of the folder below out/. */
  id: string;
  /** ISO 8601, UTC. */
  startedAt: string;
  finishedAt: string | null;
  /** partial: interrupted or failed on the way; what was measured until then is here. */
  status: 'complete' | 'partial';
  partialReason: string | null;
  /** The exact command line, one entry a word. */
  commandLine: string[];
  cachelabVersion: string;
}

export interface MachineFacts {
  hostname: string;
  platform: string;
  kernel: string;
  cpuModel: string;
  cpus: number;
  memoryBytes: number;
  nodeVersion: string;
  v8Version: string;
  /** Name and version of the packages that take part (ioredis, memjs, koffi, …). */
  packages: Record<string, string>;
}

export interface ScenarioResult {
  name: string;
  title: string;
  question: string;
  source: string;
  /** The file as read, for provenance and re-runs. */
  yaml: string;
  kind: 'load' | 'pubsub-fanout';
  axes: { field: string; values: (string | number | boolean)[] }[];
  /** The resolved first cell: every setting with its value, as JSON (a scenarios/spec.ts Scenario). */
  settings: Record<string, unknown>;
  targets: TargetResult[];
  /** Targets that were left out, and why (a binary that is not on PATH, …). */
  skippedTargets: { id: string; label: string; reason: string }[];
  cells: CellResult[];
  verdict: Verdict;
  notes: string[];
}

export interface TargetResult {
  id: string;
  label: string;
  engine: 'redis' | 'memcached';
  kind: 'embedded' | 'spawned' | 'remote';
  version: string | null;
  /** Configuration as the server tells it (CONFIG GET * / stats settings). */
  configuration: Record<string, string>;
  /** How it was started, one entry a word; null for a remote. */
  commandLine: string[] | null;
  /** Address without credentials. */
  address: string;
  /** Keys it held before the run; null if unknown. */
  keysBefore: number | null;
  /** How readers must take it, e.g. "polling stands in for pub/sub, which memcached has not". */
  remark: string | null;
}

export interface CellResult {
  /** Values of the matrix axes in this cell, by field. */
  axis: Record<string, string | number | boolean>;
  targetId: string;
  runs: RunResult[];
}

export type RunStatus = 'ok' | 'inconclusive' | 'failed';

export interface RunResult {
  /** From 1. */
  repetition: number;
  seed: string;
  status: RunStatus;
  /** Why it failed, in a sentence; null otherwise. */
  failure: string | null;
  /** Length of the measured phase. */
  durationS: number;
  arrival: 'closed' | 'open';
  /** Operations per second that were due; null in a closed loop. */
  offeredRate: number | null;
  /** Operations answered per second in the measured phase. */
  achievedRate: number;
  operations: number;
  errors: number;
  /** Text of errors with their counts, at most 20. */
  errorTexts: Record<string, number>;
  bytesSent: number;
  bytesReceived: number;
  /** By kind of operation, and the sum as kind "all". Fan-out: kind "delivery". */
  latency: OperationLatency[];
  hits: number;
  misses: number;
  /** Share of gets answered with a value; null without gets. */
  hitRatio: number | null;
  cacheAside: CacheAsideResult | null;
  /** Absent where nothing was asked about files. */
  persistence?: PersistenceResult | null;
  fanout: FanoutResult | null;
  verified: { checked: number; wrong: number };
  timeline: TimelineRow[];
  server: ServerUsage | null;
  memory: MemoryLedger | null;
  /** How memory grew: after the start, after the preload, after the measured phase. Absent in older results. */
  memoryPhases?: MemoryPhase[];
  client: ClientUsage;
  validity: Guard[];
}

export interface OperationLatency {
  kind: string;
  count: number;
  errors: number;
  /** From the intended send time (open loop) or from when the operation was handed over (closed loop). */
  response: LatencySummary;
  /** From the first byte written to the last byte of the reply. */
  service: LatencySummary;
}

/** µs */
export interface LatencySummary {
  count: number;
  min: number;
  mean: number;
  stddev: number;
  max: number;
  p50: number;
  p75: number;
  p90: number;
  p95: number;
  p99: number;
  p999: number;
  p9999: number;
  /** [percentile 0…100, µs] for the percentile curve, ascending. */
  curve: [number, number][];
  /** The HdrHistogram itself, in µs (V2 compressed, base64); null if empty. */
  histogram: string | null;
}

/** Something that a server did with its files, as seen from outside by asking it many times a second. */
export interface PersistenceEvent {
  /** Seconds since the start of the measured phase. */
  t: number;
  kind: 'snapshot-start' | 'snapshot-end' | 'rewrite-start' | 'rewrite-end' | 'fsync' | 'write-postponed';
}

export interface PersistenceResult {
  mode: string;
  events: PersistenceEvent[];
  /** Finished in the measured phase. */
  snapshots: number;
  rewrites: number;
  /** How long they took on average, in seconds; null without any. */
  snapshotS: number | null;
  /** The longest pause at the start of one, in µs. */
  pauseUs: number | null;
  /** The most memory that one copied because data changed meanwhile, in bytes. */
  copiedBytes: number | null;
  /** Writes to the append-only file that waited for an fsync. */
  delayedFsyncs: number | null;
  /** After the measured phase; by name, below the server's folder. */
  files: { name: string; bytes: number }[];
  /** null where the scenario asks for no crash. */
  crash: CrashResult | null;
}

/** A `kill -9` amid writes, and what was there after the next start. */
export interface CrashResult {
  /** Writes that the server had acknowledged before. */
  acknowledged: number;
  /** Those of them that were gone or wrong afterwards; null where it did not start again. */
  lost: number | null;
  /** How long before the crash the oldest lost one was acknowledged, in seconds; null where none was lost. */
  oldestLostS: number | null;
  /** From the start of the process to its first answer, in seconds. */
  recoveryS: number | null;
  keysBefore: number;
  keysAfter: number | null;
  /** Why it did not start again; null otherwise. */
  failure: string | null;
}

export interface CacheAsideResult {
  /** Latency the cache's user sees: hit: the get; miss: get + origin (+ not the fill). */
  user: LatencySummary;
  /** Origin requests per second, and as a share of all gets. */
  originRate: number;
  originShare: number;
  /** Modelled origin latency, mean in ms. */
  originMeanMs: number;
}

export interface FanoutResult {
  subscribers: number;
  published: number;
  expectedDeliveries: number;
  deliveries: number;
  /** true: memcached's polling substitute. */
  polling: boolean;
}

export interface TimelineRow {
  /** Seconds since the start of the measured phase, at the interval's end. */
  t: number;
  operations: number;
  errors: number;
  hits: number;
  misses: number;
  /** µs, response time of all operations. */
  p50: number;
  p99: number;
  p999: number;
  max: number;
  /** Bytes; null where not sampled. */
  rss: number | null;
  /** CPU cores used by the server in this interval; null where unknown. */
  serverCpu: number | null;
  /** Bytes that a running snapshot had copied, the most in this interval; absent where nothing was asked about files. */
  copied?: number | null;
}

export interface ServerUsage {
  pid: number | null;
  /** Seconds of CPU in the measured phase. */
  userS: number | null;
  systemS: number | null;
  /** Seconds of CPU of its children (a snapshot of redis-server is one); absent in older results, whose CPU per operation is without it. */
  childrenS?: number | null;
  /** µs of CPU per operation, that of children among it. */
  cpuUsPerOperation: number | null;
  rssBytes: number | null;
  pssBytes: number | null;
  peakRssBytes: number | null;
}

/** Where the bytes are, after the run. */
export interface MemoryLedger {
  /** Entries held. */
  keys: number | null;
  /** Keys + values of the entries held (measured or estimated from the data set: see `payloadIs`). */
  payload: number | null;
  payloadIs: 'exact' | 'estimated';
  /** What the server counts as used by data and structures (used_memory less start-up; memcached: bytes). */
  used: number | null;
  /** Allocated by the allocator (allocator_allocated; memcached: chunk sizes of used chunks). */
  allocated: number | null;
  /** Pages the allocator keeps active (allocator_active; memcached: total_malloced). */
  active: number | null;
  resident: number | null;
  /** Resident set of the whole process. */
  rss: number | null;
  limit: number | null;
  evictions: number | null;
  expired: number | null;
  /** The server's own figures, as text, for the appendix. */
  raw: Record<string, string>;
}

/** The ledger's main figures at one moment of a run; bytes. */
export interface MemoryPhase {
  phase: 'start' | 'preloaded' | 'measured';
  keys: number | null;
  used: number | null;
  allocated: number | null;
  active: number | null;
  resident: number | null;
  rss: number | null;
}

export interface ClientUsage {
  /** CPU cores used by driver threads in the measured phase, and their number. */
  cpu: number | null;
  threads: number;
  connections: number;
  /** How late operations were sent against their due time (open loop). */
  sendLag: LatencySummary | null;
}

/** One validity check of a run. */
export interface Guard {
  /** client-cpu, recovery, durability, send-lag, achieved-rate, hit-ratio, steady-state, stolen-cpu, other-programs, verification, errors */
  name: string;
  passed: boolean;
  /** What was seen and what the bound is, in a sentence. */
  detail: string;
}

export interface Verdict {
  /** One line. */
  headline: string;
  /** The answer in paragraphs, parted by empty lines. */
  text: string;
  confidence: 'high' | 'medium' | 'low';
  /** What speaks against over-reading it. */
  caveats: string[];
}
