/**
 * Base64 in memory, for the keys of meta commands. Decoding is as lenient as memcached's: bytes that are no Base64 are skipped, and what
 * follows padded characters is ignored.
 */

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';
const PAD = 61;
const FOREIGN = 255;

const ENCODE = Uint8Array.from(ALPHABET, (character) => character.charCodeAt(0));
const DECODE = new Uint8Array(256).fill(FOREIGN);
ENCODE.forEach((byte, value) => {
  DECODE[byte] = value;
});
DECODE[PAD] = 0;

/** Longest Base64 of so many bytes. */
export function base64Bytes(length: number): number {
  return Math.ceil(length / 3) * 4;
}

/** Stores the Base64 of [at, at + length) at `out`. @returns its end */
export function encodeBase64(u8: Uint8Array, at: number, length: number, out: number): number {
  const end = at + length;
  for (; end - at >= 3; at += 3) {
    u8[out] = ENCODE[u8[at] >> 2];
    u8[out + 1] = ENCODE[((u8[at] & 3) << 4) | (u8[at + 1] >> 4)];
    u8[out + 2] = ENCODE[((u8[at + 1] & 15) << 2) | (u8[at + 2] >> 6)];
    u8[out + 3] = ENCODE[u8[at + 2] & 63];
    out += 4;
  }
  if (at === end) return out;
  const second = end - at === 2 ? u8[at + 1] : 0;
  u8[out] = ENCODE[u8[at] >> 2];
  u8[out + 1] = ENCODE[((u8[at] & 3) << 4) | (second >> 4)];
  u8[out + 2] = end - at === 2 ? ENCODE[(second & 15) << 2] : PAD;
  u8[out + 3] = PAD;
  return out + 4;
}

/** Decodes [at, at + length) in place. @returns how many bytes that are, 0 when it is not whole or wrongly padded */
export function decodeBase64InPlace(u8: Uint8Array, at: number, length: number): number {
  const end = at + length;
  let known = 0;
  for (let p = at; p < end; p++) if (DECODE[u8[p]] !== FOREIGN) known++;
  if (known === 0 || known % 4 !== 0) return 0;
  let out = at;
  let group = 0;
  let count = 0;
  let padding = 0;
  for (let p = at; p < end; p++) {
    const value = DECODE[u8[p]];
    if (value === FOREIGN) continue;
    if (u8[p] === PAD) padding++;
    group = (group << 6) | value;
    if (++count < 4) continue;
    if (padding > 2) return 0;
    u8[out] = group >> 16;
    u8[out + 1] = group >> 8;
    u8[out + 2] = group;
    out += 3 - padding;
    if (padding > 0) break;
    group = 0;
    count = 0;
  }
  return out - at;
}
