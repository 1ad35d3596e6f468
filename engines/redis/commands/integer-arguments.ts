/** Reading arguments: integers, and the errors that the original answers with when they are none. */
import type { Client } from '../client.ts';
import { addReplyError, NOT_AN_INTEGER, WRONG_TYPE } from '../protocol/reply.ts';
import type { RedisCore } from '../redis-core.ts';
import { parsedHigh, parsedLow, parsedNumber, parseInt64, wordsToBigInt } from '../structures/int64.ts';
import { OBJ_STRING, robjType } from '../structures/robj.ts';

/** The value of the integer argument read last, rounded beyond 2^53; and exactly. */
export let argNumber = 0;
export function argBigInt(): bigint {
  return wordsToBigInt(parsedLow, parsedHigh);
}

/** Reads argument `i` as a 64-bit integer into argNumber. Replies with an error and returns false if it is none. */
export function readInteger(core: RedisCore, c: Client, i: number, error: string = NOT_AN_INTEGER): boolean {
  if (!parseInt64(core.heap.u8, c.argOff[i], c.argLen[i])) {
    addReplyError(c, error);
    return false;
  }
  argNumber = parsedNumber;
  return true;
}

const INT_MIN = -2147483648;
const INT_MAX = 2147483647;

/** Reads argument `i` as a 32-bit integer. `error` is said for everything that is none. */
export function readInt32(core: RedisCore, c: Client, i: number, error?: string): boolean {
  if (!readInteger(core, c, i, error)) return false;
  if (argNumber >= INT_MIN && argNumber <= INT_MAX) return true;
  addReplyError(c, error ?? `value is out of range, value must between ${INT_MIN} and ${INT_MAX}`);
  return false;
}

/** For commands that are not hot: the integer in argument `i` (rounded beyond 2^53), or null when it is none. */
export function integerArgument(c: Client, i: number): number | null {
  return parseInt64(c.core.heap.u8, c.argOff[i], c.argLen[i]) ? parsedNumber : null;
}

/** As integerArgument; where there is no integer, the client has been told so. */
export function integerOrReply(c: Client, i: number, error: string = NOT_AN_INTEGER): number | null {
  return readInteger(c.core, c, i, error) ? argNumber : null;
}

/** Replies with WRONGTYPE unless the object (0: none, which is fine) is of the type. @returns whether it replied */
export function isWrongType(core: RedisCore, c: Client, robj: number, type: number = OBJ_STRING): boolean {
  if (robj === 0 || robjType(core.heap, robj) === type) return false;
  addReplyError(c, WRONG_TYPE);
  return true;
}

/** Reads argument `i` as an integer that is not negative. `error` is said for everything that is none. */
export function readPositive(
  core: RedisCore,
  c: Client,
  i: number,
  error: string = 'value is out of range, must be positive',
): boolean {
  if (!readInteger(core, c, i, error)) return false;
  if (argNumber >= 0) return true;
  addReplyError(c, error);
  return false;
}

/** Reads argument `i` as a 64-bit integer whose negation is one too: a count whose sign means something. */
export function readSignedCount(core: RedisCore, c: Client, i: number): boolean {
  if (!readInteger(core, c, i)) return false;
  if (parsedHigh !== -0x80000000 || parsedLow !== 0) return true;
  addReplyError(c, 'value is out of range, value must between -9223372036854775807 and 9223372036854775807');
  return false;
}

export function invalidExpireTime(c: Client): void {
  addReplyError(c, `invalid expire time in '${c.command?.fullName ?? ''}' command`);
}

export const INT64_MAX_BIG = 9223372036854775807n;
export const INT64_MIN_BIG = -9223372036854775808n;
