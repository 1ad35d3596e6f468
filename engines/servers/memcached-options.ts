/** memcached's command line: the flags of 1.6.18, its bounds, its words for what is wrong. `-o` is in memcached-suboptions.ts. */
import { defaultSettings, type Settings } from '../memcached/settings.ts';
import { atof, atoi } from './c-numbers.ts';
import { GetoptError, getopt, type LongOption, type OptionGrammar, type OptionValue } from './getopt.ts';
import { type ListenAddress, parseListenAddresses } from './listen-addresses.ts';
import { checkTogether, type Given } from './memcached-checks.ts';
import { applySuboptions } from './memcached-suboptions.ts';
import { EX_FAILURE, EX_USAGE, OptionError } from './option-error.ts';

export { EX_OSERR, EX_USAGE, OptionError } from './option-error.ts';

/** What a command line asks for. */
export interface MemcachedOptions {
  settings: Settings;
  /** Where to listen by TCP; empty with -s, and with -p 0 where no address names a port. */
  listen: ListenAddress[];
  /** Where to receive datagrams; empty with -U 0. */
  listenUdp: ListenAddress[];
  /** Nobody said where to listen: loopback it is (the original would take every interface). */
  listenDefault: boolean;
  daemonize: boolean;
  /** -r: a daemon keeps its working folder, where the original would dump core. */
  staysInFolder: boolean;
  pidFile: string | null;
  /** -u: whom to become when root has started the server; null: nobody else. */
  user: string | null;
  eventLoop: 'epoll' | 'libuv' | 'auto';
  /** --verify-on-exit: cachelab's own; all of memory is checked when the server stops, and a contradiction is its exit code. */
  verifyOnExit: boolean;
  /** -h, -i, -V: print and leave. */
  show: 'help' | 'license' | 'version' | null;
  /** Lines for the log before the server starts. */
  warnings: string[];
}

const THREADS_MANY = 64;
const ITEM_STRUCT_BYTES = 48;
const MEBIBYTE = 1024 * 1024;
const UNITS: Record<string, number> = { k: 1024, K: 1024, m: MEBIBYTE, M: MEBIBYTE };

/** Cachelab's own, which have no letter. */
const EVENT_LOOP = 'event-loop';
const VERIFY_ON_EXIT = '--verify-on-exit';

function long(name: string, flag: string, value: OptionValue = 'required'): LongOption {
  return { name, value, flag };
}

/** In the original's order: it is that in which ambiguous names are told. */
const GRAMMAR: OptionGrammar = {
  plain: 'AZMkhiVrvdLCSFXW',
  withValue: 'aspUmclufnPtDRbBIYeoN',
  long: [
    long('unix-mask', 'a'),
    long('enable-shutdown', 'A', 'none'),
    long('enable-ssl', 'Z', 'none'),
    long('port', 'p'),
    long('unix-socket', 's'),
    long('udp-port', 'U'),
    long('memory-limit', 'm'),
    long('disable-evictions', 'M', 'none'),
    long('conn-limit', 'c'),
    long('lock-memory', 'k', 'none'),
    long('help', 'h', 'none'),
    long('license', 'i', 'none'),
    long('version', 'V', 'none'),
    long('enable-coredumps', 'r', 'none'),
    long('verbose', 'v', 'optional'),
    long('daemon', 'd', 'none'),
    long('listen', 'l'),
    long('user', 'u'),
    long('pidfile', 'P'),
    long('slab-growth-factor', 'f'),
    long('slab-min-size', 'n'),
    long('threads', 't'),
    long('enable-largepages', 'L', 'none'),
    long('max-reqs-per-event', 'R'),
    long('disable-cas', 'C', 'none'),
    long('listen-backlog', 'b'),
    long('protocol', 'B'),
    long('max-item-size', 'I'),
    long('enable-sasl', 'S', 'none'),
    long('disable-flush-all', 'F', 'none'),
    long('disable-dumping', 'X', 'none'),
    long('disable-watch', 'W', 'none'),
    long('auth-file', 'Y'),
    long('memory-file', 'e'),
    long('extended', 'o'),
    long('napi-ids', 'N'),
  ],
};

/** What is gathered beside the settings while flags are read. */
interface Reading extends Given {
  options: MemcachedOptions;
  settings: Settings;
  warnings: string[];
  /** Warnings that the original does not have: they are for servers that start. */
  notes: string[];
}

/**
 * @param argv arguments after the program's name
 * @throws OptionError with the original's text (behind the warnings it would have printed by then) and exit code
 */
export function parseMemcachedOptions(argv: readonly string[]): MemcachedOptions {
  const settings = defaultSettings();
  const warnings: string[] = [];
  const options: MemcachedOptions = {
    settings,
    listen: [],
    listenUdp: [],
    listenDefault: true,
    daemonize: false,
    staysInFolder: false,
    pidFile: null,
    user: null,
    eventLoop: 'auto',
    verifyOnExit: false,
    show: null,
    warnings,
  };
  const reading: Reading = {
    options,
    settings,
    warnings,
    notes: [],
    chunkMaxChanged: false,
    slabSizes: null,
    protocol: false,
    tcpPort: false,
    udpPort: false,
    napiIds: 0,
    tls: false,
  };
  try {
    getopt(takeOwnOptions(argv, options), GRAMMAR, (flag, value) => {
      applyFlag(reading, flag, value ?? '');
      return options.show === null;
    });
    if (options.show === null) finish(reading);
    if (options.show === null) warnings.push(...reading.notes);
  } catch (error) {
    throw withWarnings(error, warnings);
  }
  return options;
}

/** What the original would have printed before it gave up goes before the reason. */
function withWarnings(error: unknown, warnings: readonly string[]): unknown {
  if (error instanceof GetoptError) {
    return new OptionError([...warnings, `memcached: ${error.message}`, 'Illegal argument "?"'].join('\n'), EX_FAILURE);
  }
  if (!(error instanceof OptionError)) return error;
  return new OptionError([...warnings, error.message].join('\n'), error.exitCode);
}

/** Takes out options that only cachelab has: in full or not at all, so that they make none of the original's abbreviations ambiguous. */
function takeOwnOptions(argv: readonly string[], options: MemcachedOptions): string[] {
  const rest: string[] = [];
  for (let i = 0; i < argv.length; i++) {
    const word = argv[i]!;
    if (word === '--') return [...rest, ...argv.slice(i)];
    if (word === VERIFY_ON_EXIT) {
      options.verifyOnExit = true;
      continue;
    }
    if (word !== `--${EVENT_LOOP}` && !word.startsWith(`--${EVENT_LOOP}=`)) {
      rest.push(word);
      continue;
    }
    const equals = word.indexOf('=');
    const value = equals < 0 ? argv[++i] : word.slice(equals + 1);
    if (value === undefined) throw new GetoptError(`option '--${EVENT_LOOP}' requires an argument`);
    options.eventLoop = eventLoopName(value);
  }
  return rest;
}

function eventLoopName(value: string): 'epoll' | 'libuv' | 'auto' {
  if (value === 'epoll' || value === 'libuv' || value === 'auto') return value;
  throw new OptionError(`Invalid value for event loop: ${value}\n -- should be one of auto, epoll, or libuv`, EX_USAGE);
}

function positive(value: string, message: string): number {
  const number = atoi(value);
  if (number <= 0) throw new OptionError(message, EX_FAILURE);
  return number;
}

type Flag = (reading: Reading, value: string) => void;

/** Flags that set something that a client meets. */
const settingFlags: Record<string, Flag> = {
  A: ({ settings }) => {
    settings.shutdownCommand = true;
  },
  a: ({ settings }, value) => {
    settings.access = Number.parseInt(value, 8) || 0;
  },
  U: (reading, value) => {
    reading.settings.udpPort = atoi(value);
    reading.udpPort = true;
  },
  p: (reading, value) => {
    reading.settings.tcpPort = atoi(value);
    reading.tcpPort = true;
  },
  s: ({ settings }, value) => {
    settings.socketPath = value;
  },
  m: ({ settings }, value) => {
    settings.maxBytes = atoi(value) * MEBIBYTE;
    // A size_t: below 0 it is beyond all bounds.
    if (settings.maxBytes < 0) settings.maxBytes += 2 ** 64;
  },
  M: ({ settings }) => {
    settings.evictToFree = false;
  },
  c: ({ settings }, value) => {
    settings.maxConns = positive(value, 'Maximum connections must be greater than 0');
  },
  v: ({ settings }) => {
    settings.verbose++;
  },
  l: ({ settings }, value) => {
    // As the original: a text that is part of what is there already is not taken again.
    if (settings.inter === null) settings.inter = value;
    else if (!settings.inter.includes(value)) settings.inter += `,${value}`;
  },
  f: ({ settings }, value) => {
    settings.factor = atof(value);
    if (!(settings.factor > 1)) throw new OptionError('Factor must be greater than 1', EX_FAILURE);
  },
  n: ({ settings }, value) => {
    settings.chunkSize = atoi(value);
    // Below 0 the original still makes classes, or a single one where an item's own struct has it wrap. Without a byte left it dies.
    if (settings.chunkSize === 0 || settings.chunkSize === -ITEM_STRUCT_BYTES) {
      throw new OptionError('Chunk size must be greater than 0', EX_FAILURE);
    }
  },
  t: ({ settings, warnings }, value) => {
    settings.threads = positive(value, 'Number of threads must be greater than 0');
    if (settings.threads <= THREADS_MANY) return;
    warnings.push(
      'WARNING: Setting a high number of workerthreads is not recommended.',
      ' Set this value to the number of cores in your machine or less.',
    );
  },
  D: ({ settings }, value) => {
    if (value === '') throw new OptionError('No delimiter specified', EX_FAILURE);
    settings.prefixDelimiter = value.slice(0, 1);
    settings.detailEnabled = true;
  },
  R: ({ settings }, value) => {
    settings.reqsPerEvent = atoi(value);
    if (settings.reqsPerEvent === 0) {
      throw new OptionError('Number of requests per event must be greater than 0', EX_FAILURE);
    }
    // With less than none the original never comes to serve anybody; one is the least that serves.
    if (settings.reqsPerEvent < 0) settings.reqsPerEvent = 1;
  },
  C: ({ settings }) => {
    settings.useCas = false;
  },
  b: ({ settings }, value) => {
    settings.backlog = atoi(value);
  },
  B: (reading, value) => {
    reading.settings.protocol = protocolName(value);
    reading.protocol = true;
  },
  I: ({ settings }, value) => {
    // 32 bits with a sign: gigabytes wrap.
    settings.itemSizeMax = (atoi(value) * (UNITS[value.slice(-1)] ?? 1)) | 0;
  },
  S: ({ settings }) => {
    settings.sasl = true;
  },
  F: ({ settings }) => {
    settings.flushEnabled = false;
  },
  X: ({ settings }) => {
    settings.dumpEnabled = false;
  },
  W: ({ settings }) => {
    settings.watchEnabled = false;
  },
  Y: ({ settings }, value) => {
    settings.authFile = value;
  },
  e: ({ settings }, value) => {
    settings.memoryFile = value;
    settings.preallocate = true;
  },
};

function withoutEffect(letter: string): Flag {
  return ({ notes }) => {
    notes.push(`WARNING: -${letter} is accepted and has no effect here.`);
  };
}

/** Flags about the process. */
const processFlags: Record<string, Flag> = {
  h: ({ options }) => {
    options.show = 'help';
  },
  i: ({ options }) => {
    options.show = 'license';
  },
  V: ({ options }) => {
    options.show = 'version';
  },
  d: ({ options }) => {
    options.daemonize = true;
  },
  P: ({ options }, value) => {
    options.pidFile = value;
  },
  u: ({ options }, value) => {
    options.user = value;
  },
  Z: (reading) => {
    reading.tls = true;
  },
  N: (reading, value) => {
    reading.napiIds = positive(value, 'Maximum number of NAPI IDs must be greater than 0');
  },
  o: (reading, value) => applySuboptions(reading, value),
  k: withoutEffect('k'),
  r: (reading, value) => {
    reading.options.staysInFolder = true;
    withoutEffect('r')(reading, value);
  },
  L: ({ settings }) => {
    settings.preallocate = true;
  },
};

function applyFlag(reading: Reading, letter: string, value: string): void {
  (settingFlags[letter] ?? processFlags[letter]!)(reading, value);
}

function protocolName(value: string): Settings['protocol'] {
  if (value === 'auto') return 'auto-negotiate';
  if (value === 'binary' || value === 'ascii') return value;
  throw new OptionError(
    `Invalid value for binding protocol: ${value}\n -- should be one of auto, binary, or ascii`,
    EX_USAGE,
  );
}

function finish(reading: Reading): void {
  const { options, settings } = reading;
  checkTogether(settings, reading);
  options.listenDefault = settings.inter === null;
  if (settings.socketPath !== null) return;
  const inter = settings.inter ?? '127.0.0.1';
  if (settings.udpPort !== 0) options.listenUdp = parseListenAddresses(inter, settings.udpPort);
  if (settings.tcpPort === 0) return;
  options.listen = parseListenAddresses(inter, settings.tcpPort);
  settings.listenerProtocols = options.listen.map(({ protocol }) => protocol);
}
