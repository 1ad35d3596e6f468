import { afterAll, beforeAll, it } from 'vitest';
import { createRandom } from '../../engines/base/random.ts';
import { binaryBare } from '../../engines/memcached/protocol/encode.ts';
import { parseMemcachedOptions } from '../../engines/servers/memcached-options.ts';
import { InProcess } from '../memcached/in-process.ts';
import { RealMemcached } from '../memcached/real-memcached.ts';
import { describeReal } from '../support/real.ts';
import { testScale } from '../support/seed.ts';
import { CommandMaker } from './memcached-commands.ts';
import { compareStats, firstDifference } from './memcached-compare.ts';

/** Commands a seed, in batches that are sent at once. Together 60,000 where the scale is 1. */
const COMMANDS_PER_SEED = 20_000 * testScale;
const BATCH_MAX = 40;
const KEYS = 300;
/** The real server's. */
const READ_BUFFER_BYTES = 16_384;
const BINARY_SEEDS = [11, 12, 13];

describeReal(['memcached'], 'the Memcached-like core and the real memcached', () => {
  let real: RealMemcached;
  beforeAll(async () => {
    // With the maintainer, a hit on a COLD item holds a reference until its thread has moved the item, and an incr meanwhile
    // takes a new item instead of padding the old one: the reply to the next get then depends on that thread's timing.
    // -R: without it the replies of a batch leave after every 20 requests, and with them go the references they hold.
    real = await RealMemcached.start(['-m', '1024', '-R', '1000', '-o', 'no_lru_maintainer']);
  });
  afterAll(() => real?.stop());

  // One server each for all seeds: the cores go on with what the seeds before have left.
  const server = new InProcess(
    parseMemcachedOptions(['-m', '1024', '-o', 'no_lru_maintainer']).settings,
    2 * 1024 * 1024 * 1024,
  );

  for (const seed of BINARY_SEEDS) {
    it(`answer ${COMMANDS_PER_SEED} random binary requests alike (seed ${seed})`, {
      timeout: 120_000 * testScale,
    }, async () => {
      const random = createRandom(seed);
      const maker = new CommandMaker(random, KEYS);
      const conn = server.open();
      const socket = await real.connect();
      const out = new Uint8Array(1_000);
      const noop = Buffer.from(out.subarray(0, binaryBare(out, 0, 0xfeedface)));
      const mark = Buffer.from(noop);
      mark[0] = 0x81;
      for (let sent = 0; sent < COMMANDS_PER_SEED; ) {
        const count = 1 + random.nextBelow(BATCH_MAX);
        const requests: Uint8Array[] = [];
        for (let i = 0; i < count; i++) requests.push(maker.binary(out));
        sent += count;
        // The original holds the items of a batch's gets until its replies leave, which an incr can tell. Where a batch of more
        // than its read buffer is cut is a matter of timing, so such requests go one by one.
        const all = Buffer.concat(requests);
        const batches = all.length < READ_BUFFER_BYTES - 1_000 ? [all] : requests;
        for (const batch of batches) {
          const bytes = Buffer.concat([batch, noop]);
          const theirs = await socket.ask(bytes, mark);
          server.feed(conn, bytes);
          const difference = firstDifference(server.take(conn), theirs);
          if (difference !== null) throw new Error(`seed ${seed}, after ${sent} requests, ${difference}`);
        }
      }
      server.core.verify();
      server.hangUp(conn);
      socket.socket.destroy();
      const ascii = server.open();
      const asciiSocket = await real.connect();
      await compareStats(server, ascii, asciiSocket);
      server.hangUp(ascii);
      asciiSocket.socket.destroy();
    });
  }
});
