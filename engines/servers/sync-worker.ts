/** The thread that syncs files: sleeps until there is a job, does it, sleeps again. */
import { fdatasyncSync } from 'node:fs';
import { workerData } from 'node:worker_threads';
import { systemText } from '../base/system-text.ts';
import { ERROR_BYTES, SYNC_CELLS, SYNC_DEAD, SYNC_DONE, SYNC_ERROR_LENGTH, SYNC_FILE, SYNC_GIVEN } from './sync-job.ts';

const shared = workerData as SharedArrayBuffer;
const cells = new Int32Array(shared, 0, SYNC_CELLS);
const text = new Uint8Array(shared, SYNC_CELLS * 4, ERROR_BYTES);

/** @returns the text of what went wrong, empty if nothing did */
function run(file: number): string {
  try {
    fdatasyncSync(file);
    return '';
  } catch (error) {
    return systemText(error);
  }
}

function work(): never {
  for (let job = Atomics.load(cells, SYNC_DONE); ; job++) {
    Atomics.wait(cells, SYNC_GIVEN, job);
    const bytes = Buffer.from(run(cells[SYNC_FILE]!)).subarray(0, ERROR_BYTES);
    text.set(bytes);
    Atomics.store(cells, SYNC_ERROR_LENGTH, bytes.length);
    Atomics.store(cells, SYNC_DONE, job + 1);
    Atomics.notify(cells, SYNC_DONE);
  }
}

try {
  work();
} finally {
  // The server's thread may be asleep until a job is done, and hears of no exit then.
  Atomics.store(cells, SYNC_DEAD, 1);
  Atomics.notify(cells, SYNC_DONE);
}
