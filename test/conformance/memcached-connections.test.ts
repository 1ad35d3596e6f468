/** What is told of connections (the event log, `stats conns`), how idle ones end and how the server does, beside the real server. */
import { describe, expect, it } from 'vitest';
import { InProcess } from '../memcached/in-process.ts';
import { leave, type RawConnection } from '../memcached/real-memcached.ts';
import { TcpMemcached } from '../memcached/support/tcp-memcached.ts';
import { describeReal } from '../support/real.ts';

const KINDS = ['real', 'engine'] as const;
const END = Buffer.from('END\r\n');
/** For what ends the connection. */
const NEVER = Buffer.from('never\0');
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Runs the same on both servers. @returns what each came to */
async function onBoth<T>(args: string[], run: (server: TcpMemcached) => Promise<T>): Promise<[real: T, engine: T]> {
  const results = await Promise.all(
    KINDS.map(async (kind) => {
      const server = await TcpMemcached.start(kind, args);
      try {
        // The server has closed the connection that found it listening, and counts it no more in a moment.
        await pause(100);
        return await run(server);
      } finally {
        await server.stop('SIGKILL');
      }
    }),
  );
  return results as [T, T];
}

async function watch(server: TcpMemcached, events: string): Promise<RawConnection> {
  const watcher = await server.connect();
  expect((await watcher.ask(`watch ${events}\r\n`, Buffer.from('OK\r\n'))).toString()).toBe('OK\r\n');
  return watcher;
}

/** All lines that come within a while, without times, ports and descriptors. */
async function lines(watcher: RawConnection, expected: number): Promise<string[]> {
  let text = '';
  const deadline = Date.now() + 15_000;
  const count = (): number => text.split('\n').length - 1;
  while (count() < expected && Date.now() < deadline) {
    text += (await watcher.ask('', Buffer.from('\n'), 100)).toString('latin1');
  }
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) =>
      line
        .replace(/^ts=\S+ gid=\d+ /, '')
        .replace(/cfd=\d+/, 'cfd=N')
        .replace(/rport=\d+/, 'rport=N'),
    );
}

/** What depends on the process, on its times, or on what its crawler does in between. */
const UNLIKE = /^STAT (pid|uptime|time|rusage_\w+|lru_crawler_\w+) /;

const BINARY_QUIT = Buffer.from('800700000000000000000000000000000000000000000000', 'hex');

/** What `stats conns` says of each connection, without ports, ages and descriptors (which one gets which is not settled). */
function rows(reply: Buffer, port: number): string[] {
  const byFd = new Map<string, string>();
  const text = reply.toString('latin1').replaceAll(`:${port}`, ':PORT');
  for (const [, fd, rest] of text.matchAll(/^STAT (\d+):(.*)\r$/gm)) {
    if (!rest!.startsWith('secs_since'))
      byFd.set(fd!, `${byFd.get(fd!) ?? ''}${rest!.replace(/^(addr tcp:.*):\d+$/, '$1:N')}; `);
  }
  return [...byFd.values()].sort();
}

for (const threads of ['1', '4']) {
  describeReal(['memcached'], `connections of servers with -t ${threads}`, () => {
    it('come and go in the event log with their reasons', { timeout: 30_000 }, async () => {
      const [real, engine] = await onBoth(['-t', threads, '-A', '-o', 'no_lru_crawler'], async (server) => {
        const watcher = await watch(server, 'connevents');
        const seen: string[][] = [];
        const step = async (count: number, act: () => Promise<unknown>): Promise<void> => {
          await act();
          seen.push(await lines(watcher, count));
        };
        let client!: RawConnection;
        const connect = async (): Promise<void> => {
          client = await server.connect();
          await client.ask('version\r\n', Buffer.from('\r\n'));
        };
        await step(1, connect);
        await step(1, async () => client.socket.end());
        await step(1, connect);
        await step(1, () => client.ask('quit\r\n', NEVER));
        await step(1, connect);
        await step(1, async () => client.socket.resetAndDestroy());
        await step(1, connect);
        await step(1, () => client.ask('x'.repeat(4_000), NEVER, 1_000));
        await step(1, async () => {
          client = await server.connect();
          client.socket.write(BINARY_QUIT.subarray(0, 4));
          await pause(50);
        });
        await step(1, () => client.ask(BINARY_QUIT.subarray(4), NEVER, 1_000));
        await step(1, async () => {
          client = await watch(server, 'evictions');
        });
        await step(1, async () => client.socket.destroy());
        return seen;
      });
      expect(engine).toEqual(real);
    });

    it('are shown by stats conns with their states', { timeout: 30_000 }, async () => {
      const [real, engine] = await onBoth(['-t', threads, '-U', 'PORT'], async (server) => {
        const clients: RawConnection[] = [];
        const open = async (sent: string | Buffer): Promise<void> => {
          const client = await server.connect();
          clients.push(client);
          if (sent.length > 0) client.socket.write(sent);
          await pause(60);
        };
        await open('version\r\n');
        await open('');
        await open('set a 0 0 100\r\nab');
        await open('set big 0 0 3000000\r\nab');
        await open(BINARY_QUIT.subarray(0, 4));
        await open('watch\r\n');
        await open(`set v 0 0 900000\r\n${'v'.repeat(900_000)}\r\n`);
        clients.at(-1)!.socket.pause();
        clients.at(-1)!.socket.write('get v\r\n'.repeat(60));
        await pause(1_200);
        const asking = await server.connect();
        const reply = await asking.ask('stats conns\r\n', END);
        for (const client of clients) client.socket.destroy();
        return rows(reply, server.port);
      });
      expect(engine).toEqual(real);
    });

    it('of all threads send their events to one watcher', { timeout: 30_000 }, async () => {
      const [real, engine] = await onBoth(['-t', threads, '-o', 'no_lru_maintainer,no_lru_crawler'], async (server) => {
        const watcher = await watch(server, 'fetchers mutations');
        const clients = await Promise.all(Array.from({ length: 8 }, () => server.connect()));
        const batch = (client: number): string =>
          Array.from({ length: 40 }, (_, i) => `set k${client}:${i} 0 0 1\r\nx\r\nget k${client}:${i}\r\n`).join('');
        for (let client = 0; client < clients.length; client++) {
          await clients[client]!.ask(`${batch(client)}mn\r\n`, Buffer.from('MN\r\n'));
        }
        const seen = await lines(watcher, clients.length * 120);
        let stats = '';
        // The original's logger thread adds its counts up when it comes round.
        for (let tries = 0; tries < 40 && !stats.includes(`log_watcher_sent ${seen.length}\r`); tries++) {
          await pause(50);
          stats = (await clients[0]!.ask('stats\r\n', END)).toString();
        }
        for (const client of clients) client.socket.destroy();
        return {
          seen: seen.sort(),
          counts: stats.match(/STAT (log_\w+|threads|cmd_\w+|get_\w+|curr_items|bytes) \d+/g),
        };
      });
      expect(engine).toEqual(real);
    });

    it('are counted in stats, from the start, after a while and after a reset', { timeout: 30_000 }, async () => {
      const [real, engine] = await onBoth(['-t', threads, '-U', 'PORT', '-o', 'no_lru_maintainer'], async (server) => {
        await pause(200);
        const asking = await server.connect();
        const stats = async (): Promise<string[]> =>
          (await asking.ask('stats\r\n', END))
            .toString()
            .split('\r\n')
            .filter((line) => !UNLIKE.test(line));
        const seen = [await stats()];
        const clients = await Promise.all(Array.from({ length: 10 }, () => server.connect()));
        for (const [i, client] of clients.entries()) {
          await client.ask(`set k${i} 0 0 1\r\nx\r\nget k${i} none\r\nincr none 1\r\n`, Buffer.from('NOT_FOUND\r\n'));
        }
        await Promise.all(clients.splice(0, 5).map(leave));
        await pause(200);
        seen.push(await stats());
        await asking.ask('stats reset\r\n', Buffer.from('RESET\r\n'));
        seen.push(await stats());
        for (const client of clients) client.socket.destroy();
        return seen;
      });
      expect(engine).toEqual(real);
    });

    it('end when they are idle for too long, unless they owe bytes or watch', { timeout: 30_000 }, async () => {
      const [real, engine] = await onBoth(['-t', threads, '-o', 'idle_timeout=1'], async (server) => {
        const watcher = await watch(server, 'connevents');
        const started = Date.now();
        const silent = await server.connect();
        const partial = await server.connect();
        partial.socket.write('get ');
        const owing = await server.connect();
        owing.socket.write('set a 0 0 10\r\nab');
        while (!(silent.closed && partial.closed) && Date.now() - started < 15_000) await pause(20);
        const seconds = (Date.now() - started) / 1_000;
        const busy = await server.connect();
        const stats = (await busy.ask('stats\r\n', END)).toString();
        return {
          isInTime: seconds > 1 && seconds < 10,
          closed: [silent.closed, partial.closed, owing.closed, watcher.closed],
          kicks: /STAT idle_kicks \d+/.exec(stats)?.[0],
          lines: (await lines(watcher, 6)).sort(),
        };
      });
      expect(engine).toEqual(real);
    });

    it('end with the server, by signal or command', { timeout: 60_000 }, async () => {
      const ends: [
        name: string,
        args: string[],
        end: (server: TcpMemcached, client: RawConnection) => Promise<unknown>,
      ][] = [
        ['SIGTERM', [], (server) => server.stop('SIGTERM')],
        ['SIGINT', ['-v'], (server) => server.stop('SIGINT')],
        ['SIGUSR1', ['-v'], (server) => server.stop('SIGUSR1')],
        ['shutdown', ['-A'], (_, client) => client.ask('get a\r\nshutdown\r\n', NEVER)],
        ['shutdown graceful', ['-A'], (_, client) => client.ask('shutdown graceful\r\n', NEVER)],
        [
          'shutdown bogus',
          ['-A'],
          (server, client) => client.ask('shutdown bogus\r\n', Buffer.from('\r\n')).then(() => server.stop()),
        ],
        ['shutdown', [], (server, client) => client.ask('shutdown\r\n', Buffer.from('\r\n')).then(() => server.stop())],
      ];
      // Each takes the original about a second to end.
      const pairs = (threads === '1' ? ends : ends.slice(0, 4)).map(([name, args, end]) =>
        onBoth(['-t', threads, ...args], async (server) => {
          const client = await server.connect();
          await client.ask('version\r\n', Buffer.from('\r\n'));
          await end(server, client);
          const code = await server.ended();
          await client.ask('', END, 1_000);
          // With -v the original also names the threads that it stops.
          const log = server.log.split('\n').filter((line) => /^(Gracefully|Exiting|Signal)/.test(line));
          return { name, code, closed: client.closed, log };
        }),
      );
      for (const [real, engine] of await Promise.all(pairs)) expect(engine).toEqual(real);
    });
  });
}

describe('idle connections', () => {
  it('are closed after more than idle_timeout seconds without a command', async () => {
    const server = new InProcess({ idleTimeout: 10 });
    const idle = server.open();
    const busy = server.open();
    const owing = server.open();
    server.send(owing, 'set a 0 0 5\r\nx');
    server.advance(10);
    expect(server.isClosed(idle)).toBe(false);
    server.send(busy, 'get a\r\n');
    server.advance(1);
    await Promise.resolve();
    expect([idle, busy, owing].map((conn) => server.isClosed(conn))).toEqual([true, false, false]);
    expect(server.send(busy, 'stats\r\n')).toContain('STAT idle_kicks 1\r\n');
  });
});
