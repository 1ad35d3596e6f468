/** What a core knows of its files: when and how it was last saved, and how it is saved and loaded while it stands still. */
import { idleTimeMs } from '../access.ts';
import { POLICY_FLAG_LFU, POLICY_FLAG_LRU } from '../config.ts';
import { LOG_NOTICE, LOG_WARNING } from '../log-levels.ts';
import type { RedisCore } from '../redis-core.ts';
import { type LibraryLoader, loadRdb, type RdbLoadResult } from './rdb-load.ts';
import { type RdbContent, saveRdbFile } from './rdb-save.ts';
import { RdbFileSource } from './rdb-source.ts';

/** Files lie in the process's working folder, which `dir` sets. */
export const DATA_FOLDER = '.';

/** Text of an error of the disk, as the system words it. */
export function diskErrorText(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

export class Persistence {
  private readonly core: RedisCore;
  /** When the data were last saved, in seconds since the epoch; at first, the start. */
  lastSave: number;
  /** Whether the last save worked; writes may be refused while it did not. */
  lastSaveOk = true;
  /** Saves since the start. */
  saves = 0;
  keysLoaded = 0;
  keysExpired = 0;
  loading = false;
  /** The code of each function library, and what takes one while loading; set by the part that has functions. */
  libraries: () => readonly string[] = () => [];
  loadLibrary: LibraryLoader = () => {};

  constructor(core: RedisCore) {
    this.core = core;
    this.lastSave = core.unixtime;
  }

  /** What a snapshot of the present moment holds. */
  content(aofBase: boolean): RdbContent {
    const { core } = this;
    const { config } = core;
    const policy = config.maxmemoryPolicy;
    const lru = (policy & POLICY_FLAG_LRU) !== 0;
    return {
      heap: core.heap,
      dbs: core.dbs,
      libraries: this.libraries(),
      unixtime: core.unixtime,
      usedMemory: core.allocator.usedBytes,
      aofBase,
      compress: config.rdbcompression,
      checksum: config.rdbchecksum,
      incrementalSync: config.rdbSaveIncrementalFsync,
      access: lru ? 'idle' : (policy & POLICY_FLAG_LFU) !== 0 ? 'frequency' : 'none',
      idleSeconds: (value) => Math.floor(idleTimeMs(core, value) / 1000),
    };
  }

  /** Saves now, while everything waits. @returns whether it worked; the log says why not */
  save(): boolean {
    const { core } = this;
    const { disk } = core;
    if (disk === null) return false;
    try {
      saveRdbFile(this.content(false), disk, DATA_FOLDER, core.config.dbfilename, `temp-${core.host.pid}.rdb`);
    } catch (error) {
      core.log(LOG_WARNING, `Write error saving DB on disk: ${diskErrorText(error)}`);
      this.lastSaveOk = false;
      return false;
    }
    core.log(LOG_NOTICE, 'DB saved on disk');
    this.saved(core.dirty);
    return true;
  }

  /** @param changes those that the saved file holds: they are no longer owed */
  saved(changes: number): void {
    const { core } = this;
    core.dirty -= changes;
    this.lastSave = core.unixtime;
    this.lastSaveOk = true;
    this.saves++;
  }

  /**
   * Loads the RDB file if there is one.
   * @returns what was loaded, null when there is no file
   * @throws RdbLoadError, what the disk throws, or ARENA_EXHAUSTED
   */
  load(merge = false): RdbLoadResult | null {
    const { core } = this;
    const { disk } = core;
    const name = core.config.dbfilename;
    if (disk === null || !disk.exists(`${DATA_FOLDER}/${name}`)) return null;
    const file = disk.open(`${DATA_FOLDER}/${name}`, 'read');
    const source = new RdbFileSource(core.heap, disk, file);
    this.loading = true;
    try {
      const result = loadRdb(core, source, this.loadLibrary, merge);
      this.keysLoaded = result.keysLoaded;
      this.keysExpired = result.keysExpired;
      core.log(LOG_NOTICE, `Done loading RDB, keys loaded: ${result.keysLoaded}, keys expired: ${result.keysExpired}.`);
      return result;
    } finally {
      this.loading = false;
      source.release();
      disk.close(file);
    }
  }
}
