/** Syncs files in a thread of its own, so that a slow disk does not hold up the server's. */
import { Worker } from 'node:worker_threads';
import { entryUrl } from '../base/entry.ts';
import type { FileSyncer } from '../redis/persistence/aof-sync.ts';
import { ERROR_BYTES, SYNC_CELLS, SYNC_DEAD, SYNC_DONE, SYNC_ERROR_LENGTH, SYNC_FILE, SYNC_GIVEN } from './sync-job.ts';

export class ThreadSyncer implements FileSyncer {
  private readonly shared = new SharedArrayBuffer(SYNC_CELLS * 4 + ERROR_BYTES);
  private readonly cells = new Int32Array(this.shared, 0, SYNC_CELLS);
  private worker: Worker | null = null;

  get busy(): boolean {
    return this.cells[SYNC_GIVEN]! > Atomics.load(this.cells, SYNC_DONE) && Atomics.load(this.cells, SYNC_DEAD) === 0;
  }

  get error(): string {
    if (Atomics.load(this.cells, SYNC_DEAD) === 1) return 'the thread that syncs files has ended';
    const length = Atomics.load(this.cells, SYNC_ERROR_LENGTH);
    return Buffer.from(new Uint8Array(this.shared, SYNC_CELLS * 4, length)).toString();
  }

  /** Begins the thread. The first sync does so too, but that takes a while in which writes would wait. */
  start(): void {
    if (this.worker !== null) return;
    this.worker = new Worker(entryUrl(import.meta.url, './sync-worker.ts'), { workerData: this.shared });
    this.worker.unref();
    // It could not begin, or has ended: without this the server would end too.
    this.worker.on('error', () => Atomics.store(this.cells, SYNC_DEAD, 1));
  }

  sync(file: number): void {
    const { cells } = this;
    this.start();
    cells[SYNC_FILE] = file;
    Atomics.add(cells, SYNC_GIVEN, 1);
    Atomics.notify(cells, SYNC_GIVEN);
  }

  /** Waits until nothing is under way. Before a file is closed. */
  wait(): void {
    const { cells } = this;
    while (this.busy) Atomics.wait(cells, SYNC_DONE, cells[SYNC_GIVEN]! - 1);
  }

  /** Ends the thread. */
  async close(): Promise<void> {
    await this.worker?.terminate();
  }
}
