/**
 * Quantities as people write them in a scenario: "100 MiB", "250ms", "5000/s", "50%". A reader returns the plain number, or a text
 * that says what is wrong; it never guesses a unit, because a wrong guess measures the wrong thing.
 */

/** A number, or why there is none (a phrase that follows the field's name). */
export type Quantity = number | { error: string };

/** A number without sign for what cannot be negative: digits may be grouped by "_", an exponent is allowed. */
const NUMBER = /^\s*([+-]?(?:\d[\d_]*\.?\d*|\.\d+)(?:e[+-]?\d+)?)\s*([a-z%µ/]*)\s*$/i;
const MAX_TEXT = 100;

/** As in redis.conf: k, m, g are powers of 1000; kb, mb, gb (and KiB, MiB, GiB) powers of 1024. */
const BYTE_UNITS: Record<string, number> = {
  '': 1,
  b: 1,
  byte: 1,
  bytes: 1,
  k: 1e3,
  kb: 1024,
  kib: 1024,
  m: 1e6,
  mb: 1024 ** 2,
  mib: 1024 ** 2,
  g: 1e9,
  gb: 1024 ** 3,
  gib: 1024 ** 3,
};

/** In seconds. */
const TIME_UNITS: Record<string, number> = {
  us: 1e-6,
  µs: 1e-6,
  ms: 1e-3,
  s: 1,
  sec: 1,
  m: 60,
  min: 60,
  h: 3600,
  d: 86_400,
};

const COUNT_UNITS: Record<string, number> = { '': 1, k: 1e3, m: 1e6, g: 1e9 };

const RATE_UNITS: Record<string, number> = {
  '/s': 1,
  'k/s': 1e3,
  'm/s': 1e6,
  '/min': 1 / 60,
};

function split(text: string): { number: number; unit: string } | null {
  const match = text.length > MAX_TEXT ? null : NUMBER.exec(text);
  if (match === null) return null;
  const number = Number(match[1].replaceAll('_', ''));
  return Number.isFinite(number) ? { number, unit: match[2].toLowerCase() } : null;
}

/** A text as an error may show it: short, on one line. */
export function quote(text: string): string {
  const line = text.replace(/[^\x20-\x7e\xa0-\uffff]/g, '?');
  return `"${line.length > 60 ? `${line.slice(0, 57)}...` : line}"`;
}

function read(
  value: string | number,
  units: Record<string, number>,
  bareNumber: boolean,
  what: string,
  example: string,
): Quantity {
  if (typeof value === 'number') {
    if (!Number.isFinite(value)) return { error: `must be ${what} such as ${example}, not ${value}` };
    if (!bareNumber && value !== 0) return { error: `has no unit: write ${what} such as ${example}` };
    return value;
  }
  const parts = split(value);
  if (parts === null) return { error: `must be ${what} such as ${example}, not ${quote(value)}` };
  const { number, unit } = parts;
  if (!Object.hasOwn(units, unit)) {
    if (unit === '' && number === 0) return 0;
    if (unit === '') return { error: `has no unit: write ${what} such as ${example}` };
    const known = Object.keys(units).filter((name) => name !== '');
    return { error: `has the wrong unit ${quote(unit)}: ${what} takes ${known.join(', ')}, for example ${example}` };
  }
  return number * units[unit];
}

/** @returns whole bytes */
export function readBytes(value: string | number): Quantity {
  const bytes = read(value, BYTE_UNITS, true, 'a size', '100 B, 64 KiB or 512mb');
  if (typeof bytes !== 'number') return bytes;
  const whole = Math.round(bytes);
  // 0.1 mb is no whole number of bytes, but nobody means the fraction; half a byte by itself is a mistake.
  if (Math.abs(whole - bytes) > 0.5 || (bytes < 64 && whole !== bytes)) return { error: 'must be whole bytes' };
  return whole;
}

/** @returns seconds */
export function readSeconds(value: string | number): Quantity {
  return read(value, TIME_UNITS, false, 'a duration', '250ms, 10s or 5min');
}

/** @returns milliseconds */
export function readMilliseconds(value: string | number): Quantity {
  const seconds = readSeconds(value);
  // Rounded to nanoseconds: 250 * 0.001 * 1000 must be 250 again.
  return typeof seconds === 'number' ? Math.round(seconds * 1e9) / 1e6 : seconds;
}

/** @returns operations per second */
export function readRate(value: string | number): Quantity {
  return read(value, RATE_UNITS, false, 'a rate', '5000/s or 20k/s');
}

/** @returns a share: 0.5 for "50%" and for 0.5 */
export function readShare(value: string | number): Quantity {
  return read(value, { '': 1, '%': 0.01 }, true, 'a share', '50% or 0.5');
}

/** @returns a number of things: 100_000, 100k, 1M */
export function readCount(value: string | number): Quantity {
  return read(value, COUNT_UNITS, true, 'a number', '100_000, 100k or 1M');
}
