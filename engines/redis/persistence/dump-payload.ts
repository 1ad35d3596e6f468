/** DUMP payloads: type, value, two bytes of version, and eight of checksum over all before them; little-endian. */
import { crc64Update } from '../../base/crc64.ts';
import type { Heap } from '../structures/heap.ts';
import { wrapSds } from '../structures/robj.ts';
import { sdsNewRoom, sdsSetLen } from '../structures/sds.ts';
import { putRdbString, RDB_TYPE_STRING, rdbStringRoom, readRdbString } from './rdb-string.ts';

/** The version of the format that payloads are written in; newer ones are not read. */
export const RDB_VERSION = 10;
const CRC_BYTES = 8;
const FOOTER_BYTES = 2 + CRC_BYTES;

const state = new Int32Array(2);

/** Computes the checksum of bytes into `state`. */
function checksum(u8: Uint8Array, from: number, length: number): void {
  state[0] = 0;
  state[1] = 0;
  crc64Update(state, u8, from, length);
}

/**
 * @param o a string object
 * @param compress rdbcompression
 * @returns a raw string object with the payload; the caller owns its reference
 * @throws ARENA_EXHAUSTED
 */
export function createDumpPayload(h: Heap, o: number, compress: boolean): number {
  const s = sdsNewRoom(h, 1 + rdbStringRoom(h, o) + FOOTER_BYTES);
  const u8 = h.u8;
  u8[s] = RDB_TYPE_STRING;
  let at = putRdbString(h, o, s + 1, compress);
  u8[at++] = RDB_VERSION & 255;
  u8[at++] = RDB_VERSION >> 8;
  checksum(u8, s, at - s);
  for (let i = 0; i < CRC_BYTES; i++) u8[at + i] = state[i >> 2] >> (8 * (i & 3));
  at += CRC_BYTES;
  sdsSetLen(h, s, at - s);
  u8[at] = 0;
  return wrapSds(h, s);
}

/** @returns whether a payload's version is known and its checksum right */
export function verifyDumpPayload(h: Heap, from: number, length: number): boolean {
  if (length < FOOTER_BYTES) return false;
  const u8 = h.u8;
  const end = from + length;
  if ((u8[end - FOOTER_BYTES] | (u8[end - FOOTER_BYTES + 1] << 8)) > RDB_VERSION) return false;
  checksum(u8, from, length - CRC_BYTES);
  for (let i = 0; i < CRC_BYTES; i++) {
    if (u8[end - CRC_BYTES + i] !== ((state[i >> 2] >> (8 * (i & 3))) & 255)) return false;
  }
  return true;
}

/**
 * @returns a new object, or 0 when the payload is broken or of a type that is not known here. As in the original the value may reach
 *   into the footer, and bytes behind it do not matter.
 * @throws ARENA_EXHAUSTED
 */
export function readDumpPayload(h: Heap, from: number, length: number): number {
  return h.u8[from] === RDB_TYPE_STRING ? readRdbString(h, from + 1, from + length) : 0;
}
