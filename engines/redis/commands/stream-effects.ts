/**
 * What a log is told of deliveries to consumers: which entry was given to whom, when and how often. As in the original each is an XCLAIM
 * that needs no entry to be idle, makes it pending if it is not, and moves the group on.
 */
import type { Client } from '../client.ts';
import type { RedisCore } from '../redis-core.ts';
import { sdsLen } from '../structures/sds.ts';
import {
  consumerName,
  GROUP_LAST_ID,
  groupEntriesRead,
  pendingConsumer,
  pendingCount,
  pendingTimeMs,
} from '../structures/stream-groups.ts';
import { loadStreamId, newStreamId, type StreamId, streamIdText } from '../structures/stream-id.ts';

/** XCLAIM key group consumer 0 id TIME ms RETRYCOUNT count FORCE JUSTID LASTID id */
const CLAIM_ARGUMENTS = 14;
const groupLast = newStreamId();

function lastIdOf(core: RedisCore, group: number): string {
  loadStreamId(core.heap, group + GROUP_LAST_ID, groupLast);
  return streamIdText(groupLast);
}

/**
 * An entry is pending, as its note says.
 * @param keyArg the argument with the stream's key
 * @param groupArg the one with the group's name
 * @param id the entry's id, or the argument that names it
 */
export function effectOfPending(
  core: RedisCore,
  c: Client,
  keyArg: number,
  groupArg: number,
  group: number,
  nack: number,
  id: StreamId | number,
): void {
  const { effects, heap } = core;
  const name = consumerName(heap, pendingConsumer(heap, nack));
  effects.begin(c.db, CLAIM_ARGUMENTS);
  effects.text('XCLAIM');
  effects.argOf(c, keyArg);
  effects.argOf(c, groupArg);
  effects.arg(name, sdsLen(heap, name));
  effects.text('0');
  if (typeof id === 'number') effects.argOf(c, id);
  else effects.text(streamIdText(id));
  effects.text('TIME');
  effects.text(String(pendingTimeMs(heap, nack)));
  effects.text('RETRYCOUNT');
  effects.text(String(BigInt.asIntN(64, pendingCount(heap, nack))));
  effects.text('FORCE');
  effects.text('JUSTID');
  effects.text('LASTID');
  effects.text(lastIdOf(core, group));
}

/** The group has moved on. */
export function effectOfGroup(core: RedisCore, c: Client, keyArg: number, groupArg: number, group: number): void {
  const { effects } = core;
  effects.begin(c.db, 7);
  effects.text('XGROUP');
  effects.text('SETID');
  effects.argOf(c, keyArg);
  effects.argOf(c, groupArg);
  effects.text(lastIdOf(core, group));
  effects.text('ENTRIESREAD');
  effects.text(String(groupEntriesRead(core.heap, group)));
}

/** A consumer has come into being without being given anything. */
export function effectOfConsumer(
  core: RedisCore,
  c: Client,
  keyArg: number,
  groupArg: number,
  consumerArg: number,
): void {
  const { effects } = core;
  effects.begin(c.db, 5);
  effects.text('XGROUP');
  effects.text('CREATECONSUMER');
  effects.argOf(c, keyArg);
  effects.argOf(c, groupArg);
  effects.argOf(c, consumerArg);
}
