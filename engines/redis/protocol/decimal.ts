/** Integers in decimal, written without strings. */

/** Stores digits that arithmetic of 53 bits cannot find. @returns the offset behind them */
function putDigits(u8: Uint8Array, at: number, value: bigint): number {
  const text = value.toString();
  for (let i = 0; i < text.length; i++) u8[at + i] = text.charCodeAt(i);
  return at + text.length;
}

/** Stores a non-negative integer below 2^64 in decimal: at most 20 bytes. @returns the offset behind it */
export function putUint(u8: Uint8Array, at: number, value: number): number {
  if (value < 10) {
    u8[at] = 48 + value;
    return at + 1;
  }
  if (value > Number.MAX_SAFE_INTEGER) return putDigits(u8, at, BigInt(value));
  let digits = 2;
  for (let limit = 100; value >= limit && digits < 16; limit *= 10) digits++;
  const end = at + digits;
  let p = end;
  let v = value;
  while (v > 0x3fffffff) {
    const q = Math.floor(v / 10);
    u8[--p] = 48 + (v - q * 10);
    v = q;
  }
  let n = v | 0;
  while (p > at) {
    const q = (n / 10) | 0;
    u8[--p] = 48 + (n - q * 10);
    n = q;
  }
  return end;
}

/** Stores a 64-bit integer (low word unsigned, high word signed) in decimal: at most 20 bytes. @returns the offset behind it */
export function putInt64(u8: Uint8Array, at: number, low: number, high: number): number {
  const value = high * 4294967296 + low;
  if (Number.isSafeInteger(value)) {
    if (value >= 0) return putUint(u8, at, value);
    u8[at] = 45;
    return putUint(u8, at + 1, -value);
  }
  return putDigits(u8, at, (BigInt(high) << 32n) | BigInt(low));
}
