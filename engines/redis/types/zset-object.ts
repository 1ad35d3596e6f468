/**
 * Sorted sets as objects: a listpack of pairs while small, else a struct of two pointers, a dict (members to scores) at 0 and a skip
 * list at 8. The dict's keys are the members of the list's nodes, its values point to the scores there.
 */
import {
  dictCreate,
  dictFind,
  dictFreeEntry,
  dictInsertHashed,
  dictRelease,
  dictUnlink,
  lastHash,
} from '../structures/dict.ts';
import { DICT_TYPE_ZSET, dictSetValue, dictValue } from '../structures/dict-layout.ts';
import { dictExpand, dictNeedsResize, dictResize } from '../structures/dict-rehash.ts';
import type { Heap } from '../structures/heap.ts';
import { lpFree, lpNew, lpSafeToAdd } from '../structures/listpack.ts';
import {
  createObject,
  OBJ_ENCODING_LISTPACK,
  OBJ_ENCODING_SKIPLIST,
  OBJ_ZSET,
  robjEncoding,
  robjPtr,
  robjSetPtr,
} from '../structures/robj.ts';
import { sdsFree, sdsLen, sdsNewLen } from '../structures/sds.ts';
import {
  NODE_SCORE,
  zslCreate,
  zslFirst,
  zslFree,
  zslFreeNode,
  zslInsert,
  zslLength,
  zslMember,
  zslNext,
  zslRank,
  zslScore,
  zslUnlink,
  zslUpdateScore,
} from '../structures/skiplist.ts';
import {
  zzlAfterFailure,
  zzlAppend,
  zzlDelete,
  zzlFind,
  zzlFirst,
  zzlInsert,
  zzlLength,
  zzlMemberSds,
  zzlNext,
  zzlRescore,
  zzlScoreOf,
} from '../structures/zset-listpack.ts';

export const ZSET_BYTES = 16;

/** How zsetAdd is to add. */
export const ZADD_INCR = 1 << 0;
export const ZADD_NX = 1 << 1;
export const ZADD_XX = 1 << 2;
export const ZADD_GT = 1 << 3;
export const ZADD_LT = 1 << 4;

/** What zsetAdd has done: nothing because of a condition; the sum is not a number; a new member; another score; the same score. */
export const ZADD_NOTHING = 0;
export const ZADD_NAN = 1;
export const ZADD_ADDED = 2;
export const ZADD_UPDATED = 3;
export const ZADD_SAME = 4;

/** The score that the member of the last zsetAdd has now, or that zsetScore has found. */
export let foundScore = 0;

export function zsetDict(h: Heap, o: number): number {
  return h.u32[robjPtr(h, o) >>> 2];
}

export function zsetSkiplist(h: Heap, o: number): number {
  return h.u32[(robjPtr(h, o) + 8) >>> 2];
}

/** An empty struct of dict and skip list. */
function createPair(h: Heap): number {
  const zset = h.calloc(ZSET_BYTES);
  let dict = 0;
  try {
    dict = dictCreate(h, DICT_TYPE_ZSET);
    h.u32[zset >>> 2] = dict;
    h.u32[(zset + 8) >>> 2] = zslCreate(h);
    return zset;
  } catch (error) {
    if (dict !== 0) h.free(dict);
    h.free(zset);
    throw error;
  }
}

function freePair(h: Heap, zset: number): void {
  dictRelease(h, h.u32[zset >>> 2]);
  zslFree(h, h.u32[(zset + 8) >>> 2]);
  h.free(zset);
}

/** An empty sorted set with a skip list. @throws ARENA_EXHAUSTED */
export function createZset(h: Heap): number {
  const zset = createPair(h);
  try {
    return createObject(h, OBJ_ZSET, OBJ_ENCODING_SKIPLIST, zset);
  } catch (error) {
    freePair(h, zset);
    throw error;
  }
}

/** An object around a listpack of pairs, which it takes over also when it throws. */
export function wrapZsetListpack(h: Heap, lp: number): number {
  try {
    return createObject(h, OBJ_ZSET, OBJ_ENCODING_LISTPACK, lp);
  } catch (error) {
    lpFree(h, lp);
    throw error;
  }
}

/** An empty sorted set in a listpack. @throws ARENA_EXHAUSTED */
export function createZsetListpack(h: Heap): number {
  return wrapZsetListpack(h, lpNew(h, 0));
}

/** Frees what the object points to. */
export function zsetFree(h: Heap, o: number): void {
  if (robjEncoding(h, o) === OBJ_ENCODING_LISTPACK) lpFree(h, robjPtr(h, o));
  else freePair(h, robjPtr(h, o));
}

/** Number of members. */
export function zsetLength(h: Heap, o: number): number {
  return robjEncoding(h, o) === OBJ_ENCODING_LISTPACK ? zzlLength(h, robjPtr(h, o)) : zslLength(h, zsetSkiplist(h, o));
}

function setEncoding(h: Heap, o: number, encoding: number, pointer: number): void {
  h.u8[o] = OBJ_ZSET | (encoding << 4);
  robjSetPtr(h, o, pointer);
}

/**
 * Adds a member that is not there to dict and skip list.
 * @param member an sds, which they take over
 * @throws ARENA_EXHAUSTED, nothing changed
 */
function insertPair(h: Heap, zset: number, score: number, member: number, hash: number): void {
  const dict = h.u32[zset >>> 2];
  const zsl = h.u32[(zset + 8) >>> 2];
  const node = zslInsert(h, zsl, score, member);
  let entry: number;
  try {
    entry = dictInsertHashed(h, dict, member, hash);
  } catch (error) {
    zslUnlink(h, zsl, score, member, sdsLen(h, member));
    h.free(node);
    throw error;
  }
  dictSetValue(h, entry, node + NODE_SCORE);
}

/** Adds a member that is not there to an object with a skip list. @param member an sds, which it takes over unless it throws */
export function zsetInsertNew(h: Heap, o: number, score: number, member: number): void {
  const zset = robjPtr(h, o);
  dictFind(h, h.u32[zset >>> 2], member, sdsLen(h, member));
  insertPair(h, zset, score, member, lastHash);
}

/** Makes room in the dict for so many members, so that it need not grow step by step. */
export function zsetExpand(h: Heap, o: number, members: number): void {
  dictExpand(h, zsetDict(h, o), members);
}

/** Turns a listpack into dict and skip list. @throws ARENA_EXHAUSTED, nothing changed */
export function zsetToSkiplist(h: Heap, o: number): void {
  if (robjEncoding(h, o) === OBJ_ENCODING_SKIPLIST) return;
  const lp = robjPtr(h, o);
  const zset = createPair(h);
  try {
    for (let p = zzlFirst(h, lp); p !== 0; p = zzlNext(h, lp, p)) {
      const score = zzlScoreOf(h, lp, p);
      const member = zzlMemberSds(h, p);
      try {
        dictFind(h, h.u32[zset >>> 2], member, sdsLen(h, member));
        insertPair(h, zset, score, member, lastHash);
      } catch (error) {
        sdsFree(h, member);
        throw error;
      }
    }
  } catch (error) {
    freePair(h, zset);
    throw error;
  }
  lpFree(h, lp);
  setEncoding(h, o, OBJ_ENCODING_SKIPLIST, zset);
}

function toListpack(h: Heap, o: number): void {
  const zset = robjPtr(h, o);
  const zsl = h.u32[(zset + 8) >>> 2];
  let lp = lpNew(h, 0);
  try {
    for (let node = zslFirst(h, zsl); node !== 0; node = zslNext(h, node)) {
      const member = zslMember(h, node);
      lp = zzlAppend(h, lp, member, sdsLen(h, member), zslScore(h, node));
    }
  } catch (error) {
    lpFree(h, zzlAfterFailure);
    throw error;
  }
  freePair(h, zset);
  setEncoding(h, o, OBJ_ENCODING_LISTPACK, lp);
}

/**
 * Turns dict and skip list into a listpack where that is small enough.
 * @param longest length in bytes of the longest member
 * @param total length in bytes of all members
 */
export function zsetToListpackIfSmall(h: Heap, o: number, longest: number, total: number): void {
  if (robjEncoding(h, o) === OBJ_ENCODING_LISTPACK) return;
  const limits = h.limits;
  if (zsetLength(h, o) > limits.zsetMaxListpackEntries || longest > limits.zsetMaxListpackValue) return;
  if (lpSafeToAdd(h, 0, total)) toListpack(h, o);
}

/** Finds a member's score. @returns whether it is there; the score is in foundScore */
export function zsetScore(h: Heap, o: number, offset: number, length: number): boolean {
  if (robjEncoding(h, o) === OBJ_ENCODING_LISTPACK) {
    const lp = robjPtr(h, o);
    const p = zzlFind(h, lp, offset, length);
    if (p === 0) return false;
    foundScore = zzlScoreOf(h, lp, p);
    return true;
  }
  const entry = dictFind(h, zsetDict(h, o), offset, length);
  if (entry === 0) return false;
  foundScore = h.f64[dictValue(h, entry) >>> 3];
  return true;
}

/** What is to be done with a member that is there. Sets foundScore to its new score. */
function decide(current: number, score: number, flags: number): number {
  if (flags === 0) {
    foundScore = score;
    return score === current ? ZADD_SAME : ZADD_UPDATED;
  }
  if ((flags & ZADD_NX) !== 0) return ZADD_NOTHING;
  let wanted = score;
  if ((flags & ZADD_INCR) !== 0) {
    wanted += current;
    if (Number.isNaN(wanted)) return ZADD_NAN;
  }
  if ((flags & ZADD_LT) !== 0 && wanted >= current) return ZADD_NOTHING;
  if ((flags & ZADD_GT) !== 0 && wanted <= current) return ZADD_NOTHING;
  foundScore = wanted;
  return wanted === current ? ZADD_SAME : ZADD_UPDATED;
}

function addToListpack(h: Heap, o: number, score: number, offset: number, length: number): void {
  try {
    robjSetPtr(h, o, zzlInsert(h, robjPtr(h, o), offset, length, score));
  } catch (error) {
    robjSetPtr(h, o, zzlAfterFailure);
    throw error;
  }
}

/**
 * Adds a member or gives it another score, under the conditions of `flags`.
 * @param score not NaN
 * @returns one of ZADD_NOTHING …; foundScore is the score that the member has then
 * @throws ARENA_EXHAUSTED; the object is whole
 */
export function zsetAdd(h: Heap, o: number, score: number, offset: number, length: number, flags: number): number {
  if (robjEncoding(h, o) === OBJ_ENCODING_LISTPACK) {
    const lp = robjPtr(h, o);
    const p = zzlFind(h, lp, offset, length);
    if (p !== 0) {
      const done = decide(zzlScoreOf(h, lp, p), score, flags);
      if (done !== ZADD_UPDATED) return done;
      try {
        robjSetPtr(h, o, zzlRescore(h, lp, p, offset, length, foundScore));
      } catch (error) {
        robjSetPtr(h, o, zzlAfterFailure);
        throw error;
      }
      return ZADD_UPDATED;
    }
    if ((flags & ZADD_XX) !== 0) return ZADD_NOTHING;
    const limits = h.limits;
    const fits = zzlLength(h, lp) < limits.zsetMaxListpackEntries && length <= limits.zsetMaxListpackValue;
    if (fits && lpSafeToAdd(h, lp, length)) {
      addToListpack(h, o, score, offset, length);
      foundScore = score;
      return ZADD_ADDED;
    }
    zsetToSkiplist(h, o);
  }
  const zset = robjPtr(h, o);
  const entry = dictFind(h, h.u32[zset >>> 2], offset, length);
  if (entry !== 0) {
    const at = dictValue(h, entry);
    const done = decide(h.f64[at >>> 3], score, flags);
    if (done !== ZADD_UPDATED) return done;
    const node = zslUpdateScore(h, h.u32[(zset + 8) >>> 2], at - NODE_SCORE, foundScore);
    dictSetValue(h, entry, node + NODE_SCORE);
    return ZADD_UPDATED;
  }
  if ((flags & ZADD_XX) !== 0) return ZADD_NOTHING;
  const hash = lastHash;
  const member = sdsNewLen(h, offset, length);
  try {
    insertPair(h, zset, score, member, hash);
  } catch (error) {
    sdsFree(h, member);
    throw error;
  }
  foundScore = score;
  return ZADD_ADDED;
}

/** Removes a member. The bytes may be its own. @returns whether it was there */
export function zsetDelete(h: Heap, o: number, offset: number, length: number): boolean {
  if (robjEncoding(h, o) === OBJ_ENCODING_LISTPACK) {
    const lp = robjPtr(h, o);
    const p = zzlFind(h, lp, offset, length);
    if (p === 0) return false;
    robjSetPtr(h, o, zzlDelete(h, lp, p, 1));
    return true;
  }
  const dict = zsetDict(h, o);
  const entry = dictUnlink(h, dict, offset, length);
  if (entry === 0) return false;
  const score = h.f64[dictValue(h, entry) >>> 3];
  dictFreeEntry(h, dict, entry);
  zslFreeNode(h, zslUnlink(h, zsetSkiplist(h, o), score, offset, length));
  zsetShrinkDict(h, dict);
  return true;
}

/** Shrinks a dict that members have been removed from, if it is worth it. */
export function zsetShrinkDict(h: Heap, dict: number): void {
  if (dictNeedsResize(h, dict)) dictResize(h, dict);
}

/** @returns the member's rank from 0, counted from the other end if `reverse`, or -1 */
export function zsetRank(h: Heap, o: number, offset: number, length: number, reverse: boolean): number {
  let rank = 0;
  const count = zsetLength(h, o);
  if (robjEncoding(h, o) === OBJ_ENCODING_LISTPACK) {
    const lp = robjPtr(h, o);
    const found = zzlFind(h, lp, offset, length);
    if (found === 0) return -1;
    rank = 1;
    for (let p = zzlFirst(h, lp); p !== found; p = zzlNext(h, lp, p)) rank++;
  } else {
    const entry = dictFind(h, zsetDict(h, o), offset, length);
    if (entry === 0) return -1;
    rank = zslRank(h, zsetSkiplist(h, o), h.f64[dictValue(h, entry) >>> 3], offset, length);
  }
  return reverse ? count - rank : rank - 1;
}

/** Adds a member read from outside; it must not be there yet. @returns false when it is there: the sds is then still the caller's */
export function zsetLoadMember(h: Heap, o: number, score: number, member: number): boolean {
  const zset = robjPtr(h, o);
  if (dictFind(h, h.u32[zset >>> 2], member, sdsLen(h, member)) !== 0) return false;
  insertPair(h, zset, score, member, lastHash);
  return true;
}
