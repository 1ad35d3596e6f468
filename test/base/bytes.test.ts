import { describe, expect, it } from 'vitest';
import * as bytes from '../../engines/base/bytes.ts';
import { seededRandom } from '../support/seed.ts';

/** The text in the middle of other bytes, so that a read beyond its ends is noticed. */
function within(text: string): Uint8Array {
  return bytes.textBytes(`9-9${text}9\r\n`);
}

/** What string2ll of the original accepts, said with a pattern. */
function strictInt64(text: string): bigint | null {
  if (!/^(0|-?[1-9]\d*)$/.test(text)) return null;
  const value = BigInt(text);
  return value >= -(2n ** 63n) && value < 2n ** 63n ? value : null;
}

const awkward = [
  ...['', '-', '0', '-0', '00', '01', '+1', ' 1', '1 ', '1a', 'a', '1.0', '--1', '10', '-1', '-10', '-01', '1e3'],
  ...['9007199254740991', '9007199254740992', '-9007199254740991', '-9007199254740992', '99999999999999999'],
  ...['9223372036854775807', '9223372036854775808', '-9223372036854775808', '-9223372036854775809'],
  ...[
    '18446744073709551615',
    '99999999999999999999',
    '999999999999999999999',
    '10000000000',
    '9999999999',
    '4294967296',
  ],
];

describe('decimal integers', () => {
  it('are parsed as strictly as string2ll does', () => {
    for (const text of awkward) {
      const u8 = within(text);
      const expected = strictInt64(text);
      expect(bytes.parseInt64(u8, 3, text.length), text).toBe(expected);
      const safe = expected !== null && Number.isSafeInteger(Number(expected)) ? Number(expected) : Number.NaN;
      expect(bytes.parseSafeInteger(u8, 3, text.length), text).toBe(safe);
    }
  });

  it('survive writing and parsing at random', () => {
    const random = seededRandom('decimal integers');
    const u8 = new Uint8Array(40);
    const out = new Int32Array(2);
    for (let i = 0; i < 20_000; i++) {
      const bits = 1n + BigInt(random.nextBelow(64));
      const raw = (BigInt(random.nextU32()) << 32n) | BigInt(random.nextU32());
      const value = BigInt.asIntN(64, (random.nextBelow(2) === 0 ? 1n : -1n) * BigInt.asUintN(Number(bits), raw));
      const end = bytes.writeInt64(u8, 5, Number(value & 0xffffffffn), Number((value >> 32n) & 0xffffffffn) | 0);
      const text = bytes.bytesText(u8, 5, end - 5);
      expect(text).toBe(String(value));
      expect(bytes.parseInt64(u8, 5, end - 5)).toBe(value);
      expect(bytes.parseInt64Halves(u8, 5, end - 5, out)).toBe(true);
      const unsigned = BigInt.asUintN(64, value);
      const unsignedEnd = bytes.writeUint64(u8, 0, Number(unsigned & 0xffffffffn), Number(unsigned >> 32n));
      expect(bytes.bytesText(u8, 0, unsignedEnd)).toBe(String(unsigned));
      const number = Number(value);
      if (Number.isSafeInteger(number)) {
        const safeEnd = bytes.writeInteger(u8, 0, number);
        expect(bytes.bytesText(u8, 0, safeEnd)).toBe(String(value));
        expect(bytes.parseSafeInteger(u8, 0, safeEnd)).toBe(number);
      }
    }
  });

  it('are written right at every power of ten', () => {
    const u8 = new Uint8Array(40);
    for (let power = 1; power <= 1e15; power *= 10) {
      for (const value of [power - 1, power, power + 1, -power, 1 - power]) {
        expect(bytes.bytesText(u8, 0, bytes.writeInteger(u8, 0, value))).toBe(String(value));
      }
      expect(bytes.digitCount(power)).toBe(String(power).length);
    }
    expect(bytes.bytesText(u8, 0, bytes.writeInteger(u8, 0, Number.MAX_SAFE_INTEGER))).toBe('9007199254740991');
    expect(bytes.bytesText(u8, 0, bytes.writeInt64(u8, 0, 0, -0x80000000))).toBe('-9223372036854775808');
    expect(bytes.bytesText(u8, 0, bytes.writeUint64(u8, 0, -1, -1))).toBe('18446744073709551615');
  });
});

describe('stretches of bytes', () => {
  it('are moved rightly when they overlap, short and long', () => {
    for (const length of [0, 1, 10, 63, 64, 200]) {
      for (const shift of [-3, 0, 3]) {
        const u8 = Uint8Array.from({ length: 300 }, (_, i) => i & 255);
        const plain = u8.slice();
        plain.set(u8.slice(20, 20 + length), 20 + shift);
        bytes.moveBytes(u8, 20 + shift, 20, length);
        expect(u8).toEqual(plain);
      }
    }
  });

  it('are copied between arrays, short and long', () => {
    const source = Uint8Array.from({ length: 600 }, (_, i) => (i * 7) & 255);
    for (const length of [0, 5, 255, 256, 500]) {
      const target = new Uint8Array(600);
      bytes.copyBytes(target, 10, source, 20, length);
      expect(target.slice(10, 10 + length)).toEqual(source.slice(20, 20 + length));
      expect(target[10 + length]).toBe(0);
    }
  });

  it('are ordered as memcmp orders them, then by length', () => {
    const compare = (a: string, b: string): number =>
      Math.sign(bytes.compareBytes(within(a), 3, a.length, within(b), 3, b.length));
    expect([compare('a', 'b'), compare('b', 'a'), compare('a', 'a')]).toEqual([-1, 1, 0]);
    expect([compare('a', 'aa'), compare('', ''), compare('\u00ff', 'a')]).toEqual([-1, 0, 1]);
    expect(bytes.equalBytes(within('abc'), 3, within('xabc'), 4, 3)).toBe(true);
    expect(bytes.equalBytes(within('abc'), 3, within('xabd'), 4, 3)).toBe(false);
  });

  it('are compared without regard to the case of ASCII letters only', () => {
    const name = bytes.textBytes('get[{');
    expect(bytes.equalsIgnoringCase(within('GeT[{'), 3, 5, name)).toBe(true);
    expect(bytes.equalsIgnoringCase(within('GeT{{'), 3, 5, name)).toBe(false);
    expect(bytes.equalsIgnoringCase(within('GeT[{'), 3, 4, name)).toBe(false);
    expect(bytes.compareIgnoringCase(within('ABc'), 3, 3, within('abD'), 3, 3)).toBeLessThan(0);
    expect(bytes.compareIgnoringCase(within('ABc'), 3, 3, within('abC'), 3, 3)).toBe(0);
    const text = within('AZ[@z');
    bytes.lowerBytes(text, 3, 5);
    expect(bytes.bytesText(text, 3, 5)).toBe('az[@z');
  });

  it('are searched for a byte and for CR LF up to the end only', () => {
    const u8 = bytes.textBytes('ab\rc\r\n\r\n');
    expect(bytes.findCrLf(u8, 0, 8)).toBe(4);
    expect(bytes.findCrLf(u8, 0, 5)).toBe(-1);
    expect(bytes.findCrLf(u8, 0, 6)).toBe(4);
    expect(bytes.findCrLf(u8, 5, 8)).toBe(6);
    expect(bytes.findByte(u8, 13, 0, 8)).toBe(2);
    expect(bytes.findByte(u8, 10, 0, 5)).toBe(-1);
  });

  it('become text and come from it, whatever their length', () => {
    const text = Array.from({ length: 10_000 }, (_, i) => String.fromCharCode(i & 255)).join('');
    expect(bytes.bytesText(bytes.textBytes(text), 0, 10_000)).toBe(text);
  });
});
