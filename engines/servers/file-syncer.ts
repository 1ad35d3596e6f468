/** Syncs files in a thread of its own, so that a slow disk does not hold up the server's. */
import { Worker } from 'node:worker_threads';
import { entryUrl } from '../base/entry.ts';
import type { FileSyncer } from '../redis/persistence/aof.ts';
import {
  ERROR_BYTES,
  RING_PLACES,
  SYNC_CELLS,
  SYNC_DEAD,
  SYNC_DONE,
  SYNC_ERROR_LENGTH,
  SYNC_GIVEN,
  SYNC_RING,
} from './sync-job.ts';

export class ThreadSyncer implements FileSyncer {
  private readonly shared = new SharedArrayBuffer(SYNC_CELLS * 4 + ERROR_BYTES);
  private readonly cells = new Int32Array(this.shared, 0, SYNC_CELLS);
  private worker: Worker | null = null;
  /** Jobs up to the last that only syncs. */
  private syncs = 0;

  get busy(): boolean {
    return this.syncs > Atomics.load(this.cells, SYNC_DONE) && Atomics.load(this.cells, SYNC_DEAD) === 0;
  }

  get error(): string {
    if (Atomics.load(this.cells, SYNC_DEAD) === 1) return 'the thread that syncs files has ended';
    const length = Atomics.load(this.cells, SYNC_ERROR_LENGTH);
    return Buffer.from(new Uint8Array(this.shared, SYNC_CELLS * 4, length)).toString();
  }

  sync(file: number): void {
    this.syncs = this.give(file, 0);
  }

  syncAndClose(file: number): void {
    this.give(file, 1);
  }

  /** @returns the number of jobs given with this one */
  private give(file: number, closes: number): number {
    const { cells } = this;
    if (this.worker === null) {
      this.worker = new Worker(entryUrl(import.meta.url, './sync-worker.ts'), { workerData: this.shared });
      this.worker.unref();
      // It could not begin, or has ended: without this the server would end too.
      this.worker.on('error', () => Atomics.store(cells, SYNC_DEAD, 1));
    }
    const given = cells[SYNC_GIVEN]!;
    this.waitFor(given + 1 - RING_PLACES);
    const place = SYNC_RING + 2 * (given % RING_PLACES);
    cells[place] = file;
    cells[place + 1] = closes;
    Atomics.store(cells, SYNC_GIVEN, given + 1);
    Atomics.notify(cells, SYNC_GIVEN);
    return given + 1;
  }

  private waitFor(jobs: number): void {
    const { cells } = this;
    for (;;) {
      const done = Atomics.load(cells, SYNC_DONE);
      if (done >= jobs || Atomics.load(cells, SYNC_DEAD) === 1) return;
      Atomics.wait(cells, SYNC_DONE, done);
    }
  }

  /** Waits until nothing is under way. Before a file is closed. */
  wait(): void {
    this.waitFor(this.cells[SYNC_GIVEN]!);
  }

  /** Ends the thread. */
  async close(): Promise<void> {
    await this.worker?.terminate();
  }
}
