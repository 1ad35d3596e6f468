/** 64-bit signed integers in bytes, as pairs of 32-bit words where a JavaScript number would round. */

/** Low word (unsigned) and high word (signed) of the last successful parse, and its value (rounded beyond 2^53). */
export let parsedLow = 0;
export let parsedHigh = 0;
export let parsedNumber = 0;

/** Longest text of an integer: "-9223372036854775808". */
const MAX_DIGITS = 20;
/** So many digits always fit a number exactly. */
const EXACT_DIGITS = 15;
const INT64_MAX = 9223372036854775807n;
const INT64_MIN = -9223372036854775808n;

/**
 * Parses a whole 64-bit decimal as strictly as the original's string2ll: no blanks, no plus sign, no leading zeros.
 * The value is in parsedLow, parsedHigh and parsedNumber afterwards.
 */
export function parseInt64(u8: Uint8Array, offset: number, length: number): boolean {
  if (length === 0 || length > MAX_DIGITS) return false;
  let at = offset;
  const end = offset + length;
  const negative = u8[at] === 45;
  if (negative) {
    at++;
    if (at === end) return false;
  }
  const first = u8[at];
  if (first === 48) {
    if (length !== 1) return false;
    parsedLow = 0;
    parsedHigh = 0;
    parsedNumber = 0;
    return true;
  }
  if (first < 49 || first > 57) return false;
  if (end - at > EXACT_DIGITS) return parseLong(u8, at, end, negative);
  let value = first - 48;
  for (at++; at < end; at++) {
    const digit = u8[at] - 48;
    if (digit < 0 || digit > 9) return false;
    value = value * 10 + digit;
  }
  if (negative) value = -value;
  parsedNumber = value;
  parsedLow = value >>> 0;
  parsedHigh = Math.floor(value / 4294967296);
  return true;
}

function parseLong(u8: Uint8Array, from: number, end: number, negative: boolean): boolean {
  let text = negative ? '-' : '';
  for (let at = from; at < end; at++) {
    if (u8[at] < 48 || u8[at] > 57) return false;
    text += String.fromCharCode(u8[at]);
  }
  const value = BigInt(text);
  if (value > INT64_MAX || value < INT64_MIN) return false;
  parsedLow = Number(BigInt.asUintN(32, value));
  parsedHigh = Number(BigInt.asIntN(32, value >> 32n));
  parsedNumber = Number(value);
  return true;
}

/** The value of two words as a bigint. */
export function wordsToBigInt(low: number, high: number): bigint {
  return (BigInt(high) << 32n) | BigInt(low >>> 0);
}

export function fitsInt64(value: bigint): boolean {
  return value <= INT64_MAX && value >= INT64_MIN;
}
