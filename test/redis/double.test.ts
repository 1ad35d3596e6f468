import { describe, expect, it } from 'vitest';
import { createRandom } from '../../engines/base/random.ts';
import { createArena } from '../../engines/memory/arena.ts';
import { createJemalloc } from '../../engines/memory/jemalloc.ts';
import {
  approximateDouble,
  formatDouble17,
  parseDouble,
  parseDoubleLoosely,
  parsedDouble,
  putDouble17,
} from '../../engines/redis/structures/double.ts';
import { Heap } from '../../engines/redis/structures/heap.ts';
import { seededRandom } from '../support/seed.ts';

const memory = createArena({ byteLength: 4 * 1024 * 1024 });
const heap = new Heap(createJemalloc(memory, { classes: 'debian' }), createRandom('double'));
const page = memory.takePages(1);

/** What the parser makes of a text; undefined: it refuses it. */
function read(text: string, parse = parseDouble): number | undefined {
  heap.putLatin1(text, page);
  return parse(heap, page, text.length) ? parsedDouble : undefined;
}

describe('doubles as text', () => {
  it('are written as %.17g writes them', () => {
    const cases: [number, string][] = [
      [0, '0'],
      [-0, '-0'],
      [1, '1'],
      [-1.5, '-1.5'],
      [0.1, '0.10000000000000001'],
      [3.3, '3.2999999999999998'],
      [1e16, '10000000000000000'],
      [1e17, '1e+17'],
      [123456789012345680, '1.2345678901234568e+17'],
      [1e21, '1e+21'],
      [1e-4, '0.0001'],
      [1e-5, '1.0000000000000001e-05'],
      [1e-100, '1e-100'],
      [Number.MAX_VALUE, '1.7976931348623157e+308'],
      [5e-324, '4.9406564584124654e-324'],
      [2 ** 50 + 0.25, '1125899906842624.2'],
      [2 ** 50 + 0.75, '1125899906842624.8'],
      [2 ** -25, '2.9802322387695312e-08'],
      [2 ** 53, '9007199254740992'],
      [Infinity, 'inf'],
      [-Infinity, '-inf'],
    ];
    for (const [value, text] of cases) {
      expect(formatDouble17(value)).toBe(text);
      const end = putDouble17(heap, page, value);
      expect(heap.latin1(page, end - page)).toBe(text);
    }
  });

  it('come back as they were', () => {
    const random = seededRandom('doubles');
    const bits = new DataView(new ArrayBuffer(8));
    for (let i = 0; i < 50_000; i++) {
      bits.setUint32(0, random.nextU32());
      bits.setUint32(4, random.nextU32());
      const any = bits.getFloat64(0);
      const value =
        i % 2 === 0 && Number.isFinite(any) ? any : (random.nextU32() - 2 ** 31) / 10 ** random.nextBelow(9);
      expect(read(formatDouble17(value))).toBe(value);
      const written = formatDouble17(value);
      heap.putLatin1(written, page);
      const near = approximateDouble(heap.u8, page, written.length);
      if (!Number.isNaN(near)) expect(Math.abs(near - value)).toBeLessThanOrEqual(1e-14 * Math.abs(value));
      const text = value.toString();
      expect(read(text)).toBe(value);
    }
  });

  it('are read as strtod reads them, as a whole or not at all', () => {
    for (const text of [
      '',
      ' 1',
      '1 ',
      'x',
      '.',
      '-',
      '1e',
      '0x',
      '0x.',
      '1_0',
      'nan',
      '1\0',
      '1e400',
      '-1e400',
      '1e-400',
    ]) {
      expect(read(text), text).toBeUndefined();
    }
    const cases: [string, number][] = [
      ['+5', 5],
      ['-0', -0],
      ['.5', 0.5],
      ['5.', 5],
      ['1E3', 1000],
      ['0x1p3', 8],
      ['-0x.8', -0.5],
      ['0x1.fffffffffffff8p0', 2],
      ['0x1p-1074', 5e-324],
      ['inf', Infinity],
      ['-Infinity', -Infinity],
      ['000000000000000000000000001', 1],
      ['0.30000000000000004', 0.30000000000000004],
    ];
    for (const [text, value] of cases) expect(read(text), text).toBe(value);
  });

  it('are read more loosely where a range ends', () => {
    expect(read('', parseDoubleLoosely)).toBe(0);
    expect(read(' \t7', parseDoubleLoosely)).toBe(7);
    expect(read('7\0zzz', parseDoubleLoosely)).toBe(7);
    expect(read('1e400', parseDoubleLoosely)).toBe(Infinity);
    expect(read('1e-400', parseDoubleLoosely)).toBe(0);
    for (const text of [' ', '7 ', 'nan', 'x']) expect(read(text, parseDoubleLoosely), text).toBeUndefined();
  });
});
