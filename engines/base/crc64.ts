/**
 * CRC-64 with the Jones polynomial, reflected, start 0 and no final inversion: the checksum at the end of RDB files and DUMP payloads.
 * Eight bytes a step ("slicing by eight"), each table entry as two 32-bit halves.
 */

/** 0xad93d23594c935a9 with its bits reversed. */
const POLYNOMIAL_LOW = 0xac4bc9b5 | 0;
const POLYNOMIAL_HIGH = 0x95ac9329 | 0;

/** Tables by distance (0 to 7) and byte. */
const LOW = new Int32Array(8 * 256);
const HIGH = new Int32Array(8 * 256);
for (let byte = 0; byte < 256; byte++) {
  let low = byte;
  let high = 0;
  for (let bit = 0; bit < 8; bit++) {
    const out = low & 1;
    low = (low >>> 1) | (high << 31);
    high >>>= 1;
    if (out === 1) {
      low ^= POLYNOMIAL_LOW;
      high ^= POLYNOMIAL_HIGH;
    }
  }
  LOW[byte] = low;
  HIGH[byte] = high;
}
for (let i = 256; i < 8 * 256; i++) {
  const low = LOW[i - 256];
  const high = HIGH[i - 256];
  LOW[i] = ((low >>> 8) | (high << 24)) ^ LOW[low & 255];
  HIGH[i] = (high >>> 8) ^ HIGH[low & 255];
}

/**
 * Carries a checksum on over more bytes.
 * @param state [low, high] halves as signed integers, [0, 0] at the start; changed in place
 */
export function crc64Update(state: Int32Array, u8: Uint8Array, offset: number, length: number): void {
  let low = state[0];
  let high = state[1];
  let i = offset;
  const end = offset + length;
  for (; i + 8 <= end; i += 8) {
    low ^= u8[i] | (u8[i + 1] << 8) | (u8[i + 2] << 16) | (u8[i + 3] << 24);
    high ^= u8[i + 4] | (u8[i + 5] << 8) | (u8[i + 6] << 16) | (u8[i + 7] << 24);
    const a = 1792 + (low & 255);
    const b = 1536 + ((low >>> 8) & 255);
    const c = 1280 + ((low >>> 16) & 255);
    const d = 1024 + (low >>> 24);
    const e = 768 + (high & 255);
    const f = 512 + ((high >>> 8) & 255);
    const g = 256 + ((high >>> 16) & 255);
    const h = high >>> 24;
    low = LOW[a] ^ LOW[b] ^ LOW[c] ^ LOW[d] ^ LOW[e] ^ LOW[f] ^ LOW[g] ^ LOW[h];
    high = HIGH[a] ^ HIGH[b] ^ HIGH[c] ^ HIGH[d] ^ HIGH[e] ^ HIGH[f] ^ HIGH[g] ^ HIGH[h];
  }
  for (; i < end; i++) {
    const byte = (low ^ u8[i]) & 255;
    low = ((low >>> 8) | (high << 24)) ^ LOW[byte];
    high = (high >>> 8) ^ HIGH[byte];
  }
  state[0] = low;
  state[1] = high;
}

/** The checksum of one stretch of bytes as an unsigned 64-bit BigInt (not for hot paths). */
export function crc64(u8: Uint8Array, offset = 0, length = u8.length - offset): bigint {
  const state = new Int32Array(2);
  crc64Update(state, u8, offset, length);
  return (BigInt(state[1] >>> 0) << 32n) | BigInt(state[0] >>> 0);
}
