/** ioredis on its common paths: pipelines, transactions, scripts, subscriptions, waiting, streams, scans, reconnecting. */
import { Redis } from 'ioredis';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { until } from '../support/wait.ts';
import { onBothServers } from './servers.ts';

onBothServers('ioredis', (server) => {
  let redis: Redis;
  let others: Redis[] = [];

  beforeEach(() => {
    redis = new Redis(server().socket);
  });
  afterEach(() => {
    for (const one of [redis, ...others]) one.disconnect();
    others = [];
  });

  function another(): Redis {
    const one = new Redis(server().socket);
    others.push(one);
    return one;
  }

  it('sends pipelines and transactions', async () => {
    const replies = await redis
      .pipeline()
      .set('a', 1)
      .incr('a')
      .lpush('a', 'x')
      .hset('h', { f: 1, g: 2 })
      .hgetall('h')
      .zadd('z', '1', 'one', '2', 'two')
      .zrange('z', '0', '-1', 'WITHSCORES')
      .exec();
    expect(replies!.map(([error, value]) => error?.message.slice(0, 9) ?? value)).toEqual([
      'OK',
      2,
      'WRONGTYPE',
      2,
      { f: '1', g: '2' },
      2,
      ['one', '1', 'two', '2'],
    ]);
    const done = await redis.multi().incr('a').get('a').exec();
    expect(done!.map(([, value]) => value)).toEqual([3, '3']);
    await redis.watch('a');
    await another().set('a', 'changed');
    expect(await redis.multi().set('a', 'mine').exec()).toBeNull();
    await expect(redis.multi([['set', 'a']]).exec()).rejects.toThrow('EXECABORT');
    expect(await redis.getBuffer('a')).toEqual(Buffer.from('changed'));
    const many = await redis.pipeline(Array.from({ length: 3_000 }, (_, i) => ['set', `k${i}`, 'v'.repeat(i)])).exec();
    expect(many!.every(([error, value]) => error === null && value === 'OK')).toBe(true);
    expect((await redis.get('k2999'))!.length).toBe(2_999);
  });

  it('runs scripts by their hash, the first time by their text', async () => {
    redis.defineCommand('addAll', {
      numberOfKeys: 1,
      lua: `local sum = tonumber(redis.call('get', KEYS[1]) or '0')
        for _, n in ipairs(ARGV) do sum = sum + n end
        redis.call('set', KEYS[1], sum)
        return {sum, KEYS[1], #ARGV}`,
    });
    const scripted = redis as Redis & { addAll(key: string, ...numbers: number[]): Promise<unknown> };
    expect(await scripted.addAll('sum', 1, 2, 3)).toEqual([6, 'sum', 3]);
    expect(await scripted.addAll('sum', 4)).toEqual([10, 'sum', 1]);
    await redis.script('FLUSH');
    expect(await scripted.addAll('sum', 5)).toEqual([15, 'sum', 1]);
    await expect(redis.eval("return redis.error_reply('MINE is this')", 0)).rejects.toThrow('MINE is this');
    const sha = (await redis.script('LOAD', 'return ARGV[1]')) as string;
    expect(await redis.evalsha(sha, 0, 'x')).toBe('x');
  });

  it('delivers messages to channels and patterns', async () => {
    const subscriber = another();
    const heard: string[] = [];
    subscriber.on('message', (channel, text) => heard.push(`${channel}: ${text}`));
    subscriber.on('pmessage', (pattern, channel, text) => heard.push(`${pattern} ${channel}: ${text}`));
    expect(await subscriber.subscribe('news', 'weather')).toBe(2);
    expect(await subscriber.psubscribe('n*')).toBe(3);
    expect(await redis.publish('news', 'one')).toBe(2);
    expect(await redis.publish('nothing', 'two')).toBe(1);
    await until('three messages', () => heard.length === 3);
    expect(heard.sort()).toEqual(['n* news: one', 'n* nothing: two', 'news: one']);
    expect(await subscriber.unsubscribe('news')).toBe(2);
    await redis.config('SET', 'notify-keyspace-events', 'KEA');
    await subscriber.psubscribe('__keyevent@0__:*');
    await redis.set('watched', 1);
    await until('the event', () => heard.includes('__keyevent@0__:* __keyevent@0__:set: watched'));
    await redis.config('SET', 'notify-keyspace-events', '');
  });

  it('waits for elements of lists, sorted sets and streams', async () => {
    const producer = another();
    const popped = redis.blpop('queue', 'other', 5);
    await producer.rpush('other', 'x');
    expect(await popped).toEqual(['other', 'x']);
    const scored = redis.bzpopmin('scores', 5);
    await producer.zadd('scores', 2, 'b', 1, 'a');
    expect(await scored).toEqual(['scores', 'a', '1']);
    const moved = redis.blmove('from', 'to', 'LEFT', 'RIGHT', 5);
    await producer.rpush('from', 'y');
    expect(await moved).toBe('y');
    const started = Date.now();
    expect(await redis.blpop('never', 0.1)).toBeNull();
    expect(Date.now() - started).toBeGreaterThanOrEqual(95);
    const read = redis.xread('BLOCK', 5_000, 'STREAMS', 'events', '$');
    await until('the reader waits', async () => /blocked_clients:1/.test(await producer.info('clients')));
    const id = await producer.xadd('events', '*', 'name', 'value');
    expect(await read).toEqual([['events', [[id, ['name', 'value']]]]]);
  });

  it('shares a stream among the consumers of a group', async () => {
    for (let i = 1; i <= 4; i++) await redis.xadd('jobs', `${i}-0`, 'n', i);
    await redis.xgroup('CREATE', 'jobs', 'workers', '0');
    const take = (consumer: string) =>
      redis.xreadgroup('GROUP', 'workers', consumer, 'COUNT', 2, 'STREAMS', 'jobs', '>');
    expect(await take('ann')).toEqual([
      [
        'jobs',
        [
          ['1-0', ['n', '1']],
          ['2-0', ['n', '2']],
        ],
      ],
    ]);
    expect(await take('bob')).toEqual([
      [
        'jobs',
        [
          ['3-0', ['n', '3']],
          ['4-0', ['n', '4']],
        ],
      ],
    ]);
    expect(await take('ann')).toBeNull();
    expect(await redis.xack('jobs', 'workers', '1-0', '3-0')).toBe(2);
    expect(await redis.xpending('jobs', 'workers')).toEqual([
      2,
      '2-0',
      '4-0',
      [
        ['ann', '1'],
        ['bob', '1'],
      ],
    ]);
    expect(await redis.xautoclaim('jobs', 'workers', 'ann', 0, '3-0')).toEqual(['0-0', [['4-0', ['n', '4']]], []]);
    expect(await redis.xlen('jobs')).toBe(4);
    expect(await redis.xtrim('jobs', 'MAXLEN', 1)).toBe(3);
  });

  it('walks through keys and members with scan streams', async () => {
    await redis.mset(Object.fromEntries(Array.from({ length: 1_000 }, (_, i) => [`user:${i}`, i])));
    await redis.sadd(
      'members',
      Array.from({ length: 700 }, (_, i) => `m${i}`),
    );
    const keys = new Set<string>();
    for await (const batch of redis.scanStream({ match: 'user:*', count: 50 })) for (const key of batch) keys.add(key);
    expect(keys.size).toBe(1_000);
    const members = new Set<string>();
    for await (const batch of redis.sscanStream('members')) for (const member of batch) members.add(member);
    expect(members.size).toBe(700);
    await redis.hset('hash', Object.fromEntries(Array.from({ length: 600 }, (_, i) => [`f${i}`, i])));
    let fields = 0;
    for await (const batch of redis.hscanStream('hash')) fields += batch.length / 2;
    expect(fields).toBe(600);
  });

  it('comes back after its connection was cut, with its subscriptions and its database', async () => {
    const victim = new Redis({ path: server().socket, db: 3, retryStrategy: () => 20, connectionName: 'victim' });
    const subscriber = new Redis({ path: server().socket, retryStrategy: () => 20, connectionName: 'listener' });
    others.push(victim, subscriber);
    const heard: string[] = [];
    subscriber.on('message', (_channel, text) => heard.push(text));
    await subscriber.subscribe('news');
    await victim.set('here', 'db 3');
    const back = Promise.all([victim, subscriber].map((one) => new Promise((resolve) => one.once('ready', resolve))));
    for (const line of ((await redis.client('LIST')) as string).split('\n')) {
      if (/name=(victim|listener)/.test(line)) await redis.client('KILL', 'ID', /id=(\d+)/.exec(line)![1]!);
    }
    await back;
    expect(await victim.get('here')).toBe('db 3');
    await until('the subscription is back', async () => (await redis.publish('news', 'again')) === 1);
    await until('the message', () => heard.includes('again'));
  });

  it('logs in as a user of the server', async () => {
    await redis.acl(
      'SETUSER',
      'app',
      'reset',
      'on',
      '>secret',
      '~app:*',
      '+@read',
      '+@write',
      '+@connection',
      '-@dangerous',
    );
    const app = new Redis({ path: server().socket, username: 'app', password: 'secret', enableReadyCheck: false });
    others.push(app);
    await app.set('app:x', 1);
    await expect(app.set('x', 1)).rejects.toThrow('NOPERM');
    await expect(app.flushall()).rejects.toThrow('NOPERM');
    await redis.acl('DELUSER', 'app');
  });
});
