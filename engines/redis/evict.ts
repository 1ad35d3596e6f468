/**
 * Eviction: when used memory exceeds maxmemory, keys go until it fits again, before the command that would need more runs.
 *
 * The policies that compare keys do not sort them: each step samples a few and keeps the 16 best candidates seen so far in a
 * pool, ordered by how deserving of eviction they are (seconds idle, a low frequency, a near expiry). That comes close to the exact
 * order at a constant cost.
 */
import { idleTimeMs, LFU_MAX, lfuDecayedCounter } from './access.ts';
import type { Client } from './client.ts';
import {
  POLICY_ALLKEYS_RANDOM,
  POLICY_FLAG_ALLKEYS,
  POLICY_FLAG_LFU,
  POLICY_FLAG_LRU,
  POLICY_NO_EVICTION,
  POLICY_VOLATILE_RANDOM,
  POLICY_VOLATILE_TTL,
} from './config.ts';
import { type Db, dbDelete, NOTIFY_EVICTED } from './db.ts';
import type { RedisCore } from './redis-core.ts';
import { dictFind } from './structures/dict.ts';
import { dictIntValue, dictKey, dictSize, dictValue } from './structures/dict-layout.ts';
import { dictRandomEntry, dictSampleEntries } from './structures/dict-sample.ts';
import type { Heap } from './structures/heap.ts';
import { EMBSTR_LIMIT, ROBJ_BYTES } from './structures/robj.ts';
import { sdsHeaderSize, sdsLen, sdsReqType } from './structures/sds.ts';

export const EVICT_OK = 0;
/** Time ran out; eviction goes on with the next turns. */
export const EVICT_RUNNING = 1;
/** Nothing can be evicted. */
export const EVICT_FAIL = 2;

const POOL_SIZE = 16;
/** Keys up to this length are kept in room of the pool's own. */
const POOL_KEY_BYTES = 255;
const KEYS_PER_CLOCK = 16;

/** The best candidates seen so far, least deserving first. */
export class EvictionPool {
  private readonly heap: Heap;
  /** How deserving of eviction, by position. */
  readonly idle = new Float64Array(POOL_SIZE);
  readonly db = new Int32Array(POOL_SIZE);
  /** Offset of the key's copy, 0 where the position is empty. */
  readonly key = new Float64Array(POOL_SIZE);
  readonly keyLength = new Float64Array(POOL_SIZE);
  /** The room of its own that each position has for short keys; it moves with the entries. */
  private readonly room = new Float64Array(POOL_SIZE);

  constructor(heap: Heap) {
    this.heap = heap;
    for (let i = 0; i < POOL_SIZE; i++) this.room[i] = heap.alloc(POOL_KEY_BYTES + 4);
  }

  get size(): number {
    return POOL_SIZE;
  }

  /** Offers a key; it is kept if there is room or it is better than the worst. */
  offer(idle: number, db: number, offset: number, length: number): void {
    let at = 0;
    while (at < POOL_SIZE && this.key[at] !== 0 && this.idle[at] < idle) at++;
    const full = this.key[POOL_SIZE - 1] !== 0;
    if (at === 0 && full) return;
    if (at === POOL_SIZE || this.key[at] !== 0) {
      if (!full) {
        const room = this.room[POOL_SIZE - 1];
        this.move(at + 1, at, POOL_SIZE - at - 1);
        this.room[at] = room;
      } else {
        at--;
        const room = this.room[0];
        this.drop(0);
        this.move(0, 1, at);
        this.room[at] = room;
      }
    }
    const copy = length > POOL_KEY_BYTES ? this.heap.allocator.alloc(length) : this.room[at];
    this.key[at] = copy;
    if (copy === 0) return;
    this.heap.copy(offset, copy, length);
    this.keyLength[at] = length;
    this.idle[at] = idle;
    this.db[at] = db;
  }

  /** Empties a position. */
  drop(at: number): void {
    if (this.key[at] !== 0 && this.key[at] !== this.room[at]) this.heap.free(this.key[at]);
    this.key[at] = 0;
    this.idle[at] = 0;
  }

  /** Empties all positions: after a change of the policy their order means nothing. */
  clear(): void {
    for (let at = 0; at < POOL_SIZE; at++) this.drop(at);
  }

  private move(to: number, from: number, count: number): void {
    this.idle.copyWithin(to, from, from + count);
    this.db.copyWithin(to, from, from + count);
    this.key.copyWithin(to, from, from + count);
    this.keyLength.copyWithin(to, from, from + count);
    this.room.copyWithin(to, from, from + count);
  }
}

let samples = new Float64Array(64);

function populatePool(core: RedisCore, db: Db, sampled: number): void {
  const h = core.heap;
  const policy = core.config.maxmemoryPolicy;
  const wanted = core.config.maxmemorySamples;
  if (samples.length < wanted) samples = new Float64Array(wanted);
  const count = dictSampleEntries(h, sampled, samples, wanted);
  for (let i = 0; i < count; i++) {
    const entry = samples[i];
    const key = dictKey(h, entry);
    const length = sdsLen(h, key);
    let idle: number;
    if (policy === POLICY_VOLATILE_TTL) {
      // The sooner it expires, the higher.
      idle = Number.MAX_SAFE_INTEGER - dictIntValue(h, entry);
    } else {
      const value = dictValue(h, sampled === db.dict ? entry : dictFind(h, db.dict, key, length));
      idle = (policy & POLICY_FLAG_LRU) !== 0 ? idleTimeMs(core, value) : LFU_MAX - lfuDecayedCounter(core, value);
    }
    core.evictionPool.offer(idle, core.dbs.indexOf(db), key, length);
  }
}

/** Where the last search found its victim; `victimEntry` is 0 when there is none. */
let victimEntry = 0;
let victimDb: Db | null = null;

function findByPool(core: RedisCore): void {
  const h = core.heap;
  const all = (core.config.maxmemoryPolicy & POLICY_FLAG_ALLKEYS) !== 0;
  const pool = core.evictionPool;
  victimEntry = 0;
  for (;;) {
    let total = 0;
    for (const db of core.dbs) {
      const dict = all ? db.dict : db.expires;
      const size = dictSize(h, dict);
      if (size === 0) continue;
      populatePool(core, db, dict);
      total += size;
    }
    if (total === 0) return;
    for (let at = pool.size - 1; at >= 0; at--) {
      if (pool.key[at] === 0) continue;
      victimDb = core.dbs[pool.db[at]];
      const dict = all ? victimDb.dict : victimDb.expires;
      // A candidate may be long gone.
      victimEntry = dictFind(h, dict, pool.key[at], pool.keyLength[at]);
      pool.drop(at);
      if (victimEntry !== 0) return;
    }
  }
}

function findByChance(core: RedisCore): void {
  const all = core.config.maxmemoryPolicy === POLICY_ALLKEYS_RANDOM;
  victimEntry = 0;
  for (let i = 0; i < core.dbs.length; i++) {
    core.nextEvictionDb = (core.nextEvictionDb + 1) % core.dbs.length;
    const db = core.dbs[core.nextEvictionDb];
    victimEntry = dictRandomEntry(core.heap, all ? db.dict : db.expires);
    if (victimEntry !== 0) {
      victimDb = db;
      return;
    }
  }
}

function timeLimitUs(tenacity: number): number {
  if (tenacity <= 10) return 50 * tenacity;
  if (tenacity < 100) return 500 * 1.15 ** (tenacity - 10);
  return Number.POSITIVE_INFINITY;
}

function settle(core: RedisCore, result: number): number {
  const stats = core.stats;
  core.evictionRunning = result === EVICT_RUNNING;
  if (core.evictionRunning) core.hooks.backgroundWork?.();
  if (result === EVICT_OK) {
    if (stats.lastEvictionExceededUs !== 0) {
      stats.totalEvictionExceededUs += core.clock.monoUs() - stats.lastEvictionExceededUs;
      stats.lastEvictionExceededUs = 0;
    }
  } else if (stats.lastEvictionExceededUs === 0) {
    stats.lastEvictionExceededUs = core.clock.monoUs();
  }
  return result;
}

/** Bytes of an array slot, and at the most of what surrounds a short argument's bytes with its size class. */
const ARGUMENT_EXTRA_BYTES = 56;
const OBJECT_AND_EMBEDDED_BYTES = ROBJ_BYTES + 4;

/**
 * What the original's copies of a command's arguments take while it decides about eviction: they are objects there by then, and count as
 * used. Here they still lie in the input buffer.
 * @param room bytes below the limit: when the arguments fit into it in any case, they are not counted exactly and 0 is returned
 */
export function argumentMemory(core: RedisCore, c: Client, room: number): number {
  const { argc, argLen } = c;
  let bound = 0;
  for (let i = 0; i < argc; i++) bound += ARGUMENT_EXTRA_BYTES + argLen[i] + (argLen[i] >>> 2);
  if (bound <= room) return 0;
  const allocator = core.allocator;
  let bytes = allocator.sizeClass(argc * 8);
  for (let i = 0; i < argc; i++) {
    const length = argLen[i];
    if (length <= EMBSTR_LIMIT) bytes += allocator.sizeClass(OBJECT_AND_EMBEDDED_BYTES + length);
    // One that was read straight into its own block is counted already.
    else if (i !== c.bigArg) bytes += ROBJ_BYTES + allocator.sizeClass(sdsHeaderSize(sdsReqType(length)) + length + 1);
  }
  return bytes;
}

/**
 * Evicts until memory fits or the time limit of `maxmemory-eviction-tenacity`.
 * @param c the client whose command is about to run, null at a turn's end
 * @returns one of the EVICT_ values
 */
export function performEvictions(core: RedisCore, c: Client | null = null): number {
  const maxmemory = core.maxmemory;
  let excess = core.allocator.usedBytes - maxmemory;
  if (c !== null && maxmemory !== 0) excess += argumentMemory(core, c, -excess);
  if (maxmemory === 0 || excess <= 0) {
    // Almost every call ends here, so it does not go through the bookkeeping unless there is some.
    return core.stats.lastEvictionExceededUs === 0 ? EVICT_OK : settle(core, EVICT_OK);
  }
  const policy = core.config.maxmemoryPolicy;
  if (policy === POLICY_NO_EVICTION) return settle(core, EVICT_FAIL);
  // While clients are paused the data stay as they are.
  if (core.pauseUntilMs !== 0 && core.nowMs < core.pauseUntilMs) return EVICT_OK;
  const startUs = core.clock.monoUs();
  const result = evictUntilFits(core, excess, startUs);
  if (core.latencyThresholdUs !== Number.POSITIVE_INFINITY) {
    core.latency.add('eviction-cycle', core.clock.monoUs() - startUs);
  }
  return result;
}

function evictUntilFits(core: RedisCore, excess: number, startUs: number): number {
  const { maxmemory } = core;
  const policy = core.config.maxmemoryPolicy;
  const limitUs = timeLimitUs(core.config.maxmemoryEvictionTenacity);
  const byChance = policy === POLICY_ALLKEYS_RANDOM || policy === POLICY_VOLATILE_RANDOM;
  let freed = 0;
  let keys = 0;
  while (freed < excess) {
    if (byChance) findByChance(core);
    else findByPool(core);
    if (victimEntry === 0 || victimDb === null) return settle(core, waitForLazyFree(core, startUs + limitUs));
    freed += evict(core, victimDb, victimEntry);
    keys++;
    // What is freed lazily does not show in the figures above.
    if (keys % KEYS_PER_CLOCK === 0 && core.lazyFree.busy && core.allocator.usedBytes <= maxmemory) break;
    if (keys % KEYS_PER_CLOCK === 0 && core.clock.monoUs() - startUs > limitUs) return settle(core, EVICT_RUNNING);
  }
  return settle(core, EVICT_OK);
}

/** Evicts from the next turn on, without waiting for a command: memory is to fit into less than before. */
export function startEviction(core: RedisCore): void {
  if (core.config.maxmemory === 0) return;
  core.evictionRunning = true;
  core.hooks.backgroundWork?.();
}

/** Nothing is left to evict, but memory may still come from values that are being freed lazily: for that there is time until the limit. */
function waitForLazyFree(core: RedisCore, untilUs: number): number {
  while (core.lazyFree.busy) {
    if (core.allocator.usedBytes <= core.maxmemory) return EVICT_OK;
    if (core.clock.monoUs() >= untilUs) break;
    core.lazyFree.run(core, core.clock.monoUs());
  }
  return EVICT_FAIL;
}

/** @returns bytes that used memory fell by */
function evict(core: RedisCore, db: Db, entry: number): number {
  const h = core.heap;
  const key = dictKey(h, entry);
  const length = sdsLen(h, key);
  core.stats.evictedKeys++;
  core.signalRemovedKey(db, key, length);
  core.notifyKeyspaceEvent(NOTIFY_EVICTED, 'evicted', key, length, db.id);
  core.propagateDeletion(db, key, length, core.config.lazyfreeLazyEviction);
  const before = core.allocator.usedBytes;
  const watched = core.latencyThresholdUs !== Number.POSITIVE_INFINITY;
  const startUs = watched ? core.clock.monoUs() : 0;
  dbDelete(core, db, key, length, core.config.lazyfreeLazyEviction);
  if (watched) core.latency.add('eviction-del', core.clock.monoUs() - startUs);
  return before - core.allocator.usedBytes;
}

/** Whether the policy keeps frequencies instead of access times. */
export function policyIsLfu(core: RedisCore): boolean {
  return (core.config.maxmemoryPolicy & POLICY_FLAG_LFU) !== 0;
}
