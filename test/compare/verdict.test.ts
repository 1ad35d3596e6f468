import { describe, expect, it } from 'vitest';
import { METRICS } from '../../harness/compare/metrics.ts';
import { comparePair } from '../../harness/compare/paired.ts';
import { candidatePairs, judge } from '../../harness/compare/verdict.ts';
import { type MadeUp, MEMCACHED, makeScenarioResult, makeTargetResult, pairOf, REDIS } from '../support/made-up.ts';

const throughput = METRICS.find((metric) => metric.name === 'throughput')!;
const rates = (...values: number[]): MadeUp[] => values.map((rate) => ({ rate }));
const of = (redis: MadeUp[], memcached: MadeUp[], over = {}) =>
  judge(makeScenarioResult([REDIS, MEMCACHED], pairOf(redis, memcached), over));

describe('a comparison of paired runs', () => {
  it('finds a steady difference although the machine drifts far more than the targets differ', () => {
    // The machine loses a third of its speed from the first repetition to the last.
    const [a, b] = pairOf(rates(60_000, 52_000, 46_000, 40_000), rates(66_000, 57_500, 50_500, 44_100));
    const difference = comparePair(throughput, a!, b!)!;
    expect(difference.winner).toBe(1);
    expect(Math.exp(difference.difference)).toBeCloseTo(1.1, 2);
    expect(difference.interval[0]).toBeGreaterThan(0);
  });

  it('claims nothing where the pairs scatter more than they differ', () => {
    const [a, b] = pairOf(rates(50_000, 50_000, 50_000), rates(60_000, 48_000, 53_000));
    expect(comparePair(throughput, a!, b!)!.winner).toBe(0);
  });

  it('claims nothing below the floor, however steady', () => {
    const [a, b] = pairOf(rates(50_000, 50_000, 50_000), rates(50_500, 50_500, 50_500));
    expect(comparePair(throughput, a!, b!)!.winner).toBe(0);
  });

  it('asks for more where there is one pair only', () => {
    const close = pairOf(rates(50_000), rates(53_000));
    expect(comparePair(throughput, close[0]!, close[1]!)!.winner).toBe(0);
    const far = pairOf(rates(50_000), rates(60_000));
    expect(comparePair(throughput, far[0]!, far[1]!)!.winner).toBe(1);
  });

  it('leaves out repetitions in which either run cannot be believed', () => {
    const [a, b] = pairOf(
      [{ rate: 10 }, { rate: 50_000 }],
      [{ rate: 99_999 }, { rate: 50_000, failedGuard: 'client-cpu' }],
    );
    expect(comparePair(throughput, a!, b!)!.pairs).toBe(1);
  });
});

describe('a verdict', () => {
  const five = (over: MadeUp): MadeUp[] => [1, 2, 3, 4, 5].map(() => over);

  it('says who is ahead, by how much, and from how many runs', () => {
    const verdict = of(
      five({ rate: 50_000, hitRatio: 0.8, evictions: 10, payload: 1_000_000 }),
      five({ rate: 60_000, hitRatio: 0.831, evictions: 10, payload: 1_120_000 }),
    );
    expect(verdict.headline).toBe(
      'memcached served 3.1 points more of the gets from the cache; memcached held 12 % more data under the same memory limit',
    );
    expect(verdict.text).toContain('memcached answered 20 % more operations per second');
    expect(verdict.text).toContain('median 60,000/s against 50,000/s, 5 pairs of runs');
    expect(verdict.text).toContain('In p99 latency the two cannot be told apart');
    expect(verdict.confidence).toBe('high');
  });

  it('tells latency and CPU as less, in relation to the other', () => {
    const verdict = of(five({ p99: 200, cpu: 8 }), five({ p99: 400, cpu: 10 }));
    expect(verdict.text).toContain(
      'redis-server had a 99th percentile of latency 50 % lower (median 200 µs against 400 µs',
    );
    expect(verdict.text).toContain('redis-server took 20 % less CPU per operation (median 8.00 µs against 10.00 µs');
  });

  it('finds no difference where there is none', () => {
    const verdict = of(five({}), five({}));
    expect(verdict.headline).toBe(
      'No difference between redis-server and memcached that is larger than the spread of the runs',
    );
  });

  it('is inconclusive, with the reason, where no pair of runs can be believed', () => {
    const verdict = of(five({ failedGuard: 'client-cpu' }), five({ rate: 90_000 }));
    expect(verdict.headline).toBe('INCONCLUSIVE: no pair of runs passed all validity checks (client-cpu)');
    expect(verdict.text).toContain('client-cpu was out of bounds');
    expect(verdict.text).toContain('not to be relied on: memcached answered 80 % more');
    expect(verdict.confidence).toBe('low');
    expect(verdict.caveats.join(' ')).toContain('5 of 5 runs of redis-server are INCONCLUSIVE (client-cpu)');
  });

  it('still tells hit ratio and memory where only speed was disturbed, and says what is inconclusive', () => {
    const disturbed = (rate: number, hitRatio: number): MadeUp[] =>
      five({ rate, hitRatio, evictions: 9, failedGuard: 'stolen-cpu' });
    const verdict = of(disturbed(50_000, 0.8), disturbed(90_000, 0.85));
    expect(verdict.headline).toBe('memcached served 5.0 points more of the gets from the cache');
    expect(verdict.text).toContain('INCONCLUSIVE in throughput, p99 latency, server CPU: no pair of runs passed');
    expect(verdict.text).not.toContain('operations per second');
    expect(verdict.confidence).toBe('low');
  });

  it('tells no hit ratio that had not settled', () => {
    const halves = (first: number): MadeUp[] =>
      five({ hitRatio: 0.8, evictions: 9, failedGuard: 'steady-state', halves: [first, 0.85] });
    expect(of(halves(0.7), halves(0.7)).headline).toContain('INCONCLUSIVE');
    expect(of(halves(0.849), halves(0.849)).headline).toContain('No difference');
  });

  it('is no answer, with the reason, where runs failed', () => {
    const verdict = of(five({ status: 'failed', failure: 'the server was ended by SIGKILL' }), five({}));
    expect(verdict.headline).toBe('No answer: the server was ended by SIGKILL');
  });

  it('does not count an interruption as a failure of the server', () => {
    const stopped: MadeUp = { status: 'failed', failure: 'interrupted before the measured phase' };
    const { caveats } = of([...five({}), stopped], five({}));
    expect(caveats.join(' ')).toContain('A run of redis-server was interrupted and does not count.');
    expect(caveats.join(' ')).not.toContain('failed');
  });

  it('tells cells of a matrix apart', () => {
    const cells = [
      ...pairOf(five({ rate: 50_000 }), five({ rate: 60_000 }), { 'dataset.keys': 10 }),
      ...pairOf(five({ rate: 50_000 }), five({ rate: 40_000 }), { 'dataset.keys': 1_000 }),
      ...pairOf(five({ rate: 50_000 }), five({ rate: 50_000 }), { 'dataset.keys': 100 }),
    ];
    const verdict = judge(makeScenarioResult([REDIS, MEMCACHED], cells));
    expect(verdict.headline).toBe('In throughput it depends (redis-server ahead in 1 of 3 cells, memcached in 1)');
    expect(verdict.text).toContain(
      'In 1 of 3 cells redis-server answered 25 % more operations per second (at dataset.keys 1000: median 50,000/s against 40,000/s, 5 pairs of runs); in 1 of 3 cells memcached answered 20 % more',
    );
  });

  it('is the same text for the same result', () => {
    const make = () => of(five({ rate: 51_234 }), five({ rate: 61_111 }));
    expect(make()).toEqual(make());
  });

  it('warns of few repetitions, embedded engines and targets that were left out', () => {
    const embedded = makeTargetResult({ id: 'memcached', label: 'embedded', engine: 'memcached', kind: 'embedded' });
    const verdict = judge(
      makeScenarioResult([REDIS, embedded], pairOf([{}], [{}]), {
        skippedTargets: [{ id: 'x', label: 'memcached', reason: 'memcached is not on PATH' }],
      }),
    );
    const text = verdict.caveats.join('\n');
    expect(text).toContain('Only one repetition');
    expect(text).toContain("cachelab's own");
    expect(text).toContain('memcached was left out: memcached is not on PATH.');
    expect(verdict.confidence).toBe('low');
  });

  it('has something to say of one target, and of none', () => {
    const one = judge(makeScenarioResult([REDIS], [pairOf([{}], [])[0]!]));
    expect(one.headline).toContain('measured alone');
    expect(judge(makeScenarioResult([], [])).headline).toBe('No answer');
  });

  it('rests on real servers where both are there', () => {
    const embedded = [
      makeTargetResult({ id: 'er', kind: 'embedded' }),
      makeTargetResult({ id: 'em', kind: 'embedded', engine: 'memcached' }),
    ];
    const ids = (...targets: Parameters<typeof candidatePairs>[0]) =>
      candidatePairs(targets).map((pair) => pair.map((one) => one.id).join('+'));
    expect(ids(...embedded, REDIS, MEMCACHED)[0]).toBe('redis+memcached');
    expect(ids(...embedded, REDIS)[0]).toBe('er+em');
    expect(ids(REDIS, makeTargetResult({ id: 'other' }))).toEqual(['redis+other']);
    expect(ids(REDIS)).toEqual([]);
  });

  it('falls back on the embedded engines, and says so, where the real servers were not measured validly', () => {
    const embedded = [
      makeTargetResult({ id: 'er', label: 'embedded Redis', kind: 'embedded' }),
      makeTargetResult({ id: 'em', label: 'embedded Memcached', kind: 'embedded', engine: 'memcached' }),
    ];
    const own = pairOf(five({ rate: 40_000 }), five({ rate: 60_000 }));
    own[0]!.targetId = 'er';
    own[1]!.targetId = 'em';
    const cells = [...own, ...pairOf(five({ failedGuard: 'stolen-cpu' }), five({}))];
    const verdict = judge(makeScenarioResult([...embedded, REDIS, MEMCACHED], cells));
    expect(verdict.headline).toBe(
      'INCONCLUSIVE: no pair of runs passed all validity checks (stolen-cpu). embedded Redis and embedded Memcached instead: embedded Memcached answered 50 % more operations per second',
    );
    expect(verdict.confidence).toBe('low');
  });
});
