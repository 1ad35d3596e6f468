/** Grows the hash table (assoc.c: assoc_maintenance_thread): looked at once a second, then moved bucket by bucket. */
import type { BackgroundJob } from './background.ts';
import type { Items } from './items.ts';

/** Buckets moved in one slice: some tenths of a millisecond. */
const SLICE_BUCKETS = 1_024;
const CHECK_MS = 1_000;

export class HashExpander implements BackgroundJob {
  readonly name = 'hash-expander';
  readonly #items: Items;
  readonly #log: (line: string) => void;

  /** @param log gets a line when a growth begins and when it ends, if the server is as verbose as -vv */
  constructor(items: Items, log: (line: string) => void) {
    this.#items = items;
    this.#log = log;
  }

  /** @returns ms until the next slice */
  run(): number {
    const { table, settings, currItems } = this.#items;
    if (!table.expanding) {
      if (!table.growIfNeeded(currItems)) return CHECK_MS;
      if (settings.verbose > 1) this.#log('Hash table expansion starting');
    }
    if (table.expandSome(SLICE_BUCKETS)) return 0;
    if (settings.verbose > 1) this.#log('Hash table expansion done');
    return CHECK_MS;
  }
}
