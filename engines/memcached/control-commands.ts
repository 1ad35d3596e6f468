/** The ASCII commands that concern the server rather than an item: versions, limits, flushing. None is hot. */
import type { AsciiCommands } from './ascii-commands.ts';
import type { Core } from './core.ts';
import { CLOSE_NORMAL, CLOSE_SHUTDOWN, LOG_FETCHERS } from './logger.ts';
import { LruCommands } from './lru-commands.ts';
import * as R from './replies.ts';
import { SlabCommands } from './slab-commands.ts';
import { WATCH_WORDS } from './watchers.ts';

const VERBOSITY_MAX = 2;

export class ControlCommands {
  readonly #core: Core;
  readonly #line: AsciiCommands;
  readonly #lru: LruCommands;
  readonly #slabs: SlabCommands;

  constructor(core: Core, line: AsciiCommands) {
    this.#core = core;
    this.#line = line;
    this.#lru = new LruCommands(core, line);
    this.#slabs = new SlabCommands(core, line);
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
        this.#core.connections.closeAfterOutput(conn, CLOSE_NORMAL);
        return true;
      case 'flush_all':
        if (count > 4) return this.#say('ERROR');
        return this.#flushAll(count);
      case 'verbosity':
        if (count !== 3 && count !== 4) return this.#say('ERROR');
        return this.#verbosity(count);
      case 'cache_memlimit':
        return this.#slabs.memlimit(count);
      case 'shutdown':
        return this.#shutdown(conn, count);
      case 'slabs':
        return this.#slabs.slabs(count);
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
      this.#line.reply(R.OK);
    }
    return true;
  }

  #shutdown(conn: number, count: number): true {
    if (!this.#core.settings.shutdownCommand) return this.#say('ERROR: shutdown not enabled');
    const mode = count === 3 ? this.#line.text(1) : '';
    if (count !== 2 && mode !== 'graceful') return this.#say('CLIENT_ERROR invalid shutdown mode');
    this.#core.connections.closeNow(conn, CLOSE_SHUTDOWN);
    this.#core.hooks.onShutdown(count === 2 ? 'shutdown' : 'shutdown-graceful');
    return true;
  }

  /** `watch [EVENTS…]`: the connection gets the event log from now on, and nothing it sends is looked at any more. */
  #watch(conn: number, count: number): true {
    const core = this.#core;
    this.#line.noreplyMaybe(count);
    if (!core.settings.watchEnabled) return this.#say('CLIENT_ERROR watch commands not allowed');
    if (core.input.hasRepliesBefore(this.#line.tokenAt[0]!)) {
      return this.#say('ERROR cannot pipeline other commands before watch');
    }
    let events = count > 2 ? 0 : LOG_FETCHERS;
    for (let i = 1; i < count - 1; i++) {
      const event = WATCH_WORDS[this.#line.text(i)];
      if (event === undefined) return this.#say('ERROR');
      events |= event;
    }
    if (!core.watchers.reserve()) return this.#say('WATCHER_TOO_MANY log watcher limit reached');
    core.handOver.watch(conn, events);
    return true;
  }
}
