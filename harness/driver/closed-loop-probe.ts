/** A closed loop of one operation at full speed, without a scenario: for benchmarks of engines and of the driver itself. */
import { entryUrl } from '../../engines/base/entry.ts';
import { mergeTotals } from '../measure/recorder.ts';
import type { OperationLatency } from '../result.ts';
import type { Endpoint, ServerAddress } from './load-plan.ts';
import type { ProbeTask } from './messages.ts';
import { LoadError, resolve } from './run-load.ts';
import { runThreads } from './thread-group.ts';

export interface ProbeOptions {
  address: ServerAddress;
  protocol: Endpoint['protocol'];
  op: 'get' | 'set';
  connections: number;
  /** Operations sent together on each connection. */
  pipeline: number;
  /** Keys are drawn uniformly from so many: "key:000000000042". */
  keys: number;
  valueBytes: number;
  /** Length of a key in bytes, 16 if left out (as redis-benchmark's). */
  keyBytes?: number;
  /** How long: so many operations, or so many seconds (one of the two). */
  operations?: number;
  seconds?: number;
  /** Seconds before counting begins, 0 if left out. */
  warmUpSeconds?: number;
  threads?: number;
  eventLoop?: 'auto' | 'epoll' | 'libuv';
  seed?: string;
  /** Called when counting begins and ends, to read server CPU at the same moments. */
  onMeasureStart?: () => void;
  onMeasureEnd?: () => void;
}

export interface ProbeResult {
  operations: number;
  seconds: number;
  /** Operations per second. */
  rate: number;
  hits: number;
  misses: number;
  errors: number;
  errorTexts: Record<string, number>;
  /** CPU seconds of the driver threads; null where unknown. */
  clientCpuS: number | null;
  latency: OperationLatency;
}

/** @throws LoadError when the target cannot be reached or is lost on the way */
export async function measureClosedLoop(options: ProbeOptions): Promise<ProbeResult> {
  const { connections, threads = 1 } = options;
  const endpoint = await resolve({
    address: options.address,
    protocol: options.protocol,
    username: null,
    password: null,
    database: 0,
  });
  const task: ProbeTask = {
    kind: 'probe',
    operation: options.op,
    keys: options.keys,
    keyBytes: options.keyBytes ?? 16,
    valueBytes: options.valueBytes,
    pipeline: options.pipeline,
    operations: options.operations ?? 0,
    warmUpS: options.warmUpSeconds ?? 0,
    durationS: options.seconds ?? Number.POSITIVE_INFINITY,
  };
  if (task.operations === 0 && task.durationS === Number.POSITIVE_INFINITY) {
    throw new LoadError('Cannot measure a closed loop: give operations or seconds');
  }
  const orders = Array.from({ length: threads }, (_, thread) => ({
    task,
    endpoint,
    scenario: null,
    seed: options.seed ?? 'probe',
    eventLoop: options.eventLoop ?? ('auto' as const),
    thread,
    threads,
    connections: Math.floor(connections / threads) + (thread < connections % threads ? 1 : 0),
  }));
  const entry = entryUrl(import.meta.url, './raw-worker.ts');
  const times = { warmUpS: task.warmUpS, durationS: task.durationS, intervalMs: 1_000 };
  const group = await runThreads(entry, orders, times, options);
  if (group.aborted !== null) throw new LoadError(group.aborted);
  const merged = mergeTotals(group.threads.map((thread) => thread.totals));
  const seconds = Math.max(...group.threads.map((thread) => (thread.lastAnswerUs - thread.measureStartUs) / 1e6));
  const cpu = group.threads.map((thread) => thread.cpuS);
  return {
    operations: merged.operations,
    seconds,
    rate: merged.operations / seconds,
    hits: merged.hits,
    misses: merged.misses,
    errors: merged.errors,
    errorTexts: merged.errorTexts,
    clientCpuS: cpu.includes(null) ? null : cpu.reduce<number>((sum, value) => sum + value!, 0),
    latency: merged.latency.at(-1)!,
  };
}
