/**
 * Moving a slab page from one class to another, or to and from the global pool (slabs.c: slabs_reassign, slab_rebalance_…). The mechanism
 * only; when a page should move is said by the policy (slab-automove.ts), by evictions (`slab_automove` 2) or by `slabs reassign`.
 *
 * It is a background job: one thread runs it, a few chunks a slice, while workers go on with the page's items. Requests come from any
 * thread by way of cells in the shared block. There is one move at a time, always of the first page of its class, the oldest.
 *
 * What state a chunk of that page is in, by its flags, and what is done with it:
 *
 * | state    | flags            | found how                  | what is done                                                         |
 * | -------- | ---------------- | -------------------------- | -------------------------------------------------------------------- |
 * | free     | SLABBED alone    | under LOCK_SLABS, for good | taken out of the free list, cleared                                  |
 * | cleared  | SLABBED, FETCHED | set by the mover only      | nothing: neither free nor in use until the page has moved            |
 * | linked   | LINKED           | item lock tried, seen again| expired: unlinked. Else copied into another chunk of the class, which |
 * |          |                  |                            | takes its place in table, LRU and chain; without one: evicted        |
 * | a chunk  | CHUNK            | as linked, by its head item| likewise; evicting it frees the whole item                           |
 * | afloat   | none of these    |                            | busy: a value is being read in, or it was unlinked and is still held |
 *
 * Why this is safe while others work:
 * - The threads' magazines of the class are closed while its page moves (magazines.ts). So SLABBED comes and goes under LOCK_SLABS only, and a
 *   chunk can neither be freed nor handed out while we hold it. When we hold it and see
 *   LINKED, the key is there to be hashed, even if the item is being unlinked at that moment.
 * - The order of locks is item, LRU, slabs. Holding LOCK_SLABS we may therefore only try the item lock; if it is taken, the item is busy.
 *   With the item lock we look again: still linked, and no reference but the link's. Then nobody reads or writes it, and nobody will before
 *   we give the lock back (a thread at the LRU's tail only tries item locks as well). LOCK_SLABS is given back before bytes are copied.
 * - A held item (being lent to a connection's output) is busy however long that takes. After many rounds such an item is unlinked; its last
 *   holder then frees it, and a later round finds the chunk free.
 * - The page is looked through again and again until nothing was busy; what was found done is not looked at twice. A chunk behind us
 *   cannot get into use once it is cleared, and one that is freed meanwhile and handed out again is found in the next round.
 * - A rescued item is a new item to everybody else: it has a new CAS id, the present time and the head of its LRU, as in the original.
 */
import type { Background, BackgroundJob } from './background.ts';
import type { Items } from './items.ts';
import * as L from './layout.ts';
import { LOCK_SLABS } from './lock-cells.ts';
import { CELL_SLAB_MOVER, F64_SLAB_MOVER, type SharedBlock } from './shared-block.ts';
import { PAGE_POOL } from './slabs.ts';

/** What becomes of a request. */
export const REASSIGN_OK = 0;
export const REASSIGN_BUSY = 1;
export const REASSIGN_BAD_CLASS = 2;
export const REASSIGN_NO_SPARE = 3;
export const REASSIGN_SAME = 4;
/** As a source: whichever class has a page to spare. */
export const ANY_CLASS = -1;

/** Flags of a chunk that is ready to leave with its page. */
export const FLAGS_CLEARED = L.FLAG_SLABBED | L.FLAG_FETCHED;

// States of a request (CELL_STATE), changed by atomic operations.
const IDLE = 0;
const ASKED = 1;
const RUNNING = 2;
/** Somebody is looking whether the request can be granted. */
const CLAIMED = 3;

// Cells of the shared block. The page under way, 0 for none, is for `verify`.
const CELL_STATE = CELL_SLAB_MOVER;
const CELL_SOURCE = CELL_SLAB_MOVER + 1;
const CELL_DESTINATION = CELL_SLAB_MOVER + 2;
const CELL_PAGE = CELL_SLAB_MOVER + 3;
/** Class that was taken as "any" last. */
const CELL_PICKED = CELL_SLAB_MOVER + 4;

/** Names of the counters of `stats`, in the order of their cells from F64_SLAB_MOVER on. */
const COUNTERS = [
  'rescues',
  'chunkRescues',
  'evictionsNoMem',
  'inlineReclaim',
  'busyItems',
  'busyDeletes',
  'moved',
] as const;
type CounterName = (typeof COUNTERS)[number];
type MoveCounts = Record<CounterName, number>;

/** A class gives its last page to nobody. */
const SOURCE_PAGES_MIN = 2;
/** Rounds over a page in which something was busy, after which held items are unlinked. */
const BUSY_ROUNDS_MAX = 1_000;
/** Work of a slice in units: looking at a chunk is one, each 4 KiB copied another. Some tens of microseconds. */
const SLICE_UNITS = 128;
const UNIT_BYTES_POWER = 12;
const IDLE_MS = 1_000;
const BUSY_MS = 1;

const noCounts = (): MoveCounts => Object.fromEntries(COUNTERS.map((name) => [name, 0])) as MoveCounts;

export class SlabMover implements BackgroundJob {
  readonly name = 'slab mover';
  readonly #items: Items;
  readonly #background: Background;
  readonly #u16: Uint16Array;
  readonly #u32: Uint32Array;
  readonly #i32: Int32Array;
  readonly #f64: Float64Array;
  /** Words of the first cells. */
  readonly #cells: number;
  readonly #numbers: number;

  // The move under way; only in the thread that runs the job.
  #source = 0;
  #destination = 0;
  #start = 0;
  #end = 0;
  #at = 0;
  #size = 0;
  /** By chunk of the page: whether it is cleared for good. */
  #done = new Uint8Array(0);
  #busyInRound = 0;
  #busyRounds = 0;
  #units = 0;
  #counts = noCounts();

  constructor(items: Items, block: SharedBlock, background: Background) {
    this.#items = items;
    this.#background = background;
    this.#u16 = items.u16;
    this.#u32 = items.u32;
    this.#i32 = items.i32;
    this.#f64 = items.memory.f64;
    this.#cells = block.cells;
    this.#numbers = block.numbers;
  }

  // ---- From any thread

  /**
   * Asks for a page to be moved.
   * @param source class that gives it, PAGE_POOL or ANY_CLASS
   * @param destination class that gets it, or PAGE_POOL
   * @returns REASSIGN_…: only with REASSIGN_OK it will be
   */
  request(source: number, destination: number): number {
    // Without slab_reassign nobody moves pages, which then may be of different sizes.
    if (!this.#items.settings.slabReassign) return REASSIGN_BUSY;
    const state = this.#cells + CELL_STATE;
    if (Atomics.compareExchange(this.#i32, state, IDLE, CLAIMED) !== IDLE) return REASSIGN_BUSY;
    const answer = this.#examine(source, destination);
    Atomics.store(this.#i32, state, answer === REASSIGN_OK ? ASKED : IDLE);
    if (answer === REASSIGN_OK) this.#background.wake(this.name);
    return answer;
  }

  #examine(source: number, destination: number): number {
    const { slabs } = this.#items;
    if (source === destination) return REASSIGN_SAME;
    if (source === ANY_CLASS) source = this.#pickAny(destination);
    const last = slabs.largestClass;
    if (source < PAGE_POOL || source > last || destination < PAGE_POOL || destination > last) return REASSIGN_BAD_CLASS;
    if (slabs.pageCount(source) < SOURCE_PAGES_MIN) return REASSIGN_NO_SPARE;
    this.#u32[this.#cells + CELL_SOURCE] = source;
    this.#u32[this.#cells + CELL_DESTINATION] = destination;
    return REASSIGN_OK;
  }

  /** The classes take turns. @returns ANY_CLASS when none has a page to spare */
  #pickAny(destination: number): number {
    const { slabs } = this.#items;
    const cell = this.#cells + CELL_PICKED;
    for (let tries = slabs.largestClass; tries > 0; tries--) {
      const id = this.#u32[cell]! >= slabs.largestClass ? 1 : this.#u32[cell]! + 1;
      this.#u32[cell] = id;
      if (id !== destination && slabs.pageCount(id) >= SOURCE_PAGES_MIN) return id;
    }
    return ANY_CLASS;
  }

  /** Whether a page is on its way. */
  get isRunning(): boolean {
    return Atomics.load(this.#i32, this.#cells + CELL_STATE) === RUNNING;
  }

  /** Offset of the page on its way, 0 for none. */
  get page(): number {
    return this.#u32[this.#cells + CELL_PAGE]!;
  }

  /** A counter of `stats`. */
  count(name: CounterName): number {
    return this.#f64[this.#numbers + F64_SLAB_MOVER + COUNTERS.indexOf(name)]!;
  }

  /** `stats reset`. */
  resetCounts(): void {
    this.#f64.fill(0, this.#numbers + F64_SLAB_MOVER, this.#numbers + F64_SLAB_MOVER + COUNTERS.length);
  }

  // ---- The job

  run(): number {
    const state = this.#cells + CELL_STATE;
    const present = Atomics.load(this.#i32, state);
    if (present !== RUNNING && (present !== ASKED || !this.#begin())) return IDLE_MS;
    for (this.#units = 0; this.#units < SLICE_UNITS; ) {
      if (this.#at >= this.#end) {
        if (this.#busyInRound === 0) {
          this.#finish();
          return IDLE_MS;
        }
        this.#count('busyItems', this.#busyInRound);
        this.#busyInRound = 0;
        this.#busyRounds++;
        this.#at = this.#start;
      }
      const isBusy = this.#clearChunk(this.#at);
      this.#at += this.#size;
      if (isBusy) {
        // Whoever has it gets time to let it go.
        this.#busyInRound++;
        return BUSY_MS;
      }
    }
    return 0;
  }

  /** @returns false when the request cannot be granted any more */
  #begin(): boolean {
    const { slabs, locks } = this.#items;
    const source = this.#u32[this.#cells + CELL_SOURCE]!;
    locks.take(LOCK_SLABS);
    const hasSpare = slabs.pageCount(source) >= SOURCE_PAGES_MIN;
    const page = slabs.pageAt(source, 0);
    if (hasSpare) {
      this.#u32[this.#cells + CELL_PAGE] = page;
      slabs.closeMagazinesNolock(source);
    }
    Atomics.store(this.#i32, this.#cells + CELL_STATE, hasSpare ? RUNNING : IDLE);
    locks.give(LOCK_SLABS);
    if (!hasSpare) return false;
    const perPage = source === PAGE_POOL ? 0 : slabs.chunksPerPage[source]!;
    this.#source = source;
    this.#destination = this.#u32[this.#cells + CELL_DESTINATION]!;
    this.#size = slabs.chunkSize[source]!;
    this.#start = page;
    this.#at = page;
    // Pages of the pool hold no chunks.
    this.#end = page + perPage * this.#size;
    this.#done = new Uint8Array(perPage);
    this.#busyInRound = 0;
    this.#busyRounds = 0;
    this.#counts = noCounts();
    return true;
  }

  #finish(): void {
    const { slabs, locks } = this.#items;
    locks.take(LOCK_SLABS);
    slabs.movePageNolock(this.#source, this.#destination);
    slabs.openMagazinesNolock(this.#source);
    this.#u32[this.#cells + CELL_PAGE] = 0;
    this.#counts.moved = 1;
    for (const name of COUNTERS) this.#count(name, this.#counts[name]);
    Atomics.store(this.#i32, this.#cells + CELL_STATE, IDLE);
    locks.give(LOCK_SLABS);
  }

  #count(name: CounterName, more: number): void {
    this.#f64[this.#numbers + F64_SLAB_MOVER + COUNTERS.indexOf(name)]! += more;
  }

  #flags(chunk: number): number {
    return Atomics.load(this.#u16, (chunk + L.ITEM_FLAGS) >>> 1);
  }

  #markCleared(chunk: number): void {
    this.#u16[(chunk + L.ITEM_REFCOUNT) >>> 1] = 0;
    this.#u16[(chunk + L.ITEM_FLAGS) >>> 1] = FLAGS_CLEARED;
    this.#done[(chunk - this.#start) / this.#size] = 1;
  }

  /** Sees to it that a chunk of the page is neither free nor in use. @returns true when somebody has it: another round is needed */
  #clearChunk(chunk: number): boolean {
    this.#units++;
    if (this.#done[(chunk - this.#start) / this.#size] === 1) return false;
    const { slabs, locks } = this.#items;
    locks.take(LOCK_SLABS);
    const flags = this.#flags(chunk);
    if ((flags & L.FLAG_SLABBED) !== 0) {
      if (flags !== FLAGS_CLEARED) slabs.cutFreeNolock(chunk, this.#source);
      this.#markCleared(chunk);
      locks.give(LOCK_SLABS);
      return false;
    }
    // An item and its chunks are freed in one go under LOCK_SLABS: its head is there as long as it carries FLAG_CHUNK.
    const item = (flags & L.FLAG_CHUNK) !== 0 ? this.#u32[(chunk + L.CHUNK_HEAD) >>> 2]! : chunk;
    if ((this.#flags(item) & L.FLAG_LINKED) === 0) {
      locks.give(LOCK_SLABS);
      return true;
    }
    const hash = this.#items.hashOf(item);
    if (!locks.tryItem(hash)) {
      locks.give(LOCK_SLABS);
      return true;
    }
    const isBusy = this.#clearLinked(chunk, item, hash);
    locks.unlockItem(hash);
    return isBusy;
  }

  /** Under the item's lock and LOCK_SLABS; gives the latter back. */
  #clearLinked(chunk: number, item: number, hash: number): boolean {
    const items = this.#items;
    const { locks } = items;
    const isLinked = (this.#flags(item) & L.FLAG_LINKED) !== 0;
    if (!isLinked || items.refcount(item) !== 1) {
      locks.give(LOCK_SLABS);
      if (isLinked && this.#busyRounds > BUSY_ROUNDS_MAX) {
        this.#counts.busyDeletes++;
        items.unlink(item, hash);
      }
      return true;
    }
    const exptime = this.#u32[(item + L.ITEM_EXPTIME) >>> 2]!;
    const isDead = (exptime !== 0 && exptime < items.now) || items.isFlushed(item);
    const fresh = isDead ? 0 : this.#takeElsewhere();
    locks.give(LOCK_SLABS);
    if (fresh !== 0) {
      if (chunk === item) this.#rescueItem(item, fresh, hash);
      else this.#rescueChunk(chunk, item, fresh);
      this.#markCleared(chunk);
      return false;
    }
    if (!isDead) this.#counts.evictionsNoMem++;
    if ((this.#flags(item) & L.FLAG_CHUNKED) !== 0) {
      // Frees all its chunks; ours is taken from the free list in the next round.
      items.unlink(item, hash);
      return true;
    }
    // Held, it does not get onto the free list.
    items.hold(item);
    items.unlink(item, hash);
    this.#markCleared(item);
    return false;
  }

  /** A free chunk of the class outside the page; those inside that come up are cleared. Under LOCK_SLABS. @returns 0 when there is none */
  #takeElsewhere(): number {
    const { slabs } = this.#items;
    for (;;) {
      const chunk = slabs.takeFreeNolock(this.#source);
      if (chunk === 0 || chunk < this.#start || chunk >= this.#end) return chunk;
      this.#units++;
      this.#markCleared(chunk);
      this.#counts.inlineReclaim++;
    }
  }

  /** Copies a linked item into a fresh chunk and puts that in its place. Under the item's lock. */
  #rescueItem(item: number, fresh: number, hash: number): void {
    const items = this.#items;
    const { memory } = items;
    const isChunked = (this.#flags(item) & L.FLAG_CHUNKED) !== 0;
    const bytes = isChunked ? this.#size : items.totalBytes(item);
    memory.moveBytes(item, fresh, bytes);
    this.#units += bytes >>> UNIT_BYTES_POWER;
    const word = fresh >>> 2;
    this.#u32[word + (L.ITEM_NEXT >>> 2)] = 0;
    this.#u32[word + (L.ITEM_PREV >>> 2)] = 0;
    this.#u32[word + (L.ITEM_H_NEXT >>> 2)] = 0;
    this.#u16[(fresh + L.ITEM_REFCOUNT) >>> 1] = 0;
    this.#u16[(fresh + L.ITEM_FLAGS) >>> 1] = this.#flags(item) & ~L.FLAG_LINKED;
    // Held, the old one does not get onto the free list.
    items.hold(item);
    items.replace(item, fresh, hash);
    if (isChunked) {
      let chunk = items.firstChunk(fresh);
      for (; chunk !== 0; chunk = this.#u32[(chunk + L.ITEM_NEXT) >>> 2]!) {
        this.#u32[(chunk + L.CHUNK_HEAD) >>> 2] = fresh;
      }
    }
    this.#counts.rescues++;
  }

  /** Copies a chunk of a linked item into a fresh one and puts that in its place in the chain. Under the item's lock. */
  #rescueChunk(chunk: number, item: number, fresh: number): void {
    const items = this.#items;
    const u32 = this.#u32;
    const bytes = L.CHUNK_DATA + u32[(chunk + L.CHUNK_USED) >>> 2]!;
    items.memory.moveBytes(chunk, fresh, bytes);
    this.#units += bytes >>> UNIT_BYTES_POWER;
    const previous = u32[(chunk + L.ITEM_PREV) >>> 2]!;
    const next = u32[(chunk + L.ITEM_NEXT) >>> 2]!;
    if (previous === 0) items.put32(items.dataOf(item) + L.ITEM_NEXT, fresh);
    else u32[(previous + L.ITEM_NEXT) >>> 2] = fresh;
    if (next !== 0) u32[(next + L.ITEM_PREV) >>> 2] = fresh;
    this.#counts.chunkRescues++;
  }
}
