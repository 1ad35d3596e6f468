/** What two targets are compared by: one entry a figure, with the words in which a difference is told. */
import type { RunResult, ScenarioResult } from '../result.ts';

export interface Metric {
  name: string;
  /** ratio: told in percent of the other's; points: told as a difference in percentage points. */
  scale: 'ratio' | 'points';
  better: 'higher' | 'lower';
  /** Differences below this are never told, however steady: ln of a ratio, or share. */
  floor: number;
  /** true: a figure of what is stored and found, which a busy client or a disturbed machine does not change. */
  ofContents?: boolean;
  /** Whether the figure answers the scenario's question at all. */
  applies(result: ScenarioResult): boolean;
  /** The figure of one run; null where it has none. */
  value(run: RunResult): number | null;
  /** "answered 12 % more operations per second" */
  words(amount: string): string;
  /** A median in its unit. */
  format(value: number): string;
}

/** 1234567 -> "1,234,567", the same everywhere whatever the locale. */
export function grouped(value: number): string {
  return Math.round(value)
    .toString()
    .replace(/\B(?=(\d{3})+(?!\d))/g, ',');
}

export function formatUs(us: number): string {
  if (us >= 1_000_000) return `${(us / 1_000_000).toFixed(2)} s`;
  if (us >= 10_000) return `${(us / 1_000).toFixed(1)} ms`;
  if (us >= 1_000) return `${(us / 1_000).toFixed(2)} ms`;
  return `${us >= 100 ? us.toFixed(0) : us.toFixed(1)} µs`;
}

export function formatBytes(bytes: number): string {
  if (bytes >= 2 ** 30) return `${(bytes / 2 ** 30).toFixed(2)} GiB`;
  if (bytes >= 2 ** 20) return `${(bytes / 2 ** 20).toFixed(1)} MiB`;
  if (bytes >= 2 ** 10) return `${(bytes / 2 ** 10).toFixed(1)} KiB`;
  return `${Math.round(bytes)} B`;
}

function responseOf(run: RunResult): { p50: number; p99: number } | null {
  const entry = run.fanout
    ? run.latency.find((one) => one.kind === 'delivery')
    : run.latency.find((one) => one.kind === 'all');
  return entry && entry.response.count > 0 ? entry.response : null;
}

function limited(result: ScenarioResult): boolean {
  return result.cells.some((cell) => cell.runs.some((run) => (run.memory?.evictions ?? 0) > 0));
}

/** With less payload than this, buffers and connections decide how the resident set grows. */
const PAYLOAD_BYTES_MIN = 4 * 2 ** 20;

/** Bytes by which the server's resident set grew since its start, per byte of payload. */
function growthPerPayload(run: RunResult): number | null {
  const start = run.memoryPhases?.find((one) => one.phase === 'start')?.rss ?? null;
  const { rss = null, payload = null } = run.memory ?? {};
  if (start === null || rss === null || payload === null || payload < PAYLOAD_BYTES_MIN || rss <= start) return null;
  return (rss - start) / payload;
}

const isLoad = (result: ScenarioResult): boolean => result.kind === 'load';
const isClosed = (result: ScenarioResult): boolean =>
  result.cells.some((cell) => cell.runs.some((run) => run.arrival === 'closed'));

/** In the order in which a reader wants to hear of them. */
export const METRICS: readonly Metric[] = [
  {
    name: 'hit ratio',
    ofContents: true,
    scale: 'points',
    better: 'higher',
    floor: 0.002,
    applies: (result) => isLoad(result) && limited(result),
    value: (run) => run.hitRatio,
    words: (amount) => `served ${amount} more of the gets from the cache`,
    format: (value) => `${(100 * value).toFixed(1)} %`,
  },
  {
    name: 'data held',
    ofContents: true,
    scale: 'ratio',
    better: 'higher',
    floor: 0.01,
    applies: (result) => isLoad(result) && limited(result),
    value: (run) => run.memory?.payload ?? null,
    words: (amount) => `held ${amount} more data under the same memory limit`,
    format: formatBytes,
  },
  {
    name: 'user latency',
    scale: 'ratio',
    better: 'lower',
    floor: 0.03,
    applies: isLoad,
    value: (run) => run.cacheAside?.user.mean ?? null,
    words: (amount) => `gave the cache's user an answer ${amount} sooner on average, misses included`,
    format: formatUs,
  },
  {
    name: 'throughput',
    scale: 'ratio',
    better: 'higher',
    floor: 0.03,
    applies: (result) => isLoad(result) && isClosed(result),
    value: (run) => (run.arrival === 'closed' ? run.achievedRate : null),
    words: (amount) => `answered ${amount} more operations per second`,
    format: (value) => `${grouped(value)}/s`,
  },
  {
    name: 'median latency',
    scale: 'ratio',
    better: 'lower',
    floor: 0.05,
    // In a closed loop the median latency is throughput once more.
    applies: (result) => !isLoad(result) || !isClosed(result),
    value: (run) => responseOf(run)?.p50 ?? null,
    words: (amount) => `had a median latency ${amount} lower`,
    format: formatUs,
  },
  {
    name: 'p99 latency',
    scale: 'ratio',
    better: 'lower',
    floor: 0.05,
    applies: () => true,
    value: (run) => responseOf(run)?.p99 ?? null,
    words: (amount) => `had a 99th percentile of latency ${amount} lower`,
    format: formatUs,
  },
  {
    name: 'server CPU',
    scale: 'ratio',
    better: 'lower',
    floor: 0.05,
    applies: isLoad,
    value: (run) => run.server?.cpuUsPerOperation ?? null,
    words: (amount) => `took ${amount} less CPU per operation`,
    format: (value) => `${value.toFixed(2)} µs`,
  },
  {
    name: 'memory per payload',
    ofContents: true,
    scale: 'ratio',
    better: 'lower',
    floor: 0.02,
    applies: (result) => isLoad(result) && !limited(result),
    value: growthPerPayload,
    words: (amount) => `took ${amount} less resident memory for the same data`,
    format: (value) => `${value.toFixed(2)} B per byte of payload`,
  },
];
