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
  /** -S: binary clients prove who they are by SASL PLAIN first. */
  sasl: boolean;
  /** -Y: ASCII clients prove it by a first `set`; the file's path, or null. */
  authFile: string | null;
  /** Content of the password file of -S or -Y, which the server has read; empty: nobody gets in. */
  passwords: string;
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
    sasl: false,
    authFile: null,
    passwords: '',
  };
}
