/** SPOP and SRANDMEMBER: which way to draw is chosen as in the original. */
import type { Client } from '../client.ts';
import { stillAnswered } from '../client-limits.ts';
import type { CommandProc } from '../command.ts';
import { dbDelete, dbOverwrite, foundEntry, lookupKeyRead, lookupKeyWrite, NOTIFY_GENERIC, NOTIFY_SET } from '../db.ts';
import { addReplyArrayLen, addReplyError, addReplyNull, addReplySetLen, SYNTAX_ERROR } from '../protocol/reply.ts';
import type { RedisCore } from '../redis-core.ts';
import { dictAddBytes, dictCreate, dictDelete, dictRelease } from '../structures/dict.ts';
import { DictIterator } from '../structures/dict-iterator.ts';
import { DICT_TYPE_SET, dictKey, dictSize } from '../structures/dict-layout.ts';
import { dictExpand } from '../structures/dict-rehash.ts';
import { dictFairRandomEntry } from '../structures/dict-sample.ts';
import { decrRefCount, OBJ_SET } from '../structures/robj.ts';
import { sdsLen } from '../structures/sds.ts';
import { SetIterator, SetMember, setTypeCreate, setTypeRandom, setTypeSize } from '../types/set.ts';
import { argNumber, isWrongType, readPositive, readSignedCount } from './integer-arguments.ts';
import { addReplyMember, addReplyMembers } from './set-algebra.ts';

/** Popping one by one costs so many times less than moving what stays to a new set. */
const POP_MOVE_FACTOR = 5;
/** Above 1/n of the set, removing from a copy is less work than drawing until enough different ones have come. */
const DRAW_FACTOR = 3;

/** So many members at most are removed by one command in the effects. */
const EFFECT_MEMBERS = 1_024;

const drawn = new SetMember();

/** Begins the effect of a pop: the removal of `count` members. What was drawn by chance must not be drawn again. */
function writeRemoval(core: RedisCore, c: Client, count: number): void {
  core.effects.begin(c.db, 2 + count);
  core.effects.text('SREM');
  core.effects.argOf(c, 1);
}

function writeMember(core: RedisCore, member: SetMember): void {
  member.asBytes(core.heap);
  core.effects.arg(member.offset, member.length);
}

/** Writes down one of `count` removals, of which `left` (itself included) are still to come. */
function writeRemovals(core: RedisCore, c: Client, member: SetMember, count: number, left: number): void {
  if ((count - left) % EFFECT_MEMBERS === 0) writeRemoval(core, c, Math.min(left, EFFECT_MEMBERS));
  writeMember(core, member);
}

function spopCommand(core: RedisCore, c: Client): void {
  if (c.argc === 3) {
    spopWithCount(core, c);
    return;
  }
  if (c.argc > 3) {
    addReplyError(c, SYNTAX_ERROR);
    return;
  }
  const h = core.heap;
  const key = c.argOff[1];
  const keyLength = c.argLen[1];
  const set = lookupKeyWrite(core, c.db, key, keyLength);
  if (set === 0) {
    addReplyNull(c);
    return;
  }
  if (isWrongType(core, c, set, OBJ_SET)) return;
  setTypeRandom(h, set, drawn);
  if (core.effects.active) {
    writeRemoval(core, c, 1);
    writeMember(core, drawn);
  }
  core.notifyKeyspaceEvent(NOTIFY_SET, 'spop', key, keyLength, c.db.id);
  addReplyMember(c, drawn);
  drawn.removeFrom(h, set);
  if (setTypeSize(h, set) === 0) {
    dbDelete(core, c.db, key, keyLength);
    core.notifyKeyspaceEvent(NOTIFY_GENERIC, 'del', key, keyLength, c.db.id);
  }
  core.signalModifiedKey(c.db, key, keyLength);
  core.dirty++;
}

function spopWithCount(core: RedisCore, c: Client): void {
  if (!readPositive(core, c, 2)) return;
  const count = argNumber;
  const h = core.heap;
  const key = c.argOff[1];
  const keyLength = c.argLen[1];
  const set = lookupKeyWrite(core, c.db, key, keyLength);
  const entry = foundEntry;
  if (isWrongType(core, c, set, OBJ_SET)) return;
  if (set === 0 || count === 0) {
    addReplySetLen(c, 0);
    return;
  }
  const size = setTypeSize(h, set);
  core.notifyKeyspaceEvent(NOTIFY_SET, 'spop', key, keyLength, c.db.id);
  core.dirty += Math.min(count, size);
  if (count >= size) {
    // The original reads the whole key once more, which counts as a hit.
    lookupKeyRead(core, c.db, key, keyLength);
    addReplyMembers(core, c, set);
    if (core.effects.active) {
      core.effects.begin(c.db, 2);
      core.effects.text('DEL');
      core.effects.argOf(c, 1);
    }
    dbDelete(core, c.db, key, keyLength);
    core.notifyKeyspaceEvent(NOTIFY_GENERIC, 'del', key, keyLength, c.db.id);
  } else if ((size - count) * POP_MOVE_FACTOR > count) {
    addReplySetLen(c, count);
    for (let left = count; left > 0; left--) {
      setTypeRandom(h, set, drawn);
      addReplyMember(c, drawn);
      if (core.effects.active) writeRemovals(core, c, drawn, count, left);
      drawn.removeFrom(h, set);
    }
  } else {
    popMost(core, c, set, entry, size - count);
  }
  core.signalModifiedKey(c.db, key, keyLength);
}

/** Moves the few that stay to a new set, which takes the place of the old one; replies all others. */
function popMost(core: RedisCore, c: Client, set: number, entry: number, staying: number): void {
  const h = core.heap;
  let fresh = 0;
  try {
    for (let left = staying; left > 0; left--) {
      setTypeRandom(h, set, drawn);
      drawn.asBytes(h);
      if (fresh === 0) fresh = setTypeCreate(h, drawn.offset, drawn.length);
      drawn.addTo(h, fresh);
      drawn.removeFrom(h, set);
    }
  } catch (error) {
    // What has been moved goes back: it was there before, so there is room for most of it, if not for all.
    putBack(core, set, fresh);
    throw error;
  }
  const count = setTypeSize(h, set);
  addReplySetLen(c, count);
  const members = new SetIterator(h, set);
  for (let left = count; members.next(); left--) {
    addReplyMember(c, members);
    if (core.effects.active) writeRemovals(core, c, members, count, left);
  }
  dbOverwrite(core, entry, fresh);
}

function putBack(core: RedisCore, set: number, fresh: number): void {
  if (fresh === 0) return;
  const h = core.heap;
  const members = new SetIterator(h, fresh);
  try {
    while (members.next()) members.addTo(h, set);
  } finally {
    decrRefCount(h, fresh);
  }
}

function srandmemberCommand(core: RedisCore, c: Client): void {
  if (c.argc === 3) {
    srandmemberWithCount(core, c);
    return;
  }
  if (c.argc > 3) {
    addReplyError(c, SYNTAX_ERROR);
    return;
  }
  const set = lookupKeyRead(core, c.db, c.argOff[1], c.argLen[1]);
  if (set === 0) {
    addReplyNull(c);
    return;
  }
  if (isWrongType(core, c, set, OBJ_SET)) return;
  setTypeRandom(core.heap, set, drawn);
  addReplyMember(c, drawn);
}

function srandmemberWithCount(core: RedisCore, c: Client): void {
  if (!readSignedCount(core, c, 2)) return;
  const count = Math.abs(argNumber);
  const distinct = argNumber >= 0;
  const h = core.heap;
  const set = lookupKeyRead(core, c.db, c.argOff[1], c.argLen[1]);
  if (isWrongType(core, c, set, OBJ_SET)) return;
  if (set === 0 || count === 0) {
    addReplyArrayLen(c, 0);
    return;
  }
  if (!distinct || count === 1) {
    addReplyArrayLen(c, count);
    for (let left = count; left > 0 && stillAnswered(core, c, left); left--) {
      setTypeRandom(h, set, drawn);
      addReplyMember(c, drawn);
    }
    return;
  }
  const size = setTypeSize(h, set);
  if (count >= size) {
    addReplyArrayLen(c, size);
    const members = new SetIterator(h, set);
    while (members.next()) addReplyMember(c, members);
    return;
  }
  const chosen = dictCreate(h, DICT_TYPE_SET);
  try {
    if (count * DRAW_FACTOR > size) chooseByRemoval(core, set, chosen, count);
    else chooseByDrawing(core, set, chosen, count);
    addReplyArrayLen(c, count);
    const entries = new DictIterator(h, chosen);
    for (let entry = entries.next(); entry !== 0; entry = entries.next()) {
      drawn.fromEntry(h, entry);
      addReplyMember(c, drawn);
    }
  } finally {
    dictRelease(h, chosen);
  }
}

function chooseByRemoval(core: RedisCore, set: number, chosen: number, count: number): void {
  const h = core.heap;
  dictExpand(h, chosen, setTypeSize(h, set));
  const members = new SetIterator(h, set);
  while (members.next()) {
    members.asBytes(h);
    dictAddBytes(h, chosen, members.offset, members.length);
  }
  while (dictSize(h, chosen) > count) {
    const key = dictKey(h, dictFairRandomEntry(h, chosen));
    dictDelete(h, chosen, key, sdsLen(h, key));
  }
}

function chooseByDrawing(core: RedisCore, set: number, chosen: number, count: number): void {
  const h = core.heap;
  dictExpand(h, chosen, count);
  while (dictSize(h, chosen) < count) {
    setTypeRandom(h, set, drawn);
    drawn.asBytes(h);
    dictAddBytes(h, chosen, drawn.offset, drawn.length);
  }
}

/** By full name. */
export const setRandomProcs: Readonly<Record<string, CommandProc>> = {
  spop: spopCommand,
  srandmember: srandmemberCommand,
};
