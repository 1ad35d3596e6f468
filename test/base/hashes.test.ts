import { describe, expect, it } from 'vitest';
import { crc64, crc64Update } from '../../engines/base/crc64.ts';
import { jenkins } from '../../engines/base/jenkins.ts';
import { murmur3 } from '../../engines/base/murmur3.ts';
import { createRandom, Xoshiro128 } from '../../engines/base/random.ts';
import { seededRandom } from '../support/seed.ts';

const viewOf = (u8: Uint8Array): DataView => new DataView(u8.buffer, u8.byteOffset, u8.byteLength);
const bytes = (text: string): DataView => viewOf(new TextEncoder().encode(text));

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
      expect(jenkins(viewOf(u8), 7, length)).toBe(jenkins(viewOf(message), 0, length));
    }
  });
});

describe('CRC-64', () => {
  it('gives the check value of the Jones polynomial', () => {
    expect(crc64(new TextEncoder().encode('123456789'))).toBe(0xe9c6d914c4b8d9can);
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
