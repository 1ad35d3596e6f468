/**
 * Streams, in the original's layout. The struct of 80 bytes:
 *
 * | offset | field |
 * | --- | --- |
 * | 0 | radix tree: id of a node's first entry -> listpack |
 * | 8 | number of entries |
 * | 16 | id of the last entry ever added |
 * | 32 | id of the first entry |
 * | 48 | greatest id that was deleted |
 * | 64 | number of entries ever added |
 * | 72 | radix tree of the consumer groups by name; 0: there have been none |
 *
 * A node's listpack begins with the master entry: entries, deleted entries, number of fields, the fields of the first entry, 0. Then for
 * each entry: flags, its id's milliseconds and sequence as differences to the node's, (unless it has the master's fields: number of
 * fields,) values or fields and values, and how many elements that are, so that it can be read backwards.
 *
 * Finding and stepping through entries is in stream-iterator.ts, groups in stream-groups.ts.
 */
import type { Heap } from './heap.ts';
import { parsedNumber, parseInt64 } from './int64.ts';
import {
  LP_EOF,
  LP_REPLACE,
  lpBytes,
  lpCompare,
  lpFirst,
  lpFree,
  lpGet,
  lpInsertInteger,
  lpIntNumber,
  lpShrinkToFit,
  lpSkip,
  lpStringLength,
  lpStringOffset,
} from './listpack.ts';
import {
  encodedLength,
  LP_COUNT_UNKNOWN,
  LP_HEADER_BYTES,
  lpBacklenSize,
  lpCountField,
  lpEncodeInt64,
  lpEncodeText,
  lpPutEncoded,
} from './listpack-element.ts';
import { raxInsert, raxNew, raxRemove } from './rax.ts';
import { RaxIterator } from './rax-iterator.ts';
import { raxNodeReplaceValue } from './rax-node.ts';
import { reallocate } from './realloc.ts';
import {
  compareStreamIds,
  copyStreamId,
  decodeStreamId,
  differenceHigh,
  differenceLow,
  encodeStreamId,
  incrementStreamId,
  loadStreamId,
  newStreamId,
  STREAM_ID_BYTES,
  type StreamId,
  setStreamIdMs,
  storeStreamId,
  streamIdDifference,
} from './stream-id.ts';

export const STREAM_BYTES = 80;
const LENGTH = 8;
export const STREAM_LAST_ID = 16;
export const STREAM_FIRST_ID = 32;
export const STREAM_MAX_DELETED_ID = 48;
const ENTRIES_ADDED = 64;
const GROUPS = 72;

export const STREAM_ITEM_DELETED = 1;
export const STREAM_ITEM_SAME_FIELDS = 2;

/** A node may not grow beyond this, whatever stream-node-max-bytes says. */
const LISTPACK_MAX_BYTES = 1 << 30;
/** A new node is made with so much room at the most. */
const MAX_PREALLOCATION = 4096;

const WORD = 4294967296;

export function streamRax(h: Heap, s: number): number {
  return h.u32[s >>> 2];
}

/** Number of entries. */
export function streamLength(h: Heap, s: number): number {
  return h.u32[(s + LENGTH + 4) >>> 2] * WORD + h.u32[(s + LENGTH) >>> 2];
}

export function setStreamLength(h: Heap, s: number, length: number): void {
  h.u32[(s + LENGTH) >>> 2] = length >>> 0;
  h.u32[(s + LENGTH + 4) >>> 2] = Math.floor(length / WORD);
}

/** As setStreamLength, of a number that may be anyone's. */
export function setStreamLengthWords(h: Heap, s: number, low: number, high: number): void {
  h.u32[(s + LENGTH) >>> 2] = low;
  h.u32[(s + LENGTH + 4) >>> 2] = high;
}

/** The number of entries as the original replies it: a forged payload may have made it negative. */
export function streamLengthBig(h: Heap, s: number): bigint {
  return h.view.getBigInt64(s + LENGTH, true);
}

/** Number of entries ever added, as an unsigned integer. */
export function streamEntriesAdded(h: Heap, s: number): bigint {
  return (BigInt(h.u32[(s + ENTRIES_ADDED + 4) >>> 2]) << 32n) | BigInt(h.u32[(s + ENTRIES_ADDED) >>> 2]);
}

export function setStreamEntriesAdded(h: Heap, s: number, low: number, high: number): void {
  h.u32[(s + ENTRIES_ADDED) >>> 2] = low;
  h.u32[(s + ENTRIES_ADDED + 4) >>> 2] = high;
}

/** The radix tree of groups; 0: there is none. */
export function streamGroups(h: Heap, s: number): number {
  return h.u32[(s + GROUPS) >>> 2];
}

export function setStreamGroups(h: Heap, s: number, rax: number): void {
  h.u32[(s + GROUPS) >>> 2] = rax;
}

/** An empty stream. @throws ARENA_EXHAUSTED, nothing leaked */
export function streamNew(h: Heap): number {
  const s = h.calloc(STREAM_BYTES);
  try {
    h.u32[s >>> 2] = raxNew(h);
  } catch (error) {
    h.free(s);
    throw error;
  }
  return s;
}

/** The integer that an element is, also if it is stored as a text (which only a payload from elsewhere may contain). */
export function lpInteger(h: Heap, p: number): number {
  if (!lpGet(h, p)) return lpIntNumber;
  return parseInt64(h.u8, lpStringOffset, lpStringLength) ? parsedNumber : 0;
}

const nodeKey = new Uint8Array(STREAM_ID_BYTES);
const masterId = newStreamId();

/** streamAppend has added the entry; or could not, because of its id or its size. */
export const STREAM_APPENDED = 0;
export const STREAM_ID_TOO_SMALL = 1;
export const STREAM_TOO_LARGE = 2;

/** The id of the next entry: the time, or what follows the last id if the clock has not gone on. */
function nextId(h: Heap, s: number, nowMs: number, id: StreamId): void {
  const last = nodeId;
  loadStreamId(h, s + STREAM_LAST_ID, last);
  setStreamIdMs(id, nowMs);
  if (id[0] > last[0] || (id[0] === last[0] && id[1] > last[1])) return;
  copyStreamId(last, id);
  incrementStreamId(id);
}
const nodeId = newStreamId();

/** How an entry's id comes about. */
export const STREAM_ID_AUTO = 0;
export const STREAM_ID_AUTO_SEQUENCE = 1;
export const STREAM_ID_GIVEN = 2;

/**
 * Adds an entry behind all others.
 * @param offsets the fields and values in turn, from index `first` on, `pairs` times two
 * @param mode STREAM_ID_…; with STREAM_ID_GIVEN and STREAM_ID_AUTO_SEQUENCE `id` is given
 * @param id becomes the entry's id
 * @throws ARENA_EXHAUSTED, nothing changed
 */
export function streamAppend(
  h: Heap,
  s: number,
  offsets: Uint32Array,
  lengths: Uint32Array,
  first: number,
  pairs: number,
  mode: number,
  nowMs: number,
  id: StreamId,
): number {
  const last = nodeId;
  if (mode === STREAM_ID_AUTO) {
    nextId(h, s, nowMs, id);
  } else if (mode === STREAM_ID_AUTO_SEQUENCE) {
    id[2] = 0;
    id[3] = 0;
    loadStreamId(h, s + STREAM_LAST_ID, last);
    if (id[0] === last[0] && id[1] === last[1]) {
      if ((last[2] & last[3]) === -1) return STREAM_ID_TOO_SMALL;
      copyStreamId(last, id);
      incrementStreamId(id);
    }
  }
  loadStreamId(h, s + STREAM_LAST_ID, last);
  if (compareStreamIds(id, last) <= 0) return STREAM_ID_TOO_SMALL;
  let total = 0;
  for (let i = first; i < first + pairs * 2; i++) total += lengths[i];
  if (total > LISTPACK_MAX_BYTES) return STREAM_TOO_LARGE;

  const it = appendIterator(h, streamRax(h, s));
  let lp = 0;
  if (it.last()) {
    lp = it.value;
    if (nodeIsFull(h, lp, total)) {
      const shrunk = lpShrinkToFit(h, lp);
      if (shrunk !== lp) raxNodeReplaceValue(h, it.node, shrunk);
      lp = 0;
    }
  }
  if (lp === 0) {
    appendToNewNode(h, s, offsets, lengths, first, pairs, id);
  } else {
    decodeStreamId(it.key, 0, masterId);
    const moved = appendToNode(h, lp, offsets, lengths, first, pairs, id);
    if (moved !== lp) raxNodeReplaceValue(h, it.node, moved);
  }
  setStreamLength(h, s, streamLength(h, s) + 1);
  h.u32[(s + ENTRIES_ADDED) >>> 2]++;
  if (h.u32[(s + ENTRIES_ADDED) >>> 2] === 0) h.u32[(s + ENTRIES_ADDED + 4) >>> 2]++;
  storeStreamId(h, s + STREAM_LAST_ID, id);
  if (streamLength(h, s) === 1) storeStreamId(h, s + STREAM_FIRST_ID, id);
  return STREAM_APPENDED;
}

/** One iterator serves all appends of a heap: appending must not make objects. */
let sharedIterator: RaxIterator | null = null;
let sharedHeap: Heap | null = null;
function appendIterator(h: Heap, rax: number): RaxIterator {
  if (sharedIterator === null || sharedHeap !== h) {
    sharedIterator = new RaxIterator(h, rax);
    sharedHeap = h;
  }
  sharedIterator.use(rax);
  return sharedIterator;
}

function nodeIsFull(h: Heap, lp: number, bytes: number): boolean {
  let maxBytes = h.limits.streamNodeMaxBytes;
  if (maxBytes === 0 || maxBytes > LISTPACK_MAX_BYTES) maxBytes = LISTPACK_MAX_BYTES;
  if (lpBytes(h, lp) + bytes >= maxBytes) return true;
  const maxEntries = h.limits.streamNodeMaxEntries;
  if (maxEntries === 0) return false;
  const p = lpFirst(h, lp);
  return lpInteger(h, p) + lpInteger(h, lpSkip(h, p)) >= maxEntries;
}

/** Room that the element takes that lpEncode… looked at last. */
function elementRoom(): number {
  return encodedLength + lpBacklenSize(encodedLength);
}

function textRoom(h: Heap, offset: number, length: number): number {
  lpEncodeText(h, offset, length);
  return elementRoom();
}

function encodeSmall(value: number): void {
  lpEncodeInt64(value >>> 0, value >> 31, value);
}

function integerRoom(value: number): number {
  encodeSmall(value);
  return elementRoom();
}

/** Where the next element goes of those that are being written. */
let writeAt = 0;
let written = 0;

function putEncoded(h: Heap, offset: number, length: number): void {
  lpPutEncoded(h, writeAt, offset, length);
  writeAt += elementRoom();
  written++;
}

function putSmall(h: Heap, value: number): void {
  encodeSmall(value);
  putEncoded(h, 0, 0);
}

function putText(h: Heap, offset: number, length: number): void {
  lpEncodeText(h, offset, length);
  putEncoded(h, offset, length);
}

/** Ends the listpack behind what has been written. */
function finishWriting(h: Heap, lp: number): void {
  h.u8[writeAt] = LP_EOF;
  h.u32[lp >>> 2] = writeAt + 1 - lp;
  const count = lpCountField(h, lp);
  h.u16[(lp + 4) >>> 1] = Math.min(count + written, LP_COUNT_UNKNOWN);
}

function encodeDifference(id: StreamId, part: number): void {
  streamIdDifference(id, masterId, part);
  lpEncodeInt64(differenceLow, differenceHigh, differenceHigh * WORD + differenceLow);
}

/** Room that an entry takes whose node begins with masterId. */
function entryRoom(
  h: Heap,
  offsets: Uint32Array,
  lengths: Uint32Array,
  first: number,
  pairs: number,
  id: StreamId,
  same: boolean,
): number {
  let room = 1 + 1 + integerRoom(pairs + 3 + (same ? 0 : pairs + 1));
  encodeDifference(id, 0);
  room += elementRoom();
  encodeDifference(id, 2);
  room += elementRoom();
  if (!same) room += integerRoom(pairs);
  for (let i = first; i < first + pairs * 2; i++) {
    if (same && ((i - first) & 1) === 0) continue;
    room += textRoom(h, offsets[i], lengths[i]);
  }
  return room;
}

function putEntry(
  h: Heap,
  offsets: Uint32Array,
  lengths: Uint32Array,
  first: number,
  pairs: number,
  id: StreamId,
  same: boolean,
): void {
  putSmall(h, same ? STREAM_ITEM_SAME_FIELDS : 0);
  encodeDifference(id, 0);
  putEncoded(h, 0, 0);
  encodeDifference(id, 2);
  putEncoded(h, 0, 0);
  if (!same) putSmall(h, pairs);
  for (let i = first; i < first + pairs * 2; i++) {
    if (same && ((i - first) & 1) === 0) continue;
    putText(h, offsets[i], lengths[i]);
  }
  putSmall(h, pairs + 3 + (same ? 0 : pairs + 1));
}

function appendToNewNode(
  h: Heap,
  s: number,
  offsets: Uint32Array,
  lengths: Uint32Array,
  first: number,
  pairs: number,
  id: StreamId,
): void {
  const maxBytes = h.limits.streamNodeMaxBytes;
  const capacity = maxBytes > 0 && maxBytes < MAX_PREALLOCATION ? maxBytes : MAX_PREALLOCATION;
  copyStreamId(id, masterId);
  let bytes = LP_HEADER_BYTES + 1 + 2 + 2 + 2 + integerRoom(pairs);
  for (let i = first; i < first + pairs * 2; i += 2) bytes += textRoom(h, offsets[i], lengths[i]);
  bytes += entryRoom(h, offsets, lengths, first, pairs, id, true);
  // The original makes the empty listpack first and lets it grow, which comes to the same size class.
  const lp = h.alloc(bytes > capacity ? bytes : Math.max(capacity, LP_HEADER_BYTES + 1));
  h.u16[(lp + 4) >>> 1] = 0;
  writeAt = lp + LP_HEADER_BYTES;
  written = 0;
  putSmall(h, 1);
  putSmall(h, 0);
  putSmall(h, pairs);
  for (let i = first; i < first + pairs * 2; i += 2) putText(h, offsets[i], lengths[i]);
  putSmall(h, 0);
  putEntry(h, offsets, lengths, first, pairs, id, true);
  finishWriting(h, lp);
  encodeStreamId(id, nodeKey, 0);
  try {
    raxInsert(h, streamRax(h, s), nodeKey, 0, STREAM_ID_BYTES, lp);
  } catch (error) {
    h.free(lp);
    throw error;
  }
}

/** @returns the listpack's new offset */
function appendToNode(
  h: Heap,
  lp: number,
  offsets: Uint32Array,
  lengths: Uint32Array,
  first: number,
  pairs: number,
  id: StreamId,
): number {
  const countAt = lpFirst(h, lp);
  const count = lpInteger(h, countAt) + 1;
  const fieldsAt = lpSkip(h, lpSkip(h, countAt));
  let same = lpInteger(h, fieldsAt) === pairs;
  let p = fieldsAt;
  for (let i = first; same && i < first + pairs * 2; i += 2) {
    p = lpSkip(h, p);
    same = lpCompare(h, p, offsets[i], lengths[i]);
  }
  // All of the room is made at once, so that nothing is half done when there is none.
  const countGrowth = integerRoom(count) - (lpSkip(h, countAt) - countAt);
  const added = entryRoom(h, offsets, lengths, first, pairs, id, same) + Math.max(countGrowth, 0);
  const bytes = lpBytes(h, lp);
  let moved = lp;
  if (bytes + added > h.usable(lp)) moved = reallocate(h, lp, bytes, bytes + added);
  moved = lpInsertInteger(h, moved, count, lpFirst(h, moved), LP_REPLACE);
  writeAt = moved + lpBytes(h, moved) - 1;
  written = 0;
  putEntry(h, offsets, lengths, first, pairs, id, same);
  finishWriting(h, moved);
  return moved;
}

/**
 * Changes the counts of entries and deleted entries of a node.
 * @returns its new offset
 * @throws ARENA_EXHAUSTED, nothing changed
 */
export function changeNodeCounts(h: Heap, lp: number, entries: number, deleted: number): number {
  // The count that grows goes first, as only that can fail.
  const moved = lpInsertInteger(h, lp, deleted, lpSkip(h, lpFirst(h, lp)), LP_REPLACE);
  return lpInsertInteger(h, moved, entries, lpFirst(h, moved), LP_REPLACE);
}

/** Marks the entry at `p` as deleted and corrects its node's counts; the last one takes the node with it. */
export function deleteEntryAt(h: Heap, s: number, it: RaxIterator, p: number): void {
  const lp = it.value;
  const entries = lpInteger(h, lpFirst(h, lp));
  if (entries === 1) {
    lpFree(h, lp);
    raxRemove(h, streamRax(h, s), it.key, 0, it.keyLength);
  } else {
    const deleted = lpInteger(h, lpSkip(h, lpFirst(h, lp)));
    const behind = lp + lpBytes(h, lp) - p;
    const moved = changeNodeCounts(h, lp, entries - 1, deleted + 1);
    if (moved !== lp) raxNodeReplaceValue(h, it.node, moved);
    // The flags take one byte before and after.
    const flagsAt = moved + lpBytes(h, moved) - behind;
    lpInsertInteger(h, moved, lpInteger(h, flagsAt) | STREAM_ITEM_DELETED, flagsAt, LP_REPLACE);
  }
  setStreamLength(h, s, streamLength(h, s) - 1);
}

/** Offset of the first element behind the master entry of a node; 0: there is none. */
export function nodeFirstEntry(h: Heap, lp: number): number {
  let p = lpSkip(h, lpSkip(h, lpFirst(h, lp)));
  const fields = lpInteger(h, p);
  for (let i = 0; i <= fields; i++) p = lpSkip(h, p);
  p = lpSkip(h, p);
  return h.u8[p] === LP_EOF ? 0 : p;
}
