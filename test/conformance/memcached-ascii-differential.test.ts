import { afterAll, beforeAll, it } from 'vitest';
import { createRandom } from '../../engines/base/random.ts';
import { parseMemcachedOptions } from '../../engines/servers/memcached-options.ts';
import { InProcess } from '../memcached/in-process.ts';
import { type RawConnection, RealMemcached } from '../memcached/real-memcached.ts';
import { describeReal } from '../support/real.ts';
import { testScale } from '../support/seed.ts';
import { CommandMaker } from './memcached-commands.ts';
import { compareStats, firstDifferenceButSeconds } from './memcached-compare.ts';
import { MetaMaker } from './memcached-meta-commands.ts';

/** Commands a seed, in batches that are sent at once. Together 120,000 where the scale is 1. */
const COMMANDS_PER_SEED = 20_000 * testScale;
const BATCH_MAX = 40;
const KEYS = 300;
/** The real server's. */
const READ_BUFFER_BYTES = 16_384;
/** Of a hundred commands, so many are meta commands. */
const SEEDS: readonly (readonly [number, number])[] = [
  [1, 0],
  [2, 0],
  [3, 50],
  [4, 50],
  [5, 100],
  [6, 100],
];
/** Other commands than usual. */
const SEED_OFFSET = Number(process.env['TEST_SEED'] ?? 0);
const MARK = Buffer.from('VERSION 1.6.18\r\n');

describeReal(['memcached'], 'the Memcached-like core and the real memcached', () => {
  let real: RealMemcached;
  let server: InProcess;
  let startedMs = 0;
  beforeAll(async () => {
    // With the maintainer, a hit on a COLD item holds a reference until its thread has moved the item, and an incr meanwhile
    // takes a new item instead of padding the old one: the reply to the next get then depends on that thread's timing.
    // -R: without it the replies of a batch leave after every 20 requests, and with them go the references they hold.
    real = await RealMemcached.start(['-m', '1024', '-R', '1000', '-o', 'no_lru_maintainer']);
    startedMs = Date.now();
    // One server each for all seeds: the cores go on with what the seeds before have left.
    const { settings } = parseMemcachedOptions(['-m', '1024', '-o', 'no_lru_maintainer']);
    server = new InProcess(settings, 2 * 1024 * 1024 * 1024, startedMs);
  });
  afterAll(() => real?.stop());

  /** Asks both. @returns what they answered, or null when a wrong length has left a value incomplete */
  async function askBoth(conn: number, socket: RawConnection, commands: string): Promise<[Buffer, Buffer] | null> {
    // The first two ends take up what a command with a wrong length still wants.
    const bytes = Buffer.from(`${commands}mn\r\nmn\r\nversion\r\n`, 'latin1');
    server.clock.ms = Date.now();
    server.core.tick();
    server.feed(conn, bytes);
    const mine = server.take(conn);
    if (!mine.subarray(-MARK.length).equals(MARK)) {
      await socket.ask(bytes, MARK, 50);
      return null;
    }
    // A "version" among the commands may end a piece of the output.
    return [mine, await socket.ask(bytes, MARK, 3_000, mine.length)];
  }

  for (const [seed, metaPercent] of SEEDS) {
    it(`answer ${COMMANDS_PER_SEED} random ASCII commands alike, ${metaPercent} % of them meta (seed ${seed})`, {
      timeout: 120_000 * testScale,
    }, async () => {
      const random = createRandom(seed + SEED_OFFSET);
      const maker = new CommandMaker(random, KEYS);
      const meta = new MetaMaker(random, maker);
      let conn = server.open();
      let socket = await real.connect();
      for (let sent = 0; sent < COMMANDS_PER_SEED; ) {
        const commands: string[] = [];
        const count = 1 + random.nextBelow(BATCH_MAX);
        for (let i = 0; i < count; i++)
          commands.push(random.nextBelow(100) < metaPercent ? meta.next() : maker.ascii());
        sent += count;
        // The original holds the items of a batch's mg until its replies leave, which an incr can tell. Where a batch of more than its
        // read buffer is cut is a matter of timing, so such commands go one by one.
        const all = commands.join('');
        const batches = all.length < READ_BUFFER_BYTES - 1_000 ? [all] : commands;
        for (const batch of batches) {
          const answers = await askBoth(conn, socket, batch);
          if (answers === null) {
            // A wrong length wants more bytes than followed. The original keeps all replies back until a value is complete, the engine
            // sends those it has: nothing to compare. Both forget the value with its connection.
            server.hangUp(conn);
            socket.socket.destroy();
            conn = server.open();
            socket = await real.connect();
            continue;
          }
          const difference = firstDifferenceButSeconds(...answers);
          if (difference !== null) {
            throw new Error(
              `seed ${seed} + ${SEED_OFFSET}, after ${sent} commands, ${difference}\n${batch.slice(0, 4000)}`,
            );
          }
          for (const match of answers[1].toString('latin1').matchAll(/(?:^VALUE \S+ \d+ \d+ | c)(\d+)(?=[ \r])/gm)) {
            maker.seenCas.push(match[1]!);
          }
        }
        if (maker.seenCas.length > 200) maker.seenCas.splice(0, 150);
      }
      await compareStats(server, conn, socket);
      server.core.verify();
      server.hangUp(conn);
      socket.socket.destroy();
    });
  }
});
