/** Snapshots written by a thread from frozen memory (see io/arena-mapping.ts). */
import { resolve } from 'node:path';
import { Worker } from 'node:worker_threads';
import { entryUrl } from '../base/entry.ts';
import type { ArenaMapping } from '../io/arena-mapping.ts';
import { PAGE_BYTES } from '../io/arena-mapping.ts';
import { nowUs } from '../io/now.ts';
import type { Arena } from '../memory/arena.ts';
import type { SnapshotEnd, SnapshotJob, Snapshots } from '../redis/persistence/snapshots.ts';
import {
  ERROR_BYTES,
  type SnapshotMessage,
  STATE_DONE,
  STATE_IDLE,
  STATE_RUNNING,
  STATUS_ABORT,
  STATUS_BYTES_HIGH,
  STATUS_BYTES_LOW,
  STATUS_CELLS,
  STATUS_COPIED_PAGES,
  STATUS_ERROR_LENGTH,
  STATUS_KEYS,
  STATUS_STATE,
} from './snapshot-job.ts';

/** A thread that does not end by then hangs in the disk. */
const ABORT_WAIT_MS = 10_000;

export class ThreadSnapshots implements Snapshots {
  private readonly arena: Arena;
  private readonly mapping: ArenaMapping;
  private readonly shared = new SharedArrayBuffer(STATUS_CELLS * 4 + ERROR_BYTES);
  private readonly status = new Int32Array(this.shared, 0, STATUS_CELLS);
  private worker: Worker | null = null;
  /** The thread has ended by itself: what it said. */
  private died = '';

  constructor(arena: Arena, mapping: ArenaMapping) {
    this.arena = arena;
    this.mapping = mapping;
  }

  private thread(): Worker {
    if (this.worker === null) {
      const worker = new Worker(entryUrl(import.meta.url, './snapshot-worker.ts'), { workerData: this.shared });
      // A server that ends does not wait for the thread.
      worker.unref();
      worker.on('error', (error) => {
        this.died = `the thread ended: ${error.message}`;
      });
      worker.on('exit', () => {
        if (this.worker === worker) this.worker = null;
        if (this.died === '') this.died = 'the thread ended';
      });
      this.died = '';
      this.worker = worker;
    }
    return this.worker;
  }

  get running(): boolean {
    return Atomics.load(this.status, STATUS_STATE) !== STATE_IDLE;
  }

  get keysSaved(): number {
    return Atomics.load(this.status, STATUS_KEYS);
  }

  start(job: SnapshotJob): number {
    if (this.running || !this.mapping.ready) return -1;
    const thread = this.thread();
    const freeFrom = this.arena.zeroFrom;
    const startUs = nowUs();
    const view = this.mapping.freeze();
    const pauseUs = nowUs() - startUs;
    if (view === null) return -1;
    this.status.fill(0);
    Atomics.store(this.status, STATUS_STATE, STATE_RUNNING);
    // CONFIG SET dir may change the process's folder while it is written.
    const message: SnapshotMessage = { job: { ...job, folder: resolve(job.folder) }, view, freeFrom };
    thread.postMessage(message);
    return pauseUs;
  }

  get copiedBytes(): number {
    return Atomics.load(this.status, STATUS_COPIED_PAGES) * PAGE_BYTES;
  }

  prepare(budgetUs: number): boolean {
    if (this.running || !this.mapping.ready) return false;
    this.thread();
    const until = nowUs() + budgetUs;
    return this.mapping.thin(this.arena.zeroFrom, () => nowUs() >= until);
  }

  takeEnd(): SnapshotEnd | null {
    const state = Atomics.load(this.status, STATUS_STATE);
    if (state === STATE_IDLE || (state === STATE_RUNNING && this.died === '')) return null;
    const { copiedBytes } = this;
    this.mapping.release();
    let error = this.died;
    if (state !== STATE_RUNNING && state !== STATE_DONE) {
      const length = this.status[STATUS_ERROR_LENGTH]!;
      error = Buffer.from(new Uint8Array(this.shared, STATUS_CELLS * 4, length)).toString() || 'unknown error';
    }
    const fileBytes = this.status[STATUS_BYTES_HIGH]! * 4294967296 + (this.status[STATUS_BYTES_LOW]! >>> 0);
    Atomics.store(this.status, STATUS_STATE, STATE_IDLE);
    return { error: state === STATE_DONE ? '' : error, fileBytes, copiedBytes };
  }

  abort(): void {
    Atomics.store(this.status, STATUS_ABORT, 1);
    Atomics.notify(this.status, STATUS_ABORT);
    // What it would still put into its place could be older than what is saved next.
    Atomics.wait(this.status, STATUS_STATE, STATE_RUNNING, ABORT_WAIT_MS);
  }

  tidy(budgetUs: number): boolean {
    if (!this.mapping.merging) return false;
    const until = nowUs() + budgetUs;
    return !this.mapping.merge(this.arena.zeroFrom, () => nowUs() >= until);
  }

  /** Ends the thread. */
  async close(): Promise<void> {
    await this.worker?.terminate();
  }
}
