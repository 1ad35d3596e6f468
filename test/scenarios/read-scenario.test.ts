import { describe, expect, it } from 'vitest';
import { templateText } from '../../scenarios/load.ts';
import { addTarget, readScenario, ScenarioError } from '../../scenarios/schema.ts';
import type { Scenario } from '../../scenarios/spec.ts';
import { withoutSecrets } from '../../scenarios/targets.ts';

function one(yaml: string, set: string[] = []): Scenario {
  return readScenario(yaml, 'f.yaml', { set }).cells[0].scenario;
}

function mistakes(yaml: string, set: string[] = [], env = {}): ScenarioError {
  try {
    readScenario(yaml, 'f.yaml', { set, env });
  } catch (error) {
    if (error instanceof ScenarioError) return error;
    throw error;
  }
  throw new Error(`no mistake was found in:\n${yaml}`);
}

describe('a scenario file', () => {
  it('may leave everything but one field out', () => {
    const scenario = one('title: Small');
    expect(scenario).toMatchObject({
      name: 'f',
      title: 'Small',
      kind: 'load',
      dataset: { keys: 100_000, keyBytes: 16, valueSize: { kind: 'fixed', bytes: 100 }, preload: 1 },
      popularity: { kind: 'zipf', exponent: 0.99 },
      mix: [
        { operation: 'get', weight: 0.9 },
        { operation: 'set', weight: 0.1 },
      ],
      memory: { limitBytes: 0, limitShare: 0 },
      cacheAside: null,
      durationS: 10,
      repetitions: 3,
    });
    expect(scenario.targets.map((t) => `${t.id} ${t.kind} ${t.optional}`)).toEqual([
      'embedded-redis embedded false',
      'embedded-memcached embedded false',
      'redis spawned true',
      'memcached spawned true',
    ]);
  });

  it('is read the same in short and in long form', () => {
    const pairs: [string, string][] = [
      ['popularity: zipf 0.8', 'popularity: { kind: zipf, exponent: 0.8 }'],
      ['popularity: hotspot 10% 90%', 'popularity: { kind: hotspot, keys: 0.1, operations: 0.9 }'],
      ['popularity: gaussian 40% 5%', 'popularity: { kind: gaussian, mean: 40%, deviation: 0.05 }'],
      ['ttl: 90s', 'ttl: { kind: fixed, seconds: 1.5min }'],
      ['ttl: 1min..1h', 'ttl: { kind: uniform, min: 60s, max: 3600s }'],
      ['arrival: poisson 20k/s', 'arrival: { kind: open, process: poisson, rate: 20_000/s }'],
      ['cacheAside: true', 'cacheAside: { originLatency: none }'],
      ['cacheAside: { originLatency: 5ms }', 'cacheAside: { originLatency: { kind: fixed, ms: 5000us } }'],
      [
        'cacheAside: { originLatency: exponential 5ms }',
        'cacheAside: { originLatency: { kind: exponential, mean: 5ms } }',
      ],
      ['dataset: { valueSize: 4 KiB }', 'dataset: { valueSize: { kind: fixed, bytes: 4kb } }'],
      ['dataset: { valueSize: 10..20 }', 'dataset: { valueSize: { kind: uniform, min: 10 B, max: 20 B } }'],
      [
        'dataset: { valueSize: etc }',
        'dataset: { valueSize: { kind: generalized-pareto, scale: 214.476, shape: 0.348238 } }',
      ],
    ];
    for (const [short, long] of pairs) expect(one(short), short).toEqual(one(long));
  });

  it('has units like redis.conf', () => {
    const limit = (text: string): number => one(`memory: { limit: ${text} }`).memory.limitBytes;
    expect([limit('1k'), limit('1kb'), limit('1 KiB'), limit('1m'), limit('1MB'), limit('2 GiB'), limit('77')]).toEqual(
      [1000, 1024, 1024, 1e6, 1_048_576, 2_147_483_648, 77],
    );
    expect(one('interval: 250ms').intervalMs).toBe(250);
    expect(one('warmUp: 1500ms').warmUpS).toBe(1.5);
    expect(one('duration: 2h').durationS).toBe(7200);
    expect(one('dataset: { keys: 2M }').dataset.keys).toBe(2_000_000);
    expect(one('dataset: { keys: 1_000 }').dataset.keys).toBe(1000);
  });

  it('takes all forms of targets', () => {
    const scenario = readScenario(
      `targets:
  - redis
  - { engine: redis, id: mine, binary: /opt/redis, flags: [--io-threads, 4], socket: unix }
  - memcached://cache.example:11311
  - { url: "redis://app:\${PASS}@db.example:6390/2", id: prod }
  - { url: "unix:/run/mc.sock", engine: memcached, id: local }
  - redis+unix:/run/redis.sock`,
      'f.yaml',
      { env: { PASS: 'p@ss/word' } },
    ).cells[0].scenario;
    expect(scenario.targets.map((t) => [t.id, t.engine, t.kind, t.binary, t.url])).toEqual([
      ['redis', 'redis', 'spawned', 'redis-server', null],
      ['mine', 'redis', 'spawned', '/opt/redis', null],
      ['remote-memcached', 'memcached', 'remote', null, 'memcached://cache.example:11311'],
      ['prod', 'redis', 'remote', null, 'redis://app:p%40ss%2Fword@db.example:6390/2'],
      ['local', 'memcached', 'remote', null, 'unix:/run/mc.sock'],
      ['remote-redis', 'redis', 'remote', null, 'unix:/run/redis.sock'],
    ]);
    expect(scenario.targets[1].flags).toEqual(['--io-threads', '4']);
    expect(JSON.stringify(withoutSecrets(scenario))).not.toContain('p%40ss');
    expect(scenario.targets[3].label).toBe('Redis (redis://db.example:6390/2)');
  });
});

describe('the matrix', () => {
  const plan = readScenario(
    'matrix:\n  memory.limitShare: [10%, 50%]\n  popularity: [uniform, zipf 1]\n  dataset.valueSize: [64 B]',
    'f.yaml',
  );

  it('is the product of its axes, the last varying fastest', () => {
    expect(plan.cells.map(({ axis }) => Object.values(axis).join(' | '))).toEqual([
      '10% | uniform | 64 B',
      '10% | zipf 1 | 64 B',
      '50% | uniform | 64 B',
      '50% | zipf 1 | 64 B',
    ]);
    expect(plan.cells[3].scenario).toMatchObject({
      memory: { limitShare: 0.5 },
      popularity: { kind: 'zipf', exponent: 1 },
      dataset: { valueSize: { kind: 'fixed', bytes: 64 } },
    });
    expect(plan.axes.map((axis) => axis.field)).toEqual(['memory.limitShare', 'popularity', 'dataset.valueSize']);
  });

  it('reaches into a field that is written in its short form', () => {
    const cells = readScenario('popularity: zipf 0.5\nmatrix: { popularity.exponent: [0.7, 1] }', 'f.yaml').cells;
    expect(cells.map((cell) => cell.scenario.popularity)).toEqual([
      { kind: 'zipf', exponent: 0.7 },
      { kind: 'zipf', exponent: 1 },
    ]);
  });

  it('names the very value that is wrong', () => {
    const { problems } = mistakes('matrix:\n  connections: [1, 10,\n    many, 20]\n  memory.polcy: [noeviction]');
    expect(problems.map((p) => [p.line, p.column, p.field])).toEqual([
      [3, 5, 'connections'],
      [4, 3, 'memory.polcy'],
    ]);
    expect(problems[1].text).toContain('did you mean "policy"');
  });

  it('has an end', () => {
    const numbers = Array.from({ length: 40 }, (_, i) => i + 1).join(', ');
    expect(mistakes(`matrix: { connections: [${numbers}], pipeline: [${numbers}] }`).message).toContain(
      '1600 combinations',
    );
  });
});

describe('--set', () => {
  it('changes a field, makes an axis of a list, and overrules an axis with one value', () => {
    const yaml = 'memory: { limitShare: 50% }\nmatrix: { memory.limitShare: [10%, 20%], connections: [1, 2] }';
    expect(
      readScenario(yaml, 'f', { set: ['memory.limitShare=30%'] }).cells.map((c) => c.scenario.memory.limitShare),
    ).toEqual([0.3, 0.3]);
    expect(readScenario(yaml, 'f', { set: ['connections=[3, 4, 5]'] }).cells).toHaveLength(6);
    expect(readScenario('title: x', 'f', { set: ['pipeline=[1, 4]'] }).axes).toEqual([
      { field: 'pipeline', values: [1, 4] },
    ]);
    expect(one('title: x', ['targets=[redis]']).targets).toHaveLength(1);
    expect(one('popularity: zipf 0.5', ['popularity.exponent=0.6']).popularity).toEqual({
      kind: 'zipf',
      exponent: 0.6,
    });
    expect(one('title: x', ['dataset.valueSize={kind: uniform, min: 1, max: 9}']).dataset.valueSize).toMatchObject({
      max: 9,
    });
  });

  it('is named when it brings a mistake in', () => {
    expect(mistakes('title: x', ['dataset.kyes=3']).message).toContain(
      '--set dataset.kyes=3: dataset.kyes: is unknown (did you mean "keys"?)',
    );
    expect(mistakes('title: x', ['keys']).message).toContain('must be field=value');
    expect(mistakes('title: x', ['duration=3']).message).toContain('has no unit');
    expect(mistakes('title: x', ['connections=[1, no]']).message).toContain('--set connections=[1, no]');
    expect(mistakes('title: x', ['title.a=1', 'a=[']).problems).toHaveLength(2);
    expect(mistakes('title: x', ['__proto__.polluted=1']).message).toContain('unknown');
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
  });
});

describe('mistakes', () => {
  it('are all reported at once, in the order of the file', () => {
    const { message, problems } = mistakes('dataset:\n  kyes: 3\n  keys: abc\nduration: 10\nttl: 5 apples\n');
    expect(problems.map((p) => `${p.line}:${p.column} ${p.field}`)).toEqual([
      '2:3 dataset.kyes',
      '3:9 dataset.keys',
      '4:11 duration',
      '5:6 ttl.seconds',
    ]);
    expect(message).toMatch(
      /^Cannot read scenario f\.yaml: 4 mistakes\n {2}f\.yaml:2:3: dataset\.kyes: is unknown \(did you mean "keys"\?\)/,
    );
  });

  it('in the YAML itself have a place too', () => {
    expect(mistakes('title: x\n  y: [1\n').problems[0]).toMatchObject({ line: 1 });
    expect(mistakes('a: 1\na: 2').problems[0].line).toBe(2);
    expect(mistakes('').message).toContain('is empty');
    expect(mistakes('- a').message).toContain('must be a map');
    expect(
      mistakes(
        'a: &a [1,1]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: [*c,*c,*c,*c,*c]',
      ).message,
    ).toContain('no valid YAML');
    expect(mistakes('['.repeat(20_000)).message).toContain('f.yaml');
    expect(mistakes(`x: ${'[ '.repeat(200)}${'] '.repeat(200)}`).message).toContain('nested deeper');
  });

  const combinations: [string, string, RegExp][] = [
    ['both limits', 'memory: { limit: 1mb, limitShare: 50% }', /memory\.limitShare: and limit cannot both be given/],
    ['pipeline in the open loop', 'pipeline: 4\narrival: constant 5/s', /f\.yaml:1:11: pipeline: .*closed/],
    [
      'memjs with Redis',
      'driver: memjs\ntargets: [redis]',
      /f\.yaml:1:9: driver: is memjs, which cannot speak with redis/,
    ],
    ['ioredis with memcached', 'driver: ioredis\ntargets: [memcached]', /cannot speak with memcached/],
    ['fanout without its kind', 'fanout: { subscribers: 3 }', /fanout: belongs to "kind: pubsub-fanout"/],
    ['a mix in a fan-out', 'kind: pubsub-fanout\nmix: { get: 1 }', /f\.yaml:2:6: mix: has no meaning/],
    ['files of memcached', 'targets: [memcached]\npersistence: { mode: rdb }', /persistence: .*keeps none/],
    ['files of a remote', 'targets: [redis://h]\npersistence: { mode: rdb }', /persistence: .*is elsewhere/],
    ['a mix that is no share', 'mix: 20% sets', /mix: must be a map of weights, or "20% set"/],
    ['touch without ttl', 'mix: { touch: 1 }', /mix\.touch: .*ttl is none/],
    ['append without set', 'mix: { append: 1, get: 1 }', /mix\.append: .*add set/],
    ['an empty mix', 'mix: { get: 0 }', /mix: needs at least one/],
    ['cache-aside without get', 'mix: { set: 1 }\ncacheAside: true', /cacheAside: .*no get/],
    ['min above max', 'dataset: { valueSize: 20..10 }', /dataset\.valueSize\.min: is 20 B, above max/],
    [
      'a key too short for its number',
      'dataset: { keys: 1M, keyBytes: 8 }',
      /keyBytes: is 8, but prefix and number need 10/,
    ],
    ['a key too long for memcached', 'dataset: { keyBytes: 300 }', /300 bytes, but memcached takes at most 250/],
    ['a value too large for memcached', 'dataset: { valueSize: 2 MiB }', /takes items up to 1 MiB/],
    ['a ttl that memcached takes for a date', 'ttl: 31d', /30 days/],
    ['more threads than connections', 'threads: 4\nconnections: 2', /threads: is 4, more than the 2 connections/],
    ['more keys at once than there are', 'dataset: { keys: 5 }\nmix: { mget: 1 }', /multiKey: is 10, more than the 5/],
    ['two targets of one name', 'targets: [redis, redis]', /targets\.1: has the id redis/],
    [
      'sizes out of reach',
      'dataset: { valueSize: { kind: log-normal, median: 10, sigma: 0.1, min: 900, max: 1000 } }',
      /has no sizes/,
    ],
    ['an interval longer than the run', 'duration: 1s\ninterval: 2s', /interval: is longer/],
    [
      'flags for a server elsewhere',
      'targets: [{ url: "redis://h", flags: [a] }]',
      /targets\.0\.flags: has no meaning/,
    ],
    ['a target without engine', 'targets: [{ binary: x }]', /has no engine/],
    ['an engine that the URL denies', 'targets: [{ url: "redis://h", engine: memcached }]', /URL is of redis/],
  ];
  it.each(combinations)('of combination are found: %s', (_name, yaml, expected) => {
    expect(mistakes(yaml).message).toMatch(expected);
  });

  it('allow a large value where the item limit is raised', () => {
    const yaml =
      'dataset: { valueSize: 2 MiB, keys: 10 }\ntargets: [{ engine: memcached, kind: spawned, flags: ["-I", "8m"] }]';
    expect(one(yaml).dataset.valueSize).toMatchObject({ bytes: 2 * 1024 ** 2 });
  });

  it('never show a secret', () => {
    const { message } = mistakes(
      'targets:\n  - redis://user:hunter2@host\n  - { url: "http://u:hunter2@h" }\n  - { url: "redis://x:$' +
        '{NOT_SET}@h" }',
    );
    expect(message).not.toContain('hunter2');
    expect(message).toContain('password in plain text');
    expect(message).toContain('NOT_SET, which is not set');
  });
});

/** Every field on a line of its own: what is broken below one line at a time. */
const EVERY_FIELD = `name: all
title: All fields
question: Why?
kind: load
dataset:
  keys: 1000
  keyPrefix: "k:"
  keyBytes: 20
  valueSize:
    kind: log-normal
    median: 100 B
    sigma: 1
    min: 1 B
    max: 1 KiB
  preload: 50%
popularity:
  kind: hotspot
  keys: 20%
  operations: 80%
mix:
  get: 50%
  set: 10%
  add: 1
  replace: 1
  append: 1
  delete: 1
  touch: 1
  incr: 1
  mget: 1
  mset: 1
ttl:
  kind: uniform
  min: 10s
  max: 20s
pipeline: 1
multiKey: 5
connections: 10
threads: 2
driver: raw
memcachedProtocol: binary
arrival:
  kind: open
  process: poisson
  rate: 100/s
memory:
  limit: 10mb
  limitShare: none
  policy: allkeys-lfu
  samples: 10
cacheAside:
  originLatency:
    kind: uniform
    min: 1ms
    max: 2ms
warmUp: 1s
duration: 2s
operations: 0
repetitions: 2
seed: abc
verify: 1%
interval: 100ms
targets:
  - id: a
    label: A
    engine: redis
    kind: spawned
    binary: x
    flags:
      - "--a"
    optional: true
    socket: unix
  - id: b
    engine: memcached
    kind: embedded
    eventLoop: epoll
  - url: redis://host
matrix:
  connections: [3, 4]
`;

describe('every field', () => {
  const lines = EVERY_FIELD.split('\n');

  it('is right as it stands', () => {
    expect(readScenario(EVERY_FIELD, 'f.yaml').cells).toHaveLength(2);
  });

  it('gives its line when its value is wrong', () => {
    lines.forEach((line, i) => {
      const match = /^(\s*(?:- )?\w+):( .+)$/.exec(line);
      // The matrix has connections as an axis, so the single value does not count.
      if (match === null || line === 'connections: 10') return;
      // A list of a map fits nowhere.
      const broken = [...lines.slice(0, i), `${match[1]}: [{ what: 1 }]`, ...lines.slice(i + 1)].join('\n');
      const { problems } = mistakes(broken);
      expect(
        problems.map((p) => p.line),
        line,
      ).toContain(i + 1);
    });
  });

  it('gives its line when its name is wrong', () => {
    lines.forEach((line, i) => {
      const match = /^(\s*(?:- )?)(\w+):(.*)$/.exec(line);
      if (match === null) return;
      const broken = [...lines.slice(0, i), `${match[1]}${match[2]}Z:${match[3]}`, ...lines.slice(i + 1)].join('\n');
      const { problems } = mistakes(broken);
      const found = problems.find((p) => p.line === i + 1 && /is unknown/.test(p.text));
      expect(
        found?.field.endsWith(`${match[2]}Z`) || /^(\s*)(kind|connections)$/.test(`${match[1]}${match[2]}`),
        line,
      ).toBeTruthy();
    });
  });

  it('has a place in the template too: each wrong value there is found on its line', () => {
    const template = templateText().split('\n');
    template.forEach((line, i) => {
      const match = /^(\s*\w+): (?!>)(.+)$/.exec(line);
      if (match === null) return;
      const broken = [...template.slice(0, i), `${match[1]}: [[1]]`, ...template.slice(i + 1)].join('\n');
      expect(
        mistakes(broken).problems.map((p) => p.line),
        line,
      ).toContain(i + 1);
    });
  });
});

describe('a further target', () => {
  const plan = readScenario('matrix: { connections: [1, 2] }', 'f.yaml');

  it('joins every cell', () => {
    const more = addTarget(addTarget(plan, 'redis://u:p@h:7000'), 'mine=memcached://h');
    for (const { scenario } of more.cells) {
      expect(scenario.targets.slice(4).map((t) => [t.id, t.kind, t.url])).toEqual([
        ['remote-redis', 'remote', 'redis://u:p@h:7000'],
        ['mine', 'remote', 'memcached://h'],
      ]);
    }
    expect(plan.cells[0].scenario.targets).toHaveLength(4);
    expect(addTarget(more, 'redis://h2').cells[0].scenario.targets.at(-1)!.id).toBe('remote-redis-2');
  });

  it('that cannot be is refused by name, without its secrets', () => {
    expect(() => addTarget(plan, 'http://user:hunter2@h')).toThrow(/--target: must be a URL such as/);
    expect(() => addTarget(plan, 'http://user:hunter2@h')).not.toThrow(/hunter2/);
    expect(() => addTarget(plan, 'redsi')).toThrow(/did you mean "redis"/);
    const ioredis = readScenario('driver: ioredis\ntargets: [redis]', 'f.yaml');
    expect(() => addTarget(ioredis, 'memcached://h')).toThrow(/cannot speak/);
  });
});
