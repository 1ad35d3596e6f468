/**
 * Lists: a doubly linked list of nodes, each of which holds a listpack, or (a plain node) one element too large for that. Nodes deep
 * inside may be compressed with LZF. Layout and decisions are the original's, so that memory and dumped bytes are the same.
 *
 * | quicklist, 40 bytes | | node, 40 bytes | |
 * | --- | --- | --- | --- |
 * | 0 | first node | 0 | node before |
 * | 8 | last node | 8 | node behind |
 * | 16 | number of elements | 16 | entry: listpack, bytes, or compressed bytes behind 8 bytes of length |
 * | 24 | number of nodes | 24 | length of the entry, uncompressed |
 * | 32 | fill (16 bits, signed) | 32 | number of elements |
 * | 34 | compress depth (16 bits) | 36 | flags |
 *
 * A list whose depth is d leaves d nodes at each end uncompressed. A compressed node that must be read is decompressed, marked, and
 * compressed again when the reader is done. Where memory for compressing or decompressing cannot be had, a node stays as it is: every
 * reader copes with either form.
 */
import { ARENA_EXHAUSTED, type Heap } from './heap.ts';
import {
  lpAppend,
  lpBytes,
  lpDelete,
  lpFirst,
  lpFree,
  lpGet,
  lpIntHigh,
  lpIntLow,
  lpLast,
  lpLength,
  lpNew,
  lpPrepend,
  lpPutBack,
  lpShrinkToFit,
  lpSkip,
  lpStringLength,
  lpStringOffset,
  lpTakeOut,
} from './listpack.ts';
import { lzfCompress, lzfDecompress } from './lzf.ts';

export const QUICKLIST_BYTES = 40;
export const QUICKLIST_NODE_BYTES = 40;
const TAIL = 8;
const COUNT = 16;
const LENGTH = 24;
const FILL = 32;
const DEPTH = 34;
const NEXT = 8;
const ENTRY = 16;
const SIZE = 24;
const ELEMENTS = 32;
const FLAGS = 36;

const NODE_LZF = 1;
const NODE_PLAIN = 2;
/** Was decompressed to be read and is to be compressed again. */
const NODE_RECOMPRESS = 4;
/** Will be changed at once: compressing it now would be for nothing. */
const NODE_DONT_COMPRESS = 8;

/** Before compressed bytes stands their length. */
const LZF_HEADER_BYTES = 8;
/** The compressor may write so far beyond its room. */
const LZF_SLACK_BYTES = 40;
/** Shorter entries are not compressed, and the gain must be more than MIN_COMPRESS_GAIN. */
const MIN_COMPRESS_BYTES = 48;
const MIN_COMPRESS_GAIN = 8;
/** Sizes of nodes for a fill of -1 to -5. */
const SIZE_LIMITS = [4096, 8192, 16_384, 32_768, 65_536];
/** Limit in bytes of nodes whose limit is a number of elements. */
const SAFETY_BYTES = 8192;
/** What an element is reckoned to take beside its bytes. */
const ELEMENT_OVERHEAD = 8;
const FILL_MAX = 32_767;
const FILL_MIN = -5;
const DEPTH_MAX = 65_535;

const DEFAULT_PACKED_THRESHOLD = 1 << 30;
const PACKED_THRESHOLD_MAX = 2 ** 32 - 2 ** 20;
/** Elements of this length and more get a plain node. One for the process, as in the original. */
let packedThreshold = DEFAULT_PACKED_THRESHOLD;

/** DEBUG QUICKLIST-PACKED-THRESHOLD; 0: the default. @returns false when that is too much */
export function setPackedThreshold(bytes: number): boolean {
  if (bytes > PACKED_THRESHOLD_MAX) return false;
  packedThreshold = bytes === 0 ? DEFAULT_PACKED_THRESHOLD : bytes;
  return true;
}

export function isLargeElement(length: number): boolean {
  return length >= packedThreshold;
}

export function quicklistHead(h: Heap, ql: number): number {
  return h.u32[ql >>> 2];
}

export function quicklistTail(h: Heap, ql: number): number {
  return h.u32[(ql + TAIL) >>> 2];
}

/** Number of elements. */
export function quicklistCount(h: Heap, ql: number): number {
  return h.u32[(ql + COUNT) >>> 2];
}

export function addQuicklistCount(h: Heap, ql: number, change: number): void {
  h.u32[(ql + COUNT) >>> 2] += change;
}

/** Number of nodes. */
export function quicklistNodes(h: Heap, ql: number): number {
  return h.u32[(ql + LENGTH) >>> 2];
}

export function quicklistFill(h: Heap, ql: number): number {
  return (h.u16[(ql + FILL) >>> 1] << 16) >> 16;
}

export function quicklistDepth(h: Heap, ql: number): number {
  return h.u16[(ql + DEPTH) >>> 1];
}

export function nodePrev(h: Heap, node: number): number {
  return h.u32[node >>> 2];
}

export function nodeNext(h: Heap, node: number): number {
  return h.u32[(node + NEXT) >>> 2];
}

export function nodeEntry(h: Heap, node: number): number {
  return h.u32[(node + ENTRY) >>> 2];
}

/** Length in bytes of the entry, uncompressed. */
export function nodeSize(h: Heap, node: number): number {
  return h.u32[(node + SIZE) >>> 2];
}

export function nodeCount(h: Heap, node: number): number {
  return h.u32[(node + ELEMENTS) >>> 2];
}

export function nodeIsPlain(h: Heap, node: number): boolean {
  return (h.u8[node + FLAGS] & NODE_PLAIN) !== 0;
}

export function nodeIsCompressed(h: Heap, node: number): boolean {
  return (h.u8[node + FLAGS] & NODE_LZF) !== 0;
}

/** Of a compressed node: where its compressed bytes are, and their number. */
export function nodeLzfOffset(h: Heap, node: number): number {
  return nodeEntry(h, node) + LZF_HEADER_BYTES;
}
export function nodeLzfLength(h: Heap, node: number): number {
  return h.u32[nodeEntry(h, node) >>> 2];
}

export function setDontCompress(h: Heap, node: number, on: boolean): void {
  if (on) h.u8[node + FLAGS] |= NODE_DONT_COMPRESS;
  else h.u8[node + FLAGS] &= ~NODE_DONT_COMPRESS;
}

/** Puts a changed listpack into its node. */
export function setNodeListpack(h: Heap, node: number, lp: number): void {
  h.u32[(node + ENTRY) >>> 2] = lp;
  h.u32[(node + SIZE) >>> 2] = lpBytes(h, lp);
}

export function addNodeCount(h: Heap, node: number, change: number): void {
  h.u32[(node + ELEMENTS) >>> 2] += change;
}

export function setNodeCount(h: Heap, node: number, count: number): void {
  h.u32[(node + ELEMENTS) >>> 2] = count;
}

/** An empty list. @throws ARENA_EXHAUSTED */
export function quicklistNew(h: Heap, fill: number, depth: number): number {
  const ql = h.calloc(QUICKLIST_BYTES);
  h.u16[(ql + FILL) >>> 1] = Math.max(FILL_MIN, Math.min(fill, FILL_MAX));
  h.u16[(ql + DEPTH) >>> 1] = Math.max(0, Math.min(depth, DEPTH_MAX));
  return ql;
}

export function quicklistFree(h: Heap, ql: number): void {
  for (let node = quicklistHead(h, ql); node !== 0; ) {
    const next = nodeNext(h, node);
    h.free(nodeEntry(h, node));
    h.free(node);
    node = next;
  }
  h.free(ql);
}

/** A node around an entry, not linked yet. Frees the entry when there is no room. @throws ARENA_EXHAUSTED */
export function newNode(h: Heap, entry: number, size: number, count: number, plain: boolean): number {
  const node = h.allocator.alloc(QUICKLIST_NODE_BYTES);
  if (node === 0) {
    h.free(entry);
    throw ARENA_EXHAUSTED;
  }
  const at = node >>> 2;
  const u32 = h.u32;
  u32.fill(0, at, at + QUICKLIST_NODE_BYTES / 4);
  u32[at + ENTRY / 4] = entry;
  u32[at + SIZE / 4] = size;
  u32[at + ELEMENTS / 4] = count;
  u32[at + FLAGS / 4] = plain ? NODE_PLAIN : 0;
  return node;
}

/** A node of one element: plain if that is large, else with a listpack. @throws ARENA_EXHAUSTED, nothing changed */
export function newElementNode(h: Heap, offset: number, length: number): number {
  if (isLargeElement(length)) return newPlainNode(h, offset, length);
  const empty = lpNew(h, 0);
  let lp: number;
  try {
    lp = lpAppend(h, empty, offset, length);
  } catch (error) {
    lpFree(h, empty);
    throw error;
  }
  return newNode(h, lp, lpBytes(h, lp), 1, false);
}

export function newPlainNode(h: Heap, offset: number, length: number): number {
  const entry = h.alloc(Math.max(1, length));
  h.copy(offset, entry, length);
  return newNode(h, entry, length, 1, true);
}

/** Compresses a node's entry if that gains something. */
function compressEntry(h: Heap, node: number): void {
  const flags = h.u8[node + FLAGS];
  if ((flags & NODE_DONT_COMPRESS) !== 0) return;
  h.u8[node + FLAGS] = flags & ~NODE_RECOMPRESS;
  const size = nodeSize(h, node);
  if (size < MIN_COMPRESS_BYTES || nodePrev(h, node) === 0 || nodeNext(h, node) === 0) return;
  const room = h.allocator.alloc(size + LZF_SLACK_BYTES);
  if (room === 0) return;
  const length = lzfCompress(h.u8, nodeEntry(h, node), size, room, size);
  const packed = length === 0 || length + MIN_COMPRESS_GAIN >= size ? 0 : h.allocator.alloc(LZF_HEADER_BYTES + length);
  if (packed !== 0) {
    h.u32[packed >>> 2] = length;
    h.u32[(packed + 4) >>> 2] = 0;
    h.copy(room, packed + LZF_HEADER_BYTES, length);
    h.free(nodeEntry(h, node));
    h.u32[(node + ENTRY) >>> 2] = packed;
    h.u8[node + FLAGS] |= NODE_LZF;
  }
  h.free(room);
}

function compressNode(h: Heap, node: number): void {
  if (node !== 0 && !nodeIsCompressed(h, node)) compressEntry(h, node);
}

/** @returns false when there is no memory for it; the node stays compressed then */
export function decompressNode(h: Heap, node: number): boolean {
  if (node === 0 || !nodeIsCompressed(h, node)) return true;
  const size = nodeSize(h, node);
  const entry = h.allocator.alloc(size);
  if (entry === 0) return false;
  if (lzfDecompress(h.u8, nodeLzfOffset(h, node), nodeLzfLength(h, node), entry, size) !== size) {
    throw new Error(`Broken list: the node at ${node} cannot be decompressed`);
  }
  h.free(nodeEntry(h, node));
  h.u32[(node + ENTRY) >>> 2] = entry;
  h.u8[node + FLAGS] &= ~(NODE_LZF | NODE_RECOMPRESS);
  return true;
}

/** Decompresses a node that is to be read and compressed again. @throws ARENA_EXHAUSTED */
export function decompressForUse(h: Heap, node: number): void {
  if (!nodeIsCompressed(h, node)) return;
  if (!decompressNode(h, node)) throw ARENA_EXHAUSTED;
  h.u8[node + FLAGS] |= NODE_RECOMPRESS;
}

/** Compresses a node again that was decompressed to be read. */
export function recompressOnly(h: Heap, node: number): void {
  if ((h.u8[node + FLAGS] & NODE_RECOMPRESS) !== 0) compressNode(h, node);
}

/** After a change near `node` (0: of the list's length): what lies within the depth is decompressed, what just left it compressed. */
export function compressAround(h: Heap, ql: number, node: number): void {
  const depth = quicklistDepth(h, ql);
  const nodes = quicklistNodes(h, ql);
  if (depth === 0 || nodes < depth * 2 || nodes === 0) return;
  let forward = quicklistHead(h, ql);
  let reverse = quicklistTail(h, ql);
  let inDepth = false;
  for (let i = 0; i < depth; i++) {
    decompressNode(h, forward);
    decompressNode(h, reverse);
    if (forward === node || reverse === node) inDepth = true;
    if (forward === reverse || nodeNext(h, forward) === reverse) return;
    forward = nodeNext(h, forward);
    reverse = nodePrev(h, reverse);
  }
  if (!inDepth) compressNode(h, node);
  compressNode(h, forward);
  compressNode(h, reverse);
}

/** Compresses a node as it is due when its user is done. */
export function compressAsDue(h: Heap, ql: number, node: number): void {
  if ((h.u8[node + FLAGS] & NODE_RECOMPRESS) !== 0) compressNode(h, node);
  else compressAround(h, ql, node);
}

/** Links a new node before or behind `old` (0: the list is empty). Does not touch the number of elements. */
export function linkNode(h: Heap, ql: number, old: number, node: number, after: boolean): void {
  const u32 = h.u32;
  if (old !== 0) {
    const other = after ? nodeNext(h, old) : nodePrev(h, old);
    u32[(node + (after ? NEXT : 0)) >>> 2] = other;
    u32[(node + (after ? 0 : NEXT)) >>> 2] = old;
    if (other !== 0) u32[(other + (after ? 0 : NEXT)) >>> 2] = node;
    u32[(old + (after ? NEXT : 0)) >>> 2] = node;
    if (after && u32[(ql + TAIL) >>> 2] === old) u32[(ql + TAIL) >>> 2] = node;
    if (!after && u32[ql >>> 2] === old) u32[ql >>> 2] = node;
  } else {
    u32[ql >>> 2] = node;
    u32[(ql + TAIL) >>> 2] = node;
  }
  u32[(ql + LENGTH) >>> 2]++;
  if (quicklistDepth(h, ql) === 0) return;
  if (old !== 0) compressAsDue(h, ql, old);
  compressAsDue(h, ql, node);
}

/** Unlinks a node with all of its elements; it remains allocated. */
function unlinkNode(h: Heap, ql: number, node: number): void {
  const u32 = h.u32;
  const prev = nodePrev(h, node);
  const next = nodeNext(h, node);
  if (next !== 0) u32[next >>> 2] = prev;
  else u32[(ql + TAIL) >>> 2] = prev;
  if (prev !== 0) u32[(prev + NEXT) >>> 2] = next;
  else u32[ql >>> 2] = next;
  u32[(ql + LENGTH) >>> 2]--;
  u32[(ql + COUNT) >>> 2] -= nodeCount(h, node);
  compressAround(h, ql, 0);
}

/** Unlinks and frees a node with all of its elements. */
export function deleteNode(h: Heap, ql: number, node: number): void {
  unlinkNode(h, ql, node);
  h.free(nodeEntry(h, node));
  h.free(node);
}

/** Whether an entry of `size` bytes suits a fill that limits the size. */
export function suitsSizeLimit(fill: number, size: number): boolean {
  return fill < 0 && size <= SIZE_LIMITS[-fill - 1]!;
}

/** Whether an element of `length` bytes may be added to the node (0: no). */
export function nodeAllowsInsert(h: Heap, node: number, fill: number, length: number): boolean {
  if (node === 0 || nodeIsPlain(h, node) || isLargeElement(length)) return false;
  const size = nodeSize(h, node) + length + ELEMENT_OVERHEAD;
  if (suitsSizeLimit(fill, size)) return true;
  return size <= SAFETY_BYTES && nodeCount(h, node) < fill;
}

/** Whether two nodes may become one. */
export function nodesAllowMerge(h: Heap, a: number, b: number, fill: number): boolean {
  if (a === 0 || b === 0 || nodeIsPlain(h, a) || nodeIsPlain(h, b)) return false;
  const size = nodeSize(h, a) + nodeSize(h, b) - 7;
  if (suitsSizeLimit(fill, size)) return true;
  return size <= SAFETY_BYTES && nodeCount(h, a) + nodeCount(h, b) <= fill;
}

/** Adds an element at an end. The bytes must not lie in this list. @throws ARENA_EXHAUSTED, nothing changed */
export function quicklistPush(h: Heap, ql: number, offset: number, length: number, atHead: boolean): void {
  const node = h.u32[(ql + (atHead ? 0 : TAIL)) >>> 2];
  if (nodeAllowsInsert(h, node, quicklistFill(h, ql), length)) {
    if (nodeIsCompressed(h, node) && !decompressNode(h, node)) throw ARENA_EXHAUSTED;
    const entry = h.u32[(node + ENTRY) >>> 2];
    const lp = atHead ? lpPrepend(h, entry, offset, length) : lpAppend(h, entry, offset, length);
    setNodeListpack(h, node, lp);
    h.u32[(node + ELEMENTS) >>> 2]++;
  } else {
    linkNode(h, ql, node, newElementNode(h, offset, length), !atHead);
  }
  h.u32[(ql + COUNT) >>> 2]++;
}

/** Appends a node around a listpack that the list takes over (freed also when it throws). @throws ARENA_EXHAUSTED */
export function quicklistAppendListpack(h: Heap, ql: number, lp: number): void {
  const count = lpLength(h, lp);
  const node = newNode(h, lp, lpBytes(h, lp), count, false);
  linkNode(h, ql, quicklistTail(h, ql), node, true);
  h.u32[(ql + COUNT) >>> 2] += count;
}

/** Appends a plain node around bytes that the list takes over (freed also when it throws). @throws ARENA_EXHAUSTED */
export function quicklistAppendPlain(h: Heap, ql: number, entry: number, length: number): void {
  linkNode(h, ql, quicklistTail(h, ql), newNode(h, entry, length, 1, true), true);
  h.u32[(ql + COUNT) >>> 2]++;
}

/** What quicklistPeek found: a string, or with elementOffset 0 an integer in two words. */
export let elementOffset = 0;
export let elementLength = 0;
export let elementLow = 0;
export let elementHigh = 0;
let peekedNode = 0;
let peekedElement = 0;

/** Reads the element at an end of a list that is not empty. Valid until the next change. @throws ARENA_EXHAUSTED */
export function quicklistPeek(h: Heap, ql: number, atHead: boolean): void {
  const node = h.u32[(ql + (atHead ? 0 : TAIL)) >>> 2];
  peekedNode = node;
  if (nodeIsPlain(h, node)) {
    if (nodeIsCompressed(h, node) && !decompressNode(h, node)) throw ARENA_EXHAUSTED;
    elementOffset = nodeEntry(h, node);
    elementLength = nodeSize(h, node);
    return;
  }
  if (nodeIsCompressed(h, node) && !decompressNode(h, node)) throw ARENA_EXHAUSTED;
  const lp = nodeEntry(h, node);
  peekedElement = atHead ? lpFirst(h, lp) : lpLast(h, lp);
  if (lpGet(h, peekedElement)) {
    elementOffset = lpStringOffset;
    elementLength = lpStringLength;
  } else {
    elementOffset = 0;
    elementLow = lpIntLow;
    elementHigh = lpIntHigh;
  }
}

/** Deletes the element that quicklistPeek read last. */
export function quicklistDropPeeked(h: Heap, ql: number): void {
  deleteInNode(h, ql, peekedNode, peekedElement);
}

/**
 * Moves the element that quicklistPeek read last to an end of its own list. It is taken out first, as the original does: where it goes
 * to depends on the room that its leaving makes.
 * @param offset its `length` bytes, outside of the list
 * @throws ARENA_EXHAUSTED, nothing changed
 */
export function quicklistMovePeeked(h: Heap, ql: number, offset: number, length: number, toHead: boolean): void {
  const node = peekedNode;
  if (nodeIsPlain(h, node) || nodeCount(h, node) === 1) {
    const next = nodeNext(h, node);
    const neighbour = next === 0 ? nodePrev(h, node) : next;
    unlinkNode(h, ql, node);
    try {
      quicklistPush(h, ql, offset, length, toHead);
    } catch (error) {
      linkNode(h, ql, neighbour, node, next === 0);
      h.u32[(ql + COUNT) >>> 2] += nodeCount(h, node);
      throw error;
    }
    h.free(nodeEntry(h, node));
    h.free(node);
    return;
  }
  const lp = nodeEntry(h, node);
  const p = peekedElement;
  const rawLength = lpSkip(h, p) - p;
  const raw = h.alloc(rawLength);
  h.copy(p, raw, rawLength);
  lpTakeOut(h, lp, p);
  setNodeListpack(h, node, lp);
  h.u32[(node + ELEMENTS) >>> 2]--;
  h.u32[(ql + COUNT) >>> 2]--;
  try {
    quicklistPush(h, ql, offset, length, toHead);
  } catch (error) {
    lpPutBack(h, lp, p, raw, rawLength);
    setNodeListpack(h, node, lp);
    h.u32[(node + ELEMENTS) >>> 2]++;
    h.u32[(ql + COUNT) >>> 2]++;
    throw error;
  } finally {
    h.free(raw);
  }
  // A new node at this end may have made this one an inner one, which is compressed.
  if (!nodeIsCompressed(h, node)) setNodeListpack(h, node, lpShrinkToFit(h, nodeEntry(h, node)));
}

/** Deletes the element `p` of a node, which goes too if it was its only one. @returns whether the node has gone */
export function deleteInNode(h: Heap, ql: number, node: number, p: number): boolean {
  if (nodeIsPlain(h, node) || nodeCount(h, node) === 1) {
    deleteNode(h, ql, node);
    return true;
  }
  setNodeListpack(h, node, lpDelete(h, nodeEntry(h, node), p));
  h.u32[(node + ELEMENTS) >>> 2]--;
  h.u32[(ql + COUNT) >>> 2]--;
  return false;
}

/** A list with the same nodes. @throws ARENA_EXHAUSTED, nothing leaked */
export function quicklistDup(h: Heap, ql: number): number {
  const copy = quicklistNew(h, quicklistFill(h, ql), quicklistDepth(h, ql));
  try {
    for (let node = quicklistHead(h, ql); node !== 0; node = nodeNext(h, node)) {
      const compressed = nodeIsCompressed(h, node);
      const bytes = compressed ? LZF_HEADER_BYTES + nodeLzfLength(h, node) : nodeSize(h, node);
      const entry = h.alloc(Math.max(1, bytes));
      h.copy(nodeEntry(h, node), entry, bytes);
      const twin = newNode(h, entry, nodeSize(h, node), nodeCount(h, node), nodeIsPlain(h, node));
      if (compressed) h.u8[twin + FLAGS] |= NODE_LZF;
      addQuicklistCount(h, copy, nodeCount(h, node));
      linkNode(h, copy, quicklistTail(h, copy), twin, true);
    }
  } catch (error) {
    quicklistFree(h, copy);
    throw error;
  }
  return copy;
}

/** Lets `move` put a node and its entry elsewhere, and mends every pointer to them. @returns where the node is now */
export function quicklistRelocate(h: Heap, ql: number, node: number, move: (offset: number) => number): number {
  const u32 = h.u32;
  const entry = move(nodeEntry(h, node));
  if (entry !== 0) u32[(node + ENTRY) >>> 2] = entry;
  const fresh = move(node);
  if (fresh === 0) return node;
  const prev = nodePrev(h, fresh);
  const next = nodeNext(h, fresh);
  u32[(prev === 0 ? ql : prev + NEXT) >>> 2] = fresh;
  u32[(next === 0 ? ql + TAIL : next) >>> 2] = fresh;
  return fresh;
}

/**
 * Frees the first node of a list that is being emptied bit by bit and used for nothing else.
 * @returns whether there was one
 */
export function quicklistDropFirst(h: Heap, ql: number): boolean {
  const node = quicklistHead(h, ql);
  if (node === 0) return false;
  h.u32[ql >>> 2] = nodeNext(h, node);
  h.free(nodeEntry(h, node));
  h.free(node);
  return true;
}
