/** A complete scenario with small numbers, for tests that need one and care about few of its fields. */
import type { Scenario, TargetSpec } from '../../scenarios/spec.ts';

export function makeTarget(over: Partial<TargetSpec> = {}): TargetSpec {
  return {
    id: 'redis',
    label: 'redis-server',
    engine: 'redis',
    kind: 'spawned',
    binary: null,
    flags: [],
    url: null,
    optional: false,
    eventLoop: 'auto',
    socket: 'tcp',
    ...over,
  };
}

export function makeScenario(over: Partial<Scenario> = {}): Scenario {
  return {
    name: 'tiny',
    title: 'A tiny mix',
    question: 'Does it run?',
    kind: 'load',
    targets: [makeTarget()],
    dataset: {
      keys: 1_000,
      keyPrefix: 'key:',
      keyBytes: 16,
      valueSize: { kind: 'fixed', bytes: 100 },
      preload: 1,
    },
    popularity: { kind: 'uniform' },
    mix: [{ operation: 'get', weight: 1 }],
    ttl: { kind: 'none' },
    pipeline: 1,
    multiKey: 10,
    connections: 4,
    threads: 1,
    driver: 'raw',
    memcachedProtocol: 'ascii',
    arrival: { kind: 'closed' },
    memory: { limitBytes: 0, limitShare: 0, policy: 'allkeys-lru', samples: 5 },
    persistence: null,
    cacheAside: null,
    fanout: null,
    warmUpS: 0,
    durationS: 0.2,
    operations: 0,
    repetitions: 1,
    seed: '1',
    verify: 0,
    intervalMs: 100,
    ...over,
  };
}
