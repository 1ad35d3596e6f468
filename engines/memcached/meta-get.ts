/** `mg` and `me`: fetching, touching and inspecting an item. */

import { INLINE_VALUE_BYTES_MAX } from './ascii-get.ts';
import type { AsciiLine } from './ascii-line.ts';
import type { Core } from './core.ts';
import { allocItem } from './item-alloc.ts';
import * as L from './layout.ts';
import * as F from './meta-flags.ts';
import * as M from './meta-reply.ts';
import { putDecimal } from './numbers.ts';
import { BAD_FORMAT, bytesOf } from './replies.ts';
import { copyBytes } from './store.ts';

const FLAGS_TOO_LONG = bytesOf('CLIENT_ERROR options flags are too long\r\n');
const MISS = bytesOf('EN\r\n');
const CODE_EN = 0x454e;
const CODE_HD = 0x4844;
const CODE_ME = 0x4d45;
const CODE_VA = 0x5641;

export class MetaGet {
  readonly #core: Core;
  readonly #line: AsciiLine;
  readonly #flags: F.MetaFlags;
  /** Nothing follows the command in its batch: what it fetches need not be kept for it. */
  isLast = false;
  /** The item under way was made by this command; its client has won the right to fill it; its expiry time was set. */
  #isNew = false;
  #hasWon = false;
  #isTouch = false;

  constructor(core: Core, line: AsciiLine, flags: F.MetaFlags) {
    this.#core = core;
    this.#line = line;
    this.#flags = flags;
  }

  /** `mg KEY FLAGS`. */
  get(count: number) {
    const core = this.#core;
    const line = this.#line;
    const flags = this.#flags;
    if (line.tokenLength[1] > L.KEY_BYTES_MAX) return core.output.write(BAD_FORMAT);
    if (count > F.META_TOKENS_MAX) return core.output.write(FLAGS_TOO_LONG);
    if (!flags.parse(2)) return core.output.write(flags.error);
    const keyAt = line.tokenAt[1];
    const nkey = line.tokenLength[1];
    const hash = core.hash(core.view, keyAt, nkey);
    core.locks.item(hash);
    let item = core.items.find(hash, keyAt, nkey);
    this.#isNew = false;
    if (item === 0 && (flags.upper & F.VIVIFY) !== 0) item = this.#vivify(hash, keyAt, nkey);
    if (item !== 0) this.#hit(item, hash, count);
    core.locks.unlockItem(hash);
    if (item === 0) this.#miss(count);
  }

  /** Makes an empty item, so that one client fills it and the others know. */
  #vivify(hash: number, keyAt: number, nkey: number): number {
    const { items, u8 } = this.#core;
    const item = allocItem(items, keyAt, nkey, 0, 0, 2);
    if (item === 0) return 0;
    M.putLineEnd(u8, items.dataOf(item));
    items.link(item, hash);
    items.release(item);
    this.#isNew = true;
    return item;
  }

  #hit(item: number, hash: number, count: number) {
    const core = this.#core;
    const { u8, items, counters } = core;
    const { lower, upper } = this.#flags;
    const id = u8[item + L.ITEM_CLSID];
    // Where nothing is to be seen or changed before it, the fetch is noted first: it counts even if the command then fails.
    const late = (lower & F.BEFORE_FETCH) !== 0 || (upper & F.CHANGING) !== 0;
    if (!late && (lower & F.NO_UPDATE) === 0) items.bump(item);
    const nbytes = items.i32[(item + L.ITEM_NBYTES) >>> 2];
    const withValue = (lower & F.VALUE) !== 0;
    const isInline =
      withValue && nbytes <= INLINE_VALUE_BYTES_MAX && (items.u16[(item + L.ITEM_FLAGS) >>> 1] & L.FLAG_CHUNKED) === 0;
    let out = core.output.room(M.lineRoom(this.#flags, count) + (isInline ? nbytes : 0));
    if (out === 0) return;
    if (withValue) {
      out = M.putCode(u8, out, CODE_VA);
      u8[out] = 32;
      out = putDecimal(u8, out + 1, nbytes - 2);
    } else {
      out = M.putCode(u8, out, CODE_HD);
    }
    this.#hasWon = false;
    this.#isTouch = false;
    if (count > 3) {
      out = this.#putFlags(item, out);
      if (out === M.TOO_LONG) return core.output.write(M.OPAQUE_TOO_LONG);
    }
    out = M.putLineEnd(u8, this.#putMarks(item, out));
    if (isInline) {
      copyBytes(core.memory, out, items.dataOf(item), nbytes);
      core.output.wrote(out + nbytes);
    } else {
      core.output.wrote(out);
      if (withValue) core.output.writeValue(item, 0);
    }
    if (!this.isLast) core.kept.keep(item, hash);
    if (late && (lower & F.NO_UPDATE) === 0) items.bump(item);
    if (this.#isTouch) {
      counters.touchCmds++;
      counters.touchHits[id & L.CLASS_MASK]++;
    } else {
      counters.getCmds++;
      counters.lruHits[id]++;
    }
  }

  /** Does what the flags ask for, in their order. @returns the end of the answers, TOO_LONG for too long an opaque token */
  #putFlags(item: number, out: number): number {
    const { u8, items } = this.#core;
    const { tokenAt, tokenLength } = this.#line;
    const exptimeCell = (item + L.ITEM_EXPTIME) >>> 2;
    for (let i = 2; tokenLength[i] !== 0; i++) {
      switch (u8[tokenAt[i]]) {
        case 84: // T
          this.#isTouch = true;
          items.u32[exptimeCell] = this.#flags.exptime;
          break;
        case 78: // N
          if (!this.#isNew) break;
          items.u32[exptimeCell] = this.#flags.vivifyExptime;
          this.#hasWon = true;
          break;
        case 82: // R
          if (this.#isDueForRecache(item)) this.#hasWon = true;
          break;
        case 115: // s
          out = M.putNumber(u8, out, 115, items.i32[(item + L.ITEM_NBYTES) >>> 2] - 2);
          break;
        case 116: // t
          out = M.putTtl(u8, out, items.u32[exptimeCell], items.now);
          break;
        case 99: // c
          out = M.putNumber(u8, out, 99, items.casOf(item));
          break;
        case 102: // f
          out = M.putNumber(u8, out, 102, items.clientFlags(item));
          break;
        case 108: // l
          out = M.putNumber(u8, out, 108, items.now - items.u32[(item + L.ITEM_TIME) >>> 2]);
          break;
        case 104: // h
          out = M.putNumber(u8, out, 104, (items.u16[(item + L.ITEM_FLAGS) >>> 1] & L.FLAG_FETCHED) === 0 ? 0 : 1);
          break;
        case 79: // O
          if (tokenLength[i] > F.OPAQUE_BYTES_MAX) return M.TOO_LONG;
          out = M.putToken(items.memory, out, tokenAt[i], tokenLength[i]);
          break;
        case 107: // k
          out = M.putItemKey(items, out, item);
          break;
        default:
      }
    }
    return out;
  }

  #isDueForRecache(item: number): boolean {
    const { items } = this.#core;
    const exptime = items.u32[(item + L.ITEM_EXPTIME) >>> 2];
    const isSent = (items.u16[(item + L.ITEM_FLAGS) >>> 1] & L.FLAG_TOKEN_SENT) !== 0;
    return !isSent && !this.#isNew && exptime !== 0 && exptime < this.#flags.recacheTime;
  }

  /** Z: another client has won already; X: the value is stale; W: this client has won. */
  #putMarks(item: number, out: number): number {
    const { u8, items } = this.#core;
    const cell = (item + L.ITEM_FLAGS) >>> 1;
    const marks = items.u16[cell];
    if ((marks & (L.FLAG_TOKEN_SENT | L.FLAG_STALE)) === 0 && !this.#hasWon) return out;
    const isSent = (marks & L.FLAG_TOKEN_SENT) !== 0;
    if (isSent) out = M.putLetter(u8, out, 90);
    if ((marks & L.FLAG_STALE) !== 0) {
      out = M.putLetter(u8, out, 88);
      if (!isSent) this.#hasWon = true;
    }
    if (!this.#hasWon) return out;
    items.u16[cell] |= L.FLAG_TOKEN_SENT;
    return M.putLetter(u8, out, 87);
  }

  #miss(count: number) {
    const core = this.#core;
    const flags = this.#flags;
    core.counters.getCmds++;
    core.counters.getMisses++;
    if ((flags.lower & F.KEY) === 0 && (flags.upper & F.OPAQUE) === 0) {
      if ((flags.lower & F.QUIET) === 0) core.output.put(MISS);
      return;
    }
    let out = core.output.room(M.lineRoom(flags, count));
    if (out === 0) return;
    out = M.putRepeated(this.#line, flags, M.putCode(core.u8, out, CODE_EN));
    if (out === M.TOO_LONG) core.output.write(M.OPAQUE_TOO_LONG);
    else if ((flags.lower & F.QUIET) === 0) core.output.wrote(M.putLineEnd(core.u8, out));
  }

  /** `me KEY`: what is known of an item. */
  debug(count: number) {
    const core = this.#core;
    const line = this.#line;
    const { items, locks } = core;
    if (count < 3 || line.tokenLength[1] > L.KEY_BYTES_MAX) return core.output.write(BAD_FORMAT);
    if (line.tokenLength[2] === 1 && core.u8[line.tokenAt[2]] === 98 && !this.#flags.decodeKey()) {
      return core.output.write(BAD_FORMAT);
    }
    core.counters.metaCmds++;
    const keyAt = line.tokenAt[1];
    const nkey = line.tokenLength[1];
    const hash = core.hash(core.view, keyAt, nkey);
    locks.item(hash);
    const item = items.find(hash, keyAt, nkey);
    if (item === 0) core.output.write(MISS);
    else this.#putDebug(item);
    locks.unlockItem(hash);
  }

  #putDebug(item: number) {
    const core = this.#core;
    const { items, u8 } = core;
    const exptime = items.u32[(item + L.ITEM_EXPTIME) >>> 2];
    const isFetched = (items.u16[(item + L.ITEM_FLAGS) >>> 1] & L.FLAG_FETCHED) !== 0;
    const seconds = items.now - items.u32[(item + L.ITEM_TIME) >>> 2];
    const id = u8[item + L.ITEM_CLSID] & L.CLASS_MASK;
    // The original counts the time to live backwards.
    const expiry = exptime === 0 ? -1 : items.now - exptime;
    const text = `exp=${expiry} la=${seconds} cas=${items.casOf(item)} fetch=${isFetched ? 'yes' : 'no'} cls=${id} size=${items.totalBytes(item)}\r\n`;
    let out = core.output.room(M.KEY_ROOM + text.length + 4);
    if (out === 0) return;
    out = M.putCode(u8, out, CODE_ME);
    u8[out] = 32;
    out = M.putKeyText(core.memory, out + 1, items.keyOf(item), u8[item + L.ITEM_NKEY], M.isKeyBinary(items, item));
    u8[out++] = 32;
    for (let i = 0; i < text.length; i++) u8[out + i] = text.charCodeAt(i);
    core.output.wrote(out + text.length);
  }
}
