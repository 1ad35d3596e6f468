/** Hit ratios beside memcached's: all traces and two Zipf streams at three cache sizes, five runs each; and other ways to keep LRUs. */
import { expect, it } from 'vitest';
import { describeReal } from '../support/real.ts';
import { adaptSizeStream, cache2kStream, cloudPhysicsStream, type Stream, zipfStream } from '../support/traces.ts';
import { compareHitRatios } from './support/hit-ratio-case.ts';

const RUNS = 5;

interface Series {
  readonly name: string;
  readonly make: () => Stream | null;
  /** -m in MiB. */
  readonly sizes: readonly number[];
  readonly batch: number;
  readonly args?: readonly string[];
  readonly rate?: number;
  readonly ttl?: (key: number) => number;
  readonly runs?: number;
}

const series: readonly Series[] = [
  { name: 'web12', make: () => cache2kStream('web12', 4_000), sizes: [2, 4, 8], batch: 20 },
  { name: 'web07', make: () => cache2kStream('web07', 4_000), sizes: [2, 4, 8], batch: 20 },
  { name: 'orm-busy', make: () => cache2kStream('orm-busy', 500, 1_000_000), sizes: [2, 4, 16], batch: 50 },
  { name: 'cloudphysics', make: () => cloudPhysicsStream(16), sizes: [16, 32, 64], batch: 20 },
  { name: 'adaptsize', make: () => adaptSizeStream(8, 1_000_000), sizes: [16, 40, 60], batch: 20 },
  { name: 'zipf 0.99', make: () => zipfStream(100_000, 0.99, 400_000, 100, 1_000, 1), sizes: [4, 12, 32], batch: 50 },
  { name: 'zipf 0.7', make: () => zipfStream(100_000, 0.7, 400_000, 100, 1_000, 2), sizes: [4, 12, 32], batch: 50 },
  {
    name: 'web12, no maintainer',
    make: () => cache2kStream('web12', 4_000),
    sizes: [2, 4, 8],
    batch: 20,
    args: ['-o', 'no_lru_maintainer'],
  },
  {
    name: 'web12, large HOT and WARM',
    make: () => cache2kStream('web12', 4_000),
    sizes: [4],
    batch: 20,
    args: ['-o', 'hot_lru_pct=40,warm_lru_pct=40,hot_max_factor=0.5,warm_max_factor=1.5'],
  },
  {
    name: 'web12, paced',
    make: () => cache2kStream('web12', 4_000),
    sizes: [2, 4, 8],
    batch: 10,
    rate: 5_000,
    runs: 2,
  },
  {
    name: 'zipf 0.99 with expiry',
    make: () => zipfStream(50_000, 0.99, 200_000, 100, 1_000, 3),
    sizes: [4, 12],
    batch: 20,
    rate: 10_000,
    ttl: (key) => 1 + (key % 8),
    runs: 2,
  },
  {
    name: 'zipf 0.99 with expiry and TEMP',
    make: () => zipfStream(50_000, 0.99, 200_000, 100, 1_000, 4),
    sizes: [4, 12],
    batch: 20,
    args: ['-o', 'temporary_ttl=3'],
    rate: 10_000,
    ttl: (key) => 1 + (key % 8),
    runs: 2,
  },
];

describeReal(['memcached'], 'hit ratio', () => {
  for (const { name, make, sizes, args = [], runs = RUNS, ...options } of series) {
    it(`of ${name} is the original's at ${sizes.join(', ')} MiB`, { timeout: 1_800_000 }, async (context) => {
      const stream = make();
      if (stream === null) return context.skip('the trace, or the program that unpacks it, is missing');
      const lines: string[] = [];
      for (const megabytes of sizes) {
        const all = ['-m', String(megabytes), ...args];
        lines.push(await compareHitRatios({ ...options, name, stream, args: all, runs }));
      }
      console.log(lines.join('\n'));
      expect(lines).toHaveLength(sizes.length);
    });
  }
});
