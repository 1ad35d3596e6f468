/**
 * The ASCII protocol, server side: finds the end of a command's line and the command's code. `get KEY`, the storing commands and most
 * forms of `mg` and `ms` have paths of their own that read the line once; every other line is cut into tokens first (ascii-line.ts),
 * because what the original accepts and how it words its refusals follows from that.
 */
import { AsciiChange } from './ascii-change.ts';
import { AsciiGet } from './ascii-get.ts';
import { AsciiLine } from './ascii-line.ts';
import { AsciiStore } from './ascii-store.ts';
import { ControlCommands } from './control-commands.ts';
import type { Core } from './core.ts';
import { LOG_VERBOSE } from './logger.ts';
import { MetaCommands } from './meta-commands.ts';
import * as R from './replies.ts';
import { equals } from './replies.ts';
import { StatsCommands } from './stats.ts';
import * as S from './store.ts';

/** A line without an end may not grow beyond this, unless it is a get of many keys. */
const LINE_BYTES_MAX = 2_048;
/** The original's read buffer: a longer line can never be seen whole there. */
const WHOLE_LINE_BYTES_MAX = 16_384;
/** Spaces in front of such a get that are put up with. */
const LEADING_SPACES_MAX = 100;

/** What a line returns whose end has not come yet. */
const INCOMPLETE = -1;
const LETTER_M = 109;
/** `get` and `set` as numbers. */
const WORD_GET = 0x676574;
const WORD_SET = 0x736574;

export class AsciiCommands extends AsciiLine {
  readonly #get: AsciiGet;
  readonly #store: AsciiStore;
  readonly #change: AsciiChange;
  readonly #meta: MetaCommands;
  readonly #stats: StatsCommands;
  readonly #control: ControlCommands;
  readonly outOfMemoryReading = R.OUT_OF_MEMORY_READING;

  constructor(core: Core) {
    super(core);
    this.#get = new AsciiGet(core, this);
    this.#store = new AsciiStore(core, this);
    this.#change = new AsciiChange(core, this);
    this.#meta = new MetaCommands(core, this, this.#store);
    this.#stats = new StatsCommands(core);
    this.#control = new ControlCommands(core, this);
  }

  /** Executes the command that begins at `at`. @returns the offset behind its line, or -1 when the line is not all there */
  execute(conn: number, at: number, end: number): number {
    const { u8 } = this.core;
    if (end - at > 6) {
      let next = 0;
      if (u8[at + 3] === 32) {
        const word = (u8[at] << 16) | (u8[at + 1] << 8) | u8[at + 2];
        if (word === WORD_GET) next = this.#get.fast(conn, at + 4, end);
        else if (word === WORD_SET) next = this.#store.fast(conn, at + 4, end);
      } else if (u8[at] === LETTER_M && u8[at + 2] === 32) {
        next = this.#meta.fast(conn, at, end);
      }
      if (next !== 0) return next;
    }
    let eol = at;
    while (eol < end && u8[eol] !== 10) eol++;
    if (eol === end || eol - at >= WHOLE_LINE_BYTES_MAX) {
      const next = this.#unended(conn, at, end);
      if (eol === end || next >= 0) return next;
    }
    this.core.connections.lastCommandTime[conn] = this.core.items.now;
    this.#line(conn, at, eol - at > 1 && u8[eol - 1] === 13 ? eol - 1 : eol);
    return eol + 1;
  }

  #unended(conn: number, at: number, end: number): number {
    if (end - at <= LINE_BYTES_MAX) return INCOMPLETE;
    const { u8 } = this.core;
    let first = at;
    while (first < end && u8[first] === 32) first++;
    const isGet = equals(u8, first, 4, R.GET_SPACE) || equals(u8, first, 5, R.GETS_SPACE);
    if (first - at <= LEADING_SPACES_MAX && isGet) return INCOMPLETE;
    this.core.connections.closeNow(conn);
    return end;
  }

  /** Any other line: [at, end). */
  #line(conn: number, at: number, end: number) {
    this.noreply = false;
    if (this.core.logger.wants(LOG_VERBOSE)) this.core.verbose.command(conn, at, end);
    const count = this.tokenize(at, end);
    if (count < 2 || this.tokenLength[0] < 2) this.core.output.write(R.ERROR);
    else this.#dispatch(conn, count);
  }

  #dispatch(conn: number, count: number) {
    if (this.tokenLength[0] === 2 && this.core.u8[this.tokenAt[0]] === LETTER_M) this.#meta.line(conn, count);
    else if (!this.#itemCommand(conn, count)) this.#otherCommand(conn, count);
  }

  /** The commands that concern items. They come in numbers and are told by their bytes. @returns false for any other word */
  #itemCommand(conn: number, count: number): boolean {
    let isWrong = false;
    if (this.is(0, R.GET) || this.is(0, R.BGET)) {
      if (count >= 3) this.#get.get(false);
      else isWrong = true;
    } else if (this.is(0, R.GETS)) {
      if (count >= 3) this.#get.get(true);
      else isWrong = true;
    } else if (this.is(0, R.SET)) {
      this.#store.storing(conn, count, S.STORE_SET);
    } else if (this.is(0, R.ADD)) {
      this.#store.storing(conn, count, S.STORE_ADD);
    } else if (this.is(0, R.CAS)) {
      this.#store.storing(conn, count, S.STORE_CAS);
    } else if (this.is(0, R.REPLACE)) {
      this.#store.storing(conn, count, S.STORE_REPLACE);
    } else if (this.is(0, R.APPEND)) {
      this.#store.storing(conn, count, S.STORE_APPEND);
    } else if (this.is(0, R.PREPEND)) {
      this.#store.storing(conn, count, S.STORE_PREPEND);
    } else if (this.is(0, R.INCR) || this.is(0, R.DECR)) {
      if (count === 4 || count === 5) this.#change.arithmetic(count, this.is(0, R.INCR));
      else isWrong = true;
    } else if (this.is(0, R.DELETE)) {
      if (count >= 3 && count <= 5) this.#change.delete(count);
      else isWrong = true;
    } else if (this.is(0, R.TOUCH)) {
      if (count === 4 || count === 5) this.#change.touch(count);
      else isWrong = true;
    } else if (this.is(0, R.GAT) || this.is(0, R.GATS)) {
      if (count >= 3) this.#get.getAndTouch(this.is(0, R.GATS));
      else isWrong = true;
    } else {
      return false;
    }
    if (isWrong) this.core.output.write(R.ERROR);
    return true;
  }

  /** The rest, where a string does no harm. */
  #otherCommand(conn: number, count: number) {
    const command = this.text0();
    if (command === 'stats') {
      this.#stats.ascii(this, count, conn);
    } else if (!this.#control.execute(command, conn, count)) {
      // A web browser's request (or an attack by way of one) is not worth an answer.
      if (this.text(count - 2).startsWith('HTTP/')) this.core.connections.closeNow(conn);
      else this.core.output.write(R.ERROR);
    }
  }

  /** A value is all there. The caller holds the item and its key's lock. @param how STORE_…, or what a meta command has put there */
  complete(conn: number, item: number, how: number, hash: number, isValid: boolean, quiet: boolean) {
    if (how <= S.STORE_CAS) this.#store.complete(item, how, hash, isValid, quiet);
    else this.#meta.complete(conn, item, how, hash, isValid, quiet);
  }
}
