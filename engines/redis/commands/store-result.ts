/** How the commands that store a set or sorted set of what they have found end. */
import type { Client } from '../client.ts';
import { deleteKey, foundEntry, lookupKeyWrite, setKey } from '../db.ts';
import { addReplyLong } from '../protocol/reply.ts';
import type { RedisCore } from '../redis-core.ts';
import { decrRefCount } from '../structures/robj.ts';

/**
 * Stores what a command has made under the key of argument `i`, or deletes that key when there is nothing; replies with the number of
 * members.
 * @param o the result, whose reference is taken over; 0: none
 * @param kind of the event: NOTIFY_SET or NOTIFY_ZSET
 */
export function storeResult(
  core: RedisCore,
  c: Client,
  i: number,
  o: number,
  count: number,
  kind: number,
  event: string,
): void {
  const key = c.argOff[i];
  const length = c.argLen[i];
  if (count === 0) {
    if (o !== 0) decrRefCount(core.heap, o);
    addReplyLong(c, 0);
    deleteKey(core, c.db, key, length);
    return;
  }
  lookupKeyWrite(core, c.db, key, length);
  setKey(core, c.db, key, length, o, false, foundEntry);
  addReplyLong(c, count);
  core.notifyKeyspaceEvent(kind, event, key, length, c.db.id);
  core.dirty++;
}
