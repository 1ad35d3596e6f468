/**
 * What the threads of a server share beside items, slab pages and the hash table's buckets: one block of the arena with cells and arrays at
 * fixed places. No JavaScript object is shared between threads, so whatever two of them must agree on lies here.
 *
 * The thread that starts the server takes and fills the block; the others are told its offset. Who may store where, and under which
 * lock, stands beside each part; what carries no note is stored before the other threads start.
 */
import type { Memory } from '../ports.ts';
import { COUNTERS_CELLS } from './counters.ts';
import { CLASS_COUNT, LRU_COUNT } from './layout.ts';
import { LOCK_COUNT, LOCK_SHIFT } from './lock-cells.ts';

const PAGE_BYTES = 4_096;
const CACHE_LINE_BYTES = 64;

/** Item locks there is room for; how many are used depends on the number of threads. */
export const ITEM_LOCKS_MAX = 2 ** 15;
/** Slab pages that an arena of 4 GiB can hold at most. */
export const SLAB_PAGES_MAX = 4_096;
/** Room for run-time settings. */
const SETTINGS_MAX = 96;

// u32 cells.
/** Relative seconds. Stored by the thread that runs the clock only. */
export const CELL_NOW = 0;
/** `flush_all`: items not newer than this are flushed, 0 none. One word, stored without a lock: the last flush counts. */
export const CELL_OLDEST_LIVE = 1;
/** Hash table. The swap happens under all item locks, the bucket to be moved next advances under that bucket's lock. */
export const CELL_TABLE = 2;
export const CELL_TABLE_MASK = 3;
export const CELL_TABLE_POWER = 4;
export const CELL_OLD_TABLE = 5;
export const CELL_OLD_TABLE_MASK = 6;
export const CELL_EXPAND_BUCKET = 7;
export const CELL_EXPANDING = 8;
/** Counts changes of settings. */
export const CELL_SETTINGS_GENERATION = 10;
/** One bit a background job that is asked to run soon; changed by atomic operations. */
export const CELL_WAKES = 11;
/** Which events watchers want (logger), 0 while nobody watches. LOCK_LOGGER. */
export const CELL_WATCHED_EVENTS = 12;
/** The size histogram is switched on; its offset. LOCK_SIZES. */
export const CELL_SIZES = 13;
/** Clients of all threads, from when they are accepted; changed by atomic operations. */
export const CELL_CONNECTIONS = 14;
/** Free for the rooms that need a few: page mover 16 … 31, crawler 32 … 47, logger 48 … 63, statistics 64 … 79, server 80 … 91. */
export const CELL_SLAB_MOVER = 16;
export const CELL_CRAWLER = 32;
/** The crawler walks the hash table's buckets, so the table must not begin to grow. */
export const CELL_TABLE_WALKED = CELL_CRAWLER + 3;
export const CELL_LOGGER = 48;
export const CELL_STATISTICS = 64;
export const CELL_SERVER = 80;
/** Password file of -S or -Y: offset, bytes and pages of its text, and how often it was read. LOCK_SETTINGS. */
export const CELL_CREDENTIALS = 92;
/** 1 while nobody is accepted because there are too many; the thread that listens stores it. */
export const CELL_LISTEN_DISABLED = CELL_SERVER;
const CELLS = 96;

// f64 cells.
export const F64_OLDEST_CAS = 1;
/** Bytes of all slab pages, and their limit. LOCK_SLABS. */
export const F64_MALLOCED_BYTES = 2;
export const F64_LIMIT_BYTES = 3;
/** Unix time in seconds of relative time 0. */
export const F64_PROCESS_STARTED = 4;
/** Free for the rooms, as above: page mover 8 … 15, logger 24 … 31, statistics 32 … 39. */
export const F64_SLAB_MOVER = 8;
export const F64_LOGGER = 24;
export const F64_STATISTICS = 32;
const F64_CELLS = 40;

/** Fetches in COLD that wait for the maintainer, of each thread (the original's LRU_BUMP_BUF_SIZE). */
export const BUMPS_MAX = 8_192;
/** Words of a thread's ring of them: begin, end, how many were dropped, room; then item and hash of each. */
export const BUMP_BEGIN = 0;
export const BUMP_END = 1;
export const BUMPS_DROPPED = 2;
export const BUMP_ENTRIES = 16;
/** Arrays by LRU id of the crawler. */
const CRAWL_ARRAYS = 6;

/** Words of the CAS ids. */
const CAS_CELLS = 3;

/** The arrays by LRU id that LruCounters shows; each is stored under the LRU's lock. */
const LRU_ARRAYS = 16;

/** Places of the parts, as byte offsets from the block's start, and its length. */
function layOut(threads: number) {
  let at = 0;
  const part = (bytes: number): number => {
    const offset = at;
    at = Math.ceil((at + bytes) / CACHE_LINE_BYTES) * CACHE_LINE_BYTES;
    return offset;
  };
  return {
    cells: part(CELLS * 4),
    numbers: part(F64_CELLS * 8),
    settings: part(SETTINGS_MAX * 8),
    locks: part((LOCK_COUNT << LOCK_SHIFT) * 4),
    itemLocks: part(ITEM_LOCKS_MAX * 4),
    lruArrays: part(LRU_ARRAYS * LRU_COUNT * 8),
    crawls: part(CRAWL_ARRAYS * LRU_COUNT * 4),
    bumps: part(threads * (BUMP_ENTRIES + 2 * BUMPS_MAX) * 4),
    casIds: part(CAS_CELLS * 4),
    freeLists: part(CLASS_COUNT * 8),
    magazines: part(threads * CLASS_COUNT * 4),
    pageCounts: part(CLASS_COUNT * 4),
    pageTable: part(CLASS_COUNT * SLAB_PAGES_MAX * 4),
    counters: part((threads + 1) * COUNTERS_CELLS * 8),
    bytes: at,
  };
}

/** What a core is among the threads of its server. */
export type Placement =
  | { readonly role: 'alone' }
  | { readonly role: 'dispatcher'; readonly threads: number }
  | { readonly role: 'worker'; readonly threads: number; readonly thread: number; readonly block: number };

export class SharedBlock {
  readonly memory: Memory;
  /** Offset in the arena; what another thread must be told. */
  readonly offset: number;
  /** Worker threads. */
  readonly threads: number;
  /** Words of the arena where the u32 cells and f64 cells begin. */
  readonly cells: number;
  readonly numbers: number;
  readonly #parts: ReturnType<typeof layOut>;

  /** @throws Error when the arena is too small */
  constructor(memory: Memory, placement: Placement) {
    this.memory = memory;
    this.threads = placement.role === 'alone' ? 1 : placement.threads;
    this.#parts = layOut(this.threads);
    if (placement.role === 'worker') this.offset = placement.block;
    else this.offset = memory.takePages(Math.ceil(this.#parts.bytes / PAGE_BYTES));
    if (this.offset === 0) throw new Error('Cannot start: the arena has no room for what the threads share');
    this.cells = (this.offset + this.#parts.cells) >>> 2;
    this.numbers = (this.offset + this.#parts.numbers) / 8;
  }

  /** Word in `memory.u32` of a cell. */
  cell(index: number): number {
    return this.cells + index;
  }

  /** Index in `memory.f64` of a number. */
  number(index: number): number {
    return this.numbers + index;
  }

  /** Words in `memory.i32` where the named locks and the item locks begin. */
  get locks(): number {
    return (this.offset + this.#parts.locks) >>> 2;
  }

  get itemLocks(): number {
    return (this.offset + this.#parts.itemLocks) >>> 2;
  }

  /** Word in `memory.u32` where the CAS ids are counted (cas-ids.ts). */
  get casIds(): number {
    return (this.offset + this.#parts.casIds) >>> 2;
  }

  /** Array number `index` of those by LRU id. */
  lruArray(index: number): Float64Array {
    return this.#f64(this.#parts.lruArrays + index * LRU_COUNT * 8, LRU_COUNT);
  }

  /** Array number `index` of the crawler's; stored under the LRU's lock. */
  crawlArray(index: number): Uint32Array {
    return this.#u32(this.#parts.crawls + index * LRU_COUNT * 4, LRU_COUNT);
  }

  /** The bumps of a worker: it stores at the end, the maintainer takes from the beginning. */
  bumps(thread: number): Int32Array {
    const words = BUMP_ENTRIES + 2 * BUMPS_MAX;
    return new Int32Array(this.memory.buffer, this.offset + this.#parts.bumps + thread * words * 4, words);
  }

  /** Two words a class: the first chunk of its free list, and how many there are. */
  get freeLists(): Uint32Array {
    return this.#u32(this.#parts.freeLists, CLASS_COUNT * 2);
  }

  /** The chunk that each worker keeps back of each class (magazines.ts). */
  get magazines(): Uint32Array {
    return this.#u32(this.#parts.magazines, this.threads * CLASS_COUNT);
  }

  get pageCounts(): Uint32Array {
    return this.#u32(this.#parts.pageCounts, CLASS_COUNT);
  }

  /** Offsets of slab pages: SLAB_PAGES_MAX places a class. */
  get pageTable(): Uint32Array {
    return this.#u32(this.#parts.pageTable, CLASS_COUNT * SLAB_PAGES_MAX);
  }

  get settings(): Float64Array {
    return this.#f64(this.#parts.settings, SETTINGS_MAX);
  }

  /** The counters of a thread; `threads` is the dispatcher's number. */
  counters(thread: number): Float64Array {
    return this.#f64(this.#parts.counters + thread * COUNTERS_CELLS * 8, COUNTERS_CELLS);
  }

  #u32(at: number, length: number): Uint32Array {
    return new Uint32Array(this.memory.buffer, this.offset + at, length);
  }

  #f64(at: number, length: number): Float64Array {
    return new Float64Array(this.memory.buffer, this.offset + at, length);
  }
}
