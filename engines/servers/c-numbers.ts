/** Numbers as the C library and memcached's own helpers read them from a command line. */

const UINT32 = 2 ** 32;
const INT32_MAX = 2 ** 31 - 1;

/** As atoi: the number at the start, 0 without one. */
export function atoi(text: string): number {
  const match = /^\s*[+-]?\d+/.exec(text);
  return match === null ? 0 : Number(match[0]) | 0;
}

/** As atof: the number at the start, 0 without one. */
export function atof(text: string): number {
  return Number.parseFloat(text) || 0;
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

/** As safe_strtol: a signed 32-bit number. */
export function strictSigned(text: string): number | null {
  const digits = whole(text);
  if (digits === null) return null;
  const value = Number(digits);
  return value > INT32_MAX || value < -INT32_MAX - 1 ? null : value;
}

/** As safe_strtod: a decimal number that nothing but white space follows. */
export function strictFloat(text: string): number | null {
  const digits = /^\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)(?:\s|$)/i.exec(text)?.[1];
  return digits === undefined ? null : Number(digits);
}
