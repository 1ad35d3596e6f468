/** Lists, as the rest of the server sees them: always a quicklist in this version. */
import type { RdbReader } from '../persistence/rdb-reader.ts';
import type { RdbWriter } from '../persistence/rdb-writer.ts';
import type { Digest } from '../structures/digest.ts';
import type { Heap } from '../structures/heap.ts';
import {
  lpBytes,
  lpFirst,
  lpFree,
  lpGet,
  lpLength,
  lpNext,
  lpPutInteger,
  lpShrinkToFit,
  lpStringLength,
  lpStringOffset,
  lpValidateIntegrity,
  lpVerify,
} from '../structures/listpack.ts';
import { lzfDecompress } from '../structures/lzf.ts';
import type { ObjectType } from '../structures/object-type.ts';
import {
  quicklistAppendListpack,
  quicklistAppendPlain,
  quicklistDup,
  quicklistFree,
  quicklistNew,
  quicklistPush,
} from '../structures/quicklist.ts';
import { ListCursor } from '../structures/quicklist-cursor.ts';
import {
  nodeCount,
  nodeEntry,
  nodeIsCompressed,
  nodeIsPlain,
  nodeLzfLength,
  nodeLzfOffset,
  nodeNext,
  nodePrev,
  nodeSize,
  QUICKLIST_BYTES,
  QUICKLIST_NODE_BYTES,
  quicklistCount,
  quicklistDepth,
  quicklistFill,
  quicklistHead,
  quicklistNodes,
  quicklistTail,
} from '../structures/quicklist-node.ts';
import { createObject, OBJ_ENCODING_QUICKLIST, OBJ_LIST, ROBJ_BYTES, robjPtr } from '../structures/robj.ts';
import { ziplistToListpack } from '../structures/ziplist.ts';

const RDB_TYPE_LIST = 1;
const RDB_TYPE_LIST_ZIPLIST = 10;
const RDB_TYPE_LIST_QUICKLIST = 14;
const RDB_TYPE_LIST_QUICKLIST_2 = 18;
/** What a node's entry is, in snapshot files. */
const CONTAINER_PLAIN = 1;
const CONTAINER_PACKED = 2;
/** A list made without regard to the configuration has this fill and does not compress. */
const DEFAULT_FILL = -2;

function wrap(h: Heap, ql: number): number {
  try {
    return createObject(h, OBJ_LIST, OBJ_ENCODING_QUICKLIST, ql);
  } catch (error) {
    quicklistFree(h, ql);
    throw error;
  }
}

/** An empty list as the configuration wants it. @throws ARENA_EXHAUSTED */
export function createListObject(h: Heap): number {
  return wrap(h, quicklistNew(h, h.limits.listMaxListpackSize, h.limits.listCompressDepth));
}

/** An empty list with the built-in settings, as SORT … STORE makes it. @throws ARENA_EXHAUSTED */
export function createPlainListObject(h: Heap): number {
  return wrap(h, quicklistNew(h, DEFAULT_FILL, 0));
}

/** Number of elements. */
export function listLength(h: Heap, o: number): number {
  return quicklistCount(h, robjPtr(h, o));
}

/** Adds an element at an end. The bytes must not lie in this list. @throws ARENA_EXHAUSTED, nothing changed */
export function listPush(h: Heap, o: number, offset: number, length: number, atHead: boolean): void {
  quicklistPush(h, robjPtr(h, o), offset, length, atHead);
}

const digestCursor = new ListCursor();

function mixDigest(h: Heap, o: number, digest: Digest): void {
  const k = digestCursor;
  k.start(h, robjPtr(h, o), true);
  while (k.next(h)) {
    if (k.at !== 0) digest.mix(h.u8, k.at, k.length);
    else digest.mixText(k.text(h));
  }
  k.end(h);
}

function memoryUsage(h: Heap, o: number, samples: number): number {
  const ql = robjPtr(h, o);
  let bytes = 0;
  let looked = 0;
  for (let node = quicklistHead(h, ql); node !== 0 && (looked === 0 || looked < samples); node = nodeNext(h, node)) {
    bytes += QUICKLIST_NODE_BYTES + h.usable(nodeEntry(h, node));
    looked++;
  }
  return Math.floor(ROBJ_BYTES + QUICKLIST_BYTES + (bytes / looked) * quicklistNodes(h, ql));
}

function debugFields(h: Heap, o: number): string {
  const ql = robjPtr(h, o);
  let size = 0;
  for (let node = quicklistHead(h, ql); node !== 0; node = nodeNext(h, node)) size += nodeSize(h, node);
  return (
    ` ql_nodes:${quicklistNodes(h, ql)} ql_avg_node:${(quicklistCount(h, ql) / quicklistNodes(h, ql)).toFixed(2)}` +
    ` ql_listpack_max:${quicklistFill(h, ql)} ql_compressed:${quicklistDepth(h, ql) === 0 ? 0 : 1}` +
    ` ql_uncompressed_size:${size}`
  );
}

function saveRdb(w: RdbWriter, o: number): void {
  const h = w.heap;
  const ql = robjPtr(h, o);
  w.putLength(quicklistNodes(h, ql));
  for (let node = quicklistHead(h, ql); node !== 0; node = nodeNext(h, node)) {
    w.putLength(nodeIsPlain(h, node) ? CONTAINER_PLAIN : CONTAINER_PACKED);
    if (nodeIsCompressed(h, node)) w.putCompressed(nodeLzfOffset(h, node), nodeLzfLength(h, node), nodeSize(h, node));
    else w.putBytes(nodeEntry(h, node), nodeSize(h, node));
  }
}

/** Appends what comes as one string for each element. @returns false when the bytes are broken */
function loadElements(r: RdbReader, ql: number): boolean {
  for (let left = r.readLength(); left > 0 && !r.failed; left--) {
    if (r.readString()) quicklistPush(r.heap, ql, r.stringOffset, r.stringLength, false);
  }
  return !r.failed;
}

/** Appends the elements of a listpack one by one. */
function pushAll(h: Heap, ql: number, lp: number): void {
  for (let p = lpFirst(h, lp); p !== 0; p = lpNext(h, lp, p)) {
    if (lpGet(h, p)) quicklistPush(h, ql, lpStringOffset, lpStringLength, false);
    else quicklistPush(h, ql, h.scratch, lpPutInteger(h, h.scratch), false);
  }
}

/** Reads a listpack, or a ziplist as one. @returns its offset, or 0 when the bytes are broken */
function loadListpack(r: RdbReader, isZiplist: boolean): number {
  const h = r.heap;
  const block = r.readBlock();
  if (block === 0) return 0;
  let lp = 0;
  try {
    if (isZiplist) lp = ziplistToListpack(h, block, r.stringLength);
    else if (lpValidateIntegrity(h, block, r.stringLength, true)) lp = block;
  } finally {
    if (lp !== block) h.free(block);
  }
  return lp;
}

function loadNodes(r: RdbReader, ql: number, rdbType: number): boolean {
  const h = r.heap;
  for (let left = r.readLength(); left > 0 && !r.failed; left--) {
    const container = rdbType === RDB_TYPE_LIST_QUICKLIST_2 ? r.readLength() : CONTAINER_PACKED;
    if (r.failed || (container !== CONTAINER_PACKED && container !== CONTAINER_PLAIN)) return false;
    if (container === CONTAINER_PLAIN) {
      const block = r.readBlock();
      if (block === 0) return false;
      if (r.stringLength === 0) {
        h.free(block);
        return false;
      }
      quicklistAppendPlain(h, ql, block, r.stringLength);
      continue;
    }
    let lp = loadListpack(r, rdbType === RDB_TYPE_LIST_QUICKLIST);
    if (lp === 0) return false;
    if (rdbType === RDB_TYPE_LIST_QUICKLIST) lp = lpShrinkToFit(h, lp);
    if (lpLength(h, lp) === 0) lpFree(h, lp);
    else quicklistAppendListpack(h, ql, lp);
  }
  return !r.failed;
}

function loadZiplist(r: RdbReader, ql: number): boolean {
  const lp = loadListpack(r, true);
  if (lp === 0) return false;
  try {
    pushAll(r.heap, ql, lp);
  } finally {
    lpFree(r.heap, lp);
  }
  return true;
}

function loadRdb(r: RdbReader, rdbType: number): number {
  const h = r.heap;
  const ql = quicklistNew(h, h.limits.listMaxListpackSize, h.limits.listCompressDepth);
  let whole = false;
  try {
    if (rdbType === RDB_TYPE_LIST) whole = loadElements(r, ql);
    else if (rdbType === RDB_TYPE_LIST_ZIPLIST) whole = loadZiplist(r, ql);
    else whole = loadNodes(r, ql, rdbType);
    if (whole && quicklistCount(h, ql) === 0) {
      r.emptyKey = true;
      whole = false;
    }
  } finally {
    if (!whole) quicklistFree(h, ql);
  }
  return whole ? wrap(h, ql) : 0;
}

function verifyNode(h: Heap, node: number, inDepth: boolean): void {
  const size = nodeSize(h, node);
  if (nodeIsCompressed(h, node)) {
    if (inDepth) throw new Error(`Broken list: the node at ${node} lies at an end but is compressed`);
    const room = h.alloc(size);
    const length = lzfDecompress(h.u8, nodeLzfOffset(h, node), nodeLzfLength(h, node), room, size);
    const whole = length === size && (nodeIsPlain(h, node) || lpValidateIntegrity(h, room, size, true));
    const count = whole && !nodeIsPlain(h, node) ? lpLength(h, room) : nodeCount(h, node);
    h.free(room);
    if (!whole || count !== nodeCount(h, node)) throw new Error(`Broken list: the compressed node at ${node}`);
    return;
  }
  const entry = nodeEntry(h, node);
  if (nodeIsPlain(h, node)) {
    if (nodeCount(h, node) !== 1 || size > h.usable(entry)) throw new Error(`Broken list: the plain node at ${node}`);
    return;
  }
  lpVerify(h, entry);
  if (lpBytes(h, entry) !== size || lpLength(h, entry) !== nodeCount(h, node) || lpLength(h, entry) === 0) {
    throw new Error(`Broken list: the node at ${node} does not know its listpack`);
  }
}

function verify(h: Heap, o: number): void {
  const ql = robjPtr(h, o);
  const nodes = quicklistNodes(h, ql);
  const depth = quicklistDepth(h, ql);
  let count = 0;
  let index = 0;
  let prev = 0;
  for (let node = quicklistHead(h, ql); node !== 0; node = nodeNext(h, node)) {
    if (nodePrev(h, node) !== prev) throw new Error(`Broken list: the node at ${node} has another one before it`);
    verifyNode(h, node, index < Math.max(1, depth) || index >= nodes - Math.max(1, depth));
    count += nodeCount(h, node);
    prev = node;
    index++;
  }
  if (quicklistTail(h, ql) !== prev || index !== nodes || count !== quicklistCount(h, ql) || count === 0) {
    throw new Error(`Broken list at ${ql}: ${index} nodes and ${count} elements do not fit its head`);
  }
}

export const listType: ObjectType = {
  name: 'list',
  free: (h, o) => quicklistFree(h, robjPtr(h, o)),
  verify,
  encodingName: () => 'quicklist',
  length: listLength,
  freeEffort: (h, o) => quicklistNodes(h, robjPtr(h, o)),
  memoryUsage,
  duplicate: (h, o) => wrap(h, quicklistDup(h, robjPtr(h, o))),
  rdbType: () => RDB_TYPE_LIST_QUICKLIST_2,
  saveRdb,
  rdbTypes: [RDB_TYPE_LIST, RDB_TYPE_LIST_ZIPLIST, RDB_TYPE_LIST_QUICKLIST, RDB_TYPE_LIST_QUICKLIST_2],
  loadRdb,
  debugFields,
  mixDigest,
};
