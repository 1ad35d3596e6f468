import { expect, test } from 'vitest';
import { createRandom } from '../../engines/base/random.ts';
import { bootstrapInterval, median, normalCdf, quartiles, trend } from '../../harness/measure/statistics.ts';

test('median and quartiles interpolate between order statistics', () => {
  expect(median([3, 1, 2])).toBe(2);
  expect(median([4, 1, 2, 3])).toBe(2.5);
  expect(quartiles([1, 2, 3, 4, 5])).toEqual([2, 3, 4]);
  expect(median([])).toBeNaN();
});

test('a bootstrap interval is repeatable by seed and covers the true median about as often as it says', () => {
  const random = createRandom(5);
  let covered = 0;
  const trials = 200;
  for (let trial = 0; trial < trials; trial++) {
    const values = Array.from({ length: 25 }, () => random.nextFloat());
    const [low, high] = bootstrapInterval(values, median, { seed: trial, resamples: 300 });
    expect(bootstrapInterval(values, median, { seed: trial, resamples: 300 })).toEqual([low, high]);
    if (low <= 0.5 && 0.5 <= high) covered++;
  }
  expect(covered / trials).toBeGreaterThan(0.88);
  expect(bootstrapInterval([7])).toEqual([7, 7]);
});

test('a trend is told from noise', () => {
  const random = createRandom(9);
  const noise = Array.from({ length: 60 }, () => 100 + random.nextFloat() * 10);
  expect(trend(noise).pValue).toBeGreaterThan(0.01);
  const rising = noise.map((value, i) => value + i);
  expect(trend(rising).pValue).toBeLessThan(1e-6);
  expect(trend(rising).rise).toBeGreaterThan(50);
  expect(trend([1, 2, 3]).pValue).toBe(1);
});

test('the normal distribution function has its known values', () => {
  expect(normalCdf(0)).toBeCloseTo(0.5, 6);
  expect(normalCdf(1.959964)).toBeCloseTo(0.975, 6);
  expect(normalCdf(-2.575829)).toBeCloseTo(0.005, 6);
});
