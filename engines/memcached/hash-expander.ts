/** Grows the hash table (assoc.c: assoc_maintenance_thread): looked at once a second, then moved bucket by bucket. */
import type { BackgroundJob } from './background.ts';
import type { Items } from './items.ts';

/** Buckets moved in one slice: some tenths of a millisecond. */
const SLICE_BUCKETS = 1_024;
const CHECK_MS = 1_000;

export class HashExpander implements BackgroundJob {
  readonly name = 'hash-expander';
  readonly #items: Items;

  constructor(items: Items) {
    this.#items = items;
  }

  /** @returns ms until the next slice */
  run(): number {
    const { table } = this.#items;
    table.growIfNeeded(this.#items.currItems);
    return table.expandSome(SLICE_BUCKETS) ? 0 : CHECK_MS;
  }
}
