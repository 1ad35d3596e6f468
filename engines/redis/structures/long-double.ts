/**
 * The arithmetic of INCRBYFLOAT. The original computes in the x87's long double with 64 bits of mantissa; a JavaScript number
 * has 53. A value is kept here as mantissa × 2^exponent over bigints and rounded to 64 bits, half to even, after each step.
 */

export interface LongDouble {
  /** Signed; at most 64 bits of magnitude. */
  readonly mantissa: bigint;
  readonly exponent: number;
  /** 0: finite, 1 or -1: infinite. */
  readonly infinite: number;
}

const MANTISSA_BITS = 64;
/** The largest finite value lies below 2^16384; the smallest positive one is 2^-16445. */
const MAX_EXPONENT = 16_384;
const MIN_EXPONENT = -16_445;
/** Decimal exponents beyond these overflow or vanish whatever the digits are. */
const MAX_DECIMAL_EXPONENT = 5_000;
const MIN_DECIMAL_EXPONENT = -10_500;
/** Texts of this length and longer are refused, as by the original's buffer. */
const MAX_TEXT = 5 * 1024;
/** Digits behind the point that are printed. */
const PRINTED_DIGITS = 17;

function bitLength(value: bigint): number {
  return value === 0n
    ? 0
    : value.toString(16).length * 4 - Math.clz32(Number.parseInt(value.toString(16)[0]!, 16)) + 28;
}

/** Rounds numerator / denominator × 2^exponent, both positive, to the format. */
function roundRatio(sign: bigint, numerator: bigint, denominator: bigint, exponent: number): LongDouble {
  if (numerator === 0n) return { mantissa: 0n, exponent: 0, infinite: 0 };
  // Scale so that the quotient has some bits more than needed; what is cut off only matters as a sticky bit.
  let shift = MANTISSA_BITS + 2 - (bitLength(numerator) - bitLength(denominator));
  let scaled = shift >= 0 ? (numerator << BigInt(shift)) / denominator : numerator / (denominator << BigInt(-shift));
  const exact =
    shift >= 0
      ? scaled * denominator === numerator << BigInt(shift)
      : scaled * (denominator << BigInt(-shift)) === numerator;
  if (!exact) {
    scaled = (scaled << 1n) | 1n;
    shift++;
  }
  let e = exponent - shift;
  let cut = bitLength(scaled) - MANTISSA_BITS;
  if (e + cut < MIN_EXPONENT) cut = MIN_EXPONENT - e;
  if (cut > 0) {
    const low = scaled & ((1n << BigInt(cut)) - 1n);
    const half = 1n << BigInt(cut - 1);
    scaled >>= BigInt(cut);
    if (low > half || (low === half && (scaled & 1n) === 1n)) scaled++;
    e += cut;
  }
  if (scaled !== 0n && bitLength(scaled) + e > MAX_EXPONENT) {
    return { mantissa: 0n, exponent: 0, infinite: sign < 0n ? -1 : 1 };
  }
  return { mantissa: sign * scaled, exponent: e, infinite: 0 };
}

export function longDoubleFromBigInt(value: bigint): LongDouble {
  return roundRatio(value < 0n ? -1n : 1n, value < 0n ? -value : value, 1n, 0);
}

const DECIMAL = /^([+-]?)(\d*)(?:\.(\d*))?(?:e([+-]?\d+))?$/i;
const HEXADECIMAL = /^([+-]?)0x([0-9a-f]*)(?:\.([0-9a-f]*))?(?:p([+-]?\d+))?$/i;
const INFINITE = /^([+-]?)inf(?:inity)?$/i;

/** Reads what strtold accepts whole. @returns null for anything else, for NaN, and where the value overflows or vanishes */
export function parseLongDouble(text: string): LongDouble | null {
  if (text.length === 0 || text.length >= MAX_TEXT) return null;
  const infinite = INFINITE.exec(text);
  if (infinite) return { mantissa: 0n, exponent: 0, infinite: infinite[1] === '-' ? -1 : 1 };
  const decimal = DECIMAL.exec(text);
  const parts = decimal ?? HEXADECIMAL.exec(text);
  if (parts === null) return null;
  const whole = parts[2] ?? '';
  const fraction = parts[3] ?? '';
  if (whole.length + fraction.length === 0) return null;
  const sign = parts[1] === '-' ? -1n : 1n;
  const power = parts[4] === undefined ? 0 : Number(parts[4]);
  const digits = BigInt((decimal ? '' : '0x') + whole + fraction);
  if (digits === 0n) return { mantissa: 0n, exponent: 0, infinite: 0 };
  let value: LongDouble;
  if (decimal) {
    const magnitude = power + whole.length;
    if (magnitude > MAX_DECIMAL_EXPONENT + MAX_TEXT || magnitude < MIN_DECIMAL_EXPONENT - MAX_TEXT) return null;
    const scale = power - fraction.length;
    value =
      scale >= 0
        ? roundRatio(sign, digits * 10n ** BigInt(scale), 1n, 0)
        : roundRatio(sign, digits, 10n ** BigInt(-scale), 0);
  } else {
    if (Math.abs(power) > 4 * MAX_TEXT + MAX_EXPONENT) return null;
    value = roundRatio(sign, digits, 1n, power - 4 * fraction.length);
  }
  return value.infinite !== 0 || value.mantissa === 0n ? null : value;
}

export function addLongDoubles(a: LongDouble, b: LongDouble): LongDouble | null {
  if (a.infinite !== 0 || b.infinite !== 0) {
    if (a.infinite !== 0 && b.infinite !== 0 && a.infinite !== b.infinite) return null;
    return a.infinite !== 0 ? a : b;
  }
  const exponent = Math.min(a.exponent, b.exponent);
  const sum = (a.mantissa << BigInt(a.exponent - exponent)) + (b.mantissa << BigInt(b.exponent - exponent));
  return roundRatio(sum < 0n ? -1n : 1n, sum < 0n ? -sum : sum, 1n, exponent);
}

/** Prints with up to 17 digits behind the point and no trailing zeros: the original's "human" format. */
export function formatLongDouble(value: LongDouble): string {
  const negative = value.mantissa < 0n;
  const magnitude = negative ? -value.mantissa : value.mantissa;
  let scaled = magnitude * 10n ** BigInt(PRINTED_DIGITS);
  if (value.exponent >= 0) {
    scaled <<= BigInt(value.exponent);
  } else {
    const cut = BigInt(-value.exponent);
    const low = scaled & ((1n << cut) - 1n);
    const half = 1n << (cut - 1n);
    scaled >>= cut;
    if (low > half || (low === half && (scaled & 1n) === 1n)) scaled++;
  }
  const digits = scaled.toString().padStart(PRINTED_DIGITS + 1, '0');
  const whole = digits.slice(0, -PRINTED_DIGITS);
  const fraction = digits.slice(-PRINTED_DIGITS).replace(/0+$/, '');
  const text = fraction === '' ? whole : `${whole}.${fraction}`;
  return negative && text !== '0' ? `-${text}` : text;
}
