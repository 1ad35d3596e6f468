/** -vv and -vvv: what is written to the log of commands, replies and lookups, beside what the real server writes. */
import { expect, it } from 'vitest';
import * as B from '../../engines/memcached/protocol/binary.ts';
import {
  binaryArithmetic,
  binaryBare,
  binaryConcat,
  binaryGet,
  binaryStore,
  binaryTouch,
} from '../../engines/memcached/protocol/encode.ts';
import { parseMemcachedOptions } from '../../engines/servers/memcached-options.ts';
import { InProcess } from '../memcached/in-process.ts';
import { RealMemcached } from '../memcached/real-memcached.ts';
import { waitFor } from '../support/processes.ts';
import { describeReal } from '../support/real.ts';

/** The original writes its lines a little later than its answers. */
const LINES_MS = 15_000;

/** Lines without descriptors, and without those of threads and states that this core does not have. */
function normal(lines: string[]): string[] {
  return (
    lines
      .filter((line) => !/slab class|going from|LRU |crawl|server listening|^$/.test(line))
      .map((line) => line.replace(/^([<>]?)\d+/, '$1N'))
      // The original shows a response's header before it puts the CAS id there.
      .filter((line) => !/^>N {3}0x/.test(line))
  );
}

const ASCII = [
  'get a\r\n',
  'set a 0 0 1\r\nx\r\n',
  'get a a b\r\n',
  'add a 0 0 1\r\ny\r\n',
  'append a 0 0 1\r\nz\r\n',
  'gets a\r\n',
  'cas a 0 0 1 999\r\nx\r\n',
  'cas none 0 0 1 999\r\nx\r\n',
  'incr a 1\r\n',
  'set n 5 60 1 noreply\r\n1\r\n',
  'incr n 1\r\n',
  'incr n 100 noreply\r\n',
  'touch n 100\r\n',
  'gats 50 n none\r\n',
  'delete n\r\n',
  'delete n noreply\r\n',
  'mg a v t f\r\n',
  'mg none\r\n',
  'ms m 2\r\nab\r\n',
  'md m\r\n',
  'ma new N0 J13 v\r\n',
  'set short 0 0 2\r\nabc\r\n',
  'flush_all\r\n',
  'get a\r\n',
  'stats reset\r\n',
  'bogus\r\n',
  'set foo\r\n',
  'me none\r\n',
  'mn\r\n',
  'stats\r\n',
  'stats detail on\r\n',
  'set past 0 -1 1\r\nx\r\n',
  'get past\r\n',
  'version\r\n',
  'slabs automove 0\r\n',
  'cache_memlimit 100\r\n',
  'mg a b c\r\n',
  'ms a S1\r\n',
  'verbosity x\r\n',
  'watch bogus\r\n',
  'get a\0b\r\n',
];

function binaryRequests(): Buffer[] {
  const out = new Uint8Array(1_000);
  const key = Buffer.from('bin');
  const bytes = (end: number): Buffer => Buffer.from(out.subarray(0, end));
  const store = (opcode: number): Buffer =>
    Buffer.concat([bytes(binaryStore(out, 0, key, 0, 3, 0, 0, 2, 1, opcode, 0n)), Buffer.from('12')]);
  return [
    bytes(binaryGet(out, 0, key, 0, 3, 1, B.OP_GET)),
    store(B.OP_SET),
    store(B.OP_ADD),
    store(B.OP_REPLACE),
    store(B.OP_SETQ),
    bytes(binaryGet(out, 0, key, 0, 3, 1, B.OP_GETK)),
    Buffer.concat([bytes(binaryConcat(out, 0, B.OP_APPEND, key, 0, 3, 2, 1)), Buffer.from('34')]),
    bytes(binaryArithmetic(out, 0, key, 0, 3, 1n, 5n, 0, 1, B.OP_INCREMENT)),
    bytes(binaryArithmetic(out, 0, Buffer.from('new'), 0, 3, 1n, 5n, 0, 1, B.OP_DECREMENT)),
    bytes(binaryTouch(out, 0, key, 0, 3, 100, 1, B.OP_TOUCH)),
    bytes(binaryTouch(out, 0, key, 0, 3, 100, 1, B.OP_GAT)),
    bytes(binaryGet(out, 0, key, 0, 3, 1, B.OP_DELETE)),
    bytes(binaryBare(out, 0, 1, B.OP_NOOP)),
    bytes(binaryBare(out, 0, 1, B.OP_VERSION)),
  ];
}

describeReal(['memcached'], 'the log', () => {
  for (const level of ['-vv', '-vvv']) {
    it(`with ${level} says of commands and replies what the real memcached’s says`, { timeout: 20_000 }, async () => {
      const args = [level, '-o', 'no_lru_maintainer,no_lru_crawler'];
      const real = await RealMemcached.start(args);
      try {
        const server = new InProcess(parseMemcachedOptions(args).settings, 256 * 1024 * 1024);
        // The connection that found it listening.
        await waitFor('its first connection is gone', () => real.log.includes('connection closed'), LINES_MS);
        const theirs = (): string[] => normal(real.log.slice(seen).split('\n'));
        // One request after the other, each read alone.
        const settled = async (): Promise<void> => {
          const lines = normal(server.logLines);
          await waitFor('as many lines', () => theirs().length >= lines.length, LINES_MS).catch(() => {
            expect(theirs()).toEqual(lines);
          });
        };
        const seen = real.log.length;
        for (const requests of [ASCII, binaryRequests()]) {
          const conn = server.open();
          const socket = await real.connect();
          for (const request of requests) {
            server.send(conn, request as string);
            socket.socket.write(request);
            await settled();
          }
          socket.socket.destroy();
          server.hangUp(conn);
          await settled();
        }
        const watcher = server.open();
        const socket = await real.connect();
        socket.socket.write('watch\r\n');
        server.send(watcher, 'watch\r\n');
        await settled();
        // What were too many would come by now.
        await new Promise((resolve) => setTimeout(resolve, 150));
        expect(normal(server.logLines)).toEqual(theirs());
        expect(server.logLines).toContain(level === '-vv' ? '>20 STORED' : '> NOT FOUND a');
      } finally {
        await real.stop();
      }
    });
  }
});
