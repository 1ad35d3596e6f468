import { describe, expect, it } from 'vitest';
import { parseMemcachedOptions } from '../../engines/servers/memcached-options.ts';
import { InProcess, parseStats } from '../memcached/in-process.ts';
import { type RawConnection, RealMemcached } from '../memcached/real-memcached.ts';
import { describeReal } from '../support/real.ts';
import { seededRandom } from '../support/seed.ts';
import { CommandMaker } from './memcached-commands.ts';

const VERSION_REPLY = Buffer.from('VERSION 1.6.18\r\n');

/** What depends on the machine, on the moment, on the memory of the process or on sockets that the in-process core has not. */
const UNLIKE = new Set([
  'pid',
  'time',
  'uptime',
  'rusage_user',
  'rusage_system',
  'total_connections',
  'connection_structures',
  'response_obj_count',
  'response_obj_bytes',
  'read_buf_count',
  'read_buf_bytes',
  'read_buf_bytes_free',
  'bytes_read',
  'bytes_written',
  'lru_crawler_starts',
  'lru_maintainer_juggles',
  'domain_socket',
]);

/** What the maintainer's thread changes at times of its own. */
const MAINTAINED =
  /moves_|lrutail_reflocked|reclaim|expired|bumps|number_|age|hits_to_|evicted_active|mem_requested|used_chunks|free_chunks|^bytes$|total_items|curr_items|get_misses|_hits$|_misses$/;

/** Whole seconds that have gone by in the real server, whose commands a busy machine delays. */
const AGED = /(^|:)age(_|$)/;

/** The core in process and the real server, each with a connection. */
class Pair {
  readonly server: InProcess;
  readonly mine: number;
  readonly real: RealMemcached;
  readonly theirs: RawConnection;

  private constructor(server: InProcess, real: RealMemcached, theirs: RawConnection) {
    this.server = server;
    this.mine = server.open();
    this.real = real;
    this.theirs = theirs;
  }

  static async make(args: string[]): Promise<Pair> {
    const real = await RealMemcached.start(args);
    const { settings } = parseMemcachedOptions(['-t', '1', ...args]);
    return new Pair(new InProcess(settings, 1024 * 1024 * 1024), real, await real.connect());
  }

  async ask(sent: string): Promise<[mine: string, theirs: string]> {
    const bytes = Buffer.from(`${sent}version\r\n`, 'latin1');
    const mine = this.server.send(this.mine, bytes);
    const theirs = await this.theirs.ask(bytes, VERSION_REPLY, undefined, Math.min(mine.length, VERSION_REPLY.length));
    return [mine, theirs.toString('latin1')];
  }

  async same(sent: string): Promise<void> {
    const [mine, theirs] = await this.ask(sent);
    expect(mine).toBe(theirs);
  }

  /** Compares names, order and values; those of MAINTAINED only if `exact`. */
  async sameStats(what: string, exact = true): Promise<void> {
    const [mine, theirs] = (await this.ask(`${what}\r\n`)).map(parseStats) as [
      Record<string, string>,
      Record<string, string>,
    ];
    expect(Object.keys(mine)).toEqual(Object.keys(theirs));
    const likes = (stats: Record<string, string>) =>
      Object.entries(stats).filter(
        ([name]) => !UNLIKE.has(name) && !AGED.test(name) && (exact || !MAINTAINED.test(name)),
      );
    expect(likes(mine)).toEqual(likes(theirs));
  }
}

/**
 * What shows whether the maintainer's thread has been there yet: it takes away what has expired, and holds an item that it moves, so that
 * an incr makes a new one instead of padding the old value.
 */
const HURRIED = /^((incr|decr) |(touch \S+|gats?) (-|1500000000|4000000000))/;

const VARIANTS: [name: string, args: string[]][] = [
  ['no options', []],
  [
    'CAS, maintainer, crawler and page mover switched off',
    ['-C', '-o', 'no_lru_maintainer,no_lru_crawler,no_slab_reassign'],
  ],
  ['the defaults of old', ['-o', 'no_modern']],
  ['a temporary LRU, an idle timeout and counted sizes', ['-o', 'temporary_ttl=30,idle_timeout=100,track_sizes']],
  [
    'other sizes and factors',
    ['-m', '100', '-f', '1.5', '-n', '72', '-I', '2m', '-o', 'slab_chunk_max=256,hashpower=14'],
  ],
  [
    'many switches',
    [
      '-M',
      '-F',
      '-X',
      '-W',
      '-A',
      '-D',
      '/',
      '-R',
      '50',
      '-b',
      '99',
      '-c',
      '77',
      '-o',
      'slab_automove=2,tail_repair_time=90',
    ],
  ],
];

describeReal(['memcached'], 'statistics with', () => {
  for (const [name, args] of VARIANTS) {
    it(`${name} are the real memcached’s, before, after and reset`, { timeout: 20_000 }, async () => {
      const pair = await Pair.make(args);
      const isExact = /no_lru_maintainer|no_modern/.test(args.join());
      try {
        for (const what of ['stats', 'stats settings', 'stats items', 'stats slabs']) await pair.sameStats(what);
        const maker = new CommandMaker(seededRandom(`statistics with ${name}`), 50);
        for (let i = 0; i < 30; i++) {
          const commands = Array.from({ length: 20 }, () => maker.ascii());
          // Values of a wrong length and flushing are others' business.
          const some = commands.filter((command) => /^(gets?|gats?|incr|decr|delete|touch) /.test(command));
          await pair.same(some.filter((command) => isExact || !HURRIED.test(command)).join(''));
          const value = 'v'.repeat(i * 17);
          await pair.same(`set key:${i} ${i % 3} 0 ${value.length}\r\n${value}\r\nadd key:${i * 2} 0 0 1\r\n7\r\n`);
        }
        for (const what of ['stats', 'stats items', 'stats slabs', 'stats sizes']) await pair.sameStats(what, isExact);
        await pair.same('stats reset\r\n');
        for (const what of ['stats', 'stats items', 'stats slabs']) await pair.sameStats(what, isExact);
      } finally {
        await pair.real.stop();
      }
    });
  }

  it('sub-commands of every kind are answered as by the real memcached', { timeout: 20_000 }, async () => {
    const pair = await Pair.make(['-o', 'no_lru_maintainer,no_lru_crawler']);
    const value = 'x'.repeat(100);
    try {
      const asked = [
        'stats bogus\r\nstats settingsx\r\nstats reset x\r\nstats noreply\r\nstats extstore\r\nstats malloc\r\n',
        'stats detail\r\nstats detail bogus\r\nstats detail dump\r\nstats detail on\r\nstats detail on x\r\n',
        'set a:b 0 0 1\r\nx\r\nget a:b\r\nget a:c x b:1\r\nset a:b:c 0 0 1\r\nx\r\ndelete a:b\r\ndelete x:y\r\n',
        'incr a:n 1\r\ntouch a:b 1\r\ngat 0 a:b\r\nmg a:b v\r\nms a:m 1\r\nx\r\nmd a:m\r\nma a:m N0\r\nset :e 0 0 0\r\n\r\n',
        'stats detail dump\r\nstats detail off\r\nget a:b\r\nstats detail dump\r\n',
        'stats detail on\r\n',
        ...Array.from(
          { length: 300 },
          (_, i) => `get prefix${(i * 7919) % 113}:${i}\r\nset p${i % 9}:x 0 0 1\r\n1\r\n`,
        ),
        'stats detail dump\r\nstats reset\r\nstats detail dump\r\nget a:b\r\nstats detail dump\r\nstats detail off\r\n',
        'stats sizes\r\nstats sizes_disable\r\nstats sizes_enable\r\nstats sizes\r\n',
        `set a 0 0 1\r\nx\r\nset a2 0 0 100\r\n${value}\r\nstats sizes\r\nstats sizes_enable\r\n`,
        `set a 0 0 100\r\n${value}\r\nappend a2 0 0 1\r\nx\r\nincr n 1\r\nset n 0 0 1\r\n9\r\nincr n 1\r\nstats sizes\r\n`,
        'delete a2\r\nstats sizes\r\nflush_all\r\nget n\r\nstats sizes\r\nstats sizes_disable\r\nstats sizes\r\n',
        'stats cachedump\r\nstats cachedump 1\r\nstats cachedump 1 x\r\nstats cachedump x 1\r\nstats cachedump 0 0\r\n',
        'stats cachedump 64 0\r\nstats cachedump 4294967296 0\r\nstats cachedump -1 0\r\n',
        'set c1 0 0 1\r\nx\r\nset c2 5 0 2\r\nxx\r\nset c3 0 0 0\r\n\r\nget c1\r\nstats cachedump 1 0\r\nstats cachedump 1 2\r\n',
        'stats cachedump 1 1 1\r\nstats items x y\r\nstats slabs x\r\n',
      ];
      for (const sent of asked) await pair.same(sent);
    } finally {
      await pair.real.stop();
    }
  });
});

/** A binary stat request, and names and values of its reply's packets. */
function statRequest(what: string): Buffer {
  const request = Buffer.alloc(24 + what.length);
  request[0] = 0x80;
  request[1] = 0x10;
  request.writeUInt16BE(what.length, 2);
  request.writeUInt32BE(what.length, 8);
  request.write(what, 24, 'latin1');
  return request;
}

function packets(reply: Buffer): [status: number, name: string, value: string][] {
  const all: [number, string, string][] = [];
  for (let at = 0; at < reply.length; at += 24 + reply.readUInt32BE(at + 8)) {
    const value = at + 24 + reply.readUInt16BE(at + 2);
    const text = (from: number, to: number): string => reply.toString('latin1', from, to);
    all.push([reply.readUInt16BE(at + 6), text(at + 24, value), text(value, at + 24 + reply.readUInt32BE(at + 8))]);
  }
  return all;
}

describeReal(['memcached'], 'binary statistics', () => {
  it('are the real memcached’s in all their forms', { timeout: 20_000 }, async () => {
    const args = ['-t', '1', '-o', 'no_lru_maintainer,no_lru_crawler'];
    const real = await RealMemcached.start(args);
    try {
      const server = new InProcess(parseMemcachedOptions(args).settings, 256 * 1024 * 1024);
      const mine = server.open();
      const theirs = await real.connect();
      const version = Buffer.from('800b00000000000000000000000000000000000000000000', 'hex');
      const mark = Buffer.from('312e362e3138', 'hex');
      const [myText, theirText] = [server.open(), await real.connect()];
      const setup = 'stats detail on\r\nset p:a 0 0 1\r\nx\r\nget p:a q:b\r\n';
      server.send(myText, setup);
      await theirText.ask(setup, Buffer.from('END\r\n'));
      const asked = [
        '',
        'settings',
        'settingsx',
        'items',
        'slabs',
        'sizes',
        'sizes_enable',
        'sizes',
        'sizes_disable',
        'bogus',
      ];
      for (const what of [
        ...asked,
        'conns',
        'cachedump 1 1',
        'detail dump',
        'detail off',
        'detail on',
        'detail x',
        'reset',
        'detail dump',
        '',
      ]) {
        const bytes = Buffer.concat([statRequest(what), version]);
        server.feed(mine, bytes);
        const [a, b] = [server.take(mine), await theirs.ask(bytes, mark)].map((reply) =>
          packets(reply).filter(([, name]) => !UNLIKE.has(name)),
        );
        expect(a, what).toEqual(b);
      }
    } finally {
      await real.stop();
    }
  });
});

describe('stats sizes', () => {
  it('count items by size while they are switched on, and not those from before', () => {
    const server = new InProcess();
    const conn = server.open();
    server.send(conn, 'set before 0 0 1\r\nx\r\nstats sizes_enable\r\nset a 0 0 1\r\nx\r\ndelete before\r\n');
    expect(server.send(conn, 'stats sizes\r\n')).toBe('STAT 64 1\r\nEND\r\n');
  });
});
