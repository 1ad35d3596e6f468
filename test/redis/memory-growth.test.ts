/** Used memory grows with strings as the original's does, to the byte: figures measured on redis-server 7.0.15. */
import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { Loopback } from './support/loopback.ts';

const FOLDER = new URL('../../../shared/data/redis-memory/', import.meta.url);
/** What the first call of each command costs: its latency histogram. */
const HISTOGRAM_BYTES = 24_576 + 112;
const POINTER_BYTES = 8;
const MANY = 100_000;
/** Rows with large values are held against fewer keys: their table is counted apart. */
const FEW = 2_000;
const FEW_SLOTS = 2_048;
const LARGE_VALUE = 4_096;

interface Row {
  label: string;
  keys: number;
  value_len: number;
  used_delta: number;
  ht_tables: number[];
}
interface Growth {
  keys: number;
  used_immediate: number;
  used_settled: number;
}

const key = (i: number) => `key:${String(i).padStart(12, '0')}`;

const valuesFor: Record<string, (i: number) => (string | number)[]> = {
  string_int: (i) => [1_000_000 + i],
  string_sharedint: (i) => [i % 10_000],
  string_v100_ttl: () => ['x'.repeat(100), 'EX', '100000'],
};

for (const allocator of ['debian', 'upstream'] as const) {
  const file = new URL(`${allocator}.json`, FOLDER);
  describe.skipIf(!existsSync(file))(`used memory of strings (measured with the ${allocator} allocator)`, () => {
    const measured = existsSync(file)
      ? (JSON.parse(readFileSync(file, 'utf8')) as { strings: Row[]; growth: Growth[] })
      : { strings: [], growth: [] };

    for (const row of measured.strings) {
      it(`grows as the original's: ${row.label}`, { timeout: 60_000 }, () => {
        const lab = new Loopback(256 * 1024 * 1024, () => {}, 1, allocator);
        lab.open(0);
        const value = valuesFor[row.label] ?? (() => ['x'.repeat(row.value_len)]);
        const few = row.value_len >= LARGE_VALUE;
        const before = lab.dataBytes;
        lab.run(0, few ? FEW : MANY, (i) => ['SET', key(i), ...value(i)], few ? 10 : 500);
        lab.settle();
        const grown = lab.dataBytes - before - HISTOGRAM_BYTES;
        if (few) {
          const perKey = (row.used_delta - HISTOGRAM_BYTES - row.ht_tables[0]! * POINTER_BYTES) / row.keys;
          expect(grown).toBe(perKey * FEW + FEW_SLOTS * POINTER_BYTES);
        } else {
          expect(grown).toBe(row.used_delta - HISTOGRAM_BYTES);
        }
        lab.command(0, 'FLUSHALL');
        expect(lab.dataBytes - before, 'after FLUSHALL').toBe(2 * HISTOGRAM_BYTES);
      });
    }

    it('grows with the table as the original does, while it rehashes and after', { timeout: 60_000 }, () => {
      const lab = new Loopback(256 * 1024 * 1024, () => {}, 1, allocator);
      lab.open(0);
      const before = lab.dataBytes;
      let keys = 0;
      for (const row of measured.growth) {
        const from = keys;
        // DEBUG HTSTATS was called for the first time after the first row had been read.
        const others = from === 0 ? 0 : HISTOGRAM_BYTES;
        lab.run(0, row.keys - from, (i) => ['SET', key(from + i), 1_000_000 + from + i], 500);
        keys = row.keys;
        expect(lab.dataBytes - before + others, `${keys} keys, at once`).toBe(row.used_immediate);
        if (row.used_settled === row.used_immediate) continue;
        lab.settle();
        expect(lab.dataBytes - before + HISTOGRAM_BYTES, `${keys} keys, settled`).toBe(row.used_settled);
      }
    });
  });
}
