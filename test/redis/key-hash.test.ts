import { describe, expect, it } from 'vitest';
import { keyHash } from '../../engines/redis/structures/key-hash.ts';
import { seededRandom } from '../support/seed.ts';

const MASK = (1n << 64n) - 1n;

/** SipHash as its paper writes it, on 64-bit words. */
function sipHashPlain(message: Uint8Array, k0: bigint, k1: bigint, compress: number, finish: number): bigint {
  const rotl = (x: bigint, n: bigint): bigint => ((x << n) | (x >> (64n - n))) & MASK;
  let [v0, v1, v2, v3] = [
    k0 ^ 0x736f6d6570736575n,
    k1 ^ 0x646f72616e646f6dn,
    k0 ^ 0x6c7967656e657261n,
    k1 ^ 0x7465646279746573n,
  ];
  const round = (): void => {
    v0 = (v0 + v1) & MASK;
    v1 = rotl(v1, 13n) ^ v0;
    v0 = rotl(v0, 32n);
    v2 = (v2 + v3) & MASK;
    v3 = rotl(v3, 16n) ^ v2;
    v0 = (v0 + v3) & MASK;
    v3 = rotl(v3, 21n) ^ v0;
    v2 = (v2 + v1) & MASK;
    v1 = rotl(v1, 17n) ^ v2;
    v2 = rotl(v2, 32n);
  };
  const padded = new Uint8Array((message.length & ~7) + 8);
  padded.set(message);
  padded[padded.length - 1] = message.length & 255;
  const view = new DataView(padded.buffer);
  for (let i = 0; i < padded.length; i += 8) {
    const m = view.getBigUint64(i, true);
    v3 ^= m;
    for (let r = 0; r < compress; r++) round();
    v0 ^= m;
  }
  v2 ^= 0xffn;
  for (let r = 0; r < finish; r++) round();
  return v0 ^ v1 ^ v2 ^ v3;
}

describe('the hash of keys', () => {
  it('is held against a form that gives the values published for SipHash-2-4', () => {
    const counting = Uint8Array.from({ length: 64 }, (_, i) => i);
    const [k0, k1] = [0x0706050403020100n, 0x0f0e0d0c0b0a0908n];
    expect(sipHashPlain(counting.slice(0, 0), k0, k1, 2, 4)).toBe(0x726fdb47dd0e0e31n);
    expect(sipHashPlain(counting.slice(0, 15), k0, k1, 2, 4)).toBe(0xa129ca6149be45e5n);
  });

  it('is the low half of SipHash-1-2, at every length and at odd offsets', () => {
    const random = seededRandom('key hash');
    for (let round = 0; round < 400; round++) {
      const length = round % 80;
      const offset = random.nextBelow(9);
      const u8 = Uint8Array.from({ length: offset + length + 5 }, () => random.nextBelow(256));
      const key = Uint32Array.from({ length: 4 }, () => random.nextU32());
      const [k0, k1] = [0, 2].map((i) => (BigInt(key[i + 1]!) << 32n) | BigInt(key[i]!)) as [bigint, bigint];
      const wanted = sipHashPlain(u8.slice(offset, offset + length), k0, k1, 1, 2);
      expect(keyHash(u8, new DataView(u8.buffer), offset, length, key) >>> 0).toBe(Number(wanted & 0xffffffffn));
    }
  });
});
