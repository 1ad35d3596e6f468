/**
 * The shape of a scenario after reading: defaults filled in, units turned into plain numbers (bytes, seconds,
 * milliseconds, operations per second). Types only; schema.ts checks YAML against them. One *cell* of the matrix is a
 * `Scenario` with every field single-valued.
 */

/** Sizes in bytes. */
export type SizeSpec =
  | { kind: 'fixed'; bytes: number }
  | { kind: 'uniform'; min: number; max: number }
  | { kind: 'list'; entries: { bytes: number; weight: number }[] }
  /** exp(N(ln median, sigma)), cut to [min, max]. */
  | { kind: 'log-normal'; median: number; sigma: number; min: number; max: number }
  /** Generalised Pareto, cut to [min, max]. ETC value sizes (Atikoglu et al. 2012): location 0, scale 214.476, shape 0.348238. */
  | { kind: 'generalized-pareto'; location: number; scale: number; shape: number; min: number; max: number };

/** Which key an operation takes. Ranks are scattered over the key space by a seeded bijection unless `sequential` or `latest`. */
export type PopularitySpec =
  | { kind: 'uniform' }
  | { kind: 'zipf'; exponent: number }
  /** Centre and standard deviation as shares of the key space. */
  | { kind: 'gaussian'; mean: number; deviation: number }
  /** `operations` of all accesses go to the first `keys` share of the keys. */
  | { kind: 'hotspot'; keys: number; operations: number }
  /** Zipf by age: the newest key is the most popular; sets append new keys. */
  | { kind: 'latest'; exponent: number }
  | { kind: 'sequential' };

export type OperationKind =
  | 'get'
  | 'set'
  | 'add'
  | 'replace'
  | 'append'
  | 'delete'
  | 'touch'
  | 'incr'
  | 'mget'
  | 'mset';

/** Times in seconds; 0 means no expiry. */
export type TtlSpec =
  | { kind: 'none' }
  | { kind: 'fixed'; seconds: number }
  | { kind: 'uniform'; min: number; max: number }
  | { kind: 'list'; entries: { seconds: number; weight: number }[] };

/** Durations in milliseconds. */
export type DurationSpec =
  | { kind: 'none' }
  | { kind: 'fixed'; ms: number }
  | { kind: 'uniform'; min: number; max: number }
  | { kind: 'exponential'; mean: number }
  | { kind: 'log-normal'; median: number; sigma: number; min: number; max: number };

export type ArrivalSpec =
  /** Each connection sends its next operation (or pipeline) when the last was answered. */
  | { kind: 'closed' }
  /** Operations are due at times that do not depend on answers. `rate`: operations per second over all connections. */
  | { kind: 'open'; process: 'constant' | 'poisson'; rate: number };

export type EngineName = 'redis' | 'memcached';
export type DriverName = 'raw' | 'ioredis' | 'memjs';

export interface TargetSpec {
  /** Unique within a scenario; shown in reports. */
  id: string;
  label: string;
  engine: EngineName;
  /**
   * embedded: this project's engine in a process of its own; spawned: a real server's binary started by the harness;
   * remote: a server elsewhere, by URL. `auto` in YAML (spawned if the binary is on PATH, else left out) sets `optional`.
   */
  kind: 'embedded' | 'spawned' | 'remote';
  /** spawned: path or name of the binary. */
  binary: string | null;
  /** embedded and spawned: further flags for the server. */
  flags: string[];
  /** remote: redis://, rediss://, memcached://, unix:/path (engine names the protocol then). */
  url: string | null;
  /** Left out with a note instead of failing when its binary is not there. */
  optional: boolean;
  /** embedded: which loop. */
  eventLoop: 'auto' | 'epoll' | 'libuv';
  /** How the harness reaches a server it starts. */
  socket: 'tcp' | 'unix';
}

export interface DatasetSpec {
  /** Number of keys, 1 to 2^31. */
  keys: number;
  /** Text before the number of each key. */
  keyPrefix: string;
  /** Length in bytes of each key (prefix + zero-padded decimal number); 0: prefix + number, unpadded. */
  keyBytes: number;
  /** A key's value size is a function of seed and key, so both engines store the same. */
  valueSize: SizeSpec;
  /** Share of the keys stored before the run, 0 to 1 (in key order of popularity: the most popular first). */
  preload: number;
}

export interface MemorySpec {
  /** Limit in bytes; 0: none (memcached: its default of 64 MiB is then raised to hold the data set). */
  limitBytes: number;
  /** Limit as a share of the data set's payload (keys + values), 0: not used. */
  limitShare: number;
  /** Redis maxmemory-policy; memcached: any but noeviction means its LRU, noeviction means -M. */
  policy: string;
  /** Redis maxmemory-samples. */
  samples: number;
}

export interface CacheAsideSpec {
  /** A miss is filled with a set after this latency. `none`: filled at once. */
  originLatency: DurationSpec;
}

export interface FanoutSpec {
  /** Subscribers of the channel. */
  subscribers: number;
  channels: number;
  messageBytes: number;
  /** Messages per second over all channels (open loop). */
  rate: number;
  /** For memcached, which has no pub/sub: each subscriber polls a key this often, in milliseconds. */
  pollIntervalMs: number;
}

/**
 * What a started Redis-like server keeps on disk. none: nothing; rdb: snapshots; aof-…: an append-only file, flushed to the disk as its name
 * says; aof-rdb: an append-only file (everysec) and snapshots.
 */
export type PersistenceMode = 'none' | 'rdb' | 'aof-no' | 'aof-everysec' | 'aof-always' | 'aof-rdb';

export interface PersistenceSpec {
  mode: PersistenceMode;
  /** During the measured phase a snapshot (BGSAVE) or a rewrite (BGREWRITEAOF) is begun this often, in seconds; 0: never. */
  snapshotEveryS: number;
  /** After the measured phase the server is killed (SIGKILL) amid writes, started again, and asked for every write it had acknowledged. */
  crash: boolean;
}

export interface Scenario {
  name: string;
  title: string;
  /** What the reader wants to know, in a sentence or two. */
  question: string;
  kind: 'load' | 'pubsub-fanout';
  targets: TargetSpec[];
  dataset: DatasetSpec;
  popularity: PopularitySpec;
  /** Shares need not add up to 1. */
  mix: { operation: OperationKind; weight: number }[];
  ttl: TtlSpec;
  /** Operations in flight per connection in the closed loop. */
  pipeline: number;
  /** Keys of one mget or mset. */
  multiKey: number;
  connections: number;
  /** Driver threads. */
  threads: number;
  driver: DriverName;
  /** memcached's protocol for the raw driver. */
  memcachedProtocol: 'ascii' | 'binary';
  arrival: ArrivalSpec;
  memory: MemorySpec;
  /** null: nothing is kept on disk, and nothing about it is measured. */
  persistence: PersistenceSpec | null;
  /** null: plain operations. Otherwise a get that misses is filled. */
  cacheAside: CacheAsideSpec | null;
  /** pubsub-fanout only. */
  fanout: FanoutSpec | null;
  /** Seconds. */
  warmUpS: number;
  durationS: number;
  /** Ends the measured phase early after so many operations; 0: by time only. */
  operations: number;
  repetitions: number;
  /** Text or number; every random choice follows from it. */
  seed: string;
  /** Share of get replies whose value is checked against key and checksum, 0 to 1. */
  verify: number;
  /** Length of an interval of the time series in milliseconds. */
  intervalMs: number;
}

/** One axis of the matrix: a dotted field of the scenario file and its values as written there. */
export interface MatrixAxis {
  field: string;
  values: (string | number | boolean)[];
}

/** A scenario file after reading: the product of its axes. */
export interface ScenarioPlan {
  name: string;
  title: string;
  question: string;
  /** Where it was read from: a built-in's name or a file's path as given. */
  source: string;
  /** The file's text, for provenance. */
  yaml: string;
  axes: MatrixAxis[];
  /** All combinations, in the order of the axes (the last varies fastest). */
  cells: { axis: Record<string, string | number | boolean>; scenario: Scenario }[];
}
