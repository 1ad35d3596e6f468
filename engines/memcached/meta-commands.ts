/**
 * The meta commands `mg ms md ma me mn`: which one a line is, and a reader for ordinary lines that cuts them into tokens while it looks for
 * their end. What they do stands in meta-get.ts and meta-change.ts.
 */
import type { AsciiLine } from './ascii-line.ts';
import type { AsciiStore } from './ascii-store.ts';
import type { Core } from './core.ts';
import { MetaChange } from './meta-change.ts';
import { META_TOKENS_MAX, MetaFlags } from './meta-flags.ts';
import { MetaGet } from './meta-get.ts';
import * as R from './replies.ts';
import { bytesOf } from './replies.ts';

const NO_OP = bytesOf('MN\r\n');
/** Longer lines are read the long way, which knows the limits. */
const FAST_LINE_BYTES_MAX = 2_048;
// Second letters of the commands.
const LETTER_A = 97;
const LETTER_D = 100;
const LETTER_E = 101;
const LETTER_G = 103;
const LETTER_N = 110;
const LETTER_S = 115;

export class MetaCommands {
  readonly #core: Core;
  readonly #line: AsciiLine;
  readonly #get: MetaGet;
  readonly #change: MetaChange;

  constructor(core: Core, line: AsciiLine, store: AsciiStore) {
    this.#core = core;
    this.#line = line;
    const flags = new MetaFlags(line);
    this.#get = new MetaGet(core, line, flags);
    this.#change = new MetaChange(core, line, flags, store);
  }

  /** An ordinary line that is all there, and begins with `m? `. @returns the offset behind it (and its value), 0 for any other form */
  fast(conn: number, at: number, end: number): number {
    const core = this.#core;
    const line = this.#line;
    const { u8 } = core;
    const { tokenAt, tokenLength } = line;
    const letter = u8[at + 1];
    // `m` and a line end is a line of its own.
    if (letter < LETTER_A || core.isTraced) return 0;
    let count = 1;
    let start = at + 3;
    let p = start;
    for (; p < end; p++) {
      const byte = u8[p];
      if (byte > 32) continue;
      if (byte !== 32 && byte !== 13) return 0;
      if (start !== p) {
        if (count === META_TOKENS_MAX) return 0;
        tokenAt[count] = start;
        tokenLength[count++] = p - start;
      }
      start = p + 1;
      if (byte === 13) break;
    }
    if (p + 1 >= end || u8[p + 1] !== 10 || p - at > FAST_LINE_BYTES_MAX || count === 1) return 0;
    tokenAt[0] = at;
    tokenLength[0] = 2;
    tokenLength[count++] = 0;
    line.noreply = false;
    const next = p + 2;
    core.connections.lastCommandTime[conn] = core.items.now;
    if (letter === LETTER_S) return this.#change.set(conn, count, next, end);
    this.#get.isLast = next === end;
    this.line(conn, count);
    this.#get.isLast = false;
    return next;
  }

  /** A line whose first token has two letters, the first of them an m. @param count tokens, the closing one included */
  line(conn: number, count: number) {
    const core = this.#core;
    const letter = core.u8[this.#line.tokenAt[0] + 1];
    if (letter === LETTER_N) {
      core.output.write(NO_OP);
      // It is there to make all replies before it leave at once.
      core.kept.release();
    } else if (letter === LETTER_E) {
      this.#get.debug(count);
    } else if (count < 3) {
      core.output.write(R.ERROR);
    } else if (letter === LETTER_G) {
      this.#get.get(count);
    } else if (letter === LETTER_S) {
      this.#change.set(conn, count, 0, 0);
    } else if (letter === LETTER_D) {
      this.#change.delete(count);
    } else if (letter === LETTER_A) {
      this.#change.arithmetic(count);
    } else {
      core.output.write(R.ERROR);
    }
  }

  /** A value that came later is all there. */
  complete(conn: number, item: number, how: number, hash: number, isValid: boolean, quiet: boolean) {
    this.#change.complete(conn, item, how, hash, isValid, quiet);
  }
}
