/** Unions, intersections and differences of sorted sets and sets, replied, stored or counted. */
import type { Client } from '../client.ts';
import type { CommandProc } from '../command.ts';
import { lookupKeyRead, NOTIFY_ZSET } from '../db.ts';
import {
  addReplyArrayLen,
  addReplyBulk,
  addReplyError,
  addReplyLong,
  SYNTAX_ERROR,
  WRONG_TYPE,
} from '../protocol/reply.ts';
import type { RedisCore } from '../redis-core.ts';
import { dictCreate, dictFind, dictInsertHashed, dictRelease, lastHash } from '../structures/dict.ts';
import { DictIterator } from '../structures/dict-iterator.ts';
import { DICT_TYPE_EXPIRES, dictKey, dictSize } from '../structures/dict-layout.ts';
import { dictExpand } from '../structures/dict-rehash.ts';
import type { Heap } from '../structures/heap.ts';
import {
  decrRefCount,
  OBJ_ENCODING_LISTPACK,
  OBJ_SET,
  OBJ_ZSET,
  robjEncoding,
  robjPtr,
  robjType,
} from '../structures/robj.ts';
import { sdsFree, sdsLen, sdsNewLen } from '../structures/sds.ts';
import { zslFirst, zslLast, zslMember, zslNext, zslPrevious, zslScore } from '../structures/skiplist.ts';
import {
  zzlLast,
  zzlMember,
  zzlMemberLength,
  zzlMemberOffset,
  zzlPrevious,
  zzlScoreOf,
} from '../structures/zset-listpack.ts';
import { SetIterator, setTypeIsMember, setTypeSize } from '../types/set.ts';
import {
  createZset,
  foundScore,
  zsetExpand,
  zsetInsertNew,
  zsetLength,
  zsetScore,
  zsetSkiplist,
  zsetToListpackIfSmall,
} from '../types/zset-object.ts';
import { argNumber, readInteger, readPositive } from './integer-arguments.ts';
import { addReplyScore, argScore, readScore } from './sorted-set-arguments.ts';
import { addReplyMembersLen } from './sorted-set-range.ts';
import { storeResult } from './store-result.ts';

type Operation = 'union' | 'inter' | 'diff';
type Aggregate = 'sum' | 'min' | 'max';

const LIMIT_NEGATIVE = "LIMIT can't be negative";

/** One input of an operation: a sorted set, or a set whose members all have score 1; `o` 0: nothing. */
class Source {
  readonly o: number;
  readonly isSet: boolean;
  readonly length: number;
  weight = 1;

  constructor(h: Heap, o: number) {
    this.o = o;
    this.isSet = o !== 0 && robjType(h, o) === OBJ_SET;
    this.length = o === 0 ? 0 : this.isSet ? setTypeSize(h, o) : zsetLength(h, o);
  }
}

/** Walks through the members of a source, a sorted set's from the last one on. */
class SourceIterator {
  /** The bytes of the present member; an integer's lie in scratch until the next step. */
  offset = 0;
  length = 0;
  score = 0;
  private readonly h: Heap;
  private readonly members: SetIterator | null;
  private readonly lp: number;
  private at = 0;

  constructor(h: Heap, source: Source) {
    this.h = h;
    const o = source.o;
    this.members = source.isSet ? new SetIterator(h, o) : null;
    this.lp = o !== 0 && !source.isSet && robjEncoding(h, o) === OBJ_ENCODING_LISTPACK ? robjPtr(h, o) : 0;
    if (this.lp !== 0) this.at = zzlLast(h, this.lp);
    else if (o !== 0 && !source.isSet) this.at = zslLast(h, zsetSkiplist(h, o));
  }

  /** Steps to the next member. @returns false at the end */
  next(): boolean {
    const h = this.h;
    if (this.members !== null) {
      if (!this.members.next()) return false;
      this.members.asBytes(h);
      this.offset = this.members.offset;
      this.length = this.members.length;
      this.score = 1;
      return true;
    }
    if (this.at === 0) return false;
    if (this.lp !== 0) {
      this.score = zzlScoreOf(h, this.lp, this.at);
      zzlMember(h, this.at);
      this.offset = zzlMemberOffset;
      this.length = zzlMemberLength;
      this.at = zzlPrevious(h, this.lp, this.at);
    } else {
      this.offset = zslMember(h, this.at);
      this.length = sdsLen(h, this.offset);
      this.score = zslScore(h, this.at);
      this.at = zslPrevious(h, this.at);
    }
    return true;
  }
}

/** The score that a source has found last. */
let sourceScore = 0;

function findIn(h: Heap, source: Source, offset: number, length: number): boolean {
  if (source.o === 0) return false;
  if (source.isSet) {
    sourceScore = 1;
    return setTypeIsMember(h, source.o, offset, length);
  }
  if (!zsetScore(h, source.o, offset, length)) return false;
  sourceScore = foundScore;
  return true;
}

/** What the present command asks for; filled by readArguments. */
let sources: Source[] = [];
let aggregate: Aggregate = 'sum';
let withScores = false;
let limit = 0;

/** Infinity times 0, and infinities that cancel out, count as 0. */
function orZero(score: number): number {
  return Number.isNaN(score) ? 0 : score;
}

function aggregated(sum: number, score: number): number {
  if (aggregate === 'sum') return orZero(sum + score);
  if (aggregate === 'min') return score < sum ? score : sum;
  return score > sum ? score : sum;
}

/** Reads the number of keys and looks them up. @returns the argument behind them, 0 after an error */
function readSources(core: RedisCore, c: Client, first: number): number {
  if (!readInteger(core, c, first)) return 0;
  const count = argNumber;
  if (count < 1) {
    addReplyError(c, `at least 1 input key is needed for '${c.command?.fullName ?? ''}' command`);
    return 0;
  }
  if (count > c.argc - (first + 1)) {
    addReplyError(c, SYNTAX_ERROR);
    return 0;
  }
  sources = [];
  for (let i = first + 1; i <= first + count; i++) {
    const o = lookupKeyRead(core, c.db, c.argOff[i], c.argLen[i]);
    const type = o === 0 ? OBJ_ZSET : robjType(core.heap, o);
    if (type !== OBJ_ZSET && type !== OBJ_SET) {
      addReplyError(c, WRONG_TYPE);
      return 0;
    }
    sources.push(new Source(core.heap, o));
  }
  return first + 1 + count;
}

function readAggregate(c: Client, i: number): boolean {
  if (c.argIs(i, 'sum')) aggregate = 'sum';
  else if (c.argIs(i, 'min')) aggregate = 'min';
  else if (c.argIs(i, 'max')) aggregate = 'max';
  else return false;
  return true;
}

/** Reads numkeys, keys and options. @returns false after an error */
function readArguments(core: RedisCore, c: Client, first: number, op: Operation, counts: boolean): boolean {
  let i = readSources(core, c, first);
  if (i === 0) return false;
  const combines = op !== 'diff' && !counts;
  const replies = first === 1 && !counts;
  aggregate = 'sum';
  withScores = false;
  limit = 0;
  while (i < c.argc) {
    const left = c.argc - i;
    if (combines && left >= sources.length + 1 && c.argIs(i, 'weights')) {
      for (const source of sources) {
        if (!readScore(core, c, ++i, 'weight value is not a float')) return false;
        source.weight = argScore;
      }
    } else if (combines && left >= 2 && c.argIs(i, 'aggregate') && readAggregate(c, i + 1)) {
      i++;
    } else if (replies && c.argIs(i, 'withscores')) {
      withScores = true;
    } else if (counts && left >= 2 && c.argIs(i, 'limit')) {
      if (!readPositive(core, c, ++i, LIMIT_NEGATIVE)) return false;
      limit = argNumber;
    } else {
      addReplyError(c, SYNTAX_ERROR);
      return false;
    }
    i++;
  }
  return true;
}

/** Lengths of the members of the present result: the longest, and all together. */
let longest = 0;
let total = 0;

/** Adds a member to the result. @throws ARENA_EXHAUSTED */
function addToResult(h: Heap, result: number, score: number, offset: number, length: number): void {
  const member = sdsNewLen(h, offset, length);
  try {
    zsetInsertNew(h, result, score, member);
  } catch (error) {
    sdsFree(h, member);
    throw error;
  }
  total += length;
  if (length > longest) longest = length;
}

/** The score of a member of the first source in the intersection, NaN when another source lacks it. */
function intersected(h: Heap, it: SourceIterator): number {
  const smallest = sources[0]!;
  let score = orZero(smallest.weight * it.score);
  for (let i = 1; i < sources.length; i++) {
    const source = sources[i]!;
    if (source.o === smallest.o) {
      score = aggregated(score, it.score * source.weight);
    } else if (findIn(h, source, it.offset, it.length)) {
      score = aggregated(score, sourceScore * source.weight);
    } else {
      return Number.NaN;
    }
  }
  return score;
}

/** @param result 0: only counts, up to `limit` (0: all) @returns how many members are in all sources */
function intersect(h: Heap, result: number): number {
  sources.sort((a, b) => a.length - b.length);
  let count = 0;
  if (sources[0]!.length === 0) return 0;
  const it = new SourceIterator(h, sources[0]!);
  while (it.next()) {
    const score = intersected(h, it);
    if (Number.isNaN(score)) continue;
    count++;
    if (result !== 0) addToResult(h, result, score, it.offset, it.length);
    else if (count === limit) break;
  }
  return count;
}

/** Sums up in a dict first, as a member's score changes until the last source: its values are the scores themselves. */
function unite(h: Heap, result: number): void {
  sources.sort((a, b) => a.length - b.length);
  const sums = dictCreate(h, DICT_TYPE_EXPIRES);
  let moved = 0;
  try {
    dictExpand(h, sums, sources[sources.length - 1]!.length);
    for (const source of sources) {
      const it = new SourceIterator(h, source);
      while (it.next()) addToSums(h, sums, source.weight, it);
    }
    zsetExpand(h, result, dictSize(h, sums));
    const entries = new DictIterator(h, sums);
    for (let entry = entries.next(); entry !== 0; entry = entries.next()) {
      zsetInsertNew(h, result, h.f64[(entry + 8) >>> 3], dictKey(h, entry));
      moved++;
    }
  } catch (error) {
    freeUnmoved(h, sums, moved);
    throw error;
  } finally {
    dictRelease(h, sums);
  }
}

function addToSums(h: Heap, sums: number, weight: number, it: SourceIterator): void {
  const score = orZero(weight * it.score);
  const entry = dictFind(h, sums, it.offset, it.length);
  if (entry !== 0) {
    const at = (entry + 8) >>> 3;
    h.f64[at] = aggregated(h.f64[at], score);
    return;
  }
  const hash = lastHash;
  const member = sdsNewLen(h, it.offset, it.length);
  try {
    h.f64[(dictInsertHashed(h, sums, member, hash) + 8) >>> 3] = score;
  } catch (error) {
    sdsFree(h, member);
    throw error;
  }
  total += it.length;
  if (it.length > longest) longest = it.length;
}

/** Frees the members of the sums that the result has not taken over: all but the first `moved`. */
function freeUnmoved(h: Heap, sums: number, moved: number): void {
  const entries = new DictIterator(h, sums);
  let index = 0;
  for (let entry = entries.next(); entry !== 0; entry = entries.next())
    if (index++ >= moved) sdsFree(h, dictKey(h, entry));
}

/** The members of the first source that no other has. */
function subtract(h: Heap, result: number): void {
  const it = new SourceIterator(h, sources[0]!);
  while (it.next()) {
    let elsewhere = false;
    for (let i = 1; i < sources.length && !elsewhere; i++) {
      const source = sources[i]!;
      elsewhere = source.o === sources[0]!.o || findIn(h, source, it.offset, it.length);
    }
    if (!elsewhere) addToResult(h, result, it.score, it.offset, it.length);
  }
}

/** @returns a new object, perhaps empty. @throws ARENA_EXHAUSTED, nothing leaked */
function combine(h: Heap, op: Operation): number {
  longest = 0;
  total = 0;
  const result = createZset(h);
  try {
    if (op === 'union') unite(h, result);
    else if (op === 'inter') intersect(h, result);
    else subtract(h, result);
    return result;
  } catch (error) {
    decrRefCount(h, result);
    throw error;
  }
}

function replyResult(core: RedisCore, c: Client, result: number): void {
  const h = core.heap;
  addReplyMembersLen(c, zsetLength(h, result), withScores);
  for (let node = zslFirst(h, zsetSkiplist(h, result)); node !== 0; node = zslNext(h, node)) {
    if (withScores && c.resp > 2) addReplyArrayLen(c, 2);
    const s = zslMember(h, node);
    addReplyBulk(c, s, sdsLen(h, s));
    if (withScores) addReplyScore(c, zslScore(h, node));
  }
}

function operationCommand(core: RedisCore, c: Client, op: Operation): void {
  const h = core.heap;
  if (!readArguments(core, c, 1, op, false)) return;
  const result = combine(h, op);
  try {
    replyResult(core, c, result);
  } finally {
    decrRefCount(h, result);
    sources = [];
  }
}

function storeCommand(core: RedisCore, c: Client, op: Operation): void {
  const h = core.heap;
  if (!readArguments(core, c, 2, op, false)) return;
  const result = combine(h, op);
  sources = [];
  const count = zsetLength(h, result);
  try {
    if (count > 0) zsetToListpackIfSmall(h, result, longest, total);
  } catch (error) {
    decrRefCount(h, result);
    throw error;
  }
  storeResult(core, c, 1, result, count, NOTIFY_ZSET, `z${op}store`);
}

function zintercardCommand(core: RedisCore, c: Client): void {
  if (!readArguments(core, c, 1, 'inter', true)) return;
  addReplyLong(c, intersect(core.heap, 0));
  sources = [];
}

/** The procedures, by full name. */
export const sortedSetOperationProcs: Readonly<Record<string, CommandProc>> = {
  zdiff: (core, c) => operationCommand(core, c, 'diff'),
  zdiffstore: (core, c) => storeCommand(core, c, 'diff'),
  zinter: (core, c) => operationCommand(core, c, 'inter'),
  zintercard: zintercardCommand,
  zinterstore: (core, c) => storeCommand(core, c, 'inter'),
  zunion: (core, c) => operationCommand(core, c, 'union'),
  zunionstore: (core, c) => storeCommand(core, c, 'union'),
};
