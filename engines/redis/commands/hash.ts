/** The hash commands. HRANDFIELD is in hash-random.ts. */
import type { Client } from '../client.ts';
import type { CommandProc } from '../command.ts';
import { dbAddOwned, dbDelete, lookupKeyRead, lookupKeyWrite, NOTIFY_GENERIC, NOTIFY_HASH } from '../db.ts';
import { putInt64 } from '../protocol/decimal.ts';
import {
  addReplyArrayLen,
  addReplyBulk,
  addReplyBulkInt64,
  addReplyBulkString,
  addReplyError,
  addReplyLong,
  addReplyLong64,
  addReplyMapLen,
  addReplyNull,
  addReplyOk,
  addReplyProto,
} from '../protocol/reply.ts';
import type { RedisCore } from '../redis-core.ts';
import { DictIterator } from '../structures/dict-iterator.ts';
import { dictKey, dictValue } from '../structures/dict-layout.ts';
import { fitsInt64, parsedHigh, parsedLow, parsedNumber, parseInt64, wordsToBigInt } from '../structures/int64.ts';
import { lpFirst, lpNext } from '../structures/listpack.ts';
import { addLongDoubles, formatLongDouble, longDoubleFromBigInt, parseLongDouble } from '../structures/long-double.ts';
import { OBJ_ENCODING_HT, OBJ_HASH, robjEncoding, robjPtr } from '../structures/robj.ts';
import { sdsLen } from '../structures/sds.ts';
import {
  createHashObject,
  hashTypeDelete,
  hashTypeExists,
  hashTypeGet,
  hashTypeLength,
  hashTypeSet,
  hashTypeTryConversion,
  hashValueHigh,
  hashValueIsInteger,
  hashValueLength,
  hashValueLow,
  hashValueOffset,
} from '../types/hash.ts';
import { hashRandomProcs } from './hash-random.ts';
import { isWrongType, readInteger } from './integer-arguments.ts';
import { addReplyListpackElement, EMPTY_SCAN, readCursor, scanCollection } from './scan.ts';

const KEYS = 1;
const VALUES = 2;
/** Where in the scratch page a new number's text lies: the conversion of the hash uses the page's beginning. */
const NUMBER_AT = 2_048;
const NUMBER_BYTES = 2_048;

/** The hash of argument 1, which is made if there is none. @returns 0 after a WRONGTYPE reply */
function lookupOrCreate(core: RedisCore, c: Client): number {
  let hash = lookupKeyWrite(core, c.db, c.argOff[1], c.argLen[1]);
  if (isWrongType(core, c, hash, OBJ_HASH)) return 0;
  if (hash === 0) {
    hash = createHashObject(core.heap);
    dbAddOwned(core, c.db, c.argOff[1], c.argLen[1], hash);
  }
  return hash;
}

/** Deletes a hash that was made for a field for which there was no room. */
function dropIfEmpty(core: RedisCore, c: Client, hash: number): void {
  if (hashTypeLength(core.heap, hash) === 0) dbDelete(core, c.db, c.argOff[1], c.argLen[1]);
}

function changed(core: RedisCore, c: Client, event: string, changes: number): void {
  core.signalModifiedKey(c.db, c.argOff[1], c.argLen[1]);
  core.notifyKeyspaceEvent(NOTIFY_HASH, event, c.argOff[1], c.argLen[1], c.db.id);
  core.dirty += changes;
}

function hsetGeneric(core: RedisCore, c: Client, replyOk: boolean): void {
  if ((c.argc & 1) === 1) {
    addReplyError(c, `wrong number of arguments for '${c.command?.fullName ?? ''}' command`);
    return;
  }
  const h = core.heap;
  const hash = lookupOrCreate(core, c);
  if (hash === 0) return;
  const { argOff, argLen } = c;
  let created = 0;
  let done = 0;
  try {
    hashTypeTryConversion(h, hash, argLen, 2, c.argc);
    for (let i = 2; i < c.argc; i += 2) {
      if (!hashTypeSet(h, hash, argOff[i], argLen[i], argOff[i + 1], argLen[i + 1])) created++;
      done++;
    }
  } finally {
    if (done < (c.argc - 2) / 2) {
      if (done > 0) changed(core, c, 'hset', done);
      else dropIfEmpty(core, c, hash);
    }
  }
  if (replyOk) addReplyOk(c);
  else addReplyLong(c, created);
  changed(core, c, 'hset', done);
}

function hsetnxCommand(core: RedisCore, c: Client): void {
  const h = core.heap;
  const hash = lookupOrCreate(core, c);
  if (hash === 0) return;
  const { argOff, argLen } = c;
  if (hashTypeExists(h, hash, argOff[2], argLen[2])) {
    addReplyLong(c, 0);
    return;
  }
  try {
    hashTypeTryConversion(h, hash, argLen, 2, 4);
    hashTypeSet(h, hash, argOff[2], argLen[2], argOff[3], argLen[3]);
  } finally {
    dropIfEmpty(core, c, hash);
  }
  addReplyLong(c, 1);
  changed(core, c, 'hset', 1);
}

/** Replies the value that hashTypeGet found last. */
function addReplyHashValue(c: Client): void {
  if (hashValueIsInteger) addReplyBulkInt64(c, hashValueLow, hashValueHigh);
  else addReplyBulk(c, hashValueOffset, hashValueLength);
}

function hgetCommand(core: RedisCore, c: Client): void {
  const hash = lookupKeyRead(core, c.db, c.argOff[1], c.argLen[1]);
  if (isWrongType(core, c, hash, OBJ_HASH)) return;
  if (hash !== 0 && hashTypeGet(core.heap, hash, c.argOff[2], c.argLen[2])) addReplyHashValue(c);
  else addReplyNull(c);
}

function hmgetCommand(core: RedisCore, c: Client): void {
  const hash = lookupKeyRead(core, c.db, c.argOff[1], c.argLen[1]);
  if (isWrongType(core, c, hash, OBJ_HASH)) return;
  addReplyArrayLen(c, c.argc - 2);
  for (let i = 2; i < c.argc; i++) {
    if (hash !== 0 && hashTypeGet(core.heap, hash, c.argOff[i], c.argLen[i])) addReplyHashValue(c);
    else addReplyNull(c);
  }
}

function hdelCommand(core: RedisCore, c: Client): void {
  const h = core.heap;
  const key = c.argOff[1];
  const keyLength = c.argLen[1];
  const hash = lookupKeyWrite(core, c.db, key, keyLength);
  if (isWrongType(core, c, hash, OBJ_HASH)) return;
  let deleted = 0;
  let keyRemoved = false;
  for (let i = 2; hash !== 0 && i < c.argc && !keyRemoved; i++) {
    if (!hashTypeDelete(h, hash, c.argOff[i], c.argLen[i])) continue;
    deleted++;
    if (hashTypeLength(h, hash) === 0) keyRemoved = dbDelete(core, c.db, key, keyLength);
  }
  if (deleted > 0) {
    changed(core, c, 'hdel', deleted);
    if (keyRemoved) core.notifyKeyspaceEvent(NOTIFY_GENERIC, 'del', key, keyLength, c.db.id);
  }
  addReplyLong(c, deleted);
}

function hlenCommand(core: RedisCore, c: Client): void {
  const hash = lookupKeyRead(core, c.db, c.argOff[1], c.argLen[1]);
  if (isWrongType(core, c, hash, OBJ_HASH)) return;
  addReplyLong(c, hash === 0 ? 0 : hashTypeLength(core.heap, hash));
}

/** Length in bytes of the text of the value that hashTypeGet found last. */
function hashValueTextLength(core: RedisCore): number {
  if (!hashValueIsInteger) return hashValueLength;
  const text = core.heap.scratch;
  return putInt64(core.heap.u8, text, hashValueLow, hashValueHigh) - text;
}

function hstrlenCommand(core: RedisCore, c: Client): void {
  const hash = lookupKeyRead(core, c.db, c.argOff[1], c.argLen[1]);
  if (isWrongType(core, c, hash, OBJ_HASH)) return;
  const there = hash !== 0 && hashTypeGet(core.heap, hash, c.argOff[2], c.argLen[2]);
  addReplyLong(c, there ? hashValueTextLength(core) : 0);
}

function hexistsCommand(core: RedisCore, c: Client): void {
  const hash = lookupKeyRead(core, c.db, c.argOff[1], c.argLen[1]);
  if (isWrongType(core, c, hash, OBJ_HASH)) return;
  addReplyLong(c, hash !== 0 && hashTypeExists(core.heap, hash, c.argOff[2], c.argLen[2]) ? 1 : 0);
}

/** Replies keys, values or both of a hash; both as a map. */
function getAll(core: RedisCore, c: Client, what: number): void {
  const h = core.heap;
  const hash = lookupKeyRead(core, c.db, c.argOff[1], c.argLen[1]);
  if (isWrongType(core, c, hash, OBJ_HASH)) return;
  const count = hash === 0 ? 0 : hashTypeLength(h, hash);
  if (what === (KEYS | VALUES)) addReplyMapLen(c, count);
  else addReplyArrayLen(c, count);
  if (hash === 0) return;
  const value = robjPtr(h, hash);
  if (robjEncoding(h, hash) === OBJ_ENCODING_HT) {
    const entries = new DictIterator(h, value);
    for (let entry = entries.next(); entry !== 0; entry = entries.next()) {
      if ((what & KEYS) !== 0) addReplyBulk(c, dictKey(h, entry), sdsLen(h, dictKey(h, entry)));
      if ((what & VALUES) !== 0) addReplyFieldValue(c, entry);
    }
    return;
  }
  let isValue = false;
  for (let p = lpFirst(h, value); p !== 0; p = lpNext(h, value, p)) {
    if ((what & (isValue ? VALUES : KEYS)) !== 0) addReplyListpackElement(c, p);
    isValue = !isValue;
  }
}

/** The value of a dict's entry as a bulk string. */
function addReplyFieldValue(c: Client, entry: number): void {
  const h = c.core.heap;
  const value = dictValue(h, entry);
  addReplyBulk(c, value, sdsLen(h, value));
}

function hincrbyCommand(core: RedisCore, c: Client): void {
  const h = core.heap;
  if (!readInteger(core, c, 3)) return;
  const stepLow = parsedLow;
  const stepHigh = parsedHigh;
  const step = parsedNumber;
  const hash = lookupOrCreate(core, c);
  if (hash === 0) return;
  let low = 0;
  let high = 0;
  if (hashTypeGet(h, hash, c.argOff[2], c.argLen[2])) {
    if (hashValueIsInteger) {
      low = hashValueLow;
      high = hashValueHigh;
    } else if (parseInt64(h.u8, hashValueOffset, hashValueLength)) {
      low = parsedLow;
      high = parsedHigh;
    } else {
      addReplyError(c, 'hash value is not an integer');
      return;
    }
  }
  const old = high * 4294967296 + low;
  const sum = old + step;
  if (Number.isSafeInteger(old) && Number.isSafeInteger(step) && Number.isSafeInteger(sum)) {
    low = sum >>> 0;
    high = Math.floor(sum / 4294967296);
  } else {
    const exact = wordsToBigInt(low, high) + wordsToBigInt(stepLow, stepHigh);
    if (!fitsInt64(exact)) {
      addReplyError(c, 'increment or decrement would overflow');
      return;
    }
    low = Number(BigInt.asUintN(32, exact));
    high = Number(exact >> 32n);
  }
  const text = h.scratch + NUMBER_AT;
  setNumber(core, c, hash, text, putInt64(h.u8, text, low, high) - text);
  addReplyLong64(c, low, high);
  changed(core, c, 'hincrby', 1);
}

/** Sets the field of argument 2 to a text. */
function setNumber(core: RedisCore, c: Client, hash: number, text: number, length: number): void {
  try {
    hashTypeSet(core.heap, hash, c.argOff[2], c.argLen[2], text, length);
  } finally {
    dropIfEmpty(core, c, hash);
  }
}

function hincrbyfloatCommand(core: RedisCore, c: Client): void {
  const h = core.heap;
  const step = parseLongDouble(c.argText(3));
  if (step === null) {
    addReplyError(c, 'value is not a valid float');
    return;
  }
  if (step.infinite !== 0) {
    addReplyError(c, 'value is NaN or Infinity');
    return;
  }
  const hash = lookupOrCreate(core, c);
  if (hash === 0) return;
  let old = longDoubleFromBigInt(0n);
  if (hashTypeGet(h, hash, c.argOff[2], c.argLen[2])) {
    const parsed = hashValueIsInteger
      ? longDoubleFromBigInt(wordsToBigInt(hashValueLow, hashValueHigh))
      : parseLongDouble(h.latin1(hashValueOffset, hashValueLength));
    if (parsed === null) {
      addReplyError(c, 'hash value is not a float');
      return;
    }
    old = parsed;
  }
  const sum = addLongDoubles(old, step);
  if (sum === null || sum.infinite !== 0) {
    addReplyError(c, 'increment would produce NaN or Infinity');
    return;
  }
  const text = formatLongDouble(sum);
  if (core.effects.active) {
    // The sum is written down: another machine's arithmetic might differ.
    core.effects.begin(c.db, 4);
    core.effects.text('HSET');
    core.effects.argOf(c, 1);
    core.effects.argOf(c, 2);
    core.effects.text(text);
  }
  const block = text.length > NUMBER_BYTES ? h.alloc(text.length) : 0;
  const at = block === 0 ? h.scratch + NUMBER_AT : block;
  try {
    h.putLatin1(text, at);
    setNumber(core, c, hash, at, text.length);
  } finally {
    if (block !== 0) h.free(block);
  }
  addReplyBulkString(c, text);
  changed(core, c, 'hincrbyfloat', 1);
}

function hscanCommand(core: RedisCore, c: Client): void {
  const cursor = readCursor(c, 2);
  if (cursor === null) return;
  const hash = lookupKeyRead(core, c.db, c.argOff[1], c.argLen[1]);
  if (hash === 0) {
    addReplyProto(c, EMPTY_SCAN);
    return;
  }
  if (isWrongType(core, c, hash, OBJ_HASH)) return;
  const h = core.heap;
  const dict = robjEncoding(h, hash) === OBJ_ENCODING_HT ? robjPtr(h, hash) : 0;
  scanCollection(core, c, cursor, hash, dict, addReplyFieldValue);
}

/** By full name. */
export const hashProcs: Readonly<Record<string, CommandProc>> = {
  ...hashRandomProcs,
  hdel: hdelCommand,
  hexists: hexistsCommand,
  hget: hgetCommand,
  hgetall: (core, c) => getAll(core, c, KEYS | VALUES),
  hincrby: hincrbyCommand,
  hincrbyfloat: hincrbyfloatCommand,
  hkeys: (core, c) => getAll(core, c, KEYS),
  hlen: hlenCommand,
  hmget: hmgetCommand,
  hmset: (core, c) => hsetGeneric(core, c, true),
  hscan: hscanCommand,
  hset: (core, c) => hsetGeneric(core, c, false),
  hsetnx: hsetnxCommand,
  hstrlen: hstrlenCommand,
  hvals: (core, c) => getAll(core, c, VALUES),
};
