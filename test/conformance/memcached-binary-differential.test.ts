import { afterAll, beforeAll, it } from 'vitest';
import { parseMemcachedOptions } from '../../engines/servers/memcached-options.ts';
import { InProcess } from '../memcached/in-process.ts';
import { type RawConnection, RealMemcached } from '../memcached/real-memcached.ts';
import { describeReal } from '../support/real.ts';
import { seededRandom, testScale } from '../support/seed.ts';
import { BinaryRequestMaker, binaryRequest, casOfResponses } from './memcached-binary-requests.ts';
import { compareStats, firstDifference } from './memcached-compare.ts';

/** Requests a run, in batches that are sent at once. Together 80,000 where the scale is 1. */
const REQUESTS_PER_RUN = 16_000 * testScale;
const BATCH_MAX = 40;
const SEEN_CAS_MAX = 200;
/** The real server's. */
const READ_BUFFER_BYTES = 16_384;
/** One batch in so many ends with a request that closes the connection. */
const FATAL_ONE_IN = 60;

const NOOP = binaryRequest({ opcode: 0x0a, opaque: 0xfeedface });
const MARK = Buffer.from(NOOP);
MARK[0] = 0x81;
/** A request that should close the connection and does not costs that long. */
const FATAL_MS = 15_000;
const NEVER = Buffer.from('never\0');

const CASES = [
  // With the maintainer, a hit on a COLD item holds a reference until its thread has moved the item, and an incr meanwhile
  // takes a new item instead of padding the old one: the reply to the next get then depends on that thread's timing.
  // -R: without it the replies of a batch leave after every 20 requests, and with them go the references they hold.
  { name: 'plain', args: ['-m', '1024', '-R', '1000', '-o', 'no_lru_maintainer'], keys: 300, runs: 3 },
  { name: 'without CAS', args: ['-m', '1024', '-R', '1000', '-C', '-o', 'no_lru_maintainer'], keys: 300, runs: 1 },
  // Memory runs out: what cannot be stored is refused.
  {
    name: 'without evictions',
    args: ['-m', '8', '-M', '-R', '1000', '-o', 'no_lru_maintainer'],
    keys: 4_000,
    runs: 1,
  },
];

for (const { name, args, keys, runs } of CASES) {
  describeReal(['memcached'], `the Memcached-like core and the real memcached (binary, ${name})`, () => {
    let real: RealMemcached;
    beforeAll(async () => {
      real = await RealMemcached.start(args);
    });
    afterAll(() => real?.stop());

    // One server each for all runs: the cores go on with what the runs before have left.
    const server = new InProcess(parseMemcachedOptions(args).settings, 2 * 1024 * 1024 * 1024);

    for (let run = 1; run <= runs; run++) {
      it(`answer ${REQUESTS_PER_RUN} random requests alike (run ${run})`, {
        timeout: 120_000 * testScale,
      }, async () => {
        const random = seededRandom(`binary requests ${name}, run ${run}`);
        const maker = new BinaryRequestMaker(random, keys, !args.includes('-C'));
        let conn = server.open();
        let socket = await real.connect();
        for (let sent = 0; sent < REQUESTS_PER_RUN; ) {
          if (random.nextBelow(FATAL_ONE_IN) === 0) {
            sent += await sendFatal(maker, conn, socket, `run ${run}, after ${sent} requests`);
            conn = server.open();
            socket = await real.connect();
            continue;
          }
          const requests = Array.from({ length: 1 + random.nextBelow(BATCH_MAX) }, () => maker.sound());
          sent += requests.length;
          // The original holds the items of a batch's gets until its replies leave, which an incr can tell. Where a batch of more
          // than its read buffer is cut is a matter of timing, so such requests go one by one.
          const all = Buffer.concat(requests);
          const batches = all.length < READ_BUFFER_BYTES - 1_000 ? [all] : requests;
          for (const batch of batches) {
            const bytes = Buffer.concat([batch, NOOP]);
            const theirs = await socket.ask(bytes, MARK);
            server.feed(conn, bytes);
            const difference = firstDifference(server.take(conn), theirs);
            if (difference !== null) throw new Error(`run ${run}, after ${sent} requests, ${difference}`);
            maker.seenCas.push(...casOfResponses(theirs));
            if (maker.seenCas.length > SEEN_CAS_MAX) maker.seenCas.splice(0, SEEN_CAS_MAX / 2);
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

    /** One or two sound requests and one that closes the connection, in one piece. @returns how many were sent */
    async function sendFatal(
      maker: BinaryRequestMaker,
      conn: number,
      socket: RawConnection,
      where: string,
    ): Promise<number> {
      const bytes = Buffer.concat([maker.sound(), NOOP, maker.fatal(), NOOP]);
      if (bytes.length > READ_BUFFER_BYTES) {
        server.hangUp(conn);
        socket.socket.destroy();
        return 1;
      }
      const theirs = await socket.ask(bytes, NEVER, FATAL_MS);
      server.feed(conn, bytes);
      const difference = firstDifference(server.take(conn), theirs);
      if (difference !== null) throw new Error(`${where}, then ${bytes.toString('hex')}, ${difference}`);
      if (server.isClosed(conn) !== socket.closed) throw new Error(`${where}, then ${bytes.toString('hex')}: closed?`);
      if (!socket.closed) server.hangUp(conn);
      socket.socket.destroy();
      return 2;
    }
  });
}
