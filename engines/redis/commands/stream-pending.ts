/** XACK, XPENDING, XCLAIM and XAUTOCLAIM: what has been delivered to consumers and not been acknowledged. */
import type { Client } from '../client.ts';
import type { CommandProc } from '../command.ts';
import { lookupKeyRead } from '../db.ts';
import {
  addReplyArrayLen,
  addReplyBigInt,
  addReplyBulk,
  addReplyBulkLong,
  addReplyError,
  addReplyLong,
  addReplyNull,
  addReplyNullArray,
  beginDeferred,
  endDeferred,
  SYNTAX_ERROR,
} from '../protocol/reply.ts';
import type { RedisCore } from '../redis-core.ts';
import type { Heap } from '../structures/heap.ts';
import { raxFind, raxInsert, raxRemove, raxSize } from '../structures/rax.ts';
import { RaxIterator } from '../structures/rax-iterator.ts';
import { OBJ_STREAM, robjPtr } from '../structures/robj.ts';
import { sdsLen } from '../structures/sds.ts';
import {
  consumerFind,
  consumerName,
  consumerPending,
  GROUP_LAST_ID,
  groupConsumers,
  groupFind,
  groupPending,
  pendingAssign,
  pendingConsumer,
  pendingCount,
  pendingNew,
  pendingRemove,
  pendingTimeMs,
  setPendingCount,
  setPendingTimeMs,
} from '../structures/stream-groups.ts';
import {
  compareStreamIds,
  decodeStreamId,
  decrementStreamId,
  encodeStreamId,
  incrementStreamId,
  loadStreamId,
  newStreamId,
  STREAM_ID_BYTES,
  type StreamId,
  storeStreamId,
} from '../structures/stream-id.ts';
import { streamHasEntry } from '../structures/stream-iterator.ts';
import { argBigInt, argNumber, isWrongType, readInteger } from './integer-arguments.ts';
import {
  addReplyEntryOf,
  addReplyStreamId,
  argCString,
  boundIsOpen,
  findGroup,
  findGroupIn,
  foundGroup,
  foundStream,
  INVALID_END,
  INVALID_START,
  parseIdArgument,
  readStreamBound,
  readStreamId,
  readStreamIds,
} from './stream-arguments.ts';
import { effectOfGroup, effectOfPending } from './stream-effects.ts';
import { touchConsumer } from './stream-read.ts';

const key = new Uint8Array(STREAM_ID_BYTES);
const startId = newStreamId();
const endId = newStreamId();
const id = newStreamId();
const UINT64 = (1n << 64n) - 1n;
/** XAUTOCLAIM looks at so many entries for each that it may claim. */
const ATTEMPTS_PER_COUNT = 10;
const AUTOCLAIM_COUNT = 100;
/** The original's greatest count: LONG_MAX / 16 bytes. */
const AUTOCLAIM_COUNT_MAX = 2 ** 59 - 1;

function xackCommand(core: RedisCore, c: Client): void {
  const h = core.heap;
  const o = lookupKeyRead(core, c.db, c.argOff[1], c.argLen[1]);
  if (isWrongType(core, c, o, OBJ_STREAM)) return;
  const group = o === 0 ? 0 : groupFind(h, robjPtr(h, o), c.argOff[2], c.argLen[2]);
  if (group === 0) {
    addReplyLong(c, 0);
    return;
  }
  const ids = readStreamIds(c, 3);
  if (ids === null) return;
  let acknowledged = 0;
  for (let i = 0; i < c.argc - 3; i++) {
    encodeStreamId(ids[i], key, 0);
    const nack = raxFind(h, groupPending(h, group), key, 0, STREAM_ID_BYTES);
    if (nack === 0) continue;
    pendingRemove(h, group, nack, key);
    acknowledged++;
    core.dirty++;
  }
  addReplyLong(c, acknowledged);
}

function replySummary(h: Heap, c: Client, group: number): void {
  const pending = groupPending(h, group);
  addReplyArrayLen(c, 4);
  addReplyLong(c, raxSize(h, pending));
  if (raxSize(h, pending) === 0) {
    addReplyNull(c);
    addReplyNull(c);
    addReplyNullArray(c);
    return;
  }
  const it = new RaxIterator(h, pending);
  it.first();
  decodeStreamId(it.key, 0, id);
  addReplyStreamId(c, id);
  it.last();
  decodeStreamId(it.key, 0, id);
  addReplyStreamId(c, id);
  const mark = beginDeferred(c);
  let count = 0;
  const consumers = new RaxIterator(h, groupConsumers(h, group));
  for (let more = consumers.first(); more; more = consumers.next()) {
    const owned = raxSize(h, consumerPending(h, consumers.value));
    if (owned === 0) continue;
    addReplyArrayLen(c, 2);
    addReplyConsumerName(h, c, consumers.value);
    addReplyBulkLong(c, owned);
    count++;
  }
  endDeferred(c, mark, '*', count);
}

export function addReplyConsumerName(h: Heap, c: Client, consumer: number): void {
  const name = consumerName(h, consumer);
  addReplyBulk(c, name, sdsLen(h, name));
}

/** A count of 64 bits, which the original prints as a signed number. */
export function addReplyCount(c: Client, count: bigint): void {
  addReplyBigInt(c, BigInt.asIntN(64, count));
}

/** Reads a range's bounds from arguments `i` and `i + 1` into startId and endId. @returns false after an error reply */
function readRange(c: Client, i: number): boolean {
  if (!readStreamBound(c, i, startId, 0)) return false;
  if (boundIsOpen && !incrementStreamId(startId)) {
    addReplyError(c, INVALID_START);
    return false;
  }
  if (!readStreamBound(c, i + 1, endId, 0xffffffff)) return false;
  if (boundIsOpen && !decrementStreamId(endId)) {
    addReplyError(c, INVALID_END);
    return false;
  }
  return true;
}

function xpendingCommand(core: RedisCore, c: Client): void {
  const h = core.heap;
  const summary = c.argc === 3;
  if (!summary && (c.argc < 6 || c.argc > 9)) {
    addReplyError(c, SYNTAX_ERROR);
    return;
  }
  let minIdle = 0;
  let count = 0;
  let at = 3;
  if (!summary) {
    if (c.argIs(3, 'idle')) {
      if (!readInteger(core, c, 4)) return;
      minIdle = argNumber;
      if (c.argc < 8) {
        addReplyError(c, SYNTAX_ERROR);
        return;
      }
      at = 5;
    }
    if (!readInteger(core, c, at + 2)) return;
    count = Math.max(argNumber, 0);
    if (!readRange(c, at)) return;
  }
  if (!findGroup(core, c)) return;
  if (summary) {
    replySummary(h, c, foundGroup);
    return;
  }
  let tree = groupPending(h, foundGroup);
  if (at + 3 < c.argc) {
    const consumer = consumerFind(h, foundGroup, c.argOff[at + 3], c.argLen[at + 3]);
    if (consumer === 0) {
      addReplyArrayLen(c, 0);
      return;
    }
    tree = consumerPending(h, consumer);
  }
  replyPending(core, c, tree, count, minIdle);
}

/** Replies the pending entries from startId to endId. */
function replyPending(core: RedisCore, c: Client, tree: number, most: number, minIdle: number): void {
  const h = core.heap;
  const it = new RaxIterator(h, tree);
  encodeStreamId(startId, key, 0);
  const mark = beginDeferred(c);
  let replied = 0;
  for (let more = it.seekFrom(key, 0, STREAM_ID_BYTES); more && replied < most; more = it.next()) {
    decodeStreamId(it.key, 0, id);
    if (compareStreamIds(id, endId) > 0) break;
    const nack = it.value;
    const idle = core.nowMs - pendingTimeMs(h, nack);
    if (minIdle !== 0 && idle < minIdle) continue;
    replied++;
    addReplyArrayLen(c, 4);
    addReplyStreamId(c, id);
    addReplyConsumerName(h, c, pendingConsumer(h, nack));
    addReplyLong(c, Math.max(idle, 0));
    addReplyCount(c, pendingCount(h, nack));
  }
  endDeferred(c, mark, '*', replied);
}

/** The options of XCLAIM. */
const claim = {
  force: false,
  justId: false,
  deliveryMs: -1,
  retries: -1n,
  lastId: newStreamId(),
};

/** Reads the options from argument `from` on. @returns false after an error reply */
function readClaimOptions(core: RedisCore, c: Client, from: number): boolean {
  claim.force = false;
  claim.justId = false;
  claim.deliveryMs = -1;
  claim.retries = -1n;
  claim.lastId.fill(0);
  for (let i = from; i < c.argc; i++) {
    const more = i + 1 < c.argc;
    if (c.argIs(i, 'force')) {
      claim.force = true;
    } else if (c.argIs(i, 'justid')) {
      claim.justId = true;
    } else if (more && c.argIs(i, 'idle')) {
      if (!readInteger(core, c, ++i, 'Invalid IDLE option argument for XCLAIM')) return false;
      // 64 bits wrap around, as they do in the original.
      claim.deliveryMs = Number(BigInt.asIntN(64, BigInt(core.nowMs) - argBigInt()));
    } else if (more && c.argIs(i, 'time')) {
      if (!readInteger(core, c, ++i, 'Invalid TIME option argument for XCLAIM')) return false;
      claim.deliveryMs = argNumber;
    } else if (more && c.argIs(i, 'retrycount')) {
      if (!readInteger(core, c, ++i, 'Invalid RETRYCOUNT option argument for XCLAIM')) return false;
      claim.retries = argBigInt();
    } else if (more && c.argIs(i, 'lastid')) {
      if (!readStreamId(c, ++i, claim.lastId)) return false;
    } else {
      addReplyError(c, `Unrecognized XCLAIM option '${argCString(c, i)}'`);
      return false;
    }
  }
  if (claim.deliveryMs < 0 || claim.deliveryMs > core.nowMs) claim.deliveryMs = core.nowMs;
  return true;
}

function xclaimCommand(core: RedisCore, c: Client): void {
  const h = core.heap;
  if (!findGroup(core, c)) return;
  const s = foundStream;
  const group = foundGroup;
  if (!readInteger(core, c, 4, 'Invalid min-idle-time argument for XCLAIM')) return;
  const minIdle = Math.max(argNumber, 0);
  let end = 5;
  while (end < c.argc && parseIdArgument(c, end, id)) end++;
  if (!readClaimOptions(core, c, end)) return;
  loadStreamId(h, group + GROUP_LAST_ID, id);
  let moved = false;
  if (compareStreamIds(claim.lastId, id) > 0) {
    storeStreamId(h, group + GROUP_LAST_ID, claim.lastId);
    core.dirty++;
    moved = true;
  }
  claimConsumer = 0;
  claimsLogged = 0;
  const mark = beginDeferred(c);
  let replied = 0;
  for (let i = 5; i < end; i++) {
    parseIdArgument(c, i, id);
    if (claimOne(core, c, s, group, id, minIdle, i)) replied++;
  }
  core.effects.suppress();
  // A claim says itself where the group is.
  if (core.effects.active && moved && claimsLogged === 0) effectOfGroup(core, c, 1, 2, group);
  endDeferred(c, mark, '*', replied);
}

/** The consumer that the present command claims for; it is looked for, or made, with the first entry that it gets. */
let claimConsumer = 0;
function claimer(core: RedisCore, c: Client, group: number): number {
  if (claimConsumer === 0) {
    claimConsumer = touchConsumer(core, c.db, group, c.argOff[3], c.argLen[3], c.argOff[1], c.argLen[1]);
  }
  return claimConsumer;
}

/** How many claims the present command has written down. */
let claimsLogged = 0;
function logClaim(core: RedisCore, c: Client, group: number, nack: number, entry: StreamId | number): void {
  claimsLogged++;
  if (core.effects.active) effectOfPending(core, c, 1, 2, group, nack, entry);
}

/** Gives one entry, that argument `i` names, to the consumer and replies it, if it may. @returns whether it did */
function claimOne(
  core: RedisCore,
  c: Client,
  s: number,
  group: number,
  entry: StreamId,
  minIdle: number,
  i: number,
): boolean {
  const h = core.heap;
  encodeStreamId(entry, key, 0);
  let nack = raxFind(h, groupPending(h, group), key, 0, STREAM_ID_BYTES);
  if (!streamHasEntry(h, s, entry)) {
    if (nack !== 0) {
      // Done again, this finds the entry gone too.
      logClaim(core, c, group, nack, i);
      pendingRemove(h, group, nack, key);
      core.dirty++;
    }
    return false;
  }
  if (nack === 0) {
    if (!claim.force) return false;
    nack = forcePending(h, group, claimer(core, c, group), core.nowMs);
  } else if (minIdle !== 0 && core.nowMs - pendingTimeMs(h, nack) < minIdle) {
    return false;
  }
  const consumer = claimer(core, c, group);
  pendingAssign(h, nack, consumer, key);
  setPendingTimeMs(h, nack, claim.deliveryMs);
  if (claim.retries >= 0n) setPendingCount(h, nack, claim.retries);
  else if (!claim.justId) setPendingCount(h, nack, (pendingCount(h, nack) + 1n) & UINT64);
  if (claim.justId) addReplyStreamId(c, entry);
  else addReplyEntryOf(h, c, s, entry);
  logClaim(core, c, group, nack, i);
  core.dirty++;
  return true;
}

/** Makes the entry of `key` pending, and the consumer's. @throws ARENA_EXHAUSTED, nothing changed */
function forcePending(h: Heap, group: number, consumer: number, nowMs: number): number {
  const tree = groupPending(h, group);
  const nack = pendingNew(h, 0, nowMs);
  let inTree = false;
  try {
    inTree = raxInsert(h, tree, key, 0, STREAM_ID_BYTES, nack);
    pendingAssign(h, nack, consumer, key);
    return nack;
  } catch (error) {
    if (inTree) raxRemove(h, tree, key, 0, STREAM_ID_BYTES);
    h.free(nack);
    throw error;
  }
}

let autoCount = 0;
let autoJustId = false;

function readAutoclaimOptions(core: RedisCore, c: Client): boolean {
  autoCount = AUTOCLAIM_COUNT;
  autoJustId = false;
  for (let i = 6; i < c.argc; i++) {
    if (c.argIs(i, 'count') && i + 1 < c.argc) {
      if (!readInteger(core, c, ++i, 'COUNT must be > 0')) return false;
      autoCount = argNumber;
      if (autoCount < 1 || autoCount > AUTOCLAIM_COUNT_MAX) {
        addReplyError(c, 'COUNT must be > 0');
        return false;
      }
    } else if (c.argIs(i, 'justid')) {
      autoJustId = true;
    } else {
      addReplyError(c, SYNTAX_ERROR);
      return false;
    }
  }
  return true;
}

function xautoclaimCommand(core: RedisCore, c: Client): void {
  const h = core.heap;
  // Looked up before the arguments are read: a miss is told even if those are wrong.
  const o = lookupKeyRead(core, c.db, c.argOff[1], c.argLen[1]);
  if (!readInteger(core, c, 4, 'Invalid min-idle-time argument for XAUTOCLAIM')) return;
  const minIdle = Math.max(argNumber, 0);
  if (!readStreamBound(c, 5, startId, 0)) return;
  if (boundIsOpen && !incrementStreamId(startId)) {
    addReplyError(c, INVALID_START);
    return;
  }
  if (!readAutoclaimOptions(core, c) || !findGroupIn(core, c, o)) return;
  const s = foundStream;
  const group = foundGroup;
  claimConsumer = 0;
  const it = new RaxIterator(h, groupPending(h, group));
  const gone: StreamId[] = [];
  const claimed: StreamId[] = [];
  let left = autoCount;
  encodeStreamId(startId, key, 0);
  let more = it.seekFrom(key, 0, STREAM_ID_BYTES);
  for (let attempts = autoCount * ATTEMPTS_PER_COUNT; attempts > 0 && left > 0 && more; attempts--) {
    const entry = newStreamId();
    decodeStreamId(it.key, 0, entry);
    encodeStreamId(entry, key, 0);
    const nack = it.value;
    if (!streamHasEntry(h, s, entry)) {
      logClaim(core, c, group, nack, entry);
      pendingRemove(h, group, nack, key);
      core.dirty++;
      gone.push(entry);
      left--;
      more = it.seekFrom(key, 0, STREAM_ID_BYTES);
      continue;
    }
    if (minIdle === 0 || core.nowMs - pendingTimeMs(h, nack) >= minIdle) {
      pendingAssign(h, nack, claimer(core, c, group), key);
      setPendingTimeMs(h, nack, core.nowMs);
      if (!autoJustId) setPendingCount(h, nack, (pendingCount(h, nack) + 1n) & UINT64);
      logClaim(core, c, group, nack, entry);
      claimed.push(entry);
      left--;
      core.dirty++;
    }
    more = it.next();
  }
  core.effects.suppress();
  addReplyArrayLen(c, 3);
  startId.fill(0);
  if (more) decodeStreamId(it.key, 0, startId);
  addReplyStreamId(c, startId);
  addReplyArrayLen(c, claimed.length);
  for (const entry of claimed) {
    if (autoJustId) addReplyStreamId(c, entry);
    else addReplyEntryOf(h, c, s, entry);
  }
  addReplyArrayLen(c, gone.length);
  for (const entry of gone) addReplyStreamId(c, entry);
}

export const streamPendingProcs: Readonly<Record<string, CommandProc>> = {
  xack: xackCommand,
  xautoclaim: xautoclaimCommand,
  xclaim: xclaimCommand,
  xpending: xpendingCommand,
};
