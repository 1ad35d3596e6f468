/** Entry of a raw driver thread: composes arena, loop, codec, workload and state machine, runs them, posts what was measured. */
import { parentPort, workerData } from 'node:worker_threads';
import { createRandom } from '../../engines/base/random.ts';
import { createEventLoop } from '../../engines/io/create-event-loop.ts';
import type { EventLoop } from '../../engines/io/event-loop.ts';
import { addressOf, purgePages } from '../../engines/io/system.ts';
import { createArena } from '../../engines/memory/arena.ts';
import { createJemalloc } from '../../engines/memory/jemalloc.ts';
import type { ArrivalSpec, Scenario } from '../../scenarios/spec.ts';
import { createArrival } from '../arrival/arrival.ts';
import { Recorder } from '../measure/recorder.ts';
import { createDuration } from '../workload/duration.ts';
import { createWorkload, Preload } from '../workload/workload.ts';
import type { Codec, KeyValueWriter } from './codec.ts';
import { MemcachedAsciiCodec, MemcachedBinaryCodec } from './codec-memcached.ts';
import { RespCodec } from './codec-resp.ts';
import { LoadControl } from './control.ts';
import { ChannelData, FANOUT_KINDS, FanoutDriver } from './fanout.ts';
import type { Endpoint } from './load-plan.ts';
import type { ProbeTask, ThreadMessage, ThreadOrder, ThreadResult } from './messages.ts';
import type { DriverEvents, Phases } from './phases.ts';
import { type OperationSource, RawDriver, type RawDriverOptions, RECORDED_KINDS } from './raw-driver.ts';
import { PreloadSource, ProbeSource } from './sources.ts';
import { threadCpuSeconds } from './thread-cpu.ts';

/** Reserved address space for input and output; only what is used costs memory. */
const ARENA_BYTES = 1 << 30;
/** While a data set is stored, so much is on its way per connection at the most. */
const PRELOAD_BYTES_IN_FLIGHT = 262_144;
const PRELOAD_DEPTH_MAX = 32;

const order = workerData as ThreadOrder;
const share = { thread: order.thread, threads: order.threads };

function post(message: ThreadMessage): void {
  parentPort!.postMessage(message);
}

function createCodec(endpoint: Endpoint, data: KeyValueWriter, msetAsSets: boolean): Codec {
  switch (endpoint.protocol) {
    case 'redis':
      return new RespCodec(data, msetAsSets);
    case 'memcached-ascii':
      return new MemcachedAsciiCodec(data);
    case 'memcached-binary':
      return new MemcachedBinaryCodec(data);
  }
}

function loadOptions(): { source: OperationSource; options: RawDriverOptions } {
  const scenario = order.scenario!;
  const source = createWorkload(scenario, order.seed, share);
  const origin =
    scenario.cacheAside === null
      ? null
      : createDuration(scenario.cacheAside.originLatency, `${order.seed}/origin ${order.thread} of ${order.threads}`);
  const operations = shareOf(scenario.operations);
  return {
    source,
    options: {
      endpoint: order.endpoint,
      connections: order.connections,
      depth: scenario.pipeline,
      multiKey: Math.max(1, scenario.multiKey),
      warmUpS: scenario.warmUpS,
      durationS: scenario.durationS,
      operations,
      intervalMs: scenario.intervalMs,
      verify: scenario.verify,
      origin,
    },
  };
}

/** This thread's part of a number of operations; 0 stays 0 (no bound). */
function shareOf(operations: number): number {
  if (operations === 0) return 0;
  const part = Math.floor(operations / order.threads);
  return part + (order.thread < operations % order.threads ? 1 : 0);
}

function preloadOptions(): { source: OperationSource; options: RawDriverOptions } {
  const preload = new Preload(order.scenario!, order.seed, share);
  const source = new PreloadSource(preload, order.thread, order.threads);
  const bytes = Math.max(1, preload.dataset.maxValueBytes);
  const depth = Math.max(1, Math.min(PRELOAD_DEPTH_MAX, Math.floor(PRELOAD_BYTES_IN_FLIGHT / bytes)));
  return { source, options: plain(depth, 0, Number.POSITIVE_INFINITY, source.count) };
}

function probeOptions(task: ProbeTask): { source: OperationSource; options: RawDriverOptions } {
  const random = createRandom(`${order.seed}/${order.thread}`);
  const source = new ProbeSource(task.operation, task.keys, task.keyBytes, task.valueBytes, random);
  return { source, options: plain(task.pipeline, task.warmUpS, task.durationS, shareOf(task.operations)) };
}

function plain(depth: number, warmUpS: number, durationS: number, operations: number): RawDriverOptions {
  return {
    endpoint: order.endpoint,
    connections: order.connections,
    depth,
    multiKey: 1,
    warmUpS,
    durationS,
    operations,
    intervalMs: 1_000,
    verify: 0,
    origin: null,
  };
}

/** What both state machines have for the thread that runs them. */
interface Runnable {
  readonly recorder: Recorder;
  readonly phases: Phases;
  readonly aborted: string | null;
  readonly bytesSent: number;
  readonly bytesReceived: number;
  readonly lastAnswerUs: number;
  giveUp(why: string): void;
}

function createDriver(loop: EventLoop, control: LoadControl, events: DriverEvents): RawDriver | FanoutDriver {
  const { task, scenario, endpoint } = order;
  if (task.kind === 'fanout') {
    const { warmUpS, durationS, intervalMs } = scenario!;
    const fanout = scenario!.fanout!;
    const data = new ChannelData(fanout.messageBytes);
    const codec = createCodec(endpoint, data, false);
    // One publisher sends all messages: its thread's share of the rate is the whole.
    const arrival = createArrival(publishing(scenario!), order.seed);
    const recorder = new Recorder(FANOUT_KINDS);
    const options = { ...task, endpoint, fanout, warmUpS, durationS, intervalMs };
    return new FanoutDriver(loop, codec, data, arrival, control, recorder, options, events);
  }
  const { source, options } =
    task.kind === 'load' ? loadOptions() : task.kind === 'preload' ? preloadOptions() : probeOptions(task);
  const codec = createCodec(endpoint, source.dataset, scenario !== null && scenario.ttl.kind !== 'none');
  const arrival = createArrival(task.kind === 'load' ? scenario!.arrival : { kind: 'closed' }, order.seed, share);
  return new RawDriver(loop, codec, source, arrival, control, new Recorder(RECORDED_KINDS), options, events);
}

function publishing(scenario: Scenario): ArrivalSpec {
  const process = scenario.arrival.kind === 'open' ? scenario.arrival.process : 'constant';
  return { kind: 'open', process, rate: scenario.fanout!.rate };
}

async function main(): Promise<void> {
  const memory = createArena({ byteLength: ARENA_BYTES, addressOf, purge: purgePages });
  const allocator = createJemalloc(memory, { classes: 'debian' });
  const loop = createEventLoop(order.eventLoop, allocator, { maxConnections: order.connections + 16 });
  let cpuAtStart: number | null = null;
  const driver: RawDriver | FanoutDriver = createDriver(loop, new LoadControl(order.control), {
    onReady: () => post({ type: 'ready' }),
    onInterval: (phase, counts) =>
      post({ type: 'interval', phase: order.task.kind === 'preload' ? 'preload' : phase, counts }),
    onMeasure: () => {
      cpuAtStart = threadCpuSeconds();
    },
  });
  try {
    await loop.run();
  } catch (error) {
    driver.giveUp(`The driver failed: ${(error as Error).stack ?? error}`);
  }
  post({ type: 'done', result: resultOf(driver, cpuAtStart) });
  loop.destroy();
}

function resultOf(driver: Runnable, cpuAtStart: number | null): ThreadResult {
  const cpuAtEnd = threadCpuSeconds();
  const { recorder, phases } = driver;
  // An abort during the warm-up leaves nothing that was measured.
  if (!phases.measuring) recorder.reset();
  return {
    totals: recorder.totals(),
    bytesSent: driver.bytesSent,
    bytesReceived: driver.bytesReceived,
    aborted: driver.aborted,
    measureStartUs: phases.measureStartUs,
    lastAnswerUs: driver.lastAnswerUs,
    fanout:
      driver instanceof FanoutDriver
        ? { published: driver.published, deliveries: driver.deliveries, expected: driver.expected }
        : null,
    cpuS: cpuAtStart === null || cpuAtEnd === null ? null : cpuAtEnd - cpuAtStart,
  };
}

await main();
