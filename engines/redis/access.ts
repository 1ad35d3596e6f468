/**
 * What is known of the accesses to a value, in the 24 bits of its object: the second of the last one, or, under an LFU policy, its
 * minute (16 bits) and a counter that rises ever more slowly (8 bits).
 */
import type { RedisCore } from './redis-core.ts';
import { robjLru, robjSetLru } from './structures/robj.ts';

/** The LRU clock counts seconds in 24 bits. */
export const LRU_CLOCK_MAX = (1 << 24) - 1;
/** What the counter of a new value starts with, so that it is not evicted before it could be used. */
export const LFU_INIT_VALUE = 5;
export const LFU_MAX = 255;
const MINUTES_MASK = 0xffff;

/** Unix time in minutes, 16 bits. */
export function lfuTimeInMinutes(nowMs: number): number {
  return Math.floor(nowMs / 60_000) & MINUTES_MASK;
}

/** The frequency counter of an object after decay, without storing it. */
export function lfuDecayedCounter(core: RedisCore, robj: number): number {
  const lru = robjLru(core.heap, robj);
  const last = lru >>> 8;
  const counter = lru & LFU_MAX;
  if (core.config.lfuDecayTime === 0) return counter;
  const now = lfuTimeInMinutes(core.nowMs);
  const elapsed = now >= last ? now - last : MINUTES_MASK - last + now;
  const periods = Math.floor(elapsed / core.config.lfuDecayTime);
  return periods > counter ? 0 : counter - periods;
}

/** Counts an access: the higher the counter, the less likely it rises. */
export function updateLfu(core: RedisCore, robj: number): void {
  let counter = lfuDecayedCounter(core, robj);
  if (counter < LFU_MAX) {
    const base = Math.max(0, counter - LFU_INIT_VALUE);
    if (core.random.nextFloat() < 1 / (base * core.config.lfuLogFactor + 1)) counter++;
  }
  robjSetLru(core.heap, robj, (lfuTimeInMinutes(core.nowMs) << 8) | counter);
}

/** Seconds from an object's access field to a later reading of the LRU clock, which goes round. */
export function idleSeconds(clock: number, lru: number): number {
  return clock >= lru ? clock - lru : clock + (LRU_CLOCK_MAX - lru);
}

/** Milliseconds since an object was last accessed, in steps of the LRU clock. */
export function idleTimeMs(core: RedisCore, robj: number): number {
  return idleSeconds(core.lruClock, robjLru(core.heap, robj)) * 1000;
}
