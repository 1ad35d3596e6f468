/**
 * Sets of integers in one allocation: 4 bytes of encoding (2, 4 or 8: the bytes an integer takes), 4 bytes of length, the integers in
 * ascending order. Adding one that is too wide makes all of them wider; nothing makes them narrower again.
 *
 * An integer is given as two words, low (unsigned) and high (signed), so that all 64 bits are exact. The functions that change a set
 * return its new offset and leave it whole when they throw ARENA_EXHAUSTED.
 */
import type { Heap } from './heap.ts';
import { reallocate } from './realloc.ts';

export const INTSET_HEADER_BYTES = 8;
const INT16 = 2;
const INT32 = 4;
const INT64 = 8;

/** The integer that intsetGet found last. */
export let intsetLow = 0;
export let intsetHigh = 0;
/** Whether the last intsetAdd or intsetRemove changed the set. */
export let intsetChanged = false;
/** Where the integer looked for last is, or would have to be inserted. */
let position = 0;

/** An empty set. @throws ARENA_EXHAUSTED */
export function intsetNew(h: Heap): number {
  const is = h.alloc(INTSET_HEADER_BYTES);
  h.u32[is >>> 2] = INT16;
  h.u32[(is >>> 2) + 1] = 0;
  return is;
}

/** Number of integers. */
export function intsetLen(h: Heap, is: number): number {
  return h.u32[(is >>> 2) + 1];
}

/** Length in bytes, header included. */
export function intsetBytes(h: Heap, is: number): number {
  return INTSET_HEADER_BYTES + h.u32[is >>> 2] * h.u32[(is >>> 2) + 1];
}

function encodingFor(low: number, high: number): number {
  // Both words of a 32-bit integer agree on its sign.
  if (high !== (low | 0) >> 31) return INT64;
  const value = low | 0;
  return value >= -0x8000 && value <= 0x7fff ? INT16 : INT32;
}

/** Reads the integer of this index into intsetLow and intsetHigh. */
export function intsetGet(h: Heap, is: number, index: number): void {
  const encoding = h.u32[is >>> 2];
  const at = is + INTSET_HEADER_BYTES + index * encoding;
  if (encoding === INT16) {
    const value = (h.u16[at >>> 1] << 16) >> 16;
    intsetLow = value >>> 0;
    intsetHigh = value >> 31;
  } else if (encoding === INT32) {
    const value = h.i32[at >>> 2];
    intsetLow = value >>> 0;
    intsetHigh = value >> 31;
  } else {
    intsetLow = h.u32[at >>> 2];
    intsetHigh = h.i32[(at >>> 2) + 1];
  }
}

function put(h: Heap, is: number, encoding: number, index: number, low: number, high: number): void {
  const at = is + INTSET_HEADER_BYTES + index * encoding;
  if (encoding === INT16) {
    h.u16[at >>> 1] = low;
  } else if (encoding === INT32) {
    h.u32[at >>> 2] = low;
  } else {
    h.u32[at >>> 2] = low;
    h.i32[(at >>> 2) + 1] = high;
  }
}

/** Finds an integer that the encoding can hold. Sets `position`. */
function search(h: Heap, is: number, low: number, high: number): boolean {
  const encoding = h.u32[is >>> 2];
  const start = is + INTSET_HEADER_BYTES;
  let min = 0;
  let max = h.u32[(is >>> 2) + 1] - 1;
  if (encoding !== INT64) {
    const wanted = low | 0;
    const wide = encoding === INT32;
    const base = wide ? start >>> 2 : start >>> 1;
    const i32 = h.i32;
    const u16 = h.u16;
    // Most that is added in ascending order belongs behind the last one.
    if (max >= 0 && wanted > (wide ? i32[base + max] : (u16[base + max] << 16) >> 16)) {
      position = max + 1;
      return false;
    }
    while (min <= max) {
      const middle = (min + max) >>> 1;
      const value = wide ? i32[base + middle] : (u16[base + middle] << 16) >> 16;
      if (value === wanted) {
        position = middle;
        return true;
      }
      if (value < wanted) min = middle + 1;
      else max = middle - 1;
    }
    position = min;
    return false;
  }
  const base = start >>> 2;
  while (min <= max) {
    const middle = (min + max) >>> 1;
    const at = base + middle * 2;
    const valueHigh = h.i32[at + 1];
    const valueLow = h.u32[at];
    if (valueHigh === high && valueLow === low) {
      position = middle;
      return true;
    }
    if (valueHigh < high || (valueHigh === high && valueLow < low)) min = middle + 1;
    else max = middle - 1;
  }
  position = min;
  return false;
}

/** Whether the integer is in the set. */
export function intsetFind(h: Heap, is: number, low: number, high: number): boolean {
  return encodingFor(low, high) <= h.u32[is >>> 2] && search(h, is, low, high);
}

/** Makes all integers as wide as the new one needs and adds it: it is either the smallest or the largest. */
function upgradeAndAdd(h: Heap, is: number, encoding: number, low: number, high: number): number {
  const oldEncoding = h.u32[is >>> 2];
  const length = intsetLen(h, is);
  const moved = reallocate(h, is, intsetBytes(h, is), INTSET_HEADER_BYTES + (length + 1) * encoding);
  const shift = high < 0 ? 1 : 0;
  // From the last to the first, so that no integer is overwritten before it has been read.
  for (let i = length - 1; i >= 0; i--) {
    h.u32[moved >>> 2] = oldEncoding;
    intsetGet(h, moved, i);
    put(h, moved, encoding, i + shift, intsetLow, intsetHigh);
  }
  h.u32[moved >>> 2] = encoding;
  put(h, moved, encoding, shift === 1 ? 0 : length, low, high);
  h.u32[(moved >>> 2) + 1] = length + 1;
  return moved;
}

/** Adds an integer; intsetChanged tells whether it was new. @returns the set's new offset. @throws ARENA_EXHAUSTED */
export function intsetAdd(h: Heap, is: number, low: number, high: number): number {
  const needed = encodingFor(low, high);
  const encoding = h.u32[is >>> 2];
  intsetChanged = true;
  if (needed > encoding) return upgradeAndAdd(h, is, needed, low, high);
  if (search(h, is, low, high)) {
    intsetChanged = false;
    return is;
  }
  const length = h.u32[(is >>> 2) + 1];
  const bytes = INTSET_HEADER_BYTES + length * encoding;
  const moved = bytes + encoding <= h.usable(is) ? is : reallocate(h, is, bytes, bytes + encoding);
  if (position < length) {
    const at = moved + INTSET_HEADER_BYTES + position * encoding;
    h.move(at, at + encoding, (length - position) * encoding);
  }
  put(h, moved, encoding, position, low, high);
  h.u32[(moved >>> 2) + 1] = length + 1;
  return moved;
}

/** Removes an integer; intsetChanged tells whether it was there. @returns the set's new offset */
export function intsetRemove(h: Heap, is: number, low: number, high: number): number {
  intsetChanged = intsetFind(h, is, low, high);
  if (!intsetChanged) return is;
  const encoding = h.u32[is >>> 2];
  const length = h.u32[(is >>> 2) + 1];
  const at = is + INTSET_HEADER_BYTES + position * encoding;
  if (position < length - 1) h.move(at + encoding, at, (length - 1 - position) * encoding);
  h.u32[(is >>> 2) + 1] = length - 1;
  const bytes = INTSET_HEADER_BYTES + (length - 1) * encoding;
  return reallocate(h, is, bytes, bytes);
}

/** A copy in an allocation that just fits. @throws ARENA_EXHAUSTED */
export function intsetDup(h: Heap, is: number): number {
  const bytes = intsetBytes(h, is);
  const copy = h.alloc(bytes);
  h.copy(is, copy, bytes);
  return copy;
}

/** Whether `size` untrusted bytes at `is` (at least readable, 8-byte aligned) are a set that is not empty and in order. */
export function intsetValidateIntegrity(h: Heap, is: number, size: number): boolean {
  if (size < INTSET_HEADER_BYTES) return false;
  const encoding = h.u32[is >>> 2];
  if (encoding !== INT16 && encoding !== INT32 && encoding !== INT64) return false;
  const length = intsetLen(h, is);
  if (length === 0 || INTSET_HEADER_BYTES + length * encoding !== size) return false;
  intsetGet(h, is, 0);
  for (let i = 1; i < length; i++) {
    const low = intsetLow;
    const high = intsetHigh;
    intsetGet(h, is, i);
    if (intsetHigh < high || (intsetHigh === high && intsetLow <= low)) return false;
  }
  return true;
}

/** Checks a set of our own, which may be empty. @throws Error when it is broken */
export function intsetVerify(h: Heap, is: number): void {
  const bytes = intsetBytes(h, is);
  if (bytes > h.usable(is)) throw new Error(`Broken intset at ${is}: ${bytes} bytes exceed its allocation`);
  if (intsetLen(h, is) > 0 && !intsetValidateIntegrity(h, is, bytes)) throw new Error(`Broken intset at ${is}`);
}
