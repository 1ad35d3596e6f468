/** What driver threads are given and what they post: plain data. */
import type { Scenario } from '../../scenarios/spec.ts';
import type { IntervalCounts, RecorderTotals } from '../measure/recorder.ts';
import type { Endpoint } from './load-plan.ts';

/** A closed loop of one kind of operation over keys of one size: see closed-loop-probe.ts. */
export interface ProbeTask {
  kind: 'probe';
  operation: 'get' | 'set';
  keys: number;
  keyBytes: number;
  valueBytes: number;
  pipeline: number;
  /** 0: by time only. */
  operations: number;
  warmUpS: number;
  /** Infinity: by operations only. */
  durationS: number;
}

/** Receivers of a fan-out and maybe its publisher: see fanout.ts. */
export interface FanoutTask {
  kind: 'fanout';
  receivers: number;
  firstReceiver: number;
  publishes: boolean;
}

export type DriverTask = { kind: 'load' } | { kind: 'preload' } | ProbeTask | FanoutTask;

/** workerData of every driver thread. */
export interface ThreadOrder {
  task: DriverTask;
  endpoint: Endpoint;
  /** null for a probe. */
  scenario: Scenario | null;
  seed: string;
  eventLoop: 'auto' | 'epoll' | 'libuv';
  thread: number;
  threads: number;
  /** Connections of this thread. */
  connections: number;
  /** Buffer of the LoadControl. */
  control: SharedArrayBuffer;
}

/** All that a thread has measured. */
export interface ThreadResult {
  totals: RecorderTotals;
  bytesSent: number;
  bytesReceived: number;
  aborted: string | null;
  /** µs of `nowUs`; 0 when the measured phase was never reached. */
  measureStartUs: number;
  lastAnswerUs: number;
  /** null where the task is no fan-out. */
  fanout: { published: number; deliveries: number; expected: number } | null;
  /** Seconds of CPU of this thread in the measured phase; null where unknown. */
  cpuS: number | null;
}

export type ThreadMessage =
  | { type: 'ready' }
  | { type: 'interval'; phase: 'preload' | 'warm-up' | 'measure'; counts: IntervalCounts }
  | { type: 'done'; result: ThreadResult };
