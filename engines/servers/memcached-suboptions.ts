/** memcached's `-o`: one function for each suboption of 1.6.18, in a table; the original's bounds and its words for what is wrong. */
import { HASH_POWER_MAX, HASH_POWER_MIN } from '../memcached/assoc.ts';
import type { Settings } from '../memcached/settings.ts';
import { atof, atoi, strictFloat, strictSigned, strictUnsigned } from './c-numbers.ts';
import { EX_FAILURE, OptionError } from './option-error.ts';

const KIBIBYTE = 1024;
const MEBIBYTE = 1024 * 1024;
const TAIL_REPAIR_MIN_S = 10;
const CRAWLER_SLEEP_MAX_US = 1_000_000;
const PERCENT_LIMIT = 80;
const WINDOW_MIN = 3;
const SSL_VERSIONS = ['tlsv1.0', 'tlsv1.1', 'tlsv1.2', 'tlsv1.3'];
const SSL_VERIFY_MODES = 4;

/** What suboptions leave behind beside the settings. */
export interface SuboptionState {
  settings: Settings;
  /** Lines for the log. */
  warnings: string[];
  /** slab_chunk_max was given, so that a large -I does not choose it. */
  chunkMaxChanged: boolean;
  /** Unread text of slab_sizes: its bounds are known only when all options are. */
  slabSizes: string | null;
}

type Suboption = (state: SuboptionState, value: string | null, name: string) => void;

function refuse(text: string): never {
  throw new OptionError(text, EX_FAILURE);
}

function required(value: string | null, text: string): string {
  return value ?? refuse(text);
}

/** A suboption that takes a strict unsigned number. */
function unsigned(apply: (settings: Settings, number: number) => void): Suboption {
  return ({ settings }, value, name) => {
    const number = strictUnsigned(required(value, `Missing ${name} argument`));
    apply(settings, number ?? refuse(`could not parse argument to ${name}`));
  };
}

function signed(apply: (settings: Settings, number: number) => void): Suboption {
  return ({ settings }, value, name) => {
    const number = strictSigned(required(value, `Missing ${name} argument`));
    apply(settings, number ?? refuse(`could not parse argument to ${name}`));
  };
}

function float(apply: (settings: Settings, number: number) => void): Suboption {
  return ({ settings }, value, name) => {
    const number = strictFloat(required(value, `Missing ${name} argument`));
    apply(settings, number ?? refuse(`could not parse argument to ${name}`));
  };
}

function text(apply: (settings: Settings, value: string) => void): Suboption {
  return ({ settings }, value, name) => apply(settings, required(value, `Missing ${name} argument`));
}

/** A suboption whose presence is all; a value behind it is not looked at. */
function flag(apply: (settings: Settings) => void): Suboption {
  return ({ settings }) => apply(settings);
}

const nothing: Suboption = () => {};

function percent(apply: (settings: Settings, number: number) => void): Suboption {
  return ({ settings }, value, name) => {
    const number = atoi(required(value, `Missing ${name} argument`));
    if (number < 1 || number >= PERCENT_LIMIT) refuse(`${name} must be > 1 and < 80`);
    apply(settings, number);
  };
}

function factor(apply: (settings: Settings, number: number) => void): Suboption {
  return ({ settings }, value, name) => {
    const number = atof(required(value, `Missing ${name} argument`));
    if (number <= 0) refuse(`${name} must be > 0`);
    apply(settings, number);
  };
}

const slabOptions: Record<string, Suboption> = {
  slab_reassign: flag((s) => {
    s.slabReassign = true;
  }),
  no_slab_reassign: flag((s) => {
    s.slabReassign = false;
  }),
  slab_automove: ({ settings }, value) => {
    settings.slabAutomove = value === null ? 1 : atoi(value);
    if (settings.slabAutomove < 0 || settings.slabAutomove > 2) refuse('slab_automove must be between 0 and 2');
  },
  no_slab_automove: flag((s) => {
    s.slabAutomove = 0;
  }),
  slab_automove_ratio: ({ settings }, value, name) => {
    const ratio = atof(required(value, `Missing ${name} argument`));
    if (ratio <= 0 || ratio > 1) refuse('slab_automove_ratio must be > 0 and < 1');
    settings.slabAutomoveRatio = ratio;
  },
  slab_automove_window: ({ settings }, value, name) => {
    const window = atoi(required(value, `Missing ${name} argument`)) >>> 0;
    if (window < WINDOW_MIN) refuse('slab_automove_window must be > 2');
    settings.slabAutomoveWindow = window;
  },
  slab_automove_freeratio: float((s, number) => {
    s.slabAutomoveFreeRatio = number;
  }),
  // The original reads on after a wrong value and divides by 0; it cannot mean that.
  slab_chunk_max: (state, value, name) => {
    const bytes = strictSigned(required(value, `Missing ${name} argument`));
    state.settings.slabChunkSizeMax = bytes ?? refuse(`could not parse argument to ${name}`);
    state.chunkMaxChanged = true;
  },
  no_chunked_items: flag((s) => {
    s.slabChunkSizeMax = s.slabPageSize;
  }),
  slab_sizes: (state, value, name) => {
    state.slabSizes = required(value, `Missing ${name} argument`);
  },
  track_sizes: flag((s) => {
    s.trackSizes = true;
  }),
};

const lruOptions: Record<string, Suboption> = {
  lru_crawler: flag((s) => {
    s.lruCrawler = true;
  }),
  no_lru_crawler: flag((s) => {
    s.lruCrawler = false;
  }),
  lru_crawler_sleep: ({ settings }, value) => {
    const us = atoi(required(value, 'Missing lru_crawler_sleep value'));
    if (us < 0 || us > CRAWLER_SLEEP_MAX_US) refuse('LRU crawler sleep must be between 0 and 1 second');
    settings.lruCrawlerSleep = us;
  },
  lru_crawler_tocrawl: ({ settings }, value) => {
    const items = strictUnsigned(required(value, 'Missing lru_crawler_tocrawl value'));
    settings.lruCrawlerToCrawl = items ?? refuse('lru_crawler_tocrawl takes a numeric 32bit value');
  },
  lru_maintainer: flag((s) => {
    s.lruMaintainer = true;
    s.lruSegmented = true;
  }),
  no_lru_maintainer: flag((s) => {
    s.lruMaintainer = false;
    s.lruSegmented = false;
  }),
  hot_lru_pct: percent((s, number) => {
    s.hotLruPct = number;
  }),
  warm_lru_pct: percent((s, number) => {
    s.warmLruPct = number;
  }),
  hot_max_factor: factor((s, number) => {
    s.hotMaxFactor = number;
  }),
  warm_max_factor: factor((s, number) => {
    s.warmMaxFactor = number;
  }),
  temporary_ttl: ({ settings }, value, name) => {
    settings.tempLru = true;
    settings.temporaryTtl = atoi(required(value, `Missing ${name} argument`)) >>> 0;
  },
  tail_repair_time: ({ settings }, value, name) => {
    const seconds = atoi(required(value, `Missing numeric argument for ${name}`));
    if (seconds < TAIL_REPAIR_MIN_S) refuse('Cannot set tail_repair_time to less than 10 seconds');
    settings.tailRepairTime = seconds;
  },
};

const otherOptions: Record<string, Suboption> = {
  maxconns_fast: flag((s) => {
    s.maxConnsFast = true;
  }),
  no_maxconns_fast: flag((s) => {
    s.maxConnsFast = false;
  }),
  hashpower: ({ settings }, value, name) => {
    settings.hashPowerInit = hashPower(atoi(required(value, `Missing numeric argument for ${name}`)));
  },
  no_hashexpand: flag((s) => {
    s.hashExpand = false;
  }),
  hash_algorithm: ({ settings }, value, name) => {
    const algorithm = required(value, `Missing ${name} argument`);
    if (algorithm !== 'jenkins' && algorithm !== 'murmur3' && algorithm !== 'xxh3') {
      refuse('Unknown hash_algorithm option (jenkins, murmur3, xxh3)');
    }
    settings.hashAlgorithm = algorithm;
  },
  idle_timeout: ({ settings }, value, name) => {
    settings.idleTimeout = atoi(required(value, `Missing numeric argument for ${name}`));
  },
  watcher_logbuf_size: unsigned((s, number) => {
    s.watcherLogbufSize = number * KIBIBYTE;
  }),
  worker_logbuf_size: (state, value, name) => {
    const size = strictUnsigned(required(value, `Missing ${name} argument`));
    state.settings.workerLogbufSize = (size ?? refuse(`could not parse argument to ${name}`)) * KIBIBYTE;
    // In 1.6.18 this case runs on into that of slab_sizes, and so do its slab classes.
    state.slabSizes = value;
  },
  read_buf_mem_limit: unsigned((s, number) => {
    s.readBufMemLimit = number * MEBIBYTE;
  }),
  resp_obj_mem_limit: (state) => {
    state.warnings.push('DEPRECATED: resp_obj_mem_limit no longer used. See read_buf_mem_limit,');
  },
  modern: nothing,
  no_modern: (state) => noModern(state),
  inline_ascii_resp: nothing,
  no_inline_ascii_resp: nothing,
  drop_privileges: nothing,
  no_drop_privileges: nothing,
  sock_cookie_id: nothing,
};

/** Checked as in a server with TLS and shown by `stats settings`; only -Z would give them an effect. */
const sslOptions: Record<string, Suboption> = {
  ssl_chain_cert: text((s, value) => {
    s.ssl.chainCert = value;
  }),
  ssl_key: text((s, value) => {
    s.ssl.key = value;
  }),
  ssl_verify_mode: signed((s, number) => {
    if (number < 0 || number >= SSL_VERIFY_MODES) refuse('Invalid ssl_verify_mode. Use help to see valid options.');
    s.ssl.verifyMode = number;
  }),
  ssl_keyformat: signed((s, number) => {
    s.ssl.keyFormat = number;
  }),
  ssl_ciphers: text((s, value) => {
    s.ssl.ciphers = value;
  }),
  ssl_ca_cert: text((s, value) => {
    s.ssl.caCert = value;
  }),
  ssl_wbuf_size: unsigned((s, number) => {
    s.ssl.writeBufferSize = number * KIBIBYTE;
  }),
  ssl_session_cache: flag((s) => {
    s.ssl.sessionCache = true;
  }),
  ssl_kernel_tls: flag((s) => {
    s.ssl.kernelTls = true;
  }),
  ssl_min_version: signed((s, number) => {
    s.ssl.minVersion = SSL_VERSIONS[number] ?? refuse('Invalid ssl_min_version. Use help to see valid options.');
  }),
};

/** As above: without a place for external storage none of them does anything, and a place cannot be had. */
const externalOptions: Record<string, Suboption> = {
  ext_path: (_state, value) => {
    const path = required(value, 'missing argument to ext_path, ie: ext_path=/d/file:5G');
    if (!path.includes(':')) {
      refuse(
        'must supply size to ext_path, ie: ext_path=/f/e:64m (M|G|T|P supported)\nfailed to parse ext_path argument',
      );
    }
    refuse(`Illegal suboption "ext_path=${path}"\nThis server has no external storage: leave ext_path out.`);
  },
  ext_page_size: unsigned(() => {}),
  ext_threads: unsigned(() => {}),
  ext_io_depth: unsigned(() => {}),
  ext_wbuf_size: unsigned((s, number) => {
    s.ext.writeBufferSize = number * MEBIBYTE;
  }),
  ext_item_size: unsigned((s, number) => {
    s.ext.itemSize = number;
  }),
  ext_item_age: unsigned((s, number) => {
    s.ext.itemAge = number;
  }),
  ext_low_ttl: unsigned((s, number) => {
    s.ext.lowTtl = number;
  }),
  ext_recache_rate: unsigned((s, number) => {
    s.ext.recacheRate = number;
  }),
  ext_compact_under: unsigned((s, number) => {
    s.ext.compactUnder = number;
  }),
  ext_drop_under: unsigned((s, number) => {
    s.ext.dropUnder = number;
  }),
  ext_max_sleep: unsigned((s, number) => {
    s.ext.maxSleep = number;
  }),
  ext_max_frag: float((s, number) => {
    s.ext.maxFrag = number;
  }),
  ext_drop_unread: flag((s) => {
    s.ext.dropUnread = true;
  }),
};

const suboptions = new Map<string, Suboption>(
  Object.entries({ ...slabOptions, ...lruOptions, ...otherOptions, ...sslOptions, ...externalOptions }),
);

/** Applies the text behind one `-o`. @throws OptionError */
export function applySuboptions(state: SuboptionState, all: string): void {
  let rest = all;
  // As getsubopt cuts it: an empty part between two commas is a part, one at the end is not.
  while (rest !== '') {
    const comma = rest.indexOf(',');
    const part = comma < 0 ? rest : rest.slice(0, comma);
    rest = comma < 0 ? '' : rest.slice(comma + 1);
    const equals = part.indexOf('=');
    const name = equals < 0 ? part : part.slice(0, equals);
    const suboption = suboptions.get(name) ?? refuse(`Illegal suboption "${part}"`);
    suboption(state, equals < 0 ? null : part.slice(equals + 1), name);
  }
}

/** The defaults of 1.4. */
function noModern(state: SuboptionState): void {
  const { settings } = state;
  if (!state.chunkMaxChanged) settings.slabChunkSizeMax = settings.slabPageSize;
  settings.slabReassign = false;
  settings.slabAutomove = 0;
  settings.lruMaintainer = false;
  settings.lruSegmented = false;
  settings.lruCrawler = false;
  settings.maxConnsFast = false;
  settings.hashAlgorithm = 'jenkins';
}

function hashPower(power: number): number {
  if (power < HASH_POWER_MIN) refuse(`Initial hashtable multiplier of ${power} is too low`);
  if (power > HASH_POWER_MAX) {
    refuse(
      `Initial hashtable multiplier of ${power} is too high\nChoose a value based on "STAT hash_power_level" from a running instance`,
    );
  }
  return power;
}
