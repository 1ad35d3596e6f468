/**
 * The background work that the original gives to threads of its own: growing the hash table and juggling the LRUs. Here
 * it runs in slices between turns of the loop, each short enough not to be noticed.
 */
import type { BackgroundJob } from './background.ts';
import type { Items } from './items.ts';
import { juggle } from './lru.ts';

/** Buckets moved in one slice: some tens of microseconds. */
const EXPAND_BUCKETS = 1_024;
/** Delay between slices in ms while there is work, and bounds of the back-off without. */
const BUSY_MS = 1;
const IDLE_MS_MIN = 10;
const IDLE_MS_MAX = 1_000;

export class Maintainer implements BackgroundJob {
  readonly name = 'maintainer';
  readonly #items: Items;
  #delayMs = IDLE_MS_MIN;
  #class = 1;

  constructor(items: Items) {
    this.#items = items;
  }

  /** One slice. @returns ms until the next one is wanted */
  run(): number {
    const items = this.#items;
    items.table.growIfNeeded(items.currItems);
    const expanding = items.table.expandSome(EXPAND_BUCKETS);
    let moves = 0;
    if (items.settings.lruMaintainer) {
      items.counters.lruMaintainerJuggles++;
      // Until something was moved: one class with work a slice.
      const { slabs } = items;
      const { largestClass } = slabs;
      for (let i = 0; i < largestClass && moves === 0; i++) {
        this.#class = this.#class >= largestClass ? 1 : this.#class + 1;
        if (slabs.pageCount(this.#class) > 0 || this.#class === largestClass) moves = juggle(items, this.#class);
      }
    }
    if (expanding || moves > 0) this.#delayMs = IDLE_MS_MIN;
    else this.#delayMs = Math.min(IDLE_MS_MAX, this.#delayMs * 2);
    return expanding || moves > 0 ? BUSY_MS : this.#delayMs;
  }
}
