import { describe, expect, it } from 'vitest';
import {
  datasetBytes,
  expectedHitRatio,
  memcachedFloorBytes,
  memoryLimitBytes,
} from '../../harness/workload/dataset-totals.ts';
import { OP_GET, OP_INCR, OP_MGET, OP_SET } from '../../harness/workload/operation.ts';
import { createWorkload, Preload } from '../../harness/workload/workload.ts';
import { builtInNames, loadScenario, templateText } from '../../scenarios/load.ts';
import { readScenario } from '../../scenarios/schema.ts';
import type { Scenario } from '../../scenarios/spec.ts';
import { makeScenario } from '../support/scenario.ts';
import { TIMED } from '../support/timed.ts';

function take(scenario: Scenario, seed: string, count: number, thread = 0, threads = 1): string[] {
  const workload = createWorkload(scenario, seed, { thread, threads });
  const lines: string[] = [];
  for (let i = 0; i < count; i++) {
    workload.next();
    const keys = Array.from(workload.keyIndexes.subarray(0, workload.keyCount)).join(' ');
    lines.push(`${workload.kind} ${keys} ${workload.valueBytes} ${workload.ttlSeconds} ${workload.version}`);
  }
  return lines;
}

const busy = makeScenario({
  dataset: {
    keys: 5000,
    keyPrefix: 'k:',
    keyBytes: 12,
    valueSize: { kind: 'generalized-pareto', location: 0, scale: 214.476, shape: 0.348238, min: 1, max: 100_000 },
    preload: 0.5,
  },
  mix: [
    { operation: 'get', weight: 60 },
    { operation: 'set', weight: 20 },
    { operation: 'mget', weight: 10 },
    { operation: 'incr', weight: 10 },
  ],
  ttl: { kind: 'uniform', min: 10, max: 20 },
  multiKey: 4,
});

describe('the stream of operations', () => {
  it('is the same for the same seed and another for another', () => {
    expect(take(busy, 'a', 2000)).toEqual(take(busy, 'a', 2000));
    expect(take(busy, 'a', 200)).not.toEqual(take(busy, 'b', 200));
  });

  it('gives each thread a stream of its own that follows from the seed', () => {
    expect(take(busy, 'a', 500, 1, 3)).toEqual(take(busy, 'a', 500, 1, 3));
    expect(take(busy, 'a', 500, 0, 3)).not.toEqual(take(busy, 'a', 500, 1, 3));
  });

  it('never repeats a version over all threads', () => {
    const versions = new Set<string>();
    for (let thread = 0; thread < 3; thread++) {
      for (const line of take(busy, 'a', 300, thread, 3)) versions.add(line.split(' ').at(-1)!);
    }
    expect(versions.size).toBe(900);
  });

  it('keeps the mix, draws keys inside the data set and gives counters to incr alone', () => {
    const workload = createWorkload(busy, 'mix');
    const seen = new Float64Array(10);
    let misplaced = 0;
    for (let i = 0; i < 50_000; i++) {
      workload.next();
      seen[workload.kind]++;
      if (workload.dataset.isCounter(workload.keyIndex) !== (workload.kind === OP_INCR)) misplaced++;
      if (workload.keyIndex >= 10_000) misplaced++;
      if (workload.kind === OP_SET) {
        expect(workload.valueBytes).toBe(workload.dataset.valueBytesOf(workload.keyIndex));
        expect(workload.ttlSeconds).toBeGreaterThanOrEqual(10);
        expect(workload.ttlSeconds).toBeLessThanOrEqual(20);
      }
      if (workload.kind === OP_MGET) expect(workload.keyCount).toBe(4);
    }
    expect(misplaced).toBe(0);
    expect(seen[OP_GET] / 50_000).toBeCloseTo(0.6, 1);
    expect(seen[OP_INCR] / 50_000).toBeCloseTo(0.1, 1);
  });

  it('gives a key the same size in every run, whatever the draws', () => {
    const one = createWorkload(busy, 'one').dataset;
    const two = createWorkload(busy, 'two').dataset;
    for (let i = 0; i < 5000; i++) expect(one.valueBytesOf(i)).toBe(two.valueBytesOf(i));
  });

  it('preloads each of the most popular keys once, and their counters', () => {
    const preload = new Preload(busy, 'seed');
    const seen = new Set<number>();
    for (let i = 0; i < preload.count; i++) seen.add(preload.indexAt(i));
    expect(preload.count).toBe(5000);
    expect(seen.size).toBe(5000);
    const scenario = makeScenario({ popularity: { kind: 'zipf', exponent: 0.99 } });
    const stream = createWorkload(scenario, 'x');
    const hits = new Map<number, number>();
    for (let i = 0; i < 50_000; i++) {
      stream.next();
      hits.set(stream.keyIndex, (hits.get(stream.keyIndex) ?? 0) + 1);
    }
    const hottest = [...hits].sort((a, b) => b[1] - a[1])[0][0];
    expect(stream.keyAt(0)).toBe(hottest);
  });

  it('draws more than two million operations a second', TIMED, () => {
    const workload = createWorkload(makeScenario({ popularity: { kind: 'zipf', exponent: 0.99 } }), 'x');
    for (let i = 0; i < 200_000; i++) workload.next();
    const start = process.cpuUsage();
    for (let i = 0; i < 500_000; i++) workload.next();
    const used = process.cpuUsage(start);
    // The bound is loose on purpose (shared machines); some 150 ns are usual.
    expect((used.user + used.system) / 500_000).toBeLessThan(2);
  });
});

describe('keys', () => {
  it('are the prefix and a zero-padded number of the asked length', () => {
    const { dataset } = createWorkload(makeScenario({}), 's');
    const u8 = new Uint8Array(64);
    expect(dataset.writeKey(u8, 3, 123)).toBe(3 + dataset.keyLength(123));
    expect(Buffer.from(u8.subarray(3, 3 + dataset.keyLength(123))).toString()).toBe('key:000000000123');
  });

  it('are unpadded where no length is asked', () => {
    const base = makeScenario({});
    const { dataset } = createWorkload({ ...base, dataset: { ...base.dataset, keyBytes: 0 } }, 's');
    const u8 = new Uint8Array(64);
    for (const index of [0, 9, 10, 99, 100, 999]) {
      expect(Buffer.from(u8.subarray(0, dataset.writeKey(u8, 0, index))).toString()).toBe(`key:${index}`);
      expect(dataset.keyLength(index)).toBe(`key:${index}`.length);
    }
  });
});

describe('totals of the data set', () => {
  it('count every key, or a sample of a large set that comes near', () => {
    const base = makeScenario({});
    const sized = (keys: number): Scenario => ({
      ...base,
      dataset: { ...base.dataset, keys, valueSize: { kind: 'uniform', min: 10, max: 30 } },
    });
    const small = datasetBytes(sized(10_000));
    let bytes = 0;
    const { dataset } = createWorkload(sized(10_000), 's');
    for (let i = 0; i < 10_000; i++) bytes += dataset.keyLength(i) + dataset.valueBytesOf(i);
    expect(small).toMatchObject({ bytes, entries: 10_000, method: 'exact' });
    const large = datasetBytes(sized(30_000_000));
    expect(large.method).toBe('sampled');
    expect(large.bytes / (30_000_000 * 36)).toBeCloseTo(1, 2);
  });

  it('give the memory limit as a share of the payload', () => {
    const base = makeScenario({});
    const scenario = { ...base, memory: { ...base.memory, limitShare: 0.5 } };
    expect(memoryLimitBytes(scenario)).toBe(datasetBytes(scenario).bytes / 2);
    expect(memoryLimitBytes({ ...base, memory: { ...base.memory, limitBytes: 777 } })).toBe(777);
  });

  it('tell the expected hit ratio where it follows from the scenario', () => {
    const base = makeScenario({ mix: [{ operation: 'get', weight: 1 }] });
    expect(expectedHitRatio(base)).toBe(1);
    const half = { ...base, dataset: { ...base.dataset, preload: 0.25 }, popularity: { kind: 'uniform' as const } };
    expect(expectedHitRatio(half)).toBe(0.25);
    expect(expectedHitRatio({ ...base, ttl: { kind: 'fixed', seconds: 1 } })).toBeNull();
  });

  it('tell what memcached takes whatever its limit is, and no built-in scenario limits it below that', () => {
    const base = makeScenario({});
    expect(memcachedFloorBytes(base)).toBe(1024 ** 2);
    const spread = { ...base.dataset, valueSize: { kind: 'uniform' as const, min: 1, max: 400 } };
    // Items of 76 to 475 bytes: classes 96, 120, 152, 192, 240, 304, 384, 480.
    expect(memcachedFloorBytes({ ...base, dataset: spread })).toBe(8 * 1024 ** 2);
    const plans = [...builtInNames().map((name) => loadScenario(name)), readScenario(templateText(), 'template')];
    for (const { name, cells } of plans) {
      const scenarios = cells.map((cell) => cell.scenario);
      const smallest = scenarios.sort((a, b) => a.memory.limitShare - b.memory.limitShare)[0];
      const limit = memoryLimitBytes(smallest);
      if (limit > 0) expect(limit, name).toBeGreaterThan(memcachedFloorBytes(smallest));
    }
  });
});
