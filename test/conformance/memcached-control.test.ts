/** Commands that concern the server rather than an item, right and wrong, each on a connection of its own, beside the real server. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { parseMemcachedOptions } from '../../engines/servers/memcached-options.ts';
import { InProcess } from '../memcached/in-process.ts';
import { RealMemcached, settle } from '../memcached/real-memcached.ts';
import { describeReal } from '../support/real.ts';

const MARK = Buffer.from('VERSION 1.6.18\r\n');

/** Forms that a command with numbers is given in. */
const forms = (command: string): string[] =>
  ['', ' ', ' 0', ' 1', ' 9', ' 1 noreply', ' noreply', ' 1 x', ' 1 2 3', ' x', ' 1x', ' -1', ' +1', ' 1.5', ' 0x10']
    .concat([' 4294967295', ' 4294967296', ' 2147483648', ' 99999999999999999999', ' noreply noreply', ' \t1'])
    .map((tail) => `${command}${tail}\r\n`);

const COMMANDS = [
  ...forms('verbosity'),
  ...forms('cache_memlimit'),
  'cache_memlimit 100\r\ncache_memlimit 1000000001\r\ncache_memlimit 64\r\n',
  ...forms('version'),
  ...forms('shutdown').filter((command) => command !== 'shutdown\r\n' && command !== 'shutdown \r\n'),
  'shutdown graceful noreply\r\n',
  'shutdown gracefulx\r\n',
  ...forms('mn'),
  ...forms('refresh_certs'),
  'quit\r\n',
  'quit now\r\nget a\r\n',
  'get a\r\nquit\r\nget b\r\n',
  'QUIT\r\n',
  'set a 0 0 1 noreply\r\nx\r\nquit\r\n',
  'versionx\r\n',
  'version\n',
  'GET / HTTP/1.1\r\n',
  'watch\r\nget a\r\n',
  'watch fetchers bogus\r\n',
  'watch noreply\r\n',
  'set a 0 0 1 noreply\r\nx\r\nwatch\r\n',
  'mn\r\nwatch\r\n',
  'get a\r\nwatch\r\n',
  'mg a\r\nwatch\r\n',
  'stats sizes\r\nwatch\r\n',
  'stats detail dump\r\nwatch\r\n',
  'watch evictions  fetchers \r\n',
  // Last, as what is stored behind them is there or not by the second.
  ...forms('flush_all'),
];

const VARIANTS = [[], ['-A'], ['-F', '-W']];

for (const args of VARIANTS) {
  describeReal(['memcached'], `with ${args.join(' ') || 'no options'}`, () => {
    const options = [...args, '-o', 'no_lru_maintainer,no_lru_crawler'];
    let real: RealMemcached;
    const server = new InProcess(parseMemcachedOptions(options).settings, 256 * 1024 * 1024);
    beforeAll(async () => {
      real = await RealMemcached.start(options);
    });
    afterAll(() => real?.stop());

    it(`${COMMANDS.length} commands are answered as by the real memcached`, { timeout: 60_000 }, async () => {
      const different: string[] = [];
      for (const command of COMMANDS) {
        const bytes = Buffer.from(`${command}version\r\n`);
        const conn = server.open();
        const mine = server.send(conn, bytes);
        const isClosed = server.isClosed(conn);
        const socket = await real.connect();
        // Where no answer comes nothing tells that the server has done with it, but another one's answer.
        if (mine === '') {
          socket.socket.write(bytes);
          await settle(real);
        }
        const theirs = (
          mine === ''
            ? await socket.ask('', MARK, isClosed ? undefined : 0)
            : await socket.ask(bytes, Buffer.from(mine).subarray(-MARK.length), undefined, mine.length)
        ).toString();
        if (isClosed && !socket.closed) await socket.ask('', MARK);
        if (mine !== theirs || isClosed !== socket.closed) {
          different.push(
            `${JSON.stringify(command)}: mine ${JSON.stringify(mine)} ${isClosed}, theirs ${JSON.stringify(theirs)} ${socket.closed}`,
          );
        }
        socket.socket.destroy();
        server.hangUp(conn);
        // A watcher's place is given back by a thread of the original's in its time.
        if (command.includes('watch')) await new Promise((resolve) => setTimeout(resolve, 20));
      }
      expect(different).toEqual([]);
    });
  });
}
