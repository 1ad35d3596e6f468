/**
 * The stream commands that add, trim, delete and list entries. Reading with groups and waiting is in stream-read.ts, groups in
 * stream-group.ts, pending entries in stream-pending.ts, XINFO in stream-info.ts.
 */
import type { Client } from '../client.ts';
import type { CommandProc } from '../command.ts';
import { dbDelete, lookupKeyRead, lookupKeyWrite, NOTIFY_STREAM } from '../db.ts';
import {
  addReplyArrayLen,
  addReplyBigInt,
  addReplyError,
  addReplyLong,
  addReplyNull,
  addReplyNullArray,
  addReplyOk,
  NO_SUCH_KEY,
  SYNTAX_ERROR,
} from '../protocol/reply.ts';
import type { RedisCore } from '../redis-core.ts';
import { RaxIterator } from '../structures/rax-iterator.ts';
import { OBJ_STREAM, robjPtr } from '../structures/robj.ts';
import {
  STREAM_APPENDED,
  STREAM_FIRST_ID,
  STREAM_ID_AUTO,
  STREAM_ID_AUTO_SEQUENCE,
  STREAM_ID_GIVEN,
  STREAM_ID_TOO_SMALL,
  STREAM_LAST_ID,
  STREAM_MAX_DELETED_ID,
  setStreamEntriesAdded,
  streamAppend,
  streamLength,
  streamLengthBig,
  streamRax,
} from '../structures/stream.ts';
import {
  compareStreamIds,
  decodeStreamId,
  decrementStreamId,
  incrementStreamId,
  loadStreamId,
  newStreamId,
  storeStreamId,
  streamIdIsMax,
  streamIdIsZero,
  streamIdText,
} from '../structures/stream-id.ts';
import { streamEdgeId } from '../structures/stream-iterator.ts';
import { renewFirstId, streamDelete, streamTrim } from '../structures/stream-trim.ts';
import { argBigInt, argNumber, isWrongType, readInteger } from './integer-arguments.ts';
import {
  addReplyRange,
  addReplyStreamId,
  addStream,
  boundIsOpen,
  INVALID_END,
  INVALID_START,
  readStreamBound,
  readStreamId,
  readStreamIds,
  sequenceIsOpen,
} from './stream-arguments.ts';
import { streamGroupProcs } from './stream-group.ts';
import { streamInfoProcs } from './stream-info.ts';
import { streamPendingProcs } from './stream-pending.ts';
import { streamReadProcs } from './stream-read.ts';

/** Approximate trimming deletes so many nodes' entries at the most, unless told otherwise. */
const TRIM_NODES = 100;
const TRIM_LIMIT_DEFAULT = 10_000;
const TRIM_LIMIT_MAX = 1_000_000;
const BOTH_STRATEGIES = 'syntax error, MAXLEN and MINID options at the same time are not compatible';

/** The options of XADD and XTRIM. */
const options = {
  trim: false,
  maxLength: 0,
  /** Trims by minId, not by maxLength. */
  byId: false,
  /** The argument with either of them. */
  thresholdArg: 0,
  minId: newStreamId(),
  approximate: false,
  limit: 0,
  noMakeStream: false,
  mode: STREAM_ID_AUTO,
  id: newStreamId(),
};

/** Reads MAXLEN or MINID from argument `i` on. @returns the index of its last argument, or -1 after an error reply */
function readStrategy(core: RedisCore, c: Client, i: number): number {
  if (options.trim) {
    addReplyError(c, BOTH_STRATEGIES);
    return -1;
  }
  const byId = c.argIs(i, 'minid');
  let value = i + 1;
  options.approximate = false;
  if (value + 1 < c.argc && c.argLen[value] === 1) {
    const sign = core.heap.u8[c.argOff[value]];
    if (sign === 126) options.approximate = true;
    if (sign === 126 || sign === 61) value++;
  }
  if (byId) {
    if (!readStreamId(c, value, options.minId)) return -1;
  } else {
    if (!readInteger(core, c, value)) return -1;
    options.maxLength = argNumber;
    if (argNumber < 0) {
      addReplyError(c, 'The MAXLEN argument must be >= 0.');
      return -1;
    }
  }
  options.trim = true;
  options.thresholdArg = value;
  options.byId = byId;
  return value;
}

/** Reads the options of XADD (then up to the id) or XTRIM. @returns the index of the id, or -1 after an error reply */
function readOptions(core: RedisCore, c: Client, isAdd: boolean): number {
  options.trim = false;
  options.byId = false;
  options.approximate = false;
  options.limit = 0;
  options.noMakeStream = false;
  options.mode = STREAM_ID_AUTO;
  let limitGiven = false;
  let i = 2;
  for (; i < c.argc; i++) {
    const more = c.argc - 1 - i > 0;
    if (isAdd && c.argLen[i] === 1 && core.heap.u8[c.argOff[i]] === 42) break;
    if (more && (c.argIs(i, 'maxlen') || c.argIs(i, 'minid'))) {
      i = readStrategy(core, c, i);
      if (i < 0) return -1;
    } else if (more && c.argIs(i, 'limit')) {
      if (!readInteger(core, c, ++i)) return -1;
      options.limit = argNumber;
      if (argNumber < 0) {
        addReplyError(c, 'The LIMIT argument must be >= 0.');
        return -1;
      }
      limitGiven = true;
    } else if (isAdd && c.argIs(i, 'nomkstream')) {
      options.noMakeStream = true;
    } else if (isAdd) {
      if (!readStreamId(c, i, options.id, true)) return -1;
      options.mode = sequenceIsOpen ? STREAM_ID_AUTO_SEQUENCE : STREAM_ID_GIVEN;
      break;
    } else {
      addReplyError(c, SYNTAX_ERROR);
      return -1;
    }
  }
  return settleLimit(core, c, isAdd, limitGiven) ? i : -1;
}

function settleLimit(core: RedisCore, c: Client, isAdd: boolean, limitGiven: boolean): boolean {
  if (options.limit !== 0 && !options.trim) {
    addReplyError(c, 'syntax error, LIMIT cannot be used without specifying a trimming strategy');
    return false;
  }
  if (!isAdd && !options.trim) {
    addReplyError(c, 'syntax error, XTRIM must be called with a trimming strategy');
    return false;
  }
  if (limitGiven) {
    // In a file the threshold says what the limit came to.
    if (core.persistence.loading) options.limit = 0;
    if (options.approximate || core.persistence.loading) return true;
    addReplyError(c, 'syntax error, LIMIT cannot be used without the special ~ option');
    return false;
  }
  options.limit = 0;
  if (options.approximate) {
    const limit = TRIM_NODES * core.heap.limits.streamNodeMaxEntries;
    options.limit = limit <= 0 ? TRIM_LIMIT_DEFAULT : Math.min(limit, TRIM_LIMIT_MAX);
  }
  return true;
}

function trim(core: RedisCore, s: number): number {
  const minId = options.byId ? options.minId : null;
  return streamTrim(core.heap, s, options.maxLength, minId, options.approximate, options.limit);
}

const edgeId = newStreamId();

/** Reads the id of the first entry, deleted ones included, into edgeId: a node is named after its first one. */
function firstIdEver(core: RedisCore, s: number): void {
  const nodes = new RaxIterator(core.heap, streamRax(core.heap, s));
  if (nodes.first()) decodeStreamId(nodes.key, 0, edgeId);
  else edgeId.fill(0xffffffff);
}

/**
 * What a log is told of an XADD or XTRIM whose id is chosen by the clock, or that may trim less than it says: the id, and where the
 * trimming ended.
 * @param idAt the argument with the id, 0: none
 */
function effectOf(core: RedisCore, c: Client, s: number, idAt: number): void {
  const { effects } = core;
  const trims = options.trim && options.approximate;
  const chosen = idAt !== 0 && options.mode !== STREAM_ID_GIVEN;
  if (!effects.active || !(trims || chosen)) return;
  effects.begin(c.db, c.argc);
  for (let i = 0; i < c.argc; i++) {
    if (chosen && i === idAt) {
      effects.text(streamIdText(addedId));
    } else if (trims && i === options.thresholdArg - 1) {
      effects.text('=');
    } else if (trims && i === options.thresholdArg) {
      if (options.byId) firstIdEver(core, s);
      effects.text(options.byId ? streamIdText(edgeId) : String(streamLength(core.heap, s)));
    } else {
      effects.argOf(c, i);
    }
  }
}

const lastId = newStreamId();
const addedId = newStreamId();

function xaddCommand(core: RedisCore, c: Client): void {
  const idAt = readOptions(core, c, true);
  if (idAt < 0) return;
  const first = idAt + 1;
  const values = c.argc - first;
  if (values < 2 || values % 2 === 1) {
    addReplyError(c, "wrong number of arguments for 'xadd' command");
    return;
  }
  if (options.mode === STREAM_ID_GIVEN && streamIdIsZero(options.id)) {
    addReplyError(c, 'The ID specified in XADD must be greater than 0-0');
    return;
  }
  const h = core.heap;
  const key = c.argOff[1];
  const keyLength = c.argLen[1];
  let o = lookupKeyWrite(core, c.db, key, keyLength);
  if (isWrongType(core, c, o, OBJ_STREAM)) return;
  let isNew = false;
  if (o === 0) {
    if (options.noMakeStream) {
      addReplyNull(c);
      return;
    }
    o = addStream(core, c, 1);
    isNew = true;
  }
  const s = robjPtr(h, o);
  loadStreamId(h, s + STREAM_LAST_ID, lastId);
  if (streamIdIsMax(lastId)) {
    addReplyError(c, 'The stream has exhausted the last possible ID, unable to add more items');
    return;
  }
  if (options.mode !== STREAM_ID_AUTO) addedId.set(options.id);
  let result: number;
  try {
    result = streamAppend(h, s, c.argOff, c.argLen, first, values / 2, options.mode, core.nowMs, addedId);
  } catch (error) {
    // A stream made for an entry that there is no memory for must not stay.
    if (isNew) dbDelete(core, c.db, key, keyLength);
    throw error;
  }
  if (result !== STREAM_APPENDED) {
    addReplyError(
      c,
      result === STREAM_ID_TOO_SMALL
        ? 'The ID specified in XADD is equal or smaller than the target stream top item'
        : 'Elements are too large to be stored',
    );
    return;
  }
  // Counted first: there may be no memory for the reply.
  core.dirty++;
  addReplyStreamId(c, addedId);
  core.signalModifiedKey(c.db, key, keyLength);
  core.notifyKeyspaceEvent(NOTIFY_STREAM, 'xadd', key, keyLength, c.db.id);
  if (options.trim && trim(core, s) > 0) {
    core.notifyKeyspaceEvent(NOTIFY_STREAM, 'xtrim', key, keyLength, c.db.id);
  }
  effectOf(core, c, s, idAt);
  core.signalKeyAsReady(c.db, key, keyLength);
}

function xtrimCommand(core: RedisCore, c: Client): void {
  if (readOptions(core, c, false) < 0) return;
  const key = c.argOff[1];
  const keyLength = c.argLen[1];
  const o = lookupKeyWrite(core, c.db, key, keyLength);
  if (o === 0) {
    addReplyLong(c, 0);
    return;
  }
  if (isWrongType(core, c, o, OBJ_STREAM)) return;
  const deleted = trim(core, robjPtr(core.heap, o));
  if (deleted > 0) {
    core.notifyKeyspaceEvent(NOTIFY_STREAM, 'xtrim', key, keyLength, c.db.id);
    core.signalModifiedKey(c.db, key, keyLength);
    core.dirty += deleted;
    effectOf(core, c, robjPtr(core.heap, o), 0);
  }
  addReplyLong(c, deleted);
}

function xlenCommand(core: RedisCore, c: Client): void {
  const o = lookupKeyRead(core, c.db, c.argOff[1], c.argLen[1]);
  if (isWrongType(core, c, o, OBJ_STREAM)) return;
  const length = o === 0 ? 0 : streamLength(core.heap, robjPtr(core.heap, o));
  if (Number.isSafeInteger(length)) addReplyLong(c, length);
  else addReplyBigInt(c, streamLengthBig(core.heap, robjPtr(core.heap, o)));
}

const firstId = newStreamId();

function xdelCommand(core: RedisCore, c: Client): void {
  const h = core.heap;
  const key = c.argOff[1];
  const keyLength = c.argLen[1];
  const o = lookupKeyWrite(core, c.db, key, keyLength);
  if (o === 0) {
    addReplyLong(c, 0);
    return;
  }
  if (isWrongType(core, c, o, OBJ_STREAM)) return;
  const all = readStreamIds(c, 2);
  if (all === null) return;
  const s = robjPtr(h, o);
  let deleted = 0;
  let firstHasGone = false;
  loadStreamId(h, s + STREAM_FIRST_ID, firstId);
  for (let i = 0; i < c.argc - 2; i++) {
    if (!streamDelete(h, s, all[i])) continue;
    if (compareStreamIds(all[i], firstId) === 0) firstHasGone = true;
    deleted++;
  }
  if (deleted > 0) {
    if (firstHasGone || streamLength(h, s) === 0) renewFirstId(h, s);
    core.signalModifiedKey(c.db, key, keyLength);
    core.notifyKeyspaceEvent(NOTIFY_STREAM, 'xdel', key, keyLength, c.db.id);
    core.dirty += deleted;
  }
  addReplyLong(c, deleted);
}

const startId = newStreamId();
const endId = newStreamId();

function xrangeGeneric(core: RedisCore, c: Client, backwards: boolean): void {
  if (!readStreamBound(c, backwards ? 3 : 2, startId, 0)) return;
  if (boundIsOpen && !incrementStreamId(startId)) {
    addReplyError(c, INVALID_START);
    return;
  }
  if (!readStreamBound(c, backwards ? 2 : 3, endId, 0xffffffff)) return;
  if (boundIsOpen && !decrementStreamId(endId)) {
    addReplyError(c, INVALID_END);
    return;
  }
  let count = -1;
  for (let i = 4; i < c.argc; i += 2) {
    if (!c.argIs(i, 'count') || i + 1 >= c.argc) {
      addReplyError(c, SYNTAX_ERROR);
      return;
    }
    if (!readInteger(core, c, i + 1)) return;
    count = Math.max(argNumber, 0);
  }
  const o = lookupKeyRead(core, c.db, c.argOff[1], c.argLen[1]);
  if (o === 0) {
    addReplyArrayLen(c, 0);
    return;
  }
  if (isWrongType(core, c, o, OBJ_STREAM)) return;
  if (count === 0) addReplyNullArray(c);
  else addReplyRange(core.heap, c, robjPtr(core.heap, o), startId, endId, Math.max(count, 0), backwards);
}

const maxDeletedId = newStreamId();
const setId = newStreamId();

function xsetidCommand(core: RedisCore, c: Client): void {
  if (!readStreamId(c, 2, setId)) return;
  let added = -1n;
  maxDeletedId.fill(0);
  for (let i = 3; i < c.argc; i += 2) {
    const more = i + 1 < c.argc;
    if (more && c.argIs(i, 'entriesadded')) {
      if (!readInteger(core, c, i + 1)) return;
      added = argBigInt();
      if (added < 0n) {
        addReplyError(c, 'entries_added must be positive');
        return;
      }
    } else if (more && c.argIs(i, 'maxdeletedid')) {
      if (!readStreamId(c, i + 1, maxDeletedId)) return;
      if (compareStreamIds(setId, maxDeletedId) < 0) {
        addReplyError(c, 'The ID specified in XSETID is smaller than the provided max_deleted_entry_id');
        return;
      }
    } else {
      addReplyError(c, SYNTAX_ERROR);
      return;
    }
  }
  const h = core.heap;
  const o = lookupKeyWrite(core, c.db, c.argOff[1], c.argLen[1]);
  if (o === 0) {
    addReplyError(c, NO_SUCH_KEY);
    return;
  }
  if (isWrongType(core, c, o, OBJ_STREAM)) return;
  const s = robjPtr(h, o);
  if (streamLength(h, s) > 0) {
    streamEdgeId(h, s, false, lastId);
    if (compareStreamIds(setId, lastId) < 0) {
      addReplyError(c, 'The ID specified in XSETID is smaller than the target stream top item');
      return;
    }
    if (added !== -1n && BigInt(streamLength(h, s)) > added) {
      addReplyError(c, 'The entries_added specified in XSETID is smaller than the target stream length');
      return;
    }
  }
  storeStreamId(h, s + STREAM_LAST_ID, setId);
  if (added !== -1n) setStreamEntriesAdded(h, s, Number(added & 0xffffffffn), Number(added >> 32n));
  if (!streamIdIsZero(maxDeletedId)) storeStreamId(h, s + STREAM_MAX_DELETED_ID, maxDeletedId);
  addReplyOk(c);
  core.dirty++;
  core.notifyKeyspaceEvent(NOTIFY_STREAM, 'xsetid', c.argOff[1], c.argLen[1], c.db.id);
}

/** The procedures, by full name. */
export const streamProcs: Readonly<Record<string, CommandProc>> = {
  ...streamGroupProcs,
  ...streamInfoProcs,
  ...streamPendingProcs,
  ...streamReadProcs,
  xadd: xaddCommand,
  xdel: xdelCommand,
  xlen: xlenCommand,
  xrange: (core, c) => xrangeGeneric(core, c, false),
  xrevrange: (core, c) => xrangeGeneric(core, c, true),
  xsetid: xsetidCommand,
  xtrim: xtrimCommand,
};
