/**
 * The ASCII protocol, server side. `get KEY` and the storing commands have paths of their own that read the line once;
 * every other line is cut into tokens as the original cuts it (at spaces, at most 24 of them, up to a NUL), because what it
 * accepts and how it words its refusals follows from that.
 *
 * In this file a token count includes the original's closing empty token, so that its limits can be read side by side.
 */

import { ControlCommands } from './control-commands.ts';
import type { Core } from './core.ts';
import { REALTIME_MAXDELTA } from './items.ts';
import * as L from './layout.ts';
import { parseI32, parseU32, parseU64, plainDecimal, putDecimal, putU64 } from './numbers.ts';
import * as R from './replies.ts';
import { bytesOf, equals } from './replies.ts';
import { StatsCommands } from './stats.ts';
import * as S from './store.ts';
import { VERSION } from './version.ts';

const TOKENS_MAX = 24;
/** A line without an end may not grow beyond this, unless it is a get of many keys. */
const LINE_BYTES_MAX = 2_048;
/** The original's read buffer: a longer line can never be seen whole there. */
const WHOLE_LINE_BYTES_MAX = 16_384;
/** Values up to this size are stored in one step when they are all there. */
const WHOLE_VALUE_BYTES_MAX = 8_192;
/** More than an item's header and key can take. */
const ITEM_OVERHEAD_MAX = 512;
/** Spaces in front of such a get that are put up with. */
const LEADING_SPACES_MAX = 100;
const VALUE_BYTES_MAX = 2_147_483_647 - 2;
/** `VALUE `, key, flags, length, CAS, line ends and `END`. */
const VALUE_LINE_BYTES = 6 + L.KEY_BYTES_MAX + 11 + 11 + 21 + 2 + 2 + 5;

/** What a line returns whose end has not come yet. */
const INCOMPLETE = -1;

export class AsciiCommands {
  readonly #core: Core;
  readonly #stats: StatsCommands;
  readonly #control: ControlCommands;
  /** The tokens of the line under way: offsets and lengths. */
  readonly tokenAt = new Float64Array(TOKENS_MAX);
  readonly tokenLength = new Int32Array(TOKENS_MAX);
  /** Where the part begins that did not fit into the tokens, 0 for none. */
  #restAt = 0;
  #lineEnd = 0;
  /** The command under way asked for no reply. */
  noreply = false;
  readonly outOfMemoryReading = R.OUT_OF_MEMORY_READING;

  /** No item with so small a value is chunked. */
  readonly #wholeValueBytesMax: number;

  constructor(core: Core) {
    this.#core = core;
    this.#wholeValueBytesMax = Math.min(WHOLE_VALUE_BYTES_MAX, core.settings.slabChunkSizeMax - ITEM_OVERHEAD_MAX);
    this.#stats = new StatsCommands(core);
    this.#control = new ControlCommands(core, this);
  }

  /** Executes the command that begins at `at`. @returns the offset behind its line, or -1 when the line is not all there */
  execute(conn: number, at: number, end: number): number {
    const { u8 } = this.#core;
    if (end - at > 6 && u8[at + 3] === 32) {
      const word = (u8[at] << 16) | (u8[at + 1] << 8) | u8[at + 2];
      if (word === 0x676574) {
        const next = this.#fastGet(conn, at + 4, end);
        if (next !== 0) return next;
      } else if (word === 0x736574) {
        const next = this.#fastSet(conn, at + 4, end);
        if (next !== 0) return next;
      }
    }
    let eol = at;
    while (eol < end && u8[eol] !== 10) eol++;
    if (eol === end || eol - at >= WHOLE_LINE_BYTES_MAX) {
      const next = this.#unended(conn, at, end);
      if (eol === end || next >= 0) return next;
    }
    this.#core.lastCommandTime[conn] = this.#core.items.now;
    this.#line(conn, at, eol - at > 1 && u8[eol - 1] === 13 ? eol - 1 : eol);
    return eol + 1;
  }

  #unended(conn: number, at: number, end: number): number {
    if (end - at <= LINE_BYTES_MAX) return INCOMPLETE;
    const { u8 } = this.#core;
    let first = at;
    while (first < end && u8[first] === 32) first++;
    const isGet = equals(u8, first, 4, R.GET_SPACE) || equals(u8, first, 5, R.GETS_SPACE);
    if (first - at <= LEADING_SPACES_MAX && isGet) return INCOMPLETE;
    this.#core.closeNow(conn);
    return end;
  }

  /** `get KEY\r\n` with one ordinary key. @returns the offset behind it, 0 for any other form */
  #fastGet(conn: number, keyAt: number, end: number): number {
    const core = this.#core;
    const { u8, items } = core;
    let p = keyAt;
    while (p < end && u8[p] > 32) p++;
    const nkey = p - keyAt;
    if (nkey === 0 || nkey > L.KEY_BYTES_MAX || p + 1 >= end || u8[p] !== 13 || u8[p + 1] !== 10) return 0;
    if (core.settings.detailEnabled) return 0;
    core.lastCommandTime[conn] = items.now;
    const item = items.find(core.hash(u8, keyAt, nkey), keyAt, nkey);
    core.counters.getCmds++;
    if (item === 0) {
      core.counters.getMisses++;
      core.write(R.END);
      return p + 2;
    }
    core.counters.lruHits[u8[item + L.ITEM_CLSID]]++;
    items.bump(item);
    const nbytes = items.i32[(item + L.ITEM_NBYTES) >>> 2];
    const small = nbytes <= 1_024;
    let out = core.room(small ? VALUE_LINE_BYTES + nbytes : VALUE_LINE_BYTES);
    if (out === 0) return p + 2;
    out = this.#valueLine(out, item, nkey, nbytes, false);
    if (small && (items.u16[(item + L.ITEM_FLAGS) >>> 1] & L.FLAG_CHUNKED) === 0) {
      S.copyBytes(core.memory, out, items.dataOf(item), nbytes);
      out += nbytes;
      u8[out] = 69;
      u8[out + 1] = 78;
      u8[out + 2] = 68;
      u8[out + 3] = 13;
      u8[out + 4] = 10;
      core.wrote(out + 5);
      return p + 2;
    }
    core.wrote(out);
    core.writeValue(item, 0);
    core.write(R.END);
    return p + 2;
  }

  /** `VALUE key flags bytes[ cas]\r\n` into room that is there. @returns its end */
  #valueLine(out: number, item: number, nkey: number, nbytes: number, withCas: boolean): number {
    const { u8, items } = this.#core;
    u8[out] = 86;
    u8[out + 1] = 65;
    u8[out + 2] = 76;
    u8[out + 3] = 85;
    u8[out + 4] = 69;
    u8[out + 5] = 32;
    out += 6;
    const key = items.keyOf(item);
    for (let i = 0; i < nkey; i++) u8[out + i] = u8[key + i];
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

  /** `set KEY FLAGS EXPTIME BYTES\r\n` with plain numbers. @returns the offset behind the line, 0 for any other form */
  #fastSet(conn: number, keyAt: number, end: number): number {
    const core = this.#core;
    const { u8 } = core;
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
    core.lastCommandTime[conn] = core.items.now;
    this.noreply = false;
    const next = length + 2 <= end - p - 2 ? this.#storeWhole(keyAt, nkey, flags, exptime, p + 2, length + 2) : 0;
    if (next !== 0) return next;
    this.#beginStore(conn, S.STORE_SET, keyAt, nkey, flags, exptime, length, 0n);
    return p + 2;
  }

  /** A set whose value is all there and needs no chunks. @returns the offset behind the value, 0 when it must go the long way */
  #storeWhole(keyAt: number, nkey: number, flags: number, exptime: number, valueAt: number, nbytes: number): number {
    const core = this.#core;
    const { u8, items } = core;
    if (nbytes > this.#wholeValueBytesMax || core.settings.detailEnabled) return 0;
    const item = items.alloc(keyAt, nkey, flags, this.#realTime(exptime), nbytes);
    if (item === 0) return 0;
    S.copyBytes(core.memory, items.dataOf(item), valueAt, nbytes);
    const end = valueAt + nbytes;
    const isValid = u8[end - 2] === 13 && u8[end - 1] === 10;
    this.complete(item, S.STORE_SET, core.hash(u8, keyAt, nkey), isValid, false);
    items.release(item);
    return end;
  }

  /** Any other line: [at, end). */
  #line(conn: number, at: number, end: number) {
    this.noreply = false;
    const count = this.#tokenize(at, end);
    if (count < 2 || this.tokenLength[0] < 2) {
      this.#core.write(R.ERROR);
      return;
    }
    this.#dispatch(conn, count);
  }

  /** Cuts [at, end) at spaces. @returns the number of tokens, the closing empty one included */
  #tokenize(at: number, end: number): number {
    const { u8 } = this.#core;
    let count = 0;
    let start = at;
    let p = at;
    this.#restAt = 0;
    for (; p < end && u8[p] !== 0; p++) {
      if (u8[p] !== 32) continue;
      if (start !== p) {
        this.tokenAt[count] = start;
        this.tokenLength[count++] = p - start;
        if (count === TOKENS_MAX - 1) {
          if (p + 1 < end && u8[p + 1] !== 0) this.#restAt = p + 1;
          start = p + 1;
          p = start;
          break;
        }
      }
      start = p + 1;
    }
    if (start !== p) {
      this.tokenAt[count] = start;
      this.tokenLength[count++] = p - start;
    }
    this.#lineEnd = end;
    this.tokenAt[count] = 0;
    this.tokenLength[count] = 0;
    return count + 1;
  }

  /** Whether token `index` is this word. */
  is(index: number, word: Uint8Array): boolean {
    return this.tokenLength[index] === word.length && equals(this.#core.u8, this.tokenAt[index], word.length, word);
  }

  /** Reads token `index` as the original's safe_strtoul. @returns -1 when it is no number */
  u32(index: number): number {
    return parseU32(this.#core.u8, this.tokenAt[index], this.tokenAt[index] + this.tokenLength[index]);
  }

  /** Reads token `index` as the original's safe_strtol. @returns NaN when it is no number */
  i32(index: number): number {
    return parseI32(this.#core.u8, this.tokenAt[index], this.tokenAt[index] + this.tokenLength[index]);
  }

  u64(index: number): bigint | null {
    return parseU64(this.#core.u8, this.tokenAt[index], this.tokenAt[index] + this.tokenLength[index]);
  }

  /** Token `index` as text. Cold. */
  text(index: number): string {
    let text = '';
    for (let i = 0; i < this.tokenLength[index]; i++) {
      text += String.fromCharCode(this.#core.u8[this.tokenAt[index] + i]);
    }
    return text;
  }

  /** Notes whether the last token is `noreply`. */
  noreplyMaybe(count: number): boolean {
    if (this.is(count - 2, R.NOREPLY)) this.noreply = true;
    return this.noreply;
  }

  /** Sends a reply line unless the command asked for none. */
  reply(bytes: Uint8Array) {
    if (this.noreply) this.noreply = false;
    else this.#core.write(bytes);
  }

  #dispatch(conn: number, count: number) {
    // The commands that come in numbers are told by their bytes; the others may cost a string.
    if (count >= 3 && this.is(0, R.GET)) return this.#get(1, false, 0, false);
    if (count >= 3 && this.is(0, R.GETS)) return this.#get(1, true, 0, false);
    if (count === 3 && this.is(0, R.DELETE)) return this.#delete(count);
    if (count === 4 && this.is(0, R.INCR)) return this.#arithmetic(count, true);
    const command = this.text0();
    switch (command) {
      case 'get':
      case 'gets':
      case 'bget':
        if (count < 3) break;
        this.#get(1, command === 'gets', 0, false);
        return;
      case 'gat':
      case 'gats':
        if (count < 3) break;
        this.#getAndTouch(command === 'gats');
        return;
      case 'set':
        return this.#storing(conn, count, S.STORE_SET);
      case 'add':
        return this.#storing(conn, count, S.STORE_ADD);
      case 'replace':
        return this.#storing(conn, count, S.STORE_REPLACE);
      case 'append':
        return this.#storing(conn, count, S.STORE_APPEND);
      case 'prepend':
        return this.#storing(conn, count, S.STORE_PREPEND);
      case 'cas':
        return this.#storing(conn, count, S.STORE_CAS);
      case 'incr':
      case 'decr':
        if (count !== 4 && count !== 5) break;
        this.#arithmetic(count, command === 'incr');
        return;
      case 'delete':
        if (count < 3 || count > 5) break;
        this.#delete(count);
        return;
      case 'touch':
        if (count !== 4 && count !== 5) break;
        this.#touch(count);
        return;
      case 'stats':
        this.#stats.ascii(this, count, conn);
        return;
      default:
        if (this.#control.execute(command, conn, count)) return;
        if (count >= 2 && this.text(count - 2).startsWith('HTTP/')) {
          // A web browser's request (or an attack by way of one) is not worth an answer.
          this.#core.closeNow(conn);
          return;
        }
    }
    this.#core.write(R.ERROR);
  }

  /** The command word as text, '' for an overlong one. */
  text0(): string {
    return this.tokenLength[0] > 20 ? '' : this.text(0);
  }

  /** The keys from token `first` on, and those that did not fit into the tokens. */
  #get(first: number, withCas: boolean, exptime: number, touch: boolean) {
    const core = this.#core;
    if (!this.#keysAreShort(first)) {
      core.write(R.BAD_FORMAT);
      return;
    }
    for (let token = first; ; ) {
      for (; this.tokenLength[token] !== 0; token++) {
        this.#getOne(this.tokenAt[token], this.tokenLength[token], withCas, exptime, touch);
      }
      if (this.#restAt === 0) break;
      this.#tokenize(this.#restAt, this.#lineEnd);
      token = 0;
    }
    core.write(R.END);
  }

  /** One key that is too long spoils the whole command, so all are looked at before the first reply is written. */
  #keysAreShort(first: number): boolean {
    const { u8 } = this.#core;
    const end = this.#lineEnd;
    const start = this.tokenLength[first] === 0 ? end : this.tokenAt[first];
    if (end - start <= L.KEY_BYTES_MAX) return true;
    let length = 0;
    for (let p = start; p < end && u8[p] !== 0; p++) {
      length = u8[p] === 32 ? 0 : length + 1;
      if (length > L.KEY_BYTES_MAX) return false;
    }
    return true;
  }

  #getOne(keyAt: number, nkey: number, withCas: boolean, exptime: number, touch: boolean) {
    const core = this.#core;
    const { items, counters } = core;
    const item = items.find(core.hash(core.u8, keyAt, nkey), keyAt, nkey);
    if (core.settings.detailEnabled) core.prefixes.recordGet(core.u8, keyAt, nkey, item !== 0);
    if (touch) counters.touchCmds++;
    else counters.getCmds++;
    if (item === 0) {
      if (touch) counters.touchMisses++;
      else counters.getMisses++;
      return;
    }
    const id = core.u8[item + L.ITEM_CLSID];
    items.bump(item);
    if (touch) {
      items.u32[(item + L.ITEM_EXPTIME) >>> 2] = exptime;
      counters.touchHits[id & L.CLASS_MASK]++;
    } else {
      counters.lruHits[id]++;
    }
    const out = core.room(VALUE_LINE_BYTES);
    if (out === 0) return;
    core.wrote(this.#valueLine(out, item, nkey, items.i32[(item + L.ITEM_NBYTES) >>> 2], withCas));
    core.writeValue(item, 0);
  }

  #getAndTouch(withCas: boolean) {
    const exptime = this.i32(1);
    if (Number.isNaN(exptime)) return this.#core.write(R.BAD_EXPTIME);
    this.#get(2, withCas, this.#realTime(exptime), true);
  }

  /** A client's expiry time as relative time; a negative one lies in the past. */
  #realTime(exptime: number): number {
    return this.#core.items.realTime(exptime < 0 ? REALTIME_MAXDELTA + 1 : exptime);
  }

  #storing(conn: number, count: number, how: number) {
    const least = how === S.STORE_CAS ? 7 : 6;
    if (count !== least && count !== least + 1) return this.#core.write(R.ERROR);
    this.noreplyMaybe(count);
    if (this.tokenLength[1] > L.KEY_BYTES_MAX) return this.reply(R.BAD_FORMAT);
    const flags = this.u32(2);
    const exptime = this.i32(3);
    const length = this.i32(4);
    if (flags < 0 || Number.isNaN(exptime) || Number.isNaN(length)) return this.reply(R.BAD_FORMAT);
    let cas = 0n;
    if (how === S.STORE_CAS) {
      const wanted = this.u64(5);
      if (wanted === null) return this.reply(R.BAD_FORMAT);
      cas = wanted;
    }
    if (length < 0 || length > VALUE_BYTES_MAX) return this.reply(R.BAD_FORMAT);
    this.#beginStore(conn, how, this.tokenAt[1], this.tokenLength[1], flags, exptime, length, cas);
  }

  #beginStore(
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
    const hash = core.hash(core.u8, keyAt, nkey);
    const item = items.alloc(keyAt, nkey, flags, this.#realTime(exptime), length + 2);
    if (item === 0) {
      const tooLarge = items.slabs.classOf(items.needBytes(nkey, flags, length + 2)) === 0;
      if (tooLarge) core.counters.storeTooLarge++;
      else core.counters.storeNoMemory++;
      // Lack of memory is told even to those who asked for no reply.
      const quiet = tooLarge && this.noreply;
      if (how === S.STORE_SET) {
        // What could not be replaced would be stale.
        const old = items.find(hash, keyAt, nkey);
        if (old !== 0) items.unlink(old, hash);
      }
      core.expectGarbage(conn, length + 2, quiet ? null : tooLarge ? R.TOO_LARGE : R.OUT_OF_MEMORY_STORING);
      return;
    }
    if (cas !== 0n) items.setCas(item, Number(cas >> 32n), Number(cas & 0xffffffffn));
    core.expectValue(conn, item, hash, how, length + 2, this.noreply);
  }

  /** A value is all there. */
  complete(item: number, how: number, hash: number, isValid: boolean, quiet: boolean) {
    const core = this.#core;
    core.counters.setCmds[core.u8[item + L.ITEM_CLSID] & L.CLASS_MASK]++;
    if (!isValid) {
      if (!quiet) core.write(R.BAD_DATA_CHUNK);
      return;
    }
    const result = core.store.storeItem(item, how, hash);
    if (quiet) return;
    if (result === S.RESULT_STORED) core.write(R.STORED);
    else if (result === S.RESULT_EXISTS) core.write(R.EXISTS);
    else if (result === S.RESULT_NOT_FOUND) core.write(R.NOT_FOUND);
    else core.write(R.NOT_STORED);
  }

  #touch(count: number) {
    const core = this.#core;
    const { items, counters } = core;
    this.noreplyMaybe(count);
    if (this.tokenLength[1] > L.KEY_BYTES_MAX) return this.reply(R.BAD_FORMAT);
    const exptime = this.i32(2);
    if (Number.isNaN(exptime)) return this.reply(R.BAD_EXPTIME);
    const item = items.find(
      core.hash(core.u8, this.tokenAt[1], this.tokenLength[1]),
      this.tokenAt[1],
      this.tokenLength[1],
    );
    counters.touchCmds++;
    if (item === 0) {
      counters.touchMisses++;
      return this.reply(R.NOT_FOUND);
    }
    items.bump(item);
    items.u32[(item + L.ITEM_EXPTIME) >>> 2] = this.#realTime(exptime);
    counters.touchHits[core.u8[item + L.ITEM_CLSID] & L.CLASS_MASK]++;
    this.reply(R.TOUCHED);
  }

  #arithmetic(count: number, up: boolean) {
    const core = this.#core;
    this.noreplyMaybe(count);
    if (this.tokenLength[1] > L.KEY_BYTES_MAX) return this.reply(R.BAD_FORMAT);
    const at = this.tokenAt[2];
    const plain = plainDecimal(core.u8, at, at + this.tokenLength[2]);
    const delta = plain >= 0 ? BigInt(plain) : this.u64(2);
    if (delta === null) return this.reply(R.BAD_DELTA);
    const keyAt = this.tokenAt[1];
    const nkey = this.tokenLength[1];
    switch (core.store.addDelta(core.hash(core.u8, keyAt, nkey), keyAt, nkey, up, delta, 0, 0)) {
      case S.DELTA_OK: {
        if (this.noreply) return;
        const out = core.room(22);
        if (out === 0) return;
        const end = putU64(core.u8, out, core.store.deltaValue);
        core.u8[end] = 13;
        core.u8[end + 1] = 10;
        return core.wrote(end + 2);
      }
      case S.DELTA_NON_NUMERIC:
        return this.reply(R.NON_NUMERIC);
      case S.DELTA_NO_MEMORY:
        return core.write(R.OUT_OF_MEMORY);
      default:
        if (up) core.counters.incrMisses++;
        else core.counters.decrMisses++;
        return this.reply(R.NOT_FOUND);
    }
  }

  #delete(count: number) {
    const core = this.#core;
    const { items, counters } = core;
    if (count > 3) {
      // An old form carried a time to hold the key back; only 0 is left of it.
      const holdIsZero = this.is(2, R.ZERO);
      const quiet = this.noreplyMaybe(count);
      const valid = (count === 4 && (holdIsZero || quiet)) || (count === 5 && holdIsZero && quiet);
      if (!valid) return this.reply(R.DELETE_USAGE);
    }
    const keyAt = this.tokenAt[1];
    const nkey = this.tokenLength[1];
    if (nkey > L.KEY_BYTES_MAX) return this.reply(R.BAD_FORMAT);
    if (core.settings.detailEnabled) core.prefixes.recordDelete(core.u8, keyAt, nkey);
    const hash = core.hash(core.u8, keyAt, nkey);
    const item = items.find(hash, keyAt, nkey);
    if (item === 0) {
      counters.deleteMisses++;
      return this.reply(R.NOT_FOUND);
    }
    counters.deleteHits[core.u8[item + L.ITEM_CLSID] & L.CLASS_MASK]++;
    items.unlink(item, hash);
    this.reply(R.DELETED);
  }

  /** A line of text as a reply, with its line end. Cold. */
  replyText(text: string) {
    this.reply(bytesOf(`${text}\r\n`));
  }

  replyVersion() {
    this.replyText(`VERSION ${VERSION}`);
  }
}
