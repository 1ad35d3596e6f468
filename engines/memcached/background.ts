/**
 * The background work that the original gives to threads of its own. Here each is a job that runs in slices from a timer of the thread that
 * has no commands to execute (the dispatcher), or between the turns of the only thread; a slice is short enough not to be noticed.
 */
import type { Clock, Memory } from '../ports.ts';
import { CELL_WAKES, type SharedBlock } from './shared-block.ts';

export interface BackgroundJob {
  readonly name: string;
  /** Does a slice of work. @returns ms until it wants to run again */
  run(): number;
}

/** One bit of the shared cell each. */
const JOBS_MAX = 31;

export class Background {
  readonly #clock: Clock;
  readonly #i32: Int32Array;
  readonly #wakes: number;
  readonly #jobs: BackgroundJob[] = [];
  readonly #dueMs: number[] = [];
  readonly #wakeThread: () => void;
  #isRunning = false;

  /** @param wakeThread sees to it that the thread that runs the jobs calls `run` soon */
  constructor(memory: Memory, block: SharedBlock, clock: Clock, wakeThread: () => void) {
    this.#clock = clock;
    this.#i32 = memory.i32;
    this.#wakes = block.cell(CELL_WAKES);
    this.#wakeThread = wakeThread;
  }

  /** To be called for the same jobs in the same order in every thread. Its first slice is due at once. */
  add(job: BackgroundJob): void {
    if (this.#jobs.length === JOBS_MAX)
      throw new Error(`Cannot add the job ${job.name}: there are ${JOBS_MAX} already`);
    this.#jobs.push(job);
    this.#dueMs.push(0);
  }

  /** Asks for a slice of a job soon. From any thread. */
  wake(name: string): void {
    const index = this.#jobs.findIndex((job) => job.name === name);
    if (index < 0) throw new Error(`Cannot wake the job ${name}: there is none`);
    Atomics.or(this.#i32, this.#wakes, 1 << index);
    if (!this.#isRunning) this.#wakeThread();
  }

  /** Runs every job, due or not: for those whose clock stands still. @returns ms until the next one is due */
  runAll(): number {
    this.#dueMs.fill(0);
    return this.run();
  }

  /** Runs the jobs that are due. @returns ms until the next one is */
  run(): number {
    const wakes = Atomics.exchange(this.#i32, this.#wakes, 0);
    const nowMs = this.#clock.monoUs() / 1_000;
    let next = Number.POSITIVE_INFINITY;
    this.#isRunning = true;
    for (let i = 0; i < this.#jobs.length; i++) {
      if (this.#dueMs[i]! <= nowMs || (wakes & (1 << i)) !== 0) this.#dueMs[i] = nowMs + this.#jobs[i]!.run();
      next = Math.min(next, this.#dueMs[i]!);
    }
    this.#isRunning = false;
    // One job may have woken another that had its turn before.
    return Atomics.load(this.#i32, this.#wakes) !== 0 ? 0 : Math.max(0, next - nowMs);
  }
}
