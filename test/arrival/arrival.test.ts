import { describe, expect, it } from 'vitest';
import { createArrival } from '../../harness/arrival/arrival.ts';

function times(process: 'constant' | 'poisson', rate: number, seconds: number, threads: number, seed = 's'): number[] {
  const all: number[] = [];
  for (let thread = 0; thread < threads; thread++) {
    const arrival = createArrival({ kind: 'open', process, rate }, seed, { thread, threads });
    let before = 0;
    for (let due = arrival.nextDueUs(); due < seconds * 1e6; due = arrival.nextDueUs()) {
      expect(due).toBeGreaterThanOrEqual(before);
      before = due;
      all.push(due);
    }
  }
  return all.sort((a, b) => a - b);
}

/** Variance over mean of the counts in windows: 1 for a Poisson process, 0 for a clockwork. */
function dispersion(due: number[], windowUs: number, seconds: number): number {
  const counts = new Float64Array(Math.floor((seconds * 1e6) / windowUs));
  for (const t of due) {
    const window = Math.floor(t / windowUs);
    if (window < counts.length) counts[window]++;
  }
  const mean = counts.reduce((a, b) => a + b) / counts.length;
  return counts.reduce((sum, count) => sum + (count - mean) ** 2, 0) / (counts.length - 1) / mean;
}

describe('arrival', () => {
  it('is never due in the closed loop', () => {
    const arrival = createArrival({ kind: 'closed' }, 's');
    expect(arrival.open).toBe(false);
    expect(arrival.nextDueUs()).toBe(Number.POSITIVE_INFINITY);
  });

  for (const threads of [1, 2, 3, 7]) {
    it(`at a constant rate is one even sequence over ${threads} threads`, () => {
      const due = times('constant', 3000, 4, threads);
      expect(due).toHaveLength(12_000);
      for (let i = 0; i < due.length; i++) expect(due[i]).toBeCloseTo(((i + 0.5) * 1e6) / 3000, 6);
    });

    it(`of a Poisson process has the mean rate and the dispersion of one over ${threads} threads`, () => {
      const due = times('poisson', 5000, 20, threads);
      expect(Math.abs(due.length - 100_000)).toBeLessThan(4 * Math.sqrt(100_000));
      for (const windowUs of [1000, 10_000, 100_000]) {
        const windows = (20 * 1e6) / windowUs;
        expect(Math.abs(dispersion(due, windowUs, 20) - 1)).toBeLessThan(4 * Math.sqrt(2 / windows));
      }
    });
  }

  it('has no drift after a day', () => {
    const arrival = createArrival({ kind: 'open', process: 'constant', rate: 3 }, 's');
    let due = 0;
    for (let i = 0; i <= 3 * 86_400; i++) due = arrival.nextDueUs();
    expect(due).toBe(86_400 * 1e6 + 0.5e6 / 3);
  });

  it('at a constant rate has nothing due just when an interval of the time series ends', () => {
    for (const due of times('constant', 30, 6, 1)) expect(due % 500_000).toBeGreaterThan(10_000);
  });

  it('follows from the seed', () => {
    expect(times('poisson', 100, 2, 2, 'a')).toEqual(times('poisson', 100, 2, 2, 'a'));
    expect(times('poisson', 100, 2, 2, 'a')).not.toEqual(times('poisson', 100, 2, 2, 'b'));
  });

  it('refuses a share or a rate that makes no sense', () => {
    expect(() => createArrival({ kind: 'closed' }, 's', { thread: 2, threads: 2 })).toThrow(/thread 2 of 2/);
    expect(() => createArrival({ kind: 'open', process: 'constant', rate: 0 }, 's')).toThrow(/above 0/);
  });
});
