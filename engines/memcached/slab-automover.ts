/**
 * Runs the policy of `slab_automove` 1 (slab-automove.ts) once a second and hands its decisions to the page mover. A job of its own beside
 * the LRU maintainer, in whose thread the original does it; like there nothing moves without a maintainer.
 */
import type { BackgroundJob } from './background.ts';
import type { Items } from './items.ts';
import { CLASS_COUNT, LRU_COLD, LRU_HOT } from './layout.ts';
import { LOCK_SLABS } from './lock-cells.ts';
import { LOG_SYSEVENTS } from './logger.ts';
import { tailAge } from './lru.ts';
import { AutomoveSnapshot, SlabAutomove } from './slab-automove.ts';
import { PAGE_POOL } from './slabs.ts';

/** Between two looks at the second clock. */
const LOOK_MS = 100;
/** While a class has pages to spare, the pool gets one after the other. */
const EAGER_MS = 1;

export class SlabAutomover implements BackgroundJob {
  readonly name = 'slab automover';
  readonly #items: Items;
  readonly #snapshot = new AutomoveSnapshot();
  #policy: SlabAutomove;
  #lastRun = 0;

  constructor(items: Items) {
    this.#items = items;
    this.#policy = this.#newPolicy();
  }

  #newPolicy(): SlabAutomove {
    this.#look();
    const { slabAutomoveWindow, slabAutomoveRatio } = this.#items.settings;
    return new SlabAutomove(slabAutomoveWindow, slabAutomoveRatio, this.#snapshot);
  }

  run(): number {
    const items = this.#items;
    const { settings } = items;
    if (settings.slabAutomove !== 1 || !settings.lruMaintainer || this.#lastRun === items.now) return LOOK_MS;
    if (this.#policy.ratio !== settings.slabAutomoveRatio) this.#policy = this.#newPolicy();
    this.#look();
    if (this.#policy.decide(this.#snapshot)) {
      const { source, destination } = this.#policy;
      items.mover.request(source, destination);
      if (items.logger.wants(LOG_SYSEVENTS)) items.logger.system(`type=slab_move src=${source} dst=${destination}`);
      if (destination === PAGE_POOL) return EAGER_MS;
    }
    this.#lastRun = items.now;
    return LOOK_MS;
  }

  /** Takes the snapshot. Counters and ages are read without locks: each is one cell, and the policy compares sums of seconds. */
  #look(): void {
    const { slabs, lru, locks } = this.#items;
    const now = this.#snapshot;
    for (let id = 0; id < CLASS_COUNT; id++) {
      now.ages[id] = tailAge(this.#items, id | LRU_COLD);
      now.evicted[id] = lru.evicted[id | LRU_COLD]!;
      now.outOfMemory[id] = lru.outOfMemory[id | LRU_HOT]!;
      now.chunksPerPage[id] = slabs.chunksPerPage[id]!;
    }
    locks.take(LOCK_SLABS);
    for (let id = 0; id < CLASS_COUNT; id++) {
      now.freeChunks[id] = slabs.freeChunks(id);
      now.pages[id] = slabs.pageCount(id);
    }
    locks.give(LOCK_SLABS);
  }
}
