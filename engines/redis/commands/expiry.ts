/** EXPIRE, TTL and their kin. */
import type { Client } from '../client.ts';
import type { CommandProc } from '../command.ts';
import {
  dbDelete,
  getExpire,
  getExpireBig,
  LOOKUP_NOTOUCH,
  lookupKey,
  lookupKeyWrite,
  NOTIFY_GENERIC,
  removeExpire,
  setExpire,
} from '../db.ts';
import { addReplyBigInt, addReplyError, addReplyLong } from '../protocol/reply.ts';
import type { RedisCore } from '../redis-core.ts';
import {
  argBigInt,
  argNumber,
  INT64_MAX_BIG,
  INT64_MIN_BIG,
  invalidExpireTime,
  readInteger,
} from './integer-arguments.ts';

const IF_NONE = 1;
const IF_ANY = 2;
const IF_LATER = 4;
const IF_SOONER = 8;
/** Below this a time in seconds or ms, also with the present time added, is computed exactly as a number. */
const PLAIN_LIMIT = 1e12;

/** @returns IF_ flags, or -1 after an error */
function parseConditions(c: Client): number {
  let flags = 0;
  for (let i = 3; i < c.argc; i++) {
    if (c.argIs(i, 'nx')) flags |= IF_NONE;
    else if (c.argIs(i, 'xx')) flags |= IF_ANY;
    else if (c.argIs(i, 'gt')) flags |= IF_LATER;
    else if (c.argIs(i, 'lt')) flags |= IF_SOONER;
    else {
      addReplyError(c, `Unsupported option ${c.argText(i)}`);
      return -1;
    }
  }
  if ((flags & IF_NONE) !== 0 && flags !== IF_NONE) {
    addReplyError(c, 'NX and XX, GT or LT options at the same time are not compatible');
    return -1;
  }
  if ((flags & IF_LATER) !== 0 && (flags & IF_SOONER) !== 0) {
    addReplyError(c, 'GT and LT options at the same time are not compatible');
    return -1;
  }
  return flags;
}

/** Argument 2 as a time in ms since the epoch; null after an error. */
function readWhen(core: RedisCore, c: Client, base: number, seconds: boolean): number | bigint | null {
  if (!readInteger(core, c, 2)) return null;
  if (Math.abs(argNumber) < PLAIN_LIMIT) return (seconds ? argNumber * 1000 : argNumber) + base;
  let when = argBigInt();
  if (seconds) {
    if (when > INT64_MAX_BIG / 1000n || when < INT64_MIN_BIG / 1000n) {
      invalidExpireTime(c);
      return null;
    }
    when *= 1000n;
  }
  if (when > INT64_MAX_BIG - BigInt(base)) {
    invalidExpireTime(c);
    return null;
  }
  return when + BigInt(base);
}

/** The same as PEXPIREAT, conditions and all: they hold again. */
function effectOfExpire(core: RedisCore, c: Client, when: number | bigint): void {
  if (c.command?.fullName === 'pexpireat') return;
  const { effects } = core;
  effects.begin(c.db, c.argc);
  effects.text('PEXPIREAT');
  effects.argOf(c, 1);
  effects.text(String(when));
  for (let i = 3; i < c.argc; i++) effects.argOf(c, i);
}

/** @param base added to the given time: now for the relative forms, 0 for the absolute ones */
function expireGeneric(core: RedisCore, c: Client, base: number, seconds: boolean): void {
  const flags = parseConditions(c);
  if (flags < 0) return;
  const when = readWhen(core, c, base, seconds);
  if (when === null) return;
  const offset = c.argOff[1];
  const length = c.argLen[1];
  if (lookupKeyWrite(core, c.db, offset, length) === 0 || !conditionsHold(core, c, flags, when)) {
    addReplyLong(c, 0);
    return;
  }
  let event = 'expire';
  // What a file says has been done before; what has expired since goes when it is found.
  if (when <= core.nowMs && !core.persistence.loading) {
    const lazily = core.config.lazyfreeLazyExpire;
    dbDelete(core, c.db, offset, length, lazily);
    event = 'del';
    if (core.effects.active) core.effects.deletion(c, lazily);
  } else {
    setExpire(core, c.db, offset, length, when);
    if (core.effects.active) effectOfExpire(core, c, when);
  }
  addReplyLong(c, 1);
  core.signalModifiedKey(c.db, offset, length);
  core.notifyKeyspaceEvent(NOTIFY_GENERIC, event, offset, length, c.db.id);
  core.dirty++;
}

function conditionsHold(core: RedisCore, c: Client, flags: number, when: number | bigint): boolean {
  if (flags === 0) return true;
  const present = getExpireBig(core, c.db, c.argOff[1], c.argLen[1]);
  if ((flags & IF_NONE) !== 0 && present !== -1n) return false;
  if ((flags & IF_ANY) !== 0 && present === -1n) return false;
  if ((flags & IF_LATER) !== 0 && (present === -1n || when <= present)) return false;
  if ((flags & IF_SOONER) !== 0 && present !== -1n && when >= present) return false;
  return true;
}

function ttlGeneric(core: RedisCore, c: Client, milliseconds: boolean, absolute: boolean): void {
  const offset = c.argOff[1];
  const length = c.argLen[1];
  if (lookupKey(core, c.db, offset, length, LOOKUP_NOTOUCH) === 0) {
    addReplyLong(c, -2);
    return;
  }
  const when = getExpire(core, c.db, offset, length);
  if (when === -1) {
    addReplyLong(c, -1);
    return;
  }
  if (!Number.isSafeInteger(when)) {
    const exact = getExpireBig(core, c.db, offset, length) - (absolute ? 0n : BigInt(core.nowMs));
    addReplyBigInt(c, milliseconds ? exact : (exact + 500n) / 1000n);
    return;
  }
  const ttl = Math.max(0, absolute ? when : when - core.nowMs);
  addReplyLong(c, milliseconds ? ttl : Math.floor((ttl + 500) / 1000));
}

function persistCommand(core: RedisCore, c: Client): void {
  const offset = c.argOff[1];
  const length = c.argLen[1];
  if (lookupKeyWrite(core, c.db, offset, length) === 0 || !removeExpire(core, c.db, offset, length)) {
    addReplyLong(c, 0);
    return;
  }
  core.signalModifiedKey(c.db, offset, length);
  core.notifyKeyspaceEvent(NOTIFY_GENERIC, 'persist', offset, length, c.db.id);
  addReplyLong(c, 1);
  core.dirty++;
}

/** By full name. */
export const expiryProcs: Readonly<Record<string, CommandProc>> = {
  expire: (core, c) => expireGeneric(core, c, core.nowMs, true),
  expireat: (core, c) => expireGeneric(core, c, 0, true),
  expiretime: (core, c) => ttlGeneric(core, c, false, true),
  persist: persistCommand,
  pexpire: (core, c) => expireGeneric(core, c, core.nowMs, false),
  pexpireat: (core, c) => expireGeneric(core, c, 0, false),
  pexpiretime: (core, c) => ttlGeneric(core, c, true, true),
  pttl: (core, c) => ttlGeneric(core, c, true, false),
  ttl: (core, c) => ttlGeneric(core, c, false, false),
};
