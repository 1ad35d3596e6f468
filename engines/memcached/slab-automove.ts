/**
 * When a page should change its class: the policy of `slab_automove` 1 (slab_automove.c), apart from the mechanism (slab-mover.ts). It reads
 * a snapshot of all classes, once a second, and keeps a window of the last ones.
 *
 * Two things make it decide. A class with more than two and a half pages' worth of free chunks, in which nothing was short during the whole
 * window, gives a page to the global pool. Otherwise the classes are compared by the age of what they evict (the time since the last
 * access at COLD's tail, averaged over the window): where memory is shared out well, all classes evict items of the same age. If the
 * youngest that evicts is younger than `ratio` times the oldest, the oldest gives it a page.
 */
import { CLASS_COUNT } from './layout.ts';

/** A class with no more pages gives none for the sake of age. */
const SOURCE_PAGES_MIN = 2;
/** Pages' worth of free chunks beyond which a class has too many. */
const SPARE_PAGES = 2.5;
/** A class counts as evicting if it did so in more than half of the window, or with more than this share of all evictions. */
const EVICTED_SHARE_MIN = 0.25;

/** What the policy knows of the classes at one moment; each array is indexed by class. */
export class AutomoveSnapshot {
  /** Seconds since the last access of the item that would be evicted next. */
  readonly ages = new Float64Array(CLASS_COUNT);
  /** Items evicted since the start. */
  readonly evicted = new Float64Array(CLASS_COUNT);
  /** Stores refused since the start for want of memory. */
  readonly outOfMemory = new Float64Array(CLASS_COUNT);
  readonly freeChunks = new Float64Array(CLASS_COUNT);
  readonly pages = new Float64Array(CLASS_COUNT);
  readonly chunksPerPage = new Float64Array(CLASS_COUNT);
}

export class SlabAutomove {
  /** What is to be moved after `decide` has said so. Class 0 is the global pool. */
  source = -1;
  destination = -1;
  readonly ratio: number;
  readonly #seconds: number;
  // The window: `#seconds` places a class.
  readonly #ages: Float64Array;
  readonly #isDirty: Uint8Array;
  readonly #hasEvicted: Uint8Array;
  readonly #evictedShares: Float32Array;
  readonly #evictedBefore = new Float64Array(CLASS_COUNT);
  readonly #outOfMemoryBefore = new Float64Array(CLASS_COUNT);
  readonly #pagesBefore = new Float64Array(CLASS_COUNT);
  #runs = 0;

  /**
   * @param seconds length of the window (`slab_automove_window`)
   * @param ratio `slab_automove_ratio`
   * @param now the state at the start
   */
  constructor(seconds: number, ratio: number, now: AutomoveSnapshot) {
    this.ratio = ratio;
    this.#seconds = seconds;
    this.#ages = new Float64Array(CLASS_COUNT * seconds);
    this.#isDirty = new Uint8Array(CLASS_COUNT * seconds);
    this.#hasEvicted = new Uint8Array(CLASS_COUNT * seconds);
    this.#evictedShares = new Float32Array(CLASS_COUNT * seconds);
    this.#remember(now);
  }

  #remember(now: AutomoveSnapshot): void {
    this.#evictedBefore.set(now.evicted);
    this.#outOfMemoryBefore.set(now.outOfMemory);
    this.#pagesBefore.set(now.pages);
  }

  /** Takes the next snapshot into the window. @returns whether a page should move, from `source` to `destination` */
  decide(now: AutomoveSnapshot): boolean {
    const seconds = this.#seconds;
    this.#runs++;
    this.source = -1;
    this.destination = -1;
    let evictedInAll = 0;
    for (let id = 1; id < CLASS_COUNT; id++) evictedInAll += now.evicted[id]! - this.#evictedBefore[id]!;
    let oldest = -1;
    let oldestAge = 0;
    let youngest = -1;
    let youngestAge = Number.POSITIVE_INFINITY;
    let youngestEvictsNow = false;
    for (let id = 1; id < CLASS_COUNT; id++) {
      const at = id * seconds + (this.#runs % seconds);
      this.#note(now, id, at, evictedInAll);
      const age = Math.floor(sum(this.#ages, id, seconds) / seconds);
      const isSpare = now.freeChunks[id]! > now.chunksPerPage[id]! * SPARE_PAGES;
      if (isSpare && sum(this.#isDirty, id, seconds) === 0) {
        this.source = id;
        this.destination = 0;
        break;
      }
      if (age > oldestAge && now.pages[id]! > SOURCE_PAGES_MIN) {
        oldest = id;
        oldestAge = age;
      }
      if (age >= youngestAge) continue;
      const evictsOften = sum(this.#hasEvicted, id, seconds) > Math.floor(seconds / 2);
      if (evictsOften || sum(this.#evictedShares, id, seconds) / seconds > EVICTED_SHARE_MIN) {
        youngest = id;
        youngestAge = age;
        youngestEvictsNow = this.#hasEvicted[at] === 1;
      }
    }
    this.#remember(now);
    // By age nothing is decided before the window is full.
    const mayCompare = this.destination !== 0 && this.#runs > seconds && youngest >= 0 && oldest >= 0;
    if (mayCompare && youngestEvictsNow && youngestAge < oldestAge * this.ratio) {
      this.source = oldest;
      this.destination = youngest;
    }
    return this.source >= 0;
  }

  /** Stores what happened in a class since the last snapshot at a place of the window. */
  #note(now: AutomoveSnapshot, id: number, at: number, evictedInAll: number): void {
    const evicted = now.evicted[id]! - this.#evictedBefore[id]!;
    this.#hasEvicted[at] = evicted > 0 ? 1 : 0;
    this.#evictedShares[at] = evicted > 0 ? evicted / evictedInAll : 0;
    const wasShort = evicted > 0 || now.outOfMemory[id]! > this.#outOfMemoryBefore[id]!;
    this.#isDirty[at] = wasShort || now.pages[id]! > this.#pagesBefore[id]! ? 1 : 0;
    this.#ages[at] = now.ages[id]!;
  }
}

/** Sum of a class's part of a window. */
function sum(window: Float64Array | Float32Array | Uint8Array, id: number, seconds: number): number {
  let total = 0;
  for (let i = id * seconds; i < (id + 1) * seconds; i++) total += window[i]!;
  return total;
}
