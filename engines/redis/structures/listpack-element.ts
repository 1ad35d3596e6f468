/**
 * The elements of a listpack: how one is encoded, read, and how to step from one to its neighbours.
 *
 * A listpack is one allocation: 4 bytes of total length, 2 bytes of element count (65535: unknown, count them), the elements, 0xFF.
 * An element is its encoding with the data, followed by the length of both written so that it can be read backwards:
 *
 * | first byte | data |
 * | --- | --- |
 * | 0nnnnnnn | an integer from 0 to 127 |
 * | 10llllll | a string of up to 63 bytes |
 * | 110nnnnn nnnnnnnn | an integer of 13 bits |
 * | 1110llll llllllll | a string of up to 4,095 bytes |
 * | F0 llllllll (4 bytes) | a longer string |
 * | F1, F2, F3, F4 | an integer of 16, 24, 32, 64 bits, little-endian |
 *
 * Read functions come with the element's offset `p`; 0 stands for none.
 */
import type { Heap } from './heap.ts';
import { parsedHigh, parsedLow, parsedNumber, parseInt64 } from './int64.ts';

export const LP_HEADER_BYTES = 6;
export const LP_EOF = 0xff;
/** A count of elements that says that it must be found out. */
export const LP_COUNT_UNKNOWN = 0xffff;
/** Longest text of an integer. */
const INTEGER_TEXT_LIMIT = 20;

/** Where and how long the string is that lpGet found last. */
export let lpStringOffset = 0;
export let lpStringLength = 0;
/** The integer that lpGet found last: low word (unsigned), high word (signed), and as a number (rounded beyond 2^53). */
export let lpIntLow = 0;
export let lpIntHigh = 0;
export let lpIntNumber = 0;

/** Total length in bytes. */
export function lpBytes(h: Heap, lp: number): number {
  return h.u32[lp >>> 2];
}

/** The count of elements as the header has it, LP_COUNT_UNKNOWN included. */
export function lpCountField(h: Heap, lp: number): number {
  return h.u16[(lp + 4) >>> 1];
}

/** Number of bytes that tell an entry's length of `length` bytes backwards. */
export function lpBacklenSize(length: number): number {
  if (length <= 127) return 1;
  if (length < 16_383) return 2;
  if (length < 2_097_151) return 3;
  if (length < 268_435_455) return 4;
  return 5;
}

/** Stores an entry's length backwards. @returns the offset behind it */
export function lpPutBacklen(u8: Uint8Array, at: number, length: number): number {
  if (length <= 127) {
    u8[at] = length;
    return at + 1;
  }
  const size = lpBacklenSize(length);
  let rest = length;
  for (let i = size - 1; i > 0; i--) {
    u8[at + i] = (rest & 127) | 128;
    rest >>>= 7;
  }
  u8[at] = rest;
  return at + size;
}

/** Reads an entry's length backwards from its last byte. @returns -1 when no such length can be */
export function lpReadBacklen(u8: Uint8Array, last: number): number {
  const byte = u8[last];
  if (byte < 128) return byte;
  let value = byte & 127;
  let scale = 128;
  for (let i = 1; i < 5; i++) {
    const next = u8[last - i];
    value += (next & 127) * scale;
    if (next < 128) return value;
    scale *= 128;
  }
  return -1;
}

/** Length of encoding and data, without the length behind it; 0 for a first byte that stands for nothing. */
export function lpEncodedSize(h: Heap, p: number): number {
  const head = h.u8[p];
  if (head < 0x80) return 1;
  if (head < 0xc0) return 1 + (head & 63);
  if (head < 0xe0) return 2;
  if (head < 0xf0) return 2 + ((head & 15) << 8) + h.u8[p + 1];
  switch (head) {
    case 0xf0:
      return 5 + h.view.getUint32(p + 1, true);
    case 0xf1:
      return 3;
    case 0xf2:
      return 4;
    case 0xf3:
      return 5;
    case 0xf4:
      return 9;
    case LP_EOF:
      return 1;
    default:
      return 0;
  }
}

/** The offset behind the element (of the next one, or of the end byte). */
export function lpSkip(h: Heap, p: number): number {
  const size = lpEncodedSize(h, p);
  return p + size + lpBacklenSize(size);
}

export function lpFirst(h: Heap, lp: number): number {
  const p = lp + LP_HEADER_BYTES;
  return h.u8[p] === LP_EOF ? 0 : p;
}

export function lpLast(h: Heap, lp: number): number {
  return lpPrev(h, lp, lp + h.u32[lp >>> 2] - 1);
}

export function lpNext(h: Heap, _lp: number, p: number): number {
  const next = lpSkip(h, p);
  return h.u8[next] === LP_EOF ? 0 : next;
}

/** The element before `p`, which may also be the offset of the end byte. */
export function lpPrev(h: Heap, lp: number, p: number): number {
  if (p - lp === LP_HEADER_BYTES) return 0;
  const size = lpReadBacklen(h.u8, p - 1);
  return p - size - lpBacklenSize(size);
}

/** Number of elements; counts them when the header does not know, and then notes it there. */
export function lpLength(h: Heap, lp: number): number {
  const noted = h.u16[(lp + 4) >>> 1];
  if (noted !== LP_COUNT_UNKNOWN) return noted;
  let count = 0;
  for (let p = lpFirst(h, lp); p !== 0; p = lpNext(h, lp, p)) count++;
  if (count < LP_COUNT_UNKNOWN) h.u16[(lp + 4) >>> 1] = count;
  return count;
}

/** The element of this index; negative ones count from the end. @returns 0 when there is none */
export function lpSeek(h: Heap, lp: number, index: number): number {
  let forward = true;
  let at = index;
  const count = h.u16[(lp + 4) >>> 1];
  if (count !== LP_COUNT_UNKNOWN) {
    if (at < 0) at += count;
    if (at < 0 || at >= count) return 0;
    if (at > count >>> 1) {
      forward = false;
      at -= count;
    }
  } else if (at < 0) {
    forward = false;
  }
  if (forward) {
    let p = lpFirst(h, lp);
    for (; at > 0 && p !== 0; at--) p = lpNext(h, lp, p);
    return p;
  }
  let p = lpLast(h, lp);
  for (; at < -1 && p !== 0; at++) p = lpPrev(h, lp, p);
  return p;
}

/**
 * Reads an element.
 * @returns true: a string, at lpStringOffset, lpStringLength; false: an integer, in lpIntLow, lpIntHigh, lpIntNumber
 */
export function lpGet(h: Heap, p: number): boolean {
  const u8 = h.u8;
  const head = u8[p];
  if (head < 0x80) {
    lpIntLow = head;
    lpIntHigh = 0;
    lpIntNumber = head;
    return false;
  }
  if (head < 0xc0) {
    lpStringOffset = p + 1;
    lpStringLength = head & 63;
    return true;
  }
  if (head < 0xe0) {
    setSmall((((head & 31) << 27) >> 19) | u8[p + 1]);
    return false;
  }
  if (head < 0xf0) {
    lpStringOffset = p + 2;
    lpStringLength = ((head & 15) << 8) | u8[p + 1];
    return true;
  }
  switch (head) {
    case 0xf0:
      lpStringOffset = p + 5;
      lpStringLength = h.view.getUint32(p + 1, true);
      return true;
    case 0xf1:
      setSmall(((u8[p + 2] << 24) >> 16) | u8[p + 1]);
      return false;
    case 0xf2:
      setSmall(((u8[p + 3] << 24) >> 8) | (u8[p + 2] << 8) | u8[p + 1]);
      return false;
    case 0xf3:
      setSmall(h.view.getInt32(p + 1, true));
      return false;
    case 0xf4:
      lpIntLow = h.view.getUint32(p + 1, true);
      lpIntHigh = h.view.getInt32(p + 5, true);
      lpIntNumber = lpIntHigh * 4294967296 + lpIntLow;
      return false;
    default:
      throw new Error(`Broken listpack: an element at ${p} begins with ${head}`);
  }
}

function setSmall(value: number): void {
  lpIntLow = value >>> 0;
  lpIntHigh = value >> 31;
  lpIntNumber = value;
}

/**
 * Stores an element's text.
 * @param into room for the string, or 20 bytes for an integer
 * @returns its length
 */
export function lpGetBytes(h: Heap, p: number, into: number): number {
  if (lpGet(h, p)) {
    h.copy(lpStringOffset, into, lpStringLength);
    return lpStringLength;
  }
  return lpPutInteger(h, into);
}

/** Stores the text of the integer that lpGet found last. @returns its length, at most 20 */
export function lpPutInteger(h: Heap, into: number): number {
  const u8 = h.u8;
  let value = lpIntNumber;
  if (!Number.isSafeInteger(value)) {
    return h.putLatin1(((BigInt(lpIntHigh) << 32n) | BigInt(lpIntLow)).toString(), into) - into;
  }
  let at = into;
  if (value < 0) {
    u8[at++] = 45;
    value = -value;
  }
  let digits = 1;
  for (let limit = 10; value >= limit; limit *= 10) digits++;
  let end = at + digits;
  const length = end - into;
  while (value > 0x3fffffff) {
    const rest = Math.floor(value / 10);
    u8[--end] = 48 + (value - rest * 10);
    value = rest;
  }
  let small = value | 0;
  do {
    const rest = (small / 10) | 0;
    u8[--end] = 48 + (small - rest * 10);
    small = rest;
  } while (end > at);
  return length;
}

/** An element's text as a string, one char a byte. Not for hot paths. */
export function lpText(h: Heap, p: number): string {
  if (lpGet(h, p)) return h.latin1(lpStringOffset, lpStringLength);
  return ((BigInt(lpIntHigh) << 32n) | BigInt(lpIntLow)).toString();
}

/** Whether the element's text is these bytes. */
export function lpCompare(h: Heap, p: number, offset: number, length: number): boolean {
  if (h.u8[p] === LP_EOF) return false;
  if (lpGet(h, p)) return lpStringLength === length && h.equal(lpStringOffset, offset, length);
  if (length > INTEGER_TEXT_LIMIT || !parseInt64(h.u8, offset, length)) return false;
  return parsedLow === lpIntLow && parsedHigh === lpIntHigh;
}

/**
 * Finds the first element from `p` on (0: none) whose text is these bytes, looking at every `skip + 1`th.
 * @returns its offset, or 0
 */
export function lpFind(h: Heap, _lp: number, p: number, offset: number, length: number, skip: number): number {
  if (p === 0) return 0;
  const u8 = h.u8;
  const first = length > 0 ? u8[offset] : 0;
  // Only a text that is an integer can equal an integer element.
  const isInteger =
    length > 0 &&
    length <= INTEGER_TEXT_LIMIT &&
    (first === 45 || (first >= 48 && first <= 57)) &&
    parseInt64(u8, offset, length);
  const low = parsedLow;
  const high = parsedHigh;
  let left = 0;
  for (let at = p; u8[at] !== LP_EOF; at = lpSkip(h, at)) {
    if (left > 0) {
      left--;
      continue;
    }
    left = skip;
    if (lpGet(h, at)) {
      if (!isInteger && lpStringLength === length && h.equal(lpStringOffset, offset, length)) return at;
    } else if (isInteger && lpIntLow === low && lpIntHigh === high) {
      return at;
    }
  }
  return 0;
}

/** How the element that lpEncode… looked at last is to be stored: whole length, and as which integer if as one. */
export let encodedLength = 0;
export let encodedInteger = false;
let encodedLow = 0;
let encodedHigh = 0;
let encodedNumber = 0;

/** Finds out how the text is to be stored. */
export function lpEncodeText(h: Heap, offset: number, length: number): void {
  const first = h.u8[offset];
  if (
    length <= INTEGER_TEXT_LIMIT &&
    length > 0 &&
    (first === 45 || (first >= 48 && first <= 57)) &&
    parseInt64(h.u8, offset, length)
  ) {
    lpEncodeInt64(parsedLow, parsedHigh, parsedNumber);
    return;
  }
  encodedInteger = false;
  encodedLength = length < 64 ? 1 + length : length < 4096 ? 2 + length : 5 + length;
}

/** Finds out how the integer is to be stored; `value` is the words' value, rounded beyond 2^53. */
export function lpEncodeInt64(low: number, high: number, value: number): void {
  encodedInteger = true;
  encodedLow = low;
  encodedHigh = high;
  encodedNumber = value;
  encodedLength = lpIntegerSize(value);
}

/** Length of encoding and data of an integer. */
export function lpIntegerSize(value: number): number {
  if (value >= 0 && value <= 127) return 1;
  if (value >= -4096 && value <= 4095) return 2;
  if (value >= -32_768 && value <= 32_767) return 3;
  if (value >= -8_388_608 && value <= 8_388_607) return 4;
  if (value >= -2_147_483_648 && value <= 2_147_483_647) return 5;
  return 9;
}

/** Stores the element that was looked at last, with its length behind it. */
export function lpPutEncoded(h: Heap, to: number, offset: number, length: number): void {
  if (encodedInteger) putInteger(h, to);
  else putString(h, to, offset, length);
  lpPutBacklen(h.u8, to + encodedLength, encodedLength);
}

function putInteger(h: Heap, to: number): void {
  const u8 = h.u8;
  const value = encodedNumber;
  switch (encodedLength) {
    case 1:
      u8[to] = value;
      break;
    case 2:
      u8[to] = 0xc0 | ((value >> 8) & 31);
      u8[to + 1] = value;
      break;
    case 3:
      u8[to] = 0xf1;
      u8[to + 1] = value;
      u8[to + 2] = value >> 8;
      break;
    case 4:
      u8[to] = 0xf2;
      u8[to + 1] = value;
      u8[to + 2] = value >> 8;
      u8[to + 3] = value >> 16;
      break;
    case 5:
      u8[to] = 0xf3;
      h.view.setInt32(to + 1, value, true);
      break;
    default:
      u8[to] = 0xf4;
      h.view.setUint32(to + 1, encodedLow, true);
      h.view.setInt32(to + 5, encodedHigh, true);
  }
}

function putString(h: Heap, to: number, offset: number, length: number): void {
  const u8 = h.u8;
  let at = to;
  if (length < 64) {
    u8[at++] = 0x80 | length;
  } else if (length < 4096) {
    u8[at++] = 0xe0 | (length >> 8);
    u8[at++] = length;
  } else {
    u8[at++] = 0xf0;
    h.view.setUint32(at, length, true);
    at += 4;
  }
  h.copy(offset, at, length);
}
