import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { messagesOf } from '../../harness/driver/fanout.ts';
import { runLoad } from '../../harness/driver/run-load.ts';
import type { Scenario } from '../../scenarios/spec.ts';
import { describeReal } from '../support/real.ts';
import { planFor, redisCalls, startMemcached, startRedis, type TestServer } from './support.ts';

function fanout(change: Partial<NonNullable<Scenario['fanout']>>, rest: Partial<Scenario> = {}): Partial<Scenario> {
  return {
    kind: 'pubsub-fanout',
    fanout: { subscribers: 20, channels: 1, messageBytes: 100, rate: 100, pollIntervalMs: 5, ...change },
    warmUpS: 0.3,
    durationS: 1,
    ...rest,
  };
}

test('the messages of a channel are counted as if one by one', () => {
  for (let channels = 1; channels <= 4; channels++) {
    for (let first = 1; first < 8; first++) {
      for (let after = first; after < 15; after++) {
        for (let channel = 0; channel < channels; channel++) {
          let count = 0;
          for (let number = first; number < after; number++) if (number % channels === channel) count++;
          expect(messagesOf(channel, channels, first, after)).toBe(count);
        }
      }
    }
  }
});

describeReal(['redis-server'], 'fan-out over redis-server', () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await startRedis();
  });
  afterAll(() => server.stop());

  test.each([
    ['epoll', 1, 20, 1, 100],
    ['epoll', 2, 50, 3, 4_096],
    ['libuv', 1, 10, 2, 20],
    ['epoll', 2, 500, 1, 32_768],
  ] as const)(
    'over %s with %i threads, %i subscribers of %i channels get each message of %i bytes once',
    async (loop, threads, subscribers, channels, messageBytes) => {
      const before = (await redisCalls(server))['publish'] ?? 0;
      const rate = subscribers > 100 ? 20 : 100;
      const plan = planFor(server, 'redis', fanout({ subscribers, channels, messageBytes, rate }, { threads }), loop);
      const report = await runLoad(plan);
      expect(report).toMatchObject({ aborted: null, errors: 0 });
      const { published, expectedDeliveries, deliveries, polling } = report.fanout!;
      expect(polling).toBe(false);
      expect(published).toBeGreaterThanOrEqual(rate - 1);
      expect(published).toBeLessThanOrEqual(rate + 1);
      expect(deliveries).toBe(expectedDeliveries);
      if (channels === 1) expect(deliveries).toBe(published * subscribers);
      // Warm-up and measured phase together.
      expect((await redisCalls(server))['publish']! - before).toBeGreaterThanOrEqual(published);
      const kinds = report.latency.map((latency) => latency.kind);
      expect(kinds).toEqual(['delivery', 'publish']);
      expect(report.latency[0]!.count).toBe(deliveries);
      expect(report.timeline.reduce((sum, row) => sum + row.operations, 0)).toBe(deliveries);
      expect(report.operations).toBe(deliveries);
    },
  );
});

describe.each(['memcached-ascii', 'memcached-binary'] as const)('protocol %s', (protocol) => {
  describeReal(['memcached'], 'fan-out by polling memcached', () => {
    let server: TestServer;
    beforeAll(async () => {
      server = await startMemcached();
    });
    afterAll(() => server.stop());

    test('who polls faster than messages come sees most of them', async () => {
      const change = fanout({ subscribers: 10, rate: 40, pollIntervalMs: 5, channels: 2 }, { threads: 2 });
      // Twice, because what an earlier run left in the server must not disturb.
      for (let run = 0; run < 2; run++) {
        const report = await runLoad(planFor(server, protocol, change));
        expect(report).toMatchObject({ aborted: null, errors: 0, offeredRate: null });
        const { published, expectedDeliveries, deliveries, polling } = report.fanout!;
        expect(polling).toBe(true);
        expect(expectedDeliveries).toBe(published * 5);
        expect(deliveries / expectedDeliveries).toBeGreaterThan(0.5);
        expect(deliveries).toBeLessThanOrEqual(expectedDeliveries);
        const delivery = report.latency.find((latency) => latency.kind === 'delivery')!;
        // Half an interval on average.
        expect(delivery.response.mean).toBeGreaterThan(1_000);
        expect(report.latency.find((latency) => latency.kind === 'poll')!.count).toBeGreaterThan(500);
      }
    });

    test('who polls slower than messages come loses versions, and they are counted', async () => {
      const report = await runLoad(
        planFor(server, protocol, fanout({ subscribers: 5, rate: 200, pollIntervalMs: 20 })),
      );
      const { expectedDeliveries, deliveries } = report.fanout!;
      expect(deliveries / expectedDeliveries).toBeGreaterThan(0.02);
      expect(deliveries / expectedDeliveries).toBeLessThan(0.4);
    });
  });
});

describeReal(['redis-server'], 'fan-out over a target in trouble', () => {
  test('a target that dies gives a partial report soon', async () => {
    const server = await startRedis();
    const plan = planFor(server, 'redis', fanout({}, { durationS: 30 }));
    const started = Date.now();
    const report = await runLoad(plan, {
      onMeasureStart: () => void setTimeout(() => server.process.kill('SIGKILL'), 500),
    });
    expect(Date.now() - started).toBeLessThan(15_000);
    expect(report.aborted).toMatch(/is gone/);
    expect(report.fanout!.deliveries).toBeGreaterThan(100);
    await server.stop();
  });
});
