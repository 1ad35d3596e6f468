/**
 * Ziplists and zipmaps: what small containers lay in before there were listpacks. They are met in old snapshot files and payloads
 * only, and become listpacks as they are read. Their bytes may be anyone's.
 *
 * A ziplist: 4 bytes of total length, 4 of the last element's offset, 2 of element count (65535: unknown), the elements, 0xFF. An
 * element: the length of the one before it (1 byte, or 0xFE and 4 bytes), its encoding, its data.
 *
 * A zipmap: 1 byte of pair count (254: unknown), the pairs, 0xFF. A pair: length (1 byte, or 0xFE and 4 bytes) and bytes of the key,
 * length of the value, 1 byte of how much is unused behind it, bytes of the value, the unused ones.
 */
import { dictAddBytes, dictCreate, dictRelease } from './dict.ts';
import { DICT_TYPE_SET } from './dict-layout.ts';
import type { Heap } from './heap.ts';
import {
  lpAppend,
  lpAppendInt64,
  lpFirst,
  lpFree,
  lpGet,
  lpLength,
  lpNew,
  lpNext,
  lpPutInteger,
  lpSafeToAdd,
  lpStringLength,
  lpStringOffset,
} from './listpack.ts';

const ZIPLIST_HEADER_BYTES = 10;
const COUNT_UNKNOWN = 0xffff;
const END = 0xff;
const LONG = 0xfe;
const ZIPMAP_COUNT_UNKNOWN = 0xfe;

// What readElement found: where its data are and how long (string), or its value (integer); where it ends.
let isString = false;
let dataOffset = 0;
let dataLength = 0;
let low = 0;
let high = 0;
let elementEnd = 0;

/**
 * Reads the element at `p` of untrusted bytes.
 * @param end offset of the end byte
 * @param previous whole length of the element before it
 */
function readElement(h: Heap, p: number, end: number, previous: number): boolean {
  const { u8, view } = h;
  let at = p;
  if (u8[at] === LONG) {
    // 5 bytes of length, and the encoding's first.
    if (at + 6 > end || view.getUint32(at + 1, true) !== previous) return false;
    at += 5;
  } else {
    if (at + 2 > end || u8[at] !== previous) return false;
    at += 1;
  }
  const head = u8[at];
  if (head < 0xc0) return readString(h, at, end);
  isString = false;
  const width = head === 0xc0 ? 2 : head === 0xd0 ? 4 : head === 0xe0 ? 8 : head === 0xf0 ? 3 : head === 0xfe ? 1 : 0;
  elementEnd = at + 1 + width;
  if (elementEnd > end) return false;
  if (width === 8) {
    low = view.getUint32(at + 1, true);
    high = view.getInt32(at + 5, true);
    return true;
  }
  let value = 0;
  if (width === 0) {
    if (head < 0xf1 || head > 0xfd) return false;
    value = (head & 15) - 1;
  } else {
    for (let i = 0; i < width; i++) value |= u8[at + 1 + i] << (8 * i);
    value = (value << (32 - 8 * width)) >> (32 - 8 * width);
  }
  low = value >>> 0;
  high = value >> 31;
  return true;
}

function readString(h: Heap, at: number, end: number): boolean {
  const { u8, view } = h;
  const head = u8[at];
  isString = true;
  if (head < 0x40) {
    dataLength = head;
    dataOffset = at + 1;
  } else if (head < 0x80) {
    if (at + 2 > end) return false;
    dataLength = ((head & 63) << 8) | u8[at + 1];
    dataOffset = at + 2;
  } else {
    if (head !== 0x80 || at + 5 > end) return false;
    dataLength = view.getUint32(at + 1, false);
    dataOffset = at + 5;
  }
  elementEnd = dataOffset + dataLength;
  return elementEnd <= end;
}

/**
 * Makes a listpack of the `size` untrusted bytes of a ziplist at `zl` (4-byte aligned).
 * @returns its offset (with spare room: see lpShrinkToFit), or 0 when the bytes are broken
 * @throws ARENA_EXHAUSTED, nothing leaked
 */
export function ziplistToListpack(h: Heap, zl: number, size: number): number {
  const { u8, u32, view } = h;
  if (size < ZIPLIST_HEADER_BYTES + 1 || u32[zl >>> 2] !== size || u8[zl + size - 1] !== END) return 0;
  const end = zl + size - 1;
  let lp = lpNew(h, size);
  let whole = false;
  try {
    let count = 0;
    let previous = 0;
    let last = zl + ZIPLIST_HEADER_BYTES;
    let p = last;
    while (p < end && u8[p] !== END) {
      if (!readElement(h, p, end, previous)) return 0;
      if (isString && !lpSafeToAdd(h, lp, dataLength)) return 0;
      lp = isString ? lpAppend(h, lp, dataOffset, dataLength) : lpAppendInt64(h, lp, low, high);
      previous = elementEnd - p;
      last = p;
      p = elementEnd;
      count++;
    }
    const noted = view.getUint16(zl + 8, true);
    whole = p === end && u32[(zl + 4) >>> 2] === last - zl && (noted === COUNT_UNKNOWN || noted === count);
  } finally {
    if (!whole) lpFree(h, lp);
  }
  return whole ? lp : 0;
}

/** Whether a listpack holds pairs: an even number of elements, no first one of a pair twice. @throws ARENA_EXHAUSTED */
export function listpackHoldsPairs(h: Heap, lp: number): boolean {
  return (lpLength(h, lp) & 1) === 0 && keysAreDistinct(h, lp);
}

/** Whether no first element of a pair comes twice; the number of elements is even. */
function keysAreDistinct(h: Heap, lp: number): boolean {
  const seen = dictCreate(h, DICT_TYPE_SET);
  try {
    for (let p = lpFirst(h, lp); p !== 0; p = lpNext(h, lp, p)) {
      const isNew = lpGet(h, p)
        ? dictAddBytes(h, seen, lpStringOffset, lpStringLength)
        : dictAddBytes(h, seen, h.scratch, lpPutInteger(h, h.scratch));
      if (isNew === 0) return false;
      p = lpNext(h, lp, p);
    }
  } finally {
    dictRelease(h, seen);
  }
  return true;
}

/** Reads a length of a zipmap into dataLength and dataOffset. */
function readZipmapLength(h: Heap, p: number, end: number): boolean {
  const head = h.u8[p];
  if (head === END || p >= end) return false;
  if (head !== LONG) {
    dataLength = head;
    dataOffset = p + 1;
    return true;
  }
  if (p + 5 > end) return false;
  dataLength = h.view.getUint32(p + 1, true);
  dataOffset = p + 5;
  return true;
}

/** The longest key or value of the zipmap read last. */
export let zipmapLongest = 0;

/**
 * Makes a listpack of the `size` untrusted bytes of a zipmap at `zm`.
 * @returns its offset, or 0 when the bytes are broken. Whether keys come twice is not looked at.
 * @throws ARENA_EXHAUSTED, nothing leaked
 */
export function zipmapToListpack(h: Heap, zm: number, size: number): number {
  const u8 = h.u8;
  if (size < 2 || u8[zm + size - 1] !== END) return 0;
  const end = zm + size - 1;
  zipmapLongest = 0;
  let lp = lpNew(h, 0);
  let whole = false;
  try {
    let count = 0;
    let p = zm + 1;
    while (p < end && u8[p] !== END) {
      if (!readZipmapLength(h, p, end) || dataLength > end - dataOffset) return 0;
      const keyOffset = dataOffset;
      const keyLength = dataLength;
      if (!readZipmapLength(h, dataOffset + dataLength, end) || dataOffset >= end) return 0;
      const unused = u8[dataOffset];
      dataOffset++;
      if (dataLength + unused > end - dataOffset) return 0;
      zipmapLongest = Math.max(zipmapLongest, keyLength, dataLength);
      if (!lpSafeToAdd(h, lp, keyLength + dataLength)) return 0;
      lp = lpAppend(h, lp, keyOffset, keyLength);
      lp = lpAppend(h, lp, dataOffset, dataLength);
      p = dataOffset + dataLength + unused;
      count++;
    }
    whole = p === end && count > 0 && (u8[zm] >= ZIPMAP_COUNT_UNKNOWN || u8[zm] === count);
  } finally {
    if (!whole) lpFree(h, lp);
  }
  return whole ? lp : 0;
}
