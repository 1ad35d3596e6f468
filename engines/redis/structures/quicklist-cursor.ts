/** Walking and changing a list at any place: a cursor stands on an element. */
import type { Heap } from './heap.ts';
import {
  LP_AFTER,
  LP_BEFORE,
  lpAppend,
  lpBytes,
  lpDeleteRange,
  lpGet,
  lpInsertString,
  lpIntHigh,
  lpIntLow,
  lpIntNumber,
  lpLength,
  lpMerge,
  lpNext,
  lpPrepend,
  lpPrev,
  lpReplace,
  lpSeek,
  lpStringLength,
  lpStringOffset,
} from './listpack.ts';
import { deleteInNode, deleteNode, linkNode } from './quicklist.ts';
import { compressAsDue, decompressForUse, decompressNode, recompressOnly } from './quicklist-compression.ts';
import {
  addNodeCount,
  addQuicklistCount,
  isLargeElement,
  newElementNode,
  newNode,
  newPlainNode,
  nodeAllowsInsert,
  nodeCount,
  nodeEntry,
  nodeIsPlain,
  nodeNext,
  nodePrev,
  nodeSize,
  nodesAllowMerge,
  quicklistCount,
  quicklistFill,
  quicklistHead,
  quicklistTail,
  setDontCompress,
  setNodeCount,
  setNodeListpack,
} from './quicklist-node.ts';

/** More elements than there can be: "to the end". */
const ALL = 0xffffffff;
/** Longest text of an integer. */
const INTEGER_TEXT_LIMIT = 20;

/** A place in a list. Made once and used again: `seek` or `start`, then `next` until it says false, then `end`. */
export class ListCursor {
  ql = 0;
  forward = true;
  /** The node stood on; 0: none. */
  node = 0;
  /** The element stood on (of a plain node its bytes), 0: the one of index `offset` comes next. */
  p = 0;
  /** Its index in the node; negative ones count from the end. */
  offset = 0;
  /** The element's value: its bytes, or with `at` 0 an integer. */
  at = 0;
  length = 0;
  low = 0;
  high = 0;
  number = 0;

  /** Before the first or behind the last element. */
  start(h: Heap, ql: number, forward: boolean): void {
    this.ql = ql;
    this.forward = forward;
    this.node = forward ? quicklistHead(h, ql) : quicklistTail(h, ql);
    this.offset = forward ? 0 : -1;
    this.p = 0;
  }

  /**
   * Before the element of this index (negative ones count from the end).
   * @returns false when there is none
   */
  seek(h: Heap, ql: number, index: number, forward: boolean): boolean {
    const count = quicklistCount(h, ql);
    const fromHead = index >= 0;
    const distance = fromHead ? index : -index - 1;
    this.node = 0;
    if (distance >= count) return false;
    // The search begins at the nearer end.
    const back = distance > Math.floor((count - 1) / 2);
    const searchFromHead = fromHead !== back;
    const wanted = back ? count - 1 - distance : distance;
    let node = searchFromHead ? quicklistHead(h, ql) : quicklistTail(h, ql);
    let passed = 0;
    while (passed + nodeCount(h, node) <= wanted) {
      passed += nodeCount(h, node);
      node = searchFromHead ? nodeNext(h, node) : nodePrev(h, node);
    }
    if (back) passed = count - nodeCount(h, node) - passed;
    this.ql = ql;
    this.forward = forward;
    this.node = node;
    this.offset = fromHead ? distance - passed : passed - distance - 1;
    this.p = 0;
    return true;
  }

  /** Steps onto the next element and reads it. @returns false when there is none. @throws ARENA_EXHAUSTED */
  next(h: Heap): boolean {
    while (this.node !== 0) {
      const plain = nodeIsPlain(h, this.node);
      if (this.p === 0) {
        decompressForUse(h, this.node);
        const entry = nodeEntry(h, this.node);
        this.p = plain ? entry : lpSeek(h, entry, this.offset);
      } else if (plain) {
        this.p = 0;
      } else if (this.forward) {
        this.p = lpNext(h, nodeEntry(h, this.node), this.p);
        this.offset++;
      } else {
        this.p = lpPrev(h, nodeEntry(h, this.node), this.p);
        this.offset--;
      }
      if (this.p !== 0) {
        if (plain) {
          this.at = this.p;
          this.length = nodeSize(h, this.node);
        } else {
          this.read(h);
        }
        return true;
      }
      compressAsDue(h, this.ql, this.node);
      this.node = this.forward ? nodeNext(h, this.node) : nodePrev(h, this.node);
      this.offset = this.forward ? 0 : -1;
    }
    return false;
  }

  private read(h: Heap): void {
    if (lpGet(h, this.p)) {
      this.at = lpStringOffset;
      this.length = lpStringLength;
    } else {
      this.at = 0;
      this.low = lpIntLow;
      this.high = lpIntHigh;
      this.number = lpIntNumber;
    }
  }

  /** Done: the node stood on is compressed again if it should be. */
  end(h: Heap): void {
    if (this.node !== 0) compressAsDue(h, this.ql, this.node);
    this.node = 0;
    this.p = 0;
  }

  /** The element's text as a JavaScript string. Not for hot paths. */
  text(h: Heap): string {
    if (this.at !== 0) return h.latin1(this.at, this.length);
    return ((BigInt(this.high) << 32n) | BigInt(this.low >>> 0)).toString();
  }

  /**
   * Whether the element's text is these bytes.
   * @param low,high,isInteger what parseInt64 says of the bytes: only an integer's text can equal an integer element
   */
  equals(h: Heap, offset: number, length: number, isInteger: boolean, low: number, high: number): boolean {
    if (this.at === 0) return isInteger && length <= INTEGER_TEXT_LIMIT && this.low === low && this.high === high;
    return this.length === length && h.equal(this.at, offset, length);
  }
}

/** Deletes the element that the cursor stands on; `next` goes on with the one that follows in its direction. */
export function deleteAtCursor(h: Heap, k: ListCursor): void {
  const prev = nodePrev(h, k.node);
  const next = nodeNext(h, k.node);
  const element = k.p;
  // The one that follows takes the deleted one's index, from whichever end that is counted.
  k.p = 0;
  if (!deleteInNode(h, k.ql, k.node, element)) return;
  k.node = k.forward ? next : prev;
  k.offset = k.forward ? 0 : -1;
}

/** Puts other bytes in the place of the element that the cursor stands on, which is nowhere then. @throws ARENA_EXHAUSTED, nothing lost */
export function replaceAtCursor(h: Heap, k: ListCursor, offset: number, length: number): void {
  const { ql, node } = k;
  const large = isLargeElement(length);
  if (!nodeIsPlain(h, node) && !large) {
    setNodeListpack(h, node, lpReplace(h, nodeEntry(h, node), k.p, offset, length));
    compressAsDue(h, ql, node);
  } else if (nodeIsPlain(h, node)) {
    // A plain node that takes over the old one's place.
    insertAtCursor(h, k, offset, length, true);
    deleteNode(h, ql, node);
  } else {
    setDontCompress(h, node, true);
    try {
      insertAtCursor(h, k, offset, length, true);
    } finally {
      setDontCompress(h, node, false);
    }
    if (nodeCount(h, node) === 1) {
      deleteNode(h, ql, node);
    } else {
      deleteInNode(h, ql, node, lpSeek(h, nodeEntry(h, node), -1));
      compressAsDue(h, ql, node);
      if (nodeNext(h, node) !== 0) compressAsDue(h, ql, nodeNext(h, node));
    }
  }
  k.node = 0;
  k.p = 0;
}

/** Inserts an element before or behind the one that the cursor stands on, which is nowhere then. @throws ARENA_EXHAUSTED, nothing lost */
export function insertAtCursor(h: Heap, k: ListCursor, offset: number, length: number, after: boolean): void {
  const { ql, node } = k;
  const fill = quicklistFill(h, ql);
  const count = nodeCount(h, node);
  const atEdge = after ? k.offset === count - 1 || k.offset === -1 : k.offset === 0 || k.offset === -count;
  if (isLargeElement(length)) {
    insertLarge(h, k, offset, length, after, atEdge);
    return;
  }
  const neighbour = after ? nodeNext(h, node) : nodePrev(h, node);
  if (nodeAllowsInsert(h, node, fill, length)) {
    decompressForUse(h, node);
    const lp = lpInsertString(h, nodeEntry(h, node), offset, length, k.p, after ? LP_AFTER : LP_BEFORE);
    setNodeListpack(h, node, lp);
    addNodeCount(h, node, 1);
    recompressOnly(h, node);
  } else if (atEdge && nodeAllowsInsert(h, neighbour, fill, length)) {
    decompressForUse(h, neighbour);
    const lp = nodeEntry(h, neighbour);
    setNodeListpack(h, neighbour, after ? lpPrepend(h, lp, offset, length) : lpAppend(h, lp, offset, length));
    addNodeCount(h, neighbour, 1);
    recompressOnly(h, neighbour);
    recompressOnly(h, node);
  } else if (atEdge) {
    linkNode(h, ql, node, newElementNode(h, offset, length), after);
  } else {
    decompressForUse(h, node);
    const other = splitNode(h, node, k.offset, after, offset, length);
    linkNode(h, ql, node, other, after);
    mergeAround(h, ql, node);
  }
  addQuicklistCount(h, ql, 1);
  k.node = 0;
  k.p = 0;
}

function insertLarge(h: Heap, k: ListCursor, offset: number, length: number, after: boolean, atEdge: boolean): void {
  const { ql, node } = k;
  if (nodeIsPlain(h, node) || atEdge) {
    linkNode(h, ql, node, newPlainNode(h, offset, length), after);
  } else {
    decompressForUse(h, node);
    const large = newPlainNode(h, offset, length);
    let other: number;
    try {
      other = splitNode(h, node, k.offset, after, 0, -1);
    } catch (error) {
      h.free(nodeEntry(h, large));
      h.free(large);
      throw error;
    }
    linkNode(h, ql, node, large, after);
    linkNode(h, ql, large, other, after);
  }
  addQuicklistCount(h, ql, 1);
}

/**
 * Cuts a node in two at an element of index `index`, which stays in the old node.
 * @param after true: what is behind it goes to the new node; false: what is before it
 * @param length of an element that the new node gets beside, on the side of the cut; -1: none
 * @returns the new node, not linked. @throws ARENA_EXHAUSTED, nothing changed
 */
function splitNode(h: Heap, node: number, index: number, after: boolean, offset: number, length: number): number {
  const entry = nodeEntry(h, node);
  const bytes = lpBytes(h, entry);
  const at = index < 0 ? nodeCount(h, node) + index : index;
  let part = h.alloc(bytes);
  h.copy(entry, part, bytes);
  part = after ? lpDeleteRange(h, part, 0, at + 1) : lpDeleteRange(h, part, at, ALL);
  if (length >= 0) {
    try {
      part = after ? lpPrepend(h, part, offset, length) : lpAppend(h, part, offset, length);
    } catch (error) {
      h.free(part);
      throw error;
    }
  }
  const other = newNode(h, part, lpBytes(h, part), lpLength(h, part), false);
  const rest = after ? lpDeleteRange(h, entry, at + 1, ALL) : lpDeleteRange(h, entry, 0, at);
  setNodeListpack(h, node, rest);
  setNodeCount(h, node, lpLength(h, rest));
  return other;
}

/** Joins two neighbours. @returns the node that is left; the first one when there is no memory to join them */
function mergeNodes(h: Heap, ql: number, a: number, b: number): number {
  if (!decompressNode(h, a) || !decompressNode(h, b)) return a;
  // As in the original the larger listpack keeps its node.
  const keepsFirst = lpBytes(h, nodeEntry(h, a)) >= lpBytes(h, nodeEntry(h, b));
  const keep = keepsFirst ? a : b;
  const gone = keepsFirst ? b : a;
  let merged: number;
  try {
    merged = lpMerge(h, nodeEntry(h, a), nodeEntry(h, b));
  } catch {
    return a;
  }
  setNodeListpack(h, keep, merged);
  setNodeCount(h, keep, lpLength(h, merged));
  // The other's listpack is freed already: freeing nothing does nothing.
  h.u32[(gone + 16) >>> 2] = 0;
  setNodeCount(h, gone, 0);
  deleteNode(h, ql, gone);
  compressAsDue(h, ql, keep);
  return keep;
}

/** Joins nodes around `center` that have become small enough. */
function mergeAround(h: Heap, ql: number, center: number): void {
  const fill = quicklistFill(h, ql);
  const prev = nodePrev(h, center);
  const next = nodeNext(h, center);
  const beforePrev = prev === 0 ? 0 : nodePrev(h, prev);
  const behindNext = next === 0 ? 0 : nodeNext(h, next);
  if (nodesAllowMerge(h, prev, beforePrev, fill)) mergeNodes(h, ql, beforePrev, prev);
  if (nodesAllowMerge(h, next, behindNext, fill)) mergeNodes(h, ql, next, behindNext);
  let target = center;
  if (nodesAllowMerge(h, center, nodePrev(h, center), fill)) {
    target = mergeNodes(h, ql, nodePrev(h, center), center);
  }
  const follower = nodeNext(h, target);
  if (nodesAllowMerge(h, target, follower, fill)) mergeNodes(h, ql, target, follower);
}

/** Deletes up to `count` elements from an index on (negative ones count from the end). @throws ARENA_EXHAUSTED */
export function quicklistDeleteRange(h: Heap, ql: number, start: number, count: number): void {
  if (count <= 0) return;
  const all = quicklistCount(h, ql);
  let left = Math.min(count, start >= 0 ? all - start : -start);
  const k = rangeCursor;
  if (!k.seek(h, ql, start, false)) return;
  let node = k.node;
  let index = k.offset;
  k.end(h);
  while (left > 0) {
    const next = nodeNext(h, node);
    const inNode = nodeCount(h, node);
    if (index < 0) index += inNode;
    const deleted = Math.min(left, inNode - index);
    if (deleted === inNode || nodeIsPlain(h, node)) {
      deleteNode(h, ql, node);
    } else {
      decompressForUse(h, node);
      setNodeListpack(h, node, lpDeleteRange(h, nodeEntry(h, node), index, deleted));
      addNodeCount(h, node, -deleted);
      addQuicklistCount(h, ql, -deleted);
      recompressOnly(h, node);
    }
    left -= deleted;
    node = next;
    index = 0;
  }
}

const rangeCursor = new ListCursor();
