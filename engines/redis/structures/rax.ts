/**
 * The radix tree of the original: keys of bytes in their order, a pointer for each. A tree is an arena struct of 24 bytes: head node at
 * 0, number of keys at 8, number of nodes at 16. The nodes: rax-node.ts.
 *
 * A node that has lost its key keeps the room of the value, and one whose key goes is not merged with its only child when it is
 * compressed itself: both as in the original, so that the memory is the same.
 *
 * Keys are given as bytes of any array: those of streams are made from numbers, names lie in the arena.
 */
import type { Heap } from './heap.ts';
import {
  IS_COMPRESSED,
  IS_KEY,
  IS_NULL,
  POINTER_BYTES,
  raxBytesFor,
  raxChildrenAt,
  raxChildSlot,
  raxNewLeaf,
  raxNodeBytes,
  raxNodeChild,
  raxNodeChildren,
  raxNodeIsKey,
  raxNodeSize,
  raxNodeValue,
  raxSetHead,
  raxSetPointer,
  raxSetValue,
  raxValueSlot,
  SIZE_SHIFT,
} from './rax-node.ts';
import { reallocate } from './realloc.ts';

export const RAX_BYTES = 24;
const COUNT = 8;
const NODES = 16;
/** Most bytes that a compressed node holds. */
const NODE_MAX_SIZE = 2 ** 29 - 1;

/** An empty tree. @throws ARENA_EXHAUSTED */
export function raxNew(h: Heap): number {
  const rax = h.calloc(RAX_BYTES);
  const head = h.allocator.alloc(raxBytesFor(0, 0, false));
  if (head === 0) {
    h.free(rax);
    return h.alloc(RAX_BYTES + h.memory.byteLength);
  }
  raxSetHead(h, head, 0, 0);
  h.u32[rax >>> 2] = head;
  h.u32[(rax + NODES) >>> 2] = 1;
  return rax;
}

export function raxHead(h: Heap, rax: number): number {
  return h.u32[rax >>> 2];
}

/** Number of keys. */
export function raxSize(h: Heap, rax: number): number {
  return h.u32[(rax + COUNT) >>> 2];
}

export function raxNodeCount(h: Heap, rax: number): number {
  return h.u32[(rax + NODES) >>> 2];
}

/** How far walk came: bytes of the key used up, the node, where the pointer to it lies, and the position inside it if compressed. */
let walked = 0;
let walkNode = 0;
let walkLink = 0;
let walkSplit = 0;
/** The nodes above walkNode, filled when asked for. */
const walkParents: number[] = [];

/** Follows a key down as far as the tree goes. */
function walk(h: Heap, rax: number, key: Uint8Array, offset: number, length: number, parents: boolean): void {
  const u32 = h.u32;
  const u8 = h.u8;
  let link = rax;
  let n = u32[rax >>> 2];
  let i = 0;
  let j = 0;
  if (parents) walkParents.length = 0;
  for (;;) {
    const head = u32[n >>> 2];
    const size = head >>> SIZE_SHIFT;
    if (size === 0 || i === length) break;
    const data = n + 4;
    let child: number;
    if ((head & IS_COMPRESSED) !== 0) {
      for (j = 0; j < size && i < length && u8[data + j] === key[offset + i]; j++) i++;
      if (j !== size) break;
      child = 0;
    } else {
      const byte = key[offset + i];
      for (j = 0; j < size && u8[data + j] !== byte; j++);
      if (j === size) break;
      child = j;
      i++;
    }
    if (parents) walkParents.push(n);
    link = raxChildrenAt(n, size) + child * POINTER_BYTES;
    n = u32[link >>> 2];
    j = 0;
  }
  walked = i;
  walkNode = n;
  walkLink = link;
  // Inside a node that is not compressed there is no position to split at.
  walkSplit = (u32[n >>> 2] & IS_COMPRESSED) !== 0 ? j : 0;
}

/** The node where this key ends. @returns 0 when it is not there */
function findNode(h: Heap, rax: number, key: Uint8Array, offset: number, length: number, parents: boolean): number {
  walk(h, rax, key, offset, length, parents);
  return walked === length && walkSplit === 0 && (h.u32[walkNode >>> 2] & IS_KEY) !== 0 ? walkNode : 0;
}

/** Whether the key is there. Its value is in `raxFound` then. */
export function raxHas(h: Heap, rax: number, key: Uint8Array, offset: number, length: number): boolean {
  const n = findNode(h, rax, key, offset, length, false);
  if (n === 0) return false;
  raxFound = raxNodeValue(h, n);
  return true;
}
export let raxFound = 0;

/** The value of a key. @returns 0 when it is not there (or has the null value) */
export function raxFind(h: Heap, rax: number, key: Uint8Array, offset: number, length: number): number {
  const n = findNode(h, rax, key, offset, length, false);
  return n === 0 ? 0 : raxNodeValue(h, n);
}

/** The value that the key had before the last insertion or removal. */
export let raxOld = 0;

/**
 * Adds a key or gives it another value; what it had before is in raxOld.
 * @param overwrite false: a key that is there keeps its value
 * @returns whether the key is new
 * @throws ARENA_EXHAUSTED, no key added or changed
 */
export function raxInsert(
  h: Heap,
  rax: number,
  key: Uint8Array,
  offset: number,
  length: number,
  value: number,
  overwrite = true,
): boolean {
  raxOld = 0;
  walk(h, rax, key, offset, length, false);
  const n = walkNode;
  const compressed = (h.u32[n >>> 2] & IS_COMPRESSED) !== 0;
  if (walked === length && (!compressed || walkSplit === 0)) return setKeyAt(h, rax, n, walkLink, value, overwrite);
  if (compressed && walked === length) {
    cutForKey(h, rax, n, walkLink, walkSplit, value);
    return true;
  }
  let link = walkLink;
  let from = n;
  if (compressed) {
    splitAtMismatch(h, rax, n, walkLink, walkSplit);
    from = splitNode;
    link = splitLink;
  }
  extend(h, rax, from, link, key, offset, walked, length, value);
  return true;
}

function setKeyAt(h: Heap, rax: number, at: number, link: number, value: number, overwrite: boolean): boolean {
  let n = at;
  const head = h.u32[n >>> 2];
  const wasKey = (head & IS_KEY) !== 0;
  if (value !== 0 && (!wasKey || ((head & IS_NULL) !== 0 && overwrite))) {
    const bytes = raxNodeBytes(h, n);
    n = reallocate(h, n, bytes, bytes + POINTER_BYTES);
    raxSetPointer(h, link, n);
  }
  if (wasKey) {
    raxOld = raxNodeValue(h, n);
    if (overwrite) raxSetValue(h, n, value);
    return false;
  }
  raxSetValue(h, n, value);
  h.u32[(rax + COUNT) >>> 2]++;
  return true;
}

/** A key ends inside a compressed node: it becomes two. */
function cutForKey(h: Heap, rax: number, n: number, link: number, at: number, value: number): void {
  const head = h.u32[n >>> 2];
  const size = head >>> SIZE_SHIFT;
  const hasValue = (head & (IS_KEY | IS_NULL)) === IS_KEY;
  const postfixSize = size - at;
  const postfix = h.alloc(raxBytesFor(postfixSize, 1, value !== 0));
  const trimmed = h.allocator.alloc(raxBytesFor(at, 1, hasValue));
  if (trimmed === 0) {
    h.free(postfix);
    h.alloc(h.memory.byteLength);
  }
  raxSetHead(h, postfix, postfixSize > 1 ? IS_COMPRESSED : 0, postfixSize);
  h.copy(n + 4 + at, postfix + 4, postfixSize);
  raxSetPointer(h, raxChildSlot(h, postfix, 0), raxNodeChild(h, n, 0));
  raxSetValue(h, postfix, value);
  raxSetHead(h, trimmed, (at > 1 ? IS_COMPRESSED : 0) | (head & (IS_KEY | IS_NULL)), at);
  h.copy(n + 4, trimmed + 4, at);
  raxSetPointer(h, raxChildSlot(h, trimmed, 0), postfix);
  if (hasValue) raxSetPointer(h, raxValueSlot(h, trimmed), raxNodeValue(h, n));
  raxSetPointer(h, link, trimmed);
  h.free(n);
  h.u32[(rax + NODES) >>> 2]++;
  h.u32[(rax + COUNT) >>> 2]++;
}

/** The node that splitAtMismatch made to branch at, and where the pointer to it lies. */
let splitNode = 0;
let splitLink = 0;

/** A key leaves a compressed node at its byte `at`: the node becomes up to three, of which the middle one branches. */
function splitAtMismatch(h: Heap, rax: number, n: number, link: number, at: number): void {
  const head = h.u32[n >>> 2];
  const size = head >>> SIZE_SHIFT;
  const keyBits = head & (IS_KEY | IS_NULL);
  const hasValue = keyBits === IS_KEY;
  const postfixSize = size - at - 1;
  const next = raxNodeChild(h, n, 0);
  const split = h.alloc(raxBytesFor(1, 1, at === 0 && hasValue));
  let trimmed = 0;
  let postfix = 0;
  try {
    if (at > 0) trimmed = h.alloc(raxBytesFor(at, 1, hasValue));
    if (postfixSize > 0) postfix = h.alloc(raxBytesFor(postfixSize, 1, false));
  } catch (error) {
    h.free(split);
    h.free(trimmed);
    throw error;
  }
  raxSetHead(h, split, 0, 1);
  h.u8[split + 4] = h.u8[n + 4 + at];
  splitLink = link;
  if (at === 0) {
    if ((head & IS_KEY) !== 0) raxSetValue(h, split, raxNodeValue(h, n));
    raxSetPointer(h, link, split);
  } else {
    raxSetHead(h, trimmed, (at > 1 ? IS_COMPRESSED : 0) | keyBits, at);
    h.copy(n + 4, trimmed + 4, at);
    splitLink = raxChildSlot(h, trimmed, 0);
    raxSetPointer(h, splitLink, split);
    if (hasValue) raxSetPointer(h, raxValueSlot(h, trimmed), raxNodeValue(h, n));
    raxSetPointer(h, link, trimmed);
    h.u32[(rax + NODES) >>> 2]++;
  }
  if (postfixSize > 0) {
    raxSetHead(h, postfix, postfixSize > 1 ? IS_COMPRESSED : 0, postfixSize);
    h.copy(n + 5 + at, postfix + 4, postfixSize);
    raxSetPointer(h, raxChildSlot(h, postfix, 0), next);
    h.u32[(rax + NODES) >>> 2]++;
  }
  raxSetPointer(h, raxChildSlot(h, split, 0), postfixSize > 0 ? postfix : next);
  h.free(n);
  splitNode = split;
}

/** Adds what is left of a key below a node that has no way for its next byte. */
function extend(
  h: Heap,
  rax: number,
  from: number,
  fromLink: number,
  key: Uint8Array,
  offset: number,
  used: number,
  length: number,
  value: number,
): void {
  let n = from;
  let link = fromLink;
  let i = used;
  try {
    while (i < length) {
      const left = length - i;
      let slot: number;
      if (left > 1 && raxNodeSize(h, n) === 0) {
        const bytes = left < NODE_MAX_SIZE ? left : NODE_MAX_SIZE;
        n = compressLeaf(h, n, key, offset + i, bytes);
        slot = raxChildSlot(h, n, 0);
        i += bytes;
      } else {
        n = addChild(h, n, key[offset + i]);
        slot = addedSlot;
        i++;
      }
      raxSetPointer(h, link, n);
      h.u32[(rax + NODES) >>> 2]++;
      link = slot;
      n = h.u32[slot >>> 2];
    }
    if (value !== 0) {
      const bytes = raxNodeBytes(h, n);
      n = reallocate(h, n, bytes, bytes + POINTER_BYTES);
      raxSetPointer(h, link, n);
    }
  } catch (error) {
    if (raxNodeSize(h, n) === 0 && i > used) {
      // What has been added so far leads nowhere: removed like a key.
      raxSetValue(h, n, 0);
      h.u32[(rax + COUNT) >>> 2]++;
      raxRemove(h, rax, key, offset, i);
    }
    throw error;
  }
  raxSetValue(h, n, value);
  h.u32[(rax + COUNT) >>> 2]++;
}

/** Turns a leaf into a compressed node above a new leaf. @returns its new offset */
function compressLeaf(h: Heap, leaf: number, key: Uint8Array, offset: number, size: number): number {
  const keyBits = h.u32[leaf >>> 2] & (IS_KEY | IS_NULL);
  const value = raxNodeValue(h, leaf);
  const child = raxNewLeaf(h);
  let n: number;
  try {
    n = reallocate(h, leaf, 4, raxBytesFor(size, 1, value !== 0));
  } catch (error) {
    h.free(child);
    throw error;
  }
  raxSetHead(h, n, keyBits | IS_COMPRESSED, size);
  const u8 = h.u8;
  for (let i = 0; i < size; i++) u8[n + 4 + i] = key[offset + i];
  raxSetPointer(h, raxChildSlot(h, n, 0), child);
  if (value !== 0) raxSetPointer(h, raxValueSlot(h, n), value);
  return n;
}

/** Where the pointer to the child lies that addChild added. */
let addedSlot = 0;

/** Adds a new leaf below a node that is not compressed. @returns the node's new offset */
function addChild(h: Heap, node: number, byte: number): number {
  const child = raxNewLeaf(h);
  const oldBytes = raxNodeBytes(h, node);
  const head = h.u32[node >>> 2];
  const size = head >>> SIZE_SHIFT;
  const value = raxNodeValue(h, node);
  let n: number;
  try {
    n = reallocate(h, node, oldBytes, raxBytesFor(size + 1, size + 1, value !== 0));
  } catch (error) {
    h.free(child);
    throw error;
  }
  const u8 = h.u8;
  let at = 0;
  while (at < size && u8[n + 4 + at] < byte) at++;
  const oldChildren = raxChildrenAt(n, size);
  const newChildren = raxChildrenAt(n, size + 1);
  raxSetHead(h, n, head & (IS_KEY | IS_NULL), size + 1);
  if (value !== 0) raxSetPointer(h, raxValueSlot(h, n), value);
  // From the back, as the pointers may move over each other.
  const behind = (size - at) * POINTER_BYTES;
  h.move(oldChildren + at * POINTER_BYTES, newChildren + (at + 1) * POINTER_BYTES, behind);
  if (oldChildren !== newChildren) h.move(oldChildren, newChildren, at * POINTER_BYTES);
  h.move(n + 4 + at, n + 5 + at, size - at);
  u8[n + 4 + at] = byte;
  addedSlot = newChildren + at * POINTER_BYTES;
  raxSetPointer(h, addedSlot, child);
  return n;
}

/** Removes a key; its value is in raxOld. @returns whether it was there */
export function raxRemove(h: Heap, rax: number, key: Uint8Array, offset: number, length: number): boolean {
  raxOld = 0;
  let n = findNode(h, rax, key, offset, length, true);
  if (n === 0) return false;
  raxOld = raxNodeValue(h, n);
  h.u32[n >>> 2] &= ~IS_KEY;
  h.u32[(rax + COUNT) >>> 2]--;
  const parents = walkParents;
  let compress = false;
  if (raxNodeSize(h, n) === 0) {
    let child = 0;
    while (n !== h.u32[rax >>> 2]) {
      child = n;
      h.free(child);
      h.u32[(rax + NODES) >>> 2]--;
      n = parents.pop()!;
      if (raxNodeIsKey(h, n) || raxNodeChildren(h, n) !== 1) break;
    }
    if (child !== 0) {
      const kept = removeChild(h, n, child);
      if (kept !== n) {
        const link = parents.length === 0 ? rax : linkTo(h, parents[parents.length - 1], n);
        raxSetPointer(h, link, kept);
      }
      if (raxNodeSize(h, kept) === 1 && !raxNodeIsKey(h, kept)) compress = true;
      n = kept;
    }
  } else if (raxNodeSize(h, n) === 1) {
    compress = true;
  }
  if (compress) mergeChain(h, rax, n, parents);
  return true;
}

/** Where a node's pointer to one of its children lies. */
function linkTo(h: Heap, parent: number, child: number): number {
  let slot = raxChildSlot(h, parent, 0);
  while (h.u32[slot >>> 2] !== child) slot += POINTER_BYTES;
  return slot;
}

/** Takes a child, which has been freed, out of its parent. @returns the parent's new offset */
function removeChild(h: Heap, parent: number, child: number): number {
  const head = h.u32[parent >>> 2];
  const size = head >>> SIZE_SHIFT;
  const value = raxNodeValue(h, parent);
  if ((head & IS_COMPRESSED) !== 0) {
    raxSetHead(h, parent, head & (IS_KEY | IS_NULL), 0);
    if (value !== 0) raxSetPointer(h, raxValueSlot(h, parent), value);
    return parent;
  }
  const slot = linkTo(h, parent, child);
  const oldChildren = raxChildrenAt(parent, size);
  const newChildren = raxChildrenAt(parent, size - 1);
  const index = (slot - oldChildren) / POINTER_BYTES;
  h.move(parent + 5 + index, parent + 4 + index, size - index - 1);
  if (oldChildren !== newChildren) h.move(oldChildren, newChildren, index * POINTER_BYTES);
  h.move(slot + POINTER_BYTES, newChildren + index * POINTER_BYTES, (size - index - 1) * POINTER_BYTES);
  raxSetHead(h, parent, head & (IS_KEY | IS_NULL), size - 1);
  if (value !== 0) raxSetPointer(h, raxValueSlot(h, parent), value);
  const bytes = raxNodeBytes(h, parent);
  return reallocate(h, parent, bytes, bytes);
}

/** Whether a node is part of a chain that could be one compressed node. */
function isLink(h: Heap, n: number): boolean {
  return (h.u32[n >>> 2] & IS_KEY) === 0 && raxNodeChildren(h, n) === 1;
}

/** Makes the chain of nodes with one child each around `n` one compressed node. */
function mergeChain(h: Heap, rax: number, n: number, parents: number[]): void {
  let start = n;
  let parent = 0;
  for (;;) {
    parent = parents.pop() ?? 0;
    if (parent === 0 || !isLink(h, parent)) break;
    start = parent;
  }
  let bytes = raxNodeSize(h, start);
  let nodes = 1;
  for (let at = start; raxNodeSize(h, at) !== 0; nodes++) {
    at = raxNodeChild(h, at, 0);
    if (!isLink(h, at) || bytes + raxNodeSize(h, at) > NODE_MAX_SIZE) break;
    bytes += raxNodeSize(h, at);
  }
  if (nodes === 1) return;
  const merged = h.allocator.alloc(raxBytesFor(bytes, 1, false));
  // Without memory the chain stays a chain.
  if (merged === 0) return;
  raxSetHead(h, merged, IS_COMPRESSED, bytes);
  let to = merged + 4;
  let at = start;
  for (let left = nodes; left > 0; left--) {
    const size = raxNodeSize(h, at);
    h.copy(at + 4, to, size);
    to += size;
    const next = raxNodeChild(h, at, 0);
    h.free(at);
    at = next;
  }
  raxSetPointer(h, raxChildSlot(h, merged, 0), at);
  raxSetPointer(h, parent === 0 ? rax : linkTo(h, parent, start), merged);
  h.u32[(rax + NODES) >>> 2] -= nodes - 1;
}
