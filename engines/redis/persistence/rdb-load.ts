/**
 * Loads an RDB file of any version up to 10 into a core. A broken file is never half accepted without a word: the load ends
 * with an error that says where, and the server does not start on it.
 */
import { LRU_CLOCK_MAX, lfuTimeInMinutes } from '../access.ts';
import { POLICY_FLAG_LFU } from '../config.ts';
import { type Db, dbDelete } from '../db.ts';
import { LOG_NOTICE, LOG_WARNING } from '../log-levels.ts';
import type { RedisCore } from '../redis-core.ts';
import { dictFind, dictInsert } from '../structures/dict.ts';
import { dictSetIntBig, dictSetValue } from '../structures/dict-layout.ts';
import { dictExpand } from '../structures/dict-rehash.ts';
import { decrRefCount, robjSetLru } from '../structures/robj.ts';
import { sdsFree, sdsLen } from '../structures/sds.ts';
import { delayAfterKey, type LoadSteps } from './load-progress.ts';
import {
  OPCODE_AUX,
  OPCODE_EOF,
  OPCODE_EXPIRE_MS,
  OPCODE_EXPIRE_SECONDS,
  OPCODE_FREQUENCY,
  OPCODE_FUNCTION,
  OPCODE_FUNCTION_PRE_GA,
  OPCODE_IDLE,
  OPCODE_MODULE_AUX,
  OPCODE_RESIZE_DB,
  OPCODE_SELECT_DB,
} from './rdb-opcodes.ts';
import type { RdbReader } from './rdb-reader.ts';
import { RDB_VERSION } from './rdb-save.ts';
import type { RdbFileSource } from './rdb-source.ts';
import { objectTypeOfRdb } from './rdb-types.ts';

/** A file that cannot be loaded; the message says what is wrong and where. */
export class RdbLoadError extends Error {}

export interface RdbLoadResult {
  keysLoaded: number;
  keysExpired: number;
  /** Keys whose containers were empty, as old servers could save them. */
  emptyKeys: number;
}

/** Takes a function library, in place of one that is there if so told; @throws RdbLoadError when it cannot be had. */
export type LibraryLoader = (code: string, replace: boolean) => void;

function brokenAt(source: RdbFileSource, what: string): RdbLoadError {
  return new RdbLoadError(`Cannot load the RDB file: ${what} near byte ${source.position} of ${source.size}`);
}

function text(r: RdbReader): string {
  return r.readString() ? r.heap.latin1(r.stringOffset, r.stringLength) : '';
}

/** The one negative time that is none; others have gone by. */
const NO_EXPIRY: bigint = -1n;

/** What precedes a key and belongs to it. */
class KeyContext {
  expiry = NO_EXPIRY;
  idleSeconds = -1;
  frequency = -1;

  reset(): void {
    this.expiry = NO_EXPIRY;
    this.idleSeconds = -1;
    this.frequency = -1;
  }
}

function readVersion(source: RdbFileSource): number {
  const r = source.reader;
  const at = r.readRaw(9);
  const head = at === 0 ? '' : r.heap.latin1(at, 9);
  if (!head.startsWith('REDIS')) {
    throw new RdbLoadError('Wrong signature trying to load DB from file');
  }
  const version = Number.parseInt(head.slice(5), 10) || 0;
  if (version < 1 || version > RDB_VERSION) throw new RdbLoadError(`Can't handle RDB format version ${version}`);
  return version;
}

function setAccess(core: RedisCore, value: number, context: KeyContext): void {
  if ((core.config.maxmemoryPolicy & POLICY_FLAG_LFU) !== 0) {
    if (context.frequency >= 0) {
      robjSetLru(core.heap, value, (lfuTimeInMinutes(core.nowMs) << 8) | context.frequency);
    }
  } else if (context.idleSeconds >= 0) {
    let accessed = core.lruClock - context.idleSeconds;
    // The clock goes round in half a year; who was idle for longer was so since its beginning.
    if (accessed < 0) accessed = Math.max(0, accessed + LRU_CLOCK_MAX);
    robjSetLru(core.heap, value, accessed);
  }
}

/** Adds a key without a word to anyone: nobody watches while a file is loaded. The dict takes over `key` and `value`. */
function addKey(core: RedisCore, db: Db, key: number, value: number, expiry: bigint): void {
  const h = core.heap;
  const entry = dictInsert(h, db.dict, key);
  dictSetValue(h, entry, value);
  if (expiry !== NO_EXPIRY) dictSetIntBig(h, dictInsert(h, db.expires, key), expiry);
}

function readKey(
  core: RedisCore,
  source: RdbFileSource,
  rdbType: number,
  db: Db,
  context: KeyContext,
  result: RdbLoadResult,
  merge: boolean,
): void {
  const h = core.heap;
  const r = source.reader;
  const type = objectTypeOfRdb(h, rdbType);
  if (type === null) throw brokenAt(source, `Unknown RDB encoding type ${rdbType}`);
  const key = r.readSds();
  if (key === 0) throw brokenAt(source, 'the file ends within a key or its name is broken');
  let value: number;
  try {
    value = type.loadRdb(r, rdbType);
  } catch (error) {
    sdsFree(h, key);
    throw error;
  }
  const length = sdsLen(h, key);
  const name = () => h.latin1(key, Math.min(length, 128));
  if (value === 0 && r.emptyKey) {
    r.emptyKey = false;
    if (result.emptyKeys++ < 10) core.log(LOG_WARNING, `rdbLoadObject skipping empty key: ${name()}`);
    sdsFree(h, key);
  } else if (value === 0) {
    const error = brokenAt(source, `the value of key '${name()}' is broken`);
    sdsFree(h, key);
    throw error;
  } else if (context.expiry !== NO_EXPIRY && context.expiry < BigInt(core.nowMs)) {
    sdsFree(h, key);
    decrRefCount(h, value);
    result.keysExpired++;
  } else if (dictFind(h, db.dict, key, length) !== 0 && !(merge && dbDelete(core, db, key, length))) {
    const error = brokenAt(source, `RDB has duplicated key '${name()}' in DB ${db.id}`);
    sdsFree(h, key);
    decrRefCount(h, value);
    throw error;
  } else {
    setAccess(core, value, context);
    addKey(core, db, key, value, context.expiry);
    result.keysLoaded++;
  }
  context.reset();
}

function readAux(core: RedisCore, r: RdbReader): void {
  const name = text(r);
  const value = text(r);
  if (r.failed) return;
  if (name === 'redis-ver') core.log(LOG_NOTICE, `Loading RDB produced by version ${value}`);
  else if (name === 'ctime') {
    const age = core.unixtime - Number(value);
    core.log(LOG_NOTICE, `RDB age ${Math.max(0, age)} seconds`);
  } else if (name === 'used-mem') {
    core.persistence.progress.rdbUsedMemory = Number(value) || 0;
    core.log(LOG_NOTICE, `RDB memory usage when created ${(Number(value) / 1_048_576).toFixed(2)} Mb`);
  } else if (name === 'aof-base') {
    if (Number(value) !== 0) core.log(LOG_NOTICE, 'RDB is base AOF');
  } else if (name.startsWith('%')) {
    core.log(LOG_NOTICE, `RDB '${name}': ${value}`);
  }
}

/** A number of 64 bits as C's %llx prints it. */
const hex = (high: number, low: number): string => ((BigInt(high >>> 0) << 32n) | BigInt(low >>> 0)).toString(16);

function checkSum(core: RedisCore, source: RdbFileSource, version: number): void {
  const r = source.reader;
  if (version < 5) return;
  const state = source.checksum();
  const low = state[0]!;
  const high = state[1]!;
  r.readInt64();
  if (r.failed) throw brokenAt(source, 'the file ends before its checksum');
  if (!core.config.rdbchecksum) return;
  if (r.low === 0 && r.high === 0) {
    core.log(LOG_NOTICE, 'RDB file was saved with checksum disabled: no check performed.');
  } else if (r.low !== low >>> 0 || r.high !== high) {
    // What is computed is what is expected.
    const sums = `expected: (${hex(high, low)}) but got (${hex(r.high, r.low)})`;
    core.log(LOG_WARNING, `Wrong RDB checksum ${sums}. Aborting now.`);
    throw new RdbLoadError('RDB CRC error: the file is damaged');
  }
}

function tellLoaded(core: RedisCore, { keysLoaded, keysExpired, emptyKeys }: RdbLoadResult): void {
  const counts = `keys loaded: ${keysLoaded}, keys expired: ${keysExpired}`;
  if (emptyKeys === 0) core.log(LOG_NOTICE, `Done loading RDB, ${counts}.`);
  else core.log(LOG_WARNING, `Done loading RDB, ${counts}, empty keys skipped: ${emptyKeys}.`);
}

/**
 * Loads everything up to the end mark; what lies behind it is left to the caller. Pauses after every so many bytes
 * (`loading-process-events-interval-bytes`), between two keys.
 * @param merge keys that are there already are replaced instead of being an error
 * @throws RdbLoadError, or ARENA_EXHAUSTED; the data loaded so far are in the core
 */
export function* loadRdb(
  core: RedisCore,
  source: RdbFileSource,
  loadLibrary: LibraryLoader,
  merge = false,
): LoadSteps<RdbLoadResult> {
  const r = source.reader;
  const version = readVersion(source);
  const result: RdbLoadResult = { keysLoaded: 0, keysExpired: 0, emptyKeys: 0 };
  const context = new KeyContext();
  const saver = core.persistence;
  saver.keysLoaded = 0;
  saver.keysExpired = 0;
  let db = core.dbs[0]!;
  let pauseAt = core.config.loadingProcessEventsIntervalBytes;
  for (;;) {
    if (source.position >= pauseAt) {
      const every = core.config.loadingProcessEventsIntervalBytes;
      pauseAt = (Math.floor(source.position / every) + 1) * every;
      saver.keysLoaded = result.keysLoaded;
      saver.keysExpired = result.keysExpired;
      saver.progress.at(source.position);
      yield;
    }
    const opcode = r.readByte();
    if (r.failed) throw brokenAt(source, 'the file ends before its end mark');
    switch (opcode) {
      case OPCODE_EXPIRE_SECONDS: {
        const at = r.readRaw(4);
        context.expiry = at === 0 ? 0n : BigInt(r.heap.view.getInt32(at, true)) * 1000n;
        break;
      }
      case OPCODE_EXPIRE_MS:
        r.readInt64();
        context.expiry = (BigInt(r.high) << 32n) | BigInt(r.low);
        break;
      case OPCODE_FREQUENCY:
        context.frequency = r.readByte();
        break;
      case OPCODE_IDLE:
        context.idleSeconds = r.readLength();
        break;
      case OPCODE_SELECT_DB: {
        const id = r.readLength();
        const chosen = core.dbs[id];
        if (chosen === undefined) {
          throw brokenAt(source, `the file has a database ${id}, and this server is configured for ${core.dbs.length}`);
        }
        db = chosen;
        break;
      }
      case OPCODE_RESIZE_DB: {
        const keys = r.readLength();
        const expires = r.readLength();
        // A broken number must not take all memory: no key takes less than so many bytes of the file.
        const most = source.size;
        if (!r.failed && keys <= most && expires <= most) {
          if (keys > 0) dictExpand(core.heap, db.dict, keys);
          if (expires > 0) dictExpand(core.heap, db.expires, expires);
        }
        break;
      }
      case OPCODE_AUX:
        readAux(core, r);
        break;
      case OPCODE_FUNCTION: {
        const code = text(r);
        if (!r.failed) loadLibrary(code, merge);
        break;
      }
      case OPCODE_FUNCTION_PRE_GA:
        throw brokenAt(source, 'Pre-release function format not supported');
      case OPCODE_MODULE_AUX:
        throw brokenAt(source, 'the file holds data of a module, and there are no modules here');
      case OPCODE_EOF:
        checkSum(core, source, version);
        saver.keysLoaded = result.keysLoaded;
        saver.keysExpired = result.keysExpired;
        tellLoaded(core, result);
        return result;
      default:
        readKey(core, source, opcode, db, context, result, merge);
        if (core.config.keyLoadDelay !== 0) delayAfterKey(core);
        break;
    }
    if (r.failed) throw brokenAt(source, 'the bytes are broken');
  }
}
