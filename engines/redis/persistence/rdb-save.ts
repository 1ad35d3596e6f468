/**
 * Whole data sets as RDB files, version 10:
 *
 * | bytes | meaning |
 * | --- | --- |
 * | REDIS0010 | signature and version |
 * | 250 name value | facts about the file, any number |
 * | 245 code | a function library |
 * | 254 db, 251 keys expiries | a database begins, with the sizes of its tables |
 * | [252 ms] [248 idle or 249 freq] type key value | a key |
 * | 255, 8 bytes | the end and the checksum of all before it, 0: none |
 *
 * The data are taken from a view of the arena, so that a frozen one can be written while the engine goes on.
 */

import { crc64Update } from '../../base/crc64.ts';
import { systemText } from '../../base/system-text.ts';
import type { Disk, FileHandle } from '../../ports.ts';
import { idleSeconds } from '../access.ts';
import { dictFind } from '../structures/dict.ts';
import {
  dictBucket,
  dictIntBig,
  dictKey,
  dictNext,
  dictSize,
  dictTableSize,
  dictValue,
} from '../structures/dict-layout.ts';
import type { Heap } from '../structures/heap.ts';
import { robjLru, robjType } from '../structures/robj.ts';
import { sdsLen } from '../structures/sds.ts';
import { putCommands } from './aof-rewrite.ts';
import {
  OPCODE_AUX,
  OPCODE_EOF,
  OPCODE_EXPIRE_MS,
  OPCODE_FREQUENCY,
  OPCODE_FUNCTION,
  OPCODE_IDLE,
  OPCODE_RESIZE_DB,
  OPCODE_SELECT_DB,
} from './rdb-opcodes.ts';
import { RdbWriter } from './rdb-writer.ts';

/** The version of the format. */
export const RDB_VERSION = 10;
/** With rdb-save-incremental-fsync the file is synced whenever so much has been written. */
const SYNC_EVERY_BYTES = 4 * 1024 * 1024;

/** What is to be saved, and how: plain data, so that it can be handed to another thread. */
export interface RdbPlan {
  readonly dbs: readonly { readonly id: number; readonly dict: number; readonly expires: number }[];
  /** The code of each function library, one byte a char. */
  readonly libraries: readonly string[];
  /** What stands in the AUX fields. */
  readonly unixtime: number;
  readonly usedMemory: number;
  /** The file is the base of an append-only file. */
  readonly aofBase: boolean;
  /** It consists of commands (see aof-rewrite.ts); what is said here of RDB files then does not concern it. */
  readonly asCommands: boolean;
  /** Commands begin with a mark of the time. */
  readonly timestamp: boolean;
  readonly compress: boolean;
  readonly checksum: boolean;
  readonly incrementalSync: boolean;
  /** What is saved of each object's accesses: nothing; seconds idle, reckoned from the LRU clock; the LFU counter. */
  readonly access: 'none' | 'idle' | 'frequency';
  readonly lruClock: number;
  /** rdb-key-save-delay: a save in the background waits so many µs for each key, for tests of slow ones. */
  readonly keyDelayUs: number;
}

/** A plan, and the memory that it is about. */
export interface RdbContent extends RdbPlan {
  readonly heap: Heap;
}

/** Writes bytes to the end, however short the single writes are. */
export function writeAll(disk: Disk, file: FileHandle, bytes: Uint8Array, offset: number, length: number): void {
  let at = offset;
  const end = offset + length;
  while (at < end) {
    const written = disk.write(file, bytes, at, end - at);
    if (written <= 0) throw new Error(`Cannot write: the disk takes no more of ${end - at} bytes`);
    at += written;
  }
}

function putText(w: RdbWriter, text: string): void {
  const h = w.heap;
  const room = h.alloc(Math.max(1, text.length));
  try {
    h.putLatin1(text, room);
    w.putBytes(room, text.length);
  } finally {
    h.free(room);
  }
}

function putAux(w: RdbWriter, name: string, value: string): void {
  w.putByte(OPCODE_AUX);
  putText(w, name);
  putText(w, value);
}

function putKey(w: RdbWriter, content: RdbContent, expires: number, entry: number): void {
  const h = content.heap;
  const key = dictKey(h, entry);
  const length = sdsLen(h, key);
  const value = dictValue(h, entry);
  const expiry = dictSize(h, expires) === 0 ? 0 : dictFind(h, expires, key, length);
  if (expiry !== 0) {
    const when = dictIntBig(h, expiry);
    w.putByte(OPCODE_EXPIRE_MS);
    w.putInt64(Number(BigInt.asUintN(32, when)), Number(BigInt.asIntN(32, when >> 32n)));
  }
  if (content.access === 'idle') {
    w.putByte(OPCODE_IDLE);
    w.putLength(idleSeconds(content.lruClock, robjLru(h, value)));
  } else if (content.access === 'frequency') {
    w.putByte(OPCODE_FREQUENCY);
    w.putByte(robjLru(h, value) & 255);
  }
  const type = h.types[robjType(h, value)];
  w.putByte(type.rdbType(h, value));
  w.putBytes(key, length);
  type.saveRdb(w, value);
}

/**
 * Writes everything behind one another.
 * @param saved called with the number of keys written so far, now and then
 */
function putAll(w: RdbWriter, content: RdbContent, saved: (keys: number) => void): void {
  const h = content.heap;
  const head = `REDIS${String(RDB_VERSION).padStart(4, '0')}`;
  h.putLatin1(head, w.reserve(head.length));
  w.length += head.length;
  putAux(w, 'redis-ver', '7.0.15');
  putAux(w, 'redis-bits', '64');
  putAux(w, 'ctime', String(content.unixtime));
  putAux(w, 'used-mem', String(content.usedMemory));
  putAux(w, 'aof-base', content.aofBase ? '1' : '0');
  for (const code of content.libraries) {
    w.putByte(OPCODE_FUNCTION);
    putText(w, code);
  }
  let keys = 0;
  for (const db of content.dbs) {
    if (dictSize(h, db.dict) === 0) continue;
    w.putByte(OPCODE_SELECT_DB);
    w.putLength(db.id);
    w.putByte(OPCODE_RESIZE_DB);
    w.putLength(dictSize(h, db.dict));
    w.putLength(dictSize(h, db.expires));
    for (let table = 0; table < 2; table++) {
      const size = dictTableSize(h, db.dict, table);
      for (let index = 0; index < size; index++) {
        for (let entry = dictBucket(h, db.dict, table, index); entry !== 0; entry = dictNext(h, entry)) {
          putKey(w, content, db.expires, entry);
          keys++;
          if ((keys & 1023) === 0) saved(keys);
        }
      }
    }
  }
  w.putByte(OPCODE_EOF);
  saved(keys);
}

/**
 * Writes the data into an open file, from its present end on.
 * @returns the number of bytes written
 * @throws what the disk throws, or ARENA_EXHAUSTED
 */
export function writeRdb(
  content: RdbContent,
  disk: Disk,
  file: FileHandle,
  saved: (keys: number) => void = () => {},
): number {
  const { heap } = content;
  const state = new Int32Array(2);
  let bytes = 0;
  let unsynced = 0;
  const w = new RdbWriter(heap, content.compress, (offset, length) => {
    if (content.checksum && !content.asCommands) crc64Update(state, heap.u8, offset, length);
    writeAll(disk, file, heap.u8, offset, length);
    bytes += length;
    unsynced += length;
    if (content.incrementalSync && unsynced >= SYNC_EVERY_BYTES) {
      disk.sync(file);
      unsynced = 0;
    }
  });
  try {
    if (content.asCommands) {
      putCommands(w, content, saved);
      w.flush();
      return bytes;
    }
    putAll(w, content, saved);
    w.flush();
    const [low, high] = state;
    w.putInt64(low!, high!);
    w.flush();
  } finally {
    w.release();
  }
  return bytes;
}

/** A file that could not be saved; the message, the original's, says at which step and why. */
export class SaveError extends Error {}

/** Thrown by the `saved` callback: the data are no longer wanted. */
export class SaveAborted extends Error {}

/**
 * Replaces the file at `path` by one with the data: a temporary file beside it is written, synced and renamed. When that fails it is
 * removed, and the old file is as it was.
 * @param folder where the file lies, for its own sync
 * @returns the number of bytes written
 */
export function saveRdbFile(
  content: RdbContent,
  disk: Disk,
  folder: string,
  name: string,
  temporary: string,
  saved: (keys: number) => void = () => {},
): number {
  const beside = `${folder}/${temporary}`;
  let failed = `Failed opening the temp RDB file ${temporary} (in server root dir ${folder}) for saving`;
  let file = -1;
  try {
    file = disk.open(beside, 'write');
    failed = 'Write error saving DB on disk';
    const bytes = writeRdb(content, disk, file, saved);
    disk.sync(file);
    const open = file;
    file = -1;
    disk.close(open);
    failed = `Error moving temp DB file ${temporary} on the final destination ${name} (in server root dir ${folder})`;
    disk.rename(beside, `${folder}/${name}`);
    failed = 'Write error saving DB on disk';
    disk.syncFolder(folder);
    return bytes;
  } catch (error) {
    if (file >= 0) disk.close(file);
    disk.remove(beside);
    // Who ends a save on purpose knows why.
    if (error instanceof SaveAborted) throw error;
    throw new SaveError(`${failed}: ${systemText(error)}`, { cause: error });
  }
}
