/** The ASCII commands that change an item where it is: incr, decr, touch, delete. */
import type { AsciiLine } from './ascii-line.ts';
import type { Core } from './core.ts';
import { REALTIME_MAXDELTA } from './item-fields.ts';
import * as L from './layout.ts';
import { LOG_VERBOSE } from './logger.ts';
import { plainDecimal } from './numbers.ts';
import * as R from './replies.ts';
import * as S from './store.ts';

export class AsciiChange {
  readonly #core: Core;
  readonly #line: AsciiLine;

  constructor(core: Core, line: AsciiLine) {
    this.#core = core;
    this.#line = line;
  }

  touch(count: number) {
    const core = this.#core;
    const line = this.#line;
    const { items, counters } = core;
    line.noreplyMaybe(count);
    const keyAt = line.tokenAt[1];
    const nkey = line.tokenLength[1];
    if (nkey > L.KEY_BYTES_MAX) return line.reply(R.BAD_FORMAT);
    const exptime = line.i32(2);
    if (Number.isNaN(exptime)) return line.reply(R.BAD_EXPTIME);
    const hash = core.hash(core.view, keyAt, nkey);
    counters.touchCmds++;
    core.locks.item(hash);
    const item = items.find(hash, keyAt, nkey);
    if (item !== 0) {
      items.bump(item);
      items.u32[(item + L.ITEM_EXPTIME) >>> 2] = items.realTime(exptime < 0 ? REALTIME_MAXDELTA + 1 : exptime);
      counters.touchHits[core.u8[item + L.ITEM_CLSID] & L.CLASS_MASK]++;
    }
    core.locks.unlockItem(hash);
    if (item === 0) counters.touchMisses++;
    line.reply(item === 0 ? R.NOT_FOUND : R.TOUCHED);
  }

  arithmetic(count: number, up: boolean) {
    const core = this.#core;
    const line = this.#line;
    line.noreplyMaybe(count);
    if (line.tokenLength[1] > L.KEY_BYTES_MAX) return line.reply(R.BAD_FORMAT);
    const at = line.tokenAt[2];
    const plain = plainDecimal(core.u8, at, at + line.tokenLength[2]);
    const delta = plain >= 0 ? plain : line.u64(2);
    if (delta === null) return line.reply(R.BAD_DELTA);
    const keyAt = line.tokenAt[1];
    const nkey = line.tokenLength[1];
    const hash = core.hash(core.view, keyAt, nkey);
    core.locks.item(hash);
    const result = core.store.addDelta(hash, keyAt, nkey, up, delta, 0, 0);
    core.locks.unlockItem(hash);
    switch (result) {
      case S.DELTA_OK: {
        if (core.logger.wants(LOG_VERBOSE)) return line.replyText(String(core.store.deltaValue));
        if (line.noreply) return;
        const out = core.output.room(22);
        if (out === 0) return;
        const end = core.store.putDelta(out);
        core.u8[end] = 13;
        core.u8[end + 1] = 10;
        return core.output.wrote(end + 2);
      }
      case S.DELTA_NON_NUMERIC:
        return line.reply(R.NON_NUMERIC);
      case S.DELTA_NO_MEMORY:
        return line.reply(R.OUT_OF_MEMORY);
      default:
        if (up) core.counters.incrMisses++;
        else core.counters.decrMisses++;
        return line.reply(R.NOT_FOUND);
    }
  }

  delete(count: number) {
    const core = this.#core;
    const line = this.#line;
    const { items, counters } = core;
    if (count > 3) {
      // An old form carried a time to hold the key back; only 0 is left of it.
      const holdIsZero = line.is(2, R.ZERO);
      const quiet = line.noreplyMaybe(count);
      const valid = (count === 4 && (holdIsZero || quiet)) || (count === 5 && holdIsZero && quiet);
      if (!valid) return line.reply(R.DELETE_USAGE);
    }
    const keyAt = line.tokenAt[1];
    const nkey = line.tokenLength[1];
    if (nkey > L.KEY_BYTES_MAX) return line.reply(R.BAD_FORMAT);
    if (core.settings.detailEnabled) core.prefixes.recordDelete(core.u8, keyAt, nkey);
    const hash = core.hash(core.view, keyAt, nkey);
    core.locks.item(hash);
    const item = items.find(hash, keyAt, nkey);
    if (item !== 0) {
      counters.deleteHits[core.u8[item + L.ITEM_CLSID] & L.CLASS_MASK]++;
      items.unlink(item, hash);
    }
    core.locks.unlockItem(hash);
    if (item === 0) counters.deleteMisses++;
    line.reply(item === 0 ? R.NOT_FOUND : R.DELETED);
  }
}
