/**
 * Flags of a meta command: single letters, some with a token behind them, each at most once. One pass over the tokens reads them all, as
 * the original does it: what a command has no use for is accepted, but must be well-formed nevertheless.
 */
import type { AsciiLine } from './ascii-line.ts';
import { decodeBase64InPlace } from './base64.ts';
import { REALTIME_MAXDELTA } from './item-fields.ts';
import { plainDecimal } from './numbers.ts';
import { bytesOf } from './replies.ts';

/** More tokens than this, the command word and the closing empty one included, are refused. */
export const META_TOKENS_MAX = 20;
/** An opaque token with its letter is at most so long. */
export const OPAQUE_BYTES_MAX = 32;
/** Flags are letters; everything from here on is answered like a repeated one. */
const FLAG_CODES = 127;
/** What a CAS id's upper half counts. */
export const LIMB = 4_294_967_296;

const DUPLICATE = bytesOf('CLIENT_ERROR duplicate flag\r\n');
const INVALID = bytesOf('CLIENT_ERROR invalid flag\r\n');
const BAD_KEY = bytesOf('CLIENT_ERROR error decoding key\r\n');
const BAD_TOKEN = bytesOf('CLIENT_ERROR bad token in command line format\r\n');
const BAD_FLAGS = bytesOf('CLIENT_ERROR bad command line format\r\n');
const BAD_MODE_LENGTH = bytesOf('CLIENT_ERROR incorrect length for M token\r\n');
const BAD_INITIAL = bytesOf('CLIENT_ERROR invalid numeric initial value\r\n');
const BAD_DELTA = bytesOf('CLIENT_ERROR invalid numeric delta value\r\n');

const bit = (letter: string): number => 1 << (letter.charCodeAt(0) & 31);
const bits = (letters: string): number => [...letters].reduce((all, letter) => all | bit(letter), 0);

/** Bits of `MetaFlags.lower`. */
export const BINARY = bit('b');
export const KEY = bit('k');
export const QUIET = bit('q');
export const NO_UPDATE = bit('u');
export const VALUE = bit('v');
export const CAS_WANTED = bit('c');
/** Flags that look at what a fetch changes. */
export const BEFORE_FETCH = bits('hl');
/** Bits of `MetaFlags.upper`. */
export const CAS = bit('C');
export const CLIENT_FLAGS = bit('F');
export const INVALIDATE = bit('I');
export const INITIAL = bit('J');
export const MODE = bit('M');
export const VIVIFY = bit('N');
export const OPAQUE = bit('O');
export const RECACHE = bit('R');
export const TTL = bit('T');
export const DELTA = bit('D');
/** Flags that change the item they fetch. */
export const CHANGING = VIVIFY | RECACHE | TTL;

const LOWER_KNOWN = bits('bcfhklqstuv');
const UPPER_KNOWN = bits('CDFIJLMNOPRT');
/** Upper-case flags whose token is read beforehand. */
const UPPER_READ = bits('CDFJMNRT');

export class MetaFlags {
  readonly #line: AsciiLine;
  /** The flags that are there, as bits by letter. */
  lower = 0;
  upper = 0;
  /** What to reply when `parse` has failed. */
  error: Uint8Array = BAD_FLAGS;
  // Tokens of flags that are there; otherwise left over from earlier commands.
  /** T, N and R as relative times. */
  exptime = 0;
  vivifyExptime = 0;
  recacheTime = 0;
  /** F. */
  clientFlags = 0;
  /** C. */
  casHigh = 0;
  casLow = 0;
  /** M: its byte. */
  mode = 0;
  /** J and D. */
  initial = 0n;
  delta: number | bigint = 0;

  constructor(line: AsciiLine) {
    this.#line = line;
  }

  /** Reads the flags from token `first` on; with `b` among them the key (token 1) is decoded in place. @returns false on an error */
  parse(first: number): boolean {
    const { tokenAt, tokenLength } = this.#line;
    const { u8 } = this.#line.core;
    let lower = 0;
    let upper = 0;
    let isValid = true;
    this.error = BAD_FLAGS;
    for (let i = first; tokenLength[i] !== 0; i++) {
      const code = u8[tokenAt[i]];
      const flag = 1 << (code & 31);
      if (code >= 97 && code <= 122) {
        if ((lower & flag) !== 0) return this.#fail(DUPLICATE);
        if ((LOWER_KNOWN & flag) === 0) return this.#fail(INVALID);
        lower |= flag;
        if (flag === BINARY && !this.decodeKey()) isValid = false;
      } else if (code >= 65 && code <= 90) {
        if ((upper & flag) !== 0) return this.#fail(DUPLICATE);
        if ((UPPER_KNOWN & flag) === 0) return this.#fail(INVALID);
        upper |= flag;
        if ((UPPER_READ & flag) !== 0 && !this.#read(flag, tokenAt[i] + 1, tokenAt[i] + tokenLength[i]))
          isValid = false;
      } else {
        return this.#fail(code >= FLAG_CODES ? DUPLICATE : INVALID);
      }
    }
    this.lower = lower;
    this.upper = upper;
    return isValid;
  }

  #fail(error: Uint8Array): false {
    this.error = error;
    return false;
  }

  /** Decodes the key (token 1) in place. @returns false when it is no Base64 */
  decodeKey(): boolean {
    const line = this.#line;
    const length = decodeBase64InPlace(line.core.u8, line.tokenAt[1], line.tokenLength[1]);
    line.tokenLength[1] = length;
    return length > 0 || this.#fail(BAD_KEY);
  }

  /** Reads the token [at, end) of a flag. A wrong one fails the command, but the flags behind it are looked at all the same. */
  #read(flag: number, at: number, end: number): boolean {
    const line = this.#line;
    const { u8 } = line.core;
    switch (flag) {
      case TTL:
      case VIVIFY:
      case RECACHE:
        return this.#readTime(flag, at, end);
      case CAS: {
        const plain = plainDecimal(u8, at, end);
        if (plain >= 0) {
          this.casLow = plain >>> 0;
          this.casHigh = Math.floor(plain / LIMB);
          return true;
        }
        const cas = line.u64At(at, end);
        if (cas === null) return this.#fail(BAD_TOKEN);
        this.casLow = Number(cas & 0xffffffffn);
        this.casHigh = Number(cas >> 32n);
        return true;
      }
      case CLIENT_FLAGS: {
        const flags = line.u32At(at, end);
        // The original has no message of its own for this.
        if (flags < 0) return false;
        this.clientFlags = flags;
        return true;
      }
      case MODE:
        if (end - at !== 1) return this.#fail(BAD_MODE_LENGTH);
        this.mode = u8[at];
        return true;
      case DELTA: {
        const plain = plainDecimal(u8, at, end);
        const delta = plain >= 0 ? plain : line.u64At(at, end);
        if (delta === null) return this.#fail(BAD_DELTA);
        this.delta = delta;
        return true;
      }
      default: {
        const initial = line.u64At(at, end);
        if (initial === null) return this.#fail(BAD_INITIAL);
        this.initial = initial;
        return true;
      }
    }
  }

  #readTime(flag: number, at: number, end: number): boolean {
    const seconds = this.#line.i32At(at, end);
    if (Number.isNaN(seconds)) return this.#fail(BAD_TOKEN);
    // A negative time lies in the past, which a small absolute one stands for.
    const time = this.#line.core.items.realTime(seconds < 0 ? REALTIME_MAXDELTA + 1 : seconds);
    if (flag === TTL) this.exptime = time;
    else if (flag === VIVIFY) this.vivifyExptime = time;
    else this.recacheTime = time;
    return true;
  }
}
