/**
 * What listeners hear of random commands of every type: one client is subscribed to all keyspace events and is told of every changed key
 * (CLIENT TRACKING in broadcasting mode). After each command it must have heard the same from both servers, so every command's events
 * and changes are the original's.
 */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Draw } from '../redis/support/draw.ts';
import { randomBitmapCommand } from '../redis/support/random-bitmap.ts';
import { CommandSource, type RandomCommand } from '../redis/support/random-commands.ts';
import { randomGeoCommand } from '../redis/support/random-geo.ts';
import { randomHashCommand } from '../redis/support/random-hash.ts';
import { randomHyperLogLogCommand } from '../redis/support/random-hyperloglog.ts';
import { randomListCommand } from '../redis/support/random-list.ts';
import { randomSetCommand } from '../redis/support/random-set.ts';
import { randomSortCommand } from '../redis/support/random-sort.ts';
import { randomStreamCommand } from '../redis/support/random-stream.ts';
import { randomZsetCommand } from '../redis/support/random-zset.ts';
import { showReply } from '../redis/support/script.ts';
import { startOurs, startReal, type TestServer } from '../redis/support/servers.ts';
import { describeReal } from '../support/real.ts';
import { encodeCommand, RespClient } from '../support/resp-client.ts';
import { seededRandom, testScale } from '../support/seed.ts';

const COMMANDS = 1_500 * testScale;
const CONTEXT = 8;

const generators: Readonly<Record<string, (draw: Draw, strings: CommandSource) => RandomCommand>> = {
  'strings and keys': (_draw, strings) => strings.next(),
  bitmaps: randomBitmapCommand,
  hashes: randomHashCommand,
  lists: randomListCommand,
  sets: randomSetCommand,
  'sorted sets': randomZsetCommand,
  streams: randomStreamCommand,
  places: randomGeoCommand,
  HyperLogLogs: randomHyperLogLogCommand,
  SORT: randomSortCommand,
};

/** A client that changes data, and one that listens. */
class Pair {
  private readonly actor: RespClient;
  private readonly listener: RespClient;

  private constructor(actor: RespClient, listener: RespClient) {
    this.actor = actor;
    this.listener = listener;
  }

  static async connect(server: TestServer): Promise<Pair> {
    const [actor, listener] = await Promise.all([
      RespClient.connect({ path: server.path }),
      RespClient.connect({ path: server.path }),
    ]);
    await actor.command('FLUSHALL');
    await actor.command('CONFIG', 'SET', 'notify-keyspace-events', 'KEAmn');
    await listener.command('HELLO', 3);
    await listener.command('CLIENT', 'TRACKING', 'ON', 'BCAST');
    // The confirmation is a push, which nobody waits for; it comes before the next answer.
    listener.socket.write(encodeCommand(['PSUBSCRIBE', '__key*__:*']));
    await listener.command('PING');
    listener.unasked.length = 0;
    return new Pair(actor, listener);
  }

  /** Runs a command. @returns what was heard of it */
  async run(args: readonly string[]): Promise<string> {
    await this.actor.command(...args);
    // Messages are sent before the answer to what comes later.
    await this.listener.command('PING');
    const messages = this.listener.unasked.map(showReply);
    // SORT looks up keys in the order of a set's members, which is by chance.
    if (/^sort/i.test(args[0]!)) messages.sort();
    const heard = messages.join('\n');
    this.listener.unasked.length = 0;
    return heard;
  }

  async close(): Promise<void> {
    await Promise.all([this.actor.close(), this.listener.close()]);
  }
}

describeReal(['redis-server'], 'what listeners hear of random commands', () => {
  let ours: TestServer;
  let real: TestServer;

  beforeAll(async () => {
    [ours, real] = await Promise.all([startOurs(), startReal()]);
  });
  afterAll(async () => {
    await Promise.all([ours?.stop(), real?.stop()]);
  });

  for (const [name, generate] of Object.entries(generators)) {
    it(`is the same (${name})`, { timeout: 60_000 * testScale }, async () => {
      const random = seededRandom(`events of ${name}`);
      const draw = new Draw(random);
      const strings = new CommandSource(random);
      const pairs = await Promise.all([Pair.connect(ours), Pair.connect(real)]);
      const before: string[] = [];
      let told = 0;
      try {
        for (let i = 0; i < COMMANDS; i++) {
          const { args } = draw.chance(10) ? draw.exact('SET', draw.key(), draw.value()) : generate(draw, strings);
          before.push(JSON.stringify(args).slice(0, 200));
          const [mine, theirs] = await Promise.all(pairs.map((pair) => pair.run(args)));
          if (theirs !== '') told++;
          if (mine !== theirs) expect.fail(`${before.slice(-CONTEXT).join('\n')}\nours:\n${mine}\nreal:\n${theirs}`);
        }
        // Silence on both sides would prove nothing.
        expect(told).toBeGreaterThan(COMMANDS / 10);
      } finally {
        await Promise.all(pairs.map((pair) => pair.close()));
      }
    });
  }
});
