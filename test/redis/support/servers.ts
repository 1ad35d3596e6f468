/** Servers for tests of the Redis-like engine: ours in this process, the original as a child; both on Unix sockets of a temp folder. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readCommandLine } from '../../../engines/servers/redis-conf.ts';
import { RedisLog } from '../../../engines/servers/redis-log.ts';
import { type RunningServer, startRedisServer } from '../../../engines/servers/redis-server.ts';
import { requireReal } from '../../support/real.ts';
import { RespClient } from '../../support/resp-client.ts';

const START_TRIES = 700;
const START_PAUSE_MS = 30;

/**
 * Entries of the slow log are counted in used memory, and on a busy machine any command may become one.
 */
const STANDARD = ['--enable-debug-command', 'yes', '--slowlog-log-slower-than', '-1'];

export interface TestServer {
  readonly path: string;
  /** Where its files are. */
  readonly folder: string;
  /** Present for our own server. */
  readonly running: RunningServer | null;
  /** Everything that the log has said, for ours. */
  readonly log: string[];
  stop(): Promise<void>;
}

function tempFolder(): string {
  return mkdtempSync(join(tmpdir(), 'cachelab-redis-'));
}

/**
 * Starts our server on the libuv loop, which shares this thread with the test.
 * @param dataFolder where its files lie; left out: in a folder that goes with it
 */
export async function startOurs(flags: readonly string[] = [], dataFolder?: string): Promise<TestServer> {
  const folder = tempFolder();
  const path = join(folder, 'ours.sock');
  const start = readCommandLine(
    ['--port', '0', '--unixsocket', path, '--event-loop', 'libuv', '--save', '', ...STANDARD, ...flags],
    () => {},
  );
  // Its process is the test's, whose working folder is nobody's place for data.
  start.engine.dataFolder = dataFolder ?? folder;
  const log: string[] = [];
  const running = await startRedisServer(
    start,
    new RedisLog({
      write(line: string) {
        log.push(line);
      },
      close() {},
    } as never),
  );
  return {
    path,
    folder,
    running,
    log,
    async stop() {
      running.stop();
      await running.ended;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Starts the original. @param dataFolder as for startOurs */
export async function startReal(flags: readonly string[] = [], dataFolder?: string): Promise<TestServer> {
  const program = requireReal('redis-server');
  if (program === null) throw new Error('Cannot start redis-server: it is not installed');
  const folder = tempFolder();
  const path = join(folder, 'real.sock');
  const child: ChildProcess = spawn(
    program,
    ['--port', '0', '--unixsocket', path, '--save', '', '--dir', dataFolder ?? folder, ...STANDARD, ...flags],
    { stdio: 'ignore' },
  );
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const stop = async () => {
    child.kill('SIGKILL');
    await ended;
    rmSync(folder, { recursive: true, force: true });
  };
  for (let tries = 0; tries < START_TRIES; tries++) {
    await new Promise((resolve) => setTimeout(resolve, START_PAUSE_MS));
    try {
      const client = await RespClient.connect({ path });
      const pong = await client.command('PING');
      await client.close();
      if (pong === 'PONG') return { path, folder, running: null, log: [], stop };
    } catch {
      // Not up yet.
    }
  }
  await stop();
  throw new Error('Cannot start redis-server: it does not answer');
}
