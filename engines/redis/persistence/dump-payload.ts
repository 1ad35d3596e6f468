/** DUMP payloads: type, value, two bytes of version, and eight of checksum over all before them; little-endian. */
import { crc64Update } from '../../base/crc64.ts';
import type { Heap } from '../structures/heap.ts';
import { robjType } from '../structures/robj.ts';
import { RdbReader } from './rdb-reader.ts';
import { RDB_VERSION } from './rdb-save.ts';
import { objectTypeOfRdb } from './rdb-types.ts';
import { RdbWriter } from './rdb-writer.ts';

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
 * @param compress rdbcompression
 * @returns a raw string object with the payload; the caller owns its reference
 * @throws ARENA_EXHAUSTED
 */
export function createDumpPayload(h: Heap, o: number, compress: boolean): number {
  const w = new RdbWriter(h, compress);
  const type = h.types[robjType(h, o)];
  try {
    w.putByte(type.rdbType(h, o));
    type.saveRdb(w, o);
    writeDumpFooter(w);
    return w.takeObject();
  } catch (error) {
    w.release();
    throw error;
  }
}

/** Ends a payload: version, and the checksum over all that has been written. @throws ARENA_EXHAUSTED */
export function writeDumpFooter(w: RdbWriter): void {
  w.putByte(RDB_VERSION & 255);
  w.putByte(RDB_VERSION >> 8);
  w.reserve(CRC_BYTES);
  checksum(w.heap.u8, w.start, w.length);
  for (let i = 0; i < CRC_BYTES; i++) w.putByte(state[i >> 2] >> (8 * (i & 3)));
}

/** @returns whether a payload's version is known and its checksum right, or not to be looked at */
export function verifyDumpPayload(h: Heap, from: number, length: number, skipsChecksum: boolean): boolean {
  if (length < FOOTER_BYTES) return false;
  const u8 = h.u8;
  const end = from + length;
  if ((u8[end - FOOTER_BYTES] | (u8[end - FOOTER_BYTES + 1] << 8)) > RDB_VERSION) return false;
  if (skipsChecksum) return true;
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
  const rdbType = h.u8[from];
  const type = objectTypeOfRdb(h, rdbType);
  if (type === null) return 0;
  const r = new RdbReader(h, from + 1, from + length);
  try {
    return type.loadRdb(r, rdbType);
  } finally {
    r.release();
  }
}
