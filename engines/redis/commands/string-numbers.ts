/** INCR and its kin: integers of 64 bits and long doubles, stored as strings. */
import type { Client } from '../client.ts';
import { dbAdd, dbOverwrite, foundEntry, lookupKeyWrite, NOTIFY_STRING } from '../db.ts';
import { addReplyBulkString, addReplyError, addReplyLong64, NOT_AN_INTEGER } from '../protocol/reply.ts';
import type { RedisCore } from '../redis-core.ts';
import { fitsInt64, parsedHigh, parsedLow, parsedNumber, parseInt64, wordsToBigInt } from '../structures/int64.ts';
import {
  addLongDoubles,
  formatLongDouble,
  type LongDouble,
  longDoubleFromBigInt,
  parseLongDouble,
} from '../structures/long-double.ts';
import {
  createIntegerObject,
  createStringFromText,
  decrRefCount,
  OBJ_ENCODING_INT,
  robjEncoding,
  robjIntBig,
  robjPtr,
  robjRefCount,
  robjSetInt,
  SHARED_INTEGERS,
} from '../structures/robj.ts';
import { sdsLen } from '../structures/sds.ts';
import { argBigInt, INT64_MIN_BIG, isWrongType, readInteger } from './integer-arguments.ts';

/** Adds to the key of argument 1 and replies with the sum. `step` is exact. */
function incrBy(core: RedisCore, c: Client, step: bigint): void {
  const h = core.heap;
  const value = lookupKeyWrite(core, c.db, c.argOff[1], c.argLen[1]);
  const entry = foundEntry;
  if (isWrongType(core, c, value)) return;
  let old = 0n;
  if (value !== 0) {
    if (robjEncoding(h, value) === OBJ_ENCODING_INT) {
      old = robjIntBig(h, value);
    } else {
      const s = robjPtr(h, value);
      if (!parseInt64(h.u8, s, sdsLen(h, s))) {
        addReplyError(c, NOT_AN_INTEGER);
        return;
      }
      old = wordsToBigInt(parsedLow, parsedHigh);
    }
  }
  const sum = old + step;
  if (!fitsInt64(sum)) {
    addReplyError(c, 'increment or decrement would overflow');
    return;
  }
  store(core, c, value, entry, Number(BigInt.asUintN(32, sum)), Number(BigInt.asIntN(32, sum >> 32n)), Number(sum));
}

/** As incrBy for steps and values that a number holds exactly: the usual case, without bigints. */
function incrBySmall(core: RedisCore, c: Client, step: number): void {
  const h = core.heap;
  const value = lookupKeyWrite(core, c.db, c.argOff[1], c.argLen[1]);
  const entry = foundEntry;
  if (isWrongType(core, c, value)) return;
  let old = 0;
  if (value !== 0) {
    if (robjEncoding(h, value) === OBJ_ENCODING_INT) {
      old = h.i32[(value + 12) >>> 2] * 4294967296 + h.u32[(value + 8) >>> 2];
    } else {
      const s = robjPtr(h, value);
      if (!parseInt64(h.u8, s, sdsLen(h, s))) {
        addReplyError(c, NOT_AN_INTEGER);
        return;
      }
      old = parsedNumber;
    }
  }
  const sum = old + step;
  if (!Number.isSafeInteger(old) || !Number.isSafeInteger(sum)) {
    incrBy(core, c, BigInt(step));
    return;
  }
  store(core, c, value, entry, sum >>> 0, Math.floor(sum / 4294967296), sum);
}

function store(core: RedisCore, c: Client, value: number, entry: number, low: number, high: number, sum: number): void {
  const h = core.heap;
  const inPlace =
    value !== 0 &&
    robjEncoding(h, value) === OBJ_ENCODING_INT &&
    robjRefCount(h, value) === 1 &&
    (sum < 0 || sum >= SHARED_INTEGERS);
  if (inPlace) {
    robjSetInt(h, value, low, high);
  } else {
    const fresh = createIntegerObject(h, low, high, sum);
    replaceOrAdd(core, c, entry, fresh);
  }
  core.signalModifiedKey(c.db, c.argOff[1], c.argLen[1]);
  core.notifyKeyspaceEvent(NOTIFY_STRING, 'incrby', c.argOff[1], c.argLen[1], c.db.id);
  core.dirty++;
  addReplyLong64(c, low, high);
}

/** Gives argument 1's key a new value, keeping its expiry. Takes over the reference, also when it throws. */
function replaceOrAdd(core: RedisCore, c: Client, entry: number, fresh: number): void {
  if (entry !== 0) {
    dbOverwrite(core, entry, fresh);
    return;
  }
  try {
    dbAdd(core, c.db, c.argOff[1], c.argLen[1], fresh);
  } catch (error) {
    decrRefCount(core.heap, fresh);
    throw error;
  }
}

export function incrCommand(core: RedisCore, c: Client): void {
  incrBySmall(core, c, 1);
}

export function decrCommand(core: RedisCore, c: Client): void {
  incrBySmall(core, c, -1);
}

export function incrbyCommand(core: RedisCore, c: Client): void {
  if (!readInteger(core, c, 2)) return;
  if (Number.isSafeInteger(parsedNumber)) incrBySmall(core, c, parsedNumber);
  else incrBy(core, c, argBigInt());
}

export function decrbyCommand(core: RedisCore, c: Client): void {
  if (!readInteger(core, c, 2)) return;
  const step = argBigInt();
  if (step === INT64_MIN_BIG) {
    addReplyError(c, 'decrement would overflow');
    return;
  }
  if (Number.isSafeInteger(parsedNumber)) incrBySmall(core, c, -parsedNumber);
  else incrBy(core, c, -step);
}

/** The value of a string object as a long double, null where it is none. */
function valueAsLongDouble(core: RedisCore, value: number): LongDouble | null {
  const h = core.heap;
  if (value === 0) return longDoubleFromBigInt(0n);
  if (robjEncoding(h, value) === OBJ_ENCODING_INT) return longDoubleFromBigInt(robjIntBig(h, value));
  const s = robjPtr(h, value);
  return parseLongDouble(h.latin1(s, sdsLen(h, s)));
}

export function incrbyfloatCommand(core: RedisCore, c: Client): void {
  const value = lookupKeyWrite(core, c.db, c.argOff[1], c.argLen[1]);
  const entry = foundEntry;
  if (isWrongType(core, c, value)) return;
  const old = valueAsLongDouble(core, value);
  const step = old === null ? null : parseLongDouble(c.argText(2));
  if (old === null || step === null) {
    addReplyError(c, 'value is not a valid float');
    return;
  }
  const sum = addLongDoubles(old, step);
  if (sum === null || sum.infinite !== 0) {
    addReplyError(c, 'increment would produce NaN or Infinity');
    return;
  }
  const text = formatLongDouble(sum);
  replaceOrAdd(core, c, entry, createStringFromText(core.heap, text));
  core.signalModifiedKey(c.db, c.argOff[1], c.argLen[1]);
  core.notifyKeyspaceEvent(NOTIFY_STRING, 'incrbyfloat', c.argOff[1], c.argLen[1], c.db.id);
  core.dirty++;
  if (core.effects.active) {
    // The sum is written down: another machine's arithmetic might differ.
    core.effects.begin(c.db, 4);
    core.effects.text('SET');
    core.effects.argOf(c, 1);
    core.effects.text(text);
    core.effects.text('KEEPTTL');
  }
  addReplyBulkString(c, text);
}
