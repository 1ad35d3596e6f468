/** Entry of a raw driver thread: composes arena, loop, codec, workload and state machine, runs them, posts what was measured. */
import { workerData } from 'node:worker_threads';
import { createEventLoop } from '../../engines/io/create-event-loop.ts';
import type { EventLoop } from '../../engines/io/event-loop.ts';
import { addressOf, purgePages, raiseFileLimit } from '../../engines/io/system.ts';
import { createArena } from '../../engines/memory/arena.ts';
import { createJemalloc } from '../../engines/memory/jemalloc.ts';
import type { ArrivalSpec, Scenario } from '../../scenarios/spec.ts';
import { createArrival } from '../arrival/arrival.ts';
import { Recorder } from '../measure/recorder.ts';
import type { Codec, KeyValueWriter } from './codec.ts';
import { MemcachedAsciiCodec, MemcachedBinaryCodec } from './codec-memcached.ts';
import { RespCodec } from './codec-resp.ts';
import { LoadControl } from './control.ts';
import { ChannelData, FANOUT_KINDS, FanoutDriver } from './fanout.ts';
import type { Endpoint } from './load-plan.ts';
import type { ThreadOrder } from './messages.ts';
import type { DriverEvents } from './phases.ts';
import { RawDriver, RECORDED_KINDS } from './raw-driver.ts';
import { ThreadReporter, workOf } from './thread-work.ts';

/** Reserved address space for input and output; only what is used costs memory. */
const ARENA_BYTES = 1 << 30;
const order = workerData as ThreadOrder;
const share = { thread: order.thread, threads: order.threads };

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
  const { source, options } = workOf(order);
  const codec = createCodec(endpoint, source.dataset, scenario !== null && scenario.ttl.kind !== 'none');
  const arrival = createArrival(task.kind === 'load' ? scenario!.arrival : { kind: 'closed' }, order.seed, share);
  return new RawDriver(loop, codec, source, arrival, control, new Recorder(RECORDED_KINDS), options, events);
}

function publishing(scenario: Scenario): ArrivalSpec {
  const process = scenario.arrival.kind === 'open' ? scenario.arrival.process : 'constant';
  return { kind: 'open', process, rate: scenario.fanout!.rate };
}

/** Descriptors of the process beside the connections: sockets, files and pipes of the harness itself. */
const OTHER_FILES = 256;

async function main(): Promise<void> {
  raiseFileLimit(order.connections * order.threads + OTHER_FILES);
  const memory = createArena({ byteLength: ARENA_BYTES, addressOf, purge: purgePages });
  const allocator = createJemalloc(memory, { classes: 'debian' });
  const loop = createEventLoop(order.eventLoop, allocator, { maxConnections: order.connections + 16 });
  const reporter = new ThreadReporter(order);
  const driver = createDriver(loop, new LoadControl(order.control), reporter);
  try {
    await loop.run();
  } catch (error) {
    driver.giveUp(`The driver failed: ${(error as Error).stack ?? error}`);
  }
  reporter.done(driver, driver instanceof FanoutDriver ? driver.counts() : null);
  loop.destroy();
}

await main();
