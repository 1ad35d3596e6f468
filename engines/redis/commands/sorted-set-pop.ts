/** The sorted set commands that take out the first or last members, waiting for them or not, and the one that draws at random. */
import { type BlockedOp, blockForKeys, readTimeout, timeoutUntilMs } from '../blocked.ts';
import { CLIENT_DENY_BLOCKING, type Client } from '../client.ts';
import { stillAnswered } from '../client-limits.ts';
import type { CommandProc } from '../command.ts';
import { dbDelete, lookupKeyRead, lookupKeyWrite, NOTIFY_GENERIC, NOTIFY_ZSET } from '../db.ts';
import {
  addReplyArrayLen,
  addReplyBulk,
  addReplyError,
  addReplyNull,
  addReplyNullArray,
  SYNTAX_ERROR,
} from '../protocol/reply.ts';
import type { RedisCore } from '../redis-core.ts';
import { dictFreeEntry, dictUnlink } from '../structures/dict.ts';
import { dictKey, dictValue } from '../structures/dict-layout.ts';
import { dictFairRandomEntry } from '../structures/dict-sample.ts';
import type { Heap } from '../structures/heap.ts';
import { lpRandomPairs, lpRandomPairsUnique, lpSeek } from '../structures/listpack.ts';
import { OBJ_ENCODING_LISTPACK, OBJ_ZSET, robjEncoding, robjPtr, robjSetPtr } from '../structures/robj.ts';
import { sdsLen } from '../structures/sds.ts';
import {
  zslByRank,
  zslFirst,
  zslFreeNode,
  zslLast,
  zslMember,
  zslPrevious,
  zslScore,
  zslUnlink,
  zslUnlinkFirst,
} from '../structures/skiplist.ts';
import { zzlDelete, zzlFirst, zzlLast, zzlPrevious, zzlScoreOf } from '../structures/zset-listpack.ts';
import { zsetDict, zsetLength, zsetShrinkDict, zsetSkiplist } from '../types/zset-object.ts';
import { argNumber, isWrongType, readInteger, readPositive, readSignedCount } from './integer-arguments.ts';
import { addReplyListpackElement } from './scan.ts';
import { addReplyScore } from './sorted-set-arguments.ts';
import { addReplyMembersLen } from './sorted-set-range.ts';

const NUMKEYS_POSITIVE = 'numkeys should be greater than 0';
const COUNT_POSITIVE = 'count should be greater than 0';
/** With scores a reply has twice as many items as asked for, which must still be a number of them. */
const COUNT_MAX = 2 ** 62;
/** Pairs drawn from a listpack at once. */
const DRAW_BATCH = 1_024;
/** Fewer than one member in so many are drawn one by one. */
const SPARSE_RATIO = 3;

/** Replies a pair and takes it out. */
function popFromListpack(core: RedisCore, c: Client, o: number, max: boolean): void {
  const h = core.heap;
  const lp = robjPtr(h, o);
  const p = max ? zzlLast(h, lp) : zzlFirst(h, lp);
  addReplyListpackElement(c, p);
  addReplyScore(c, zzlScoreOf(h, lp, p));
  robjSetPtr(h, o, zzlDelete(h, lp, p, 1));
}

/** Replies a node's member and score and takes it out. */
function popFromSkiplist(core: RedisCore, c: Client, o: number, max: boolean): void {
  const h = core.heap;
  const zsl = zsetSkiplist(h, o);
  const dict = zsetDict(h, o);
  const node = max ? zslLast(h, zsl) : zslFirst(h, zsl);
  const member = zslMember(h, node);
  const length = sdsLen(h, member);
  const score = zslScore(h, node);
  addReplyBulk(c, member, length);
  addReplyScore(c, score);
  dictFreeEntry(h, dict, dictUnlink(h, dict, member, length));
  if (max) zslUnlink(h, zsl, score, member, length);
  else zslUnlinkFirst(h, zsl);
  zslFreeNode(h, node);
  zsetShrinkDict(h, dict);
}

/**
 * Takes out and replies up to `count` members of a sorted set that has some; deletes the key with its last one.
 * @param nested each pair in an array of its own
 * @param emitKey the key comes first
 * @returns how many it took
 */
function pop(
  core: RedisCore,
  c: Client,
  key: number,
  keyLength: number,
  o: number,
  max: boolean,
  count: number,
  nested: boolean,
  emitKey: boolean,
): number {
  const h = core.heap;
  const length = zsetLength(h, o);
  const wanted = count > length ? length : count;
  if (emitKey) {
    addReplyArrayLen(c, nested ? 2 : 3);
    addReplyBulk(c, key, keyLength);
    if (nested) addReplyArrayLen(c, wanted);
  } else {
    addReplyArrayLen(c, nested ? wanted : wanted * 2);
  }
  for (let i = 0; i < wanted; i++) {
    if (nested) addReplyArrayLen(c, 2);
    // A conversion on the way is not possible: what shrinks stays as it is.
    if (robjEncoding(h, o) === OBJ_ENCODING_LISTPACK) popFromListpack(core, c, o, max);
    else popFromSkiplist(core, c, o, max);
    core.dirty++;
    if (i === 0) core.notifyKeyspaceEvent(NOTIFY_ZSET, max ? 'zpopmax' : 'zpopmin', key, keyLength, c.db.id);
  }
  if (wanted === length) {
    dbDelete(core, c.db, key, keyLength);
    core.notifyKeyspaceEvent(NOTIFY_GENERIC, 'del', key, keyLength, c.db.id);
  }
  core.signalModifiedKey(c.db, key, keyLength);
  return wanted;
}

/** What a log is told of members that were taken: the command that takes as many from this key. @param count -1: one, not counted */
function effectOfPop(core: RedisCore, c: Client, key: number, length: number, max: boolean, count: number): void {
  const { effects } = core;
  if (!effects.active) return;
  effects.begin(c.db, count < 0 ? 2 : 3);
  effects.text(max ? 'ZPOPMAX' : 'ZPOPMIN');
  effects.arg(key, length);
  if (count >= 0) effects.text(String(count));
}

/** ZPOPMIN and ZPOPMAX. */
function zpopGeneric(core: RedisCore, c: Client, max: boolean): void {
  if (c.argc > 3) {
    addReplyError(c, SYNTAX_ERROR);
    return;
  }
  let count = -1;
  if (c.argc === 3) {
    if (!readPositive(core, c, 2)) return;
    count = argNumber;
  }
  const key = c.argOff[1];
  const keyLength = c.argLen[1];
  const o = lookupKeyWrite(core, c.db, key, keyLength);
  if (isWrongType(core, c, o, OBJ_ZSET)) return;
  if (o === 0 || count === 0) addReplyArrayLen(c, 0);
  else pop(core, c, key, keyLength, o, max, count < 0 ? 1 : count, c.resp > 2 && count >= 0, false);
}

/** What a ZMPOP or BZMPOP asks for; from readMpop. */
let mpopKeys = 0;
let mpopMax = false;
let mpopCount = 0;

/** Reads numkeys (at argument `i`), the keys, MIN or MAX, and COUNT. @returns false after an error */
function readMpop(core: RedisCore, c: Client, i: number): boolean {
  if (!readPositiveCount(core, c, i, NUMKEYS_POSITIVE)) return false;
  mpopKeys = argNumber;
  const where = i + mpopKeys + 1;
  if (where >= c.argc || !(c.argIs(where, 'min') || c.argIs(where, 'max'))) {
    addReplyError(c, SYNTAX_ERROR);
    return false;
  }
  mpopMax = c.argIs(where, 'max');
  mpopCount = -1;
  for (let at = where + 1; at < c.argc; at++) {
    if (mpopCount === -1 && c.argIs(at, 'count') && at + 1 < c.argc) {
      if (!readPositiveCount(core, c, ++at, COUNT_POSITIVE)) return false;
      mpopCount = argNumber;
    } else {
      addReplyError(c, SYNTAX_ERROR);
      return false;
    }
  }
  if (mpopCount === -1) mpopCount = 1;
  return true;
}

/** Reads an integer from 1 on. */
function readPositiveCount(core: RedisCore, c: Client, i: number, error: string): boolean {
  if (!readInteger(core, c, i, error)) return false;
  if (argNumber >= 1) return true;
  addReplyError(c, error);
  return false;
}

/** Pops from the first of some keys that has a sorted set. @returns whether it replied, be it with an error */
function popFirst(
  core: RedisCore,
  c: Client,
  first: number,
  keys: number,
  max: boolean,
  count: number,
  nested: boolean,
): boolean {
  for (let i = first; i < first + keys; i++) {
    const o = lookupKeyWrite(core, c.db, c.argOff[i], c.argLen[i]);
    if (o === 0) continue;
    if (!isWrongType(core, c, o, OBJ_ZSET)) {
      const popped = pop(core, c, c.argOff[i], c.argLen[i], o, max, count, nested, true);
      effectOfPop(core, c, c.argOff[i], c.argLen[i], max, nested ? popped : -1);
    }
    return true;
  }
  return false;
}

function zmpopCommand(core: RedisCore, c: Client): void {
  if (!readMpop(core, c, 1)) return;
  if (!popFirst(core, c, 2, mpopKeys, mpopMax, mpopCount, true)) addReplyNullArray(c);
}

const timedOut = (_core: RedisCore, c: Client): void => addReplyNullArray(c);

/** BZPOPMIN and BZPOPMAX wait for a sorted set to pop one member of. */
function waitForPop(max: boolean): BlockedOp {
  return {
    type: OBJ_ZSET,
    serve(core, c, key, keyLength, o) {
      pop(core, c, key, keyLength, o, max, 1, false, true);
      effectOfPop(core, c, key, keyLength, max, -1);
      return true;
    },
    timedOut,
  };
}

const waitForMin = waitForPop(false);
const waitForMax = waitForPop(true);

/** What BZMPOP waits for is read from its arguments again. */
const waitForMpop: BlockedOp = {
  type: OBJ_ZSET,
  serve(core, c, key, keyLength, o) {
    readMpop(core, c, 2);
    const popped = pop(core, c, key, keyLength, o, mpopMax, mpopCount, true, true);
    effectOfPop(core, c, key, keyLength, mpopMax, popped);
    return true;
  },
  timedOut,
};

/** Lets the client wait for the keys from argument `first` on, where that is allowed. */
function waitForKeys(core: RedisCore, c: Client, first: number, keys: number, op: BlockedOp): void {
  if ((c.flags & CLIENT_DENY_BLOCKING) !== 0) addReplyNullArray(c);
  else blockForKeys(core, c, first, keys, timeoutUntilMs, op);
}

function bzpopGeneric(core: RedisCore, c: Client, max: boolean): void {
  if (!readTimeout(core, c, c.argc - 1)) return;
  const keys = c.argc - 2;
  if (!popFirst(core, c, 1, keys, max, 1, false)) waitForKeys(core, c, 1, keys, max ? waitForMax : waitForMin);
}

function bzmpopCommand(core: RedisCore, c: Client): void {
  if (!readMpop(core, c, 2) || !readTimeout(core, c, 1)) return;
  if (!popFirst(core, c, 3, mpopKeys, mpopMax, mpopCount, true)) waitForKeys(core, c, 3, mpopKeys, waitForMpop);
}

/** ZRANDMEMBER with a count that may draw a member more than once. */
function drawWithReturn(core: RedisCore, c: Client, o: number, count: number, scores: boolean): void {
  const h = core.heap;
  const nested = scores && c.resp > 2;
  addReplyMembersLen(c, count, scores);
  if (robjEncoding(h, o) !== OBJ_ENCODING_LISTPACK) {
    const dict = zsetDict(h, o);
    for (let left = count; left > 0 && stillAnswered(core, c, left); left--) {
      const entry = dictFairRandomEntry(h, dict);
      if (nested) addReplyArrayLen(c, 2);
      addReplyBulk(c, dictKey(h, entry), sdsLen(h, dictKey(h, entry)));
      if (scores) addReplyScore(c, h.f64[dictValue(h, entry) >>> 3]);
    }
    return;
  }
  const lp = robjPtr(h, o);
  const batch = Math.min(count, DRAW_BATCH);
  const drawn = new Uint32Array(batch);
  for (let left = count; left > 0; ) {
    const now = Math.min(left, batch);
    lpRandomPairs(h, lp, now, drawn);
    for (let i = 0; i < now; i++, left--) {
      if (!stillAnswered(core, c, left)) return;
      replyPair(core, c, lp, drawn[i], scores);
    }
  }
}

function replyPair(core: RedisCore, c: Client, lp: number, p: number, scores: boolean): void {
  if (scores && c.resp > 2) addReplyArrayLen(c, 2);
  addReplyListpackElement(c, p);
  if (scores) addReplyScore(c, zzlScoreOf(core.heap, lp, p));
}

function replyNode(h: Heap, c: Client, node: number, scores: boolean): void {
  if (scores && c.resp > 2) addReplyArrayLen(c, 2);
  const s = zslMember(h, node);
  addReplyBulk(c, s, sdsLen(h, s));
  if (scores) addReplyScore(c, zslScore(h, node));
}

/** All members, from the last to the first, as the original walks through them. */
function replyAll(core: RedisCore, c: Client, o: number, scores: boolean): void {
  const h = core.heap;
  if (robjEncoding(h, o) === OBJ_ENCODING_LISTPACK) {
    const lp = robjPtr(h, o);
    for (let p = zzlLast(h, lp); p !== 0; p = zzlPrevious(h, lp, p)) replyPair(core, c, lp, p, scores);
    return;
  }
  for (let node = zslLast(h, zsetSkiplist(h, o)); node !== 0; node = zslPrevious(h, node))
    replyNode(h, c, node, scores);
}

/** Draws a small part of the members of a skip list: what has been drawn before is drawn again. */
function drawFew(core: RedisCore, c: Client, o: number, count: number, scores: boolean): void {
  const h = core.heap;
  const zsl = zsetSkiplist(h, o);
  const drawn = new Set<number>();
  while (drawn.size < count) drawn.add(1 + h.random.nextBelow(zsetLength(h, o)));
  for (const rank of drawn) replyNode(h, c, zslByRank(h, zsl, rank), scores);
}

/** Draws `count` different members of more than that. */
function drawDifferent(core: RedisCore, c: Client, o: number, count: number, scores: boolean): void {
  const h = core.heap;
  if (robjEncoding(h, o) === OBJ_ENCODING_LISTPACK) {
    const drawn = new Uint32Array(count);
    lpRandomPairsUnique(h, robjPtr(h, o), count, drawn);
    for (let i = 0; i < count; i++) replyPair(core, c, robjPtr(h, o), drawn[i], scores);
    return;
  }
  if (count * SPARSE_RATIO < zsetLength(h, o)) {
    drawFew(core, c, o, count, scores);
    return;
  }
  // One pass over the nodes takes each with the probability that makes every choice equally likely.
  let left = count;
  let there = zsetLength(h, o);
  for (let node = zslLast(h, zsetSkiplist(h, o)); left > 0; node = zslPrevious(h, node)) {
    if (h.random.nextFloat() * there < left) {
      replyNode(h, c, node, scores);
      left--;
    }
    there--;
  }
}

function zrandmemberCommand(core: RedisCore, c: Client): void {
  const h = core.heap;
  if (c.argc === 2) {
    const o = lookupKeyRead(core, c.db, c.argOff[1], c.argLen[1]);
    if (isWrongType(core, c, o, OBJ_ZSET)) return;
    if (o === 0) {
      addReplyNull(c);
    } else if (robjEncoding(h, o) === OBJ_ENCODING_LISTPACK) {
      addReplyListpackElement(c, lpSeek(h, robjPtr(h, o), 2 * h.random.nextBelow(zsetLength(h, o))));
    } else {
      const key = dictKey(h, dictFairRandomEntry(h, zsetDict(h, o)));
      addReplyBulk(c, key, sdsLen(h, key));
    }
    return;
  }
  if (!readSignedCount(core, c, 2)) return;
  const asked = argNumber;
  const scores = c.argc === 4;
  if (c.argc > 4 || (scores && !c.argIs(3, 'withscores'))) {
    addReplyError(c, SYNTAX_ERROR);
    return;
  }
  if (scores && (asked < -COUNT_MAX || asked >= COUNT_MAX)) {
    addReplyError(c, 'value is out of range');
    return;
  }
  const o = lookupKeyRead(core, c.db, c.argOff[1], c.argLen[1]);
  if (isWrongType(core, c, o, OBJ_ZSET)) return;
  if (o === 0 || asked === 0) {
    addReplyArrayLen(c, 0);
    return;
  }
  const length = zsetLength(h, o);
  if (asked < 0 || asked === 1) {
    drawWithReturn(core, c, o, Math.abs(asked), scores);
    return;
  }
  addReplyMembersLen(c, Math.min(asked, length), scores);
  if (asked >= length) replyAll(core, c, o, scores);
  else drawDifferent(core, c, o, asked, scores);
}

/** The procedures, by full name. */
export const sortedSetPopProcs: Readonly<Record<string, CommandProc>> = {
  bzmpop: bzmpopCommand,
  bzpopmax: (core, c) => bzpopGeneric(core, c, true),
  bzpopmin: (core, c) => bzpopGeneric(core, c, false),
  zmpop: zmpopCommand,
  zpopmax: (core, c) => zpopGeneric(core, c, true),
  zpopmin: (core, c) => zpopGeneric(core, c, false),
  zrandmember: zrandmemberCommand,
};
