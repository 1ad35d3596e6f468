/** The ASCII commands that store values: set, add, replace, append, prepend, cas. */

import type { AsciiLine } from './ascii-line.ts';
import type { Core } from './core.ts';
import { allocItem, needBytes } from './item-alloc.ts';
import { REALTIME_MAXDELTA } from './item-fields.ts';
import * as L from './layout.ts';
import { LOG_MUTATIONS, LOG_VERBOSE } from './logger.ts';
import * as R from './replies.ts';
import * as S from './store.ts';
import { STATUS_NO_MEMORY, STATUS_TOO_LARGE } from './watchers.ts';

/** Values up to this size are stored in one step when they are all there. */
const WHOLE_VALUE_BYTES_MAX = 8_192;
/** More than an item's header and key can take. */
const ITEM_OVERHEAD_MAX = 512;
/** Longest value that a length may announce. */
export const VALUE_BYTES_MAX = 2_147_483_647 - 2;

export class AsciiStore {
  readonly #core: Core;
  readonly #line: AsciiLine;
  /** No item with so small a value is chunked. */
  readonly wholeValueBytesMax: number;

  constructor(core: Core, line: AsciiLine) {
    this.#core = core;
    this.#line = line;
    this.wholeValueBytesMax = Math.min(WHOLE_VALUE_BYTES_MAX, core.settings.slabChunkSizeMax - ITEM_OVERHEAD_MAX);
  }

  /** `set KEY FLAGS EXPTIME BYTES\r\n` with plain numbers. @returns the offset behind the line, 0 for any other form */
  fast(conn: number, keyAt: number, end: number): number {
    const core = this.#core;
    const { u8 } = core;
    if (core.isTraced) return 0;
    let p = keyAt;
    while (p < end && u8[p] > 32) p++;
    const nkey = p - keyAt;
    if (nkey === 0 || nkey > L.KEY_BYTES_MAX || p >= end || u8[p] !== 32) return 0;
    const flagsAt = ++p;
    let flags = 0;
    for (; p < end && u8[p] >= 48 && u8[p] <= 57; p++) flags = flags * 10 + u8[p] - 48;
    const exptimeAt = p + 1;
    if (p === flagsAt || p - flagsAt > 9 || p >= end || u8[p] !== 32) return 0;
    let exptime = 0;
    for (p++; p < end && u8[p] >= 48 && u8[p] <= 57; p++) exptime = exptime * 10 + u8[p] - 48;
    const lengthAt = p + 1;
    if (p === exptimeAt || p - exptimeAt > 9 || p >= end || u8[p] !== 32) return 0;
    let length = 0;
    for (p++; p < end && u8[p] >= 48 && u8[p] <= 57; p++) length = length * 10 + u8[p] - 48;
    if (p === lengthAt || p - lengthAt > 9 || p + 1 >= end || u8[p] !== 13 || u8[p + 1] !== 10) return 0;
    core.connections.lastCommandTime[conn] = core.items.now;
    this.#line.noreply = false;
    const next = length + 2 <= end - p - 2 ? this.#storeWhole(keyAt, nkey, flags, exptime, p + 2, length + 2) : 0;
    if (next > 0) return next;
    if (next < 0) this.#refuse(conn, S.STORE_SET, keyAt, nkey, flags, length);
    else this.#begin(conn, S.STORE_SET, keyAt, nkey, flags, exptime, length, 0n);
    return p + 2;
  }

  /**
   * A set whose value is all there and needs no chunks.
   * @returns the offset behind the value, 0 when it must go the long way, -1 when there is no item to be had
   */
  #storeWhole(keyAt: number, nkey: number, flags: number, exptime: number, valueAt: number, nbytes: number): number {
    const core = this.#core;
    const { u8, items } = core;
    if (nbytes > this.wholeValueBytesMax) return 0;
    const item = allocItem(items, keyAt, nkey, flags, this.#realTime(exptime), nbytes);
    // Not tried again: each failure is counted, and has looked for something to evict.
    if (item === 0) return -1;
    S.copyBytes(core.memory, items.dataOf(item), valueAt, nbytes);
    const end = valueAt + nbytes;
    const isValid = u8[end - 2] === 13 && u8[end - 1] === 10;
    const hash = core.hash(core.view, keyAt, nkey);
    core.locks.item(hash);
    this.complete(item, S.STORE_SET, hash, isValid, false);
    items.release(item);
    core.locks.unlockItem(hash);
    return end;
  }

  /** A client's expiry time as relative time; a negative one lies in the past. */
  #realTime(exptime: number): number {
    return this.#core.items.realTime(exptime < 0 ? REALTIME_MAXDELTA + 1 : exptime);
  }

  storing(conn: number, count: number, how: number) {
    const line = this.#line;
    const least = how === S.STORE_CAS ? 7 : 6;
    if (count !== least && count !== least + 1) return this.#core.output.write(R.ERROR);
    line.noreplyMaybe(count);
    if (line.tokenLength[1] > L.KEY_BYTES_MAX) return line.reply(R.BAD_FORMAT);
    const flags = line.u32(2);
    const exptime = line.i32(3);
    const length = line.i32(4);
    if (flags < 0 || Number.isNaN(exptime) || Number.isNaN(length)) return line.reply(R.BAD_FORMAT);
    let cas = 0n;
    if (how === S.STORE_CAS) {
      const wanted = line.u64(5);
      if (wanted === null) return line.reply(R.BAD_FORMAT);
      cas = wanted;
    }
    if (length < 0 || length > VALUE_BYTES_MAX) return line.reply(R.BAD_FORMAT);
    this.#begin(conn, how, line.tokenAt[1], line.tokenLength[1], flags, exptime, length, cas);
  }

  #begin(
    conn: number,
    how: number,
    keyAt: number,
    nkey: number,
    flags: number,
    exptime: number,
    length: number,
    cas: bigint,
  ) {
    const core = this.#core;
    const { items } = core;
    if (core.settings.detailEnabled) core.prefixes.recordSet(core.u8, keyAt, nkey);
    const item = allocItem(items, keyAt, nkey, flags, this.#realTime(exptime), length + 2);
    if (item === 0) {
      this.#refuse(conn, how, keyAt, nkey, flags, length);
      return;
    }
    if (cas !== 0n) items.setCas(item, Number(cas >> 32n), Number(cas & 0xffffffffn));
    core.values.expect(conn, item, core.hash(core.view, keyAt, nkey), how, length + 2, this.#line.noreply);
  }

  /** There is no item for a value, which is swallowed. */
  #refuse(conn: number, how: number, keyAt: number, nkey: number, flags: number, length: number) {
    const core = this.#core;
    const tooLarge = this.countRefused(how, keyAt, nkey, flags, length + 2);
    // What could not be replaced would be stale.
    if (how === S.STORE_SET) this.forget(core.hash(core.view, keyAt, nkey), keyAt, nkey);
    const reply = tooLarge ? R.TOO_LARGE : R.OUT_OF_MEMORY_STORING;
    core.values.expectGarbage(conn, length + 2, this.#line.noreply ? null : reply);
  }

  /** Counts an item that could not be made. @returns whether it is too large; otherwise memory is short */
  countRefused(how: number, keyAt: number, nkey: number, flags: number, nbytes: number): boolean {
    const { items, counters, logger } = this.#core;
    const tooLarge = items.slabs.classOf(needBytes(items, nkey, flags, nbytes)) === 0;
    if (tooLarge) counters.storeTooLarge++;
    else counters.storeNoMemory++;
    if (logger.wants(LOG_MUTATIONS)) {
      logger.itemRefused(tooLarge ? STATUS_TOO_LARGE : STATUS_NO_MEMORY, how, keyAt, nkey);
    }
    return tooLarge;
  }

  /** Unlinks the item with a key, if there is one. */
  forget(hash: number, keyAt: number, nkey: number) {
    const { items, locks } = this.#core;
    locks.item(hash);
    const old = items.find(hash, keyAt, nkey);
    if (old !== 0) items.unlink(old, hash);
    locks.unlockItem(hash);
  }

  /** A value is all there. The caller holds the item and its key's lock. */
  complete(item: number, how: number, hash: number, isValid: boolean, quiet: boolean) {
    const core = this.#core;
    core.counters.setCmds[core.u8[item + L.ITEM_CLSID] & L.CLASS_MASK]++;
    if (!isValid) {
      if (!quiet) core.output.write(R.BAD_DATA_CHUNK);
      return;
    }
    const result = core.store.storeItem(item, how, hash);
    if (quiet && !core.logger.wants(LOG_VERBOSE)) return;
    let reply = R.NOT_STORED;
    if (result === S.RESULT_STORED) reply = R.STORED;
    else if (result === S.RESULT_EXISTS) reply = R.EXISTS;
    else if (result === S.RESULT_NOT_FOUND) reply = R.NOT_FOUND;
    if (quiet) core.verbose.reply(core.logger.conn, reply, false);
    else core.output.write(reply);
  }
}
