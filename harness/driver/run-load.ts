/**
 * What the rest of the harness calls: stores a data set, runs a load, reports. The harness's own thread stays idle, so that it can
 * sample the server meanwhile; all requests leave from worker threads.
 */
import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import { entryUrl } from '../../engines/base/entry.ts';
import { mergeTotals } from '../measure/recorder.ts';
import { Preload } from '../workload/workload.ts';
import type { Endpoint, LoadHooks, LoadPlan, LoadReport } from './load-plan.ts';
import type { DriverTask, ThreadOrder } from './messages.ts';
import { type GroupResult, runThreads } from './thread-group.ts';

/** Connections that store a data set: more would not make it faster. */
const PRELOAD_CONNECTIONS_MAX = 8;

/** An early end without a single measured operation, or a preload that failed. */
export class LoadError extends Error {}

/**
 * Runs the warm-up and the measured phase of one cell against one target.
 * @throws LoadError when the load could not even begin (no connection, refused log-in, impossible plan); what ends it later is told in
 *   `aborted` beside what was measured until then
 */
export async function runLoad(plan: LoadPlan, hooks: LoadHooks = {}): Promise<LoadReport> {
  const { scenario } = plan;
  if (scenario.kind === 'pubsub-fanout') return runFanout(plan, hooks);
  checkDriver(plan);
  const endpoint = await resolve(plan.endpoint);
  const { threads, connections } = shareConnections(plan);
  const orders = connections.map((count, thread) => order(plan, { kind: 'load' }, endpoint, thread, threads, count));
  const { warmUpS, intervalMs } = scenario;
  const durationS = scenario.durationS > 0 ? scenario.durationS : Number.POSITIVE_INFINITY;
  if (durationS === Number.POSITIVE_INFINITY && scenario.operations === 0) {
    throw new LoadError('Cannot run the load: neither its duration nor its number of operations is bounded');
  }
  const group = await runThreads(workerEntry(plan), orders, { warmUpS, durationS, intervalMs }, hooks);
  return report(plan, group, threads);
}

/** See fanout.ts. Operations of the report are deliveries; publishes and polls are told in `latency` alone. */
async function runFanout(plan: LoadPlan, hooks: LoadHooks): Promise<LoadReport> {
  const { scenario } = plan;
  const { fanout, warmUpS, durationS, intervalMs } = scenario;
  if (fanout === null || scenario.driver !== 'raw') {
    throw new LoadError("Cannot run the fan-out: it needs the scenario's fanout settings and the raw driver");
  }
  checkDriver(plan);
  const endpoint = await resolve(plan.endpoint);
  const threads = Math.max(1, Math.min(scenario.threads, fanout.subscribers));
  const orders = Array.from({ length: threads }, (_, thread) => {
    const firstReceiver = Math.floor((fanout.subscribers * thread) / threads);
    const receivers = Math.floor((fanout.subscribers * (thread + 1)) / threads) - firstReceiver;
    const publishes = thread === 0;
    const task: DriverTask = { kind: 'fanout', receivers, firstReceiver, publishes };
    return order(plan, task, endpoint, thread, threads, receivers + (publishes ? 1 : 0));
  });
  const entry = entryUrl(import.meta.url, './raw-worker.ts');
  const group = await runThreads(entry, orders, { warmUpS, durationS, intervalMs }, hooks);
  const base = report(plan, group, threads);
  const parts = group.threads.map((thread) => thread.fanout).filter((part) => part !== null);
  const sum = (pick: (part: (typeof parts)[number]) => number): number =>
    parts.reduce((total, part) => total + pick(part), 0);
  const polling = endpoint.protocol !== 'redis';
  const deliveries = sum((part) => part.deliveries);
  return {
    ...base,
    operations: deliveries,
    // Versions that polling passes over are its nature, not a target that cannot keep up.
    offeredRate: polling ? null : (fanout.rate * fanout.subscribers) / fanout.channels,
    latency: base.latency.filter((latency) => latency.kind !== 'all'),
    connections: fanout.subscribers + 1,
    fanout: {
      published: sum((part) => part.published),
      expectedDeliveries: sum((part) => part.expected),
      deliveries,
      polling,
    },
  };
}

/**
 * Stores the share `scenario.dataset.preload` of the keys, as fast as it goes.
 * @throws LoadError when a single key could not be stored
 */
export async function preload(
  plan: LoadPlan,
  hooks: LoadHooks = {},
): Promise<{ keys: number; bytes: number; seconds: number }> {
  const all = new Preload(plan.scenario, plan.seed);
  if (all.count === 0 || plan.scenario.kind === 'pubsub-fanout') return { keys: 0, bytes: 0, seconds: 0 };
  checkDriver(plan);
  const endpoint = await resolve(plan.endpoint);
  const threads = Math.min(plan.scenario.threads, all.count);
  const count = Math.max(1, Math.min(PRELOAD_CONNECTIONS_MAX, Math.floor(plan.scenario.connections / threads)));
  const orders = Array.from({ length: threads }, (_, thread) =>
    order(plan, { kind: 'preload' }, endpoint, thread, threads, count),
  );
  const times = { warmUpS: 0, durationS: Number.POSITIVE_INFINITY, intervalMs: 1_000 };
  const group = await runThreads(preloadEntry(plan), orders, times, {
    onInterval: hooks.onInterval,
    signal: hooks.signal,
  });
  const merged = mergeTotals(group.threads.map((thread) => thread.totals));
  const texts = Object.entries(merged.errorTexts).map(([text, times]) => `${times} × "${text}"`);
  if (group.aborted !== null || merged.operations !== all.count) {
    const why = [group.aborted, ...texts].filter((part) => part !== null).join('; ');
    throw new LoadError(`Cannot store the data set: ${merged.operations} of ${all.count} keys were stored; ${why}`);
  }
  const seconds = Math.max(...group.threads.map((thread) => (thread.lastAnswerUs - thread.measureStartUs) / 1e6));
  return { keys: all.count, bytes: group.threads.reduce((sum, thread) => sum + thread.bytesSent, 0), seconds };
}

/** Data sets are stored by the raw driver, whatever drives the load, unless TLS is wanted, which it does not speak. */
function preloadEntry(plan: LoadPlan): URL {
  return usesTls(plan.endpoint) ? workerEntry(plan) : entryUrl(import.meta.url, './raw-worker.ts');
}

function usesTls(endpoint: Endpoint): boolean {
  return endpoint.address.kind === 'tcp' && endpoint.address.tls !== undefined;
}

/** @throws LoadError for a plan that cannot be carried out */
function checkDriver({ endpoint, scenario }: LoadPlan): void {
  const { driver } = scenario;
  if (driver === 'raw' && usesTls(endpoint)) {
    throw new LoadError('Cannot use TLS (rediss://) with the raw driver: set "driver: ioredis"');
  }
  if (driver === 'ioredis' && endpoint.protocol !== 'redis') {
    throw new LoadError('Cannot drive memcached with ioredis: set "driver: memjs" or "driver: raw"');
  }
  if (driver === 'memjs' && endpoint.protocol === 'redis') {
    throw new LoadError('Cannot drive Redis with memjs: set "driver: ioredis" or "driver: raw"');
  }
}

function workerEntry(plan: LoadPlan): URL {
  return plan.scenario.driver === 'raw'
    ? entryUrl(import.meta.url, './raw-worker.ts')
    : entryUrl(import.meta.url, './client-worker.ts');
}

function order(
  plan: LoadPlan,
  task: DriverTask,
  endpoint: Endpoint,
  thread: number,
  threads: number,
  connections: number,
): Omit<ThreadOrder, 'control'> {
  const { scenario, seed, eventLoop } = plan;
  return { task, endpoint, scenario, seed, eventLoop, thread, threads, connections };
}

/** Connections of each thread; no thread is left without one. Client libraries run in one thread. */
function shareConnections(plan: LoadPlan): { threads: number; connections: number[] } {
  const { scenario } = plan;
  const wanted = scenario.driver === 'raw' ? scenario.threads : 1;
  const threads = Math.max(1, Math.min(wanted, scenario.connections));
  const connections = Array.from(
    { length: threads },
    (_, thread) => Math.floor(scenario.connections / threads) + (thread < scenario.connections % threads ? 1 : 0),
  );
  return { threads, connections };
}

/** Loops connect to addresses, not to names. @throws LoadError for a name that has none, and for TLS without a driver that speaks it */
export async function resolve(endpoint: Endpoint): Promise<Endpoint> {
  const { address } = endpoint;
  if (address.kind === 'unix' || isIP(address.host) !== 0) return endpoint;
  try {
    const found = await lookup(address.host, { verbatim: false });
    return { ...endpoint, address: { ...address, host: found.address } };
  } catch (error) {
    throw new LoadError(`Cannot find the address of ${address.host}: ${(error as Error).message}`);
  }
}

function report(plan: LoadPlan, group: GroupResult, threads: number): LoadReport {
  const { scenario } = plan;
  const merged = mergeTotals(group.threads.map((thread) => thread.totals));
  if (group.aborted !== null && merged.operations === 0) throw new LoadError(group.aborted);
  const seconds = group.threads.map((thread) =>
    Number.isFinite(thread.measureStartUs) ? (thread.lastAnswerUs - thread.measureStartUs) / 1e6 : 0,
  );
  const last = Math.max(0, ...seconds);
  const byTime = group.aborted === null && scenario.operations === 0;
  const cpu = group.threads.map((thread) => thread.cpuS);
  return {
    // What was due in the measured phase may be answered a little later: the time it took counts.
    durationS: byTime ? Math.max(scenario.durationS, last) : last,
    offeredRate: scenario.arrival.kind === 'open' ? scenario.arrival.rate : null,
    operations: merged.operations,
    errors: merged.errors,
    errorTexts: merged.errorTexts,
    bytesSent: group.threads.reduce((sum, thread) => sum + thread.bytesSent, 0),
    bytesReceived: group.threads.reduce((sum, thread) => sum + thread.bytesReceived, 0),
    latency: merged.latency,
    hits: merged.hits,
    misses: merged.misses,
    originRequests: merged.originRequests,
    userLatency: merged.userLatency,
    sendLag: merged.sendLag,
    verified: merged.verified,
    timeline: group.timeline.finish(),
    clientCpuS: cpu.includes(null) ? null : cpu.reduce<number>((sum, value) => sum + value!, 0),
    threads,
    connections: scenario.connections,
    aborted: group.aborted,
    fanout: null,
  };
}
