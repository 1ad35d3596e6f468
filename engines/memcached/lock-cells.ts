/** Numbers of the locks that are not item locks (see locks.ts for their order). */
import { LRU_COUNT } from './layout.ts';

/** LOCK_LRU + LRU id. */
export const LOCK_LRU = 0;
export const LOCK_SLABS = LRU_COUNT;
export const LOCK_CAS = LRU_COUNT + 1;
export const LOCK_SETTINGS = LRU_COUNT + 2;
export const LOCK_SIZES = LRU_COUNT + 3;
export const LOCK_PREFIX = LRU_COUNT + 4;
export const LOCK_CRAWLER = LRU_COUNT + 5;
export const LOCK_LOGGER = LRU_COUNT + 6;
export const LOCK_STATS = LRU_COUNT + 7;
export const LOCK_CONNECTIONS = LRU_COUNT + 8;
export const LOCK_COUNT = LRU_COUNT + 16;
