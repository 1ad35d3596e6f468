/**
 * Hit ratios of the engine beside those of memcached: the same keys in the same order on one connection, both as fast as they answer. More
 * traces, sizes and runs nightly.
 */
import { expect, it } from 'vitest';
import { describeReal } from '../support/real.ts';
import { cache2kStream, zipfStream } from '../support/traces.ts';
import { compareHitRatios, measureHitRatios } from './support/hit-ratio-case.ts';

const web = cache2kStream('web12', 4_000);

describeReal(['memcached'], 'hit ratio', () => {
  for (const megabytes of [2, 4, 8]) {
    it.skipIf(web === null)(`of web12 in ${megabytes} MiB is the original's`, { timeout: 60_000 }, async () => {
      await compareHitRatios({
        name: 'web12',
        stream: web!,
        args: ['-m', String(megabytes)],
        batch: 20,
        runs: 1,
      });
    });
  }

  it.skipIf(web === null)(
    "of web12 without a maintainer is the original's to the last hit",
    { timeout: 60_000 },
    async () => {
      const args = ['-m', '4', '-o', 'no_lru_maintainer'];
      const { real, engine, realStats, engineStats } = await measureHitRatios({
        name: 'web12',
        stream: web!,
        args,
        batch: 20,
        runs: 1,
      });
      expect(engine).toEqual(real);
      for (const name of ['evictions', 'evicted_unfetched', 'curr_items', 'bytes', 'get_hits', 'total_items']) {
        expect(engineStats[name], name).toBe(realStats[name]);
      }
    },
  );

  it("of a Zipf stream of many sizes is the original's", { timeout: 60_000 }, async () => {
    const stream = zipfStream(100_000, 0.99, 200_000, 100, 1_000, 1);
    await compareHitRatios({ name: 'zipf 0.99', stream, args: ['-m', '4'], batch: 50, runs: 1 });
  });
});
