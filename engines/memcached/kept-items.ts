/**
 * Items kept until the replies of a batch leave. The original holds every item of a binary get so long, and that shows: an incr that follows in the
 * same batch makes a new item instead of padding the old value with spaces.
 */
import { copyInto } from '../base/copy-into.ts';
import type { Items } from './items.ts';

const PLACES_AT_START = 64;
/** A batch may fetch an item more often than its 16-bit refcount can tell. */
export const REFCOUNT_MAX = 32_768;

export class KeptItems {
  readonly #items: Items;
  #kept = new Uint32Array(PLACES_AT_START);
  #hashes = new Int32Array(PLACES_AT_START);
  count = 0;

  constructor(items: Items) {
    this.#items = items;
  }

  /** Under the item's lock. */
  keep(item: number, hash: number): void {
    if (this.#items.refcount(item) >= REFCOUNT_MAX) return;
    this.#items.hold(item);
    if (this.count === this.#kept.length) {
      this.#kept = copyInto(new Uint32Array(this.count * 2), this.#kept);
      this.#hashes = copyInto(new Int32Array(this.count * 2), this.#hashes);
    }
    this.#hashes[this.count] = hash;
    this.#kept[this.count++] = item;
  }

  /** The replies so far are on their way. No item lock may be held. */
  release(): void {
    const items = this.#items;
    while (this.count > 0) {
      const hash = this.#hashes[--this.count];
      items.locks.item(hash);
      items.release(this.#kept[this.count]);
      items.locks.unlockItem(hash);
    }
  }
}
