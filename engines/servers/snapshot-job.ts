/** What the server's thread and the thread that writes snapshots tell each other. */
import type { FrozenView } from '../io/arena-mapping.ts';
import type { SnapshotJob } from '../redis/persistence/snapshots.ts';

/** Cells of the shared status. */
export const STATUS_STATE = 0;
export const STATUS_KEYS = 1;
/** The length of the file in two words. */
export const STATUS_BYTES_LOW = 2;
export const STATUS_BYTES_HIGH = 3;
/** Set by the server: give up. */
export const STATUS_ABORT = 4;
export const STATUS_ERROR_LENGTH = 5;
/** Pages that had been copied when the thread last counted them. */
export const STATUS_COPIED_PAGES = 6;
export const STATUS_CELLS = 8;
/** The text of an error follows the cells, one byte a char. */
export const ERROR_BYTES = 512;

export const STATE_IDLE = 0;
export const STATE_RUNNING = 1;
export const STATE_DONE = 2;
export const STATE_FAILED = 3;

export interface SnapshotMessage {
  readonly job: SnapshotJob;
  readonly view: FrozenView;
  /** Memory from this offset on is free at the moment of the snapshot: the writer has its buffers there. */
  readonly freeFrom: number;
}
