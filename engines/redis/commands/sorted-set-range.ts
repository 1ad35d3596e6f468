/** The sorted set commands that read, store, count or remove a range of ranks, scores or members. */
import type { Client } from '../client.ts';
import type { CommandProc } from '../command.ts';
import { dbDelete, lookupKeyRead, NOTIFY_GENERIC, NOTIFY_ZSET } from '../db.ts';
import { addReplyArrayLen, addReplyBulk, addReplyError, addReplyLong, SYNTAX_ERROR } from '../protocol/reply.ts';
import type { RedisCore } from '../redis-core.ts';
import { dictFreeEntry, dictUnlink } from '../structures/dict.ts';
import type { Heap } from '../structures/heap.ts';
import { lpSeek } from '../structures/listpack.ts';
import {
  decrRefCount,
  OBJ_ENCODING_LISTPACK,
  OBJ_ZSET,
  robjEncoding,
  robjPtr,
  robjSetPtr,
} from '../structures/robj.ts';
import { sdsLen } from '../structures/sds.ts';
import {
  zslByRank,
  zslFreeNode,
  zslLength,
  zslMember,
  zslNext,
  zslPrevious,
  zslRank,
  zslScore,
} from '../structures/skiplist.ts';
import {
  zslDeleteByLex,
  zslDeleteByRank,
  zslDeleteByScore,
  zslFirstInLexRange,
  zslFirstInScoreRange,
  zslLastInLexRange,
  zslLastInScoreRange,
} from '../structures/skiplist-range.ts';
import {
  zzlAboveMin,
  zzlBelowMax,
  zzlDelete,
  zzlFirstInLexRange,
  zzlFirstInScoreRange,
  zzlLastInLexRange,
  zzlLastInScoreRange,
  zzlMember,
  zzlMemberLength,
  zzlMemberOffset,
  zzlNext,
  zzlPrevious,
  zzlScoreOf,
} from '../structures/zset-listpack.ts';
import {
  createZset,
  createZsetListpack,
  zsetAdd,
  zsetDict,
  zsetLength,
  zsetShrinkDict,
  zsetSkiplist,
} from '../types/zset-object.ts';
import { argNumber, isWrongType, readInteger } from './integer-arguments.ts';
import { addReplyListpackElement } from './scan.ts';
import {
  addReplyScore,
  lexRange,
  readLexRange,
  readScoreRange,
  replyZero,
  scoreRange,
  zsetOrReply,
} from './sorted-set-arguments.ts';
import { storeResult } from './store-result.ts';

type By = 'auto' | 'rank' | 'score' | 'lex';
type Direction = 'auto' | 'forward' | 'reverse';

const LIMIT_NEEDS_RANGE = 'syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX';
const NO_SCORES_BY_LEX = 'syntax error, WITHSCORES not supported in combination with BYLEX';

/** What the present command asks for; filled by readOptions. */
let by: By = 'rank';
let reverse = false;
let withScores = false;
let offset = 0;
let limit = -1;

/** Reads what follows key, min and max. @returns false after an error */
function readOptions(core: RedisCore, c: Client, first: number, store: boolean, direction: Direction): boolean {
  let order = direction;
  withScores = false;
  offset = 0;
  limit = -1;
  for (let i = first; i < c.argc; i++) {
    if (!store && c.argIs(i, 'withscores')) {
      withScores = true;
    } else if (c.argIs(i, 'limit') && i + 2 < c.argc) {
      if (!readInteger(core, c, i + 1)) return false;
      offset = argNumber;
      if (!readInteger(core, c, i + 2)) return false;
      limit = argNumber;
      i += 2;
    } else if (order === 'auto' && c.argIs(i, 'rev')) {
      order = 'reverse';
    } else if (by === 'auto' && c.argIs(i, 'bylex')) {
      by = 'lex';
    } else if (by === 'auto' && c.argIs(i, 'byscore')) {
      by = 'score';
    } else {
      addReplyError(c, SYNTAX_ERROR);
      return false;
    }
  }
  reverse = order === 'reverse';
  if (by === 'auto') by = 'rank';
  if (limit !== -1 && by === 'rank') {
    addReplyError(c, LIMIT_NEEDS_RANGE);
    return false;
  }
  if (withScores && by === 'lex') {
    addReplyError(c, NO_SCORES_BY_LEX);
    return false;
  }
  return true;
}

/** The ranks asked for. */
let rankStart = 0;
let rankEnd = 0;

/** Reads the ends of the range from arguments `i` and `i + 1`. @returns false after an error */
function readEnds(core: RedisCore, c: Client, i: number): boolean {
  if (by === 'score') return reverse ? readScoreRange(core, c, i + 1, i) : readScoreRange(core, c, i, i + 1);
  if (by === 'lex') return reverse ? readLexRange(core, c, i + 1, i) : readLexRange(core, c, i, i + 1);
  if (!readInteger(core, c, i)) return false;
  rankStart = argNumber;
  if (!readInteger(core, c, i + 1)) return false;
  rankEnd = argNumber;
  return true;
}

/** Brings ranks that may count from the end into bounds. @returns false when nothing is in the range */
function clampRanks(length: number): boolean {
  if (rankStart < 0) rankStart += length;
  if (rankEnd < 0) rankEnd += length;
  if (rankStart < 0) rankStart = 0;
  if (rankStart > rankEnd || rankStart >= length) return false;
  if (rankEnd >= length) rankEnd = length - 1;
  return true;
}

/** Where the range begins (a node, or a pair of a listpack) and how many members are to be given. */
let first = 0;
let count = 0;

/** Finds the range in a skip list or listpack. */
function findRange(h: Heap, o: number): void {
  first = 0;
  count = 0;
  const packed = robjEncoding(h, o) === OBJ_ENCODING_LISTPACK;
  const list = packed ? robjPtr(h, o) : zsetSkiplist(h, o);
  if (by === 'rank') {
    const length = zsetLength(h, o);
    if (!clampRanks(length)) return;
    count = rankEnd - rankStart + 1;
    const rank = reverse ? length - 1 - rankStart : rankStart;
    first = packed ? lpSeek(h, list, rank * 2) : zslByRank(h, list, rank + 1);
    return;
  }
  if (packed) findInListpack(h, list);
  else findInSkiplist(h, list);
}

function findInListpack(h: Heap, lp: number): void {
  let p: number;
  if (by === 'score') {
    p = reverse ? zzlLastInScoreRange(h, lp, scoreRange) : zzlFirstInScoreRange(h, lp, scoreRange);
  } else {
    p = reverse ? zzlLastInLexRange(h, lp, lexRange) : zzlFirstInLexRange(h, lp, lexRange);
  }
  // A negative offset passes over everything, as it never counts down to 0.
  for (let skip = offset; p !== 0 && skip !== 0; skip--) p = reverse ? zzlPrevious(h, lp, p) : zzlNext(h, lp, p);
  first = p;
  for (let left = limit; p !== 0 && left !== 0; left--) {
    if (!pairInside(h, lp, p)) break;
    count++;
    p = reverse ? zzlPrevious(h, lp, p) : zzlNext(h, lp, p);
  }
}

/** Whether a pair is still in the range, seen from where the walk has begun. */
function pairInside(h: Heap, lp: number, p: number): boolean {
  if (by === 'lex') return reverse ? zzlAboveMin(h, p, lexRange) : zzlBelowMax(h, p, lexRange);
  const score = zzlScoreOf(h, lp, p);
  return reverse ? scoreRange.isAboveMin(score) : scoreRange.isBelowMax(score);
}

function findInSkiplist(h: Heap, zsl: number): void {
  let node: number;
  if (by === 'score') {
    node = reverse ? zslLastInScoreRange(h, zsl, scoreRange) : zslFirstInScoreRange(h, zsl, scoreRange);
  } else {
    node = reverse ? zslLastInLexRange(h, zsl, lexRange) : zslFirstInLexRange(h, zsl, lexRange);
  }
  for (let skip = offset; node !== 0 && skip !== 0; skip--) node = reverse ? zslPrevious(h, node) : zslNext(h, node);
  first = node;
  for (let left = limit; node !== 0 && left !== 0; left--) {
    if (!nodeInside(h, node)) break;
    count++;
    node = reverse ? zslPrevious(h, node) : zslNext(h, node);
  }
}

function nodeInside(h: Heap, node: number): boolean {
  if (by === 'lex') {
    const s = zslMember(h, node);
    return reverse ? lexRange.isAboveMin(h, s, sdsLen(h, s)) : lexRange.isBelowMax(h, s, sdsLen(h, s));
  }
  const score = zslScore(h, node);
  return reverse ? scoreRange.isAboveMin(score) : scoreRange.isBelowMax(score);
}

/** The head of a reply of members: flat in RESP2, in RESP3 pairs of their own where there are scores. */
export function addReplyMembersLen(c: Client, members: number, scores: boolean): void {
  addReplyArrayLen(c, scores && c.resp === 2 ? members * 2 : members);
}

/** Replies the members that findRange has found. */
function replyRange(core: RedisCore, c: Client, o: number): void {
  const h = core.heap;
  addReplyMembersLen(c, count, withScores);
  const nested = withScores && c.resp > 2;
  if (robjEncoding(h, o) === OBJ_ENCODING_LISTPACK) {
    const lp = robjPtr(h, o);
    let p = first;
    for (let left = count; left > 0; left--) {
      if (nested) addReplyArrayLen(c, 2);
      addReplyListpackElement(c, p);
      if (withScores) addReplyScore(c, zzlScoreOf(h, lp, p));
      if (left > 1) p = reverse ? zzlPrevious(h, lp, p) : zzlNext(h, lp, p);
    }
    return;
  }
  let node = first;
  for (let left = count; left > 0; left--) {
    if (nested) addReplyArrayLen(c, 2);
    const s = zslMember(h, node);
    addReplyBulk(c, s, sdsLen(h, s));
    if (withScores) addReplyScore(c, zslScore(h, node));
    node = reverse ? zslPrevious(h, node) : zslNext(h, node);
  }
}

/** Copies the members that findRange has found. @returns a new object with at least one member. @throws ARENA_EXHAUSTED, nothing leaked */
function copyRange(h: Heap, o: number): number {
  // Only where it knows the number beforehand does the original begin with a skip list, which keeps the sign of a zero.
  const large = by === 'rank' && count > h.limits.zsetMaxListpackEntries;
  const copy = large ? createZset(h) : createZsetListpack(h);
  try {
    let at = first;
    const packed = robjEncoding(h, o) === OBJ_ENCODING_LISTPACK;
    const lp = robjPtr(h, o);
    for (let left = count; left > 0; left--) {
      if (packed) {
        const score = zzlScoreOf(h, lp, at);
        zzlMember(h, at);
        zsetAdd(h, copy, score, zzlMemberOffset, zzlMemberLength, 0);
        if (left > 1) at = reverse ? zzlPrevious(h, lp, at) : zzlNext(h, lp, at);
      } else {
        const s = zslMember(h, at);
        zsetAdd(h, copy, zslScore(h, at), s, sdsLen(h, s), 0);
        at = reverse ? zslPrevious(h, at) : zslNext(h, at);
      }
    }
    return copy;
  } catch (error) {
    decrRefCount(h, copy);
    throw error;
  }
}

/** @param keyArg the source key; min and max follow it. With `store` the result goes to the key of argument 1 */
function rangeGeneric(core: RedisCore, c: Client, keyArg: number, type: By, direction: Direction): void {
  const store = keyArg === 2;
  by = type;
  if (!readOptions(core, c, keyArg + 3, store, direction) || !readEnds(core, c, keyArg + 1)) return;
  const o = lookupKeyRead(core, c.db, c.argOff[keyArg], c.argLen[keyArg]);
  if (o === 0) {
    if (store) storeResult(core, c, 1, 0, 0, NOTIFY_ZSET, '');
    else addReplyArrayLen(c, 0);
    return;
  }
  if (isWrongType(core, c, o, OBJ_ZSET)) return;
  findRange(core.heap, o);
  if (!store) replyRange(core, c, o);
  else storeResult(core, c, 1, count === 0 ? 0 : copyRange(core.heap, o), count, NOTIFY_ZSET, 'zrangestore');
}

/** ZCOUNT and ZLEXCOUNT. */
function countGeneric(core: RedisCore, c: Client, type: By): void {
  const h = core.heap;
  by = type;
  reverse = false;
  if (!readEnds(core, c, 2)) return;
  const o = lookupKeyRead(core, c.db, c.argOff[1], c.argLen[1]);
  if (isWrongType(core, c, o, OBJ_ZSET)) return;
  if (o === 0) {
    addReplyLong(c, 0);
  } else if (robjEncoding(h, o) === OBJ_ENCODING_LISTPACK) {
    offset = 0;
    limit = -1;
    findRange(h, o);
    addReplyLong(c, count);
  } else {
    addReplyLong(c, countInSkiplist(h, zsetSkiplist(h, o)));
  }
}

function countInSkiplist(h: Heap, zsl: number): number {
  const start = by === 'score' ? zslFirstInScoreRange(h, zsl, scoreRange) : zslFirstInLexRange(h, zsl, lexRange);
  if (start === 0) return 0;
  const end = by === 'score' ? zslLastInScoreRange(h, zsl, scoreRange) : zslLastInLexRange(h, zsl, lexRange);
  // Where the members of unequal scores are in no order there may be no end.
  const to = end === 0 ? zslLength(h, zsl) : rankOf(h, zsl, end);
  return to - rankOf(h, zsl, start) + 1;
}

function rankOf(h: Heap, zsl: number, node: number): number {
  const s = zslMember(h, node);
  return zslRank(h, zsl, zslScore(h, node), s, sdsLen(h, s));
}

/** Removes a node's member from the dict too, and frees both. */
function forgetNode(h: Heap, node: number, dict: number): void {
  const s = zslMember(h, node);
  const entry = dictUnlink(h, dict, s, sdsLen(h, s));
  dictFreeEntry(h, dict, entry);
  zslFreeNode(h, node);
}

/** Removes the range from an object. @returns how many members */
function removeRange(h: Heap, o: number): number {
  if (robjEncoding(h, o) === OBJ_ENCODING_LISTPACK) {
    findRange(h, o);
    if (count > 0) robjSetPtr(h, o, zzlDelete(h, robjPtr(h, o), first, count));
    return count;
  }
  const zsl = zsetSkiplist(h, o);
  const dict = zsetDict(h, o);
  let removed: number;
  if (by === 'rank') removed = zslDeleteByRank(h, zsl, rankStart + 1, rankEnd + 1, forgetNode, dict);
  else if (by === 'score') removed = zslDeleteByScore(h, zsl, scoreRange, forgetNode, dict);
  else removed = zslDeleteByLex(h, zsl, lexRange, forgetNode, dict);
  zsetShrinkDict(h, dict);
  return removed;
}

function removeGeneric(core: RedisCore, c: Client, type: By, event: string): void {
  const h = core.heap;
  by = type;
  reverse = false;
  offset = 0;
  limit = -1;
  if (!readEnds(core, c, 2)) return;
  const key = c.argOff[1];
  const keyLength = c.argLen[1];
  const o = zsetOrReply(core, c, true, replyZero);
  if (o === 0) return;
  if (by === 'rank' && !clampRanks(zsetLength(h, o))) {
    addReplyLong(c, 0);
    return;
  }
  const removed = removeRange(h, o);
  const gone = zsetLength(h, o) === 0;
  if (gone) dbDelete(core, c.db, key, keyLength);
  if (removed > 0) {
    core.signalModifiedKey(c.db, key, keyLength);
    core.notifyKeyspaceEvent(NOTIFY_ZSET, event, key, keyLength, c.db.id);
    if (gone) core.notifyKeyspaceEvent(NOTIFY_GENERIC, 'del', key, keyLength, c.db.id);
  }
  core.dirty += removed;
  addReplyLong(c, removed);
}

/** The procedures, by full name. */
export const sortedSetRangeProcs: Readonly<Record<string, CommandProc>> = {
  zcount: (core, c) => countGeneric(core, c, 'score'),
  zlexcount: (core, c) => countGeneric(core, c, 'lex'),
  zrange: (core, c) => rangeGeneric(core, c, 1, 'auto', 'auto'),
  zrangebylex: (core, c) => rangeGeneric(core, c, 1, 'lex', 'forward'),
  zrangebyscore: (core, c) => rangeGeneric(core, c, 1, 'score', 'forward'),
  zrangestore: (core, c) => rangeGeneric(core, c, 2, 'auto', 'auto'),
  zremrangebylex: (core, c) => removeGeneric(core, c, 'lex', 'zremrangebylex'),
  zremrangebyrank: (core, c) => removeGeneric(core, c, 'rank', 'zremrangebyrank'),
  zremrangebyscore: (core, c) => removeGeneric(core, c, 'score', 'zremrangebyscore'),
  zrevrange: (core, c) => rangeGeneric(core, c, 1, 'rank', 'reverse'),
  zrevrangebylex: (core, c) => rangeGeneric(core, c, 1, 'lex', 'reverse'),
  zrevrangebyscore: (core, c) => rangeGeneric(core, c, 1, 'score', 'reverse'),
};
