/**
 * Counters of the process and of its worker thread (memcached.h: `stats`, `thread_stats`, `slab_stats`). Plain numbers:
 * reading them is the stats commands' work, which format them in the original's order.
 */
import { CLASS_COUNT, LRU_COUNT } from './layout.ts';

/** Counters of a thread that are one number each. */
const SCALARS = [
  'totalItems',
  'currConnections',
  'totalConnections',
  'rejectedConnections',
  'getMisses',
  'getExpired',
  'getFlushed',
  'getCmds',
  'touchCmds',
  'touchMisses',
  'metaCmds',
  'deleteMisses',
  'incrMisses',
  'decrMisses',
  'casMisses',
  'flushCmds',
  'storeTooLarge',
  'storeNoMemory',
  'authCmds',
  'authErrors',
  'lruMaintainerJuggles',
  'lruCrawlerStarts',
  'listenDisabledNum',
  'listenDisabledUs',
  'connYields',
  'idleKicks',
  'bytesRead',
  'bytesWritten',
] as const;
/** Room for further ones. */
const SCALARS_MAX = 64;
/** Counters by slab class. */
const CLASS_ARRAYS = ['setCmds', 'touchHits', 'deleteHits', 'incrHits', 'decrHits', 'casHits', 'casBadval'] as const;
/** f64 cells that the counters of one thread take in the shared block. */
export const COUNTERS_CELLS = SCALARS_MAX + LRU_COUNT + 8 * CLASS_COUNT;

/** What `stats reset` leaves alone. */
const LASTING: readonly string[] = ['currConnections'];

class CounterCells {
  readonly cells: Float64Array;
  /** Hits by LRU id. */
  readonly lruHits: Float64Array;

  constructor(cells: Float64Array) {
    this.cells = cells;
    this.lruHits = cells.subarray(SCALARS_MAX, SCALARS_MAX + LRU_COUNT);
    CLASS_ARRAYS.forEach((name, index) => {
      const at = SCALARS_MAX + LRU_COUNT + index * CLASS_COUNT;
      Object.defineProperty(this, name, { value: cells.subarray(at, at + CLASS_COUNT), enumerable: true });
    });
  }

  /** `stats reset`: what the original sets to zero (threadlocal_stats_reset and stats_reset). */
  reset(): void {
    const { cells } = this;
    for (let i = 0; i < cells.length; i++) if (i >= SCALARS.length || !LASTING.includes(SCALARS[i]!)) cells[i] = 0;
  }

  /** Adds another thread's counters. */
  add(other: Float64Array): void {
    for (let i = 0; i < this.cells.length; i++) this.cells[i]! += other[i]!;
  }
}

SCALARS.forEach((name, index) => {
  Object.defineProperty(CounterCells.prototype, name, {
    get(this: CounterCells) {
      return this.cells[index];
    },
    set(this: CounterCells, value: number) {
      this.cells[index] = value;
    },
  });
});

/** The counters of one thread (or the sums of all), as numbers to be counted up in place. */
export type Counters = CounterCells &
  Record<(typeof SCALARS)[number], number> &
  Readonly<Record<(typeof CLASS_ARRAYS)[number], Float64Array>>;

/** @param cells where they lie, COUNTERS_CELLS long; by default in an array of their own */
export function makeCounters(cells: Float64Array = new Float64Array(COUNTERS_CELLS)): Counters {
  return new CounterCells(cells) as Counters;
}

/** Sum of a per-class or per-LRU counter. */
export function sumOf(values: Float64Array): number {
  let sum = 0;
  for (const value of values) sum += value;
  return sum;
}

const LRU_COUNTERS = [
  'evicted',
  'evictedNonzero',
  'evictedTime',
  'reclaimed',
  'outOfMemory',
  'tailRepairs',
  'expiredUnfetched',
  'evictedUnfetched',
  'evictedActive',
  'crawlerReclaimed',
  'crawlerItemsChecked',
  'tailReflocked',
  'movesToCold',
  'movesToWarm',
  'movesWithinLru',
  'directReclaims',
] as const;

/** Where the arrays by LRU id come from. */
export interface LruArrays {
  lruArray(index: number): Float64Array;
}

/** Counters of each LRU id (items.c: `itemstats_t`), stored under the LRU's lock. */
export type LruCounters = Readonly<Record<(typeof LRU_COUNTERS)[number], Float64Array>>;

export function makeLruCounters(block: LruArrays): LruCounters {
  const counters: Record<string, Float64Array> = {};
  LRU_COUNTERS.forEach((name, index) => {
    counters[name] = block.lruArray(index);
  });
  return counters as LruCounters;
}

export function resetLruCounters(counters: LruCounters): void {
  for (const values of Object.values(counters)) values.fill(0);
}
