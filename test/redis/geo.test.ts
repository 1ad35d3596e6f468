import { describe, expect, it } from 'vitest';
import { distanceBetween } from '../../engines/redis/geo/area.ts';
import { arcSine, cosine, sine } from '../../engines/redis/geo/exact-trigonometry.ts';
import {
  decodeScore,
  geohashText,
  placeLatitude,
  placeLongitude,
  placeScore,
} from '../../engines/redis/geo/geohash.ts';
import { partialSort } from '../../engines/redis/structures/partial-sort.ts';
import { seededRandom } from '../support/seed.ts';

describe('places', () => {
  it('come back from their scores to within half a meter', () => {
    const random = seededRandom('places');
    for (let i = 0; i < 20_000; i++) {
      const longitude = random.nextFloat() * 360 - 180;
      const latitude = random.nextFloat() * 170 - 85;
      const score = placeScore(longitude, latitude);
      expect(Number.isSafeInteger(score)).toBe(true);
      decodeScore(score);
      expect(distanceBetween(longitude, latitude, placeLongitude, placeLatitude)).toBeLessThan(0.5);
      expect(placeScore(placeLongitude, placeLatitude)).toBe(score);
    }
  });

  it('have the text that is known of them', () => {
    expect(geohashText(placeScore(13.361389, 38.115556))).toBe('sqc8b49rny0');
    expect(geohashText(placeScore(15.087269, 37.502669))).toBe('sqdtr74hyu0');
  });

  it('are as far apart as is known', () => {
    expect(distanceBetween(13.361389, 38.115556, 15.087269, 37.502669)).toBeCloseTo(166274.15, 0);
    expect(distanceBetween(5, 5, 5, 5)).toBe(0);
  });
});

describe('sine, cosine and arc sine', () => {
  it("are within one place of the processor's and hit what is known exactly", () => {
    const random = seededRandom('angles');
    const near = (a: number, b: number) => Math.abs(a - b) <= 2.3e-16 * Math.max(Math.abs(a), 1e-3);
    for (let i = 0; i < 20_000; i++) {
      const x = (random.nextFloat() - 0.5) * 7;
      expect(near(sine(x), Math.sin(x))).toBe(true);
      expect(near(cosine(x), Math.cos(x))).toBe(true);
      const y = random.nextFloat();
      expect(near(arcSine(y), Math.asin(y))).toBe(true);
    }
    expect(sine(Math.PI)).toBe(1.2246467991473532e-16);
    expect(cosine(Math.PI / 2)).toBe(6.123233995736766e-17);
    expect(sine(Math.PI / 6)).toBe(0.49999999999999994);
    expect(arcSine(1)).toBe(Math.PI / 2);
    expect(arcSine(0)).toBe(0);
    expect(arcSine(1.5)).toBeNaN();
  });
});

describe('the partial sort', () => {
  it('puts the items of a range in their places', () => {
    const random = seededRandom('partial sort');
    for (let round = 0; round < 2_000; round++) {
      const length = random.nextBelow(120);
      const items = Array.from({ length }, () => random.nextBelow(round % 2 === 0 ? 10 : 1_000));
      const first = random.nextBelow(length + 1);
      const last = first + random.nextBelow(20);
      const sorted = [...items].sort((a, b) => a - b);
      partialSort(items, (a, b) => a - b, first, last);
      expect(items.slice(first, last + 1)).toEqual(sorted.slice(first, last + 1));
      expect([...items].sort((a, b) => a - b)).toEqual(sorted);
    }
  });
});
