/** Commands that move elements between lists, take them from the first list that has any, or wait for them. */
import { type BlockedOp, blockForKeys, readTimeout, timeoutUntilMs } from '../blocked.ts';
import { CLIENT_DENY_BLOCKING, type Client } from '../client.ts';
import type { CommandProc } from '../command.ts';
import { dbDelete, lookupKeyWrite, NOTIFY_LIST } from '../db.ts';
import { putInt64 } from '../protocol/decimal.ts';
import {
  addReplyArrayLen,
  addReplyBulk,
  addReplyError,
  addReplyNull,
  addReplyNullArray,
  SYNTAX_ERROR,
} from '../protocol/reply.ts';
import type { RedisCore } from '../redis-core.ts';
import {
  elementHigh,
  elementLength,
  elementLow,
  elementOffset,
  quicklistDropPeeked,
  quicklistMovePeeked,
  quicklistPeek,
} from '../structures/quicklist.ts';
import { OBJ_LIST, robjPtr } from '../structures/robj.ts';
import { listLength, listPush } from '../types/list.ts';
import { argNumber, isWrongType, readInteger } from './integer-arguments.ts';
import { addReplyPeeked } from './list-reply.ts';
import { addListKey, deleteEmptyList, listElementsRemoved, popRange } from './list-support.ts';

/** What a client waits for. */
interface ListWait {
  readonly fromHead: boolean;
  readonly toHead: boolean;
  /** Of BLMPOP; -1: one element, as BLPOP replies it. */
  readonly count: number;
}

const ATOMIC_COUNT = -1;
const popLeft: ListWait = { fromHead: true, toHead: true, count: ATOMIC_COUNT };
const popRight: ListWait = { fromHead: false, toHead: false, count: ATOMIC_COUNT };

/** Reads LEFT or RIGHT into sideIsHead. */
let sideIsHead = false;
function readSide(c: Client, i: number): boolean {
  sideIsHead = c.argIs(i, 'left');
  if (sideIsHead || c.argIs(i, 'right')) return true;
  addReplyError(c, SYNTAX_ERROR);
  return false;
}

/**
 * Takes an element from the end of one list, adds it to another (made if `destination` is 0) whose key is argument `to`, and replies
 * it. Of the source nothing is told yet.
 * @throws ARENA_EXHAUSTED, nothing changed
 */
function moveElement(
  core: RedisCore,
  c: Client,
  source: number,
  destination: number,
  to: number,
  fromHead: boolean,
  toHead: boolean,
): void {
  const h = core.heap;
  const ql = robjPtr(h, source);
  quicklistPeek(h, ql, fromHead);
  let offset = elementOffset;
  let length = elementLength;
  let copy = 0;
  if (offset === 0) {
    offset = h.scratch;
    length = putInt64(h.u8, offset, elementLow, elementHigh) - offset;
  } else if (destination === source) {
    copy = h.alloc(Math.max(1, length));
    h.copy(offset, copy, length);
    offset = copy;
  }
  try {
    let list = destination;
    if (list === source) {
      quicklistMovePeeked(h, ql, offset, length, toHead);
    } else {
      if (list === 0) list = addListKey(core, c.db, c.argOff[to], c.argLen[to]);
      try {
        listPush(h, list, offset, length, toHead);
      } catch (error) {
        if (destination === 0) dbDelete(core, c.db, c.argOff[to], c.argLen[to]);
        throw error;
      }
    }
    core.signalModifiedKey(c.db, c.argOff[to], c.argLen[to]);
    core.notifyKeyspaceEvent(NOTIFY_LIST, toHead ? 'lpush' : 'rpush', c.argOff[to], c.argLen[to], c.db.id);
    addReplyBulk(c, offset, length);
    if (list !== source) quicklistDropPeeked(h, ql);
  } finally {
    if (copy !== 0) h.free(copy);
  }
}

/** What a log is told of elements that were taken: the command that takes as many without waiting. */
function effectOfPop(core: RedisCore, c: Client, key: number, length: number, wait: ListWait, popped: number): void {
  const { effects } = core;
  if (!effects.active) return;
  effects.begin(c.db, wait.count >= 0 ? 3 : 2);
  effects.text(wait.fromHead ? 'LPOP' : 'RPOP');
  effects.arg(key, length);
  if (wait.count >= 0) effects.text(String(popped));
}

/**
 * What a log is told of an element that a waiting command moved: the same command without the waiting.
 * @param waited how it waited; null: it did not have to
 */
function effectOfMove(core: RedisCore, c: Client, waited: ListWait | null): void {
  const { effects } = core;
  if (!effects.active) return;
  const name = c.command?.name;
  const last = name === 'blmove' ? 4 : name === 'brpoplpush' ? 2 : 0;
  if (last === 0) return;
  effects.begin(c.db, last + 1);
  effects.text(last === 4 ? 'LMOVE' : 'RPOPLPUSH');
  effects.argOf(c, 1);
  effects.argOf(c, 2);
  for (let i = 3; i <= last; i++) {
    // Of one that has waited the original keeps the sides, not how they were written.
    if (waited === null) effects.argOf(c, i);
    else effects.text((i === 3 ? waited.fromHead : waited.toHead) ? 'left' : 'right');
  }
}

/** LMOVE and its relatives, for a source that may be missing. */
function moveGeneric(core: RedisCore, c: Client, fromHead: boolean, toHead: boolean): void {
  const source = lookupKeyWrite(core, c.db, c.argOff[1], c.argLen[1]);
  if (source === 0) {
    addReplyNull(c);
    return;
  }
  if (isWrongType(core, c, source, OBJ_LIST)) return;
  const destination = lookupKeyWrite(core, c.db, c.argOff[2], c.argLen[2]);
  if (isWrongType(core, c, destination, OBJ_LIST)) return;
  moveElement(core, c, source, destination, 2, fromHead, toHead);
  listElementsRemoved(core, c.db, c.argOff[1], c.argLen[1], source, fromHead, 1);
  effectOfMove(core, c, null);
}

function lmoveCommand(core: RedisCore, c: Client): void {
  if (!readSide(c, 3)) return;
  const fromHead = sideIsHead;
  if (readSide(c, 4)) moveGeneric(core, c, fromHead, sideIsHead);
}

/** Replies a key and up to `count` of its elements, which are removed. */
function popWithKey(core: RedisCore, c: Client, key: number, length: number, list: number, wait: ListWait): number {
  const ql = robjPtr(core.heap, list);
  // Reading may need memory, so it comes before the first byte of the reply.
  if (wait.count < 0) quicklistPeek(core.heap, ql, wait.fromHead);
  addReplyArrayLen(c, 2);
  addReplyBulk(c, key, length);
  if (wait.count >= 0) return popRange(core, c, list, wait.fromHead, wait.count);
  addReplyPeeked(c);
  quicklistDropPeeked(core.heap, ql);
  return 1;
}

/** Takes from the first of the keys that is a list. @returns whether there was one, or one of another type: replied */
function popFirst(core: RedisCore, c: Client, firstArg: number, count: number, wait: ListWait): boolean {
  for (let i = firstArg; i < firstArg + count; i++) {
    const list = lookupKeyWrite(core, c.db, c.argOff[i], c.argLen[i]);
    if (list === 0) continue;
    if (isWrongType(core, c, list, OBJ_LIST)) return true;
    const popped = popWithKey(core, c, c.argOff[i], c.argLen[i], list, wait);
    listElementsRemoved(core, c.db, c.argOff[i], c.argLen[i], list, wait.fromHead, popped);
    effectOfPop(core, c, c.argOff[i], c.argLen[i], wait, popped);
    return true;
  }
  return false;
}

const popOp: BlockedOp = {
  type: OBJ_LIST,
  serve(core, c, key, length, list) {
    const wait = c.blockedState as ListWait;
    const popped = popWithKey(core, c, key, length, list, wait);
    core.notifyKeyspaceEvent(NOTIFY_LIST, wait.fromHead ? 'lpop' : 'rpop', key, length, c.db.id);
    if (listLength(core.heap, list) === 0) deleteEmptyList(core, c.db, key, length);
    if (wait.count >= 0) core.dirty += popped;
    effectOfPop(core, c, key, length, wait, popped);
    return true;
  },
  timedOut: (_core, c) => addReplyNullArray(c),
};

const moveOp: BlockedOp = {
  type: OBJ_LIST,
  serve(core, c, key, length, list) {
    const wait = c.blockedState as ListWait;
    const destination = lookupKeyWrite(core, c.db, c.argOff[2], c.argLen[2]);
    // Whoever waited for an element and has nowhere to put it gets the error, and the element stays.
    if (isWrongType(core, c, destination, OBJ_LIST)) return true;
    moveElement(core, c, list, destination, 2, wait.fromHead, wait.toHead);
    core.notifyKeyspaceEvent(NOTIFY_LIST, wait.fromHead ? 'lpop' : 'rpop', key, length, c.db.id);
    if (listLength(core.heap, list) === 0) deleteEmptyList(core, c.db, key, length);
    effectOfMove(core, c, wait);
    return true;
  },
  timedOut: (_core, c) => addReplyNullArray(c),
};

function blockingPop(
  core: RedisCore,
  c: Client,
  firstArg: number,
  count: number,
  timeoutArg: number,
  wait: ListWait,
): void {
  if (!readTimeout(core, c, timeoutArg)) return;
  const untilMs = timeoutUntilMs;
  if (popFirst(core, c, firstArg, count, wait)) return;
  if ((c.flags & CLIENT_DENY_BLOCKING) !== 0) addReplyNullArray(c);
  else blockForKeys(core, c, firstArg, count, untilMs, popOp, wait);
}

function blockingMove(core: RedisCore, c: Client, fromHead: boolean, toHead: boolean, timeoutArg: number): void {
  if (!readTimeout(core, c, timeoutArg)) return;
  const untilMs = timeoutUntilMs;
  const source = lookupKeyWrite(core, c.db, c.argOff[1], c.argLen[1]);
  if (isWrongType(core, c, source, OBJ_LIST)) return;
  if (source !== 0) moveGeneric(core, c, fromHead, toHead);
  else if ((c.flags & CLIENT_DENY_BLOCKING) !== 0) addReplyNull(c);
  else blockForKeys(core, c, 1, 1, untilMs, moveOp, { fromHead, toHead, count: ATOMIC_COUNT });
}

function blmoveCommand(core: RedisCore, c: Client): void {
  if (!readSide(c, 3)) return;
  const fromHead = sideIsHead;
  if (readSide(c, 4)) blockingMove(core, c, fromHead, sideIsHead, 5);
}

/** @param keysArg the argument that tells the number of keys; a timeout stands before it where it is not the first */
function lmpopGeneric(core: RedisCore, c: Client, keysArg: number): void {
  const bad = 'numkeys should be greater than 0';
  if (!readInteger(core, c, keysArg, bad)) return;
  const keys = argNumber;
  if (keys < 1) {
    addReplyError(c, bad);
    return;
  }
  const sideArg = keysArg + keys + 1;
  if (sideArg >= c.argc) {
    addReplyError(c, SYNTAX_ERROR);
    return;
  }
  if (!readSide(c, sideArg)) return;
  const fromHead = sideIsHead;
  let count = -1;
  for (let i = sideArg + 1; i < c.argc; i += 2) {
    if (count !== -1 || !c.argIs(i, 'count') || i + 1 >= c.argc) {
      addReplyError(c, SYNTAX_ERROR);
      return;
    }
    const badCount = 'count should be greater than 0';
    if (!readInteger(core, c, i + 1, badCount)) return;
    count = argNumber;
    if (count < 1) {
      addReplyError(c, badCount);
      return;
    }
  }
  const wait: ListWait = { fromHead, toHead: fromHead, count: count === -1 ? 1 : count };
  if (keysArg === 2) blockingPop(core, c, 3, keys, 1, wait);
  else if (!popFirst(core, c, 2, keys, wait)) addReplyNullArray(c);
}

export const listMovingProcs: Readonly<Record<string, CommandProc>> = {
  lmove: lmoveCommand,
  rpoplpush: (core, c) => moveGeneric(core, c, false, true),
  blmove: blmoveCommand,
  brpoplpush: (core, c) => blockingMove(core, c, false, true, 3),
  blpop: (core, c) => blockingPop(core, c, 1, c.argc - 2, c.argc - 1, popLeft),
  brpop: (core, c) => blockingPop(core, c, 1, c.argc - 2, c.argc - 1, popRight),
  lmpop: (core, c) => lmpopGeneric(core, c, 1),
  blmpop: (core, c) => lmpopGeneric(core, c, 2),
};
