/**
 * Doubles as text, as the C library reads and writes them: strtod (decimal, hexadecimal, inf, nan) and printf's %.17g. Plain integers
 * and short decimals, which are almost all there is, go from bytes to bytes without a string between.
 */

import { putUint } from '../protocol/decimal.ts';
import type { Heap } from './heap.ts';

/** Longest text of %.17g: "-1.7976931348623157e+308". */
export const DOUBLE_TEXT_MAX = 24;

/** The value read last. */
export let parsedDouble = 0;

/** So many digits always fit a double exactly, and so does the power of ten that places the point among them. */
const EXACT_DIGITS = 15;
const POWERS_OF_TEN = new Float64Array(EXACT_DIGITS + 1).map((_, i) => 10 ** i);
/** Beyond these binary exponents everything overflows or vanishes. */
const EXPONENT_LIMIT = 1_000_000;
const MANTISSA_BITS = 53;
const MIN_NORMAL_EXPONENT = -1022;
const INTEGER_SCORE_MAX = 2 ** 62;

const DECIMAL = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?$/i;
const HEXADECIMAL = /^([+-]?)0x([0-9a-f]*)(?:\.([0-9a-f]*))?(?:p([+-]?\d+))?$/i;
const INFINITE = /^([+-]?)inf(?:inity)?$/i;

/** Reads [sign] digits [. digits] with few enough digits to be exact into parsedDouble. @returns false for anything else */
export function parsePlainDouble(u8: Uint8Array, offset: number, length: number): boolean {
  if (length === 0 || length > EXACT_DIGITS + 2) return false;
  const end = offset + length;
  const first = u8[offset];
  let at = first === 45 || first === 43 ? offset + 1 : offset;
  let value = 0;
  let digits = 0;
  let point = -1;
  for (; at < end; at++) {
    const byte = u8[at];
    if (byte === 46 && point < 0) {
      point = digits;
      continue;
    }
    const digit = byte - 48;
    if (digit < 0 || digit > 9) return false;
    value = value * 10 + digit;
    digits++;
  }
  if (digits === 0 || digits > EXACT_DIGITS) return false;
  // Both operands are exact, so the one division rounds correctly.
  if (point >= 0) value /= POWERS_OF_TEN[digits - point];
  parsedDouble = first === 45 ? -value : value;
  return true;
}

function bitLength(value: bigint): number {
  return value.toString(2).length;
}

/** mantissa × 2^exponent, rounded half to even. */
function scaleExactly(mantissa: bigint, exponent: number): number {
  if (mantissa === 0n) return 0;
  const bits = bitLength(mantissa);
  const top = exponent + bits - 1;
  if (top > 1024) return Infinity;
  const precision = top >= MIN_NORMAL_EXPONENT ? MANTISSA_BITS : MANTISSA_BITS - (MIN_NORMAL_EXPONENT - top);
  if (precision < 0) return 0;
  const cut = bits - precision;
  if (cut > 0) {
    const half = 1n << BigInt(cut - 1);
    const low = mantissa & ((1n << BigInt(cut)) - 1n);
    mantissa >>= BigInt(cut);
    exponent += cut;
    if (low > half || (low === half && (mantissa & 1n) === 1n)) mantissa++;
  }
  // In two steps, as 2^exponent alone may be out of range while the product is not.
  const half = Math.trunc(exponent / 2);
  return Number(mantissa) * 2 ** half * 2 ** (exponent - half);
}

/** Reads a text that strtod would read whole. @returns false when it would not, or for NaN; `vanished`: it is too small */
function parseText(text: string): boolean {
  vanished = false;
  if (DECIMAL.test(text)) {
    parsedDouble = Number(text);
    vanished = parsedDouble === 0 && /[1-9]/.test(text.replace(/e.*/i, ''));
    return true;
  }
  const infinite = INFINITE.exec(text);
  if (infinite !== null) {
    parsedDouble = infinite[1] === '-' ? -Infinity : Infinity;
    spelledInfinite = true;
    return true;
  }
  const hex = HEXADECIMAL.exec(text);
  const fraction = hex?.[3] ?? '';
  const digits = (hex?.[2] ?? '') + fraction;
  if (hex === null || digits === '') return false;
  const mantissa = BigInt(`0x${digits}`);
  const power = Math.max(-EXPONENT_LIMIT, Math.min(EXPONENT_LIMIT, Number(hex[4] ?? 0)));
  const value = scaleExactly(mantissa, power - 4 * fraction.length);
  vanished = value === 0 && mantissa !== 0n;
  parsedDouble = hex[1] === '-' ? -value : value;
  return true;
}
let vanished = false;
let spelledInfinite = false;

/**
 * Reads a whole argument as a double into parsedDouble, as strictly as the original reads scores: no blanks, not NaN, nothing that
 * overflows or vanishes (though "inf" is fine).
 */
export function parseDouble(h: Heap, offset: number, length: number): boolean {
  if (parsePlainDouble(h.u8, offset, length)) return true;
  spelledInfinite = false;
  if (!parseText(h.latin1(offset, length))) return false;
  return !vanished && (spelledInfinite || (parsedDouble !== Infinity && parsedDouble !== -Infinity));
}

/**
 * Reads the end of a score range into parsedDouble. Here the original looks no further than strtod: blanks before the number pass,
 * nothing at all is 0, a NUL ends the text, and what overflows is infinite.
 */
export function parseDoubleLoosely(h: Heap, offset: number, length: number): boolean {
  if (parsePlainDouble(h.u8, offset, length)) return true;
  let text = h.latin1(offset, length);
  const nul = text.indexOf('\0');
  if (nul >= 0) text = text.slice(0, nul);
  if (text === '') {
    parsedDouble = 0;
    return true;
  }
  return parseText(text.replace(/^[ \t\n\v\f\r]+/, ''));
}

/**
 * The 17 significant digits of a finite magnitude in exponential form. JavaScript rounds a tie up where C rounds it to even; only a
 * value with exactly 18 digits, the last of them a 5, is one, and then it is a multiple of 2^-25.
 */
function exponential17(magnitude: number): string {
  const text = magnitude.toExponential(16);
  if (!Number.isInteger(magnitude * 33_554_432)) return text;
  const exact = magnitude.toExponential(80);
  if (!/^.{18}50*e/.test(exact)) return text;
  const lastKept = exact.charCodeAt(17) - 48;
  return lastKept % 2 === 0 ? exact.slice(0, 18) + exact.slice(exact.indexOf('e')) : text;
}

/** A double as printf's %.17g writes it; "inf", "-inf" and "nan" for what is no number. */
export function formatDouble17(value: number): string {
  if (Number.isInteger(value) && value < 1e17 && value > -1e17) {
    if (Number.isSafeInteger(value)) return Object.is(value, -0) ? '-0' : String(value);
    return BigInt(value).toString();
  }
  if (!Number.isFinite(value)) return Number.isNaN(value) ? 'nan' : value < 0 ? '-inf' : 'inf';
  // So few binary digits behind the point and so few before it that the shortest text is the exact one.
  if (value < 1e9 && value > -1e9 && Number.isInteger(value * 64)) return String(value);
  const sign = value < 0 ? '-' : '';
  const text = exponential17(Math.abs(value));
  const at = text.indexOf('e');
  const exponent = Number(text.slice(at + 1));
  const digits = (text[0]! + text.slice(2, at)).replace(/0+$/, '');
  if (exponent < -4 || exponent >= 17) {
    const size = Math.abs(exponent);
    const power = `e${exponent < 0 ? '-' : '+'}${size < 10 ? '0' : ''}${size}`;
    return `${sign}${digits[0]}${digits.length > 1 ? `.${digits.slice(1)}` : ''}${power}`;
  }
  if (exponent < 0) return `${sign}0.${'0'.repeat(-exponent - 1)}${digits}`;
  const whole = digits.slice(0, exponent + 1).padEnd(exponent + 1, '0');
  const fraction = digits.slice(exponent + 1);
  return `${sign}${whole}${fraction === '' ? '' : `.${fraction}`}`;
}

/** Stores a double in the form of %.17g, at most DOUBLE_TEXT_MAX bytes. @returns the offset behind it */
export function putDouble17(h: Heap, at: number, value: number): number {
  if (Number.isSafeInteger(value)) {
    if (value > 0) return putUint(h.u8, at, value);
    if (value < 0) {
      h.u8[at] = 45;
      return putUint(h.u8, at + 1, -value);
    }
  }
  return h.putLatin1(formatDouble17(value), at);
}

/** Beyond these decimal exponents an approximation would lose digits. */
const APPROXIMATE_EXPONENT_MAX = 290;

/** What a text in the form of %.17g stands for, right to 14 digits and much faster than exactly; NaN: it has to be read exactly. */
export function approximateDouble(u8: Uint8Array, offset: number, length: number): number {
  const end = offset + length;
  const negative = u8[offset] === 45;
  let at = negative ? offset + 1 : offset;
  let value = 0;
  let scale = 0;
  let step = 0;
  for (; at < end; at++) {
    const digit = u8[at] - 48;
    if (digit >= 0 && digit <= 9) {
      value = value * 10 + digit;
      scale += step;
    } else if (digit === -2) {
      step = -1;
    } else {
      break;
    }
  }
  if (at < end) {
    if (u8[at] !== 101) return Number.NaN;
    const down = u8[at + 1] === 45;
    let exponent = 0;
    for (at += 2; at < end; at++) exponent = exponent * 10 + (u8[at] - 48);
    scale += down ? -exponent : exponent;
  }
  if (!(scale >= -APPROXIMATE_EXPONENT_MAX && scale <= APPROXIMATE_EXPONENT_MAX)) return Number.NaN;
  value *= 10 ** scale;
  return negative ? -value : value;
}

/** Whether the original stores a score as an integer: those that half of a 64-bit integer's range holds. */
export function isIntegerScore(value: number): boolean {
  return value >= -INTEGER_SCORE_MAX && value <= INTEGER_SCORE_MAX && Number.isInteger(value);
}
