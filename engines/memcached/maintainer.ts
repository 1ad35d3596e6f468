/**
 * The LRU maintainer (items.c: lru_maintainer_thread): juggles each class's lists between HOT, WARM and COLD, moves items to WARM that were fetched
 * in COLD, and once a second sees whether the crawler should go. A class where there was nothing to do is left alone for a while, from 1 ms
 * on an eighth longer each time up to a second; each turn with moves halves that.
 */
import type { Clock } from '../ports.ts';
import type { BackgroundJob } from './background.ts';
import { type CrawlerStatus, CrawlStatistics } from './crawl-statistics.ts';
import type { Crawler } from './crawler.ts';
import type { Items } from './items.ts';
import * as L from './layout.ts';
import { juggle } from './lru.ts';
import { BUMP_BEGIN, BUMP_END, BUMP_ENTRIES, BUMPS_DROPPED, BUMPS_MAX, type SharedBlock } from './shared-block.ts';

const SLEEP_US_MIN = 1_000;
const SLEEP_US_MAX = 999_999;
/** Bumps of one thread handled in a turn. */
const BUMPS_PER_TURN = 1_024;

export class Maintainer implements BackgroundJob {
  readonly name = 'maintainer';
  readonly #items: Items;
  readonly #clock: Clock;
  readonly #crawler: Crawler;
  readonly #bumps: Int32Array[] = [];
  /** By class, µs until it is looked at again, and how long it was left alone last. */
  readonly #nextUs = new Float64Array(L.CLASS_COUNT);
  readonly #backoffUs = new Float64Array(L.CLASS_COUNT);
  #lastUs: number;
  #sleepUs = SLEEP_US_MIN;
  #crawlCheck = 0;
  readonly #statistics = new CrawlStatistics();
  readonly #due = new Uint8Array(L.LRU_COUNT);
  /** Told of each list that the crawler has been through for the maintainer. */
  onCrawlerStatus: ((status: CrawlerStatus) => void) | null = null;

  constructor(items: Items, block: SharedBlock, clock: Clock, crawler: Crawler) {
    this.#items = items;
    this.#clock = clock;
    this.#crawler = crawler;
    this.#lastUs = clock.monoUs();
    for (let thread = 0; thread < block.threads; thread++) this.#bumps.push(block.bumps(thread));
  }

  /** Fetches in COLD that had no effect because too many waited (`lru_bumps_dropped`). */
  get bumpsDropped(): number {
    return this.#bumps.reduce((sum, bumps) => sum + bumps[BUMPS_DROPPED]!, 0);
  }

  /** One turn. @returns ms until the next one is wanted */
  run(): number {
    const { settings, counters } = this.#items;
    // Bumps hold references, so they are seen to even while the lists are left alone.
    const bumped = this.#takeBumps();
    if (!settings.lruMaintainer) return SLEEP_US_MAX / 1_000;
    const nowUs = this.#clock.monoUs();
    const sleptUs = Math.max(SLEEP_US_MIN, this.#sleepUs, nowUs - this.#lastUs);
    this.#lastUs = nowUs;
    counters.lruMaintainerJuggles++;
    let sleepUs = this.#juggleDue(sleptUs);
    if (bumped && sleepUs > SLEEP_US_MIN) sleepUs = SLEEP_US_MIN;
    if (settings.lruCrawler && this.#crawlCheck !== this.#items.now) {
      this.#crawlCheck = this.#items.now;
      this.#checkCrawls();
    }
    this.#sleepUs = sleepUs;
    // Where the original does not sleep at all, it counts that as a millisecond.
    return Math.max(SLEEP_US_MIN, sleepUs) / 1_000;
  }

  #juggleDue(sleptUs: number): number {
    let sleepUs = SLEEP_US_MAX;
    for (let id = 1; id < L.CLASS_COUNT; id++) {
      const nextUs = Math.max(0, this.#nextUs[id]! - sleptUs);
      this.#nextUs[id] = nextUs;
      if (nextUs > 0) {
        if (nextUs < sleepUs) sleepUs = nextUs;
        continue;
      }
      let backoffUs = this.#backoffUs[id]!;
      if (juggle(this.#items, id) === 0) {
        backoffUs = backoffUs === 0 ? SLEEP_US_MIN : Math.min(SLEEP_US_MAX, backoffUs + Math.floor(backoffUs / 8));
      } else if (backoffUs > 0) {
        backoffUs = Math.floor(backoffUs / 2);
        if (backoffUs < SLEEP_US_MIN) backoffUs = 0;
      }
      this.#backoffUs[id] = backoffUs;
      this.#nextUs[id] = backoffUs;
      if (backoffUs < sleepUs) sleepUs = backoffUs;
    }
    return sleepUs;
  }

  /** Takes all that waits, so that no reference of a fetch is left; when the server has stopped. */
  settle(): void {
    while (this.#takeBumps());
  }

  /** Moves items to WARM that were fetched in COLD. @returns whether there were any */
  #takeBumps(): boolean {
    const { locks } = this.#items;
    let any = false;
    for (const bumps of this.#bumps) {
      let begin = bumps[BUMP_BEGIN]!;
      const end = Atomics.load(bumps, BUMP_END);
      for (let left = BUMPS_PER_TURN; begin !== end && left > 0; left--) {
        const at = BUMP_ENTRIES + (begin & (BUMPS_MAX - 1)) * 2;
        const item = bumps[at]! >>> 0;
        const hash = bumps[at + 1]!;
        locks.item(hash);
        this.#items.update(item);
        this.#items.release(item);
        locks.unlockItem(hash);
        begin = (begin + 1) | 0;
        any = true;
      }
      Atomics.store(bumps, BUMP_BEGIN, begin);
    }
    return any;
  }

  #checkCrawls(): void {
    const items = this.#items;
    if (!this.#statistics.plan(items.now, this.#due, this.onCrawlerStatus)) return;
    let limit = 0;
    for (let id = 1; id < L.LRU_COUNT; id++) {
      if (this.#due[id] === 1) limit = Math.max(limit, items.lruItems(id));
    }
    const { lruCrawlerToCrawl } = items.settings;
    if (lruCrawlerToCrawl !== 0) limit = Math.min(limit, lruCrawlerToCrawl);
    this.#crawler.startAuto(this.#due, limit, this.#statistics);
  }
}
