/** What a core knows of its files: when and how it was last saved, and how it is saved and loaded while it stands still. */
import { POLICY_FLAG_LFU, POLICY_FLAG_LRU } from '../config.ts';
import { LOG_NOTICE, LOG_WARNING } from '../log-levels.ts';
import type { RedisCore } from '../redis-core.ts';
import { dictSize } from '../structures/dict.ts';
import { type LibraryLoader, loadRdb, type RdbLoadResult } from './rdb-load.ts';
import { type RdbPlan, saveRdbFile } from './rdb-save.ts';
import { RdbFileSource } from './rdb-source.ts';
import type { SnapshotEnd, Snapshots } from './snapshots.ts';

/** Files lie in the process's working folder, which `dir` sets. */
export const DATA_FOLDER = '.';

/** Text of an error of the disk, as the system words it. */
export function diskErrorText(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** A save point whose time has come is tried again no sooner than this after a failure. */
const RETRY_SECONDS = 5;
/** How long one turn, and one call of the cron, may merge the copies of the last snapshot. */
const TIDY_TURN_US = 200;
const TIDY_CRON_US = 2_000;
/** Copied memory is counted once a second, as the original's child tells it. */
const COPIED_EVERY_SECONDS = 1;

/** How an attempt to save in the background went. */
export type BackgroundSave = 'started' | 'busy' | 'failed';

export class Persistence {
  private readonly core: RedisCore;
  /** Saves in the background; null: this server cannot, and saves in the foreground instead. Set by the server around the core. */
  snapshots: Snapshots | null = null;
  /** A save in the background is running. */
  saving = false;
  /** BGSAVE SCHEDULE: one is to be started as soon as it can be. */
  scheduled = false;
  private startedUnixtime = 0;
  private lastTry = 0;
  private changesAtStart = 0;
  /** Keys there were when it began. */
  keysTotal = 0;
  lastSaveSeconds = -1;
  lastCopiedBytes = 0;
  /** Bytes copied so far by the one that runs, when that was counted, and the most so far. */
  copiedBytes = 0;
  copiedPeak = 0;
  copiedCountedAt = 0;
  /** The pause at the last start in µs. */
  lastPauseUs = 0;
  snapshotsStarted = 0;
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
  plan(aofBase: boolean): RdbPlan {
    const { core } = this;
    const { config } = core;
    const policy = config.maxmemoryPolicy;
    const lru = (policy & POLICY_FLAG_LRU) !== 0;
    return {
      dbs: core.dbs.map(({ id, dict, expires }) => ({ id, dict, expires })),
      libraries: this.libraries(),
      unixtime: core.unixtime,
      usedMemory: core.allocator.usedBytes,
      aofBase,
      compress: config.rdbcompression,
      checksum: config.rdbchecksum,
      incrementalSync: config.rdbSaveIncrementalFsync,
      access: lru ? 'idle' : (policy & POLICY_FLAG_LFU) !== 0 ? 'frequency' : 'none',
      lruClock: core.lruClock,
    };
  }

  /** Saves now, while everything waits. @returns whether it worked; the log says why not */
  save(): boolean {
    const { core } = this;
    const { disk } = core;
    if (disk === null) return false;
    try {
      saveRdbFile(
        { ...this.plan(false), heap: core.heap },
        disk,
        DATA_FOLDER,
        core.config.dbfilename,
        `temp-${core.host.pid}.rdb`,
      );
    } catch (error) {
      core.log(LOG_WARNING, `Write error saving DB on disk: ${diskErrorText(error)}`);
      this.lastSaveOk = false;
      return false;
    }
    core.log(LOG_NOTICE, 'DB saved on disk');
    this.saved(core.dirty);
    return true;
  }

  /** Starts saving in the background. */
  saveInBackground(): BackgroundSave {
    const { core, snapshots } = this;
    if (this.saving) return 'busy';
    this.lastTry = core.unixtime;
    if (core.disk === null) return 'failed';
    if (snapshots === null) {
      core.log(LOG_WARNING, 'Saving in the foreground: this platform cannot freeze memory');
      return this.save() ? 'started' : 'failed';
    }
    // What is left of the last one is finished first, whatever it takes.
    while (snapshots.tidy(TIDY_CRON_US));
    const pauseUs = snapshots.start({
      plan: this.plan(false),
      hashKey: [...core.heap.hashKey],
      folder: DATA_FOLDER,
      name: core.config.dbfilename,
      temporary: `temp-${core.host.pid}.rdb`,
    });
    if (pauseUs < 0) {
      this.lastSaveOk = false;
      core.log(LOG_WARNING, "Can't save in background: the memory cannot be frozen");
      return 'failed';
    }
    core.log(LOG_NOTICE, 'Background saving started');
    this.lastPauseUs = Math.round(pauseUs);
    this.snapshotsStarted++;
    this.saving = true;
    this.scheduled = false;
    this.startedUnixtime = core.unixtime;
    this.changesAtStart = core.dirty;
    this.copiedBytes = 0;
    this.copiedPeak = 0;
    this.copiedCountedAt = core.unixtime;
    this.keysTotal = 0;
    for (const db of core.dbs) this.keysTotal += dictSize(core.heap, db.dict);
    // Rehashing would copy pages for nothing.
    core.heap.dictCanResize = false;
    return 'started';
  }

  /** Seconds that the running save has taken; -1: none runs. */
  get savingSeconds(): number {
    return this.saving ? this.core.unixtime - this.startedUnixtime : -1;
  }

  /** Ends a running save without a result: its data are no longer wanted. */
  abortSave(): void {
    if (this.saving) this.snapshots?.abort();
  }

  /** Whether commands that write are refused because saving has failed. */
  get writesRefused(): boolean {
    const { config } = this.core;
    return !this.lastSaveOk && config.stopWritesOnBgsaveError && config.save.length > 0;
  }

  /** The end of a save is noticed and the next is begun; to be called from the server's cron. */
  cron(): void {
    const { core } = this;
    if (this.saving) {
      const end = this.snapshots!.takeEnd();
      if (end !== null) this.ended(end);
      else if (core.unixtime - this.copiedCountedAt >= COPIED_EVERY_SECONDS) {
        this.copiedCountedAt = core.unixtime;
        this.copiedBytes = this.snapshots!.copiedBytes();
        if (this.copiedBytes > this.copiedPeak) this.copiedPeak = this.copiedBytes;
      }
      return;
    }
    this.snapshots?.tidy(TIDY_CRON_US);
    if (core.config.save.length > 0) this.checkSavePoints();
    if (this.scheduled && !this.saving && this.mayTry()) this.saveInBackground();
  }

  /** To be called in every turn: what a snapshot has left behind is put in order bit by bit. */
  turn(): void {
    if (!this.saving && this.snapshots !== null) this.snapshots.tidy(TIDY_TURN_US);
  }

  private mayTry(): boolean {
    return this.lastSaveOk || this.core.unixtime - this.lastTry > RETRY_SECONDS;
  }

  private checkSavePoints(): void {
    const { core } = this;
    for (const { seconds, changes } of core.config.save) {
      if (core.dirty < changes || core.unixtime - this.lastSave <= seconds || !this.mayTry()) continue;
      core.log(LOG_NOTICE, `${changes} changes in ${seconds} seconds. Saving...`);
      this.saveInBackground();
      return;
    }
  }

  private ended(end: SnapshotEnd): void {
    const { core } = this;
    this.saving = false;
    core.heap.dictCanResize = true;
    this.lastSaveSeconds = core.unixtime - this.startedUnixtime;
    this.lastCopiedBytes = end.copiedBytes;
    this.copiedBytes = 0;
    if (end.error === '') {
      core.log(
        LOG_NOTICE,
        `Background saving terminated with success; copied on write: ${Math.round(end.copiedBytes / 1_048_576)} MB`,
      );
      this.saved(this.changesAtStart);
    } else {
      this.lastSaveOk = false;
      core.log(LOG_WARNING, `Background saving error: ${end.error}`);
    }
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
