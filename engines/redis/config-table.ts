/**
 * Every directive of the configuration that Redis 7.0 knows, as data: its kind, its default, its bounds, whether it may change at
 * run time, its older name, and, where this engine accepts it without acting on it, the reason.
 */

/** The bits of `maxmemory-policy`, as in the original: what is sampled and which clock judges. */
export const POLICY_FLAG_LRU = 1;
export const POLICY_FLAG_LFU = 2;
export const POLICY_FLAG_ALLKEYS = 4;
/** With an LRU or LFU policy each value needs an access clock of its own, so integers are not shared. */
export const POLICY_FLAG_NO_SHARED_INTEGERS = POLICY_FLAG_LRU | POLICY_FLAG_LFU;
export const POLICY_VOLATILE_LRU = (0 << 8) | POLICY_FLAG_LRU;
export const POLICY_VOLATILE_LFU = (1 << 8) | POLICY_FLAG_LFU;
export const POLICY_VOLATILE_TTL = 2 << 8;
export const POLICY_VOLATILE_RANDOM = 3 << 8;
export const POLICY_ALLKEYS_LRU = (4 << 8) | POLICY_FLAG_LRU | POLICY_FLAG_ALLKEYS;
export const POLICY_ALLKEYS_LFU = (5 << 8) | POLICY_FLAG_LFU | POLICY_FLAG_ALLKEYS;
export const POLICY_ALLKEYS_RANDOM = (6 << 8) | POLICY_FLAG_ALLKEYS;
export const POLICY_NO_EVICTION = 7 << 8;

/** The policies in the order of their words in the table below. */
export const POLICY_CODES: readonly number[] = [
  POLICY_VOLATILE_LRU,
  POLICY_VOLATILE_LFU,
  POLICY_VOLATILE_RANDOM,
  POLICY_VOLATILE_TTL,
  POLICY_ALLKEYS_LRU,
  POLICY_ALLKEYS_LFU,
  POLICY_ALLKEYS_RANDOM,
  POLICY_NO_EVICTION,
];

/** Largest signed 64-bit integer as the nearest number; printed exactly by `formatBound`. */
export const LLONG_MAX = 2 ** 63;
const INT_MAX = 2 ** 31 - 1;
const INT_MIN = -(2 ** 31);
const UINT_MAX = 2 ** 32 - 1;
const PORT_MAX = 65_535;
const MIB = 1_048_576;

/** One pair of the `save` directive. */
export interface SavePoint {
  readonly seconds: number;
  readonly changes: number;
}

/** Bounds of one client class; sizes in bytes, 0: none. */
export interface OutputBufferLimit {
  readonly hardBytes: number;
  readonly softBytes: number;
  readonly softSeconds: number;
}

export interface OutputBufferLimits {
  readonly normal: OutputBufferLimit;
  readonly slave: OutputBufferLimit;
  readonly pubsub: OutputBufferLimit;
}

export type DirectiveKind =
  | 'bool'
  | 'integer'
  | 'memory'
  | 'octal'
  | 'memory-percent'
  | 'enum'
  | 'flags'
  | 'string'
  | 'special';

/** What is common to the settings; T is the type of the value in `ConfigValues`. */
export interface Directive<T> {
  readonly kind: DirectiveKind;
  readonly standard: T;
  readonly min: number;
  readonly max: number;
  /** Allowed words of an enum. */
  readonly words: readonly string[];
  readonly immutable: boolean;
  /** May only be set at run time if `enable-protected-configs` allows it. */
  readonly protectedSetting: boolean;
  /** Older name of the same setting; it is reported beside the newer one. */
  readonly alias: string | null;
  /** Takes several words on a line of the file. */
  readonly multi: boolean;
  /** Why the engine accepts the setting without acting on it; null where it acts. */
  readonly inert: string | null;
  /** For tests of servers: no pattern finds it, only its name. */
  readonly hidden: boolean;
  /** Cannot be set while data are loaded. */
  readonly notWhileLoading: boolean;
}

interface Extra {
  readonly immutable?: boolean;
  readonly protectedSetting?: boolean;
  readonly alias?: string;
  readonly inert?: string;
  readonly multi?: boolean;
  readonly hidden?: boolean;
  readonly notWhileLoading?: boolean;
}

function directive<T>(
  kind: DirectiveKind,
  standard: T,
  extra: Extra,
  min = 0,
  max = 0,
  words: readonly string[] = [],
): Directive<T> {
  return {
    kind,
    standard,
    min,
    max,
    words,
    immutable: extra.immutable ?? false,
    protectedSetting: extra.protectedSetting ?? false,
    alias: extra.alias ?? null,
    multi: extra.multi ?? false,
    inert: extra.inert ?? null,
    hidden: extra.hidden ?? false,
    notWhileLoading: extra.notWhileLoading ?? false,
  };
}

const bool = (standard: boolean, extra: Extra = {}) => directive<boolean>('bool', standard, extra);
const integer = (standard: number, min: number, max: number, extra: Extra = {}) =>
  directive<number>('integer', standard, extra, min, max);
const memory = (standard: number, min: number, max: number, extra: Extra = {}) =>
  directive<number>('memory', standard, extra, min, max);
/** A negative value is a percentage. */
const memoryPercent = (standard: number, extra: Extra = {}) =>
  directive<number>('memory-percent', standard, extra, -100, LLONG_MAX);
const words = <W extends string>(standard: W, list: readonly W[], extra: Extra = {}) =>
  directive<W>('enum', standard, extra, 0, 0, list);
const text = (standard: string, extra: Extra = {}) => directive<string>('string', standard, extra);
const special = <T>(standard: T, extra: Extra = {}) => directive<T>('special', standard, extra);

const fixed = { immutable: true } as const;
const disk = {} as const;
const types = { inert: 'the type it concerns is not there yet' } as const;
const replication = { inert: 'there is no replication yet' } as const;
const cluster = { inert: 'there is no cluster mode' } as const;
const outgoing = { inert: 'no connections are made to other servers' } as const;
const system = { inert: 'it concerns the C program and its platform' } as const;
const scripts = { inert: 'there are no modules' } as const;

const signalWords = ['default', 'save', 'nosave', 'now', 'force'] as const;

/** All directives by name. */
export const directives = {
  // Network
  // The original's built-in value is "* -::*"; its shipped redis.conf, and this engine, keep to loopback.
  bind: special<readonly string[]>(['127.0.0.1', '-::1'], { multi: true }),
  port: integer(6379, 0, PORT_MAX),
  'tls-port': integer(0, 0, PORT_MAX),
  'tcp-backlog': integer(511, 0, INT_MAX, fixed),
  'tcp-keepalive': integer(300, 0, INT_MAX),
  timeout: integer(0, 0, INT_MAX),
  unixsocket: text('', fixed),
  unixsocketperm: directive<number>('octal', 0, fixed, 0, 0o777),
  'protected-mode': bool(true),
  'bind-source-addr': text('', replication),
  'socket-mark-id': integer(0, 0, UINT_MAX, { ...fixed, ...system }),
  maxclients: integer(10_000, 1, UINT_MAX),

  // General
  daemonize: bool(false, fixed),
  supervised: words('no', ['upstart', 'systemd', 'auto', 'no'], { ...fixed, ...system }),
  pidfile: text('', fixed),
  loglevel: words('notice', ['debug', 'verbose', 'notice', 'warning']),
  logfile: text('', fixed),
  'syslog-enabled': bool(false, { ...fixed, ...system }),
  'syslog-ident': text('redis', { ...fixed, ...system }),
  'syslog-facility': words(
    'local0',
    ['user', 'local0', 'local1', 'local2', 'local3', 'local4', 'local5', 'local6', 'local7'],
    { ...fixed, ...system },
  ),
  'crash-log-enabled': bool(true, system),
  'crash-memcheck-enabled': bool(true, system),
  databases: integer(16, 1, INT_MAX, fixed),
  'always-show-logo': bool(false, fixed),
  'set-proc-title': bool(true, fixed),
  'proc-title-template': text('{title} {listen-addr} {server-mode}'),
  dir: special<string>('', { protectedSetting: true, notWhileLoading: true }),
  hz: integer(10, 0, INT_MAX),
  'dynamic-hz': bool(true),
  activerehashing: bool(true),
  'disable-thp': bool(true, fixed),
  'enable-protected-configs': words('no', ['no', 'yes', 'local'], fixed),
  'enable-debug-command': words('no', ['no', 'yes', 'local'], fixed),
  'enable-module-command': words('no', ['no', 'yes', 'local'], { ...fixed, ...scripts }),
  'ignore-warnings': text('', system),
  'shutdown-timeout': integer(10, 0, INT_MAX, replication),
  'shutdown-on-sigint': directive<readonly string[]>('flags', ['default'], { multi: true }, 0, 0, signalWords),
  'shutdown-on-sigterm': directive<readonly string[]>('flags', ['default'], { multi: true }, 0, 0, signalWords),
  'oom-score-adj': words('no', ['no', 'yes', 'relative', 'absolute'], system),
  'oom-score-adj-values': special<readonly number[]>([0, 200, 800], { ...system, multi: true }),
  'jemalloc-bg-thread': bool(true, system),
  server_cpulist: text('', { ...fixed, ...system }),
  bio_cpulist: text('', { ...fixed, ...system }),
  aof_rewrite_cpulist: text('', { ...fixed, ...system }),
  bgsave_cpulist: text('', { ...fixed, ...system }),
  'io-threads': integer(1, 1, 128, { ...fixed, inert: 'one thread reads and writes' }),
  'io-threads-do-reads': bool(false, { ...fixed, inert: 'one thread reads and writes' }),

  // Access
  requirepass: text(''),
  aclfile: text('', fixed),
  'acllog-max-len': integer(128, 0, LLONG_MAX),
  'acl-pubsub-default': words('resetchannels', ['allchannels', 'resetchannels']),

  // Memory
  maxmemory: memory(0, 0, LLONG_MAX * 2),
  'maxmemory-policy': directive<number>('special', POLICY_NO_EVICTION, {}, 0, 0, [
    'volatile-lru',
    'volatile-lfu',
    'volatile-random',
    'volatile-ttl',
    'allkeys-lru',
    'allkeys-lfu',
    'allkeys-random',
    'noeviction',
  ]),
  'maxmemory-samples': integer(5, 1, INT_MAX),
  'maxmemory-eviction-tenacity': integer(10, 0, 100),
  'maxmemory-clients': memoryPercent(0),
  'lfu-log-factor': integer(10, 0, INT_MAX),
  'lfu-decay-time': integer(1, 0, INT_MAX),
  'active-expire-effort': integer(1, 1, 10),
  'lazyfree-lazy-eviction': bool(false),
  'lazyfree-lazy-expire': bool(false),
  'lazyfree-lazy-server-del': bool(false),
  'lazyfree-lazy-user-del': bool(false),
  'lazyfree-lazy-user-flush': bool(false),
  activedefrag: bool(false),
  'active-defrag-threshold-lower': integer(10, 0, 1000),
  'active-defrag-threshold-upper': integer(100, 0, 1000),
  'active-defrag-cycle-min': integer(1, 1, 99),
  'active-defrag-cycle-max': integer(25, 1, 99),
  'active-defrag-max-scan-fields': integer(1000, 1, LLONG_MAX),
  'active-defrag-ignore-bytes': memory(100 * MIB, 1, LLONG_MAX),

  // Clients
  'client-query-buffer-limit': memory(1024 * MIB, MIB, LLONG_MAX),
  'client-output-buffer-limit': special<OutputBufferLimits>(
    {
      normal: { hardBytes: 0, softBytes: 0, softSeconds: 0 },
      slave: { hardBytes: 256 * MIB, softBytes: 64 * MIB, softSeconds: 60 },
      pubsub: { hardBytes: 32 * MIB, softBytes: 8 * MIB, softSeconds: 60 },
    },
    { multi: true },
  ),
  'proto-max-bulk-len': memory(512 * MIB, MIB, LLONG_MAX),
  'tracking-table-max-keys': integer(1_000_000, 0, LLONG_MAX),

  // Watching
  'slowlog-log-slower-than': integer(10_000, -1, LLONG_MAX),
  'slowlog-max-len': integer(128, 0, LLONG_MAX),
  'latency-monitor-threshold': integer(0, 0, LLONG_MAX),
  'latency-tracking': bool(true),
  'latency-tracking-info-percentiles': special<readonly number[]>([50, 99, 99.9], { multi: true }),
  'notify-keyspace-events': special<number>(0),

  // Types
  'hash-max-listpack-entries': integer(512, 0, LLONG_MAX, { alias: 'hash-max-ziplist-entries' }),
  'hash-max-listpack-value': memory(64, 0, LLONG_MAX, { alias: 'hash-max-ziplist-value' }),
  'list-max-listpack-size': integer(-2, INT_MIN, INT_MAX, { alias: 'list-max-ziplist-size', ...types }),
  'list-compress-depth': integer(0, 0, INT_MAX, types),
  'set-max-intset-entries': integer(512, 0, LLONG_MAX),
  'zset-max-listpack-entries': integer(128, 0, LLONG_MAX, { alias: 'zset-max-ziplist-entries', ...types }),
  'zset-max-listpack-value': memory(64, 0, LLONG_MAX, { alias: 'zset-max-ziplist-value', ...types }),
  'hll-sparse-max-bytes': memory(3000, 0, LLONG_MAX),
  'stream-node-max-bytes': memory(4096, 0, LLONG_MAX, types),
  'stream-node-max-entries': integer(100, 0, LLONG_MAX, types),

  // Scripts
  'busy-reply-threshold': integer(5000, 0, LLONG_MAX, { alias: 'lua-time-limit' }),

  // Persistence
  save: special<readonly SavePoint[]>(
    [
      { seconds: 3600, changes: 1 },
      { seconds: 300, changes: 100 },
      { seconds: 60, changes: 10_000 },
    ],
    { multi: true, ...disk },
  ),
  dbfilename: text('dump.rdb', { protectedSetting: true, ...disk }),
  rdbcompression: bool(true),
  rdbchecksum: bool(true, { ...fixed, ...disk }),
  'rdb-del-sync-files': bool(false, disk),
  'rdb-save-incremental-fsync': bool(true, disk),
  'sanitize-dump-payload': words('no', ['no', 'yes', 'clients'], types),
  'stop-writes-on-bgsave-error': bool(true, disk),
  appendonly: bool(false, { notWhileLoading: true }),
  appendfilename: text('appendonly.aof', { ...fixed, ...disk }),
  appenddirname: text('appendonlydir', { ...fixed, ...disk }),
  appendfsync: words('everysec', ['everysec', 'always', 'no'], disk),
  'no-appendfsync-on-rewrite': bool(false, disk),
  'auto-aof-rewrite-percentage': integer(100, 0, INT_MAX, disk),
  'auto-aof-rewrite-min-size': memory(64 * MIB, 0, LLONG_MAX, disk),
  'aof-load-truncated': bool(true, disk),
  'aof-use-rdb-preamble': bool(true, disk),
  'loading-process-events-interval-bytes': integer(2 * MIB, 1024, INT_MAX, { hidden: true }),
  'use-exit-on-panic': bool(false, { ...system, hidden: true }),
  'watchdog-period': integer(0, 0, INT_MAX, { ...system, hidden: true }),
  'rdb-key-save-delay': integer(0, INT_MIN, INT_MAX, { hidden: true }),
  'key-load-delay': integer(0, INT_MIN, INT_MAX, { hidden: true }),
  'aof-timestamp-enabled': bool(false, disk),
  'aof-disable-auto-gc': bool(false, disk),
  'aof-rewrite-incremental-fsync': bool(true, disk),

  // Replication
  replicaof: special<string>('', { immutable: true, alias: 'slaveof', multi: true, ...replication }),
  masteruser: text('', replication),
  masterauth: text('', replication),
  'replica-serve-stale-data': bool(true, { alias: 'slave-serve-stale-data', ...replication }),
  'replica-read-only': bool(true, { alias: 'slave-read-only', ...replication }),
  'replica-lazy-flush': bool(false, { alias: 'slave-lazy-flush', ...replication }),
  'replica-ignore-maxmemory': bool(true, { alias: 'slave-ignore-maxmemory', ...replication }),
  'replica-ignore-disk-write-errors': bool(false, replication),
  'replica-announced': bool(true, replication),
  'replica-announce-ip': text('', { alias: 'slave-announce-ip', ...replication }),
  'replica-announce-port': integer(0, 0, PORT_MAX, { alias: 'slave-announce-port', ...replication }),
  'replica-priority': integer(100, 0, INT_MAX, { alias: 'slave-priority', ...replication }),
  'repl-disable-tcp-nodelay': bool(false, replication),
  'repl-diskless-sync': bool(true, replication),
  'repl-diskless-sync-delay': integer(5, 0, INT_MAX, replication),
  'repl-diskless-sync-max-replicas': integer(0, 0, INT_MAX, replication),
  'repl-diskless-load': words('disabled', ['disabled', 'on-empty-db', 'swapdb'], {
    ...replication,
    notWhileLoading: true,
  }),
  'repl-ping-replica-period': integer(10, 1, INT_MAX, { alias: 'repl-ping-slave-period', ...replication }),
  'repl-timeout': integer(60, 1, INT_MAX, replication),
  'repl-backlog-size': memory(MIB, 1, LLONG_MAX, replication),
  'repl-backlog-ttl': integer(3600, 0, LLONG_MAX, replication),
  'min-replicas-to-write': integer(0, 0, INT_MAX, { alias: 'min-slaves-to-write', ...replication }),
  'min-replicas-max-lag': integer(10, 0, INT_MAX, { alias: 'min-slaves-max-lag', ...replication }),
  'propagation-error-behavior': words('ignore', ['ignore', 'panic', 'panic-on-replicas'], replication),

  // Cluster
  'cluster-enabled': bool(false, { ...fixed, ...cluster }),
  'cluster-config-file': text('nodes.conf', { ...fixed, ...cluster }),
  'cluster-port': integer(0, 0, PORT_MAX, { ...fixed, ...cluster }),
  'cluster-node-timeout': integer(15_000, 0, LLONG_MAX, cluster),
  'cluster-migration-barrier': integer(1, 0, INT_MAX, cluster),
  'cluster-replica-validity-factor': integer(10, 0, INT_MAX, { alias: 'cluster-slave-validity-factor', ...cluster }),
  'cluster-replica-no-failover': bool(false, { alias: 'cluster-slave-no-failover', ...cluster }),
  'cluster-require-full-coverage': bool(true, cluster),
  'cluster-allow-reads-when-down': bool(false, cluster),
  'cluster-allow-pubsubshard-when-down': bool(true, cluster),
  'cluster-allow-replica-migration': bool(true, cluster),
  'cluster-link-sendbuf-limit': memory(0, 0, LLONG_MAX, cluster),
  'cluster-announce-ip': text('', cluster),
  'cluster-announce-hostname': text('', cluster),
  'cluster-announce-port': integer(0, 0, PORT_MAX, cluster),
  'cluster-announce-tls-port': integer(0, 0, PORT_MAX, cluster),
  'cluster-announce-bus-port': integer(0, 0, PORT_MAX, cluster),
  'cluster-preferred-endpoint-type': words('ip', ['ip', 'hostname', 'unknown-endpoint'], cluster),

  // TLS
  'tls-cluster': bool(false, outgoing),
  'tls-replication': bool(false, outgoing),
  'tls-auth-clients': words('yes', ['no', 'yes', 'optional']),
  'tls-prefer-server-ciphers': bool(false),
  'tls-session-caching': bool(true),
  'tls-session-cache-size': integer(20_480, 0, INT_MAX, { inert: 'sessions are kept by the clients, in tickets' }),
  'tls-session-cache-timeout': integer(300, 0, INT_MAX),
  'tls-cert-file': text(''),
  'tls-key-file': text(''),
  'tls-key-file-pass': text(''),
  'tls-client-cert-file': text('', outgoing),
  'tls-client-key-file': text('', outgoing),
  'tls-client-key-file-pass': text('', outgoing),
  'tls-dh-params-file': text(''),
  'tls-ca-cert-file': text(''),
  'tls-ca-cert-dir': text(''),
  'tls-protocols': text(''),
  'tls-ciphers': text(''),
  'tls-ciphersuites': text(''),
} as const;

export type DirectiveName = keyof typeof directives;

type Camel<S extends string> = S extends `${infer Head}-${infer Tail}` ? `${Head}${Capitalize<Camel<Tail>>}` : S;

/** The value of every directive under its name in camel case: `maxmemoryPolicy`, `tcpKeepalive`, … */
export type ConfigValues = {
  -readonly [K in DirectiveName as Camel<K>]: (typeof directives)[K] extends Directive<infer T> ? T : never;
};
