/**
 * Listpacks: small lists in one allocation, byte for byte those of the original (see listpack-element.ts for their layout). The
 * functions that change one return its new offset. All of them leave it whole when they throw ARENA_EXHAUSTED.
 */
import type { Heap } from './heap.ts';
import {
  encodedLength,
  LP_COUNT_UNKNOWN,
  LP_EOF,
  LP_HEADER_BYTES,
  lpBacklenSize,
  lpBytes,
  lpCountField,
  lpEncodedSize,
  lpEncodeInt64,
  lpEncodeText,
  lpFirst,
  lpIntegerSize,
  lpLength,
  lpPutEncoded,
  lpSeek,
  lpSkip,
} from './listpack-element.ts';
import { reallocate } from './realloc.ts';

export { lpValidateIntegrity, lpVerify } from './listpack-check.ts';
export {
  LP_COUNT_UNKNOWN,
  LP_EOF,
  LP_HEADER_BYTES,
  lpBytes,
  lpCompare,
  lpEncodedSize,
  lpFind,
  lpFirst,
  lpGet,
  lpGetBytes,
  lpIntHigh,
  lpIntLow,
  lpIntNumber,
  lpLast,
  lpLength,
  lpNext,
  lpPrev,
  lpPutInteger,
  lpSeek,
  lpSkip,
  lpStringLength,
  lpStringOffset,
  lpText,
} from './listpack-element.ts';
export { lpNextRandom, lpRandomPair, lpRandomPairs, lpRandomPairsUnique } from './listpack-random.ts';

export const LP_BEFORE = 0;
export const LP_AFTER = 1;
export const LP_REPLACE = 2;

/** A listpack may not grow beyond this: what adds to it asks lpSafeToAdd first. */
const SAFETY_LIMIT = 1 << 30;
const EMPTY_BYTES = LP_HEADER_BYTES + 1;

/** Where the element lies that was inserted or replaced last. */
export let lpNewElement = 0;
/** The element behind what was deleted last; 0: none. */
export let lpNextElement = 0;

/** An empty listpack with room for `capacity` bytes. @throws ARENA_EXHAUSTED */
export function lpNew(h: Heap, capacity: number): number {
  const lp = h.alloc(capacity > EMPTY_BYTES ? capacity : EMPTY_BYTES);
  setHeader(h, lp, EMPTY_BYTES, 0);
  h.u8[lp + LP_HEADER_BYTES] = LP_EOF;
  return lp;
}

export function lpFree(h: Heap, lp: number): void {
  h.free(lp);
}

function setHeader(h: Heap, lp: number, bytes: number, count: number): void {
  h.u32[lp >>> 2] = bytes;
  h.u16[(lp + 4) >>> 1] = count;
}

/** Gives back room that is not needed. */
export function lpShrinkToFit(h: Heap, lp: number): number {
  const bytes = lpBytes(h, lp);
  return bytes < h.usable(lp) ? reallocate(h, lp, bytes, bytes) : lp;
}

/** Inserts what lpEncode… looked at last. */
function insertEncoded(h: Heap, lp: number, offset: number, length: number, p: number, where: number): number {
  const at = where === LP_AFTER ? lpSkip(h, p) : p;
  const position = at - lp;
  const added = encodedLength + lpBacklenSize(encodedLength);
  const oldBytes = lpBytes(h, lp);
  let replaced = 0;
  if (where === LP_REPLACE) {
    const size = lpEncodedSize(h, at);
    replaced = size + lpBacklenSize(size);
  }
  const newBytes = oldBytes + added - replaced;
  let moved = lp;
  if (newBytes > oldBytes && newBytes > h.usable(lp)) moved = reallocate(h, lp, oldBytes, newBytes);
  const to = moved + position;
  const behind = oldBytes - position - replaced;
  // Appending moves the end byte only.
  if (behind === 1) h.u8[to + added] = LP_EOF;
  else if (added !== replaced) h.move(to + replaced, to + added, behind);
  lpPutEncoded(h, to, offset, length);
  const count = lpCountField(h, moved);
  setHeader(h, moved, newBytes, where === LP_REPLACE || count === LP_COUNT_UNKNOWN ? count : count + 1);
  if (newBytes < oldBytes) moved = reallocate(h, moved, newBytes, newBytes);
  lpNewElement = moved + position;
  return moved;
}

/**
 * Inserts a text (as an integer where it is one) before, after or in place of `p`; sets lpNewElement. The text must not lie in `lp`.
 * @param where LP_BEFORE (then `p` may be the end byte), LP_AFTER or LP_REPLACE
 * @returns the listpack's new offset
 * @throws ARENA_EXHAUSTED
 */
export function lpInsertString(h: Heap, lp: number, offset: number, length: number, p: number, where: number): number {
  lpEncodeText(h, offset, length);
  return insertEncoded(h, lp, offset, length, p, where);
}

/** As lpInsertString, of an integer of 64 bits given as two words. */
export function lpInsertInt64(h: Heap, lp: number, low: number, high: number, p: number, where: number): number {
  lpEncodeInt64(low >>> 0, high | 0, high * 4294967296 + (low >>> 0));
  return insertEncoded(h, lp, 0, 0, p, where);
}

/** As lpInsertString, of a safe integer. */
export function lpInsertInteger(h: Heap, lp: number, value: number, p: number, where: number): number {
  lpEncodeInt64(value >>> 0, Math.floor(value / 4294967296), value);
  return insertEncoded(h, lp, 0, 0, p, where);
}

export function lpAppend(h: Heap, lp: number, offset: number, length: number): number {
  return lpInsertString(h, lp, offset, length, lp + lpBytes(h, lp) - 1, LP_BEFORE);
}

export function lpPrepend(h: Heap, lp: number, offset: number, length: number): number {
  return lpInsertString(h, lp, offset, length, lp + LP_HEADER_BYTES, LP_BEFORE);
}

/** @param value a safe integer */
export function lpAppendInteger(h: Heap, lp: number, value: number): number {
  return lpInsertInteger(h, lp, value, lp + lpBytes(h, lp) - 1, LP_BEFORE);
}

export function lpAppendInt64(h: Heap, lp: number, low: number, high: number): number {
  return lpInsertInt64(h, lp, low, high, lp + lpBytes(h, lp) - 1, LP_BEFORE);
}

/** @param value a safe integer */
export function lpPrependInteger(h: Heap, lp: number, value: number): number {
  return lpInsertInteger(h, lp, value, lp + LP_HEADER_BYTES, LP_BEFORE);
}

/** Puts a text in the place of `p`; sets lpNewElement. */
export function lpReplace(h: Heap, lp: number, p: number, offset: number, length: number): number {
  return lpInsertString(h, lp, offset, length, p, LP_REPLACE);
}

/** Puts a safe integer in the place of `p`; sets lpNewElement. */
export function lpReplaceInteger(h: Heap, lp: number, p: number, value: number): number {
  return lpInsertInteger(h, lp, value, p, LP_REPLACE);
}

export function lpReplaceInt64(h: Heap, lp: number, p: number, low: number, high: number): number {
  return lpInsertInt64(h, lp, low, high, p, LP_REPLACE);
}

/** Deletes [from, to) with `count` elements and leaves the room. */
function cutInPlace(h: Heap, lp: number, from: number, to: number, count: number): void {
  const bytes = lpBytes(h, lp);
  h.move(to, from, lp + bytes - to);
  const noted = lpCountField(h, lp);
  setHeader(h, lp, bytes - (to - from), noted === LP_COUNT_UNKNOWN ? noted : noted - count);
}

/** Deletes [from, to) with `count` elements and gives back room. */
function cut(h: Heap, lp: number, from: number, to: number, count: number): number {
  cutInPlace(h, lp, from, to, count);
  const moved = lpShrinkToFit(h, lp);
  const next = moved + (from - lp);
  lpNextElement = h.u8[next] === LP_EOF ? 0 : next;
  return moved;
}

/** Deletes an element and keeps its room, so that lpPutBack cannot fail; lpShrinkToFit gives the room back. */
export function lpTakeOut(h: Heap, lp: number, p: number): void {
  cutInPlace(h, lp, p, lpSkip(h, p), 1);
}

/** Undoes lpTakeOut: `raw` has the `length` bytes that were the element at `p`. */
export function lpPutBack(h: Heap, lp: number, p: number, raw: number, length: number): void {
  const bytes = lpBytes(h, lp);
  h.move(p, p + length, lp + bytes - p);
  h.copy(raw, p, length);
  const noted = lpCountField(h, lp);
  setHeader(h, lp, bytes + length, noted === LP_COUNT_UNKNOWN ? noted : noted + 1);
}

/** Deletes an element; sets lpNextElement. @returns the listpack's new offset */
export function lpDelete(h: Heap, lp: number, p: number): number {
  return cut(h, lp, p, lpSkip(h, p), 1);
}

/** Deletes up to `count` elements from `p` on; sets lpNextElement. */
export function lpDeleteRangeWithEntry(h: Heap, lp: number, p: number, count: number): number {
  lpNextElement = p;
  if (count === 0) return lp;
  let deleted = 0;
  let tail = p;
  while (deleted < count) {
    deleted++;
    tail = lpSkip(h, tail);
    if (h.u8[tail] === LP_EOF) break;
  }
  return cut(h, lp, p, tail, deleted);
}

/** Deletes up to `count` elements from an index on; negative ones count from the end. */
export function lpDeleteRange(h: Heap, lp: number, index: number, count: number): number {
  if (count === 0) return lp;
  const p = lpSeek(h, lp, index);
  if (p === 0) return lp;
  const noted = lpCountField(h, lp);
  const first = index < 0 ? noted + index : index;
  if (noted === LP_COUNT_UNKNOWN || noted - first > count) return lpDeleteRangeWithEntry(h, lp, p, count);
  h.u8[p] = LP_EOF;
  setHeader(h, lp, p - lp + 1, first);
  lpNextElement = 0;
  return lpShrinkToFit(h, lp);
}

/**
 * Puts the elements of `second` behind those of `first`. The larger of the two is kept and grows, the other is freed.
 * @returns the offset of what both have become
 * @throws ARENA_EXHAUSTED, nothing changed
 */
export function lpMerge(h: Heap, first: number, second: number): number {
  const firstBytes = lpBytes(h, first);
  const secondBytes = lpBytes(h, second);
  const bytes = firstBytes + secondBytes - EMPTY_BYTES;
  const count = Math.min(lpLength(h, first) + lpLength(h, second), LP_COUNT_UNKNOWN);
  let merged: number;
  if (firstBytes >= secondBytes) {
    merged = reallocate(h, first, firstBytes, bytes);
    h.copy(second + LP_HEADER_BYTES, merged + firstBytes - 1, secondBytes - LP_HEADER_BYTES);
    h.free(second);
  } else {
    merged = reallocate(h, second, secondBytes, bytes);
    h.move(merged + LP_HEADER_BYTES, merged + firstBytes - 1, secondBytes - LP_HEADER_BYTES);
    h.copy(first + LP_HEADER_BYTES, merged + LP_HEADER_BYTES, firstBytes - EMPTY_BYTES);
    h.free(first);
  }
  setHeader(h, merged, bytes, count);
  return merged;
}

/** A copy in an allocation that just fits. @throws ARENA_EXHAUSTED */
export function lpDup(h: Heap, lp: number): number {
  const bytes = lpBytes(h, lp);
  const copy = h.alloc(bytes);
  h.copy(lp, copy, bytes);
  return copy;
}

/** Whether so many bytes may be added. `lp` 0: to a new one. */
export function lpSafeToAdd(h: Heap, lp: number, bytes: number): boolean {
  return (lp === 0 ? 0 : lpBytes(h, lp)) + bytes <= SAFETY_LIMIT;
}

/** Length in bytes of a listpack that holds an integer `count` times. */
export function lpEstimateBytesRepeatedInteger(value: number, count: number): number {
  const size = lpIntegerSize(value);
  return EMPTY_BYTES + (size + lpBacklenSize(size)) * count;
}

/** Whether there is no element. */
export function lpIsEmpty(h: Heap, lp: number): boolean {
  return lpFirst(h, lp) === 0;
}
