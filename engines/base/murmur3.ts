/** MurmurHash3_x86_32 (Austin Appleby, public domain algorithm): memcached's default hash, with seed 0. */

/**
 * @param seed 32 bits
 * @returns the hash as a signed 32-bit integer (`>>> 0` makes it unsigned): such a number never needs a heap box
 */
export function murmur3(view: DataView, offset: number, length: number, seed = 0): number {
  let h = seed | 0;
  const blocksEnd = offset + (length & ~3);
  let i = offset;
  for (; i < blocksEnd; i += 4) {
    let k = view.getInt32(i, true);
    k = Math.imul(k, 0xcc9e2d51);
    k = (k << 15) | (k >>> 17);
    h ^= Math.imul(k, 0x1b873593);
    h = (h << 13) | (h >>> 19);
    h = (Math.imul(h, 5) + 0xe6546b64) | 0;
  }
  const rest = length & 3;
  if (rest > 0) {
    let k = view.getUint8(i);
    if (rest > 1) k |= view.getUint8(i + 1) << 8;
    if (rest > 2) k |= view.getUint8(i + 2) << 16;
    k = Math.imul(k, 0xcc9e2d51);
    k = (k << 15) | (k >>> 17);
    h ^= Math.imul(k, 0x1b873593);
  }
  h ^= length;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return h ^ (h >>> 16);
}
