/**
 * BITFIELD and BITFIELD_RO. A field is an integer of 1 to 64 bits (unsigned: to 63) anywhere in a string. Fields of up to 32 bits are
 * reckoned with in numbers, wider ones in bigints.
 *
 * The operations are read twice: once to see that all are right and how long the string must be, once to do them.
 */
import type { Client } from '../client.ts';
import type { CommandProc } from '../command.ts';
import { lookupKeyRead } from '../db.ts';
import {
  addReplyArrayLen,
  addReplyBigInt,
  addReplyError,
  addReplyLong,
  addReplyNull,
  SYNTAX_ERROR,
} from '../protocol/reply.ts';
import type { RedisCore } from '../redis-core.ts';
import type { Heap } from '../structures/heap.ts';
import { parsedNumber, parseInt64 } from '../structures/int64.ts';
import { sdsLen } from '../structures/sds.ts';
import {
  bitOffset,
  bitsChanged,
  bytesLength,
  bytesOffset,
  readableBytes,
  readBitOffset,
  stringGrew,
  writableString,
} from './bit-strings.ts';
import { argBigInt, argNumber, isWrongType, readInteger } from './integer-arguments.ts';

const TYPE_ERROR = 'Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is.';
const WRAP = 0;
const SATURATE = 1;
const FAIL = 2;
const GET = 0;
const SET = 1;
const INCRBY = 2;
const OVERFLOW = 3;

const SIGNED_BITS_MAX = 64;
const UNSIGNED_BITS_MAX = 63;
const NUMBER_BITS_MAX = 32;
/** An increment up to this plus a value of 32 bits is an exact number. */
const NUMBER_STEP_MAX = 2 ** 52;
const LETTER_I = 105;
const LETTER_U = 117;

// The operation that readOperation read last.
let opcode = GET;
let signed = false;
let bits = 0;
let offset = 0;
let operand = 0;
let overflowMode = WRAP;
/** The last change would have overflowed and was refused. */
let refused = false;

/** Reads a type such as i16 or u8. @returns false after an error reply */
function readType(core: RedisCore, c: Client, i: number): boolean {
  const u8 = core.heap.u8;
  const at = c.argOff[i];
  const letter = c.argLen[i] === 0 ? 0 : u8[at];
  let length = 1;
  // The original reads up to a NUL.
  while (length < c.argLen[i] && u8[at + length] !== 0) length++;
  if ((letter === LETTER_I || letter === LETTER_U) && parseInt64(u8, at + 1, length - 1)) {
    signed = letter === LETTER_I;
    bits = parsedNumber;
    if (bits >= 1 && bits <= (signed ? SIGNED_BITS_MAX : UNSIGNED_BITS_MAX)) return true;
  }
  addReplyError(c, TYPE_ERROR);
  return false;
}

/**
 * Reads the operation that begins with argument `i`; its operand can be asked of argNumber and argBigInt afterwards.
 * @returns the index behind it, 0 after an error reply
 */
function readOperation(core: RedisCore, c: Client, i: number): number {
  const left = c.argc - i - 1;
  if (c.argIs(i, 'get') && left >= 2) {
    opcode = GET;
  } else if (c.argIs(i, 'set') && left >= 3) {
    opcode = SET;
  } else if (c.argIs(i, 'incrby') && left >= 3) {
    opcode = INCRBY;
  } else if (c.argIs(i, 'overflow') && left >= 1) {
    opcode = OVERFLOW;
    if (c.argIs(i + 1, 'wrap')) overflowMode = WRAP;
    else if (c.argIs(i + 1, 'sat')) overflowMode = SATURATE;
    else if (c.argIs(i + 1, 'fail')) overflowMode = FAIL;
    else {
      addReplyError(c, 'Invalid OVERFLOW type specified');
      return 0;
    }
    return i + 2;
  } else {
    addReplyError(c, SYNTAX_ERROR);
    return 0;
  }
  if (!readType(core, c, i + 1) || !readBitOffset(core, c, i + 2, bits)) return 0;
  offset = bitOffset;
  if (opcode === GET) return i + 3;
  if (!readInteger(core, c, i + 3)) return 0;
  operand = argNumber;
  return i + 4;
}

/** Reads an unsigned field of up to 32 bits; bytes from `end` on count as zero. */
function getSmall(h: Heap, start: number, end: number, at: number, width: number): number {
  const first = start + Math.floor(at / 8);
  const last = start + Math.floor((at + width - 1) / 8);
  let value = 0;
  for (let p = first; p <= last; p++) value = value * 256 + (p < end ? h.u8[p] : 0);
  return Math.floor(value / 2 ** (7 - ((at + width - 1) % 8))) % 2 ** width;
}

/** Stores the lower `width` bits (up to 32) of a number that is not negative. */
function setSmall(h: Heap, start: number, at: number, width: number, value: number): void {
  let left = width;
  let bit = at;
  while (left > 0) {
    const p = start + Math.floor(bit / 8);
    const room = 8 - (bit % 8);
    const taken = Math.min(room, left);
    const mask = ((1 << taken) - 1) << (room - taken);
    const part = Math.floor(value / 2 ** (left - taken)) << (room - taken);
    h.u8[p] = (h.u8[p] & ~mask) | (part & mask);
    left -= taken;
    bit += taken;
  }
}

function getField(h: Heap, start: number, end: number): bigint {
  const upper = bits > NUMBER_BITS_MAX ? bits - NUMBER_BITS_MAX : 0;
  const high = upper > 0 ? getSmall(h, start, end, offset, upper) : 0;
  const value = (BigInt(high) << 32n) | BigInt(getSmall(h, start, end, offset + upper, bits - upper));
  return signed ? BigInt.asIntN(bits, value) : value;
}

function setField(h: Heap, start: number, value: bigint): void {
  const upper = bits > NUMBER_BITS_MAX ? bits - NUMBER_BITS_MAX : 0;
  const raw = BigInt.asUintN(bits, value);
  if (upper > 0) setSmall(h, start, offset, upper, Number(raw >> 32n));
  setSmall(h, start, offset + upper, bits - upper, Number(BigInt.asUintN(NUMBER_BITS_MAX, raw)));
}

/** The field as a number; for up to 32 bits. */
function getNumber(h: Heap, start: number, end: number): number {
  const value = getSmall(h, start, end, offset, bits);
  return signed && value >= 2 ** (bits - 1) ? value - 2 ** bits : value;
}

/** SET or INCRBY of up to 32 bits. @returns whether the field has changed */
function changeNumber(h: Heap, c: Client, start: number, end: number): boolean {
  const old = getNumber(h, start, end);
  const range = 2 ** bits;
  const max = signed ? range / 2 - 1 : range - 1;
  const min = signed ? -range / 2 : 0;
  let value = opcode === SET ? operand : old + operand;
  // A negative number that an unsigned field is set to is taken for a very large one.
  const over = value > max || (!signed && opcode === SET && value < 0);
  if (over || value < min) {
    if (overflowMode === FAIL) {
      addReplyNull(c);
      refused = true;
      return false;
    }
    if (overflowMode === SATURATE) {
      value = over ? max : min;
    } else {
      value = ((value % range) + range) % range;
      if (value > max) value -= range;
    }
  }
  addReplyLong(c, opcode === SET ? old : value);
  setSmall(h, start, offset, bits, value < 0 ? value + range : value);
  return value !== old;
}

/** As changeNumber for any width and operand. */
function changeBig(h: Heap, c: Client, start: number, end: number): boolean {
  const old = getField(h, start, end);
  const exact = argBigInt();
  const max = signed ? (1n << BigInt(bits - 1)) - 1n : (1n << BigInt(bits)) - 1n;
  const min = signed ? -max - 1n : 0n;
  let value = opcode === SET ? exact : old + exact;
  let over = value > max;
  if (opcode === SET) {
    // The original reckons in 64 bits: what lies so far below that the distance wraps is taken for too large.
    if (signed) over ||= bits < SIGNED_BITS_MAX && BigInt.asIntN(64, max - value) < 0n;
    else over ||= value < 0n;
  }
  if (over || value < min) {
    if (overflowMode === FAIL) {
      addReplyNull(c);
      refused = true;
      return false;
    }
    if (overflowMode === SATURATE) value = over ? max : min;
    else value = signed ? BigInt.asIntN(bits, value) : BigInt.asUintN(bits, value);
  }
  addReplyBigInt(c, opcode === SET ? old : value);
  setField(h, start, value);
  return value !== old;
}

function bitfieldGeneric(core: RedisCore, c: Client, readOnly: boolean): void {
  const h = core.heap;
  let operations = 0;
  let highest = -1;
  overflowMode = WRAP;
  for (let i = 2; i < c.argc; ) {
    i = readOperation(core, c, i);
    if (i === 0) return;
    if (opcode !== OVERFLOW) operations++;
    if (opcode === SET || opcode === INCRBY) highest = Math.max(highest, offset + bits - 1);
  }
  let start: number;
  let end: number;
  let grew = false;
  if (highest < 0) {
    const value = lookupKeyRead(core, c.db, c.argOff[1], c.argLen[1]);
    if (isWrongType(core, c, value)) return;
    readableBytes(h, value);
    start = bytesOffset;
    end = start + bytesLength;
  } else {
    if (readOnly) {
      addReplyError(c, 'BITFIELD_RO only supports the GET subcommand');
      return;
    }
    start = writableString(core, c, Math.floor(highest / 8) + 1);
    if (start === 0) return;
    end = start + sdsLen(h, start);
    grew = stringGrew;
  }
  addReplyArrayLen(c, operations);
  let changes = 0;
  overflowMode = WRAP;
  try {
    for (let i = 2; i < c.argc; ) {
      i = readOperation(core, c, i);
      if (opcode === OVERFLOW) continue;
      if (opcode === GET) replyField(h, c, start, end);
      else if (changeField(h, c, start, end, grew)) changes++;
    }
  } catch (error) {
    // There was no memory for a reply, but the bits have changed.
    if (highest >= 0) bitsChanged(core, c, Math.max(changes, 1));
    throw error;
  }
  if (changes > 0) bitsChanged(core, c, changes);
}

function replyField(h: Heap, c: Client, start: number, end: number): void {
  if (bits <= NUMBER_BITS_MAX) addReplyLong(c, getNumber(h, start, end));
  else addReplyBigInt(c, getField(h, start, end));
}

/** @param grew the string has grown for this command: then every operation that is not refused counts as a change */
function changeField(h: Heap, c: Client, start: number, end: number, grew: boolean): boolean {
  const small = bits <= NUMBER_BITS_MAX && Math.abs(operand) <= NUMBER_STEP_MAX;
  refused = false;
  const changed = small ? changeNumber(h, c, start, end) : changeBig(h, c, start, end);
  return changed || (grew && !refused);
}

/** By full name. */
export const bitfieldProcs: Readonly<Record<string, CommandProc>> = {
  bitfield: (core, c) => bitfieldGeneric(core, c, false),
  bitfield_ro: (core, c) => bitfieldGeneric(core, c, true),
};
