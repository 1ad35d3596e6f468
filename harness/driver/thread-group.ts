/**
 * Starts driver threads, lets them begin together, follows them to their end and collects what they measured. Every wait is bounded:
 * a thread that neither reports nor ends is terminated, and what the others measured is kept.
 */
import { Worker } from 'node:worker_threads';
import { nowUs } from '../../engines/io/now.ts';
import { type IntervalCounts, TimelineMerger } from '../measure/recorder.ts';
import { LoadControl } from './control.ts';
import type { LoadHooks } from './load-plan.ts';
import type { ThreadMessage, ThreadOrder, ThreadResult } from './messages.ts';

/** Threads and their connections must be ready within this. */
const READY_MS_MAX = 60_000;
/** After the planned end threads may drain and report for so long before they are terminated. */
const GRACE_MS = 45_000;
/** Aborted threads look at the control word every 50 ms; more than this is a thread that hangs. */
const ABORT_GRACE_MS = 5_000;
/** All threads begin this long after the last one was ready, so that none misses the start. */
const START_DELAY_US = 3_000;

export interface GroupResult {
  threads: ThreadResult[];
  timeline: TimelineMerger;
  /** First reason for an early end, or null. */
  aborted: string | null;
}

/** When things happen, in seconds. */
export interface GroupTimes {
  warmUpS: number;
  /** Infinity: ended by a number of operations. */
  durationS: number;
  intervalMs: number;
}

/**
 * Runs one load.
 * @param entry compiled module of the threads
 * @param orders one for each thread; their `control` is set here
 */
export async function runThreads(
  entry: URL,
  orders: readonly Omit<ThreadOrder, 'control'>[],
  times: GroupTimes,
  hooks: LoadHooks = {},
): Promise<GroupResult> {
  return new ThreadGroup(entry, orders, times, hooks).run();
}

class ThreadGroup {
  private readonly control = new LoadControl();
  private readonly times: GroupTimes;
  private readonly hooks: LoadHooks;
  private readonly workers: Worker[];
  private readonly results: (ThreadResult | null)[];
  private readonly timeline: TimelineMerger;
  private readonly warmUp: TimelineMerger;
  private readonly timers: NodeJS.Timeout[] = [];
  private readyCount = 0;
  private ended = 0;
  private aborted: string | null = null;
  private measureStarted = false;
  private measureEnded = false;
  private finish: () => void = () => {};

  constructor(entry: URL, orders: readonly Omit<ThreadOrder, 'control'>[], times: GroupTimes, hooks: LoadHooks) {
    this.times = times;
    this.hooks = hooks;
    this.timeline = new TimelineMerger(orders.length, times.intervalMs / 1_000);
    this.warmUp = new TimelineMerger(orders.length, times.intervalMs / 1_000);
    this.results = orders.map(() => null);
    this.workers = orders.map((order, i) => {
      const worker = new Worker(entry, { workerData: { ...order, control: this.control.buffer }, name: `driver ${i}` });
      worker.on('message', (message: ThreadMessage) => this.onMessage(i, message));
      worker.on('error', (error) => this.abort(`A driver thread failed: ${error.stack ?? error.message}`));
      worker.on('exit', () => this.onExit(i));
      return worker;
    });
  }

  async run(): Promise<GroupResult> {
    const { signal } = this.hooks;
    const onAbort = () => this.abort(`Interrupted${abortText(signal)}`);
    if (signal?.aborted) onAbort();
    signal?.addEventListener('abort', onAbort);
    this.after(READY_MS_MAX, () => {
      if (this.readyCount < this.workers.length)
        this.abort(`The connections were not open within ${READY_MS_MAX / 1000} s`);
    });
    await new Promise<void>((resolve) => {
      this.finish = resolve;
      if (this.ended === this.workers.length) resolve();
    });
    signal?.removeEventListener('abort', onAbort);
    for (const timer of this.timers) clearTimeout(timer);
    this.endMeasure();
    const threads = this.results.filter((result) => result !== null);
    const first = threads.find((result) => result.aborted !== null && result.aborted !== 'aborted');
    // What a thread says about the target tells more than that others were then told to stop.
    return { threads, timeline: this.timeline, aborted: first?.aborted ?? this.aborted };
  }

  private after(ms: number, action: () => void): void {
    this.timers.push(setTimeout(action, ms));
  }

  private onMessage(i: number, message: ThreadMessage): void {
    switch (message.type) {
      case 'ready':
        if (++this.readyCount === this.workers.length && this.aborted === null) this.go();
        break;
      case 'interval':
        this.onInterval(message.phase, message.counts);
        break;
      case 'done':
        this.results[i] = message.result;
        if (message.result.aborted !== null) this.abort(message.result.aborted);
        if (this.results.every((result) => result !== null)) this.endMeasure();
        break;
    }
  }

  private onInterval(phase: 'preload' | 'warm-up' | 'measure', counts: IntervalCounts): void {
    const row = (phase === 'warm-up' ? this.warmUp : this.timeline).add(counts);
    if (row === null) return;
    if (phase === 'warm-up') row.t = Number((row.t - this.times.warmUpS).toFixed(6));
    this.hooks.onInterval?.(row, phase);
  }

  private go(): void {
    const { warmUpS, durationS } = this.times;
    if (warmUpS === 0) this.startMeasure();
    const startUs = nowUs() + START_DELAY_US;
    this.control.go(startUs);
    if (warmUpS > 0) this.after((startUs - nowUs()) / 1_000 + warmUpS * 1_000, () => this.startMeasure());
    if (Number.isFinite(durationS)) {
      this.after((warmUpS + durationS) * 1_000 + GRACE_MS, () => this.abort('The driver threads did not end in time'));
    }
  }

  private startMeasure(): void {
    if (this.measureStarted) return;
    this.measureStarted = true;
    this.hooks.onMeasureStart?.();
  }

  private endMeasure(): void {
    if (!this.measureStarted || this.measureEnded) return;
    this.measureEnded = true;
    this.hooks.onMeasureEnd?.();
  }

  private abort(why: string): void {
    if (this.aborted === null) {
      this.aborted = why;
      this.after(ABORT_GRACE_MS, () => {
        for (const worker of this.workers) void worker.terminate();
      });
    }
    this.control.abort();
  }

  private onExit(i: number): void {
    this.ended++;
    if (this.results[i] === null && this.aborted === null) this.abort('A driver thread ended without a report');
    if (this.ended === this.workers.length) this.finish();
  }
}

function abortText(signal: AbortSignal | undefined): string {
  const reason: unknown = signal?.reason;
  if (reason instanceof Error && reason.name !== 'AbortError') return `: ${reason.message}`;
  return typeof reason === 'string' ? `: ${reason}` : '';
}
