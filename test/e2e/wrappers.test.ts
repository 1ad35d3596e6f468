import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { freePort } from '../support/ports.ts';
import { waitFor } from '../support/processes.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const BINS = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')).bin as Record<string, string>;
const TIMEOUT = { timeout: 30_000 };

/** A program of this package, as a script starts it: by its path or a link to it, anywhere. */
class Program {
  readonly child: ChildProcess;
  readonly ended: Promise<{ code: number | null; signal: string | null }>;
  out = '';
  err = '';

  constructor(path: string, args: string[], cwd: string, input = '', env: Record<string, string> = {}) {
    this.child = spawn(path, args, { cwd, env: { ...process.env, ...env } });
    this.child.stdout!.on('data', (data: Buffer) => {
      this.out += data.toString();
    });
    this.child.stderr!.on('data', (data: Buffer) => {
      this.err += data.toString();
    });
    this.child.stdin!.on('error', () => {});
    this.child.stdin!.end(input);
    this.ended = new Promise((resolve) => this.child.once('close', (code, signal) => resolve({ code, signal })));
  }
}

function ask(address: net.NetConnectOpts, bytes: string, mark: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = net.connect(address);
    let text = '';
    socket.once('error', reject);
    socket.on('data', (data) => {
      text += data.toString('latin1');
      if (!text.includes(mark)) return;
      socket.destroy();
      resolve(text);
    });
    socket.write(bytes);
  });
}

const running: Program[] = [];
let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'cachelab-wrappers-'));
});

afterEach(async () => {
  for (const program of running.splice(0)) {
    if (program.child.exitCode === null) program.child.kill('SIGKILL');
    await program.ended;
  }
  rmSync(folder, { recursive: true, force: true });
});

function start(bin: string, args: string[], input = '', env: Record<string, string> = {}): Program {
  const program = new Program(join(ROOT, BINS[bin]!), args, folder, input, env);
  running.push(program);
  return program;
}

async function listening(address: net.NetConnectOpts): Promise<void> {
  const deadline = Date.now() + 15_000;
  for (;;) {
    const isOpen = await new Promise((resolve) => {
      const socket = net.connect(address);
      socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
      socket.once('connect', () => socket.destroy());
    });
    if (isOpen) return;
    if (Date.now() > deadline) throw new Error('nobody listens');
    await new Promise((resolve) => setTimeout(resolve, 30));
  }
}

describe('cachelab-memcached', () => {
  it('serves from any folder, in the process that was started, until a signal ends it with 0', TIMEOUT, async () => {
    for (const signal of ['SIGTERM', 'SIGINT', 'SIGUSR1'] as const) {
      const program = start('cachelab-memcached', ['-s', 'socket', '-m', '32', '-t', '1']);
      const address = { path: join(folder, 'socket') };
      await waitFor('the socket', () => existsSync(address.path));
      await listening(address);
      expect(await ask(address, 'stats\r\n', 'END')).toContain(`STAT pid ${program.child.pid}\r\n`);
      program.child.kill(signal);
      expect(await program.ended).toEqual({ code: 0, signal: null });
      expect(program.err).toBe(signal === 'SIGUSR1' ? 'Gracefully stopping\n' : '');
      expect(program.out).toBe('');
    }
  });

  it('is found through a link under the name that the script expects', TIMEOUT, async () => {
    const link = join(folder, 'memcached');
    symlinkSync(join(ROOT, BINS['cachelab-memcached']!), link);
    const program = new Program(link, ['-V'], folder);
    expect(await program.ended).toEqual({ code: 0, signal: null });
    expect(program.out).toBe('memcached 1.6.18\n');
  });

  it('prints -h, -i and -V on standard output, and what is wrong on standard error', TIMEOUT, async () => {
    const [help, license, wrong] = [
      start('cachelab-memcached', ['-h']),
      start('cachelab-memcached', ['-i']),
      start('cachelab-memcached', ['-p', '99999']),
    ];
    expect((await help.ended).code).toBe(0);
    expect(help.out).toContain('memcached 1.6.18\n-p, --port=<num>');
    expect((await license.ended).code).toBe(0);
    expect(license.out).toContain('MIT license');
    expect((await wrong.ended).code).toBe(64);
    expect([wrong.out, wrong.err]).toEqual(['', 'ERROR: Invalid port number 99999.\n']);
  });

  it(
    '-p -1 takes a port that is free and tells it through MEMCACHED_PORT_FILENAME; -P tells the process',
    TIMEOUT,
    async () => {
      const portFile = join(folder, 'ports');
      const program = start('cachelab-memcached', ['-p', '-1', '-U', '-1', '-P', 'pid', '-t', '1'], '', {
        MEMCACHED_PORT_FILENAME: portFile,
      });
      await waitFor('the port file', () => existsSync(portFile));
      const match = /^TCP INET: (\d+)\nUDP INET: (\d+)\n$/.exec(readFileSync(portFile, 'utf8'));
      expect(match).not.toBeNull();
      expect(await ask({ host: '127.0.0.1', port: Number(match![1]) }, 'version\r\n', '\n')).toBe('VERSION 1.6.18\r\n');
      expect(existsSync(`${portFile}.lck`)).toBe(false);
      await waitFor('the pid file', () => existsSync(join(folder, 'pid')) && statSync(join(folder, 'pid')).size > 0);
      expect(Number(readFileSync(join(folder, 'pid'), 'utf8'))).toBe(program.child.pid);
    },
  );

  it('says that a port file cannot be written and serves, and refuses a user that is not there', TIMEOUT, async () => {
    const port = await freePort();
    const program = start('cachelab-memcached', ['-p', String(port)], '', {
      MEMCACHED_PORT_FILENAME: '/nonexistent/ports',
    });
    await listening({ host: '127.0.0.1', port });
    await waitFor('the complaint', () => program.err.endsWith('\n'));
    expect(program.child.exitCode).toBe(null);
    expect(program.err).toBe('Failed to open "/nonexistent/ports.lck": No such file or directory\n');
    if (process.getuid?.() !== 0) return;
    const nobody = start('cachelab-memcached', ['-p', '-1', '-u', 'no-such-user']);
    expect((await nobody.ended).code).toBe(67);
    expect(nobody.err).toBe("can't find the user no-such-user to switch to\n");
  });

  it.skipIf(process.getuid?.() !== 0)('started by root with -u it is that user', TIMEOUT, async () => {
    const port = await freePort();
    const program = start('cachelab-memcached', ['-p', String(port), '-u', 'nobody', '-t', '1']);
    await listening({ host: '127.0.0.1', port });
    const uids = () =>
      /^Uid:\s+(\d+)\s+(\d+)/m.exec(readFileSync(`/proc/${program.child.pid}/status`, 'utf8'))!.slice(1);
    const nobody = readFileSync('/etc/passwd', 'utf8')
      .split('\n')
      .find((line) => line.startsWith('nobody:'))!;
    const id = nobody.split(':')[2];
    // It listens while it is still root.
    await waitFor('it is nobody', () => uids().every((one) => one === id));
  });
});

describe('cachelab-redis-server', () => {
  it('takes a file and options, and stands until a signal ends it with 0', TIMEOUT, async () => {
    const port = await freePort();
    writeFileSync(join(folder, 'my.conf'), 'save ""\nmaxmemory 50mb\n');
    const program = start('cachelab-redis-server', ['my.conf', '--port', String(port)]);
    await listening({ host: '127.0.0.1', port });
    const reply = await ask({ host: '127.0.0.1', port }, 'CONFIG GET maxmemory\r\n', '52428800');
    expect(reply).toContain('maxmemory');
    expect(await ask({ host: '127.0.0.1', port }, 'INFO server\r\n', 'run_id')).toContain(
      `process_id:${program.child.pid}\r\n`,
    );
    program.child.kill('SIGTERM');
    expect(await program.ended).toEqual({ code: 0, signal: null });
    expect(program.out + program.err).toContain('bye bye');
  });

  it('reads its configuration from standard input, and is found through a link', TIMEOUT, async () => {
    const port = await freePort();
    const link = join(folder, 'redis-server');
    symlinkSync(join(ROOT, BINS['cachelab-redis-server']!), link);
    const program = new Program(link, ['-'], folder, `port ${port}\nsave ""\n`);
    running.push(program);
    await listening({ host: '127.0.0.1', port });
    expect(await ask({ host: '127.0.0.1', port }, 'PING\r\n', '\n')).toBe('+PONG\r\n');
  });

  it('prints its version, and ends with 1 when something is wrong', TIMEOUT, async () => {
    const version = start('cachelab-redis-server', ['--version']);
    expect((await version.ended).code).toBe(0);
    expect(version.out).toContain('Redis server v=7.0.15');
    const wrong = start('cachelab-redis-server', ['--no-such-option', '1']);
    expect((await wrong.ended).code).toBe(1);
    expect(wrong.out + wrong.err).toContain('no-such-option');
  });
});
