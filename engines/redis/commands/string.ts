/** The commands of the group "string": SET, GET and their kin; counters are in string-numbers.ts, LCS in lcs.ts. */
import type { Client } from '../client.ts';
import type { CommandProc } from '../command.ts';
import {
  dbAdd,
  dbDelete,
  dbOverwrite,
  foundEntry,
  lookupKeyRead,
  lookupKeyWrite,
  NOTIFY_GENERIC,
  NOTIFY_STRING,
  removeExpire,
  setExpire,
  setKey,
} from '../db.ts';
import { policyIsLfu } from '../evict.ts';
import {
  addReplyArrayLen,
  addReplyBulk,
  addReplyBulkObject,
  addReplyError,
  addReplyLong,
  addReplyNull,
  addReplyOk,
  addReplyProto,
  SYNTAX_ERROR,
} from '../protocol/reply.ts';
import type { RedisCore } from '../redis-core.ts';
import { dictValue } from '../structures/dict-layout.ts';
import {
  createEncodedString,
  createRawString,
  decrRefCount,
  OBJ_ENCODING_INT,
  OBJ_ENCODING_RAW,
  OBJ_STRING,
  overwriteString,
  robjEncoding,
  robjIntText,
  robjLru,
  robjPtr,
  robjRefCount,
  robjSetLru,
  robjSetPtr,
  robjType,
  stringObjectLen,
  trimStringObject,
  wrapSds,
} from '../structures/robj.ts';
import { sdsCatLen, sdsGrowZero, sdsLen, sdsNewRoom } from '../structures/sds.ts';
import {
  argBigInt,
  argNumber,
  INT64_MAX_BIG,
  INT64_MIN_BIG,
  invalidExpireTime,
  isWrongType,
  readInteger,
} from './integer-arguments.ts';
import { lcsCommand } from './lcs.ts';
import { decrbyCommand, decrCommand, incrbyCommand, incrbyfloatCommand, incrCommand } from './string-numbers.ts';

const SET_NX = 1 << 0;
const SET_XX = 1 << 1;
const SET_EX = 1 << 2;
const SET_PX = 1 << 3;
const SET_KEEPTTL = 1 << 4;
const SET_GET = 1 << 5;
const SET_EXAT = 1 << 6;
const SET_PXAT = 1 << 7;
const SET_PERSIST = 1 << 8;
const SET_ANY_EXPIRE = SET_EX | SET_PX | SET_EXAT | SET_PXAT;

/** Replies of SET-like commands. */
const REPLY_OK_OR_NULL = 0;
const REPLY_ONE_OR_ZERO = 1;

/** The value object for argument `i`: a directly read string is taken over, anything else is copied and encoded. */
export function valueFromArgument(core: RedisCore, c: Client, i: number): number {
  // MSET may name a key twice: the first value is gone then when the command is written down as an effect.
  const s = core.effects.active && c.argc > 3 && c.command?.name[0] === 'm' ? 0 : c.takeSds(i);
  if (s === 0) return createEncodedString(core.heap, c.argOff[i], c.argLen[i]);
  const o = wrapSds(core.heap, s);
  trimStringObject(core.heap, o);
  // The argument may have moved, and its bytes are still wanted: by whoever writes down effects.
  c.argOff[i] = robjPtr(core.heap, o);
  return o;
}

/** Argument index of the expiry that parseOptions found. */
let expireArg = 0;

/** Reads the options of SET (from argument 3) or GETEX (from 2). @returns SET_ flags, or -1 after a syntax error */
function parseOptions(c: Client, from: number, forSet: boolean): number {
  let flags = 0;
  expireArg = 0;
  for (let i = from; i < c.argc; i++) {
    const more = i + 1 < c.argc;
    if (forSet && c.argIs(i, 'nx') && (flags & SET_XX) === 0) flags |= SET_NX;
    else if (forSet && c.argIs(i, 'xx') && (flags & SET_NX) === 0) flags |= SET_XX;
    else if (forSet && c.argIs(i, 'get')) flags |= SET_GET;
    else if (forSet && c.argIs(i, 'keepttl') && (flags & SET_ANY_EXPIRE) === 0) flags |= SET_KEEPTTL;
    else if (!forSet && c.argIs(i, 'persist') && (flags & SET_ANY_EXPIRE) === 0) flags |= SET_PERSIST;
    else {
      const unit = c.argIs(i, 'ex')
        ? SET_EX
        : c.argIs(i, 'px')
          ? SET_PX
          : c.argIs(i, 'exat')
            ? SET_EXAT
            : c.argIs(i, 'pxat')
              ? SET_PXAT
              : 0;
      const others = (SET_KEEPTTL | SET_PERSIST | SET_ANY_EXPIRE) & ~unit;
      if (unit === 0 || !more || (flags & others) !== 0) {
        addReplyError(c, SYNTAX_ERROR);
        return -1;
      }
      flags |= unit;
      expireArg = ++i;
    }
  }
  return flags;
}

/** The expiry time that readExpiry computed, in ms since the epoch. */
let expiryMs: number | bigint = 0;

/** Reads argument `i` as an expiry in the unit of `flags`. Replies with an error and returns false if it is none. */
function readExpiry(core: RedisCore, c: Client, i: number, flags: number): boolean {
  if (!readInteger(core, c, i)) return false;
  const seconds = (flags & (SET_EX | SET_EXAT)) !== 0;
  const relative = (flags & (SET_EX | SET_PX)) !== 0;
  if (argNumber > 0 && argNumber < 1e12) {
    expiryMs = (seconds ? argNumber * 1000 : argNumber) + (relative ? core.nowMs : 0);
    return true;
  }
  let when = argBigInt();
  if (when <= 0n || (seconds && when > INT64_MAX_BIG / 1000n)) {
    invalidExpireTime(c);
    return false;
  }
  if (seconds) when *= 1000n;
  if (relative) when += BigInt(core.nowMs);
  if (when > INT64_MAX_BIG || when < INT64_MIN_BIG) {
    invalidExpireTime(c);
    return false;
  }
  expiryMs = when;
  return true;
}

/** Replies with the value of argument 1's key. @returns false after a WRONGTYPE error */
function replyValue(core: RedisCore, c: Client): boolean {
  const value = lookupKeyRead(core, c.db, c.argOff[1], c.argLen[1]);
  if (value === 0) {
    addReplyNull(c);
    return true;
  }
  if (isWrongType(core, c, value)) return false;
  addReplyBulkObject(c, value);
  return true;
}

/**
 * Replaces an entry's value in place where that comes to the same as a new value. Not while a snapshot is written: a new value lies in
 * other pages than the old one, and which pages are stored to then is what copy-on-write costs. In place it would be 0.6 of the
 * original's copies for the same writes, and who plans memory by it would plan too little.
 */
function overwrite(core: RedisCore, entry: number, from: number, length: number): boolean {
  if (core.persistence.saving) return false;
  const h = core.heap;
  const value = dictValue(h, entry);
  const lru = robjLru(h, value);
  if (!overwriteString(h, value, from, length)) return false;
  // As in dbOverwrite, an access history outlives the value.
  if (policyIsLfu(core)) robjSetLru(h, value, lru);
  return true;
}

/** What a SET with an expiry or GET comes to: the same with the time of the expiry, and without reading. */
function effectOfSet(
  core: RedisCore,
  c: Client,
  flags: number,
  valueArg: number,
  expiryArg: number,
  when: number | bigint,
): void {
  const { effects } = core;
  if (expiryArg !== 0) {
    effects.begin(c.db, 5);
    effects.text('SET');
    effects.argOf(c, 1);
    effects.argOf(c, valueArg);
    effects.text('PXAT');
    effects.text(String(when));
    return;
  }
  if ((flags & SET_GET) === 0) return;
  let kept = 0;
  for (let i = 0; i < c.argc; i++) if (i < 3 || !c.argIs(i, 'get')) kept++;
  effects.begin(c.db, kept);
  for (let i = 0; i < c.argc; i++) if (i < 3 || !c.argIs(i, 'get')) effects.argOf(c, i);
}

/** A command that gives argument 1's key a value: what SET does. */
function effectOfValue(core: RedisCore, c: Client, valueArg: number): void {
  core.effects.begin(c.db, 3);
  core.effects.text('SET');
  core.effects.argOf(c, 1);
  core.effects.argOf(c, valueArg);
}

function setGeneric(
  core: RedisCore,
  c: Client,
  flags: number,
  valueArg: number,
  expiryArg: number,
  reply: number,
): void {
  if (expiryArg !== 0 && !readExpiry(core, c, expiryArg, flags)) return;
  const when = expiryMs;
  if ((flags & SET_GET) !== 0 && !replyValue(core, c)) return;
  const offset = c.argOff[1];
  const length = c.argLen[1];
  const found = lookupKeyWrite(core, c.db, offset, length) !== 0;
  const entry = foundEntry;
  if (((flags & SET_NX) !== 0 && found) || ((flags & SET_XX) !== 0 && !found)) {
    if ((flags & SET_GET) === 0) {
      if (reply === REPLY_ONE_OR_ZERO) addReplyLong(c, 0);
      else addReplyNull(c);
    }
    return;
  }
  if (found && valueArg !== c.bigArg && overwrite(core, entry, c.argOff[valueArg], c.argLen[valueArg])) {
    if ((flags & SET_KEEPTTL) === 0) removeExpire(core, c.db, offset, length);
    core.signalModifiedKey(c.db, offset, length);
  } else {
    const value = valueFromArgument(core, c, valueArg);
    setKey(core, c.db, offset, length, value, (flags & SET_KEEPTTL) !== 0, entry);
  }
  core.dirty++;
  core.notifyKeyspaceEvent(NOTIFY_STRING, 'set', offset, length, c.db.id);
  if (expiryArg !== 0) {
    setExpire(core, c.db, offset, length, when);
    core.notifyKeyspaceEvent(NOTIFY_GENERIC, 'expire', offset, length, c.db.id);
  }
  if (core.effects.active) effectOfSet(core, c, flags, valueArg, expiryArg, when);
  if ((flags & SET_GET) !== 0) return;
  if (reply === REPLY_ONE_OR_ZERO) addReplyLong(c, 1);
  else addReplyOk(c);
}

function setCommand(core: RedisCore, c: Client): void {
  if (c.argc === 3) {
    setGeneric(core, c, 0, 2, 0, REPLY_OK_OR_NULL);
    return;
  }
  const flags = parseOptions(c, 3, true);
  if (flags >= 0) setGeneric(core, c, flags, 2, expireArg, REPLY_OK_OR_NULL);
}

function getCommand(core: RedisCore, c: Client): void {
  replyValue(core, c);
}

function getexCommand(core: RedisCore, c: Client): void {
  const flags = parseOptions(c, 2, false);
  if (flags < 0) return;
  const expiryArg = expireArg;
  const offset = c.argOff[1];
  const length = c.argLen[1];
  const value = lookupKeyRead(core, c.db, offset, length);
  if (value === 0) {
    addReplyNull(c);
    return;
  }
  if (isWrongType(core, c, value)) return;
  if (expiryArg !== 0 && !readExpiry(core, c, expiryArg, flags)) return;
  addReplyBulkObject(c, value);
  const { effects } = core;
  if ((flags & (SET_PXAT | SET_EXAT)) !== 0 && expiryMs <= core.nowMs && !core.persistence.loading) {
    const lazily = core.config.lazyfreeLazyExpire;
    dbDelete(core, c.db, offset, length, lazily);
    if (effects.active) effects.deletion(c, lazily);
    changed(core, c, NOTIFY_GENERIC, 'del');
  } else if (expiryArg !== 0) {
    setExpire(core, c.db, offset, length, expiryMs);
    if (effects.active) {
      effects.begin(c.db, 3);
      effects.text('PEXPIREAT');
      effects.argOf(c, 1);
      effects.text(String(expiryMs));
    }
    changed(core, c, NOTIFY_GENERIC, 'expire');
  } else if ((flags & SET_PERSIST) !== 0 && removeExpire(core, c.db, offset, length)) {
    if (effects.active) {
      effects.begin(c.db, 2);
      effects.text('PERSIST');
      effects.argOf(c, 1);
    }
    changed(core, c, NOTIFY_GENERIC, 'persist');
  }
}

/** Tells everybody that argument 1's key has changed. */
function changed(core: RedisCore, c: Client, type: number, event: string): void {
  core.signalModifiedKey(c.db, c.argOff[1], c.argLen[1]);
  core.notifyKeyspaceEvent(type, event, c.argOff[1], c.argLen[1], c.db.id);
  core.dirty++;
}

function getdelCommand(core: RedisCore, c: Client): void {
  if (!replyValue(core, c)) return;
  const lazily = core.config.lazyfreeLazyUserDel;
  if (!dbDelete(core, c.db, c.argOff[1], c.argLen[1], lazily)) return;
  if (core.effects.active) core.effects.deletion(c, lazily);
  changed(core, c, NOTIFY_GENERIC, 'del');
}

function getsetCommand(core: RedisCore, c: Client): void {
  if (!replyValue(core, c)) return;
  lookupKeyWrite(core, c.db, c.argOff[1], c.argLen[1]);
  const entry = foundEntry;
  const value = valueFromArgument(core, c, 2);
  setKey(core, c.db, c.argOff[1], c.argLen[1], value, false, entry);
  core.notifyKeyspaceEvent(NOTIFY_STRING, 'set', c.argOff[1], c.argLen[1], c.db.id);
  core.dirty++;
  if (core.effects.active) effectOfValue(core, c, 2);
}

/** Replies with an error if a string would grow beyond what a client may send. @returns whether it fits */
function checkStringLength(core: RedisCore, c: Client, size: number, more: number): boolean {
  // What a file says has been done before.
  if (size + more <= core.config.protoMaxBulkLen || core.persistence.loading) return true;
  addReplyError(c, 'string exceeds maximum allowed size (proto-max-bulk-len)');
  return false;
}

/** Makes a value one that may be changed in place: raw, and referred to by its key alone. @returns the object */
export function unshare(core: RedisCore, entry: number, value: number): number {
  const h = core.heap;
  if (robjEncoding(h, value) === OBJ_ENCODING_RAW && robjRefCount(h, value) === 1) return value;
  let raw: number;
  if (robjEncoding(h, value) === OBJ_ENCODING_INT) {
    const text = robjIntText(h, value);
    const s = sdsNewRoom(h, text.length);
    h.putLatin1(text, s);
    raw = wrapSds(h, s);
  } else {
    const s = robjPtr(h, value);
    raw = createRawString(h, s, sdsLen(h, s));
  }
  dbOverwrite(core, entry, raw);
  return raw;
}

function setrangeCommand(core: RedisCore, c: Client): void {
  if (!readInteger(core, c, 2)) return;
  const at = argNumber;
  if (at < 0) {
    addReplyError(c, 'offset is out of range');
    return;
  }
  const h = core.heap;
  const length = c.argLen[3];
  let value = lookupKeyWrite(core, c.db, c.argOff[1], c.argLen[1]);
  const entry = foundEntry;
  if (value === 0) {
    if (length === 0) {
      addReplyLong(c, 0);
      return;
    }
    if (!checkStringLength(core, c, at, length)) return;
    const s = sdsNewRoom(h, at + length);
    h.u8.fill(0, s, s + at + length);
    value = wrapSds(h, s);
    addOrRelease(core, c, value);
  } else {
    if (isWrongType(core, c, value)) return;
    if (length === 0) {
      addReplyLong(c, stringObjectLen(h, value));
      return;
    }
    if (!checkStringLength(core, c, at, length)) return;
    value = unshare(core, entry, value);
  }
  const s = sdsGrowZero(h, robjPtr(h, value), at + length);
  robjSetPtr(h, value, s);
  h.copy(c.argOff[3], s + at, length);
  changed(core, c, NOTIFY_STRING, 'setrange');
  addReplyLong(c, sdsLen(h, s));
}

/** Adds argument 1's key with a value whose reference it takes over, also when it throws. */
function addOrRelease(core: RedisCore, c: Client, value: number): void {
  try {
    dbAdd(core, c.db, c.argOff[1], c.argLen[1], value);
  } catch (error) {
    decrRefCount(core.heap, value);
    throw error;
  }
}

function getrangeCommand(core: RedisCore, c: Client): void {
  if (!readInteger(core, c, 2)) return;
  let start = argNumber;
  if (!readInteger(core, c, 3)) return;
  let end = argNumber;
  const h = core.heap;
  const value = lookupKeyRead(core, c.db, c.argOff[1], c.argLen[1]);
  if (value === 0) {
    addReplyProto(c, '$0\r\n\r\n');
    return;
  }
  if (isWrongType(core, c, value)) return;
  const length = stringObjectLen(h, value);
  const inverted = start < 0 && end < 0 && start > end;
  if (start < 0) start = Math.max(0, length + start);
  if (end < 0) end = Math.max(0, length + end);
  if (end >= length) end = length - 1;
  if (inverted || start > end || length === 0) {
    addReplyProto(c, '$0\r\n\r\n');
  } else if (robjEncoding(h, value) === OBJ_ENCODING_INT) {
    const part = robjIntText(h, value).slice(start, end + 1);
    addReplyProto(c, `$${part.length}\r\n${part}\r\n`);
  } else {
    addReplyBulk(c, robjPtr(h, value) + start, end - start + 1);
  }
}

function appendCommand(core: RedisCore, c: Client): void {
  const h = core.heap;
  let value = lookupKeyWrite(core, c.db, c.argOff[1], c.argLen[1]);
  const entry = foundEntry;
  let total: number;
  if (value === 0) {
    value = valueFromArgument(core, c, 2);
    addOrRelease(core, c, value);
    total = stringObjectLen(h, value);
  } else {
    if (isWrongType(core, c, value)) return;
    if (!checkStringLength(core, c, stringObjectLen(h, value), c.argLen[2])) return;
    value = unshare(core, entry, value);
    const s = sdsCatLen(h, robjPtr(h, value), c.argOff[2], c.argLen[2]);
    robjSetPtr(h, value, s);
    total = sdsLen(h, s);
  }
  changed(core, c, NOTIFY_STRING, 'append');
  addReplyLong(c, total);
}

function strlenCommand(core: RedisCore, c: Client): void {
  const value = lookupKeyRead(core, c.db, c.argOff[1], c.argLen[1]);
  if (isWrongType(core, c, value)) return;
  addReplyLong(c, value === 0 ? 0 : stringObjectLen(core.heap, value));
}

function mgetCommand(core: RedisCore, c: Client): void {
  addReplyArrayLen(c, c.argc - 1);
  for (let i = 1; i < c.argc; i++) {
    const value = lookupKeyRead(core, c.db, c.argOff[i], c.argLen[i]);
    if (value === 0 || robjType(core.heap, value) !== OBJ_STRING) addReplyNull(c);
    else addReplyBulkObject(c, value);
  }
}

function msetGeneric(core: RedisCore, c: Client, onlyNew: boolean): void {
  if ((c.argc & 1) === 0) {
    addReplyError(c, `wrong number of arguments for '${c.command?.fullName ?? ''}' command`);
    return;
  }
  if (onlyNew) {
    for (let i = 1; i < c.argc; i += 2) {
      if (lookupKeyWrite(core, c.db, c.argOff[i], c.argLen[i]) !== 0) {
        addReplyLong(c, 0);
        return;
      }
    }
  }
  for (let i = 1; i < c.argc; i += 2) {
    lookupKeyWrite(core, c.db, c.argOff[i], c.argLen[i]);
    const entry = foundEntry;
    const value = valueFromArgument(core, c, i + 1);
    setKey(core, c.db, c.argOff[i], c.argLen[i], value, false, entry);
    core.notifyKeyspaceEvent(NOTIFY_STRING, 'set', c.argOff[i], c.argLen[i], c.db.id);
    // Counted one by one: the next one may find no memory.
    core.dirty++;
  }
  if (onlyNew) addReplyLong(c, 1);
  else addReplyOk(c);
}

/** The procedures of the group, by full name. */
export const stringProcs: Readonly<Record<string, CommandProc>> = {
  append: appendCommand,
  decr: decrCommand,
  decrby: decrbyCommand,
  get: getCommand,
  getdel: getdelCommand,
  getex: getexCommand,
  getrange: getrangeCommand,
  getset: getsetCommand,
  incr: incrCommand,
  incrby: incrbyCommand,
  incrbyfloat: incrbyfloatCommand,
  lcs: lcsCommand,
  mget: mgetCommand,
  mset: (core, c) => msetGeneric(core, c, false),
  msetnx: (core, c) => msetGeneric(core, c, true),
  psetex: (core, c) => setGeneric(core, c, SET_PX, 3, 2, REPLY_OK_OR_NULL),
  set: setCommand,
  setex: (core, c) => setGeneric(core, c, SET_EX, 3, 2, REPLY_OK_OR_NULL),
  setnx: (core, c) => setGeneric(core, c, SET_NX, 2, 0, REPLY_ONE_OR_ZERO),
  setrange: setrangeCommand,
  strlen: strlenCommand,
  substr: getrangeCommand,
};
