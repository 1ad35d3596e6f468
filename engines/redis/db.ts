/** A database: its keys, their expiry times, and the lookups that touch, count and expire. */
import { updateLfu } from './access.ts';
import { POLICY_FLAG_LFU } from './config.ts';
import type { RedisCore } from './redis-core.ts';
import {
  dictCreate,
  dictDelete,
  dictEmpty,
  dictFind,
  dictFreeEntry,
  dictInsert,
  dictRelease,
  dictUnlink,
} from './structures/dict.ts';
import {
  DICT_TYPE_DB,
  DICT_TYPE_EXPIRES,
  dictIntBig,
  dictIntValue,
  dictKey,
  dictSetIntBig,
  dictSetIntValue,
  dictSetValue,
  dictSize,
  dictValue,
} from './structures/dict-layout.ts';
import type { Heap } from './structures/heap.ts';
import { decrRefCount, robjLru, robjSetLru } from './structures/robj.ts';
import { sdsFree, sdsNewLen } from './structures/sds.ts';

/** Classes of keyspace events, in the original's bits. */
export const NOTIFY_KEYSPACE = 1 << 0;
export const NOTIFY_KEYEVENT = 1 << 1;
export const NOTIFY_GENERIC = 1 << 2;
export const NOTIFY_STRING = 1 << 3;
export const NOTIFY_LIST = 1 << 4;
export const NOTIFY_SET = 1 << 5;
export const NOTIFY_HASH = 1 << 6;
export const NOTIFY_ZSET = 1 << 7;
export const NOTIFY_EXPIRED = 1 << 8;
export const NOTIFY_EVICTED = 1 << 9;
export const NOTIFY_STREAM = 1 << 10;
export const NOTIFY_KEY_MISS = 1 << 11;
export const NOTIFY_LOADED = 1 << 12;
export const NOTIFY_MODULE = 1 << 13;
export const NOTIFY_NEW = 1 << 14;

export class Db {
  readonly id: number;
  /** Offsets of the two dicts in the arena. SWAPDB exchanges them. */
  dict: number;
  expires: number;
  /** Average time to live in ms, as the expiry cycle estimates it. */
  avgTtl = 0;
  /** Where the expiry cycle goes on. */
  expiresCursor = 0;

  constructor(heap: Heap, id: number) {
    this.id = id;
    this.dict = dictCreate(heap, DICT_TYPE_DB);
    this.expires = dictCreate(heap, DICT_TYPE_EXPIRES);
  }
}

/** The lookup leaves the access clock as it is. */
export const LOOKUP_NOTOUCH = 1 << 0;
/** It does not fire the "miss" event. */
export const LOOKUP_NONOTIFY = 1 << 1;
/** It does not count as hit or miss. */
export const LOOKUP_NOSTATS = 1 << 2;
/** It comes before a write, which counts neither hit nor miss. */
export const LOOKUP_WRITE = 1 << 3;

/** The dict entry of the key found last, so that an overwrite need not search again. Valid until the next change. */
export let foundEntry = 0;

/**
 * Finds a key's value, expiring it if its time has come.
 * @returns the object, or 0
 */
export function lookupKey(core: RedisCore, db: Db, offset: number, length: number, flags: number): number {
  const h = core.heap;
  const entry = dictFind(h, db.dict, offset, length);
  if (entry !== 0 && !(dictSize(h, db.expires) !== 0 && expireIfNeeded(core, db, offset, length))) {
    const value = dictValue(h, entry);
    if ((flags & LOOKUP_NOTOUCH) === 0) {
      if ((core.config.maxmemoryPolicy & POLICY_FLAG_LFU) !== 0) updateLfu(core, value);
      else robjSetLru(h, value, core.lruClock);
    }
    if ((flags & (LOOKUP_NOSTATS | LOOKUP_WRITE)) === 0) core.stats.keyspaceHits++;
    foundEntry = entry;
    return value;
  }
  foundEntry = 0;
  if ((flags & LOOKUP_WRITE) === 0) {
    if ((flags & LOOKUP_NONOTIFY) === 0) core.notifyKeyspaceEvent(NOTIFY_KEY_MISS, 'keymiss', offset, length, db.id);
    if ((flags & LOOKUP_NOSTATS) === 0) core.stats.keyspaceMisses++;
  }
  return 0;
}

export function lookupKeyRead(core: RedisCore, db: Db, offset: number, length: number): number {
  return lookupKey(core, db, offset, length, 0);
}

export function lookupKeyWrite(core: RedisCore, db: Db, offset: number, length: number): number {
  return lookupKey(core, db, offset, length, LOOKUP_WRITE);
}

/** Adds a key that is not there; the dict takes over the reference to `value`. @throws ARENA_EXHAUSTED, nothing changed */
export function dbAdd(core: RedisCore, db: Db, offset: number, length: number, value: number): void {
  const h = core.heap;
  const key = sdsNewLen(h, offset, length);
  let entry: number;
  try {
    entry = dictInsert(h, db.dict, key);
  } catch (error) {
    sdsFree(h, key);
    throw error;
  }
  dictSetValue(h, entry, value);
  foundEntry = entry;
  core.signalKeyAsReady(db, offset, length);
  core.notifyKeyspaceEvent(NOTIFY_NEW, 'new', offset, length, db.id);
}

/** As dbAdd; takes over the reference to `value` also when it throws. */
export function dbAddOwned(core: RedisCore, db: Db, offset: number, length: number, value: number): void {
  try {
    dbAdd(core, db, offset, length, value);
  } catch (error) {
    decrRefCount(core.heap, value);
    throw error;
  }
}

/** Gives a key that is there another value, keeping its expiry; the old value loses a reference. */
export function dbOverwrite(core: RedisCore, entry: number, value: number): void {
  const h = core.heap;
  const old = dictValue(h, entry);
  // Under LFU a key keeps its access history when its value changes.
  if ((core.config.maxmemoryPolicy & POLICY_FLAG_LFU) !== 0) robjSetLru(h, value, robjLru(h, old));
  dictSetValue(h, entry, value);
  if (!core.config.lazyfreeLazyServerDel || !core.lazyFree.takeValue(core, old)) decrRefCount(h, old);
}

/**
 * Sets a key's value, whether it is there or not, and removes its expiry unless `keepTtl`. Takes over the reference to `value`,
 * also when it throws.
 */
export function setKey(
  core: RedisCore,
  db: Db,
  offset: number,
  length: number,
  value: number,
  keepTtl: boolean,
  entry: number,
): void {
  if (entry === 0) {
    try {
      dbAdd(core, db, offset, length, value);
    } catch (error) {
      decrRefCount(core.heap, value);
      throw error;
    }
  } else {
    dbOverwrite(core, entry, value);
    // Whoever waits for a message of a group must hear that its stream is gone.
    core.signalKeyAsReady(db, offset, length);
    if (!keepTtl) removeExpire(core, db, offset, length);
  }
  core.signalModifiedKey(db, offset, length);
}

/** Frees an entry taken out of a database, a large value lazily if it may be. */
function freeDbEntry(core: RedisCore, db: Db, entry: number, lazy: boolean): void {
  const h = core.heap;
  if (lazy && core.lazyFree.takeValue(core, dictValue(h, entry))) dictSetValue(h, entry, 0);
  dictFreeEntry(h, db.dict, entry);
}

/**
 * @param lazy whether a large value may be freed later, bit by bit; left out: as `lazyfree-lazy-server-del` says
 * @returns whether the key was there
 */
export function dbDelete(
  core: RedisCore,
  db: Db,
  offset: number,
  length: number,
  lazy: boolean = core.config.lazyfreeLazyServerDel,
): boolean {
  const h = core.heap;
  const entry = dictUnlink(h, db.dict, offset, length);
  if (entry === 0) return false;
  // The expiry entry shares the key's bytes, so it goes first.
  if (dictSize(h, db.expires) > 0) dictDelete(h, db.expires, offset, length);
  core.signalKeyAsReady(db, offset, length);
  freeDbEntry(core, db, entry, lazy);
  return true;
}

/** Deletes a key as DEL does: watchers and listeners hear of it, and it counts as a change. @returns whether the key was there */
export function deleteKey(
  core: RedisCore,
  db: Db,
  offset: number,
  length: number,
  lazy: boolean = core.config.lazyfreeLazyServerDel,
): boolean {
  if (!dbDelete(core, db, offset, length, lazy)) return false;
  core.signalModifiedKey(db, offset, length);
  core.notifyKeyspaceEvent(NOTIFY_GENERIC, 'del', offset, length, db.id);
  core.dirty++;
  return true;
}

/** @returns the time at which the key expires in ms since the epoch, or -1 */
export function getExpire(core: RedisCore, db: Db, offset: number, length: number): number {
  const h = core.heap;
  if (dictSize(h, db.expires) === 0) return -1;
  const entry = dictFind(h, db.expires, offset, length);
  return entry === 0 ? -1 : dictIntValue(h, entry);
}

/** As getExpire, exactly also beyond 2^53. */
export function getExpireBig(core: RedisCore, db: Db, offset: number, length: number): bigint {
  const h = core.heap;
  const entry = dictSize(h, db.expires) === 0 ? 0 : dictFind(h, db.expires, offset, length);
  return entry === 0 ? -1n : dictIntBig(h, entry);
}

/**
 * Sets the expiry of a key that is there.
 * @param whenMs a safe integer, or a bigint
 * @throws ARENA_EXHAUSTED, nothing changed
 */
export function setExpire(core: RedisCore, db: Db, offset: number, length: number, whenMs: number | bigint): void {
  const h = core.heap;
  const main = dictFind(h, db.dict, offset, length);
  if (main === 0) throw new Error('Cannot set the expiry of a key that is not there');
  let entry = dictFind(h, db.expires, offset, length);
  if (entry === 0) entry = dictInsert(h, db.expires, dictKey(h, main));
  if (typeof whenMs === 'number') dictSetIntValue(h, entry, whenMs);
  else dictSetIntBig(h, entry, whenMs);
}

/** @returns whether the key had an expiry */
export function removeExpire(core: RedisCore, db: Db, offset: number, length: number): boolean {
  if (dictSize(core.heap, db.expires) === 0) return false;
  return dictDelete(core.heap, db.expires, offset, length);
}

/** Whether a key's time has come; it is still there then. */
export function keyIsExpired(core: RedisCore, db: Db, offset: number, length: number): boolean {
  const when = getExpire(core, db, offset, length);
  // While files are loaded nothing expires: what they say must find what it found then.
  return when >= 0 && core.nowMs > when && !core.persistence.loading;
}

/** Deletes the key if its time has come. @returns whether it had come */
export function expireIfNeeded(core: RedisCore, db: Db, offset: number, length: number): boolean {
  if (!keyIsExpired(core, db, offset, length)) return false;
  // While clients are paused the data stay as they are; the key only seems gone.
  if (core.pauseUntilMs !== 0 && core.nowMs < core.pauseUntilMs) return true;
  deleteExpiredKey(core, db, offset, length);
  return true;
}

/** The end of a key whose time has come. The key's bytes may be those of its own entry. */
export function deleteExpiredKey(core: RedisCore, db: Db, offset: number, length: number): void {
  const h = core.heap;
  const entry = dictUnlink(h, db.dict, offset, length);
  if (entry !== 0) dictDelete(h, db.expires, offset, length);
  // Listeners find the key gone, but its bytes are still there for them.
  core.notifyKeyspaceEvent(NOTIFY_EXPIRED, 'expired', offset, length, db.id);
  core.signalRemovedKey(db, offset, length);
  core.propagateDeletion(db, offset, length, core.config.lazyfreeLazyExpire);
  core.signalKeyAsReady(db, offset, length);
  if (entry !== 0) {
    const watched = core.latencyThresholdUs !== Number.POSITIVE_INFINITY;
    const startUs = watched ? core.clock.monoUs() : 0;
    freeDbEntry(core, db, entry, core.config.lazyfreeLazyExpire);
    if (watched) core.latency.add('expire-del', core.clock.monoUs() - startUs);
  }
  core.stats.expiredKeys++;
}

/**
 * Deletes every key of a database.
 * @param lazy whether their memory may be given back later, bit by bit
 * @returns how many there were
 */
export function emptyDb(core: RedisCore, db: Db, lazy = false): number {
  const h = core.heap;
  const removed = dictSize(h, db.dict);
  if (lazy) {
    const { dict, expires } = db;
    const freshDict = dictCreate(h, DICT_TYPE_DB);
    try {
      db.expires = dictCreate(h, DICT_TYPE_EXPIRES);
    } catch (error) {
      dictRelease(h, freshDict);
      throw error;
    }
    db.dict = freshDict;
    core.lazyFree.takeDatabase(core, dict, expires);
  } else {
    dictEmpty(h, db.expires);
    dictEmpty(h, db.dict);
  }
  db.avgTtl = 0;
  db.expiresCursor = 0;
  core.blocked.signalAll(db);
  return removed;
}
