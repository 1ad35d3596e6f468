/**
 * A running Redis-like server: core, loop, clock, memory, disk and log put together. Nothing here knows a command; nothing in the core
 * knows a socket.
 */
import { randomBytes } from 'node:crypto';
import { rmSync, statSync } from 'node:fs';
import { release, totalmem } from 'node:os';
import { resolve } from 'node:path';
import { createRandom } from '../base/random.ts';
import { ArenaMapping } from '../io/arena-mapping.ts';
import { createEventLoop } from '../io/create-event-loop.ts';
import type { EventLoop } from '../io/event-loop.ts';
import { nowUs } from '../io/now.ts';
import { addressOf, disableHugePages, purgePages, raiseFileLimit } from '../io/system.ts';
import { createLuaInterpreter } from '../lua/interpreter.ts';
import { createArena, makeBuffer } from '../memory/arena.ts';
import { createJemalloc, type Jemalloc } from '../memory/jemalloc.ts';
import { loadUsersAtStart } from '../redis/acl/store.ts';
import { type AdminHost, adminOf, attachAdmin } from '../redis/admin.ts';
import { clientsCron } from '../redis/client-limits.ts';
import { noShutdownOptions, prepareShutdown } from '../redis/commands/persistence.ts';
import type { RedisConfig } from '../redis/config.ts';
import { ConfigFileError, inertNotices } from '../redis/config-file.ts';
import type { SettingAppliers } from '../redis/config-set.ts';
import { startEviction } from '../redis/evict.ts';
import { LOG_NOTICE, LOG_WARNING } from '../redis/log-levels.ts';
import { createRedisCore, type RedisCore } from '../redis/redis-core.ts';
import { createCommandTable } from '../redis/registry.ts';
import { attachScripting } from '../redis/scripting/scripting.ts';
import { daemonReady, isDaemon, startDaemon } from './daemon.ts';
import { ThreadSyncer } from './file-syncer.ts';
import { createLocalDisk } from './local-disk.ts';
import { checkLogFile, createLogFile } from './log-file.ts';
import { bytesOfName, nativeName } from './native-names.ts';
import { removePidFile, writePidFile } from './pid-file.ts';
import {
  ConfigFileMissing,
  configErrorText,
  NO_DEFRAG,
  OptionError,
  type RedisStart,
  readCommandLine,
  systemText,
} from './redis-conf.ts';
import { ListenError, listenEverywhere, protectClients, refusesBeyondLoopback } from './redis-listeners.ts';
import { RedisLog } from './redis-log.ts';
import { logoText, wantsLogo } from './redis-logo.ts';
import { allocatorReport } from './redis-malloc-report.ts';
import { tlsAppliers } from './redis-tls.ts';
import { listenForShutdown } from './signals.ts';
import { ThreadSnapshots } from './thread-snapshots.ts';

/** Descriptors that the server needs beside its clients: listeners, log, epoll and so on. */
const RESERVED_FILES = 32;
const MIN_HZ = 1;
const MAX_HZ = 500;
/** The loop's tables are made for at least so many clients, so that maxclients may be raised to it at run time. */
const MIN_LOOP_CLIENTS = 10_000;
const PID_FILE_DEFAULT = '/var/run/redis.pid';

/** A server that listens. */
export interface RunningServer {
  readonly core: RedisCore;
  readonly loop: EventLoop;
  readonly allocator: Jemalloc;
  /** TCP port, 0: none. */
  readonly port: number;
  /** Resolves with the exit code when the server has ended and given back sockets and files. */
  readonly ended: Promise<number>;
  /** Asks it to end. */
  stop(): void;
}

/** The server cannot start; the log has said why. */
export class StartError extends Error {}

function createHost(
  loop: EventLoop,
  allocator: Jemalloc,
  appliers: SettingAppliers,
  stop: (code: number) => void,
): AdminHost {
  return {
    processFigures() {
      const { user, system } = process.cpuUsage();
      return {
        residentBytes: process.memoryUsage.rss(),
        cpuUserSeconds: user / 1e6,
        cpuSystemSeconds: system / 1e6,
        cpuUserMainSeconds: user / 1e6,
        cpuSystemMainSeconds: system / 1e6,
      };
    },
    allocatorFigures: () => allocator.stats(),
    trafficFigures: () => loop.counters,
    allocatorReport: () => allocatorReport(allocator),
    purgeMemory: () => allocator.purgeAll(),
    totalMemoryBytes: totalmem(),
    allocatorName: allocator.table.name === 'upstream' ? 'jemalloc-5.2.1' : 'jemalloc-5.3.0',
    monotonicClockName: 'POSIX clock_gettime',
    sleepUs(us) {
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, us / 1000);
    },
    shutdown: stop,
    secretHex: (digits) =>
      randomBytes(Math.ceil(digits / 2))
        .toString('hex')
        .slice(0, digits),
    changeFolder(path) {
      try {
        process.chdir(nativeName(path));
        return null;
      } catch (error) {
        return systemText(error);
      }
    },
    appliers,
  };
}

function limitHz(config: RedisConfig): null {
  config.hz = Math.min(MAX_HZ, Math.max(MIN_HZ, config.hz));
  return null;
}

/** What changes outside the core when a setting changes at run time. */
function createAppliers(
  start: RedisStart,
  log: RedisLog,
  mostClients: number,
  core: () => RedisCore,
  loop: EventLoop,
): SettingAppliers {
  const fixedPort = start.config.port;
  const fixedTlsPort = start.config.tlsPort;
  const fixedBind = start.config.bind.join(' ');
  return new Map([
    ...tlsAppliers(loop, start.config, (level, text) => log.write(level, text)),
    ['hz', limitHz],
    [
      'loglevel',
      (config: RedisConfig) => {
        log.level = config.loglevel;
        return null;
      },
    ],
    [
      'maxclients',
      (config: RedisConfig) =>
        config.maxclients > mostClients
          ? `The operating system is not able to handle the specified number of clients, try with ${mostClients}`
          : null,
    ],
    [
      'maxmemory',
      (config: RedisConfig) => {
        const used = core().allocator.usedBytes;
        if (config.maxmemory !== 0 && config.maxmemory < used) {
          log.write(
            LOG_WARNING,
            `WARNING: the new maxmemory value set via CONFIG SET (${config.maxmemory}) is smaller than the current memory usage ` +
              `(${used}). Keys will be evicted or writes refused, depending on maxmemory-policy.`,
          );
        }
        startEviction(core());
        return null;
      },
    ],
    [
      'dir',
      (config: RedisConfig) => {
        // A core with a folder of its own shares its process with others.
        const shared = start.engine.dataFolder !== undefined;
        try {
          const folder = shared ? resolve(core().persistence.folder, config.dir) : config.dir;
          if (!statSync(nativeName(folder)).isDirectory()) return 'Not a directory';
          if (shared) core().persistence.folder = folder;
          else process.chdir(nativeName(folder));
          config.dir = shared ? folder : bytesOfName(process.cwd());
          return null;
        } catch (error) {
          return systemText(error);
        }
      },
    ],
    [
      'appendonly',
      (config: RedisConfig) =>
        core().persistence.setAppendOnly(config.appendonly) ? null : 'Unable to turn on AOF. Check server logs.',
    ],
    [
      'proc-title-template',
      (config: RedisConfig) => {
        // The title of a process that others share is not ours to change.
        if (start.engine.dataFolder === undefined) showTitle(config, start.configFile, config.port);
        return null;
      },
    ],
    [
      'port',
      (config: RedisConfig) =>
        config.port === fixedPort ? null : 'Unable to listen on this port. It cannot be changed while the server runs.',
    ],
    [
      'bind',
      (config: RedisConfig) => (config.bind.join(' ') === fixedBind ? null : 'Failed to bind to specified addresses.'),
    ],
    [
      'tls-port',
      (config: RedisConfig) =>
        config.tlsPort === fixedTlsPort
          ? null
          : 'Unable to listen on this port. It cannot be changed while the server runs.',
    ],
    ['activedefrag', (config: RedisConfig) => (config.activedefrag && !core().allocator.canDefrag ? NO_DEFRAG : null)],
  ] as const);
}

function announceMode(config: RedisConfig, log: RedisLog, port: number): void {
  if (wantsLogo(config)) log.writeRaw(LOG_NOTICE, logoText(port));
  else log.write(LOG_NOTICE, `Running mode=standalone, port=${port}.`);
}

/** Fills the process title's template. */
function processTitle(config: RedisConfig, configFile: string, port: number): string {
  const shown = port !== 0 ? port : config.tlsPort;
  const address = shown !== 0 ? `${config.bind[0] ?? '*'}:${shown}` : config.unixsocket;
  const values: Record<string, string> = {
    title: 'cachelab-redis',
    'listen-addr': address,
    'server-mode': '',
    port: String(port),
    'tls-port': String(config.tlsPort),
    unixsocket: config.unixsocket,
    'config-file': configFile,
  };
  return config.procTitleTemplate.replace(/\{([^}]*)\}/g, (_, name: string) => values[name] ?? '').trimEnd();
}

function showTitle(config: RedisConfig, configFile: string, port: number): void {
  process.title = nativeName(processTitle(config, configFile, port));
}

/**
 * Loads what the last run saved. A load that takes long lets the loop turn after each step: clients are told that it is under way.
 * @param running ends when the loop does
 * @returns false when the server was told to stop meanwhile
 * @throws StartError when there is a file that cannot be loaded: no data is better than half of it
 */
async function loadData(core: RedisCore, loop: EventLoop, log: RedisLog, run: () => Promise<void>): Promise<boolean> {
  const startUs = nowUs();
  const steps = core.persistence.loadingAtStart();
  let turning: Promise<void> | null = null;
  try {
    let step = steps.next();
    if (step.done !== true) {
      let ended = false;
      const admin = adminOf(core);
      const loaded = new Promise<void>((resolve, reject) => {
        loop.addTimer(0, () => {
          if (ended) return -1;
          core.loadingCron();
          admin.cron();
          try {
            step = steps.next();
          } catch (error) {
            reject(error);
            return -1;
          }
          if (step.done !== true) return 0;
          resolve();
          return -1;
        });
      });
      turning = run();
      await Promise.race([loaded, turning]);
      ended = true;
    }
    if (step.done !== true) {
      steps.return(false);
      return false;
    }
    if (!step.value) return true;
  } catch (error) {
    if (turning !== null) {
      loop.stop();
      await turning;
    }
    loop.destroy();
    const reason = error instanceof Error ? error.message : String(error);
    log.write(LOG_WARNING, `Fatal error loading the DB: ${reason}. Exiting.`);
    throw new StartError(reason);
  }
  const from = core.config.appendonly ? 'append only file' : 'disk';
  log.write(LOG_NOTICE, `DB loaded from ${from}: ${((nowUs() - startUs) / 1e6).toFixed(3)} seconds`);
  return true;
}

/** What runs besides commands, once the data are there. */
function startWork(core: RedisCore, loop: EventLoop, allocator: Jemalloc): void {
  loop.addTimer(1, () => core.cron());
  let backgroundRuns = false;
  core.hooks.backgroundWork = () => {
    if (backgroundRuns) return;
    backgroundRuns = true;
    loop.addTimer(1, () => {
      const delayMs = core.background();
      backgroundRuns = delayMs >= 0;
      return delayMs;
    });
  };
  core.defrag.figures = () => allocator.stats();
  core.hooks.purgeMemory = () => allocator.purgeAll();
}

/**
 * Starts a server in this process.
 * @throws StartError when it cannot listen (the log has the reason)
 */
export async function startRedisServer(
  start: RedisStart,
  log: RedisLog,
  beforeReady: (core: RedisCore, stop: (code: number) => void) => void = () => {},
): Promise<RunningServer> {
  const { config, engine } = start;
  limitHz(config);
  log.level = config.loglevel;
  if (config.disableThp) disableHugePages();
  const files = raiseFileLimit(config.maxclients + RESERVED_FILES);
  if (files < config.maxclients + RESERVED_FILES) {
    const possible = Math.max(1, files - RESERVED_FILES);
    log.write(
      LOG_WARNING,
      `You requested maxclients of ${config.maxclients} requiring at least ${config.maxclients + RESERVED_FILES} max file ` +
        `descriptors. Only ${files} are available: maxclients has been reduced to ${possible}.`,
    );
    config.maxclients = possible;
  }
  const bytes = makeBuffer(engine.arenaBytes ?? undefined);
  // With a memory file under it the arena can be frozen for snapshots.
  const mapping = ArenaMapping.create(bytes.buffer);
  const memory = createArena({
    bytes,
    addressOf,
    purge: (address, bytes) => (mapping === null ? purgePages(address, bytes) : mapping.purge(address, bytes)),
  });
  const clock = { wallMs: () => Date.now(), monoUs: nowUs };
  const allocator = createJemalloc(memory, { classes: engine.allocator, clock });
  const mostClients = Math.max(config.maxclients, Math.min(MIN_LOOP_CLIENTS, files - RESERVED_FILES));
  // TLS is Node's, and so must the sockets be.
  const needsTls = config.tlsPort !== 0 && engine.eventLoop === 'auto';
  if (needsTls) log.write(LOG_NOTICE, 'The event loop is libuv, as tls-port is set: TLS needs its sockets.');
  const loop = createEventLoop(needsTls ? 'libuv' : engine.eventLoop, allocator, { maxConnections: mostClients });
  const core = createRedisCore({
    allocator,
    transport: loop,
    clock,
    random: createRandom(randomBytes(16).toString('hex')),
    disk: createLocalDisk(),
    config,
    commands: createCommandTable(start.loaded.renames),
    log: (level, text) => log.write(level, text),
    host: {
      pid: process.pid,
      tcpPort: config.port,
      eventLoop: loop.name,
      executable: process.argv[1] ?? process.execPath,
      configFile: start.configFile,
      os: `Linux ${release()} ${process.arch === 'x64' ? 'x86_64' : process.arch}`,
    },
  });
  loop.setHandler(core);
  log.role = 'M';
  log.write(LOG_NOTICE, 'monotonic clock: POSIX clock_gettime');
  for (const notice of inertNotices(config, start.loaded)) log.write(LOG_WARNING, notice);
  let exitCode = 0;
  const stop = (code: number): void => {
    exitCode = code;
    loop.stop();
  };
  const appliers = createAppliers(start, log, mostClients, () => core, loop);
  attachScripting(core, createLuaInterpreter);
  core.hooks.processEventsWhileBlocked = loop.serveInside === undefined ? null : () => loop.serveInside!();
  const admin = attachAdmin(core, createHost(loop, allocator, appliers, stop));
  core.hooks.cron.push(() => {
    allocator.tick();
    clientsCron(core);
  });
  const userErrors = loadUsersAtStart(core, start.loaded.users);
  if (userErrors !== null) {
    for (const error of userErrors) log.write(LOG_WARNING, error);
    loop.destroy();
    throw new StartError(userErrors[0]);
  }
  const refusal = refusesBeyondLoopback(config, core.acl.defaultUser.noPassword);
  if (refusal !== null) {
    log.write(LOG_WARNING, refusal);
    loop.destroy();
    throw new StartError(refusal);
  }
  protectClients(core);
  loop.onRefused = () => {
    core.stats.rejectedConnections++;
    return Buffer.from('-ERR max number of clients reached\r\n');
  };
  const snapshots = mapping === null ? null : new ThreadSnapshots(memory, mapping);
  core.persistence.folder = bytesOfName(engine.dataFolder ?? '.');
  core.persistence.snapshots = snapshots;
  const syncer = new ThreadSyncer();
  if (config.appendonly && config.appendfsync === 'everysec') syncer.start();
  core.persistence.aof.sync.syncer = syncer;
  core.persistence.aof.sync.fatal = (text) => {
    log.write(LOG_WARNING, text);
    process.exit(1);
  };
  let port: number;
  try {
    port = await listenEverywhere(loop, config, (level, text) => log.write(level, text));
  } catch (error) {
    loop.destroy();
    if (error instanceof ListenError) throw new StartError(error.message);
    throw error;
  }
  if (config.setProcTitle) showTitle(config, start.configFile, port);
  announceMode(config, log, port !== 0 ? port : config.tlsPort);
  log.write(LOG_WARNING, 'Server initialized');
  admin.startupMemory = allocator.usedBytes;
  // Whoever waits for the next line may look for the pid file or send a signal at once.
  beforeReady(core, stop);
  let running: Promise<void> | null = null;
  const run = (): Promise<void> => {
    running ??= loop.run();
    return running;
  };
  if (await loadData(core, loop, log, run)) {
    startWork(core, loop, allocator);
    if (port !== 0 || config.tlsPort !== 0) log.write(LOG_NOTICE, 'Ready to accept connections');
    if (config.unixsocket !== '') {
      log.write(LOG_NOTICE, `The server is now ready to accept connections at ${config.unixsocket}`);
    }
  }
  const ended = run().then(async () => {
    await snapshots?.close();
    await syncer.close();
    loop.destroy();
    mapping?.close();
    return exitCode;
  });
  const stopOrderly = (): void => {
    if (prepareShutdown(core, noShutdownOptions)) stop(0);
  };
  return { core, loop, allocator, port, ended, stop: stopOrderly };
}

const usage = `Usage: cachelab serve redis [/path/to/redis.conf] [options] [-]
       cachelab serve redis - (read the configuration from standard input)
       cachelab serve redis -v or --version
       cachelab serve redis -h or --help

Any directive of redis.conf can be given as an option: --port 7777 --maxmemory 100mb --save "".

Options of this engine alone:
       --event-loop epoll|libuv|auto   how sockets are served (default: auto)
       --allocator debian|upstream     size classes of which build (default: debian)
       --arena-bytes BYTES             memory for data, a multiple of 4096 (default: 4 GiB)
`;

function readStart(argv: readonly string[], log: RedisLog): RedisStart | number {
  try {
    return readCommandLine(argv, () => log.write(LOG_WARNING, 'Reading config from stdin'));
  } catch (error) {
    if (error instanceof ConfigFileError) {
      process.stderr.write(configErrorText(error));
      daemonReady(error.message);
    } else if (error instanceof ConfigFileMissing) {
      log.write(LOG_WARNING, error.message);
      daemonReady(error.message);
    } else if (error instanceof OptionError) {
      process.stderr.write(`${error.message}\n`);
    } else {
      throw error;
    }
    return 1;
  }
}

/** The log file if it can be opened. */
function openLog(path: string): RedisLog | null {
  try {
    checkLogFile(path);
    return new RedisLog(createLogFile(path));
  } catch (error) {
    process.stderr.write(
      `\n*** FATAL CONFIG FILE ERROR (Redis 7.0.15) ***\nCan't open the log file: ${systemText(error)}\n`,
    );
    return null;
  }
}

/**
 * The server as a program: reads the command line, serves until it is told to end, and gives the exit code. The process that
 * called it is the server (unless `daemonize yes`).
 * @param argv the original's command line without the program's name
 */
export async function runRedisServer(argv: readonly string[]): Promise<number> {
  if (argv[0] === '-v' || argv[0] === '--version') {
    process.stdout.write('Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64 build=cachelab\n');
    return 0;
  }
  if (argv[0] === '-h' || argv[0] === '--help') {
    process.stdout.write(usage);
    return 0;
  }
  const start = readStart(argv, new RedisLog(createLogFile('')));
  if (typeof start === 'number') return start;
  const { config } = start;
  if (config.daemonize && !isDaemon()) {
    const { error } = await startDaemon();
    if (error !== null) process.stderr.write(`Cannot start in the background: ${error}\n`);
    return error === null ? 0 : 1;
  }
  const log = openLog(nativeName(config.logfile));
  if (log === null) {
    daemonReady("can't open the log file");
    return 1;
  }
  log.level = config.loglevel;
  log.write(LOG_WARNING, 'oO0OoO0OoO0Oo Redis is starting oO0OoO0OoO0Oo');
  log.write(
    LOG_WARNING,
    `Redis version=7.0.15, bits=64, commit=00000000, modified=0, pid=${process.pid}, just started`,
  );
  if (argv.length === 0) {
    log.write(LOG_WARNING, 'Warning: no config file specified, using the default config.');
  } else {
    log.write(LOG_WARNING, 'Configuration loaded');
  }
  const pidFile = config.pidfile !== '' ? nativeName(config.pidfile) : config.daemonize ? PID_FILE_DEFAULT : '';
  let forget = () => {};
  let server: RunningServer;
  try {
    server = await startRedisServer(start, log, (core, stop) => {
      forget = makeKnown(pidFile, log, core, stop);
    });
  } catch (error) {
    if (!(error instanceof StartError)) throw error;
    daemonReady(error.message);
    return 1;
  }
  return serveUntilEnd(server, config, pidFile, log, forget);
}

/** Writes the pid file and listens for signals. @returns what ends the listening */
function makeKnown(pidFile: string, log: RedisLog, core: RedisCore, stop: (code: number) => void): () => void {
  if (pidFile !== '') {
    const error = writePidFile(pidFile);
    if (error !== null) log.write(LOG_NOTICE, error);
  }
  let ending = false;
  return listenForShutdown({
    onSignal(signal) {
      const { loading } = core.persistence;
      log.writeFromSignal(
        loading
          ? 'Received shutdown signal during loading, scheduling shutdown.'
          : `Received ${signal} scheduling shutdown...`,
      );
      const { shutdownOnSigint, shutdownOnSigterm } = core.config;
      const words = signal === 'SIGINT' ? shutdownOnSigint : shutdownOnSigterm;
      const end = (): void => {
        log.write(LOG_WARNING, 'User requested shutdown...');
        ending = prepareShutdown(core, {
          save: words.includes('save'),
          noSave: words.includes('nosave'),
          force: words.includes('force'),
        });
        if (ending) stop(0);
      };
      // While data are loaded no cron runs.
      if (loading) end();
      else core.scheduledShutdown = end;
    },
    isEnding: () => ending || core.scheduledShutdown !== null,
    onInsist: () => {
      log.writeFromSignal('You insist... exiting now.');
      if (pidFile !== '') removePidFile(pidFile);
    },
  });
}

async function serveUntilEnd(
  server: RunningServer,
  config: RedisConfig,
  pidFile: string,
  log: RedisLog,
  forget: () => void,
): Promise<number> {
  daemonReady();
  const code = await server.ended;
  forget();
  if (pidFile !== '') {
    log.write(LOG_NOTICE, 'Removing the pid file.');
    removePidFile(pidFile);
  }
  if (config.unixsocket !== '') {
    log.write(LOG_NOTICE, 'Removing the unix socket file.');
    rmSync(nativeName(config.unixsocket), { force: true });
  }
  log.write(LOG_WARNING, 'Redis is now ready to exit, bye bye...');
  return code;
}
