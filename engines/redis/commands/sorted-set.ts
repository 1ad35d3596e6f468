/** The sorted set commands that add, remove and look up members. Ranges, pops and set operations have files of their own. */
import type { Client } from '../client.ts';
import type { CommandProc } from '../command.ts';
import { dbAdd, dbDelete, lookupKeyRead, lookupKeyWrite, NOTIFY_GENERIC, NOTIFY_ZSET } from '../db.ts';
import {
  addReplyArrayLen,
  addReplyError,
  addReplyLong,
  addReplyNull,
  addReplyProto,
  SYNTAX_ERROR,
} from '../protocol/reply.ts';
import type { RedisCore } from '../redis-core.ts';
import { dictValue } from '../structures/dict-layout.ts';
import { decrRefCount, OBJ_ENCODING_LISTPACK, OBJ_ZSET, robjEncoding } from '../structures/robj.ts';
import {
  createZset,
  createZsetListpack,
  foundScore,
  ZADD_ADDED,
  ZADD_GT,
  ZADD_INCR,
  ZADD_LT,
  ZADD_NAN,
  ZADD_NOTHING,
  ZADD_NX,
  ZADD_UPDATED,
  ZADD_XX,
  zsetAdd,
  zsetDelete,
  zsetDict,
  zsetLength,
  zsetRank,
  zsetScore,
} from '../types/zset-object.ts';
import { isWrongType } from './integer-arguments.ts';
import { readCursor, scanCollection } from './scan.ts';
import { addReplyScore, argScore, readScore, replyZero, zsetOrReply } from './sorted-set-arguments.ts';
import { sortedSetOperationProcs } from './sorted-set-operations.ts';
import { sortedSetPopProcs } from './sorted-set-pop.ts';
import { sortedSetRangeProcs } from './sorted-set-range.ts';

const NOT_A_NUMBER = 'resulting score is not a number (NaN)';
const FIRST_SCORES = 64;
/** Scores are kept between commands for as many pairs as this. */
const KEPT_SCORES = 16_384;
/** No option begins with a byte below this; most scores do. */
const LETTERS = 65;

/** The scores of the present ZADD. */
let scores = new Float64Array(FIRST_SCORES);

/** Where the pairs begin, and whether CH was there; from readOptions. */
let firstPair = 0;
let countChanges = false;

/** Reads the options from argument 2 on. @returns the flags */
function readOptions(core: RedisCore, c: Client): number {
  const u8 = core.heap.u8;
  let flags = 0;
  countChanges = false;
  for (firstPair = 2; firstPair < c.argc; firstPair++) {
    if (u8[c.argOff[firstPair]] < LETTERS) return flags;
    if (c.argIs(firstPair, 'nx')) flags |= ZADD_NX;
    else if (c.argIs(firstPair, 'xx')) flags |= ZADD_XX;
    else if (c.argIs(firstPair, 'ch')) countChanges = true;
    else if (c.argIs(firstPair, 'incr')) flags |= ZADD_INCR;
    else if (c.argIs(firstPair, 'gt')) flags |= ZADD_GT;
    else if (c.argIs(firstPair, 'lt')) flags |= ZADD_LT;
    else return flags;
  }
  return flags;
}

/** @returns why the options and pairs cannot be, or null */
function refusal(c: Client, flags: number): string | null {
  const rest = c.argc - firstPair;
  if (rest === 0 || (rest & 1) !== 0) return SYNTAX_ERROR;
  const nx = (flags & ZADD_NX) !== 0;
  const gt = (flags & ZADD_GT) !== 0;
  const lt = (flags & ZADD_LT) !== 0;
  if (nx && (flags & ZADD_XX) !== 0) return 'XX and NX options at the same time are not compatible';
  if ((gt && nx) || (lt && nx) || (gt && lt)) {
    return 'GT, LT, and/or NX options at the same time are not compatible';
  }
  if ((flags & ZADD_INCR) !== 0 && rest > 2) return 'INCR option supports a single increment-element pair';
  return null;
}

/** Makes room for the scores of so many pairs. */
function reserveScores(pairs: number): void {
  if (pairs > scores.length) scores = new Float64Array(pairs * 2);
  else if (scores.length > KEPT_SCORES && pairs <= KEPT_SCORES) scores = new Float64Array(FIRST_SCORES + pairs);
}

/** Reads the scores of all pairs. @returns false after an error */
function readScores(core: RedisCore, c: Client, pairs: number): boolean {
  reserveScores(pairs);
  for (let i = 0; i < pairs; i++) {
    if (!readScore(core, c, firstPair + 2 * i)) return false;
    scores[i] = argScore;
  }
  return true;
}

/** A new sorted set under the key of argument 1, of the encoding that suits its first member. */
function createAt(core: RedisCore, c: Client, stride: number): number {
  const h = core.heap;
  const limits = h.limits;
  const large = limits.zsetMaxListpackEntries === 0 || limits.zsetMaxListpackValue < c.argLen[firstPair + stride - 1];
  const o = large ? createZset(h) : createZsetListpack(h);
  try {
    dbAdd(core, c.db, c.argOff[1], c.argLen[1], o);
  } catch (error) {
    decrRefCount(h, o);
    throw error;
  }
  return o;
}

/** What the present ZADD has done: members new and with another score, and the result for the last pair. */
let added = 0;
let updated = 0;
let last = 0;

/** Adds all pairs, whose members are the last of every `stride` arguments. @returns false when a sum is not a number */
function addPairs(core: RedisCore, c: Client, o: number, pairs: number, stride: number, flags: number): boolean {
  const h = core.heap;
  let at = firstPair - 1;
  for (let i = 0; i < pairs; i++) {
    at += stride;
    last = zsetAdd(h, o, scores[i], c.argOff[at], c.argLen[at], flags);
    if (last === ZADD_ADDED) added++;
    else if (last === ZADD_UPDATED) updated++;
    else if (last === ZADD_NAN) return false;
  }
  return true;
}

/** Tells watchers and listeners, if anything has changed. */
function addDone(core: RedisCore, c: Client, incr: boolean): void {
  if (added + updated === 0) return;
  core.signalModifiedKey(c.db, c.argOff[1], c.argLen[1]);
  core.notifyKeyspaceEvent(NOTIFY_ZSET, incr ? 'zincr' : 'zadd', c.argOff[1], c.argLen[1], c.db.id);
}

function zaddGeneric(core: RedisCore, c: Client, given: number): void {
  const flags = readOptions(core, c) | given;
  const why = refusal(c, flags);
  if (why !== null) {
    addReplyError(c, why);
    return;
  }
  const pairs = (c.argc - firstPair) >>> 1;
  if (readScores(core, c, pairs)) addScores(core, c, flags, pairs, 2);
}

/** Adds members with the scores in `scores` and replies. */
function addScores(core: RedisCore, c: Client, flags: number, pairs: number, stride: number): void {
  const incr = (flags & ZADD_INCR) !== 0;
  let o = lookupKeyWrite(core, c.db, c.argOff[1], c.argLen[1]);
  if (isWrongType(core, c, o, OBJ_ZSET)) return;
  added = 0;
  updated = 0;
  last = ZADD_NOTHING;
  if (o !== 0 || (flags & ZADD_XX) === 0) {
    if (o === 0) o = createAt(core, c, stride);
    let summed = false;
    try {
      summed = addPairs(core, c, o, pairs, stride, flags);
      core.dirty += summed ? added + updated : 0;
    } catch (error) {
      // What memory had room for stays, but a key without members must not.
      if (zsetLength(core.heap, o) === 0) dbDelete(core, c.db, c.argOff[1], c.argLen[1]);
      core.dirty += added + updated;
      addDone(core, c, incr);
      throw error;
    }
    if (!summed) {
      addReplyError(c, NOT_A_NUMBER);
      addDone(core, c, incr);
      return;
    }
  }
  if (!incr) addReplyLong(c, countChanges ? added + updated : added);
  else if (last === ZADD_NOTHING) addReplyNull(c);
  else addReplyScore(c, foundScore);
  addDone(core, c, incr);
}

/**
 * Adds members whose scores follow from the arguments before them, as ZADD does.
 * @param first the first of the arguments of the members, the last of each `stride` being the member itself
 * @param flags ZADD_NX or ZADD_XX
 * @param changes whether members with another score count in the reply
 * @param score gives the score of the member whose first argument is `i`; NaN: it has replied an error
 */
export function addComputed(
  core: RedisCore,
  c: Client,
  first: number,
  stride: number,
  flags: number,
  changes: boolean,
  score: (core: RedisCore, c: Client, i: number) => number,
): void {
  const pairs = (c.argc - first) / stride;
  reserveScores(pairs);
  for (let i = 0; i < pairs; i++) {
    scores[i] = score(core, c, first + i * stride);
    if (Number.isNaN(scores[i])) return;
  }
  firstPair = first;
  countChanges = changes;
  addScores(core, c, flags, pairs, stride);
}

function zremCommand(core: RedisCore, c: Client): void {
  const h = core.heap;
  const o = zsetOrReply(core, c, true, replyZero);
  if (o === 0) return;
  const key = c.argOff[1];
  const keyLength = c.argLen[1];
  let deleted = 0;
  let gone = false;
  for (let i = 2; i < c.argc; i++) {
    if (zsetDelete(h, o, c.argOff[i], c.argLen[i])) deleted++;
    if (zsetLength(h, o) === 0) {
      dbDelete(core, c.db, key, keyLength);
      gone = true;
      break;
    }
  }
  if (deleted > 0) {
    core.notifyKeyspaceEvent(NOTIFY_ZSET, 'zrem', key, keyLength, c.db.id);
    if (gone) core.notifyKeyspaceEvent(NOTIFY_GENERIC, 'del', key, keyLength, c.db.id);
    core.signalModifiedKey(c.db, key, keyLength);
    core.dirty += deleted;
  }
  addReplyLong(c, deleted);
}

function zscoreCommand(core: RedisCore, c: Client): void {
  const o = zsetOrReply(core, c, false, addReplyNull);
  if (o === 0) return;
  if (zsetScore(core.heap, o, c.argOff[2], c.argLen[2])) addReplyScore(c, foundScore);
  else addReplyNull(c);
}

function zmscoreCommand(core: RedisCore, c: Client): void {
  const o = lookupKeyRead(core, c.db, c.argOff[1], c.argLen[1]);
  if (isWrongType(core, c, o, OBJ_ZSET)) return;
  addReplyArrayLen(c, c.argc - 2);
  for (let i = 2; i < c.argc; i++) {
    if (o !== 0 && zsetScore(core.heap, o, c.argOff[i], c.argLen[i])) addReplyScore(c, foundScore);
    else addReplyNull(c);
  }
}

function zcardCommand(core: RedisCore, c: Client): void {
  const o = zsetOrReply(core, c, false, replyZero);
  if (o !== 0) addReplyLong(c, zsetLength(core.heap, o));
}

function zrankGeneric(core: RedisCore, c: Client, reverse: boolean): void {
  const o = zsetOrReply(core, c, false, addReplyNull);
  if (o === 0) return;
  const rank = zsetRank(core.heap, o, c.argOff[2], c.argLen[2], reverse);
  if (rank >= 0) addReplyLong(c, rank);
  else addReplyNull(c);
}

function zscanCommand(core: RedisCore, c: Client): void {
  const cursor = readCursor(c, 2);
  if (cursor === null) return;
  const o = zsetOrReply(core, c, false, replyEmptyScan);
  if (o === 0) return;
  const h = core.heap;
  const compact = robjEncoding(h, o) === OBJ_ENCODING_LISTPACK;
  scanCollection(core, c, cursor, o, compact ? 0 : zsetDict(h, o), replyEntryScore);
}

const replyEmptyScan = (c: Client): void => addReplyProto(c, '*2\r\n$1\r\n0\r\n*0\r\n');

/** In a scan scores are bulk strings in both protocols. */
function replyEntryScore(c: Client, entry: number): void {
  const h = c.core.heap;
  const resp = c.resp;
  c.resp = 2;
  addReplyScore(c, h.f64[dictValue(h, entry) >>> 3]);
  c.resp = resp;
}

/** The procedures, by full name. */
export const sortedSetProcs: Readonly<Record<string, CommandProc>> = {
  ...sortedSetOperationProcs,
  ...sortedSetPopProcs,
  ...sortedSetRangeProcs,
  zadd: (core, c) => zaddGeneric(core, c, 0),
  zcard: zcardCommand,
  zincrby: (core, c) => zaddGeneric(core, c, ZADD_INCR),
  zmscore: zmscoreCommand,
  zrank: (core, c) => zrankGeneric(core, c, false),
  zrem: zremCommand,
  zrevrank: (core, c) => zrankGeneric(core, c, true),
  zscan: zscanCommand,
  zscore: zscoreCommand,
};
