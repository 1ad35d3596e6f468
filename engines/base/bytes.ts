/**
 * Work on bytes in place: comparing, searching, copying and numbers in decimal, without a string or a view on the way. All
 * functions take offsets into a Uint8Array; ends are exclusive.
 */

const CR = 13;
const LF = 10;
const DIGIT_0 = 48;
const DIGIT_9 = 57;
const MINUS = 45;
/** From this length on the engine's native copy beats a loop. */
const NATIVE_COPY_MIN = 64;
/** Longest decimal form of a signed 64-bit integer: "-9223372036854775808". */
export const INT64_TEXT_MAX = 20;

/** Copies within one array; the stretches may overlap. */
export function moveBytes(u8: Uint8Array, to: number, from: number, length: number): void {
  if (length >= NATIVE_COPY_MIN) {
    u8.copyWithin(to, from, from + length);
  } else if (to <= from) {
    for (let i = 0; i < length; i++) u8[to + i] = u8[from + i];
  } else {
    for (let i = length - 1; i >= 0; i--) u8[to + i] = u8[from + i];
  }
}

/** Copies between two arrays that do not share memory. */
export function copyBytes(target: Uint8Array, to: number, source: Uint8Array, from: number, length: number): void {
  if (length >= 4 * NATIVE_COPY_MIN) target.set(source.subarray(from, from + length), to);
  else for (let i = 0; i < length; i++) target[to + i] = source[from + i];
}

/** Whether two stretches of the same length hold the same bytes. */
export function equalBytes(a: Uint8Array, aStart: number, b: Uint8Array, bStart: number, length: number): boolean {
  for (let i = 0; i < length; i++) if (a[aStart + i] !== b[bStart + i]) return false;
  return true;
}

/** Orders as memcmp does, then by length. @returns a negative number, 0 or a positive number */
export function compareBytes(
  a: Uint8Array,
  aStart: number,
  aLength: number,
  b: Uint8Array,
  bStart: number,
  bLength: number,
): number {
  const common = Math.min(aLength, bLength);
  for (let i = 0; i < common; i++) {
    const difference = a[aStart + i] - b[bStart + i];
    if (difference !== 0) return difference;
  }
  return aLength - bLength;
}

/** An ASCII letter in lower case, any other byte as it is. */
export function lowerByte(byte: number): number {
  return byte >= 0x41 && byte <= 0x5a ? byte | 0x20 : byte;
}

/** Whether the stretch reads as `lower` (which must be in lower case) when its ASCII letters are lowered. */
export function equalsIgnoringCase(u8: Uint8Array, start: number, length: number, lower: Uint8Array): boolean {
  if (length !== lower.length) return false;
  for (let i = 0; i < length; i++) if (lowerByte(u8[start + i]) !== lower[i]) return false;
  return true;
}

/** Orders two stretches with ASCII letters lowered, as strcasecmp does for bytes that are given with their length. */
export function compareIgnoringCase(
  a: Uint8Array,
  aStart: number,
  aLength: number,
  b: Uint8Array,
  bStart: number,
  bLength: number,
): number {
  const common = Math.min(aLength, bLength);
  for (let i = 0; i < common; i++) {
    const difference = lowerByte(a[aStart + i]) - lowerByte(b[bStart + i]);
    if (difference !== 0) return difference;
  }
  return aLength - bLength;
}

/** Lowers the ASCII letters in place. */
export function lowerBytes(u8: Uint8Array, start: number, length: number): void {
  for (let i = start; i < start + length; i++) u8[i] = lowerByte(u8[i]);
}

/** @returns where `byte` first occurs in [start, end), or -1 */
export function findByte(u8: Uint8Array, byte: number, start: number, end: number): number {
  for (let i = start; i < end; i++) if (u8[i] === byte) return i;
  return -1;
}

/** @returns where the first CR LF pair begins that lies wholly in [start, end), or -1 */
export function findCrLf(u8: Uint8Array, start: number, end: number): number {
  for (let i = start + 1; i < end; i++) if (u8[i] === LF && u8[i - 1] === CR) return i - 1;
  return -1;
}

/**
 * Whether the bytes have the form of an integer as Redis's string2ll demands: an optional minus sign, no plus sign, no blanks, no
 * leading zeros, not "-0".
 */
function hasIntegerForm(u8: Uint8Array, start: number, length: number): boolean {
  if (length < 1 || length > INT64_TEXT_MAX) return false;
  let i = start;
  const end = start + length;
  if (u8[i] === DIGIT_0) return length === 1;
  if (u8[i] === MINUS) i++;
  if (i === end || u8[i] === DIGIT_0) return false;
  for (; i < end; i++) if (u8[i] < DIGIT_0 || u8[i] > DIGIT_9) return false;
  return true;
}

/**
 * Parses a strict decimal integer (no blanks, plus sign or leading zeros).
 * @returns the number, or NaN if the form is wrong or it is not within ±(2^53 - 1); then `parseInt64` tells which
 */
export function parseSafeInteger(u8: Uint8Array, start: number, length: number): number {
  if (length > 17 || !hasIntegerForm(u8, start, length)) return Number.NaN;
  const negative = u8[start] === MINUS;
  let value = 0;
  for (let i = negative ? start + 1 : start; i < start + length; i++) value = value * 10 + (u8[i] - DIGIT_0);
  if (value > Number.MAX_SAFE_INTEGER) return Number.NaN;
  return negative ? -value : value;
}

/**
 * Parses a strict decimal integer of 64 bits as two halves.
 * @param out [low, high] as signed 32-bit integers, set only if the answer is true
 * @returns false if the form is wrong or the value is outside of -2^63 to 2^63 - 1
 */
export function parseInt64Halves(u8: Uint8Array, start: number, length: number, out: Int32Array): boolean {
  if (!hasIntegerForm(u8, start, length)) return false;
  const negative = u8[start] === MINUS;
  // A double holds up to 10 digits exactly with room for the sums below: value = top * 10^10 + bottom.
  let top = 0;
  let bottom = 0;
  const end = start + length;
  const split = Math.max(end - 10, negative ? start + 1 : start);
  for (let i = negative ? start + 1 : start; i < split; i++) top = top * 10 + (u8[i] - DIGIT_0);
  for (let i = split; i < end; i++) bottom = bottom * 10 + (u8[i] - DIGIT_0);
  // 2^63 is 922337203 * 10^10 + 6854775808; the negative range reaches it, the positive ends one before.
  if (top > 922_337_203 || (top === 922_337_203 && bottom > (negative ? 6_854_775_808 : 6_854_775_807))) return false;
  // 10^10 = 2 * 2^32 + 1410065408; the products below stay under 2^53 because top has 30 bits and is cut in two halves.
  const topLow = top & 0x7fff;
  const topHigh = top >>> 15;
  const lowProduct = topLow * 1_410_065_408 + bottom;
  const highProduct = topHigh * 1_410_065_408;
  // highProduct * 2^15 split at 32 bits.
  const shiftedLow = (highProduct % 131_072) * 32_768;
  const shiftedHigh = Math.floor(highProduct / 131_072);
  const sum = lowProduct + shiftedLow;
  let low = (sum % 4_294_967_296) | 0;
  let high = (shiftedHigh + Math.floor(sum / 4_294_967_296) + top * 2) | 0;
  if (negative) {
    low = -low | 0;
    high = ~high + (low === 0 ? 1 : 0);
  }
  out[0] = low;
  out[1] = high;
  return true;
}

const halves = new Int32Array(2);

/** Parses a strict decimal integer of 64 bits. @returns null if the form is wrong or the value out of range. Not for hot paths. */
export function parseInt64(u8: Uint8Array, start: number, length: number): bigint | null {
  if (!parseInt64Halves(u8, start, length, halves)) return null;
  return (BigInt(halves[1]) << 32n) | BigInt(halves[0] >>> 0);
}

/** Number of decimal digits of a whole number from 0 to 2^53 - 1. */
export function digitCount(value: number): number {
  let digits = 1;
  for (let bound = 10; value >= bound && digits < 16; bound *= 10) digits++;
  return digits;
}

/**
 * Writes a whole number within ±(2^53 - 1) in decimal.
 * @returns the offset behind the last byte; at most 17 bytes are written
 */
export function writeInteger(u8: Uint8Array, at: number, value: number): number {
  if (value < 0) {
    u8[at++] = MINUS;
    value = -value;
  }
  if (value < 10) {
    u8[at] = DIGIT_0 + value;
    return at + 1;
  }
  const end = at + digitCount(value);
  let i = end;
  // Above 2^31 the division is one of doubles; one step brings the rest into the range where it is one of integers.
  while (value > 0x7fffffff) {
    const rest = Math.floor(value / 10);
    u8[--i] = DIGIT_0 + (value - rest * 10);
    value = rest;
  }
  let small = value | 0;
  while (small >= 10) {
    const rest = (small / 10) | 0;
    u8[--i] = DIGIT_0 + (small - rest * 10);
    small = rest;
  }
  u8[--i] = DIGIT_0 + small;
  return end;
}

/**
 * Writes a 64-bit integer, given in halves, in decimal.
 * @param low, high any 32-bit integers; the value is signed
 * @returns the offset behind the last byte; at most 20 bytes are written
 */
export function writeInt64(u8: Uint8Array, at: number, low: number, high: number): number {
  if (high < 0) {
    u8[at++] = MINUS;
    low = -low | 0;
    high = (~high + (low === 0 ? 1 : 0)) | 0;
  }
  // 2^63 itself keeps its bits when negated; taken as unsigned it is right.
  return writeUint64(u8, at, low, high);
}

/** As `writeInt64`, the value being unsigned. */
export function writeUint64(u8: Uint8Array, at: number, low: number, high: number): number {
  const top = high >>> 0;
  const bottom = low >>> 0;
  if (top < 0x20_0000) return writeInteger(u8, at, top * 4_294_967_296 + bottom);
  // Long division by 10^9 in two steps; each partial dividend stays below 2^53 because it is cut at 16 bits.
  let part = (top % 1e9) * 65_536 + (bottom >>> 16);
  let quotient = Math.floor(top / 1e9) * 65_536 + Math.floor(part / 1e9);
  part = (part % 1e9) * 65_536 + (bottom & 0xffff);
  quotient = quotient * 65_536 + Math.floor(part / 1e9);
  let rest = part % 1e9;
  at = writeInteger(u8, at, quotient);
  for (let i = at + 8; i >= at; i--) {
    u8[i] = DIGIT_0 + (rest % 10);
    rest = Math.floor(rest / 10);
  }
  return at + 9;
}

/** Writes a text of ASCII (or Latin-1) characters. @returns the offset behind it */
export function writeText(u8: Uint8Array, at: number, text: string): number {
  for (let i = 0; i < text.length; i++) u8[at + i] = text.charCodeAt(i);
  return at + text.length;
}

/** The bytes of an ASCII (or Latin-1) text. */
export function textBytes(text: string): Uint8Array {
  const u8 = new Uint8Array(text.length);
  writeText(u8, 0, text);
  return u8;
}

/** The bytes as a string of one character each (Latin-1): for logs and rare replies, never for a hot path. */
export function bytesText(u8: Uint8Array, start: number, length: number): string {
  let text = '';
  for (let i = start; i < start + length; i += 4096) {
    text += String.fromCharCode(...u8.subarray(i, Math.min(i + 4096, start + length)));
  }
  return text;
}
