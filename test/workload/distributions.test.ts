import { describe, expect, it } from 'vitest';
import { createRandom } from '../../engines/base/random.ts';
import { AliasTable } from '../../harness/workload/alias.ts';
import { createDuration } from '../../harness/workload/duration.ts';
import { normalCdf, normalQuantile } from '../../harness/workload/normal.ts';
import { createPermutation } from '../../harness/workload/permutation.ts';
import { createPopularity } from '../../harness/workload/popularity.ts';
import { createSize } from '../../harness/workload/size.ts';
import { createTtl } from '../../harness/workload/ttl.ts';
import { harmonic, ZipfSampler } from '../../harness/workload/zipf.ts';
import type { PopularitySpec, SizeSpec } from '../../scenarios/spec.ts';

/**
 * Pearson's statistic over cells that expect at least 10 (neighbours are joined), as a normal deviate (Wilson and Hilferty).
 * With fixed seeds a test passes always or never; 4 is a chance of 3 in 100,000 that a right sampler would have failed when written.
 */
function chiSquareDeviate(counts: ArrayLike<number>, share: (i: number) => number, draws: number): number {
  let statistic = 0;
  let cells = 0;
  let seen = 0;
  let expected = 0;
  for (let i = 0; i < counts.length; i++) {
    seen += counts[i];
    expected += share(i) * draws;
    if (expected < 10 && i < counts.length - 1) continue;
    statistic += (seen - expected) ** 2 / Math.max(expected, 1e-9);
    cells++;
    seen = 0;
    expected = 0;
  }
  const k = cells - 1;
  if (k < 1) return 0;
  return (Math.cbrt(statistic / k) - (1 - 2 / (9 * k))) / Math.sqrt(2 / (9 * k));
}

const DRAWS = 100_000;

describe('Zipf by rejection-inversion', () => {
  for (const exponent of [0, 0.3, 0.7, 0.99, 1, 1.0000001, 1.2, 2, 5]) {
    for (const n of [1, 2, 3, 10, 1000, 100_000]) {
      it(`has the exact shares for exponent ${exponent} over ${n} ranks`, () => {
        const sampler = new ZipfSampler(n, exponent);
        const random = createRandom(`zipf ${exponent} ${n}`);
        const counts = new Uint32Array(n);
        for (let i = 0; i < DRAWS; i++) counts[sampler.next(random)]++;
        const sum = harmonic(n, exponent);
        expect(chiSquareDeviate(counts, (i) => (i + 1) ** -exponent / sum, DRAWS)).toBeLessThan(4);
      });
    }
  }

  it('covers two thousand million ranks without a table', () => {
    const sampler = new ZipfSampler(2 ** 31, 0.99);
    const random = createRandom('large');
    const head = harmonic(1000, 0.99) / harmonic(2 ** 31, 0.99);
    let inHead = 0;
    let outside = 0;
    for (let i = 0; i < DRAWS; i++) {
      const rank = sampler.next(random);
      if (!(rank < 2 ** 31 && rank >= 0 && Number.isInteger(rank))) outside++;
      if (rank < 1000) inHead++;
    }
    expect(outside).toBe(0);
    expect(Math.abs(inHead / DRAWS - head)).toBeLessThan(4 * Math.sqrt((head * (1 - head)) / DRAWS));
  });

  it('sums harmonic numbers as adding them up one by one does', () => {
    for (const s of [0, 0.5, 0.99, 1, 1.3, 4]) {
      let sum = 0;
      for (let i = 250_000; i >= 1; i--) sum += i ** -s;
      expect(harmonic(250_000, s) / sum).toBeCloseTo(1, 12);
    }
  });
});

describe('popularity', () => {
  const cases: [string, PopularitySpec][] = [
    ['uniform', { kind: 'uniform' }],
    ['zipf', { kind: 'zipf', exponent: 0.99 }],
    ['gaussian', { kind: 'gaussian', mean: 0.5, deviation: 0.1 }],
    ['gaussian at the edge', { kind: 'gaussian', mean: 0, deviation: 0.3 }],
    ['gaussian near the other edge', { kind: 'gaussian', mean: 0.97, deviation: 0.2 }],
    ['hotspot', { kind: 'hotspot', keys: 0.2, operations: 0.8 }],
    ['hotspot of everything', { kind: 'hotspot', keys: 1, operations: 0.5 }],
    ['latest', { kind: 'latest', exponent: 0.8 }],
    ['sequential', { kind: 'sequential' }],
  ];
  for (const [name, spec] of cases) {
    for (const n of [1, 7, 1000]) {
      it(`draws ${name} over ${n} keys with exact shares, in the order that preload uses`, () => {
        const popularity = createPopularity(spec, n, 'data', createRandom(`popularity ${name} ${n}`));
        const counts = new Uint32Array(n);
        for (let i = 0; i < DRAWS; i++) counts[popularity.next(false)]++;
        const order = Array.from({ length: n }, (_, i) => popularity.keyAt(i));
        expect(new Set(order).size).toBe(n);
        const inOrder = order.map((index) => counts[index]);
        const share = (i: number): number => popularity.headShare(i + 1) - popularity.headShare(i);
        expect(chiSquareDeviate(inOrder, share, DRAWS)).toBeLessThan(4);
        expect(popularity.headShare(n)).toBeCloseTo(1, 12);
        for (let i = 1; i < n; i++) expect(share(i)).toBeLessThanOrEqual(share(i - 1) + 1e-9);
      });
    }
  }

  it('scatters hot keys by the data seed alone', () => {
    const at = (seed: string, draws: string): number[] => {
      const popularity = createPopularity({ kind: 'zipf', exponent: 1 }, 5000, seed, createRandom(draws));
      return Array.from({ length: 20 }, (_, i) => popularity.keyAt(i));
    };
    expect(at('a', '1')).toEqual(at('a', '2'));
    expect(at('a', '1')).not.toEqual(at('b', '1'));
    const neighbours = at('a', '1').filter((key, i, all) => i > 0 && Math.abs(key - all[i - 1]) < 50).length;
    expect(neighbours).toBeLessThan(4);
  });

  it('appends keys with each write in `latest`, and reads the newest most', () => {
    const popularity = createPopularity({ kind: 'latest', exponent: 1 }, 100, 'd', createRandom('latest'));
    expect([popularity.next(true), popularity.next(true), popularity.next(true)]).toEqual([0, 1, 2]);
    const counts = new Uint32Array(100);
    for (let i = 0; i < 10_000; i++) counts[popularity.next(false)]++;
    expect(counts.indexOf(Math.max(...counts))).toBe(2);
    expect(counts[1]).toBeGreaterThan(counts[0]);
    expect(counts[0]).toBeGreaterThan(counts[99]);
  });

  it('lets threads share a sequence without leaving a key out', () => {
    for (const threads of [1, 2, 3, 4]) {
      const seen = new Set<number>();
      for (let thread = 0; thread < threads; thread++) {
        const share = { thread, threads };
        const popularity = createPopularity({ kind: 'sequential' }, 1000, 'd', createRandom('x'), share);
        for (let i = 0; i < Math.ceil(1000 / threads); i++) seen.add(popularity.next(false));
      }
      expect(seen.size).toBe(1000);
    }
  });
});

describe('the permutation of ranks', () => {
  it('is a bijection for every small size and for large ones', () => {
    for (const n of [1, 2, 3, 4, 5, 7, 8, 9, 31, 32, 33, 100, 1023, 1024, 1025, 300_000]) {
      for (const seed of ['a', 'b']) {
        const permutation = createPermutation(n, seed);
        const seen = new Uint8Array(n);
        for (let i = 0; i < n; i++) seen[permutation.apply(i)]++;
        expect(seen.every((count) => count === 1)).toBe(true);
      }
    }
  });

  it('stays inside 2^31 numbers', () => {
    const permutation = createPermutation(2 ** 31, 's');
    const seen = new Set<number>();
    for (let i = 2 ** 31 - 1000; i < 2 ** 31; i++) seen.add(permutation.apply(i));
    expect(seen.size).toBe(1000);
    for (const place of seen) expect(place >= 0 && place < 2 ** 31).toBe(true);
  });
});

describe('value sizes', () => {
  const specs: [string, SizeSpec][] = [
    ['fixed', { kind: 'fixed', bytes: 100 }],
    ['uniform', { kind: 'uniform', min: 10, max: 300 }],
    [
      'one of a list',
      {
        kind: 'list',
        entries: [
          { bytes: 10, weight: 5 },
          { bytes: 1000, weight: 1 },
          { bytes: 64, weight: 4 },
        ],
      },
    ],
    ['log-normal', { kind: 'log-normal', median: 200, sigma: 1, min: 1, max: 5000 }],
    ['ETC', { kind: 'generalized-pareto', location: 0, scale: 214.476, shape: 0.348238, min: 1, max: 1_000_000 }],
    ['exponential', { kind: 'generalized-pareto', location: 10, scale: 50, shape: 0, min: 1, max: 400 }],
    ['bounded Pareto', { kind: 'generalized-pareto', location: 0, scale: 100, shape: -0.5, min: 20, max: 150 }],
  ];
  for (const [name, spec] of specs) {
    it(`are ${name} with exact shares (chi-square and Kolmogorov-Smirnov)`, () => {
      const size = createSize(spec);
      const random = createRandom(`size ${name}`);
      const counts = new Uint32Array(size.max + 1);
      for (let i = 0; i < DRAWS; i++) counts[size.at(random.nextFloat())]++;
      expect(chiSquareDeviate(counts, (i) => size.cdf(i) - size.cdf(i - 1), DRAWS)).toBeLessThan(4);
      let below = 0;
      let distance = 0;
      for (let i = 0; i <= size.max; i++) {
        below += counts[i];
        distance = Math.max(distance, Math.abs(below / DRAWS - size.cdf(i)));
      }
      expect(distance * Math.sqrt(DRAWS)).toBeLessThan(2);
    });
  }

  it('of ETC have the published mean and median', () => {
    const size = createSize({
      kind: 'generalized-pareto',
      location: 0,
      scale: 214.476,
      shape: 0.348238,
      min: 1,
      max: 1_000_000,
    });
    let sum = 0;
    for (let i = 0; i < 1e6; i++) sum += size.at((i + 0.5) / 1e6);
    // Mean of the uncut distribution: scale / (1 - shape) = 329.
    expect(sum / 1e6).toBeGreaterThan(320);
    expect(sum / 1e6).toBeLessThan(335);
  });

  it('refuse a range in which the distribution has nothing', () => {
    expect(() =>
      createSize({ kind: 'generalized-pareto', location: 0, scale: 1, shape: 0, min: 5000, max: 6000 }),
    ).toThrow(/has nothing there/);
  });
});

describe('times', () => {
  it('to live are drawn from their list and range', () => {
    const random = createRandom('ttl');
    const list = createTtl({
      kind: 'list',
      entries: [
        { seconds: 5, weight: 3 },
        { seconds: 60, weight: 1 },
      ],
    });
    let five = 0;
    for (let i = 0; i < 20_000; i++) if (list.next(random) === 5) five++;
    expect(five / 20_000).toBeCloseTo(0.75, 1);
    const range = createTtl({ kind: 'uniform', min: 3, max: 5 });
    expect(new Set(Array.from({ length: 100 }, () => range.next(random)))).toEqual(new Set([3, 4, 5]));
  });

  it('of the origin have the mean that is told', () => {
    const specs = [
      { kind: 'fixed', ms: 2 },
      { kind: 'uniform', min: 1, max: 5 },
      { kind: 'exponential', mean: 4 },
      { kind: 'log-normal', median: 5, sigma: 0.5, min: 1, max: 20 },
    ] as const;
    for (const spec of specs) {
      const source = createDuration(spec, 'seed');
      let sum = 0;
      for (let i = 0; i < 50_000; i++) sum += source.nextUs();
      expect(sum / 50_000 / 1000 / source.meanMs).toBeCloseTo(1, 1);
    }
  });
});

describe('the normal distribution', () => {
  it('has the tabulated values', () => {
    expect(normalCdf(0)).toBe(0.5);
    expect(normalCdf(1)).toBeCloseTo(0.841344746068543, 14);
    expect(normalCdf(-3.5)).toBeCloseTo(2.32629079035525e-4, 16);
    expect(normalCdf(-8) / 6.22096057427178e-16).toBeCloseTo(1, 9);
    expect(normalQuantile(0.975)).toBeCloseTo(1.959963984540054, 13);
  });

  it('is inverted by its quantile', () => {
    for (let p = 1e-12; p < 1; p += 0.0173) expect(normalCdf(normalQuantile(p)) / p).toBeCloseTo(1, 11);
  });
});

describe('drawing by weights', () => {
  it('keeps the weights exactly', () => {
    const weights = [1, 0, 3, 0.5, 100, 7];
    const table = new AliasTable(weights);
    const random = createRandom('alias');
    const counts = new Uint32Array(weights.length);
    for (let i = 0; i < DRAWS; i++) counts[table.pick(random.nextFloat())]++;
    const sum = weights.reduce((a, b) => a + b);
    expect(counts[1]).toBe(0);
    expect(chiSquareDeviate(counts, (i) => weights[i] / sum, DRAWS)).toBeLessThan(4);
  });

  it('refuses weights that name nothing', () => {
    expect(() => new AliasTable([0, 0])).toThrow(/above 0/);
    expect(() => new AliasTable([1, -1])).toThrow(/-1/);
  });
});
