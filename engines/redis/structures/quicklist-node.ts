/**
 * The list and the node of a quicklist: what stands where in them, making nodes, and how much goes into one.
 *
 * | quicklist, 40 bytes | | node, 40 bytes | |
 * | --- | --- | --- | --- |
 * | 0 | first node | 0 | node before |
 * | 8 | last node | 8 | node behind |
 * | 16 | number of elements | 16 | entry: listpack, bytes, or compressed bytes behind 8 bytes of length |
 * | 24 | number of nodes | 24 | length of the entry, uncompressed |
 * | 32 | fill (16 bits, signed) | 32 | number of elements |
 * | 34 | compress depth (16 bits) | 36 | flags |
 */
import { ARENA_EXHAUSTED, type Heap } from './heap.ts';
import { lpAppend, lpBytes, lpFree, lpNew } from './listpack.ts';

// Offsets of fields, and what stands in them.
export const TAIL = 8;
export const COUNT = 16;
export const LENGTH = 24;
export const FILL = 32;
export const DEPTH = 34;
export const NEXT = 8;
export const ENTRY = 16;
export const SIZE = 24;
export const ELEMENTS = 32;
export const FLAGS = 36;
export const NODE_LZF = 1;
export const NODE_PLAIN = 2;
/** Was decompressed to be read and is to be compressed again. */
export const NODE_RECOMPRESS = 4;
/** Will be changed at once: compressing it now would be for nothing. */
export const NODE_DONT_COMPRESS = 8;
/** Before compressed bytes stands their length. */
export const LZF_HEADER_BYTES = 8;

export const QUICKLIST_BYTES = 40;
export const QUICKLIST_NODE_BYTES = 40;

/** Sizes of nodes for a fill of -1 to -5. */
const SIZE_LIMITS = [4096, 8192, 16_384, 32_768, 65_536];
/** Limit in bytes of nodes whose limit is a number of elements. */
const SAFETY_BYTES = 8192;
/** What an element is reckoned to take beside its bytes. */
const ELEMENT_OVERHEAD = 8;
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
