/** XINFO. */
import type { Client } from '../client.ts';
import type { CommandProc } from '../command.ts';
import { lookupKeyRead } from '../db.ts';
import {
  addReplyArrayLen,
  addReplyBigInt,
  addReplyBulkString,
  addReplyError,
  addReplyLong,
  addReplyMapLen,
  addReplyNull,
  addReplySubcommandSyntaxError,
  NO_SUCH_KEY,
} from '../protocol/reply.ts';
import type { RedisCore } from '../redis-core.ts';
import type { Heap } from '../structures/heap.ts';
import { raxNodeCount, raxSize } from '../structures/rax.ts';
import { RaxIterator } from '../structures/rax-iterator.ts';
import { OBJ_STREAM, robjPtr } from '../structures/robj.ts';
import {
  STREAM_FIRST_ID,
  STREAM_LAST_ID,
  STREAM_MAX_DELETED_ID,
  streamEntriesAdded,
  streamGroups,
  streamLengthBig,
  streamRax,
} from '../structures/stream.ts';
import {
  consumerPending,
  consumerSeenMs,
  ENTRIES_READ_UNKNOWN,
  entriesReadAt,
  GROUP_LAST_ID,
  groupConsumers,
  groupEntriesRead,
  groupFind,
  groupPending,
  pendingConsumer,
  pendingCount,
  pendingTimeMs,
  streamHasTombstones,
} from '../structures/stream-groups.ts';
import { decodeStreamId, loadStreamId, newStreamId } from '../structures/stream-id.ts';
import { streamEdgeId } from '../structures/stream-iterator.ts';
import { addHelp } from './help.ts';
import { argNumber, isWrongType, readInteger } from './integer-arguments.ts';
import { addReplyEntryOf, addReplyRange, addReplyStreamId, argCString } from './stream-arguments.ts';
import { addReplyConsumerName, addReplyCount } from './stream-pending.ts';

/** XINFO STREAM FULL shows so many entries and pending entries unless told otherwise. */
const FULL_COUNT = 10;

const id = newStreamId();

/** The stream of argument 2, or 0 after an error reply. */
function streamOrReply(core: RedisCore, c: Client): number {
  const o = lookupKeyRead(core, c.db, c.argOff[2], c.argLen[2]);
  if (o === 0) addReplyError(c, NO_SUCH_KEY);
  if (o === 0 || isWrongType(core, c, o, OBJ_STREAM)) return 0;
  return robjPtr(core.heap, o);
}

function addReplyIdAt(h: Heap, c: Client, name: string, at: number): void {
  addReplyBulkString(c, name);
  loadStreamId(h, at, id);
  addReplyStreamId(c, id);
}

function addReplyKey(c: Client, it: RaxIterator): void {
  addReplyBulkString(c, String.fromCharCode(...it.key.subarray(0, it.keyLength)));
}

/** How many entries the group has not read yet; null where that cannot be known. */
function addReplyLag(h: Heap, c: Client, s: number, group: number): void {
  const added = streamEntriesAdded(h, s);
  loadStreamId(h, group + GROUP_LAST_ID, id);
  let read = groupEntriesRead(h, group);
  if (added === 0n) {
    addReplyLong(c, 0);
    return;
  }
  if (read === ENTRIES_READ_UNKNOWN || streamHasTombstones(h, s, id, null)) read = entriesReadAt(h, s, id);
  if (read === ENTRIES_READ_UNKNOWN) addReplyNull(c);
  else addReplyBigInt(c, BigInt.asIntN(64, added - read));
}

function addReplyEntriesRead(h: Heap, c: Client, group: number): void {
  const read = groupEntriesRead(h, group);
  if (read === ENTRIES_READ_UNKNOWN) addReplyNull(c);
  else addReplyBigInt(c, read);
}

function addReplyNumber(c: Client, name: string, value: number): void {
  addReplyBulkString(c, name);
  addReplyLong(c, value);
}

function consumers(core: RedisCore, c: Client): void {
  const h = core.heap;
  const s = streamOrReply(core, c);
  if (s === 0) return;
  const group = groupFind(h, s, c.argOff[3], c.argLen[3]);
  if (group === 0) {
    addReplyError(c, `-NOGROUP No such consumer group '${argCString(c, 3)}' for key name '${argCString(c, 2)}'`);
    return;
  }
  addReplyArrayLen(c, raxSize(h, groupConsumers(h, group)));
  const it = new RaxIterator(h, groupConsumers(h, group));
  for (let more = it.first(); more; more = it.next()) {
    addReplyMapLen(c, 3);
    addReplyBulkString(c, 'name');
    addReplyConsumerName(h, c, it.value);
    addReplyNumber(c, 'pending', raxSize(h, consumerPending(h, it.value)));
    addReplyNumber(c, 'idle', Math.max(0, core.nowMs - consumerSeenMs(h, it.value)));
  }
}

function groups(core: RedisCore, c: Client): void {
  const h = core.heap;
  const s = streamOrReply(core, c);
  if (s === 0) return;
  const tree = streamGroups(h, s);
  addReplyArrayLen(c, tree === 0 ? 0 : raxSize(h, tree));
  if (tree === 0) return;
  const it = new RaxIterator(h, tree);
  for (let more = it.first(); more; more = it.next()) {
    const group = it.value;
    addReplyMapLen(c, 6);
    addReplyBulkString(c, 'name');
    addReplyKey(c, it);
    addReplyNumber(c, 'consumers', raxSize(h, groupConsumers(h, group)));
    addReplyNumber(c, 'pending', raxSize(h, groupPending(h, group)));
    addReplyIdAt(h, c, 'last-delivered-id', group + GROUP_LAST_ID);
    addReplyBulkString(c, 'entries-read');
    addReplyEntriesRead(h, c, group);
    addReplyBulkString(c, 'lag');
    addReplyLag(h, c, s, group);
  }
}

function stream(core: RedisCore, c: Client): void {
  const h = core.heap;
  const s = streamOrReply(core, c);
  if (s === 0) return;
  const full = c.argc > 3;
  let count = FULL_COUNT;
  if (full) {
    if ((c.argc !== 4 && c.argc !== 6) || !c.argIs(3, 'full') || (c.argc === 6 && !c.argIs(4, 'count'))) {
      addReplySubcommandSyntaxError(c);
      return;
    }
    if (c.argc === 6) {
      if (!readInteger(core, c, 5)) return;
      if (argNumber >= 0) count = argNumber;
    }
  }
  addReplyMapLen(c, full ? 9 : 10);
  addReplyBulkString(c, 'length');
  addReplyBigInt(c, streamLengthBig(h, s));
  addReplyNumber(c, 'radix-tree-keys', raxSize(h, streamRax(h, s)));
  addReplyNumber(c, 'radix-tree-nodes', raxNodeCount(h, streamRax(h, s)));
  addReplyIdAt(h, c, 'last-generated-id', s + STREAM_LAST_ID);
  addReplyIdAt(h, c, 'max-deleted-entry-id', s + STREAM_MAX_DELETED_ID);
  addReplyBulkString(c, 'entries-added');
  addReplyCount(c, streamEntriesAdded(h, s));
  addReplyIdAt(h, c, 'recorded-first-entry-id', s + STREAM_FIRST_ID);
  if (full) {
    addReplyBulkString(c, 'entries');
    addReplyRange(h, c, s, null, null, count, false);
    replyFullGroups(h, c, s, count);
    return;
  }
  addReplyNumber(c, 'groups', streamGroups(h, s) === 0 ? 0 : raxSize(h, streamGroups(h, s)));
  addReplyBulkString(c, 'first-entry');
  if (!streamEdgeId(h, s, true, id) || !addReplyEntryOf(h, c, s, id)) addReplyNull(c);
  addReplyBulkString(c, 'last-entry');
  if (!streamEdgeId(h, s, false, id) || !addReplyEntryOf(h, c, s, id)) addReplyNull(c);
}

/** Replies the first pending entries of a tree, with their consumers' names where it is a group's. */
function replyPending(h: Heap, c: Client, name: string, tree: number, count: number, ofGroup: boolean): void {
  addReplyBulkString(c, name);
  const size = raxSize(h, tree);
  const shown = count === 0 ? size : Math.min(size, count);
  addReplyArrayLen(c, shown);
  const it = new RaxIterator(h, tree);
  it.first();
  for (let i = 0; i < shown; i++) {
    addReplyArrayLen(c, ofGroup ? 4 : 3);
    decodeStreamId(it.key, 0, id);
    addReplyStreamId(c, id);
    if (ofGroup) addReplyConsumerName(h, c, pendingConsumer(h, it.value));
    addReplyLong(c, pendingTimeMs(h, it.value));
    addReplyCount(c, pendingCount(h, it.value));
    it.next();
  }
}

function replyFullGroups(h: Heap, c: Client, s: number, count: number): void {
  addReplyBulkString(c, 'groups');
  const tree = streamGroups(h, s);
  addReplyArrayLen(c, tree === 0 ? 0 : raxSize(h, tree));
  if (tree === 0) return;
  const it = new RaxIterator(h, tree);
  for (let more = it.first(); more; more = it.next()) {
    const group = it.value;
    addReplyMapLen(c, 7);
    addReplyBulkString(c, 'name');
    addReplyKey(c, it);
    addReplyIdAt(h, c, 'last-delivered-id', group + GROUP_LAST_ID);
    addReplyBulkString(c, 'entries-read');
    addReplyEntriesRead(h, c, group);
    addReplyBulkString(c, 'lag');
    addReplyLag(h, c, s, group);
    addReplyNumber(c, 'pel-count', raxSize(h, groupPending(h, group)));
    replyPending(h, c, 'pending', groupPending(h, group), count, true);
    addReplyBulkString(c, 'consumers');
    addReplyArrayLen(c, raxSize(h, groupConsumers(h, group)));
    const members = new RaxIterator(h, groupConsumers(h, group));
    for (let also = members.first(); also; also = members.next()) {
      addReplyMapLen(c, 4);
      addReplyBulkString(c, 'name');
      addReplyConsumerName(h, c, members.value);
      addReplyNumber(c, 'seen-time', consumerSeenMs(h, members.value));
      addReplyNumber(c, 'pel-count', raxSize(h, consumerPending(h, members.value)));
      replyPending(h, c, 'pending', consumerPending(h, members.value), count, false);
    }
  }
}

export const streamInfoProcs: Readonly<Record<string, CommandProc>> = {
  'xinfo|consumers': consumers,
  'xinfo|groups': groups,
  'xinfo|stream': stream,
  'xinfo|help': addHelp([
    'CONSUMERS <key> <group>',
    '    Show the consumers of a group.',
    'GROUPS <key>',
    '    Show the groups of a stream.',
    'STREAM <key> [FULL [COUNT <count>]]',
    '    Show what is known of a stream; FULL: with entries and groups.',
  ]),
};
