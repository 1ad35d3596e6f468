/** The embedded Redis-like server and the real one, started alike in a folder of their own and reached by Unix sockets. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { entryUrl } from '../../engines/base/entry.ts';
import { requireReal } from './real.ts';
import { RespClient, settle } from './resp-client.ts';

const START_TIMEOUT_MS = 20_000;
/** How long a server that is to hang up may take. */
const HANGUP_TIMEOUT_MS = 20_000;

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
  /** What it wrote so far, both outputs together: all of it once `closed` has come true. */
  output(): string;
  /** When the process has ended and its outputs are read to their end; the exit code. */
  readonly closed: Promise<number | null>;
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
  const closed = once(child, 'close').then(() => child.exitCode);
  let output = '';
  child.stdout.on('data', (data: Buffer) => (output += data.toString()));
  child.stderr.on('data', (data: Buffer) => (output += data.toString()));
  const deadline = Date.now() + START_TIMEOUT_MS;
  while (!output.includes('ready to accept connections at')) {
    if (child.exitCode !== null || Date.now() > deadline) {
      child.kill('SIGKILL');
      await closed;
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
    closed,
    connect: () => RespClient.connect({ path: socket }),
    async stop() {
      if (child.exitCode === null && child.signalCode === null) {
        child.kill('SIGTERM');
        const hard = setTimeout(() => child.kill('SIGKILL'), 5_000);
        await closed;
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

/**
 * Sends raw bytes on a fresh connection and collects all that comes back.
 * @param end 'closed': until the server hangs up; 'answered': until it has done with these bytes, or hangs up
 */
export async function converse(
  server: StartedServer,
  bytes: string,
  end: 'answered' | 'closed' = 'answered',
): Promise<string> {
  const socket = net.connect({ path: server.socket });
  const chunks: Buffer[] = [];
  socket.on('data', (data) => chunks.push(data));
  // A server that hangs up on unread input resets the connection; what it said before counts.
  socket.on('error', () => {});
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  const connected = new Promise<void>((resolve) => socket.once('connect', () => resolve()));
  await Promise.race([connected, closed]);
  // Also an empty write fails when the server has hung up already, and what it said is then lost.
  if (bytes !== '') socket.write(Buffer.from(bytes, 'latin1'));
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((_, reject) => {
    const error = new Error(`Cannot wait any longer for the server to hang up: ${JSON.stringify(bytes)}`);
    timer = setTimeout(() => reject(error), HANGUP_TIMEOUT_MS);
  });
  try {
    await (end === 'closed' ? Promise.race([closed, late]) : Promise.race([closed, answeredBefore(server)]));
  } finally {
    clearTimeout(timer);
    socket.destroy();
  }
  return Buffer.concat(chunks).toString('latin1');
}

/** Comes back when the server has answered all that has been sent to it so far, on whatever connection, and the answers are read. */
async function answeredBefore(server: StartedServer): Promise<void> {
  const probe = await server.connect();
  await settle(probe);
  await probe.close();
}
