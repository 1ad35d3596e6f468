/** The process with a dispatcher and workers: how it starts, ends, fails, and what it leaves behind. */
import { spawn, spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { entryUrl } from '../../engines/base/entry.ts';
import { systemAvailable } from '../../engines/io/system.ts';
import { createArena } from '../../engines/memory/arena.ts';
import { DescriptorQueue } from '../../engines/servers/descriptor-queue.ts';
import { waitFor } from '../support/processes.ts';
import { TcpMemcached } from './support/tcp-memcached.ts';

const MAIN = fileURLToPath(entryUrl(import.meta.url, '../../harness/cli/main.ts'));
const VERSION = Buffer.from('VERSION 1.6.18\r\n');
const STORED = Buffer.from('STORED\r\n');
/** How a process is run to its end. */
const TEXT = { encoding: 'utf8', timeout: 20_000 } as const;
const END = Buffer.from('END\r\n');

function threadsOf(pid: number): number {
  return readdirSync(`/proc/${pid}/task`).length;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** Connects at the first moment at which somebody listens. */
async function connected(path: string): Promise<net.Socket> {
  const deadline = Date.now() + 30_000;
  for (;;) {
    const socket = net.connect({ path });
    const isOpen = await new Promise((resolve) => {
      socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    });
    if (isOpen) return socket;
    if (Date.now() > deadline) throw new Error(`Nobody listens on ${path}`);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

const folder = mkdtempSync(join(tmpdir(), 'cachelab-threads-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('a queue of descriptors', () => {
  it('gives each entry once, in order, also around its end, and refuses what does not fit', () => {
    const arena = createArena({ byteLength: 1024 * 1024 });
    const pages = DescriptorQueue.pagesFor(20);
    const offset = arena.takePages(pages);
    const writer = new DescriptorQueue(arena, offset, 20);
    const reader = new DescriptorQueue(arena, offset, 20);
    let put = 0;
    let taken = 0;
    for (let round = 0; round < 100; round++) {
      for (let i = 0; i <= round % 37; i++) if (writer.put(put, put + 1, put - 9, put * 3)) put++;
      for (let i = 0; i <= round % 11; i++) {
        if (!reader.take()) continue;
        expect([reader.fd, reader.listener, reader.purpose, reader.argument]).toEqual([
          taken,
          taken + 1,
          taken - 9,
          taken * 3,
        ]);
        taken++;
      }
    }
    while (writer.put(put, put + 1, put - 9, put * 3)) put++;
    expect(put - taken).toBe(32);
    while (reader.take()) taken++;
    expect(taken).toBe(put);
    expect(reader.isClosed).toBe(false);
    writer.close();
    expect(reader.isClosed).toBe(true);
  });
});

describe.skipIf(!systemAvailable())('a server with threads', { timeout: 60_000 }, () => {
  it('serves what one connection has stored to those of all other threads', async () => {
    const server = await TcpMemcached.start('engine', ['-t', '4']);
    const connections = [];
    for (let i = 0; i < 12; i++) connections.push(await server.connect());
    for (const [i, connection] of connections.entries()) {
      expect(String(await connection.ask(`set k${i} 0 0 ${String(i).length}\r\n${i}\r\n`, STORED))).toBe('STORED\r\n');
    }
    for (const connection of connections) {
      const keys = connections.map((_, i) => `k${i}`).join(' ');
      const expected = connections.map((_, i) => `VALUE k${i} 0 ${String(i).length}\r\n${i}\r\n`).join('');
      expect(String(await connection.ask(`get ${keys}\r\n`, END))).toBe(`${expected}END\r\n`);
    }
    const conns = String(await connections[0]!.ask('stats conns\r\n', END));
    expect(conns.match(/:state conn_/g)!.length).toBe(13);
    const stats = String(await connections[0]!.ask('stats\r\n', END));
    expect(stats).toContain('STAT threads 4\r\n');
    expect(stats).toContain('STAT cmd_set 12\r\n');
    expect(stats).toContain('STAT get_hits 144\r\n');
    expect(stats).toContain('STAT curr_connections 12\r\n');
    // What a connection changes of the settings holds for those of other threads.
    expect(String(await connections[1]!.ask('lru tune 30 30 0.3 1.0\r\n', Buffer.from('OK\r\n')))).toBe('OK\r\n');
    expect(String(await connections[2]!.ask('stats settings\r\n', END))).toContain('STAT hot_lru_pct 30\r\n');
    expect(await server.stop()).toBe(0);
    for (const { socket } of connections) socket.destroy();
    expect(server.log).toBe('');
  });

  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    it(`ends with all its threads and code 0 on ${signal}, clients or not`, async () => {
      const server = await TcpMemcached.start('engine', ['-t', '3']);
      const pid = server.child.pid!;
      const alone = threadsOf(process.pid);
      expect(alone).toBeGreaterThan(0);
      expect(threadsOf(pid)).toBeGreaterThan(4);
      const connections = await Promise.all(Array.from({ length: 9 }, () => server.connect()));
      const value = 'v'.repeat(200_000);
      // One of them is in the middle of a value, one does not read its replies.
      connections[0]!.socket.write('set half 0 0 1000\r\nabc');
      await connections[1]!.ask(`set big 0 0 ${value.length}\r\n${value}\r\n`, STORED);
      connections[1]!.socket.pause();
      connections[1]!.socket.write('get big\r\n'.repeat(200));
      await connections[2]!.ask('version\r\n', VERSION);
      const before = Date.now();
      expect(await server.stop(signal)).toBe(0);
      expect(Date.now() - before).toBeLessThan(10_000);
      expect(server.log).toBe('');
      for (const { socket } of connections) socket.destroy();
    });
  }

  it('ends when a client of any thread says shutdown', async () => {
    for (const command of ['shutdown', 'shutdown graceful']) {
      const server = await TcpMemcached.start('engine', ['-t', '2', '-A']);
      const connections = [await server.connect(), await server.connect()];
      connections[1]!.socket.write(`${command}\r\n`);
      expect(await server.ended()).toBe(0);
      for (const { socket } of connections) socket.destroy();
    }
  });

  it('leaves nothing behind when it is killed, and the next one starts on the same socket', async () => {
    const path = join(folder, 'killed');
    const server = await TcpMemcached.startUnix('engine', path, ['-t', '4']);
    const pid = server.child.pid!;
    expect(await server.stop('SIGKILL')).toBe('SIGKILL');
    await waitFor('no process is left', () => !isAlive(pid));
    expect(existsSync(path)).toBe(true);
    const next = await TcpMemcached.startUnix('engine', path, ['-t', '4']);
    const connection = await next.connect();
    expect(String(await connection.ask('version\r\n', VERSION))).toBe('VERSION 1.6.18\r\n');
    connection.socket.destroy();
    expect(await next.stop()).toBe(0);
    expect(existsSync(path)).toBe(false);
  });

  it('does not start when its port is taken, says so and leaves no thread', async () => {
    const server = net.createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as net.AddressInfo;
    const args = [MAIN, 'serve', 'memcached', '-l', '127.0.0.1', '-p', String(port), '-t', '4'];
    const { status, stderr } = spawnSync(process.execPath, args, TEXT);
    expect(status).toBe(71);
    expect(stderr).toBe('failed to listen on one of interface(s) 127.0.0.1: Address already in use\n');
    server.close();
  });

  it.each([
    [
      '-l :11999',
      'getaddrinfo(): Name or service not known\nfailed to listen on one of interface(s) :11999: Invalid argument',
    ],
    [
      '-l 127.0.0.1,[]',
      'getaddrinfo(): Name or service not known\nfailed to listen on one of interface(s) 127.0.0.1,[]: Invalid argument',
    ],
    ['-e /nonexistent/memory', 'failed to open file for mmap: No such file or directory'],
    ['-e /', 'failed to open file for mmap: Is a directory'],
  ])('does not start with %s, and says why as the original does', async (options, words) => {
    const args = [MAIN, 'serve', 'memcached', '-p', '0', '-U', '0', ...options.split(' ')];
    const port = options.startsWith('-l') ? ['-p', '-1'] : [];
    const { status, stderr } = spawnSync(process.execPath, [...args, ...port], TEXT);
    expect(stderr).toBe(`${words}\n`);
    expect(status).not.toBe(0);
  });

  it('says of its files and sockets what the original says, and runs on where that does', async () => {
    const pidFile = join(folder, 'pid');
    writeFileSync(pidFile, `${process.pid}\n`);
    const args = [MAIN, 'serve', 'memcached', '-l', '127.0.0.1', '-p', '-1', '-P', pidFile];
    const env = { ...process.env, MEMCACHED_PORT_FILENAME: join(folder, 'missing', 'ports') };
    const child = spawn(process.execPath, args, { env, stdio: ['ignore', 'ignore', 'pipe'] });
    let errors = '';
    child.stderr!.on('data', (data: Buffer) => {
      errors += data.toString();
    });
    const ended = new Promise((resolve) => child.once('close', resolve));
    await waitFor('its process id is written', () => readFileSync(pidFile, 'utf8') === `${child.pid}\n`);
    child.kill('SIGTERM');
    expect(await ended).toBe(0);
    expect(errors).toBe(
      `Failed to open "${join(folder, 'missing', 'ports.lck')}": No such file or directory\nWARNING: The pid file contained the following (running) pid: ${process.pid}\n`,
    );
    const file = join(folder, 'file');
    writeFileSync(file, '');
    const { status, stderr } = spawnSync(process.execPath, [MAIN, 'serve', 'memcached', '-s', file], TEXT);
    expect([status, stderr]).toEqual([
      71,
      `bind(): Address already in use\nfailed to listen on UNIX socket: ${file}: Invalid argument\n`,
    ]);
  });

  it.each([
    ['0', 0],
    ['9', 0],
    ['1777', 0o777],
  ])('gives its socket the permissions of -a %s alone', async (access, mode) => {
    const path = join(folder, `access-${access}`);
    // Only root could connect to some of them.
    const child = spawn(process.execPath, [MAIN, 'serve', 'memcached', '-s', path, '-a', access], { stdio: 'ignore' });
    const ended = new Promise((resolve) => child.once('close', resolve));
    await waitFor('its socket may be used by whom it should', () => {
      return existsSync(path) && (statSync(path).mode & 0o7777) === mode;
    });
    child.kill('SIGTERM');
    await ended;
  });

  it('warns of many threads also where it only tells its version', () => {
    const args = [MAIN, 'serve', 'memcached', '-t', '65', '-V'];
    const { status, stdout, stderr } = spawnSync(process.execPath, args, TEXT);
    expect([status, stdout]).toEqual([0, 'memcached 1.6.18\n']);
    expect(stderr).toMatch(/^WARNING: Setting a high number of workerthreads is not recommended\.\n/);
  });

  // Root may raise every limit, so it takes another user, who must be able to read what is to be run.
  const nobody = ['--reuid', '65534', '--clear-groups'];
  const isReadable = spawnSync('setpriv', [...nobody, 'test', '-r', MAIN]).status === 0;
  it.skipIf(!isReadable)('does not start when it may not open so many files', () => {
    const main = `${process.execPath} ${MAIN} serve memcached -s ${join(folder, 'limited')} -t 2 -c 4096`;
    const command = `ulimit -Sn 300 && ulimit -Hn 300 && exec setpriv ${nobody.join(' ')} ${main}`;
    const { status, stderr } = spawnSync('/bin/bash', ['-c', command], TEXT);
    expect(stderr).toBe(
      'failed to set rlimit for open files. Try starting as root or requesting smaller maxconns value.\n',
    );
    expect(status).toBe(71);
  });

  it('listens only when all workers run', async () => {
    const path = join(folder, 'early');
    const child = spawn(process.execPath, [MAIN, 'serve', 'memcached', '-s', path, '-t', '8'], { stdio: 'ignore' });
    const ended = new Promise((resolve) => child.once('exit', resolve));
    const socket = await connected(path);
    const answered = new Promise((resolve) => socket.once('data', resolve));
    socket.write('version\r\n');
    expect(String(await answered)).toBe('VERSION 1.6.18\r\n');
    socket.destroy();
    child.kill('SIGTERM');
    await ended;
    expect(child.exitCode).toBe(0);
  });

  it('runs in the background with -d, with its pid file, and takes it away at the end', async () => {
    const [path, pidFile] = [join(folder, 'daemon'), join(folder, 'daemon.pid')];
    const args = [MAIN, 'serve', 'memcached', '-d', '-s', path, '-P', pidFile, '-t', '3'];
    const { status } = spawnSync(process.execPath, args, { stdio: 'ignore', timeout: 30_000 });
    expect(status).toBe(0);
    await waitFor('its pid file', () => existsSync(pidFile) && readFileSync(pidFile, 'utf8') !== '');
    const pid = Number(readFileSync(pidFile, 'utf8'));
    expect(threadsOf(pid)).toBeGreaterThan(4);
    expect(readlinkSync(`/proc/${pid}/cwd`)).toBe('/');
    const socket = net.connect({ path });
    const answered = new Promise((resolve) => socket.once('data', resolve));
    socket.write('version\r\n');
    expect(String(await answered)).toBe('VERSION 1.6.18\r\n');
    socket.destroy();
    process.kill(pid, 'SIGTERM');
    await waitFor('it has ended', () => !isAlive(pid));
    expect(existsSync(pidFile)).toBe(false);
    expect(existsSync(path)).toBe(false);
  });

  it('ends as a whole, with a message and code 70, when a worker fails', async () => {
    const preload = fileURLToPath(new URL('./support/failing-worker.mjs', import.meta.url));
    for (const when of ['start', 'later']) {
      const path = join(folder, `failing-${when}`);
      const child = spawn(process.execPath, ['--import', preload, MAIN, 'serve', 'memcached', '-s', path, '-t', '2'], {
        stdio: ['ignore', 'ignore', 'pipe'],
        env: { ...process.env, CACHELAB_TEST_FAIL: when },
      });
      let errors = '';
      child.stderr!.on('data', (data: Buffer) => {
        errors += data.toString();
      });
      const code = await new Promise<number | null>((resolve) => child.once('close', (status) => resolve(status)));
      expect(code, errors).toBe(70);
      expect(errors).toMatch(/^Worker thread 1 has failed: .*made to fail/);
      expect(errors.split('made to fail').length).toBe(2);
    }
  });
});
