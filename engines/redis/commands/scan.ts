/** KEYS and SCAN. */
import type { Client } from '../client.ts';
import { expireIfNeeded, getExpire, LOOKUP_NOTOUCH, lookupKey } from '../db.ts';
import { globMatches } from '../glob.ts';
import {
  addReplyArrayLen,
  addReplyBulk,
  addReplyBulkString,
  addReplyError,
  beginDeferred,
  endDeferred,
  SYNTAX_ERROR,
} from '../protocol/reply.ts';
import type { RedisCore } from '../redis-core.ts';
import { dictBucket, dictKey, dictNext, dictTableSize } from '../structures/dict.ts';
import { dictScan } from '../structures/dict-sample.ts';
import { robjType } from '../structures/robj.ts';
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
function readCursor(c: Client, i: number): number | null {
  const text = c.argText(i);
  const match = /^([+-]?)(\d+)$/.exec(text);
  const magnitude = match ? BigInt(match[2]!) : text === '' ? 0n : null;
  if (magnitude === null || magnitude > UINT64_MAX) {
    addReplyError(c, 'invalid cursor');
    return null;
  }
  return Number(BigInt.asUintN(CURSOR_BITS, match?.[1] === '-' ? -magnitude : magnitude));
}

/** Keys (offsets of sds) of the present SCAN; reused between calls. */
let found = new Float64Array(64);

export function scanCommand(core: RedisCore, c: Client): void {
  const h = core.heap;
  let cursor = readCursor(c, 1);
  if (cursor === null) return;
  let wanted = DEFAULT_COUNT;
  let patternArg = 0;
  let typeArg = 0;
  for (let i = 2; i < c.argc; i += 2) {
    const more = i + 1 < c.argc;
    if (c.argIs(i, 'count') && more) {
      if (!readInteger(core, c, i + 1)) return;
      wanted = argNumber;
      if (wanted < 1) {
        addReplyError(c, SYNTAX_ERROR);
        return;
      }
    } else if (c.argIs(i, 'match') && more) {
      patternArg = c.argLen[i + 1] === 1 && h.u8[c.argOff[i + 1]] === 42 ? 0 : i + 1;
    } else if (c.argIs(i, 'type') && more) {
      typeArg = i + 1;
    } else {
      addReplyError(c, SYNTAX_ERROR);
      return;
    }
  }
  let count = 0;
  const visit = (entry: number) => {
    if (count === found.length) {
      const larger = new Float64Array(found.length * 2);
      larger.set(found);
      found = larger;
    }
    found[count++] = dictKey(h, entry);
  };
  let steps = wanted * BUCKETS_PER_KEY;
  do cursor = dictScan(h, c.db.dict, cursor, visit);
  while (cursor !== 0 && steps-- > 0 && count < wanted);
  replyFound(core, c, cursor, count, patternArg, typeArg);
}

function replyFound(
  core: RedisCore,
  c: Client,
  cursor: number,
  count: number,
  patternArg: number,
  typeArg: number,
): void {
  const h = core.heap;
  addReplyArrayLen(c, 2);
  addReplyBulkString(c, String(cursor));
  const mark = beginDeferred(c);
  let kept = 0;
  for (let i = 0; i < count; i++) {
    const key = found[i];
    const length = sdsLen(h, key);
    if (patternArg !== 0 && !globMatches(h.u8, c.argOff[patternArg], c.argLen[patternArg], key, length)) continue;
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
