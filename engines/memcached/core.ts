/**
 * The Memcached-like core: connections' state, the values they send, and their replies. It is given memory, clock and
 * transport, and names no platform; engines/servers puts it on sockets, a simulator on virtual time.
 *
 * A connection is in one of a few states. READY: the next byte begins a command. READING: a value's bytes follow; they
 * are copied into its item, or (when many are missing) read into it directly. SWALLOWING: bytes of a value that cannot
 * be stored are thrown away, after which the reply that was due leaves, as in the original.
 */
import { copyInto } from '../base/copy-into.ts';
import { jenkins } from '../base/jenkins.ts';
import { murmur3 } from '../base/murmur3.ts';
import { xxh3 } from '../base/xxh3.ts';
import type { Clock, ConnectionHandler, Memory, Transport } from '../ports.ts';
import { AsciiAuth } from './ascii-auth.ts';
import { AsciiCommands } from './ascii-commands.ts';
import type { HashFunction } from './assoc.ts';
import { Background } from './background.ts';
import { BinaryCommands } from './binary-commands.ts';
import { PROTOCOL_ASCII, PROTOCOL_ASCII_AUTH, PROTOCOL_BINARY, PROTOCOL_UNKNOWN } from './connection-protocol.ts';
import {
  ConnectionTable,
  STATE_CLOSING,
  STATE_LENT,
  STATE_READING,
  STATE_READY,
  STATE_SWALLOWING,
  STATE_WATCHING,
  TRANSPORT_LOCAL,
  TRANSPORT_TCP,
  TRANSPORT_UDP,
} from './connection-table.ts';
import { type Counters, makeCounters } from './counters.ts';
import { crawlerStatusText } from './crawl-statistics.ts';
import { Crawler } from './crawler.ts';
import { Credentials } from './credentials.ts';
import { HashExpander } from './hash-expander.ts';
import { IncomingValues } from './incoming-values.ts';
import { Items } from './items.ts';
import { KeptItems, REFCOUNT_MAX } from './kept-items.ts';
import * as L from './layout.ts';
import { Locks } from './locks.ts';
import {
  CLOSE_ERROR,
  CLOSE_IDLE,
  CLOSE_NORMAL,
  LOG_CONNEVENTS,
  LOG_LOOKUPS,
  LOG_SYSEVENTS,
  LOG_VERBOSE,
  Logger,
} from './logger.ts';
import { Maintainer } from './maintainer.ts';
import { PrefixStats } from './prefix-stats.ts';
import * as R from './replies.ts';
import type { RestartState } from './restart-meta.ts';
import { markPages, PageRestorer } from './restart-pages.ts';
import { type Settings, SharedSettings, threadsPerUdp } from './settings.ts';
import { CELL_CONNECTIONS, type Placement, SharedBlock } from './shared-block.ts';
import { SlabAutomover } from './slab-automover.ts';
import { SlabMover } from './slab-mover.ts';
import type { SlabReport } from './slab-verify.ts';
import { copyBytes, Store } from './store.ts';
import { SERVES_COMMANDS, SERVES_CONNECTIONS, ThreadDirectory } from './thread-directory.ts';
import { Udp } from './udp.ts';
import { VerboseLog } from './verbose-log.ts';
import { setWatchedEvents, Watchers } from './watchers.ts';

/** Values from this size on are lent to the output instead of being copied. */
export const LEND_BYTES_MIN = 16_384;
/** Of a value that is not all there, so much must be missing for a read straight into the item. */
const DIRECT_BYTES_MIN = 2_048;
/** Output room is asked for in pieces of this size, so that pipelined replies share a call. */
const OUTPUT_STEP_BYTES = 2_048;
/** A connection with more output waiting is not read from until its peer has taken some. */
export const OUTPUT_BYTES_MAX = 1024 * 1024;
/** Output between two looks at what is waiting. */
const OUTPUT_CHECK_BYTES = 65_536;
const CONNECTIONS_AT_START = 64;
/** The items' clock at the start of a server, and beyond what it never is: it is an unsigned 32-bit number. */
const START_SECONDS = 62;
const CLOCK_MAX_S = 2 ** 31;

/** Why a connection moves to the dispatcher: it watches (the argument: which events). */
export const HAND_OVER_WATCH = 1;
/** `onClose`'s reason for a connection that goes on in another thread's loop. */
const REASON_MOVED = -1;

export type CoreEvent = 'shutdown' | 'shutdown-graceful';

/** What a core needs of its server beside the ports. */
export interface CoreHooks {
  /** Lines of the log (-v and above), without line end. */
  log(line: string): void;
  /** The client asked for a shutdown (-A). */
  onShutdown(kind: CoreEvent): void;
  /** Process figures for `stats`; all 0 under virtual time. */
  usage(): { pid: number; userSeconds: number; systemSeconds: number };
  /**
   * Only for workers: moves a connection to the dispatcher's loop, whose core is told so by `onHandedOver` after `onOpen`. Absent: it cannot.
   * @param purpose HAND_OVER_…
   */
  handOver?(conn: number, purpose: number, argument: number): void;
  /** Another thread's commands have work for the background jobs: see to it that `maintain` is called soon there. */
  wakeBackground?(): void;
}

export function hashFunction(name: Settings['hashAlgorithm']): HashFunction {
  if (name === 'xxh3') return xxh3;
  return name === 'jenkins' ? jenkins : murmur3;
}

export class Core implements ConnectionHandler {
  readonly memory: Memory;
  readonly u8: Uint8Array;
  readonly settings: Settings;
  readonly clock: Clock;
  readonly hooks: CoreHooks;
  /** What this core is among the threads of its server, and its number there (the dispatcher comes behind the workers). */
  readonly role: Placement['role'];
  readonly thread: number;
  readonly shared: SharedBlock;
  readonly locks: Locks;
  /** This thread's. */
  readonly counters: Counters;
  readonly background: Background;
  readonly #sharedSettings: SharedSettings;
  readonly items: Items;
  readonly store: Store;
  readonly prefixes: PrefixStats;
  readonly crawler: Crawler;
  readonly maintainer: Maintainer;
  readonly hash: HashFunction;
  /** Where each thread's tables lie, what all know of the connections, and the event log. */
  readonly directory: ThreadDirectory;
  readonly connections: ConnectionTable;
  readonly listeners: ConnectionTable;
  readonly logger: Logger;
  readonly watchers: Watchers;
  readonly verbose: VerboseLog;
  transport!: Transport;
  readonly #ascii: AsciiCommands;
  readonly #binary: BinaryCommands;
  readonly #asciiAuth: AsciiAuth;
  /** Who may come in, where -S or -Y asks for it. */
  readonly credentials: Credentials;
  /** Monotonic time at which the items' clock was 62. */
  #startMs: number;

  // One entry a connection.
  open: Uint8Array = new Uint8Array(CONNECTIONS_AT_START);
  listener: Uint8Array = new Uint8Array(CONNECTIONS_AT_START);
  /** What a client has shown of who it is: AUTH… bits. */
  auth: Uint8Array = new Uint8Array(CONNECTIONS_AT_START);
  /** PROTOCOL_…, STATE_… and relative seconds, where other threads see them. */
  protocol: Uint8Array;
  state: Uint8Array;
  lastCommandTime: Uint32Array;
  /** CLOSE_…: why it is about to be closed by us. */
  #closeReason = new Uint8Array(CONNECTIONS_AT_START);
  readonly #values: IncomingValues;
  /** Connections that are about to move to the dispatcher as watchers. */
  readonly #watchersLeaving = new Set<number>();
  /** Reply to be sent once all is swallowed. */
  readonly #afterSwallow = new Map<number, Uint8Array>();
  #paused: number[] = [];
  /** Slots of sockets for datagrams; what serves them; whether one is being served. */
  readonly #datagramSockets = new Set<number>();
  #udp: Udp | null = null;
  #isDatagram = false;
  /** Whether a callback of a connection is under way, and what was released meanwhile. */
  #isInside = false;
  readonly #released: number[] = [];
  readonly #kept: KeptItems;
  /** The connection has used up its requests and is handed over again. */
  #hasYielded = new Uint8Array(CONNECTIONS_AT_START);

  /** The loop's counts of bytes, where it has any, and what of them is counted already. */
  #traffic: { readonly bytesIn: number; readonly bytesOut: number } | undefined;
  #bytesIn = 0;
  #bytesOut = 0;

  // Output of the callback under way.
  #inputAt = 0;
  #statsEnd = 0;
  #outConn = -1;
  #outAt = 0;
  #outStart = 0;
  #outLimit = 0;
  #outSinceCheck = 0;

  /** @param placement which thread of its server it is; by default it is the only one */
  constructor(
    memory: Memory,
    clock: Clock,
    settings: Settings,
    hooks: CoreHooks,
    placement: Placement = { role: 'alone' },
  ) {
    this.memory = memory;
    this.u8 = memory.u8;
    this.clock = clock;
    this.settings = settings;
    this.hooks = hooks;
    this.hash = hashFunction(settings.hashAlgorithm);
    this.#startMs = clock.monoUs() / 1000;
    this.role = placement.role;
    this.shared = new SharedBlock(memory, placement);
    this.thread = placement.role === 'alone' ? 0 : placement.role === 'worker' ? placement.thread : placement.threads;
    this.locks = new Locks(memory, this.shared, placement.role !== 'alone');
    this.counters = makeCounters(this.shared.counters(this.thread));
    const isFirst = placement.role !== 'worker';
    const wallSeconds = Math.floor(clock.wallMs() / 1000);
    const { shared, locks, counters, thread } = this;
    this.items = new Items(memory, shared, locks, settings, counters, this.hash, isFirst, wallSeconds, thread);
    this.#sharedSettings = new SharedSettings(memory, this.shared, this.locks, settings, isFirst);
    this.background = new Background(memory, this.shared, clock, () => hooks.wakeBackground?.());
    this.directory = new ThreadDirectory(memory, this.shared, isFirst);
    this.connections = new ConnectionTable(memory, this.directory, this.locks, this.thread);
    this.listeners = new ConnectionTable(memory, this.directory, this.locks, this.directory.listeners);
    this.connections.grow(CONNECTIONS_AT_START);
    this.protocol = this.connections.protocol;
    this.state = this.connections.state;
    this.lastCommandTime = this.connections.lastCommand;
    const { directory, connections } = this;
    this.logger = new Logger(memory, shared, directory, thread, connections, clock, settings.workerLogbufSize);
    this.items.logger = this.logger;
    this.watchers = new Watchers(memory, shared, this.locks, directory, this.logger, settings.watcherLogbufSize);
    this.verbose = new VerboseLog(this);
    this.logger.onNote = (line) => hooks.log(line);
    this.logger.onLookup = (met, keyAt, nkey) => this.verbose.lookup(met, keyAt, nkey);
    this.store = new Store(this.items);
    this.#values = new IncomingValues(this.items, CONNECTIONS_AT_START);
    this.#kept = new KeptItems(this.items);
    this.prefixes = new PrefixStats(memory, this.shared, this.locks, this.hash, settings.prefixDelimiter);
    this.crawler = new Crawler(this);
    this.maintainer = new Maintainer(this.items, this.shared, clock, this.crawler);
    this.maintainer.onCrawlerStatus = (status) => {
      if (this.logger.wants(LOG_SYSEVENTS)) this.logger.system(crawlerStatusText(status));
    };
    this.background.add(this.maintainer);
    this.background.add(this.watchers);
    this.items.mover = new SlabMover(this.items, shared, this.background);
    this.background.add(this.items.mover);
    this.background.add(new SlabAutomover(this.items));
    if (isFirst) this.setVerbosity(settings.verbose);
    this.background.add(new HashExpander(this.items, (line) => hooks.log(line)));
    this.background.add(this.crawler);
    this.#ascii = new AsciiCommands(this);
    this.#binary = new BinaryCommands(this);
    this.#asciiAuth = new AsciiAuth(this);
    this.credentials = new Credentials(memory, this.shared, this.locks, settings.authFile !== null);
    if (settings.passwords !== '' && isFirst) this.setPasswords(settings.passwords);
  }

  /** Set before the first connection. */
  setTransport(transport: Transport): void {
    this.transport = transport;
    this.#traffic = (transport as { counters?: { bytesIn: number; bytesOut: number } }).counters;
    this.logger.transport = transport;
    this.watchers.transport = transport;
  }

  /** Seconds since the start, as the original counts them (it begins with 2). */
  get uptimeSeconds(): number {
    return this.items.now - 60;
  }

  /** Advances the core's second clock. To be called at least once a second, and before a simulated command. */
  tick(): void {
    // The dispatcher's clock is everybody's.
    if (this.role !== 'worker') {
      this.items.now = Math.floor((this.clock.monoUs() / 1000 - this.#startMs) / 1000) + START_SECONDS;
    }
    this.countTraffic();
    if (this.settings.idleTimeout > 0) this.#kickIdle();
  }

  /** Closes connections that have been silent for longer than `idle_timeout` between two commands. */
  #kickIdle(): void {
    const { now } = this.items;
    for (let conn = 0; conn < this.open.length; conn++) {
      if (this.open[conn] !== 1 || this.state[conn] !== STATE_READY || this.#datagramSockets.has(conn)) continue;
      if (now - this.lastCommandTime[conn] <= this.settings.idleTimeout || this.transport.outputBytes(conn) > 0)
        continue;
      this.counters.idleKicks++;
      if (this.settings.verbose > 1) this.hooks.log(`Closing idle fd ${this.connections.fd(conn)}`);
      this.closeNow(conn, CLOSE_IDLE);
    }
  }

  /**
   * Takes over what a stopped server has left in the memory file: called once, before other threads and connections. With damage it starts with a
   * clean cache.
   * @returns null, or what is damaged
   */
  restore(state: RestartState): string | null {
    const { items, settings } = this;
    const now = Math.floor(this.clock.wallMs() / 1000) - state.processStarted;
    const damage =
      now < state.currentTime || now > CLOCK_MAX_S
        ? `its clock, ${state.currentTime}, does not fit to the time of the day`
        : new PageRestorer(items, settings.memoryRegion!, state.oldBase).restore();
    if (damage !== null) {
      items.slabs.fillRegion();
      items.slabs.preallocate();
      return damage;
    }
    this.#startMs =
      this.clock.monoUs() / 1000 - this.clock.wallMs() + state.processStarted * 1000 + START_SECONDS * 1000;
    items.now = now;
    items.processStarted = state.processStarted;
    items.oldestLive = state.oldestLive;
    items.oldestCas = state.oldestCas;
    items.lastCas = state.currentCas;
    this.logger.lastGid = state.loggerGid;
    return null;
  }

  /** What `restore` wants to know of a server that has stopped; all is ready in the memory file afterwards. */
  leave(): RestartState {
    const { items } = this;
    markPages(items);
    return {
      currentTime: items.now,
      processStarted: items.processStarted,
      stopTime: Math.floor(this.clock.wallMs() / 1000),
      currentCas: items.lastCas,
      oldestCas: items.oldestCas,
      loggerGid: this.logger.lastGid,
      hashPower: items.table.power,
      oldestLive: items.oldestLive,
      oldBase: this.settings.memoryRegion!.offset,
    };
  }

  /** How much is logged: 0 to 2 at run time, 3 only from the command line. */
  setVerbosity(level: number): void {
    this.settings.verbose = level;
    const bits = (level > 1 ? LOG_VERBOSE : 0) | (level > 2 ? LOG_LOOKUPS : 0);
    setWatchedEvents(this.memory, this.shared, this.locks, LOG_VERBOSE | LOG_LOOKUPS, bits);
  }

  /** Background work in a slice; not for workers. @returns ms until it wants to be called again */
  maintain(): number {
    this.#sharedSettings.refresh();
    return this.background.run();
  }

  /** Tells the other threads of settings that were changed in `settings`. */
  publishSettings(): void {
    this.#sharedSettings.publish();
  }

  /** Sums of all threads' counters. */
  totals(): Counters {
    if (this.role === 'alone') return this.counters;
    const totals = makeCounters();
    for (let thread = 0; thread <= this.shared.threads; thread++) totals.add(this.shared.counters(thread));
    return totals;
  }

  /** `stats reset` for all threads. */
  resetCounters(): void {
    if (this.role === 'alone') this.counters.reset();
    else for (let i = 0; i <= this.shared.threads; i++) makeCounters(this.shared.counters(i)).reset();
  }

  // ---- Connections

  onOpen(conn: number, listener: number): void {
    if (conn >= this.open.length) this.#grow(conn + 1);
    this.open[conn] = 1;
    this.listener[conn] = Math.max(0, listener);
    this.protocol[conn] = this.#protocolAtStart(listener);
    this.auth[conn] = 0;
    this.#closeReason[conn] = CLOSE_ERROR;
    const { transport } = this;
    const kind = this.settings.socketPath === null ? TRANSPORT_TCP : TRANSPORT_LOCAL;
    const fd = transport.descriptor(conn);
    this.connections.open(conn, fd, kind, transport.peerName(conn), transport.localName(conn), this.items.now);
    this.#hasYielded[conn] = 0;
    this.counters.currConnections++;
    // Others than its own a worker's dispatcher counts, as soon as they are accepted.
    if (this.role === 'alone') Atomics.add(this.memory.u32, this.shared.cell(CELL_CONNECTIONS), 1);
    // What a dispatcher opens was a worker's before.
    if (this.role === 'dispatcher') return;
    this.counters.totalConnections++;
    this.directory.serves(this.thread, SERVES_CONNECTIONS);
    if (this.logger.wants(LOG_CONNEVENTS | LOG_VERBOSE)) this.#logOpen(conn);
  }

  #protocolAtStart(listener: number): number {
    if (this.settings.authFile !== null) return PROTOCOL_ASCII_AUTH;
    const protocol = this.settings.listenerProtocols[listener] ?? this.settings.protocol;
    return protocol === 'ascii' ? PROTOCOL_ASCII : protocol === 'binary' ? PROTOCOL_BINARY : PROTOCOL_UNKNOWN;
  }

  /** An ASCII client has shown who it is. */
  admitAscii(conn: number): void {
    this.protocol[conn] = PROTOCOL_ASCII;
  }

  /**
   * What the password file of -S or -Y says from now on; connections that have been let in stay.
   * @returns false when the file of -Y is malformed: the old one stays in force
   */
  setPasswords(text: string): boolean {
    return this.credentials.set(text);
  }

  #logOpen(conn: number): void {
    if (this.logger.wants(LOG_VERBOSE)) this.verbose.opened(conn);
    if (this.logger.wants(LOG_CONNEVENTS)) this.logger.connection(conn, -1);
  }

  #logClose(conn: number, reason: number): void {
    if (this.logger.wants(LOG_VERBOSE)) this.verbose.closed(conn);
    if (this.logger.wants(LOG_CONNEVENTS)) this.logger.connection(conn, reason);
  }

  /**
   * A connection that a worker has handed over has been opened here. It is not a new one to anybody else.
   * @param conn -1 when there was no place for it, and its descriptor has been closed
   */
  onHandedOver(conn: number, purpose: number, argument: number): void {
    if (purpose !== HAND_OVER_WATCH) return;
    if (conn >= 0) this.#beginWatch(conn, argument);
    else this.watchers.cancel();
  }

  /** Makes a connection a watcher, here or in the dispatcher. A place for it is reserved. */
  watch(conn: number, events: number): void {
    if (this.role !== 'worker' || this.hooks.handOver === undefined) {
      this.#beginWatch(conn, events);
      return;
    }
    this.#finish();
    this.state[conn] = STATE_CLOSING;
    this.#watchersLeaving.add(conn);
    this.hooks.handOver(conn, HAND_OVER_WATCH, events);
  }

  #beginWatch(conn: number, events: number): void {
    this.state[conn] = STATE_WATCHING;
    this.#finish();
    this.watchers.add(conn, events);
    this.background.wake(this.watchers.name);
  }

  #grow(least: number): void {
    const slots = Math.max(least, this.open.length * 2);
    this.open = copyInto(new Uint8Array(slots), this.open);
    this.listener = copyInto(new Uint8Array(slots), this.listener);
    this.auth = copyInto(new Uint8Array(slots), this.auth);
    this.connections.grow(slots);
    this.protocol = this.connections.protocol;
    this.state = this.connections.state;
    this.lastCommandTime = this.connections.lastCommand;
    this.#closeReason = copyInto(new Uint8Array(slots), this.#closeReason);
    this.#hasYielded = copyInto(new Uint8Array(slots), this.#hasYielded);
    this.#values.grow(slots);
  }

  /** @param reason errno, 0 for a clean end; REASON_MOVED: it lives on in another thread */
  onClose(conn: number, reason = 0): void {
    if (this.open[conn] !== 1) return;
    this.open[conn] = 0;
    if (reason !== REASON_MOVED && this.logger.wants(LOG_CONNEVENTS | LOG_VERBOSE)) {
      const isPeers = this.state[conn] < STATE_CLOSING && reason === 0;
      this.#logClose(conn, isPeers ? CLOSE_NORMAL : this.#closeReason[conn]);
    }
    if (this.state[conn] === STATE_WATCHING) this.watchers.remove(conn);
    // One that ends on its way gives its place back; one that arrives takes it with it.
    if (this.#watchersLeaving.delete(conn) && reason !== REASON_MOVED) this.watchers.cancel();
    if (reason !== REASON_MOVED && !this.#datagramSockets.has(conn)) {
      Atomics.sub(this.memory.u32, this.shared.cell(CELL_CONNECTIONS), 1);
    }
    this.connections.close(conn);
    this.#values.drop(conn);
    this.#afterSwallow.delete(conn);
    if (this.crawler.isDumping(conn)) this.crawler.abandonDump();
    const isDatagrams = this.#datagramSockets.delete(conn);
    if (this.#countsDatagrams || !isDatagrams) this.counters.currConnections--;
  }

  get #countsDatagrams(): boolean {
    return this.thread < threadsPerUdp(this.settings);
  }

  onReleased(lease: number): void {
    // A command under way may hold the item's lock, which is not to be taken twice.
    if (this.#isInside) this.#released.push(lease);
    else this.items.releaseHeld(lease);
  }

  #releaseDeferred(): void {
    for (const lease of this.#released) this.items.releaseHeld(lease);
    this.#released.length = 0;
  }

  onTurn(): void {
    this.countTraffic();
    if (this.#paused.length > 0) this.resumeDrained();
  }

  /** Takes over what the loop has counted since the last call, so that other threads see it. */
  countTraffic(): void {
    const loop = this.#traffic;
    if (loop === undefined) return;
    this.counters.bytesRead += loop.bytesIn - this.#bytesIn;
    this.counters.bytesWritten += loop.bytesOut - this.#bytesOut;
    this.#bytesIn = loop.bytesIn;
    this.#bytesOut = loop.bytesOut;
  }

  /** Reads again from connections whose peers have taken half of what waited for them. */
  resumeDrained(): void {
    this.#paused = this.#paused.filter((conn) => {
      if (this.open[conn] !== 1) return false;
      if (this.transport.outputBytes(conn) > OUTPUT_BYTES_MAX / 2) return true;
      this.connections.choked[conn] = 0;
      this.transport.resume(conn);
      return false;
    });
  }

  /**
   * Whether replies to earlier commands of the same batch are still to be sent when the command at `at` is executed. Those of `get` and
   * `mn` leave at once in the original; those of `stats`, which end alike, do not.
   */
  hasRepliesBefore(at: number): boolean {
    if (at === this.#inputAt) return false;
    const { u8 } = this;
    const end = this.#outAt;
    if (end - this.#outStart < 4 || end === this.#statsEnd) return true;
    const isEnd = u8[end - 5] === 69 && u8[end - 4] === 78 && u8[end - 3] === 68;
    const isMn = u8[end - 4] === 77 && u8[end - 3] === 78;
    return !isEnd && !isMn;
  }

  /** The reply to `stats` ends here. */
  endStats(): void {
    this.put(R.END);
    this.#statsEnd = this.#outAt;
  }

  onInput(conn: number, start: number, end: number): number {
    this.#sharedSettings.refresh();
    this.#inputAt = start;
    this.#isInside = true;
    this.#begin(conn);
    let at = start;
    // The original's `nreqs`: counted down wherever a connection would begin a command, the first of what was just read excepted.
    let requests = this.settings.reqsPerEvent - this.#hasYielded[conn];
    this.#hasYielded[conn] = 0;
    while (at < end) {
      const state = this.state[conn];
      if (state === STATE_READY) {
        const next = this.#command(conn, at, end);
        if (next < 0) break;
        // The line's last byte is kept back while a dump is written, so that this connection is served again without more input.
        at = this.state[conn] === STATE_LENT ? next - 1 : next;
      } else if (state === STATE_READING) {
        at = this.#takeValue(conn, at, end);
      } else if (state === STATE_SWALLOWING) {
        at = this.#swallow(conn, at, end);
      } else if (state === STATE_LENT) {
        if (!this.#dumpSome(conn)) break;
        at++;
      } else {
        at = end;
      }
      if (this.state[conn] === STATE_READY && --requests < 0) break;
      if (this.#outSinceCheck + this.#outAt - this.#outStart > OUTPUT_CHECK_BYTES && this.#isChoked(conn)) break;
    }
    // What ends just so counts as well when its replies are to be sent: the original is at the beginning of a command again then.
    if (requests === 0 && this.state[conn] === STATE_READY && this.hasRepliesBefore(at)) requests = -1;
    this.#finish();
    if (this.#kept.count > 0) this.#kept.release();
    this.#isInside = false;
    if (this.#released.length > 0) this.#releaseDeferred();
    if (requests < 0) this.#yield(conn, at < end);
    return at;
  }

  /** A connection has had its requests for this time: the others' turn. */
  #yield(conn: number, hasMore: boolean): void {
    if (this.state[conn] >= STATE_CLOSING) return;
    this.counters.connYields++;
    if (!hasMore) return;
    if (this.transport.outputBytes(conn) > OUTPUT_BYTES_MAX) {
      this.#choke(conn);
      return;
    }
    this.#hasYielded[conn] = 1;
    this.transport.yieldTurn(conn);
  }

  #command(conn: number, at: number, end: number): number {
    let protocol = this.protocol[conn];
    if (protocol === PROTOCOL_UNKNOWN) {
      this.directory.serves(this.thread, SERVES_COMMANDS);
      protocol = this.u8[at] === 0x80 ? PROTOCOL_BINARY : PROTOCOL_ASCII;
      this.protocol[conn] = protocol;
      if (this.logger.wants(LOG_VERBOSE)) this.verbose.protocol(conn, protocol === PROTOCOL_BINARY);
    }
    if (protocol === PROTOCOL_ASCII) return this.#ascii.execute(conn, at, end);
    return protocol === PROTOCOL_BINARY ? this.#binary.execute(conn, at, end) : this.#asciiAuth.execute(conn, at, end);
  }

  /** The crawler is going to dump to this connection. */
  beginDump(conn: number): void {
    this.state[conn] = STATE_LENT;
  }

  /** A slice of a dump, as much as the client takes. @returns whether that was the last */
  #dumpSome(conn: number): boolean {
    const isDone = this.crawler.dumpSome();
    if (this.state[conn] !== STATE_LENT) return false;
    if (isDone) {
      this.state[conn] = STATE_READY;
      this.write(R.END);
      return true;
    }
    if (!this.#isChoked(conn)) this.transport.yieldTurn(conn);
    return false;
  }

  /** Whether too much output waits; the connection is then paused. */
  #isChoked(conn: number): boolean {
    this.#finish();
    this.#begin(conn);
    if (this.transport.outputBytes(conn) <= OUTPUT_BYTES_MAX) return false;
    this.#choke(conn);
    return true;
  }

  #choke(conn: number): void {
    if (this.connections.choked[conn] === 1) return;
    this.#paused.push(conn);
    this.connections.choked[conn] = 1;
    this.transport.pause(conn);
  }

  // ---- Output

  #begin(conn: number): void {
    this.#outConn = conn;
    this.logger.conn = conn;
    this.#outAt = 0;
    this.#outStart = 0;
    this.#outLimit = 0;
    this.#outSinceCheck = 0;
    this.#statsEnd = 0;
  }

  /** Commits what has been written. */
  #finish(): void {
    if (this.#outAt !== this.#outStart) this.transport.commit(this.#outConn, this.#outAt);
    this.#outSinceCheck += this.#outAt - this.#outStart;
    this.#outAt = 0;
    this.#outStart = 0;
    this.#outLimit = 0;
  }

  /** Room for `bytes` of output. @returns where to store; tell the end with `wrote`. 0 when memory is exhausted: the connection is then closed */
  room(bytes: number): number {
    if (this.#outAt + bytes <= this.#outLimit) return this.#outAt;
    return this.#moreRoom(bytes);
  }

  #moreRoom(bytes: number): number {
    this.#finish();
    const want = Math.max(bytes, OUTPUT_STEP_BYTES);
    const at = this.transport.reserve(this.#outConn, want);
    if (at === 0) {
      this.closeNow(this.#outConn);
      return 0;
    }
    this.#outAt = at;
    this.#outStart = at;
    this.#outLimit = at + want;
    return at;
  }

  wrote(end: number): void {
    this.#outAt = end;
  }

  /** Writes prepared bytes. */
  write(bytes: Uint8Array): void {
    if (this.logger.wants(LOG_VERBOSE)) this.#logReply(bytes);
    this.put(bytes);
  }

  /** Writes prepared bytes that -vv does not show. */
  put(bytes: Uint8Array): void {
    const length = bytes.length;
    const at = this.room(length);
    if (at === 0) return;
    const { u8 } = this;
    for (let i = 0; i < length; i++) u8[at + i] = bytes[i];
    this.#outAt = at + length;
  }

  #logReply(bytes: Uint8Array): void {
    if (this.protocol[this.#outConn] === PROTOCOL_ASCII) this.verbose.reply(this.#outConn, bytes);
  }

  /** Whether commands are looked at so closely (-vv, `stats detail on`, by UDP) that none may take a short way. */
  get isTraced(): boolean {
    return this.settings.detailEnabled || this.logger.wants(LOG_VERBOSE) || this.#isDatagram;
  }

  /** Writes text, one byte a character. For cold replies. */
  writeText(text: string): void {
    const at = this.room(text.length);
    if (at === 0) return;
    for (let i = 0; i < text.length; i++) this.u8[at + i] = text.charCodeAt(i);
    this.#outAt = at + text.length;
  }

  /** Writes an item's value without its last `skip` bytes: copied when small, else lent. */
  writeValue(item: number, skip: number): void {
    const { items } = this;
    const length = items.i32[(item + L.ITEM_NBYTES) >>> 2] - skip;
    if ((items.u16[(item + L.ITEM_FLAGS) >>> 1] & L.FLAG_CHUNKED) === 0) {
      this.#writePiece(item, items.dataOf(item), length);
      return;
    }
    let left = length;
    for (let chunk = items.firstChunk(item); chunk !== 0 && left > 0; chunk = items.u32[(chunk + L.ITEM_NEXT) >>> 2]) {
      const bytes = Math.min(left, items.i32[(chunk + L.CHUNK_USED) >>> 2]);
      this.#writePiece(item, chunk + L.CHUNK_DATA, bytes);
      left -= bytes;
    }
  }

  #writePiece(item: number, from: number, length: number): void {
    if (length < LEND_BYTES_MIN || this.items.refcount(item) >= REFCOUNT_MAX) {
      const at = this.room(length);
      if (at === 0) return;
      copyBytes(this.memory, at, from, length);
      this.#outAt = at + length;
      return;
    }
    this.#finish();
    this.items.hold(item);
    this.#outSinceCheck += length;
    this.transport.lend(this.#outConn, from, length, item);
  }

  /** Keeps an item until the replies of this batch leave. Under its lock. */
  keep(item: number, hash: number): void {
    this.#kept.keep(item, hash);
  }

  /** The replies so far are on their way, whatever the next command brings. */
  repliesLeave(): void {
    this.#finish();
    if (this.#isDatagram) this.#udp?.repliesLeave();
    if (this.#kept.count > 0) this.#kept.release();
  }

  /** Forgets replies that have not left yet (all of this batch unless some left early or were many). */
  dropUncommitted(): void {
    this.#outAt = this.#outStart;
  }

  /** The replies so far are on their way. */
  releaseKept(): void {
    this.#kept.release();
  }

  /** Closes after what was written has left. @param reason CLOSE_… */
  closeAfterOutput(conn: number, reason = CLOSE_ERROR): void {
    this.state[conn] = STATE_CLOSING;
    this.#closeReason[conn] = reason;
    this.#finish();
    this.transport.close(conn, true);
  }

  closeNow(conn: number, reason = CLOSE_ERROR): void {
    this.state[conn] = STATE_CLOSING;
    this.#closeReason[conn] = reason;
    this.transport.close(conn, false);
  }

  // ---- Values that come in

  /**
   * The bytes of an item's value follow.
   * @param item held by the caller, who passes its reference on
   * @param length bytes to come (the binary protocol sends no line end; `completeValue` adds it)
   */
  expectValue(conn: number, item: number, hash: number, how: number, length: number, quiet: boolean): void {
    this.#values.begin(conn, item, hash, how, length, quiet);
    this.state[conn] = STATE_READING;
    if (length === 0) this.#complete(conn);
  }

  /** Binary: what the reply to the value under way needs. */
  rememberRequest(conn: number, opcode: number, opaque: number): void {
    this.#values.opcode[conn] = opcode;
    this.#values.opaque[conn] = opaque;
  }

  /** @param reply sent when all bytes are gone, null for none */
  expectGarbage(conn: number, length: number, reply: Uint8Array | null): void {
    this.#values.remaining[conn] = length;
    if (length === 0) {
      if (reply !== null) this.write(reply);
      return;
    }
    this.state[conn] = STATE_SWALLOWING;
    if (reply !== null) this.#afterSwallow.set(conn, reply);
  }

  #swallow(conn: number, at: number, end: number): number {
    const { remaining } = this.#values;
    const bytes = Math.min(remaining[conn], end - at);
    remaining[conn] -= bytes;
    if (remaining[conn] === 0) {
      this.state[conn] = STATE_READY;
      const reply = this.#afterSwallow.get(conn);
      if (reply !== undefined) {
        this.#afterSwallow.delete(conn);
        this.write(reply);
      }
    }
    return at + bytes;
  }

  #takeValue(conn: number, at: number, end: number): number {
    const values = this.#values;
    while (at < end && this.state[conn] === STATE_READING) {
      const to = this.#placeOfValue(conn);
      if (to === 0) return at;
      const bytes = Math.min(values.room(conn), end - at);
      copyBytes(this.memory, to, at, bytes);
      at += bytes;
      values.advance(conn, bytes);
      if (values.remaining[conn] === 0) {
        this.#complete(conn);
        return at;
      }
    }
    if (this.state[conn] === STATE_READING && values.remaining[conn] >= DIRECT_BYTES_MIN) this.#readDirectly(conn);
    return at;
  }

  /** Where the next byte of the value goes. 0: no memory for a further chunk; the rest is then being swallowed. */
  #placeOfValue(conn: number): number {
    const to = this.#values.place(conn, this.protocol[conn] === PROTOCOL_BINARY);
    if (to === 0) this.#failValue(conn);
    return to;
  }

  #readDirectly(conn: number): void {
    const to = this.#placeOfValue(conn);
    if (to === 0) return;
    const bytes = this.#values.room(conn);
    this.#values.direct[conn] = bytes;
    this.transport.readInto(conn, to, bytes);
  }

  // ---- Datagrams

  onDatagramSocket(conn: number): void {
    if (conn >= this.open.length) this.#grow(conn + 1);
    this.open[conn] = 1;
    this.#datagramSockets.add(conn);
    const { transport } = this;
    const name = transport.localName(conn);
    const fd = transport.descriptor(conn);
    this.state[conn] = STATE_READY;
    if (!this.#countsDatagrams) return;
    this.connections.open(conn, fd, TRANSPORT_UDP, name, name, this.items.now);
    this.counters.currConnections++;
    this.counters.totalConnections++;
    if (this.thread === 0 && this.logger.wants(LOG_VERBOSE)) this.hooks.log(`<${fd} server listening (udp)`);
  }

  onDatagram(conn: number, start: number, end: number): void {
    if (this.#udp === null) this.#udp = new Udp(this);
    this.#udp.receive(conn, start, end);
  }

  /** Commands of one datagram follow (`executeOne`). */
  beginDatagram(conn: number, isBinary: boolean): void {
    this.#sharedSettings.refresh();
    this.#isInside = true;
    this.#isDatagram = true;
    this.protocol[conn] = isBinary ? PROTOCOL_BINARY : PROTOCOL_ASCII;
    this.state[conn] = STATE_READY;
  }

  /** Executes the command at `at`, with the value that belongs to it. @returns the offset behind it, or -1 when it is not all there */
  executeOne(conn: number, at: number, end: number): number {
    this.#inputAt = at;
    this.#begin(conn);
    let next = this.#command(conn, at, end);
    while (next >= 0 && next < end) {
      if (this.state[conn] === STATE_READING) next = this.#takeValue(conn, next, end);
      else if (this.state[conn] === STATE_SWALLOWING) next = this.#swallow(conn, next, end);
      else break;
    }
    this.#finish();
    if (this.#kept.count > 0) this.#kept.release();
    const isWhole = this.state[conn] !== STATE_READING && this.state[conn] !== STATE_SWALLOWING;
    return isWhole ? next : -1;
  }

  /** The rest of a datagram, if any, does not count. */
  endDatagram(conn: number): void {
    this.state[conn] = STATE_READY;
    this.#values.drop(conn);
    this.#afterSwallow.delete(conn);
    this.#isInside = false;
    this.#isDatagram = false;
    if (this.#released.length > 0) this.#releaseDeferred();
  }

  /** Between two keys of a get: by UDP each is answered on its own. No lock may be held. */
  nextReply(): void {
    if (!this.#isDatagram) return;
    this.#finish();
    this.#udp?.endReply();
  }

  onDirect(conn: number): void {
    if (this.open[conn] !== 1 || this.state[conn] !== STATE_READING) return;
    this.#sharedSettings.refresh();
    this.#isInside = true;
    this.#begin(conn);
    const values = this.#values;
    values.advance(conn, values.direct[conn]);
    values.direct[conn] = 0;
    if (values.remaining[conn] === 0) this.#complete(conn);
    else if (values.remaining[conn] >= DIRECT_BYTES_MIN) this.#readDirectly(conn);
    this.#finish();
    this.#isInside = false;
    if (this.#released.length > 0) this.#releaseDeferred();
  }

  /** No memory for the rest of a chunked value: the item is given up and what follows is swallowed. */
  #failValue(conn: number): void {
    const values = this.#values;
    values.drop(conn);
    let reply: Uint8Array | null = null;
    if (this.protocol[conn] === PROTOCOL_BINARY) {
      reply = this.#binary.outOfMemory(values.opcode[conn], values.opaque[conn]);
    } else if (values.quiet[conn] === 0) {
      reply = this.#ascii.outOfMemoryReading;
    }
    this.state[conn] = STATE_READY;
    this.expectGarbage(conn, values.remaining[conn], reply);
  }

  #complete(conn: number): void {
    const values = this.#values;
    const item = values.item[conn];
    const hash = values.hash[conn];
    const how = values.how[conn];
    this.locks.item(hash);
    this.state[conn] = STATE_READY;
    if (this.protocol[conn] === PROTOCOL_BINARY) {
      const opcode = values.opcode[conn];
      const opaque = values.opaque[conn];
      const isWhole = values.endLine(conn);
      values.item[conn] = 0;
      if (isWhole) this.#binary.complete(conn, item, how, hash, opcode, opaque);
      else this.write(this.#binary.outOfMemory(opcode, opaque));
    } else {
      const isValid = values.endsLine(conn);
      values.item[conn] = 0;
      this.#ascii.complete(conn, item, how, hash, isValid, values.quiet[conn] === 1);
    }
    this.items.release(item);
    this.locks.unlockItem(hash);
    this.#binary.settle();
  }

  /** Deep check of everything stored, while no other thread works. @returns what was found in slab memory. @throws Error naming the first contradiction */
  verify(): SlabReport {
    return this.items.verify();
  }
}
