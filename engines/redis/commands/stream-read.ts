/** XREAD and XREADGROUP: entries behind an id, of several streams, delivered to a consumer or not, waiting for them or not. */
import { type BlockedOp, blockForKeys, readTimeout, timeoutUntilMs } from '../blocked.ts';
import { CLIENT_DENY_BLOCKING, CLIENT_SCRIPT, type Client } from '../client.ts';
import type { CommandProc } from '../command.ts';
import { type Db, lookupKeyRead, NOTIFY_STREAM } from '../db.ts';
import {
  addReplyArrayLen,
  addReplyBulk,
  addReplyError,
  addReplyMapLen,
  addReplyNullArray,
  beginDeferred,
  endDeferred,
  SYNTAX_ERROR,
} from '../protocol/reply.ts';
import type { RedisCore } from '../redis-core.ts';
import type { Heap } from '../structures/heap.ts';
import { raxFind, raxInsert } from '../structures/rax.ts';
import { RaxIterator } from '../structures/rax-iterator.ts';
import { OBJ_STREAM, robjPtr } from '../structures/robj.ts';
import { STREAM_LAST_ID, streamEntriesAdded, streamLength } from '../structures/stream.ts';
import {
  consumerCreate,
  consumerFind,
  consumerPending,
  ENTRIES_READ_UNKNOWN,
  entriesReadAt,
  GROUP_LAST_ID,
  groupEntriesRead,
  groupFind,
  groupPending,
  pendingAssign,
  pendingCount,
  pendingNew,
  pendingRemove,
  setConsumerSeenMs,
  setGroupEntriesRead,
  setPendingCount,
  setPendingTimeMs,
  streamHasTombstones,
} from '../structures/stream-groups.ts';
import {
  compareStreamIds,
  copyStreamId,
  decodeStreamId,
  encodeStreamId,
  incrementStreamId,
  loadStreamId,
  newStreamId,
  STREAM_ID_BYTES,
  type StreamId,
  storeStreamId,
  streamIdIsMax,
} from '../structures/stream-id.ts';
import { replyIterator, streamEdgeId } from '../structures/stream-iterator.ts';
import { argNumber, isWrongType, readInteger } from './integer-arguments.ts';
import {
  addReplyEntry,
  addReplyEntryOf,
  addReplyGoneEntry,
  addReplyRange,
  argCString,
  readStreamId,
} from './stream-arguments.ts';
import { effectOfConsumer, effectOfGroup, effectOfPending } from './stream-effects.ts';

/** Who has waited gets at most so many entries unless COUNT says otherwise. */
const BLOCKED_DEFAULT_COUNT = 1000;

const UNBALANCED = "Unbalanced XREAD list of streams: for each stream key an ID or '$' must be specified.";

/** The options of one call. */
class ReadOptions {
  /** XREADGROUP. */
  readonly isGroup: boolean;
  blocks = false;
  untilMs = 0;
  /** 0: all. */
  count = 0;
  noAck = false;
  /** Arguments with the names of group and consumer; 0: none. */
  groupArg = 0;
  consumerArg = 0;
  /** Where the keys begin, and how many there are. */
  keysArg = 0;
  keys = 0;
  readonly ids: StreamId[] = [];
  readonly groups: number[] = [];

  constructor(isGroup: boolean) {
    this.isGroup = isGroup;
  }
}

/** @returns null after an error reply */
function readOptions(core: RedisCore, c: Client, isGroup: boolean): ReadOptions | null {
  const o = new ReadOptions(isGroup);
  for (let i = 1; i < c.argc && o.keysArg === 0; i++) {
    const more = c.argc - i - 1;
    if (more > 0 && c.argIs(i, 'block')) {
      if ((c.flags & CLIENT_SCRIPT) !== 0) {
        addReplyError(c, `${c.argText(0)} command is not allowed with BLOCK option from scripts`);
        return null;
      }
      if (!readTimeout(core, c, ++i, true)) return null;
      o.blocks = true;
      o.untilMs = timeoutUntilMs;
    } else if (more > 0 && c.argIs(i, 'count')) {
      if (!readInteger(core, c, ++i)) return null;
      o.count = Math.max(argNumber, 0);
    } else if (more > 0 && c.argIs(i, 'streams')) {
      o.keysArg = i + 1;
      if ((c.argc - o.keysArg) % 2 !== 0) {
        addReplyError(c, UNBALANCED);
        return null;
      }
      o.keys = (c.argc - o.keysArg) / 2;
    } else if (more >= 2 && c.argIs(i, 'group')) {
      if (!isGroup) {
        addReplyError(c, 'The GROUP option is only supported by XREADGROUP. You called XREAD instead.');
        return null;
      }
      o.groupArg = i + 1;
      o.consumerArg = i + 2;
      i += 2;
    } else if (c.argIs(i, 'noack')) {
      if (!isGroup) {
        addReplyError(c, 'The NOACK option is only supported by XREADGROUP. You called XREAD instead.');
        return null;
      }
      o.noAck = true;
    } else {
      addReplyError(c, SYNTAX_ERROR);
      return null;
    }
  }
  if (o.keysArg === 0) {
    addReplyError(c, SYNTAX_ERROR);
    return null;
  }
  if (isGroup && o.groupArg === 0) {
    addReplyError(c, 'Missing GROUP option for XREADGROUP');
    return null;
  }
  return o;
}

/** Whether an argument's text begins with this byte and ends there, as C compares strings. */
function isSign(c: Client, i: number, byte: number): boolean {
  const u8 = c.core.heap.u8;
  const at = c.argOff[i];
  return c.argLen[i] > 0 && u8[at] === byte && (c.argLen[i] === 1 || u8[at + 1] === 0);
}

/** Resolves ids and groups. @returns false after an error reply */
function resolve(core: RedisCore, c: Client, o: ReadOptions): boolean {
  const h = core.heap;
  for (let i = 0; i < o.keys; i++) {
    const keyArg = o.keysArg + i;
    const idArg = keyArg + o.keys;
    const value = lookupKeyRead(core, c.db, c.argOff[keyArg], c.argLen[keyArg]);
    if (isWrongType(core, c, value, OBJ_STREAM)) return false;
    if (o.isGroup) {
      const group = value === 0 ? 0 : groupFind(h, robjPtr(h, value), c.argOff[o.groupArg], c.argLen[o.groupArg]);
      if (group === 0) {
        addReplyError(
          c,
          `-NOGROUP No such key '${argCString(c, keyArg)}' or consumer group '${argCString(c, o.groupArg)}' ` +
            'in XREADGROUP with GROUP option',
        );
        return false;
      }
      o.groups.push(group);
    }
    const id = newStreamId();
    o.ids.push(id);
    if (isSign(c, idArg, 36)) {
      if (o.isGroup) {
        addReplyError(
          c,
          'The $ ID is meaningless in the context of XREADGROUP: you want to read the history of this consumer by ' +
            'specifying a proper ID, or use the > ID to get new messages. The $ ID would just return an empty result set.',
        );
        return false;
      }
      if (value !== 0) loadStreamId(h, robjPtr(h, value) + STREAM_LAST_ID, id);
    } else if (isSign(c, idArg, 62)) {
      if (!o.isGroup) {
        addReplyError(
          c,
          'The > ID can be specified only when calling XREADGROUP using the GROUP <group> <consumer> option.',
        );
        return false;
      }
      // The greatest id stands for "what the group has not been given yet".
      id.fill(0xffffffff);
    } else if (!readStreamId(c, idArg, id)) {
      return false;
    }
  }
  return true;
}

/** Whether touchConsumer has just made the consumer. */
let consumerIsNew = false;

/** The consumer of this name, seen now; it is made when it is not there. @throws ARENA_EXHAUSTED */
export function touchConsumer(
  core: RedisCore,
  db: Db,
  group: number,
  name: number,
  nameLength: number,
  key: number,
  keyLength: number,
): number {
  const h = core.heap;
  const found = consumerFind(h, group, name, nameLength);
  consumerIsNew = found === 0;
  if (found !== 0) {
    setConsumerSeenMs(h, found, core.nowMs);
    return found;
  }
  const consumer = consumerCreate(h, group, name, nameLength, core.nowMs);
  core.dirty++;
  core.notifyKeyspaceEvent(NOTIFY_STREAM, 'xgroup-createconsumer', key, keyLength, db.id);
  return consumer;
}

const pendingKey = new Uint8Array(STREAM_ID_BYTES);
const groupLast = newStreamId();

/**
 * Notes that an entry has been given to a consumer, who has not acknowledged it yet.
 * @returns the note
 * @throws ARENA_EXHAUSTED, nothing changed
 */
function addPending(h: Heap, group: number, consumer: number, id: StreamId, nowMs: number): number {
  encodeStreamId(id, pendingKey, 0);
  const tree = groupPending(h, group);
  const known = raxFind(h, tree, pendingKey, 0, STREAM_ID_BYTES);
  if (known !== 0) {
    // The group's last id was set back: the entry is pending already, and changes hands.
    pendingAssign(h, known, consumer, pendingKey);
    setPendingTimeMs(h, known, nowMs);
    setPendingCount(h, known, 1n);
    return known;
  }
  const nack = pendingNew(h, 0, nowMs);
  try {
    raxInsert(h, tree, pendingKey, 0, STREAM_ID_BYTES, nack);
  } catch (error) {
    h.free(nack);
    throw error;
  }
  try {
    pendingAssign(h, nack, consumer, pendingKey);
  } catch (error) {
    pendingRemove(h, group, nack, pendingKey);
    throw error;
  }
  return nack;
}

/** Moves the group on to an entry that it is being given. @returns whether it had not been there before */
function advanceGroup(h: Heap, s: number, group: number, id: StreamId): boolean {
  loadStreamId(h, group + GROUP_LAST_ID, groupLast);
  if (compareStreamIds(id, groupLast) <= 0) return false;
  const read = groupEntriesRead(h, group);
  if (read !== ENTRIES_READ_UNKNOWN && !streamHasTombstones(h, s, id, null)) {
    setGroupEntriesRead(h, group, BigInt.asIntN(64, read + 1n));
  } else if (streamEntriesAdded(h, s) !== 0n) {
    setGroupEntriesRead(h, group, entriesReadAt(h, s, id));
  }
  storeStreamId(h, group + GROUP_LAST_ID, id);
  return true;
}

/**
 * Replies an array of what the group has not been given yet, and gives it to the consumer.
 * @param keyArg the argument with the stream's key
 */
function replyNew(
  core: RedisCore,
  c: Client,
  s: number,
  start: StreamId,
  o: ReadOptions,
  keyArg: number,
  count: number,
  group: number,
  consumer: number,
): void {
  const h = core.heap;
  const { noAck, groupArg } = o;
  const logged = core.effects.active;
  if (logged && noAck && consumerIsNew) effectOfConsumer(core, c, keyArg, groupArg, o.consumerArg);
  let advanced = false;
  const it = replyIterator(h, s);
  it.seek(s, start, null, false);
  const mark = beginDeferred(c);
  let replied = 0;
  while (it.next()) {
    if (advanceGroup(h, s, group, it.id)) advanced = true;
    addReplyEntry(h, c, it);
    if (!noAck) {
      const nack = addPending(h, group, consumer, it.id, core.nowMs);
      if (logged) effectOfPending(core, c, keyArg, groupArg, group, nack, it.id);
    }
    replied++;
    if (replied === count) break;
  }
  endDeferred(c, mark, '*', replied);
  if (logged && noAck && advanced) effectOfGroup(core, c, keyArg, groupArg, group);
}

const historyId = newStreamId();

/** Replies an array of what the consumer has got and not acknowledged. */
function replyHistory(core: RedisCore, c: Client, s: number, start: StreamId, count: number, consumer: number): void {
  const h = core.heap;
  const pending = new RaxIterator(h, consumerPending(h, consumer));
  encodeStreamId(start, pendingKey, 0);
  const mark = beginDeferred(c);
  let replied = 0;
  for (let more = pending.seekFrom(pendingKey, 0, STREAM_ID_BYTES); more; more = pending.next()) {
    if (count !== 0 && replied >= count) break;
    decodeStreamId(pending.key, 0, historyId);
    if (addReplyEntryOf(h, c, s, historyId)) {
      setPendingTimeMs(h, pending.value, core.nowMs);
      setPendingCount(h, pending.value, BigInt.asUintN(64, pendingCount(h, pending.value) + 1n));
    } else {
      addReplyGoneEntry(c, historyId);
    }
    replied++;
  }
  endDeferred(c, mark, '*', replied);
}

const edge = newStreamId();

/** Whether there are entries behind `id`. */
function hasBehind(h: Heap, s: number, id: StreamId): boolean {
  return streamLength(h, s) > 0 && streamEdgeId(h, s, false, edge) && compareStreamIds(edge, id) > 0;
}

/** The consumer that reads the stream of key `i`. */
function touchConsumerOf(core: RedisCore, c: Client, o: ReadOptions, i: number): number {
  const keyArg = o.keysArg + i;
  const name = c.argOff[o.consumerArg];
  const nameLength = c.argLen[o.consumerArg];
  return touchConsumer(core, c.db, o.groups[i], name, nameLength, c.argOff[keyArg], c.argLen[keyArg]);
}

/** Replies what there is now. @returns the number of streams with a reply */
function serveNow(core: RedisCore, c: Client, o: ReadOptions): number {
  const h = core.heap;
  let served = 0;
  let mark = 0;
  for (let i = 0; i < o.keys; i++) {
    const keyArg = o.keysArg + i;
    const value = lookupKeyRead(core, c.db, c.argOff[keyArg], c.argLen[keyArg]);
    if (value === 0) continue;
    const s = robjPtr(h, value);
    const from = o.ids[i];
    let history = false;
    let serves = false;
    if (o.isGroup) {
      if (!streamIdIsMax(from)) {
        serves = true;
        history = true;
      } else {
        loadStreamId(h, o.groups[i] + GROUP_LAST_ID, groupLast);
        if (hasBehind(h, s, groupLast)) {
          serves = true;
          copyStreamId(groupLast, from);
        }
      }
    } else {
      serves = hasBehind(h, s, from);
    }
    if (!serves) continue;
    const consumer = o.isGroup ? touchConsumerOf(core, c, o, i) : 0;
    if (served === 0) mark = beginDeferred(c);
    served++;
    incrementStreamId(from);
    if (c.resp === 2) addReplyArrayLen(c, 2);
    addReplyBulk(c, c.argOff[keyArg], c.argLen[keyArg]);
    if (history) {
      if (core.effects.active && o.noAck && consumerIsNew) effectOfConsumer(core, c, keyArg, o.groupArg, o.consumerArg);
      replyHistory(core, c, s, from, o.count, consumer);
    }
    if (o.isGroup && !history) replyNew(core, c, s, from, o, keyArg, o.count, o.groups[i], consumer);
    if (o.isGroup) core.dirty++;
    else addReplyRange(h, c, s, from, null, o.count, false);
  }
  if (served > 0) endDeferred(c, mark, c.resp === 2 ? '*' : '%', served);
  return served;
}

/** Replies the one stream that a waiting client has got something of. */
function replyHead(c: Client, key: number, keyLength: number): void {
  if (c.resp === 2) {
    addReplyArrayLen(c, 1);
    addReplyArrayLen(c, 2);
  } else {
    addReplyMapLen(c, 1);
  }
  addReplyBulk(c, key, keyLength);
}

const waitedFrom = newStreamId();
const streamLast = newStreamId();

const readOp: BlockedOp = {
  type: OBJ_STREAM,
  serve(core, c, key, keyLength, value) {
    const h = core.heap;
    const o = c.blockedState as ReadOptions;
    const s = robjPtr(h, value);
    loadStreamId(h, s + STREAM_LAST_ID, streamLast);
    const count = o.count === 0 ? BLOCKED_DEFAULT_COUNT : o.count;
    let i = 0;
    while (i < o.keys - 1 && c.argOff[o.keysArg + i] !== key) i++;
    copyStreamId(o.ids[i], waitedFrom);
    if (!o.isGroup) {
      if (compareStreamIds(streamLast, waitedFrom) <= 0) return false;
      incrementStreamId(waitedFrom);
      replyHead(c, key, keyLength);
      addReplyRange(h, c, s, waitedFrom, null, count, false);
      return true;
    }
    const group = groupFind(h, s, c.argOff[o.groupArg], c.argLen[o.groupArg]);
    if (group === 0) {
      addReplyError(c, '-NOGROUP the consumer group this client was blocked on no longer exists');
      return true;
    }
    loadStreamId(h, group + GROUP_LAST_ID, waitedFrom);
    if (compareStreamIds(streamLast, waitedFrom) <= 0) return false;
    incrementStreamId(waitedFrom);
    const consumer = touchConsumer(core, c.db, group, c.argOff[o.consumerArg], c.argLen[o.consumerArg], key, keyLength);
    replyHead(c, key, keyLength);
    replyNew(core, c, s, waitedFrom, o, o.keysArg + i, count, group, consumer);
    core.dirty++;
    return true;
  },
  lost(_core, c) {
    if (!(c.blockedState as ReadOptions).isGroup) return false;
    addReplyError(c, '-UNBLOCKED the stream key no longer exists');
    return true;
  },
  timedOut: (_core, c) => addReplyNullArray(c),
};

function readGeneric(core: RedisCore, c: Client, isGroup: boolean): void {
  const o = readOptions(core, c, isGroup);
  if (o === null || !resolve(core, c, o)) return;
  const served = serveNow(core, c, o) > 0;
  // What was given to whom is said by effects of its own.
  if (isGroup) core.effects.suppress();
  if (served) return;
  if (!o.blocks || (c.flags & CLIENT_DENY_BLOCKING) !== 0) addReplyNullArray(c);
  else blockForKeys(core, c, o.keysArg, o.keys, o.untilMs, readOp, o);
}

export const streamReadProcs: Readonly<Record<string, CommandProc>> = {
  xread: (core, c) => readGeneric(core, c, false),
  xreadgroup: (core, c) => readGeneric(core, c, true),
};
