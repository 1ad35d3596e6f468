/** What must hold between memcached's options once all are read, in the order in which the original looks. */
import { HASH_POWER_ARENA_MAX } from '../memcached/assoc.ts';
import { itemLockPower } from '../memcached/locks.ts';
import type { Settings } from '../memcached/settings.ts';
import { preallocationMegabytes } from '../memcached/slabs.ts';
import { strictUnsigned } from './c-numbers.ts';
import { EX_FAILURE, EX_USAGE, OptionError } from './option-error.ts';

const ITEM_SIZE_MIN = 1_024;
const ITEM_SIZE_MAX = 1_024 * 1_024 * 1_024;
/** slabs.h: CHUNK_ALIGN_BYTES and MAX_NUMBER_OF_SLAB_CLASSES less the class for no class. */
const CHUNK_ALIGN = 8;
const CLASSES_MAX = 63;
const PORT_MAX = 65_535;
const PERCENT_BOTH_MAX = 80;

/** What the checks need to know beside the settings. */
export interface Given {
  chunkMaxChanged: boolean;
  slabSizes: string | null;
  protocol: boolean;
  tcpPort: boolean;
  udpPort: boolean;
  /** -N, 0 without one. */
  napiIds: number;
  tls: boolean;
}

function refuse(text: string, code = EX_USAGE): never {
  throw new OptionError(text, code);
}

/** Checks, and sets what follows from several options. @throws OptionError */
export function checkTogether(s: Settings, given: Given): void {
  if (given.napiIds > s.threads) {
    refuse(`Number of napi_ids(${given.napiIds}) cannot be greater than number of threads(${s.threads})`);
  }
  checkSizes(s, given);
  if (given.slabSizes !== null) s.slabSizes = parseSlabSizes(given.slabSizes, s);
  if (s.hotLruPct + s.warmLruPct > PERCENT_BOTH_MAX) {
    refuse('hot_lru_pct + warm_lru_pct cannot be more than 80% combined');
  }
  if (s.tempLru && !s.lruMaintainer) refuse('temporary_ttl requires lru_maintainer to be enabled');
  checkAuthentication(s, given);
  if (given.udpPort && s.udpPort !== 0 && !given.tcpPort) s.tcpPort = s.udpPort;
  if (s.tcpPort > PORT_MAX) refuse(`ERROR: Invalid port number ${s.tcpPort}.`);
  if (given.tls) refuse(s.tcpPort === 0 ? 'ERROR: You cannot enable SSL without a TCP port.' : NO_TLS);
  if (s.authFile !== null && s.udpPort !== 0) {
    refuse('Cannot use UDP with ascii authentication enabled (-U 0 to disable)');
  }
  checkHashTable(s);
  if (s.preallocate) checkPreallocation(s);
}

function checkPreallocation(s: Settings): void {
  const needed = preallocationMegabytes(s);
  if (s.maxBytes >= needed * s.slabPageSize) return;
  refuse(
    `Error while preallocating slab memory!
If using -L or other prealloc options, max memory must be at least ${needed} megabytes.`,
    EX_FAILURE,
  );
}

const NO_TLS = 'This server is not built with TLS support.';

function checkSizes(s: Settings, given: Given): void {
  if (s.itemSizeMax < ITEM_SIZE_MIN) refuse('Item max size cannot be less than 1024 bytes.');
  if (s.itemSizeMax > s.maxBytes / 2) refuse('Cannot set item size limit higher than 1/2 of memory max.');
  if (s.itemSizeMax > ITEM_SIZE_MAX) refuse('Cannot set item size limit higher than a gigabyte.');
  if (s.itemSizeMax > s.slabPageSize && !given.chunkMaxChanged) s.slabChunkSizeMax = s.slabPageSize / 2;
  const chunk = s.slabChunkSizeMax;
  if (chunk > s.itemSizeMax) {
    refuse(`slab_chunk_max (bytes: ${chunk}) cannot be larger than -I (item_size_max ${s.itemSizeMax})`);
  }
  // The original divides by 0 here.
  if (chunk === 0) refuse('slab_chunk_max (bytes: 0) must be greater than 0');
  if (s.itemSizeMax % chunk !== 0) {
    refuse(`-I (item_size_max: ${s.itemSizeMax}) must be evenly divisible by slab_chunk_max (bytes: ${chunk})`);
  }
  if (s.slabPageSize % chunk !== 0) {
    refuse(`slab_chunk_max (bytes: ${chunk}) must divide evenly into ${s.slabPageSize} (slab_page_size)`);
  }
  if (chunk < 0) refuse(`slab_chunk_max (bytes: ${chunk}) must be greater than 0`);
}

/** Sizes joined by "-", ascending, apart by more than the chunks' alignment. */
function parseSlabSizes(text: string, s: Settings): number[] {
  if (text === '') refuse('');
  const sizes: number[] = [];
  let last = 0;
  for (const part of text.split('-')) {
    if (part === '') continue;
    const size = strictUnsigned(part);
    if (size === null || size < s.chunkSize >>> 0 || size > s.slabChunkSizeMax) {
      refuse(`slab size ${size ?? 0} is out of valid range`);
    }
    if (last >= size) refuse(`slab size ${size} cannot be lower than or equal to a previous class size`);
    if (size <= last + CHUNK_ALIGN) {
      refuse(`slab size ${size} must be at least ${CHUNK_ALIGN} bytes larger than previous class`);
    }
    sizes.push(size);
    last = size;
    if (sizes.length >= CLASSES_MAX) refuse('too many slab classes specified');
  }
  return sizes;
}

function checkAuthentication(s: Settings, given: Given): void {
  if (s.sasl) {
    if (!given.protocol) s.protocol = 'binary';
    else if (s.protocol !== 'binary') refuse('ERROR: You cannot allow the ASCII protocol while using SASL.');
    if (s.udpPort !== 0) refuse('ERROR: Cannot enable UDP while using binary SASL authentication.');
  }
  if (s.authFile !== null) {
    if (!given.protocol) s.protocol = 'ascii';
    else if (s.protocol !== 'ascii') {
      refuse('ERROR: You cannot allow the BINARY protocol while using ascii authentication tokens.');
    }
  }
}

function checkHashTable(s: Settings): void {
  const power = s.hashPowerInit;
  if (power === 0) return;
  if (power > HASH_POWER_ARENA_MAX) refuse('Failed to init hashtable.', EX_FAILURE);
  const locks = itemLockPower(s.threads);
  if (power <= locks) {
    refuse(
      `Hash table power size (${power}) cannot be equal to or less than item lock table (${locks})
Item lock table grows with \`-t N\` (worker threadcount)
Hash table grows with \`-o hashpower=N\` `,
      EX_FAILURE,
    );
  }
}
