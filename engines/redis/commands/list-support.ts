/** What the list commands share: keys that come and go with their lists, and taking elements from an end. */
import type { Client } from '../client.ts';
import { type Db, dbAdd, dbDelete, NOTIFY_GENERIC, NOTIFY_LIST } from '../db.ts';
import type { RedisCore } from '../redis-core.ts';
import { ArenaExhausted } from '../structures/heap.ts';
import { quicklistDeleteRange } from '../structures/quicklist-cursor.ts';
import { decrRefCount, robjPtr } from '../structures/robj.ts';
import { createListObject, listLength } from '../types/list.ts';
import { addReplyListRange } from './list-reply.ts';

/** Adds an empty list as a key. @throws ARENA_EXHAUSTED, nothing changed */
export function addListKey(core: RedisCore, db: Db, key: number, keyLength: number): number {
  const o = createListObject(core.heap);
  try {
    dbAdd(core, db, key, keyLength, o);
  } catch (error) {
    decrRefCount(core.heap, o);
    throw error;
  }
  return o;
}

/** What follows the removal of elements: events, the end of an empty list, the count of changes. @returns whether the list is gone */
export function listElementsRemoved(
  core: RedisCore,
  db: Db,
  key: number,
  keyLength: number,
  o: number,
  atHead: boolean,
  count: number,
): boolean {
  core.notifyKeyspaceEvent(NOTIFY_LIST, atHead ? 'lpop' : 'rpop', key, keyLength, db.id);
  const empty = listLength(core.heap, o) === 0;
  if (empty) deleteEmptyList(core, db, key, keyLength);
  core.signalModifiedKey(db, key, keyLength);
  core.dirty += count;
  return empty;
}

export function deleteEmptyList(core: RedisCore, db: Db, key: number, keyLength: number): void {
  dbDelete(core, db, key, keyLength);
  core.notifyKeyspaceEvent(NOTIFY_GENERIC, 'del', key, keyLength, db.id);
}

/** Replies up to `count` elements from an end as an array and removes them. @returns how many */
export function popRange(core: RedisCore, c: Client, list: number, atHead: boolean, count: number): number {
  const h = core.heap;
  const popped = Math.min(count, listLength(h, list));
  const start = atHead ? 0 : -popped;
  addReplyListRange(core, c, list, start, atHead ? popped - 1 : -1, !atHead);
  try {
    quicklistDeleteRange(h, robjPtr(h, list), start, popped);
  } catch (error) {
    // The reply is complete, but a compressed node could not be opened to remove the rest.
    if (!(error instanceof ArenaExhausted)) throw error;
    core.closeClient(c, false);
  }
  return popped;
}
