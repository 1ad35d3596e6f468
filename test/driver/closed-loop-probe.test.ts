import { expect, test } from 'vitest';
import { measureClosedLoop } from '../../harness/driver/closed-loop-probe.ts';
import { describeReal } from '../support/real.ts';
import { redisCalls, startRedis } from './support.ts';

describeReal(['redis-server'], 'the closed-loop probe', () => {
  test('sends as many operations as asked and finds what it stored', async () => {
    const server = await startRedis();
    const address = { kind: 'unix', path: server.path } as const;
    const common = { address, protocol: 'redis', connections: 10, keys: 100, valueBytes: 50, pipeline: 8 } as const;
    const sets = await measureClosedLoop({ ...common, op: 'set', operations: 10_000 });
    expect(sets).toMatchObject({ operations: 10_000, errors: 0 });
    const gets = await measureClosedLoop({ ...common, op: 'get', operations: 10_000, threads: 2 });
    expect(gets).toMatchObject({ operations: 10_000, hits: 10_000, misses: 0 });
    expect(gets.rate).toBeCloseTo(gets.operations / gets.seconds, 3);
    const timed = await measureClosedLoop({ ...common, op: 'get', seconds: 0.5, warmUpSeconds: 0.2 });
    expect(timed.seconds).toBeGreaterThan(0.45);
    expect(timed.seconds).toBeLessThan(5);
    const calls = await redisCalls(server);
    expect(calls['set']).toBe(10_000);
    await server.stop();
  });
});
