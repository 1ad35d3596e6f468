/**
 * Counts of latencies in log-linear buckets, in exactly the layout of an HdrHistogram with a resolution of 1 µs and three
 * significant digits: 2,048 buckets of 1 µs, then 1,024 buckets for each further doubling. Recording is an index computation and
 * two or three stores into typed arrays: nothing is allocated, so that the measuring cannot disturb what it measures. The library's
 * own object is only built when a summary is encoded (see README.md for what each costs).
 */
import hdr from 'hdr-histogram-js';
import type { LatencySummary, TimelineRow } from '../result.ts';

/** The longest latency that is told apart, in µs (134 s); longer ones are counted here. */
export const LATENCY_US_MAX = 2 ** 27 - 1;

const SIGNIFICANT_DIGITS = 3;
/** log2 of the number of buckets of each doubling. */
const HALF_BITS = 10;
const BUCKETS = ((27 - HALF_BITS - 1) << HALF_BITS) + (2 << HALF_BITS);
/** Points of the percentile curve for each halving of the distance to 100 %. */
const CURVE_TICKS_PER_HALF = 5;

const COUNT = 0;
const SUM = 1;
const MIN = 2;
const MAX = 3;

/** What one thread posts to another: the buckets that are not empty. */
export interface SparseCounts {
  /** Bucket index and count, alternating. */
  pairs: Uint32Array;
  count: number;
  /** µs */
  sum: number;
  min: number;
  max: number;
}

/** @returns the bucket of a whole number of µs in [0, LATENCY_US_MAX] */
export function bucketOf(us: number): number {
  const shift = 21 - Math.clz32(us | 2047);
  return (shift << HALF_BITS) + (us >>> shift);
}

/** @returns the largest number of µs that falls into a bucket */
export function bucketTop(bucket: number): number {
  if (bucket < 2 << HALF_BITS) return bucket;
  const shift = (bucket >>> HALF_BITS) - 1;
  return (bucket - (shift << HALF_BITS) + 1) * 2 ** shift - 1;
}

/** A µs value as HdrHistogram represents its bucket in means: the middle, rounded up. */
function bucketMiddle(bucket: number): number {
  if (bucket < 2 << HALF_BITS) return bucket;
  const shift = (bucket >>> HALF_BITS) - 1;
  return (bucket - (shift << HALF_BITS)) * 2 ** shift + 2 ** (shift - 1);
}

export class LatencyCounts {
  private readonly counts = new Uint32Array(BUCKETS);
  // Doubles live in a typed array, because a changing double field of an object may be boxed anew on each store.
  private readonly stats = new Float64Array([0, 0, Number.POSITIVE_INFINITY, 0]);

  /** Latencies recorded. */
  get count(): number {
    return this.stats[COUNT]!;
  }

  /** Sum of all latencies in µs, not rounded to buckets. */
  get sumUs(): number {
    return this.stats[SUM]!;
  }

  /** The longest latency in µs, not rounded to its bucket; 0 when empty. */
  get maxUs(): number {
    return this.stats[MAX]!;
  }

  /** @param us latency in µs; negative counts as 0, fractions are rounded for the bucket and kept for mean, min and max */
  record(us: number): void {
    const exact = Math.max(us, 0);
    const whole = exact < LATENCY_US_MAX ? (exact + 0.5) >>> 0 : LATENCY_US_MAX;
    const shift = 21 - Math.clz32(whole | 2047);
    this.counts[(shift << HALF_BITS) + (whole >>> shift)]!++;
    const stats = this.stats;
    stats[COUNT]!++;
    stats[SUM]! += exact;
    if (exact < stats[MIN]!) stats[MIN] = exact;
    if (exact > stats[MAX]!) stats[MAX] = exact;
  }

  /** Forgets everything. */
  reset(): void {
    this.counts.fill(0);
    this.stats.set([0, 0, Number.POSITIVE_INFINITY, 0]);
  }

  /** Adds what another has recorded. */
  add(other: LatencyCounts): void {
    for (let bucket = 0; bucket < BUCKETS; bucket++) this.counts[bucket]! += other.counts[bucket]!;
    this.addStats(other.stats[COUNT]!, other.stats[SUM]!, other.stats[MIN]!, other.stats[MAX]!);
  }

  addSparse(sparse: SparseCounts): void {
    for (let i = 0; i < sparse.pairs.length; i += 2) this.counts[sparse.pairs[i]!]! += sparse.pairs[i + 1]!;
    this.addStats(sparse.count, sparse.sum, sparse.min, sparse.max);
  }

  toSparse(): SparseCounts {
    let used = 0;
    for (let bucket = 0; bucket < BUCKETS; bucket++) if (this.counts[bucket] !== 0) used++;
    const pairs = new Uint32Array(2 * used);
    let at = 0;
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      if (this.counts[bucket] === 0) continue;
      pairs[at++] = bucket;
      pairs[at++] = this.counts[bucket]!;
    }
    const [count, sum, min, max] = this.stats;
    return { pairs, count: count!, sum: sum!, min: min!, max: max! };
  }

  /**
   * @param percentile 0 to 100
   * @returns the latency in µs that this share of all recorded ones does not exceed (rounded up to its bucket's top, but never
   *   beyond the maximum); 0 when empty
   */
  percentile(percentile: number): number {
    const target = Math.max(1, Math.ceil((percentile / 100) * this.count - 1e-9 * this.count));
    let seen = 0;
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      seen += this.counts[bucket]!;
      if (seen >= target) return Math.min(bucketTop(bucket), this.maxUs);
    }
    return this.maxUs;
  }

  summary(): LatencySummary {
    const count = this.count;
    if (count === 0) return emptySummary();
    const mean = this.sumUs / count;
    return {
      count,
      min: round3(this.stats[MIN]!),
      mean: round3(mean),
      stddev: round3(this.deviation(mean)),
      max: round3(this.maxUs),
      p50: this.percentile(50),
      p75: this.percentile(75),
      p90: this.percentile(90),
      p95: this.percentile(95),
      p99: this.percentile(99),
      p999: this.percentile(99.9),
      p9999: this.percentile(99.99),
      curve: this.curve(),
      histogram: this.encode(),
    };
  }

  /** Percentile curve: points get closer as they come nearer to 100 %, until a single latency is left above. */
  private curve(): [number, number][] {
    const points: [number, number][] = [[0, round3(this.stats[MIN]!)]];
    const levels: number[] = [];
    for (let above = 100; (above * this.count) / 100 >= 1; above /= 2) {
      const step = above / 2 / CURVE_TICKS_PER_HALF;
      for (let tick = 1; tick <= CURVE_TICKS_PER_HALF; tick++) levels.push(100 - above + tick * step);
    }
    let seen = 0;
    let bucket = -1;
    for (const level of levels) {
      const target = Math.max(1, Math.ceil((level / 100) * this.count - 1e-9 * this.count));
      while (seen < target && bucket + 1 < BUCKETS) seen += this.counts[++bucket]!;
      points.push([Number(level.toFixed(6)), Math.min(bucketTop(bucket), this.maxUs)]);
    }
    points.push([100, round3(this.maxUs)]);
    return points;
  }

  private deviation(mean: number): number {
    let squares = 0;
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      const count = this.counts[bucket]!;
      if (count !== 0) squares += count * (bucketMiddle(bucket) - mean) ** 2;
    }
    return Math.sqrt(squares / this.count);
  }

  /** @returns the HdrHistogram, V2 compressed, base64 */
  private encode(): string {
    const histogram = hdr.build({
      bitBucketSize: 32,
      autoResize: false,
      lowestDiscernibleValue: 1,
      highestTrackableValue: LATENCY_US_MAX,
      numberOfSignificantValueDigits: SIGNIFICANT_DIGITS,
      useWebAssembly: false,
    });
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      const count = this.counts[bucket]!;
      if (count !== 0) histogram.recordValueWithCount(bucketTop(bucket), count);
    }
    return hdr.encodeIntoCompressedBase64(histogram);
  }

  private addStats(count: number, sum: number, min: number, max: number): void {
    this.stats[COUNT]! += count;
    this.stats[SUM]! += sum;
    if (min < this.stats[MIN]!) this.stats[MIN] = min;
    if (max > this.stats[MAX]!) this.stats[MAX] = max;
  }
}

function emptySummary(): LatencySummary {
  const zero = { min: 0, mean: 0, stddev: 0, max: 0, p50: 0, p75: 0, p90: 0, p95: 0, p99: 0, p999: 0, p9999: 0 };
  return { count: 0, ...zero, curve: [], histogram: null };
}

function round3(us: number): number {
  return Math.round(us * 1000) / 1000;
}

/** Rebuilds counts from the base64 form of a summary (to merge repetitions, say). @throws Error when the text is none */
export function decodeLatencies(base64: string): LatencyCounts {
  const decoded = hdr.decodeFromCompressedBase64(base64, 32, false, LATENCY_US_MAX) as hdr.JsHistogram;
  const counts = new LatencyCounts();
  const pairs: number[] = [];
  let total = 0;
  let sum = 0;
  let min = Number.POSITIVE_INFINITY;
  let max = 0;
  for (let bucket = 0; bucket < BUCKETS; bucket++) {
    const count = decoded.getCountAtIndex(bucket);
    if (count === 0) continue;
    pairs.push(bucket, count);
    total += count;
    sum += count * bucketMiddle(bucket);
    min = Math.min(min, bucketMiddle(bucket));
    max = bucketTop(bucket);
  }
  counts.addSparse({ pairs: Uint32Array.from(pairs), count: total, sum, min, max });
  return counts;
}

/** One row of the time series from the response times of one interval. Server figures are filled in by whoever samples them. */
export function timelineRow(
  t: number,
  responses: LatencyCounts,
  errors: number,
  hits: number,
  misses: number,
): TimelineRow {
  return {
    t,
    operations: responses.count,
    errors,
    hits,
    misses,
    p50: responses.percentile(50),
    p99: responses.percentile(99),
    p999: responses.percentile(99.9),
    max: round3(responses.maxUs),
    rss: null,
    serverCpu: null,
  };
}
