/** The commands of the group "generic", and those of "server" that work on whole databases. Expiry is in expiry.ts, SCAN in scan.ts. */
import type { Client } from '../client.ts';
import type { CommandProc } from '../command.ts';
import {
  type Db,
  dbAdd,
  dbDelete,
  deleteKey,
  emptyDb,
  expireIfNeeded,
  getExpire,
  getExpireBig,
  LOOKUP_NOTOUCH,
  lookupKey,
  lookupKeyRead,
  lookupKeyWrite,
  NOTIFY_GENERIC,
  setExpire,
} from '../db.ts';
import {
  addReplyBulk,
  addReplyError,
  addReplyLong,
  addReplyNull,
  addReplyOk,
  addReplyStatus,
  NO_SUCH_KEY,
  SYNTAX_ERROR,
} from '../protocol/reply.ts';
import type { RedisCore } from '../redis-core.ts';
import { dictKey, dictSize } from '../structures/dict-layout.ts';
import { dictFairRandomEntry } from '../structures/dict-sample.ts';
import { decrRefCount, incrRefCount, robjType } from '../structures/robj.ts';
import { sdsLen } from '../structures/sds.ts';
import { dumpProcs } from './dump.ts';
import { expiryProcs } from './expiry.ts';
import { argNumber, readInt32 } from './integer-arguments.ts';
import { keysCommand, scanCommand, typeName } from './scan.ts';
import { sortProcs } from './sort.ts';
import { waitProcs } from './wait.ts';

const SAME_OBJECT = 'source and destination objects are the same';
const DB_OUT_OF_RANGE = 'DB index is out of range';
/** Expired keys that RANDOMKEY passes over before it gives one that it cannot delete. */
const RANDOM_KEY_TRIES = 100;

function deleteGeneric(core: RedisCore, c: Client, lazy: boolean): void {
  let deleted = 0;
  for (let i = 1; i < c.argc; i++) {
    const offset = c.argOff[i];
    const length = c.argLen[i];
    expireIfNeeded(core, c.db, offset, length);
    if (deleteKey(core, c.db, offset, length, lazy)) deleted++;
  }
  addReplyLong(c, deleted);
}

function countGeneric(core: RedisCore, c: Client, flags: number): void {
  let count = 0;
  for (let i = 1; i < c.argc; i++) if (lookupKey(core, c.db, c.argOff[i], c.argLen[i], flags) !== 0) count++;
  addReplyLong(c, count);
}

function typeCommand(core: RedisCore, c: Client): void {
  const value = lookupKey(core, c.db, c.argOff[1], c.argLen[1], LOOKUP_NOTOUCH);
  addReplyStatus(c, value === 0 ? 'none' : typeName(core, value));
}

function randomkeyCommand(core: RedisCore, c: Client): void {
  const h = core.heap;
  for (let tries = 0; tries < RANDOM_KEY_TRIES; tries++) {
    const entry = dictFairRandomEntry(h, c.db.dict);
    if (entry === 0) break;
    const key = dictKey(h, entry);
    const length = sdsLen(h, key);
    if (expireIfNeeded(core, c.db, key, length)) continue;
    addReplyBulk(c, key, length);
    return;
  }
  addReplyNull(c);
}

/** Carries the expiry of a key over to another. */
function copyExpire(
  core: RedisCore,
  from: Db,
  offset: number,
  length: number,
  to: Db,
  toOffset: number,
  toLength: number,
): void {
  const when = getExpire(core, from, offset, length);
  if (when === -1) return;
  const exact = Number.isSafeInteger(when) ? when : getExpireBig(core, from, offset, length);
  setExpire(core, to, toOffset, toLength, exact);
}

function sameArguments(c: Client, i: number, j: number): boolean {
  if (c.argLen[i] !== c.argLen[j]) return false;
  const u8 = c.core.heap.u8;
  for (let k = 0; k < c.argLen[i]; k++) if (u8[c.argOff[i] + k] !== u8[c.argOff[j] + k]) return false;
  return true;
}

/** Adds a key with one more reference to `value`. */
function addShared(core: RedisCore, db: Db, offset: number, length: number, value: number): void {
  incrRefCount(core.heap, value);
  try {
    dbAdd(core, db, offset, length, value);
  } catch (error) {
    decrRefCount(core.heap, value);
    throw error;
  }
}

function renameGeneric(core: RedisCore, c: Client, onlyNew: boolean): void {
  const [, from, to] = c.argOff;
  const [, fromLength, toLength] = c.argLen;
  const value = lookupKeyWrite(core, c.db, from, fromLength);
  if (value === 0) {
    addReplyError(c, NO_SUCH_KEY);
    return;
  }
  if (sameArguments(c, 1, 2)) {
    if (onlyNew) addReplyLong(c, 0);
    else addReplyOk(c);
    return;
  }
  const taken = lookupKeyWrite(core, c.db, to, toLength) !== 0;
  if (taken) {
    if (onlyNew) {
      addReplyLong(c, 0);
      return;
    }
    dbDelete(core, c.db, to, toLength);
  }
  try {
    addShared(core, c.db, to, toLength, value);
  } catch (error) {
    // What was there is gone all the same.
    if (taken) core.dirty++;
    throw error;
  }
  copyExpire(core, c.db, from, fromLength, c.db, to, toLength);
  dbDelete(core, c.db, from, fromLength);
  core.signalModifiedKey(c.db, from, fromLength);
  core.signalModifiedKey(c.db, to, toLength);
  core.notifyKeyspaceEvent(NOTIFY_GENERIC, 'rename_from', from, fromLength, c.db.id);
  core.notifyKeyspaceEvent(NOTIFY_GENERIC, 'rename_to', to, toLength, c.db.id);
  core.dirty++;
  if (onlyNew) addReplyLong(c, 1);
  else addReplyOk(c);
}

/** The database whose number is argument `i`; null after an error. */
function dbArgument(core: RedisCore, c: Client, i: number): Db | null {
  if (!readInt32(core, c, i)) return null;
  const db = core.dbs[argNumber];
  if (db !== undefined) return db;
  addReplyError(c, DB_OUT_OF_RANGE);
  return null;
}

function moveCommand(core: RedisCore, c: Client): void {
  const source = c.db;
  const target = dbArgument(core, c, 2);
  if (target === null) return;
  if (target === source) {
    addReplyError(c, SAME_OBJECT);
    return;
  }
  const key = c.argOff[1];
  const length = c.argLen[1];
  const value = lookupKeyWrite(core, source, key, length);
  if (value === 0 || lookupKeyWrite(core, target, key, length) !== 0) {
    addReplyLong(c, 0);
    return;
  }
  addShared(core, target, key, length, value);
  copyExpire(core, source, key, length, target, key, length);
  dbDelete(core, source, key, length);
  core.signalModifiedKey(source, key, length);
  core.signalModifiedKey(target, key, length);
  core.notifyKeyspaceEvent(NOTIFY_GENERIC, 'move_from', key, length, source.id);
  core.notifyKeyspaceEvent(NOTIFY_GENERIC, 'move_to', key, length, target.id);
  core.dirty++;
  addReplyLong(c, 1);
}

function copyCommand(core: RedisCore, c: Client): void {
  const source = c.db;
  let target = source;
  let replace = false;
  for (let i = 3; i < c.argc; i++) {
    if (c.argIs(i, 'replace')) {
      replace = true;
    } else if (c.argIs(i, 'db') && i + 1 < c.argc) {
      const db = dbArgument(core, c, ++i);
      if (db === null) return;
      target = db;
    } else {
      addReplyError(c, SYNTAX_ERROR);
      return;
    }
  }
  if (source === target && sameArguments(c, 1, 2)) {
    addReplyError(c, SAME_OBJECT);
    return;
  }
  const to = c.argOff[2];
  const toLength = c.argLen[2];
  const value = lookupKeyRead(core, source, c.argOff[1], c.argLen[1]);
  if (value === 0) {
    addReplyLong(c, 0);
    return;
  }
  const taken = lookupKeyWrite(core, target, to, toLength) !== 0;
  if (taken && !replace) {
    addReplyLong(c, 0);
    return;
  }
  const copy = core.heap.types[robjType(core.heap, value)].duplicate(core.heap, value);
  if (taken) dbDelete(core, target, to, toLength);
  try {
    dbAdd(core, target, to, toLength, copy);
  } catch (error) {
    if (taken) core.dirty++;
    decrRefCount(core.heap, copy);
    throw error;
  }
  copyExpire(core, source, c.argOff[1], c.argLen[1], target, to, toLength);
  core.signalModifiedKey(target, to, toLength);
  core.notifyKeyspaceEvent(NOTIFY_GENERIC, 'copy_to', to, toLength, target.id);
  core.dirty++;
  addReplyLong(c, 1);
}

/** Whether FLUSHDB or FLUSHALL is to give memory back later, as its option or the configuration says. */
let flushLazily = false;

/** Reads the options of FLUSHDB and FLUSHALL. @returns false after a syntax error */
function checkFlushOptions(core: RedisCore, c: Client): boolean {
  flushLazily = core.config.lazyfreeLazyUserFlush;
  if (c.argc === 1) return true;
  if (c.argc === 2 && (c.argIs(1, 'sync') || c.argIs(1, 'async'))) {
    flushLazily = c.argIs(1, 'async');
    return true;
  }
  addReplyError(c, SYNTAX_ERROR);
  return false;
}

function flushdbCommand(core: RedisCore, c: Client): void {
  if (!checkFlushOptions(core, c)) return;
  core.signalFlushedDb(c.db);
  core.dirty += emptyDb(core, c.db, flushLazily);
  // A log is told of it also when there was nothing to remove.
  if (core.effects.active) core.effects.addCommand(c);
  if (!flushLazily) core.hooks.purgeMemory?.();
  addReplyOk(c);
}

function flushallCommand(core: RedisCore, c: Client): void {
  if (!checkFlushOptions(core, c)) return;
  core.signalFlushedDb(null);
  for (const db of core.dbs) core.dirty += emptyDb(core, db, flushLazily);
  // A log is told of it also when there was nothing to remove.
  if (core.effects.active) core.effects.addCommand(c);
  const saver = core.persistence;
  if (saver.saving && !saver.rewriting) saver.abortSave();
  // Where data are saved by themselves, what was flushed must not come back with the next start.
  if (core.disk !== null && core.config.save.length > 0) saver.save();
  if (!flushLazily) core.hooks.purgeMemory?.();
  addReplyOk(c);
}

function swapdbCommand(core: RedisCore, c: Client): void {
  if (!readInt32(core, c, 1, 'invalid first DB index')) return;
  const a = core.dbs[argNumber];
  if (!readInt32(core, c, 2, 'invalid second DB index')) return;
  const b = core.dbs[argNumber];
  if (a === undefined || b === undefined) {
    addReplyError(c, DB_OUT_OF_RANGE);
    return;
  }
  if (a !== b) {
    core.signalSwappedDbs(a, b);
    // Clients stay with their database's number, so what is in it changes places.
    [a.dict, b.dict] = [b.dict, a.dict];
    [a.expires, b.expires] = [b.expires, a.expires];
    [a.avgTtl, b.avgTtl] = [b.avgTtl, a.avgTtl];
    [a.expiresCursor, b.expiresCursor] = [b.expiresCursor, a.expiresCursor];
    core.blocked.signalAll(a);
    core.blocked.signalAll(b);
  }
  core.dirty++;
  addReplyOk(c);
}

/** The procedures, by full name. */
export const genericProcs: Readonly<Record<string, CommandProc>> = {
  ...dumpProcs,
  ...expiryProcs,
  ...sortProcs,
  ...waitProcs,
  copy: copyCommand,
  dbsize: (core, c) => addReplyLong(c, dictSize(core.heap, c.db.dict)),
  del: (core, c) => deleteGeneric(core, c, core.config.lazyfreeLazyUserDel),
  exists: (core, c) => countGeneric(core, c, LOOKUP_NOTOUCH),
  flushall: flushallCommand,
  flushdb: flushdbCommand,
  keys: keysCommand,
  move: moveCommand,
  randomkey: randomkeyCommand,
  rename: (core, c) => renameGeneric(core, c, false),
  renamenx: (core, c) => renameGeneric(core, c, true),
  scan: scanCommand,
  swapdb: swapdbCommand,
  touch: (core, c) => countGeneric(core, c, 0),
  type: typeCommand,
  unlink: (core, c) => deleteGeneric(core, c, true),
};
