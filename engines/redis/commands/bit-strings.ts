/** What the bitmap commands share: offsets of bits, and the bytes of string objects to read and to write in. */
import type { Client } from '../client.ts';
import { dbAddOwned, foundEntry, lookupKeyWrite, NOTIFY_STRING } from '../db.ts';
import { putInt64 } from '../protocol/decimal.ts';
import { addReplyError } from '../protocol/reply.ts';
import type { RedisCore } from '../redis-core.ts';
import type { Heap } from '../structures/heap.ts';
import { parsedHigh, parsedLow, parsedNumber, parseInt64, wordsToBigInt } from '../structures/int64.ts';
import { OBJ_ENCODING_INT, robjEncoding, robjPtr, robjSetPtr, wrapSds } from '../structures/robj.ts';
import { sdsGrowZero, sdsLen, sdsNewRoom } from '../structures/sds.ts';
import { isWrongType } from './integer-arguments.ts';
import { unshare } from './string.ts';

const OFFSET_ERROR = 'bit offset is not an integer or out of range';
const HASH = 35;

/** The offset that readBitOffset read last. */
export let bitOffset = 0;

/**
 * Reads argument `i` as a bit's offset.
 * @param bits width of the fields that "#3" counts in; 0: that form is not allowed
 * @returns false after an error reply
 */
export function readBitOffset(core: RedisCore, c: Client, i: number, bits: number): boolean {
  const u8 = core.heap.u8;
  const at = c.argOff[i];
  const counted = bits > 0 && c.argLen[i] > 0 && u8[at] === HASH ? 1 : 0;
  if (parseInt64(u8, at + counted, c.argLen[i] - counted)) {
    bitOffset = parsedNumber;
    if (counted === 1) {
      bitOffset *= bits;
      // The original's product wraps.
      if (!Number.isSafeInteger(bitOffset)) {
        bitOffset = Number(BigInt.asIntN(64, wordsToBigInt(parsedLow, parsedHigh) * BigInt(bits)));
      }
    }
    if (bitOffset >= 0 && Math.floor(bitOffset / 8) < core.config.protoMaxBulkLen) return true;
  }
  addReplyError(c, OFFSET_ERROR);
  return false;
}

/** Whether writableString made or grew the string that it found last. */
export let stringGrew = false;

/**
 * The string of argument 1 with at least `bytes` bytes, ready to be changed in place; made if it is not there.
 * @returns the offset of its first byte, 0 after a WRONGTYPE reply
 */
export function writableString(core: RedisCore, c: Client, bytes: number): number {
  const h = core.heap;
  let value = lookupKeyWrite(core, c.db, c.argOff[1], c.argLen[1]);
  if (isWrongType(core, c, value)) return 0;
  stringGrew = value === 0;
  if (value === 0) {
    const s = sdsNewRoom(h, bytes);
    h.u8.fill(0, s, s + bytes);
    dbAddOwned(core, c.db, c.argOff[1], c.argLen[1], wrapSds(h, s));
    return s;
  }
  value = unshare(core, foundEntry, value);
  const old = robjPtr(h, value);
  stringGrew = sdsLen(h, old) < bytes;
  const s = sdsGrowZero(h, old, bytes);
  robjSetPtr(h, value, s);
  return s;
}

/** The bytes that readableBytes found last. */
export let bytesOffset = 0;
export let bytesLength = 0;

/** Finds the bytes of a string object; an integer's text goes to the scratch page. 0 (no object) has no bytes. */
export function readableBytes(h: Heap, value: number): void {
  if (value === 0) {
    bytesOffset = h.scratch;
    bytesLength = 0;
  } else if (robjEncoding(h, value) === OBJ_ENCODING_INT) {
    bytesOffset = h.scratch;
    bytesLength = putInt64(h.u8, h.scratch, h.u32[(value + 8) >>> 2], h.i32[(value + 12) >>> 2]) - h.scratch;
  } else {
    bytesOffset = robjPtr(h, value);
    bytesLength = sdsLen(h, bytesOffset);
  }
}

/** Watchers hear that bits of argument 1's key have been set. */
export function bitsChanged(core: RedisCore, c: Client, changes: number): void {
  core.signalModifiedKey(c.db, c.argOff[1], c.argLen[1]);
  core.notifyKeyspaceEvent(NOTIFY_STRING, 'setbit', c.argOff[1], c.argLen[1], c.db.id);
  core.dirty += changes;
}
