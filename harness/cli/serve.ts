/**
 * `cachelab serve redis|memcached …`: the rest of the command line belongs to the server and is handed over as it is, so
 * that the original's own flags, files and "-" work. The server runs in this very process: its pid is the one started.
 */
import { setV8Flags } from '../../engines/servers/v8-flags.ts';
import { describeFailure, EXIT_OK, UsageError } from './exit-codes.ts';

export const SERVE_USAGE = `cachelab serve redis [redis.conf | -] [--option value …]
cachelab serve memcached [-p port] [-m MiB] [-l address] [-s path] …

Starts one of cachelab's own engines. It takes the flags of redis-server 7.0 and of memcached 1.6, and
--event-loop epoll|libuv.

  npx cachelab serve redis --port 6400 --maxmemory 100mb --maxmemory-policy allkeys-lfu
  npx cachelab serve memcached -p 11300 -m 100
`;

/** @param args what stands behind `serve` @returns an exit code, once the server has ended */
export async function serve(args: readonly string[]): Promise<number> {
  const [engine, ...rest] = args;
  if (engine === undefined || engine === '--help' || engine === '-h') {
    process.stdout.write(SERVE_USAGE);
    if (engine === undefined) throw new UsageError('Cannot serve: say which engine, redis or memcached');
    return EXIT_OK;
  }
  if (engine === 'redis' || engine === 'memcached') return run(engine, rest);
  throw new UsageError(`Cannot serve "${engine}": the engines are redis and memcached`);
}

async function run(engine: 'redis' | 'memcached', args: string[]): Promise<number> {
  setV8Flags(engine);
  if (engine === 'redis') return (await import('../../engines/servers/redis-server.ts')).runRedisServer(args);
  return (await import('../../engines/servers/memcached-server.ts')).runMemcachedServer(args);
}

/** Serves for a command that is named after the original: nothing of cachelab's own command line is looked at. @returns an exit code */
export async function serveAs(engine: 'redis' | 'memcached', args: string[]): Promise<number> {
  try {
    const code = await run(engine, args);
    return code === EXIT_OK && typeof process.exitCode === 'number' ? process.exitCode : code;
  } catch (error) {
    const failure = describeFailure(error);
    process.stderr.write(`${failure.text}\n`);
    return failure.code;
  }
}
