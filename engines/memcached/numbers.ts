/**
 * Numbers in requests and values, read as C's strtol family reads them and as memcached's safe_strto… judge them: leading white
 * space and a sign are allowed, a NUL or white space must follow the digits. `end` stands for the NUL.
 */

export const U64_MAX = 0xffffffffffffffffn;
const I64_MAX = 0x7fffffffffffffffn;
/** So many digits always fit a double exactly. */
const SAFE_DIGITS = 15;

function isSpace(byte: number): boolean {
  return byte === 32 || (byte >= 9 && byte <= 13);
}

/** @returns the integer at the start of [at, end) with its sign, or null when there is none or it does not end properly */
function integerAt(u8: Uint8Array, at: number, end: number): { value: bigint; signed: boolean } | null {
  while (at < end && isSpace(u8[at])) at++;
  let negative = false;
  if (at < end && (u8[at] === 43 || u8[at] === 45)) negative = u8[at++] === 45;
  const first = at;
  let value = 0n;
  let small = 0;
  for (; at < end && u8[at] >= 48 && u8[at] <= 57; at++) {
    if (at - first < SAFE_DIGITS) small = small * 10 + u8[at] - 48;
    else value = (at - first === SAFE_DIGITS ? BigInt(small) : value) * 10n + BigInt(u8[at] - 48);
  }
  if (at === first || (at < end && !isSpace(u8[at]) && u8[at] !== 0)) return null;
  if (at - first <= SAFE_DIGITS) value = BigInt(small);
  return { value: negative ? -value : value, signed: negative };
}

/** Plain digits only, at most 15: @returns the number or -1 when it is of another form (try the full reader then) */
export function plainDecimal(u8: Uint8Array, at: number, end: number): number {
  if (at >= end || end - at > SAFE_DIGITS) return -1;
  let value = 0;
  for (; at < end; at++) {
    const digit = u8[at] - 48;
    if (digit < 0 || digit > 9) return -1;
    value = value * 10 + digit;
  }
  return value;
}

/** safe_strtoull. @returns null when it is no number, too large or negative */
export function parseU64(u8: Uint8Array, at: number, end: number): bigint | null {
  const number = integerAt(u8, at, end);
  if (number === null) return null;
  const magnitude = number.value < 0n ? -number.value : number.value;
  if (magnitude > U64_MAX) return null;
  const value = BigInt.asUintN(64, number.value);
  // The original looks for a minus sign only where the result reads as negative.
  return number.signed && value > I64_MAX ? null : value;
}

/** safe_strtoul: as parseU64, then cut to 32 bits. @returns -1 when it is no number */
export function parseU32(u8: Uint8Array, at: number, end: number): number {
  const plain = plainDecimal(u8, at, end);
  if (plain >= 0) return plain % 4_294_967_296;
  const value = parseU64(u8, at, end);
  return value === null ? -1 : Number(value & 0xffffffffn);
}

/** What parseI32 returns for what is no number. */
export const NOT_A_NUMBER = Number.NaN;

/** safe_strtol: a signed 64-bit number cut to 32 bits. @returns NaN when it is none */
export function parseI32(u8: Uint8Array, at: number, end: number): number {
  const plain = plainDecimal(u8, at, end);
  if (plain >= 0) return plain | 0;
  const number = integerAt(u8, at, end);
  if (number === null || number.value > I64_MAX || number.value < -I64_MAX - 1n) return NOT_A_NUMBER;
  return Number(BigInt.asIntN(32, number.value));
}

/** Stores an unsigned 64-bit number in decimal. @returns the offset behind it */
export function putU64(u8: Uint8Array, at: number, value: bigint): number {
  const digits = value.toString();
  for (let i = 0; i < digits.length; i++) u8[at + i] = digits.charCodeAt(i);
  return at + digits.length;
}

/** Either kind of unsigned number. */
export function putNumber(u8: Uint8Array, at: number, value: number | bigint): number {
  return typeof value === 'number' ? putDecimal(u8, at, value) : putU64(u8, at, value);
}

/** How many digits such a number has. */
export function digitsOf(value: number | bigint): number {
  if (typeof value === 'bigint') return value.toString().length;
  let digits = 1;
  for (let bound = 10; value >= bound; bound *= 10) digits++;
  return digits;
}

/** Stores an unsigned integer below 2^53 in decimal. @returns the offset behind it */
export function putDecimal(u8: Uint8Array, at: number, value: number): number {
  let digits = 1;
  for (let bound = 10; value >= bound; bound *= 10) digits++;
  let i = at + digits - 1;
  while (value > 2_147_483_647) {
    const rest = Math.floor(value / 10);
    u8[i--] = 48 + (value - rest * 10);
    value = rest;
  }
  // Small numbers are divided as integers, which is many times faster than as doubles.
  let small = value | 0;
  for (; i >= at; i--) {
    const rest = (small / 10) | 0;
    u8[i] = 48 + (small - rest * 10);
    small = rest;
  }
  return at + digits;
}

/** The least double that is not denormal: C's strtod calls what is smaller out of range. */
const NORMAL_MIN = 2.2250738585072014e-308;

/** safe_strtod: a number as C's strtod reads it, behind which the text ends or white space follows. @returns null when it is none */
export function parseDouble(text: string): number | null {
  const match =
    /^[ \t\v\f\r]*([+-]?)(?:(0x[\da-f]*\.?[\da-f]*(?:p[+-]?\d+)?)|(inf(?:inity)?)|(nan)|((?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?))(?:$|\s)/i.exec(
      text,
    );
  if (match === null) return null;
  const [, sign, hex, infinite, nan, decimal] = match;
  if (nan !== undefined) return Number.NaN;
  let value = infinite !== undefined ? Number.POSITIVE_INFINITY : Number(decimal);
  if (hex !== undefined) {
    const [, whole = '', fraction = '', power = '0'] = /^0x([\da-f]*)\.?([\da-f]*)(?:p(.*))?$/i.exec(hex)!;
    if (whole === '' && fraction === '') return null;
    value = Number(`0x${whole}${fraction}`) * 2 ** (Number(power) - 4 * fraction.length);
  }
  const isOutOfRange = value === 0 ? /[1-9]/.test((decimal ?? '').split(/e/i)[0]!) : value < NORMAL_MIN;
  if (isOutOfRange || (value === Number.POSITIVE_INFINITY && infinite === undefined)) return null;
  return sign === '-' ? -value : value;
}

/** A double as C's `%.Nf` prints it: ties go to the even digit, however large it is, with its sign also where it is zero. */
export function fixedAsC(value: number, digits: number): string {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? 'nan' : value < 0 ? '-inf' : 'inf';
  const sign = value < 0 || Object.is(value, -0) ? '-' : '';
  const magnitude = Math.abs(value);
  // From here on a double has no fraction, and toFixed would soon print an exponent.
  if (magnitude >= 2 ** 53) return `${sign}${BigInt(magnitude)}.${'0'.repeat(digits)}`;
  const halves = magnitude * 2 ** (digits + 1);
  // Only an odd multiple of so small a power of two lies exactly between two decimals.
  const isTie = Number.isInteger(halves) && halves % 2 === 1;
  const lower = Math.floor(magnitude * 10 ** digits);
  return sign + (isTie && lower % 2 === 0 ? (lower / 10 ** digits).toFixed(digits) : magnitude.toFixed(digits));
}
