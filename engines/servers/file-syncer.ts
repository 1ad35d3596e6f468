/** Syncs files in a thread of its own, so that a slow disk does not hold up the server's. */
import { Worker } from 'node:worker_threads';
import { entryUrl } from '../base/entry.ts';
import type { FileSyncer } from '../redis/persistence/aof.ts';
import { ERROR_BYTES, SYNC_CELLS, SYNC_ERROR_LENGTH, SYNC_FILE, SYNC_STATE } from './sync-job.ts';

export class ThreadSyncer implements FileSyncer {
  private readonly shared = new SharedArrayBuffer(SYNC_CELLS * 4 + ERROR_BYTES);
  private readonly cells = new Int32Array(this.shared, 0, SYNC_CELLS);
  private worker: Worker | null = null;

  get busy(): boolean {
    return Atomics.load(this.cells, SYNC_STATE) === 1;
  }

  get error(): string {
    const length = Atomics.load(this.cells, SYNC_ERROR_LENGTH);
    return Buffer.from(new Uint8Array(this.shared, SYNC_CELLS * 4, length)).toString();
  }

  sync(file: number): void {
    if (this.worker === null) {
      this.worker = new Worker(entryUrl(import.meta.url, './sync-worker.ts'), { workerData: this.shared });
      this.worker.unref();
      this.worker.on('error', () => Atomics.store(this.cells, SYNC_STATE, 0));
    }
    Atomics.store(this.cells, SYNC_FILE, file);
    Atomics.store(this.cells, SYNC_STATE, 1);
    Atomics.notify(this.cells, SYNC_STATE);
  }

  /** Waits until nothing is under way. Before a file is closed. */
  wait(): void {
    if (this.worker !== null) Atomics.wait(this.cells, SYNC_STATE, 1, 60_000);
  }

  /** Ends the thread. */
  async close(): Promise<void> {
    await this.worker?.terminate();
  }
}
