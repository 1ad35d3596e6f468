/** What the stream commands have in common: reading ids, finding streams and groups, replying ids and entries. */
import type { Client } from '../client.ts';
import { dbAdd, lookupKeyRead } from '../db.ts';
import {
  addReplyArrayLen,
  addReplyBulk,
  addReplyBulkString,
  addReplyError,
  addReplyNullArray,
  beginDeferred,
  endDeferred,
} from '../protocol/reply.ts';
import type { RedisCore } from '../redis-core.ts';
import type { Heap } from '../structures/heap.ts';
import { lpGet, lpStringLength, lpStringOffset, lpText } from '../structures/listpack.ts';
import { decrRefCount, OBJ_STREAM, robjPtr } from '../structures/robj.ts';
import { streamNew } from '../structures/stream.ts';
import { groupFind } from '../structures/stream-groups.ts';
import { newStreamId, type StreamId, setStreamIdMs, streamIdText } from '../structures/stream-id.ts';
import { replyIterator, type StreamIterator } from '../structures/stream-iterator.ts';
import { wrapStream } from '../types/stream.ts';
import { isWrongType } from './integer-arguments.ts';

export const INVALID_STREAM_ID = 'Invalid stream ID specified as stream command argument';
export const INVALID_START = 'invalid start ID for the interval';
export const INVALID_END = 'invalid end ID for the interval';
/** A longer text is no id. */
const ID_TEXT_MAX = 127;
/** Up to so many digits a decimal is a safe integer. */
const SAFE_DIGITS = 15;
const UINT64_MAX = 0xffffffffffffffffn;
const UINT64_MOD = 1n << 64n;

/** Whether the id read last was "ms-*": its sequence is to be chosen. */
export let sequenceIsOpen = false;

/** Reads a decimal of one part of an id, as C's strtoull does where it is not a plain one. @returns false when it is none */
function readPart(text: string, id: StreamId, part: number): boolean {
  if (/^(0|[1-9]\d{0,14})$/.test(text) && text.length <= SAFE_DIGITS) {
    const value = Number(text);
    id[part] = Math.floor(value / 4294967296);
    id[part + 1] = value >>> 0;
    return true;
  }
  // A plain negative number is none; one with blanks or zeros before it wraps around, as in the original.
  if (/^-[1-9]\d*$/.test(text) && BigInt(text) >= -9223372036854775808n) return false;
  const match = /^[ \t-\r]*([+-]?)(\d+)$/.exec(text);
  if (match === null) return false;
  let value = BigInt(match[2]!);
  if (value > UINT64_MAX) return false;
  if (match[1] === '-') value = (UINT64_MOD - value) % UINT64_MOD;
  id[part] = Number(value >> 32n);
  id[part + 1] = Number(value & 0xffffffffn);
  return true;
}

/**
 * Reads a text as an id: "ms", "ms-sequence", "ms-*" where `openSequence`, "-" and "+" unless `strict`.
 * @param missing the sequence where none is given: 0, or all ones
 */
export function parseStreamIdText(
  whole: string,
  id: StreamId,
  missing: number,
  strict: boolean,
  openSequence = false,
): boolean {
  sequenceIsOpen = false;
  if (whole.length > ID_TEXT_MAX) return false;
  // The original reads it as a C string.
  const nul = whole.indexOf('\0');
  const text = nul < 0 ? whole : whole.slice(0, nul);
  if (text === '-' || text === '+') {
    if (strict) return false;
    id.fill(text === '-' ? 0 : 0xffffffff);
    return true;
  }
  const dash = text.indexOf('-');
  const ms = dash < 0 ? text : text.slice(0, dash);
  if (!readPart(ms, id, 0)) return false;
  if (dash < 0) {
    id[2] = missing;
    id[3] = missing;
    return true;
  }
  const sequence = text.slice(dash + 1);
  if (openSequence && sequence === '*') {
    sequenceIsOpen = true;
    id[2] = 0;
    id[3] = 0;
    return true;
  }
  return readPart(sequence, id, 2);
}

/** Reads "ms-sequence" of up to 15 digits each without making a string. @returns false when it is anything else */
function parsePlainId(u8: Uint8Array, offset: number, length: number, id: StreamId): boolean {
  let value = 0;
  let digits = 0;
  let dash = -1;
  let ms = 0;
  for (let i = 0; i < length; i++) {
    const byte = u8[offset + i];
    if (byte === 45 && dash < 0 && digits > 0) {
      dash = i;
      ms = value;
      value = 0;
      digits = 0;
      continue;
    }
    if (byte < 48 || byte > 57 || ++digits > SAFE_DIGITS) return false;
    value = value * 10 + byte - 48;
  }
  if (dash < 0 || digits === 0) return false;
  setStreamIdMs(id, ms);
  id[2] = Math.floor(value / 4294967296);
  id[3] = value >>> 0;
  return true;
}

/** Reads argument `i` as a whole id into `id`. @returns false when it is none; the client has not been told */
export function parseIdArgument(c: Client, i: number, id: StreamId): boolean {
  if (parsePlainId(c.core.heap.u8, c.argOff[i], c.argLen[i], id)) return true;
  return parseStreamIdText(c.argText(i), id, 0, true);
}

/** As parseIdArgument, telling the client. `openSequence` allows "ms-*". */
export function readStreamId(c: Client, i: number, id: StreamId, openSequence = false): boolean {
  sequenceIsOpen = false;
  if (parsePlainId(c.core.heap.u8, c.argOff[i], c.argLen[i], id)) return true;
  if (parseStreamIdText(c.argText(i), id, 0, true, openSequence)) return true;
  addReplyError(c, INVALID_STREAM_ID);
  return false;
}

/**
 * Reads the bound of a range: an id, also "-" and "+", or one with "(" before it, which is then excluded: true in boundIsOpen.
 * @param missing the sequence where none is given: 0, or all ones
 */
export function readStreamBound(c: Client, i: number, id: StreamId, missing: number): boolean {
  const text = c.argText(i);
  boundIsOpen = text.length > 1 && text.charCodeAt(0) === 40;
  if (parseStreamIdText(boundIsOpen ? text.slice(1) : text, id, missing, boundIsOpen)) return true;
  addReplyError(c, INVALID_STREAM_ID);
  return false;
}
export let boundIsOpen = false;

export function addReplyStreamId(c: Client, id: StreamId): void {
  addReplyBulkString(c, streamIdText(id));
}

/** Replies an element of a listpack as a bulk string. */
export function addReplyElement(h: Heap, c: Client, p: number): void {
  if (lpGet(h, p)) addReplyBulk(c, lpStringOffset, lpStringLength);
  else addReplyBulkString(c, lpText(h, p));
}

/** Replies the entry that the iterator stands at. */
export function addReplyEntry(h: Heap, c: Client, it: StreamIterator): void {
  addReplyArrayLen(c, 2);
  addReplyStreamId(c, it.id);
  addReplyArrayLen(c, it.fields * 2);
  for (let i = 0; i < it.fields; i++) {
    it.field();
    const value = it.valueAt;
    addReplyElement(h, c, it.fieldAt);
    addReplyElement(h, c, value);
  }
}

/** Replies the entry of this id, without an array around it. @returns false when there is none: nothing has been replied */
export function addReplyEntryOf(h: Heap, c: Client, s: number, id: StreamId): boolean {
  const it = replyIterator(h, s);
  it.seek(s, id, id, false);
  if (!it.next()) return false;
  addReplyEntry(h, c, it);
  return true;
}

/** Replies an array of the entries of a range. @param count at most so many; 0: all */
export function addReplyRange(
  h: Heap,
  c: Client,
  s: number,
  start: StreamId | null,
  end: StreamId | null,
  count: number,
  backwards: boolean,
): void {
  const it = replyIterator(h, s);
  it.seek(s, start, end, backwards);
  const mark = beginDeferred(c);
  let replied = 0;
  while (it.next()) {
    addReplyEntry(h, c, it);
    replied++;
    if (replied === count) break;
  }
  endDeferred(c, mark, '*', replied);
}

/** Replies the id of an entry that is no more. */
export function addReplyGoneEntry(c: Client, id: StreamId): void {
  addReplyArrayLen(c, 2);
  addReplyStreamId(c, id);
  addReplyNullArray(c);
}

/** The bytes of an argument as C prints them. */
export function argCString(c: Client, i: number): string {
  const text = c.argText(i);
  const nul = text.indexOf('\0');
  return nul < 0 ? text : text.slice(0, nul);
}

/** What findGroup found. */
export let foundStream = 0;
export let foundGroup = 0;

/**
 * Finds the group that arguments 1 (key) and 2 (group) name, or tells the client that there is none.
 * @returns false after an error reply
 */
export function findGroup(core: RedisCore, c: Client): boolean {
  return findGroupIn(core, c, lookupKeyRead(core, c.db, c.argOff[1], c.argLen[1]));
}

/** As findGroup, for a key that has been looked up already: `o` is its value, or 0. */
export function findGroupIn(core: RedisCore, c: Client, o: number): boolean {
  const h = core.heap;
  if (isWrongType(core, c, o, OBJ_STREAM)) return false;
  foundStream = o === 0 ? 0 : robjPtr(h, o);
  foundGroup = o === 0 ? 0 : groupFind(h, foundStream, c.argOff[2], c.argLen[2]);
  if (foundGroup !== 0) return true;
  addReplyError(c, `-NOGROUP No such key '${argCString(c, 1)}' or consumer group '${argCString(c, 2)}'`);
  return false;
}

/** Adds an empty stream under the key of argument `i`. @returns the object. @throws ARENA_EXHAUSTED, nothing changed */
export function addStream(core: RedisCore, c: Client, i: number): number {
  const o = wrapStream(core.heap, streamNew(core.heap));
  try {
    dbAdd(core, c.db, c.argOff[i], c.argLen[i], o);
  } catch (error) {
    decrRefCount(core.heap, o);
    throw error;
  }
  return o;
}

const ids: StreamId[] = [];

/** Reads all arguments from `first` on as ids. @returns them, valid until the next call, or null after an error reply */
export function readStreamIds(c: Client, first: number): readonly StreamId[] | null {
  for (let i = first; i < c.argc; i++) {
    if (ids.length <= i - first) ids.push(newStreamId());
    if (!readStreamId(c, i, ids[i - first])) return null;
  }
  return ids;
}
