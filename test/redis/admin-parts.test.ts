import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { createRandom } from '../../engines/base/random.ts';
import { CLIENT_PUBSUB, type Client } from '../../engines/redis/client.ts';
import { clientsCron } from '../../engines/redis/client-limits.ts';
import { globMatchesText } from '../../engines/redis/glob.ts';
import { humanBytes } from '../../engines/redis/info.ts';
import { lolwut } from '../../engines/redis/lolwut.ts';
import { PubSub, type Space, shardSubscriptionCount, subscriptionCount } from '../../engines/redis/pubsub.ts';
import { sha1 } from '../../engines/redis/sha1.ts';
import { optionLines, splitEngineOptions } from '../../engines/servers/redis-conf.ts';
import { logTime } from '../../engines/servers/redis-log.ts';
import { seededRandom } from '../support/seed.ts';
import { Loopback } from './support/loopback.ts';

describe('SHA-1', () => {
  it('equals the one of Node for every length around its blocks', () => {
    const bytes = Uint8Array.from({ length: 300 }, (_, i) => (i * 31) & 255);
    for (let length = 0; length < 290; length++) {
      const wanted = createHash('sha1')
        .update(bytes.subarray(3, 3 + length))
        .digest('hex');
      expect(Buffer.from(sha1(bytes, 3, length)).toString('hex')).toBe(wanted);
    }
  });
});

describe('the cron', () => {
  it('looks at the buffers of five clients with each call, and of all in turn', () => {
    for (const count of [3, 40]) {
      const lab = new Loopback(64 * 1024 * 1024);
      for (let id = 0; id < count; id++) lab.open(id);
      const shrunk = () => lab.core.clients.filter((c) => c !== null && c.memory.replyRoom < 16_384).length;
      // The first look finds the peak to be an old one, the second shrinks.
      const calls = Math.ceil(count / 5);
      for (let call = 0; call < calls; call++) clientsCron(lab.core);
      expect(shrunk()).toBe(0);
      for (let call = 0; call < calls; call++) clientsCron(lab.core);
      expect(shrunk()).toBe(count);
    }
  });
});

describe('subscriptions', () => {
  it('hold the same on both sides after any sequence of changes', () => {
    const random = seededRandom('subscriptions');
    const pubsub = new PubSub();
    const clients = Array.from(
      { length: 8 },
      (_, id) => ({ id, flags: 0, channels: null, patterns: null, shardChannels: null }) as unknown as Client,
    );
    const spaces: Space[] = ['channels', 'patterns', 'shardChannels'];
    for (let step = 0; step < 20_000; step++) {
      const c = clients[random.nextBelow(clients.length)]!;
      const space = spaces[random.nextBelow(3)]!;
      const name = `n${random.nextBelow(12)}`;
      const had = c[space]?.has(name) ?? false;
      const kind = random.nextBelow(20);
      if (kind === 0) pubsub.forget(c);
      else if (kind < 11) expect(pubsub.subscribe(c, space, name), `step ${step}`).toBe(!had);
      else expect(pubsub.unsubscribe(c, space, name), `step ${step}`).toBe(had);
      expect((c.flags & CLIENT_PUBSUB) !== 0).toBe(subscriptionCount(c) + shardSubscriptionCount(c) > 0);
      if (step % 500 === 0) pubsub.verify(clients);
    }
    for (const c of clients) pubsub.forget(c);
    pubsub.verify(clients);
    expect(pubsub.channels.size + pubsub.patterns.size + pubsub.shardChannels.size).toBe(0);
  });
});

describe('patterns over names', () => {
  // An empty text matches the empty pattern only, and an unclosed class nothing: so does the original.
  it('match as those of KEYS do', () => {
    const cases: [pattern: string, text: string, matches: boolean][] = [
      ['*', '', false],
      ['a*c', 'abbbc', true],
      ['a*c', 'abbb', false],
      ['h?llo', 'hello', true],
      ['h[ae]llo', 'hallo', true],
      ['h[^e]llo', 'hello', false],
      ['h[a-c]llo', 'hbllo', true],
      ['h[c-a]llo', 'hbllo', true],
      ['h\\?llo', 'h?llo', true],
      ['h\\?llo', 'hello', false],
      ['[', '[', false],
      ['a**b', 'ab', true],
      ['', '', true],
      ['', 'a', false],
    ];
    for (const [pattern, text, matches] of cases)
      expect([pattern, text, globMatchesText(pattern, text, false)]).toEqual([pattern, text, matches]);
    expect(globMatchesText('MAX*', 'maxmemory', true)).toBe(true);
  });

  it('stay quick with many stars', () => {
    const begun = process.hrtime.bigint();
    expect(globMatchesText(`${'a*'.repeat(40)}b`, 'a'.repeat(200), false)).toBe(false);
    expect(Number(process.hrtime.bigint() - begun) / 1e6).toBeLessThan(500);
  });
});

describe('small texts', () => {
  it('are what people and tools expect', () => {
    expect([humanBytes(0), humanBytes(1023), humanBytes(965_992), humanBytes(3 * 1024 ** 3)]).toEqual([
      '0B',
      '1023B',
      '943.35K',
      '3.00G',
    ]);
    expect(logTime(new Date(2026, 10, 3, 4, 5, 6, 7))).toBe('03 Nov 2026 04:05:06.007');
    const picture = lolwut(createRandom(1), [10, 3]);
    expect(picture).toMatch(/\nRedis ver\. 7\.0\.15\n$/);
    expect(picture.split('\n').length).toBe(6);
  });

  it('of a command line become lines of configuration by the original rules', () => {
    expect(optionLines(['--port', '7000', '--save', '', '--hz 20', '--save']).lines).toBe(
      'port "7000" \nsave "" \nhz 20 \nsave ""',
    );
    expect(optionLines(['--save', '--port', '1']).lines).toBe('save ""\nport "1" ');
    expect(optionLines(['--port', '1', '-'])).toMatchObject({ fromStdin: true });
    const { engine, rest } = splitEngineOptions([
      'a.conf',
      '--event-loop=libuv',
      '--port',
      '1',
      '--arena-bytes',
      '4194304',
    ]);
    expect(engine).toEqual({ eventLoop: 'libuv', allocator: 'debian', arenaBytes: 4_194_304 });
    expect(rest).toEqual(['a.conf', '--port', '1']);
    expect(() => splitEngineOptions(['--event-loop', 'kqueue'])).toThrow('Cannot use --event-loop kqueue');
  });
});
