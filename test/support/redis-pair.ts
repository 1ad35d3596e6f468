/** The embedded Redis-like server and the real one, started alike in a folder of their own and reached by Unix sockets. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { entryUrl } from '../../engines/base/entry.ts';
import { requireReal } from './real.ts';
import { RespClient } from './resp-client.ts';

const START_TIMEOUT_MS = 10_000;

/** Command line of the compiled embedded server, without its options. */
export function embeddedCommand(): [program: string, args: string[]] {
  const main = entryUrl(import.meta.url, '../../harness/cli/main.ts').pathname;
  if (!existsSync(main))
    throw new Error(`Cannot start the embedded server: ${main} is missing; run npm run build first`);
  return [process.execPath, [main, 'serve', 'redis']];
}

/** Command line of the real server. */
export function realCommand(): [program: string, args: string[]] {
  return [requireReal('redis-server')!, []];
}

export interface StartedServer {
  readonly process: ChildProcess;
  readonly folder: string;
  readonly socket: string;
  /** What it wrote so far, both outputs together. */
  output(): string;
  connect(): Promise<RespClient>;
  /** Ends it with SIGTERM (or kills it) and removes its folder. @returns the exit code */
  stop(): Promise<number | null>;
}

/** Starts one server without TCP, with `options` behind its standard ones. */
export async function startServer(
  [program, args]: readonly [string, readonly string[]],
  options: readonly string[] = [],
  config = '',
): Promise<StartedServer> {
  const folder = mkdtempSync(join(tmpdir(), 'cachelab-redis-'));
  const socket = join(folder, 's');
  const file = join(folder, 'redis.conf');
  writeFileSync(file, config);
  const standard = ['--port', '0', '--unixsocket', socket, '--save', '', '--dir', folder];
  const child = spawn(program, [...args, file, ...standard, ...options], { stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  child.stdout.on('data', (data: Buffer) => (output += data.toString()));
  child.stderr.on('data', (data: Buffer) => (output += data.toString()));
  const deadline = Date.now() + START_TIMEOUT_MS;
  while (!output.includes('ready to accept connections at')) {
    if (child.exitCode !== null || Date.now() > deadline) {
      child.kill('SIGKILL');
      rmSync(folder, { recursive: true, force: true });
      throw new Error(`Cannot start ${program}: ${output}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  return {
    process: child,
    folder,
    socket,
    output: () => output,
    connect: () => RespClient.connect({ path: socket }),
    async stop() {
      if (child.exitCode === null && child.signalCode === null) {
        const ended = once(child, 'exit');
        child.kill('SIGTERM');
        const hard = setTimeout(() => child.kill('SIGKILL'), 5_000);
        await ended;
        clearTimeout(hard);
      }
      rmSync(folder, { recursive: true, force: true });
      return child.exitCode;
    },
  };
}

/** Both servers with the same options. */
export interface RedisPair {
  readonly ours: StartedServer;
  readonly real: StartedServer;
  stop(): Promise<void>;
}

export async function startRedisPair(options: readonly string[] = []): Promise<RedisPair> {
  const real = await startServer(realCommand(), options);
  try {
    const ours = await startServer(embeddedCommand(), options);
    return {
      ours,
      real,
      stop: async () => {
        await Promise.all([ours.stop(), real.stop()]);
      },
    };
  } catch (error) {
    await real.stop();
    throw error;
  }
}

/** Sends raw bytes on a fresh connection to one server and collects all that comes back within `quietMs` of silence. */
export async function converse(server: StartedServer, bytes: string, quietMs = 100): Promise<string> {
  const net = await import('node:net');
  const socket = net.connect({ path: server.socket });
  const chunks: Buffer[] = [];
  return new Promise((resolve, reject) => {
    let timer: NodeJS.Timeout | undefined;
    const done = () => {
      socket.destroy();
      resolve(Buffer.concat(chunks).toString('latin1'));
    };
    const wait = () => {
      clearTimeout(timer);
      timer = setTimeout(done, quietMs);
    };
    socket.on('connect', () => {
      // Also an empty write fails when the server has hung up already, and what it said is then lost.
      if (bytes !== '') socket.write(Buffer.from(bytes, 'latin1'));
      wait();
    });
    socket.on('data', (data) => {
      chunks.push(data);
      wait();
    });
    socket.on('close', () => {
      clearTimeout(timer);
      done();
    });
    // A server that hangs up on unread input resets the connection; what it said before counts.
    socket.on('error', () =>
      socket.bytesRead > 0 || chunks.length > 0 ? done() : reject(new Error('Cannot converse: the connection failed')),
    );
  });
}
