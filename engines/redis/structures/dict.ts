/**
 * The hash table of the original: chains, two tables, incremental rehashing. What stands where: dict-layout.ts; growing and shrinking:
 * dict-rehash.ts.
 */
import {
  DICT_BYTES,
  DICT_ENTRY_BYTES,
  DICT_TYPE_DB,
  DICT_TYPE_HASH,
  DICT_TYPE_SET,
  dictBucket,
  dictKey,
  dictNext,
  dictSize,
  dictTableSize,
  EXPONENT,
  HASH,
  NO_TABLE,
  POINTER_BYTES,
  REHASH_INDEX,
  TABLE,
  USED,
} from './dict-layout.ts';
import { dictExpandIfNeeded, dictRehashStep } from './dict-rehash.ts';
import { ARENA_EXHAUSTED, type Heap } from './heap.ts';
import { keyHash } from './key-hash.ts';
import { decrRefCount } from './robj.ts';
import { sdsFree, sdsLen, sdsNewLen } from './sds.ts';

/** An empty dict without a table. @throws ARENA_EXHAUSTED */
export function dictCreate(h: Heap, type: number): number {
  const d = h.calloc(DICT_BYTES);
  h.u32[d >>> 2] = type;
  h.i32[(d + REHASH_INDEX) >>> 2] = -1;
  h.u8[d + EXPONENT] = NO_TABLE;
  h.u8[d + EXPONENT + 1] = NO_TABLE;
  return d;
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
  if (rehashing) dictRehashStep(h, d);
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
  dictRehashStep(h, d);
  dictExpandIfNeeded(h, d);
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
  if (h.i32[(d + REHASH_INDEX) >>> 2] !== -1) dictRehashStep(h, d);
  dictExpandIfNeeded(h, d);
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
  dictRehashStep(h, d);
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
