/** SipHash-1-2 of a key, the hash of every table: keyed, so that a client cannot choose keys that collide. */

/**
 * @param view a view of the same bytes as `u8`
 * @param key k0 low, k0 high, k1 low, k1 high
 * @returns the low 32 bits of the hash, unsigned; no table has more buckets than that
 */
export function keyHash(u8: Uint8Array, view: DataView, offset: number, length: number, key: Uint32Array): number {
  let v0l = 0x70736575 ^ key[0];
  let v0h = 0x736f6d65 ^ key[1];
  let v1l = 0x6e646f6d ^ key[2];
  let v1h = 0x646f7261 ^ key[3];
  let v2l = 0x6e657261 ^ key[0];
  let v2h = 0x6c796765 ^ key[1];
  let v3l = 0x79746573 ^ key[2];
  let v3h = 0x74656462 ^ key[3];
  const blocks = length >>> 3;
  const last = blocks + 2;
  let at = offset;
  // One round a block, the last block being the tail with the length, then two rounds to finish.
  for (let i = 0; i <= last; i++) {
    let ml = 0;
    let mh = 0;
    if (i < blocks) {
      ml = view.getInt32(at, true);
      mh = view.getInt32(at + 4, true);
      at += 8;
      v3l ^= ml;
      v3h ^= mh;
    } else if (i === blocks) {
      const left = length & 7;
      mh = length << 24;
      for (let k = 0; k < left; k++) {
        if (k < 4) ml |= u8[at + k] << (k << 3);
        else mh |= u8[at + k] << ((k - 4) << 3);
      }
      v3l ^= ml;
      v3h ^= mh;
    } else if (i === blocks + 1) {
      v2l ^= 0xff;
    }
    let l = (v0l + v1l) | 0;
    v0h = (v0h + v1h + (l >>> 0 < v0l >>> 0 ? 1 : 0)) | 0;
    v0l = l;
    let t = (v1l << 13) | (v1h >>> 19);
    v1h = ((v1h << 13) | (v1l >>> 19)) ^ v0h;
    v1l = t ^ v0l;
    t = v0l;
    v0l = v0h;
    v0h = t;
    l = (v2l + v3l) | 0;
    v2h = (v2h + v3h + (l >>> 0 < v2l >>> 0 ? 1 : 0)) | 0;
    v2l = l;
    t = (v3l << 16) | (v3h >>> 16);
    v3h = ((v3h << 16) | (v3l >>> 16)) ^ v2h;
    v3l = t ^ v2l;
    l = (v0l + v3l) | 0;
    v0h = (v0h + v3h + (l >>> 0 < v0l >>> 0 ? 1 : 0)) | 0;
    v0l = l;
    t = (v3l << 21) | (v3h >>> 11);
    v3h = ((v3h << 21) | (v3l >>> 11)) ^ v0h;
    v3l = t ^ v0l;
    l = (v2l + v1l) | 0;
    v2h = (v2h + v1h + (l >>> 0 < v2l >>> 0 ? 1 : 0)) | 0;
    v2l = l;
    t = (v1l << 17) | (v1h >>> 15);
    v1h = ((v1h << 17) | (v1l >>> 15)) ^ v2h;
    v1l = t ^ v2l;
    t = v2l;
    v2l = v2h;
    v2h = t;
    if (i <= blocks) {
      v0l ^= ml;
      v0h ^= mh;
    }
  }
  // Signed, as that is what a small integer is: no number has to be allocated for the result.
  return v0l ^ v1l ^ v2l ^ v3l;
}
