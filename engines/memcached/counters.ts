/**
 * Counters of the process and of its worker thread (memcached.h: `stats`, `thread_stats`, `slab_stats`). Plain numbers:
 * reading them is the stats commands' work, which format them in the original's order.
 */
import { CLASS_COUNT, LRU_COUNT } from './layout.ts';

export class Counters {
  totalItems = 0;
  currConnections = 0;
  totalConnections = 0;
  rejectedConnections = 0;
  getMisses = 0;
  getExpired = 0;
  getFlushed = 0;
  getCmds = 0;
  touchCmds = 0;
  touchMisses = 0;
  metaCmds = 0;
  deleteMisses = 0;
  incrMisses = 0;
  decrMisses = 0;
  casMisses = 0;
  flushCmds = 0;
  storeTooLarge = 0;
  storeNoMemory = 0;
  authCmds = 0;
  authErrors = 0;
  lruMaintainerJuggles = 0;
  lruCrawlerStarts = 0;
  listenDisabledNum = 0;
  /** Hits by LRU id. */
  readonly lruHits = new Float64Array(LRU_COUNT);
  /** By slab class. */
  readonly setCmds = new Float64Array(CLASS_COUNT);
  readonly touchHits = new Float64Array(CLASS_COUNT);
  readonly deleteHits = new Float64Array(CLASS_COUNT);
  readonly incrHits = new Float64Array(CLASS_COUNT);
  readonly decrHits = new Float64Array(CLASS_COUNT);
  readonly casHits = new Float64Array(CLASS_COUNT);
  readonly casBadval = new Float64Array(CLASS_COUNT);

  /** `stats reset`: what the original sets to zero (threadlocal_stats_reset and stats_reset). */
  reset(): void {
    this.totalItems = 0;
    this.totalConnections = 0;
    this.rejectedConnections = 0;
    this.getMisses = 0;
    this.getExpired = 0;
    this.getFlushed = 0;
    this.getCmds = 0;
    this.touchCmds = 0;
    this.touchMisses = 0;
    this.metaCmds = 0;
    this.deleteMisses = 0;
    this.incrMisses = 0;
    this.decrMisses = 0;
    this.casMisses = 0;
    this.flushCmds = 0;
    this.storeTooLarge = 0;
    this.storeNoMemory = 0;
    this.authCmds = 0;
    this.authErrors = 0;
    this.listenDisabledNum = 0;
    for (const perClass of [
      this.lruHits,
      this.setCmds,
      this.touchHits,
      this.deleteHits,
      this.incrHits,
      this.decrHits,
      this.casHits,
      this.casBadval,
    ]) {
      perClass.fill(0);
    }
  }
}

/** Sum of a per-class or per-LRU counter. */
export function sumOf(values: Float64Array): number {
  let sum = 0;
  for (const value of values) sum += value;
  return sum;
}

/** Counters of each LRU id (items.c: `itemstats_t`). */
export class LruCounters {
  readonly evicted = new Float64Array(LRU_COUNT);
  readonly evictedNonzero = new Float64Array(LRU_COUNT);
  readonly evictedTime = new Float64Array(LRU_COUNT);
  readonly reclaimed = new Float64Array(LRU_COUNT);
  readonly outOfMemory = new Float64Array(LRU_COUNT);
  readonly tailRepairs = new Float64Array(LRU_COUNT);
  readonly expiredUnfetched = new Float64Array(LRU_COUNT);
  readonly evictedUnfetched = new Float64Array(LRU_COUNT);
  readonly evictedActive = new Float64Array(LRU_COUNT);
  readonly crawlerReclaimed = new Float64Array(LRU_COUNT);
  readonly crawlerItemsChecked = new Float64Array(LRU_COUNT);
  readonly tailReflocked = new Float64Array(LRU_COUNT);
  readonly movesToCold = new Float64Array(LRU_COUNT);
  readonly movesToWarm = new Float64Array(LRU_COUNT);
  readonly movesWithinLru = new Float64Array(LRU_COUNT);
  readonly directReclaims = new Float64Array(LRU_COUNT);

  reset(): void {
    for (const values of Object.values(this)) (values as Float64Array).fill(0);
  }
}
