/** The bitmap commands; BITFIELD is in bitfield.ts. Bits count from the most significant one of the first byte. */
import type { Client } from '../client.ts';
import type { CommandProc } from '../command.ts';
import { deleteKey, foundEntry, lookupKeyRead, lookupKeyWrite, NOTIFY_STRING, setKey } from '../db.ts';
import { addReplyError, addReplyLong, SYNTAX_ERROR } from '../protocol/reply.ts';
import type { RedisCore } from '../redis-core.ts';
import type { Heap } from '../structures/heap.ts';
import { wrapSds } from '../structures/robj.ts';
import { sdsNewRoom } from '../structures/sds.ts';
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
import { bitfieldProcs } from './bitfield.ts';
import { argNumber, isWrongType, readInteger } from './integer-arguments.ts';

const BIT_ERROR = 'bit is not an integer or out of range';

function setbitCommand(core: RedisCore, c: Client): void {
  if (!readBitOffset(core, c, 2, 0)) return;
  if (!readInteger(core, c, 3, BIT_ERROR)) return;
  const on = argNumber;
  if (on !== 0 && on !== 1) {
    addReplyError(c, BIT_ERROR);
    return;
  }
  const byte = Math.floor(bitOffset / 8);
  const shift = 7 - (bitOffset % 8);
  const s = writableString(core, c, byte + 1);
  if (s === 0) return;
  const u8 = core.heap.u8;
  const old = (u8[s + byte] >>> shift) & 1;
  if (stringGrew || old !== on) {
    u8[s + byte] = (u8[s + byte] & ~(1 << shift)) | (on << shift);
    bitsChanged(core, c, 1);
  }
  addReplyLong(c, old);
}

function getbitCommand(core: RedisCore, c: Client): void {
  if (!readBitOffset(core, c, 2, 0)) return;
  const value = lookupKeyRead(core, c.db, c.argOff[1], c.argLen[1]);
  if (isWrongType(core, c, value)) return;
  readableBytes(core.heap, value);
  const byte = Math.floor(bitOffset / 8);
  const there = byte < bytesLength;
  addReplyLong(c, there ? (core.heap.u8[bytesOffset + byte] >>> (7 - (bitOffset % 8))) & 1 : 0);
}

/** Number of bits set in a word of 32. */
function popCount(word: number): number {
  let v = word - ((word >>> 1) & 0x55555555);
  v = (v & 0x33333333) + ((v >>> 2) & 0x33333333);
  return Math.imul((v + (v >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}

/** Number of bits set in `length` bytes. */
function countBits(h: Heap, from: number, length: number): number {
  const { u8, u32 } = h;
  const end = from + length;
  let at = from;
  let count = 0;
  for (; at < end && (at & 3) !== 0; at++) count += popCount(u8[at]);
  for (const wordsEnd = end - 3; at < wordsEnd; at += 4) count += popCount(u32[at >>> 2]);
  for (; at < end; at++) count += popCount(u8[at]);
  return count;
}

/** The range that readRange found: first and last bit, both within the string; first > last: empty. */
let firstBit = 0;
let lastBit = 0;

/** Puts start and end, which may be negative, within `total` units of `unit` bits. */
function clampRange(start: number, end: number, total: number, unit: number): void {
  let from = start < 0 ? total + start : start;
  let to = end < 0 ? total + end : end;
  if (from < 0) from = 0;
  if (to < 0) to = 0;
  if (to >= total) to = total - 1;
  const empty = from > to;
  firstBit = empty ? 0 : from * unit;
  lastBit = empty ? -1 : to * unit + unit - 1;
}

/** Reads BIT or BYTE in argument `i`. @returns bits in the unit, 0 after a syntax error */
function readUnit(c: Client, i: number): number {
  if (c.argIs(i, 'bit')) return 1;
  if (c.argIs(i, 'byte')) return 8;
  addReplyError(c, SYNTAX_ERROR);
  return 0;
}

function bitcountCommand(core: RedisCore, c: Client): void {
  const h = core.heap;
  const value = lookupKeyRead(core, c.db, c.argOff[1], c.argLen[1]);
  if (value === 0) {
    addReplyLong(c, 0);
    return;
  }
  if (isWrongType(core, c, value)) return;
  let start = 0;
  let end = -1;
  let unit = 8;
  if (c.argc === 4 || c.argc === 5) {
    if (!readInteger(core, c, 2)) return;
    start = argNumber;
    if (!readInteger(core, c, 3)) return;
    end = argNumber;
    if (start < 0 && end < 0 && start > end) {
      addReplyLong(c, 0);
      return;
    }
    if (c.argc === 5) unit = readUnit(c, 4);
    if (unit === 0) return;
  } else if (c.argc !== 2) {
    addReplyError(c, SYNTAX_ERROR);
    return;
  }
  readableBytes(h, value);
  clampRange(start, end, (bytesLength * 8) / unit, unit);
  addReplyLong(c, firstBit > lastBit ? 0 : countRange(h));
}

/** Bits set between firstBit and lastBit. */
function countRange(h: Heap): number {
  const first = bytesOffset + Math.floor(firstBit / 8);
  const last = bytesOffset + Math.floor(lastBit / 8);
  let count = countBits(h, first, last - first + 1);
  count -= popCount(h.u8[first] >>> (8 - (firstBit % 8)));
  count -= popCount(h.u8[last] & ((1 << (7 - (lastBit % 8))) - 1));
  return count;
}

/** @returns the first bit of [from, to] that is `bit`, -1 when there is none */
function findBit(h: Heap, from: number, to: number, bit: number): number {
  const { u8, view } = h;
  const skipped = bit === 1 ? 0 : 0xff;
  const skippedWord = bit === 1 ? 0 : -1;
  let at = from;
  while (at <= to) {
    const byteAt = bytesOffset + Math.floor(at / 8);
    if (at % 8 === 0) {
      // Whole words, then whole bytes without the bit are passed over.
      if (at + 31 <= to && view.getInt32(byteAt, true) === skippedWord) {
        at += 32;
        continue;
      }
      if (at + 7 <= to && u8[byteAt] === skipped) {
        at += 8;
        continue;
      }
    }
    if (((u8[byteAt] >>> (7 - (at % 8))) & 1) === bit) return at;
    at++;
  }
  return -1;
}

function bitposCommand(core: RedisCore, c: Client): void {
  const h = core.heap;
  if (!readInteger(core, c, 2)) return;
  const bit = argNumber;
  if (bit !== 0 && bit !== 1) {
    addReplyError(c, 'The bit argument must be 1 or 0.');
    return;
  }
  const value = lookupKeyRead(core, c.db, c.argOff[1], c.argLen[1]);
  if (value === 0) {
    addReplyLong(c, bit === 1 ? -1 : 0);
    return;
  }
  if (isWrongType(core, c, value)) return;
  let start = 0;
  let end = -1;
  let unit = 8;
  const endGiven = c.argc >= 5;
  if (c.argc > 6) {
    addReplyError(c, SYNTAX_ERROR);
    return;
  }
  if (c.argc >= 4) {
    if (!readInteger(core, c, 3)) return;
    start = argNumber;
    if (c.argc === 6) unit = readUnit(c, 5);
    if (unit === 0) return;
    if (endGiven) {
      if (!readInteger(core, c, 4)) return;
      end = argNumber;
    }
  }
  readableBytes(h, value);
  clampRange(start, end, (bytesLength * 8) / unit, unit);
  if (firstBit > lastBit) {
    addReplyLong(c, -1);
    return;
  }
  const found = findBit(h, firstBit, lastBit, bit);
  // Behind a string without a given end there are only zeros.
  addReplyLong(c, found < 0 && bit === 0 && !endGiven ? lastBit + 1 : found);
}

const BITOP_AND = 0;
const BITOP_XOR = 2;
const BITOP_NOT = 3;

function combine(op: number, a: number, b: number): number {
  if (op === BITOP_XOR) return a ^ b;
  return op === BITOP_AND ? a & b : a | b;
}

/** Combines `length` bytes at `from` into the `length` bytes at `into`. */
function combineBytes(h: Heap, op: number, into: number, from: number, length: number): void {
  const { u8, view } = h;
  const words = length - (length % 4);
  for (let i = 0; i < words; i += 4) {
    view.setInt32(into + i, combine(op, view.getInt32(into + i, true), view.getInt32(from + i, true)), true);
  }
  for (let i = words; i < length; i++) u8[into + i] = combine(op, u8[into + i], u8[from + i]);
}

function readOperation(c: Client): number {
  // In the order of the numbers above; 1 is OR.
  const op = ['and', 'or', 'xor', 'not'].findIndex((name) => c.argIs(1, name));
  if (op < 0) addReplyError(c, SYNTAX_ERROR);
  return op;
}

function bitopCommand(core: RedisCore, c: Client): void {
  const h = core.heap;
  const op = readOperation(c);
  if (op < 0) return;
  if (op === BITOP_NOT && c.argc !== 4) {
    addReplyError(c, 'BITOP NOT must be called with a single source key.');
    return;
  }
  const sources: number[] = [];
  let longest = 0;
  for (let i = 3; i < c.argc; i++) {
    const value = lookupKeyRead(core, c.db, c.argOff[i], c.argLen[i]);
    if (isWrongType(core, c, value)) return;
    readableBytes(h, value);
    longest = Math.max(longest, bytesLength);
    sources.push(value);
  }
  const key = c.argOff[2];
  const keyLength = c.argLen[2];
  if (longest === 0) {
    deleteKey(core, c.db, key, keyLength);
    addReplyLong(c, 0);
    return;
  }
  const s = sdsNewRoom(h, longest);
  operate(h, op, s, longest, sources);
  const result = wrapSds(h, s);
  lookupKeyWrite(core, c.db, key, keyLength);
  setKey(core, c.db, key, keyLength, result, false, foundEntry);
  core.notifyKeyspaceEvent(NOTIFY_STRING, 'set', key, keyLength, c.db.id);
  core.dirty++;
  addReplyLong(c, longest);
}

/** Stores in `s` what the sources make; where one is shorter it counts as zeros. */
function operate(h: Heap, op: number, s: number, longest: number, sources: readonly number[]): void {
  readableBytes(h, sources[0]!);
  h.copy(bytesOffset, s, bytesLength);
  h.u8.fill(0, s + bytesLength, s + longest);
  if (op === BITOP_NOT) {
    for (let i = 0; i < longest; i++) h.u8[s + i] = ~h.u8[s + i];
    return;
  }
  for (let i = 1; i < sources.length; i++) {
    readableBytes(h, sources[i]!);
    combineBytes(h, op, s, bytesOffset, bytesLength);
    if (op === BITOP_AND) h.u8.fill(0, s + bytesLength, s + longest);
  }
}

/** By full name. */
export const bitmapProcs: Readonly<Record<string, CommandProc>> = {
  ...bitfieldProcs,
  bitcount: bitcountCommand,
  bitop: bitopCommand,
  bitpos: bitposCommand,
  getbit: getbitCommand,
  setbit: setbitCommand,
};
