/** memcached's command line: the flags and -o options of 1.6.18, its bounds, its words for what is wrong. */
import { HASH_POWER_MAX, HASH_POWER_MIN } from '../memcached/assoc.ts';
import { defaultSettings, type Settings } from '../memcached/settings.ts';

/** sysexits.h, as the original uses them. */
export const EX_USAGE = 64;
export const EX_OSERR = 71;

/** What a command line asks for. */
export interface MemcachedOptions {
  settings: Settings;
  /** Addresses to listen on; a port of its own where given. */
  listen: { host: string; port: number }[];
  /** Nobody said where to listen: loopback it is (the original would take every interface). */
  listenDefault: boolean;
  daemonize: boolean;
  pidFile: string | null;
  eventLoop: 'epoll' | 'libuv' | 'auto';
  /** -h, -V: print and leave. */
  show: 'help' | 'version' | null;
  /** Lines for the log before the server starts. */
  warnings: string[];
}

/** A command line that the original refuses. */
export class OptionError extends Error {
  readonly exitCode: number;
  constructor(message: string, exitCode: number) {
    super(message);
    this.name = 'OptionError';
    this.exitCode = exitCode;
  }
}

const ITEM_SIZE_MIN = 1_024;
const ITEM_SIZE_MAX = 1_024 * 1_024 * 1_024;
const THREADS_MANY = 64;
const MEBIBYTE = 1024 * 1024;

/** Flags with an argument, by letter; long forms map to letters. */
const WITH_VALUE = 'aspUlumcPfntDRbBIYeoN';
const LONG: Record<string, string> = {
  'unix-mask': 'a',
  'enable-shutdown': 'A',
  port: 'p',
  'unix-socket': 's',
  'udp-port': 'U',
  'memory-limit': 'm',
  'disable-evictions': 'M',
  'conn-limit': 'c',
  'lock-memory': 'k',
  help: 'h',
  license: 'i',
  version: 'V',
  'enable-coredumps': 'r',
  verbose: 'v',
  daemon: 'd',
  listen: 'l',
  user: 'u',
  pidfile: 'P',
  'slab-growth-factor': 'f',
  'slab-min-size': 'n',
  threads: 't',
  'enable-largepages': 'L',
  'max-reqs-per-event': 'R',
  'disable-cas': 'C',
  'listen-backlog': 'b',
  protocol: 'B',
  'max-item-size': 'I',
  'enable-sasl': 'S',
  'disable-flush-all': 'F',
  'disable-dumping': 'X',
  'disable-watch': 'W',
  'auth-file': 'Y',
  'memory-file': 'e',
  'enable-ssl': 'Z',
  extended: 'o',
  napi_ids: 'N',
};

/** As C's atoi: the number at the start, 0 without one. */
function atoi(text: string): number {
  return Number.parseInt(text, 10) || 0;
}

/** Bytes from "1048576", "1m", "512k". */
function parseBytes(text: string): number {
  const unit = text.at(-1)?.toLowerCase();
  const scale = unit === 'k' ? 1024 : unit === 'm' ? MEBIBYTE : 1;
  return atoi(text) * scale;
}

/**
 * @param argv arguments after the program's name
 * @throws OptionError with the original's text and exit code
 */
export function parseMemcachedOptions(argv: readonly string[]): MemcachedOptions {
  const options: MemcachedOptions = {
    settings: defaultSettings(),
    listen: [],
    listenDefault: true,
    daemonize: false,
    pidFile: null,
    eventLoop: 'auto',
    show: null,
    warnings: [],
  };
  for (let i = 0; i < argv.length; i++) {
    const word = argv[i]!;
    if (word === '--') break;
    if (word.startsWith('--')) {
      const equals = word.indexOf('=');
      const name = equals < 0 ? word.slice(2) : word.slice(2, equals);
      let value = equals < 0 ? null : word.slice(equals + 1);
      const letter = LONG[name];
      const takesValue = name === 'event-loop' || (letter !== undefined && WITH_VALUE.includes(letter));
      if (letter === undefined && name !== 'event-loop') {
        throw new OptionError(`memcached: unrecognized option '--${name}'\nIllegal argument "?"`, 1);
      }
      if (takesValue && value === null) value = requireValue(argv[++i], `--${name}`);
      if (name === 'event-loop') options.eventLoop = eventLoopName(value!);
      else applyFlag(options, letter!, value ?? '');
    } else if (word.startsWith('-') && word.length > 1) {
      for (let j = 1; j < word.length; j++) {
        const letter = word[j]!;
        if (!WITH_VALUE.includes(letter)) {
          applyFlag(options, letter, '');
          continue;
        }
        applyFlag(options, letter, j + 1 < word.length ? word.slice(j + 1) : requireValue(argv[++i], letter));
        break;
      }
    }
  }
  if (options.show === null) checkTogether(options);
  return options;
}

function requireValue(value: string | undefined, name: string): string {
  if (value === undefined) {
    throw new OptionError(`memcached: option requires an argument -- '${name}'\nIllegal argument "?"`, 1);
  }
  return value;
}

function eventLoopName(value: string): 'epoll' | 'libuv' | 'auto' {
  if (value === 'epoll' || value === 'libuv' || value === 'auto') return value;
  throw new OptionError(`Invalid value for event loop: ${value}\n -- should be one of auto, epoll, or libuv`, EX_USAGE);
}

function positive(value: string, message: string): number {
  const number = atoi(value);
  if (number <= 0) throw new OptionError(message, 1);
  return number;
}

function applyFlag(options: MemcachedOptions, letter: string, value: string): void {
  const s = options.settings;
  switch (letter) {
    case 'A':
      s.shutdownCommand = true;
      break;
    case 'a':
      s.access = Number.parseInt(value, 8) || 0;
      break;
    case 'U':
      s.udpPort = atoi(value);
      break;
    case 'p':
      s.tcpPort = portNumber(value);
      break;
    case 's':
      s.socketPath = value;
      break;
    case 'm':
      s.maxBytes = atoi(value) * MEBIBYTE;
      break;
    case 'M':
      s.evictToFree = false;
      break;
    case 'c':
      s.maxConns = positive(value, 'Maximum connections must be greater than 0');
      break;
    case 'h':
      options.show = 'help';
      break;
    case 'V':
      options.show = 'version';
      break;
    case 'v':
      s.verbose++;
      break;
    case 'd':
      options.daemonize = true;
      break;
    case 'l':
      s.inter = s.inter === null ? value : `${s.inter},${value}`;
      break;
    case 'P':
      options.pidFile = value;
      break;
    case 'f':
      s.factor = Number.parseFloat(value);
      if (!(s.factor > 1)) throw new OptionError('Factor must be greater than 1', 1);
      break;
    case 'n':
      s.chunkSize = positive(value, 'Chunk size must be greater than 0');
      break;
    case 't':
      s.threads = positive(value, 'Number of threads must be greater than 0');
      if (s.threads > THREADS_MANY) {
        options.warnings.push(
          'WARNING: Setting a high number of workerthreads is not recommended.',
          ' Set this value to the number of cores in your machine or less.',
        );
      }
      break;
    case 'D':
      s.prefixDelimiter = value.slice(0, 1);
      s.detailEnabled = true;
      break;
    case 'R':
      s.reqsPerEvent = positive(value, 'Number of requests per event must be greater than 0');
      break;
    case 'C':
      s.useCas = false;
      break;
    case 'b':
      s.backlog = atoi(value);
      break;
    case 'B':
      s.protocol = protocolName(value);
      break;
    case 'I':
      s.itemSizeMax = parseBytes(value);
      break;
    case 'F':
      s.flushEnabled = false;
      break;
    case 'X':
      s.dumpEnabled = false;
      break;
    case 'W':
      s.watchEnabled = false;
      break;
    case 'o':
      for (const option of value.split(',')) if (option !== '') applyExtended(options, option);
      break;
    case 'k':
    case 'r':
    case 'L':
    case 'u':
      options.warnings.push(`WARNING: -${letter} is accepted and has no effect here.`);
      break;
    case 'S':
      throw new OptionError('This server is not built with SASL support.', EX_USAGE);
    case 'Z':
      throw new OptionError('This server is not built with TLS support.', EX_USAGE);
    case 'Y':
    case 'e':
    case 'N':
    case 'i':
      throw new OptionError(`This server does not support -${letter} yet.`, EX_USAGE);
    default:
      throw new OptionError(`memcached: invalid option -- '${letter}'\nIllegal argument "?"`, 1);
  }
}

function portNumber(value: string): number {
  const port = atoi(value);
  if (port < 0 || port > 65_535) throw new OptionError(`ERROR: Invalid port number ${value}.`, EX_USAGE);
  return port;
}

function protocolName(value: string): Settings['protocol'] {
  if (value === 'auto') return 'auto-negotiate';
  if (value === 'binary' || value === 'ascii') return value;
  throw new OptionError(
    `Invalid value for binding protocol: ${value}\n -- should be one of auto, binary, or ascii`,
    EX_USAGE,
  );
}

/** An integer option of -o, written as in the original's messages. */
function extendedNumber(name: string, value: string | null): number {
  if (value === null) throw new OptionError(`Missing ${name} argument`, 1);
  const number = Number(value);
  if (value.trim() === '' || Number.isNaN(number)) throw new OptionError(`could not parse argument to ${name}`, 1);
  return number;
}

function applyExtended(options: MemcachedOptions, text: string): void {
  const s = options.settings;
  const equals = text.indexOf('=');
  const name = equals < 0 ? text : text.slice(0, equals);
  const value = equals < 0 ? null : text.slice(equals + 1);
  switch (name) {
    case 'maxconns_fast':
    case 'no_maxconns_fast':
      s.maxConnsFast = name === 'maxconns_fast';
      break;
    case 'hashpower':
      s.hashPowerInit = hashPower(extendedNumber(name, value));
      break;
    case 'no_hashexpand':
      s.hashExpand = false;
      break;
    case 'slab_reassign':
    case 'no_slab_reassign':
      s.slabReassign = name === 'slab_reassign';
      break;
    case 'slab_automove':
      s.slabAutomove = value === null ? 1 : extendedNumber(name, value);
      if (s.slabAutomove < 0 || s.slabAutomove > 2) {
        throw new OptionError('slab_automove must be between 0 and 2', 1);
      }
      break;
    case 'no_slab_automove':
      s.slabAutomove = 0;
      break;
    case 'slab_automove_ratio':
      s.slabAutomoveRatio = extendedNumber(name, value);
      break;
    case 'slab_automove_window':
      s.slabAutomoveWindow = extendedNumber(name, value);
      break;
    case 'slab_chunk_max':
      s.slabChunkSizeMax = chunkMax(extendedNumber(name, value));
      break;
    case 'tail_repair_time':
      s.tailRepairTime = extendedNumber(name, value);
      break;
    case 'hash_algorithm':
      if (value === null) throw new OptionError('Missing hash_algorithm argument', 1);
      if (value !== 'jenkins' && value !== 'murmur3' && value !== 'xxh3') {
        throw new OptionError('Unknown hash_algorithm option (jenkins, murmur3, xxh3)', 1);
      }
      s.hashAlgorithm = value;
      if (value === 'xxh3') options.warnings.push('WARNING: xxh3 is not built in; murmur3 serves in its place.');
      break;
    case 'lru_crawler':
    case 'no_lru_crawler':
      s.lruCrawler = name === 'lru_crawler';
      break;
    case 'lru_crawler_sleep':
      s.lruCrawlerSleep = extendedNumber(name, value);
      break;
    case 'lru_crawler_tocrawl':
      s.lruCrawlerToCrawl = extendedNumber(name, value);
      break;
    case 'lru_maintainer':
      s.lruMaintainer = true;
      s.lruSegmented = true;
      break;
    case 'no_lru_maintainer':
      s.lruMaintainer = false;
      s.lruSegmented = false;
      break;
    case 'hot_lru_pct':
      s.hotLruPct = percent(name, extendedNumber(name, value));
      break;
    case 'warm_lru_pct':
      s.warmLruPct = percent(name, extendedNumber(name, value));
      break;
    case 'hot_max_factor':
      s.hotMaxFactor = extendedNumber(name, value);
      break;
    case 'warm_max_factor':
      s.warmMaxFactor = extendedNumber(name, value);
      break;
    case 'temporary_ttl':
      s.tempLru = true;
      s.temporaryTtl = extendedNumber(name, value);
      break;
    case 'idle_timeout':
      s.idleTimeout = extendedNumber(name, value);
      options.warnings.push('WARNING: idle_timeout is accepted and has no effect here yet.');
      break;
    case 'watcher_logbuf_size':
      s.watcherLogbufSize = extendedNumber(name, value) * 1024;
      break;
    case 'worker_logbuf_size':
      s.workerLogbufSize = extendedNumber(name, value) * 1024;
      break;
    case 'read_buf_mem_limit':
      s.readBufMemLimit = extendedNumber(name, value) * MEBIBYTE;
      break;
    case 'track_sizes':
      s.trackSizes = true;
      break;
    case 'modern':
      break;
    case 'no_modern':
      noModern(s);
      break;
    default:
      throw new OptionError(`Illegal suboption "${text}"`, 1);
  }
}

/** The defaults of 1.4. */
function noModern(s: Settings): void {
  s.slabReassign = false;
  s.slabAutomove = 0;
  s.slabChunkSizeMax = s.slabPageSize;
  s.lruMaintainer = false;
  s.lruSegmented = false;
  s.lruCrawler = false;
  s.maxConnsFast = false;
  s.hashAlgorithm = 'jenkins';
}

function hashPower(power: number): number {
  if (power < HASH_POWER_MIN) throw new OptionError(`Initial hashtable multiplier of ${power} is too low`, 1);
  if (power > HASH_POWER_MAX) {
    throw new OptionError(
      `Initial hashtable multiplier of ${power} is too high\nChoose a value based on "STAT hash_power_level" from a running instance`,
      1,
    );
  }
  return power;
}

/** Bytes; a value that can only be meant as kibibytes is taken so, as in the original. */
function chunkMax(value: number): number {
  return value < 1_024 ? value * 1_024 : value;
}

function percent(name: string, value: number): number {
  if (value < 1 || value >= 80) throw new OptionError(`${name} must be > 1 and < 80`, 1);
  return value;
}

/** What must hold between options, and where to listen. */
function checkTogether(options: MemcachedOptions): void {
  const s = options.settings;
  if (s.itemSizeMax < ITEM_SIZE_MIN) {
    throw new OptionError('Item max size cannot be less than 1024 bytes.', EX_USAGE);
  }
  if (s.itemSizeMax > s.maxBytes / 2) {
    throw new OptionError('Cannot set item size limit higher than 1/2 of memory max.', EX_USAGE);
  }
  if (s.itemSizeMax > ITEM_SIZE_MAX) {
    throw new OptionError('Cannot set item size limit higher than a gigabyte.', EX_USAGE);
  }
  if (s.slabPageSize % s.slabChunkSizeMax !== 0) {
    throw new OptionError(
      `slab_chunk_max (bytes: ${s.slabChunkSizeMax}) must be evenly divisible into the slab page size (${s.slabPageSize})`,
      EX_USAGE,
    );
  }
  if (s.itemSizeMax > s.slabChunkSizeMax && s.itemSizeMax % s.slabChunkSizeMax !== 0) {
    throw new OptionError(
      `-I (item_size_max: ${s.itemSizeMax}) must be evenly divisible by slab_chunk_max (bytes: ${s.slabChunkSizeMax})`,
      EX_USAGE,
    );
  }
  if (s.udpPort !== 0) {
    options.warnings.push('WARNING: UDP is not supported yet: -U is taken as 0.');
    s.udpPort = 0;
  }
  options.listenDefault = s.inter === null;
  for (const part of (s.inter ?? '127.0.0.1').split(/[,;]/)) {
    if (part !== '') options.listen.push(hostAndPort(part, s.tcpPort));
  }
}

/** "host", "host:port", "[v6]:port", "*". */
function hostAndPort(text: string, port: number): { host: string; port: number } {
  const match = /^\[(.*)\](?::(\d+))?$/.exec(text) ?? /^([^:]*)(?::(\d+))?$/.exec(text);
  let host = match?.[1] ?? text;
  if (host === '*' || host === '') host = '0.0.0.0';
  if (host === 'localhost') host = '127.0.0.1';
  return { host, port: match?.[2] === undefined ? port : portNumber(match[2]) };
}
