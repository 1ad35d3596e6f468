/**
 * What the administrative commands of one server share: its identity, the figures that the process around it supplies, rates, the slow
 * log, subscriptions. A core has exactly one, made by `attachAdmin` right after the core.
 */
import type { Client } from './client.ts';
import type { Command } from './command.ts';
import { defaultConfig, type RedisConfig } from './config.ts';
import type { SettingAppliers } from './config-set.ts';
import { KeyspaceEvents } from './keyspace-events.ts';
import { REDACTED } from './monitor.ts';
import { PubSub } from './pubsub.ts';
import type { RedisCore } from './redis-core.ts';

/** What the operating system knows of the process; sizes in bytes, times in seconds. */
export interface ProcessFigures {
  readonly residentBytes: number;
  readonly cpuUserSeconds: number;
  readonly cpuSystemSeconds: number;
  /** Of the thread that executes commands; the same as above where they cannot be told apart. */
  readonly cpuUserMainSeconds: number;
  readonly cpuSystemMainSeconds: number;
}

/** The allocator's own figures in bytes. */
export interface AllocatorFigures {
  readonly allocated: number;
  readonly active: number;
  readonly resident: number;
  readonly retained: number;
}

/** Counters of the loop, since the start. */
export interface TrafficFigures {
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly reads: number;
  readonly writes: number;
  readonly refused: number;
}

/** What an administrative command asks of the process that the core runs in. A simulation gives its own. */
export interface AdminHost {
  processFigures(): ProcessFigures;
  allocatorFigures(): AllocatorFigures;
  trafficFigures(): TrafficFigures;
  /** The report of MEMORY MALLOC-STATS. */
  allocatorReport(): string;
  /** Gives unused pages back to the system. */
  purgeMemory(): void;
  /** Physical memory of the machine in bytes, 0 if unknown. */
  readonly totalMemoryBytes: number;
  /** As INFO prints it: "jemalloc-5.3.0". */
  readonly allocatorName: string;
  readonly monotonicClockName: string;
  /** Blocks the server, for DEBUG SLEEP. */
  sleepUs(us: number): void;
  /** Asks for an orderly end; `code` is the exit code. */
  shutdown(code: number): void;
  /** Unguessable hexadecimal digits, for ACL GENPASS. */
  secretHex(digits: number): string;
  /** Changes the working folder; null or why it cannot be. */
  changeFolder(path: string): string | null;
  /** Renames the process, lets a new loglevel count …: by directive. */
  readonly appliers: SettingAppliers;
}

/** A host without a process behind it, for simulations and tests. */
export function createBareHost(core: RedisCore): AdminHost {
  const nothing: ProcessFigures = {
    residentBytes: 0,
    cpuUserSeconds: 0,
    cpuSystemSeconds: 0,
    cpuUserMainSeconds: 0,
    cpuSystemMainSeconds: 0,
  };
  return {
    processFigures: () => nothing,
    allocatorFigures: () => {
      const used = core.allocator.usedBytes;
      return { allocated: used, active: used, resident: used, retained: 0 };
    },
    trafficFigures: () => ({ bytesIn: 0, bytesOut: 0, reads: 0, writes: 0, refused: 0 }),
    allocatorReport: () => '',
    purgeMemory: () => {},
    totalMemoryBytes: 0,
    allocatorName: 'arena',
    monotonicClockName: 'virtual',
    sleepUs: () => {},
    shutdown: () => {},
    secretHex: (digits) => {
      let text = '';
      while (text.length < digits) text += core.random.nextBelow(16).toString(16);
      return text;
    },
    changeFolder: () => 'there is no folder here',
    appliers: new Map(),
  };
}

/** Samples kept of each rate; one is taken every 100 ms. */
const RATE_SAMPLES = 16;
const SAMPLE_EVERY_MS = 100;

/** A count per second, averaged over the last samples. */
class Rate {
  private readonly samples = new Float64Array(RATE_SAMPLES);
  private next = 0;
  private lastCount = 0;
  private lastUs = 0;

  sample(count: number, nowUs: number): void {
    const elapsed = nowUs - this.lastUs;
    // A counter that was reset gives no rate for one sample.
    const delta = count >= this.lastCount ? count - this.lastCount : 0;
    this.samples[this.next] = elapsed > 0 && this.lastUs > 0 ? (delta * 1e6) / elapsed : 0;
    this.next = (this.next + 1) % RATE_SAMPLES;
    this.lastCount = count;
    this.lastUs = nowUs;
  }

  get perSecond(): number {
    let sum = 0;
    for (const value of this.samples) sum += value;
    return sum / RATE_SAMPLES;
  }

  reset(): void {
    this.samples.fill(0);
  }
}

/** One entry of the slow log. */
export interface SlowEntry {
  readonly id: number;
  readonly unixtime: number;
  readonly durationUs: number;
  readonly args: readonly string[];
  readonly addr: string;
  readonly name: string;
}

const SLOW_MAX_ARGUMENTS = 32;
const SLOW_MAX_ARGUMENT_BYTES = 128;

const hex = '0123456789abcdef';

export class Admin {
  readonly core: RedisCore;
  readonly host: AdminHost;
  readonly defaults: RedisConfig = defaultConfig();
  readonly pubsub: PubSub;
  readonly runId: string;
  replicationId: string;
  /** used_memory when the server was ready. */
  startupMemory: number;
  readonly opsRate = new Rate();
  readonly inputRate = new Rate();
  readonly outputRate = new Rate();
  private lastSampleMs = 0;
  /** Sampled together, so that their ratios fit. */
  figures: AllocatorFigures;
  residentBytes: number;
  peakTimeMs = 0;
  readonly slowLog: SlowEntry[] = [];
  private nextSlowId = 0;
  /** Traffic counters at the last CONFIG RESETSTAT. */
  trafficBase: TrafficFigures = { bytesIn: 0, bytesOut: 0, reads: 0, writes: 0, refused: 0 };

  constructor(core: RedisCore, host: AdminHost) {
    this.core = core;
    this.host = host;
    this.pubsub = new PubSub();
    this.runId = this.randomHex(40);
    this.replicationId = this.randomHex(40);
    this.startupMemory = core.allocator.usedBytes;
    this.figures = host.allocatorFigures();
    this.residentBytes = host.processFigures().residentBytes;
  }

  randomHex(length: number): string {
    let text = '';
    for (let i = 0; i < length; i++) text += hex[this.core.random.nextBelow(16)];
    return text;
  }

  /** Traffic since the start or the last CONFIG RESETSTAT. */
  traffic(): TrafficFigures {
    const now = this.host.trafficFigures();
    const base = this.trafficBase;
    return {
      bytesIn: now.bytesIn - base.bytesIn,
      bytesOut: now.bytesOut - base.bytesOut,
      reads: now.reads - base.reads,
      writes: now.writes - base.writes,
      refused: now.refused - base.refused,
    };
  }

  /** Rates and memory figures every 100 ms, as the original takes them. */
  cron(): void {
    const core = this.core;
    if (core.nowMs - this.lastSampleMs < SAMPLE_EVERY_MS && core.nowMs >= this.lastSampleMs) return;
    this.lastSampleMs = core.nowMs;
    const nowUs = core.clock.monoUs();
    const traffic = this.host.trafficFigures();
    this.opsRate.sample(core.stats.totalCommandsProcessed, nowUs);
    this.inputRate.sample(traffic.bytesIn, nowUs);
    this.outputRate.sample(traffic.bytesOut, nowUs);
    this.figures = this.host.allocatorFigures();
    this.residentBytes = this.host.processFigures().residentBytes;
  }

  resetStats(): void {
    this.trafficBase = this.host.trafficFigures();
    this.opsRate.reset();
    this.inputRate.reset();
    this.outputRate.reset();
  }

  recordSlow(c: Client, _command: Command, durationUs: number): void {
    const limit = this.core.config.slowlogMaxLen;
    const count = Math.min(c.argc, SLOW_MAX_ARGUMENTS);
    const args: string[] = [];
    for (let i = 0; i < count; i++) {
      if (i === count - 1 && c.argc > count) args.push(`... (${c.argc - count + 1} more arguments)`);
      else args.push(slowArgument(c, i));
    }
    const { name } = c;
    // Commands of scripts come by no connection.
    const addr = c.conn < 0 ? '?:0' : c.addr;
    const durationWhole = Math.floor(durationUs);
    this.slowLog.unshift({
      id: this.nextSlowId++,
      unixtime: this.core.unixtime,
      durationUs: durationWhole,
      args,
      addr,
      name,
    });
    if (this.slowLog.length > limit) this.slowLog.length = limit;
  }
}

function slowArgument(c: Client, index: number): string {
  if (c.isRedacted(index)) return REDACTED;
  const length = c.argLen[index]!;
  if (length <= SLOW_MAX_ARGUMENT_BYTES) return c.argText(index);
  const head = c.core.heap.latin1(c.argOff[index]!, SLOW_MAX_ARGUMENT_BYTES);
  return `${head}... (${length - SLOW_MAX_ARGUMENT_BYTES} more bytes)`;
}

const admins = new WeakMap<RedisCore, Admin>();
let lastCore: RedisCore | null = null;
let lastAdmin: Admin | null = null;

/** The administration of a core. @throws Error when none was attached */
export function adminOf(core: RedisCore): Admin {
  if (core === lastCore) return lastAdmin!;
  const admin = admins.get(core);
  if (admin === undefined) throw new Error('Cannot run an administrative command: the core has no attachAdmin yet');
  lastCore = core;
  lastAdmin = admin;
  return admin;
}

/** Gives a core its administration and hooks it in. */
export function attachAdmin(core: RedisCore, host: AdminHost = createBareHost(core)): Admin {
  const admin = new Admin(core, host);
  admins.set(core, admin);
  const events = new KeyspaceEvents(core, admin.pubsub);
  core.hooks.keyspaceEvent = (event, offset, length, db) => events.send(event, offset, length, db);
  core.hooks.cron.push(() => admin.cron());
  core.hooks.clientClosed.push((c) => admin.pubsub.forget(c));
  core.hooks.slowCommand.push((c, command, durationUs) => admin.recordSlow(c, command, durationUs));
  return admin;
}
