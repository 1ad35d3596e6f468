/** A way through the keys of a radix tree, in their order or backwards. Any change to the tree ends it: seek again. */
import type { Heap } from './heap.ts';
import { raxHead } from './rax.ts';
import {
  raxNodeChild,
  raxNodeChildren,
  raxNodeIsCompressed,
  raxNodeIsKey,
  raxNodeSize,
  raxNodeValue,
} from './rax-node.ts';

const FIRST_KEY_BYTES = 64;

export class RaxIterator {
  private readonly h: Heap;
  private rax: number;
  /** Bytes of the present key: the first `keyLength`. */
  key: Uint8Array = new Uint8Array(FIRST_KEY_BYTES);
  keyLength = 0;
  /** Where the present key ends; 0: at no key. */
  node = 0;
  /** The nodes above `node` and which of their children the way takes. */
  private readonly above: number[] = [];
  private readonly taken: number[] = [];

  constructor(h: Heap, rax: number) {
    this.h = h;
    this.rax = rax;
  }

  /** Goes on with another tree, before any key. */
  use(rax: number): void {
    this.rax = rax;
    this.node = 0;
  }

  /** The present key's value. */
  get value(): number {
    return raxNodeValue(this.h, this.node);
  }

  private toHead(): void {
    this.above.length = 0;
    this.taken.length = 0;
    this.keyLength = 0;
    this.node = raxHead(this.h, this.rax);
  }

  private down(index: number): void {
    const h = this.h;
    const n = this.node;
    const compressed = raxNodeIsCompressed(h, n);
    const bytes = compressed ? raxNodeSize(h, n) : 1;
    if (this.keyLength + bytes > this.key.length) {
      const larger = new Uint8Array((this.keyLength + bytes) * 2);
      larger.set(this.key);
      this.key = larger;
    }
    const from = n + 4 + (compressed ? 0 : index);
    for (let i = 0; i < bytes; i++) this.key[this.keyLength + i] = h.u8[from + i];
    this.keyLength += bytes;
    this.above.push(n);
    this.taken.push(index);
    this.node = raxNodeChild(h, n, index);
  }

  /** To the parent. @returns which child the way took, -1 at the top */
  private up(): number {
    const parent = this.above.pop();
    if (parent === undefined) return -1;
    this.node = parent;
    this.keyLength -= raxNodeIsCompressed(this.h, parent) ? raxNodeSize(this.h, parent) : 1;
    return this.taken.pop()!;
  }

  private end(): boolean {
    this.node = 0;
    this.keyLength = 0;
    return false;
  }

  /** To the first key of what is below, the node itself included. */
  private firstBelow(): boolean {
    while (!raxNodeIsKey(this.h, this.node)) {
      if (raxNodeSize(this.h, this.node) === 0) return this.end();
      this.down(0);
    }
    return true;
  }

  private lastBelow(): boolean {
    while (raxNodeSize(this.h, this.node) !== 0) this.down(raxNodeChildren(this.h, this.node) - 1);
    return raxNodeIsKey(this.h, this.node) ? true : this.end();
  }

  /** To the first key behind all that is below the node. */
  private behind(): boolean {
    for (let taken = this.up(); taken >= 0; taken = this.up()) {
      if (taken + 1 < raxNodeChildren(this.h, this.node)) {
        this.down(taken + 1);
        return this.firstBelow();
      }
    }
    return this.end();
  }

  /** All of these return whether there is such a key. */
  first(): boolean {
    this.toHead();
    return this.firstBelow();
  }

  last(): boolean {
    this.toHead();
    return this.lastBelow();
  }

  next(): boolean {
    if (this.node === 0) return false;
    if (raxNodeSize(this.h, this.node) === 0) return this.behind();
    this.down(0);
    return this.firstBelow();
  }

  previous(): boolean {
    if (this.node === 0) return false;
    for (let taken = this.up(); taken >= 0; taken = this.up()) {
      if (taken > 0) {
        this.down(taken - 1);
        return this.lastBelow();
      }
      if (raxNodeIsKey(this.h, this.node)) return true;
    }
    return this.end();
  }

  /** To the first key that is not before the given one. */
  seekFrom(key: Uint8Array, offset: number, length: number): boolean {
    const h = this.h;
    this.toHead();
    let i = 0;
    while (i < length) {
      const n = this.node;
      const size = raxNodeSize(h, n);
      if (raxNodeIsCompressed(h, n)) {
        for (let j = 0; j < size; j++, i++) {
          if (i === length) {
            this.down(0);
            return this.firstBelow();
          }
          const way = h.u8[n + 4 + j];
          const byte = key[offset + i];
          if (way === byte) continue;
          if (way < byte) return this.behind();
          this.down(0);
          return this.firstBelow();
        }
        this.down(0);
        continue;
      }
      const byte = key[offset + i];
      let j = 0;
      while (j < size && h.u8[n + 4 + j] < byte) j++;
      if (j === size) return this.behind();
      this.down(j);
      if (h.u8[n + 4 + j] > byte) return this.firstBelow();
      i++;
    }
    return this.firstBelow();
  }

  /** To the last key that is not behind the given one. */
  seekUpTo(key: Uint8Array, offset: number, length: number): boolean {
    if (!this.seekFrom(key, offset, length)) return this.last();
    if (this.keyLength === length) {
      let i = 0;
      while (i < length && this.key[i] === key[offset + i]) i++;
      if (i === length) return true;
    }
    return this.previous();
  }
}
