import { afterAll, beforeAll, it } from 'vitest';
import { parseMemcachedOptions } from '../../engines/servers/memcached-options.ts';
import { InProcess } from '../memcached/in-process.ts';
import { type RawConnection, RealMemcached, settle } from '../memcached/real-memcached.ts';
import { describeReal } from '../support/real.ts';
import { seededRandom, testScale } from '../support/seed.ts';
import { CommandMaker } from './memcached-commands.ts';
import { compareStats, firstDifferenceButSeconds } from './memcached-compare.ts';
import { MetaMaker } from './memcached-meta-commands.ts';

/** Commands a run, in batches that are sent at once. */
const COMMANDS_PER_RUN = 20_000 * testScale;
const BATCH_MAX = 40;
const KEYS = 300;
/** The real server's. */
const READ_BUFFER_BYTES = 16_384;
/** Without it the replies of a batch leave after every 20 requests, and with them go the references they hold. */
const OPTIONS = ['-R', '1000'];
/**
 * Pairs of servers, started with these options, and for each run of commands how many of a hundred are meta commands. Together
 * 120,000 commands where the scale is 1. All keep to what does not depend on a background thread's timing: with the maintainer, a hit on a
 * COLD item holds a reference until its thread has moved the item, and an incr meanwhile takes a new item instead of padding the old one.
 */
const SERVERS: readonly {
  name: string;
  options: string[];
  large: boolean;
  keys: number;
  metaPercents: readonly number[];
}[] = [
  {
    name: 'with room for all',
    options: ['-m', '1024', '-o', 'no_lru_maintainer'],
    large: false,
    keys: KEYS,
    metaPercents: [0, 50, 100],
  },
  {
    name: 'without CAS',
    options: ['-C', '-m', '1024', '-o', 'no_lru_maintainer'],
    large: false,
    keys: KEYS,
    metaPercents: [60],
  },
  {
    name: 'that evict',
    options: ['-m', '2', '-o', 'no_lru_maintainer,slab_automove=0'],
    large: true,
    keys: 3_000,
    metaPercents: [60],
  },
  {
    name: 'that refuse what does not fit, with values in many chunks',
    options: ['-m', '2', '-M', '-o', 'no_lru_maintainer,slab_automove=0,slab_chunk_max=16384'],
    large: true,
    keys: 2_000,
    metaPercents: [40],
  },
];
/** Asked for last; no other command is answered like it. */
const END = 'mg end-of-batch k\r\n';
const MARK = Buffer.from('EN kend-of-batch\r\n');

for (const { name, options, large, keys, metaPercents } of SERVERS) {
  describeReal(['memcached'], `the Memcached-like core and the real memcached ${name}`, () => {
    let real: RealMemcached;
    let server: InProcess;
    let startedMs = 0;
    // Without CAS ids a flush tells what came before it by the second, and both clocks advance at different moments; a server that is to
    // evict must not be emptied.
    const mayFlush = !large && !options.includes('-C');
    beforeAll(async () => {
      real = await RealMemcached.start([...OPTIONS, ...options]);
      startedMs = Date.now();
      // One server each for all runs: the cores go on with what the runs before have left.
      const { settings } = parseMemcachedOptions([...OPTIONS, ...options]);
      server = new InProcess(settings, 2 * 1024 * 1024 * 1024, startedMs);
    });
    afterAll(() => real?.stop());

    /** Asks both. @returns what they answered, or null when a wrong length has left a value incomplete */
    async function askBoth(conn: number, socket: RawConnection, commands: string): Promise<[Buffer, Buffer] | null> {
      // The first two ends take up what a command with a wrong length still wants.
      const bytes = Buffer.from(`${commands}mn\r\nmn\r\n${END}`, 'latin1');
      server.clock.ms = Date.now();
      server.core.tick();
      server.feed(conn, bytes);
      const mine = server.take(conn);
      if (!mine.subarray(-MARK.length).equals(MARK)) {
        // It is to have come to the same commands before the connection goes.
        socket.socket.write(bytes);
        await settle(real);
        return null;
      }
      return [mine, await socket.ask(bytes, MARK)];
    }

    for (const metaPercent of metaPercents) {
      it(`answer ${COMMANDS_PER_RUN} random ASCII commands alike, ${metaPercent} % of them meta`, {
        timeout: 120_000 * testScale,
      }, async () => {
        const random = seededRandom(`commands ${name}, ${metaPercent} % meta`);
        const maker = new CommandMaker(random, keys, large);
        const meta = new MetaMaker(random, maker);
        let conn = server.open();
        let socket = await real.connect();
        for (let sent = 0; sent < COMMANDS_PER_RUN; ) {
          const commands: string[] = [];
          const count = 1 + random.nextBelow(BATCH_MAX);
          for (let i = 0; i < count; i++) {
            const command = random.nextBelow(100) < metaPercent ? meta.next() : maker.ascii();
            commands.push(mayFlush ? command : command.replace(/^flush_all/, 'mn'));
          }
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
              throw new Error(`after ${sent} commands, ${difference}\n${batch.slice(0, 4000)}`);
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
}
