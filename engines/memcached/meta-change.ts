/** `ms`, `md` and `ma`: storing, deleting or marking, counting. */

import type { AsciiLine } from './ascii-line.ts';
import { type AsciiStore, VALUE_BYTES_MAX } from './ascii-store.ts';
import type { Core } from './core.ts';
import { allocItem } from './item-alloc.ts';
import * as L from './layout.ts';
import * as F from './meta-flags.ts';
import * as M from './meta-reply.ts';
import { digitsOf, putDecimal, putU64 } from './numbers.ts';
import * as R from './replies.ts';
import { bytesOf } from './replies.ts';
import * as S from './store.ts';

const FLAGS_TOO_LONG = bytesOf('CLIENT_ERROR options flags too long\r\n');
const BAD_FLAG = bytesOf('CLIENT_ERROR invalid or duplicate flag\r\n');
const BAD_MS_MODE = bytesOf('CLIENT_ERROR invalid mode for ms M token\r\n');
const BAD_MA_MODE = bytesOf('CLIENT_ERROR invalid mode for ma M token\r\n');
const NO_MEMORY_FOR_ITEM = bytesOf('SERVER_ERROR Out of memory allocating new item\r\n');

/** A value's `how` (STORE_…) with these bits came by `ms`. */
const HOW_META = 8;
/** It may replace a newer value, and is stale then. */
const HOW_STALE = 16;
/** Its reply carries more than the code. */
const HOW_ANSWERS = 32;
const HOW_MASK = 7;

const CODE_EX = 0x4558;
const CODE_HD = 0x4844;
const CODE_NF = 0x4e46;
const CODE_NS = 0x4e53;
const CODE_VA = 0x5641;
/** Codes by RESULT_…. */
const RESULT_CODES = [CODE_NS, CODE_HD, CODE_EX, CODE_NF];

/** Room for what an `ms` is to repeat: opaque token, k, c. */
const ANSWERS_BYTES_MAX = F.OPAQUE_BYTES_MAX + 8;
const DIGITS_MAX = 20;

export class MetaChange {
  readonly #core: Core;
  readonly #line: AsciiLine;
  readonly #flags: F.MetaFlags;
  readonly #store: AsciiStore;
  /** What the reply to the `ms` under way is to carry: letters, an opaque token with a space behind it. */
  readonly #answers = new Uint8Array(ANSWERS_BYTES_MAX);
  #answersLength = 0;
  /** The same for connections whose value is still coming. */
  readonly #waiting = new Map<number, Uint8Array>();

  constructor(core: Core, line: AsciiLine, flags: F.MetaFlags, store: AsciiStore) {
    this.#core = core;
    this.#line = line;
    this.#flags = flags;
    this.#store = store;
  }

  // ---- ms

  /**
   * `ms KEY LENGTH FLAGS`.
   * @param valueAt where the value begins if it may be there already, else 0
   * @param end of what is there
   * @returns the offset behind the value if it was there, else `valueAt`
   */
  set(conn: number, count: number, valueAt: number, end: number): number {
    const core = this.#core;
    const line = this.#line;
    const flags = this.#flags;
    const length = this.#lengthOf(count);
    if (length < 0) return valueAt;
    const nbytes = length + 2;
    const mode = this.#prepare();
    if (mode === 0) {
      core.values.expectGarbage(conn, nbytes, flags.error);
      return valueAt;
    }
    const { items } = core;
    const keyAt = line.tokenAt[1];
    const nkey = line.tokenLength[1];
    const clientFlags = (flags.upper & F.CLIENT_FLAGS) !== 0 ? flags.clientFlags : 0;
    const exptime = (flags.upper & F.TTL) !== 0 ? flags.exptime : 0;
    const hash = core.hash(core.view, keyAt, nkey);
    const item = allocItem(items, keyAt, nkey, clientFlags, exptime, nbytes);
    if (item === 0) {
      const tooLarge = this.#store.countRefused(mode, keyAt, nkey, clientFlags, nbytes);
      // What could not be replaced would be stale, whatever the mode.
      this.#store.forget(hash, keyAt, nkey);
      core.values.expectGarbage(conn, nbytes, tooLarge ? R.TOO_LARGE : R.OUT_OF_MEMORY_STORING);
      return valueAt;
    }
    if ((flags.upper & F.CAS) !== 0) items.setCas(item, flags.casHigh, flags.casLow);
    if ((flags.lower & F.BINARY) !== 0) items.u16[(item + L.ITEM_FLAGS) >>> 1] |= L.FLAG_KEY_BINARY;
    let how = mode | HOW_META;
    if ((flags.upper & F.INVALIDATE) !== 0) how |= HOW_STALE;
    if (this.#answersLength > 0) how |= HOW_ANSWERS;
    const quiet = (flags.lower & F.QUIET) !== 0;
    if (valueAt === 0 || nbytes > end - valueAt || nbytes > this.#store.wholeValueBytesMax) {
      if (this.#answersLength > 0) this.#waiting.set(conn, this.#answers.slice(0, this.#answersLength));
      core.values.expect(conn, item, hash, how, nbytes, quiet);
      return valueAt;
    }
    const { u8 } = core;
    const next = valueAt + nbytes;
    S.copyBytes(core.memory, items.dataOf(item), valueAt, nbytes);
    core.locks.item(hash);
    this.#finish(item, how, hash, u8[next - 2] === 13 && u8[next - 1] === 10, quiet);
    items.release(item);
    core.locks.unlockItem(hash);
    return next;
  }

  /** Length of the value; -1 after an error that leaves no value to be swallowed. */
  #lengthOf(count: number): number {
    const core = this.#core;
    const line = this.#line;
    if (line.tokenLength[1] > L.KEY_BYTES_MAX || count === 3) {
      core.output.write(R.BAD_FORMAT);
      return -1;
    }
    if (count > F.META_TOKENS_MAX) {
      core.output.write(FLAGS_TOO_LONG);
      return -1;
    }
    const length = line.i32(2);
    // Not a number fails both comparisons.
    if (length >= 0 && length <= VALUE_BYTES_MAX) return length;
    core.output.write(R.BAD_FORMAT);
    return -1;
  }

  /** Reads flags, mode and answers. @returns STORE_…, 0 for an error that stands in the flags */
  #prepare(): number {
    const flags = this.#flags;
    this.#answersLength = 0;
    if (!flags.parse(3)) return 0;
    const mode = this.#mode();
    if (mode === 0) {
      flags.error = BAD_MS_MODE;
      return 0;
    }
    const wantsAnswers = (flags.lower & (F.KEY | F.CAS_WANTED)) !== 0 || (flags.upper & F.OPAQUE) !== 0;
    if (!wantsAnswers || this.#noteAnswers()) return mode;
    flags.error = M.OPAQUE_TOO_LONG;
    return 0;
  }

  /** @returns STORE_…, 0 for an unknown mode */
  #mode(): number {
    const { upper, mode } = this.#flags;
    const hasCas = (upper & F.CAS) !== 0;
    if ((upper & F.MODE) === 0) return hasCas ? S.STORE_CAS : S.STORE_SET;
    switch (mode) {
      case 83: // S
        return hasCas ? S.STORE_CAS : S.STORE_SET;
      case 82: // R
        return hasCas ? S.STORE_CAS : S.STORE_REPLACE;
      case 69: // E
        return S.STORE_ADD;
      case 65: // A
        return S.STORE_APPEND;
      case 80: // P
        return S.STORE_PREPEND;
      default:
        return 0;
    }
  }

  /** @returns false when the opaque token is too long */
  #noteAnswers(): boolean {
    const { u8 } = this.#core;
    const { tokenAt, tokenLength } = this.#line;
    const answers = this.#answers;
    let length = 0;
    for (let i = 3; tokenLength[i] !== 0; i++) {
      const letter = u8[tokenAt[i]];
      if (letter === 79) {
        if (tokenLength[i] > F.OPAQUE_BYTES_MAX) return false;
        for (let j = 0; j < tokenLength[i]; j++) answers[length++] = u8[tokenAt[i] + j];
        answers[length++] = 32;
      } else if (letter === 107 || letter === 99) {
        answers[length++] = letter;
      }
    }
    this.#answersLength = length;
    return true;
  }

  /** A value that came later is all there. The caller holds the item and its key's lock. */
  complete(conn: number, item: number, how: number, hash: number, isValid: boolean, quiet: boolean) {
    this.#answersLength = 0;
    if ((how & HOW_ANSWERS) !== 0) {
      const answers = this.#waiting.get(conn)!;
      this.#waiting.delete(conn);
      this.#answers.set(answers);
      this.#answersLength = answers.length;
    }
    this.#finish(item, how, hash, isValid, quiet);
  }

  #finish(item: number, how: number, hash: number, isValid: boolean, quiet: boolean) {
    const core = this.#core;
    const { u8, items, store } = core;
    core.counters.setCmds[u8[item + L.ITEM_CLSID] & L.CLASS_MASK]++;
    if (!isValid) return core.output.write(R.BAD_DATA_CHUNK);
    const result = store.storeItem(item, how & HOW_MASK, hash, (how & HOW_STALE) !== 0);
    if (quiet && result === S.RESULT_STORED) return;
    let out = core.output.room(64 + M.KEY_ROOM);
    if (out === 0) return;
    out = M.putCode(u8, out, RESULT_CODES[result]);
    const answers = this.#answers;
    for (let i = 0; i < this.#answersLength; i++) {
      if (answers[i] === 107) {
        out = M.putItemKey(items, out, item);
      } else if (answers[i] === 99) {
        out = M.putNumber(u8, out, 99, result === S.RESULT_STORED ? store.casHigh * F.LIMB + store.casLow : 0);
      } else {
        u8[out++] = 32;
        for (; answers[i] !== 32; i++) u8[out++] = answers[i];
      }
    }
    core.output.wrote(M.putLineEnd(u8, out));
  }

  // ---- md

  delete(count: number) {
    const core = this.#core;
    const line = this.#line;
    const flags = this.#flags;
    const { u8, locks } = core;
    if (!this.#isAcceptable(count)) return;
    const keyAt = line.tokenAt[1];
    const nkey = line.tokenLength[1];
    const at = core.output.room(M.lineRoom(flags, count));
    if (at === 0) return;
    // What is to be repeated is written first, because it may fail the command.
    const out = M.putRepeated(line, flags, at + 2);
    if (out === M.TOO_LONG) return core.output.write(M.OPAQUE_TOO_LONG);
    const hash = core.hash(core.view, keyAt, nkey);
    locks.item(hash);
    const code = this.#deleteOne(hash, keyAt, nkey);
    locks.unlockItem(hash);
    if (code === CODE_HD && (flags.lower & F.QUIET) !== 0) return;
    M.putCode(u8, at, code);
    core.output.wrote(M.putLineEnd(u8, out));
  }

  #isAcceptable(count: number): boolean {
    const core = this.#core;
    if (this.#line.tokenLength[1] > L.KEY_BYTES_MAX) core.output.write(R.BAD_FORMAT);
    else if (count > F.META_TOKENS_MAX) core.output.write(FLAGS_TOO_LONG);
    else if (!this.#flags.parse(2)) core.output.write(BAD_FLAG);
    else return true;
    return false;
  }

  #deleteOne(hash: number, keyAt: number, nkey: number): number {
    const { u8, items, counters } = this.#core;
    const flags = this.#flags;
    const item = items.find(hash, keyAt, nkey);
    if (item === 0) {
      counters.deleteMisses++;
      return CODE_NF;
    }
    const hasCas = (flags.upper & F.CAS) !== 0;
    if (hasCas && (flags.casLow !== items.casLow(item) || flags.casHigh !== items.casHigh(item))) {
      counters.deleteMisses++;
      return CODE_EX;
    }
    if ((flags.upper & F.INVALIDATE) === 0) {
      counters.deleteHits[u8[item + L.ITEM_CLSID] & L.CLASS_MASK]++;
      items.unlink(item, hash);
      return CODE_HD;
    }
    if ((flags.upper & F.TTL) !== 0) items.u32[(item + L.ITEM_EXPTIME) >>> 2] = flags.exptime;
    const cell = (item + L.ITEM_FLAGS) >>> 1;
    // The next client that fetches it wins again.
    items.u16[cell] = (items.u16[cell] | L.FLAG_STALE) & ~L.FLAG_TOKEN_SENT;
    items.renewCas(item);
    return CODE_HD;
  }

  // ---- ma

  arithmetic(count: number) {
    const core = this.#core;
    const line = this.#line;
    const flags = this.#flags;
    const { locks } = core;
    if (!this.#isAcceptable(count)) return;
    const mode = (flags.upper & F.MODE) !== 0 ? flags.mode : 73;
    // I and +, D and -
    const up = mode === 73 || mode === 43;
    if (!up && mode !== 68 && mode !== 45) return core.output.write(BAD_MA_MODE);
    const keyAt = line.tokenAt[1];
    const nkey = line.tokenLength[1];
    const hash = core.hash(core.view, keyAt, nkey);
    const hasCas = (flags.upper & F.CAS) !== 0;
    const delta = (flags.upper & F.DELTA) !== 0 ? flags.delta : 1;
    locks.item(hash);
    const result = core.store.addDelta(
      hash,
      keyAt,
      nkey,
      up,
      delta,
      hasCas ? flags.casHigh : 0,
      hasCas ? flags.casLow : 0,
    );
    switch (result) {
      case S.DELTA_OK:
        this.#putCounter(count, false);
        break;
      case S.DELTA_NON_NUMERIC:
        core.output.write(R.NON_NUMERIC);
        break;
      case S.DELTA_NO_MEMORY:
        core.output.write(R.OUT_OF_MEMORY);
        break;
      case S.DELTA_NOT_FOUND:
        if ((flags.upper & F.VIVIFY) !== 0) this.#vivifyCounter(count, hash, keyAt, nkey);
        else {
          if (up) core.counters.incrMisses++;
          else core.counters.decrMisses++;
          this.#putCode(count, CODE_NF);
        }
        break;
      default:
        this.#putCode(count, CODE_EX);
    }
    locks.unlockItem(hash);
  }

  #putCode(count: number, code: number) {
    const core = this.#core;
    let out = core.output.room(M.lineRoom(this.#flags, count));
    if (out === 0) return;
    out = M.putRepeated(this.#line, this.#flags, M.putCode(core.u8, out, code));
    if (out === M.TOO_LONG) core.output.write(M.OPAQUE_TOO_LONG);
    else core.output.wrote(M.putLineEnd(core.u8, out));
  }

  /** Makes the counter that was not there. */
  #vivifyCounter(count: number, hash: number, keyAt: number, nkey: number) {
    const core = this.#core;
    const { items, store } = core;
    const initial = (this.#flags.upper & F.INITIAL) !== 0 ? this.#flags.initial : 0n;
    const digits = digitsOf(initial);
    const item = allocItem(items, keyAt, nkey, 0, 0, digits + 2);
    if (item === 0) return core.output.write(NO_MEMORY_FOR_ITEM);
    M.putLineEnd(core.u8, putU64(core.u8, items.dataOf(item), initial));
    // The key's lock has been held since it was missed: nobody else can have made it.
    store.storeItem(item, S.STORE_ADD, hash);
    items.release(item);
    store.noteNewCounter(item, initial, digits);
    this.#putCounter(count, true);
  }

  /** The reply with the item that was counted in. */
  #putCounter(count: number, isNew: boolean) {
    const core = this.#core;
    const { u8, items, store } = core;
    const { tokenAt, tokenLength } = this.#line;
    const flags = this.#flags;
    const item = store.deltaItem;
    const exptimeCell = (item + L.ITEM_EXPTIME) >>> 2;
    let exptime = items.u32[exptimeCell];
    const withValue = (flags.lower & F.VALUE) !== 0;
    let out = core.output.room(M.lineRoom(flags, count) + DIGITS_MAX + 2);
    if (out === 0) return;
    out = M.putCode(u8, out, withValue ? CODE_VA : CODE_HD);
    if (withValue) {
      u8[out] = 32;
      out = putDecimal(u8, out + 1, store.deltaDigits);
    }
    for (let i = 2; tokenLength[i] !== 0; i++) {
      switch (u8[tokenAt[i]]) {
        case 99: // c
          out = M.putNumber(u8, out, 99, items.casOf(item));
          break;
        case 116: // t
          out = M.putTtl(u8, out, exptime, items.now);
          break;
        case 84: // T
          // Where the number did not fit its item, the original sets the time of the item that has just been replaced.
          exptime = flags.exptime;
          if (!store.deltaReplaced) items.u32[exptimeCell] = exptime;
          break;
        case 78: // N
          if (!isNew) break;
          exptime = flags.vivifyExptime;
          items.u32[exptimeCell] = exptime;
          break;
        case 79: // O
          if (tokenLength[i] > F.OPAQUE_BYTES_MAX) return core.output.write(M.OPAQUE_TOO_LONG);
          out = M.putToken(core.memory, out, tokenAt[i], tokenLength[i]);
          break;
        case 107: // k
          out = M.putKey(core.memory, out, tokenAt[1], tokenLength[1], (flags.lower & F.BINARY) !== 0);
          break;
        default:
      }
    }
    // Only the plain success is kept quiet about.
    if ((flags.lower & F.QUIET) !== 0 && !isNew) return;
    if (withValue) out = store.putDelta(M.putLineEnd(u8, out));
    core.output.wrote(M.putLineEnd(u8, out));
  }
}
