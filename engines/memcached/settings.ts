import type { Memory } from '../ports.ts';
import { LOCK_SETTINGS } from './lock-cells.ts';
import type { Locks } from './locks.ts';
import { CELL_SETTINGS_GENERATION, type SharedBlock } from './shared-block.ts';

/** What a memcached process can be told (memcached.c: `settings`), with the original's defaults. Sizes in bytes, times in seconds. */
export interface Settings {
  maxBytes: number;
  maxConns: number;
  tcpPort: number;
  udpPort: number;
  /** As given with -l, or null. */
  inter: string | null;
  /** 0, 1 (-v), 2 (-vv). */
  verbose: number;
  evictToFree: boolean;
  socketPath: string | null;
  /** Permission bits of the Unix socket. */
  access: number;
  shutdownCommand: boolean;
  factor: number;
  /** Least room for key, value and flags in the smallest class (-n). */
  chunkSize: number;
  threads: number;
  prefixDelimiter: string;
  detailEnabled: boolean;
  reqsPerEvent: number;
  useCas: boolean;
  backlog: number;
  protocol: 'auto-negotiate' | 'ascii' | 'binary';
  itemSizeMax: number;
  slabPageSize: number;
  slabChunkSizeMax: number;
  maxConnsFast: boolean;
  /** Power of two of the hash table's size at the start; 0: 16. */
  hashPowerInit: number;
  hashExpand: boolean;
  slabReassign: boolean;
  slabAutomove: number;
  slabAutomoveRatio: number;
  slabAutomoveWindow: number;
  /** Part of the memory that automove keeps free where items also lie elsewhere. */
  slabAutomoveFreeRatio: number;
  /** Sizes of the slab classes (-o slab_sizes), or null: they follow from the factor. */
  slabSizes: number[] | null;
  /** Every class gets a page at the start, and the memory limit is fixed (-L). */
  preallocate: boolean;
  lruCrawler: boolean;
  lruCrawlerSleep: number;
  lruCrawlerToCrawl: number;
  tailRepairTime: number;
  flushEnabled: boolean;
  dumpEnabled: boolean;
  watchEnabled: boolean;
  hashAlgorithm: 'murmur3' | 'jenkins' | 'xxh3';
  lruMaintainer: boolean;
  lruSegmented: boolean;
  hotLruPct: number;
  warmLruPct: number;
  hotMaxFactor: number;
  warmMaxFactor: number;
  tempLru: boolean;
  temporaryTtl: number;
  idleTimeout: number;
  watcherLogbufSize: number;
  workerLogbufSize: number;
  readBufMemLimit: number;
  trackSizes: boolean;
  /** Protocols of single listeners (`-l proto[…]:`), by their number; null or none: `protocol`. */
  listenerProtocols: (Settings['protocol'] | null)[];
  /** -S: binary clients prove who they are by SASL PLAIN first. */
  sasl: boolean;
  /** -Y: ASCII clients prove it by a first `set`; the file's path, or null. */
  authFile: string | null;
  /** Content of the password file of -S or -Y, which the server has read; empty: nobody gets in. */
  passwords: string;
  /** -e: the file that holds the slab pages and outlives the process, or null. */
  memoryFile: string | null;
  /** Where the server has put the file into the arena: all slab pages lie there. */
  memoryRegion: MemoryRegion | null;
  /** What -o ssl_… said: shown, without effect. */
  ssl: SslSettings;
  /** What -o ext_… said: shown, without effect. */
  ext: ExternalStorageSettings;
}

/** The part of the arena under which the memory file lies. */
export interface MemoryRegion {
  offset: number;
  /** A whole number of slab pages. */
  bytes: number;
  /** A stopped server has left its pages there. */
  isReused: boolean;
}

/** Options of TLS connections, which this server does not have, as `stats settings` shows them. */
export interface SslSettings {
  chainCert: string | null;
  key: string | null;
  verifyMode: number;
  keyFormat: number;
  ciphers: string | null;
  caCert: string | null;
  writeBufferSize: number;
  sessionCache: boolean;
  kernelTls: boolean;
  minVersion: string;
}

/** Options of external storage, which this server does not have, as `stats settings` shows them. */
export interface ExternalStorageSettings {
  itemSize: number;
  itemAge: number;
  lowTtl: number;
  recacheRate: number;
  writeBufferSize: number;
  compactUnder: number;
  dropUnder: number;
  maxSleep: number;
  maxFrag: number;
  dropUnread: boolean;
}

/** The settings that 1.6.18 starts with when it is given no flags. */
export function defaultSettings(): Settings {
  return {
    maxBytes: 64 * 1024 * 1024,
    maxConns: 1024,
    tcpPort: 11211,
    udpPort: 0,
    inter: null,
    verbose: 0,
    evictToFree: true,
    socketPath: null,
    access: 0o700,
    shutdownCommand: false,
    factor: 1.25,
    chunkSize: 48,
    threads: 4,
    prefixDelimiter: ':',
    detailEnabled: false,
    reqsPerEvent: 20,
    useCas: true,
    backlog: 1024,
    protocol: 'auto-negotiate',
    itemSizeMax: 1024 * 1024,
    slabPageSize: 1024 * 1024,
    slabChunkSizeMax: 512 * 1024,
    maxConnsFast: true,
    hashPowerInit: 0,
    hashExpand: true,
    slabReassign: true,
    slabAutomove: 1,
    slabAutomoveRatio: 0.8,
    slabAutomoveWindow: 30,
    slabAutomoveFreeRatio: 0.01,
    slabSizes: null,
    preallocate: false,
    lruCrawler: true,
    lruCrawlerSleep: 100,
    lruCrawlerToCrawl: 0,
    tailRepairTime: 0,
    flushEnabled: true,
    dumpEnabled: true,
    watchEnabled: true,
    hashAlgorithm: 'murmur3',
    lruMaintainer: true,
    lruSegmented: true,
    hotLruPct: 20,
    warmLruPct: 40,
    hotMaxFactor: 0.2,
    warmMaxFactor: 2.0,
    tempLru: false,
    temporaryTtl: 61,
    idleTimeout: 0,
    watcherLogbufSize: 256 * 1024,
    workerLogbufSize: 64 * 1024,
    readBufMemLimit: 0,
    trackSizes: false,
    listenerProtocols: [],
    sasl: false,
    authFile: null,
    passwords: '',
    memoryFile: null,
    memoryRegion: null,
    ssl: {
      chainCert: null,
      key: null,
      verifyMode: 0,
      keyFormat: 1,
      ciphers: null,
      caCert: null,
      writeBufferSize: 16 * 1024,
      sessionCache: false,
      kernelTls: false,
      minVersion: 'tlsv1.2',
    },
    ext: {
      itemSize: 512,
      itemAge: 0xffff_ffff,
      lowTtl: 0,
      recacheRate: 2000,
      writeBufferSize: 4 * 1024 * 1024,
      compactUnder: 0,
      dropUnder: 0,
      maxSleep: 1_000_000,
      maxFrag: 0.8,
      dropUnread: false,
    },
  };
}

/**
 * Keeps the settings of all threads alike: each thread has an object of its own to read fast, and those that are numbers or switches stand in
 * the shared block as well, with a generation that tells when to look. Texts do not change while a server runs.
 */
export class SharedSettings {
  readonly #settings: Record<string, number | boolean>;
  readonly #names: string[];
  readonly #cells: Float64Array;
  /** The values that this thread has seen last, in the order of the names. */
  readonly #seen: Float64Array;
  readonly #i32: Int32Array;
  readonly #generationCell: number;
  readonly #locks: Locks;
  #generation = 0;

  /** @param isFirst whether the shared block is new and is to be filled */
  constructor(memory: Memory, block: SharedBlock, locks: Locks, settings: Settings, isFirst: boolean) {
    this.#settings = settings as unknown as Record<string, number | boolean>;
    this.#names = Object.keys(settings).filter((name) => {
      const value = (settings as unknown as Record<string, unknown>)[name];
      return typeof value === 'number' || typeof value === 'boolean';
    });
    this.#cells = block.settings;
    if (this.#names.length > this.#cells.length) throw new Error('There are more settings than the shared block holds');
    this.#seen = new Float64Array(this.#names.length);
    this.#i32 = memory.i32;
    this.#generationCell = block.cell(CELL_SETTINGS_GENERATION);
    this.#locks = locks;
    if (isFirst) {
      this.#names.forEach((name, i) => {
        this.#cells[i] = this.#seen[i] = Number(this.#settings[name]);
      });
    } else {
      this.#read();
    }
  }

  /** Takes over what other threads have changed. */
  refresh(): void {
    if (this.#i32[this.#generationCell] !== this.#generation) this.#read();
  }

  #read(): void {
    this.#locks.take(LOCK_SETTINGS);
    this.#generation = this.#i32[this.#generationCell]!;
    this.#names.forEach((name, i) => {
      const value = this.#cells[i]!;
      this.#seen[i] = value;
      this.#settings[name] = typeof this.#settings[name] === 'boolean' ? value !== 0 : value;
    });
    this.#locks.give(LOCK_SETTINGS);
  }

  /** Tells the others what this thread has changed since it looked last, and only that. */
  publish(): void {
    this.#locks.take(LOCK_SETTINGS);
    this.#names.forEach((name, i) => {
      const value = Number(this.#settings[name]);
      if (value !== this.#seen[i]) this.#cells[i] = this.#seen[i] = value;
    });
    Atomics.add(this.#i32, this.#generationCell, 1);
    this.#locks.give(LOCK_SETTINGS);
  }
}

/** How many connections a socket for datagrams counts as: one a thread, but one alone where -l gives several addresses. */
export function threadsPerUdp(settings: Settings): number {
  return settings.inter?.includes(',') ? 1 : settings.threads;
}
