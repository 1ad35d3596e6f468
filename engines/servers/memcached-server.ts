/**
 * The Memcached-like server: the core on an event loop, started by the original's command line. One process, one worker
 * thread for now.
 */
import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import type { EventLoop } from '../io/event-loop.ts';
import { removeStaleSocket } from '../io/stale-socket.ts';
import { addressOf, disableHugePages, purgePages, raiseFileLimit } from '../io/system.ts';
import type { Core } from '../memcached/core.ts';
import { createArena } from '../memory/arena.ts';
import { becomeUser } from './become-user.ts';
import { daemonReady, isDaemon, startDaemon } from './daemon.ts';
import { announceListener } from './memcached-announce.ts';
import { finishMemcached } from './memcached-exit.ts';
import { EX_OSERR, type MemcachedOptions, OptionError, parseMemcachedOptions } from './memcached-options.ts';
import { readPasswords, rereadPasswords } from './memcached-passwords.ts';
import { log, makeThread } from './memcached-thread.ts';
import { HELP_TEXT, LICENSE_TEXT, VERSION_TEXT } from './memcached-usage.ts';
import { MemoryFile } from './memory-file.ts';
import { removePidFile, writePidFile } from './pid-file.ts';
import { type BoundPort, writePortFile } from './port-file.ts';
import { listenForShutdown } from './signals.ts';

/** Listening sockets, files and the loop's own descriptors beside the connections. */
const OTHER_DESCRIPTORS = 64;
/**
 * The original refuses a connection whose descriptor is not below the limit less one, so what it holds itself counts too: with
 * `-c 50 -t 1` it takes 38 clients, with `-t 4` 26.
 */
const DESCRIPTORS_OF_PROCESS = 8;
const DESCRIPTORS_OF_THREAD = 4;

/** What the original calls an error number. */
const ERROR_TEXTS: Record<string, string> = {
  EADDRINUSE: 'Address already in use',
  EADDRNOTAVAIL: 'Cannot assign requested address',
  EACCES: 'Permission denied',
  ENOENT: 'No such file or directory',
  EINVAL: 'Invalid argument',
};

/** A started server, for those who run it inside a process of their own. */
export interface MemcachedServer {
  readonly core: Core;
  readonly loop: EventLoop;
  /** Ports in the order of -l (0 for a Unix socket). */
  readonly ports: number[];
  /** What -e has opened. */
  readonly memoryFile: MemoryFile | null;
  /** Serves until `stop`. */
  run(): Promise<void>;
  /** Ends `run`, closes everything. */
  stop(): void;
}

/** Puts a core on a loop and listens. @throws OptionError when it cannot listen */
export async function startMemcachedServer(options: MemcachedOptions): Promise<MemcachedServer> {
  const { settings } = options;
  disableHugePages();
  raiseFileLimit(settings.maxConns + OTHER_DESCRIPTORS);
  const arena = createArena({ addressOf, purge: purgePages });
  const memoryFile = MemoryFile.open(settings, arena, log);
  const { core, loop } = makeThread({
    arena,
    settings,
    placement: { role: 'alone' },
    eventLoop: options.eventLoop,
    maxConnections: Math.max(1, settings.maxConns - DESCRIPTORS_OF_PROCESS - DESCRIPTORS_OF_THREAD * settings.threads),
    hooks: { onShutdown: (kind) => process.kill(process.pid, kind === 'shutdown' ? 'SIGINT' : 'SIGUSR1') },
  });
  memoryFile?.restore(core);
  loop.onRefused = () => {
    core.counters.rejectedConnections++;
    return REFUSAL;
  };
  if (settings.verbose > 1) printClasses(core);
  const bound: BoundPort[] = [];
  const ports = await listen(core, loop, options, bound);
  await listenUdp(core, loop, options, bound);
  if (settings.socketPath === null) writePortFile(bound);
  // The original counts its listening sockets among the connections it has had.
  core.counters.totalConnections = ports.length;
  let stopped = false;
  return {
    core,
    loop,
    ports,
    memoryFile,
    run: () => loop.run(),
    stop: () => {
      if (stopped) return;
      stopped = true;
      loop.stop();
    },
  };
}

const REFUSAL = new TextEncoder().encode('ERROR Too many open connections\r\n');

async function listen(core: Core, loop: EventLoop, options: MemcachedOptions, bound: BoundPort[]): Promise<number[]> {
  const { settings } = options;
  if (settings.socketPath !== null) {
    try {
      removeStaleSocket(settings.socketPath);
      announceListener(core, await loop.listenUnix(settings.socketPath, settings.backlog, settings.access), 'unix');
    } catch (error) {
      throw listenError(`failed to listen on UNIX socket: ${settings.socketPath}`, error);
    }
    return [0];
  }
  const ports: number[] = [];
  for (const { host, port } of options.listen) {
    const what =
      settings.inter === null
        ? `failed to listen on TCP port ${port}`
        : `failed to listen on one of interface(s) ${settings.inter}`;
    try {
      const address = isIP(host) !== 0 ? host : (await lookup(host)).address;
      const listener = await loop.listenTcp(address, port, settings.backlog);
      announceListener(core, listener, 'tcp');
      ports.push(listener.port);
      bound.push({ transport: 'TCP', address, port: listener.port });
    } catch (error) {
      throw listenError(what, error);
    }
  }
  return ports;
}

/** Sockets for datagrams, on the same addresses. */
async function listenUdp(core: Core, loop: EventLoop, options: MemcachedOptions, bound: BoundPort[]): Promise<void> {
  const { udpPort, socketPath } = options.settings;
  if (udpPort === 0 || socketPath !== null) return;
  for (const { host, port } of options.listenUdp) {
    try {
      const address = isIP(host) !== 0 ? host : (await lookup(host)).address;
      const listener = await loop.listenUdp(address, port);
      announceListener(core, listener, 'udp');
      bound.push({ transport: 'UDP', address, port: listener.port });
    } catch (error) {
      throw listenError(`failed to listen on UDP port ${udpPort}`, error);
    }
  }
}

function listenError(what: string, error: unknown): OptionError {
  const code = (error as { code?: string }).code ?? '';
  return new OptionError(`${what}: ${ERROR_TEXTS[code] ?? (error as Error).message}`, EX_OSERR);
}

function printClasses(core: Core): void {
  const { chunkSize, chunksPerPage, largestClass } = core.items.slabs;
  for (let id = 1; id <= largestClass; id++) {
    const size = String(chunkSize[id]).padStart(9);
    log(`slab class ${String(id).padStart(3)}: chunk size ${size} perslab ${String(chunksPerPage[id]).padStart(7)}`);
  }
}

/**
 * Runs a server as a process does: to the end, by its signals.
 * @param argv arguments after the program's name
 * @returns the exit code
 */
export async function runMemcachedServer(argv: string[]): Promise<number> {
  let options: MemcachedOptions;
  try {
    options = parseMemcachedOptions(argv);
  } catch (error) {
    if (!(error instanceof OptionError)) throw error;
    log(error.message);
    return error.exitCode;
  }
  if (options.show !== null) {
    process.stdout.write({ help: HELP_TEXT, license: LICENSE_TEXT, version: VERSION_TEXT }[options.show]);
    return 0;
  }
  for (const warning of options.warnings) log(warning);
  try {
    readPasswords(options.settings, log);
  } catch (error) {
    if (!(error instanceof OptionError)) throw error;
    log(error.message);
    return error.exitCode;
  }
  if (options.daemonize && !isDaemon()) {
    const daemon = await startDaemon();
    if (daemon.error === null) return 0;
    log(daemon.error);
    return EX_OSERR;
  }
  return serve(options);
}

async function serve(options: MemcachedOptions): Promise<number> {
  let server: MemcachedServer;
  try {
    becomeUser(options.user);
    server = await startMemcachedServer(options);
  } catch (error) {
    if (!(error instanceof OptionError)) throw error;
    log(error.message);
    daemonReady(error.message);
    return error.exitCode;
  }
  if (options.settings.threads > 1 && options.settings.verbose > 0) {
    log(`WARNING: -t ${options.settings.threads} is accepted, but one worker thread serves for now.`);
  }
  if (options.pidFile !== null) {
    const problem = writePidFile(options.pidFile);
    if (problem !== null) log(problem);
  }
  let isGraceful = false;
  const unlisten = listenForShutdown({
    isGracefulBySignal: true,
    onHangUp: () => rereadPasswords(server.core, log),
    onSignal: (signal) => {
      if (signal === 'SIGUSR1') log('Gracefully stopping');
      else if (server.core.settings.verbose > 0) log('Exiting normally');
      isGraceful = signal === 'SIGUSR1';
      server.stop();
      return true;
    },
  });
  daemonReady();
  try {
    await server.run();
  } finally {
    server.loop.destroy();
    unlisten();
    if (options.pidFile !== null && options.daemonize) removePidFile(options.pidFile);
  }
  return finishMemcached(server.core, { isGraceful, memoryFile: server.memoryFile, verify: options.verifyOnExit, log });
}
