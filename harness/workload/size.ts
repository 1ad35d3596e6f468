/**
 * Value sizes. A size is a function of a uniform number, so that a key's size can follow from its index: every engine, every run and
 * every thread then stores the same bytes under the same key without sharing a table.
 *
 * The continuous kinds are cut to [min, max + 1) by inversion between the two ends' quantiles (the shape inside stays exact, nothing piles up
 * at the ends) and rounded down, so P(size = k) = (F(k + 1) - F(k)) / (F(max + 1) - F(min)).
 */
import type { SizeSpec } from '../../scenarios/spec.ts';
import { AliasTable } from './alias.ts';
import { normalCdf, normalQuantile } from './normal.ts';

export interface SizeDistribution {
  readonly min: number;
  readonly max: number;
  /** @param uniform in [0, 1) @returns bytes */
  at(uniform: number): number;
  /** Exact share of sizes up to `bytes`: for tests. */
  cdf(bytes: number): number;
}

class FixedSize implements SizeDistribution {
  readonly min: number;
  readonly max: number;
  constructor(bytes: number) {
    this.min = this.max = bytes;
  }
  at(): number {
    return this.min;
  }
  cdf(bytes: number): number {
    return bytes < this.min ? 0 : 1;
  }
}

class UniformSize implements SizeDistribution {
  readonly min: number;
  readonly max: number;
  constructor(min: number, max: number) {
    this.min = min;
    this.max = max;
  }
  at(uniform: number): number {
    return this.min + Math.floor(uniform * (this.max - this.min + 1));
  }
  cdf(bytes: number): number {
    return Math.min(1, Math.max(0, (Math.floor(bytes) - this.min + 1) / (this.max - this.min + 1)));
  }
}

class ListSize implements SizeDistribution {
  readonly min: number;
  readonly max: number;
  readonly #entries: readonly { bytes: number; weight: number }[];
  readonly #bytes: Float64Array;
  readonly #table: AliasTable;
  constructor(entries: readonly { bytes: number; weight: number }[]) {
    this.#entries = entries;
    this.#bytes = Float64Array.from(entries, (entry) => entry.bytes);
    this.#table = new AliasTable(entries.map((entry) => entry.weight));
    this.min = this.#bytes.reduce((a, b) => Math.min(a, b));
    this.max = this.#bytes.reduce((a, b) => Math.max(a, b));
  }
  at(uniform: number): number {
    return this.#bytes[this.#table.pick(uniform)];
  }
  cdf(bytes: number): number {
    let below = 0;
    let sum = 0;
    for (const entry of this.#entries) {
      sum += entry.weight;
      if (entry.bytes <= bytes) below += entry.weight;
    }
    return below / sum;
  }
}

/** A continuous distribution by its F and F⁻¹, cut and rounded as the top of this file says. */
class CutSize implements SizeDistribution {
  readonly min: number;
  readonly max: number;
  readonly #low: number;
  readonly #span: number;
  readonly #cdf: (x: number) => number;
  readonly #inverse: (p: number) => number;
  constructor(min: number, max: number, cdf: (x: number) => number, inverse: (p: number) => number) {
    this.min = min;
    this.max = max;
    this.#cdf = cdf;
    this.#inverse = inverse;
    this.#low = cdf(min);
    this.#span = cdf(max + 1) - this.#low;
    if (!(this.#span > 0)) {
      throw new RangeError(`Cannot draw value sizes from ${min} to ${max} bytes: the distribution has nothing there`);
    }
  }
  at(uniform: number): number {
    const size = Math.floor(this.#inverse(this.#low + uniform * this.#span));
    return Math.min(this.max, Math.max(this.min, size));
  }
  cdf(bytes: number): number {
    if (bytes < this.min) return 0;
    if (bytes >= this.max) return 1;
    return (this.#cdf(Math.floor(bytes) + 1) - this.#low) / this.#span;
  }
}

function logNormal(spec: SizeSpec & { kind: 'log-normal' }): SizeDistribution {
  const mu = Math.log(spec.median);
  return new CutSize(
    spec.min,
    spec.max,
    (x) => (x <= 0 ? 0 : normalCdf((Math.log(x) - mu) / spec.sigma)),
    (p) => Math.exp(mu + spec.sigma * normalQuantile(p)),
  );
}

/**
 * F(x) = 1 - (1 + k(x - θ)/σ)^(-1/k); k = 0 is the exponential. The ETC pool of Facebook's Memcached has θ = 0, σ = 214.476,
 * k = 0.348238 (Atikoglu et al., "Workload analysis of a large-scale key-value store", SIGMETRICS 2012, section 5).
 */
function generalizedPareto(spec: SizeSpec & { kind: 'generalized-pareto' }): SizeDistribution {
  const { location, scale, shape } = spec;
  if (shape === 0) {
    return new CutSize(
      spec.min,
      spec.max,
      (x) => (x <= location ? 0 : -Math.expm1(-(x - location) / scale)),
      (p) => location - scale * Math.log1p(-p),
    );
  }
  return new CutSize(
    spec.min,
    spec.max,
    (x) => (x <= location ? 0 : 1 - Math.max(0, 1 + (shape * (x - location)) / scale) ** (-1 / shape)),
    (p) => location + (scale * Math.expm1(-shape * Math.log1p(-p))) / shape,
  );
}

/** @throws RangeError when the distribution has no mass between its bounds */
export function createSize(spec: SizeSpec): SizeDistribution {
  switch (spec.kind) {
    case 'fixed':
      return new FixedSize(spec.bytes);
    case 'uniform':
      return new UniformSize(spec.min, spec.max);
    case 'list':
      return new ListSize(spec.entries);
    case 'log-normal':
      return logNormal(spec);
    case 'generalized-pareto':
      return generalizedPareto(spec);
  }
}
