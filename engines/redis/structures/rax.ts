/**
 * The radix tree of the original: keys of bytes in their order, a pointer for each. A tree is an arena struct of 24 bytes: head node at
 * 0, number of keys at 8, number of nodes at 16. A node is one allocation:
 *
 * | offset | field |
 * | --- | --- |
 * | 0 | bit 0: a key ends here; bit 1: its value is null and not stored; bit 2: compressed; from bit 3 on: size |
 * | 4 | `size` bytes: of a compressed node those of its one way down, else the sorted first bytes of its children |
 * | then, aligned to 8 | pointers to the children: one if compressed, else `size` |
 * | then | the value's pointer, if a key ends here and it is not null |
 *
 * A node that has lost its key keeps the room of the value, and one whose key goes is not merged with its only child when it is
 * compressed itself: both as in the original, so that the memory is the same.
 *
 * Keys are given as bytes of any array: those of streams are made from numbers, names lie in the arena.
 */
import type { Heap } from './heap.ts';
import { reallocate } from './realloc.ts';

export const RAX_BYTES = 24;
const COUNT = 8;
const NODES = 16;
const IS_KEY = 1;
const IS_NULL = 2;
const IS_COMPRESSED = 4;
const SIZE_SHIFT = 3;
const POINTER_BYTES = 8;
/** Most bytes that a compressed node holds. */
const NODE_MAX_SIZE = 2 ** 29 - 1;

export function raxNodeSize(h: Heap, n: number): number {
  return h.u32[n >>> 2] >>> SIZE_SHIFT;
}

export function raxNodeIsKey(h: Heap, n: number): boolean {
  return (h.u32[n >>> 2] & IS_KEY) !== 0;
}

export function raxNodeIsCompressed(h: Heap, n: number): boolean {
  return (h.u32[n >>> 2] & IS_COMPRESSED) !== 0;
}

/** Offset of the first child's pointer of a node at `n` with `size` bytes. */
function childrenOf(n: number, size: number): number {
  return n + ((size + 11) & ~7);
}

/** Number of children. */
export function raxNodeChildren(h: Heap, n: number): number {
  const head = h.u32[n >>> 2];
  return (head & IS_COMPRESSED) !== 0 ? 1 : head >>> SIZE_SHIFT;
}

/** Where the pointer to a child lies. */
function childSlot(h: Heap, n: number, index: number): number {
  return childrenOf(n, h.u32[n >>> 2] >>> SIZE_SHIFT) + index * POINTER_BYTES;
}

export function raxNodeChild(h: Heap, n: number, index: number): number {
  return h.u32[childSlot(h, n, index) >>> 2];
}

function setPointer(h: Heap, at: number, pointer: number): void {
  h.u32[at >>> 2] = pointer;
  h.u32[(at >>> 2) + 1] = 0;
}

/** Where the value's pointer lies (or would lie). */
function valueSlot(h: Heap, n: number): number {
  const head = h.u32[n >>> 2];
  const size = head >>> SIZE_SHIFT;
  return childrenOf(n, size) + ((head & IS_COMPRESSED) !== 0 ? 1 : size) * POINTER_BYTES;
}

/** The pointer stored with the key that ends at this node; 0 where there is none. */
export function raxNodeValue(h: Heap, n: number): number {
  return (h.u32[n >>> 2] & (IS_KEY | IS_NULL)) === IS_KEY ? h.u32[valueSlot(h, n) >>> 2] : 0;
}

/** Puts another pointer in the place of a key's value that is not null: for who moves what it points to. */
export function raxNodeReplaceValue(h: Heap, n: number, value: number): void {
  setPointer(h, valueSlot(h, n), value);
}

/** Bytes that a node uses. */
function nodeBytes(h: Heap, n: number): number {
  return valueSlot(h, n) - n + ((h.u32[n >>> 2] & (IS_KEY | IS_NULL)) === IS_KEY ? POINTER_BYTES : 0);
}

function bytesFor(size: number, children: number, value: boolean): number {
  return childrenOf(0, size) + children * POINTER_BYTES + (value ? POINTER_BYTES : 0);
}

function setHead(h: Heap, n: number, flags: number, size: number): void {
  h.u32[n >>> 2] = (size << SIZE_SHIFT) | flags;
}

/** Lets a key with this value end at the node, which has the room for it. */
function setValue(h: Heap, n: number, value: number): void {
  const head = h.u32[n >>> 2] | IS_KEY;
  if (value === 0) {
    h.u32[n >>> 2] = head | IS_NULL;
    return;
  }
  h.u32[n >>> 2] = head & ~IS_NULL;
  setPointer(h, valueSlot(h, n), value);
}

function newLeaf(h: Heap): number {
  const n = h.alloc(bytesFor(0, 0, false));
  setHead(h, n, 0, 0);
  return n;
}

/** An empty tree. @throws ARENA_EXHAUSTED */
export function raxNew(h: Heap): number {
  const rax = h.calloc(RAX_BYTES);
  const head = h.allocator.alloc(bytesFor(0, 0, false));
  if (head === 0) {
    h.free(rax);
    return h.alloc(RAX_BYTES + h.memory.byteLength);
  }
  setHead(h, head, 0, 0);
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
    link = childrenOf(n, size) + child * POINTER_BYTES;
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
    const bytes = nodeBytes(h, n);
    n = reallocate(h, n, bytes, bytes + POINTER_BYTES);
    setPointer(h, link, n);
  }
  if (wasKey) {
    raxOld = raxNodeValue(h, n);
    if (overwrite) setValue(h, n, value);
    return false;
  }
  setValue(h, n, value);
  h.u32[(rax + COUNT) >>> 2]++;
  return true;
}

/** A key ends inside a compressed node: it becomes two. */
function cutForKey(h: Heap, rax: number, n: number, link: number, at: number, value: number): void {
  const head = h.u32[n >>> 2];
  const size = head >>> SIZE_SHIFT;
  const hasValue = (head & (IS_KEY | IS_NULL)) === IS_KEY;
  const postfixSize = size - at;
  const postfix = h.alloc(bytesFor(postfixSize, 1, value !== 0));
  const trimmed = h.allocator.alloc(bytesFor(at, 1, hasValue));
  if (trimmed === 0) {
    h.free(postfix);
    h.alloc(h.memory.byteLength);
  }
  setHead(h, postfix, postfixSize > 1 ? IS_COMPRESSED : 0, postfixSize);
  h.copy(n + 4 + at, postfix + 4, postfixSize);
  setPointer(h, childSlot(h, postfix, 0), raxNodeChild(h, n, 0));
  setValue(h, postfix, value);
  setHead(h, trimmed, (at > 1 ? IS_COMPRESSED : 0) | (head & (IS_KEY | IS_NULL)), at);
  h.copy(n + 4, trimmed + 4, at);
  setPointer(h, childSlot(h, trimmed, 0), postfix);
  if (hasValue) setPointer(h, valueSlot(h, trimmed), raxNodeValue(h, n));
  setPointer(h, link, trimmed);
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
  const split = h.alloc(bytesFor(1, 1, at === 0 && hasValue));
  let trimmed = 0;
  let postfix = 0;
  try {
    if (at > 0) trimmed = h.alloc(bytesFor(at, 1, hasValue));
    if (postfixSize > 0) postfix = h.alloc(bytesFor(postfixSize, 1, false));
  } catch (error) {
    h.free(split);
    h.free(trimmed);
    throw error;
  }
  setHead(h, split, 0, 1);
  h.u8[split + 4] = h.u8[n + 4 + at];
  splitLink = link;
  if (at === 0) {
    if ((head & IS_KEY) !== 0) setValue(h, split, raxNodeValue(h, n));
    setPointer(h, link, split);
  } else {
    setHead(h, trimmed, (at > 1 ? IS_COMPRESSED : 0) | keyBits, at);
    h.copy(n + 4, trimmed + 4, at);
    splitLink = childSlot(h, trimmed, 0);
    setPointer(h, splitLink, split);
    if (hasValue) setPointer(h, valueSlot(h, trimmed), raxNodeValue(h, n));
    setPointer(h, link, trimmed);
    h.u32[(rax + NODES) >>> 2]++;
  }
  if (postfixSize > 0) {
    setHead(h, postfix, postfixSize > 1 ? IS_COMPRESSED : 0, postfixSize);
    h.copy(n + 5 + at, postfix + 4, postfixSize);
    setPointer(h, childSlot(h, postfix, 0), next);
    h.u32[(rax + NODES) >>> 2]++;
  }
  setPointer(h, childSlot(h, split, 0), postfixSize > 0 ? postfix : next);
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
        slot = childSlot(h, n, 0);
        i += bytes;
      } else {
        n = addChild(h, n, key[offset + i]);
        slot = addedSlot;
        i++;
      }
      setPointer(h, link, n);
      h.u32[(rax + NODES) >>> 2]++;
      link = slot;
      n = h.u32[slot >>> 2];
    }
    if (value !== 0) {
      const bytes = nodeBytes(h, n);
      n = reallocate(h, n, bytes, bytes + POINTER_BYTES);
      setPointer(h, link, n);
    }
  } catch (error) {
    if (raxNodeSize(h, n) === 0 && i > used) {
      // What has been added so far leads nowhere: removed like a key.
      setValue(h, n, 0);
      h.u32[(rax + COUNT) >>> 2]++;
      raxRemove(h, rax, key, offset, i);
    }
    throw error;
  }
  setValue(h, n, value);
  h.u32[(rax + COUNT) >>> 2]++;
}

/** Turns a leaf into a compressed node above a new leaf. @returns its new offset */
function compressLeaf(h: Heap, leaf: number, key: Uint8Array, offset: number, size: number): number {
  const keyBits = h.u32[leaf >>> 2] & (IS_KEY | IS_NULL);
  const value = raxNodeValue(h, leaf);
  const child = newLeaf(h);
  let n: number;
  try {
    n = reallocate(h, leaf, 4, bytesFor(size, 1, value !== 0));
  } catch (error) {
    h.free(child);
    throw error;
  }
  setHead(h, n, keyBits | IS_COMPRESSED, size);
  const u8 = h.u8;
  for (let i = 0; i < size; i++) u8[n + 4 + i] = key[offset + i];
  setPointer(h, childSlot(h, n, 0), child);
  if (value !== 0) setPointer(h, valueSlot(h, n), value);
  return n;
}

/** Where the pointer to the child lies that addChild added. */
let addedSlot = 0;

/** Adds a new leaf below a node that is not compressed. @returns the node's new offset */
function addChild(h: Heap, node: number, byte: number): number {
  const child = newLeaf(h);
  const oldBytes = nodeBytes(h, node);
  const head = h.u32[node >>> 2];
  const size = head >>> SIZE_SHIFT;
  const value = raxNodeValue(h, node);
  let n: number;
  try {
    n = reallocate(h, node, oldBytes, bytesFor(size + 1, size + 1, value !== 0));
  } catch (error) {
    h.free(child);
    throw error;
  }
  const u8 = h.u8;
  let at = 0;
  while (at < size && u8[n + 4 + at] < byte) at++;
  const oldChildren = childrenOf(n, size);
  const newChildren = childrenOf(n, size + 1);
  setHead(h, n, head & (IS_KEY | IS_NULL), size + 1);
  if (value !== 0) setPointer(h, valueSlot(h, n), value);
  // From the back, as the pointers may move over each other.
  const behind = (size - at) * POINTER_BYTES;
  h.move(oldChildren + at * POINTER_BYTES, newChildren + (at + 1) * POINTER_BYTES, behind);
  if (oldChildren !== newChildren) h.move(oldChildren, newChildren, at * POINTER_BYTES);
  h.move(n + 4 + at, n + 5 + at, size - at);
  u8[n + 4 + at] = byte;
  addedSlot = newChildren + at * POINTER_BYTES;
  setPointer(h, addedSlot, child);
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
        setPointer(h, link, kept);
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
  let slot = childSlot(h, parent, 0);
  while (h.u32[slot >>> 2] !== child) slot += POINTER_BYTES;
  return slot;
}

/** Takes a child, which has been freed, out of its parent. @returns the parent's new offset */
function removeChild(h: Heap, parent: number, child: number): number {
  const head = h.u32[parent >>> 2];
  const size = head >>> SIZE_SHIFT;
  const value = raxNodeValue(h, parent);
  if ((head & IS_COMPRESSED) !== 0) {
    setHead(h, parent, head & (IS_KEY | IS_NULL), 0);
    if (value !== 0) setPointer(h, valueSlot(h, parent), value);
    return parent;
  }
  const slot = linkTo(h, parent, child);
  const oldChildren = childrenOf(parent, size);
  const newChildren = childrenOf(parent, size - 1);
  const index = (slot - oldChildren) / POINTER_BYTES;
  h.move(parent + 5 + index, parent + 4 + index, size - index - 1);
  if (oldChildren !== newChildren) h.move(oldChildren, newChildren, index * POINTER_BYTES);
  h.move(slot + POINTER_BYTES, newChildren + index * POINTER_BYTES, (size - index - 1) * POINTER_BYTES);
  setHead(h, parent, head & (IS_KEY | IS_NULL), size - 1);
  if (value !== 0) setPointer(h, valueSlot(h, parent), value);
  const bytes = nodeBytes(h, parent);
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
  const merged = h.allocator.alloc(bytesFor(bytes, 1, false));
  // Without memory the chain stays a chain.
  if (merged === 0) return;
  setHead(h, merged, IS_COMPRESSED, bytes);
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
  setPointer(h, childSlot(h, merged, 0), at);
  setPointer(h, parent === 0 ? rax : linkTo(h, parent, start), merged);
  h.u32[(rax + NODES) >>> 2] -= nodes - 1;
}

/** Frees the tree; `freeValue` is called with every value first. */
export function raxFree(h: Heap, rax: number, freeValue: ((h: Heap, value: number) => void) | null = null): void {
  const pending = [h.u32[rax >>> 2]];
  for (let n = pending.pop(); n !== undefined; n = pending.pop()) {
    const children = raxNodeSize(h, n) === 0 ? 0 : raxNodeChildren(h, n);
    for (let i = 0; i < children; i++) pending.push(raxNodeChild(h, n, i));
    if (freeValue !== null && raxNodeIsKey(h, n)) freeValue(h, raxNodeValue(h, n));
    h.free(n);
  }
  h.free(rax);
}

/**
 * One step of raxFree for a tree that is freed bit by bit and used for nothing else: frees one node, and its value.
 * @param pending the nodes that are still to be freed; at first the head alone
 */
export function raxFreeStep(h: Heap, pending: number[], freeValue: (h: Heap, value: number) => void): void {
  const n = pending.pop()!;
  const children = raxNodeSize(h, n) === 0 ? 0 : raxNodeChildren(h, n);
  for (let i = 0; i < children; i++) pending.push(raxNodeChild(h, n, i));
  const value = raxNodeValue(h, n);
  if (value !== 0) freeValue(h, value);
  h.free(n);
}

/**
 * Lets `move` put nodes elsewhere, and mends every pointer to them.
 * @param move takes an offset and returns the new one, or 0 when it stays
 * @param visit called with the offset of the pointer of each value that is not null
 */
export function raxRelocate(h: Heap, rax: number, move: (n: number) => number, visit: (slot: number) => void): void {
  const moved = (slot: number): number => {
    const fresh = move(h.u32[slot >>> 2]);
    if (fresh !== 0) h.u32[slot >>> 2] = fresh;
    return h.u32[slot >>> 2];
  };
  const pending = [moved(rax)];
  for (let n = pending.pop(); n !== undefined; n = pending.pop()) {
    const children = raxNodeSize(h, n) === 0 ? 0 : raxNodeChildren(h, n);
    for (let i = 0; i < children; i++) pending.push(moved(childSlot(h, n, i)));
    if (raxNodeValue(h, n) !== 0) visit(valueSlot(h, n));
  }
}

/** Checks all of a tree's invariants. @throws Error naming what is broken */
export function raxVerify(h: Heap, rax: number): void {
  let keys = 0;
  let nodes = 0;
  const head = h.u32[rax >>> 2];
  const pending = [head];
  for (let n = pending.pop(); n !== undefined; n = pending.pop()) {
    nodes++;
    const broken = (what: string) => new Error(`Broken radix tree at ${rax}: the node at ${n} ${what}`);
    const size = raxNodeSize(h, n);
    if (nodeBytes(h, n) > h.usable(n)) throw broken('exceeds its allocation');
    if (raxNodeIsKey(h, n)) keys++;
    else if (size === 0 && n !== head) throw broken('leads nowhere');
    if (raxNodeIsCompressed(h, n) && size < 2) throw broken('is compressed and holds one byte');
    for (let i = 1; i < size && !raxNodeIsCompressed(h, n); i++) {
      if (h.u8[n + 3 + i] >= h.u8[n + 4 + i]) throw broken('has its children out of order');
    }
    for (let i = size === 0 ? 0 : raxNodeChildren(h, n); i > 0; i--) pending.push(raxNodeChild(h, n, i - 1));
  }
  if (keys !== raxSize(h, rax) || nodes !== raxNodeCount(h, rax)) {
    throw new Error(
      `Broken radix tree at ${rax}: ${keys} keys and ${nodes} nodes, it says ${raxSize(h, rax)} and ${raxNodeCount(h, rax)}`,
    );
  }
}
