import { describe, expect, it } from 'vitest';
import { crc64, crc64Update } from '../../engines/base/crc64.ts';
import { jenkins } from '../../engines/base/jenkins.ts';
import { murmur3 } from '../../engines/base/murmur3.ts';
import { createRandom, Xoshiro128 } from '../../engines/base/random.ts';
import { sipHash12, sipHash12NoCase, sipHash24, sipHashHigh } from '../../engines/base/siphash.ts';
import { seededRandom } from '../support/seed.ts';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
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

describe('SipHash', () => {
  const wide = (low: number): bigint => (BigInt(sipHashHigh[0] >>> 0) << 32n) | BigInt(low >>> 0);
  const key = [0x03020100, 0x07060504, 0x0b0a0908, 0x0f0e0d0c] as const;
  const counting = Uint8Array.from({ length: 64 }, (_, i) => i);

  it('gives the values published with it', () => {
    expect(wide(sipHash24(counting, 0, 0, ...key))).toBe(0x726fdb47dd0e0e31n);
    expect(wide(sipHash24(counting, 0, 15, ...key))).toBe(0xa129ca6149be45e5n);
  });

  it('agrees with a plain form on 64-bit words, at every length and at odd offsets', () => {
    const random = seededRandom('siphash');
    for (let round = 0; round < 400; round++) {
      const length = round % 80;
      const offset = random.nextBelow(9);
      const u8 = Uint8Array.from({ length: offset + length + 5 }, () => random.nextBelow(256));
      const words = Array.from({ length: 4 }, () => random.nextU32() | 0);
      const [a, b, c, d] = words;
      const [k0, k1] = [0, 2].map((i) => (BigInt(words[i + 1] >>> 0) << 32n) | BigInt(words[i] >>> 0));
      const message = u8.slice(offset, offset + length);
      expect(wide(sipHash12(u8, offset, length, a, b, c, d))).toBe(sipHashPlain(message, k0, k1, 1, 2));
      expect(wide(sipHash24(u8, offset, length, a, b, c, d))).toBe(sipHashPlain(message, k0, k1, 2, 4));
    }
  });

  it('does not tell upper from lower case where asked', () => {
    const lower = sipHash12(bytes('get[z]'), 0, 6, ...key);
    expect(sipHash12NoCase(bytes('GeT[Z]'), 0, 6, ...key)).toBe(lower);
    expect(sipHash12NoCase(bytes('GeT{Z]'), 0, 6, ...key)).not.toBe(lower);
    const long = bytes('Q'.repeat(1000));
    expect(sipHash12NoCase(long, 0, 1000, ...key)).toBe(sipHash12(bytes('q'.repeat(1000)), 0, 1000, ...key));
  });
});

describe('MurmurHash3', () => {
  it('gives the known values', () => {
    const hash = (text: string, seed: number): number => murmur3(bytes(`..${text}`), 2, text.length, seed) >>> 0;
    expect(hash('', 0)).toBe(0);
    expect(hash('', 1)).toBe(0x514e28b7);
    expect(hash('', 0xffffffff)).toBe(0x81f16f39);
    expect(hash('test', 0)).toBe(0xba6bd213);
    expect(hash('hello', 0)).toBe(0x248bfa47);
    expect(hash('The quick brown fox jumps over the lazy dog', 0)).toBe(0x2e4ff723);
    expect(hash('aaa', 0x9747b28c)).toBe(0x283e0130);
    expect(hash('aa', 0x9747b28c)).toBe(0x5d211726);
  });
});

describe('lookup3', () => {
  it('gives the values published with it', () => {
    const text = bytes('Four score and seven years ago');
    expect(jenkins(text, 0, 0) >>> 0).toBe(0xdeadbeef);
    expect(jenkins(text, 0, 0, 0xdeadbeef) >>> 0).toBe(0xbd5b7dde);
    expect(jenkins(text, 0, 30) >>> 0).toBe(0x17770551);
    expect(jenkins(text, 0, 30, 1) >>> 0).toBe(0xcd628161);
  });

  it('does not depend on where the bytes lie or on what follows them', () => {
    const random = seededRandom('jenkins');
    for (let length = 0; length < 40; length++) {
      const message = Uint8Array.from({ length }, () => random.nextBelow(256));
      const u8 = Uint8Array.from({ length: 60 }, () => random.nextBelow(256));
      u8.set(message, 7);
      expect(jenkins(u8, 7, length)).toBe(jenkins(message, 0, length));
    }
  });
});

describe('CRC-64', () => {
  it('gives the check value of the Jones polynomial', () => {
    expect(crc64(bytes('123456789'))).toBe(0xe9c6d914c4b8d9can);
  });

  it('is the same in one piece and in slices, and equals the bitwise definition', () => {
    const random = seededRandom('crc64');
    const u8 = Uint8Array.from({ length: 300 }, () => random.nextBelow(256));
    let plain = 0n;
    for (const byte of u8) {
      plain ^= BigInt(byte);
      for (let bit = 0; bit < 8; bit++) plain = (plain & 1n) === 1n ? (plain >> 1n) ^ 0x95ac9329ac4bc9b5n : plain >> 1n;
    }
    expect(crc64(u8)).toBe(plain);
    const state = new Int32Array(2);
    for (let at = 0; at < u8.length; ) {
      const length = Math.min(1 + random.nextBelow(30), u8.length - at);
      crc64Update(state, u8, at, length);
      at += length;
    }
    expect((BigInt(state[1] >>> 0) << 32n) | BigInt(state[0] >>> 0)).toBe(plain);
  });
});

describe('random numbers', () => {
  it('follow the reference sequence of xoshiro128** from the state 1, 2, 3, 4', () => {
    const random = new Xoshiro128([1, 2, 3, 4]);
    const drawn = Array.from({ length: 10 }, () => random.nextU32());
    expect(drawn).toEqual([
      11520, 0, 5927040, 70819200, 2031721883, 1637235492, 1287239034, 3734860849, 3729100597, 4258142804,
    ]);
  });

  it('take their state from SplitMix64 as it was published', () => {
    const [a, b] = [6457827717110365317n, 3203168211198807973n];
    const state = [a & 0xffffffffn, a >> 32n, b & 0xffffffffn, b >> 32n].map(Number);
    const [one, other] = [createRandom(1234567), new Xoshiro128(state)];
    for (let i = 0; i < 20; i++) expect(one.nextU32()).toBe(other.nextU32());
  });

  it('repeat with the seed, whatever its type, and differ without', () => {
    const first = (seed: number | bigint | string): number[] => {
      const random = createRandom(seed);
      return [random.nextU32(), random.nextU32()];
    };
    expect(first('42')).toEqual(first(42));
    expect(first(42n)).toEqual(first(42));
    expect(first('quickstart')).toEqual(first('quickstart'));
    expect(first('quickstart')).not.toEqual(first('quickstarT'));
    expect(() => createRandom(1.5)).toThrow(/Cannot seed with 1.5/);
    expect(() => new Xoshiro128([0, 0, 0, 0])).toThrow(/all zero/);
  });

  it('are uniform below a bound and in the unit interval', () => {
    const random = createRandom(7);
    const counts = new Array(10).fill(0);
    let sum = 0;
    for (let i = 0; i < 100_000; i++) {
      counts[random.nextBelow(10)]++;
      const x = random.nextFloat();
      expect(x >= 0 && x < 1).toBe(true);
      sum += x;
    }
    for (const count of counts) expect(Math.abs(count - 10_000)).toBeLessThan(500);
    expect(sum / 100_000).toBeCloseTo(0.5, 2);
    expect(random.nextBelow(1)).toBe(0);
    expect(random.nextBelow(2 ** 32)).toBeLessThan(2 ** 32);
    expect(() => random.nextBelow(0)).toThrow(/Cannot draw below 0/);
  });
});
