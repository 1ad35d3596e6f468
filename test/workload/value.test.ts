import { describe, expect, it } from 'vitest';
import { createRandom } from '../../engines/base/random.ts';
import {
  APPEND_BYTES,
  COUNTER_BYTES,
  checkAppendedValue,
  checkCounter,
  checkValue,
  writeCounter,
  writeValue,
} from '../../harness/workload/value.ts';

const SIZES = [1, 2, 3, 8, 15, 16, 17, 31, 100, 266, 267, 268, 527, 528, 529, 530, 1000, 4096, 65_536, 524_288];

describe('values', () => {
  it('pass their own check at every size and leave their surroundings alone', () => {
    for (const bytes of [0, ...SIZES]) {
      const u8 = new Uint8Array(bytes + 20).fill(0xee);
      expect(writeValue(u8, 10, 4711, bytes, 99)).toBe(10 + bytes);
      expect(checkValue(u8, 10, bytes, 4711)).toBe(true);
      expect(u8.subarray(0, 10).every((byte) => byte === 0xee)).toBe(true);
      expect(u8.subarray(10 + bytes).every((byte) => byte === 0xee)).toBe(true);
    }
  });

  it('fail with any single byte changed', () => {
    const random = createRandom('flip');
    for (const bytes of SIZES) {
      const u8 = new Uint8Array(bytes);
      writeValue(u8, 0, 123_456, bytes, 7);
      for (let round = 0; round < Math.min(bytes, 300); round++) {
        const at = bytes <= 300 ? round : random.nextBelow(bytes);
        u8[at] ^= 1 << random.nextBelow(8);
        // The version alone may not be changed either: the check word covers it.
        expect(checkValue(u8, 0, bytes, 123_456)).toBe(false);
        writeValue(u8, 0, 123_456, bytes, 7);
      }
    }
  });

  it('fail when cut, lengthened or shifted', () => {
    for (const bytes of SIZES.filter((size) => size >= 8)) {
      const u8 = new Uint8Array(bytes + 1);
      writeValue(u8, 0, 5, bytes, 1);
      expect(checkValue(u8, 0, bytes - 1, 5)).toBe(false);
      expect(checkValue(u8, 0, bytes + 1, 5)).toBe(false);
      expect(checkValue(u8, 1, bytes - 1, 5)).toBe(false);
    }
  });

  it('fail under another key: always from 16 bytes on, nearly always below', () => {
    for (const bytes of [4, 8, 16, 100]) {
      const u8 = new Uint8Array(bytes);
      let passed = 0;
      for (let key = 0; key < 5000; key++) {
        writeValue(u8, 0, key, bytes, 0);
        if (checkValue(u8, 0, bytes, key + 1)) passed++;
      }
      expect(passed).toBe(0);
    }
  });

  it('fail when two pages of a large value have changed places', () => {
    const u8 = new Uint8Array(65_536);
    writeValue(u8, 0, 5, u8.length, 1);
    const page = u8.slice(4096, 8192);
    u8.copyWithin(4096, 8192, 12_288);
    u8.set(page, 8192);
    expect(checkValue(u8, 0, u8.length, 5)).toBe(false);
  });

  it('differ with the version, and are never a number', () => {
    const one = new Uint8Array(64);
    const two = new Uint8Array(64);
    writeValue(one, 0, 9, 64, 1);
    writeValue(two, 0, 9, 64, 2);
    expect(one).not.toEqual(two);
    for (let bytes = 1; bytes < 16; bytes++) {
      writeValue(one, 0, bytes * 77, bytes, 0);
      expect(Buffer.from(one.subarray(0, bytes)).toString()).not.toMatch(/\d/);
    }
  });
});

describe('appended values', () => {
  it('pass with any number of pieces, with and without their base', () => {
    for (const base of [0, 3, 8, 12, 16, 100]) {
      for (let pieces = base === 0 ? 1 : 0; pieces < 4; pieces++) {
        const u8 = new Uint8Array(base + pieces * APPEND_BYTES);
        let at = base === 0 ? 0 : writeValue(u8, 0, 42, base, 3);
        for (let i = 0; i < pieces; i++) at = writeValue(u8, at, 42, APPEND_BYTES, i);
        expect(checkAppendedValue(u8, 0, u8.length, 42), `${base} + ${pieces}`).toBe(true);
        expect(checkAppendedValue(u8, 0, u8.length, 43), `${base} + ${pieces}, other key`).toBe(false);
        u8[u8.length - 1] ^= 1;
        expect(checkAppendedValue(u8, 0, u8.length, 42), `${base} + ${pieces}, changed`).toBe(false);
      }
    }
  });
});

describe('counters', () => {
  it('are decimal numbers of constant length', () => {
    const u8 = new Uint8Array(COUNTER_BYTES);
    for (const key of [0, 1, 77, 2 ** 31]) {
      expect(writeCounter(u8, 0, key)).toBe(COUNTER_BYTES);
      expect(Buffer.from(u8).toString()).toMatch(/^10\d{6}$/);
      expect(checkCounter(u8, 0, COUNTER_BYTES)).toBe(true);
    }
    expect(checkCounter(new TextEncoder().encode('12a'), 0, 3)).toBe(false);
  });
});
