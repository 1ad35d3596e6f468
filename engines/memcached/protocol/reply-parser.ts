/**
 * Reads a memcached server's replies, one at a time, out of a byte array (the client side: load drivers and tests).
 *
 * Both parsers keep no bytes and no state between calls: `next(u8, start, end)` looks at [start, end) and either
 * reports one whole reply (a VALUE block with its data counts as one) and where it ends, or says that it is
 * incomplete; the caller then calls again from the same start with more bytes. An incomplete value costs only its line
 * to look at again, never its data.
 */
import { BINARY_HEADER_BYTES, MAGIC_RESPONSE } from './binary.ts';

/** Kinds of an ASCII reply. */
export const REPLY_INCOMPLETE = 0;
/** `VALUE key flags bytes [cas]` with its data: a hit. */
export const REPLY_VALUE = 1;
/** `END`: of a get (a miss when no VALUE came before) or of stats. */
export const REPLY_END = 2;
export const REPLY_STORED = 3;
export const REPLY_NOT_STORED = 4;
export const REPLY_EXISTS = 5;
export const REPLY_NOT_FOUND = 6;
export const REPLY_DELETED = 7;
export const REPLY_TOUCHED = 8;
export const REPLY_OK = 9;
/** The new number of incr or decr. */
export const REPLY_NUMBER = 10;
/** `STAT name value`. */
export const REPLY_STAT = 11;
export const REPLY_VERSION = 12;
export const REPLY_RESET = 13;
export const REPLY_ERROR = 14;
export const REPLY_CLIENT_ERROR = 15;
export const REPLY_SERVER_ERROR = 16;
/** A line of none of these kinds (`MN`, `BUSY …`, `ITEM …`). */
export const REPLY_OTHER = 17;
/** Bytes that are no reply of this protocol: a line longer than `REPLY_LINE_MAX` or a broken VALUE block. */
export const REPLY_BROKEN = 18;

/** A reply line longer than this is broken (the longest real ones are STAT lines and VALUE lines with a key of 250). */
export const REPLY_LINE_MAX = 8_192;

/** Letters at the start of a line, as one number: enough to tell all kinds apart together with the fourth byte. */
function tag(word: string): number {
  return (
    ((word.charCodeAt(0) << 24) | (word.charCodeAt(1) << 16) | (word.charCodeAt(2) << 8) | word.charCodeAt(3)) >>> 0
  );
}

const TAG_STOR = tag('STOR');
const TAG_EXIS = tag('EXIS');
const TAG_NOT_ = tag('NOT_');
const TAG_DELE = tag('DELE');
const TAG_TOUC = tag('TOUC');
const TAG_STAT = tag('STAT');
const TAG_VERS = tag('VERS');
const TAG_RESE = tag('RESE');
const TAG_ERRO = tag('ERRO');
const TAG_CLIE = tag('CLIE');
const TAG_SERV = tag('SERV');

/** Parser of ASCII replies. The fields describe the reply that `next` reported last; offsets are into its array. */
export class AsciiReplyParser {
  /** Offset behind the reply (where the next one begins). */
  nextAt = 0;
  /** VALUE: the key. */
  keyAt = 0;
  keyLength = 0;
  /** VALUE: client flags. */
  flags = 0;
  /** VALUE: the data without `\r\n`. STAT, VERSION, NUMBER, errors, OTHER: the line without `\r\n`. */
  valueAt = 0;
  valueLength = 0;
  /** VALUE of gets: where the CAS id's digits stand (length 0: none). See `casValue`. */
  casAt = 0;
  casLength = 0;
  /** After INCOMPLETE: bytes that must at least be there from the same start (0: not known). */
  bytesNeeded = 0;

  /**
   * @returns REPLY_… ; for all but INCOMPLETE and BROKEN `nextAt` tells where to go on
   */
  next(u8: Uint8Array, start: number, end: number): number {
    this.bytesNeeded = 0;
    if (end - start < 4) return REPLY_INCOMPLETE;
    const first = u8[start];
    if (first === 86 && u8[start + 1] === 65) return this.#value(u8, start, end);
    // The two commonest lines are told by their bytes alone: END and STORED.
    if (first === 69 && u8[start + 1] === 78 && u8[start + 2] === 68 && u8[start + 3] === 13) {
      if (end - start < 5) return REPLY_INCOMPLETE;
      this.nextAt = start + 5;
      return REPLY_END;
    }
    const limit = Math.min(end, start + REPLY_LINE_MAX);
    let eol = start;
    while (eol < limit && u8[eol] !== 10) eol++;
    if (eol === limit) return limit < end ? REPLY_BROKEN : REPLY_INCOMPLETE;
    this.nextAt = eol + 1;
    this.valueAt = start;
    this.valueLength = (u8[eol - 1] === 13 ? eol - 1 : eol) - start;
    return this.#line(u8, start, first);
  }

  #line(u8: Uint8Array, start: number, first: number): number {
    if (first >= 48 && first <= 57) return REPLY_NUMBER;
    const word = ((first << 24) | (u8[start + 1] << 16) | (u8[start + 2] << 8) | u8[start + 3]) >>> 0;
    switch (word) {
      case TAG_STOR:
        return REPLY_STORED;
      case TAG_EXIS:
        return REPLY_EXISTS;
      case TAG_NOT_:
        return u8[start + 4] === 70 ? REPLY_NOT_FOUND : REPLY_NOT_STORED;
      case TAG_DELE:
        return REPLY_DELETED;
      case TAG_TOUC:
        return REPLY_TOUCHED;
      case TAG_STAT:
        return REPLY_STAT;
      case TAG_VERS:
        return REPLY_VERSION;
      case TAG_RESE:
        return REPLY_RESET;
      case TAG_ERRO:
        return REPLY_ERROR;
      case TAG_CLIE:
        return REPLY_CLIENT_ERROR;
      case TAG_SERV:
        return REPLY_SERVER_ERROR;
      default:
        return first === 79 && u8[start + 1] === 75 && this.valueLength === 2 ? REPLY_OK : REPLY_OTHER;
    }
  }

  /** `VALUE key flags bytes [cas]\r\n` data `\r\n`. */
  #value(u8: Uint8Array, start: number, end: number): number {
    let at = start + 6;
    this.keyAt = at;
    while (at < end && u8[at] > 32) at++;
    this.keyLength = at - this.keyAt;
    let flags = 0;
    for (at++; at < end && u8[at] >= 48; at++) flags = flags * 10 + u8[at] - 48;
    let length = 0;
    for (at++; at < end && u8[at] >= 48; at++) length = length * 10 + u8[at] - 48;
    this.casLength = 0;
    if (at < end && u8[at] === 32) {
      this.casAt = ++at;
      while (at < end && u8[at] >= 48) at++;
      this.casLength = at - this.casAt;
    }
    if (at + 1 >= end) return at - start > REPLY_LINE_MAX ? REPLY_BROKEN : REPLY_INCOMPLETE;
    if (u8[at] !== 13 || u8[at + 1] !== 10) return REPLY_BROKEN;
    this.flags = flags;
    this.valueAt = at + 2;
    this.valueLength = length;
    const dataEnd = at + 2 + length;
    if (dataEnd + 2 > end) {
      this.bytesNeeded = dataEnd + 2 - start;
      return REPLY_INCOMPLETE;
    }
    if (u8[dataEnd] !== 13 || u8[dataEnd + 1] !== 10) return REPLY_BROKEN;
    this.nextAt = dataEnd + 2;
    return REPLY_VALUE;
  }

  /** The CAS id of the last VALUE, 0n without one. Not for hot paths. */
  casValue(u8: Uint8Array): bigint {
    let value = 0n;
    for (let i = 0; i < this.casLength; i++) value = value * 10n + BigInt(u8[this.casAt + i]! - 48);
    return value;
  }
}

/** What `BinaryReplyParser.next` says. */
export const BINARY_INCOMPLETE = 0;
export const BINARY_REPLY = 1;
/** Not a response header: the stream is lost. */
export const BINARY_BROKEN = 2;

/** A body larger than this is taken for a broken stream (the largest item memcached can be told to hold is 1 GiB). */
export const BINARY_BODY_MAX = 1_100_000_000;

/** Parser of binary responses. The fields describe the response that `next` reported last. */
export class BinaryReplyParser {
  nextAt = 0;
  opcode = 0;
  /** STATUS_… of binary.ts; a get whose status is STATUS_SUCCESS is a hit. */
  status = 0;
  opaque = 0;
  extrasAt = 0;
  extrasLength = 0;
  keyAt = 0;
  keyLength = 0;
  valueAt = 0;
  valueLength = 0;
  casHigh = 0;
  casLow = 0;
  bytesNeeded = 0;

  next(u8: Uint8Array, start: number, end: number): number {
    if (end - start < BINARY_HEADER_BYTES) {
      this.bytesNeeded = BINARY_HEADER_BYTES;
      return end > start && u8[start] !== MAGIC_RESPONSE ? BINARY_BROKEN : BINARY_INCOMPLETE;
    }
    if (u8[start] !== MAGIC_RESPONSE) return BINARY_BROKEN;
    const body = get32(u8, start + 8);
    if (body > BINARY_BODY_MAX) return BINARY_BROKEN;
    const whole = BINARY_HEADER_BYTES + body;
    if (end - start < whole) {
      this.bytesNeeded = whole;
      return BINARY_INCOMPLETE;
    }
    this.bytesNeeded = 0;
    this.opcode = u8[start + 1];
    this.keyLength = (u8[start + 2] << 8) | u8[start + 3];
    this.extrasLength = u8[start + 4];
    this.status = (u8[start + 6] << 8) | u8[start + 7];
    this.opaque = get32(u8, start + 12);
    this.casHigh = get32(u8, start + 16);
    this.casLow = get32(u8, start + 20);
    this.extrasAt = start + BINARY_HEADER_BYTES;
    this.keyAt = this.extrasAt + this.extrasLength;
    this.valueAt = this.keyAt + this.keyLength;
    this.valueLength = body - this.extrasLength - this.keyLength;
    if (this.valueLength < 0) return BINARY_BROKEN;
    this.nextAt = start + whole;
    return BINARY_REPLY;
  }

  /** The CAS id of the last response. */
  casValue(): bigint {
    return (BigInt(this.casHigh) << 32n) | BigInt(this.casLow);
  }

  /** Client flags of a get's response (0 when it carries none). */
  flags(u8: Uint8Array): number {
    return this.extrasLength >= 4 ? get32(u8, this.extrasAt) : 0;
  }
}

function get32(u8: Uint8Array, at: number): number {
  return ((u8[at] << 24) | (u8[at + 1] << 16) | (u8[at + 2] << 8) | u8[at + 3]) >>> 0;
}
