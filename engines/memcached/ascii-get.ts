/** The ASCII commands that answer values: get, gets, bget, gat, gats. */
import { copyShort } from '../base/short-bytes.ts';
import type { AsciiLine } from './ascii-line.ts';
import type { Core } from './core.ts';
import { REALTIME_MAXDELTA } from './item-fields.ts';
import * as L from './layout.ts';
import { LOG_VERBOSE } from './logger.ts';
import { putDecimal } from './numbers.ts';
import * as R from './replies.ts';
import { copyBytes } from './store.ts';

/** `VALUE `, flags, length, CAS, line ends and `END`, without the key. */
const VALUE_LINE_BYTES = 6 + 11 + 11 + 21 + 2 + 2 + 5;
/** Longer lines are left to the long way, which knows the limits. */
const FAST_LINE_BYTES_MAX = 16_000;
/** A value up to this size is written together with its line. */
export const INLINE_VALUE_BYTES_MAX = 1_024;

export class AsciiGet {
  readonly #core: Core;
  readonly #line: AsciiLine;

  constructor(core: Core, line: AsciiLine) {
    this.#core = core;
    this.#line = line;
  }

  /** `get KEY\r\n` with one ordinary key. @returns the offset behind it, 0 for any other form */
  fast(conn: number, keyAt: number, end: number): number {
    const core = this.#core;
    const { u8, items } = core;
    let p = keyAt;
    while (p < end && u8[p] > 32) p++;
    const nkey = p - keyAt;
    if (nkey === 0 || nkey > L.KEY_BYTES_MAX || p + 1 >= end || core.isTraced) return 0;
    if (u8[p] !== 13 || u8[p + 1] !== 10) return u8[p] === 32 ? this.#fastMany(conn, keyAt, end) : 0;
    core.connections.lastCommandTime[conn] = items.now;
    const hash = core.hash(core.view, keyAt, nkey);
    core.counters.getCmds++;
    core.locks.item(hash);
    const item = items.find(hash, keyAt, nkey);
    if (item === 0) {
      core.locks.unlockItem(hash);
      core.counters.getMisses++;
      core.output.write(R.END);
    } else {
      core.counters.lruHits[u8[item + L.ITEM_CLSID]]++;
      items.bump(item);
      this.#writeItem(item, nkey, false);
      core.locks.unlockItem(hash);
      core.output.write(R.END);
    }
    core.kept.release();
    return p + 2;
  }

  /** `get KEY KEY …\r\n` with ordinary keys. @returns the offset behind it, 0 for any other form */
  #fastMany(conn: number, firstAt: number, end: number): number {
    const core = this.#core;
    const { u8 } = core;
    let p = firstAt;
    // One key that is too long spoils the whole command, so all are looked at first.
    for (let start = p; p < end; p++) {
      if (u8[p] > 32) continue;
      if (p - start > L.KEY_BYTES_MAX) return 0;
      if (u8[p] !== 32) break;
      start = p + 1;
    }
    if (p + 1 >= end || u8[p] !== 13 || u8[p + 1] !== 10 || p - firstAt > FAST_LINE_BYTES_MAX) return 0;
    core.connections.lastCommandTime[conn] = core.items.now;
    for (let at = firstAt; at < p; at++) {
      const keyAt = at;
      while (u8[at] > 32) at++;
      if (at > keyAt) this.#one(keyAt, at - keyAt, false, 0, false);
    }
    core.output.write(R.END);
    core.kept.release();
    return p + 2;
  }

  /** `VALUE` line and value. */
  #writeItem(item: number, nkey: number, withCas: boolean) {
    const core = this.#core;
    const { items } = core;
    const nbytes = items.i32[(item + L.ITEM_NBYTES) >>> 2];
    const isSmall = nbytes <= INLINE_VALUE_BYTES_MAX && (items.u16[(item + L.ITEM_FLAGS) >>> 1] & L.FLAG_CHUNKED) === 0;
    const room = VALUE_LINE_BYTES + nkey;
    let out = core.output.room(isSmall ? room + nbytes : room);
    if (out === 0) return;
    out = this.#valueLine(out, item, nkey, nbytes, withCas);
    if (isSmall) {
      copyBytes(core.memory, out, items.dataOf(item), nbytes);
      core.output.wrote(out + nbytes);
    } else {
      core.output.wrote(out);
      core.output.writeValue(item, 0);
    }
  }

  /** `VALUE key flags bytes[ cas]\r\n` into room that is there. @returns its end */
  #valueLine(out: number, item: number, nkey: number, nbytes: number, withCas: boolean): number {
    const { u8, view, items } = this.#core;
    u8[out] = 86;
    u8[out + 1] = 65;
    u8[out + 2] = 76;
    u8[out + 3] = 85;
    u8[out + 4] = 69;
    u8[out + 5] = 32;
    out += 6;
    const key = items.keyOf(item);
    copyShort(view, out, key, nkey);
    out += nkey;
    u8[out++] = 32;
    const flags = items.clientFlags(item);
    if (flags === 0) u8[out++] = 48;
    else out = putDecimal(u8, out, flags);
    u8[out++] = 32;
    out = putDecimal(u8, out, nbytes - 2);
    if (withCas) {
      u8[out++] = 32;
      out = putDecimal(u8, out, items.casOf(item));
    }
    u8[out] = 13;
    u8[out + 1] = 10;
    return out + 2;
  }

  /** get, gets, bget. */
  get(withCas: boolean) {
    this.#keys(1, withCas, 0, false);
  }

  getAndTouch(withCas: boolean) {
    const exptime = this.#line.i32(1);
    if (Number.isNaN(exptime)) return this.#core.output.write(R.BAD_EXPTIME);
    this.#keys(2, withCas, this.#core.items.realTime(exptime < 0 ? REALTIME_MAXDELTA + 1 : exptime), true);
  }

  /** The keys from token `first` on, and those that did not fit into the tokens. */
  #keys(first: number, withCas: boolean, exptime: number, touch: boolean) {
    const core = this.#core;
    const line = this.#line;
    if (!this.#keysAreShort(first)) {
      core.output.write(R.BAD_FORMAT);
      core.kept.release();
      return;
    }
    let isFirst = true;
    for (let token = first; ; ) {
      for (; line.tokenLength[token] !== 0; token++) {
        if (!isFirst) core.nextReply();
        isFirst = false;
        this.#one(line.tokenAt[token], line.tokenLength[token], withCas, exptime, touch);
      }
      if (line.restAt === 0) break;
      line.tokenize(line.restAt, line.lineEnd);
      token = 0;
    }
    core.output.write(R.END);
    core.kept.release();
  }

  /** One key that is too long spoils the whole command, so all are looked at before the first reply is written. */
  #keysAreShort(first: number): boolean {
    const { u8 } = this.#core;
    const line = this.#line;
    const end = line.lineEnd;
    const start = line.tokenLength[first] === 0 ? end : line.tokenAt[first];
    if (end - start <= L.KEY_BYTES_MAX) return true;
    let length = 0;
    for (let p = start; p < end && u8[p] !== 0; p++) {
      length = u8[p] === 32 ? 0 : length + 1;
      if (length > L.KEY_BYTES_MAX) return false;
    }
    return true;
  }

  #one(keyAt: number, nkey: number, withCas: boolean, exptime: number, touch: boolean) {
    const core = this.#core;
    const { items, counters } = core;
    const hash = core.hash(core.view, keyAt, nkey);
    core.locks.item(hash);
    const item = items.find(hash, keyAt, nkey);
    if (touch) counters.touchCmds++;
    else counters.getCmds++;
    if (item === 0) {
      core.locks.unlockItem(hash);
      if (touch) counters.touchMisses++;
      else counters.getMisses++;
    } else {
      const id = core.u8[item + L.ITEM_CLSID];
      items.bump(item);
      if (touch) {
        items.u32[(item + L.ITEM_EXPTIME) >>> 2] = exptime;
        counters.touchHits[id & L.CLASS_MASK]++;
      } else {
        counters.lruHits[id]++;
      }
      if (core.logger.wants(LOG_VERBOSE)) core.verbose.sendingKey(core.logger.conn, keyAt, nkey);
      this.#writeItem(item, nkey, withCas);
      core.locks.unlockItem(hash);
    }
    if (core.settings.detailEnabled) core.prefixes.recordGet(core.u8, keyAt, nkey, item !== 0);
  }
}
