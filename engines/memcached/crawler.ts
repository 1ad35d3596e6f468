/**
 * The crawler goes through LRU lists from their tails, one item of each list in turn, and either frees what has expired or writes down what
 * there is (crawler.c). One crawl at a time in all threads.
 *
 * Its place in a list: the original links a pseudo item that changes places with the item in front of it. Here `crawlNext` names the item
 * that is next, and whoever takes that item out of the list puts the one before it in its place (Items.lruUnlinkNolock). Both happen under the
 * LRU's lock, so the place is always an item of the list or none, whatever other threads do; and nobody who walks a list has to tell items
 * from pseudo items.
 *
 * Who works: crawls that free items are a job of the background thread, in slices. A dump is written by the thread that serves the client who
 * asked for it, a slice a turn and only while the client takes what was written before (Core), so a slow client costs no more memory
 * than a slow one elsewhere, and holds up nobody but those who want to crawl. No lock is held between slices. Who crawls is settled by one
 * cell: it is claimed by exchanging NONE for what is going to be done.
 */
import type { BackgroundJob } from './background.ts';
import type { Core } from './core.ts';
import type { CrawlStatistics } from './crawl-statistics.ts';
import * as L from './layout.ts';
import { LOCK_LRU } from './lock-cells.ts';
import { CELL_CRAWLER, CELL_TABLE_WALKED } from './shared-block.ts';
import { uriEncode } from './uri-encode.ts';

/** What is being done. EXPIRED: a client asked for it; AUTO: the maintainer did. */
export const CRAWL_NONE = 0;
export const CRAWL_EXPIRED = 1;
export const CRAWL_AUTO = 2;
export const CRAWL_METADUMP = 3;
/** Claimed, but not yet to be worked on. */
const CRAWL_PREPARING = 16;

/** Answers of `start` beside the number of lists. */
export const CRAWL_BUSY = -1;
export const CRAWL_ERROR = -2;
/** Limit of a dump: as many items as the list has when it begins. */
export const REMAINING_SIZE = -1;

const RUNNING = CELL_CRAWLER;
/** Lists that are not done. */
const COUNT = CELL_CRAWLER + 1;
/** Until then (relative seconds) the maintainer does not crawl, because a client found the crawler busy. */
const AUTO_BLOCKED_UNTIL = CELL_CRAWLER + 2;
const AUTO_BLOCK_S = 60;

/** Items after which the crawler sleeps, and items of one slice. */
const ITEMS_PER_SLEEP = 1_000;
const SLICE_ITEMS = 250;
/** Without work the job is woken; this is only so that it has a time. */
const IDLE_MS = 1_000;
/** A dump's slice. */
const DUMP_ITEMS = 256;
const DUMP_BUCKETS = 4_096;
export class Crawler implements BackgroundJob {
  readonly name = 'crawler';
  readonly #core: Core;
  readonly #cells: number;
  readonly #i32: Int32Array;
  readonly #next: Uint32Array;
  readonly #isActive: Uint32Array;
  readonly #remaining: Uint32Array;
  readonly #reclaimed: Uint32Array;
  readonly #unfetched: Uint32Array;
  readonly #checked: Uint32Array;
  /** The list that is next; this thread's own. */
  #at = 1;
  #untilSleep = ITEMS_PER_SLEEP;
  /** The connection that gets this thread's dump, -1 for none, and the next bucket of a dump by buckets, -1 for one by lists. */
  #dumpConn = -1;
  #bucket = -1;
  /** The maintainer's; in its thread only. */
  #statistics: CrawlStatistics | null = null;

  constructor(core: Core) {
    this.#core = core;
    const { shared } = core;
    this.#cells = shared.cells;
    this.#i32 = shared.memory.i32;
    this.#next = shared.crawlArray(0);
    this.#isActive = shared.crawlArray(1);
    this.#remaining = shared.crawlArray(2);
    this.#reclaimed = shared.crawlArray(3);
    this.#unfetched = shared.crawlArray(4);
    this.#checked = shared.crawlArray(5);
  }

  /** Whether any thread crawls (`lru_crawler_running`). */
  get isRunning(): boolean {
    return Atomics.load(this.#i32, this.#cells + RUNNING) !== CRAWL_NONE;
  }

  /** The maintainer's crawl of the lists that are due. @param statistics gets what is seen */
  startAuto(due: Uint8Array, limit: number, statistics: CrawlStatistics): void {
    const now = this.#core.items.now;
    const running = Atomics.load(this.#i32, this.#cells + RUNNING);
    if (running !== CRAWL_NONE && running !== CRAWL_AUTO) {
      this.#i32[this.#cells + AUTO_BLOCKED_UNTIL] = now + AUTO_BLOCK_S;
      return;
    }
    if (this.#i32[this.#cells + AUTO_BLOCKED_UNTIL]! > now) return;
    if (running === CRAWL_AUTO) {
      // Lists that are done may begin again before the others are.
      if (this.#enable(due, limit) > 0) this.#core.counters.lruCrawlerStarts++;
      return;
    }
    if (!this.#claim()) return;
    statistics.begin(now);
    this.#statistics = statistics;
    this.#begin(CRAWL_AUTO, due, limit);
  }

  /**
   * @param ids a 1 at the id of each LRU to be crawled; null: the hash table, bucket by bucket, which only dumps can
   * @param limit items of each list, 0: all, REMAINING_SIZE: as many as there are now
   * @param conn gets the dump
   * @returns number of lists (0: nothing was begun), or CRAWL_BUSY, CRAWL_ERROR
   */
  start(type: number, ids: Uint8Array | null, limit: number, conn: number): number {
    if (!this.#claim()) {
      this.#i32[this.#cells + AUTO_BLOCKED_UNTIL] = this.#core.items.now + AUTO_BLOCK_S;
      return CRAWL_BUSY;
    }
    if (type !== CRAWL_METADUMP && ids === null) {
      this.#unclaim();
      return CRAWL_ERROR;
    }
    const starts = this.#begin(type, ids, limit);
    if (starts === 0) return 0;
    if (type === CRAWL_METADUMP) {
      this.#dumpConn = conn;
      this.#bucket = ids === null ? 0 : -1;
    }
    return starts;
  }

  #claim(): boolean {
    return Atomics.compareExchange(this.#i32, this.#cells + RUNNING, CRAWL_NONE, CRAWL_PREPARING) === CRAWL_NONE;
  }

  /** Nobody crawls any more. */
  #sleep(): void {
    this.#tell('LRU crawler thread sleeping');
    this.#unclaim();
  }

  #unclaim(): void {
    Atomics.store(this.#i32, this.#cells + RUNNING, CRAWL_NONE);
  }

  #begin(type: number, ids: Uint8Array | null, limit: number): number {
    this.#i32[this.#cells + COUNT] = 0;
    if (type === CRAWL_METADUMP) this.#at = 1;
    if (ids === null) Atomics.store(this.#i32, this.#cells + CELL_TABLE_WALKED, 1);
    const starts = ids === null ? 1 : this.#enable(ids, limit);
    if (starts === 0) {
      this.#unclaim();
      return 0;
    }
    this.#core.counters.lruCrawlerStarts++;
    Atomics.store(this.#i32, this.#cells + RUNNING, type);
    if (type !== CRAWL_METADUMP) this.#core.background.wake(this.name);
    return starts;
  }

  /** Puts the crawler at the tails. @returns how many */
  #enable(ids: Uint8Array, limit: number): number {
    const { items, locks } = this.#core;
    let starts = 0;
    for (let id = 1; id < L.LRU_COUNT; id++) {
      if (ids[id] !== 1 || this.#isActive[id] === 1) continue;
      locks.take(LOCK_LRU + id);
      const remaining = limit === REMAINING_SIZE ? items.lruItems(id) : limit;
      this.#next[id] = items.tail(id);
      // 0 stands for all of them, so a limit is stored as one more.
      this.#remaining[id] = remaining === 0 ? 0 : remaining + 1;
      this.#reclaimed[id] = 0;
      this.#unfetched[id] = 0;
      this.#checked[id] = 0;
      this.#isActive[id] = 1;
      this.#tell(`Kicking LRU crawler off for LRU ${id}`);
      locks.give(LOCK_LRU + id);
      starts++;
    }
    this.#i32[this.#cells + COUNT]! += starts;
    return starts;
  }

  /** A slice of a crawl that frees items. @returns ms until the next */
  run(): number {
    const running = Atomics.load(this.#i32, this.#cells + RUNNING);
    if (running !== CRAWL_EXPIRED && running !== CRAWL_AUTO) return IDLE_MS;
    if (running === CRAWL_EXPIRED) this.#statistics = null;
    const { settings } = this.#core;
    if (this.#slice(Math.min(SLICE_ITEMS, this.#untilSleep), -1)) {
      this.#untilSleep = ITEMS_PER_SLEEP;
      this.#sleep();
      return IDLE_MS;
    }
    this.#untilSleep -= SLICE_ITEMS;
    if (this.#untilSleep > 0) return 0;
    this.#untilSleep = ITEMS_PER_SLEEP;
    return settings.lruCrawlerSleep / 1_000;
  }

  /** @param conn gets a dump, -1: free what has expired. @returns whether all lists are done */
  #slice(budget: number, conn: number): boolean {
    const cells = this.#cells;
    while (this.#i32[cells + COUNT] !== 0) {
      for (; this.#at < L.LRU_COUNT; this.#at++) {
        if (this.#isActive[this.#at] === 0) continue;
        if (budget-- === 0) return false;
        this.#visit(this.#at, conn);
      }
      this.#at = 1;
    }
    return true;
  }

  /** Looks at the next item of a list. One that somebody works on is passed over. */
  #visit(id: number, conn: number): void {
    const { items, locks } = this.#core;
    locks.take(LOCK_LRU + id);
    const item = this.#next[id]!;
    if (item !== 0) this.#next[id] = items.u32[(item + L.ITEM_PREV) >>> 2]!;
    if (item === 0 || (this.#remaining[id] !== 0 && --this.#remaining[id] === 0)) {
      this.#tell(`Nothing left to crawl for ${id}`);
      this.#finishList(id);
      locks.give(LOCK_LRU + id);
      return;
    }
    const hash = items.hashOf(item);
    const isOurs = locks.tryItem(hash);
    if (isOurs && items.refcount(item) === 1) {
      this.#checked[id]!++;
      if (conn < 0) {
        this.#free(item, id, hash);
      } else {
        locks.give(LOCK_LRU + id);
        this.#describe(item);
        locks.unlockItem(hash);
        return;
      }
    }
    if (isOurs) locks.unlockItem(hash);
    locks.give(LOCK_LRU + id);
  }

  /** With -vvv. */
  #tell(line: string): void {
    if (this.#core.settings.verbose > 2) this.#core.hooks.log(line);
  }

  /** Under the LRU's lock. */
  #finishList(id: number): void {
    const { lru, now } = this.#core.items;
    this.#isActive[id] = 0;
    this.#next[id] = 0;
    this.#i32[this.#cells + COUNT]!--;
    lru.crawlerReclaimed[id]! += this.#reclaimed[id]!;
    lru.expiredUnfetched[id]! += this.#unfetched[id]!;
    lru.crawlerItemsChecked[id]! += this.#checked[id]!;
    this.#statistics?.done(id, now);
  }

  /** Under the LRU's and the item's lock. */
  #free(item: number, id: number, hash: number): void {
    const { items, settings, hooks } = this.#core;
    const exptime = items.u32[(item + L.ITEM_EXPTIME) >>> 2]!;
    const isFlushed = items.isFlushed(item);
    if ((exptime === 0 || exptime >= items.now) && !isFlushed) {
      this.#statistics?.sawAlive(id, exptime, items.now);
      return;
    }
    this.#reclaimed[id]!++;
    this.#statistics?.sawExpired(id);
    const flags = items.u16[(item + L.ITEM_FLAGS) >>> 1]!;
    if (settings.verbose > 1) {
      hooks.log(`LRU crawler found an expired item (flags: ${flags}, slab: ${id}): ${keyText(this.#core, item)}`);
    }
    if ((flags & L.FLAG_FETCHED) === 0 && !isFlushed) this.#unfetched[id]!++;
    items.unlinkNolock(item, hash);
  }

  // ---- Dumps

  /** Whether this connection is being sent a dump. */
  isDumping(conn: number): boolean {
    return this.#dumpConn === conn;
  }

  /** Writes a slice of the dump to its connection, within its onInput. @returns whether it is complete */
  dumpSome(): boolean {
    const isDone = this.#bucket < 0 ? this.#slice(DUMP_ITEMS, this.#dumpConn) : this.#dumpBuckets();
    if (isDone) this.#endDump();
    return isDone;
  }

  /** The client is gone. */
  abandonDump(): void {
    for (let id = 1; id < L.LRU_COUNT; id++) {
      if (this.#isActive[id] === 0) continue;
      this.#core.locks.take(LOCK_LRU + id);
      this.#finishList(id);
      this.#core.locks.give(LOCK_LRU + id);
    }
    this.#endDump();
  }

  #endDump(): void {
    this.#dumpConn = -1;
    Atomics.store(this.#i32, this.#cells + CELL_TABLE_WALKED, 0);
    this.#sleep();
  }

  /** The items of some buckets, each under its lock. */
  #dumpBuckets(): boolean {
    const { items, locks } = this.#core;
    const { table } = items;
    // Its growth is waited for; none begins while the table is being walked.
    if (table.expanding) return false;
    const buckets = table.buckets;
    let left = DUMP_ITEMS;
    for (let i = 0; i < DUMP_BUCKETS && left > 0; i++) {
      if (this.#bucket >= buckets) return true;
      const bucket = this.#bucket++;
      if (table.firstOf(bucket) === 0) continue;
      locks.item(bucket);
      for (let item = table.firstOf(bucket); item !== 0; item = items.u32[(item + L.ITEM_H_NEXT) >>> 2]!) {
        this.#describe(item);
        left--;
      }
      locks.unlockItem(bucket);
    }
    return false;
  }

  /** A line of a dump. Under the item's lock. */
  #describe(item: number): void {
    const core = this.#core;
    const { items, u8 } = core;
    const { now, processStarted } = items;
    const exptime = items.u32[(item + L.ITEM_EXPTIME) >>> 2]!;
    if ((exptime !== 0 && exptime < now) || items.isFlushed(item)) return;
    const key = uriEncode(u8, items.keyOf(item), u8[item + L.ITEM_NKEY]!);
    const expiry = exptime === 0 ? -1 : exptime + processStarted;
    const access = items.u32[(item + L.ITEM_TIME) >>> 2]! + processStarted;
    const fetched = (items.u16[(item + L.ITEM_FLAGS) >>> 1]! & L.FLAG_FETCHED) !== 0 ? 'yes' : 'no';
    const id = u8[item + L.ITEM_CLSID]! & L.CLASS_MASK;
    core.output.writeText(
      `key=${key} exp=${expiry} la=${access} cas=${items.casOf(item)} fetch=${fetched} cls=${id} size=${items.totalBytes(item)}\n`,
    );
  }
}

function keyText(core: Core, item: number): string {
  const at = core.items.keyOf(item);
  return String.fromCharCode(...core.u8.slice(at, at + core.u8[item + L.ITEM_NKEY]!));
}
