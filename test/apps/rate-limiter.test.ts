/** rate-limiter-flexible: counters in scripts and in transactions, over both client libraries. */
import { Redis } from 'ioredis';
import {
  BurstyRateLimiter,
  RateLimiterQueue,
  RateLimiterRedis,
  RateLimiterRes,
  RLWrapperBlackAndWhite,
} from 'rate-limiter-flexible';
import { createClient } from 'redis';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { onBothServers } from './servers.ts';

onBothServers('rate-limiter-flexible', (server) => {
  let redis: Redis;
  let client: ReturnType<typeof createClient>;

  beforeEach(async () => {
    redis = new Redis(server().socket, { enableOfflineQueue: false, lazyConnect: true });
    await redis.connect();
    client = createClient({ socket: { path: server().socket, tls: false } });
    await client.connect();
  });
  afterEach(() => {
    redis.disconnect();
    client.destroy();
  });

  const clients = ['ioredis', 'node-redis'] as const;
  const options = (which: (typeof clients)[number]) =>
    which === 'ioredis' ? { storeClient: redis } : { storeClient: client, useRedisPackage: true };

  /** Consumes one point. @returns points left, or -1 when it was refused */
  async function take(
    limiter: { consume(key: string, points?: number): Promise<RateLimiterRes> },
    key: string,
    points = 1,
  ) {
    try {
      return (await limiter.consume(key, points)).remainingPoints;
    } catch (refused) {
      if (!(refused instanceof RateLimiterRes)) throw refused;
      expect(refused.msBeforeNext).toBeGreaterThan(0);
      return -1;
    }
  }

  for (const which of clients) {
    it(`counts points until they are used up and gives them back in time, with ${which}`, async () => {
      const limiter = new RateLimiterRedis({ ...options(which), keyPrefix: which, points: 3, duration: 2 });
      expect([
        await take(limiter, 'a'),
        await take(limiter, 'a'),
        await take(limiter, 'a'),
        await take(limiter, 'a'),
      ]).toEqual([2, 1, 0, -1]);
      expect(await take(limiter, 'b', 2)).toBe(1);
      expect((await limiter.get('a'))?.consumedPoints).toBe(4);
      await new Promise((resolve) => setTimeout(resolve, 2_050));
      expect(await take(limiter, 'a')).toBe(2);
      await limiter.penalty('a', 1);
      await limiter.reward('a', 2);
      expect((await limiter.get('a'))?.consumedPoints).toBe(0);
      expect(await limiter.delete('a')).toBe(true);
      expect(await limiter.get('a')).toBeNull();
    });

    it(`blocks for a while who asked too often, with ${which}`, async () => {
      const limiter = new RateLimiterRedis({
        ...options(which),
        keyPrefix: `block-${which}`,
        points: 1,
        duration: 10,
        blockDuration: 60,
      });
      expect(await take(limiter, 'a')).toBe(0);
      expect(await take(limiter, 'a')).toBe(-1);
      expect(await redis.ttl(`block-${which}:a`)).toBeGreaterThan(50);
      await limiter.set('c', 5, 30);
      expect((await limiter.get('c'))?.consumedPoints).toBe(5);
    });
  }

  it('lets bursts through, queues what must wait, and knows exceptions', async () => {
    const slow = new RateLimiterRedis({ storeClient: redis, keyPrefix: 'slow', points: 1, duration: 10 });
    const burst = new RateLimiterRedis({ storeClient: redis, keyPrefix: 'burst', points: 2, duration: 10 });
    const bursty = new BurstyRateLimiter(slow, burst);
    const taken: boolean[] = [];
    for (let i = 0; i < 4; i++)
      taken.push(
        await bursty.consume('a').then(
          () => true,
          () => false,
        ),
      );
    expect(taken).toEqual([true, true, true, false]);
    const queue = new RateLimiterQueue(
      new RateLimiterRedis({ storeClient: redis, keyPrefix: 'q', points: 2, duration: 1 }),
    );
    const started = Date.now();
    await Promise.all([1, 2, 3].map(() => queue.removeTokens(1)));
    expect(Date.now() - started).toBeGreaterThan(300);
    const wrapped = new RLWrapperBlackAndWhite({ limiter: slow, whiteList: ['friend'], blackList: ['foe'] });
    for (let i = 0; i < 5; i++) await wrapped.consume('friend');
    await expect(wrapped.consume('foe')).rejects.toBeInstanceOf(RateLimiterRes);
  });
});
