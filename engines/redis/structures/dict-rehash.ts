/**
 * How a dict grows and shrinks. It never stops the world: while `rehashidx` is not -1 both tables are in use, every operation moves one bucket
 * of the first to the second, and the server's cron moves more. New entries go to the second table only, so the first empties.
 */
import {
  DICT_TYPE_EXPIRES,
  dictIsRehashing,
  dictSize,
  dictSlots,
  dictTableSize,
  dictTableUsed,
  EXPONENT,
  HASH,
  NO_TABLE,
  PAUSE,
  POINTER_BYTES,
  REHASH_INDEX,
  TABLE,
  USED,
} from './dict-layout.ts';
import type { Heap } from './heap.ts';

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

/** Makes the first table, or a larger one, if that is due before an entry is added. */
export function dictExpandIfNeeded(h: Heap, d: number): void {
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

/** Moves one bucket, as every operation does while rehashing. */
export function dictRehashStep(h: Heap, d: number): void {
  if (h.i32[(d + REHASH_INDEX) >>> 2] !== -1 && h.u16[(d + PAUSE) >>> 1] === 0) dictRehash(h, d, 1);
}
