/** HRANDFIELD: which way to draw is chosen as in the original. */
import type { Client } from '../client.ts';
import { stillAnswered } from '../client-limits.ts';
import type { CommandProc } from '../command.ts';
import { lookupKeyRead } from '../db.ts';
import { addReplyArrayLen, addReplyBulk, addReplyError, addReplyNull, SYNTAX_ERROR } from '../protocol/reply.ts';
import type { RedisCore } from '../redis-core.ts';
import { DictIterator } from '../structures/dict-iterator.ts';
import { dictKey, dictSize, dictValue } from '../structures/dict-layout.ts';
import { dictFairRandomEntry } from '../structures/dict-sample.ts';
import { lpFirst, lpLength, lpNext, lpRandomPair, lpRandomPairs, lpRandomPairsUnique } from '../structures/listpack.ts';
import { OBJ_ENCODING_HT, OBJ_HASH, robjEncoding, robjPtr } from '../structures/robj.ts';
import { sdsLen } from '../structures/sds.ts';
import { hashTypeLength } from '../types/hash.ts';
import { argNumber, isWrongType, readSignedCount } from './integer-arguments.ts';
import { addReplyListpackElement } from './scan.ts';

/** A listpack is drawn from in rounds of so many. */
const DRAWS_PER_ROUND = 1_000;
/** Above 1/n of the fields, removing from a copy is less work than drawing until enough different ones have come. */
const DRAW_FACTOR = 3;
/** With values, twice the count must be an integer too. */
const HALF_INT64 = 2 ** 62;

function addReplyEntry(core: RedisCore, c: Client, entry: number, withValues: boolean): void {
  const h = core.heap;
  if (withValues && c.resp > 2) addReplyArrayLen(c, 2);
  const key = dictKey(h, entry);
  addReplyBulk(c, key, sdsLen(h, key));
  if (!withValues) return;
  const value = dictValue(h, entry);
  addReplyBulk(c, value, sdsLen(h, value));
}

function addReplyPair(core: RedisCore, c: Client, lp: number, p: number, withValues: boolean): void {
  if (withValues && c.resp > 2) addReplyArrayLen(c, 2);
  addReplyListpackElement(c, p);
  if (withValues) addReplyListpackElement(c, lpNext(core.heap, lp, p));
}

function hrandfieldCommand(core: RedisCore, c: Client): void {
  const h = core.heap;
  if (c.argc >= 3) {
    if (!readSignedCount(core, c, 2)) return;
    const count = argNumber;
    const withValues = c.argc === 4;
    if (c.argc > 4 || (withValues && !c.argIs(3, 'withvalues'))) {
      addReplyError(c, SYNTAX_ERROR);
    } else if (withValues && Math.abs(count) >= HALF_INT64) {
      addReplyError(c, 'value is out of range');
    } else {
      withCount(core, c, count, withValues);
    }
    return;
  }
  const hash = lookupKeyRead(core, c.db, c.argOff[1], c.argLen[1]);
  if (hash === 0) {
    addReplyNull(c);
    return;
  }
  if (isWrongType(core, c, hash, OBJ_HASH)) return;
  const value = robjPtr(h, hash);
  if (robjEncoding(h, hash) === OBJ_ENCODING_HT) addReplyEntry(core, c, dictFairRandomEntry(h, value), false);
  else addReplyPair(core, c, value, lpRandomPair(h, value, lpLength(h, value) >>> 1), false);
}

function withCount(core: RedisCore, c: Client, signed: number, withValues: boolean): void {
  const h = core.heap;
  const hash = lookupKeyRead(core, c.db, c.argOff[1], c.argLen[1]);
  if (isWrongType(core, c, hash, OBJ_HASH)) return;
  const count = Math.abs(signed);
  if (hash === 0 || count === 0) {
    addReplyArrayLen(c, 0);
    return;
  }
  const repeats = signed < 0 || count === 1;
  const size = hashTypeLength(h, hash);
  const replied = repeats ? count : Math.min(count, size);
  addReplyArrayLen(c, withValues && c.resp === 2 ? replied * 2 : replied);
  const value = robjPtr(h, hash);
  const isDict = robjEncoding(h, hash) === OBJ_ENCODING_HT;
  if (repeats) {
    if (isDict) drawEntries(core, c, value, count, withValues);
    else drawPairs(core, c, value, count, withValues);
  } else if (isDict) {
    distinctEntries(core, c, value, replied, withValues);
  } else {
    distinctPairs(core, c, value, replied, withValues);
  }
}

/** Fields that may come more than once. */
function drawEntries(core: RedisCore, c: Client, d: number, count: number, withValues: boolean): void {
  for (let left = count; left > 0 && stillAnswered(core, c, left); left--) {
    addReplyEntry(core, c, dictFairRandomEntry(core.heap, d), withValues);
  }
}

function drawPairs(core: RedisCore, c: Client, lp: number, count: number, withValues: boolean): void {
  const pairs = new Uint32Array(Math.min(count, DRAWS_PER_ROUND));
  for (let left = count; left > 0; ) {
    const round = Math.min(left, DRAWS_PER_ROUND);
    lpRandomPairs(core.heap, lp, round, pairs);
    for (let i = 0; i < round; i++, left--) {
      if (!stillAnswered(core, c, left)) return;
      addReplyPair(core, c, lp, pairs[i], withValues);
    }
  }
}

function distinctPairs(core: RedisCore, c: Client, lp: number, count: number, withValues: boolean): void {
  const h = core.heap;
  if (count === lpLength(h, lp) >>> 1) {
    for (let p = lpFirst(h, lp); p !== 0; p = lpNext(h, lp, lpNext(h, lp, p))) addReplyPair(core, c, lp, p, withValues);
    return;
  }
  const pairs = new Uint32Array(count);
  const drawn = lpRandomPairsUnique(h, lp, count, pairs);
  for (let i = 0; i < drawn; i++) addReplyPair(core, c, lp, pairs[i], withValues);
}

function distinctEntries(core: RedisCore, c: Client, d: number, count: number, withValues: boolean): void {
  const h = core.heap;
  const size = dictSize(h, d);
  if (count === size) {
    const entries = new DictIterator(h, d);
    for (let entry = entries.next(); entry !== 0; entry = entries.next()) addReplyEntry(core, c, entry, withValues);
    return;
  }
  if (count * DRAW_FACTOR <= size) {
    // Few of many: an entry's offset tells whether it has come before, while nothing changes the hash.
    const seen = new Set<number>();
    while (seen.size < count) seen.add(dictFairRandomEntry(h, d));
    for (const entry of seen) addReplyEntry(core, c, entry, withValues);
    return;
  }
  const all = new Uint32Array(size);
  const entries = new DictIterator(h, d);
  for (let i = 0; i < size; i++) all[i] = entries.next();
  for (let left = size; left > count; left--) all[h.random.nextBelow(left)] = all[left - 1];
  for (let i = 0; i < count; i++) addReplyEntry(core, c, all[i], withValues);
}

/** By full name. */
export const hashRandomProcs: Readonly<Record<string, CommandProc>> = { hrandfield: hrandfieldCommand };
