import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { entryUrl } from '../../engines/base/entry.ts';
import { findProgram } from '../../harness/target/find-program.ts';
import { RawConnection } from '../memcached/real-memcached.ts';
import { freePort } from '../support/ports.ts';
import { requireReal } from '../support/real.ts';

const run = promisify(execFile);
const MAIN = fileURLToPath(entryUrl(import.meta.url, '../../harness/cli/main.ts'));
const START_TIMEOUT_MS = 20_000;
const TIMEOUT = { timeout: 60_000 };

/** A port of this machine, or the path of a Unix socket. */
type Where = number | { path: string };

/** A server process of our own, from the compiled program. */
class Served {
  readonly child: ChildProcess;
  readonly exited: Promise<number | null>;
  stderr = '';

  constructor(args: string[]) {
    this.child = spawn(process.execPath, [MAIN, 'serve', 'memcached', ...args], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    this.child.stderr!.on('data', (data: Buffer) => {
      this.stderr += data.toString();
    });
    this.exited = new Promise((resolve) => this.child.once('close', (code) => resolve(code)));
  }

  async ready(where: Where): Promise<this> {
    const deadline = Date.now() + START_TIMEOUT_MS;
    while (Date.now() < deadline && this.child.exitCode === null) {
      try {
        (await connect(where)).socket.destroy();
        return this;
      } catch {
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    }
    throw new Error(`the server did not start: ${this.stderr}`);
  }

  stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | null> {
    if (this.child.exitCode === null) this.child.kill(signal);
    return this.exited;
  }
}

function connect(where: Where): Promise<RawConnection> {
  return new Promise((resolve, reject) => {
    const socket = net.connect(typeof where === 'number' ? { port: where, host: '127.0.0.1' } : where);
    socket.once('error', reject);
    socket.once('connect', () => resolve(new RawConnection(socket)));
  });
}

const END = Buffer.from('\r\n');

for (const loop of ['epoll', 'libuv'] as const) {
  describe.skipIf(loop === 'epoll' && process.platform !== 'linux')(`clients of the served engine on ${loop}`, () => {
    let server: Served;
    let port: number;
    beforeAll(async () => {
      port = await freePort();
      server = await new Served(['-p', String(port), '-c', '40', '--event-loop', loop]).ready(port);
    }, START_TIMEOUT_MS);
    afterAll(async () => {
      expect(await server.stop()).toBe(0);
      expect(server.stderr).toBe('');
    });

    it('memjs stores, reads, counts and deletes', TIMEOUT, async () => {
      const memjs = createRequire(import.meta.url)('memjs');
      const client = memjs.Client.create(`127.0.0.1:${port}`, { retries: 0, timeout: 5 });
      const big = Buffer.alloc(300_000, 'b');
      expect(await client.set('memjs', 'hello', { expires: 100 })).toBe(true);
      expect((await client.get('memjs')).value.toString()).toBe('hello');
      expect(await client.set('big', big, {})).toBe(true);
      expect((await client.get('big')).value.equals(big)).toBe(true);
      expect((await client.increment('n', 5, { initial: 10 })).value).toBe(10);
      expect((await client.increment('n', 5, {})).value).toBe(15);
      expect(await client.add('memjs', 'x', {})).toBe(false);
      expect(await client.delete('memjs')).toBe(true);
      expect((await client.get('memjs')).value).toBeNull();
      client.close();
    });

    for (const protocol of [[], ['--binary']]) {
      const skip = requireReal('memcslap') === null;
      it.skipIf(skip)(
        `memcslap ${protocol.join(' ')} runs through${skip ? ' (skipped: not on PATH)' : ''}`,
        TIMEOUT,
        async () => {
          for (const test of ['set', 'get']) {
            const { stdout } = await run('memcslap', [
              `--servers=127.0.0.1:${port}`,
              `--test=${test}`,
              '--concurrency=2',
              '--execute-number=500',
              ...protocol,
            ]);
            expect(stdout).toContain('1000 keys by');
          }
        },
      );
    }

    it.skipIf(findProgram('memccapable') === null)('memccapable finds nothing missing', TIMEOUT, async () => {
      requireReal('memccapable');
      const { stdout } = await run('memccapable', ['-h', '127.0.0.1', '-p', String(port)]);
      expect(stdout).toContain('All tests passed');
    });

    it('a chunked value comes back whole, in reads of any size', TIMEOUT, async () => {
      const client = await connect(port);
      const value = Buffer.alloc(1_000_000);
      for (let i = 0; i < value.length; i++) value[i] = 97 + (i % 23);
      const set = Buffer.concat([Buffer.from(`set chunky 5 0 ${value.length}\r\n`), value, END]);
      expect((await client.ask(set.subarray(0, 100_003), END, 50)).length).toBe(0);
      expect((await client.ask(set.subarray(100_003), END)).toString()).toBe('STORED\r\n');
      const reply = await client.ask('get chunky\r\n', Buffer.from('END\r\n'), 10_000);
      const expected = Buffer.concat([
        Buffer.from(`VALUE chunky 5 ${value.length}\r\n`),
        value,
        Buffer.from('\r\nEND\r\n'),
      ]);
      expect(reply.equals(expected)).toBe(true);
      client.socket.destroy();
    });

    it('a client too many is told so, and the others notice nothing', TIMEOUT, async () => {
      const clients: RawConnection[] = [];
      let refused = '';
      for (let i = 0; i < 45 && refused === ''; i++) {
        const client = await connect(port);
        clients.push(client);
        const reply = (await client.ask('version\r\n', END)).toString();
        if (reply !== 'VERSION 1.6.18\r\n') refused = reply;
      }
      expect(refused).toBe('ERROR Too many open connections\r\n');
      expect((await clients[0]!.ask('version\r\n', END)).toString()).toBe('VERSION 1.6.18\r\n');
      for (const client of clients) client.socket.destroy();
    });

    it('a client that never reads costs bounded memory', TIMEOUT, async () => {
      const client = await connect(port);
      await client.ask(`set wide 0 0 200000\r\n${'w'.repeat(200_000)}\r\n`, END);
      client.socket.pause();
      const before = Number(/VmRSS:\s+(\d+)/.exec(status(server))![1]);
      for (let i = 0; i < 20; i++) client.socket.write('get wide\r\n'.repeat(500));
      const other = await connect(port);
      for (let i = 0; i < 20; i++) expect((await other.ask('version\r\n', END)).toString()).toBe('VERSION 1.6.18\r\n');
      await new Promise((resolve) => setTimeout(resolve, 300));
      expect(Number(/VmRSS:\s+(\d+)/.exec(status(server))![1]) - before).toBeLessThan(64 * 1024);
      client.socket.destroy();
      other.socket.destroy();
    });

    it('a half-closed client gets its replies', TIMEOUT, async () => {
      const client = await connect(port);
      client.socket.end('version\r\nget nothing\r\n');
      expect((await client.ask('', Buffer.from('END\r\n'))).toString()).toBe('VERSION 1.6.18\r\nEND\r\n');
    });
  });
}

/** /proc/PID/status, or as much as the test wants of it where there is none. */
function status(server: Served): string {
  const path = `/proc/${server.child.pid}/status`;
  return existsSync(path) ? readFileSync(path, 'utf8') : 'VmRSS: 0 kB';
}

describe('the process', () => {
  const running: Served[] = [];
  afterEach(async () => {
    for (const server of running.splice(0)) await server.stop();
  });

  it('says why it cannot listen, and ends with 71', TIMEOUT, async () => {
    const port = await freePort();
    running.push(await new Served(['-p', String(port)]).ready(port));
    const second = new Served(['-p', String(port)]);
    expect(await second.exited).toBe(71);
    expect(second.stderr).toContain(`failed to listen on TCP port ${port}: Address already in use`);
  });

  it('refuses bad options as the original does', TIMEOUT, async () => {
    for (const [args, code, text] of [
      [['-f', '1'], 1, 'Factor must be greater than 1'],
      [['-I', '700k'], 64, '-I (item_size_max: 716800) must be evenly divisible by slab_chunk_max (bytes: 524288)'],
      [['-o', 'nonsense'], 1, 'Illegal suboption "nonsense"'],
    ] as const) {
      const server = new Served([...args]);
      expect(await server.exited).toBe(code);
      expect(server.stderr).toContain(text);
    }
  });

  it('goes into the background with -d and leaves its pid in the file of -P', TIMEOUT, async () => {
    const folder = mkdtempSync(join(tmpdir(), 'cachelab-mc-'));
    const port = await freePort();
    const pidFile = join(folder, 'pid');
    const starter = new Served(['-d', '-P', pidFile, '-p', String(port)]);
    expect(await starter.exited).toBe(0);
    const pid = Number(readFileSync(pidFile, 'utf8'));
    const client = await connect(port);
    expect((await client.ask('stats\r\n', Buffer.from('END\r\n'))).toString()).toContain(`STAT pid ${pid}\r\n`);
    process.kill(pid, 'SIGTERM');
    while (existsSync(pidFile)) await new Promise((resolve) => setTimeout(resolve, 20));
    rmSync(folder, { recursive: true });
  });

  it('listens on a Unix socket', TIMEOUT, async () => {
    const folder = mkdtempSync(join(tmpdir(), 'cachelab-mc-'));
    const path = join(folder, 'socket');
    const server = new Served(['-s', path]);
    running.push(server);
    await server.ready({ path });
    const client = await connect({ path });
    expect((await client.ask('version\r\n', END)).toString()).toBe('VERSION 1.6.18\r\n');
    client.socket.destroy();
    await server.stop();
    rmSync(folder, { recursive: true });
  });
});
