/**
 * The Redis-like core: everything of the server that is not a socket, a file or a clock. A loop calls it as its
 * ConnectionHandler; composition code calls `cron` at the rate that it asks for.
 */
import type { Allocator, Clock, ConnectionHandler, Disk, Random, Transport } from '../ports.ts';
import { LFU_INIT_VALUE, LRU_CLOCK_MAX, lfuTimeInMinutes } from './access.ts';
import { Acl } from './acl/acl.ts';
import { useDefaultUser } from './acl/sessions.ts';
import { BlockedClients, endTimedOutWaits, forgetBlocked, serveReadyKeys } from './blocked.ts';
import { CLIENT_CLOSE_AFTER_REPLY, CLIENT_CLOSE_ASAP, CLIENT_PAUSED, Client } from './client.ts';
import { ClientEviction } from './client-eviction.ts';
import { closeClientMemory, noteClientInput, noteClientOutput, openClientMemory } from './client-memory.ts';
import type { Command, CommandTable } from './command.ts';
import { POLICY_FLAG_LFU, POLICY_FLAG_NO_SHARED_INTEGERS, type RedisConfig } from './config.ts';
import { databasesCron } from './databases-cron.ts';
import { Db } from './db.ts';
import { DebugKnobs } from './debug-knobs.ts';
import { Defrag } from './defrag.ts';
import { Effects } from './effects.ts';
import { EVICT_RUNNING, EvictionPool, performEvictions } from './evict.ts';
import { activeExpireCycle, ExpireState } from './expire.ts';
import { LatencyMonitor } from './latency-monitor.ts';
import { LazyFree } from './lazyfree.ts';
import { Lookahead } from './lookahead.ts';
import { stopMonitoring } from './monitor.ts';
import { Persistence } from './persistence/persistence.ts';
import { onDirectRead, processInput, runPendingCommand } from './protocol/request.ts';
import { Scratch } from './protocol/scratch.ts';
import type { Scripting } from './scripting/scripting.ts';
import { Stats } from './stats.ts';
import { Heap } from './structures/heap.ts';
import { createSharedIntegers, decrRefCount } from './structures/robj.ts';
import { Tracking } from './tracking.ts';
import { discardTransaction } from './transactions.ts';
import { objectTypes } from './types/index.ts';
import { WatchedKeys } from './watched-keys.ts';

/** With dynamic-hz the cron runs more often when more clients than this per call would have to be looked after. */
const MAX_CLIENTS_PER_CRON = 200;
const MAX_HZ = 500;
/** Argument slots kept from one EXEC to the next. */
const EXEC_KEPT_SLOTS = 1_024;

/** Facts about the process that a core cannot learn by itself. */
export interface HostFacts {
  readonly pid: number;
  readonly tcpPort: number;
  /** Name of the event loop, for INFO. */
  readonly eventLoop: string;
  readonly executable: string;
  readonly configFile: string;
  /** As uname reports it: "Linux 6.1.0 x86_64". */
  readonly os: string;
}

export interface RedisCoreOptions {
  allocator: Allocator;
  transport: Transport;
  clock: Clock;
  random: Random;
  /** Absent where there is no disk (a simulation). */
  disk?: Disk | null;
  config: RedisConfig;
  commands: CommandTable;
  log: (level: number, text: string) => void;
  host: HostFacts;
}

/** Where other parts of the server hook in. All may be empty. */
export interface CoreHooks {
  /** A client has connected and may be refused: write the reason and close it. */
  clientOpened: ((c: Client) => void)[];
  /** A client is gone; forget it. */
  clientClosed: ((c: Client) => void)[];
  /** Runs hz times a second, `loops` counting the calls. */
  cron: ((loops: number) => void)[];
  /** Runs once a turn before replies leave. */
  beforeSleep: (() => void)[];
  /** A command took longer than slowlog-log-slower-than. */
  slowCommand: ((c: Client, command: Command, durationUs: number) => void)[];
  /** Something is to be done bit by bit: calls of `background` are wanted. Composition code sets it. */
  backgroundWork: (() => void) | null;
  /** Gives unused pages back to the system. */
  purgeMemory: (() => void) | null;
  /** An event that notify-keyspace-events asks for. */
  keyspaceEvent: ((event: string, offset: number, length: number, db: number) => void) | null;
  /**
   * Serves other clients once while a script runs too long; false: the server is to stop. Null where the loop cannot. Composition code
   * sets it.
   */
  processEventsWhileBlocked: (() => boolean) | null;
  /** The server was asked to stop (SHUTDOWN); composition code sets it. */
  shutdown: ((flags: number) => void) | null;
}

export class RedisCore implements ConnectionHandler {
  readonly heap: Heap;
  readonly allocator: Allocator;
  readonly transport: Transport;
  readonly clock: Clock;
  readonly random: Random;
  readonly disk: Disk | null;
  readonly config: RedisConfig;
  readonly commands: CommandTable;
  readonly log: (level: number, text: string) => void;
  readonly host: HostFacts;
  readonly hooks: CoreHooks = {
    clientOpened: [],
    clientClosed: [],
    cron: [],
    beforeSleep: [],
    slowCommand: [],
    backgroundWork: null,
    purgeMemory: null,
    keyspaceEvent: null,
    processEventsWhileBlocked: null,
    shutdown: null,
  };
  readonly stats = new Stats();
  readonly blocked = new BlockedClients();
  readonly acl = new Acl();
  readonly clientEviction = new ClientEviction();
  readonly lazyFree = new LazyFree();
  readonly defrag = new Defrag();
  readonly dbs: Db[] = [];
  /** By connection slot; null where there is none. */
  readonly clients: (Client | null)[] = [];
  readonly clientsById = new Map<number, Client>();
  clientCount = 0;
  /** Id of the next client. */
  nextClientId = 1;
  readonly scratch: Scratch;
  readonly expireState = new ExpireState();
  readonly evictionPool: EvictionPool;
  readonly lookahead = new Lookahead();
  readonly persistence: Persistence;
  readonly effects: Effects;
  readonly watched: WatchedKeys;
  readonly tracking: Tracking;
  readonly latency = new LatencyMonitor(this);
  /** Number of error replies by their first word, for errorstats. */
  readonly errorStats = new Map<string, number>();

  /** Wall-clock time of the present command in ms since the epoch. */
  nowMs = 0;
  /** The same in whole seconds. */
  unixtime = 0;
  /** When a request that looked like a browser's was last logged, in seconds. */
  webRequestLoggedAt = Number.NEGATIVE_INFINITY;
  /** Seconds modulo 2^24, refreshed by cron: the clock of LRU. */
  lruClock = 0;
  /** Monotonic time in µs at the start of the present command. */
  commandStartUs = 0;
  /** Wall-clock and monotonic time at the start of this batch of input; time within it is derived from the latter. */
  private batchWallMs = 0;
  private batchMonoUs = 0;
  readonly startedUnixtime: number;
  readonly startedMonoUs: number;
  /** Calls of cron so far. */
  cronLoops = 0;
  /** The rate in use; above config.hz with many clients and dynamic-hz. */
  hz: number;
  /** Changes to the data since the last save. */
  dirty = 0;
  /** DEBUG SET-ACTIVE-EXPIRE. */
  activeExpireEnabled = true;
  /** A signal asked for an end, which comes with the next turn of the cron unless SHUTDOWN ABORT is faster. Calling it ends or goes on. */
  scheduledShutdown: (() => void) | null = null;
  /** What DEBUG changes for the sake of tests. */
  readonly debug = new DebugKnobs();
  /** CLIENT PAUSE: until when (ms since the epoch, 0: not) and whether all commands or writes only are held back. */
  pauseUntilMs = 0;
  pauseAll = false;
  /** Clients that are held back, in the order in which they will go on. */
  pausedClients: Client[] = [];
  /** Copies of settings that every command looks at: see applyConfig. */
  maxmemory = 0;
  latencyTracking = true;
  slowlogLogSlowerThan = -1;
  /** latency-monitor-threshold in µs, Infinity while it is 0. */
  latencyThresholdUs = Number.POSITIVE_INFINITY;
  /** enable-debug-command. */
  protectedCommands = 'no';
  /** notify-keyspace-events: NOTIFY_ bits. */
  notifyFlags = 0;
  /** Where eviction by chance and the cron's rehashing go on. */
  nextEvictionDb = 0;
  /** Slot of the client whose buffers the cron looked at last. */
  nextCronClient = 0;
  nextRehashDb = 0;
  /** Eviction ran out of time and goes on with the next turn. */
  evictionRunning = false;
  /** Errors counted so far in the present command. */
  errorsInCommand = 0;
  /** Whether commands run now; false while a cron or a turn's end works. */
  executing = false;
  /** Whose input is being processed; null outside. */
  currentClient: Client | null = null;
  /** EXEC is running what was queued. */
  inExec = false;
  /** Clients that are shown every command. */
  readonly monitors: Client[] = [];
  /** Commands that run inside another one (EXEC, a script): 0 in an ordinary command. */
  nesting = 0;
  /** Argument slots that queued commands use while EXEC runs them. */
  execArgOff: Uint32Array = new Uint32Array(8);
  execArgLen: Uint32Array = new Uint32Array(8);
  /** Eviction could not make room before the present command. */
  outOfMemory = false;
  /** Set by attachScripting right after the core is made; null: there are no scripts. */
  scripting: Scripting | null = null;
  /** Number of those who want to hear of every changed key: watched keys, clients that track. 0: a change costs one comparison. */
  keyListeners = 0;

  constructor(options: RedisCoreOptions) {
    this.allocator = options.allocator;
    this.transport = options.transport;
    this.clock = options.clock;
    this.random = options.random;
    this.disk = options.disk ?? null;
    this.config = options.config;
    this.commands = options.commands;
    this.log = options.log;
    this.host = options.host;
    this.heap = new Heap(options.allocator, options.random);
    this.heap.types = objectTypes;
    this.scratch = new Scratch(this.heap);
    this.evictionPool = new EvictionPool(this.heap);
    this.watched = new WatchedKeys(this);
    this.tracking = new Tracking(this);
    this.hz = options.config.hz;
    this.refreshTime();
    this.startedUnixtime = this.unixtime;
    this.startedMonoUs = this.batchMonoUs;
    this.applyConfig();
    this.heap.reclaim = () => this.lazyFree.drain(this.heap);
    createSharedIntegers(this.heap);
    this.effects = new Effects(this.heap);
    this.persistence = new Persistence(this);
    for (let id = 0; id < options.config.databases; id++) this.dbs.push(new Db(this.heap, id));
  }

  /** Reads both clocks. */
  refreshTime(): void {
    this.batchWallMs = this.clock.wallMs();
    this.batchMonoUs = this.clock.monoUs();
    this.commandStartUs = this.batchMonoUs;
    this.nowMs = this.batchWallMs;
    this.unixtime = Math.floor(this.nowMs / 1000);
  }

  /** Advances the time of the present command to a monotonic reading, without another system call. */
  advanceTime(monoUs: number): void {
    this.commandStartUs = monoUs;
    const elapsedUs = monoUs - this.batchMonoUs;
    // Most batches end within a millisecond.
    if (elapsedUs < 1000) return;
    this.nowMs = this.batchWallMs + Math.floor(elapsedUs / 1000);
    this.unixtime = Math.floor(this.nowMs / 1000);
  }

  /** Goes back to the time of a command that others have interrupted: it must not see time pass. */
  restoreTime(nowMs: number, unixtime: number, commandStartUs: number): void {
    this.nowMs = nowMs;
    this.unixtime = unixtime;
    this.commandStartUs = commandStartUs;
  }

  /** Takes over settings that are copied for speed. Call it after every change of the configuration. */
  applyConfig(): void {
    this.maxmemory = this.config.maxmemory;
    this.heap.maxmemory = this.maxmemory;
    this.clientEviction.applyConfig(this);
    this.defrag.configurationChanged = true;
    this.notifyFlags = this.config.notifyKeyspaceEvents;
    this.latencyTracking = this.config.latencyTracking;
    this.slowlogLogSlowerThan = this.config.slowlogLogSlowerThan;
    const threshold = this.config.latencyMonitorThreshold;
    this.latencyThresholdUs = threshold === 0 ? Number.POSITIVE_INFINITY : threshold * 1000;
    this.protectedCommands = this.config.enableDebugCommand;
    this.heap.limits.copyFrom(this.config);
    this.acl.configure(this.config.requirepass, this.config.aclPubsubDefault);
    this.updateLruClock();
  }

  /** Sets the LRU clock and what new objects get in their access field. Also after a change of the policy. */
  updateLruClock(): void {
    this.lruClock = Math.floor(this.nowMs / 1000) & LRU_CLOCK_MAX;
    const policy = this.config.maxmemoryPolicy;
    const lfu = (policy & POLICY_FLAG_LFU) !== 0;
    this.heap.newObjectLru = lfu ? (lfuTimeInMinutes(this.nowMs) << 8) | LFU_INIT_VALUE : this.lruClock;
    this.heap.mayShareIntegers = this.config.maxmemory === 0 || (policy & POLICY_FLAG_NO_SHARED_INTEGERS) === 0;
  }

  onOpen(conn: number, listener: number): void {
    this.refreshTime();
    const c = new Client(this, conn, listener, this.nextClientId++, this.dbs[0]);
    useDefaultUser(this, c);
    while (this.clients.length <= conn) this.clients.push(null);
    openClientMemory(this, c);
    this.clients[conn] = c;
    this.clientsById.set(c.id, c);
    this.clientCount++;
    this.clientEviction.touch(c);
    this.stats.totalConnectionsReceived++;
    for (const hook of this.hooks.clientOpened) hook(c);
  }

  onInput(conn: number, start: number, end: number): number {
    const c = this.clients[conn];
    if (c === null || c === undefined) return end;
    this.refreshTime();
    c.lastInteraction = this.unixtime;
    this.stats.totalReadsProcessed++;
    noteClientInput(this, c);
    // A script that takes long lets others be served from within: its caller stays the present client afterwards.
    const present = this.currentClient;
    this.currentClient = c;
    c.inputBytes = end - start;
    const next = processInput(this, c, start, end);
    c.inputBytes = 0;
    this.currentClient = present;
    noteClientOutput(this, c);
    this.clientEviction.touch(c);
    return next;
  }

  onDirect(conn: number): void {
    const c = this.clients[conn];
    if (c === null || c === undefined) return;
    this.refreshTime();
    c.lastInteraction = this.unixtime;
    const present = this.currentClient;
    this.currentClient = c;
    onDirectRead(this, c);
    this.currentClient = present;
    noteClientOutput(this, c);
    this.clientEviction.touch(c);
  }

  onClose(conn: number, _reason: number): void {
    const c = this.clients[conn];
    if (c === null || c === undefined) return;
    c.flags |= CLIENT_CLOSE_ASAP;
    forgetBlocked(this, c);
    if ((c.flags & CLIENT_PAUSED) !== 0) this.pausedClients = this.pausedClients.filter((other) => other !== c);
    for (const hook of this.hooks.clientClosed) hook(c);
    discardTransaction(this, c);
    stopMonitoring(this, c);
    this.tracking.disable(c);
    this.clientsById.delete(c.id);
    c.releaseArguments();
    closeClientMemory(this, c);
    this.clientEviction.forget(c);
    this.clients[conn] = null;
    this.clientCount--;
  }

  /** The lease of a lent reply is the object that holds its bytes. */
  onReleased(lease: number): void {
    decrRefCount(this.heap, lease);
  }

  onTurn(): void {
    // Nothing may change data that are still coming, and no log listens yet.
    if (this.persistence.starting) return;
    if (this.activeExpireEnabled) activeExpireCycle(this, true);
    if (this.evictionRunning) this.evictionRunning = performEvictions(this) === EVICT_RUNNING;
    if (this.lazyFree.busy) this.lazyFree.endOfTurn(this);
    if (this.blocked.timed > 0) endTimedOutWaits(this);
    if (this.tracking.totalPrefixes !== 0) this.tracking.broadcast();
    if (this.clientEviction.active) this.clientEviction.endOfTurn(this);
    this.persistence.turn();
    const hooks = this.hooks.beforeSleep;
    for (let i = 0; i < hooks.length; i++) hooks[i]();
  }

  /** The server's periodic work. @returns ms until the next call is due */
  cron(): number {
    this.refreshTime();
    this.hz = this.config.hz;
    if (this.config.dynamicHz) {
      while (this.clientCount / this.hz > MAX_CLIENTS_PER_CRON && this.hz < MAX_HZ) this.hz *= 2;
      if (this.hz > MAX_HZ) this.hz = MAX_HZ;
    }
    if (this.debug.pausesCron) return 1000 / this.hz;
    this.updateLruClock();
    const used = this.allocator.usedBytes;
    if (used > this.stats.peakMemory) this.stats.peakMemory = used;
    if (this.pauseUntilMs !== 0 && this.nowMs >= this.pauseUntilMs) this.unpauseClients();
    const hooks = this.hooks.cron;
    for (let i = 0; i < hooks.length; i++) hooks[i](this.cronLoops);
    this.endIfScheduled();
    databasesCron(this);
    // Commands see to that as well; but the one that lowers the bound may be the last for long.
    if (this.tracking.clientCount !== 0) this.tracking.limit();
    this.persistence.cron();
    this.cronLoops++;
    return 1000 / this.hz;
  }

  private endIfScheduled(): void {
    const end = this.scheduledShutdown;
    if (end === null) return;
    this.scheduledShutdown = null;
    end();
  }

  /** What is left of the cron while data are loaded at the start: looking at clocks and memory. */
  loadingCron(): void {
    this.refreshTime();
    const used = this.allocator.usedBytes;
    if (used > this.stats.peakMemory) this.stats.peakMemory = used;
    // Nothing here goes on in the middle of a command.
    this.lookahead.reset();
    this.heap.knownOffset = 0;
    this.heap.memberOffset = 0;
  }

  /** Goes on with what is done bit by bit while no requests come. @returns ms until the next call, -1: nothing is left */
  background(): number {
    this.refreshTime();
    const freeing = this.lazyFree.onTimer(this);
    const tidying = this.persistence.onTimer();
    // The turn that follows evicts.
    if (this.evictionRunning) return 0;
    return freeing < 0 || tidying < 0 ? Math.max(freeing, tidying) : Math.min(freeing, tidying);
  }

  /** Lets the clients that CLIENT PAUSE held back go on. */
  unpauseClients(): void {
    this.pauseUntilMs = 0;
    this.resumePaused();
  }

  /** Lets the commands run that were held back; those whose reason holds are held back again. */
  resumePaused(): void {
    const held = this.pausedClients;
    if (held.length === 0) return;
    this.pausedClients = [];
    for (const c of held) {
      // One that went on before may have disconnected it.
      if ((c.flags & CLIENT_CLOSE_ASAP) !== 0) continue;
      c.flags &= ~CLIENT_PAUSED;
      if (c.pendingCommand) {
        const present = this.currentClient;
        this.currentClient = c;
        runPendingCommand(this, c);
        this.currentClient = present;
      }
      this.transport.resume(c.conn);
    }
  }

  /**
   * Disconnects a client.
   * @param afterOutput true: first sends what has been replied so far
   */
  closeClient(c: Client, afterOutput: boolean): void {
    if (c.conn < 0 || (c.flags & CLIENT_CLOSE_ASAP) !== 0) return;
    c.flags |= afterOutput ? CLIENT_CLOSE_AFTER_REPLY : CLIENT_CLOSE_ASAP;
    this.transport.close(c.conn, afterOutput);
  }

  /** Counts an error reply (its line without CRLF, with or without "-CODE"). */
  countError(c: Client, line: string): void {
    this.stats.totalErrorReplies++;
    this.errorsInCommand++;
    let code = 'ERR';
    if (line.startsWith('-')) {
      const blank = line.indexOf(' ');
      code = line.slice(1, blank < 0 ? undefined : blank);
    }
    this.errorStats.set(code, (this.errorStats.get(code) ?? 0) + 1);
    if ((c.flags & CLIENT_CLOSE_ASAP) !== 0) this.stats.unexpectedErrorReplies++;
  }

  // Seams for what other parts add later. They are methods so that calls stay cheap while nothing listens.

  /** Keeps slots that grew while EXEC ran, unless there are unusually many. */
  keepExecArguments(c: Client): void {
    if (c.argOff.length > EXEC_KEPT_SLOTS) return;
    this.execArgOff = c.argOff;
    this.execArgLen = c.argLen;
  }

  /** A key was changed: watchers and trackers want to know. */
  signalModifiedKey(db: Db, offset: number, length: number): void {
    if (this.keyListeners !== 0) this.tellKeyListeners(db, offset, length);
  }

  /** A key is gone by expiry or eviction, which is no client's doing. */
  signalRemovedKey(db: Db, offset: number, length: number): void {
    if (this.keyListeners !== 0) this.tellKeyListeners(db, offset, length, true);
  }

  private tellKeyListeners(db: Db, offset: number, length: number, byNobody = false): void {
    if (this.watched.count !== 0) this.watched.touch(db, offset, length);
    // What a script writes counts as nobody's either: as in the original, its caller hears of it in spite of NOLOOP with BCAST.
    const byScript = this.nesting !== 0 && !this.inExec;
    this.tracking.invalidate(offset, length, byNobody || byScript || !this.executing ? null : this.currentClient);
  }

  /** A key came into being, or a stream is gone: clients that wait for it are looked after when the command ends. */
  signalKeyAsReady(db: Db, offset: number, length: number): void {
    if (this.blocked.onKeys !== 0) this.blocked.signal(this, db, offset, length);
  }

  /** Looks after clients that wait for keys which are ready; to be called after a command while blocked.ready is not 0. */
  serveReadyKeys(): void {
    serveReadyKeys(this);
  }

  /** A database (null: each) is about to lose all its keys. */
  signalFlushedDb(db: Db | null): void {
    if (this.watched.count !== 0) {
      if (db !== null) this.watched.touchAll(db, null);
      else for (const one of this.dbs) this.watched.touchAll(one, null);
    }
    if (this.tracking.clientCount !== 0 || this.tracking.totalKeys !== 0) this.tracking.flush();
  }

  /** Two databases are about to exchange their keys. */
  signalSwappedDbs(a: Db, b: Db): void {
    if (this.watched.count === 0) return;
    this.watched.touchAll(a, b);
    this.watched.touchAll(b, a);
  }

  /** Something happened to a key: class of events, name, key, database. */
  notifyKeyspaceEvent(type: number, event: string, offset: number, length: number, db: number): void {
    if ((this.notifyFlags & type) !== 0) this.hooks.keyspaceEvent?.(event, offset, length, db);
  }
  /** A key was deleted by expiry or eviction: logs and replicas must hear of it. */
  propagateDeletion(db: Db, offset: number, length: number, lazily = false): void {
    const { effects } = this;
    if (!effects.active) return;
    effects.addDeletion(db, offset, length, lazily, this.executing);
    if (!this.executing) effects.endUnit();
  }
}

/** Makes a core. Pass it to the loop's setHandler, and call `cron` from a timer with the delays that it returns. */
export function createRedisCore(options: RedisCoreOptions): RedisCore {
  return new RedisCore(options);
}
