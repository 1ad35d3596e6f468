/** The thread that syncs files: sleeps until one is named, syncs it, sleeps again. */
import { fdatasyncSync } from 'node:fs';
import { workerData } from 'node:worker_threads';
import { systemText } from '../base/system-text.ts';
import { ERROR_BYTES, SYNC_CELLS, SYNC_ERROR_LENGTH, SYNC_FILE, SYNC_STATE } from './sync-job.ts';

const shared = workerData as SharedArrayBuffer;
const cells = new Int32Array(shared, 0, SYNC_CELLS);
const text = new Uint8Array(shared, SYNC_CELLS * 4, ERROR_BYTES);

for (;;) {
  Atomics.wait(cells, SYNC_STATE, 0);
  let length = 0;
  try {
    fdatasyncSync(Atomics.load(cells, SYNC_FILE));
  } catch (error) {
    const bytes = Buffer.from(systemText(error)).subarray(0, ERROR_BYTES);
    text.set(bytes);
    length = bytes.length;
  }
  Atomics.store(cells, SYNC_ERROR_LENGTH, length);
  Atomics.store(cells, SYNC_STATE, 0);
  Atomics.notify(cells, SYNC_STATE);
}
