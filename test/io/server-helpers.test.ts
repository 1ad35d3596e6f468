import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import type net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { systemAvailable } from '../../engines/io/system.ts';
import { createLogFile } from '../../engines/servers/log-file.ts';
import { removePidFile, writePidFile } from '../../engines/servers/pid-file.ts';
import { sleep, until } from '../support/wait.ts';
import { connect, receive } from './support/peers.ts';

const script = (name: string): string => fileURLToPath(new URL(`./support/${name}`, import.meta.url));

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'cachelab-io-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true });
});

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    // A zombie that nobody has waited for is as good as gone.
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}

describe('a daemon', () => {
  it('runs on after the process that started it has left, and removes its pid file in the end', async () => {
    const pidFile = join(folder, 'server.pid');
    const started = spawnSync(process.execPath, [script('daemon-server.mjs'), pidFile, 'good'], { encoding: 'utf8' });
    expect(started.stderr).toBe('');
    expect(started.status).toBe(0);
    const pid = Number(readFileSync(pidFile, 'utf8'));
    expect(started.stdout).toBe(`started ${pid}\n`);
    expect(isAlive(pid)).toBe(true);
    process.kill(pid, 'SIGTERM');
    await until('it has gone', () => !isAlive(pid));
    expect(existsSync(pidFile)).toBe(false);
  });

  it('tells the process that started it why it could not start', () => {
    const args = [script('daemon-server.mjs'), join(folder, 'server.pid')];
    const told = spawnSync(process.execPath, [...args, 'bad'], { encoding: 'utf8' });
    expect(told.stderr).toBe('Cannot listen: the port is taken\n');
    expect(told.status).toBe(1);
    const died = spawnSync(process.execPath, [...args, 'dead'], { encoding: 'utf8' });
    expect(died.stderr).toContain('exit code 3');
    expect(died.status).toBe(1);
  });
});

describe('a pid file', () => {
  it('names this process and is removed only while it does', () => {
    const path = join(folder, 'x.pid');
    expect(writePidFile(path)).toBeNull();
    expect(readFileSync(path, 'utf8')).toBe(`${process.pid}\n`);
    removePidFile(path);
    expect(existsSync(path)).toBe(false);
    writeFileSync(path, '1\n');
    removePidFile(path);
    expect(existsSync(path)).toBe(true);
    expect(writePidFile(join(folder, 'missing', 'x.pid'))).toContain('ENOENT');
  });
});

describe('a log file', () => {
  it('is started anew after it was moved away, and never stops the server', () => {
    const path = join(folder, 'x.log');
    const log = createLogFile(path);
    log.write('one\n');
    renameSync(path, `${path}.1`);
    log.write('two\n');
    expect(readFileSync(`${path}.1`, 'utf8')).toBe('one\n');
    expect(readFileSync(path, 'utf8')).toBe('two\n');
    createLogFile(join(folder, 'missing', 'x.log')).write('lost\n');
  });
});

describe.runIf(systemAvailable())('a server that has run out of descriptors', () => {
  it('rests instead of spinning, and accepts again when one is free', async () => {
    const command = `ulimit -n 60; exec "${process.execPath}" "${script('echo-server.mjs')}"`;
    const child = spawn('/bin/sh', ['-c', command], { stdio: ['ignore', 'pipe', 'inherit'] });
    const exit = new Promise((resolve) => child.once('exit', resolve));
    let text = '';
    child.stdout.on('data', (data) => {
      text += data;
    });
    await until('it is up', () => text.includes('\n'), 10_000);
    const port = Number(text);
    const sockets: net.Socket[] = [];
    for (let i = 0; i < 80; i++) sockets.push(await connect(port));
    const cpu = (): number => {
      const fields = readFileSync(`/proc/${child.pid}/stat`, 'utf8').split(') ')[1]!.split(' ');
      return Number(fields[11]) + Number(fields[12]);
    };
    await sleep(200);
    const before = cpu();
    await sleep(700);
    // Hundredths of a second: a spinning server would have spent 70.
    expect(cpu() - before).toBeLessThan(20);
    const last = sockets.pop()!;
    for (const socket of sockets) socket.destroy();
    last.write('still there');
    expect((await receive(last, 11)).toString()).toBe('still there');
    last.destroy();
    child.kill('SIGTERM');
    await exit;
  });
});

describe.runIf(systemAvailable())('an epoll loop in a worker thread', () => {
  it('serves, is woken and stopped by the main thread, and leaves', async () => {
    const child = spawnSync(process.execPath, [script('worker-loop.mjs')], { encoding: 'utf8', timeout: 20_000 });
    expect(child.stderr).toBe('');
    expect(child.stdout).toBe('echo hello\nwoken\nstopped\nexit 0\n');
  });
});
