/** node-redis on its common paths, in both versions of the protocol. */
import { createClient, defineScript } from 'redis';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { until } from '../support/wait.ts';
import { onBothServers } from './servers.ts';

const connect = (path: string, resp: 2 | 3) =>
  createClient({
    RESP: resp,
    socket: { path, tls: false, reconnectStrategy: () => 20 },
    scripts: {
      addTo: defineScript({
        NUMBER_OF_KEYS: 1,
        SCRIPT: "return redis.call('incrby', KEYS[1], ARGV[1])",
        parseCommand(parser, key: string, by: number) {
          parser.pushKey(key);
          parser.push(String(by));
        },
        transformReply: (reply: number) => reply,
      }),
    },
  }).on('error', () => {});

type Client = ReturnType<typeof connect>;

onBothServers('node-redis', (server) => {
  let open: Client[] = [];
  let client: Client;

  async function another(resp: 2 | 3): Promise<Client> {
    const one = connect(server().socket, resp);
    open.push(one);
    await one.connect();
    return one;
  }

  beforeEach(() => {
    open = [];
  });
  afterEach(() => {
    for (const one of open) one.destroy();
  });

  for (const resp of [2, 3] as const) {
    it(`reads and writes every type over RESP${resp}`, async () => {
      client = await another(resp);
      await client.set('s', 'text', { expiration: { type: 'EX', value: 100 } });
      expect(await client.get('s')).toBe('text');
      expect(await client.ttl('s')).toBeGreaterThan(90);
      await client.hSet('h', { a: '1', b: '2' });
      expect({ ...(await client.hGetAll('h')) }).toEqual({ a: '1', b: '2' });
      await client.rPush('l', ['x', 'y', 'z']);
      expect(await client.lRange('l', 0, -1)).toEqual(['x', 'y', 'z']);
      await client.sAdd('set', ['m', 'n']);
      expect([...(await client.sMembers('set'))].sort()).toEqual(['m', 'n']);
      await client.zAdd('z', [
        { score: 1.5, value: 'a' },
        { score: 3, value: 'b' },
      ]);
      expect(await client.zRangeWithScores('z', 0, -1)).toEqual([
        { value: 'a', score: 1.5 },
        { value: 'b', score: 3 },
      ]);
      const id = await client.xAdd('x', '*', { f: 'v' });
      expect((await client.xRange('x', '-', '+'))?.[0]).toMatchObject({ id, message: { f: 'v' } });
      await client.geoAdd('g', { longitude: 13.361389, latitude: 38.115556, member: 'Palermo' });
      expect((await client.geoPos('g', 'Palermo'))?.[0]).not.toBeNull();
      await client.pfAdd('p', ['1', '2', '3']);
      expect(await client.pfCount('p')).toBe(3);
      expect(await client.setBit('bits', 7, 1)).toBe(0);
      expect(await client.bitCount('bits')).toBe(1);
      await expect(client.lPush('s', 'x')).rejects.toThrow('WRONGTYPE');
    });

    it(`runs transactions, scripts and iterators over RESP${resp}`, async () => {
      client = await another(resp);
      expect(await client.multi().set('a', '1').incr('a').get('a').exec()).toEqual(['OK', 2, '2']);
      await client.watch('a');
      await (await another(resp)).set('a', '9');
      await expect(client.multi().incr('a').exec()).rejects.toThrow();
      expect(await client.addTo('a', 5)).toBe(14);
      expect(await client.addTo('a', 1)).toBe(15);
      await client.mSet(Object.fromEntries(Array.from({ length: 500 }, (_, i) => [`key:${i}`, String(i)])));
      const keys = new Set<string>();
      for await (const batch of client.scanIterator({ MATCH: 'key:*', COUNT: 40 }))
        for (const key of batch) keys.add(key);
      expect(keys.size).toBe(500);
      await client.hSet('hash', Object.fromEntries(Array.from({ length: 300 }, (_, i) => [`f${i}`, String(i)])));
      let fields = 0;
      for await (const batch of client.hScanIterator('hash')) fields += batch.length;
      expect(fields).toBe(300);
    });

    it(`listens, waits and comes back over RESP${resp}`, async () => {
      client = await another(resp);
      const listener = await another(resp);
      const heard: string[] = [];
      await listener.subscribe('news', (text, channel) => heard.push(`${channel}: ${text}`));
      await listener.pSubscribe('w*', (text, channel) => heard.push(`${channel}: ${text}`));
      await listener.sSubscribe('shard', (text, channel) => heard.push(`${channel}: ${text}`));
      await client.publish('news', 'one');
      await client.publish('weather', 'two');
      await client.sPublish('shard', 'three');
      await until('three messages', () => heard.length === 3);
      expect(heard).toEqual(['news: one', 'weather: two', 'shard: three']);
      const waiting = (await another(resp)).blPop('list', 5);
      await client.rPush('list', 'x');
      expect(await waiting).toEqual({ key: 'list', element: 'x' });
      await client.clientKill({ filter: 'TYPE', type: 'pubsub' });
      await until('the subscription is back', async () => (await client.publish('news', 'again')) === 1);
      await until('the message', () => heard.includes('news: again'));
    });
  }
});
