/**
 * The Memcached-like core of one thread: makes its parts, is told by the event loop what happens to connections, and keeps clock, settings and
 * sums of counters. It is given memory, clock and transport, and names no platform; engines/servers puts it on sockets, a simulator
 * on virtual time.
 */
import { jenkins } from '../base/jenkins.ts';
import { murmur3 } from '../base/murmur3.ts';
import { xxh3 } from '../base/xxh3.ts';
import type { Clock, ConnectionHandler, Memory, Transport } from '../ports.ts';
import { AsciiAuth } from './ascii-auth.ts';
import { AsciiCommands } from './ascii-commands.ts';
import type { HashFunction } from './assoc.ts';
import { Background } from './background.ts';
import { BinaryCommands } from './binary-commands.ts';
import { ConnectionTable } from './connection-table.ts';
import { Connections } from './connections.ts';
import { type Counters, makeCounters } from './counters.ts';
import { crawlerStatusText } from './crawl-statistics.ts';
import { Crawler } from './crawler.ts';
import { Credentials } from './credentials.ts';
import { HandOver } from './hand-over.ts';
import { HashExpander } from './hash-expander.ts';
import { Input } from './input.ts';
import { verifyItems } from './item-verify.ts';
import { Items } from './items.ts';
import { KeptItems } from './kept-items.ts';
import { Locks } from './locks.ts';
import { LOG_LOOKUPS, LOG_SYSEVENTS, LOG_VERBOSE, Logger } from './logger.ts';
import { Maintainer } from './maintainer.ts';
import { Output } from './output.ts';
import { PrefixStats } from './prefix-stats.ts';
import { type Settings, SharedSettings } from './settings.ts';
import { type Placement, SharedBlock } from './shared-block.ts';
import { SlabAutomover } from './slab-automover.ts';
import { SlabMover } from './slab-mover.ts';
import type { SlabReport } from './slab-verify.ts';
import { Store } from './store.ts';
import { ThreadDirectory } from './thread-directory.ts';
import { Udp } from './udp.ts';
import { ValueReader } from './value-reader.ts';
import { VerboseLog } from './verbose-log.ts';
import { setWatchedEvents, Watchers } from './watchers.ts';

/** The items' clock at the start of a server. */
const START_SECONDS = 62;

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
  readonly view: DataView;
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
  readonly connections: Connections;
  readonly listeners: ConnectionTable;
  readonly handOver: HandOver;
  readonly logger: Logger;
  readonly watchers: Watchers;
  readonly verbose: VerboseLog;
  /** Who may come in, where -S or -Y asks for it. */
  readonly credentials: Credentials;
  /** What is written in answer to the input under way, and the items that are kept until it leaves. */
  readonly output: Output;
  readonly kept: KeptItems;
  /** What comes in: the bytes of all connections, and values among them. */
  readonly input: Input;
  readonly values: ValueReader;
  #udp: Udp | null = null;
  transport!: Transport;
  /** Monotonic time at which the items' clock was 62. */
  #startMs: number;

  /** The loop's counts of bytes, where it has any, and what of them is counted already. */
  #traffic: { readonly bytesIn: number; readonly bytesOut: number } | undefined;
  #bytesIn = 0;
  #bytesOut = 0;

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
    this.view = memory.view;
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
    this.connections = new Connections(this);
    this.listeners = new ConnectionTable(memory, this.directory, this.locks, this.directory.listeners);
    this.handOver = new HandOver(this);
    const { directory } = this;
    const { table } = this.connections;
    this.logger = new Logger(memory, shared, directory, thread, table, clock, settings.workerLogbufSize);
    this.items.logger = this.logger;
    this.watchers = new Watchers(memory, shared, this.locks, directory, this.logger, settings.watcherLogbufSize);
    this.verbose = new VerboseLog(this);
    this.logger.onNote = (line) => hooks.log(line);
    this.logger.onLookup = (met, keyAt, nkey) => this.verbose.lookup(met, keyAt, nkey);
    this.store = new Store(this.items);
    this.kept = new KeptItems(this.items);
    this.output = new Output(this);
    this.prefixes = new PrefixStats(memory, this.shared, this.locks, this.hash, settings.prefixDelimiter);
    this.crawler = new Crawler(this);
    this.maintainer = new Maintainer(this.items, this.shared, clock, this.crawler);
    this.#addJobs();
    if (isFirst) this.setVerbosity(settings.verbose);
    const ascii = new AsciiCommands(this);
    const binary = new BinaryCommands(this);
    this.values = new ValueReader(this, ascii, binary);
    this.input = new Input(this, ascii, binary, new AsciiAuth(this));
    this.credentials = new Credentials(memory, this.shared, this.locks, settings.authFile !== null);
    if (settings.passwords !== '' && isFirst) this.credentials.set(settings.passwords);
  }

  /** The background jobs: the same in the same order in every thread. */
  #addJobs(): void {
    const { items, background, hooks, maintainer } = this;
    maintainer.onCrawlerStatus = (status) => {
      if (this.logger.wants(LOG_SYSEVENTS)) this.logger.system(crawlerStatusText(status));
    };
    items.mover = new SlabMover(items, this.shared, background);
    background.add(maintainer);
    background.add(this.watchers);
    background.add(items.mover);
    background.add(new SlabAutomover(items));
    background.add(new HashExpander(items, (line) => hooks.log(line)));
    background.add(this.crawler);
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

  // ---- Clock, settings, sums

  /** Advances the core's second clock. To be called at least once a second, and before a simulated command. */
  tick(): void {
    // The dispatcher's clock is everybody's.
    if (this.role !== 'worker') {
      this.items.now = Math.floor((this.clock.monoUs() / 1000 - this.#startMs) / 1000) + START_SECONDS;
    }
    this.countTraffic();
    if (this.settings.idleTimeout > 0) this.connections.closeIdle();
  }

  /** Goes on with the clock of a server that has begun at `processStarted` (seconds since 1970) and is `now` seconds old by its own count. */
  continueClock(processStarted: number, now: number): void {
    this.#startMs = this.clock.monoUs() / 1000 - (this.clock.wallMs() % 1000) - (now - START_SECONDS) * 1000;
    this.items.now = now;
    this.items.processStarted = processStarted;
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

  /** Takes over what the loop has counted since the last call, so that other threads see it. */
  countTraffic(): void {
    const loop = this.#traffic;
    if (loop === undefined) return;
    this.counters.bytesRead += loop.bytesIn - this.#bytesIn;
    this.counters.bytesWritten += loop.bytesOut - this.#bytesOut;
    this.#bytesIn = loop.bytesIn;
    this.#bytesOut = loop.bytesOut;
  }

  /** Deep check of everything stored, while no other thread works. @returns what was found in slab memory. @throws Error naming the first contradiction */
  verify(): SlabReport {
    return verifyItems(this.items);
  }

  // ---- What the event loop tells

  onOpen(conn: number, listener: number): void {
    this.connections.open(conn, listener);
  }

  onClose(conn: number, reason = 0): void {
    this.connections.closed(conn, reason);
  }

  /**
   * A connection that a worker has handed over has been opened here. It is not a new one to anybody else.
   * @param conn -1 when there was no place for it, and its descriptor has been closed
   */
  onHandedOver(conn: number, purpose: number, argument: number): void {
    this.handOver.arrived(conn, purpose, argument);
  }

  onInput(conn: number, start: number, end: number): number {
    this.#sharedSettings.refresh();
    return this.input.take(conn, start, end);
  }

  onDirect(conn: number): void {
    this.#sharedSettings.refresh();
    this.input.takeDirect(conn);
  }

  onReleased(lease: number): void {
    this.input.released(lease);
  }

  onTurn(): void {
    this.countTraffic();
    this.connections.resumeDrained();
  }

  onDatagramSocket(conn: number): void {
    this.connections.openDatagramSocket(conn);
  }

  onDatagram(conn: number, start: number, end: number): void {
    this.#sharedSettings.refresh();
    if (this.#udp === null) this.#udp = new Udp(this);
    this.#udp.receive(conn, start, end);
  }

  // ---- What commands answer

  /** Whether commands are looked at so closely (-vv, `stats detail on`, by UDP) that none may take a short way. */
  get isTraced(): boolean {
    return this.settings.detailEnabled || this.logger.wants(LOG_VERBOSE) || this.input.isDatagram;
  }

  /** The replies so far are on their way, whatever the next command brings. */
  repliesLeave(): void {
    this.output.finish();
    if (this.input.isDatagram) this.#udp?.repliesLeave();
    if (this.kept.count > 0) this.kept.release();
  }

  /** Between two keys of a get: by UDP each is answered on its own. No lock may be held. */
  nextReply(): void {
    if (!this.input.isDatagram) return;
    this.output.finish();
    this.#udp?.endReply();
  }
}
