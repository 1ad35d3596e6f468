/** The ASCII commands `lru` and `lru_crawler`. */
import type { AsciiLine } from './ascii-line.ts';
import type { Core } from './core.ts';
import { CRAWL_BUSY, CRAWL_ERROR, CRAWL_EXPIRED, CRAWL_METADUMP, REMAINING_SIZE } from './crawler.ts';
import * as L from './layout.ts';
import { parseDouble } from './numbers.ts';
import * as R from './replies.ts';

const HOT_WARM_PCT_MAX = 80;
const CRAWLER_SLEEP_US_MAX = 1_000_000;

export class LruCommands {
  readonly #core: Core;
  readonly #line: AsciiLine;

  constructor(core: Core, line: AsciiLine) {
    this.#core = core;
    this.#line = line;
  }

  #say(text: string): true {
    this.#line.replyText(text);
    return true;
  }

  /** `lru tune|mode|temp_ttl`. @param count tokens, the closing one included */
  lru(count: number): true {
    if (count < 3) return this.#say('ERROR');
    const { settings } = this.#core;
    const line = this.#line;
    line.noreplyMaybe(count);
    const what = line.text(1);
    if (what === 'tune' && count >= 7) return this.#tune();
    if (count < 4 || !settings.lruMaintainer) return this.#say('ERROR');
    if (what === 'mode') {
      const mode = line.text(2);
      if (mode !== 'flat' && mode !== 'segmented') return this.#say('ERROR');
      settings.lruSegmented = mode === 'segmented';
      return this.#say('OK');
    }
    if (what !== 'temp_ttl') return this.#say('ERROR');
    const seconds = line.i32(2);
    if (Number.isNaN(seconds)) return this.#say('ERROR');
    settings.tempLru = seconds >= 0;
    if (seconds >= 0) settings.temporaryTtl = seconds;
    return this.#say('OK');
  }

  #tune(): true {
    const { settings } = this.#core;
    const line = this.#line;
    const hot = line.u32(2);
    const warm = line.u32(3);
    const hotFactor = parseDouble(line.text(4));
    const warmFactor = parseDouble(line.text(5));
    if (hot < 0 || warm < 0 || hotFactor === null || warmFactor === null) return this.#say('ERROR');
    // Their sum wraps as the original's 32 bits do.
    if ((hot + warm) >>> 0 > HOT_WARM_PCT_MAX) return this.#say('ERROR hot and warm pcts must not exceed 80');
    if (warmFactor <= 0 || hotFactor <= 0) return this.#say('ERROR hot/warm age factors must be greater than 0');
    settings.hotLruPct = hot;
    settings.warmLruPct = warm;
    settings.hotMaxFactor = hotFactor;
    settings.warmMaxFactor = warmFactor;
    return this.#say('OK');
  }

  /** `lru_crawler enable|disable|sleep|tocrawl|crawl|metadump`. @param count tokens, the closing one included */
  crawler(count: number, conn: number): true {
    const { settings } = this.#core;
    const line = this.#line;
    const what = count >= 3 ? line.text(1) : '';
    if (count === 4 && (what === 'crawl' || what === 'metadump')) {
      if (!settings.lruCrawler) return this.#say('CLIENT_ERROR lru crawler disabled');
      if (what === 'crawl') return this.#crawl(CRAWL_EXPIRED, conn);
      if (!settings.dumpEnabled) return this.#say('ERROR metadump not allowed');
      if (this.#core.input.hasRepliesBefore(line.tokenAt[0]!)) {
        return this.#say('ERROR cannot pipeline other commands before metadump');
      }
      return this.#crawl(CRAWL_METADUMP, conn);
    }
    if (count === 4 && (what === 'tocrawl' || what === 'sleep')) {
      const value = line.u32(2);
      if (value < 0) {
        line.reply(R.BAD_FORMAT);
        return true;
      }
      if (what === 'tocrawl') settings.lruCrawlerToCrawl = value;
      else if (value > CRAWLER_SLEEP_US_MAX) return this.#say('CLIENT_ERROR sleep must be one second or less');
      else settings.lruCrawlerSleep = value;
      return this.#say('OK');
    }
    if (count !== 3) return this.#say('ERROR');
    if (what === 'disable') {
      if (settings.lruCrawler && settings.verbose > 2) this.#core.hooks.log('LRU crawler thread stopping');
      settings.lruCrawler = false;
      return this.#say('OK');
    }
    if (what !== 'enable') return this.#say('ERROR');
    if (settings.lruCrawler) return this.#say('ERROR failed to start lru crawler thread');
    settings.lruCrawler = true;
    if (settings.verbose > 2) this.#core.hooks.log('Starting LRU crawler background thread');
    return this.#say('OK');
  }

  #crawl(type: number, conn: number): true {
    const core = this.#core;
    const ids = this.#lists();
    if (ids === undefined) return this.#say('BADCLASS invalid class id');
    const limit = type === CRAWL_METADUMP ? REMAINING_SIZE : core.settings.lruCrawlerToCrawl;
    const starts = core.crawler.start(type, ids, limit, conn);
    if (starts === CRAWL_BUSY) return this.#say('BUSY currently processing crawler request');
    if (starts === CRAWL_ERROR) return this.#say('ERROR an unknown error happened');
    if (starts === 0) return this.#say('NOTSTARTED no items to crawl');
    if (type === CRAWL_EXPIRED) return this.#say('OK');
    core.input.beginDump(conn);
    return true;
  }

  /** The LRUs named by "all" or by class numbers such as "1,3,10"; null for "hash". @returns undefined where there is no such class */
  #lists(): Uint8Array | null | undefined {
    const text = this.#line.text(2);
    if (text === 'hash') return null;
    const ids = new Uint8Array(L.LRU_COUNT);
    if (text === 'all') return ids.fill(1);
    const line = this.#line;
    let at = line.tokenAt[2]!;
    for (const word of text.split(',')) {
      const end = at + word.length;
      const id = line.u32At(at, end);
      at = end + 1;
      // Empty ones are skipped, as strtok does.
      if (word === '') continue;
      if (id < 1 || id >= L.CLASS_COUNT) return undefined;
      for (const lru of [L.LRU_HOT, L.LRU_WARM, L.LRU_COLD, L.LRU_TEMP]) ids[id | lru] = 1;
    }
    return ids;
  }
}
