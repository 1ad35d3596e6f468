/** Streams in snapshot files and DUMP payloads. */
import type { RdbReader } from '../persistence/rdb-reader.ts';
import type { RdbWriter } from '../persistence/rdb-writer.ts';
import type { Heap } from '../structures/heap.ts';
import { lpBytes } from '../structures/listpack.ts';
import { LP_EOF, LP_HEADER_BYTES } from '../structures/listpack-element.ts';
import { raxFind, raxInsert, raxSize } from '../structures/rax.ts';
import { RaxIterator } from '../structures/rax-iterator.ts';
import { sdsFree, sdsLen } from '../structures/sds.ts';
import {
  STREAM_FIRST_ID,
  STREAM_LAST_ID,
  STREAM_MAX_DELETED_ID,
  setStreamEntriesAdded,
  setStreamLengthWords,
  streamEntriesAdded,
  streamGroups,
  streamLength,
  streamNew,
  streamRax,
} from '../structures/stream.ts';
import {
  consumerCreate,
  consumerFind,
  consumerName,
  consumerPending,
  consumerSeenMs,
  entriesReadAt,
  GROUP_LAST_ID,
  groupConsumers,
  groupCreate,
  groupEntriesRead,
  groupPending,
  pendingConsumer,
  pendingCount,
  pendingNew,
  pendingTimeMs,
  setConsumerSeenMs,
  setPendingConsumer,
  setPendingCount,
  setPendingTimeMs,
  streamFree,
} from '../structures/stream-groups.ts';
import {
  loadStreamId,
  newStreamId,
  STREAM_ID_BYTES,
  STREAM_ID_MIN,
  type StreamId,
  storeStreamId,
} from '../structures/stream-id.ts';
import { streamEdgeId } from '../structures/stream-iterator.ts';
import { streamNodeIsSound } from './stream-check.ts';

export const RDB_TYPE_STREAM_LISTPACKS = 15;
export const RDB_TYPE_STREAM_LISTPACKS_2 = 19;

const id = newStreamId();

function putBig(w: RdbWriter, value: bigint): void {
  w.putLength64(Number(BigInt.asUintN(32, value)), Number(BigInt.asUintN(32, value >> 32n)));
}

function putMs(w: RdbWriter, ms: number): void {
  w.putInt64(ms >>> 0, Math.floor(ms / 4294967296));
}

function putId(w: RdbWriter, at: number): void {
  loadStreamId(w.heap, at, id);
  w.putLength64(id[1], id[0]);
  w.putLength64(id[3], id[2]);
}

/** Writes bytes that lie in no arena: a key of a radix tree. */
function putKey(w: RdbWriter, it: RaxIterator): void {
  const to = w.reserve(it.keyLength);
  for (let i = 0; i < it.keyLength; i++) w.heap.u8[to + i] = it.key[i];
  w.commit(to + it.keyLength);
}

function putPending(w: RdbWriter, tree: number, whole: boolean): void {
  const h = w.heap;
  w.putLength(raxSize(h, tree));
  const it = new RaxIterator(h, tree);
  for (let more = it.first(); more; more = it.next()) {
    putKey(w, it);
    if (!whole) continue;
    putMs(w, pendingTimeMs(h, it.value));
    putBig(w, pendingCount(h, it.value));
  }
}

/** A string whose bytes are a key of a radix tree. */
function putKeyString(w: RdbWriter, it: RaxIterator): void {
  const h = w.heap;
  const block = h.alloc(Math.max(1, it.keyLength));
  try {
    for (let i = 0; i < it.keyLength; i++) h.u8[block + i] = it.key[i];
    w.putBytes(block, it.keyLength);
  } finally {
    h.free(block);
  }
}

function putGroup(w: RdbWriter, group: number): void {
  const h = w.heap;
  putId(w, group + GROUP_LAST_ID);
  putBig(w, groupEntriesRead(h, group));
  putPending(w, groupPending(h, group), true);
  const consumers = new RaxIterator(h, groupConsumers(h, group));
  w.putLength(raxSize(h, groupConsumers(h, group)));
  for (let more = consumers.first(); more; more = consumers.next()) {
    const name = consumerName(h, consumers.value);
    w.putBytes(name, sdsLen(h, name));
    putMs(w, consumerSeenMs(h, consumers.value));
    putPending(w, consumerPending(h, consumers.value), false);
  }
}

export function saveStream(w: RdbWriter, s: number): void {
  const h = w.heap;
  const nodes = new RaxIterator(h, streamRax(h, s));
  w.putLength(raxSize(h, streamRax(h, s)));
  for (let more = nodes.first(); more; more = nodes.next()) {
    putKeyString(w, nodes);
    w.putBytes(nodes.value, lpBytes(h, nodes.value));
  }
  w.putLength(streamLength(h, s));
  putId(w, s + STREAM_LAST_ID);
  putId(w, s + STREAM_FIRST_ID);
  putId(w, s + STREAM_MAX_DELETED_ID);
  putBig(w, streamEntriesAdded(h, s));
  const tree = streamGroups(h, s);
  if (tree === 0) {
    w.putLength(0);
    return;
  }
  w.putLength(raxSize(h, tree));
  const groups = new RaxIterator(h, tree);
  for (let more = groups.first(); more; more = groups.next()) {
    putKeyString(w, groups);
    putGroup(w, groups.value);
  }
}

/** The words that readNumber has read. */
let low = 0;
let high = 0;

/** Reads a length that is no length but a number: the original takes all ones where its first byte stands for nothing. */
function readNumber(r: RdbReader): void {
  const head = r.readByte();
  if (!r.failed && head > 0x81 && head < 0xc0) {
    low = 0xffffffff;
    high = 0xffffffff;
    return;
  }
  if (!r.failed) r.at--;
  r.readLength64();
  low = r.low >>> 0;
  high = r.high >>> 0;
}

function readId(r: RdbReader, into: StreamId): void {
  readNumber(r);
  into[0] = high;
  into[1] = low;
  readNumber(r);
  into[2] = high;
  into[3] = low;
}

function readStoredId(r: RdbReader, at: number): void {
  readId(r, id);
  storeStreamId(r.heap, at, id);
}

function readMs(r: RdbReader): number {
  r.readInt64();
  return r.high * 4294967296 + r.low;
}

const key = new Uint8Array(STREAM_ID_BYTES);

function copyKey(h: Heap, at: number): void {
  for (let i = 0; i < STREAM_ID_BYTES; i++) key[i] = h.u8[at + i];
}

/** @returns false when the bytes are broken */
function readNodes(r: RdbReader, s: number): boolean {
  const h = r.heap;
  for (let left = r.readLength(); left > 0 && !r.failed; left--) {
    if (!r.readString() || r.stringLength !== STREAM_ID_BYTES) return false;
    copyKey(h, r.stringOffset);
    const lp = r.readBlock();
    if (lp === 0) return false;
    let taken = false;
    try {
      taken =
        streamNodeIsSound(h, lp, r.stringLength) &&
        h.u8[lp + LP_HEADER_BYTES] !== LP_EOF &&
        raxInsert(h, streamRax(h, s), key, 0, STREAM_ID_BYTES, lp, false);
    } finally {
      if (!taken) h.free(lp);
    }
    if (!taken) return false;
  }
  return !r.failed;
}

function readHeader(r: RdbReader, s: number, rdbType: number): boolean {
  const h = r.heap;
  readNumber(r);
  setStreamLengthWords(h, s, low, high);
  const addedLow = low;
  const addedHigh = high;
  readStoredId(r, s + STREAM_LAST_ID);
  if (rdbType === RDB_TYPE_STREAM_LISTPACKS_2) {
    readStoredId(r, s + STREAM_FIRST_ID);
    readStoredId(r, s + STREAM_MAX_DELETED_ID);
    readNumber(r);
    setStreamEntriesAdded(h, s, low, high);
  } else {
    setStreamEntriesAdded(h, s, addedLow, addedHigh);
    streamEdgeId(h, s, true, id);
    storeStreamId(h, s + STREAM_FIRST_ID, id);
    storeStreamId(h, s + STREAM_MAX_DELETED_ID, STREAM_ID_MIN);
  }
  return !r.failed && !(streamLength(h, s) > 0 && raxSize(h, streamRax(h, s)) === 0);
}

function readGroupPending(r: RdbReader, group: number): boolean {
  const h = r.heap;
  for (let left = r.readLength(); left > 0 && !r.failed; left--) {
    const raw = r.readRaw(STREAM_ID_BYTES);
    if (raw === 0) return false;
    copyKey(h, raw);
    const nack = pendingNew(h, 0, 0);
    let taken = false;
    try {
      setPendingTimeMs(h, nack, readMs(r));
      readNumber(r);
      setPendingCount(h, nack, (BigInt(high) << 32n) | BigInt(low));
      taken = !r.failed && raxInsert(h, groupPending(h, group), key, 0, STREAM_ID_BYTES, nack, false);
    } finally {
      if (!taken) h.free(nack);
    }
    if (!taken) return false;
  }
  return !r.failed;
}

function readConsumer(r: RdbReader, group: number): boolean {
  const h = r.heap;
  if (!r.readString() || consumerFind(h, group, r.stringOffset, r.stringLength) !== 0) return false;
  const consumer = consumerCreate(h, group, r.stringOffset, r.stringLength, 0);
  setConsumerSeenMs(h, consumer, readMs(r));
  for (let left = r.readLength(); left > 0 && !r.failed; left--) {
    const raw = r.readRaw(STREAM_ID_BYTES);
    if (raw === 0) return false;
    const nack = raxFind(h, groupPending(h, group), h.u8, raw, STREAM_ID_BYTES);
    // One that another consumer has already would belong to both.
    if (nack === 0 || pendingConsumer(h, nack) !== 0) return false;
    if (!raxInsert(h, consumerPending(h, consumer), h.u8, raw, STREAM_ID_BYTES, nack, false)) return false;
    setPendingConsumer(h, nack, consumer);
  }
  return !r.failed;
}

function readGroup(r: RdbReader, s: number, rdbType: number): boolean {
  const h = r.heap;
  const name = r.readSds();
  if (name === 0) return false;
  let group = 0;
  try {
    readId(r, id);
    let read = entriesReadAt(h, s, id);
    if (rdbType === RDB_TYPE_STREAM_LISTPACKS_2) {
      readNumber(r);
      read = BigInt.asIntN(64, (BigInt(high) << 32n) | BigInt(low));
    }
    if (!r.failed) group = groupCreate(h, s, name, sdsLen(h, name), id, read);
  } finally {
    sdsFree(h, name);
  }
  if (group === 0 || !readGroupPending(r, group)) return false;
  for (let left = r.readLength(); left > 0 && !r.failed; left--) if (!readConsumer(r, group)) return false;
  const pending = new RaxIterator(h, groupPending(h, group));
  for (let more = pending.first(); more; more = pending.next()) {
    if (pendingConsumer(h, pending.value) === 0) return false;
  }
  return !r.failed;
}

/** Makes a stream of bytes that may be anyone's. @returns it, or 0 when they are broken. @throws ARENA_EXHAUSTED, nothing leaked */
export function loadStream(r: RdbReader, rdbType: number): number {
  const h = r.heap;
  const s = streamNew(h);
  let whole = false;
  try {
    whole = readNodes(r, s) && readHeader(r, s, rdbType);
    if (whole) {
      for (let left = r.readLength(); left > 0 && !r.failed && whole; left--) whole = readGroup(r, s, rdbType);
    }
  } catch (error) {
    streamFree(h, s);
    throw error;
  }
  if (whole && !r.failed) return s;
  streamFree(h, s);
  return r.fail();
}
