/**
 * Consumer groups of streams, their consumers, and the lists of entries that have been delivered and not yet acknowledged.
 *
 * | struct | bytes | fields |
 * | --- | --- | --- |
 * | group | 40 | last delivered id at 0, entries read at 16 (-1: not known), pending entries at 24, consumers at 32: radix trees |
 * | consumer | 24 | when last seen (ms) at 0, name (an sds) at 8, its pending entries at 16 |
 * | pending entry | 24 | when delivered (ms) at 0, how often at 8, consumer at 16 |
 *
 * A pending entry is one struct that both the group's and the consumer's tree point to. The group owns it.
 */
import type { Heap } from './heap.ts';
import { lpFree } from './listpack.ts';
import { raxFind, raxInsert, raxNew, raxRemove, raxSize } from './rax.ts';
import { RaxIterator } from './rax-iterator.ts';
import { raxFree } from './rax-whole.ts';
import { sdsFree, sdsLen, sdsNewLen } from './sds.ts';
import {
  STREAM_FIRST_ID,
  STREAM_LAST_ID,
  STREAM_MAX_DELETED_ID,
  setStreamGroups,
  streamEntriesAdded,
  streamGroups,
  streamLength,
  streamRax,
} from './stream.ts';
import {
  compareStreamIds,
  loadStreamId,
  newStreamId,
  STREAM_ID_BYTES,
  STREAM_ID_MAX,
  STREAM_ID_MIN,
  type StreamId,
  storeStreamId,
  streamIdIsZero,
} from './stream-id.ts';

export const GROUP_BYTES = 40;
export const CONSUMER_BYTES = 24;
export const PENDING_BYTES = 24;
/** Offset of a group's last delivered id. */
export const GROUP_LAST_ID = 0;
const GROUP_READ = 16;
const GROUP_PENDING = 24;
const GROUP_CONSUMERS = 32;
const CONSUMER_NAME = 8;
const CONSUMER_PENDING = 16;
const PENDING_COUNT = 8;
const PENDING_CONSUMER = 16;
/** The group does not know how many entries it has read. */
export const ENTRIES_READ_UNKNOWN = -1n;

export const groupPending = (h: Heap, group: number): number => h.u32[(group + GROUP_PENDING) >>> 2];
export const groupConsumers = (h: Heap, group: number): number => h.u32[(group + GROUP_CONSUMERS) >>> 2];
export const groupEntriesRead = (h: Heap, group: number): bigint => h.view.getBigInt64(group + GROUP_READ, true);
export function setGroupEntriesRead(h: Heap, group: number, count: bigint): void {
  h.view.setBigInt64(group + GROUP_READ, count, true);
}

export const consumerName = (h: Heap, consumer: number): number => h.u32[(consumer + CONSUMER_NAME) >>> 2];
export const consumerPending = (h: Heap, consumer: number): number => h.u32[(consumer + CONSUMER_PENDING) >>> 2];

/** A time or a count of 64 bits as a number. */
function getInt64(h: Heap, at: number): number {
  return h.i32[(at + 4) >>> 2] * 4294967296 + h.u32[at >>> 2];
}

function setInt64(h: Heap, at: number, value: number): void {
  h.u32[at >>> 2] = value >>> 0;
  h.i32[(at + 4) >>> 2] = Math.floor(value / 4294967296);
}

export const consumerSeenMs = (h: Heap, consumer: number): number => getInt64(h, consumer);
export const setConsumerSeenMs = (h: Heap, consumer: number, ms: number): void => setInt64(h, consumer, ms);
export const pendingTimeMs = (h: Heap, nack: number): number => getInt64(h, nack);
export const setPendingTimeMs = (h: Heap, nack: number, ms: number): void => setInt64(h, nack, ms);
export const pendingCount = (h: Heap, nack: number): bigint => h.view.getBigUint64(nack + PENDING_COUNT, true);
export const setPendingCount = (h: Heap, nack: number, count: bigint): void =>
  h.view.setBigUint64(nack + PENDING_COUNT, count, true);
export const pendingConsumer = (h: Heap, nack: number): number => h.u32[(nack + PENDING_CONSUMER) >>> 2];
export function setPendingConsumer(h: Heap, nack: number, consumer: number): void {
  h.u32[(nack + PENDING_CONSUMER) >>> 2] = consumer;
  h.u32[((nack + PENDING_CONSUMER) >>> 2) + 1] = 0;
}

/** A pending entry, delivered once. `consumer` may be 0 for a moment. @throws ARENA_EXHAUSTED */
export function pendingNew(h: Heap, consumer: number, nowMs: number): number {
  const nack = h.alloc(PENDING_BYTES);
  setInt64(h, nack, nowMs);
  setInt64(h, nack + PENDING_COUNT, 1);
  setPendingConsumer(h, nack, consumer);
  return nack;
}

export function freeConsumer(h: Heap, consumer: number): void {
  raxFree(h, consumerPending(h, consumer));
  sdsFree(h, consumerName(h, consumer));
  h.free(consumer);
}

function freePending(h: Heap, nack: number): void {
  h.free(nack);
}

export function freeGroup(h: Heap, group: number): void {
  raxFree(h, groupPending(h, group), freePending);
  raxFree(h, groupConsumers(h, group), freeConsumer);
  h.free(group);
}

/** Frees a stream with its groups. */
export function streamFree(h: Heap, s: number): void {
  raxFree(h, streamRax(h, s), lpFree);
  const groups = streamGroups(h, s);
  if (groups !== 0) raxFree(h, groups, freeGroup);
  h.free(s);
}

/** @returns the group of this name, or 0 */
export function groupFind(h: Heap, s: number, name: number, length: number): number {
  const groups = streamGroups(h, s);
  return groups === 0 ? 0 : raxFind(h, groups, h.u8, name, length);
}

/** Adds a group. @returns it, or 0 when there is one of this name. @throws ARENA_EXHAUSTED, nothing changed */
export function groupCreate(h: Heap, s: number, name: number, length: number, lastId: StreamId, read: bigint): number {
  if (streamGroups(h, s) === 0) setStreamGroups(h, s, raxNew(h));
  const groups = streamGroups(h, s);
  if (raxFind(h, groups, h.u8, name, length) !== 0) return 0;
  const group = h.calloc(GROUP_BYTES);
  storeStreamId(h, group + GROUP_LAST_ID, lastId);
  setGroupEntriesRead(h, group, read);
  try {
    h.u32[(group + GROUP_PENDING) >>> 2] = raxNew(h);
    h.u32[(group + GROUP_CONSUMERS) >>> 2] = raxNew(h);
    raxInsert(h, groups, h.u8, name, length, group);
  } catch (error) {
    if (groupPending(h, group) !== 0) raxFree(h, groupPending(h, group));
    if (groupConsumers(h, group) !== 0) raxFree(h, groupConsumers(h, group));
    h.free(group);
    throw error;
  }
  return group;
}

/** @returns whether there was a group of this name */
export function groupDestroy(h: Heap, s: number, name: number, length: number): boolean {
  const group = groupFind(h, s, name, length);
  if (group === 0) return false;
  raxRemove(h, streamGroups(h, s), h.u8, name, length);
  freeGroup(h, group);
  return true;
}

/** @returns the consumer of this name, or 0 */
export function consumerFind(h: Heap, group: number, name: number, length: number): number {
  return raxFind(h, groupConsumers(h, group), h.u8, name, length);
}

/** Adds a consumer that is not there. @throws ARENA_EXHAUSTED, nothing changed */
export function consumerCreate(h: Heap, group: number, name: number, length: number, nowMs: number): number {
  const consumer = h.calloc(CONSUMER_BYTES);
  try {
    h.u32[(consumer + CONSUMER_PENDING) >>> 2] = raxNew(h);
    h.u32[(consumer + CONSUMER_NAME) >>> 2] = sdsNewLen(h, name, length);
    raxInsert(h, groupConsumers(h, group), h.u8, name, length, consumer);
  } catch (error) {
    if (consumerName(h, consumer) !== 0) sdsFree(h, consumerName(h, consumer));
    if (consumerPending(h, consumer) !== 0) raxFree(h, consumerPending(h, consumer));
    h.free(consumer);
    throw error;
  }
  setInt64(h, consumer, nowMs);
  return consumer;
}

/** Removes a consumer with what is pending for it. */
export function consumerDelete(h: Heap, group: number, consumer: number): void {
  const it = new RaxIterator(h, consumerPending(h, consumer));
  for (let more = it.first(); more; more = it.next()) {
    const nack = it.value;
    raxRemove(h, groupPending(h, group), it.key, 0, it.keyLength);
    h.free(nack);
  }
  const name = consumerName(h, consumer);
  raxRemove(h, groupConsumers(h, group), h.u8, name, sdsLen(h, name));
  freeConsumer(h, consumer);
}

/** Takes a pending entry out of both trees and frees it. `key` is its id. */
export function pendingRemove(h: Heap, group: number, nack: number, key: Uint8Array): void {
  raxRemove(h, groupPending(h, group), key, 0, STREAM_ID_BYTES);
  const consumer = pendingConsumer(h, nack);
  if (consumer !== 0) raxRemove(h, consumerPending(h, consumer), key, 0, STREAM_ID_BYTES);
  h.free(nack);
}

/** Makes a pending entry this consumer's. @throws ARENA_EXHAUSTED, nothing changed */
export function pendingAssign(h: Heap, nack: number, consumer: number, key: Uint8Array): void {
  const before = pendingConsumer(h, nack);
  if (before === consumer) return;
  raxInsert(h, consumerPending(h, consumer), key, 0, STREAM_ID_BYTES, nack);
  if (before !== 0) raxRemove(h, consumerPending(h, before), key, 0, STREAM_ID_BYTES);
  setPendingConsumer(h, nack, consumer);
}

const firstId = newStreamId();
const lastId = newStreamId();
const deletedId = newStreamId();

/** Whether an entry may have been deleted between two ids (nulls: no bound). */
export function streamHasTombstones(h: Heap, s: number, start: StreamId | null, end: StreamId | null): boolean {
  loadStreamId(h, s + STREAM_MAX_DELETED_ID, deletedId);
  if (streamLength(h, s) === 0 || streamIdIsZero(deletedId)) return false;
  loadStreamId(h, s + STREAM_FIRST_ID, firstId);
  // What is left begins behind everything that was deleted.
  if (compareStreamIds(firstId, deletedId) > 0) return false;
  return (
    compareStreamIds(start ?? STREAM_ID_MIN, deletedId) <= 0 && compareStreamIds(deletedId, end ?? STREAM_ID_MAX) <= 0
  );
}

/** How many entries the stream had got when it got the one of this id, as far as that can be known; else ENTRIES_READ_UNKNOWN. */
export function entriesReadAt(h: Heap, s: number, id: StreamId): bigint {
  const added = streamEntriesAdded(h, s);
  if (added === 0n) return 0n;
  loadStreamId(h, s + STREAM_LAST_ID, lastId);
  const length = streamLength(h, s);
  const toLast = compareStreamIds(id, lastId);
  if (length === 0 && toLast <= 0) return added;
  if (toLast === 0) return added;
  if (toLast > 0) return ENTRIES_READ_UNKNOWN;
  loadStreamId(h, s + STREAM_MAX_DELETED_ID, deletedId);
  loadStreamId(h, s + STREAM_FIRST_ID, firstId);
  if (streamIdIsZero(deletedId) || compareStreamIds(deletedId, firstId) < 0) {
    const toFirst = compareStreamIds(id, firstId);
    if (toFirst < 0) return BigInt.asIntN(64, added - BigInt(length));
    if (toFirst === 0) return BigInt.asIntN(64, added - BigInt(length) + 1n);
  }
  return ENTRIES_READ_UNKNOWN;
}

/** Number of pending entries of a group or consumer. */
export function pendingSize(h: Heap, tree: number): number {
  return raxSize(h, tree);
}
