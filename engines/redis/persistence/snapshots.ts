/** Saving in the background as a core asks for it. How memory is frozen and who writes is the business of the process around it. */
import type { RdbPlan } from './rdb-save.ts';

/** Error text of a snapshot that was ended on purpose. */
export const SNAPSHOT_ABORTED = 'aborted';

/** Where the file goes. */
export interface SnapshotJob {
  readonly plan: RdbPlan;
  /** The key of the hash tables: four words. */
  readonly hashKey: readonly number[];
  readonly folder: string;
  readonly name: string;
  readonly temporary: string;
}

/** How a snapshot ended. */
export interface SnapshotEnd {
  /** Empty: well. */
  readonly error: string;
  /** Bytes of the file. */
  readonly fileBytes: number;
  /** Bytes of memory that were copied because they were stored to meanwhile. */
  readonly copiedBytes: number;
}

export interface Snapshots {
  /**
   * Makes ready for a start soon, for so long at the most, so that the pause is short.
   * @returns whether it is; false while one is running or something is left of the last one
   */
  prepare(budgetUs: number): boolean;
  /**
   * Freezes the memory as it is and lets a file of it be written.
   * @returns the pause in µs; -1 when it cannot be done now (one is running, or the copies of the last are not merged yet)
   */
  start(job: SnapshotJob): number;
  readonly running: boolean;
  /** Keys written so far. */
  readonly keysSaved: number;
  /** Bytes that had been copied when that was last counted: once a second, and at the end. */
  readonly copiedBytes: number;
  /** Gives the end once, null before. */
  takeEnd(): SnapshotEnd | null;
  /** Ends the work without a result, and waits until it has ended: no file is put into its place any more. The temporary file is removed. */
  abort(): void;
  /** Work that is left from the last snapshot, for so long at the most. @returns whether there is more */
  tidy(budgetUs: number): boolean;
}
