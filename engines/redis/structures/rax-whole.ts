/** What goes through all nodes of a radix tree, in no order: freeing them, moving them, checking them. */
import type { Heap } from './heap.ts';
import { raxNodeCount, raxSize } from './rax.ts';
import {
  raxChildSlot,
  raxNodeBytes,
  raxNodeChild,
  raxNodeChildren,
  raxNodeIsCompressed,
  raxNodeIsKey,
  raxNodeSize,
  raxNodeValue,
  raxValueSlot,
} from './rax-node.ts';

function pushChildren(h: Heap, n: number, pending: number[]): void {
  const children = raxNodeChildren(h, n);
  for (let i = 0; i < children; i++) pending.push(raxNodeChild(h, n, i));
}

/** Frees the tree; `freeValue` is called with every value first. */
export function raxFree(h: Heap, rax: number, freeValue: ((h: Heap, value: number) => void) | null = null): void {
  const pending = [h.u32[rax >>> 2]];
  for (let n = pending.pop(); n !== undefined; n = pending.pop()) {
    pushChildren(h, n, pending);
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
  pushChildren(h, n, pending);
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
    const children = raxNodeChildren(h, n);
    for (let i = 0; i < children; i++) pending.push(moved(raxChildSlot(h, n, i)));
    if (raxNodeValue(h, n) !== 0) visit(raxValueSlot(h, n));
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
    if (raxNodeBytes(h, n) > h.usable(n)) throw broken('exceeds its allocation');
    if (raxNodeIsKey(h, n)) keys++;
    else if (size === 0 && n !== head) throw broken('leads nowhere');
    if (raxNodeIsCompressed(h, n) && size < 2) throw broken('is compressed and holds one byte');
    for (let i = 1; i < size && !raxNodeIsCompressed(h, n); i++) {
      if (h.u8[n + 3 + i] >= h.u8[n + 4 + i]) throw broken('has its children out of order');
    }
    pushChildren(h, n, pending);
  }
  if (keys !== raxSize(h, rax) || nodes !== raxNodeCount(h, rax)) {
    throw new Error(
      `Broken radix tree at ${rax}: ${keys} keys and ${nodes} nodes, it says ${raxSize(h, rax)} and ${raxNodeCount(h, rax)}`,
    );
  }
}
