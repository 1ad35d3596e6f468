import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Endpoint, LoadReport } from '../../harness/driver/load-plan.ts';
import { preload, runLoad } from '../../harness/driver/run-load.ts';
import { describeReal } from '../support/real.ts';
import { RespClient } from '../support/resp-client.ts';
import { TIMED } from '../support/timed.ts';
import {
  memcachedStats,
  planFor,
  redisCalls,
  redisInfo,
  startMemcached,
  startRedis,
  type TestServer,
} from './support.ts';

function count(report: LoadReport, kind: string): number {
  return report.latency.find((latency) => latency.kind === kind)?.count ?? 0;
}

const MIX = [
  { operation: 'get', weight: 5 },
  { operation: 'set', weight: 2 },
  { operation: 'add', weight: 1 },
  { operation: 'replace', weight: 1 },
  { operation: 'delete', weight: 1 },
  { operation: 'touch', weight: 1 },
  { operation: 'incr', weight: 1 },
  { operation: 'mget', weight: 1 },
  { operation: 'mset', weight: 1 },
] as const;

describeReal(['redis-server'], 'the raw driver against redis-server', () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await startRedis();
  });
  afterAll(() => server.stop());

  async function reset(): Promise<void> {
    const client = await RespClient.connect({ path: server.path });
    await client.command('FLUSHALL');
    await client.command('CONFIG', 'RESETSTAT');
    await client.close();
  }

  test.each(['epoll', 'libuv'] as const)('over %s, the preload stores each key once', async (loop) => {
    await reset();
    const plan = planFor(server, 'redis', { threads: 2 }, loop);
    plan.scenario.dataset.preload = 0.7;
    expect((await preload(plan)).keys).toBe(700);
    expect((await redisCalls(server))['set']).toBe(700);
    expect(await redisInfo(server, 'keyspace')).toContain('keys=700,');
  });

  test.each([
    ['epoll', 1, 1],
    ['epoll', 2, 16],
    ['libuv', 1, 4],
  ] as const)('over %s with %i threads, %i deep, counts equal the server’s own', async (loop, threads, pipeline) => {
    await reset();
    const plan = planFor(
      server,
      'redis',
      { mix: [...MIX], threads, pipeline, multiKey: 5, operations: 20_000, durationS: 20 },
      loop,
    );
    await preload(plan);
    await reset();
    const report = await runLoad(plan);
    expect(report).toMatchObject({ operations: 20_000, errors: 0, aborted: null, errorTexts: {} });
    const calls = await redisCalls(server);
    expect(calls['get']).toBe(count(report, 'get'));
    expect(calls['set']).toBe(count(report, 'set') + count(report, 'add') + count(report, 'replace'));
    expect(calls['del']).toBe(count(report, 'delete'));
    expect(calls['persist']).toBe(count(report, 'touch'));
    expect(calls['incr']).toBe(count(report, 'incr'));
    expect(calls['mget']).toBe(count(report, 'mget'));
    expect(calls['mset']).toBe(count(report, 'mset'));
    const stats = await redisInfo(server, 'stats');
    // SET with NX or XX looks its key up as well, so gets alone are compared by hits + misses.
    expect(report.hits + report.misses).toBe(count(report, 'get') + 5 * count(report, 'mget'));
    expect(stats).toMatch(/keyspace_hits:\d+/);
    expect(report.verified.checked).toBe(report.hits);
    expect(report.verified.wrong).toBe(0);
  });

  test('hits and misses equal the server’s own', async () => {
    await reset();
    const plan = planFor(server, 'redis', { operations: 10_000, multiKey: 10 });
    plan.scenario.dataset.preload = 0.5;
    plan.scenario.mix = [
      { operation: 'get', weight: 1 },
      { operation: 'mget', weight: 1 },
    ];
    await preload(plan);
    await reset();
    await preload(plan);
    const report = await runLoad(plan);
    const stats = await redisInfo(server, 'stats');
    expect(stats).toContain(`keyspace_hits:${report.hits}\r`);
    expect(stats).toContain(`keyspace_misses:${report.misses}\r`);
    expect(report.hits / (report.hits + report.misses)).toBeCloseTo(0.5, 1);
  });

  test.each(['constant', 'poisson'] as const)('an open loop holds its rate (%s)', TIMED, async (process) => {
    await reset();
    const plan = planFor(server, 'redis', {
      arrival: { kind: 'open', process, rate: 4_000 },
      threads: 2,
      durationS: 2,
      warmUpS: 0.3,
    });
    await preload(plan);
    const report = await runLoad(plan);
    expect(report.aborted).toBeNull();
    expect(report.offeredRate).toBe(4_000);
    // Poisson: the number of operations itself has a spread of sqrt(8000), 1.1 %; four of them are allowed.
    const tolerance = process === 'constant' ? 0.01 : 0.045;
    expect(Math.abs(report.operations / 8_000 - 1)).toBeLessThan(tolerance);
    expect(report.durationS).toBeGreaterThanOrEqual(2);
    expect(report.sendLag!.count).toBeGreaterThan(0);
    // On a busy machine the last answers may take an interval of their own.
    expect(report.timeline.length).toBeGreaterThanOrEqual(20);
    const perInterval = report.timeline.map((row) => row.operations);
    expect(perInterval.reduce((sum, value) => sum + value, 0)).toBe(report.operations);
  });

  test('a missed get is filled after the origin’s latency, and the user’s latency shows it', TIMED, async () => {
    await reset();
    const plan = planFor(server, 'redis', {
      cacheAside: { originLatency: { kind: 'fixed', ms: 20 } },
      operations: 3_000,
      ttl: { kind: 'fixed', seconds: 100 },
    });
    plan.scenario.dataset.keys = 500;
    const report = await runLoad(plan);
    expect(report.aborted).toBeNull();
    expect(report.originRequests).toBe(report.misses);
    expect(report.misses).toBeGreaterThanOrEqual(490);
    expect(count(report, 'fill')).toBeGreaterThan(report.misses - 20);
    expect(report.userLatency!.count).toBe(3_000);
    expect(report.userLatency!.max).toBeGreaterThanOrEqual(20_000);
    expect(report.userLatency!.p50).toBeLessThan(20_000);
    const keyspace = await redisInfo(server, 'keyspace');
    expect(keyspace).toMatch(/keys=4[89]\d|keys=500/);
    expect(Number(/expires=(\d+)/.exec(keyspace)![1])).toBeGreaterThan(480);
  });

  test('cache-aside works in an open loop and with several keys a get', async () => {
    await reset();
    const plan = planFor(server, 'redis', {
      cacheAside: { originLatency: { kind: 'exponential', mean: 2 } },
      arrival: { kind: 'open', process: 'poisson', rate: 3_000 },
      mix: [
        { operation: 'get', weight: 1 },
        { operation: 'mget', weight: 1 },
      ],
      multiKey: 8,
    });
    const report = await runLoad(plan);
    expect(report.aborted).toBeNull();
    expect(report.errors).toBe(0);
    expect(report.originRequests).toBe(report.misses);
    expect(report.hits).toBeGreaterThan(report.misses);
    expect(report.verified).toEqual({ checked: report.hits, wrong: 0 });
  });

  test('a server that stalls is seen in response times although service times hide it', TIMED, async () => {
    await reset();
    const plan = planFor(server, 'redis', {
      arrival: { kind: 'open', process: 'constant', rate: 2_000 },
      durationS: 2,
      connections: 5,
    });
    await preload(plan);
    const client = await RespClient.connect({ path: server.path });
    const running = runLoad(plan, {
      onMeasureStart: () => void setTimeout(() => void client.command('DEBUG', 'SLEEP', '0.5'), 700),
    });
    const report = await running;
    await client.close();
    const all = report.latency.at(-1)!;
    // A quarter of all operations were due during the stall; only five of them were on their way.
    expect(all.response.p90).toBeGreaterThan(150_000);
    expect(all.service.p99).toBeLessThan(150_000);
    expect(all.service.max).toBeGreaterThan(400_000);
    expect(report.operations).toBe(4_000);
  });

  test('a value that somebody changed is found', async () => {
    await reset();
    const plan = planFor(server, 'redis', { operations: 5_000 });
    plan.scenario.dataset.valueSize = { kind: 'fixed', bytes: 200 };
    await preload(plan);
    const client = await RespClient.connect({ path: server.path });
    const key = (await client.command('RANDOMKEY')) as string;
    await client.command('SETRANGE', key, '150', 'x');
    await client.close();
    const report = await runLoad(plan);
    expect(report.verified.wrong).toBeGreaterThan(0);
    expect(report.verified.wrong).toBeLessThan(50);
    expect(report.errors).toBe(report.verified.wrong);
    expect(Object.keys(report.errorTexts)[0]).toMatch(/^wrong value of key number \d+: 200 bytes/);
  });

  test('error replies are counted by their text', async () => {
    await reset();
    const plan = planFor(server, 'redis', { operations: 1_000 });
    plan.scenario.dataset.keys = 10;
    plan.scenario.dataset.preload = 0;
    const client = await RespClient.connect({ path: server.path });
    for (let i = 0; i < 10; i++) await client.command('LPUSH', `k:${String(i).padStart(14, '0')}`, 'x');
    await client.close();
    const report = await runLoad(plan);
    expect(report.errors).toBe(1_000);
    expect(report.operations).toBe(0);
    expect(report.errorTexts).toEqual({
      'WRONGTYPE Operation against a key holding the wrong kind of value': 1_000,
    });
  });

  test('2,000 connections work', async () => {
    await reset();
    const plan = planFor(server, 'redis', { connections: 2_000, threads: 2, operations: 20_000, durationS: 20 });
    await preload(plan);
    const report = await runLoad(plan);
    expect(report).toMatchObject({ operations: 20_000, errors: 0, connections: 2_000, aborted: null });
  });

  test('values up to 512 KiB come back right', async () => {
    await reset();
    const plan = planFor(server, 'redis', { operations: 600, connections: 4, pipeline: 2, durationS: 20 });
    plan.scenario.dataset.keys = 60;
    plan.scenario.dataset.valueSize = {
      kind: 'list',
      entries: [1, 2, 15, 16, 100, 4_096, 16_384, 65_536, 65_537, 524_288].map((bytes) => ({ bytes, weight: 1 })),
    };
    plan.scenario.mix = [
      { operation: 'get', weight: 3 },
      { operation: 'set', weight: 1 },
      { operation: 'mget', weight: 1 },
    ];
    plan.scenario.multiKey = 6;
    await preload(plan);
    const report = await runLoad(plan);
    expect(report).toMatchObject({ operations: 600, errors: 0, misses: 0 });
    expect(report.verified.checked).toBe(report.hits);
  });

  test('an interruption gives what was measured so far', async () => {
    await reset();
    const plan = planFor(server, 'redis', { durationS: 30 });
    const abort = new AbortController();
    const started = Date.now();
    const report = await runLoad(plan, {
      signal: abort.signal,
      onMeasureStart: () => void setTimeout(() => abort.abort(), 500),
    });
    expect(Date.now() - started).toBeLessThan(15_000);
    expect(report.aborted).toBe('Interrupted');
    expect(report.operations).toBeGreaterThan(100);
    expect(report.durationS).toBeGreaterThan(0.4);
    expect(report.durationS).toBeLessThan(10);
  });
});

describeReal(['redis-server'], 'the raw driver and a target in trouble', () => {
  test('a target that dies in mid-run gives a partial report soon', async () => {
    const server = await startRedis();
    const plan = planFor(server, 'redis', { durationS: 30, threads: 2 });
    const started = Date.now();
    const report = await runLoad(plan, {
      onMeasureStart: () => void setTimeout(() => server.process.kill('SIGKILL'), 500),
    });
    expect(Date.now() - started).toBeLessThan(15_000);
    expect(report.aborted).toMatch(/^The target at .*s\.sock is gone: \d+ attempts in a row failed/);
    expect(report.operations).toBeGreaterThan(100);
    expect(report.errors).toBeGreaterThan(0);
    expect(report.timeline.length).toBeGreaterThanOrEqual(4);
    await server.stop();
  });

  test('a target that is not there is an error that names it', async () => {
    const plan = planFor({ path: '/nonexistent/s.sock' }, 'redis');
    await expect(runLoad(plan)).rejects.toThrow(/^Cannot connect to \/nonexistent\/s\.sock: .*ENOENT/);
  });

  test('a password is sent, and a wrong one is told', async () => {
    const server = await startRedis('--requirepass', 'secret');
    const plan = planFor(server, 'redis', { operations: 100 });
    plan.endpoint.password = 'secret';
    plan.endpoint.database = 3;
    await preload(plan);
    expect((await runLoad(plan)).hits).toBe(100);
    const wrong = structuredClone(plan);
    wrong.endpoint.password = 'wrong';
    await expect(runLoad(wrong)).rejects.toThrow(/Cannot log in to .*WRONGPASS/);
    await server.stop();
  });

  test('a preload that does not fit fails and says why', async () => {
    const server = await startRedis('--maxmemory', '2mb');
    const plan = planFor(server, 'redis');
    plan.scenario.dataset.keys = 20_000;
    await expect(preload(plan)).rejects.toThrow(/Cannot store the data set: \d+ of 20000 keys were stored; .*OOM/);
    await server.stop();
  });

  test('a connection that the server kills is opened again and counted', async () => {
    const server = await startRedis();
    const plan = planFor(server, 'redis', { durationS: 1.5 });
    const client = await RespClient.connect({ path: server.path });
    const report = await runLoad(plan, {
      onMeasureStart: () =>
        void setTimeout(() => void client.command('CLIENT', 'KILL', 'SKIPME', 'yes', 'TYPE', 'normal'), 500),
    });
    await client.close();
    expect(report.aborted).toBeNull();
    expect(report.errors).toBeGreaterThan(0);
    expect(report.errors).toBeLessThanOrEqual(10);
    // On a busy machine an interval may pass without a turn of the client's.
    expect(report.timeline.slice(-5).some((row) => row.operations > 0)).toBe(true);
    await server.stop();
  });
});

describeReal(['memcached'], 'the raw driver and a stopped memcached', () => {
  test(
    'a pause of half a second is seen by all who came meanwhile, not only by those on their way',
    TIMED,
    async () => {
      const server = await startMemcached();
      const plan = planFor(server, 'memcached-ascii', {
        arrival: { kind: 'open', process: 'poisson', rate: 2_000 },
        durationS: 2,
        connections: 5,
      });
      await preload(plan);
      const report = await runLoad(plan, {
        onMeasureStart: () =>
          void setTimeout(() => {
            server.process.kill('SIGSTOP');
            setTimeout(() => server.process.kill('SIGCONT'), 500);
          }, 500),
      });
      await server.stop();
      const all = report.latency.at(-1)!;
      expect(all.response.p90).toBeGreaterThan(150_000);
      expect(all.service.p99).toBeLessThan(150_000);
      expect(report.errors).toBe(0);
    },
  );

  test('one that never wakes is waited for a bounded time, and what it owes is counted', async () => {
    const server = await startMemcached();
    const plan = planFor(server, 'memcached-ascii', { durationS: 1 });
    await preload(plan);
    const report = await runLoad(plan, {
      onMeasureStart: () => void setTimeout(() => server.process.kill('SIGSTOP'), 500),
    });
    await server.stop();
    expect(report.operations).toBeGreaterThan(100);
    expect(report.errorTexts).toEqual({ 'not answered within 10 s after the end of the load': 10 });
  });
});

describe.each(['memcached-ascii', 'memcached-binary'] as const)('protocol %s', (protocol: Endpoint['protocol']) => {
  describeReal(['memcached'], 'the raw driver against memcached', () => {
    let server: TestServer;
    beforeAll(async () => {
      server = await startMemcached();
    });
    afterAll(() => server.stop());

    test.each([
      ['epoll', 1, 1],
      ['epoll', 2, 16],
      ['libuv', 1, 4],
    ] as const)('over %s with %i threads, %i deep, counts equal the server’s own', async (loop, threads, pipeline) => {
      const change = {
        mix: [...MIX],
        threads,
        pipeline,
        multiKey: 5,
        operations: 20_000,
        durationS: 20,
        ttl: { kind: 'fixed', seconds: 500 },
      };
      const plan = planFor(server, protocol, change as never, loop);
      const before = await memcachedStats(server);
      const stored = await preload(plan);
      // Counters of the mix (incr) are keys of their own beside the 1,000.
      expect(stored.keys).toBe(2_000);
      const between = await memcachedStats(server);
      expect(between['cmd_set']! - before['cmd_set']!).toBe(2_000);
      const report = await runLoad(plan);
      const after = await memcachedStats(server);
      const grown = (name: string): number => after[name]! - between[name]!;
      expect(report).toMatchObject({ operations: 20_000, errors: 0, aborted: null, errorTexts: {} });
      expect(grown('get_hits')).toBe(report.hits);
      expect(grown('get_misses')).toBe(report.misses);
      expect(grown('cmd_touch')).toBe(count(report, 'touch'));
      expect(grown('incr_hits') + grown('incr_misses')).toBe(count(report, 'incr'));
      expect(grown('delete_hits') + grown('delete_misses')).toBe(count(report, 'delete'));
      expect(report.verified).toEqual({ checked: report.hits, wrong: 0 });
    });

    test('cache-aside fills what was missed', async () => {
      const plan = planFor(server, protocol, {
        cacheAside: { originLatency: { kind: 'none' } },
        operations: 4_000,
        mix: [
          { operation: 'get', weight: 1 },
          { operation: 'mget', weight: 1 },
        ],
        multiKey: 4,
        connections: 1,
      });
      plan.scenario.dataset.keyPrefix = 'aside:';
      const report = await runLoad(plan);
      expect(report.errors).toBe(0);
      expect(report.misses).toBeGreaterThanOrEqual(990);
      // A key twice in one multi-get is missed twice.
      expect(report.misses).toBeLessThan(1_050);
      expect(report.verified.wrong).toBe(0);
    });

    test('values up to 512 KiB come back right', async () => {
      const plan = planFor(server, protocol, { operations: 400, connections: 4, pipeline: 2, durationS: 20 });
      plan.scenario.dataset.keyPrefix = 'large:';
      plan.scenario.dataset.keys = 40;
      plan.scenario.dataset.valueSize = {
        kind: 'list',
        entries: [1, 2, 15, 16, 100, 4_096, 16_384, 65_536, 524_288].map((bytes) => ({ bytes, weight: 1 })),
      };
      await preload(plan);
      const report = await runLoad(plan);
      expect(report).toMatchObject({ operations: 400, errors: 0, misses: 0 });
      expect(report.verified.checked).toBe(report.hits);
    });
  });
});
