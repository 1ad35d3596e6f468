import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { entryUrl } from '../../engines/base/entry.ts';
import { findProgram } from '../../harness/target/find-program.ts';
import { freePort } from '../support/ports.ts';
import { requireReal } from '../support/real.ts';

const MAIN = fileURLToPath(entryUrl(import.meta.url, '../../harness/cli/cachelab-memcached.ts'));
const TIMEOUT = { timeout: 60_000 };
const require = createRequire(import.meta.url);

class Server {
  readonly child: ChildProcess;
  readonly port: number;

  private constructor(child: ChildProcess, port: number) {
    this.child = child;
    this.port = port;
  }

  static async start(program: string, args: string[]): Promise<Server> {
    const port = await freePort();
    const child = spawn(program, [...args, '-p', String(port), '-l', '127.0.0.1'], { stdio: 'ignore' });
    const deadline = Date.now() + 20_000;
    for (;;) {
      const isOpen = await new Promise((resolve) => {
        const socket = net.connect(port, '127.0.0.1');
        socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
        socket.once('connect', () => socket.destroy());
      });
      if (isOpen) return new Server(child, port);
      if (Date.now() > deadline) throw new Error('the server did not start');
      await new Promise((resolve) => setTimeout(resolve, 30));
    }
  }

  async stop(): Promise<number | null> {
    const ended = new Promise<number | null>((resolve) => this.child.once('exit', resolve));
    this.child.kill('SIGTERM');
    return ended;
  }
}

const ours = (...args: string[]): Promise<Server> => Server.start(process.execPath, [MAIN, ...args]);
const asRoot = process.getuid?.() === 0 ? ['-u', 'root'] : [];
const theirs = (): Promise<Server> => Server.start(requireReal('memcached')!, [...asRoot, '-t', '1']);

interface Outcome {
  code: number;
  out: string;
  err: string;
}

/** Runs a tool of libmemcached; what it prints does not name the port. */
function tool(server: Server, name: string, args: string[], cwd: string): Promise<Outcome> {
  return new Promise((resolve) => {
    const all = [`--servers=127.0.0.1:${server.port}`, ...args];
    execFile(name, all, { cwd, timeout: 40_000 }, (error, stdout, stderr) => {
      const plain = (text: string): string => text.replaceAll(String(server.port), 'PORT');
      resolve({ code: error === null ? 0 : Number(error.code), out: plain(stdout), err: plain(stderr) });
    });
  });
}

const has = (name: string): boolean => findProgram(name) !== null;
const tools = [
  'memccp',
  'memccat',
  'memcstat',
  'memcdump',
  'memcrm',
  'memctouch',
  'memcexist',
  'memcflush',
  'memcping',
];

/** Files that a session stores. */
const FILES = 4;
const DUMP_MS = 5_000;

/** A session with the tools, and what of the output is to be the same. */
async function session(server: Server, folder: string, protocol: string[]): Promise<unknown[]> {
  const seen: unknown[] = [];
  const run = async (name: string, ...args: string[]): Promise<Outcome> => {
    const outcome = await tool(server, name, [...protocol, ...args], folder);
    seen.push([name, args, outcome]);
    return outcome;
  };
  await run('memcping');
  await run('memccp', 'small', 'large', 'binary');
  await run('memccp', '--add', 'small');
  await run('memccp', '--replace', 'small');
  await run('memccp', '--flag=77', '--expire=100', 'flagged');
  await run('memccat', 'small');
  await run('memccat', '--flags', 'flagged');
  await run('memccat', 'nothing');
  await run('memcexist', 'small');
  await run('memcexist', 'nothing');
  await run('memctouch', '--expire=1000', 'small');
  await run('memctouch', '--expire=1000', 'nothing');
  const large = await tool(server, 'memccat', [...protocol, 'large', '--file=copy'], folder);
  seen.push(large, readFileSync(join(folder, 'copy')).equals(readFileSync(join(folder, 'large'))));
  // The dump shows what the maintainer has moved to COLD, and it comes by when it finds time.
  let dump = await tool(server, 'memcdump', protocol, folder);
  for (const until = Date.now() + DUMP_MS; dump.out.trim().split('\n').length < FILES && Date.now() < until; ) {
    await new Promise((resolve) => setTimeout(resolve, 50));
    dump = await tool(server, 'memcdump', protocol, folder);
  }
  seen.push([dump.code, dump.out.trim().split('\n').sort()]);
  await run('memcrm', 'small');
  await run('memcrm', 'small');
  await run('memccat', 'small');
  await run('memcflush');
  await run('memccat', 'large');
  const stats = await tool(server, 'memcstat', protocol, folder);
  const names = stats.out.split('\n').map((line) => line.trim().split(':')[0]);
  seen.push([stats.code, names]);
  return seen;
}

describe.each(['1', '4'])('Tools and clients with -t %s', (threads) => {
  let server: Server;
  let folder: string;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'cachelab-tools-'));
    writeFileSync(join(folder, 'small'), 'a small file\n');
    writeFileSync(join(folder, 'flagged'), 'with flags\n');
    writeFileSync(join(folder, 'large'), 'large '.repeat(150_000));
    writeFileSync(
      join(folder, 'binary'),
      Uint8Array.from({ length: 5_000 }, (_, i) => i & 255),
    );
    server = await ours('-t', threads, '-m', '100');
  }, 30_000);

  afterAll(async () => {
    expect(await server.stop()).toBe(0);
    rmSync(folder, { recursive: true, force: true });
  });

  const isComplete = requireReal('memcached') !== null && tools.every(has);
  it.skipIf(!isComplete).each([[[]], [['--binary']]])(
    'libmemcached copies, shows, touches, dumps and removes as with the original %j',
    TIMEOUT,
    async (protocol) => {
      const real = await theirs();
      try {
        expect(await session(server, folder, protocol)).toEqual(await session(real, folder, protocol));
      } finally {
        await real.stop();
      }
    },
  );

  it.skipIf(!has('memcslap')).each([[[]], [['--binary']], [['--non-blocking']]])(
    'memcslap runs through %j',
    TIMEOUT,
    async (flags) => {
      for (const test of ['--test=set', '--test=get', '--test=mget']) {
        const outcome = await tool(
          server,
          'memcslap',
          [...flags, test, '--concurrency=4', '--execute-number=300'],
          folder,
        );
        expect(outcome.code, outcome.err).toBe(0);
        expect(outcome.out).toContain('1200 keys by');
      }
    },
  );

  it.skipIf(!has('memccapable')).each([[['-a']], [['-b']]])(
    'memccapable finds nothing missing with %j',
    TIMEOUT,
    async (flags) => {
      const outcome = await new Promise<string>((resolve, reject) => {
        execFile('memccapable', ['-h', '127.0.0.1', '-p', String(server.port), ...flags], (error, stdout) =>
          error === null ? resolve(stdout) : reject(new Error(stdout)),
        );
      });
      expect(outcome).toContain('All tests passed');
      expect(outcome).not.toContain('[FAIL]');
    },
  );

  it('memjs works over many connections at a time', TIMEOUT, async () => {
    const memjs = require('memjs');
    const clients = Array.from({ length: 8 }, () =>
      memjs.Client.create(`127.0.0.1:${server.port}`, { retries: 0, timeout: 10 }),
    );
    // Of several clients that begin a counter at a time only one is told that it was stored, in the original too.
    await clients[0].increment('memjs-all', 0, { initial: 0 });
    await Promise.all(
      clients.map(async (client, c) => {
        for (let i = 0; i < 200; i++) {
          const value = Buffer.from(`value ${c} ${i} `.repeat(i % 40));
          expect(await client.set(`memjs-${c}-${i}`, value, { expires: 60 })).toBe(true);
          expect((await client.get(`memjs-${c}-${i}`)).value.equals(value)).toBe(true);
          await client.increment('memjs-all', 1, {});
        }
      }),
    );
    expect((await clients[0].increment('memjs-all', 0, {})).value).toBe(1_600);
    expect(await clients[1].delete('memjs-all')).toBe(true);
    expect((await clients[2].get('memjs-all')).value).toBeNull();
    expect(await clients[3].touch('memjs-1-1', 100)).toBe(true);
    const stats = await new Promise<Record<string, string>>((resolve, reject) => {
      clients[0].stats((error: Error | null, _server: string, rows: Record<string, string>) =>
        error ? reject(error) : resolve(rows),
      );
    });
    expect(stats['threads']).toBe(threads);
    for (const client of clients) client.close();
  });

  it('the memcached package stores, fetches, counts, compares and joins', TIMEOUT, async () => {
    const Memcached = require('memcached');
    const client = new Memcached(`127.0.0.1:${server.port}`, { poolSize: 100, timeout: 10_000 });
    const call = (name: string, ...args: unknown[]): Promise<unknown> =>
      new Promise((resolve, reject) => {
        client[name](...args, (error: unknown, result: unknown) => (error ? reject(error) : resolve(result)));
      });
    const keys = Array.from({ length: 100 }, (_, i) => `package-${i}`);
    await Promise.all(keys.map((key, i) => call('set', key, { number: i, text: 'x'.repeat(i * 100) }, 60)));
    const many = (await call('getMulti', keys)) as Record<string, { number: number }>;
    expect(keys.map((key) => many[key]!.number)).toEqual(keys.map((_, i) => i));
    expect(await call('get', 'package-7')).toEqual({ number: 7, text: 'x'.repeat(700) });
    await call('set', 'package-n', 5, 0);
    await Promise.all(Array.from({ length: 100 }, () => call('incr', 'package-n', 2)));
    expect(await call('decr', 'package-n', 5)).toBe(200);
    const { cas, 'package-n': value } = (await call('gets', 'package-n')) as { cas: string; 'package-n': number };
    expect(value).toBe(200);
    expect(await call('cas', 'package-n', 'new', cas, 0)).toBe(true);
    expect(await call('cas', 'package-n', 'newer', cas, 0)).toBe(false);
    await expect(call('add', 'package-n', 'x', 0)).rejects.toThrow();
    expect(await call('append', 'package-n', ' end')).toBe(true);
    expect(await call('prepend', 'package-n', 'begin ')).toBe(true);
    expect(await call('get', 'package-n')).toBe('begin new end');
    expect(await call('touch', 'package-n', 100)).toBe(true);
    expect(await call('del', 'package-n')).toBe(true);
    expect(await call('get', 'package-n')).toBeUndefined();
    const [version] = (await call('version')) as { version: string }[];
    expect(version!.version).toBe('1.6.18');
    const [settings] = (await call('settings')) as Record<string, unknown>[];
    expect(settings!['num_threads']).toBe(Number(threads));
    const [slabs] = (await call('slabs')) as Record<string, unknown>[];
    expect(Object.keys(slabs!).length).toBeGreaterThan(2);
    const [items] = (await call('items')) as Record<string, unknown>[];
    expect(Object.keys(items!).length).toBeGreaterThan(0);
    client.end();
  });
});
