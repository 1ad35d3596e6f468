/** The ASCII commands that concern the server rather than an item: versions, limits, LRU and crawler settings, flushing. None is hot. */
import type { AsciiCommands } from './ascii-commands.ts';
import type { Core } from './core.ts';
import * as L from './layout.ts';
import { CLOSE_NORMAL, CLOSE_SHUTDOWN, LOG_FETCHERS } from './logger.ts';
import * as R from './replies.ts';
import { WATCH_WORDS } from './watchers.ts';

const MEBIBYTE = 1024 * 1024;
/** The original refuses less. */
const MEMLIMIT_MIN_MB = 8;
const MEMLIMIT_MAX_MB = 1_000_000_000;
const VERBOSITY_MAX = 2;
const HOT_WARM_PCT_MAX = 80;
const CRAWLER_SLEEP_MAX = 1_000_000;
/** Free chunks in two pages' worth must be there before a page may leave its class. */
const SPARE_PAGES_MIN = 2;

export class ControlCommands {
  readonly #core: Core;
  readonly #line: AsciiCommands;

  constructor(core: Core, line: AsciiCommands) {
    this.#core = core;
    this.#line = line;
  }

  /** @param count tokens, the closing one included. @returns false when there is no such command */
  execute(command: string, conn: number, count: number): boolean {
    const isKnown = this.#execute(command, conn, count);
    // Most of these commands change a setting; none is so frequent that the others should be told apart.
    if (isKnown) this.#core.publishSettings();
    return isKnown;
  }

  #execute(command: string, conn: number, count: number): boolean {
    const line = this.#line;
    switch (command) {
      case 'version':
        line.replyVersion();
        return true;
      case 'quit':
        this.#core.closeAfterOutput(conn, CLOSE_NORMAL);
        return true;
      case 'flush_all':
        if (count > 4) return this.#say('ERROR');
        return this.#flushAll(count);
      case 'verbosity':
        if (count !== 3 && count !== 4) return this.#say('ERROR');
        return this.#verbosity(count);
      case 'cache_memlimit':
        if (count !== 3 && count !== 4) return this.#say('ERROR');
        return this.#memlimit(count);
      case 'shutdown':
        return this.#shutdown(conn, count);
      case 'slabs':
        return this.#slabs(count);
      case 'lru':
        if (count < 3) return this.#say('ERROR');
        return this.#lru(count);
      case 'lru_crawler':
        return this.#crawler(count);
      case 'watch':
        return this.#watch(conn, count);
      case 'refresh_certs':
        return this.#say('Error TLS not enabled');
      default:
        return false;
    }
  }

  #say(text: string): true {
    this.#line.replyText(text);
    return true;
  }

  #flushAll(count: number): true {
    const core = this.#core;
    const quiet = this.#line.noreplyMaybe(count);
    core.counters.flushCmds++;
    if (!core.settings.flushEnabled) return this.#say('CLIENT_ERROR flush_all not allowed');
    let exptime = 0;
    if (count !== (quiet ? 3 : 2)) {
      exptime = this.#line.i32(1);
      if (Number.isNaN(exptime)) {
        this.#line.reply(R.BAD_EXPTIME);
        return true;
      }
    }
    core.items.flushAll(exptime);
    this.#line.reply(R.OK);
    return true;
  }

  #verbosity(count: number): true {
    this.#line.noreplyMaybe(count);
    const level = this.#line.u32(1);
    if (level < 0) this.#line.reply(R.BAD_FORMAT);
    else {
      this.#core.setVerbosity(Math.min(level, VERBOSITY_MAX));
      this.#core.publishSettings();
      this.#line.reply(R.OK);
    }
    return true;
  }

  #memlimit(count: number): true {
    this.#line.noreplyMaybe(count);
    const megabytes = this.#line.u32(1);
    if (megabytes < 0) return this.#say('ERROR');
    if (megabytes < MEMLIMIT_MIN_MB) return this.#say('MEMLIMIT_TOO_SMALL cannot set maxbytes to less than 8m');
    if (megabytes > MEMLIMIT_MAX_MB) {
      return this.#say('MEMLIMIT_ADJUST_FAILED input value is megabytes not bytes');
    }
    this.#core.settings.maxBytes = megabytes * MEBIBYTE;
    this.#core.items.slabs.setLimit(megabytes * MEBIBYTE);
    if (this.#core.settings.verbose > 0) this.#core.hooks.log(`maxbytes adjusted to ${megabytes}m`);
    return this.#say('OK');
  }

  #shutdown(conn: number, count: number): true {
    if (!this.#core.settings.shutdownCommand) return this.#say('ERROR: shutdown not enabled');
    const mode = count === 3 ? this.#line.text(1) : '';
    if (count !== 2 && mode !== 'graceful') return this.#say('CLIENT_ERROR invalid shutdown mode');
    this.#core.closeNow(conn, CLOSE_SHUTDOWN);
    this.#core.hooks.onShutdown(count === 2 ? 'shutdown' : 'shutdown-graceful');
    return true;
  }

  #slabs(count: number): true {
    const line = this.#line;
    if (count === 5 && line.text(1) === 'reassign') return this.#reassign();
    if (count < 4 || line.text(1) !== 'automove') return this.#say('ERROR');
    line.noreplyMaybe(count);
    if (line.text(2) === 'ratio') {
      const ratio = count < 5 ? Number.NaN : Number.parseFloat(line.text(3));
      if (Number.isNaN(ratio)) return this.#say('ERROR');
      this.#core.settings.slabAutomoveRatio = ratio;
      return this.#say('OK');
    }
    const level = line.u32(2);
    if (level < 0) {
      line.reply(R.BAD_FORMAT);
      return true;
    }
    if (level > 2) return this.#say('ERROR');
    this.#core.settings.slabAutomove = level;
    return this.#say('OK');
  }

  /** Pages do not move between classes yet: a request that the original would carry out is told that it is busy. */
  #reassign(): true {
    const { settings, items } = this.#core;
    if (!settings.slabReassign) return this.#say('CLIENT_ERROR slab reassignment disabled');
    const from = this.#line.i32(2);
    const to = this.#line.i32(3);
    if (Number.isNaN(from) || Number.isNaN(to)) {
      this.#line.reply(R.BAD_FORMAT);
      return true;
    }
    const { largestClass } = items.slabs;
    if (from === to) return this.#say('SAME src and dst class are identical');
    if (from < -1 || from > largestClass || to < 0 || to > largestClass) {
      return this.#say('BADCLASS invalid src or dst class id');
    }
    if (from === 0 || (from > 0 && items.slabs.pageCount(from) < SPARE_PAGES_MIN)) {
      return this.#say('NOSPARE source class has no spare pages');
    }
    return this.#say('BUSY currently processing reassign request');
  }

  #lru(count: number): true {
    const { settings } = this.#core;
    const line = this.#line;
    line.noreplyMaybe(count);
    const what = line.text(1);
    if (what === 'tune' && count >= 7) {
      const hot = line.u32(2);
      const warm = line.u32(3);
      const hotFactor = Number.parseFloat(line.text(4));
      const warmFactor = Number.parseFloat(line.text(5));
      if (hot < 0 || warm < 0 || Number.isNaN(hotFactor) || Number.isNaN(warmFactor)) return this.#say('ERROR');
      if (hot + warm > HOT_WARM_PCT_MAX) return this.#say('ERROR hot and warm pcts must not exceed 80');
      if (warmFactor <= 0 || hotFactor <= 0) return this.#say('ERROR hot/warm age factors must be greater than 0');
      settings.hotLruPct = hot;
      settings.warmLruPct = warm;
      settings.hotMaxFactor = hotFactor;
      settings.warmMaxFactor = warmFactor;
      return this.#say('OK');
    }
    if (what === 'mode' && count >= 4 && settings.lruMaintainer) {
      const mode = line.text(2);
      if (mode !== 'flat' && mode !== 'segmented') return this.#say('ERROR');
      settings.lruSegmented = mode === 'segmented';
      return this.#say('OK');
    }
    if (what === 'temp_ttl' && count >= 4 && settings.lruMaintainer) {
      const seconds = line.i32(2);
      if (Number.isNaN(seconds)) return this.#say('ERROR');
      settings.tempLru = seconds >= 0;
      if (seconds >= 0) settings.temporaryTtl = seconds;
      return this.#say('OK');
    }
    return this.#say('ERROR');
  }

  #crawler(count: number): true {
    const { settings, counters, items } = this.#core;
    const line = this.#line;
    const what = count >= 3 ? line.text(1) : '';
    if (count === 4 && (what === 'crawl' || what === 'metadump')) {
      if (!settings.lruCrawler) return this.#say('CLIENT_ERROR lru crawler disabled');
      if (what === 'metadump' && !settings.dumpEnabled) return this.#say('ERROR metadump not allowed');
      const classes = this.#crawlClasses(line.text(2));
      if (classes === null) return this.#say('BADCLASS invalid class id');
      if (what === 'metadump') return this.#metadump(classes);
      counters.lruCrawlerStarts++;
      for (const id of classes) {
        for (const lru of [L.LRU_HOT, L.LRU_WARM, L.LRU_COLD, L.LRU_TEMP]) items.reclaimExpired(id | lru);
      }
      return this.#say('OK');
    }
    if (count === 4 && (what === 'tocrawl' || what === 'sleep')) {
      const value = line.u32(2);
      if (value < 0) {
        line.reply(R.BAD_FORMAT);
        return true;
      }
      if (what === 'tocrawl') settings.lruCrawlerToCrawl = value;
      else if (value > CRAWLER_SLEEP_MAX) return this.#say('CLIENT_ERROR sleep must be one second or less');
      else settings.lruCrawlerSleep = value;
      return this.#say('OK');
    }
    if (count !== 3) return this.#say('ERROR');
    if (what === 'disable') {
      settings.lruCrawler = false;
      return this.#say('OK');
    }
    if (what !== 'enable') return this.#say('ERROR');
    if (settings.lruCrawler) return this.#say('ERROR failed to start lru crawler thread');
    settings.lruCrawler = true;
    return this.#say('OK');
  }

  /** Class ids from "all", "hash" or a list such as "1,3,10". */
  #crawlClasses(text: string): number[] | null {
    const { largestClass } = this.#core.items.slabs;
    if (text === 'all' || text === 'hash') return Array.from({ length: largestClass }, (_, i) => i + 1);
    const ids = text.split(',').map(Number);
    return ids.every((id) => Number.isInteger(id) && id >= 1 && id < L.CLASS_COUNT) ? ids : null;
  }

  #metadump(classes: number[]): true {
    const { items, u8 } = this.#core;
    for (const id of classes) {
      for (const lru of [L.LRU_HOT, L.LRU_WARM, L.LRU_COLD, L.LRU_TEMP]) {
        let item = items.tails[id | lru];
        for (; item !== 0; item = items.u32[(item + L.ITEM_PREV) >>> 2]) {
          let key = '';
          const at = items.keyOf(item);
          for (let i = 0; i < u8[item + L.ITEM_NKEY]; i++) key += String.fromCharCode(u8[at + i]);
          const exptime = items.u32[(item + L.ITEM_EXPTIME) >>> 2];
          const expiry = exptime === 0 ? -1 : exptime + items.processStarted;
          const access = items.u32[(item + L.ITEM_TIME) >>> 2] + items.processStarted;
          const fetched = (items.u16[(item + L.ITEM_FLAGS) >>> 1] & L.FLAG_FETCHED) !== 0 ? 'yes' : 'no';
          this.#core.writeText(
            `key=${encodeURIComponent(key)} exp=${expiry} la=${access} cas=${items.casOf(item)} fetch=${fetched} cls=${id} size=${items.totalBytes(item)}\n`,
          );
        }
      }
    }
    this.#core.write(R.END);
    return true;
  }

  /** `watch [EVENTS…]`: the connection gets the event log from now on, and nothing it sends is looked at any more. */
  #watch(conn: number, count: number): true {
    const core = this.#core;
    this.#line.noreplyMaybe(count);
    if (!core.settings.watchEnabled) return this.#say('CLIENT_ERROR watch commands not allowed');
    if (core.hasRepliesBefore(this.#line.tokenAt[0]!)) {
      return this.#say('ERROR cannot pipeline other commands before watch');
    }
    let events = count > 2 ? 0 : LOG_FETCHERS;
    for (let i = 1; i < count - 1; i++) {
      const event = WATCH_WORDS[this.#line.text(i)];
      if (event === undefined) return this.#say('ERROR');
      events |= event;
    }
    if (!core.watchers.reserve()) return this.#say('WATCHER_TOO_MANY log watcher limit reached');
    core.watch(conn, events);
    return true;
  }
}
