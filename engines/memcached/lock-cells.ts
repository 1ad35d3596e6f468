/** Numbers of the locks that are not item locks (see locks.ts for their order). */
import { LRU_COUNT } from './layout.ts';

/**
 * Each has a cache line of its own, and what it guards that is stored most lies in the same line: a thread that takes the lock then has that as
 * well, and threads that take different locks do not take lines from each other.
 */
export const LOCK_SHIFT = 4;
/** Words behind the lock of an LRU: most and least recent item, number of items; the f64 of that index in the line: their bytes. */
export const LIST_HEAD = 1;
export const LIST_TAIL = 2;
export const LIST_COUNT = 3;
export const LIST_BYTES_F64 = 2;

/** LOCK_LRU + LRU id. */
export const LOCK_LRU = 0;
export const LOCK_SLABS = LRU_COUNT;
export const LOCK_SETTINGS = LRU_COUNT + 1;
export const LOCK_SIZES = LRU_COUNT + 2;
export const LOCK_PREFIX = LRU_COUNT + 3;
export const LOCK_LOGGER = LRU_COUNT + 4;
export const LOCK_CONNECTIONS = LRU_COUNT + 5;
export const LOCK_COUNT = LRU_COUNT + 6;
