/**
 * Zipf's law over ranks 1…n with any exponent s >= 0: P(rank k) = k^-s / Σ i^-s. Exact, without tables, in constant time:
 * rejection-inversion (W. Hörmann and G. Derflinger, "Rejection-inversion to generate variates from monotone discrete
 * distributions", ACM TOMACS 6(3), 1996).
 *
 * The idea: the density h(x) = x^-s is convex, so its integral over [k - 1/2, k + 1/2] is at least h(k). Draw a point below the curve by
 * inversion of the integral H, round its x to k, and accept it if it lies in a strip of area h(k) at the right of k's interval. More
 * than nine tenths of all draws are accepted at once, most of them by a comparison of x alone.
 */
import type { Random } from '../../engines/ports.ts';

/** (e^t - 1) / t, also where t is 0 or near it: what makes exponents close to 1 and 1 itself exact. */
function expRatio(t: number): number {
  return Math.abs(t) > 1e-8 ? Math.expm1(t) / t : 1 + t / 2;
}

/** log(1 + t) / t, also near 0. */
function logRatio(t: number): number {
  return Math.abs(t) > 1e-8 ? Math.log1p(t) / t : 1 - t / 2;
}

export class ZipfSampler {
  readonly #n: number;
  readonly #s: number;
  readonly #top: number;
  readonly #span: number;
  readonly #sure: number;

  /**
   * @param n number of ranks, at least 1
   * @param exponent s, at least 0 (0 is uniform)
   */
  constructor(n: number, exponent: number) {
    if (!(Number.isInteger(n) && n >= 1)) throw new RangeError(`Cannot rank ${n} keys: at least 1`);
    if (!(exponent >= 0 && exponent <= 100)) throw new RangeError(`Cannot use the Zipf exponent ${exponent}: 0 to 100`);
    this.#n = n;
    this.#s = exponent;
    this.#top = this.#integral(n + 0.5);
    // Rank 1 is accepted always, so its interval is shortened to exactly its own area, h(1) = 1.
    this.#span = this.#integral(1.5) - 1 - this.#top;
    this.#sure = 2 - this.#inverse(this.#integral(2.5) - this.#density(2));
  }

  /** @returns a rank, 0 (the most popular) to n - 1 */
  next(random: Random): number {
    // The chance to go round 40 times is below 1e-20; the bound is there because every loop has one.
    for (let round = 0; round < 40; round++) {
      const u = this.#top + random.nextFloat() * this.#span;
      const x = this.#inverse(u);
      let k = Math.floor(x + 0.5);
      if (k < 1) k = 1;
      else if (k > this.#n) k = this.#n;
      if (k - x <= this.#sure || u >= this.#integral(k + 0.5) - this.#density(k)) return k - 1;
    }
    return 0;
  }

  #density(x: number): number {
    return Math.exp(-this.#s * Math.log(x));
  }

  /** ∫ from 1 to x of t^-s: (x^(1-s) - 1) / (1 - s), and log x for s = 1. */
  #integral(x: number): number {
    const log = Math.log(x);
    return log * expRatio((1 - this.#s) * log);
  }

  #inverse(u: number): number {
    // Rounding can carry the argument of the logarithm below -1 for large exponents.
    const t = Math.max(-1, u * (1 - this.#s));
    return Math.exp(u * logRatio(t));
  }
}

/** Terms summed one by one before the rest is taken from the Euler-Maclaurin formula, whose error is then far below 1e-12. */
const EXACT_TERMS = 1000;

/** Σ i^-s for i = 1…n: the generalised harmonic number. */
export function harmonic(n: number, exponent: number): number {
  const m = Math.min(n, EXACT_TERMS);
  let sum = 0;
  for (let i = m; i >= 1; i--) sum += i ** -exponent;
  if (n === m) return sum;
  // The sum of f over m+1…n: ∫ f, plus half the difference of f at the ends, plus 1/12 of that of its first derivative,
  // less 1/720 of that of its third.
  const s = exponent;
  const fm = m ** -s;
  const fn = n ** -s;
  const log = Math.log(n / m);
  const integral = m * fm * log * expRatio((1 - s) * log);
  const first = (-s * fn) / n + (s * fm) / m;
  const third = -s * (s + 1) * (s + 2) * (fn / n ** 3 - fm / m ** 3);
  return sum + integral + (fn - fm) / 2 + first / 12 - third / 720;
}
