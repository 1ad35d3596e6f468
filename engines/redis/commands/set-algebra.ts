/** SINTER, SUNION, SDIFF and their kin, with the original's choice of algorithms. */
import type { Client } from '../client.ts';
import type { CommandProc } from '../command.ts';
import { lookupKeyRead, NOTIFY_SET } from '../db.ts';
import {
  addReplyBulk,
  addReplyBulkInt64,
  addReplyError,
  addReplyLong,
  addReplySetLen,
  beginDeferred,
  endDeferred,
  SYNTAX_ERROR,
} from '../protocol/reply.ts';
import type { RedisCore } from '../redis-core.ts';
import { decrRefCount, OBJ_SET } from '../structures/robj.ts';
import { createIntsetObject, SetIterator, type SetMember, setTypeSize } from '../types/set.ts';
import { argNumber, isWrongType, readInteger, readPositive } from './integer-arguments.ts';
import { storeResult } from './store-result.ts';

export function addReplyMember(c: Client, member: SetMember): void {
  if (member.isInteger) addReplyBulkInt64(c, member.low, member.high);
  else addReplyBulk(c, member.offset, member.length);
}

/** All members, as a set. */
export function addReplyMembers(core: RedisCore, c: Client, set: number): void {
  addReplySetLen(c, setTypeSize(core.heap, set));
  const members = new SetIterator(core.heap, set);
  while (members.next()) addReplyMember(c, members);
}

/** The sets of `count` arguments from `first` on, 0 where there is no key. @returns null after a WRONGTYPE reply */
function lookupSets(core: RedisCore, c: Client, first: number, count: number): number[] | null {
  const sets: number[] = [];
  for (let i = first; i < first + count; i++) {
    const set = lookupKeyRead(core, c.db, c.argOff[i], c.argLen[i]);
    if (isWrongType(core, c, set, OBJ_SET)) return null;
    sets.push(set);
  }
  return sets;
}

/** Stores a set, which is taken over (0: none), under the key of argument 1, and replies its size. */
function storeSet(core: RedisCore, c: Client, set: number, event: string): void {
  storeResult(core, c, 1, set, set === 0 ? 0 : setTypeSize(core.heap, set), NOTIFY_SET, event);
}

/** Makes a set of what `fill` puts into an empty one. @throws ARENA_EXHAUSTED, nothing leaked */
function buildSet(core: RedisCore, fill: (result: number) => void): number {
  const result = createIntsetObject(core.heap);
  try {
    fill(result);
  } catch (error) {
    decrRefCount(core.heap, result);
    throw error;
  }
  return result;
}

/** Calls `visit` for each member of the first set that is in all others, until it returns false. */
function intersect(core: RedisCore, sets: readonly number[], visit: (member: SetMember) => boolean): void {
  const h = core.heap;
  const sorted = [...sets].sort((a, b) => setTypeSize(h, a) - setTypeSize(h, b));
  const smallest = sorted[0]!;
  const members = new SetIterator(h, smallest);
  while (members.next()) {
    let i = 1;
    while (i < sorted.length && (sorted[i] === smallest || members.isIn(h, sorted[i]!))) i++;
    if (i === sorted.length && !visit(members)) return;
  }
}

function sinterCommand(core: RedisCore, c: Client): void {
  const sets = lookupSets(core, c, 1, c.argc - 1);
  if (sets === null) return;
  if (sets.includes(0)) {
    addReplySetLen(c, 0);
    return;
  }
  if (sets.length === 1) {
    addReplyMembers(core, c, sets[0]!);
    return;
  }
  const mark = beginDeferred(c);
  let count = 0;
  intersect(core, sets, (member) => {
    addReplyMember(c, member);
    count++;
    return true;
  });
  endDeferred(c, mark, '~', count);
}

function sinterstoreCommand(core: RedisCore, c: Client): void {
  const sets = lookupSets(core, c, 2, c.argc - 2);
  if (sets === null) return;
  if (sets.includes(0)) {
    storeSet(core, c, 0, 'sinterstore');
    return;
  }
  const result = buildSet(core, (into) => {
    intersect(core, sets, (member) => {
      member.addTo(core.heap, into);
      return true;
    });
  });
  storeSet(core, c, result, 'sinterstore');
}

function sintercardCommand(core: RedisCore, c: Client): void {
  const error = 'numkeys should be greater than 0';
  if (!readInteger(core, c, 1, error)) return;
  const numKeys = argNumber;
  if (numKeys < 1) {
    addReplyError(c, error);
    return;
  }
  if (numKeys > c.argc - 2) {
    addReplyError(c, "Number of keys can't be greater than number of args");
    return;
  }
  let limit = 0;
  for (let i = 2 + numKeys; i < c.argc; i += 2) {
    if (!c.argIs(i, 'limit') || i + 1 === c.argc) {
      addReplyError(c, SYNTAX_ERROR);
      return;
    }
    if (!readPositive(core, c, i + 1, "LIMIT can't be negative")) return;
    limit = argNumber;
  }
  const sets = lookupSets(core, c, 2, numKeys);
  if (sets === null) return;
  let count = 0;
  if (!sets.includes(0)) intersect(core, sets, () => ++count !== limit);
  addReplyLong(c, count);
}

function union(core: RedisCore, sets: readonly number[]): number {
  return buildSet(core, (into) => {
    for (const set of sets) {
      if (set === 0) continue;
      const members = new SetIterator(core.heap, set);
      while (members.next()) members.addTo(core.heap, into);
    }
  });
}

/** Looks up each member of the first set in all others, the largest first. */
function differenceByLookup(core: RedisCore, sets: readonly number[], into: number): void {
  const h = core.heap;
  const others = sets.slice(1).filter((set) => set !== 0);
  others.sort((a, b) => setTypeSize(h, b) - setTypeSize(h, a));
  const members = new SetIterator(h, sets[0]!);
  while (members.next()) {
    if (!others.some((set) => members.isIn(h, set))) members.addTo(h, into);
  }
}

/** Copies the first set and removes the members of all others from the copy. */
function differenceByRemoval(core: RedisCore, sets: readonly number[], into: number): void {
  const h = core.heap;
  sets.forEach((set, i) => {
    if (set === 0 || (i > 0 && setTypeSize(h, into) === 0)) return;
    const members = new SetIterator(h, set);
    while (members.next()) {
      if (i === 0) members.addTo(h, into);
      else members.removeFrom(h, into);
    }
  });
}

function difference(core: RedisCore, sets: readonly number[]): number {
  const first = sets[0]!;
  return buildSet(core, (into) => {
    if (first === 0 || sets.indexOf(first, 1) > 0) return;
    let lookups = 0;
    let removals = 0;
    for (const set of sets) {
      if (set === 0) continue;
      lookups += setTypeSize(core.heap, first);
      removals += setTypeSize(core.heap, set);
    }
    // A lookup mostly ends at the first set that has the member, so it is reckoned as half.
    if (Math.floor(lookups / 2) <= removals) differenceByLookup(core, sets, into);
    else differenceByRemoval(core, sets, into);
  });
}

type Operation = (core: RedisCore, sets: readonly number[]) => number;

function replyResult(core: RedisCore, c: Client, operation: Operation): void {
  const sets = lookupSets(core, c, 1, c.argc - 1);
  if (sets === null) return;
  const result = operation(core, sets);
  try {
    addReplyMembers(core, c, result);
  } finally {
    decrRefCount(core.heap, result);
  }
}

function storeOperation(core: RedisCore, c: Client, operation: Operation, event: string): void {
  const sets = lookupSets(core, c, 2, c.argc - 2);
  if (sets !== null) storeSet(core, c, operation(core, sets), event);
}

/** By full name. */
export const setAlgebraProcs: Readonly<Record<string, CommandProc>> = {
  sdiff: (core, c) => replyResult(core, c, difference),
  sdiffstore: (core, c) => storeOperation(core, c, difference, 'sdiffstore'),
  sinter: sinterCommand,
  sintercard: sintercardCommand,
  sinterstore: sinterstoreCommand,
  smembers: sinterCommand,
  sunion: (core, c) => replyResult(core, c, union),
  sunionstore: (core, c) => storeOperation(core, c, union, 'sunionstore'),
};
