/**
 * What stands where in a dict and its entries. A dict is an arena struct of 56 bytes:
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
 */
import type { Heap } from './heap.ts';

// Offsets of fields, and what stands in them.
export const POINTER_BYTES = 8;
/** Within an entry. */
export const HASH = 4;
export const TABLE = 8;
export const USED = 24;
export const REHASH_INDEX = 40;
export const PAUSE = 48;
export const EXPONENT = 50;
export const NO_TABLE = 0xff;

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
