/** Hit ratios beside redis-server's, with all sample counts that were measured, at full speed and at 5,000 requests a second. */
import { it } from 'vitest';
import { describeReal } from '../support/real.ts';
import { cache2kKeys } from '../support/traces.ts';
import { compareHitRatio } from './support/hit-ratio-case.ts';

const ROOM_BYTES = 150_000;
const STEADY_RATE = 5_000;
const policies = [
  ['allkeys-lru', 3],
  ['allkeys-lru', 5],
  ['allkeys-lru', 10],
  ['allkeys-lfu', 5],
  ['allkeys-lfu', 10],
  ['allkeys-random', 5],
] as const;

for (const name of ['web12', 'web07']) {
  const trace = cache2kKeys(name);
  describeReal(['redis-server'], `hit ratio of ${name}`, () => {
    for (const [policy, samples] of policies) {
      for (const rate of [0, STEADY_RATE]) {
        const speed = rate === 0 ? 'full speed' : `${rate} requests a second`;
        it.skipIf(trace === null)(
          `is the original's: ${policy}, ${samples} samples, ${speed}`,
          { timeout: 600_000 },
          () => compareHitRatio(trace!, { policy, samples, rate, roomBytes: ROOM_BYTES, runs: 4 }),
        );
      }
    }
  });
}

const busy = cache2kKeys('orm-busy');
/** The first million of five: as many as the paced traces have in minutes. */
const BUSY_REQUESTS = 1_000_000;

describeReal(['redis-server'], 'hit ratio of orm-busy', () => {
  for (const policy of ['allkeys-lru', 'allkeys-lfu']) {
    it.skipIf(busy === null)(`is the original's at full speed: ${policy}`, { timeout: 900_000 }, () =>
      compareHitRatio(busy!.subarray(0, BUSY_REQUESTS), { policy, samples: 5, rate: 0, roomBytes: 600_000, runs: 1 }),
    );
  }
});
