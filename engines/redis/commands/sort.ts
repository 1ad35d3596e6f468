/**
 * SORT and SORT_RO. The elements are taken out of their container as JavaScript strings (one char a byte) with the weight they are
 * sorted by: nothing of the data is held by offset while other keys are looked up, which may expire and move.
 */
import { allKeysAllowed } from '../acl/check.ts';
import { KEY_READ } from '../acl/selector.ts';
import type { Client } from '../client.ts';
import { CLIENT_SCRIPT } from '../client.ts';
import type { CommandProc } from '../command.ts';
import {
  dbDelete,
  foundEntry,
  LOOKUP_NONOTIFY,
  LOOKUP_NOSTATS,
  LOOKUP_WRITE,
  lookupKey,
  lookupKeyRead,
  NOTIFY_GENERIC,
  NOTIFY_LIST,
  setKey,
} from '../db.ts';
import {
  addReplyArrayLen,
  addReplyBulkString,
  addReplyError,
  addReplyLong,
  addReplyNull,
  SYNTAX_ERROR,
  WRONG_TYPE,
} from '../protocol/reply.ts';
import type { RedisCore } from '../redis-core.ts';
import { parseDouble, parseDoubleLoosely, parsedDouble } from '../structures/double.ts';
import type { Heap } from '../structures/heap.ts';
import { decrRefCount, incrRefCount, OBJ_LIST, OBJ_SET, OBJ_ZSET, robjType } from '../structures/robj.ts';
import { createPlainListObject, listPush } from '../types/list.ts';
import { argNumber, readInteger } from './integer-arguments.ts';
import { loadSortElements, type SortElement, sortSize } from './sort-elements.ts';
import { sortPart } from './sort-order.ts';
import { SortPattern, TextRoom } from './sort-pattern.ts';

/** What the options of a SORT say. */
class SortOptions {
  descending = false;
  alpha = false;
  limitStart = 0;
  limitCount = -1;
  by: SortPattern | null = null;
  /** BY has a pattern that names no key: nothing is sorted. */
  dontSort = false;
  readonly gets: SortPattern[] = [];
  /** The argument of STORE, 0 without it. */
  store = 0;
}

/** @returns null when the client has been told what is wrong */
function readOptions(core: RedisCore, c: Client, readOnly: boolean): SortOptions | null {
  const options = new SortOptions();
  const anyKey = allKeysAllowed(c, c.command!, KEY_READ);
  const denied = (name: string): null => {
    addReplyError(c, `${name} option of SORT denied due to insufficient ACL permissions.`);
    return null;
  };
  for (let i = 2; i < c.argc; i++) {
    const left = c.argc - i - 1;
    if (c.argIs(i, 'asc')) options.descending = false;
    else if (c.argIs(i, 'desc')) options.descending = true;
    else if (c.argIs(i, 'alpha')) options.alpha = true;
    else if (c.argIs(i, 'limit') && left >= 2) {
      if (!readInteger(core, c, i + 1)) return null;
      options.limitStart = argNumber;
      if (!readInteger(core, c, i + 2)) return null;
      options.limitCount = argNumber;
      i += 2;
    } else if (!readOnly && c.argIs(i, 'store') && left >= 1) {
      options.store = ++i;
    } else if (c.argIs(i, 'by') && left >= 1) {
      options.by = new SortPattern(c.argText(++i));
      if (!options.by.hasStar) options.dontSort = true;
      else if (!anyKey) return denied('BY');
    } else if (c.argIs(i, 'get') && left >= 1) {
      if (!anyKey) return denied('GET');
      options.gets.push(new SortPattern(c.argText(++i)));
    } else {
      addReplyError(c, SYNTAX_ERROR);
      return null;
    }
  }
  return options;
}

/** Reads the weights. @returns false when one that must be a number is none */
function loadWeights(core: RedisCore, c: Client, all: SortElement[], options: SortOptions, room: TextRoom): boolean {
  const h = core.heap;
  let numbers = true;
  for (const one of all) {
    let weight: string | null = one.text;
    if (options.by !== null) {
      weight = options.by.lookup(core, c.db, one.text, room);
      if (weight === null) continue;
    }
    if (options.alpha) {
      if (options.by !== null) one.weight = weight;
    } else if (!readNumber(h, room, weight)) {
      numbers = false;
    } else {
      one.score = parsedDouble;
    }
  }
  return numbers;
}

/**
 * Reads a number as the original does, with strtod up to a NUL, into parsedDouble: blanks before it pass, nothing at all is 0; NaN does
 * not pass, nor what overflows or vanishes.
 */
function readNumber(h: Heap, room: TextRoom, text: string): boolean {
  const nul = text.indexOf('\0');
  const visible = nul < 0 ? text : text.slice(0, nul);
  if (visible === '') return parseDoubleLoosely(h, h.scratch, 0);
  const bare = visible.replace(/^[ \t\n\v\f\r]+/, '');
  return parseDouble(h, room.put(bare), bare.length);
}

/** Stores what was found as a list. @throws ARENA_EXHAUSTED, nothing changed */
function storeResult(core: RedisCore, c: Client, texts: readonly string[], to: number, room: TextRoom): void {
  const h = core.heap;
  const key = c.argOff[to];
  const length = c.argLen[to];
  if (texts.length === 0) {
    if (dbDelete(core, c.db, key, length)) {
      core.signalModifiedKey(c.db, key, length);
      core.notifyKeyspaceEvent(NOTIFY_GENERIC, 'del', key, length, c.db.id);
      core.dirty++;
    }
    return;
  }
  const list = createPlainListObject(h);
  try {
    for (const text of texts) listPush(h, list, room.put(text), text.length, false);
  } catch (error) {
    decrRefCount(h, list);
    throw error;
  }
  lookupKey(core, c.db, key, length, LOOKUP_WRITE | LOOKUP_NONOTIFY | LOOKUP_NOSTATS);
  setKey(core, c.db, key, length, list, false, foundEntry);
  core.notifyKeyspaceEvent(NOTIFY_LIST, 'sortstore', key, length, c.db.id);
  core.dirty += texts.length;
}

function sortGeneric(core: RedisCore, c: Client, readOnly: boolean): void {
  const options = readOptions(core, c, readOnly);
  if (options === null) return;
  const h = core.heap;
  const value = lookupKeyRead(core, c.db, c.argOff[1], c.argLen[1]);
  const type = value === 0 ? OBJ_LIST : robjType(h, value);
  if (type !== OBJ_LIST && type !== OBJ_SET && type !== OBJ_ZSET) {
    addReplyError(c, WRONG_TYPE);
    return;
  }
  const room = new TextRoom(h);
  if (value !== 0) incrRefCount(h, value);
  try {
    sortValue(core, c, value, type, options, room);
  } finally {
    room.release();
    if (value !== 0) decrRefCount(h, value);
  }
}

function sortValue(
  core: RedisCore,
  c: Client,
  value: number,
  type: number,
  options: SortOptions,
  room: TextRoom,
): void {
  const h = core.heap;
  // The order of a set is that of its hash function: where the result is kept or a script sees it, it must not depend on that.
  if (options.dontSort && type === OBJ_SET && (options.store !== 0 || (c.flags & CLIENT_SCRIPT) !== 0)) {
    options.dontSort = false;
    options.alpha = true;
    options.by = null;
  }
  const size = value === 0 ? 0 : sortSize(h, value);
  let start = Math.min(Math.max(options.limitStart, 0), size);
  const count = Math.min(Math.max(options.limitCount, -1), size);
  let end = count < 0 ? size - 1 : start + count - 1;
  if (start >= size) {
    start = size - 1;
    end = size - 2;
  }
  if (end >= size) end = size - 1;
  // What keeps its order is taken out only as far as it is wanted.
  const direct = options.dontSort && type !== OBJ_SET;
  const all = value === 0 ? [] : loadSortElements(h, value, direct, options.descending, start, end);
  if (direct) {
    end -= start;
    start = 0;
  }
  if (!options.dontSort) {
    if (!loadWeights(core, c, all, options, room)) {
      addReplyError(c, "One or more scores can't be converted into double");
      return;
    }
    sortPart(all, options.descending, options.alpha, options.by !== null, options.store !== 0, start, end);
  }
  if (options.store === 0) {
    replyElements(core, c, all, start, end, options, room);
    return;
  }
  const texts: string[] = [];
  for (let i = start; i <= end; i++) {
    if (options.gets.length === 0) texts.push(all[i].text);
    else for (const get of options.gets) texts.push(get.lookup(core, c.db, all[i].text, room) ?? '');
  }
  storeResult(core, c, texts, options.store, room);
  addReplyLong(c, texts.length);
}

function replyElements(
  core: RedisCore,
  c: Client,
  all: readonly SortElement[],
  start: number,
  end: number,
  options: SortOptions,
  room: TextRoom,
): void {
  addReplyArrayLen(c, Math.max(0, end - start + 1) * Math.max(1, options.gets.length));
  for (let i = start; i <= end; i++) {
    if (options.gets.length === 0) addReplyBulkString(c, all[i].text);
    for (const get of options.gets) {
      const text = get.lookup(core, c.db, all[i].text, room);
      if (text === null) addReplyNull(c);
      else addReplyBulkString(c, text);
    }
  }
}

/** By full name. */
export const sortProcs: Readonly<Record<string, CommandProc>> = {
  sort: (core, c) => sortGeneric(core, c, false),
  sort_ro: (core, c) => sortGeneric(core, c, true),
};
