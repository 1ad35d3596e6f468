/** The set commands. SPOP and SRANDMEMBER are in set-random.ts, intersections, unions and differences in set-algebra.ts. */
import type { Client } from '../client.ts';
import type { CommandProc } from '../command.ts';
import { dbAddOwned, dbDelete, lookupKeyRead, lookupKeyWrite, NOTIFY_GENERIC, NOTIFY_SET } from '../db.ts';
import { addReplyArrayLen, addReplyLong, addReplyProto } from '../protocol/reply.ts';
import type { RedisCore } from '../redis-core.ts';
import { decrRefCount, OBJ_ENCODING_HT, OBJ_SET, robjEncoding, robjPtr } from '../structures/robj.ts';
import { setTypeAdd, setTypeCreate, setTypeIsMember, setTypeRemove, setTypeSize } from '../types/set.ts';
import { isWrongType } from './integer-arguments.ts';
import { EMPTY_SCAN, readCursor, scanCollection } from './scan.ts';
import { setAlgebraProcs } from './set-algebra.ts';
import { setRandomProcs } from './set-random.ts';

function saddCommand(core: RedisCore, c: Client): void {
  const h = core.heap;
  const key = c.argOff[1];
  const keyLength = c.argLen[1];
  let set = lookupKeyWrite(core, c.db, key, keyLength);
  if (isWrongType(core, c, set, OBJ_SET)) return;
  if (set === 0) {
    set = setTypeCreate(h, c.argOff[2], c.argLen[2]);
    dbAddOwned(core, c.db, key, keyLength, set);
  }
  let added = 0;
  try {
    for (let i = 2; i < c.argc; i++) if (setTypeAdd(h, set, c.argOff[i], c.argLen[i])) added++;
  } finally {
    if (added > 0) {
      core.signalModifiedKey(c.db, key, keyLength);
      core.notifyKeyspaceEvent(NOTIFY_SET, 'sadd', key, keyLength, c.db.id);
      core.dirty += added;
    } else if (setTypeSize(h, set) === 0) {
      // There was no room for the first member of a new set.
      dbDelete(core, c.db, key, keyLength);
    }
  }
  addReplyLong(c, added);
}

function sremCommand(core: RedisCore, c: Client): void {
  const h = core.heap;
  const key = c.argOff[1];
  const keyLength = c.argLen[1];
  const set = lookupKeyWrite(core, c.db, key, keyLength);
  if (set === 0) {
    addReplyLong(c, 0);
    return;
  }
  if (isWrongType(core, c, set, OBJ_SET)) return;
  let removed = 0;
  let keyRemoved = false;
  for (let i = 2; i < c.argc && !keyRemoved; i++) {
    if (!setTypeRemove(h, set, c.argOff[i], c.argLen[i])) continue;
    removed++;
    if (setTypeSize(h, set) === 0) keyRemoved = dbDelete(core, c.db, key, keyLength);
  }
  if (removed > 0) {
    core.signalModifiedKey(c.db, key, keyLength);
    core.notifyKeyspaceEvent(NOTIFY_SET, 'srem', key, keyLength, c.db.id);
    if (keyRemoved) core.notifyKeyspaceEvent(NOTIFY_GENERIC, 'del', key, keyLength, c.db.id);
    core.dirty += removed;
  }
  addReplyLong(c, removed);
}

function smoveCommand(core: RedisCore, c: Client): void {
  const h = core.heap;
  const [, from, to, member] = c.argOff;
  const [, fromLength, toLength, memberLength] = c.argLen;
  const source = lookupKeyWrite(core, c.db, from, fromLength);
  let target = lookupKeyWrite(core, c.db, to, toLength);
  if (source === 0) {
    addReplyLong(c, 0);
    return;
  }
  if (isWrongType(core, c, source, OBJ_SET) || isWrongType(core, c, target, OBJ_SET)) return;
  if (source === target) {
    addReplyLong(c, setTypeIsMember(h, source, member, memberLength) ? 1 : 0);
    return;
  }
  if (!setTypeIsMember(h, source, member, memberLength)) {
    addReplyLong(c, 0);
    return;
  }
  // The member is added first: when there is no room for it, it must not be lost.
  const isNewKey = target === 0;
  if (isNewKey) target = setTypeCreate(h, member, memberLength);
  let added = false;
  try {
    added = setTypeAdd(h, target, member, memberLength);
  } finally {
    if (isNewKey && !added) decrRefCount(h, target);
  }
  setTypeRemove(h, source, member, memberLength);
  core.notifyKeyspaceEvent(NOTIFY_SET, 'srem', from, fromLength, c.db.id);
  if (setTypeSize(h, source) === 0) {
    dbDelete(core, c.db, from, fromLength);
    core.notifyKeyspaceEvent(NOTIFY_GENERIC, 'del', from, fromLength, c.db.id);
  }
  if (isNewKey) dbAddOwned(core, c.db, to, toLength, target);
  core.signalModifiedKey(c.db, from, fromLength);
  core.dirty++;
  if (added) {
    core.dirty++;
    core.signalModifiedKey(c.db, to, toLength);
    core.notifyKeyspaceEvent(NOTIFY_SET, 'sadd', to, toLength, c.db.id);
  }
  addReplyLong(c, 1);
}

function sismemberCommand(core: RedisCore, c: Client): void {
  const set = lookupKeyRead(core, c.db, c.argOff[1], c.argLen[1]);
  if (isWrongType(core, c, set, OBJ_SET)) return;
  addReplyLong(c, set !== 0 && setTypeIsMember(core.heap, set, c.argOff[2], c.argLen[2]) ? 1 : 0);
}

function smismemberCommand(core: RedisCore, c: Client): void {
  const set = lookupKeyRead(core, c.db, c.argOff[1], c.argLen[1]);
  if (isWrongType(core, c, set, OBJ_SET)) return;
  addReplyArrayLen(c, c.argc - 2);
  for (let i = 2; i < c.argc; i++) {
    addReplyLong(c, set !== 0 && setTypeIsMember(core.heap, set, c.argOff[i], c.argLen[i]) ? 1 : 0);
  }
}

function scardCommand(core: RedisCore, c: Client): void {
  const set = lookupKeyRead(core, c.db, c.argOff[1], c.argLen[1]);
  if (isWrongType(core, c, set, OBJ_SET)) return;
  addReplyLong(c, set === 0 ? 0 : setTypeSize(core.heap, set));
}

function sscanCommand(core: RedisCore, c: Client): void {
  const cursor = readCursor(c, 2);
  if (cursor === null) return;
  const set = lookupKeyRead(core, c.db, c.argOff[1], c.argLen[1]);
  if (set === 0) {
    addReplyProto(c, EMPTY_SCAN);
    return;
  }
  if (isWrongType(core, c, set, OBJ_SET)) return;
  const h = core.heap;
  scanCollection(core, c, cursor, set, robjEncoding(h, set) === OBJ_ENCODING_HT ? robjPtr(h, set) : 0, null);
}

/** By full name. */
export const setProcs: Readonly<Record<string, CommandProc>> = {
  ...setAlgebraProcs,
  ...setRandomProcs,
  sadd: saddCommand,
  scard: scardCommand,
  sismember: sismemberCommand,
  smismember: smismemberCommand,
  smove: smoveCommand,
  srem: sremCommand,
  sscan: sscanCommand,
};
