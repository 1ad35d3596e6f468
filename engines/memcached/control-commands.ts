/** The ASCII commands that concern the server rather than an item: versions, limits, flushing. None is hot. */
import type { AsciiCommands } from './ascii-commands.ts';
import type { Core } from './core.ts';
import { CLOSE_NORMAL, CLOSE_SHUTDOWN, LOG_FETCHERS } from './logger.ts';
import { LruCommands } from './lru-commands.ts';
import * as R from './replies.ts';
import { WATCH_WORDS } from './watchers.ts';

const MEBIBYTE = 1024 * 1024;
/** The original refuses less. */
const MEMLIMIT_MIN_MB = 8;
const MEMLIMIT_MAX_MB = 1_000_000_000;
const VERBOSITY_MAX = 2;
/** Free chunks in two pages' worth must be there before a page may leave its class. */
const SPARE_PAGES_MIN = 2;

export class ControlCommands {
  readonly #core: Core;
  readonly #line: AsciiCommands;
  readonly #lru: LruCommands;

  constructor(core: Core, line: AsciiCommands) {
    this.#core = core;
    this.#line = line;
    this.#lru = new LruCommands(core, line);
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
        return this.#lru.lru(count);
      case 'lru_crawler':
        return this.#lru.crawler(count, conn);
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
