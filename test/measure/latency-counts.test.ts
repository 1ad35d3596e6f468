import hdr from 'hdr-histogram-js';
import { expect, test } from 'vitest';
import { createRandom } from '../../engines/base/random.ts';
import {
  bucketOf,
  bucketTop,
  decodeLatencies,
  LATENCY_US_MAX,
  LatencyCounts,
  timelineRow,
} from '../../harness/measure/latency-counts.ts';

function library(values: readonly number[]): hdr.JsHistogram {
  const histogram = hdr.build({ bitBucketSize: 32, autoResize: false, highestTrackableValue: LATENCY_US_MAX });
  for (const value of values) histogram.recordValue(value);
  return histogram as hdr.JsHistogram;
}

function sample(seed: number, size: number): number[] {
  const random = createRandom(seed);
  return Array.from({ length: size }, () => Math.floor(Math.exp(random.nextFloat() * Math.log(LATENCY_US_MAX))));
}

test('a bucket index equals that of the HdrHistogram library over the whole range', () => {
  const histogram = library([]) as unknown as { countsArrayIndex(value: number): number };
  const edges = [0, 1, 2046, 2047, 2048, 2049, 4095, 4096, LATENCY_US_MAX - 1, LATENCY_US_MAX];
  for (const value of [...edges, ...sample(7, 20_000)]) {
    expect(bucketOf(value), `value ${value}`).toBe(histogram.countsArrayIndex(value));
    expect(bucketTop(bucketOf(value))).toBeGreaterThanOrEqual(value);
  }
});

test('percentiles, deviation and curve agree with the library', () => {
  const values = sample(11, 50_000);
  const counts = new LatencyCounts();
  for (const value of values) counts.record(value);
  const histogram = library(values);
  const summary = counts.summary();
  for (const [name, percentile] of [
    ['p50', 50],
    ['p75', 75],
    ['p90', 90],
    ['p95', 95],
    ['p99', 99],
    ['p999', 99.9],
    ['p9999', 99.99],
  ] as const) {
    expect(summary[name]).toBe(Math.min(histogram.getValueAtPercentile(percentile), Math.max(...values)));
  }
  expect(summary.count).toBe(values.length);
  expect(summary.mean).toBeCloseTo(values.reduce((sum, value) => sum + value, 0) / values.length, 2);
  expect(summary.stddev / histogram.stdDeviation).toBeCloseTo(1, 3);
  expect(summary.max).toBe(Math.max(...values));
  expect(summary.min).toBe(Math.min(...values));
  for (let i = 1; i < summary.curve.length; i++) {
    expect(summary.curve[i]![0]).toBeGreaterThanOrEqual(summary.curve[i - 1]![0]);
    expect(summary.curve[i]![1]).toBeGreaterThanOrEqual(summary.curve[i - 1]![1]);
  }
  expect(summary.curve.at(-1)).toEqual([100, summary.max]);
});

test('the base64 form is read back by the library and by us', () => {
  const values = sample(13, 10_000);
  const counts = new LatencyCounts();
  for (const value of values) counts.record(value);
  const text = counts.summary().histogram!;
  const read = hdr.decodeFromCompressedBase64(text);
  expect(read.totalCount).toBe(values.length);
  expect(read.getValueAtPercentile(99)).toBe(library(values).getValueAtPercentile(99));
  const own = decodeLatencies(text);
  expect(own.count).toBe(values.length);
  expect(own.percentile(50)).toBe(counts.percentile(50));
  expect(own.sumUs / counts.sumUs).toBeCloseTo(1, 3);
});

test('counts merged from sparse form equal counts recorded in one place', () => {
  const parts = [1, 2, 3].map((seed) => sample(seed, 3_000));
  const merged = new LatencyCounts();
  const added = new LatencyCounts();
  const whole = new LatencyCounts();
  for (const part of parts) {
    const counts = new LatencyCounts();
    for (const value of part) {
      counts.record(value);
      whole.record(value);
    }
    merged.addSparse(counts.toSparse());
    added.add(counts);
  }
  expect(merged.summary()).toEqual(whole.summary());
  expect(added.summary()).toEqual(whole.summary());
});

test('values out of range are kept at its ends and none is lost', () => {
  const counts = new LatencyCounts();
  for (const value of [-5, 0, 0.4, 1e9, Number.POSITIVE_INFINITY]) counts.record(value);
  expect(counts.count).toBe(5);
  expect(counts.percentile(40)).toBe(0);
  expect(counts.maxUs).toBe(Number.POSITIVE_INFINITY);
  counts.reset();
  expect(counts.summary().count).toBe(0);
  expect(counts.summary().histogram).toBeNull();
  expect(timelineRow(1, counts, 0, 0, 0)).toMatchObject({ operations: 0, p50: 0, max: 0 });
});

test('a single latency is every percentile', () => {
  const counts = new LatencyCounts();
  counts.record(123.4);
  expect(counts.summary()).toMatchObject({ count: 1, min: 123.4, mean: 123.4, max: 123.4, p50: 123, p9999: 123 });
});
