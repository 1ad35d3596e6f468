/** The ASCII commands that concern slab pages: `slabs reassign`, `slabs automove`, `cache_memlimit`. None is hot. */
import type { AsciiCommands } from './ascii-commands.ts';
import type { Core } from './core.ts';
import { parseDouble } from './numbers.ts';
import * as R from './replies.ts';
import { REASSIGN_BAD_CLASS, REASSIGN_BUSY, REASSIGN_NO_SPARE, REASSIGN_OK, REASSIGN_SAME } from './slab-mover.ts';

const MEBIBYTE = 1024 * 1024;
/** The original refuses less. */
const MEMLIMIT_MIN_MB = 8;
const MEMLIMIT_MAX_MB = 1_000_000_000;
const AUTOMOVE_MAX = 2;

const REASSIGN_REPLIES: Readonly<Record<number, string>> = {
  [REASSIGN_OK]: 'OK',
  [REASSIGN_BUSY]: 'BUSY currently processing reassign request',
  [REASSIGN_BAD_CLASS]: 'BADCLASS invalid src or dst class id',
  [REASSIGN_NO_SPARE]: 'NOSPARE source class has no spare pages',
  [REASSIGN_SAME]: 'SAME src and dst class are identical',
};

export class SlabCommands {
  readonly #core: Core;
  readonly #line: AsciiCommands;

  constructor(core: Core, line: AsciiCommands) {
    this.#core = core;
    this.#line = line;
  }

  #say(text: string): true {
    this.#line.replyText(text);
    return true;
  }

  /** `cache_memlimit MEGABYTES`. @param count tokens, the closing one included */
  memlimit(count: number): true {
    if (count !== 3 && count !== 4) return this.#say('ERROR');
    const { settings, items, hooks } = this.#core;
    this.#line.noreplyMaybe(count);
    const megabytes = this.#line.u32(1);
    if (megabytes < 0) return this.#say('ERROR');
    if (megabytes < MEMLIMIT_MIN_MB) return this.#say('MEMLIMIT_TOO_SMALL cannot set maxbytes to less than 8m');
    if (megabytes > MEMLIMIT_MAX_MB) {
      return this.#say('MEMLIMIT_ADJUST_FAILED input value is megabytes not bytes');
    }
    if (!items.slabs.setLimit(megabytes * MEBIBYTE)) {
      return this.#say('MEMLIMIT_ADJUST_FAILED out of bounds or unable to adjust');
    }
    settings.maxBytes = megabytes * MEBIBYTE;
    if (settings.verbose > 0) hooks.log(`maxbytes adjusted to ${megabytes}m`);
    return this.#say('OK');
  }

  /** `slabs …`. @param count tokens, the closing one included */
  slabs(count: number): true {
    const line = this.#line;
    if (count === 5 && line.text(1) === 'reassign') return this.#reassign();
    if (count < 4 || line.text(1) !== 'automove') return this.#say('ERROR');
    line.noreplyMaybe(count);
    const { settings } = this.#core;
    if (line.text(2) === 'ratio') {
      const ratio = count < 5 ? null : parseDouble(line.text(3));
      if (ratio === null) return this.#say('ERROR');
      settings.slabAutomoveRatio = ratio;
    } else {
      const level = line.u32(2);
      if (level < 0) {
        line.reply(R.BAD_FORMAT);
        return true;
      }
      if (level > AUTOMOVE_MAX) return this.#say('ERROR');
      settings.slabAutomove = level;
    }
    return this.#say('OK');
  }

  #reassign(): true {
    const { settings, items } = this.#core;
    if (!settings.slabReassign) return this.#say('CLIENT_ERROR slab reassignment disabled');
    const source = this.#line.i32(2);
    const destination = this.#line.i32(3);
    if (Number.isNaN(source) || Number.isNaN(destination)) {
      this.#line.reply(R.BAD_FORMAT);
      return true;
    }
    return this.#say(REASSIGN_REPLIES[items.mover.request(source, destination)]!);
  }
}
