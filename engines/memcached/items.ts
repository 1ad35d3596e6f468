/**
 * Items: their memory, their place in hash table and LRU, their life (items.c).
 *
 * A command works on an item under the item lock of its key (locks.ts), so it needs no reference of its own on an item it merely looks at.
 * A reference (refcount beyond the 1 for being linked) is held while a value is being read in, while a value is lent to a
 * connection's output, and by a command that allocates while it still needs another item, because allocating may evict.
 *
 * What is guarded by what: an item's refcount, flags, times, CAS id and value by its item lock; its `next` and `prev` and the heads, tails,
 * counts and bytes of a list by the LRU's lock; `h_next` and buckets by the item lock. An item that was never linked belongs to its maker.
 */
import type { Memory } from '../ports.ts';
import { type HashFunction, HashTable } from './assoc.ts';
import { CasIds } from './cas-ids.ts';
import { type Counters, type LruCounters, makeLruCounters } from './counters.ts';
import { copyKey } from './key-bytes.ts';
import * as L from './layout.ts';
import { LIST_BYTES_F64, LIST_COUNT, LIST_HEAD, LIST_TAIL, LOCK_LRU, LOCK_SHIFT } from './lock-cells.ts';
import type { Locks } from './locks.ts';
import {
  GET_EXPIRED,
  GET_FLUSHED,
  GET_FOUND,
  GET_NOT_FOUND,
  LOG_FETCHERS,
  LOG_LOOKUPS,
  type Logger,
} from './logger.ts';
import { PULL_EVICT, pullTail } from './lru.ts';
import type { Settings } from './settings.ts';
import {
  BUMP_BEGIN,
  BUMP_END,
  BUMP_ENTRIES,
  BUMPS_DROPPED,
  BUMPS_MAX,
  CELL_NOW,
  CELL_OLDEST_LIVE,
  F64_OLDEST_CAS,
  F64_PROCESS_STARTED,
  type SharedBlock,
} from './shared-block.ts';
import { SizesHistogram } from './sizes.ts';
import type { SlabMover } from './slab-mover.ts';
import { type SlabReport, verifySlabs } from './slab-verify.ts';
import { Slabs } from './slabs.ts';

/** A hit moves an item in its LRU, or renews its time, at most once in so many seconds. */
export const ITEM_UPDATE_INTERVAL = 60;
/** Relative times above it (30 days) are taken for absolute ones. */
export const REALTIME_MAXDELTA = 60 * 60 * 24 * 30;
/** Tries to free memory in the item's class before it is given up. */
const ALLOC_TRIES_MAX = 10;

export class Items {
  readonly memory: Memory;
  readonly u8: Uint8Array;
  readonly view: DataView;
  readonly u16: Uint16Array;
  readonly u32: Uint32Array;
  readonly i32: Int32Array;
  readonly settings: Settings;
  readonly counters: Counters;
  readonly slabs: Slabs;
  readonly table: HashTable;
  readonly lru: LruCounters;
  readonly locks: Locks;
  readonly hash: HashFunction;
  readonly casIds: CasIds;
  /** Word of u32 where the LRU lists begin (lock-cells.ts). */
  readonly #lists: number;
  /** Where the crawler goes on in each list, by LRU id (crawler.ts). */
  readonly crawlNext: Uint32Array;
  /** Fetches in COLD that this thread leaves to the maintainer; null for a thread that executes no commands. */
  readonly #bumps: Int32Array | null;
  readonly sizes: SizesHistogram;
  /** Set by the core before the first command. */
  logger!: Logger;
  mover!: SlabMover;
  readonly #f64: Float64Array;
  /** Indices of the shared block's cells in u32 and f64. */
  readonly #cells: number;
  readonly #numbers: number;

  /**
   * @param isFirst whether the shared block is new; otherwise another thread has filled it
   * @param wallSeconds Unix time in whole seconds at the start
   * @param thread the worker's number
   */
  constructor(
    memory: Memory,
    block: SharedBlock,
    locks: Locks,
    settings: Settings,
    counters: Counters,
    hash: HashFunction,
    isFirst: boolean,
    wallSeconds: number,
    thread: number,
  ) {
    this.memory = memory;
    this.u8 = memory.u8;
    this.view = memory.view;
    this.u16 = memory.u16;
    this.u32 = memory.u32;
    this.i32 = memory.i32;
    this.settings = settings;
    this.counters = counters;
    this.hash = hash;
    this.locks = locks;
    this.#f64 = memory.f64;
    this.#cells = block.cells;
    this.#numbers = block.numbers;
    this.lru = makeLruCounters(block);
    this.#lists = block.locks + (LOCK_LRU << LOCK_SHIFT);
    this.casIds = new CasIds(block, locks.isShared);
    this.crawlNext = block.crawlArray(0);
    this.#bumps = thread < block.threads ? block.bumps(thread) : null;
    if (isFirst) {
      this.now = ITEM_UPDATE_INTERVAL + 2;
      this.#f64[this.#numbers + F64_PROCESS_STARTED] = wallSeconds - ITEM_UPDATE_INTERVAL - 2;
    }
    this.slabs = new Slabs(memory, block, locks, settings, isFirst, thread);
    const power = isFirst ? settings.hashPowerInit : -1;
    this.table = new HashTable(memory, block, locks, power, settings.hashExpand, hash);
    this.sizes = new SizesHistogram(memory, block, locks, settings);
    if (isFirst && settings.trackSizes) this.sizes.enable(settings.useCas ? this.casIds.next() : 0);
  }

  /** Present time in relative seconds; the server's tick advances it. */
  get now(): number {
    return this.u32[this.#cells + CELL_NOW];
  }

  set now(seconds: number) {
    this.u32[this.#cells + CELL_NOW] = seconds;
  }

  /** Unix time in seconds of relative time 0. */
  get processStarted(): number {
    return this.#f64[this.#numbers + F64_PROCESS_STARTED];
  }

  set processStarted(seconds: number) {
    this.#f64[this.#numbers + F64_PROCESS_STARTED] = seconds;
  }

  /** Items not newer than this (relative seconds) are flushed; 0: none. */
  get oldestLive(): number {
    return this.u32[this.#cells + CELL_OLDEST_LIVE];
  }

  set oldestLive(seconds: number) {
    this.u32[this.#cells + CELL_OLDEST_LIVE] = seconds;
  }

  get oldestCas(): number {
    return this.#f64[this.#numbers + F64_OLDEST_CAS];
  }

  set oldestCas(cas: number) {
    this.#f64[this.#numbers + F64_OLDEST_CAS] = cas;
  }

  /** Items that can be found. */
  get currItems(): number {
    let sum = 0;
    for (let id = 0; id < L.LRU_COUNT; id++) sum += this.lruItems(id);
    return sum;
  }

  get currBytes(): number {
    let sum = 0;
    for (let id = 0; id < L.LRU_COUNT; id++) sum += this.lruBytes(id);
    return sum;
  }

  /** The most recent item of an LRU, 0 for none. */
  head(id: number): number {
    return this.u32[this.#lists + (id << LOCK_SHIFT) + LIST_HEAD];
  }

  /** The least recent item of an LRU, 0 for none. */
  tail(id: number): number {
    return this.u32[this.#lists + (id << LOCK_SHIFT) + LIST_TAIL];
  }

  /** Number of items of an LRU. */
  lruItems(id: number): number {
    return this.u32[this.#lists + (id << LOCK_SHIFT) + LIST_COUNT];
  }

  /** Their bytes. */
  lruBytes(id: number): number {
    return this.#f64[((this.#lists + (id << LOCK_SHIFT)) >>> 1) + LIST_BYTES_F64];
  }

  /** Sets an LRU as a whole, whose items are linked with each other already. */
  setList(id: number, head: number, tail: number, count: number, bytes: number): void {
    const list = this.#lists + (id << LOCK_SHIFT);
    this.u32[list + LIST_HEAD] = head;
    this.u32[list + LIST_TAIL] = tail;
    this.u32[list + LIST_COUNT] = count;
    this.#f64[(list >>> 1) + LIST_BYTES_F64] = bytes;
  }

  /** Turns a client's expiry time (seconds) into a relative time: 0 never, 1 long ago. */
  realTime(exptime: number): number {
    if (exptime === 0) return 0;
    if (exptime < 0) return 1;
    if (exptime > REALTIME_MAXDELTA) return exptime <= this.processStarted ? 1 : exptime - this.processStarted;
    return exptime + this.now;
  }

  /** Bytes of an item in all: what `stats items` counts as requested. */
  totalBytes(item: number): number {
    const flags = this.u16[(item + L.ITEM_FLAGS) >>> 1];
    return (
      L.ITEM_HEADER_BYTES +
      this.u8[item + L.ITEM_NKEY] +
      1 +
      this.i32[(item + L.ITEM_NBYTES) >>> 2] +
      ((flags & L.FLAG_CFLAGS) !== 0 ? 4 : 0) +
      ((flags & L.FLAG_CAS) !== 0 ? 8 : 0)
    );
  }

  /** Offset of an item's key. */
  keyOf(item: number): number {
    return item + L.ITEM_HEADER_BYTES + ((this.u16[(item + L.ITEM_FLAGS) >>> 1] & L.FLAG_CAS) !== 0 ? 8 : 0);
  }

  /** Offset behind key, NUL and client flags: where the value begins, or a chunked item's own chunk header. */
  dataOf(item: number): number {
    const flags = this.u16[(item + L.ITEM_FLAGS) >>> 1];
    return (
      item +
      L.ITEM_HEADER_BYTES +
      ((flags & L.FLAG_CAS) !== 0 ? 8 : 0) +
      this.u8[item + L.ITEM_NKEY] +
      1 +
      ((flags & L.FLAG_CFLAGS) !== 0 ? 4 : 0)
    );
  }

  clientFlags(item: number): number {
    if ((this.u16[(item + L.ITEM_FLAGS) >>> 1] & L.FLAG_CFLAGS) === 0) return 0;
    return this.get32(this.dataOf(item) - 4);
  }

  /** Reads a u32 at any alignment. */
  get32(at: number): number {
    const u8 = this.u8;
    return (u8[at] | (u8[at + 1] << 8) | (u8[at + 2] << 16) | (u8[at + 3] << 24)) >>> 0;
  }

  put32(at: number, value: number): void {
    const u8 = this.u8;
    u8[at] = value;
    u8[at + 1] = value >>> 8;
    u8[at + 2] = value >>> 16;
    u8[at + 3] = value >>> 24;
  }

  casLow(item: number): number {
    if ((this.u16[(item + L.ITEM_FLAGS) >>> 1] & L.FLAG_CAS) === 0) return 0;
    return this.u32[(item + L.ITEM_HEADER_BYTES) >>> 2];
  }

  casHigh(item: number): number {
    if ((this.u16[(item + L.ITEM_FLAGS) >>> 1] & L.FLAG_CAS) === 0) return 0;
    return this.u32[(item + L.ITEM_HEADER_BYTES + 4) >>> 2];
  }

  /** CAS id of a linked item (ids given out here stay below 2^53). */
  casOf(item: number): number {
    return this.casHigh(item) * 4_294_967_296 + this.casLow(item);
  }

  setCas(item: number, high: number, low: number): void {
    if ((this.u16[(item + L.ITEM_FLAGS) >>> 1] & L.FLAG_CAS) === 0) return;
    this.u32[(item + L.ITEM_HEADER_BYTES) >>> 2] = low;
    this.u32[(item + L.ITEM_HEADER_BYTES + 4) >>> 2] = high;
  }

  /** Gives an item its new CAS id. */
  renewCas(item: number): void {
    if ((this.u16[(item + L.ITEM_FLAGS) >>> 1] & L.FLAG_CAS) === 0) return;
    const low = this.casIds.nextLow();
    this.u32[(item + L.ITEM_HEADER_BYTES) >>> 2] = low;
    this.u32[(item + L.ITEM_HEADER_BYTES + 4) >>> 2] = this.casIds.high(low);
  }

  isFlushed(item: number): boolean {
    const oldest = this.oldestLive;
    if (oldest === 0 || oldest > this.now) return false;
    if (this.u32[(item + L.ITEM_TIME) >>> 2] <= oldest) return true;
    if (this.oldestCas === 0) return false;
    const cas = this.casOf(item);
    return cas !== 0 && cas < this.oldestCas;
  }

  /** Bytes an item would take; its class by `slabs.classOf` tells whether it is too large. */
  needBytes(nkey: number, clientFlags: number, nbytes: number): number {
    return L.ITEM_HEADER_BYTES + nkey + 1 + nbytes + (clientFlags !== 0 ? 4 : 0) + (this.settings.useCas ? 8 : 0);
  }

  /** Takes a chunk of a class, evicting from its LRUs when there is none. @returns 0 when nothing could be freed */
  pull(id: number): number {
    let chunk = 0;
    let tries = 0;
    for (; tries < ALLOC_TRIES_MAX; tries++) {
      // Without the segmented LRU the original looks for an expired tail before it takes fresh memory.
      if (!this.settings.lruSegmented) pullTail(this, id, L.LRU_COLD, 0, 0, 0);
      chunk = this.slabs.alloc(id);
      if (chunk !== 0) break;
      if (pullTail(this, id, L.LRU_COLD, 0, PULL_EVICT, 0) <= 0) {
        if (!this.settings.lruSegmented) break;
        pullTail(this, id, L.LRU_HOT, 0, 0, 0);
      }
    }
    if (tries > 0) {
      this.locks.take(LOCK_LRU + id);
      this.lru.directReclaims[id] += tries;
      this.locks.give(LOCK_LRU + id);
    }
    return chunk;
  }

  /**
   * Makes an item that is not linked, with refcount 1 and its key copied; its value is not yet set.
   * @param keyAt where the key lies (anywhere in the arena)
   * @param exptime relative time
   * @param nbytes value and its `\r\n`
   * @returns 0 when it is too large (`slabs.classOf(needBytes(…))` is 0) or memory is short
   */
  alloc(keyAt: number, nkey: number, clientFlags: number, exptime: number, nbytes: number): number {
    const { u8, u16, u32, settings } = this;
    const total = this.needBytes(nkey, clientFlags, nbytes);
    const id = this.slabs.classOf(total);
    if (id === 0) return 0;
    let flags = (settings.useCas ? L.FLAG_CAS : 0) | (clientFlags !== 0 ? L.FLAG_CFLAGS : 0);
    let item: number;
    let headerClass = 0;
    if (total > settings.slabChunkSizeMax) {
      // The item itself holds key and a chunk header; its data go to chunks that are taken while they are read.
      headerClass = this.slabs.classOf(total - nbytes + L.CHUNK_HEADER_BYTES);
      item = this.pull(headerClass);
      flags |= L.FLAG_CHUNKED;
    } else {
      item = this.pull(id);
    }
    if (item === 0) {
      this.locks.take(LOCK_LRU + id);
      this.lru.outOfMemory[id]++;
      this.locks.give(LOCK_LRU + id);
      return 0;
    }
    let lru: number = L.LRU_COLD;
    if (settings.tempLru && exptime >= this.now && exptime - this.now <= settings.temporaryTtl) lru = L.LRU_TEMP;
    else if (settings.lruSegmented) lru = L.LRU_HOT;
    u8[item + L.ITEM_CLSID] = id | lru;
    u16[(item + L.ITEM_FLAGS) >>> 1] = flags;
    u8[item + L.ITEM_NKEY] = nkey;
    const word = item >>> 2;
    u32[word + (L.ITEM_NEXT >>> 2)] = 0;
    u32[word + (L.ITEM_PREV >>> 2)] = 0;
    u32[word + (L.ITEM_H_NEXT >>> 2)] = 0;
    u32[word + (L.ITEM_EXPTIME >>> 2)] = exptime;
    u32[word + (L.ITEM_NBYTES >>> 2)] = nbytes;
    let at = item + L.ITEM_HEADER_BYTES;
    if ((flags & L.FLAG_CAS) !== 0) {
      u32[at >>> 2] = 0;
      u32[(at + 4) >>> 2] = 0;
      at += 8;
    }
    copyKey(this.view, at, keyAt, nkey);
    u8[at + nkey] = 0;
    at += nkey + 1;
    if (clientFlags !== 0) {
      this.put32(at, clientFlags);
      at += 4;
    }
    if (headerClass !== 0) {
      u8.fill(0, at, at + L.CHUNK_HEADER_BYTES);
      u8[at + L.CHUNK_ORIG_CLSID] = headerClass;
    }
    return item;
  }

  /** First data chunk of a chunked item, 0 when none is there yet. */
  firstChunk(item: number): number {
    return this.get32(this.dataOf(item) + L.ITEM_NEXT);
  }

  /**
   * Adds a chunk behind `last` (0: the first one) of a chunked item.
   * @param remaining bytes still to come, which decide how large it is
   * @returns 0 when memory is short
   */
  addChunk(item: number, last: number, remaining: number): number {
    const sizeMax = this.settings.slabChunkSizeMax;
    let size = Math.min(remaining + L.CHUNK_HEADER_BYTES, sizeMax);
    let id = this.slabs.classOf(size);
    let chunk = this.pull(id);
    if (chunk === 0 && size !== sizeMax) {
      // The class that would fit has nothing to give, but evicting a large item may help.
      size = sizeMax;
      id = this.slabs.classOf(size);
      chunk = this.pull(id);
    }
    if (chunk === 0) return 0;
    const u32 = this.u32;
    u32[(chunk + L.ITEM_NEXT) >>> 2] = 0;
    u32[(chunk + L.ITEM_PREV) >>> 2] = last;
    u32[(chunk + L.CHUNK_HEAD) >>> 2] = item;
    u32[(chunk + L.CHUNK_SIZE) >>> 2] = size - L.CHUNK_HEADER_BYTES;
    u32[(chunk + L.CHUNK_USED) >>> 2] = 0;
    this.u8[chunk + L.ITEM_CLSID] = id;
    // In this order also for the page mover, which reads the head of whatever carries the flag.
    Atomics.store(this.u16, (chunk + L.ITEM_FLAGS) >>> 1, L.FLAG_CHUNK);
    if (last === 0) this.put32(this.dataOf(item) + L.ITEM_NEXT, chunk);
    else u32[(last + L.ITEM_NEXT) >>> 2] = chunk;
    return chunk;
  }

  #free(item: number): void {
    if ((this.u16[(item + L.ITEM_FLAGS) >>> 1] & L.FLAG_CHUNKED) === 0) {
      this.slabs.free(item, this.u8[item + L.ITEM_CLSID] & L.CLASS_MASK);
      return;
    }
    const header = this.dataOf(item);
    this.slabs.freeChain(item, this.u8[header + L.CHUNK_ORIG_CLSID], this.get32(header + L.ITEM_NEXT));
  }

  hold(item: number): void {
    this.u16[(item + L.ITEM_REFCOUNT) >>> 1]++;
  }

  /** Gives up a reference; the last one frees the item. */
  release(item: number): void {
    const cell = (item + L.ITEM_REFCOUNT) >>> 1;
    if (this.u16[cell] === 0) throw new Error(`item ${item} is released more often than held`);
    if (--this.u16[cell] === 0) this.#free(item);
  }

  /** `release` for who holds an item that may be linked, but not its lock. */
  releaseHeld(item: number): void {
    if (!this.locks.isShared) {
      this.release(item);
      return;
    }
    const hash = this.hashOf(item);
    this.locks.item(hash);
    this.release(item);
    this.locks.unlockItem(hash);
  }

  refcount(item: number): number {
    return this.u16[(item + L.ITEM_REFCOUNT) >>> 1];
  }

  /** Puts an item at the head of its LRU. @param size its totalBytes, where the caller knows it */
  lruLink(item: number, size = this.totalBytes(item)): void {
    const lock = LOCK_LRU + this.u8[item + L.ITEM_CLSID];
    this.locks.take(lock);
    this.lruLinkNolock(item, size);
    this.locks.give(lock);
  }

  /** Takes an item out of its LRU. @param size its totalBytes, where the caller knows it */
  lruUnlink(item: number, size = this.totalBytes(item)): void {
    const lock = LOCK_LRU + this.u8[item + L.ITEM_CLSID];
    this.locks.take(lock);
    this.lruUnlinkNolock(item, size);
    this.locks.give(lock);
  }

  /** `lruLink` for who holds the LRU's lock. */
  lruLinkNolock(item: number, size: number): void {
    const u32 = this.u32;
    const id = this.u8[item + L.ITEM_CLSID];
    const list = this.#lists + (id << LOCK_SHIFT);
    const head = u32[list + LIST_HEAD];
    u32[(item + L.ITEM_PREV) >>> 2] = 0;
    u32[(item + L.ITEM_NEXT) >>> 2] = head;
    if (head !== 0) u32[(head + L.ITEM_PREV) >>> 2] = item;
    else u32[list + LIST_TAIL] = item;
    u32[list + LIST_HEAD] = item;
    u32[list + LIST_COUNT]++;
    this.#f64[(list >>> 1) + LIST_BYTES_F64] += size;
  }

  /** `lruUnlink` for who holds the LRU's lock. */
  lruUnlinkNolock(item: number, size: number): void {
    const u32 = this.u32;
    const id = this.u8[item + L.ITEM_CLSID];
    const list = this.#lists + (id << LOCK_SHIFT);
    const next = u32[(item + L.ITEM_NEXT) >>> 2];
    const previous = u32[(item + L.ITEM_PREV) >>> 2];
    if (previous !== 0) u32[(previous + L.ITEM_NEXT) >>> 2] = next;
    else u32[list + LIST_HEAD] = next;
    if (next !== 0) u32[(next + L.ITEM_PREV) >>> 2] = previous;
    else u32[list + LIST_TAIL] = previous;
    // The crawler stands in front of this item: its way goes on with the one before.
    if (this.crawlNext[id] === item) this.crawlNext[id] = previous;
    u32[list + LIST_COUNT]--;
    this.#f64[(list >>> 1) + LIST_BYTES_F64] -= size;
  }

  /** Makes an item findable: hash table, LRU, new CAS id, one reference more. */
  link(item: number, hash: number): void {
    const size = this.totalBytes(item);
    this.u16[(item + L.ITEM_FLAGS) >>> 1] |= L.FLAG_LINKED;
    this.u32[(item + L.ITEM_TIME) >>> 2] = this.now;
    this.counters.totalItems++;
    this.renewCas(item);
    this.table.insert(hash, item);
    this.lruLink(item, size);
    this.u16[(item + L.ITEM_REFCOUNT) >>> 1]++;
    if (this.sizes.enabled) this.sizes.add(size, this.casOf(item));
  }

  /** The contrary of `link`. */
  unlink(item: number, hash: number): void {
    if ((this.u16[(item + L.ITEM_FLAGS) >>> 1] & L.FLAG_LINKED) === 0) return;
    const lock = LOCK_LRU + this.u8[item + L.ITEM_CLSID];
    this.locks.take(lock);
    this.unlinkNolock(item, hash);
    this.locks.give(lock);
  }

  /** `unlink` for who holds the LRU's lock as well as the item's. */
  unlinkNolock(item: number, hash: number): void {
    const cell = (item + L.ITEM_FLAGS) >>> 1;
    if ((this.u16[cell] & L.FLAG_LINKED) === 0) return;
    const size = this.totalBytes(item);
    this.u16[cell] &= ~L.FLAG_LINKED;
    if (this.sizes.enabled) this.sizes.remove(size, this.casOf(item));
    this.table.remove(hash, item);
    this.lruUnlinkNolock(item, size);
    this.release(item);
  }

  /** `unlink` of one and `link` of another item with the same key, with one walk of their bucket. */
  replace(old: number, item: number, hash: number): void {
    const { u16 } = this;
    const oldSize = this.totalBytes(old);
    const size = this.totalBytes(item);
    u16[(old + L.ITEM_FLAGS) >>> 1] &= ~L.FLAG_LINKED;
    u16[(item + L.ITEM_FLAGS) >>> 1] |= L.FLAG_LINKED;
    this.u32[(item + L.ITEM_TIME) >>> 2] = this.now;
    this.counters.totalItems++;
    if (this.sizes.enabled) this.sizes.remove(oldSize, this.casOf(old));
    this.table.replace(hash, old, item);
    this.renewCas(item);
    // Mostly both are in the same list, whose lock is then taken once.
    const oldLock = LOCK_LRU + this.u8[old + L.ITEM_CLSID];
    const lock = LOCK_LRU + this.u8[item + L.ITEM_CLSID];
    this.locks.take(oldLock);
    this.lruUnlinkNolock(old, oldSize);
    if (lock !== oldLock) {
      this.locks.give(oldLock);
      this.locks.take(lock);
    }
    this.lruLinkNolock(item, size);
    this.locks.give(lock);
    this.release(old);
    u16[(item + L.ITEM_REFCOUNT) >>> 1]++;
    if (this.sizes.enabled) this.sizes.add(size, this.casOf(item));
  }

  /** Hash of an item's key. */
  hashOf(item: number): number {
    return this.hash(this.view, this.keyOf(item), this.u8[item + L.ITEM_NKEY]);
  }

  /** The item with a key if it is alive; an expired or flushed one is unlinked on the way. @returns 0 for none */
  find(hash: number, keyAt: number, nkey: number): number {
    const item = this.table.find(hash, keyAt, nkey);
    const isLogged = this.logger.wants(LOG_FETCHERS | LOG_LOOKUPS);
    if (item === 0) {
      if (isLogged) this.logger.lookup(GET_NOT_FOUND, keyAt, nkey, 0);
      return 0;
    }
    if (this.oldestLive !== 0 && this.isFlushed(item)) {
      this.unlink(item, hash);
      this.counters.getFlushed++;
      if (isLogged) this.logger.lookup(GET_FLUSHED, keyAt, nkey, 0);
      return 0;
    }
    const exptime = this.u32[(item + L.ITEM_EXPTIME) >>> 2];
    if (exptime !== 0 && exptime <= this.now) {
      this.unlink(item, hash);
      this.counters.getExpired++;
      if (isLogged) this.logger.lookup(GET_EXPIRED, keyAt, nkey, 0);
      return 0;
    }
    if (isLogged) this.logger.lookup(GET_FOUND, keyAt, nkey, item);
    return item;
  }

  /** Notes a fetch: two of them make an item active; an active one in COLD goes to WARM when the maintainer comes by. */
  bump(item: number): void {
    const cell = (item + L.ITEM_FLAGS) >>> 1;
    const flags = this.u16[cell];
    if (!this.settings.lruSegmented) {
      this.u16[cell] = flags | L.FLAG_FETCHED;
      this.update(item);
      return;
    }
    if ((flags & L.FLAG_ACTIVE) !== 0) return;
    if ((flags & L.FLAG_FETCHED) === 0) {
      this.u16[cell] = flags | L.FLAG_FETCHED;
      return;
    }
    if ((this.u8[item + L.ITEM_CLSID] & L.LRU_MASK) !== L.LRU_COLD) {
      this.u16[cell] = flags | L.FLAG_ACTIVE;
      this.u32[(item + L.ITEM_TIME) >>> 2] = this.now;
    } else if (this.#bumpLater(item)) {
      this.u16[cell] = flags | L.FLAG_ACTIVE;
    }
  }

  /** Queues an item for the maintainer, with a reference. @returns false when the queue is full */
  #bumpLater(item: number): boolean {
    const bumps = this.#bumps;
    if (bumps === null) return false;
    const end = bumps[BUMP_END];
    if (((end - Atomics.load(bumps, BUMP_BEGIN)) | 0) >= BUMPS_MAX) {
      bumps[BUMPS_DROPPED]++;
      return false;
    }
    this.u16[(item + L.ITEM_REFCOUNT) >>> 1]++;
    const at = BUMP_ENTRIES + (end & (BUMPS_MAX - 1)) * 2;
    bumps[at] = item;
    bumps[at + 1] = this.hashOf(item);
    // What stands in the entry is seen by whoever sees the new end.
    Atomics.store(bumps, BUMP_END, (end + 1) | 0);
    return true;
  }

  /** Renews an item's place or time (do_item_update). */
  update(item: number): void {
    const time = (item + L.ITEM_TIME) >>> 2;
    const cell = (item + L.ITEM_FLAGS) >>> 1;
    if ((this.u16[cell] & L.FLAG_LINKED) === 0) return;
    if (this.settings.lruSegmented) {
      const isCold = (this.u8[item + L.ITEM_CLSID] & L.LRU_MASK) === L.LRU_COLD;
      if (isCold && (this.u16[cell] & L.FLAG_ACTIVE) !== 0) {
        this.u32[time] = this.now;
        this.u16[cell] &= ~L.FLAG_ACTIVE;
        this.#rescue(item);
      } else if (this.u32[time] < this.now - ITEM_UPDATE_INTERVAL) {
        this.u32[time] = this.now;
      }
    } else if (this.u32[time] < this.now - ITEM_UPDATE_INTERVAL) {
      this.u32[time] = this.now;
      this.lruUnlink(item);
      this.lruLink(item);
    }
  }

  /** Moves a linked item of COLD to the head of WARM. */
  #rescue(item: number): void {
    const size = this.totalBytes(item);
    this.lruUnlink(item, size);
    const id = (this.u8[item + L.ITEM_CLSID] & L.CLASS_MASK) | L.LRU_WARM;
    this.u8[item + L.ITEM_CLSID] = id;
    this.locks.take(LOCK_LRU + id);
    this.lru.movesToWarm[id]++;
    this.lruLinkNolock(item, size);
    this.locks.give(LOCK_LRU + id);
  }

  /** @param exptime of the client: 0 or less: at once, else seconds from now (or absolute) */
  flushAll(exptime: number): void {
    const oldest = exptime > 0 ? this.realTime(exptime) : this.now;
    if (this.settings.useCas) {
      this.oldestLive = oldest - 1;
      if (this.oldestLive <= this.now) this.oldestCas = this.casIds.next();
    } else {
      this.oldestLive = oldest;
    }
  }

  /** @returns which item has more references than that of being linked, or null; for a server without connections */
  firstHeld(): string | null {
    for (let id = 0; id < L.LRU_COUNT; id++) {
      for (let item = this.head(id); item !== 0; item = this.u32[(item + L.ITEM_NEXT) >>> 2]) {
        const count = this.refcount(item);
        if (count !== 1) return `item ${item} has ${count} references, but nobody is there to hold it`;
      }
    }
    return null;
  }

  /** Checks slabs, table and lists against each other. @returns what was found in slab memory. @throws Error naming the first contradiction */
  verify(): SlabReport {
    this.table.verify(this.currItems);
    let items = 0;
    let bytes = 0;
    for (let id = 0; id < L.LRU_COUNT; id++) {
      let previous = 0;
      let count = 0;
      for (let item = this.head(id); item !== 0; item = this.u32[(item + L.ITEM_NEXT) >>> 2]) {
        if (this.u8[item + L.ITEM_CLSID] !== id) throw new Error(`LRU ${id}: item ${item} belongs to another`);
        if (this.u32[(item + L.ITEM_PREV) >>> 2] !== previous) throw new Error(`LRU ${id}: broken prev at ${item}`);
        if (this.refcount(item) < 1) throw new Error(`LRU ${id}: item ${item} is linked without a reference`);
        const nkey = this.u8[item + L.ITEM_NKEY];
        if (this.table.find(this.hash(this.view, this.keyOf(item), nkey), this.keyOf(item), nkey) !== item) {
          throw new Error(`LRU ${id}: item ${item} is not found by its key`);
        }
        bytes += this.totalBytes(item);
        if (++count > this.lruItems(id)) throw new Error(`LRU ${id}: longer than the ${this.lruItems(id)} counted`);
        previous = item;
      }
      if (count !== this.lruItems(id)) throw new Error(`LRU ${id}: ${count} items, ${this.lruItems(id)} counted`);
      if (this.tail(id) !== previous) throw new Error(`LRU ${id}: the tail is not the last item`);
      items += count;
    }
    if (items !== this.currItems) throw new Error(`items: ${items} in LRUs, ${this.currItems} counted`);
    if (bytes !== this.currBytes) throw new Error(`items: ${bytes} bytes in LRUs, ${this.currBytes} counted`);
    return verifySlabs(this);
  }
}
