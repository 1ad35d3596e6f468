/**
 * Lists: a doubly linked list of nodes, each of which holds a listpack, or (a plain node) one element too large for that. Nodes deep
 * inside may be compressed with LZF. Layout and decisions are the original's, so that memory and dumped bytes are the same:
 * the layout is in quicklist-node.ts, compression in quicklist-compression.ts.
 */
import { ARENA_EXHAUSTED, type Heap } from './heap.ts';
import {
  lpAppend,
  lpBytes,
  lpDelete,
  lpFirst,
  lpGet,
  lpIntHigh,
  lpIntLow,
  lpLast,
  lpLength,
  lpPrepend,
  lpPutBack,
  lpShrinkToFit,
  lpSkip,
  lpStringLength,
  lpStringOffset,
  lpTakeOut,
} from './listpack.ts';
import { compressAround, compressAsDue, decompressNode } from './quicklist-compression.ts';
import {
  addQuicklistCount,
  COUNT,
  DEPTH,
  ELEMENTS,
  ENTRY,
  FILL,
  FLAGS,
  LENGTH,
  LZF_HEADER_BYTES,
  NEXT,
  NODE_LZF,
  NODE_PLAIN,
  newElementNode,
  newNode,
  nodeAllowsInsert,
  nodeCount,
  nodeEntry,
  nodeIsCompressed,
  nodeIsPlain,
  nodeLzfLength,
  nodeNext,
  nodePrev,
  nodeSize,
  QUICKLIST_BYTES,
  quicklistDepth,
  quicklistFill,
  quicklistHead,
  quicklistTail,
  setNodeListpack,
  TAIL,
} from './quicklist-node.ts';

const FILL_MAX = 32_767;
const FILL_MIN = -5;
const DEPTH_MAX = 65_535;

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
  const flags = h.u8[node + FLAGS];
  if ((flags & NODE_LZF) !== 0 && !decompressNode(h, node)) throw ARENA_EXHAUSTED;
  const entry = h.u32[(node + ENTRY) >>> 2];
  if ((flags & NODE_PLAIN) !== 0) {
    elementOffset = entry;
    elementLength = nodeSize(h, node);
    return;
  }
  peekedElement = atHead ? lpFirst(h, entry) : lpLast(h, entry);
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
  if (h.u32[(node + ELEMENTS) >>> 2] === 1) {
    deleteNode(h, ql, node);
    return true;
  }
  setNodeListpack(h, node, lpDelete(h, h.u32[(node + ENTRY) >>> 2], p));
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
