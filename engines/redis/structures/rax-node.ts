/**
 * The nodes of a radix tree. A node is one allocation:
 *
 * | offset | field |
 * | --- | --- |
 * | 0 | bit 0: a key ends here; bit 1: its value is null and not stored; bit 2: compressed; from bit 3 on: size |
 * | 4 | `size` bytes: of a compressed node those of its one way down, else the sorted first bytes of its children |
 * | then, aligned to 8 | pointers to the children: one if compressed, else `size` |
 * | then | the value's pointer, if a key ends here and it is not null |
 */
import type { Heap } from './heap.ts';

// Bits and widths of a node's fields.
export const IS_KEY = 1;
export const IS_NULL = 2;
export const IS_COMPRESSED = 4;
export const SIZE_SHIFT = 3;
export const POINTER_BYTES = 8;

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
export function raxChildrenAt(n: number, size: number): number {
  return n + ((size + 11) & ~7);
}

/** Number of children. */
export function raxNodeChildren(h: Heap, n: number): number {
  const head = h.u32[n >>> 2];
  return (head & IS_COMPRESSED) !== 0 ? 1 : head >>> SIZE_SHIFT;
}

/** Where the pointer to a child lies. */
export function raxChildSlot(h: Heap, n: number, index: number): number {
  return raxChildrenAt(n, h.u32[n >>> 2] >>> SIZE_SHIFT) + index * POINTER_BYTES;
}

export function raxNodeChild(h: Heap, n: number, index: number): number {
  return h.u32[raxChildSlot(h, n, index) >>> 2];
}

export function raxSetPointer(h: Heap, at: number, pointer: number): void {
  h.u32[at >>> 2] = pointer;
  h.u32[(at >>> 2) + 1] = 0;
}

/** Where the value's pointer lies (or would lie). */
export function raxValueSlot(h: Heap, n: number): number {
  const head = h.u32[n >>> 2];
  const size = head >>> SIZE_SHIFT;
  return raxChildrenAt(n, size) + ((head & IS_COMPRESSED) !== 0 ? 1 : size) * POINTER_BYTES;
}

/** The pointer stored with the key that ends at this node; 0 where there is none. */
export function raxNodeValue(h: Heap, n: number): number {
  return (h.u32[n >>> 2] & (IS_KEY | IS_NULL)) === IS_KEY ? h.u32[raxValueSlot(h, n) >>> 2] : 0;
}

/** Puts another pointer in the place of a key's value that is not null: for who moves what it points to. */
export function raxNodeReplaceValue(h: Heap, n: number, value: number): void {
  raxSetPointer(h, raxValueSlot(h, n), value);
}

/** Bytes that a node uses. */
export function raxNodeBytes(h: Heap, n: number): number {
  return raxValueSlot(h, n) - n + ((h.u32[n >>> 2] & (IS_KEY | IS_NULL)) === IS_KEY ? POINTER_BYTES : 0);
}

export function raxBytesFor(size: number, children: number, value: boolean): number {
  return raxChildrenAt(0, size) + children * POINTER_BYTES + (value ? POINTER_BYTES : 0);
}

export function raxSetHead(h: Heap, n: number, flags: number, size: number): void {
  h.u32[n >>> 2] = (size << SIZE_SHIFT) | flags;
}

/** Lets a key with this value end at the node, which has the room for it. */
export function raxSetValue(h: Heap, n: number, value: number): void {
  const head = h.u32[n >>> 2] | IS_KEY;
  if (value === 0) {
    h.u32[n >>> 2] = head | IS_NULL;
    return;
  }
  h.u32[n >>> 2] = head & ~IS_NULL;
  raxSetPointer(h, raxValueSlot(h, n), value);
}

export function raxNewLeaf(h: Heap): number {
  const n = h.alloc(raxBytesFor(0, 0, false));
  raxSetHead(h, n, 0, 0);
  return n;
}
