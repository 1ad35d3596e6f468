/** Order statistics, trends and bootstrap confidence intervals of small samples: repetitions of a run, intervals of a time series. */
import { createRandom } from '../../engines/base/random.ts';

/** Resamples of a bootstrap: enough for the 2.5 % and 97.5 % points to be steady to about a percent of the spread. */
export const BOOTSTRAP_RESAMPLES = 2_000;

/**
 * @param share 0 to 1
 * @returns the quantile, interpolated linearly between order statistics; NaN of an empty sample
 */
export function quantile(values: readonly number[], share: number): number {
  if (values.length === 0) return Number.NaN;
  const sorted = [...values].sort((a, b) => a - b);
  const at = (sorted.length - 1) * share;
  const below = Math.floor(at);
  const above = Math.min(below + 1, sorted.length - 1);
  return sorted[below]! + (sorted[above]! - sorted[below]!) * (at - below);
}

export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

/** @returns [first quartile, median, third quartile] */
export function quartiles(values: readonly number[]): [number, number, number] {
  return [quantile(values, 0.25), quantile(values, 0.5), quantile(values, 0.75)];
}

/** Options of `bootstrapInterval`. */
export interface BootstrapOptions {
  /** 0 to 1; 0.95 if left out. */
  confidence?: number;
  resamples?: number;
  /** The same seed gives the same interval. */
  seed?: string | number;
}

/**
 * Percentile bootstrap (Efron 1979).
 * @param statistic what is estimated, e.g. `median`
 * @returns [lower, upper]; both equal the statistic for samples of one value, NaN for none
 */
export function bootstrapInterval(
  values: readonly number[],
  statistic: (sample: readonly number[]) => number = median,
  options: BootstrapOptions = {},
): [number, number] {
  if (values.length < 2) return [statistic(values), statistic(values)];
  const { confidence = 0.95, resamples = BOOTSTRAP_RESAMPLES, seed = 1 } = options;
  const random = createRandom(seed);
  const estimates: number[] = [];
  const sample = new Array<number>(values.length);
  for (let i = 0; i < resamples; i++) {
    for (let j = 0; j < values.length; j++) sample[j] = values[random.nextBelow(values.length)]!;
    estimates.push(statistic(sample));
  }
  const tail = (1 - confidence) / 2;
  return [quantile(estimates, tail), quantile(estimates, 1 - tail)];
}

/** A trend over equally spaced values. */
export interface Trend {
  /** Theil–Sen slope (median of all pairwise slopes) times the length: how much the line rises from first to last value. */
  rise: number;
  /** Two-sided p-value of the Mann–Kendall test (normal approximation, without correction for ties); 1 for fewer than 4 values. */
  pValue: number;
}

/** Robust trend of a series (Mann 1945, Kendall 1975, Sen 1968). */
export function trend(values: readonly number[]): Trend {
  const n = values.length;
  if (n < 4) return { rise: 0, pValue: 1 };
  const slopes: number[] = [];
  let score = 0;
  for (let i = 0; i < n; i++) {
    for (let j = i + 1; j < n; j++) {
      slopes.push((values[j]! - values[i]!) / (j - i));
      score += Math.sign(values[j]! - values[i]!);
    }
  }
  const variance = (n * (n - 1) * (2 * n + 5)) / 18;
  const z = score === 0 ? 0 : (Math.abs(score) - 1) / Math.sqrt(variance);
  return { rise: median(slopes) * (n - 1), pValue: 2 * (1 - normalCdf(z)) };
}

/** Standard normal distribution function (Abramowitz and Stegun 26.2.17, error below 7.5e-8). */
export function normalCdf(z: number): number {
  const t = 1 / (1 + 0.2316419 * Math.abs(z));
  const poly = t * (0.31938153 + t * (-0.356563782 + t * (1.781477937 + t * (-1.821255978 + t * 1.330274429))));
  const upper = (Math.exp((-z * z) / 2) / Math.sqrt(2 * Math.PI)) * poly;
  return z >= 0 ? 1 - upper : upper;
}
