/** One comparison of hit ratios: a real server at some rate, then the engine under its own clock at the rate that the server reached. */
import { expect } from 'vitest';
import { POLICY_ALLKEYS_LFU, POLICY_ALLKEYS_LRU, POLICY_ALLKEYS_RANDOM } from '../../../engines/redis/config.ts';
import { replayOnEngine, replayOnReal } from './trace-replay.ts';

/** In hit ratio: 0.3 points, and the spread of the real server's own runs, which was up to 0.2 and less for the mean of several. */
const TOLERANCE = 0.003;
const SPREAD = 0.002;
/** Eviction is by chance, so each side is the mean of several runs. */
const SEEDS_PER_RUN = 3;

const policies: Record<string, number> = {
  'allkeys-lru': POLICY_ALLKEYS_LRU,
  'allkeys-lfu': POLICY_ALLKEYS_LFU,
  'allkeys-random': POLICY_ALLKEYS_RANDOM,
};

export interface HitRatioCase {
  readonly policy: string;
  readonly samples: number;
  /** Requests a second; 0: as fast as the server answers. */
  readonly rate: number;
  /** Memory beyond that of the empty server. */
  readonly roomBytes: number;
  /** Runs of the real server. */
  readonly runs: number;
}

export async function compareHitRatio(trace: Uint32Array, one: HitRatioCase): Promise<void> {
  let real = 0;
  let ours = 0;
  for (let run = 0; run < one.runs; run++) {
    const phaseMs = Math.round((run * 1_000) / one.runs);
    const there = await replayOnReal(trace, one.policy, one.samples, one.rate, one.roomBytes, phaseMs);
    real += there.hitRatio / one.runs;
    const keys = Math.round(there.keys);
    for (let seed = 0; seed < SEEDS_PER_RUN; seed++) {
      const here = replayOnEngine(trace, {
        policy: policies[one.policy],
        samples: one.samples,
        times: there.times,
        keys,
        seed: run * SEEDS_PER_RUN + seed,
      });
      expect(Math.abs(here.keys - there.keys), 'keys in the cache').toBeLessThan(3);
      ours += here.hitRatio / SEEDS_PER_RUN / one.runs;
    }
  }
  expect(Math.abs(ours - real), `hit ratio ${ours}, ${real} there`).toBeLessThanOrEqual(
    TOLERANCE + SPREAD / Math.sqrt(one.runs),
  );
}
