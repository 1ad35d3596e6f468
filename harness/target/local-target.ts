/** Servers that the harness starts itself: a real server's binary, or this project's engine as a process of its own. */
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import net from 'node:net';
import { fileURLToPath } from 'node:url';
import { entryUrl } from '../../engines/base/entry.ts';
import type { TargetSpec } from '../../scenarios/spec.ts';
import type { Endpoint, ServerAddress } from '../driver/load-plan.ts';
import type { MemoryLedger } from '../result.ts';
import { findProgram } from './find-program.ts';
import { flagValue, memcachedLaunch, portOfFlags, redisLaunch } from './launch-flags.ts';
import { connectMemcached } from './memcached-admin.ts';
import { connectRedis, RedisAdmin } from './redis-admin.ts';
import type { KeptProcess, ServerKeeper } from './server-keeper.ts';
import {
  type Admin,
  type CellSettings,
  describeAddress,
  type PersistentServer,
  protocolOf,
  type RunningTarget,
  type Target,
  TargetError,
} from './target.ts';

const HOST = '127.0.0.1';
/** A server has so long from its start to its first answer. */
const READY_TIMEOUT_MS = 15_000;
/** After a crash it has its data to load first. */
const RESTART_TIMEOUT_MS = 60_000;
const READY_POLL_MS = 20;
const HASTY_STOP_MS = 200;
/** sun_path holds 108 bytes on Linux and 104 on macOS, the NUL among them. */
const SOCKET_PATH_BYTES_MAX = 103;
/** Another process may take the free port before the server has it; then the next one is tried. */
const PORT_ATTEMPTS = 5;

/** A TCP port on loopback that was free a moment ago. */
export function findFreePort(host = HOST): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = net.createServer();
    server.once('error', reject);
    server.listen(0, host, () => {
      const { port } = server.address() as net.AddressInfo;
      server.close(() => resolve(port));
    });
  });
}

async function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = net.createServer();
    server.once('error', () => resolve(false));
    server.listen(port, HOST, () => server.close(() => resolve(true)));
  });
}

/** The program and first arguments that start a target's server. */
function programOf(spec: TargetSpec): { words: string[]; missing: string | null } {
  if (spec.kind === 'embedded') {
    const main = fileURLToPath(entryUrl(import.meta.url, '../cli/main.ts'));
    const words = [process.execPath, main, 'serve', spec.engine];
    return { words, missing: existsSync(main) ? null : `${main} is not there: run \`npm run build\`` };
  }
  const name = spec.binary ?? (spec.engine === 'redis' ? 'redis-server' : 'memcached');
  const path = findProgram(name);
  const where = name.includes('/') ? 'is no executable file' : 'is not on PATH';
  return { words: [path ?? name], missing: path === null ? `${name} ${where}` : null };
}

export function createLocalTarget(spec: TargetSpec, keeper: ServerKeeper): Target {
  const { words, missing } = programOf(spec);
  return {
    spec,
    missing,
    start: async (settings) => {
      if (missing !== null) throw new TargetError(`Cannot start ${spec.label}: ${missing}`);
      const fixedPort = portOfFlags(spec);
      if (fixedPort !== null && !(await isFree(fixedPort))) {
        throw new TargetError(
          `Cannot start ${spec.label}: port ${fixedPort} on ${HOST}, which its flags ask for, is in use. Stop what listens there or leave the port to the harness`,
        );
      }
      for (let attempt = 1; ; attempt++) {
        try {
          return await startOnce(spec, words, keeper, settings, fixedPort);
        } catch (error) {
          const inUse = error instanceof Error && /address already in use/i.test(error.message);
          if (!inUse || fixedPort !== null || attempt >= PORT_ATTEMPTS) throw error;
        }
      }
    },
  };
}

async function startOnce(
  spec: TargetSpec,
  words: readonly string[],
  keeper: ServerKeeper,
  settings: CellSettings,
  fixedPort: number | null,
): Promise<RunningTarget> {
  const folder = keeper.path(spec.engine);
  mkdirSync(folder, { recursive: true });
  const address: ServerAddress =
    spec.socket === 'unix' && fixedPort === null
      ? { kind: 'unix', path: `${folder}/s` }
      : { kind: 'tcp', host: HOST, port: fixedPort ?? (await findFreePort()) };
  if (address.kind === 'unix' && Buffer.byteLength(address.path) > SOCKET_PATH_BYTES_MAX) {
    throw new TargetError(
      `Cannot start ${spec.label}: the path of its Unix socket would be longer than ${SOCKET_PATH_BYTES_MAX} bytes (${address.path}). Set TMPDIR to a shorter folder, or use socket: tcp`,
    );
  }
  const flags = spec.kind === 'embedded' && spec.eventLoop !== 'auto' ? ['--event-loop', spec.eventLoop] : [];
  flags.push(...spec.flags);
  const launch =
    spec.engine === 'redis' ? redisLaunch(address, settings, folder, flags) : memcachedLaunch(address, settings, flags);
  const endpoint: Endpoint = {
    address,
    protocol: protocolOf(spec.engine, settings.scenario),
    username: null,
    password: spec.engine === 'redis' ? flagValue(spec.flags, ['--requirepass']) : null,
    database: 0,
  };
  // memcached notices SIGTERM at its next clock tick, up to a second later, and has nothing to save (but with -e).
  const hasty = spec.engine === 'memcached' && !flags.some((flag) => flag.startsWith('-e'));
  const spawn = () => keeper.spawn([...words, ...launch.args], folder, hasty ? HASTY_STOP_MS : undefined);
  const kept = await spawn();
  try {
    const admin = await waitReady(spec, kept, endpoint, READY_TIMEOUT_MS);
    const persistent = settings.scenario.persistence !== null;
    return runningLocal({ spec, endpoint, folder, persistent, spawn }, kept, admin, launch.notes);
  } catch (error) {
    await kept.stop();
    throw error;
  }
}

/** What it takes to start a server once more. */
interface Place {
  spec: TargetSpec;
  endpoint: Endpoint;
  folder: string;
  /** Its files are looked at, and removed at the end: they may be large. */
  persistent: boolean;
  spawn: () => Promise<KeptProcess>;
}

function connectAdmin(endpoint: Endpoint, timeoutMs: number): Promise<Admin> {
  return endpoint.protocol === 'redis' ? connectRedis(endpoint, timeoutMs) : connectMemcached(endpoint, timeoutMs);
}

async function waitReady(spec: TargetSpec, kept: KeptProcess, endpoint: Endpoint, timeoutMs: number): Promise<Admin> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const died = kept.died();
    if (died !== null) {
      const tail = kept.logTail();
      throw new TargetError(`Cannot start ${spec.label}: it ${died}${tail === '' ? '' : `, and said: ${tail}`}`);
    }
    try {
      return await connectAdmin(endpoint, Math.max(100, deadline - Date.now()));
    } catch (error) {
      if (Date.now() >= deadline) {
        const tail = kept.logTail();
        throw new TargetError(
          `Cannot start ${spec.label}: no answer within ${timeoutMs / 1000} s (${(error as Error).message})${tail === '' ? '' : `; its log: ${tail}`}`,
        );
      }
    }
    await Promise.race([kept.ended, new Promise((resolve) => setTimeout(resolve, READY_POLL_MS))]);
  }
}

/** Resident set of a process in bytes, from /proc; null elsewhere. */
export function residentBytes(pid: number): number | null {
  try {
    const match = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'));
    return match ? Number(match[1]) * 1024 : null;
  } catch {
    return null;
  }
}

function runningLocal(place: Place, first: KeptProcess, firstAdmin: Admin, notes: string[]): RunningTarget {
  const { endpoint, folder, spec } = place;
  // A crash replaces both.
  let kept = first;
  let admin = firstAdmin;
  const redis = (): RedisAdmin => {
    if (!(admin instanceof RedisAdmin)) throw new TargetError(`Cannot ask ${spec.label} for its files: it keeps none`);
    return admin;
  };
  const persistent: PersistentServer = {
    folder,
    info: (section) => redis().info(section),
    call: (...words) => redis().call(...words),
    kill: async () => {
      admin.close();
      await kept.kill();
    },
    restart: async () => {
      const started = performance.now();
      kept = await place.spawn();
      admin = await waitReady(spec, kept, endpoint, RESTART_TIMEOUT_MS);
      return (performance.now() - started) / 1_000;
    },
  };
  return {
    persistent: place.persistent ? persistent : null,
    endpoint,
    pid: first.pid,
    commandLine: first.commandLine,
    address: describeAddress(endpoint),
    notes,
    facts: () => admin.facts(),
    memory: async (): Promise<MemoryLedger> => {
      const ledger = await admin.memory();
      // The kernel's figure is the same thing for every kind of server; the server's own may be older.
      return { ...ledger, rss: residentBytes(kept.pid) ?? ledger.rss };
    },
    resetStats: () => admin.resetStats(),
    flush: async () => {
      await admin.flushAll();
      return null;
    },
    died: () => {
      const died = kept.died();
      if (died === null) return null;
      const tail = kept.logTail();
      return `the server ${died}${tail === '' ? '' : ` (its last lines: ${tail})`}`;
    },
    stop: async () => {
      admin.close();
      await kept.stop();
      if (place.persistent) rmSync(folder, { recursive: true, force: true });
    },
  };
}
