/** LPOS. */
import type { Client } from '../client.ts';
import { lookupKeyRead } from '../db.ts';
import {
  addReplyArrayLen,
  addReplyError,
  addReplyLong,
  addReplyNull,
  beginDeferred,
  endDeferred,
  SYNTAX_ERROR,
} from '../protocol/reply.ts';
import type { RedisCore } from '../redis-core.ts';
import { parsedHigh, parsedLow, parseInt64 } from '../structures/int64.ts';
import { ListCursor } from '../structures/quicklist-cursor.ts';
import { OBJ_LIST, robjPtr } from '../structures/robj.ts';
import { listLength } from '../types/list.ts';
import { argNumber, isWrongType, readInteger, readPositive } from './integer-arguments.ts';

const cursor = new ListCursor();

// What the options say. A count of -1: none was given.
let rank = 1;
let count = -1;
let longest = 0;
/** The rank is the smallest integer there is, which has no positive counterpart: in the original every match then is late enough. */
let smallest = false;

function readOptions(core: RedisCore, c: Client): boolean {
  rank = 1;
  smallest = false;
  count = -1;
  longest = 0;
  for (let i = 3; i < c.argc; i += 2) {
    const hasValue = i + 1 < c.argc;
    if (c.argIs(i, 'rank') && hasValue) {
      if (!readInteger(core, c, i + 1)) return false;
      rank = argNumber;
      smallest = parsedHigh === -0x80000000 && parsedLow === 0;
      if (rank === 0) {
        addReplyError(
          c,
          "RANK can't be zero: use 1 to start from the first match, 2 from the second ... or use negative to start from the end of the list",
        );
        return false;
      }
    } else if (c.argIs(i, 'count') && hasValue) {
      if (!readPositive(core, c, i + 1, "COUNT can't be negative")) return false;
      count = argNumber;
    } else if (c.argIs(i, 'maxlen') && hasValue) {
      if (!readPositive(core, c, i + 1, "MAXLEN can't be negative")) return false;
      longest = argNumber;
    } else {
      addReplyError(c, SYNTAX_ERROR);
      return false;
    }
  }
  return true;
}

export function lposCommand(core: RedisCore, c: Client): void {
  const h = core.heap;
  if (!readOptions(core, c)) return;
  const list = lookupKeyRead(core, c.db, c.argOff[1], c.argLen[1]);
  if (list === 0) {
    if (count >= 0) addReplyArrayLen(c, 0);
    else addReplyNull(c);
    return;
  }
  if (isWrongType(core, c, list, OBJ_LIST)) return;
  const fromHead = rank > 0;
  const firstMatch = smallest ? 0 : Math.abs(rank);
  const offset = c.argOff[2];
  const textLength = c.argLen[2];
  const isInteger = parseInt64(h.u8, offset, textLength);
  const low = parsedLow;
  const high = parsedHigh;
  const length = listLength(h, list);
  const mark = count >= 0 ? beginDeferred(c) : 0;
  let matches = 0;
  let replied = 0;
  let found = -1;
  cursor.start(h, robjPtr(h, list), fromHead);
  for (let index = 0; cursor.next(h) && (longest === 0 || index < longest); index++) {
    if (!cursor.equals(h, offset, textLength, isInteger, low, high)) continue;
    matches++;
    if (matches < firstMatch) continue;
    found = fromHead ? index : length - index - 1;
    if (count < 0) break;
    addReplyLong(c, found);
    replied++;
    if (count !== 0 && replied >= count && !smallest) break;
  }
  cursor.end(h);
  if (count >= 0) endDeferred(c, mark, '*', replied);
  else if (found >= 0) addReplyLong(c, found);
  else addReplyNull(c);
}
