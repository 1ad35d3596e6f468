/**
 * The client side of memcached's protocols: requests written into a byte array. Used by the load drivers and by tests.
 *
 * Every function stores at `at` and returns the offset behind what it stored. The caller provides room: a request
 * without its value never needs more than `REQUEST_BYTES_MAX`. A key is given as (array, offset, length), so that it can
 * lie in the same arena; it is not checked (a driver makes its own keys).
 */
import {
  BINARY_HEADER_BYTES,
  MAGIC_REQUEST,
  OP_DELETE,
  OP_GAT,
  OP_GET,
  OP_INCREMENT,
  OP_NOOP,
  OP_SET,
  OP_TOUCH,
} from './binary.ts';

/** A key of 250 bytes and the longest line around it, or a binary header with 20 bytes of extras and that key. */
export const REQUEST_BYTES_MAX = 400;

/** Verbs of the ASCII commands that carry a value and no CAS id. */
export const VERB_SET = 0;
export const VERB_ADD = 1;
export const VERB_REPLACE = 2;
export const VERB_APPEND = 3;
export const VERB_PREPEND = 4;

function bytesOf(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}

const STORE_VERBS = ['set ', 'add ', 'replace ', 'append ', 'prepend '].map(bytesOf);
const CAS_VERB = bytesOf('cas ');
const GET_VERB = bytesOf('get');
const GETS_VERB = bytesOf('gets');
const GAT_VERB = bytesOf('gat ');
const DELETE_VERB = bytesOf('delete ');
const TOUCH_VERB = bytesOf('touch ');
const INCR_VERB = bytesOf('incr ');
const DECR_VERB = bytesOf('decr ');
const NOREPLY = bytesOf(' noreply');

/** Copies `source[from, from + length)` to `out[at…]`. A byte loop: for keys it beats `set` with a subarray. */
function copy(out: Uint8Array, at: number, source: Uint8Array, from: number, length: number): number {
  for (let i = 0; i < length; i++) out[at + i] = source[from + i];
  return at + length;
}

function text(out: Uint8Array, at: number, bytes: Uint8Array): number {
  return copy(out, at, bytes, 0, bytes.length);
}

function crlf(out: Uint8Array, at: number): number {
  out[at] = 13;
  out[at + 1] = 10;
  return at + 2;
}

/** Stores a decimal integer (|value| at most 2^53 - 1). */
export function encodeDecimal(out: Uint8Array, at: number, value: number): number {
  if (value < 0) {
    out[at++] = 45;
    value = -value;
  }
  let digits = 1;
  for (let bound = 10; value >= bound; bound *= 10) digits++;
  for (let i = at + digits - 1; i >= at; i--) {
    const rest = Math.floor(value / 10);
    out[i] = 48 + (value - rest * 10);
    value = rest;
  }
  return at + digits;
}

function decimal64(out: Uint8Array, at: number, value: number | bigint): number {
  return typeof value === 'number' ? encodeDecimal(out, at, value) : text(out, at, bytesOf(value.toString()));
}

/** `get KEY\r\n`, or `gets` with `withCas`. */
export function asciiGet(
  out: Uint8Array,
  at: number,
  key: Uint8Array,
  keyAt: number,
  keyLength: number,
  withCas = false,
): number {
  at = text(out, at, withCas ? GETS_VERB : GET_VERB);
  out[at++] = 32;
  return crlf(out, copy(out, at, key, keyAt, keyLength));
}

/** Begins a get of several keys (`get` or `gets`): follow with `asciiGetKey` for each and `asciiGetEnd`. */
export function asciiGetBegin(out: Uint8Array, at: number, withCas = false): number {
  return text(out, at, withCas ? GETS_VERB : GET_VERB);
}

/** One more key of a get begun with `asciiGetBegin` (a space, then the key). */
export function asciiGetKey(out: Uint8Array, at: number, key: Uint8Array, keyAt: number, keyLength: number): number {
  out[at++] = 32;
  return copy(out, at, key, keyAt, keyLength);
}

/** Ends a get of several keys. */
export function asciiGetEnd(out: Uint8Array, at: number): number {
  return crlf(out, at);
}

/** `gat EXPTIME KEY\r\n` (seconds). */
export function asciiGat(
  out: Uint8Array,
  at: number,
  exptime: number,
  key: Uint8Array,
  keyAt: number,
  keyLength: number,
): number {
  at = encodeDecimal(out, text(out, at, GAT_VERB), exptime);
  out[at++] = 32;
  return crlf(out, copy(out, at, key, keyAt, keyLength));
}

/**
 * The line of a storing command. Behind it the caller stores `valueLength` bytes and `asciiValueEnd`.
 * @param verb VERB_SET … VERB_PREPEND
 * @param exptime seconds as the protocol takes them (0 never, negative at once, above 30 days absolute)
 */
export function asciiStore(
  out: Uint8Array,
  at: number,
  verb: number,
  key: Uint8Array,
  keyAt: number,
  keyLength: number,
  flags: number,
  exptime: number,
  valueLength: number,
  noreply = false,
): number {
  at = copy(out, text(out, at, STORE_VERBS[verb]!), key, keyAt, keyLength);
  out[at++] = 32;
  at = encodeDecimal(out, at, flags);
  out[at++] = 32;
  at = encodeDecimal(out, at, exptime);
  out[at++] = 32;
  at = encodeDecimal(out, at, valueLength);
  if (noreply) at = text(out, at, NOREPLY);
  return crlf(out, at);
}

/** The line of `cas`; value and `asciiValueEnd` follow. */
export function asciiCas(
  out: Uint8Array,
  at: number,
  key: Uint8Array,
  keyAt: number,
  keyLength: number,
  flags: number,
  exptime: number,
  valueLength: number,
  cas: number | bigint,
): number {
  at = copy(out, text(out, at, CAS_VERB), key, keyAt, keyLength);
  out[at++] = 32;
  at = encodeDecimal(out, at, flags);
  out[at++] = 32;
  at = encodeDecimal(out, at, exptime);
  out[at++] = 32;
  at = encodeDecimal(out, at, valueLength);
  out[at++] = 32;
  return crlf(out, decimal64(out, at, cas));
}

/** The `\r\n` that ends a stored value. */
export function asciiValueEnd(out: Uint8Array, at: number): number {
  return crlf(out, at);
}

/** `delete KEY\r\n`. */
export function asciiDelete(out: Uint8Array, at: number, key: Uint8Array, keyAt: number, keyLength: number): number {
  return crlf(out, copy(out, text(out, at, DELETE_VERB), key, keyAt, keyLength));
}

/** `touch KEY EXPTIME\r\n`. */
export function asciiTouch(
  out: Uint8Array,
  at: number,
  key: Uint8Array,
  keyAt: number,
  keyLength: number,
  exptime: number,
): number {
  at = copy(out, text(out, at, TOUCH_VERB), key, keyAt, keyLength);
  out[at++] = 32;
  return crlf(out, encodeDecimal(out, at, exptime));
}

/** `incr KEY DELTA\r\n`, or `decr` with `down`. */
export function asciiArithmetic(
  out: Uint8Array,
  at: number,
  down: boolean,
  key: Uint8Array,
  keyAt: number,
  keyLength: number,
  delta: number | bigint,
): number {
  at = copy(out, text(out, at, down ? DECR_VERB : INCR_VERB), key, keyAt, keyLength);
  out[at++] = 32;
  return crlf(out, decimal64(out, at, delta));
}

/** A whole command line given as text, without its `\r\n`: "version", "flush_all", "stats slabs" … Not for hot paths. */
export function asciiLine(out: Uint8Array, at: number, line: string): number {
  return crlf(out, text(out, at, bytesOf(line)));
}

function put32(out: Uint8Array, at: number, value: number): void {
  out[at] = value >>> 24;
  out[at + 1] = value >>> 16;
  out[at + 2] = value >>> 8;
  out[at + 3] = value;
}

function put64(out: Uint8Array, at: number, value: number | bigint): void {
  if (typeof value === 'number') {
    put32(out, at, Math.floor(value / 4_294_967_296));
    put32(out, at + 4, value >>> 0);
  } else {
    put32(out, at, Number((value >> 32n) & 0xffffffffn));
    put32(out, at + 4, Number(value & 0xffffffffn));
  }
}

/**
 * The header of a binary request.
 * @param opcode OP_… of binary.ts
 * @param bodyLength extras + key + value in bytes
 * @param opaque returned by the server in its response, u32
 * @param cas 0: none
 */
export function binaryHeader(
  out: Uint8Array,
  at: number,
  opcode: number,
  keyLength: number,
  extrasLength: number,
  bodyLength: number,
  opaque: number,
  cas: number | bigint = 0,
): number {
  out[at] = MAGIC_REQUEST;
  out[at + 1] = opcode;
  out[at + 2] = keyLength >>> 8;
  out[at + 3] = keyLength;
  out[at + 4] = extrasLength;
  out[at + 5] = 0;
  out[at + 6] = 0;
  out[at + 7] = 0;
  put32(out, at + 8, bodyLength);
  put32(out, at + 12, opaque);
  put64(out, at + 16, cas);
  return at + BINARY_HEADER_BYTES;
}

/** A request of key alone: get and its kin, delete, append-less commands, stat. `opcode` defaults to OP_GET. */
export function binaryGet(
  out: Uint8Array,
  at: number,
  key: Uint8Array,
  keyAt: number,
  keyLength: number,
  opaque: number,
  opcode: number = OP_GET,
): number {
  return copy(out, binaryHeader(out, at, opcode, keyLength, 0, keyLength, opaque), key, keyAt, keyLength);
}

/** A delete (or, with `opcode`, its quiet form). */
export function binaryDelete(
  out: Uint8Array,
  at: number,
  key: Uint8Array,
  keyAt: number,
  keyLength: number,
  opaque: number,
  opcode: number = OP_DELETE,
): number {
  return copy(out, binaryHeader(out, at, opcode, keyLength, 0, keyLength, opaque), key, keyAt, keyLength);
}

/** Header, extras and key of set, add or replace; the caller stores `valueLength` bytes behind it. */
export function binaryStore(
  out: Uint8Array,
  at: number,
  key: Uint8Array,
  keyAt: number,
  keyLength: number,
  flags: number,
  exptime: number,
  valueLength: number,
  opaque: number,
  opcode: number = OP_SET,
  cas: number | bigint = 0,
): number {
  at = binaryHeader(out, at, opcode, keyLength, 8, 8 + keyLength + valueLength, opaque, cas);
  put32(out, at, flags);
  put32(out, at + 4, exptime);
  return copy(out, at + 8, key, keyAt, keyLength);
}

/** Header and key of append or prepend (`opcode`); the caller stores `valueLength` bytes behind it. */
export function binaryConcat(
  out: Uint8Array,
  at: number,
  opcode: number,
  key: Uint8Array,
  keyAt: number,
  keyLength: number,
  valueLength: number,
  opaque: number,
  cas: number | bigint = 0,
): number {
  at = binaryHeader(out, at, opcode, keyLength, 0, keyLength + valueLength, opaque, cas);
  return copy(out, at, key, keyAt, keyLength);
}

/** Increment or (with `opcode`) decrement. `exptime` 0xffffffff: fail when there is no such key instead of making it. */
export function binaryArithmetic(
  out: Uint8Array,
  at: number,
  key: Uint8Array,
  keyAt: number,
  keyLength: number,
  delta: number | bigint,
  initial: number | bigint,
  exptime: number,
  opaque: number,
  opcode: number = OP_INCREMENT,
  cas: number | bigint = 0,
): number {
  at = binaryHeader(out, at, opcode, keyLength, 20, 20 + keyLength, opaque, cas);
  put64(out, at, delta);
  put64(out, at + 8, initial);
  put32(out, at + 16, exptime);
  return copy(out, at + 20, key, keyAt, keyLength);
}

/** Touch, or with `opcode` get-and-touch (OP_GAT …). */
export function binaryTouch(
  out: Uint8Array,
  at: number,
  key: Uint8Array,
  keyAt: number,
  keyLength: number,
  exptime: number,
  opaque: number,
  opcode: number = OP_TOUCH,
): number {
  at = binaryHeader(out, at, opcode, keyLength, 4, 4 + keyLength, opaque);
  put32(out, at, exptime);
  return copy(out, at + 4, key, keyAt, keyLength);
}

/** Get-and-touch: `binaryTouch` with OP_GAT. */
export function binaryGat(
  out: Uint8Array,
  at: number,
  key: Uint8Array,
  keyAt: number,
  keyLength: number,
  exptime: number,
  opaque: number,
): number {
  return binaryTouch(out, at, key, keyAt, keyLength, exptime, opaque, OP_GAT);
}

/** A request without key, extras and value: noop, version, quit, flush (at once), stat (general). */
export function binaryBare(out: Uint8Array, at: number, opaque: number, opcode: number = OP_NOOP): number {
  return binaryHeader(out, at, opcode, 0, 0, 0, opaque);
}
