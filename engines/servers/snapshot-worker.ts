/** The thread that writes snapshots: it sees the frozen memory through a buffer of its own and serialises it. */
import { setPriority } from 'node:os';
import { parentPort, workerData } from 'node:worker_threads';
import { createRandom } from '../base/random.ts';
import { systemText } from '../base/system-text.ts';
import { countCopies, dropFrozen, mapFrozen } from '../io/arena-mapping.ts';
import { nowUs } from '../io/now.ts';
import { addressOf } from '../io/system.ts';
import { createArena, makeBuffer } from '../memory/arena.ts';
import type { ArenaBuffer } from '../memory/arena-buffer.ts';
import { createJemalloc } from '../memory/jemalloc.ts';
import { SaveAborted, saveRdbFile } from '../redis/persistence/rdb-save.ts';
import { SNAPSHOT_ABORTED } from '../redis/persistence/snapshots.ts';
import { Heap } from '../redis/structures/heap.ts';
import { objectTypes } from '../redis/types/index.ts';
import { createLocalDisk } from './local-disk.ts';
import {
  ERROR_BYTES,
  type SnapshotMessage,
  STATE_DONE,
  STATE_FAILED,
  STATUS_ABORT,
  STATUS_BYTES_HIGH,
  STATUS_BYTES_LOW,
  STATUS_CELLS,
  STATUS_COPIED_PAGES,
  STATUS_ERROR_LENGTH,
  STATUS_KEYS,
  STATUS_STATE,
} from './snapshot-job.ts';

/** After so many keys the pages that were read are let go, so that they do not count twice as resident for long. */
const DROP_EVERY_KEYS = 262_144;
/**
 * The thread gives way to the server's own, so that a request rarely waits for the rest of its time slice (up to 4 ms without this). Where
 * no core is idle it still gets a quarter of one: with 10 instead of 5 it would be a tenth, and a snapshot beside a load that takes
 * everything would last several times as long as the original's.
 */
const NICE = 5;
/** Copies are counted so often; the original's child tells its parent as often. */
const COUNT_EVERY_MS = 1_000;

const shared = workerData as SharedArrayBuffer;
const status = new Int32Array(shared, 0, STATUS_CELLS);
const errorText = new Uint8Array(shared, STATUS_CELLS * 4, ERROR_BYTES);
let bytes: ArenaBuffer | null = null;

/** Only pages that hold something of the snapshot count: a child of the original does not see what its parent takes anew either. */
function tellCopies({ view, freeFrom }: SnapshotMessage): void {
  Atomics.store(status, STATUS_COPIED_PAGES, countCopies(view, freeFrom));
}

function write(message: SnapshotMessage): number {
  const { job, view, freeFrom } = message;
  bytes ??= makeBuffer(view.byteLength);
  const { buffer } = bytes;
  if (!mapFrozen(buffer, view)) throw new Error('Cannot see the frozen memory: mmap failed');
  const memory = createArena({ bytes, takeFrom: freeFrom, addressOf });
  const clock = { wallMs: () => Date.now(), monoUs: nowUs };
  const heap = new Heap(createJemalloc(memory, { classes: 'debian', clock }), createRandom('snapshot'));
  heap.types = objectTypes;
  heap.hashKey.set(job.hashKey);
  let dropAt = DROP_EVERY_KEYS;
  let slept = 0;
  let countAtMs = Date.now() + COUNT_EVERY_MS;
  return saveRdbFile({ ...job.plan, heap }, createLocalDisk(), job.folder, job.name, job.temporary, (keys) => {
    Atomics.store(status, STATUS_KEYS, keys);
    if (job.plan.keyDelayUs > 0) {
      // Whoever does not want the snapshot any more does not wait for the end of this.
      Atomics.wait(status, STATUS_ABORT, 0, ((keys - slept) * job.plan.keyDelayUs) / 1000);
      slept = keys;
    }
    if (Atomics.load(status, STATUS_ABORT) !== 0) throw new SaveAborted(SNAPSHOT_ABORTED);
    if (Date.now() >= countAtMs) {
      tellCopies(message);
      countAtMs = Date.now() + COUNT_EVERY_MS;
    }
    if (keys < dropAt) return;
    dropFrozen(buffer, freeFrom);
    dropAt += DROP_EVERY_KEYS;
  });
}

function end(state: number, text: string): void {
  const bytes = Buffer.from(text).subarray(0, ERROR_BYTES);
  errorText.set(bytes);
  Atomics.store(status, STATUS_ERROR_LENGTH, bytes.length);
  Atomics.store(status, STATUS_STATE, state);
  Atomics.notify(status, STATUS_STATE);
}

// On Linux a priority is a thread's; there is no frozen memory elsewhere.
setPriority(NICE);

parentPort?.on('message', (message: SnapshotMessage) => {
  try {
    const length = write(message);
    tellCopies(message);
    if (bytes !== null) dropFrozen(bytes.buffer, bytes.buffer.byteLength);
    Atomics.store(status, STATUS_BYTES_LOW, length | 0);
    Atomics.store(status, STATUS_BYTES_HIGH, Math.floor(length / 4294967296));
    end(STATE_DONE, '');
  } catch (error) {
    end(STATE_FAILED, systemText(error));
  }
});
