/**
 * The hash table of the original: chains, two tables, incremental rehashing. A dict is an arena struct of 56 bytes:
 *
 * | offset | field |
 * | --- | --- |
 * | 0 | type (a small integer) |
 * | 8, 16 | the two tables: arrays of 8-byte pointers to entries |
 * | 24, 32 | entries in each table |
 * | 40 | next bucket to rehash, -1: not rehashing |
 * | 48 | nesting of rehash pauses |
 * | 50, 51 | log2 of each table's size, -1: no table |
 *
 * An entry takes 24 bytes: key (an sds) at 0, value (pointer, or 64 bits) at 8, next entry at 16. As an offset fills only half of the
 * key's pointer, the other half, at 4, holds the key's hash: rehashing need not read the key, and a lookup passes most other entries by.
 *
 * Growing never stops the world: while `rehashidx` is not -1 both tables are in use, every operation moves one bucket of the first
 * to the second, and the server's cron moves more. New entries go to the second table only, so the first empties.
 */
import { ARENA_EXHAUSTED, type Heap } from './heap.ts';
import { keyHash } from './key-hash.ts';
import { decrRefCount } from './robj.ts';
import { sdsFree, sdsLen, sdsNewLen } from './sds.ts';

/** Keys and values are owned: sds and object. */
export const DICT_TYPE_DB = 0;
/** Keys belong to the main dict; values are times in ms. */
export const DICT_TYPE_EXPIRES = 1;
/** Members of a set: keys are owned, there are no values. */
export const DICT_TYPE_SET = 2;
/** Fields of a hash: keys and values are owned sds. */
export const DICT_TYPE_HASH = 3;
/** Members of a sorted set: keys belong to the nodes of its skip list, values point to the scores there. */
export const DICT_TYPE_ZSET = 4;

export const DICT_BYTES = 56;
export const DICT_ENTRY_BYTES = 24;
const POINTER_BYTES = 8;
const INITIAL_SIZE = 4;
/** A table denser than so many entries a bucket grows even while resizing is to be avoided. */
const FORCE_RESIZE_RATIO = 5;
/** So dense a table of a database grows though its memory is beyond the limit. */
const MAX_LOAD_FACTOR = 1.618;
/** One step of rehashing visits at most so many empty buckets for each bucket it moves. */
const EMPTY_VISITS = 10;
/** A table filled to less than so many percent shrinks. */
const MIN_FILL_PERCENT = 10;
/** A table with more buckets than 2^28 would not fit into an arena of 4 GiB; below, shifts of 32-bit integers are exact. */
const MAX_EXPONENT = 28;
/** Buckets moved between two looks at the clock. */
const REHASH_BATCH = 100;

/** Within an entry. */
const HASH = 4;

const TABLE = 8;
const USED = 24;
const REHASH_INDEX = 40;
const PAUSE = 48;
const EXPONENT = 50;
const NO_TABLE = 0xff;

/** An empty dict without a table. @throws ARENA_EXHAUSTED */
export function dictCreate(h: Heap, type: number): number {
  const d = h.calloc(DICT_BYTES);
  h.u32[d >>> 2] = type;
  h.i32[(d + REHASH_INDEX) >>> 2] = -1;
  h.u8[d + EXPONENT] = NO_TABLE;
  h.u8[d + EXPONENT + 1] = NO_TABLE;
  return d;
}

/** Number of entries. */
export function dictSize(h: Heap, d: number): number {
  const at = (d + USED) >>> 2;
  return h.u32[at] + h.u32[at + 2];
}

/** Number of buckets of table 0 or 1; 0 where there is none. */
export function dictTableSize(h: Heap, d: number, table: number): number {
  const exponent = h.u8[d + EXPONENT + table];
  return exponent === NO_TABLE ? 0 : 1 << exponent;
}

/** Number of entries of table 0 or 1. */
export function dictTableUsed(h: Heap, d: number, table: number): number {
  return h.u32[(d + USED + table * 8) >>> 2];
}

/** Number of buckets of both tables. */
export function dictSlots(h: Heap, d: number): number {
  return dictTableSize(h, d, 0) + dictTableSize(h, d, 1);
}

export function dictIsRehashing(h: Heap, d: number): boolean {
  return h.i32[(d + REHASH_INDEX) >>> 2] !== -1;
}

/** The next bucket to rehash, -1: not rehashing. */
export function dictRehashIndex(h: Heap, d: number): number {
  return h.i32[(d + REHASH_INDEX) >>> 2];
}

/** First entry of a bucket, 0: none. */
export function dictBucket(h: Heap, d: number, table: number, index: number): number {
  return h.u32[(h.u32[(d + TABLE + table * 8) >>> 2] + index * POINTER_BYTES) >>> 2];
}

/** Offset of a bucket's pointer to its first entry. */
export function dictBucketSlot(h: Heap, d: number, table: number, index: number): number {
  return h.u32[(d + TABLE + table * 8) >>> 2] + index * POINTER_BYTES;
}

/** Offset of the field that points to table 0 or 1. */
export function dictTableField(d: number, table: number): number {
  return d + TABLE + table * 8;
}

/** Offset of table 0 or 1: its buckets, 8 bytes each. */
export function dictBucketsAt(h: Heap, d: number, table: number): number {
  return h.u32[(d + TABLE + table * 8) >>> 2];
}

export function dictNext(h: Heap, entry: number): number {
  return h.u32[(entry + 16) >>> 2];
}

/** The hash of an entry's key. */
export function dictEntryHash(h: Heap, entry: number): number {
  return h.i32[(entry + HASH) >>> 2];
}

/** The key of an entry: an sds. */
export function dictKey(h: Heap, entry: number): number {
  return h.u32[entry >>> 2];
}

export function dictValue(h: Heap, entry: number): number {
  return h.u32[(entry + 8) >>> 2];
}

export function dictSetValue(h: Heap, entry: number, value: number): void {
  h.u32[(entry + 8) >>> 2] = value;
  h.u32[(entry + 12) >>> 2] = 0;
}

/** The value as a signed 64-bit integer that fits a number (a time in ms does). */
export function dictIntValue(h: Heap, entry: number): number {
  return h.i32[(entry + 12) >>> 2] * 4294967296 + h.u32[(entry + 8) >>> 2];
}

export function dictSetIntValue(h: Heap, entry: number, value: number): void {
  h.u32[(entry + 8) >>> 2] = value >>> 0;
  h.i32[(entry + 12) >>> 2] = Math.floor(value / 4294967296);
}

/** The value as an exact signed 64-bit integer. */
export function dictIntBig(h: Heap, entry: number): bigint {
  return (BigInt(h.i32[(entry + 12) >>> 2]) << 32n) | BigInt(h.u32[(entry + 8) >>> 2]);
}

export function dictSetIntBig(h: Heap, entry: number, value: bigint): void {
  h.u32[(entry + 8) >>> 2] = Number(BigInt.asUintN(32, value));
  h.i32[(entry + 12) >>> 2] = Number(BigInt.asIntN(32, value >> 32n));
}

export function dictPauseRehashing(h: Heap, d: number): void {
  h.u16[(d + PAUSE) >>> 1]++;
}

export function dictResumeRehashing(h: Heap, d: number): void {
  h.u16[(d + PAUSE) >>> 1]--;
}

function exponentFor(size: number): number {
  let exponent = 2;
  while (2 ** exponent < size) exponent++;
  return exponent;
}

/**
 * Makes a table of at least `size` buckets; entries move to it bit by bit. Does nothing while rehashing, when the size would be
 * too small, unchanged, or cannot be had from the arena (the dict then goes on with longer chains).
 */
export function dictExpand(h: Heap, d: number, size: number): boolean {
  if (dictIsRehashing(h, d) || dictTableUsed(h, d, 0) > size) return false;
  const exponent = exponentFor(size);
  if (exponent === h.u8[d + EXPONENT]) return false;
  const bytes = (1 << exponent) * POINTER_BYTES;
  if (exponent > MAX_EXPONENT) return false;
  const table = h.allocator.alloc(bytes);
  if (table === 0) return false;
  h.f64.fill(0, table / 8, (table + bytes) / 8);
  const first = h.u8[d + EXPONENT] === NO_TABLE;
  const which = first ? 0 : 1;
  h.u32[(d + TABLE + which * 8) >>> 2] = table;
  h.u32[(d + USED + which * 8) >>> 2] = 0;
  h.u8[d + EXPONENT + which] = exponent;
  if (!first) h.i32[(d + REHASH_INDEX) >>> 2] = 0;
  return true;
}

/** Shrinks the table to the smallest that holds all entries. */
export function dictResize(h: Heap, d: number): boolean {
  if (!h.dictCanResize || dictIsRehashing(h, d)) return false;
  const used = dictTableUsed(h, d, 0);
  return dictExpand(h, d, Math.max(used, INITIAL_SIZE));
}

/** Whether the table is so empty that it should shrink. */
export function dictNeedsResize(h: Heap, d: number): boolean {
  const slots = dictSlots(h, d);
  return slots > INITIAL_SIZE && Math.floor((dictSize(h, d) * 100) / slots) < MIN_FILL_PERCENT;
}

function expandIfNeeded(h: Heap, d: number): void {
  if (dictIsRehashing(h, d)) return;
  const exponent = h.u8[d + EXPONENT];
  if (exponent === NO_TABLE) {
    dictExpand(h, d, INITIAL_SIZE);
    return;
  }
  const size = 1 << exponent;
  const used = h.u32[(d + USED) >>> 2];
  if (used < size || (!h.dictCanResize && used / size <= FORCE_RESIZE_RATIO)) return;
  if (mayGrow(h, d, used, size)) dictExpand(h, d, used + 1);
}

/** Whether the memory limit lets a table of a database grow: keys are not to be evicted for a larger table while chains are short. */
function mayGrow(h: Heap, d: number, used: number, size: number): boolean {
  if (h.maxmemory === 0 || h.u32[d >>> 2] > DICT_TYPE_EXPIRES || used / size > MAX_LOAD_FACTOR) return true;
  return h.allocator.usedBytes + 2 ** exponentFor(used + 1) * POINTER_BYTES <= h.maxmemory;
}

/**
 * Moves up to `buckets` buckets to the second table.
 * @returns whether there is more to move
 */
export function dictRehash(h: Heap, d: number, buckets: number): boolean {
  const u32 = h.u32;
  const indexAt = (d + REHASH_INDEX) >>> 2;
  if (h.i32[indexAt] === -1) return false;
  const usedAt = (d + USED) >>> 2;
  const from = u32[(d + TABLE) >>> 2];
  const to = u32[(d + TABLE + 8) >>> 2];
  const oldSize = dictTableSize(h, d, 0);
  const newSize = dictTableSize(h, d, 1);
  const mask = newSize - 1;
  if (!h.dictCanResize && Math.max(newSize / oldSize, oldSize / newSize) < FORCE_RESIZE_RATIO) return false;
  let visits = buckets * EMPTY_VISITS;
  let index = h.i32[indexAt];
  while (buckets-- > 0 && u32[usedAt] !== 0) {
    while (u32[(from + index * POINTER_BYTES) >>> 2] === 0) {
      index++;
      if (--visits === 0) {
        h.i32[indexAt] = index;
        return true;
      }
    }
    let entry = u32[(from + index * POINTER_BYTES) >>> 2];
    let moved = 0;
    while (entry !== 0) {
      const next = u32[(entry + 16) >>> 2];
      const target = u32[(entry + HASH) >>> 2] & mask;
      const slot = (to + target * POINTER_BYTES) >>> 2;
      u32[(entry + 16) >>> 2] = u32[slot];
      u32[slot] = entry;
      moved++;
      entry = next;
    }
    u32[(from + index * POINTER_BYTES) >>> 2] = 0;
    u32[usedAt] -= moved;
    u32[usedAt + 2] += moved;
    index++;
  }
  h.i32[indexAt] = index;
  if (u32[usedAt] !== 0) return true;
  h.free(from);
  u32[(d + TABLE) >>> 2] = to;
  u32[(d + TABLE + 8) >>> 2] = 0;
  u32[usedAt] = u32[usedAt + 2];
  u32[usedAt + 2] = 0;
  h.u8[d + EXPONENT] = h.u8[d + EXPONENT + 1];
  h.u8[d + EXPONENT + 1] = NO_TABLE;
  h.i32[indexAt] = -1;
  return false;
}

/**
 * Reads the entries of the next buckets to be rehashed, so that moving them need not wait for each (see lookahead.ts). Changes nothing.
 * @returns what was read, which is of no use
 */
export function dictTouchRehash(h: Heap, d: number, buckets: number): number {
  const u32 = h.u32;
  const index = h.i32[(d + REHASH_INDEX) >>> 2];
  if (index === -1) return 0;
  const last = Math.min(index + buckets, dictTableSize(h, d, 0));
  const from = u32[(d + TABLE) >>> 2];
  let sink = 0;
  for (let i = index; i < last; i++) sink ^= u32[(u32[(from + i * POINTER_BYTES) >>> 2] + HASH) >>> 2];
  return sink;
}

/** Rehashes in batches until `untilUs` of the clock or the end. @returns whether it worked until the time was over */
export function dictRehashUntil(h: Heap, d: number, nowUs: () => number, untilUs: number): boolean {
  if (h.u16[(d + PAUSE) >>> 1] !== 0) return false;
  while (dictRehash(h, d, REHASH_BATCH)) if (nowUs() >= untilUs) return true;
  return false;
}

function rehashStep(h: Heap, d: number): void {
  if (h.i32[(d + REHASH_INDEX) >>> 2] !== -1 && h.u16[(d + PAUSE) >>> 1] === 0) dictRehash(h, d, 1);
}

/** The hash of bytes, computed now or ahead. */
function hashOf(h: Heap, offset: number, length: number): number {
  if (offset === h.knownOffset && length === h.knownLength) return h.knownHash;
  if (offset === h.memberOffset && length === h.memberLength) return h.memberHash;
  return keyHash(h.u8, h.view, offset, length, h.hashKey);
}

/** The hash of the key looked up last: what dictInsertHashed takes, so that a miss need not hash again. */
export let lastHash = 0;

/**
 * @param offset the key's bytes, anywhere in the arena
 * @returns the entry, or 0
 */
export function dictFind(h: Heap, d: number, offset: number, length: number): number {
  const u32 = h.u32;
  const u8 = h.u8;
  const hash = hashOf(h, offset, length);
  lastHash = hash;
  const rehashing = h.i32[(d + REHASH_INDEX) >>> 2] !== -1;
  if (rehashing) rehashStep(h, d);
  const usedAt = (d + USED) >>> 2;
  if (u32[usedAt] + u32[usedAt + 2] === 0) return 0;
  for (let table = 0; table < 2; table++) {
    const exponent = u8[d + EXPONENT + table];
    if (exponent === NO_TABLE) return 0;
    const index = hash & ((1 << exponent) - 1);
    let entry = u32[(u32[(d + TABLE + table * 8) >>> 2] + index * POINTER_BYTES) >>> 2];
    while (entry !== 0) {
      const at = entry >>> 2;
      if (h.i32[at + 1] === hash) {
        const key = u32[at];
        if (sdsLen(h, key) === length && h.equal(key, offset, length)) return entry;
      }
      entry = u32[at + 4];
    }
    if (!rehashing) return 0;
  }
  return 0;
}

/** Finds an entry without moving a bucket meanwhile: it changes nothing. @param hash the key's. @returns 0 when the key is not there */
export function dictFindQuietly(h: Heap, d: number, offset: number, length: number, hash: number): number {
  for (let table = 0; table < 2; table++) {
    const size = dictTableSize(h, d, table);
    if (size === 0) return 0;
    for (let entry = dictBucket(h, d, table, hash & (size - 1)); entry !== 0; entry = dictNext(h, entry)) {
      const key = dictKey(h, entry);
      if (sdsLen(h, key) === length && h.equal(key, offset, length)) return entry;
    }
  }
  return 0;
}

/** @returns the offset of the bucket that a key of this hash belongs to; 0 while there is no table */
export function dictBucketAt(h: Heap, d: number, hash: number): number {
  const u8 = h.u8;
  let exponent = u8[d + EXPONENT];
  if (exponent === NO_TABLE) return 0;
  let table = 0;
  let index = hash & ((1 << exponent) - 1);
  if (index < h.i32[(d + REHASH_INDEX) >>> 2]) {
    // Its bucket has moved to the second table.
    table = 1;
    exponent = u8[d + EXPONENT + 1];
    index = hash & ((1 << exponent) - 1);
  }
  return h.u32[(d + TABLE + table * 8) >>> 2] + index * POINTER_BYTES;
}

/**
 * Adds an entry for `key` (an sds that the dict then owns as its type says). The key must not be there yet; its value is 0.
 * @param hash the key's hash
 * @returns the new entry. @throws ARENA_EXHAUSTED before anything has changed
 */
export function dictInsertHashed(h: Heap, d: number, key: number, hash: number): number {
  const entry = h.alloc(DICT_ENTRY_BYTES);
  rehashStep(h, d);
  expandIfNeeded(h, d);
  const u32 = h.u32;
  if (h.u8[d + EXPONENT] === NO_TABLE) {
    h.free(entry);
    throw ARENA_EXHAUSTED;
  }
  const table = h.i32[(d + REHASH_INDEX) >>> 2] !== -1 ? 1 : 0;
  const mask = (1 << h.u8[d + EXPONENT + table]) - 1;
  const slot = (u32[(d + TABLE + table * 8) >>> 2] + (hash & mask) * POINTER_BYTES) >>> 2;
  const at = entry >>> 2;
  u32[at] = key;
  u32[at + 1] = hash;
  u32[at + 2] = 0;
  u32[at + 3] = 0;
  u32[at + 4] = u32[slot];
  u32[at + 5] = 0;
  u32[slot] = entry;
  u32[(d + USED + table * 8) >>> 2]++;
  return entry;
}

/** As dictInsertHashed, hashing the key itself. */
export function dictInsert(h: Heap, d: number, key: number): number {
  return dictInsertHashed(h, d, key, keyHash(h.u8, h.view, key, sdsLen(h, key), h.hashKey));
}

/**
 * Adds a key of these bytes unless it is there: its value is 0. As in the original the table may grow even when the key is there.
 * @returns the new entry, or 0. @throws ARENA_EXHAUSTED, the entries unchanged
 */
export function dictAddBytes(h: Heap, d: number, offset: number, length: number): number {
  const u32 = h.u32;
  const u8 = h.u8;
  if (h.i32[(d + REHASH_INDEX) >>> 2] !== -1) rehashStep(h, d);
  expandIfNeeded(h, d);
  if (u8[d + EXPONENT] === NO_TABLE) throw ARENA_EXHAUSTED;
  const hash = hashOf(h, offset, length);
  const rehashing = h.i32[(d + REHASH_INDEX) >>> 2] !== -1;
  let slot = 0;
  let table = 0;
  for (; ; table++) {
    const mask = (1 << u8[d + EXPONENT + table]) - 1;
    slot = (u32[(d + TABLE + table * 8) >>> 2] + (hash & mask) * POINTER_BYTES) >>> 2;
    for (let entry = u32[slot]; entry !== 0; entry = u32[(entry + 16) >>> 2]) {
      if (h.i32[(entry + HASH) >>> 2] !== hash) continue;
      const key = u32[entry >>> 2];
      if (sdsLen(h, key) === length && h.equal(key, offset, length)) return 0;
    }
    if (table === 1 || !rehashing) break;
  }
  const key = sdsNewLen(h, offset, length);
  const entry = h.allocator.alloc(DICT_ENTRY_BYTES);
  if (entry === 0) {
    sdsFree(h, key);
    throw ARENA_EXHAUSTED;
  }
  const at = entry >>> 2;
  u32[at] = key;
  u32[at + 1] = hash;
  u32[at + 2] = 0;
  u32[at + 3] = 0;
  u32[at + 4] = u32[slot];
  u32[at + 5] = 0;
  u32[slot] = entry;
  u32[(d + USED + table * 8) >>> 2]++;
  return entry;
}

/** Takes an entry out without freeing anything. @returns the entry, or 0; free it with dictFreeEntry */
export function dictUnlink(h: Heap, d: number, offset: number, length: number): number {
  return dictSize(h, d) === 0 ? 0 : dictUnlinkHashed(h, d, offset, length, hashOf(h, offset, length));
}

/** As dictUnlink, of a key whose hash is known (that of an entry is: dictEntryHash). */
export function dictUnlinkHashed(h: Heap, d: number, offset: number, length: number, hash: number): number {
  const u32 = h.u32;
  const u8 = h.u8;
  const usedAt = (d + USED) >>> 2;
  if (u32[usedAt] + u32[usedAt + 2] === 0) return 0;
  rehashStep(h, d);
  const rehashing = h.i32[(d + REHASH_INDEX) >>> 2] !== -1;
  for (let table = 0; table < 2; table++) {
    const exponent = u8[d + EXPONENT + table];
    if (exponent === NO_TABLE) return 0;
    const index = hash & ((1 << exponent) - 1);
    let slot = (u32[(d + TABLE + table * 8) >>> 2] + index * POINTER_BYTES) >>> 2;
    let entry = u32[slot];
    while (entry !== 0) {
      const key = u32[entry >>> 2];
      // The key may be given as the entry's own.
      if (
        h.i32[(entry + HASH) >>> 2] === hash &&
        (key === offset || (sdsLen(h, key) === length && h.equal(key, offset, length)))
      ) {
        u32[slot] = u32[(entry + 16) >>> 2];
        u32[(d + USED + table * 8) >>> 2]--;
        return entry;
      }
      slot = (entry + 16) >>> 2;
      entry = u32[slot];
    }
    if (!rehashing) return 0;
  }
  return 0;
}

/** Frees an entry taken out with dictUnlink, with key and value as the dict's type owns them. */
export function dictFreeEntry(h: Heap, d: number, entry: number): void {
  const type = h.u32[d >>> 2];
  if (type === DICT_TYPE_DB) {
    sdsFree(h, h.u32[entry >>> 2]);
    const value = h.u32[(entry + 8) >>> 2];
    if (value !== 0) decrRefCount(h, value);
  } else if (type === DICT_TYPE_SET) {
    sdsFree(h, h.u32[entry >>> 2]);
  } else if (type === DICT_TYPE_HASH) {
    sdsFree(h, h.u32[entry >>> 2]);
    const value = h.u32[(entry + 8) >>> 2];
    if (value !== 0) sdsFree(h, value);
  }
  h.free(entry);
}

/** Removes and frees an entry. @returns whether it was there */
export function dictDelete(h: Heap, d: number, offset: number, length: number): boolean {
  const entry = dictUnlink(h, d, offset, length);
  if (entry === 0) return false;
  dictFreeEntry(h, d, entry);
  return true;
}

/**
 * Takes the entries of some bucket out of a dict that is being emptied bit by bit and used for nothing else any more. Where it goes on
 * is kept in the rehash index, so the dict cannot be looked into until it is empty.
 * @returns the first entry of their chain (0: the bucket was empty), or -1 when no entries are left
 */
export function dictTakeBucket(h: Heap, d: number): number {
  for (let table = 0; table < 2; table++) {
    const usedAt = (d + USED + table * 8) >>> 2;
    if (h.u32[usedAt] === 0) continue;
    const indexAt = (d + REHASH_INDEX) >>> 2;
    let index = h.i32[indexAt];
    if (index < 0) index = 0;
    // The second table is begun where the first has ended, and gone through once around.
    if (index >= dictTableSize(h, d, table)) index = 0;
    const slot = (h.u32[(d + TABLE + table * 8) >>> 2] + index * POINTER_BYTES) >>> 2;
    const first = h.u32[slot];
    h.u32[slot] = 0;
    h.i32[indexAt] = index + 1;
    for (let entry = first; entry !== 0; entry = h.u32[(entry + 16) >>> 2]) h.u32[usedAt]--;
    return first;
  }
  return -1;
}

/** Frees all entries and both tables; the dict stays usable. */
export function dictEmpty(h: Heap, d: number): void {
  for (let table = 0; table < 2; table++) {
    const size = dictTableSize(h, d, table);
    for (let index = 0; index < size; index++) {
      let entry = dictBucket(h, d, table, index);
      while (entry !== 0) {
        const next = dictNext(h, entry);
        dictFreeEntry(h, d, entry);
        entry = next;
      }
    }
    if (size > 0) h.free(h.u32[(d + TABLE + table * 8) >>> 2]);
    h.u32[(d + TABLE + table * 8) >>> 2] = 0;
    h.u32[(d + USED + table * 8) >>> 2] = 0;
    h.u8[d + EXPONENT + table] = NO_TABLE;
  }
  h.i32[(d + REHASH_INDEX) >>> 2] = -1;
}

/** Frees the dict and everything in it. */
export function dictRelease(h: Heap, d: number): void {
  dictEmpty(h, d);
  h.free(d);
}

/**
 * Checks a dict's invariants by walking all of it: counts, chains in their right buckets, no key twice in a chain.
 * @throws Error naming what is broken
 */
export function dictVerify(h: Heap, d: number): void {
  const rehashing = dictIsRehashing(h, d);
  if (!rehashing && (dictTableSize(h, d, 1) !== 0 || dictTableUsed(h, d, 1) !== 0)) {
    throw new Error(`Broken dict at ${d}: a second table while not rehashing`);
  }
  for (let table = 0; table < 2; table++) {
    const size = dictTableSize(h, d, table);
    let entries = 0;
    for (let index = 0; index < size; index++) {
      const emptied = table === 0 && rehashing && index < dictRehashIndex(h, d);
      for (let entry = dictBucket(h, d, table, index); entry !== 0; entry = dictNext(h, entry)) {
        if (emptied) throw new Error(`Broken dict at ${d}: bucket ${index} below the rehash index is not empty`);
        const key = dictKey(h, entry);
        const length = sdsLen(h, key);
        const hash = keyHash(h.u8, h.view, key, length, h.hashKey);
        if (h.i32[(entry + HASH) >>> 2] !== hash) {
          throw new Error(`Broken dict at ${d}: the entry at ${entry} does not hold its key's hash`);
        }
        if ((hash & (size - 1)) !== index) {
          throw new Error(
            `Broken dict at ${d}: the entry at ${entry} is in bucket ${index} of table ${table} by mistake`,
          );
        }
        for (let other = dictNext(h, entry); other !== 0; other = dictNext(h, other)) {
          const otherKey = dictKey(h, other);
          if (sdsLen(h, otherKey) === length && h.equal(key, otherKey, length)) {
            throw new Error(`Broken dict at ${d}: a key stands twice in bucket ${index}`);
          }
        }
        entries++;
      }
    }
    if (entries !== dictTableUsed(h, d, table)) {
      throw new Error(
        `Broken dict at ${d}: table ${table} holds ${entries} entries and says ${dictTableUsed(h, d, table)}`,
      );
    }
  }
}
