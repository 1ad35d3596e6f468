/**
 * The Memcached-like server, started by the original's command line: a dispatcher with its workers (memcached-threads.ts), or with `-t 1` a thread
 * that does all.
 */
import type { EventLoop } from '../io/event-loop.ts';
import { addressOf, disableHugePages, purgePages, raiseFileLimit } from '../io/system.ts';
import type { Core } from '../memcached/core.ts';
import type { Settings } from '../memcached/settings.ts';
import { type Arena, createArena } from '../memory/arena.ts';
import { becomeUser } from './become-user.ts';
import { daemonReady, isDaemon, startDaemon } from './daemon.ts';
import { finishMemcached } from './memcached-exit.ts';
import { ConnectionLimit } from './memcached-limits.ts';
import { listen, listenUdp, type PlacedListener } from './memcached-listeners.ts';
import { EX_OSERR, type MemcachedOptions, OptionError, parseMemcachedOptions } from './memcached-options.ts';
import { followPasswordFile, readPasswords, rereadPasswords } from './memcached-passwords.ts';
import { writeMemcachedPidFile } from './memcached-pid-file.ts';
import { log, type MemcachedThread, makeThread, signalShutdown } from './memcached-thread.ts';
import { EX_SOFTWARE, WorkerThreads } from './memcached-threads.ts';
import { HELP_TEXT, LICENSE_TEXT, VERSION_TEXT } from './memcached-usage.ts';
import { MemoryFile } from './memory-file.ts';
import { removePidFile } from './pid-file.ts';
import { type BoundPort, writePortFile } from './port-file.ts';
import { listenForShutdown } from './signals.ts';

/** Listening sockets, files and the loops' own descriptors beside the connections. */
const OTHER_DESCRIPTORS = 64;
const DESCRIPTORS_OF_LOOP = 4;

/** A started server, for those who run it inside a process of their own. */
export interface MemcachedServer {
  /** The core and loop of the thread that listens: the only one, or the dispatcher's. */
  readonly core: Core;
  readonly loop: EventLoop;
  /** Ports in the order of -l (0 for a Unix socket). */
  readonly ports: number[];
  /** What -e has opened. */
  readonly memoryFile: MemoryFile | null;
  /** Serves until `stop`. @returns the exit code: not 0 when a worker has failed */
  run(): Promise<number>;
  /** Ends `run`. */
  stop(): void;
  /** Ends the other threads, closes everything. */
  close(): Promise<void>;
}

/** Puts cores on loops and listens. @throws OptionError when it cannot listen */
export async function startMemcachedServer(options: MemcachedOptions): Promise<MemcachedServer> {
  const { settings } = options;
  disableHugePages();
  const arena = createArena({ shared: settings.threads > 1, addressOf, purge: purgePages });
  const memoryFile = MemoryFile.open(settings, arena, log);
  if (settings.threads === 1) return startAlone(options, arena, memoryFile);
  if (options.eventLoop !== 'libuv' && arena.address !== 0) return startThreads(options, arena, memoryFile);
  if (settings.verbose > 0) {
    log(`WARNING: -t ${settings.threads} needs the event loop epoll: one thread serves.`);
  }
  return startAlone(options, arena, memoryFile);
}

/** Raises the limit of open files. @throws OptionError where the system does not let so many connections be open */
function allowConnections({ maxConns, threads }: Settings): void {
  if (raiseFileLimit(maxConns + OTHER_DESCRIPTORS + DESCRIPTORS_OF_LOOP * threads) >= maxConns) return;
  throw new OptionError(
    'failed to set rlimit for open files. Try starting as root or requesting smaller maxconns value.',
    EX_OSERR,
  );
}

async function startAlone(
  options: MemcachedOptions,
  arena: Arena,
  memoryFile: MemoryFile | null,
): Promise<MemcachedServer> {
  const { settings } = options;
  const { core, loop } = makeThread({
    arena,
    settings,
    placement: { role: 'alone' },
    eventLoop: options.eventLoop,
    maxConnections: settings.maxConns,
    hooks: { onShutdown: signalShutdown },
  });
  memoryFile?.restore(core);
  if (settings.verbose > 1) printClasses(core);
  const limit = new ConnectionLimit(core, loop);
  const bound: BoundPort[] = [];
  const listeners = await listen(core, loop, options, bound);
  const datagrams = await listenUdp(options, bound, (host, port) => loop.listenUdp(host, port));
  if (settings.socketPath === null) writePortFile(bound, log);
  settings.listenerProtocols = listeners.map(({ place }) => settings.listenerProtocols[place] ?? null);
  limit.listening(listeners.length, datagrams.length);
  return {
    core,
    loop,
    ports: portsOf(listeners),
    memoryFile,
    run: async () => {
      await loop.run();
      return 0;
    },
    stop: () => loop.stop(),
    close: async () => loop.destroy(),
  };
}

async function startThreads(
  options: MemcachedOptions,
  arena: Arena,
  memoryFile: MemoryFile | null,
): Promise<MemcachedServer> {
  const { settings } = options;
  const { core, loop, wakeBackground } = makeDispatcher(settings, arena);
  memoryFile?.restore(core);
  if (settings.verbose > 1) printClasses(core);
  const threads = await WorkerThreads.start(arena, core, loop);
  threads.onFailure = () => loop.stop();
  const limit = new ConnectionLimit(core, loop);
  const datagrams: { fd: number; close(): void }[] = [];
  const close = async (): Promise<void> => {
    loop.closeListeners();
    await threads.stop();
    for (const socket of datagrams) socket.close();
    loop.destroy();
  };
  let listeners: PlacedListener[];
  try {
    const bound: BoundPort[] = [];
    listeners = await listen(core, loop, options, bound);
    datagrams.push(...(await listenUdp(options, bound, async (host, port) => loop.bindUdp!(host, port))));
    if (settings.socketPath === null) writePortFile(bound, log);
  } catch (error) {
    await close();
    throw error;
  }
  limit.listening(listeners.length, datagrams.length * settings.threads);
  // Nobody is accepted before the loop runs.
  threads.dispatch(limit, listeners);
  for (const [id, { fd }] of datagrams.entries()) threads.shareDatagrams(fd, id);
  loop.onWake = () => {
    threads.receive(core);
    wakeBackground();
  };
  return {
    core,
    loop,
    ports: portsOf(listeners),
    memoryFile,
    run: async () => {
      if (threads.failure === null) await loop.run();
      return threads.failure === null ? 0 : EX_SOFTWARE;
    },
    stop: () => loop.stop(),
    close,
  };
}

function makeDispatcher(settings: Settings, arena: Arena): MemcachedThread {
  return makeThread({
    arena,
    settings,
    placement: { role: 'dispatcher', threads: settings.threads },
    eventLoop: 'epoll',
    maxConnections: settings.maxConns,
    hooks: { onShutdown: signalShutdown },
  });
}

function portsOf(listeners: readonly PlacedListener[]): number[] {
  return listeners.map(({ listener }) => listener.port);
}

/** What -vv and -vvv show before the server listens. */
function printClasses(core: Core): void {
  const { chunkSize, chunksPerPage, largestClass } = core.items.slabs;
  for (let id = 1; id <= largestClass; id++) {
    const size = String(chunkSize[id]).padStart(9);
    log(`slab class ${String(id).padStart(3)}: chunk size ${size} perslab ${String(chunksPerPage[id]).padStart(7)}`);
  }
  const { verbose, lruCrawler, lruMaintainer } = core.settings;
  if (verbose > 2 && lruCrawler) log('Starting LRU crawler background thread');
  if (verbose > 2 && lruMaintainer) log('Starting LRU maintainer background thread');
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
  for (const warning of options.warnings) log(warning);
  if (options.show !== null) {
    process.stdout.write({ help: HELP_TEXT, license: LICENSE_TEXT, version: VERSION_TEXT }[options.show]);
    return 0;
  }
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
  // As daemon(3) does it: a folder that the server was started in is not kept busy, and relative paths begin at the root.
  if (options.daemonize && !options.staysInFolder) process.chdir('/');
  return serve(options);
}

async function serve(options: MemcachedOptions): Promise<number> {
  let server: MemcachedServer;
  try {
    // While it may still be raised.
    allowConnections(options.settings);
    becomeUser(options.user);
    server = await startMemcachedServer(options);
  } catch (error) {
    if (!(error instanceof OptionError)) throw error;
    log(error.message);
    daemonReady(error.message);
    return error.exitCode;
  }
  if (options.pidFile !== null) {
    writeMemcachedPidFile(options.pidFile, log);
  }
  followPasswordFile(server.core, server.loop, log);
  let isGraceful = false;
  const unlisten = listenForShutdown({
    isGracefulBySignal: true,
    onHangUp: () => rereadPasswords(server.core, log),
    onSignal: (signal) => {
      if (signal === 'SIGUSR1') log('Gracefully stopping');
      else if (server.core.settings.verbose > 0) log('Exiting normally');
      isGraceful = signal === 'SIGUSR1';
      server.stop();
    },
  });
  daemonReady();
  let exitCode = 0;
  try {
    exitCode = await server.run();
  } finally {
    await server.close();
    unlisten();
    if (options.pidFile !== null && options.daemonize) removePidFile(options.pidFile);
  }
  if (exitCode !== 0) return exitCode;
  return finishMemcached(server.core, { isGraceful, memoryFile: server.memoryFile, verify: options.verifyOnExit, log });
}
