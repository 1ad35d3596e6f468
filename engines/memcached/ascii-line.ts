/**
 * One command line of the ASCII protocol: its tokens, cut as the original cuts them (at spaces, at most 24 of them, up to a NUL), their
 * numbers, and the reply that a command may have declined.
 *
 * A token count includes the original's closing empty token, so that its limits can be read side by side.
 */
import type { Core } from './core.ts';
import { LOG_VERBOSE } from './logger.ts';
import { parseI32, parseU32, parseU64 } from './numbers.ts';
import * as R from './replies.ts';
import { bytesOf, equals } from './replies.ts';
import { VERSION } from './version.ts';

export const TOKENS_MAX = 24;
/** No command word is longer. */
const WORD_BYTES_MAX = 20;

export class AsciiLine {
  readonly core: Core;
  /** The tokens of the line under way: offsets and lengths. */
  readonly tokenAt = new Float64Array(TOKENS_MAX);
  readonly tokenLength = new Int32Array(TOKENS_MAX);
  /** Where the part begins that did not fit into the tokens, 0 for none. */
  restAt = 0;
  lineEnd = 0;
  /** The command under way asked for no reply. */
  noreply = false;

  constructor(core: Core) {
    this.core = core;
  }

  /** Cuts [at, end) at spaces. @returns the number of tokens, the closing empty one included */
  tokenize(at: number, end: number): number {
    const { u8 } = this.core;
    let count = 0;
    let start = at;
    let p = at;
    this.restAt = 0;
    for (; p < end && u8[p] !== 0; p++) {
      if (u8[p] !== 32) continue;
      if (start !== p) {
        this.tokenAt[count] = start;
        this.tokenLength[count++] = p - start;
        if (count === TOKENS_MAX - 1) {
          if (p + 1 < end && u8[p + 1] !== 0) this.restAt = p + 1;
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
    this.lineEnd = end;
    this.tokenAt[count] = 0;
    this.tokenLength[count] = 0;
    return count + 1;
  }

  /** Whether token `index` is this word. */
  is(index: number, word: Uint8Array): boolean {
    return this.tokenLength[index] === word.length && equals(this.core.u8, this.tokenAt[index], word.length, word);
  }

  /** Reads token `index` as the original's safe_strtoul. @returns -1 when it is no number */
  u32(index: number): number {
    return this.u32At(this.tokenAt[index], this.tokenAt[index] + this.tokenLength[index]);
  }

  /** Reads token `index` as the original's safe_strtol. @returns NaN when it is no number */
  i32(index: number): number {
    return this.i32At(this.tokenAt[index], this.tokenAt[index] + this.tokenLength[index]);
  }

  u64(index: number): bigint | null {
    return this.u64At(this.tokenAt[index], this.tokenAt[index] + this.tokenLength[index]);
  }

  /** The same for [at, end). */
  u32At(at: number, end: number): number {
    return parseU32(this.core.u8, at, end);
  }

  i32At(at: number, end: number): number {
    return parseI32(this.core.u8, at, end);
  }

  u64At(at: number, end: number): bigint | null {
    return parseU64(this.core.u8, at, end);
  }

  /** Token `index` as text. Cold. */
  text(index: number): string {
    let text = '';
    for (let i = 0; i < this.tokenLength[index]; i++) {
      text += String.fromCharCode(this.core.u8[this.tokenAt[index] + i]);
    }
    return text;
  }

  /** The command word as text, '' for an overlong one. */
  text0(): string {
    return this.tokenLength[0] > WORD_BYTES_MAX ? '' : this.text(0);
  }

  /** Notes whether the last token is `noreply`. */
  noreplyMaybe(count: number): boolean {
    if (this.is(count - 2, R.NOREPLY)) this.noreply = true;
    return this.noreply;
  }

  /** Sends a reply line unless the command asked for none. */
  reply(bytes: Uint8Array) {
    const { core } = this;
    if (!this.noreply) {
      core.output.write(bytes);
      return;
    }
    this.noreply = false;
    if (core.logger.wants(LOG_VERBOSE)) core.verbose.reply(core.logger.conn, bytes, false);
  }

  /** A line of text as a reply, with its line end. Cold. */
  replyText(text: string) {
    this.reply(bytesOf(`${text}\r\n`));
  }

  replyVersion() {
    this.replyText(`VERSION ${VERSION}`);
  }
}
