import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { LoadReport } from '../../harness/driver/load-plan.ts';
import { preload, runLoad } from '../../harness/driver/run-load.ts';
import { describeReal } from '../support/real.ts';
import { RespClient } from '../support/resp-client.ts';
import { memcachedStats, planFor, redisCalls, startMemcached, startRedis, type TestServer } from './support.ts';

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
  { operation: 'mget', weight: 1 },
  { operation: 'mset', weight: 1 },
] as const;

describeReal(['redis-server'], 'a load through ioredis', () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await startRedis();
  });
  afterAll(() => server.stop());

  test('counts equal the server’s own', async () => {
    const plan = planFor(server, 'redis', {
      driver: 'ioredis',
      mix: [...MIX],
      pipeline: 4,
      multiKey: 3,
      operations: 5_000,
      durationS: 20,
      warmUpS: 0,
    });
    await preload(plan);
    const client = await RespClient.connect({ path: server.path });
    await client.command('CONFIG', 'RESETSTAT');
    const report = await runLoad(plan);
    await client.close();
    expect(report).toMatchObject({ operations: 5_000, errors: 0, aborted: null, threads: 1 });
    const calls = await redisCalls(server);
    expect(calls['get']).toBe(count(report, 'get'));
    expect(calls['set']).toBe(count(report, 'set') + count(report, 'add') + count(report, 'replace'));
    expect(calls['mget']).toBe(count(report, 'mget'));
    expect(calls['mset']).toBe(count(report, 'mset'));
    expect(report.verified).toEqual({ checked: report.hits, wrong: 0 });
    expect(report.bytesSent).toBeGreaterThan(100_000);
    expect(report.bytesReceived).toBeGreaterThan(100_000);
  });

  test('an open loop with cache-aside holds its rate', async () => {
    const plan = planFor(server, 'redis', {
      driver: 'ioredis',
      arrival: { kind: 'open', process: 'poisson', rate: 1_000 },
      cacheAside: { originLatency: { kind: 'fixed', ms: 3 } },
      warmUpS: 0.3,
      durationS: 1.5,
    });
    plan.scenario.dataset.keyPrefix = 'aside:';
    plan.scenario.dataset.keys = 2_000;
    const report = await runLoad(plan);
    expect(report).toMatchObject({ errors: 0, aborted: null });
    expect(Math.abs(count(report, 'get') / 1_500 - 1)).toBeLessThan(0.12);
    expect(report.originRequests).toBe(report.misses);
    expect(report.userLatency!.count).toBe(count(report, 'get'));
    expect(report.userLatency!.max).toBeGreaterThan(3_000);
    expect(count(report, 'fill')).toBeGreaterThan(0);
    expect(report.sendLag!.count).toBeGreaterThan(0);
  });

  test('a target that dies gives a partial report soon', async () => {
    const dying = await startRedis();
    const plan = planFor(dying, 'redis', { driver: 'ioredis', durationS: 30 });
    const started = Date.now();
    const report = await runLoad(plan, {
      onMeasureStart: () => void setTimeout(() => dying.process.kill('SIGKILL'), 500),
    });
    expect(Date.now() - started).toBeLessThan(15_000);
    expect(report.aborted).toMatch(/is gone/);
    expect(report.operations).toBeGreaterThan(100);
    await dying.stop();
  });

  test('a target that is not there is an error that names it', async () => {
    const plan = planFor({ path: '/nonexistent/s.sock' }, 'redis', { driver: 'ioredis' });
    await expect(runLoad(plan)).rejects.toThrow(/^Cannot connect to \/nonexistent\/s\.sock: .*ENOENT/);
  });

  test('impossible plans are refused', async () => {
    await expect(runLoad(planFor(server, 'redis', { driver: 'memjs' }))).rejects.toThrow(
      /^Cannot drive Redis with memjs/,
    );
    await expect(runLoad(planFor(server, 'memcached-ascii', { driver: 'ioredis' }))).rejects.toThrow(
      /^Cannot drive memcached/,
    );
    const secure = planFor(server, 'redis');
    secure.endpoint.address = { kind: 'tcp', host: '127.0.0.1', port: 1, tls: {} };
    await expect(runLoad(secure)).rejects.toThrow(/^Cannot use TLS .* with the raw driver/);
  });
});

describe('memjs', () => {
  describeReal(['memcached'], 'a load through memjs', () => {
    let server: TestServer;
    beforeAll(async () => {
      server = await startMemcached();
    });
    afterAll(() => server.stop());

    test('counts equal the server’s own', async () => {
      const plan = planFor(server, 'memcached-binary', {
        driver: 'memjs',
        mix: [...MIX],
        pipeline: 4,
        multiKey: 3,
        operations: 5_000,
        durationS: 20,
        ttl: { kind: 'fixed', seconds: 100 },
      });
      await preload(plan);
      const before = await memcachedStats(server);
      const report = await runLoad(plan);
      const after = await memcachedStats(server);
      expect(report).toMatchObject({ operations: 5_000, errors: 0, aborted: null, errorTexts: {} });
      expect(after['get_hits']! - before['get_hits']!).toBe(report.hits);
      // Each connection greets the server with a get of a key that is not there.
      expect(after['get_misses']! - before['get_misses']!).toBe(report.misses + 10);
      expect(after['cmd_touch']! - before['cmd_touch']!).toBe(count(report, 'touch'));
      expect(report.verified).toEqual({ checked: report.hits, wrong: 0 });
    });

    test('a target that dies gives a partial report soon', async () => {
      const dying = await startMemcached();
      const plan = planFor(dying, 'memcached-binary', { driver: 'memjs', durationS: 30 });
      const started = Date.now();
      const report = await runLoad(plan, {
        onMeasureStart: () => void setTimeout(() => dying.process.kill('SIGKILL'), 500),
      });
      expect(Date.now() - started).toBeLessThan(15_000);
      expect(report.aborted).toMatch(/is gone/);
      expect(report.operations).toBeGreaterThan(100);
      await dying.stop();
    });
  });
});
