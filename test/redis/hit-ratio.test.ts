/**
 * Hit ratios of the engine beside those of redis-server on the same trace, as fast as the server answers. At that speed the LRU clock, which
 * ticks once a second, hardly tells keys apart: that is part of what must be the same. Slower replays run nightly.
 */
import { it } from 'vitest';
import { describeReal } from '../support/real.ts';
import { cache2kKeys } from '../support/traces.ts';
import { compareHitRatio } from './support/hit-ratio-case.ts';

const ROOM_BYTES = 150_000;
const trace = cache2kKeys('web12');

describeReal(['redis-server'], 'hit ratio of web12', () => {
  for (const [policy, samples, runs] of [
    ['allkeys-lru', 5, 2],
    ['allkeys-lfu', 5, 2],
    ['allkeys-random', 5, 1],
  ] as const) {
    it.skipIf(trace === null)(`is the original's at full speed: ${policy}`, { timeout: 120_000 }, () =>
      compareHitRatio(trace!, { policy, samples, rate: 0, roomBytes: ROOM_BYTES, runs }),
    );
  }
});
