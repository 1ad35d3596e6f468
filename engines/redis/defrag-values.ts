/**
 * What active defragmentation moves of a value, and how the pointers to it are mended. Only values with one reference are touched: others
 * are on their way to a client.
 */

import type { RedisCore } from './redis-core.ts';
import {
  DICT_TYPE_HASH,
  dictNext,
  dictSetValue,
  dictSize,
  dictTableField,
  dictValue,
} from './structures/dict-layout.ts';
import { dictScanBuckets } from './structures/dict-sample.ts';
import type { Heap } from './structures/heap.ts';
import { quicklistRelocate } from './structures/quicklist.ts';
import { nodeNext, quicklistHead, quicklistNodes } from './structures/quicklist-node.ts';
import { raxRelocate } from './structures/rax-whole.ts';
import {
  OBJ_ENCODING_EMBSTR,
  OBJ_ENCODING_HT,
  OBJ_ENCODING_INTSET,
  OBJ_ENCODING_LISTPACK,
  OBJ_ENCODING_QUICKLIST,
  OBJ_ENCODING_RAW,
  OBJ_ENCODING_SKIPLIST,
  OBJ_ENCODING_STREAM,
  OBJ_STRING,
  robjEncoding,
  robjPtr,
  robjRefCount,
  robjSetPtr,
  robjType,
} from './structures/robj.ts';
import { sdsBase, sdsLen } from './structures/sds.ts';
import { NODE_SCORE, zslHeader, zslRelocate, zslScore } from './structures/skiplist.ts';
import { streamGroups, streamRax } from './structures/stream.ts';
import { groupConsumers, groupPending } from './structures/stream-groups.ts';

/** Moves the string that the pointer field at `field` points to. */
function moveSds(core: RedisCore, field: number): void {
  const h = core.heap;
  const s = h.u32[field >>> 2];
  const base = sdsBase(h, s);
  const fresh = core.defrag.move(core, base);
  if (fresh !== 0) h.u32[field >>> 2] = fresh + (s - base);
}

/** Moves the allocation that the pointer field at `field` points to. */
function movePointee(core: RedisCore, field: number): void {
  const fresh = core.defrag.move(core, core.heap.u32[field >>> 2]);
  if (fresh !== 0) core.heap.u32[field >>> 2] = fresh;
}

const OBJECT_POINTER = 8;

function moveString(core: RedisCore, entry: number, o: number): void {
  const h = core.heap;
  const encoding = robjEncoding(h, o);
  if (encoding === OBJ_ENCODING_RAW) moveSds(core, o + OBJECT_POINTER);
  const text = robjPtr(h, o) - o;
  const fresh = core.defrag.move(core, o);
  if (fresh === 0) return;
  if (encoding === OBJ_ENCODING_EMBSTR) robjSetPtr(h, fresh, fresh + text);
  dictSetValue(h, entry, fresh);
}

/**
 * Moves what belongs to a database entry's value.
 * @returns whether it is so large that its parts are left for stepLargeValue
 */
export function defragValue(core: RedisCore, entry: number): boolean {
  const h = core.heap;
  let o = dictValue(h, entry);
  if (robjRefCount(h, o) !== 1) return false;
  if (robjType(h, o) === OBJ_STRING) {
    moveString(core, entry, o);
    return false;
  }
  const fresh = core.defrag.move(core, o);
  if (fresh !== 0) {
    dictSetValue(h, entry, fresh);
    o = fresh;
  }
  moveRoots(core, o);
  if (parts(h, o) > core.config.activeDefragMaxScanFields) return true;
  for (let cursor = 0; ; ) {
    cursor = stepLargeValue(core, o, cursor);
    if (cursor === 0) return false;
  }
}

/** The structs and tables at the root of a container, and containers of one allocation. */
function moveRoots(core: RedisCore, o: number): void {
  const h = core.heap;
  switch (robjEncoding(h, o)) {
    case OBJ_ENCODING_LISTPACK:
    case OBJ_ENCODING_INTSET:
      movePointee(core, o + OBJECT_POINTER);
      break;
    case OBJ_ENCODING_HT:
      moveDict(core, o + OBJECT_POINTER);
      break;
    case OBJ_ENCODING_SKIPLIST: {
      movePointee(core, o + OBJECT_POINTER);
      const zset = robjPtr(h, o);
      moveDict(core, zset + ZSET_DICT);
      movePointee(core, zset + ZSET_LIST);
      const zsl = h.u32[(zset + ZSET_LIST) >>> 2];
      const header = core.defrag.move(core, zslHeader(h, zsl));
      if (header !== 0) h.u32[zsl >>> 2] = header;
      break;
    }
    case OBJ_ENCODING_QUICKLIST:
      movePointee(core, o + OBJECT_POINTER);
      break;
    case OBJ_ENCODING_STREAM:
      movePointee(core, o + OBJECT_POINTER);
      moveStream(core, robjPtr(h, o));
      break;
    default:
  }
}

/**
 * The trees of a stream and its listpacks, all at once, also of a long stream; of its groups the nodes of the trees alone, as consumers and
 * pending entries point to each other.
 */
function moveStream(core: RedisCore, s: number): void {
  const h = core.heap;
  const move = (offset: number) => core.defrag.move(core, offset);
  movePointee(core, s);
  raxRelocate(h, streamRax(h, s), move, (slot) => movePointee(core, slot));
  if (streamGroups(h, s) === 0) return;
  raxRelocate(h, streamGroups(h, s), move, (slot) => {
    const group = h.u32[slot >>> 2];
    raxRelocate(h, groupPending(h, group), move, () => {});
    raxRelocate(h, groupConsumers(h, group), move, () => {});
  });
}

/** Nodes of a list that are moved in one step. */
const NODES_PER_STEP = 128;

/** Moves the nodes from the one of this index on. @returns the index of the next, 0 at the end */
function moveNodes(core: RedisCore, ql: number, from: number): number {
  const h = core.heap;
  const move = (offset: number) => core.defrag.move(core, offset);
  let node = quicklistHead(h, ql);
  for (let skip = from; skip > 0 && node !== 0; skip--) node = nodeNext(h, node);
  for (let i = 0; i < NODES_PER_STEP && node !== 0; i++) node = nodeNext(h, quicklistRelocate(h, ql, node, move));
  return node === 0 ? 0 : from + NODES_PER_STEP;
}

const ZSET_DICT = 0;
const ZSET_LIST = 8;

/** A dict's struct and tables. */
function moveDict(core: RedisCore, field: number): void {
  movePointee(core, field);
  const h = core.heap;
  const d = h.u32[field >>> 2];
  for (let table = 0; table < 2; table++) {
    const at = dictTableField(d, table);
    if (h.u32[at >>> 2] !== 0) movePointee(core, at);
  }
}

/** How many parts a container has that are moved one by one. */
function parts(h: Heap, o: number): number {
  switch (robjEncoding(h, o)) {
    case OBJ_ENCODING_HT:
      return dictSize(h, robjPtr(h, o));
    case OBJ_ENCODING_SKIPLIST:
      return dictSize(h, h.u32[(robjPtr(h, o) + ZSET_DICT) >>> 2]);
    case OBJ_ENCODING_QUICKLIST:
      return quicklistNodes(h, robjPtr(h, o));
    default:
      return 0;
  }
}

/**
 * Moves some more parts of a container.
 * @param cursor 0: from the start; of another value that came in the place of the one it belongs to it does no harm
 * @returns where to go on, 0: all has been passed
 */
export function stepLargeValue(core: RedisCore, o: number, cursor: number): number {
  const h = core.heap;
  if (robjRefCount(h, o) !== 1) return 0;
  switch (robjEncoding(h, o)) {
    case OBJ_ENCODING_HT: {
      const d = robjPtr(h, o);
      const withValues = h.u32[d >>> 2] === DICT_TYPE_HASH;
      return dictScanBuckets(h, d, cursor, (slot) => moveMembers(core, slot, withValues));
    }
    case OBJ_ENCODING_SKIPLIST: {
      const zset = robjPtr(h, o);
      const zsl = h.u32[(zset + ZSET_LIST) >>> 2];
      return dictScanBuckets(h, h.u32[(zset + ZSET_DICT) >>> 2], cursor, (slot) => moveScored(core, zsl, slot));
    }
    case OBJ_ENCODING_QUICKLIST:
      return moveNodes(core, robjPtr(h, o), cursor);
    default:
      return 0;
  }
}

/** Entries of a set or a hash, with their strings. */
function moveMembers(core: RedisCore, slot: number, withValues: boolean): void {
  moveChain(core, slot);
  const h = core.heap;
  for (let entry = h.u32[slot >>> 2]; entry !== 0; entry = dictNext(h, entry)) {
    moveSds(core, entry);
    if (withValues && h.u32[(entry + 8) >>> 2] !== 0) moveSds(core, entry + 8);
  }
}

/** Entries of a sorted set's dict, with the nodes of the skip list that they point into and the members that both share. */
function moveScored(core: RedisCore, zsl: number, slot: number): void {
  moveChain(core, slot);
  const h = core.heap;
  const move = (offset: number) => core.defrag.move(core, offset);
  for (let entry = h.u32[slot >>> 2]; entry !== 0; entry = dictNext(h, entry)) {
    const member = h.u32[entry >>> 2];
    const score = zslScore(h, dictValue(h, entry) - NODE_SCORE);
    const node = zslRelocate(h, zsl, score, member, sdsLen(h, member), move);
    dictSetValue(h, entry, node + NODE_SCORE);
    moveSds(core, node);
    h.u32[entry >>> 2] = h.u32[node >>> 2];
  }
}

/** Moves the entries of the chain whose first entry `slot` points to. */
export function moveChain(core: RedisCore, slot: number): void {
  const u32 = core.heap.u32;
  let at = slot >>> 2;
  for (let entry = u32[at]; entry !== 0; entry = u32[at]) {
    const fresh = core.defrag.move(core, entry);
    if (fresh !== 0) {
      u32[at] = fresh;
      entry = fresh;
    }
    at = (entry + 16) >>> 2;
  }
}
