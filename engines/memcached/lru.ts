/**
 * Taking items from the tails of the LRUs: eviction, reclaiming the expired, and the juggling between HOT, WARM and COLD
 * that the original's maintainer thread does (items.c: lru_pull_tail, lru_maintainer_juggle; doc/new_lru.txt). An item
 * starts in HOT; it leaves for COLD when HOT is too large or it is too old, or for WARM when it was fetched twice. COLD's tail is evicted.
 */
import type { Items } from './items.ts';
import * as L from './layout.ts';
import { LOCK_LRU } from './lock-cells.ts';
import { LOG_EVICTIONS } from './logger.ts';
import { ANY_CLASS } from './slab-mover.ts';

/** Items looked at from a tail before it is given up. */
const PULL_TRIES_MAX = 5;
/** COLD only: unlink the tail even if it is alive. */
export const PULL_EVICT = 1;
/** Leave a list alone while the crawler stands at its tail. */
export const PULL_CRAWL_BLOCKS = 2;
/** What becomes of the item at a tail: it and those before it stay where they are. */
const STAYS = 0;
/** It was evicted, which is enough. */
const LEFT = 1;
/** It is gone or at the head, and the next one is looked at. */
const AGAIN = 2;
/** It was taken away for repair; the next one is looked at. */
const PASSED = 3;
const TO_WARM = 4;
const TO_COLD = 5;

/** Moves a class gets in one turn of the maintainer. */
const JUGGLES_MAX = 500;

/**
 * Looks at the tail of a class's LRU and frees, evicts or moves what is due there. Takes the LRU's lock, and tries those of the items: one that
 * somebody works on is passed over. One that somebody merely holds is treated as any other: its memory comes back when it is let go.
 * @param lru LRU_HOT …
 * @param totalBytes bytes in all LRUs of the class, of which HOT and WARM may have a share
 * @param flags PULL_…
 * @param maxAge HOT and WARM: seconds after which an item must go
 * @returns how many items left the list
 */
export function pullTail(
  items: Items,
  classId: number,
  lru: number,
  totalBytes: number,
  flags: number,
  maxAge: number,
): number {
  if (classId === 0) return 0;
  const { locks } = items;
  const id = classId | lru;
  let removed = 0;
  let next = 0;
  locks.take(LOCK_LRU + id);
  let search = items.tail(id);
  if ((flags & PULL_CRAWL_BLOCKS) !== 0 && search !== 0 && items.crawlNext[id] === search) search = 0;
  for (let tries = PULL_TRIES_MAX; tries > 0 && search !== 0; tries--, search = next) {
    next = items.u32[(search + L.ITEM_PREV) >>> 2];
    // Linked, it cannot vanish while its LRU is locked: its key may be read before its own lock is had.
    const hash = items.hashOf(search);
    if (!locks.tryItem(hash)) continue;
    const fate = judge(items, search, id, hash, totalBytes, flags, maxAge);
    if (fate < TO_WARM) {
      locks.unlockItem(hash);
      if (fate === LEFT || fate === AGAIN) removed++;
      if (fate === STAYS || fate === LEFT) break;
      continue;
    }
    // It moves to another list, whose lock is taken after ours is given back: never two at a time.
    items.lruUnlinkNolock(search, items.totalBytes(search));
    locks.give(LOCK_LRU + id);
    items.u8[search + L.ITEM_CLSID] = classId | (fate === TO_WARM ? L.LRU_WARM : L.LRU_COLD);
    items.lruLink(search);
    locks.unlockItem(hash);
    return removed + 1;
  }
  locks.give(LOCK_LRU + id);
  return removed;
}

/** Under the LRU's and the item's lock. @returns what became or is to become of the item */
function judge(
  items: Items,
  search: number,
  id: number,
  hash: number,
  totalBytes: number,
  flags: number,
  maxAge: number,
): number {
  const { u16, u32, settings } = items;
  const stats = items.lru;
  const lru = id & L.LRU_MASK;
  if (items.refcount(search) !== 1) {
    stats.tailReflocked[id]++;
    const { tailRepairTime } = settings;
    if (tailRepairTime !== 0 && u32[(search + L.ITEM_TIME) >>> 2] + tailRepairTime < items.now) {
      // The original frees it beneath its holder; here it goes when that one lets go.
      stats.tailRepairs[id]++;
      items.unlinkNolock(search, hash);
      return PASSED;
    }
  }
  const flagsCell = (search + L.ITEM_FLAGS) >>> 1;
  const exptime = u32[(search + L.ITEM_EXPTIME) >>> 2];
  if ((exptime !== 0 && exptime < items.now) || items.isFlushed(search)) {
    stats.reclaimed[id]++;
    if ((u16[flagsCell] & L.FLAG_FETCHED) === 0) stats.expiredUnfetched[id]++;
    items.unlinkNolock(search, hash);
    return AGAIN;
  }
  const isActive = (u16[flagsCell] & L.FLAG_ACTIVE) !== 0;
  if (lru === L.LRU_TEMP) return STAYS;
  if (lru === L.LRU_COLD) {
    if ((flags & PULL_EVICT) !== 0) {
      if (!settings.evictToFree) return STAYS;
      countEviction(items, search, id);
      if (items.logger.wants(LOG_EVICTIONS)) items.logger.eviction(search, items.keyOf(search), items.now);
      items.unlinkNolock(search, hash);
      // An eviction asks for a page from whichever class has one to spare.
      if (settings.slabAutomove === 2) items.mover.request(ANY_CLASS, id & L.CLASS_MASK);
      return LEFT;
    }
    if (!isActive || !settings.lruSegmented) return STAYS;
    stats.movesToWarm[id]++;
    u16[flagsCell] &= ~L.FLAG_ACTIVE;
    return TO_WARM;
  }
  if (isActive) {
    // Rescued aggressively: the loop goes on within WARM, and ends for one that leaves HOT.
    u16[flagsCell] &= ~L.FLAG_ACTIVE;
    if (lru === L.LRU_WARM) {
      stats.movesWithinLru[id]++;
      const size = items.totalBytes(search);
      items.lruUnlinkNolock(search, size);
      items.lruLinkNolock(search, size);
      return AGAIN;
    }
    stats.movesToWarm[id]++;
    return TO_WARM;
  }
  // A HOT without a share of its own has WARM's, as in the original.
  let limit = lru === L.LRU_HOT ? Math.floor((totalBytes * settings.hotLruPct) / 100) : 0;
  if (limit === 0) limit = Math.floor((totalBytes * settings.warmLruPct) / 100);
  if (items.lruBytes(id) > limit || items.now - u32[(search + L.ITEM_TIME) >>> 2] > maxAge) {
    stats.movesToCold[id]++;
    return TO_COLD;
  }
  return STAYS;
}

function countEviction(items: Items, item: number, id: number): void {
  const stats = items.lru;
  const flags = items.u16[(item + L.ITEM_FLAGS) >>> 1];
  stats.evicted[id]++;
  stats.evictedTime[id] = items.now - items.u32[(item + L.ITEM_TIME) >>> 2];
  if (items.u32[(item + L.ITEM_EXPTIME) >>> 2] !== 0) stats.evictedNonzero[id]++;
  if ((flags & L.FLAG_FETCHED) === 0) stats.evictedUnfetched[id]++;
  if ((flags & L.FLAG_ACTIVE) !== 0) stats.evictedActive[id]++;
}

/** Seconds since the last access of a list's tail. */
export function tailAge(items: Items, id: number): number {
  const tail = items.tail(id);
  return tail === 0 ? 0 : items.now - items.u32[(tail + L.ITEM_TIME) >>> 2];
}

/** One turn of the maintainer for one class. @returns how many moves it made */
export function juggle(items: Items, classId: number): number {
  const { settings } = items;
  let moves = 0;
  if (settings.tempLru) {
    while (moves < JUGGLES_MAX && pullTail(items, classId, L.LRU_TEMP, 0, 0, 0) > 0) moves++;
  }
  let totalBytes = 0;
  let hotAge = 0;
  let warmAge = 0;
  if (settings.lruSegmented) {
    const coldAge = tailAge(items, classId | L.LRU_COLD);
    hotAge = Math.floor(coldAge * settings.hotMaxFactor);
    warmAge = Math.floor(coldAge * settings.warmMaxFactor);
    totalBytes =
      items.lruBytes(classId | L.LRU_HOT) + items.lruBytes(classId | L.LRU_WARM) + items.lruBytes(classId | L.LRU_COLD);
  }
  for (let i = 0; i < JUGGLES_MAX; i++) {
    let more =
      pullTail(items, classId, L.LRU_HOT, totalBytes, PULL_CRAWL_BLOCKS, hotAge) ||
      pullTail(items, classId, L.LRU_WARM, totalBytes, PULL_CRAWL_BLOCKS, warmAge);
    if (settings.lruSegmented) more += pullTail(items, classId, L.LRU_COLD, totalBytes, PULL_CRAWL_BLOCKS, 0);
    if (more === 0) break;
    moves++;
  }
  return moves;
}
