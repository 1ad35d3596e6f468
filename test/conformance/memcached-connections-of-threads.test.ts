/** How many clients are let in with several threads, who gets their turn, and where is listened: held against the real server. */
import { existsSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import net from 'node:net';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { leave, settle } from '../memcached/real-memcached.ts';
import { TcpMemcached } from '../memcached/support/tcp-memcached.ts';
import { freePort } from '../support/ports.ts';
import { describeReal } from '../support/real.ts';

const KINDS = ['real', 'engine'] as const;
const VERSION = Buffer.from('VERSION 1.6.18\r\n');
const END = Buffer.from('END\r\n');
const hasIpv6 = Object.values(networkInterfaces()).some((list) => list?.some(({ address }) => address === '::1'));

type Connection = Awaited<ReturnType<TcpMemcached['connect']>>;

async function statsOf(connection: Connection, names: readonly string[]): Promise<Record<string, string | undefined>> {
  const text = (await connection.ask('stats\r\n', END)).toString('latin1');
  const all = new Map(text.split('\r\n').map((line) => line.split(' ').slice(1) as [string, string]));
  return Object.fromEntries(names.map((name) => [name, all.get(name)]));
}

/** Whoever is not answered by then is left waiting. */
const WAITING_MS = 2_000;

/** Connects until a client is not served. @returns those who are, and what the last one was told meanwhile */
async function fill(
  server: TcpMemcached,
  most: number,
): Promise<{ served: Connection[]; last: Connection; told: string }> {
  const served: Connection[] = [];
  for (let i = 0; i < most; i++) {
    const connection = await server.connect();
    const answer = (await connection.ask('version\r\n', VERSION, WAITING_MS)).toString('latin1');
    if (answer !== VERSION.toString('latin1')) return { served, last: connection, told: answer };
    served.push(connection);
  }
  throw new Error(`all of ${most} clients are served`);
}

/** Both answer alike. */
async function expectAlike<T>(args: string[], ask: (server: TcpMemcached) => Promise<T>): Promise<T> {
  const answers: T[] = [];
  for (const kind of KINDS) {
    const server = await TcpMemcached.start(kind, args);
    try {
      answers.push(await ask(server));
    } finally {
      await server.stop();
    }
  }
  expect(answers[1]).toEqual(answers[0]);
  return answers[1]!;
}

const CONNECTION_STATS = [
  'max_connections',
  'curr_connections',
  'total_connections',
  'rejected_connections',
  'listen_disabled_num',
  'accepting_conns',
  'threads',
];

describeReal(['memcached'], 'the limit of connections', () => {
  for (const threads of ['1', '2', '4']) {
    it(`lets in as many clients with -t ${threads} and tells one too many`, { timeout: 30_000 }, async () => {
      const answer = await expectAlike(['-t', threads, '-c', '60'], async (server) => {
        const { served, told } = await fill(server, 100);
        const counts = [await statsOf(served[0]!, CONNECTION_STATS)];
        // One goes, one comes; the next one is too many again.
        await leave(served.pop()!);
        await new Promise((resolve) => setTimeout(resolve, 100));
        const again = await fill(server, 3);
        counts.push(await statsOf(served[0]!, CONNECTION_STATS));
        return { clients: served.length + 1, told, again: [again.served.length, again.told], counts };
      });
      expect(answer.told).toBe('ERROR Too many open connections\r\n');
    });

    it(`leaves one too many waiting with -t ${threads} and no_maxconns_fast`, { timeout: 30_000 }, async () => {
      const answer = await expectAlike(['-t', threads, '-c', '60', '-o', 'no_maxconns_fast'], async (server) => {
        const { served, last, told } = await fill(server, 100);
        const counts = [await statsOf(served[0]!, CONNECTION_STATS)];
        served.pop()!.socket.destroy();
        const later = (await last.ask('', VERSION)).toString('latin1');
        await new Promise((resolve) => setTimeout(resolve, 100));
        counts.push(await statsOf(served[0]!, CONNECTION_STATS));
        return { clients: served.length + 1, told, later, counts };
      });
      expect(answer.told).toBe('');
      expect(answer.later).toBe('VERSION 1.6.18\r\n');
    });
  }

  it('counts every listening socket, and those for datagrams once a thread', { timeout: 30_000 }, async () => {
    await expectAlike(['-l', '127.0.0.1,127.0.0.2,127.0.0.3', '-t', '2', '-c', '60'], async (server) => {
      const { served } = await fill(server, 100);
      return { clients: served.length, counts: await statsOf(served[0]!, CONNECTION_STATS) };
    });
    await expectAlike(['-U', 'PORT', '-t', '3', '-c', '60'], async (server) => {
      const { served } = await fill(server, 100);
      return { clients: served.length, counts: await statsOf(served[0]!, CONNECTION_STATS) };
    });
  });
});

describeReal(['memcached'], 'the number of requests that a connection is served in a row', () => {
  const PIPELINES = {
    'misses of get': 'get zz\r\n',
    sets: 'set z 0 0 1\r\nx\r\n',
    'sets without reply': 'set z 0 0 1 noreply\r\nx\r\n',
    'quiet meta gets': 'mg zz v q\r\n',
    errors: 'foo\r\n',
  };

  it('is counted alike, whatever the pipeline', { timeout: 60_000 }, async () => {
    for (const args of [[], ['-R', '7']]) {
      await expectAlike(args, async (server) => {
        const watcher = await server.connect();
        const yields: string[] = [];
        for (const [name, command] of Object.entries(PIPELINES)) {
          for (const count of [6, 7, 8, 19, 20, 21, 41, 100]) {
            const connection = await server.connect();
            connection.socket.setNoDelay(true);
            await connection.ask('version\r\n', VERSION);
            const before = Number((await statsOf(watcher, ['conn_yields']))['conn_yields']);
            connection.socket.write(command.repeat(count));
            // What follows is not to be read together with them.
            await settle(server);
            await connection.ask('version\r\n', VERSION);
            connection.socket.destroy();
            const after = Number((await statsOf(watcher, ['conn_yields']))['conn_yields']);
            yields.push(`${name} ${count}: ${after - before}`);
          }
        }
        return yields;
      });
    }
  });
});

describeReal(['memcached'], 'where is listened', () => {
  const folder = mkdtempSync(join(tmpdir(), 'cachelab-listen-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  /** Connections, once those that were closed before have been noticed. */
  async function settled(connection: Connection): Promise<Record<string, string | undefined>> {
    let counts = await statsOf(connection, ['curr_connections']);
    for (let same = 0; same < 10; ) {
      await new Promise((resolve) => setTimeout(resolve, 20));
      const now = await statsOf(connection, ['curr_connections']);
      same = now['curr_connections'] === counts['curr_connections'] ? same + 1 : 0;
      counts = now;
    }
    return counts;
  }

  /** Which of these answer. */
  async function answering(ports: readonly number[], hosts: readonly string[]): Promise<string[]> {
    const found: string[] = [];
    for (const [host, index] of hosts.flatMap((name) => ports.map((_, i) => [name, i] as const))) {
      const port = ports[index]!;
      const socket = net.connect({ host, port });
      const isThere = await new Promise<boolean>((resolve) => {
        socket.once('connect', () => resolve(true));
        socket.once('error', () => resolve(false));
      });
      socket.destroy();
      if (isThere) found.push(`${host} at port ${index}`);
    }
    return found;
  }

  /** Name, arguments, and an address that answers. */
  const CASES: [string, (port: number) => string[], string][] = [
    ['several addresses in one -l', () => ['-l', '127.0.0.1,127.0.0.2;127.0.0.3'], '127.0.0.1'],
    ['several -l', () => ['-l', '127.0.0.2', '-l', '127.0.0.3'], '127.0.0.3'],
    ['ports of their own', (port) => ['-l', `127.0.0.1:${port + 1},127.0.0.2,127.0.0.3:${port + 2}`], '127.0.0.2'],
    ['a name', () => ['-l', 'localhost'], '127.0.0.1'],
    ['every interface', () => ['-l', '*'], '127.0.0.1'],
    ['IPv6 with and without brackets', (port) => ['-l', `[::1]:${port + 1},::1`], '::1'],
  ];
  for (const [name, args, host] of CASES) {
    it.skipIf(name.startsWith('IPv6') && !hasIpv6)(`is the same for ${name}`, { timeout: 30_000 }, async () => {
      const answers = [];
      const own = (await freePort(2)) - 1;
      for (const kind of KINDS) {
        const server = await TcpMemcached.start(kind, ['-t', '2', ...args(own)], host);
        const { port } = server;
        const hosts = ['127.0.0.1', '127.0.0.2', '127.0.0.3', ...(hasIpv6 ? ['::1'] : [])];
        const connection = await server.connect();
        const inter = (await connection.ask('stats settings\r\n', END)).toString('latin1').match(/STAT inter .*/)?.[0];
        const counts = await settled(connection);
        connection.socket.destroy();
        answers.push({
          inter: inter?.replaceAll(String(port), 'PORT'),
          counts,
          places: await answering([port, own + 1, own + 2], hosts),
        });
        expect(await server.stop()).toBe(0);
      }
      expect(answers[1]).toEqual(answers[0]);
      expect(answers[1]!.places.length).toBeGreaterThan(0);
    });
  }

  it('is a Unix socket with the mask of -a', { timeout: 30_000 }, async () => {
    for (const mask of ['700', '770', '606']) {
      const modes: number[] = [];
      for (const kind of KINDS) {
        const path = join(folder, `${kind}${mask}`);
        const server = await TcpMemcached.startUnix(kind, path, ['-t', '2', '-a', mask]);
        modes.push(statSync(path).mode & 0o777);
        const connection = await server.connect();
        expect((await connection.ask('version\r\n', VERSION)).toString()).toBe(VERSION.toString());
        connection.socket.destroy();
        expect(await server.stop()).toBe(0);
        if (kind === 'engine') expect(existsSync(path)).toBe(false);
      }
      expect(modes[1]).toBe(modes[0]);
    }
  });
});
