/**
 * Which key an operation takes. Each kind draws a *rank* (0 is the most popular key) and maps ranks to key indexes; the mapping
 * depends on the scenario's seed alone, so every run and every engine agrees on which keys are hot.
 *
 * Exactness: every distribution here is drawn from its definition, by inversion or rejection, never from a table of rounded
 * probabilities (test/workload holds each against its exact shares).
 */
import type { Random } from '../../engines/ports.ts';
import type { PopularitySpec } from '../../scenarios/spec.ts';
import { normalCdf } from './normal.ts';
import { createPermutation, type Permutation } from './permutation.ts';
import { harmonic, ZipfSampler } from './zipf.ts';

/** Where among the load's threads a stream stands: `thread` counts from 0. */
export interface ThreadShare {
  thread: number;
  threads: number;
}

export interface Popularity {
  /**
   * @param writes whether the operation stores a value (only `latest` asks)
   * @returns a key index, 0 to keys - 1
   */
  next(writes: boolean): number;
  /** The key index at place `i` of the order of popularity: what preload stores i-th. */
  keyAt(i: number): number;
  /** The share of all accesses that goes to the first `count` keys of that order (at the start, for `latest`). */
  headShare(count: number): number;
}

class UniformPopularity implements Popularity {
  readonly #n: number;
  readonly #random: Random;
  constructor(n: number, random: Random) {
    this.#n = n;
    this.#random = random;
  }
  next(): number {
    return this.#random.nextBelow(this.#n);
  }
  keyAt(i: number): number {
    return i;
  }
  headShare(count: number): number {
    return count / this.#n;
  }
}

class ZipfPopularity implements Popularity {
  readonly #n: number;
  readonly #exponent: number;
  readonly #sampler: ZipfSampler;
  readonly #scatter: Permutation;
  readonly #random: Random;
  constructor(n: number, exponent: number, scatter: Permutation, random: Random) {
    this.#n = n;
    this.#exponent = exponent;
    this.#sampler = new ZipfSampler(n, exponent);
    this.#scatter = scatter;
    this.#random = random;
  }
  next(): number {
    return this.#scatter.apply(this.#sampler.next(this.#random));
  }
  keyAt(i: number): number {
    return this.#scatter.apply(i);
  }
  headShare(count: number): number {
    return count === 0 ? 0 : harmonic(count, this.#exponent) / harmonic(this.#n, this.#exponent);
  }
}

/** Positions in [0, 1) by a normal distribution cut to that interval; the key space is divided into n equal cells. */
class GaussianPopularity implements Popularity {
  readonly #n: number;
  readonly #mean: number;
  readonly #deviation: number;
  readonly #scatter: Permutation;
  readonly #random: Random;
  constructor(n: number, mean: number, deviation: number, scatter: Permutation, random: Random) {
    this.#n = n;
    this.#mean = mean;
    this.#deviation = deviation;
    this.#scatter = scatter;
    this.#random = random;
  }
  next(): number {
    return this.#scatter.apply(this.#position());
  }
  /** The cell at place i by closeness to the centre: to both sides in turn, and along one side once the other is used up. */
  keyAt(i: number): number {
    const [low, high] = this.#head(i + 1);
    const [lowBefore] = this.#head(i);
    return this.#scatter.apply(i > 0 && low === lowBefore ? high - 1 : low);
  }
  headShare(count: number): number {
    if (count === 0) return 0;
    const [low, high] = this.#head(count);
    return (this.#cdf(high / this.#n) - this.#cdf(low / this.#n)) / (this.#cdf(1) - this.#cdf(0));
  }
  /** The cells [low, high) that the first `count` of the order make up: the run of that many cells best centred on the mean. */
  #head(count: number): [number, number] {
    const low = Math.max(0, Math.min(Math.round(this.#mean * this.#n - count / 2), this.#n - count));
    return [low, low + count];
  }
  #cdf(x: number): number {
    return normalCdf((x - this.#mean) / this.#deviation);
  }
  /** Marsaglia's polar method, drawn again until it falls into [0, 1); the schema refuses a centre outside, so at most some 3/4 are lost. */
  #position(): number {
    const random = this.#random;
    for (let round = 0; round < 10_000; round++) {
      const u = 2 * random.nextFloat() - 1;
      const v = 2 * random.nextFloat() - 1;
      const s = u * u + v * v;
      if (s >= 1 || s === 0) continue;
      const x = this.#mean + this.#deviation * u * Math.sqrt((-2 * Math.log(s)) / s);
      if (x >= 0 && x < 1) return Math.floor(x * this.#n);
    }
    // A deviation so wide that [0, 1) is hardly ever hit is uniform for every purpose.
    return random.nextBelow(this.#n);
  }
}

class HotspotPopularity implements Popularity {
  readonly #n: number;
  readonly #hot: number;
  readonly #share: number;
  readonly #scatter: Permutation;
  readonly #random: Random;
  constructor(n: number, keys: number, operations: number, scatter: Permutation, random: Random) {
    this.#n = n;
    this.#hot = Math.min(n, Math.max(1, Math.round(keys * n)));
    this.#share = this.#hot === n ? 1 : operations;
    this.#scatter = scatter;
    this.#random = random;
  }
  next(): number {
    const random = this.#random;
    const hot = this.#hot;
    const rank = random.nextFloat() < this.#share ? random.nextBelow(hot) : hot + random.nextBelow(this.#n - hot);
    return this.#scatter.apply(rank);
  }
  keyAt(i: number): number {
    return this.#scatter.apply(i);
  }
  headShare(count: number): number {
    if (count <= this.#hot) return (this.#share * count) / this.#hot;
    return this.#share + ((1 - this.#share) * (count - this.#hot)) / (this.#n - this.#hot);
  }
}

/**
 * Zipf by age. The key space is a ring of n keys whose newest is n - 1 at the start; each write appends the next one (over the oldest).
 * With several threads each appends its own residue class, and takes the age from its own progress: they need no word between them.
 */
class LatestPopularity implements Popularity {
  readonly #n: number;
  readonly #exponent: number;
  readonly #sampler: ZipfSampler;
  readonly #random: Random;
  readonly #threads: number;
  #newest: number;
  #own: number;
  constructor(n: number, exponent: number, random: Random, share: ThreadShare) {
    this.#n = n;
    this.#exponent = exponent;
    this.#sampler = new ZipfSampler(n, exponent);
    this.#random = random;
    this.#threads = share.threads;
    this.#newest = n - 1;
    // The next key that this thread appends; the ring's arithmetic is done modulo n.
    this.#own = share.thread % n;
  }
  next(writes: boolean): number {
    if (writes) {
      const index = this.#own;
      this.#newest = index;
      this.#own = (index + this.#threads) % this.#n;
      return index;
    }
    const age = this.#sampler.next(this.#random);
    const index = this.#newest - age;
    return index < 0 ? index + this.#n : index;
  }
  keyAt(i: number): number {
    return this.#n - 1 - i;
  }
  headShare(count: number): number {
    return count === 0 ? 0 : harmonic(count, this.#exponent) / harmonic(this.#n, this.#exponent);
  }
}

/** One key after the other, round and round; thread t of T takes every T-th, beginning with its own number. */
class SequentialPopularity implements Popularity {
  readonly #n: number;
  readonly #step: number;
  #next: number;
  constructor(n: number, share: ThreadShare) {
    this.#n = n;
    this.#step = share.threads;
    this.#next = share.thread % n;
  }
  next(): number {
    const index = this.#next;
    this.#next = (index + this.#step) % this.#n;
    return index;
  }
  keyAt(i: number): number {
    return i;
  }
  headShare(count: number): number {
    return count / this.#n;
  }
}

/**
 * @param keys number of keys
 * @param dataSeed fixes which keys are hot (the scenario's seed, the same in all repetitions)
 * @param random source of the draws (one per thread)
 */
export function createPopularity(
  spec: PopularitySpec,
  keys: number,
  dataSeed: string,
  random: Random,
  share: ThreadShare = { thread: 0, threads: 1 },
): Popularity {
  const scatter = (): Permutation => createPermutation(keys, `${dataSeed}/scatter`);
  switch (spec.kind) {
    case 'uniform':
      return new UniformPopularity(keys, random);
    case 'zipf':
      // Exponent 0 is uniform by definition, and needs no logarithms.
      return spec.exponent === 0
        ? new UniformPopularity(keys, random)
        : new ZipfPopularity(keys, spec.exponent, scatter(), random);
    case 'gaussian':
      return new GaussianPopularity(keys, spec.mean, spec.deviation, scatter(), random);
    case 'hotspot':
      return new HotspotPopularity(keys, spec.keys, spec.operations, scatter(), random);
    case 'latest':
      return new LatestPopularity(keys, spec.exponent, random, share);
    case 'sequential':
      return new SequentialPopularity(keys, share);
  }
}
