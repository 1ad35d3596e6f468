/** Modelled waiting times, such as the latency of the origin behind a cache. */
import { createRandom } from '../../engines/base/random.ts';
import type { DurationSpec } from '../../scenarios/spec.ts';
import { normalCdf, normalQuantile } from './normal.ts';

export interface DurationSource {
  /** @returns microseconds, with a fraction */
  nextUs(): number;
  /** The distribution's mean in milliseconds. */
  readonly meanMs: number;
}

/**
 * @param seed text from which the sequence follows
 */
export function createDuration(spec: DurationSpec, seed: string): DurationSource {
  const random = createRandom(`${seed}/duration`);
  switch (spec.kind) {
    case 'none':
      return { nextUs: () => 0, meanMs: 0 };
    case 'fixed': {
      const us = spec.ms * 1000;
      return { nextUs: () => us, meanMs: spec.ms };
    }
    case 'uniform': {
      const low = spec.min * 1000;
      const span = (spec.max - spec.min) * 1000;
      return { nextUs: () => low + random.nextFloat() * span, meanMs: (spec.min + spec.max) / 2 };
    }
    case 'exponential': {
      const mean = spec.mean * 1000;
      return { nextUs: () => -mean * Math.log1p(-random.nextFloat()), meanMs: spec.mean };
    }
    case 'log-normal':
      return logNormal(spec, random);
  }
}

function logNormal(spec: DurationSpec & { kind: 'log-normal' }, random: { nextFloat(): number }): DurationSource {
  const mu = Math.log(spec.median);
  const { sigma, min, max } = spec;
  const at = (x: number): number => (x <= 0 ? 0 : normalCdf((Math.log(x) - mu) / sigma));
  const low = at(min);
  const span = at(max) - low;
  if (!(span > 0))
    throw new RangeError(`Cannot draw times from ${min} to ${max} ms: the distribution has nothing there`);
  // The mean of a log-normal cut to [min, max]: the shifted distribution's mass between the same ends.
  const shifted = (x: number): number => (x <= 0 ? 0 : normalCdf((Math.log(x) - mu) / sigma - sigma));
  const meanMs = (Math.exp(mu + (sigma * sigma) / 2) * (shifted(max) - shifted(min))) / span;
  return {
    nextUs: () => 1000 * Math.exp(mu + sigma * normalQuantile(low + random.nextFloat() * span)),
    meanMs,
  };
}
