/** What every kind of driver thread does with its order: draws its share of the work, posts progress, reports at the end. */
import { parentPort } from 'node:worker_threads';
import { createRandom } from '../../engines/base/random.ts';
import type { Recorder } from '../measure/recorder.ts';
import { createDuration, type DurationSource } from '../workload/duration.ts';
import { createWorkload, Preload } from '../workload/workload.ts';
import type { Endpoint } from './load-plan.ts';
import type { ProbeTask, ThreadMessage, ThreadOrder, ThreadResult } from './messages.ts';
import type { DriverEvents, Phases, PhaseTimes } from './phases.ts';
import type { OperationSource } from './raw-driver.ts';
import { PreloadSource, ProbeSource } from './sources.ts';
import { threadCpuSeconds } from './thread-cpu.ts';

/** While a data set is stored, so much is on its way per connection at the most. */
const PRELOAD_BYTES_IN_FLIGHT = 262_144;
const PRELOAD_DEPTH_MAX = 32;

/** Operations and how to send them: what the raw and the client driver are both given. */
export interface ThreadWork {
  source: OperationSource;
  options: WorkOptions;
}

export interface WorkOptions extends PhaseTimes {
  endpoint: Endpoint;
  connections: number;
  /** Operations in flight per connection at the most. */
  depth: number;
  multiKey: number;
  /** Ends the measured phase after so many operations of this thread; 0: by time only. */
  operations: number;
  /** Share of values that are verified. */
  verify: number;
  /** null: no cache-aside. */
  origin: DurationSource | null;
}

function post(message: ThreadMessage): void {
  parentPort!.postMessage(message);
}

/** @returns what a thread of this order does (not for fan-out) */
export function workOf(order: ThreadOrder): ThreadWork {
  const { task } = order;
  if (task.kind === 'preload') return preloadWork(order);
  return task.kind === 'probe' ? probeWork(order, task) : loadWork(order);
}

/** Reports progress to the harness's thread and remembers the thread's CPU time. */
export class ThreadReporter implements DriverEvents {
  private readonly order: ThreadOrder;
  private cpuAtStart: number | null = null;

  constructor(order: ThreadOrder) {
    this.order = order;
  }

  onReady(): void {
    post({ type: 'ready' });
  }

  onMeasure(): void {
    this.cpuAtStart = threadCpuSeconds();
  }

  onInterval(phase: 'warm-up' | 'measure', counts: Parameters<DriverEvents['onInterval']>[1]): void {
    post({ type: 'interval', phase: this.order.task.kind === 'preload' ? 'preload' : phase, counts });
  }

  /** The last word of a thread. */
  done(driver: Runnable, fanout: ThreadResult['fanout'] = null): void {
    const cpuAtEnd = threadCpuSeconds();
    const { recorder, phases } = driver;
    // An abort during the warm-up leaves nothing that was measured.
    if (!phases.measuring) recorder.reset();
    const result: ThreadResult = {
      totals: recorder.totals(),
      bytesSent: driver.bytesSent,
      bytesReceived: driver.bytesReceived,
      aborted: driver.aborted,
      measureStartUs: phases.measureStartUs,
      lastAnswerUs: driver.lastAnswerUs,
      fanout,
      cpuS: this.cpuAtStart === null || cpuAtEnd === null ? null : cpuAtEnd - this.cpuAtStart,
    };
    post({ type: 'done', result });
  }
}

/** What every driver has for the thread that runs it. */
export interface Runnable {
  readonly recorder: Recorder;
  readonly phases: Phases;
  readonly aborted: string | null;
  readonly bytesSent: number;
  readonly bytesReceived: number;
  readonly lastAnswerUs: number;
  giveUp(why: string): void;
}

function loadWork(order: ThreadOrder): ThreadWork {
  const scenario = order.scenario!;
  const source = createWorkload(scenario, order.seed, order);
  const origin =
    scenario.cacheAside === null
      ? null
      : createDuration(scenario.cacheAside.originLatency, `${order.seed}/origin ${order.thread} of ${order.threads}`);
  const operations = shareOf(order, scenario.operations);
  return {
    source,
    options: {
      endpoint: order.endpoint,
      connections: order.connections,
      depth: scenario.pipeline,
      multiKey: Math.max(1, scenario.multiKey),
      warmUpS: scenario.warmUpS,
      durationS: scenario.durationS > 0 ? scenario.durationS : Number.POSITIVE_INFINITY,
      operations,
      intervalMs: scenario.intervalMs,
      verify: scenario.verify,
      origin,
    },
  };
}

/** This thread's part of a number of operations; 0 stays 0 (no bound). */
function shareOf(order: ThreadOrder, operations: number): number {
  if (operations === 0) return 0;
  const part = Math.floor(operations / order.threads);
  return part + (order.thread < operations % order.threads ? 1 : 0);
}

function preloadWork(order: ThreadOrder): ThreadWork {
  const preload = new Preload(order.scenario!, order.seed, order);
  const source = new PreloadSource(preload, order.thread, order.threads);
  const bytes = Math.max(1, preload.dataset.maxValueBytes);
  const depth = Math.max(1, Math.min(PRELOAD_DEPTH_MAX, Math.floor(PRELOAD_BYTES_IN_FLIGHT / bytes)));
  return { source, options: plain(order, depth, 0, Number.POSITIVE_INFINITY, source.count) };
}

function probeWork(order: ThreadOrder, task: ProbeTask): ThreadWork {
  const random = createRandom(`${order.seed}/${order.thread}`);
  const source = new ProbeSource(task.operation, task.keys, task.keyBytes, task.valueBytes, random);
  return {
    source,
    options: plain(order, task.pipeline, task.warmUpS, task.durationS, shareOf(order, task.operations)),
  };
}

function plain(order: ThreadOrder, depth: number, warmUpS: number, durationS: number, operations: number): WorkOptions {
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
