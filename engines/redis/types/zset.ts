/** Sorted sets, as the rest of the server sees them. */
import type { RdbReader } from '../persistence/rdb-reader.ts';
import type { RdbWriter } from '../persistence/rdb-writer.ts';
import { dictFind } from '../structures/dict.ts';
import { dictVerify } from '../structures/dict-check.ts';
import { DICT_BYTES, DICT_ENTRY_BYTES, dictKey, dictSize, dictSlots, dictValue } from '../structures/dict-layout.ts';
import { Digest } from '../structures/digest.ts';
import { formatDouble17, parseDouble, parsedDouble } from '../structures/double.ts';
import type { Heap } from '../structures/heap.ts';
import {
  lpBytes,
  lpDup,
  lpFree,
  lpGet,
  lpShrinkToFit,
  lpStringLength,
  lpStringOffset,
  lpText,
  lpValidateIntegrity,
  lpVerify,
} from '../structures/listpack.ts';
import type { ObjectType } from '../structures/object-type.ts';
import {
  decrRefCount,
  OBJ_ENCODING_LISTPACK,
  OBJ_ENCODING_SKIPLIST,
  ROBJ_BYTES,
  robjEncoding,
  robjPtr,
} from '../structures/robj.ts';
import { sdsFree, sdsLen, sdsNewLen, sdsZmallocSize } from '../structures/sds.ts';
import {
  NODE_SCORE,
  SKIPLIST_BYTES,
  zslFirst,
  zslHeader,
  zslLast,
  zslLength,
  zslMember,
  zslNext,
  zslPrevious,
  zslScore,
} from '../structures/skiplist.ts';
import { zslVerify } from '../structures/skiplist-check.ts';
import { ziplistToListpack } from '../structures/ziplist.ts';
import { zzlCompare, zzlFirst, zzlLength, zzlNext, zzlScoreIsValid, zzlScoreOf } from '../structures/zset-listpack.ts';
import {
  createZset,
  wrapZsetListpack,
  ZSET_BYTES,
  zsetDict,
  zsetExpand,
  zsetFree,
  zsetLength,
  zsetLoadMember,
  zsetSkiplist,
  zsetToListpackIfSmall,
  zsetToSkiplist,
} from './zset-object.ts';

const RDB_TYPE_ZSET = 3;
const RDB_TYPE_ZSET_2 = 5;
const RDB_TYPE_ZSET_ZIPLIST = 12;
const RDB_TYPE_ZSET_LISTPACK = 17;
const POINTER_BYTES = 8;
/** Up to so many members a dict needs no room made for them. */
const DICT_INITIAL_SIZE = 4;
/** Lengths of old score texts that stand for what is no number. */
const SCORE_NAN = 253;
const SCORE_INF = 254;
const SCORE_MINUS_INF = 255;

function isListpack(h: Heap, o: number): boolean {
  return robjEncoding(h, o) === OBJ_ENCODING_LISTPACK;
}

/** Whether the pairs of a listpack, whose elements can be read, are pairs in order without a member twice. */
function pairsAreSound(h: Heap, lp: number): boolean {
  const seen = new Set<string>();
  let previous = 0;
  let previousScore = 0;
  for (let p = zzlFirst(h, lp); p !== 0; p = zzlNext(h, lp, p)) {
    const score = zzlScoreOf(h, lp, p);
    const text = lpText(h, p);
    if (seen.has(text)) return false;
    seen.add(text);
    if (previous !== 0) {
      if (previousScore > score) return false;
      if (previousScore === score && !inOrder(h, previous, p)) return false;
    }
    previous = p;
    previousScore = score;
  }
  return true;
}

/** Whether the text of one element comes before that of another. */
function inOrder(h: Heap, a: number, b: number): boolean {
  if (lpGet(h, b)) return zzlCompare(h, a, lpStringOffset, lpStringLength) < 0;
  return lpText(h, a) < lpText(h, b);
}

function verifyListpack(h: Heap, o: number): void {
  const lp = robjPtr(h, o);
  lpVerify(h, lp);
  if (!pairsAreSound(h, lp)) throw new Error(`Broken sorted set at ${o}: its pairs are out of order`);
}

function verifySkiplist(h: Heap, o: number): void {
  const dict = zsetDict(h, o);
  const zsl = zsetSkiplist(h, o);
  dictVerify(h, dict);
  zslVerify(h, zsl);
  if (dictSize(h, dict) !== zslLength(h, zsl)) {
    throw new Error(
      `Broken sorted set at ${o}: ${dictSize(h, dict)} members in the dict, ${zslLength(h, zsl)} in the list`,
    );
  }
  for (let node = zslFirst(h, zsl); node !== 0; node = zslNext(h, node)) {
    const member = zslMember(h, node);
    const entry = dictFind(h, dict, member, sdsLen(h, member));
    if (entry === 0 || dictKey(h, entry) !== member || dictValue(h, entry) !== node + NODE_SCORE) {
      throw new Error(`Broken sorted set at ${o}: the dict does not lead to the node at ${node}`);
    }
  }
}

function skiplistUsage(h: Heap, o: number, samples: number): number {
  const dict = zsetDict(h, o);
  const zsl = zsetSkiplist(h, o);
  let bytes = ROBJ_BYTES + ZSET_BYTES + SKIPLIST_BYTES + DICT_BYTES;
  bytes += POINTER_BYTES * dictSlots(h, dict) + h.usable(zslHeader(h, zsl));
  let looked = 0;
  let found = 0;
  for (let node = zslFirst(h, zsl); node !== 0 && looked < samples; node = zslNext(h, node)) {
    found += sdsZmallocSize(h, zslMember(h, node)) + DICT_ENTRY_BYTES + h.usable(node);
    looked++;
  }
  return looked === 0 ? bytes : Math.floor(bytes + (found / looked) * dictSize(h, dict));
}

function duplicateSkiplist(h: Heap, o: number): number {
  const copy = createZset(h);
  try {
    zsetExpand(h, copy, zsetLength(h, o));
    // From the end, so that each goes to the front of what is there.
    for (let node = zslLast(h, zsetSkiplist(h, o)); node !== 0; node = zslPrevious(h, node)) {
      const member = zslMember(h, node);
      loadCopy(h, copy, zslScore(h, node), sdsNewLen(h, member, sdsLen(h, member)));
    }
    return copy;
  } catch (error) {
    decrRefCount(h, copy);
    throw error;
  }
}

/** Adds a member read from outside, or frees it. @returns whether it was new */
function loadCopy(h: Heap, o: number, score: number, member: number): boolean {
  let taken = false;
  try {
    taken = zsetLoadMember(h, o, score, member);
    return taken;
  } finally {
    if (!taken) sdsFree(h, member);
  }
}

/** The score of the old format: a length, or a code for what is no number, and a text. NaN: broken. */
function readOldScore(r: RdbReader): number {
  const length = r.readByte();
  if (r.failed || length === SCORE_NAN) return Number.NaN;
  if (length === SCORE_INF) return Infinity;
  if (length === SCORE_MINUS_INF) return -Infinity;
  const at = r.readRaw(length);
  return at !== 0 && parseDouble(r.heap, at, length) ? parsedDouble : Number.NaN;
}

function loadMembers(r: RdbReader, rdbType: number): number {
  const h = r.heap;
  let left = r.readLength();
  // A member and its score take three bytes at least, so a length beyond what is there is a lie.
  if (r.failed || left > r.left) return r.fail();
  if (left === 0) {
    r.emptyKey = true;
    return 0;
  }
  const o = createZset(h);
  let longest = 0;
  let total = 0;
  try {
    if (left > DICT_INITIAL_SIZE) zsetExpand(h, o, left);
    for (; left > 0; left--) {
      const member = r.readSds();
      if (member === 0) break;
      const length = sdsLen(h, member);
      const score = rdbType === RDB_TYPE_ZSET_2 ? r.readDouble() : readOldScore(r);
      if (r.failed || Number.isNaN(score)) {
        sdsFree(h, member);
        break;
      }
      if (!loadCopy(h, o, score, member)) break;
      if (length > longest) longest = length;
      total += length;
    }
    if (left === 0) zsetToListpackIfSmall(h, o, longest, total);
  } catch (error) {
    decrRefCount(h, o);
    throw error;
  }
  if (left === 0) return o;
  decrRefCount(h, o);
  return r.fail();
}

/** Whether the elements of a listpack are members and scores, in order. */
function holdsPairs(h: Heap, lp: number): boolean {
  let index = 0;
  const sound = lpValidateIntegrity(h, lp, lpBytes(h, lp), true, (p) => (index++ & 1) === 0 || zzlScoreIsValid(h, p));
  return sound && index > 0 && (index & 1) === 0 && pairsAreSound(h, lp);
}

function loadListpack(r: RdbReader, rdbType: number): number {
  const h = r.heap;
  const block = r.readBlock();
  if (block === 0) return 0;
  const size = r.stringLength;
  let lp = 0;
  try {
    if (rdbType === RDB_TYPE_ZSET_ZIPLIST) lp = ziplistToListpack(h, block, size);
    else if (lpValidateIntegrity(h, block, size, false)) lp = block;
  } finally {
    if (lp !== block) h.free(block);
  }
  if (lp === 0) return r.fail();
  if (!holdsPairs(h, lp)) {
    r.emptyKey = lpValidateIntegrity(h, lp, lpBytes(h, lp), true) && zzlFirst(h, lp) === 0;
    lpFree(h, lp);
    return r.emptyKey ? 0 : r.fail();
  }
  return convertIfLarge(h, wrapZsetListpack(h, lpShrinkToFit(h, lp)));
}

function convertIfLarge(h: Heap, o: number): number {
  if (zzlLength(h, robjPtr(h, o)) <= h.limits.zsetMaxListpackEntries) return o;
  try {
    zsetToSkiplist(h, o);
    return o;
  } catch (error) {
    decrRefCount(h, o);
    throw error;
  }
}

function mixPair(digest: Digest, pair: Digest, score: number): void {
  pair.mixText(formatDouble17(score));
  digest.xorDigest(pair);
}

export const zsetType: ObjectType = {
  name: 'zset',
  free: zsetFree,
  verify(h: Heap, o: number): void {
    const encoding = robjEncoding(h, o);
    if (encoding === OBJ_ENCODING_LISTPACK) verifyListpack(h, o);
    else if (encoding === OBJ_ENCODING_SKIPLIST) verifySkiplist(h, o);
    else throw new Error(`Broken sorted set at ${o}: encoding ${encoding}`);
    if (zsetLength(h, o) === 0) throw new Error(`Broken sorted set at ${o}: it is empty`);
  },
  encodingName: (h, o) => (isListpack(h, o) ? 'listpack' : 'skiplist'),
  length: zsetLength,
  freeEffort: (h, o) => (isListpack(h, o) ? 1 : zsetLength(h, o)),
  memoryUsage(h: Heap, o: number, samples: number): number {
    return isListpack(h, o) ? ROBJ_BYTES + h.usable(robjPtr(h, o)) : skiplistUsage(h, o, samples);
  },
  duplicate(h: Heap, o: number): number {
    return isListpack(h, o) ? wrapZsetListpack(h, lpDup(h, robjPtr(h, o))) : duplicateSkiplist(h, o);
  },
  rdbType: (h, o) => (isListpack(h, o) ? RDB_TYPE_ZSET_LISTPACK : RDB_TYPE_ZSET_2),
  saveRdb(w: RdbWriter, o: number): void {
    const h = w.heap;
    if (isListpack(h, o)) {
      w.putBytes(robjPtr(h, o), lpBytes(h, robjPtr(h, o)));
      return;
    }
    const zsl = zsetSkiplist(h, o);
    w.putLength(zslLength(h, zsl));
    for (let node = zslLast(h, zsl); node !== 0; node = zslPrevious(h, node)) {
      const member = zslMember(h, node);
      w.putBytes(member, sdsLen(h, member));
      w.putDouble(zslScore(h, node));
    }
  },
  rdbTypes: [RDB_TYPE_ZSET, RDB_TYPE_ZSET_2, RDB_TYPE_ZSET_ZIPLIST, RDB_TYPE_ZSET_LISTPACK],
  loadRdb(r: RdbReader, rdbType: number): number {
    const packed = rdbType === RDB_TYPE_ZSET_LISTPACK || rdbType === RDB_TYPE_ZSET_ZIPLIST;
    return packed ? loadListpack(r, rdbType) : loadMembers(r, rdbType);
  },
  mixDigest(h: Heap, o: number, digest: Digest): void {
    if (isListpack(h, o)) {
      const lp = robjPtr(h, o);
      for (let p = zzlFirst(h, lp); p !== 0; p = zzlNext(h, lp, p)) {
        const pair = new Digest();
        pair.mixText(lpText(h, p));
        mixPair(digest, pair, zzlScoreOf(h, lp, p));
      }
      return;
    }
    for (let node = zslFirst(h, zsetSkiplist(h, o)); node !== 0; node = zslNext(h, node)) {
      const member = zslMember(h, node);
      const pair = new Digest();
      pair.mix(h.u8, member, sdsLen(h, member));
      mixPair(digest, pair, zslScore(h, node));
    }
  },
};
