/** The list commands. Those that move elements between lists or wait for them are in list-moving.ts, LPOS in list-position.ts. */
import type { Client } from '../client.ts';
import type { CommandProc } from '../command.ts';
import { dbDelete, lookupKeyRead, lookupKeyWrite, NOTIFY_GENERIC, NOTIFY_LIST } from '../db.ts';
import {
  addReplyArrayLen,
  addReplyError,
  addReplyLong,
  addReplyNull,
  addReplyNullArray,
  addReplyOk,
  NO_SUCH_KEY,
  SYNTAX_ERROR,
} from '../protocol/reply.ts';
import type { RedisCore } from '../redis-core.ts';
import { parsedHigh, parsedLow, parseInt64 } from '../structures/int64.ts';
import { quicklistDropPeeked, quicklistPeek } from '../structures/quicklist.ts';
import {
  deleteAtCursor,
  insertAtCursor,
  ListCursor,
  quicklistDeleteRange,
  replaceAtCursor,
} from '../structures/quicklist-cursor.ts';
import { OBJ_LIST, robjPtr } from '../structures/robj.ts';
import { listLength, listPush } from '../types/list.ts';
import { argNumber, isWrongType, readInteger, readPositive } from './integer-arguments.ts';
import { listMovingProcs } from './list-moving.ts';
import { lposCommand } from './list-position.ts';
import { addReplyElement, addReplyListRange, addReplyPeeked } from './list-reply.ts';
import { addListKey, deleteEmptyList, listElementsRemoved, popRange } from './list-support.ts';

const cursor = new ListCursor();

function pushGeneric(core: RedisCore, c: Client, atHead: boolean, onlyIfThere: boolean): void {
  const h = core.heap;
  const key = c.argOff[1];
  const keyLength = c.argLen[1];
  const db = c.db;
  let list = lookupKeyWrite(core, db, key, keyLength);
  if (list === 0) {
    if (onlyIfThere) {
      addReplyLong(c, 0);
      return;
    }
    list = addListKey(core, db, key, keyLength);
  } else if (isWrongType(core, c, list, OBJ_LIST)) {
    return;
  }
  let pushed = 0;
  try {
    for (; pushed < c.argc - 2; pushed++) listPush(h, list, c.argOff[pushed + 2], c.argLen[pushed + 2], atHead);
    addReplyLong(c, listLength(h, list));
  } finally {
    core.dirty += pushed;
    // There may have been no room for the first element of a new list.
    if (pushed === 0 && listLength(h, list) === 0) dbDelete(core, db, key, keyLength);
    if (pushed > 0) {
      core.signalModifiedKey(db, key, keyLength);
      core.notifyKeyspaceEvent(NOTIFY_LIST, atHead ? 'lpush' : 'rpush', key, keyLength, db.id);
    }
  }
}

function popGeneric(core: RedisCore, c: Client, atHead: boolean): void {
  const h = core.heap;
  const hasCount = c.argc === 3;
  let count = 1;
  if (c.argc > 3) {
    addReplyError(c, `wrong number of arguments for '${c.command?.fullName ?? ''}' command`);
    return;
  }
  if (hasCount) {
    if (!readPositive(core, c, 2)) return;
    count = argNumber;
  }
  const key = c.argOff[1];
  const keyLength = c.argLen[1];
  const list = lookupKeyWrite(core, c.db, key, keyLength);
  if (list === 0) {
    if (hasCount) addReplyNullArray(c);
    else addReplyNull(c);
    return;
  }
  if (isWrongType(core, c, list, OBJ_LIST)) return;
  if (count === 0) {
    addReplyArrayLen(c, 0);
    return;
  }
  if (!hasCount) {
    const ql = robjPtr(h, list);
    quicklistPeek(h, ql, atHead);
    addReplyPeeked(c);
    quicklistDropPeeked(h, ql);
    listElementsRemoved(core, c.db, key, keyLength, list, atHead, 1);
    return;
  }
  const popped = popRange(core, c, list, atHead, count);
  listElementsRemoved(core, c.db, key, keyLength, list, atHead, popped);
}

function llenCommand(core: RedisCore, c: Client): void {
  const list = lookupKeyRead(core, c.db, c.argOff[1], c.argLen[1]);
  if (isWrongType(core, c, list, OBJ_LIST)) return;
  addReplyLong(c, list === 0 ? 0 : listLength(core.heap, list));
}

function lindexCommand(core: RedisCore, c: Client): void {
  const h = core.heap;
  const list = lookupKeyRead(core, c.db, c.argOff[1], c.argLen[1]);
  if (list === 0) {
    addReplyNull(c);
    return;
  }
  if (isWrongType(core, c, list, OBJ_LIST) || !readInteger(core, c, 2)) return;
  if (cursor.seek(h, robjPtr(h, list), argNumber, true) && cursor.next(h)) addReplyElement(c, cursor);
  else addReplyNull(c);
  cursor.end(h);
}

function lsetCommand(core: RedisCore, c: Client): void {
  const h = core.heap;
  const list = lookupKeyWrite(core, c.db, c.argOff[1], c.argLen[1]);
  if (list === 0) {
    addReplyError(c, NO_SUCH_KEY);
    return;
  }
  if (isWrongType(core, c, list, OBJ_LIST) || !readInteger(core, c, 2)) return;
  if (!cursor.seek(h, robjPtr(h, list), argNumber, true) || !cursor.next(h)) {
    addReplyError(c, 'index out of range');
    return;
  }
  try {
    replaceAtCursor(h, cursor, c.argOff[3], c.argLen[3]);
  } finally {
    cursor.end(h);
  }
  addReplyOk(c);
  core.signalModifiedKey(c.db, c.argOff[1], c.argLen[1]);
  core.notifyKeyspaceEvent(NOTIFY_LIST, 'lset', c.argOff[1], c.argLen[1], c.db.id);
  core.dirty++;
}

function linsertCommand(core: RedisCore, c: Client): void {
  const h = core.heap;
  const after = c.argIs(2, 'after');
  if (!after && !c.argIs(2, 'before')) {
    addReplyError(c, SYNTAX_ERROR);
    return;
  }
  const list = lookupKeyWrite(core, c.db, c.argOff[1], c.argLen[1]);
  if (list === 0) {
    addReplyLong(c, 0);
    return;
  }
  if (isWrongType(core, c, list, OBJ_LIST)) return;
  const isInteger = parseInt64(h.u8, c.argOff[3], c.argLen[3]);
  const low = parsedLow;
  const high = parsedHigh;
  let inserted = false;
  cursor.start(h, robjPtr(h, list), true);
  try {
    while (!inserted && cursor.next(h)) {
      if (!cursor.equals(h, c.argOff[3], c.argLen[3], isInteger, low, high)) continue;
      insertAtCursor(h, cursor, c.argOff[4], c.argLen[4], after);
      inserted = true;
    }
  } finally {
    cursor.end(h);
  }
  if (!inserted) {
    addReplyLong(c, -1);
    return;
  }
  core.signalModifiedKey(c.db, c.argOff[1], c.argLen[1]);
  core.notifyKeyspaceEvent(NOTIFY_LIST, 'linsert', c.argOff[1], c.argLen[1], c.db.id);
  core.dirty++;
  addReplyLong(c, listLength(h, list));
}

function lrangeCommand(core: RedisCore, c: Client): void {
  if (!readInteger(core, c, 2)) return;
  const start = argNumber;
  if (!readInteger(core, c, 3)) return;
  const end = argNumber;
  const list = lookupKeyRead(core, c.db, c.argOff[1], c.argLen[1]);
  if (list === 0) {
    addReplyArrayLen(c, 0);
    return;
  }
  if (isWrongType(core, c, list, OBJ_LIST)) return;
  addReplyListRange(core, c, list, start, end, false);
}

function ltrimCommand(core: RedisCore, c: Client): void {
  const h = core.heap;
  if (!readInteger(core, c, 2)) return;
  let start = argNumber;
  if (!readInteger(core, c, 3)) return;
  let end = argNumber;
  const list = lookupKeyWrite(core, c.db, c.argOff[1], c.argLen[1]);
  if (list === 0) {
    addReplyOk(c);
    return;
  }
  if (isWrongType(core, c, list, OBJ_LIST)) return;
  const length = listLength(h, list);
  if (start < 0) start = Math.max(0, start + length);
  if (end < 0) end += length;
  let before = length;
  let behind = 0;
  if (start <= end && start < length) {
    before = start;
    behind = length - Math.min(end, length - 1) - 1;
  }
  const ql = robjPtr(h, list);
  quicklistDeleteRange(h, ql, 0, before);
  quicklistDeleteRange(h, ql, -behind, behind);
  core.notifyKeyspaceEvent(NOTIFY_LIST, 'ltrim', c.argOff[1], c.argLen[1], c.db.id);
  if (listLength(h, list) === 0) deleteEmptyList(core, c.db, c.argOff[1], c.argLen[1]);
  core.signalModifiedKey(c.db, c.argOff[1], c.argLen[1]);
  core.dirty += before + behind;
  addReplyOk(c);
}

function lremCommand(core: RedisCore, c: Client): void {
  const h = core.heap;
  if (!readInteger(core, c, 2)) return;
  const fromHead = argNumber >= 0;
  const most = Math.abs(argNumber);
  const key = c.argOff[1];
  const keyLength = c.argLen[1];
  const list = lookupKeyWrite(core, c.db, key, keyLength);
  if (list === 0) {
    addReplyLong(c, 0);
    return;
  }
  if (isWrongType(core, c, list, OBJ_LIST)) return;
  const isInteger = parseInt64(h.u8, c.argOff[3], c.argLen[3]);
  const low = parsedLow;
  const high = parsedHigh;
  let removed = 0;
  cursor.start(h, robjPtr(h, list), fromHead);
  try {
    while (cursor.next(h)) {
      if (!cursor.equals(h, c.argOff[3], c.argLen[3], isInteger, low, high)) continue;
      deleteAtCursor(h, cursor);
      removed++;
      if (removed === most) break;
    }
    cursor.end(h);
  } finally {
    core.dirty += removed;
    if (removed > 0) core.notifyKeyspaceEvent(NOTIFY_GENERIC, 'lrem', key, keyLength, c.db.id);
    if (listLength(h, list) === 0) deleteEmptyList(core, c.db, key, keyLength);
    if (removed > 0) core.signalModifiedKey(c.db, key, keyLength);
  }
  addReplyLong(c, removed);
}

export const listProcs: Readonly<Record<string, CommandProc>> = {
  lpush: (core, c) => pushGeneric(core, c, true, false),
  rpush: (core, c) => pushGeneric(core, c, false, false),
  lpushx: (core, c) => pushGeneric(core, c, true, true),
  rpushx: (core, c) => pushGeneric(core, c, false, true),
  lpop: (core, c) => popGeneric(core, c, true),
  rpop: (core, c) => popGeneric(core, c, false),
  llen: llenCommand,
  lindex: lindexCommand,
  lset: lsetCommand,
  linsert: linsertCommand,
  lrange: lrangeCommand,
  ltrim: ltrimCommand,
  lrem: lremCommand,
  lpos: lposCommand,
  ...listMovingProcs,
};
