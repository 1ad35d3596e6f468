/** Comparisons of hit ratios: the real server and the engine beside it, the same keys in the same order on one connection each. */
import { expect } from 'vitest';
import type { Stream } from '../../support/traces.ts';
import { RealMemcached } from '../real-memcached.ts';
import { type ReplayOptions, replay } from './hit-replay.ts';
import { ServedMemcached } from './served-memcached.ts';

/** In hit ratio: 0.3 points, or the spread of the real server's own runs where that is wider. */
const TOLERANCE = 0.003;

/** Runs that follow where those asked for lie apart. */
const FURTHER_RUNS = 3;

export interface HitRatioCase extends ReplayOptions {
  readonly name: string;
  readonly stream: Stream;
  /** Arguments of both servers: the cache's size, options. */
  readonly args: readonly string[];
  /** Runs of each server, taken in turn. */
  readonly runs: number;
}

export interface HitRatios {
  readonly real: readonly number[];
  readonly engine: readonly number[];
  readonly realStats: Record<string, string>;
  readonly engineStats: Record<string, string>;
}

export const mean = (values: readonly number[]): number => values.reduce((sum, one) => sum + one, 0) / values.length;
export const spread = (values: readonly number[]): number => Math.max(...values) - Math.min(...values);

/** Replays a stream on both servers. */
export async function measureHitRatios(one: HitRatioCase): Promise<HitRatios> {
  const real: number[] = [];
  const engine: number[] = [];
  let realStats: Record<string, string> = {};
  let engineStats: Record<string, string> = {};
  for (let run = 0; run < one.runs; run++) {
    const there = await RealMemcached.start([...one.args]);
    try {
      const replayed = await replay(there.path, one.stream, one);
      real.push(replayed.hitRatio);
      realStats = replayed.stats;
    } finally {
      await there.stop();
    }
    const here = await ServedMemcached.start([...one.args]);
    try {
      const replayed = await replay(here.path, one.stream, one);
      engine.push(replayed.hitRatio);
      engineStats = replayed.stats;
    } finally {
      await here.stop();
    }
  }
  return { real, engine, realStats, engineStats };
}

/**
 * Replays and compares the means. Both servers have threads that take their turns when the machine lets them, and on a busy one a single run
 * may be an odd one: where the means lie apart, further runs tell whether that is the servers' difference or the real one's own spread.
 * @returns a line that tells the figures
 */
export async function compareHitRatios(one: HitRatioCase): Promise<string> {
  const real: number[] = [];
  const engine: number[] = [];
  const percent = (ratio: number): string => (ratio * 100).toFixed(3);
  const pace = one.rate === undefined ? '' : ` ${one.rate}/s`;
  for (let runs = one.runs; ; runs = 1) {
    const measured = await measureHitRatios({ ...one, runs });
    real.push(...measured.real);
    engine.push(...measured.engine);
    const allowed = Math.max(TOLERANCE, spread(real));
    const difference = mean(engine) - mean(real);
    const line = `${one.name} ${one.args.join(' ')}${pace}: real ${percent(mean(real))} % (spread ${percent(spread(real))}), engine ${percent(mean(engine))} % (spread ${percent(spread(engine))}), difference ${percent(difference)}`;
    if (Math.abs(difference) > allowed && real.length < one.runs + FURTHER_RUNS) continue;
    expect(Math.abs(difference), line).toBeLessThanOrEqual(allowed);
    return line;
  }
}
