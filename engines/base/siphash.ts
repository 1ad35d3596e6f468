/**
 * SipHash (Aumasson and Bernstein, 2012), a keyed hash whose collisions cannot be planned by who does not know the key. Redis
 * hashes its dictionaries with the variant of 1 and 2 rounds; 2 and 4 is the published standard.
 *
 * Its 64-bit words are kept as pairs of 32-bit integers: a BigInt per operation would cost more than the whole hash.
 */

/** The high 32 bits of the last hash, as a signed integer, at index 0. */
export const sipHashHigh = new Int32Array(1);

/**
 * SipHash with `compress` rounds a block and `finish` rounds at the end.
 * @param k0lo, k0hi, k1lo, k1hi the 128-bit key as two little-endian words, each in halves
 * @returns the low 32 bits as a signed integer; the high ones are left in `sipHashHigh[0]`
 */
function sipHash(
  u8: Uint8Array,
  offset: number,
  length: number,
  k0lo: number,
  k0hi: number,
  k1lo: number,
  k1hi: number,
  compress: number,
  finish: number,
): number {
  let v0l = k0lo ^ 0x70736575;
  let v0h = k0hi ^ 0x736f6d65;
  let v1l = k1lo ^ 0x6e646f6d;
  let v1h = k1hi ^ 0x646f7261;
  let v2l = k0lo ^ 0x6e657261;
  let v2h = k0hi ^ 0x6c796765;
  let v3l = k1lo ^ 0x79746573;
  let v3h = k1hi ^ 0x74656462;
  const blocks = length >>> 3;
  let i = offset;
  // Whole blocks, then the last one with the length in its top byte, then the finishing rounds: one body for all.
  for (let block = 0; block <= blocks + 1; block++) {
    let ml = 0;
    let mh = 0;
    let rounds = compress;
    if (block < blocks) {
      ml = u8[i] | (u8[i + 1] << 8) | (u8[i + 2] << 16) | (u8[i + 3] << 24);
      mh = u8[i + 4] | (u8[i + 5] << 8) | (u8[i + 6] << 16) | (u8[i + 7] << 24);
      i += 8;
    } else if (block === blocks) {
      mh = length << 24;
      const rest = length & 7;
      for (let b = 0; b < rest; b++) {
        if (b < 4) ml |= u8[i + b] << (b << 3);
        else mh |= u8[i + b] << ((b - 4) << 3);
      }
    } else {
      v2l ^= 0xff;
      rounds = finish;
    }
    v3l ^= ml;
    v3h ^= mh;
    for (; rounds > 0; rounds--) {
      // A sum's carry: the low half came out smaller than one of its terms.
      let low = (v0l + v1l) | 0;
      v0h = (v0h + v1h + (low >>> 0 < v1l >>> 0 ? 1 : 0)) | 0;
      v0l = low;
      low = (v1l << 13) | (v1h >>> 19);
      v1h = ((v1h << 13) | (v1l >>> 19)) ^ v0h;
      v1l = low ^ v0l;
      low = v0l;
      v0l = v0h;
      v0h = low;

      low = (v2l + v3l) | 0;
      v2h = (v2h + v3h + (low >>> 0 < v3l >>> 0 ? 1 : 0)) | 0;
      v2l = low;
      low = (v3l << 16) | (v3h >>> 16);
      v3h = ((v3h << 16) | (v3l >>> 16)) ^ v2h;
      v3l = low ^ v2l;

      low = (v0l + v3l) | 0;
      v0h = (v0h + v3h + (low >>> 0 < v3l >>> 0 ? 1 : 0)) | 0;
      v0l = low;
      low = (v3l << 21) | (v3h >>> 11);
      v3h = ((v3h << 21) | (v3l >>> 11)) ^ v0h;
      v3l = low ^ v0l;

      low = (v2l + v1l) | 0;
      v2h = (v2h + v1h + (low >>> 0 < v1l >>> 0 ? 1 : 0)) | 0;
      v2l = low;
      low = (v1l << 17) | (v1h >>> 15);
      v1h = ((v1h << 17) | (v1l >>> 15)) ^ v2h;
      v1l = low ^ v2l;
      low = v2l;
      v2l = v2h;
      v2h = low;
    }
    v0l ^= ml;
    v0h ^= mh;
  }
  sipHashHigh[0] = v0h ^ v1h ^ v2h ^ v3h;
  return v0l ^ v1l ^ v2l ^ v3l;
}

/**
 * SipHash-1-2, Redis's dictionary hash. See `sipHash` for parameters and result. Its four rounds are written out: measured on keys of 20
 * bytes that takes 32 ns instead of 44, and every command on a key pays for it.
 */
export function sipHash12(
  u8: Uint8Array,
  offset: number,
  length: number,
  k0lo: number,
  k0hi: number,
  k1lo: number,
  k1hi: number,
): number {
  let v0l = k0lo ^ 0x70736575;
  let v0h = k0hi ^ 0x736f6d65;
  let v1l = k1lo ^ 0x6e646f6d;
  let v1h = k1hi ^ 0x646f7261;
  let v2l = k0lo ^ 0x6e657261;
  let v2h = k0hi ^ 0x6c796765;
  let v3l = k1lo ^ 0x79746573;
  let v3h = k1hi ^ 0x74656462;
  let low = 0;
  const end = offset + (length & ~7);
  let i = offset;
  for (; i < end; i += 8) {
    const wordLow = u8[i] | (u8[i + 1] << 8) | (u8[i + 2] << 16) | (u8[i + 3] << 24);
    const wordHigh = u8[i + 4] | (u8[i + 5] << 8) | (u8[i + 6] << 16) | (u8[i + 7] << 24);
    v3l ^= wordLow;
    v3h ^= wordHigh;
    low = (v0l + v1l) | 0;
    v0h = (v0h + v1h + (low >>> 0 < v1l >>> 0 ? 1 : 0)) | 0;
    v0l = low;
    low = (v1l << 13) | (v1h >>> 19);
    v1h = ((v1h << 13) | (v1l >>> 19)) ^ v0h;
    v1l = low ^ v0l;
    low = v0l;
    v0l = v0h;
    v0h = low;
    low = (v2l + v3l) | 0;
    v2h = (v2h + v3h + (low >>> 0 < v3l >>> 0 ? 1 : 0)) | 0;
    v2l = low;
    low = (v3l << 16) | (v3h >>> 16);
    v3h = ((v3h << 16) | (v3l >>> 16)) ^ v2h;
    v3l = low ^ v2l;
    low = (v0l + v3l) | 0;
    v0h = (v0h + v3h + (low >>> 0 < v3l >>> 0 ? 1 : 0)) | 0;
    v0l = low;
    low = (v3l << 21) | (v3h >>> 11);
    v3h = ((v3h << 21) | (v3l >>> 11)) ^ v0h;
    v3l = low ^ v0l;
    low = (v2l + v1l) | 0;
    v2h = (v2h + v1h + (low >>> 0 < v1l >>> 0 ? 1 : 0)) | 0;
    v2l = low;
    low = (v1l << 17) | (v1h >>> 15);
    v1h = ((v1h << 17) | (v1l >>> 15)) ^ v2h;
    v1l = low ^ v2l;
    low = v2l;
    v2l = v2h;
    v2h = low;
    v0l ^= wordLow;
    v0h ^= wordHigh;
  }
  // The last block: what is left, and the length in its top byte.
  let ml = 0;
  let mh = length << 24;
  const rest = length & 7;
  if (rest >= 4) {
    ml = u8[i] | (u8[i + 1] << 8) | (u8[i + 2] << 16) | (u8[i + 3] << 24);
    if (rest > 4) mh |= u8[i + 4];
    if (rest > 5) mh |= u8[i + 5] << 8;
    if (rest > 6) mh |= u8[i + 6] << 16;
  } else if (rest > 0) {
    ml = u8[i];
    if (rest > 1) ml |= u8[i + 1] << 8;
    if (rest > 2) ml |= u8[i + 2] << 16;
  }
  v3l ^= ml;
  v3h ^= mh;
  low = (v0l + v1l) | 0;
  v0h = (v0h + v1h + (low >>> 0 < v1l >>> 0 ? 1 : 0)) | 0;
  v0l = low;
  low = (v1l << 13) | (v1h >>> 19);
  v1h = ((v1h << 13) | (v1l >>> 19)) ^ v0h;
  v1l = low ^ v0l;
  low = v0l;
  v0l = v0h;
  v0h = low;
  low = (v2l + v3l) | 0;
  v2h = (v2h + v3h + (low >>> 0 < v3l >>> 0 ? 1 : 0)) | 0;
  v2l = low;
  low = (v3l << 16) | (v3h >>> 16);
  v3h = ((v3h << 16) | (v3l >>> 16)) ^ v2h;
  v3l = low ^ v2l;
  low = (v0l + v3l) | 0;
  v0h = (v0h + v3h + (low >>> 0 < v3l >>> 0 ? 1 : 0)) | 0;
  v0l = low;
  low = (v3l << 21) | (v3h >>> 11);
  v3h = ((v3h << 21) | (v3l >>> 11)) ^ v0h;
  v3l = low ^ v0l;
  low = (v2l + v1l) | 0;
  v2h = (v2h + v1h + (low >>> 0 < v1l >>> 0 ? 1 : 0)) | 0;
  v2l = low;
  low = (v1l << 17) | (v1h >>> 15);
  v1h = ((v1h << 17) | (v1l >>> 15)) ^ v2h;
  v1l = low ^ v2l;
  low = v2l;
  v2l = v2h;
  v2h = low;
  v0l ^= ml;
  v0h ^= mh;
  v2l ^= 0xff;
  low = (v0l + v1l) | 0;
  v0h = (v0h + v1h + (low >>> 0 < v1l >>> 0 ? 1 : 0)) | 0;
  v0l = low;
  low = (v1l << 13) | (v1h >>> 19);
  v1h = ((v1h << 13) | (v1l >>> 19)) ^ v0h;
  v1l = low ^ v0l;
  low = v0l;
  v0l = v0h;
  v0h = low;
  low = (v2l + v3l) | 0;
  v2h = (v2h + v3h + (low >>> 0 < v3l >>> 0 ? 1 : 0)) | 0;
  v2l = low;
  low = (v3l << 16) | (v3h >>> 16);
  v3h = ((v3h << 16) | (v3l >>> 16)) ^ v2h;
  v3l = low ^ v2l;
  low = (v0l + v3l) | 0;
  v0h = (v0h + v3h + (low >>> 0 < v3l >>> 0 ? 1 : 0)) | 0;
  v0l = low;
  low = (v3l << 21) | (v3h >>> 11);
  v3h = ((v3h << 21) | (v3l >>> 11)) ^ v0h;
  v3l = low ^ v0l;
  low = (v2l + v1l) | 0;
  v2h = (v2h + v1h + (low >>> 0 < v1l >>> 0 ? 1 : 0)) | 0;
  v2l = low;
  low = (v1l << 17) | (v1h >>> 15);
  v1h = ((v1h << 17) | (v1l >>> 15)) ^ v2h;
  v1l = low ^ v2l;
  low = v2l;
  v2l = v2h;
  v2h = low;
  low = (v0l + v1l) | 0;
  v0h = (v0h + v1h + (low >>> 0 < v1l >>> 0 ? 1 : 0)) | 0;
  v0l = low;
  low = (v1l << 13) | (v1h >>> 19);
  v1h = ((v1h << 13) | (v1l >>> 19)) ^ v0h;
  v1l = low ^ v0l;
  low = v0l;
  v0l = v0h;
  v0h = low;
  low = (v2l + v3l) | 0;
  v2h = (v2h + v3h + (low >>> 0 < v3l >>> 0 ? 1 : 0)) | 0;
  v2l = low;
  low = (v3l << 16) | (v3h >>> 16);
  v3h = ((v3h << 16) | (v3l >>> 16)) ^ v2h;
  v3l = low ^ v2l;
  low = (v0l + v3l) | 0;
  v0h = (v0h + v3h + (low >>> 0 < v3l >>> 0 ? 1 : 0)) | 0;
  v0l = low;
  low = (v3l << 21) | (v3h >>> 11);
  v3h = ((v3h << 21) | (v3l >>> 11)) ^ v0h;
  v3l = low ^ v0l;
  low = (v2l + v1l) | 0;
  v2h = (v2h + v1h + (low >>> 0 < v1l >>> 0 ? 1 : 0)) | 0;
  v2l = low;
  low = (v1l << 17) | (v1h >>> 15);
  v1h = ((v1h << 17) | (v1l >>> 15)) ^ v2h;
  v1l = low ^ v2l;
  low = v2l;
  v2l = v2h;
  v2h = low;
  sipHashHigh[0] = v0h ^ v1h ^ v2h ^ v3h;
  return v0l ^ v1l ^ v2l ^ v3l;
}

/** SipHash-2-4, the published standard. See `sipHash` for parameters and result. */
export function sipHash24(
  u8: Uint8Array,
  offset: number,
  length: number,
  k0lo: number,
  k0hi: number,
  k1lo: number,
  k1hi: number,
): number {
  return sipHash(u8, offset, length, k0lo, k0hi, k1lo, k1hi, 2, 4);
}

let lowered = new Uint8Array(256);

/** SipHash-1-2 of the bytes with A to Z taken as a to z. */
export function sipHash12NoCase(
  u8: Uint8Array,
  offset: number,
  length: number,
  k0lo: number,
  k0hi: number,
  k1lo: number,
  k1hi: number,
): number {
  if (length > lowered.length) lowered = new Uint8Array(length * 2);
  for (let i = 0; i < length; i++) {
    const byte = u8[offset + i];
    lowered[i] = byte >= 0x41 && byte <= 0x5a ? byte | 0x20 : byte;
  }
  return sipHash12(lowered, 0, length, k0lo, k0hi, k1lo, k1hi);
}
