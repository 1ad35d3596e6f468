/** Bob Jenkins' lookup3 hash `hashlittle` (2006, public domain algorithm): memcached's `hash_algorithm=jenkins`, with initial value 0. */

/** The byte at `i`, or 0 from `end` on: the last block is padded with zeros. */
function byteOrZero(view: DataView, i: number, end: number): number {
  return i < end ? view.getUint8(i) : 0;
}

/** Four bytes, little-endian, zeros from `end` on. */
function wordOrZero(view: DataView, i: number, end: number): number {
  return (
    byteOrZero(view, i, end) |
    (byteOrZero(view, i + 1, end) << 8) |
    (byteOrZero(view, i + 2, end) << 16) |
    (byteOrZero(view, i + 3, end) << 24)
  );
}

/**
 * @param initial 32 bits: the previous hash, or any value
 * @returns the hash as a signed 32-bit integer
 */
export function jenkins(view: DataView, offset: number, length: number, initial = 0): number {
  let a = (0xdeadbeef + length + initial) | 0;
  let b = a;
  let c = a;
  const end = offset + length;
  let i = offset;
  for (; end - i > 12; i += 12) {
    a = (a + view.getInt32(i, true)) | 0;
    b = (b + view.getInt32(i + 4, true)) | 0;
    c = (c + view.getInt32(i + 8, true)) | 0;
    a = ((a - c) | 0) ^ ((c << 4) | (c >>> 28));
    c = (c + b) | 0;
    b = ((b - a) | 0) ^ ((a << 6) | (a >>> 26));
    a = (a + c) | 0;
    c = ((c - b) | 0) ^ ((b << 8) | (b >>> 24));
    b = (b + a) | 0;
    a = ((a - c) | 0) ^ ((c << 16) | (c >>> 16));
    c = (c + b) | 0;
    b = ((b - a) | 0) ^ ((a << 19) | (a >>> 13));
    a = (a + c) | 0;
    c = ((c - b) | 0) ^ ((b << 4) | (b >>> 28));
    b = (b + a) | 0;
  }
  if (end === i) return c;
  a = (a + wordOrZero(view, i, end)) | 0;
  b = (b + wordOrZero(view, i + 4, end)) | 0;
  c = (c + wordOrZero(view, i + 8, end)) | 0;
  c = ((c ^ b) - ((b << 14) | (b >>> 18))) | 0;
  a = ((a ^ c) - ((c << 11) | (c >>> 21))) | 0;
  b = ((b ^ a) - ((a << 25) | (a >>> 7))) | 0;
  c = ((c ^ b) - ((b << 16) | (b >>> 16))) | 0;
  a = ((a ^ c) - ((c << 4) | (c >>> 28))) | 0;
  b = ((b ^ a) - ((a << 14) | (a >>> 18))) | 0;
  return ((c ^ b) - ((b << 24) | (b >>> 8))) | 0;
}
