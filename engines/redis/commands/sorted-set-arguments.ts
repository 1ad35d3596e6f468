/** What the commands of sorted sets share: reading scores and ranges, replying scores, storing results. */
import type { Client } from '../client.ts';
import { lookupKeyRead, lookupKeyWrite } from '../db.ts';
import { addReplyBulk, addReplyError, addReplyLong, addReplyRaw } from '../protocol/reply.ts';
import type { RedisCore } from '../redis-core.ts';
import { parseDouble, parseDoubleLoosely, parsedDouble, putDouble17 } from '../structures/double.ts';
import { OBJ_ZSET } from '../structures/robj.ts';
import { LEX_MAX, LEX_MIN, LexRange, ScoreRange } from '../structures/skiplist-range.ts';
import { isWrongType } from './integer-arguments.ts';

const NOT_A_FLOAT = 'value is not a valid float';
const NOT_A_SCORE_RANGE = 'min or max is not a float';
const NOT_A_LEX_RANGE = 'min or max not valid string range item';
/** Where in the heap's scratch page the texts of scores are made. */
const REPLY_SCRATCH = 256;
const OPEN = 40;
const CLOSED = 91;
const PLUS = 43;
const MINUS = 45;

/** The score read last. */
export let argScore = 0;

/** Reads argument `i` as a double into argScore. Replies with an error and returns false if it is none. */
export function readScore(core: RedisCore, c: Client, i: number, error: string = NOT_A_FLOAT): boolean {
  if (!parseDouble(core.heap, c.argOff[i], c.argLen[i])) {
    addReplyError(c, error);
    return false;
  }
  argScore = parsedDouble;
  return true;
}

/** The range that the present command works on. */
export const scoreRange = new ScoreRange();
export const lexRange = new LexRange();

/** Reads two arguments into scoreRange. Replies with an error and returns false if they are no range. */
export function readScoreRange(core: RedisCore, c: Client, min: number, max: number): boolean {
  const h = core.heap;
  scoreRange.minExclusive = c.argLen[min] > 0 && h.u8[c.argOff[min]] === OPEN;
  scoreRange.maxExclusive = c.argLen[max] > 0 && h.u8[c.argOff[max]] === OPEN;
  if (readEnd(core, c, min, scoreRange.minExclusive)) {
    scoreRange.min = parsedDouble;
    if (readEnd(core, c, max, scoreRange.maxExclusive)) {
      scoreRange.max = parsedDouble;
      return true;
    }
  }
  addReplyError(c, NOT_A_SCORE_RANGE);
  return false;
}

function readEnd(core: RedisCore, c: Client, i: number, exclusive: boolean): boolean {
  const skip = exclusive ? 1 : 0;
  return parseDoubleLoosely(core.heap, c.argOff[i] + skip, c.argLen[i] - skip);
}

/** Reads two arguments into lexRange. Replies with an error and returns false if they are no range. */
export function readLexRange(core: RedisCore, c: Client, min: number, max: number): boolean {
  const minKind = lexKind(core, c, min);
  const maxKind = lexKind(core, c, max);
  if (minKind === LEX_BROKEN || maxKind === LEX_BROKEN) {
    addReplyError(c, NOT_A_LEX_RANGE);
    return false;
  }
  const u8 = core.heap.u8;
  lexRange.minKind = minKind;
  lexRange.minExclusive = minKind !== 0 || u8[c.argOff[min]] === OPEN;
  lexRange.minOffset = c.argOff[min] + 1;
  lexRange.minLength = c.argLen[min] - 1;
  lexRange.maxKind = maxKind;
  lexRange.maxExclusive = maxKind !== 0 || u8[c.argOff[max]] === OPEN;
  lexRange.maxOffset = c.argOff[max] + 1;
  lexRange.maxLength = c.argLen[max] - 1;
  return true;
}

const LEX_BROKEN = 2;

/** LEX_MIN, LEX_MAX, 0 for bytes, or LEX_BROKEN. */
function lexKind(core: RedisCore, c: Client, i: number): number {
  const at = c.argOff[i];
  const length = c.argLen[i];
  const u8 = core.heap.u8;
  const first = length === 0 ? 0 : u8[at];
  if (first === OPEN || first === CLOSED) return 0;
  // The original looks for the NUL that ends its string, so one that the client sent will do.
  if (length !== 1 && !(length > 1 && u8[at + 1] === 0)) return LEX_BROKEN;
  return first === PLUS ? LEX_MAX : first === MINUS ? LEX_MIN : LEX_BROKEN;
}

/** A score: RESP3's double, in RESP2 a bulk string. */
export function addReplyScore(c: Client, score: number): void {
  const h = c.core.heap;
  const at = h.scratch + REPLY_SCRATCH;
  if (c.resp === 2) {
    addReplyBulk(c, at, putDouble17(h, at, score) - at);
    return;
  }
  h.u8[at] = 44;
  const end = putDouble17(h, at + 1, score);
  h.u8[end] = 13;
  h.u8[end + 1] = 10;
  addReplyRaw(c, at, end + 2 - at);
}

/** The sorted set under the key of argument 1; 0 after a reply: `missing` for a key that is not there, or the wrong type. */
export function zsetOrReply(core: RedisCore, c: Client, write: boolean, missing: (c: Client) => void): number {
  const key = c.argOff[1];
  const o = write ? lookupKeyWrite(core, c.db, key, c.argLen[1]) : lookupKeyRead(core, c.db, key, c.argLen[1]);
  if (o === 0) {
    missing(c);
    return 0;
  }
  return isWrongType(core, c, o, OBJ_ZSET) ? 0 : o;
}

/** For commands that count. */
export const replyZero = (c: Client): void => addReplyLong(c, 0);
