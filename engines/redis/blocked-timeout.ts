/** The timeout argument of blocking commands. */
import type { Client } from './client.ts';
import { addReplyError } from './protocol/reply.ts';
import type { RedisCore } from './redis-core.ts';
import { parsedNumber, parseInt64 } from './structures/int64.ts';
import { parseLongDouble } from './structures/long-double.ts';

const INT64_MAX = 9223372036854775807n;
const INT64_MIN = -9223372036854775808n;
const MANTISSA_BITS = 64;

/** When the wait ends that readTimeout read last: ms since the epoch; 0: never. */
export let timeoutUntilMs = 0;

/**
 * Reads argument `i` as a number of seconds (a fraction is allowed), or of milliseconds, into timeoutUntilMs.
 * @param unitMs the argument is in whole milliseconds
 * @returns false when it is none; the client has been told so
 */
export function readTimeout(core: RedisCore, c: Client, i: number, unitMs = false): boolean {
  let ms: number;
  if (parseInt64(core.heap.u8, c.argOff[i], c.argLen[i]) && (unitMs || Math.abs(parsedNumber) < 1e12)) {
    ms = unitMs ? parsedNumber : parsedNumber * 1000;
  } else {
    const fraction = unitMs ? null : milliseconds(c.argText(i));
    if (fraction === null) {
      addReplyError(c, `timeout is not ${unitMs ? 'an integer' : 'a float'} or out of range`);
      return false;
    }
    ms = fraction;
  }
  if (ms < 0) {
    addReplyError(c, 'timeout is negative');
    return false;
  }
  timeoutUntilMs = ms === 0 ? 0 : ms + core.nowMs;
  return true;
}

/** Seconds × 1000 in the arithmetic of long double, rounded up. What 64 bits cannot hold becomes their smallest, as in the original. */
function milliseconds(text: string): number | null {
  const seconds = parseLongDouble(text);
  if (seconds === null) return null;
  if (seconds.infinite !== 0) return Number(INT64_MIN);
  const negative = seconds.mantissa < 0n;
  let mantissa = (negative ? -seconds.mantissa : seconds.mantissa) * 1000n;
  let exponent = seconds.exponent;
  const cut = mantissa.toString(2).length - MANTISSA_BITS;
  if (cut > 0) {
    const low = mantissa & ((1n << BigInt(cut)) - 1n);
    const half = 1n << BigInt(cut - 1);
    mantissa >>= BigInt(cut);
    exponent += cut;
    if (low > half || (low === half && (mantissa & 1n) === 1n)) mantissa++;
  }
  let whole: bigint;
  if (exponent >= 0) {
    whole = exponent > MANTISSA_BITS ? (mantissa === 0n ? 0n : INT64_MAX + 1n) : mantissa << BigInt(exponent);
  } else {
    const bits = BigInt(-exponent);
    whole = mantissa >> bits;
    // Up is towards zero for negative numbers.
    if (!negative && whole << bits !== mantissa) whole++;
  }
  if (negative) whole = -whole;
  return Number(whole > INT64_MAX || whole < INT64_MIN ? INT64_MIN : whole);
}
