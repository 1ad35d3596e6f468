/** Numbers as the C library and memcached's own helpers read them from a command line. */
import { parseDouble } from '../memcached/numbers.ts';

const UINT32 = 2 ** 32;
const INT64_MAX = 2n ** 63n - 1n;

/** As atoi: the number at the start, 0 without one. It is read as 64 bits, at most the largest of them, and then cut to 32. */
export function atoi(text: string): number {
  const match = /^\s*([+-]?)(\d+)/.exec(text);
  if (match === null) return 0;
  const magnitude = BigInt(match[2]!);
  const value = match[1] === '-' ? -magnitude : magnitude;
  if (value > INT64_MAX) return Number(BigInt.asIntN(32, INT64_MAX));
  return value < -INT64_MAX ? 0 : Number(BigInt.asIntN(32, value));
}

/** As atof: the number at the start, be it hexadecimal or `inf`; 0 without one. */
export function atof(text: string): number {
  const special = /^\s*[+-]?(?:0x(?:[\da-f]+\.?[\da-f]*|\.[\da-f]+)(?:p[+-]?\d+)?|inf|nan)/i.exec(text)?.[0];
  return special === undefined ? Number.parseFloat(text) || 0 : (parseDouble(special) ?? 0);
}

/** The digits and their sign, when nothing but white space follows them; else null. */
function whole(text: string): string | null {
  return /^\s*([+-]?\d+)(?:\s|$)/.exec(text)?.[1] ?? null;
}

/** As safe_strtoul with an unsigned 32-bit result: larger numbers lose their upper bits, negative ones are refused. */
export function strictUnsigned(text: string): number | null {
  const digits = whole(text);
  if (digits === null || digits.startsWith('-')) return null;
  const value = Number(digits);
  return value < 2 ** 64 ? Number(BigInt(digits.replace('+', '')) % BigInt(UINT32)) : null;
}

/** As safe_strtol: a signed 64-bit number cut to 32 bits. */
export function strictSigned(text: string): number | null {
  const digits = whole(text);
  if (digits === null) return null;
  const value = BigInt(digits.replace('+', ''));
  return value > INT64_MAX || value < -INT64_MAX - 1n ? null : Number(BigInt.asIntN(32, value));
}

/** As safe_strtod: a number that nothing but white space follows. */
export function strictFloat(text: string): number | null {
  return parseDouble(text);
}
