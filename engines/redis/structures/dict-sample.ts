/** Random entries of a dict: one, one that is fair among its neighbours, several neighbours, and the stateless scan. */
import {
  dictBucket,
  dictBucketSlot,
  dictBucketsAt,
  dictIsRehashing,
  dictNext,
  dictPauseRehashing,
  dictRehashIndex,
  dictResumeRehashing,
  dictSize,
  dictSlots,
  dictTableSize,
} from './dict-layout.ts';
import { dictRehash } from './dict-rehash.ts';
import type { Heap } from './heap.ts';

/** A fair choice is made among so many neighbours. */
const FAIR_SAMPLE = 15;
/** And among so many more at the most, which the last chain has beyond them; longer chains are very rare. */
const FAIR_SLACK = 5;
/** Sampling visits at most so many buckets for each entry wanted. */
const STEPS_PER_SAMPLE = 10;
const EMPTY_RUN = 5;
/** At most so many buckets are read ahead at once while sampling. */
const TOUCHED_BUCKETS = 16;

/** An entry, each bucket being equally likely. @returns 0 when the dict is empty */
export function dictRandomEntry(h: Heap, d: number): number {
  if (dictSize(h, d) === 0) return 0;
  if (dictIsRehashing(h, d)) dictRehash(h, d, 1);
  let entry = 0;
  if (dictIsRehashing(h, d)) {
    const first = dictTableSize(h, d, 0);
    // Buckets below the rehash index of the first table are empty.
    const index = dictRehashIndex(h, d);
    const span = dictSlots(h, d) - index;
    do {
      const at = index + h.random.nextBelow(span);
      entry = at >= first ? dictBucket(h, d, 1, at - first) : dictBucket(h, d, 0, at);
    } while (entry === 0);
  } else {
    const size = dictTableSize(h, d, 0);
    do entry = dictBucket(h, d, 0, h.random.nextBelow(size));
    while (entry === 0);
  }
  let length = 0;
  for (let e = entry; e !== 0; e = dictNext(h, e)) length++;
  for (let skip = length > 1 ? h.random.nextBelow(length) : 0; skip > 0; skip--) entry = dictNext(h, entry);
  return entry;
}

const fair = new Float64Array(FAIR_SAMPLE + FAIR_SLACK);

/**
 * An entry, chosen among neighbours so that a long chain does not make its members rare.
 *
 * The original collects 15 entries and those that share a chain with the last, and takes one of them by chance. Which one is drawn here
 * first, so that the rest need not be collected in most cases. How many there are is known only in the end: a draw beyond them is
 * repeated, so that the chances are the same.
 * @returns 0 when empty
 */
export function dictFairRandomEntry(h: Heap, d: number): number {
  const count = Math.min(FAIR_SAMPLE, dictSize(h, d));
  if (count === 0) return 0;
  const drawable = count + FAIR_SLACK;
  let chosen = h.random.nextBelow(drawable);
  const stored = Math.min(sampleUntil(h, d, fair, count, drawable, chosen + 1), drawable);
  if (stored === 0) return dictRandomEntry(h, d);
  if (chosen >= stored) chosen = h.random.nextBelow(stored);
  return fair[chosen];
}

/**
 * Collects up to `wanted` entries from consecutive buckets beginning at a random one. Not all distinct samples are equally likely; it
 * is fast. The last chain is walked to its end even when there are enough: what comes too late may take the place of another, so that
 * each entry seen is as likely as any other. Else the ends of chains, where the oldest entries are, would be sampled too seldom, and a
 * cache whose access times are all alike would evict new keys rather than old ones.
 * @returns how many were stored in `into`
 */
export function dictSampleEntries(h: Heap, d: number, into: Float64Array, wanted: number): number {
  const count = Math.min(wanted, dictSize(h, d));
  if (count === 0) return 0;
  return Math.min(sampleUntil(h, d, into, count, count, Number.MAX_SAFE_INTEGER), count);
}

/**
 * Sees chain after chain until there are `count` entries.
 * @param room so many are stored, a random choice if more are seen
 * @param enough it may end with so many, also within a chain
 * @returns how many were seen
 */
function sampleUntil(h: Heap, d: number, into: Float64Array, count: number, room: number, enough: number): number {
  for (let i = 0; i < count && dictIsRehashing(h, d); i++) dictRehash(h, d, 1);
  return dictIsRehashing(h, d)
    ? sampleBoth(h, d, into, count, room, enough)
    : sampleOne(h, d, into, count, room, enough);
}

/** Takes the entries of a chain: those for which no room is left replace another by chance. @returns how many were seen by then */
function sampleChain(h: Heap, first: number, into: Float64Array, before: number, room: number, enough: number): number {
  const u32 = h.u32;
  let seen = before;
  for (let entry = first; entry !== 0 && seen < enough; entry = u32[(entry + 16) >>> 2]) {
    if (seen < room) {
      into[seen] = entry;
    } else {
      const at = h.random.nextBelow(seen + 1);
      if (at < room) into[at] = entry;
    }
    seen++;
  }
  return seen;
}

/** Takes up what was read ahead, so that no compiler may leave the reads out. */
export let sink = 0;

/**
 * Reads the first entries of a run of buckets. Entries lie anywhere in memory, and each one that is not in the cache is a wait; read
 * in a row that needs no result of any of them, the waits are one.
 */
function touchBuckets(h: Heap, table: number, at: number, mask: number, buckets: number): void {
  const u32 = h.u32;
  let sum = 0;
  for (let i = 0; i < buckets; i++) {
    // An empty bucket makes this a read near offset 0, which is harmless.
    const entry = u32[(table + ((at + i) & mask) * 8) >>> 2];
    sum ^= u32[(entry + 16) >>> 2];
  }
  sink = sum;
}

function sampleOne(h: Heap, d: number, into: Float64Array, count: number, room: number, enough: number): number {
  const u32 = h.u32;
  const size = dictTableSize(h, d, 0);
  const mask = size - 1;
  const table = dictBucketsAt(h, d, 0);
  let steps = count * STEPS_PER_SAMPLE;
  let at = h.random.nextBelow(size);
  let emptyRun = 0;
  let seen = 0;
  let touched = 0;
  while (steps-- > 0) {
    if (touched-- === 0) {
      // A bucket holds nearly one entry on average.
      const buckets = Math.min(TOUCHED_BUCKETS, Math.min(count, enough) - seen + 1);
      touchBuckets(h, table, at, mask, buckets);
      touched = buckets - 1;
    }
    const entry = u32[(table + at * 8) >>> 2];
    if (entry === 0) {
      emptyRun++;
      if (emptyRun >= EMPTY_RUN && emptyRun > count) {
        at = h.random.nextBelow(size);
        emptyRun = 0;
        touched = 0;
      }
    } else {
      emptyRun = 0;
      seen = sampleChain(h, entry, into, seen, room, enough);
      if (seen >= count || seen >= enough) return seen;
    }
    at = (at + 1) & mask;
  }
  return seen;
}

function sampleBoth(h: Heap, d: number, into: Float64Array, count: number, room: number, enough: number): number {
  const span = Math.max(dictTableSize(h, d, 0), dictTableSize(h, d, 1));
  const rehashed = dictRehashIndex(h, d);
  let steps = count * STEPS_PER_SAMPLE;
  let at = h.random.nextBelow(span);
  let emptyRun = 0;
  let seen = 0;
  while (steps-- > 0) {
    for (let table = 0; table < 2; table++) {
      if (table === 0 && at < rehashed) {
        // Nothing is left here in the first table; if the second is too small for this index, jump ahead.
        if (at >= dictTableSize(h, d, 1)) at = rehashed;
        else continue;
      }
      if (at >= dictTableSize(h, d, table)) continue;
      const entry = dictBucket(h, d, table, at);
      if (entry === 0) {
        emptyRun++;
        if (emptyRun >= EMPTY_RUN && emptyRun > count) {
          at = h.random.nextBelow(span);
          emptyRun = 0;
        }
        continue;
      }
      emptyRun = 0;
      seen = sampleChain(h, entry, into, seen, room, enough);
      if (seen >= count || seen >= enough) return seen;
    }
    at = (at + 1) % span;
  }
  return seen;
}

function reverseBits(value: number): number {
  let v = value;
  v = ((v >>> 1) & 0x55555555) | ((v & 0x55555555) << 1);
  v = ((v >>> 2) & 0x33333333) | ((v & 0x33333333) << 2);
  v = ((v >>> 4) & 0x0f0f0f0f) | ((v & 0x0f0f0f0f) << 4);
  v = ((v >>> 8) & 0x00ff00ff) | ((v & 0x00ff00ff) << 8);
  return (v >>> 16) | (v << 16);
}

/** Increments the bits of a cursor that lie within `mask`, the highest first. */
function nextCursor(cursor: number, mask: number): number {
  return reverseBits((reverseBits(cursor | ~mask) + 1) | 0) >>> 0;
}

/**
 * One step of a scan that holds no state but its cursor, and yet passes every entry that stays for the whole scan at least once,
 * however often the table is resized in between: the cursor counts with its bits reversed, so that all buckets that one bucket of
 * a smaller table becomes in a larger one are passed one after the other.
 * @param visit called for each entry of the step; it must not change the dict
 * @returns the next cursor, 0 at the end
 */
export function dictScan(h: Heap, d: number, cursor: number, visit: (entry: number) => void): number {
  return dictScanBuckets(h, d, cursor, (slot) => {
    for (let entry = h.u32[slot >>> 2]; entry !== 0; entry = dictNext(h, entry)) visit(entry);
  });
}

/**
 * As dictScan, bucket by bucket.
 * @param visit called with the offset of the bucket's pointer to its first entry; it may put other entries with the same keys in place of
 *   those of the chain, but nothing else
 */
export function dictScanBuckets(h: Heap, d: number, cursor: number, visit: (slot: number) => void): number {
  if (dictSize(h, d) === 0) return 0;
  dictPauseRehashing(h, d);
  const visitBucket = (table: number, index: number) => visit(dictBucketSlot(h, d, table, index));
  let next = cursor;
  if (!dictIsRehashing(h, d)) {
    const mask = dictTableSize(h, d, 0) - 1;
    visitBucket(0, (next & mask) >>> 0);
    next = nextCursor(next, mask);
  } else {
    const small = dictTableSize(h, d, 0) <= dictTableSize(h, d, 1) ? 0 : 1;
    const large = 1 - small;
    const smallMask = dictTableSize(h, d, small) - 1;
    const largeMask = dictTableSize(h, d, large) - 1;
    visitBucket(small, (next & smallMask) >>> 0);
    do {
      visitBucket(large, (next & largeMask) >>> 0);
      next = nextCursor(next, largeMask);
    } while ((next & (smallMask ^ largeMask)) !== 0);
  }
  dictResumeRehashing(h, d);
  return next;
}
