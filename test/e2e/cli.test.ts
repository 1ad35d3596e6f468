import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ResultDocument } from '../../harness/result.ts';
import { findFreePort } from '../../harness/target/local-target.ts';
import { childrenOf, commandOf, cpuSeconds, waitFor } from '../support/processes.ts';
import { describeReal } from '../support/real.ts';

const MAIN = fileURLToPath(new URL('../../dist/harness/cli/main.js', import.meta.url));
/** A run of all four targets in a few seconds. */
const TINY = [
  '--set',
  'dataset.keys=20000',
  '--set',
  'warmUp=0ms',
  '--duration',
  '400ms',
  '--repetitions',
  '1',
  '--no-png',
];
const REAL = ['--only', 'redis', '--only', 'memcached'];

let folder: string;
/** Temporary folders of the harness are made here, so that left-overs can be seen. */
let temporary: string;
const started: ChildProcess[] = [];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'cachelab-e2e-'));
  temporary = join(folder, 'tmp');
  mkdirSync(temporary);
});
afterEach(() => {
  for (const child of started.splice(0)) child.kill('SIGKILL');
  rmSync(folder, { recursive: true, force: true });
});

interface Ended {
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

function start(
  args: readonly string[],
  env: Record<string, string> = {},
): { child: ChildProcess; ended: Promise<Ended> } {
  const child = spawn(process.execPath, [MAIN, ...args], {
    cwd: folder,
    env: { ...process.env, TMPDIR: temporary, NO_COLOR: '1', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  started.push(child);
  let stdout = '';
  let stderr = '';
  child.stdout?.on('data', (data) => (stdout += data));
  child.stderr?.on('data', (data) => (stderr += data));
  const ended = new Promise<Ended>((resolve) => {
    child.once('close', (code, signal) => resolve({ code, signal, stdout, stderr }));
  });
  return { child, ended };
}

const cachelab = (...args: string[]): Promise<Ended> => start(args).ended;

function onlyRun(out = join(folder, 'out')): string {
  const runs = readdirSync(out);
  expect(runs.length).toBe(1);
  return join(out, runs[0] as string);
}

function stored(out?: string): ResultDocument {
  return JSON.parse(readFileSync(join(onlyRun(out), 'result.json'), 'utf8')) as ResultDocument;
}

/** The server that a harness is measuring right now. */
async function waitForServer(harness: number, name: RegExp): Promise<number> {
  let found: number | undefined;
  await waitFor(`a server ${name}`, () => {
    found = childrenOf(harness).find((pid) => name.test(commandOf(pid).slice(0, 5).join(' ')));
    return found !== undefined;
  });
  return found as number;
}

const isGone = (pid: number): boolean => commandOf(pid).length === 0;

describe('the command line', () => {
  it('explains itself', async () => {
    const help = await cachelab('--help');
    expect(help.code).toBe(0);
    for (const word of ['run', 'report', 'list', 'show', 'init', 'schema', 'serve', 'Examples:', 'Exit codes:']) {
      expect(help.stdout).toContain(word);
    }
    const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
    expect((await cachelab('--version')).stdout).toBe(`${version}\n`);
  });

  it.each([
    { args: [], says: 'Say what to do' },
    { args: ['frob'], says: 'Unknown command "frob"' },
    { args: ['run'], says: 'name a scenario' },
    { args: ['report'], says: 'name a result.json' },
    { args: ['run', 'quickstart', '--set'], says: 'Not enough arguments following: set' },
    { args: ['run', 'quickstart', '--out'], says: 'Not enough arguments following: out' },
    { args: ['run', 'quickstart', '--out', ''], says: 'name a folder' },
    { args: ['run', 'quickstart', '--duration', '0s'], says: 'must be at least 50ms' },
    { args: ['bench', 'engines', '--rounds', '0'], says: '--rounds must be a whole number' },
    { args: ['bench', 'persistence', '--scale', 'abc'], says: '--scale must be above 0' },
    { args: ['run', 'quickstart', '--nope'], says: 'Unknown argument: nope' },
    { args: ['run', 'no-such'], says: 'neither a built-in scenario nor a file' },
    { args: ['run', 'quickstart', '--set', 'dataset.kyes=1'], says: 'did you mean "keys"' },
    { args: ['run', 'quickstart', '--only', 'x'], says: 'the targets of quickstart are embedded-redis' },
    { args: ['run', 'quickstart', '--target', 'http://x'], says: 'must be a URL such as redis://' },
    { args: ['report', 'no-such.json'], says: 'Cannot read no-such.json: ENOENT' },
    { args: ['serve', 'mongodb'], says: 'the engines are redis and memcached' },
  ])('refuses $args in one line with exit code 2', async ({ args, says }) => {
    const { code, stderr } = await cachelab(...args);
    expect(stderr.split('\n')[0]).toMatch(/^cachelab: /);
    expect(stderr).toContain(says);
    expect(stderr).not.toContain('    at ');
    expect(code).toBe(2);
  });

  it('says what is wrong with a file that is no result', async () => {
    writeFileSync(join(folder, 'a.json'), '{"format":"other"}');
    const { code, stderr } = await cachelab('report', 'a.json');
    expect(stderr).toMatch(/^cachelab: Cannot report a\.json: it is no cachelab result/);
    expect(code).toBe(2);
  });

  it('says in one line that a remote does not answer, and does not show its password', async () => {
    const { code, stderr } = await cachelab(
      'run',
      'quickstart',
      ...TINY,
      '--target',
      'x=redis://u:secret@127.0.0.1:1',
      '--only',
      'x',
    );
    expect(stderr).toContain('Cannot reach redis://127.0.0.1:1');
    expect(stderr).not.toContain('secret');
    expect(readFileSync(join(onlyRun(), 'result.json'), 'utf8')).not.toContain('secret');
    expect(code).toBe(1);
  });
});

describe('cachelab run with nothing installed', () => {
  it('compares the embedded engines and says what it left out', async () => {
    const node = join(folder, 'bin');
    mkdirSync(node);
    // Of fewer keys the limit is little more than what an empty server and its clients take.
    const args = ['run', 'quickstart', ...TINY, '--set', 'dataset.keys=60000'];
    const { child, ended } = start(args, { PATH: node });
    const { code, stdout, stderr } = await ended;
    expect(stderr).toContain('without redis-server, because redis-server is not on PATH');
    expect(code).toBe(0);
    expect(stdout).toContain('(embedded)');
    const [scenario] = stored().scenarios;
    expect(scenario!.skippedTargets.map((one) => one.id)).toEqual(['redis', 'memcached']);
    expect(scenario!.targets.map((one) => one.id)).toEqual(['embedded-redis', 'embedded-memcached']);
    for (const cell of scenario!.cells) {
      const run = cell.runs[0]!;
      expect(run.failure).toBe(null);
      expect(run.operations).toBeGreaterThan(100);
      expect(run.verified).toMatchObject({ wrong: 0 });
      expect(run.memory!.keys).toBeGreaterThan(1_000);
    }
    expect(childrenOf(child.pid as number)).toEqual([]);
  });

  it('leaves no embedded engine after kill -9', async () => {
    const { child, ended } = start(['run', 'quickstart', ...TINY, '--duration', '20s', '--only', 'embedded-redis']);
    const server = await waitForServer(child.pid as number, /serve redis|redis/);
    child.kill('SIGKILL');
    await ended;
    await waitFor('the engine to end', () => isGone(server));
    await waitFor('the temporary folder to go', () => readdirSync(temporary).length === 0);
  });
});

describeReal(['redis-server', 'memcached'], 'cachelab run', () => {
  it('measures, prints a table and a verdict, writes the reports, and leaves nothing behind', async () => {
    const { child, ended } = start(['run', 'quickstart', ...TINY, ...REAL]);
    const { code, stdout, stderr } = await ended;
    expect(stderr).toContain('[1/2] redis-server: ');
    expect(code).toBe(0);
    expect(stdout).toContain('redis-server');
    expect(stdout).toContain('memcached');
    expect(readdirSync(onlyRun()).sort()).toEqual(['report.html', 'report.md', 'result.json']);
    const document = stored();
    expect(document.run).toMatchObject({ status: 'complete', partialReason: null });
    expect(document.run.commandLine.slice(0, 3)).toEqual(['cachelab', 'run', 'quickstart']);
    for (const cell of document.scenarios[0]!.cells) {
      expect(cell.runs[0]!.operations).toBeGreaterThan(100);
      expect(cell.runs[0]!.verified.wrong).toBe(0);
    }
    expect(childrenOf(child.pid as number)).toEqual([]);
    await waitFor('the temporary folder to go', () => readdirSync(temporary).length === 0);
  });

  it('draws every report again from the stored result', async () => {
    await cachelab('run', 'quickstart', ...TINY, ...REAL, '--quiet');
    const run = onlyRun();
    const terminal = await cachelab('report', run);
    expect(terminal.stdout).toContain('redis-server');
    const markdown = await cachelab('report', join(run, 'result.json'), '--format', 'markdown');
    expect(markdown.stdout.trim()).toBe(readFileSync(join(run, 'report.md'), 'utf8').trim());
    const html = await cachelab('report', run, '--format', 'html', '--out', join(folder, 'again.html'));
    expect(html.code).toBe(0);
    expect(readFileSync(join(folder, 'again.html'), 'utf8')).toBe(readFileSync(join(run, 'report.html'), 'utf8'));
  });

  it('prints nothing but the result with --json --quiet', async () => {
    const { stdout, stderr, code } = await cachelab('run', 'quickstart', ...TINY, ...REAL, '--json', '--quiet');
    expect(stderr).toBe('');
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toEqual(stored());
  });

  it('stops in order at Ctrl-C: partial result, exit code 130, no server left', async () => {
    const { child, ended } = start(['run', 'quickstart', ...TINY, ...REAL, '--duration', '20s']);
    const server = await waitForServer(child.pid as number, /redis-server/);
    // The data set and the warm-up cost less.
    await waitFor('the server to be measured', () => cpuSeconds(server) > 1.5, 20_000);
    child.kill('SIGINT');
    const { code, stderr } = await ended;
    expect(stderr).toContain('what was measured is kept');
    expect(code).toBe(130);
    await waitFor('the server to end', () => isGone(server));
    const document = stored();
    expect(document.run.status).toBe('partial');
    expect(document.run.partialReason).toContain('interrupted');
    // The interrupted measurement itself is there as well, marked failed.
    expect(document.scenarios[0]!.cells[0]!.runs[0]).toMatchObject({ status: 'failed' });
    expect(document.scenarios[0]!.cells[0]!.runs[0]!.operations).toBeGreaterThan(0);
    expect(existsSync(join(onlyRun(), 'report.html'))).toBe(true);
  });

  it('stops at once at the second Ctrl-C, and still leaves no server', async () => {
    const { child, ended } = start(['run', 'quickstart', ...TINY, ...REAL, '--duration', '20s']);
    const server = await waitForServer(child.pid as number, /redis-server/);
    child.kill('SIGINT');
    await new Promise((resolve) => setTimeout(resolve, 30));
    child.kill('SIGINT');
    expect((await ended).code).toBe(130);
    await waitFor('the server to end', () => isGone(server));
    await waitFor('the temporary folder to go', () => readdirSync(temporary).length === 0);
  });

  it('leaves no server, no file and a whole result after kill -9', async () => {
    const { child, ended } = start(['run', 'quickstart', ...TINY, ...REAL, '--duration', '20s']);
    const server = await waitForServer(child.pid as number, /redis-server/);
    child.kill('SIGKILL');
    expect((await ended).signal).toBe('SIGKILL');
    await waitFor('the server to end', () => isGone(server));
    await waitFor('the temporary folder to go', () => readdirSync(temporary).length === 0);
    expect(stored().run).toMatchObject({ status: 'partial', partialReason: 'the run has not finished' });
  });

  it('says that a server died in mid-run, goes on, keeps the rest, and exits with 1', async () => {
    const { child, ended } = start(['run', 'quickstart', ...TINY, ...REAL, '--duration', '6s']);
    const server = await waitForServer(child.pid as number, /redis-server/);
    await waitFor('the server to work', () => cpuSeconds(server) > 0.3);
    process.kill(server, 'SIGKILL');
    const { code, stderr } = await ended;
    expect(stderr).toMatch(/\[1\/2\] redis-server: FAILED: .*was ended by SIGKILL/);
    expect(stderr).toContain('cachelab: the result is partial: a measurement failed');
    expect(code).toBe(1);
    const [redis, memcached] = stored().scenarios[0]!.cells;
    expect(redis!.runs[0]!.status).toBe('failed');
    expect(memcached!.runs[0]!.operations).toBeGreaterThan(100);
  });

  it('says in one line that the disk is full, and exits with 1', async ({ skip }) => {
    const small = join(folder, 'small');
    mkdirSync(small);
    try {
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=24k', 'tmpfs', small], { stdio: 'ignore' });
    } catch {
      skip('a small file system cannot be mounted here (that needs root)');
    }
    try {
      const { code, stderr, stdout } = await cachelab('run', 'quickstart', ...TINY, ...REAL, '--out', small);
      expect(stderr).toMatch(/^cachelab: Cannot write .*: no space is left on the device\. Free some[^\n]*$/m);
      expect(stderr).not.toContain('    at ');
      expect(stdout).toContain('redis-server');
      expect(code).toBe(1);
      expect(stored(small).run.status).toBe('partial');
    } finally {
      execFileSync('umount', [small]);
    }
  });

  it('measures a server elsewhere beside its own and removes only its own keys there', async () => {
    const port = await findFreePort();
    const server = spawn('redis-server', ['--port', String(port), '--save', '', '--appendonly', 'no'], {
      cwd: folder,
      stdio: 'ignore',
    });
    started.push(server);
    const ask = (...args: string[]): string =>
      execFileSync('redis-cli', ['-p', String(port), ...args], {
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'ignore'],
      }).trim();
    await waitFor('the server to answer', () => {
      try {
        return ask('PING') === 'PONG';
      } catch {
        return false;
      }
    });
    ask('SET', 'precious', '1');
    const url = `mine=redis://127.0.0.1:${port}/0`;
    const { code, stderr } = await cachelab('run', 'quickstart', ...TINY, '--only', 'redis', '--target', url);
    expect(stderr).toContain('mine');
    expect(code).toBe(0);
    expect(ask('DBSIZE')).toBe('1');
    const target = stored().scenarios[0]!.targets.find((one) => one.id === 'mine');
    expect(target).toMatchObject({ kind: 'remote', keysBefore: 1, commandLine: null });
    server.kill('SIGKILL');
  });
});
