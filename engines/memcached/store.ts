/** What the storing and counting commands do to items, whatever protocol they came by (do_store_item, do_add_delta). */
import { copyShort } from '../base/short-bytes.ts';
import type { Memory } from '../ports.ts';
import { addChunk, allocItem } from './item-alloc.ts';
import type { Items } from './items.ts';
import * as L from './layout.ts';
import { LOG_MUTATIONS, LOG_VERBOSE } from './logger.ts';
import { digitsOf, parseU64, plainDecimal, putNumber, U64_MAX } from './numbers.ts';

/** How a value is to be stored (the original's NREAD_…). */
export const STORE_ADD = 1;
export const STORE_SET = 2;
export const STORE_REPLACE = 3;
export const STORE_APPEND = 4;
export const STORE_PREPEND = 5;
export const STORE_CAS = 6;

/** What came of it. */
export const RESULT_NOT_STORED = 0;
export const RESULT_STORED = 1;
export const RESULT_EXISTS = 2;
export const RESULT_NOT_FOUND = 3;

/** Copies bytes within the arena, between ranges that do not overlap; short runs by a loop, which beats the call. */
export function copyBytes(memory: Memory, to: number, from: number, length: number): void {
  if (length > 16) {
    memory.moveBytes(from, to, length);
    return;
  }
  copyShort(memory.view, to, from, length);
}

function isOlder(high: number, low: number, thanHigh: number, thanLow: number): boolean {
  return high < thanHigh || (high === thanHigh && low < thanLow);
}

export class Store {
  readonly #items: Items;
  /** CAS id of what was stored or counted last. */
  casHigh = 0;
  casLow = 0;
  /** Digits of what `addDelta` came to when it is DELTA_OK, and the item that holds it. */
  deltaDigits = 1;
  deltaItem = 0;
  /** Whether that item has taken the place of another one. */
  deltaReplaced = false;
  /** A number where that is exact, which is many times faster. */
  #delta: number | bigint = 0;

  constructor(items: Items) {
    this.#items = items;
  }

  /** The item that `storeItem` stored: not the one it was given, if that was joined to another. */
  #stored = 0;

  /**
   * Stores `item` under its key, whose lock the caller holds, as well as the item itself; its value is complete. Its CAS field holds the id
   * that the client demands, 0 for none.
   * @param hash of its key
   * @param mayBeStale whether a newer value may be replaced as well; the item is marked as stale then
   * @returns RESULT_…; the id it got stands in `casHigh` and `casLow`
   */
  storeItem(item: number, how: number, hash: number, mayBeStale = false): number {
    this.#stored = item;
    const result = this.#storeItem(item, how, hash, mayBeStale);
    const { logger } = this.#items;
    if (logger.wants(LOG_MUTATIONS)) {
      logger.itemStore(result, how, this.#stored, this.#items.keyOf(this.#stored), this.#items.now);
    }
    return result;
  }

  #storeItem(item: number, how: number, hash: number, mayBeStale: boolean): number {
    const items = this.#items;
    const nkey = items.u8[item + L.ITEM_NKEY];
    const old = items.find(hash, items.keyOf(item), nkey);
    if (old === 0) return this.#storeNew(item, how, hash);
    const wantLow = items.casLow(item);
    const wantHigh = items.casHigh(item);
    const isNone = wantLow === 0 && wantHigh === 0;
    const isMatch = !isNone && wantLow === items.casLow(old) && wantHigh === items.casHigh(old);
    switch (how) {
      case STORE_ADD:
        items.update(old);
        return RESULT_NOT_STORED;
      case STORE_CAS:
        if (!isMatch && !(mayBeStale && !isNone && isOlder(wantHigh, wantLow, items.casHigh(old), items.casLow(old)))) {
          items.counters.casBadval[items.u8[old + L.ITEM_CLSID] & L.CLASS_MASK]++;
          if (items.logger.wants(LOG_VERBOSE)) {
            items.logger.onNote?.(`CAS:  failure: expected ${items.casOf(old)}, got ${items.casOf(item)}`);
          }
          return RESULT_EXISTS;
        }
        items.counters.casHits[items.u8[old + L.ITEM_CLSID] & L.CLASS_MASK]++;
        if (!isMatch) this.#markStale(item, old);
        this.#replace(old, item, hash);
        return RESULT_STORED;
      case STORE_APPEND:
      case STORE_PREPEND: {
        if (!isNone && !isMatch) return RESULT_EXISTS;
        const joined = this.#join(old, item, how === STORE_APPEND);
        if (joined === 0) return RESULT_NOT_STORED;
        this.#replace(old, joined, hash);
        this.#stored = joined;
        items.release(joined);
        return RESULT_STORED;
      }
      default:
        this.#replace(old, item, hash);
        return RESULT_STORED;
    }
  }

  /** A value that was made from an older one than is there keeps that one's life and marks. */
  #markStale(item: number, old: number): void {
    const { u16, u32 } = this.#items;
    u32[(item + L.ITEM_EXPTIME) >>> 2] = u32[(old + L.ITEM_EXPTIME) >>> 2];
    u16[(item + L.ITEM_FLAGS) >>> 1] |= L.FLAG_STALE | (u16[(old + L.ITEM_FLAGS) >>> 1] & L.FLAG_TOKEN_SENT);
  }

  #storeNew(item: number, how: number, hash: number): number {
    const items = this.#items;
    if (how === STORE_CAS) {
      items.counters.casMisses++;
      return RESULT_NOT_FOUND;
    }
    if (how !== STORE_ADD && how !== STORE_SET) return RESULT_NOT_STORED;
    items.link(item, hash);
    this.casLow = items.casLow(item);
    this.casHigh = items.casHigh(item);
    return RESULT_STORED;
  }

  #replace(old: number, item: number, hash: number): void {
    this.#items.replace(old, item, hash);
    this.casLow = this.#items.casLow(item);
    this.casHigh = this.#items.casHigh(item);
  }

  /** A new item (held once) with both values; 0 when it is too large or memory is short. */
  #join(old: number, item: number, append: boolean): number {
    const items = this.#items;
    const oldBytes = items.i32[(old + L.ITEM_NBYTES) >>> 2];
    const addBytes = items.i32[(item + L.ITEM_NBYTES) >>> 2];
    items.hold(old);
    const joined = allocItem(
      items,
      items.keyOf(item),
      items.u8[item + L.ITEM_NKEY],
      items.clientFlags(old),
      items.u32[(old + L.ITEM_EXPTIME) >>> 2],
      oldBytes + addBytes - 2,
    );
    let whole = joined !== 0;
    if (whole) {
      // What comes first leaves its line end behind.
      const writer = new ValueWriter(items, joined);
      const [first, second] = append ? [old, item] : [item, old];
      whole = writer.writeValueOf(first, 2) && writer.writeValueOf(second, 0);
      if (!whole) items.release(joined);
    }
    items.release(old);
    return whole ? joined : 0;
  }

  get deltaValue(): bigint {
    return BigInt(this.#delta);
  }

  /** Stores `deltaValue` in decimal. @returns the offset behind it */
  putDelta(at: number): number {
    return putNumber(this.#items.u8, at, this.#delta);
  }

  /** A counter was made instead of being counted in. */
  noteNewCounter(item: number, value: bigint, digits: number): void {
    this.deltaItem = item;
    this.deltaReplaced = false;
    this.deltaDigits = digits;
    this.#delta = value;
  }

  /**
   * incr and decr. The caller holds the lock of the key.
   * @param delta a number only below 10^15
   * @param wantHigh, wantLow CAS id demanded (0, 0: none)
   * @returns DELTA_…
   */
  addDelta(
    hash: number,
    keyAt: number,
    nkey: number,
    up: boolean,
    delta: number | bigint,
    wantHigh: number,
    wantLow: number,
  ): number {
    const items = this.#items;
    const { u8 } = items;
    const item = items.find(hash, keyAt, nkey);
    if (item === 0) return DELTA_NOT_FOUND;
    const nbytes = items.i32[(item + L.ITEM_NBYTES) >>> 2];
    const flagsCell = (item + L.ITEM_FLAGS) >>> 1;
    if (nbytes <= 2 || (items.u16[flagsCell] & L.FLAG_CHUNKED) !== 0) return DELTA_NON_NUMERIC;
    if ((wantLow !== 0 || wantHigh !== 0) && (wantLow !== items.casLow(item) || wantHigh !== items.casHigh(item))) {
      return DELTA_CAS_MISMATCH;
    }
    const data = items.dataOf(item);
    const plain = plainDecimal(u8, data, data + nbytes - 2);
    let value: number | bigint;
    if (plain >= 0 && typeof delta === 'number') {
      value = up ? plain + delta : Math.max(0, plain - delta);
    } else {
      const old = plain >= 0 ? BigInt(plain) : parseU64(u8, data, data + nbytes);
      if (old === null) return DELTA_NON_NUMERIC;
      const by = BigInt(delta);
      value = up ? (old + by) & U64_MAX : by > old ? 0n : old - by;
    }
    const id = u8[item + L.ITEM_CLSID] & L.CLASS_MASK;
    if (up) items.counters.incrHits[id]++;
    else items.counters.decrHits[id]++;
    this.#delta = value;
    const digits = digitsOf(value);
    this.deltaDigits = digits;
    if (digits + 2 <= nbytes && items.refcount(item) === 1) {
      const size = items.totalBytes(item);
      if (items.sizes.enabled) items.sizes.remove(size, items.casOf(item));
      items.renewCas(item);
      if (items.sizes.enabled) items.sizes.add(size, items.casOf(item));
      const end = data + nbytes - 2;
      for (let p = putNumber(u8, data, value); p < end; p++) u8[p] = 32;
      items.update(item);
      this.casLow = items.casLow(item);
      this.casHigh = items.casHigh(item);
      this.deltaItem = item;
      this.deltaReplaced = false;
      return DELTA_OK;
    }
    return this.#deltaInNewItem(item, hash, value, digits);
  }

  #deltaInNewItem(item: number, hash: number, value: number | bigint, digits: number): number {
    const items = this.#items;
    items.hold(item);
    const fresh = allocItem(
      items,
      items.keyOf(item),
      items.u8[item + L.ITEM_NKEY],
      items.clientFlags(item),
      items.u32[(item + L.ITEM_EXPTIME) >>> 2],
      digits + 2,
    );
    if (fresh === 0) {
      items.release(item);
      return DELTA_NO_MEMORY;
    }
    const end = putNumber(items.u8, items.dataOf(fresh), value);
    items.u8[end] = 13;
    items.u8[end + 1] = 10;
    this.#replace(item, fresh, hash);
    items.release(item);
    items.release(fresh);
    this.deltaItem = fresh;
    this.deltaReplaced = true;
    return DELTA_OK;
  }
}

export const DELTA_OK = 0;
export const DELTA_NON_NUMERIC = 1;
export const DELTA_NO_MEMORY = 2;
export const DELTA_NOT_FOUND = 3;
export const DELTA_CAS_MISMATCH = 4;

/**
 * Writes values one behind the other into a new item of either kind (_store_item_copy_data). Chunks are taken as the original takes them:
 * one is sized for what is left of the value under way, not of the item, and one more is taken as soon as one is full, even if nothing
 * follows. So a joined value may lie in more chunks than need be, and its memory is counted so. Cold paths only.
 */
class ValueWriter {
  readonly #items: Items;
  readonly #item: number;
  readonly #isChunked: boolean;
  #chunk = 0;
  #at: number;

  constructor(items: Items, item: number) {
    this.#items = items;
    this.#item = item;
    this.#at = items.dataOf(item);
    this.#isChunked = isChunked(items, item);
  }

  /** Appends another item's value without its last `skip` bytes. @returns false when memory is short */
  writeValueOf(source: number, skip: number): boolean {
    const items = this.#items;
    let left = items.i32[(source + L.ITEM_NBYTES) >>> 2] - skip;
    if (left === 0) return true;
    if (!this.#isChunked) {
      copyBytes(items.memory, this.#at, items.dataOf(source), left);
      this.#at += left;
      return true;
    }
    if (this.#isFull() && !this.#takeChunk(left)) return false;
    if (!isChunked(items, source)) return this.#write(items.dataOf(source), left, left);
    for (let chunk = items.firstChunk(source); left > 0; chunk = items.u32[(chunk + L.ITEM_NEXT) >>> 2]) {
      const bytes = Math.min(left, items.i32[(chunk + L.CHUNK_USED) >>> 2]);
      if (!this.#write(chunk + L.CHUNK_DATA, bytes, left)) return false;
      left -= bytes;
    }
    return true;
  }

  #isFull(): boolean {
    const { i32 } = this.#items;
    const chunk = this.#chunk;
    return chunk === 0 || i32[(chunk + L.CHUNK_USED) >>> 2] === i32[(chunk + L.CHUNK_SIZE) >>> 2];
  }

  #takeChunk(remaining: number): boolean {
    this.#chunk = addChunk(this.#items, this.#item, this.#chunk, remaining);
    return this.#chunk !== 0;
  }

  /** Appends `length` bytes at `from`. @param remaining bytes of the value, these included */
  #write(from: number, length: number, remaining: number): boolean {
    const { memory, i32 } = this.#items;
    while (length > 0) {
      const usedCell = (this.#chunk + L.CHUNK_USED) >>> 2;
      const bytes = Math.min(length, i32[(this.#chunk + L.CHUNK_SIZE) >>> 2] - i32[usedCell]);
      copyBytes(memory, this.#chunk + L.CHUNK_DATA + i32[usedCell], from, bytes);
      i32[usedCell] += bytes;
      from += bytes;
      length -= bytes;
      remaining -= bytes;
      if (this.#isFull() && !this.#takeChunk(remaining)) return false;
    }
    return true;
  }
}

function isChunked(items: Items, item: number): boolean {
  return (items.u16[(item + L.ITEM_FLAGS) >>> 1] & L.FLAG_CHUNKED) !== 0;
}
