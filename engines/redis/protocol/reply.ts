/**
 * Replies. Every function stores the bytes of one reply (or its head) in the client's output. Nothing is stored for a
 * client that asked for silence or is being closed.
 *
 * Where the length of an aggregate is known only at its end, its items go to a scratch buffer first:
 * `beginDeferred` … `endDeferred`; they nest.
 */
import {
  CLIENT_CLOSE_AFTER_REPLY,
  CLIENT_CLOSE_ASAP,
  CLIENT_NO_REPLY_MASK,
  CLIENT_PUSHING,
  type Client,
} from '../client.ts';
import { wordsToBigInt } from '../structures/int64.ts';
import { incrRefCount, OBJ_ENCODING_INT, robjEncoding, robjPtr } from '../structures/robj.ts';
import { sdsLen } from '../structures/sds.ts';
import { putUint } from './decimal.ts';

/** A stored string of at least so many bytes leaves without being copied. */
export const LEND_BYTES = 16_384;
/** Room for a type byte, 20 digits with sign and CRLF. */
const HEAD_BYTES = 24;
/** Longest piece that is copied into the output at once. */
const PIECE_BYTES = 16_384;

/** Copies shorter than this go byte by byte. */
const SHORT_BYTES = 48;

const CR = 13;
const LF = 10;

/** @returns where to store up to `bytes` bytes of reply, or 0 when nothing may be stored. `finish` must follow with nothing in between */
export function begin(c: Client, bytes: number): number {
  const flags = c.flags;
  if ((flags & CLIENT_NO_REPLY_MASK) !== 0) {
    if ((flags & (CLIENT_CLOSE_AFTER_REPLY | CLIENT_CLOSE_ASAP)) !== 0 || (flags & CLIENT_PUSHING) === 0) return 0;
  }
  if (c.silent) return 0;
  const scratch = c.core.scratch;
  if (scratch.client === c) return scratch.reserve(bytes);
  const at = c.transport.reserve(c.conn, bytes);
  if (at === 0) c.core.closeClient(c, false);
  return at;
}

/** Declares that reply bytes have been stored up to `end`. */
export function finish(c: Client, end: number): void {
  const scratch = c.core.scratch;
  if (scratch.client === c) scratch.commit(end);
  else c.transport.commit(c.conn, end);
}

function addHead(c: Client, type: number, value: number): void {
  const at = begin(c, HEAD_BYTES);
  if (at === 0) return;
  const u8 = c.core.heap.u8;
  u8[at] = type;
  let p = at + 1;
  if (value < 0) {
    u8[p++] = 45;
    value = -value;
  }
  p = putUint(u8, p, value);
  u8[p] = CR;
  u8[p + 1] = LF;
  finish(c, p + 2);
}

/** Bytes as they are, of any length. */
export function addReplyRaw(c: Client, offset: number, length: number): void {
  let from = offset;
  let left = length;
  while (left > 0) {
    const piece = Math.min(left, PIECE_BYTES);
    const at = begin(c, piece);
    if (at === 0) return;
    c.core.heap.copy(from, at, piece);
    finish(c, at + piece);
    from += piece;
    left -= piece;
  }
}

/** A protocol text as it is, one byte a char: `addReplyProto(c, '+PONG\r\n')`. */
export function addReplyProto(c: Client, text: string): void {
  for (let from = 0; from < text.length; from += PIECE_BYTES) {
    const piece = text.length <= PIECE_BYTES ? text : text.slice(from, from + PIECE_BYTES);
    const at = begin(c, piece.length);
    if (at === 0) return;
    finish(c, c.core.heap.putLatin1(piece, at));
  }
}

export function addReplyOk(c: Client): void {
  const at = begin(c, 5);
  if (at === 0) return;
  const u8 = c.core.heap.u8;
  u8[at] = 43;
  u8[at + 1] = 79;
  u8[at + 2] = 75;
  u8[at + 3] = CR;
  u8[at + 4] = LF;
  finish(c, at + 5);
}

/** A simple string: no CR or LF may be in it. */
export function addReplyStatus(c: Client, text: string): void {
  addReplyProto(c, `+${text}\r\n`);
}

/**
 * An error. A text that does not begin with '-' gets "-ERR " before it; "-WRONGTYPE Operation …" is taken as it is. Line ends in
 * it become spaces. Counts in errorstats and as a failure of the present command.
 */
export function addReplyError(c: Client, text: string): void {
  const line = text.replace(/[\r\n]+$/, '').replace(/[\r\n]/g, ' ');
  c.core.countError(c, line);
  addReplyProto(c, line.startsWith('-') ? `${line}\r\n` : `-ERR ${line}\r\n`);
}

/** nil: "$-1" or "_". */
export function addReplyNull(c: Client): void {
  addReplyProto(c, c.resp === 2 ? '$-1\r\n' : '_\r\n');
}

/** The nil that stands for an array: "*-1" or "_". */
export function addReplyNullArray(c: Client): void {
  addReplyProto(c, c.resp === 2 ? '*-1\r\n' : '_\r\n');
}

/** An integer that a JavaScript number holds exactly. */
export function addReplyLong(c: Client, value: number): void {
  addHead(c, 58, value);
}

/** An integer of 64 bits. */
export function addReplyBigInt(c: Client, value: bigint): void {
  addReplyProto(c, `:${value}\r\n`);
}

/** An integer given as two 32-bit words (low as unsigned, high as signed). */
export function addReplyLong64(c: Client, low: number, high: number): void {
  const value = high * 4294967296 + (low >>> 0);
  if (Number.isSafeInteger(value)) addHead(c, 58, value);
  else addReplyBigInt(c, (BigInt(high) << 32n) | BigInt(low >>> 0));
}

/** 1 or 0; RESP3 has a type of its own, but most commands answer with integers: see addReplyLong. */
export function addReplyBool(c: Client, value: boolean): void {
  if (c.resp === 2) addHead(c, 58, value ? 1 : 0);
  else addReplyProto(c, value ? '#t\r\n' : '#f\r\n');
}

export function addReplyArrayLen(c: Client, length: number): void {
  addHead(c, 42, length);
}

/** A map of `pairs` pairs; in RESP2 an array of twice as many items. */
export function addReplyMapLen(c: Client, pairs: number): void {
  if (c.resp === 2) addHead(c, 42, pairs * 2);
  else addHead(c, 37, pairs);
}

export function addReplySetLen(c: Client, length: number): void {
  addHead(c, c.resp === 2 ? 42 : 126, length);
}

/** A push message: RESP3's out-of-band type, an array in RESP2. */
export function addReplyPushLen(c: Client, length: number): void {
  addHead(c, c.resp === 2 ? 42 : 62, length);
}

/** A bulk string of arena bytes, copied. */
export function addReplyBulk(c: Client, offset: number, length: number): void {
  if (length > PIECE_BYTES - HEAD_BYTES) {
    addHead(c, 36, length);
    addReplyRaw(c, offset, length);
    addReplyProto(c, '\r\n');
    return;
  }
  const at = begin(c, length + HEAD_BYTES);
  if (at === 0) return;
  const heap = c.core.heap;
  const u8 = heap.u8;
  u8[at] = 36;
  let p = putUint(u8, at + 1, length);
  u8[p] = CR;
  u8[p + 1] = LF;
  p += 2;
  heap.copy(offset, p, length);
  p += length;
  u8[p] = CR;
  u8[p + 1] = LF;
  finish(c, p + 2);
}

/** A bulk string of bytes that lie in another memory, copied. */
export function addReplyBulkBytes(c: Client, bytes: Uint8Array, offset: number, length: number): void {
  addHead(c, 36, length);
  const u8 = c.core.heap.u8;
  for (let from = 0; from < length; from += PIECE_BYTES) {
    const piece = Math.min(length - from, PIECE_BYTES);
    const at = begin(c, piece);
    if (at === 0) return;
    if (piece < SHORT_BYTES) for (let i = 0; i < piece; i++) u8[at + i] = bytes[offset + from + i];
    else u8.set(bytes.subarray(offset + from, offset + from + piece), at);
    finish(c, at + piece);
  }
  addReplyProto(c, '\r\n');
}

/** A bulk string of a JavaScript string, one byte a char. */
export function addReplyBulkString(c: Client, text: string): void {
  addReplyProto(c, `$${text.length}\r\n${text}\r\n`);
}

/** A bulk string in UTF-8 of a JavaScript string with any characters. */
export function addReplyBulkUtf8(c: Client, text: string): void {
  addReplyBulkString(c, unescape(encodeURIComponent(text)));
}

/** A number as a bulk string. */
export function addReplyBulkLong(c: Client, value: number): void {
  addReplyBulkString(c, String(value));
}

/** A bulk string that is the value of a string object, whatever its encoding. Long ones leave without a copy. */
export function addReplyBulkObject(c: Client, robj: number): void {
  const heap = c.core.heap;
  if (robjEncoding(heap, robj) === OBJ_ENCODING_INT) {
    addReplyBulkInt64(c, heap.u32[(robj + 8) >>> 2], heap.i32[(robj + 12) >>> 2]);
    return;
  }
  const s = robjPtr(heap, robj);
  const length = sdsLen(heap, s);
  if (length < LEND_BYTES || c.core.scratch.client === c || (c.flags & CLIENT_NO_REPLY_MASK) !== 0 || c.conn < 0) {
    addReplyBulk(c, s, length);
    return;
  }
  addHead(c, 36, length);
  incrRefCount(heap, robj);
  c.transport.lend(c.conn, s, length, robj);
  addReplyProto(c, '\r\n');
}

/** The text of a 64-bit integer (low word unsigned, high word signed) as a bulk string. */
export function addReplyBulkInt64(c: Client, low: number, high: number): void {
  const value = high * 4294967296 + low;
  if (!Number.isSafeInteger(value)) {
    addReplyBulkString(c, wordsToBigInt(low, high).toString());
    return;
  }
  const at = begin(c, HEAD_BYTES * 2);
  if (at === 0) return;
  const u8 = c.core.heap.u8;
  // The length line is two digits at most, so the number can be stored behind it before it is known.
  let p = at + 5;
  let magnitude = value;
  if (value < 0) {
    u8[p++] = 45;
    magnitude = -value;
  }
  p = putUint(u8, p, magnitude);
  const length = p - (at + 5);
  let head = at;
  if (length < 10) {
    // One digit fewer: move the number down by one.
    for (let i = at + 5; i < p; i++) u8[i - 1] = u8[i];
    p--;
  }
  u8[head++] = 36;
  head = putUint(u8, head, length);
  u8[head] = CR;
  u8[head + 1] = LF;
  u8[p] = CR;
  u8[p + 1] = LF;
  finish(c, p + 2);
}

/** A double: RESP3's type, in RESP2 a bulk string; infinities and NaN as the original writes them. */
export function addReplyDouble(c: Client, value: number, text: string): void {
  const word = Number.isNaN(value) ? 'nan' : value === Infinity ? 'inf' : value === -Infinity ? '-inf' : text;
  if (c.resp === 2) addReplyBulkString(c, word);
  else addReplyProto(c, `,${word}\r\n`);
}

/** A big number: RESP3's type, in RESP2 a bulk string. */
export function addReplyBigNumber(c: Client, digits: string): void {
  if (c.resp === 2) addReplyBulkString(c, digits);
  else addReplyProto(c, `(${digits}\r\n`);
}

/** Text for people; `format` is "txt" or "mkd". In RESP2 a plain bulk string. */
export function addReplyVerbatim(c: Client, text: string, format: string): void {
  if (c.resp === 2) addReplyBulkString(c, text);
  else addReplyProto(c, `=${text.length + 4}\r\n${format}:${text}\r\n`);
}

/** The help of a container command: an array of simple strings in the original's frame. */
export function addReplyHelp(c: Client, lines: readonly string[]): void {
  const name = c.argText(0).toUpperCase();
  const all = [
    `${name} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:`,
    ...lines,
    'HELP',
    '    Prints this help.',
  ];
  addReplyArrayLen(c, all.length);
  for (const line of all) addReplyStatus(c, line);
}

/** "Unknown subcommand or wrong number of arguments …": for commands that look at their subcommand themselves. */
export function addReplySubcommandSyntaxError(c: Client): void {
  const name = c.argText(0).toUpperCase();
  addReplyError(
    c,
    `unknown subcommand or wrong number of arguments for '${c.argText(1).slice(0, 128)}'. Try ${name} HELP.`,
  );
}

/** Starts an aggregate whose length is not known yet. @returns a mark for endDeferred */
export function beginDeferred(c: Client): number {
  return c.core.scratch.open(c);
}

/** Ends an aggregate: `type` '*', '%', '~' or '>'; `length` in items (pairs for a map). RESP2 gets an array. */
export function endDeferred(c: Client, mark: number, type: '*' | '%' | '~' | '>', length: number): void {
  const head = c.resp === 2 ? `*${type === '%' ? length * 2 : length}\r\n` : `${type}${length}\r\n`;
  const scratch = c.core.scratch;
  if (scratch.client !== c) return;
  scratch.insert(mark, head);
  if (!scratch.close()) return;
  addReplyRaw(c, scratch.start, scratch.length);
  scratch.release();
}

export const WRONG_TYPE = '-WRONGTYPE Operation against a key holding the wrong kind of value';
export const SYNTAX_ERROR = 'syntax error';
export const NOT_AN_INTEGER = 'value is not an integer or out of range';
export const NO_SUCH_KEY = 'no such key';
