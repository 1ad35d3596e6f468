/** Walks through all entries of a dict. */
import { dictBucket, dictNext, dictTableSize } from './dict-layout.ts';
import type { Heap } from './heap.ts';

/**
 * Nothing may be added to or looked up in the dict meanwhile (a lookup may move entries to the second table); the entry given last may
 * be unlinked and freed.
 */
export class DictIterator {
  private readonly h: Heap;
  private readonly d: number;
  private table = 0;
  private index = 0;
  private size: number;
  /** The entry behind the one given last in its bucket. */
  private following = 0;

  constructor(h: Heap, d: number) {
    this.h = h;
    this.d = d;
    this.size = dictTableSize(h, d, 0);
  }

  /** @returns the next entry, 0 at the end */
  next(): number {
    const h = this.h;
    let entry = this.following;
    while (entry === 0) {
      if (this.index === this.size) {
        if (this.table === 1) return 0;
        this.table = 1;
        this.index = 0;
        this.size = dictTableSize(h, this.d, 1);
        continue;
      }
      entry = dictBucket(h, this.d, this.table, this.index++);
    }
    this.following = dictNext(h, entry);
    return entry;
  }
}
