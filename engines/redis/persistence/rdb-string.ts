/**
 * String values as snapshot files and DUMP payloads hold them: a length and bytes, or, where the two upper bits of the first byte
 * are set, an integer of 1, 2 or 4 bytes or compressed bytes.
 */
import type { Heap } from '../structures/heap.ts';
import { parsedNumber, parseInt64 } from '../structures/int64.ts';
import { lzfCompress, lzfDecompress, lzfMayExpandTo } from '../structures/lzf.ts';
import {
  createEncodedString,
  createIntegerObject,
  EMBSTR_LIMIT,
  OBJ_ENCODING_INT,
  robjEncoding,
  robjIntNumber,
  robjIntText,
  robjPtr,
  trimStringObject,
  wrapSds,
} from '../structures/robj.ts';
import { sdsFree, sdsLen, sdsNewRoom } from '../structures/sds.ts';

/** The type byte of a string value. */
export const RDB_TYPE_STRING = 0;

const LENGTH_14 = 0x40;
const LENGTH_32 = 0x80;
const LENGTH_64 = 0x81;
const ENCODED = 0xc0;
const ENCODED_INT8 = 0;
const ENCODED_INT16 = 1;
const ENCODED_INT32 = 2;
const ENCODED_LZF = 3;

/** Longest text that is looked at as an integer: "-2147483648". */
const INTEGER_TEXT_MAX = 11;
/** Up to here compression is not tried. */
const PLAIN_MAX = 20;
/** Compression has to save so many bytes. */
const SAVED_MIN = 4;
/** Room for the head of compressed bytes: the type and two lengths of up to 5 bytes. */
const HEAD_BYTES = 11;
/** What compression may write beyond its room. */
const SLACK_BYTES = 40;

/** Stores a length. @returns the offset behind it */
function putLength(u8: Uint8Array, at: number, length: number): number {
  if (length < 64) {
    u8[at] = length;
    return at + 1;
  }
  if (length < 16_384) {
    u8[at] = LENGTH_14 | (length >> 8);
    u8[at + 1] = length;
    return at + 2;
  }
  u8[at] = LENGTH_32;
  u8[at + 1] = length >>> 24;
  u8[at + 2] = length >>> 16;
  u8[at + 3] = length >>> 8;
  u8[at + 4] = length;
  return at + 5;
}

/** Stores an integer that fits 32 bits. @returns the offset behind it, or 0 when it does not fit */
function putInteger(u8: Uint8Array, at: number, value: number): number {
  let bytes: number;
  if (value >= -0x80 && value <= 0x7f) {
    u8[at] = ENCODED | ENCODED_INT8;
    bytes = 1;
  } else if (value >= -0x8000 && value <= 0x7fff) {
    u8[at] = ENCODED | ENCODED_INT16;
    bytes = 2;
  } else if (value >= -0x80000000 && value <= 0x7fffffff) {
    u8[at] = ENCODED | ENCODED_INT32;
    bytes = 4;
  } else {
    return 0;
  }
  for (let i = 0; i < bytes; i++) u8[at + 1 + i] = value >> (8 * i);
  return at + 1 + bytes;
}

/** @returns how many bytes must be there for putRdbString to work in; what it stores may be shorter */
export function rdbStringRoom(h: Heap, o: number): number {
  const length = robjEncoding(h, o) === OBJ_ENCODING_INT ? PLAIN_MAX : sdsLen(h, robjPtr(h, o));
  return HEAD_BYTES + length + SLACK_BYTES;
}

/**
 * Stores the value of a string object (without the type byte) at `at`.
 * @param compress rdbcompression
 * @returns the offset behind it
 */
export function putRdbString(h: Heap, o: number, at: number, compress: boolean): number {
  const u8 = h.u8;
  if (robjEncoding(h, o) === OBJ_ENCODING_INT) {
    const end = putInteger(u8, at, robjIntNumber(h, o));
    if (end !== 0) return end;
    const text = robjIntText(h, o);
    return h.putLatin1(text, putLength(u8, at, text.length));
  }
  const from = robjPtr(h, o);
  const length = sdsLen(h, from);
  if (length <= INTEGER_TEXT_MAX && parseInt64(u8, from, length)) {
    const end = putInteger(u8, at, parsedNumber);
    if (end !== 0) return end;
  }
  if (compress && length > PLAIN_MAX) {
    // The head's length is known only afterwards, so the bytes are stored where they are out of its way and then moved up to it.
    const compressed = lzfCompress(u8, from, length, at + HEAD_BYTES, length - SAVED_MIN);
    if (compressed > 0) {
      u8[at] = ENCODED | ENCODED_LZF;
      const start = putLength(u8, putLength(u8, at + 1, compressed), length);
      h.move(at + HEAD_BYTES, start, compressed);
      return start + compressed;
    }
  }
  const start = putLength(u8, at, length);
  h.copy(from, start, length);
  return start + length;
}

/** Where the bytes that are being read go on. */
let next = 0;
/** Whether the length read last is none but names an encoding. */
let encoded = false;

/** Reads a length or the number of an encoding. @returns it, or -1 when the bytes are broken or end */
function readLength(u8: Uint8Array, end: number): number {
  if (next >= end) return -1;
  const head = u8[next++];
  const kind = head & 0xc0;
  encoded = kind === ENCODED;
  if (encoded || kind === 0) return head & 0x3f;
  if (kind === LENGTH_14) return next < end ? ((head & 0x3f) << 8) | u8[next++] : -1;
  const bytes = head === LENGTH_32 ? 4 : head === LENGTH_64 ? 8 : 0;
  if (bytes === 0 || next + bytes > end) return -1;
  let length = 0;
  for (let i = 0; i < bytes; i++) length = length * 256 + u8[next++];
  return length;
}

function readInteger(h: Heap, end: number, bytes: number): number {
  if (next + bytes > end) return 0;
  let value = 0;
  for (let i = 0; i < bytes; i++) value |= h.u8[next + i] << (8 * i);
  value = (value << (32 - 8 * bytes)) >> (32 - 8 * bytes);
  return createIntegerObject(h, value >>> 0, value < 0 ? -1 : 0, value);
}

/** @returns a string object of the expanded bytes, or 0 */
function readCompressed(h: Heap, end: number): number {
  const compressed = readLength(h.u8, end);
  if (compressed < 0) return 0;
  const length = readLength(h.u8, end);
  // As in the original, what is to become nothing is not looked at.
  if (length < 0 || compressed > end - next) return 0;
  if (length === 0) return createEncodedString(h, next, 0);
  if (!lzfMayExpandTo(compressed, length)) return 0;
  const s = sdsNewRoom(h, length);
  if (lzfDecompress(h.u8, next, compressed, s, length) !== length) {
    sdsFree(h, s);
    return 0;
  }
  if (length > EMBSTR_LIMIT) {
    const o = wrapSds(h, s);
    trimStringObject(h, o);
    return o;
  }
  try {
    return createEncodedString(h, s, length);
  } finally {
    sdsFree(h, s);
  }
}

/**
 * Makes a string object of the bytes from `at` on, which end at `end` at the latest. More may follow the value. Bytes of anyone may
 * be given: nothing beyond them is read, and what is broken gives no object.
 * @returns the object with one reference (or a shared integer), or 0 when the bytes are broken
 * @throws ARENA_EXHAUSTED
 */
export function readRdbString(h: Heap, at: number, end: number): number {
  next = at;
  const length = readLength(h.u8, end);
  if (length < 0) return 0;
  if (!encoded) return length <= end - next ? createEncodedString(h, next, length) : 0;
  switch (length) {
    case ENCODED_INT8:
      return readInteger(h, end, 1);
    case ENCODED_INT16:
      return readInteger(h, end, 2);
    case ENCODED_INT32:
      return readInteger(h, end, 4);
    case ENCODED_LZF:
      return readCompressed(h, end);
    default:
      return 0;
  }
}
