/** DUMP and RESTORE. */
import { LRU_CLOCK_MAX, lfuTimeInMinutes } from '../access.ts';
import type { Client } from '../client.ts';
import type { CommandProc } from '../command.ts';
import { dbAdd, dbDelete, lookupKeyRead, lookupKeyWrite, NOTIFY_GENERIC, setExpire } from '../db.ts';
import { policyIsLfu } from '../evict.ts';
import { createDumpPayload, readDumpPayload, verifyDumpPayload } from '../persistence/dump-payload.ts';
import { addReplyBulkObject, addReplyError, addReplyNull, addReplyOk, SYNTAX_ERROR } from '../protocol/reply.ts';
import type { RedisCore } from '../redis-core.ts';
import { decrRefCount, robjSetLru } from '../structures/robj.ts';
import { argBigInt, argNumber, readInteger } from './integer-arguments.ts';

const BUSY_KEY = '-BUSYKEY Target key name already exists.';
const FREQUENCY_MAX = 255;

function dumpCommand(core: RedisCore, c: Client): void {
  const value = lookupKeyRead(core, c.db, c.argOff[1], c.argLen[1]);
  if (value === 0) {
    addReplyNull(c);
    return;
  }
  const payload = createDumpPayload(core.heap, value, core.config.rdbcompression);
  addReplyBulkObject(c, payload);
  decrRefCount(core.heap, payload);
}

/** The options of RESTORE; -1 stands for a clock or a counter that is not given. */
interface RestoreOptions {
  replace: boolean;
  absolute: boolean;
  idleSeconds: bigint;
  frequency: number;
}

/** @returns null after an error reply */
function readOptions(core: RedisCore, c: Client): RestoreOptions | null {
  const options: RestoreOptions = { replace: false, absolute: false, idleSeconds: -1n, frequency: -1 };
  for (let i = 4; i < c.argc; i++) {
    const hasValue = i + 1 < c.argc;
    if (c.argIs(i, 'replace')) {
      options.replace = true;
    } else if (c.argIs(i, 'absttl')) {
      options.absolute = true;
    } else if (c.argIs(i, 'idletime') && hasValue && options.frequency === -1) {
      if (!readInteger(core, c, ++i)) return null;
      options.idleSeconds = argBigInt();
      if (argNumber < 0) {
        addReplyError(c, 'Invalid IDLETIME value, must be >= 0');
        return null;
      }
    } else if (c.argIs(i, 'freq') && hasValue && options.idleSeconds === -1n) {
      if (!readInteger(core, c, ++i)) return null;
      options.frequency = argNumber;
      if (argNumber < 0 || argNumber > FREQUENCY_MAX) {
        addReplyError(c, 'Invalid FREQ value, must be >= 0 and <= 255');
        return null;
      }
    } else {
      addReplyError(c, SYNTAX_ERROR);
      return null;
    }
  }
  return options;
}

/** Gives a restored object the access clock or counter that was asked for, as far as the policy keeps one. */
function setAccess(core: RedisCore, value: number, options: RestoreOptions): void {
  if (policyIsLfu(core)) {
    if (options.frequency >= 0) {
      robjSetLru(core.heap, value, (lfuTimeInMinutes(core.nowMs) << 8) | options.frequency);
    }
  } else if (options.idleSeconds >= 0n) {
    // The clock goes round in half a year; what was idle for longer shows as idle for the rest. The original counts in
    // milliseconds on its way, which wraps for absurd times.
    let accessed = BigInt(core.lruClock) - BigInt.asIntN(64, options.idleSeconds * 1000n) / 1000n;
    if (accessed < 0n) accessed += BigInt(LRU_CLOCK_MAX);
    robjSetLru(core.heap, value, Number(BigInt.asUintN(24, accessed)));
  }
}

/** When a restored key expires, in ms since the epoch; 0n: never. Times too far to count wrap into the past, as the original's do. */
function expiryOf(core: RedisCore, ttl: bigint, absolute: boolean): bigint {
  return ttl === 0n || absolute ? ttl : BigInt.asIntN(64, ttl + BigInt(core.nowMs));
}

/** The same with the time of its expiry instead of what was left until then. */
function effectOfRestore(core: RedisCore, c: Client, when: bigint): void {
  const { effects } = core;
  effects.begin(c.db, c.argc + 1);
  effects.argOf(c, 0);
  effects.argOf(c, 1);
  effects.text(String(when));
  for (let i = 3; i < c.argc; i++) effects.argOf(c, i);
  effects.text('ABSTTL');
}

function restoreCommand(core: RedisCore, c: Client): void {
  const options = readOptions(core, c);
  if (options === null) return;
  const key = c.argOff[1];
  const keyLength = c.argLen[1];
  if (!options.replace && lookupKeyWrite(core, c.db, key, keyLength) !== 0) {
    addReplyError(c, BUSY_KEY);
    return;
  }
  if (!readInteger(core, c, 2)) return;
  const ttl = argBigInt();
  if (ttl < 0n) {
    addReplyError(c, 'Invalid TTL value, must be >= 0');
    return;
  }
  const h = core.heap;
  if (!verifyDumpPayload(h, c.argOff[3], c.argLen[3], core.debug.skipsChecksums)) {
    addReplyError(c, 'DUMP payload version or checksum are wrong');
    return;
  }
  const value = readDumpPayload(h, c.argOff[3], c.argLen[3]);
  if (value === 0) {
    addReplyError(c, 'Bad data format');
    return;
  }
  const deleted = options.replace && dbDelete(core, c.db, key, keyLength);
  const when = expiryOf(core, ttl, options.absolute);
  if (when !== 0n && when <= BigInt(core.nowMs) && !core.persistence.loading) {
    decrRefCount(h, value);
    if (deleted) {
      if (core.effects.active) core.effects.deletion(c);
      core.signalModifiedKey(c.db, key, keyLength);
      core.notifyKeyspaceEvent(NOTIFY_GENERIC, 'del', key, keyLength, c.db.id);
      core.dirty++;
    }
    addReplyOk(c);
    return;
  }
  try {
    dbAdd(core, c.db, key, keyLength, value);
  } catch (error) {
    if (deleted) core.dirty++;
    decrRefCount(h, value);
    throw error;
  }
  try {
    if (when !== 0n) setExpire(core, c.db, key, keyLength, when);
  } catch (error) {
    // Without its time it is not what was asked for, and nobody has written it down.
    dbDelete(core, c.db, key, keyLength);
    if (deleted) core.dirty++;
    throw error;
  }
  if (when !== 0n && !options.absolute && core.effects.active) effectOfRestore(core, c, when);
  setAccess(core, value, options);
  core.signalModifiedKey(c.db, key, keyLength);
  core.notifyKeyspaceEvent(NOTIFY_GENERIC, 'restore', key, keyLength, c.db.id);
  addReplyOk(c);
  core.dirty++;
}

/** By full name. */
export const dumpProcs: Readonly<Record<string, CommandProc>> = {
  dump: dumpCommand,
  restore: restoreCommand,
  'restore-asking': restoreCommand,
};
