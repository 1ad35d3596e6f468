/**
 * The life of items (items.c): linked and found, fetched and moved in their LRU, flushed, unlinked and freed.
 * How they lie in memory: item-fields.ts; the lists: item-lists.ts; where memory for them comes from: item-alloc.ts.
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
import { type Counters, type LruCounters, makeLruCounters } from './counters.ts';
import { ItemLists } from './item-lists.ts';
import * as L from './layout.ts';
import { LOCK_LRU } from './lock-cells.ts';
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
import type { Settings } from './settings.ts';
import { BUMP_BEGIN, BUMP_END, BUMP_ENTRIES, BUMPS_DROPPED, BUMPS_MAX, type SharedBlock } from './shared-block.ts';
import { SizesHistogram } from './sizes.ts';
import type { SlabMover } from './slab-mover.ts';
import { Slabs } from './slabs.ts';

/** A hit moves an item in its LRU, or renews its time, at most once in so many seconds. */
export const ITEM_UPDATE_INTERVAL = 60;

export class Items extends ItemLists {
  readonly settings: Settings;
  readonly counters: Counters;
  readonly slabs: Slabs;
  readonly table: HashTable;
  readonly lru: LruCounters;
  /** Fetches in COLD that this thread leaves to the maintainer; null for a thread that executes no commands. */
  readonly #bumps: Int32Array | null;
  readonly sizes: SizesHistogram;
  /** Set by the core before the first command. */
  logger!: Logger;
  mover!: SlabMover;

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
    super(memory, block, locks, hash);
    this.settings = settings;
    this.counters = counters;
    this.lru = makeLruCounters(block);
    this.#bumps = thread < block.threads ? block.bumps(thread) : null;
    if (isFirst) {
      this.now = ITEM_UPDATE_INTERVAL + 2;
      this.processStarted = wallSeconds - ITEM_UPDATE_INTERVAL - 2;
    }
    this.slabs = new Slabs(memory, block, locks, settings, isFirst, thread);
    const power = isFirst ? settings.hashPowerInit : -1;
    this.table = new HashTable(memory, block, locks, power, settings.hashExpand, hash);
    this.sizes = new SizesHistogram(memory, block, locks, settings);
    if (isFirst && settings.trackSizes) this.sizes.enable(settings.useCas ? this.casIds.next() : 0);
  }

  #free(item: number): void {
    if ((this.u16[(item + L.ITEM_FLAGS) >>> 1] & L.FLAG_CHUNKED) === 0) {
      this.slabs.free(item, this.u8[item + L.ITEM_CLSID] & L.CLASS_MASK);
      return;
    }
    const header = this.dataOf(item);
    this.slabs.freeChain(item, this.u8[header + L.CHUNK_ORIG_CLSID], this.get32(header + L.ITEM_NEXT));
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
}
