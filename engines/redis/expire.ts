/**
 * Active expiry: keys whose time has come are found by walking the table of expiry times, a few buckets at a time. Each database
 * is walked on for as long as more than an acceptable share of what is met has expired, within a share of CPU time. A slow cycle runs
 * with the cron; a fast one before replies leave, when the slow ones ran out of time.
 */
import { type Db, deleteExpiredKey } from './db.ts';
import type { RedisCore } from './redis-core.ts';
import {
  dictBucket,
  dictIntValue,
  dictIsRehashing,
  dictKey,
  dictNext,
  dictSize,
  dictSlots,
  dictTableSize,
} from './structures/dict-layout.ts';
import { sdsLen } from './structures/sds.ts';

const KEYS_PER_LOOP = 20;
const FAST_DURATION_US = 1_000;
const SLOW_TIME_PERCENT = 25;
const ACCEPTABLE_STALE_PERCENT = 10;
const DATABASES_PER_CALL = 16;
/** So many buckets a wanted key are looked at before giving up. */
const BUCKETS_PER_KEY = 20;
/** The clock is read every so many loops. */
const LOOPS_PER_CLOCK = 16;
const TABLE_INITIAL_SIZE = 4;
/** Weight of the newest sample in the share of stale keys, and 1/n of the newest in the average time to live. */
const STALE_WEIGHT = 0.05;
const TTL_WEIGHT = 50;

/** What the cycle remembers between its calls. */
export class ExpireState {
  nextDb = 0;
  /** The last call ended because its time was over. */
  timedOut = false;
  lastFastUs = Number.NEGATIVE_INFINITY;
  // Sums of the present loop over one database.
  expired = 0;
  sampled = 0;
  ttlSum = 0;
  ttlSamples = 0;
}

/** Looks at up to `wanted` keys of one database from its cursor on. */
function sampleExpires(core: RedisCore, db: Db, wanted: number): void {
  const h = core.heap;
  const state = core.expireState;
  state.expired = 0;
  state.sampled = 0;
  state.ttlSum = 0;
  state.ttlSamples = 0;
  const now = core.nowMs;
  let buckets = wanted * BUCKETS_PER_KEY;
  while (state.sampled < wanted && buckets > 0) {
    for (let table = 0; table < 2; table++) {
      if (table === 1 && !dictIsRehashing(h, db.expires)) break;
      const size = dictTableSize(h, db.expires, table);
      if (size === 0) break;
      let entry = dictBucket(h, db.expires, table, db.expiresCursor % size);
      buckets--;
      while (entry !== 0) {
        const next = dictNext(h, entry);
        const ttl = dictIntValue(h, entry) - now;
        if (ttl < 0) {
          const key = dictKey(h, entry);
          deleteExpiredKey(core, db, key, sdsLen(h, key));
          state.expired++;
        }
        if (ttl > 0) {
          state.ttlSum += ttl;
          state.ttlSamples++;
        }
        state.sampled++;
        entry = next;
      }
    }
    db.expiresCursor = (db.expiresCursor + 1) >>> 0;
  }
  if (state.ttlSamples > 0) {
    const average = Math.floor(state.ttlSum / state.ttlSamples);
    if (db.avgTtl === 0) db.avgTtl = average;
    db.avgTtl = Math.floor(db.avgTtl / TTL_WEIGHT) * (TTL_WEIGHT - 1) + Math.floor(average / TTL_WEIGHT);
  }
}

/** @param fast whether this is the short cycle of a turn's end (else the cron's) */
export function activeExpireCycle(core: RedisCore, fast: boolean): void {
  const state = core.expireState;
  const stats = core.stats;
  const effort = core.config.activeExpireEffort - 1;
  const acceptable = ACCEPTABLE_STALE_PERCENT - effort;
  // The original compares a share with a percentage here, so in effect the fast cycle runs only after a timed out one.
  if (fast && !state.timedOut && stats.expiredStalePerc < acceptable) return;
  if (core.pauseUntilMs !== 0 && core.nowMs < core.pauseUntilMs) return;
  const keysPerLoop = KEYS_PER_LOOP + (KEYS_PER_LOOP / 4) * effort;
  const fastUs = FAST_DURATION_US + (FAST_DURATION_US / 4) * effort;
  core.refreshTime();
  const startUs = core.commandStartUs;
  if (fast) {
    if (startUs < state.lastFastUs + fastUs * 2) return;
    state.lastFastUs = startUs;
  }
  const dbCount = core.dbs.length;
  const databases = DATABASES_PER_CALL > dbCount || state.timedOut ? dbCount : DATABASES_PER_CALL;
  const limitUs = fast ? fastUs : Math.max(1, ((SLOW_TIME_PERCENT + 2 * effort) * 1_000_000) / core.hz / 100);
  state.timedOut = false;
  let totalSampled = 0;
  let totalExpired = 0;
  let loops = 0;
  for (let i = 0; i < databases && !state.timedOut; i++) {
    const db = core.dbs[state.nextDb % dbCount];
    state.nextDb = (state.nextDb + 1) % dbCount;
    do {
      loops++;
      const count = dictSize(core.heap, db.expires);
      if (count === 0) {
        db.avgTtl = 0;
        break;
      }
      const slots = dictSlots(core.heap, db.expires);
      // A table this empty costs too much to walk; it will be shrunk soon.
      if (slots > TABLE_INITIAL_SIZE && count * 100 < slots) break;
      core.advanceTime(core.clock.monoUs());
      sampleExpires(core, db, Math.min(count, keysPerLoop));
      totalExpired += state.expired;
      totalSampled += state.sampled;
      if (loops % LOOPS_PER_CLOCK === 0 && core.clock.monoUs() - startUs > limitUs) {
        state.timedOut = true;
        stats.expiredTimeCapReachedCount++;
        break;
      }
    } while (state.sampled === 0 || Math.floor((state.expired * 100) / state.sampled) > acceptable);
  }
  const elapsedUs = core.clock.monoUs() - startUs;
  stats.expireCycleUsed += elapsedUs;
  core.latency.add('expire-cycle', elapsedUs);
  const share = totalSampled === 0 ? 0 : totalExpired / totalSampled;
  stats.expiredStalePerc = share * STALE_WEIGHT + stats.expiredStalePerc * (1 - STALE_WEIGHT);
}
