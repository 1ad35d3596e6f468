/** KEYS and SCAN, and the scans of single values. */
import type { Client } from '../client.ts';
import { expireIfNeeded, getExpire, LOOKUP_NOTOUCH, lookupKey } from '../db.ts';
import { globMatches } from '../glob.ts';
import { putInt64 } from '../protocol/decimal.ts';
import {
  addReplyArrayLen,
  addReplyBulk,
  addReplyBulkInt64,
  addReplyBulkString,
  addReplyError,
  beginDeferred,
  endDeferred,
  SYNTAX_ERROR,
} from '../protocol/reply.ts';
import type { RedisCore } from '../redis-core.ts';
import { dictBucket, dictKey, dictNext, dictTableSize } from '../structures/dict-layout.ts';
import { dictScan } from '../structures/dict-sample.ts';
import { intsetGet, intsetHigh, intsetLen, intsetLow } from '../structures/intset.ts';
import {
  lpFirst,
  lpGet,
  lpIntHigh,
  lpIntLow,
  lpNext,
  lpPutInteger,
  lpStringLength,
  lpStringOffset,
} from '../structures/listpack.ts';
import { OBJ_ENCODING_INTSET, robjEncoding, robjPtr, robjType } from '../structures/robj.ts';
import { sdsLen } from '../structures/sds.ts';
import { argNumber, readInteger } from './integer-arguments.ts';

const DEFAULT_COUNT = 10;
/** SCAN visits at most so many buckets for each key wanted. */
const BUCKETS_PER_KEY = 10;
const UINT64_MAX = 18446744073709551615n;
/** Cursors of real scans stay below this; larger ones are valid but meet no bucket of their own. */
const CURSOR_BITS = 32;

/** The type of a value as TYPE and SCAN call it. */
export function typeName(core: RedisCore, value: number): string {
  return core.heap.types[robjType(core.heap, value)].name;
}

export function keysCommand(core: RedisCore, c: Client): void {
  const h = core.heap;
  const pattern = c.argOff[1];
  const patternLength = c.argLen[1];
  const all = patternLength === 1 && h.u8[pattern] === 42;
  const mark = beginDeferred(c);
  let count = 0;
  // Nothing changes the dict meanwhile, so both tables are simply walked.
  for (let table = 0; table < 2; table++) {
    const size = dictTableSize(h, c.db.dict, table);
    for (let index = 0; index < size; index++) {
      for (let entry = dictBucket(h, c.db.dict, table, index); entry !== 0; entry = dictNext(h, entry)) {
        const key = dictKey(h, entry);
        const length = sdsLen(h, key);
        if (!all && !globMatches(h.u8, pattern, patternLength, key, length)) continue;
        const when = getExpire(core, c.db, key, length);
        if (when >= 0 && core.nowMs > when) continue;
        addReplyBulk(c, key, length);
        count++;
      }
    }
  }
  endDeferred(c, mark, '*', count);
}

/** Reads a cursor as strtoul does: blanks no, signs yes. @returns null after an error */
export function readCursor(c: Client, i: number): number | null {
  const text = c.argText(i);
  const match = /^([+-]?)(\d+)$/.exec(text);
  const magnitude = match ? BigInt(match[2]!) : text === '' ? 0n : null;
  if (magnitude === null || magnitude > UINT64_MAX) {
    addReplyError(c, 'invalid cursor');
    return null;
  }
  return Number(BigInt.asUintN(CURSOR_BITS, match?.[1] === '-' ? -magnitude : magnitude));
}

/** The reply of a scan that finds no key. */
export const EMPTY_SCAN = '*2\r\n$1\r\n0\r\n*0\r\n';

/** The options of the present scan: keys wanted a call; arguments that hold pattern and type, 0: none. */
let wanted = DEFAULT_COUNT;
let patternArg = 0;
let typeArg = 0;

/** Reads the options from argument `first` on. @returns false after an error */
function readOptions(core: RedisCore, c: Client, first: number, mayTellType: boolean): boolean {
  const u8 = core.heap.u8;
  wanted = DEFAULT_COUNT;
  patternArg = 0;
  typeArg = 0;
  for (let i = first; i < c.argc; i += 2) {
    const more = i + 1 < c.argc;
    if (c.argIs(i, 'count') && more) {
      if (!readInteger(core, c, i + 1)) return false;
      wanted = argNumber;
      if (wanted < 1) {
        addReplyError(c, SYNTAX_ERROR);
        return false;
      }
    } else if (c.argIs(i, 'match') && more) {
      patternArg = c.argLen[i + 1] === 1 && u8[c.argOff[i + 1]] === 42 ? 0 : i + 1;
    } else if (mayTellType && c.argIs(i, 'type') && more) {
      typeArg = i + 1;
    } else {
      addReplyError(c, SYNTAX_ERROR);
      return false;
    }
  }
  return true;
}

/** Entries (or their keys) that the present scan has found; reused between calls. */
let found = new Float64Array(64);
let foundCount = 0;

function keepFound(value: number): void {
  if (foundCount === found.length) {
    const larger = new Float64Array(found.length * 2);
    larger.set(found);
    found = larger;
  }
  found[foundCount++] = value;
}

/**
 * Steps through a dict until enough is found, the table is at its end or too many buckets were empty; leaves entries in `found`.
 * @returns the next cursor
 */
function collect(core: RedisCore, dict: number, from: number, bucketsMax: number): number {
  const h = core.heap;
  let cursor = from;
  foundCount = 0;
  let steps = bucketsMax;
  do cursor = dictScan(h, dict, cursor, keepFound);
  while (cursor !== 0 && steps-- > 0 && foundCount < wanted);
  return cursor;
}

function matches(core: RedisCore, c: Client, offset: number, length: number): boolean {
  return patternArg === 0 || globMatches(core.heap.u8, c.argOff[patternArg], c.argLen[patternArg], offset, length);
}

export function scanCommand(core: RedisCore, c: Client): void {
  const start = readCursor(c, 1);
  if (start === null || !readOptions(core, c, 2, true)) return;
  const cursor = collect(core, c.db.dict, start, wanted * BUCKETS_PER_KEY);
  // Looking a key up may delete it and with it the entry; the bytes of the other keys stay.
  for (let i = 0; i < foundCount; i++) found[i] = dictKey(core.heap, found[i]);
  replyFound(core, c, cursor);
}

/** How a dict's entry goes into the reply of a scan behind its key; null where a scan gives keys only. */
export type ScanValue = ((c: Client, entry: number) => void) | null;

/**
 * SSCAN, HSCAN, ZSCAN: reads the options from argument 3 on, scans the value and replies.
 * @param cursor from readCursor
 * @param dict the dict of `o`; 0 when it is compact (then all of it comes at once: an intset's members, a listpack's pairs)
 * @param value replies the value of a dict's entry: its hash field's or member's score
 */
export function scanCollection(
  core: RedisCore,
  c: Client,
  cursor: number,
  o: number,
  dict: number,
  value: ScanValue,
): void {
  if (!readOptions(core, c, 3, false)) return;
  const h = core.heap;
  const next = dict === 0 ? 0 : collect(core, dict, cursor, wanted * BUCKETS_PER_KEY * (value === null ? 1 : 2));
  addReplyArrayLen(c, 2);
  addReplyBulkString(c, String(next));
  const mark = beginDeferred(c);
  let items = 0;
  if (dict !== 0) {
    for (let i = 0; i < foundCount; i++) {
      const key = dictKey(h, found[i]);
      const length = sdsLen(h, key);
      if (!matches(core, c, key, length)) continue;
      addReplyBulk(c, key, length);
      if (value !== null) value(c, found[i]);
      items += value === null ? 1 : 2;
    }
  } else if (robjEncoding(h, o) === OBJ_ENCODING_INTSET) {
    items = replyIntset(core, c, robjPtr(h, o));
  } else {
    items = replyListpack(core, c, robjPtr(h, o));
  }
  endDeferred(c, mark, '*', items);
}

function replyIntset(core: RedisCore, c: Client, is: number): number {
  const h = core.heap;
  const text = patternArg === 0 ? 0 : h.scratch;
  let items = 0;
  for (let i = 0; i < intsetLen(h, is); i++) {
    intsetGet(h, is, i);
    if (text !== 0 && !matches(core, c, text, putInt64(h.u8, text, intsetLow, intsetHigh) - text)) continue;
    addReplyBulkInt64(c, intsetLow, intsetHigh);
    items++;
  }
  return items;
}

function replyListpack(core: RedisCore, c: Client, lp: number): number {
  const h = core.heap;
  const text = patternArg === 0 ? 0 : h.scratch;
  let items = 0;
  for (let p = lpFirst(h, lp); p !== 0; ) {
    const valueAt = lpNext(h, lp, p);
    const passes =
      text === 0 ||
      (lpGet(h, p) ? matches(core, c, lpStringOffset, lpStringLength) : matches(core, c, text, lpPutInteger(h, text)));
    if (passes) {
      addReplyListpackElement(c, p);
      addReplyListpackElement(c, valueAt);
      items += 2;
    }
    p = lpNext(h, lp, valueAt);
  }
  return items;
}

/** An element of a listpack as a bulk string. */
export function addReplyListpackElement(c: Client, p: number): void {
  if (lpGet(c.core.heap, p)) addReplyBulk(c, lpStringOffset, lpStringLength);
  else addReplyBulkInt64(c, lpIntLow, lpIntHigh);
}

function replyFound(core: RedisCore, c: Client, cursor: number): void {
  const h = core.heap;
  addReplyArrayLen(c, 2);
  addReplyBulkString(c, String(cursor));
  const mark = beginDeferred(c);
  let kept = 0;
  for (let i = 0; i < foundCount; i++) {
    const key = found[i];
    const length = sdsLen(h, key);
    if (!matches(core, c, key, length)) continue;
    if (typeArg !== 0) {
      const value = lookupKey(core, c.db, key, length, LOOKUP_NOTOUCH);
      if (value === 0 || !c.argIs(typeArg, typeName(core, value))) continue;
    } else if (expireIfNeeded(core, c.db, key, length)) {
      continue;
    }
    addReplyBulk(c, key, length);
    kept++;
  }
  endDeferred(c, mark, '*', kept);
}
