/**
 * String values as snapshot files and DUMP payloads hold them: a length and bytes, or, where the two upper bits of the first byte
 * are set, an integer of 1, 2 or 4 bytes or compressed bytes.
 */
import type { Heap } from '../structures/heap.ts';
import { parsedNumber, parseInt64 } from '../structures/int64.ts';
import { lzfCompress } from '../structures/lzf.ts';

/** The type byte of a string value. */
export const RDB_TYPE_STRING = 0;

/** Most bytes that a length takes. */
export const LENGTH_BYTES_MAX = 9;

const LENGTH_14 = 0x40;
const LENGTH_32 = 0x80;
const LENGTH_64 = 0x81;
export const ENCODED = 0xc0;
export const ENCODED_INT8 = 0;
export const ENCODED_INT16 = 1;
export const ENCODED_INT32 = 2;
export const ENCODED_LZF = 3;

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

/** Stores a length, a safe integer. @returns the offset behind it */
export function putLength(u8: Uint8Array, at: number, length: number): number {
  if (length < 64) {
    u8[at] = length;
    return at + 1;
  }
  if (length < 16_384) {
    u8[at] = LENGTH_14 | (length >> 8);
    u8[at + 1] = length;
    return at + 2;
  }
  if (length > 0xffffffff) return putLength64(u8, at, length >>> 0, Math.floor(length / 4294967296));
  u8[at] = LENGTH_32;
  u8[at + 1] = length >>> 24;
  u8[at + 2] = length >>> 16;
  u8[at + 3] = length >>> 8;
  u8[at + 4] = length;
  return at + 5;
}

/** Stores a length of 64 bits given as two words. @returns the offset behind it */
export function putLength64(u8: Uint8Array, at: number, low: number, high: number): number {
  if (high === 0) return putLength(u8, at, low >>> 0);
  u8[at] = LENGTH_64;
  for (let i = 0; i < 4; i++) {
    u8[at + 1 + i] = high >>> (24 - 8 * i);
    u8[at + 5 + i] = low >>> (24 - 8 * i);
  }
  return at + 9;
}

/** Stores an integer that fits 32 bits. @returns the offset behind it, or 0 when it does not fit */
export function putRdbInteger(u8: Uint8Array, at: number, value: number): number {
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

/** @returns how many bytes must be there for putRdbBytes to work in; what it stores may be shorter */
export function rdbBytesRoom(length: number): number {
  return HEAD_BYTES + length + SLACK_BYTES;
}

/**
 * Stores a string at `at`.
 * @param compress rdbcompression
 * @returns the offset behind it
 */
export function putRdbBytes(h: Heap, from: number, length: number, at: number, compress: boolean): number {
  const u8 = h.u8;
  if (length <= INTEGER_TEXT_MAX && parseInt64(u8, from, length)) {
    const end = putRdbInteger(u8, at, parsedNumber);
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
