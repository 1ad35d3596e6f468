import { describe, expect, it } from 'vitest';
import { assert, unreachable } from '../../engines/base/assert.ts';
import { formatDuration, formatSize, parseDuration, parseMemory, parseSize } from '../../engines/base/units.ts';

describe('sizes', () => {
  it('are read as redis.conf reads them', () => {
    expect(['1', '1b', '1k', '1kb', '1m', '1MB', '1g', '1Gb'].map(parseMemory)).toEqual([
      1, 1, 1000, 1024, 1e6, 1048576, 1e9, 1073741824,
    ]);
    expect(parseMemory('-5')).toBe(-5);
    for (const wrong of ['', 'k', '1 kb', '1.5gb', '1t', '1kib', '0x10']) expect(parseMemory(wrong), wrong).toBeNaN();
  });

  it('are read with fractions and binary units where people write them', () => {
    expect(parseSize('1.5 MiB')).toBe(1572864);
    expect(parseSize(' 512kb ')).toBe(524288);
    expect(parseSize('4096')).toBe(4096);
    for (const wrong of ['', 'x', '5 apples', '-1', '1e3']) expect(() => parseSize(wrong)).toThrow(/Cannot parse size/);
    expect(() => parseSize('99999999g')).toThrow(/beyond 9 petabytes/);
  });

  it('are written with three digits', () => {
    expect([0, 1023, 1024, 1536, 12 * 2 ** 20, 640 * 2 ** 20, 2 ** 40, -2048].map(formatSize)).toEqual([
      '0 B',
      '1023 B',
      '1.00 KiB',
      '1.50 KiB',
      '12.0 MiB',
      '640 MiB',
      '1.00 TiB',
      '-2.00 KiB',
    ]);
    expect(formatSize(1023.7 * 1024)).toBe('1.00 MiB');
  });
});

describe('durations', () => {
  it('are read with a unit, in milliseconds', () => {
    expect(['250ms', '10s', '1.5 h', '80us', '80µs', '2m', '1d', '100ns'].map(parseDuration)).toEqual([
      250, 10_000, 5_400_000, 0.08, 0.08, 120_000, 86_400_000, 0.0001,
    ]);
    for (const wrong of ['10', '', 's', '5 years', '-1s'])
      expect(() => parseDuration(wrong)).toThrow(/Cannot parse duration/);
  });

  it('are written for people', () => {
    expect([0, 0.00085, 0.0123, 4, 999.7, 2500, 180_000, 5_400_000, 259_200_000].map(formatDuration)).toEqual([
      '0 s',
      '850 ns',
      '12.3 µs',
      '4.00 ms',
      '1.00 s',
      '2.50 s',
      '3.0 min',
      '1.5 h',
      '3.0 d',
    ]);
  });
});

describe('assertions', () => {
  it('say what did not hold', () => {
    expect(() => assert(true, 'fine')).not.toThrow();
    expect(() => assert(1 > 2, 'one is more than two')).toThrow('Assertion failed: one is more than two');
    expect(() => unreachable('left' as never)).toThrow('left was not expected');
  });
});
