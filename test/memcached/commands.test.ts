import { describe, expect, it } from 'vitest';
import { OUTPUT_BYTES_MAX } from '../../engines/memcached/connections.ts';
import { InProcess, parseStats } from './in-process.ts';

const LONG = 'k'.repeat(251);

/** Asked of memcached 1.6.18, each on a connection of its own: what is sent, what comes back. */
const ASKED: [send: string, reply: string][] = [
  ['\r\n', 'ERROR\r\n'],
  ['get\r\n', 'ERROR\r\n'],
  [`get ${'k'.repeat(250)}\r\n`, 'END\r\n'],
  [`get ${LONG}\r\n`, 'CLIENT_ERROR bad command line format\r\n'],
  [`set ${LONG} 0 0 1\r\na\r\n`, 'CLIENT_ERROR bad command line format\r\nERROR\r\n'],
  ['set a 0 0 -1\r\n', 'CLIENT_ERROR bad command line format\r\n'],
  ['set a -1 0 1\r\nb\r\n', 'CLIENT_ERROR bad command line format\r\nERROR\r\n'],
  ['set a 4294967296 0 1\r\nb\r\nget a\r\n', 'STORED\r\nVALUE a 0 1\r\nb\r\nEND\r\n'],
  ['set a 0 0 3\r\nabcdef\r\n', 'CLIENT_ERROR bad data chunk\r\nERROR\r\n'],
  ['set a 0 0 2147483647\r\n', 'CLIENT_ERROR bad command line format\r\n'],
  // Too large: the reply comes when the announced bytes have come.
  ['set a 0 0 2147483645\r\nversion\r\n', ''],
  ['set z 0 0 2000 noreply\r\nversion\r\n', ''],
  ['incr n 18446744073709551616\r\n', 'CLIENT_ERROR invalid numeric delta argument\r\n'],
  ['set e 0 0 0\r\n\r\nincr e 1\r\n', 'STORED\r\nCLIENT_ERROR cannot increment or decrement non-numeric value\r\n'],
  [
    'set n 0 0 20\r\n18446744073709551615\r\nincr n 1\r\nget n\r\n',
    'STORED\r\n0\r\nVALUE n 0 20\r\n0                   \r\nEND\r\n',
  ],
  ['delete a 5\r\n', 'CLIENT_ERROR bad command line format.  Usage: delete <key> [noreply]\r\n'],
  ['touch a x\r\n', 'CLIENT_ERROR invalid exptime argument\r\n'],
  ['gat 0\r\n', 'END\r\n'],
  ['version\0x\r\n', 'VERSION 1.6.18\r\n'],
  ['get\tz\r\n', 'ERROR\r\n'],
  ['  version  \r\n', 'VERSION 1.6.18\r\n'],
  ['cas z 0 0 1 0\r\nx\r\n', 'NOT_FOUND\r\n'],
  ['set z 0 -1 1\r\nx\r\nget z\r\n', 'STORED\r\nEND\r\n'],
  ['shutdown\r\n', 'ERROR: shutdown not enabled\r\n'],
  ['cache_memlimit 5\r\n', 'MEMLIMIT_TOO_SMALL cannot set maxbytes to less than 8m\r\n'],
  ['slabs reassign 1 1\r\n', 'SAME src and dst class are identical\r\n'],
  ['lru tune 50 40 0.2 2.0\r\n', 'ERROR hot and warm pcts must not exceed 80\r\n'],
  ['stats cachedump 99 10\r\n', 'CLIENT_ERROR Illegal slab id\r\n'],
  ['verbosity\r\n', 'ERROR\r\n'],
  ['mn\r\n', 'MN\r\n'],
];

describe('memcached commands', () => {
  for (const [send, reply] of ASKED) {
    it(`answers ${JSON.stringify(send.length > 60 ? `${send.slice(0, 60)}…` : send)} as the original`, () => {
      const server = new InProcess({}, 128 * 1024 * 1024);
      expect(server.send(server.open(), send)).toBe(reply);
    });
  }

  it('swallows a value that is too large and forgets the old one', () => {
    const server = new InProcess();
    const conn = server.open();
    server.send(conn, 'set a 0 0 1\r\nx\r\n');
    expect(server.send(conn, `set a 0 0 1048576\r\n${'x'.repeat(1_048_576)}\r\nget a\r\n`)).toBe(
      'SERVER_ERROR object too large for cache\r\nEND\r\n',
    );
  });

  it('holds no memory for a value that is announced and not sent beyond its item', () => {
    const server = new InProcess();
    const before = server.core.items.slabs.mallocedBytes;
    const conn = server.open();
    server.send(conn, 'set big 0 0 1000000\r\nabc');
    expect(server.core.items.slabs.mallocedBytes - before).toBeLessThanOrEqual(2 * 1024 * 1024);
    server.hangUp(conn);
    server.core.verify();
    for (let id = 1; id <= server.core.items.slabs.largestClass; id++) {
      expect(server.core.items.slabs.usedCount(id)).toBe(0);
    }
  });

  it('stops reading from a client that never reads, and goes on when it does', () => {
    const server = new InProcess();
    const conn = server.open();
    const value = 'v'.repeat(100_000);
    server.send(conn, `set a 0 0 100000\r\n${value}\r\n`);
    server.stall(conn);
    server.feed(conn, Buffer.from('get a\r\n'.repeat(200)));
    expect(server.isPaused(conn)).toBe(true);
    expect(server.outputBytes(conn)).toBeLessThan(OUTPUT_BYTES_MAX + 200_000);
    server.drain(conn);
    expect(server.take(conn).length).toBe(200 * `VALUE a 0 100000\r\n${value}\r\nEND\r\n`.length);
    expect(server.released).toBe(server.lent);
    server.core.verify();
  });

  it('keeps a lent value whole while it is replaced, counted up or deleted', () => {
    const server = new InProcess();
    const conn = server.open();
    server.send(conn, `set a 0 0 50000\r\n${'1'.repeat(50_000)}\r\n`);
    server.stall(conn);
    server.feed(conn, Buffer.from('get a\r\n'));
    const other = server.open();
    server.send(other, 'delete a\r\n');
    server.send(other, `set b 0 0 50000\r\n${'2'.repeat(50_000)}\r\n`);
    expect(server.core.items.slabs.usedCount(server.core.items.slabs.classOf(50_100))).toBe(2);
    server.drain(conn);
    expect(server.core.items.slabs.usedCount(server.core.items.slabs.classOf(50_100))).toBe(1);
    server.core.verify();
  });

  it('closes on an over-long line, but not on a get of many keys', () => {
    const server = new InProcess();
    const conn = server.open();
    server.send(conn, 'x'.repeat(2_049));
    expect(server.isClosed(conn)).toBe(true);
    const many = server.open();
    const keys = Array.from({ length: 5_000 }, (_, i) => `key${i}`).join(' ');
    expect(server.send(many, `get ${keys}`)).toBe('');
    expect(server.send(many, '\r\n')).toBe('END\r\n');
    expect(parseStats(server.send(many, 'stats\r\n'))['cmd_get']).toBe('5000');
  });

  it('expires relative and absolute times, and flushes now or later', () => {
    const server = new InProcess();
    const conn = server.open();
    const absolute = Math.floor(server.clock.wallMs() / 1000) + 10;
    server.send(conn, `set r 0 5 1\r\nx\r\nset a 0 ${absolute} 1\r\nx\r\nset n 0 0 1\r\nx\r\n`);
    server.advance(4);
    expect(server.send(conn, 'get r a n\r\n')).toBe(
      'VALUE r 0 1\r\nx\r\nVALUE a 0 1\r\nx\r\nVALUE n 0 1\r\nx\r\nEND\r\n',
    );
    server.advance(1);
    expect(server.send(conn, 'get r a\r\n')).toBe('VALUE a 0 1\r\nx\r\nEND\r\n');
    server.advance(5);
    expect(server.send(conn, 'get a n\r\n')).toBe('VALUE n 0 1\r\nx\r\nEND\r\n');
    server.send(conn, 'flush_all 3\r\n');
    expect(server.send(conn, 'get n\r\n')).toContain('VALUE');
    server.advance(4);
    expect(server.send(conn, 'get n\r\n')).toBe('END\r\n');
    expect(server.send(conn, 'set n 0 0 1\r\ny\r\nget n\r\n')).toContain('VALUE');
    server.send(conn, 'flush_all\r\n');
    expect(server.send(conn, 'get n\r\n')).toBe('END\r\n');
    server.core.verify();
  });
});
