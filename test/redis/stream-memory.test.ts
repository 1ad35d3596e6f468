/** Used memory and MEMORY USAGE of streams are the original's: figures measured on redis-server 7.0.15. */
import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { Loopback } from './support/loopback.ts';

const FOLDER = new URL('../../../shared/data/redis-memory/', import.meta.url);
/** What the first call of each command costs: its latency histogram. */
const HISTOGRAM_BYTES = 24_576 + 112;
const KEYS = 100;
const ENTRIES = 1_000;

const key = (i: number) => `key:${String(i).padStart(12, '0')}`;

for (const allocator of ['debian', 'upstream'] as const) {
  const file = new URL(`${allocator}.json`, FOLDER);
  describe.skipIf(!existsSync(file))(`memory of streams (measured with the ${allocator} allocator)`, () => {
    it('grows as the original’s with 1,000 entries in each of 100 streams', { timeout: 60_000 }, () => {
      const measured = JSON.parse(readFileSync(file, 'utf8')) as {
        containers: { label: string; used_delta: number; memory_usage: number[] }[];
      };
      const row = measured.containers.find((one) => one.label === 'stream_1000')!;
      const lab = new Loopback(256 * 1024 * 1024, () => {}, 1, allocator);
      lab.open(0);
      const before = lab.dataBytes;
      lab.run(
        0,
        KEYS * ENTRIES,
        (i) => [
          'XADD',
          key(Math.floor(i / ENTRIES)),
          `${1 + (i % ENTRIES)}-0`,
          'f1',
          'v'.padEnd(10, 'y'),
          'f2',
          'w'.padEnd(10, 'y'),
        ],
        500,
      );
      lab.settle();
      expect(lab.dataBytes - before).toBe(row.used_delta);
      expect(lab.command(0, 'MEMORY', 'USAGE', key(0), 'SAMPLES', '0')).toBe(row.memory_usage[0]);
      lab.command(0, 'FLUSHALL');
      // XADD, MEMORY USAGE, FLUSHALL.
      expect(lab.dataBytes - before, 'after FLUSHALL').toBe(3 * HISTOGRAM_BYTES);
    });
  });
}
