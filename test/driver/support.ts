/** Real servers on Unix sockets in a folder of their own, and plans for them. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Endpoint, LoadPlan } from '../../harness/driver/load-plan.ts';
import type { Scenario } from '../../scenarios/spec.ts';
import { requireReal } from '../support/real.ts';
import { RespClient } from '../support/resp-client.ts';

export interface TestServer {
  readonly path: string;
  readonly process: ChildProcess;
  stop(): Promise<void>;
}

async function start(program: 'redis-server' | 'memcached', args: (socket: string) => string[]): Promise<TestServer> {
  const folder = mkdtempSync(join(tmpdir(), 'cachelab-driver-'));
  const path = join(folder, 's.sock');
  const child = spawn(requireReal(program)!, args(path), { cwd: folder, stdio: 'ignore' });
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  for (let i = 0; i < 1_000 && !(await connects(path)); i++) await new Promise((resolve) => setTimeout(resolve, 20));
  return {
    path,
    process: child,
    stop: async () => {
      child.kill('SIGKILL');
      await exited;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function connects(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

export function startRedis(...flags: string[]): Promise<TestServer> {
  return start('redis-server', (socket) => [
    ...['--port', '0', '--unixsocket', socket, '--save', '', '--appendonly', 'no', '--enable-debug-command', 'yes'],
    ...flags,
  ]);
}

export function startMemcached(...flags: string[]): Promise<TestServer> {
  const user = process.getuid?.() === 0 ? ['-u', 'root'] : [];
  return start('memcached', (socket) => [...user, '-s', socket, '-t', '1', '-m', '256', '-c', '4096', ...flags]);
}

export function endpointOf(server: { path: string }, protocol: Endpoint['protocol']): Endpoint {
  return { address: { kind: 'unix', path: server.path }, protocol, username: null, password: null, database: 0 };
}

/** A small closed-loop scenario; every field may be replaced. */
export function scenarioWith(change: Partial<Scenario> = {}): Scenario {
  return {
    name: 'test',
    title: 'Test',
    question: '',
    kind: 'load',
    targets: [],
    dataset: {
      keys: 1_000,
      keyPrefix: 'k:',
      keyBytes: 16,
      valueSize: { kind: 'uniform', min: 1, max: 500 },
      preload: 1,
    },
    popularity: { kind: 'uniform' },
    mix: [{ operation: 'get', weight: 1 }],
    ttl: { kind: 'none' },
    pipeline: 1,
    multiKey: 1,
    connections: 10,
    threads: 1,
    driver: 'raw',
    memcachedProtocol: 'ascii',
    arrival: { kind: 'closed' },
    persistence: null,
    memory: { limitBytes: 0, limitShare: 0, policy: 'noeviction', samples: 5 },
    cacheAside: null,
    fanout: null,
    warmUpS: 0,
    // Where operations are counted they end the load, on a busy machine too.
    durationS: change.operations === undefined ? 1 : 20,
    operations: 0,
    repetitions: 1,
    seed: 'test',
    verify: 1,
    intervalMs: 100,
    ...change,
  };
}

export function planFor(
  server: { path: string },
  protocol: Endpoint['protocol'],
  change: Partial<Scenario> = {},
  eventLoop: LoadPlan['eventLoop'] = 'auto',
): LoadPlan {
  return { endpoint: endpointOf(server, protocol), scenario: scenarioWith(change), seed: 'test/1', eventLoop };
}

/** Calls by command, from INFO commandstats. */
export async function redisCalls(server: TestServer): Promise<Record<string, number>> {
  const text = await redisInfo(server, 'commandstats');
  return Object.fromEntries([...text.matchAll(/^cmdstat_(\S+?):calls=(\d+)/gm)].map((m) => [m[1]!, Number(m[2])]));
}

export async function redisInfo(server: TestServer, section: string): Promise<string> {
  const client = await RespClient.connect({ path: server.path });
  const text = (await client.command('INFO', section)) as string;
  await client.close();
  return text;
}

/** memcached's `stats` as numbers. */
export function memcachedStats(server: TestServer): Promise<Record<string, number>> {
  return new Promise((resolve, reject) => {
    const socket = net.connect(server.path);
    let text = '';
    socket.on('error', reject);
    socket.on('data', (data) => {
      text += data.toString('latin1');
      if (!text.endsWith('END\r\n')) return;
      socket.destroy();
      resolve(Object.fromEntries([...text.matchAll(/^STAT (\S+) (\S+)/gm)].map((m) => [m[1]!, Number(m[2])])));
    });
    socket.write('stats\r\n');
  });
}
