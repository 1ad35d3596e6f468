/** What a core knows of its files: when and how it was last saved, and how it is saved and loaded while it stands still. */
import { systemText } from '../../base/system-text.ts';
import { POLICY_FLAG_LFU, POLICY_FLAG_LRU } from '../config.ts';
import { LOG_NOTICE, LOG_WARNING } from '../log-levels.ts';
import type { RedisCore } from '../redis-core.ts';
import { dictSize } from '../structures/dict-layout.ts';
import { AppendOnlyFile } from './aof.ts';
import { loadAppendOnlyFiles } from './aof-load.ts';
import { LoadProgress, type LoadSteps, runSteps } from './load-progress.ts';
import { type LibraryLoader, loadRdb, type RdbLoadResult } from './rdb-load.ts';
import { type RdbPlan, saveRdbFile } from './rdb-save.ts';
import { RdbFileSource } from './rdb-source.ts';
import type { SnapshotEnd, Snapshots } from './snapshots.ts';

/** A save point whose time has come is tried again no sooner than this after a failure. */
const RETRY_SECONDS = 5;
/**
 * How long the copies of the last snapshot are merged, or memory is made ready for the next, at a time, and the pause in between: a
 * fifth of the server's time.
 */
const TIDY_US = 200;
const TIDY_TIMER_MS = 1;
/** When the figure of copied memory is looked at. */
const COPIED_EVERY_SECONDS = 1;

/** The first sentences are the original's. */
const MISCONF_RDB =
  "-MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk. Commands that may modify the " +
  'data set are disabled, because this instance is configured to report errors during writes if RDB snapshotting fails ' +
  '(stop-writes-on-bgsave-error option). Please check the Redis logs for details about the RDB error.';
const MISCONF_AOF = '-MISCONF Errors writing to the AOF file: ';

/** How an attempt to save in the background went. */
export type BackgroundSave = 'started' | 'busy' | 'failed';

export class Persistence {
  private readonly core: RedisCore;
  /** Saves in the background; null: this server cannot, and saves in the foreground instead. Set by the server around the core. */
  snapshots: Snapshots | null = null;
  /** A snapshot is being written in the background, for either kind of file. */
  saving = false;
  /** It is to be the base of an append-only file. */
  rewriting = false;
  /** Memory is made ready for a snapshot that somebody wants. */
  private preparing = false;
  /** Where files lie: the process's working folder, which `dir` sets, unless a test has one of its own. */
  folder = '.';
  readonly aof: AppendOnlyFile;
  /** BGREWRITEAOF came while it could not be started. */
  rewriteScheduled = false;
  lastRewriteOk = true;
  lastRewriteSeconds = -1;
  lastRewriteCopiedBytes = 0;
  rewrites = 0;
  rewriteFailures = 0;
  private lastRewriteTry = 0;
  /** BGSAVE SCHEDULE: one is to be started as soon as it can be. */
  scheduled = false;
  /** What is being written has been given up: how it ends says nothing about the disk. */
  private aborted = false;
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
  /** Saves since the start, those that failed too. */
  saves = 0;
  keysLoaded = 0;
  keysExpired = 0;
  /** Files are being loaded: nothing but that may change data, and clients get to do little. */
  loading = false;
  readonly progress = new LoadProgress();
  /** The load is the one at the start, and no cron runs yet. */
  starting = false;
  /** The code of each function library, and what takes one while loading; set by the part that has functions. */
  libraries: () => readonly string[] = () => [];
  loadLibrary: LibraryLoader = () => {};

  constructor(core: RedisCore) {
    this.core = core;
    this.aof = new AppendOnlyFile(core);
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
      asCommands: aofBase && !config.aofUseRdbPreamble,
      timestamp: config.aofTimestampEnabled,
      compress: config.rdbcompression,
      checksum: config.rdbchecksum,
      incrementalSync: aofBase ? config.aofRewriteIncrementalFsync : config.rdbSaveIncrementalFsync,
      access: lru ? 'idle' : (policy & POLICY_FLAG_LFU) !== 0 ? 'frequency' : 'none',
      lruClock: core.lruClock,
      keyDelayUs: config.rdbKeySaveDelay,
    };
  }

  /**
   * Saves now, while everything waits. Whoever asked for it learns of a failure, which therefore stops no writes as one in the background does.
   * @returns whether it worked; the log says why not
   */
  save(): boolean {
    const { core } = this;
    const { disk } = core;
    if (disk === null) return false;
    try {
      saveRdbFile(
        { ...this.plan(false), heap: core.heap },
        disk,
        this.folder,
        core.config.dbfilename,
        `temp-${core.host.pid}.rdb`,
      );
    } catch (error) {
      core.log(LOG_WARNING, systemText(error));
      return false;
    }
    core.log(LOG_NOTICE, 'DB saved on disk');
    this.saved(core.dirty);
    return true;
  }

  /** SAVE: as `save`, and it is counted. */
  saveCommanded(): boolean {
    this.saves++;
    return this.save();
  }

  /**
   * Whether a snapshot can start with a short pause. If not, memory is made ready in some hundredths of a second, bit by bit, so that who
   * wants a snapshot does not hold up everybody; then what is due starts, and commands that were held back run.
   */
  private prepared(): boolean {
    if (this.snapshots === null || this.snapshots.prepare(TIDY_US)) return true;
    this.preparing = true;
    this.core.hooks.backgroundWork?.();
    return false;
  }

  /** Whether a command that begins a snapshot has to wait until memory is ready for that. */
  get holdsBack(): boolean {
    return !this.saving && this.core.disk !== null && !this.prepared();
  }

  /** Merges for a while what the last snapshot has left, or makes ready for the next. @returns whether there is more */
  private tidy(): boolean {
    const { snapshots } = this;
    if (snapshots === null || this.saving) return false;
    if (snapshots.tidy(TIDY_US)) return true;
    if (!this.preparing) return false;
    if (!snapshots.prepare(TIDY_US)) return true;
    this.preparing = false;
    this.startDue();
    this.core.resumePaused();
    return false;
  }

  /** Goes on with what is done bit by bit. @returns ms until the next call, -1 when nothing is left */
  onTimer(): number {
    return this.tidy() ? TIDY_TIMER_MS : -1;
  }

  /** Starts saving in the background. */
  saveInBackground(): BackgroundSave {
    const { core, snapshots } = this;
    if (this.saving) return 'busy';
    this.lastTry = core.unixtime;
    if (core.disk === null) return 'failed';
    this.saves++;
    if (snapshots === null) {
      core.log(LOG_WARNING, 'Saving in the foreground: this platform cannot freeze memory');
      if (this.save()) return 'started';
      this.lastSaveOk = false;
      return 'failed';
    }
    if (!this.startSnapshot(this.plan(false), this.folder, core.config.dbfilename, `temp-bg-${core.host.pid}.rdb`)) {
      this.lastSaveOk = false;
      core.log(LOG_WARNING, "Can't save in background: the memory cannot be frozen");
      return 'failed';
    }
    core.log(LOG_NOTICE, 'Background saving started');
    this.scheduled = false;
    this.changesAtStart = core.dirty;
    return 'started';
  }

  private startSnapshot(plan: RdbPlan, folder: string, name: string, temporary: string): boolean {
    const { core } = this;
    const snapshots = this.snapshots!;
    // Who could not wait has what is left of the last one finished now, whatever it takes.
    while (snapshots.tidy(TIDY_US));
    const pauseUs = snapshots.start({ plan, hashKey: [...core.heap.hashKey], folder, name, temporary });
    if (pauseUs < 0) return false;
    this.lastPauseUs = Math.round(pauseUs);
    core.latency.add('fork', pauseUs);
    this.snapshotsStarted++;
    this.saving = true;
    this.aborted = false;
    this.startedUnixtime = core.unixtime;
    this.copiedBytes = 0;
    this.copiedPeak = 0;
    this.copiedCountedAt = core.unixtime;
    this.keysTotal = 0;
    for (const db of core.dbs) this.keysTotal += dictSize(core.heap, db.dict);
    // Rehashing would copy pages for nothing.
    core.heap.dictCanResize = false;
    return true;
  }

  /**
   * Starts to write the append-only file anew, as small as the data allow.
   * @returns 'busy' when one is under way
   */
  rewriteInBackground(): BackgroundSave {
    const { core, snapshots, aof } = this;
    if (this.saving || core.disk === null) return this.saving ? 'busy' : 'failed';
    this.lastRewriteTry = core.unixtime;
    try {
      const base = aof.beginRewrite(core.config.appendonly);
      const temporary = `temp-rewriteaof-bg-${core.host.pid}.aof`;
      this.rewriteScheduled = false;
      if (snapshots === null) {
        saveRdbFile({ ...this.plan(true), heap: core.heap }, core.disk, aof.folder, base, temporary);
        this.rewriteEnded({ error: '', fileBytes: 0, copiedBytes: 0 });
        return 'started';
      }
      if (!this.startSnapshot(this.plan(true), aof.folder, base, temporary))
        throw new Error('the memory cannot be frozen');
    } catch (error) {
      this.lastRewriteOk = false;
      this.rewriteFailures++;
      core.log(LOG_WARNING, `Can't rewrite append only file in background: ${systemText(error)}`);
      return 'failed';
    }
    this.rewriting = true;
    core.log(LOG_NOTICE, 'Background append only file rewriting started');
    return 'started';
  }

  private rewriteEnded(end: SnapshotEnd): void {
    const { core, aof } = this;
    let { error } = end;
    if (error === '') {
      try {
        aof.endRewrite();
      } catch (failure) {
        error = systemText(failure);
      }
    }
    this.lastRewriteOk = error === '';
    if (error === '') {
      this.rewrites++;
      this.rewriteFailures = 0;
      core.log(LOG_NOTICE, 'Background AOF rewrite finished successfully');
      return;
    }
    this.rewriteFailures++;
    core.log(LOG_WARNING, `Background AOF rewrite terminated by error: ${error}`);
    // Switched on at run time, it is tried again until it works.
    if (aof.state === 'waiting') this.rewriteScheduled = true;
  }

  /** Seconds that the running save has taken; -1: none runs. */
  get savingSeconds(): number {
    return this.saving && !this.rewriting ? this.core.unixtime - this.startedUnixtime : -1;
  }

  /** Seconds that the running rewrite has taken; -1: none runs. */
  get rewritingSeconds(): number {
    return this.rewriting ? this.core.unixtime - this.startedUnixtime : -1;
  }

  /** Ends a running save without a result: its data are no longer wanted. */
  abortSave(): void {
    if (!this.saving || this.snapshots === null) return;
    this.aborted = true;
    const { latency } = this.core;
    // No process is behind it; whoever reads logs looks for this line all the same.
    if (this.rewriting) this.core.log(LOG_NOTICE, `Killing running AOF rewrite child: ${this.core.host.pid}`);
    const begun = latency.begin();
    this.snapshots.abort();
    // The thread that writes it removes it.
    latency.end('rdb-unlink-temp-file', begun);
    const end = this.snapshots.takeEnd();
    if (end !== null) this.ended(end);
  }

  /** Why commands that write are refused; empty: they are not. */
  get writesRefused(): string {
    const { config } = this.core;
    if (!this.lastSaveOk && config.stopWritesOnBgsaveError && config.save.length > 0) return MISCONF_RDB;
    return this.aof.writeError === '' || this.aof.state === 'off' ? '' : `${MISCONF_AOF}${this.aof.writeError}`;
  }

  /** Why scripts that may write do not even begin; empty: they do. */
  get scriptsRefused(): string {
    const refused = this.writesRefused;
    if (refused === '') return '';
    const advice = "Writable scripts are blocked. Use 'no-writes' flag for read only scripts.";
    return refused === MISCONF_RDB
      ? `-MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk. ${advice}`
      : `-MISCONF Redis is configured to persist data to AOF, but it's currently unable to persist to disk. ${advice} AOF error: ${this.aof.writeError}`;
  }

  /** The end of a save is noticed and the next is begun; to be called from the server's cron. */
  cron(): void {
    const { core } = this;
    if (this.saving) {
      const end = this.snapshots!.takeEnd();
      if (end !== null) this.ended(end);
      else if (core.unixtime - this.copiedCountedAt >= COPIED_EVERY_SECONDS) {
        this.copiedCountedAt = core.unixtime;
        this.copiedBytes = this.snapshots!.copiedBytes;
        if (this.copiedBytes > this.copiedPeak) this.copiedPeak = this.copiedBytes;
      }
      return;
    }
    this.tidy();
    this.startDue();
  }

  /** Starts what is due without anybody asking for it now. */
  private startDue(): void {
    const { core } = this;
    if (this.saving) return;
    if (this.rewriteScheduled && this.mayRewrite()) {
      if (this.prepared()) this.rewriteInBackground();
    } else {
      this.checkGrowth();
    }
    if (this.saving) return;
    if (core.config.save.length > 0) this.checkSavePoints();
    if (this.scheduled && !this.saving && this.mayTry() && this.prepared()) this.saveInBackground();
  }

  private mayRewrite(): boolean {
    return this.lastRewriteOk || this.core.unixtime - this.lastRewriteTry > RETRY_SECONDS;
  }

  /** Rewrites an append-only file that has grown by as much as is configured. */
  private checkGrowth(): void {
    const { core, aof } = this;
    const percentage = core.config.autoAofRewritePercentage;
    if (aof.state !== 'on' || percentage === 0 || aof.size <= core.config.autoAofRewriteMinSize) return;
    const base = Math.max(1, aof.rewriteBaseSize);
    const growth = Math.floor((aof.size * 100) / base) - 100;
    if (growth < percentage || !this.mayRewrite() || !this.prepared()) return;
    core.log(LOG_NOTICE, `Starting automatic rewriting of AOF on ${growth}% growth`);
    this.rewriteInBackground();
  }

  /** To be called in every turn, before replies leave: effects are written. */
  turn(): void {
    this.aof.flush();
  }

  private mayTry(): boolean {
    return this.lastSaveOk || this.core.unixtime - this.lastTry > RETRY_SECONDS;
  }

  private checkSavePoints(): void {
    const { core } = this;
    for (const { seconds, changes } of core.config.save) {
      if (core.dirty < changes || core.unixtime - this.lastSave <= seconds || !this.mayTry()) continue;
      if (!this.prepared()) return;
      core.log(LOG_NOTICE, `${changes} changes in ${seconds} seconds. Saving...`);
      this.saveInBackground();
      return;
    }
  }

  private ended(end: SnapshotEnd): void {
    const { core } = this;
    this.saving = false;
    core.heap.dictCanResize = true;
    core.hooks.backgroundWork?.();
    if (this.rewriting) {
      this.rewriting = false;
      this.lastRewriteSeconds = core.unixtime - this.startedUnixtime;
      this.lastRewriteCopiedBytes = end.copiedBytes;
      this.copiedBytes = 0;
      if (this.aborted) core.log(LOG_WARNING, 'Background AOF rewrite given up');
      else this.rewriteEnded(end);
      return;
    }
    this.lastSaveSeconds = core.unixtime - this.startedUnixtime;
    this.lastCopiedBytes = end.copiedBytes;
    this.copiedBytes = 0;
    if (this.aborted) {
      core.log(LOG_WARNING, 'Background saving given up');
    } else if (end.error === '') {
      core.log(
        LOG_NOTICE,
        `Background saving terminated with success; copied on write: ${Math.round(end.copiedBytes / 1_048_576)} MB`,
      );
      this.saved(this.changesAtStart);
    } else {
      this.lastSaveOk = false;
      core.log(LOG_WARNING, end.error);
      core.log(LOG_WARNING, 'Background saving error');
    }
  }

  /** @param changes those that the saved file holds: they are no longer owed */
  saved(changes: number): void {
    const { core } = this;
    core.dirty -= changes;
    this.lastSave = core.unixtime;
    this.lastSaveOk = true;
  }

  /** @param bytes of all files to be loaded */
  beginLoading(bytes: number): void {
    this.loading = true;
    this.keysLoaded = 0;
    this.keysExpired = 0;
    this.progress.begin(this.core.unixtime, bytes);
  }

  /**
   * Loads what there is at the start: the append-only file if it is switched on, else the RDB file.
   * @returns whether there was something
   * @throws an Error that says what cannot be loaded
   */
  loadAtStart(): boolean {
    return runSteps(this.loadingAtStart());
  }

  /** The same in steps. */
  *loadingAtStart(): LoadSteps<boolean> {
    this.starting = true;
    try {
      return yield* this.loadingEverything();
    } finally {
      this.starting = false;
    }
  }

  private *loadingEverything(): LoadSteps<boolean> {
    const { core, aof } = this;
    if (core.disk === null) return false;
    if (!core.config.appendonly) return (yield* this.loadingRdb(false)) !== null;
    const manifest = aof.adoptOldFile(aof.readManifest());
    if (manifest !== null) yield* loadAppendOnlyFiles(core, manifest, (name) => aof.path(name));
    aof.openAtStart(manifest, (name) => {
      const plan = { ...this.plan(true), heap: core.heap };
      saveRdbFile(plan, core.disk!, aof.folder, name, `temp-${core.host.pid}.rdb`);
    });
    return manifest !== null;
  }

  /** CONFIG SET appendonly. @returns whether it could be done */
  setAppendOnly(on: boolean): boolean {
    const { core } = this;
    if (on && this.aof.state !== 'off') return true;
    if (on) {
      if (!this.saving && core.inExec) {
        core.log(
          LOG_WARNING,
          'AOF was enabled during a transaction. An AOF background was scheduled to start when possible.',
        );
        this.rewriteScheduled = true;
        return true;
      }
      if (!this.saving) {
        if (this.rewriteInBackground() === 'started') return true;
        core.log(
          LOG_WARNING,
          "Redis needs to enable the AOF but can't trigger a background AOF rewrite operation. Check the above logs for more info " +
            'about the error.',
        );
        return false;
      }
      if (this.rewriting) {
        core.log(
          LOG_WARNING,
          'AOF was enabled but there is already an AOF rewriting in background. Stopping background AOF and starting a rewrite now.',
        );
        this.abortSave();
      } else {
        core.log(
          LOG_WARNING,
          'AOF was enabled but there is already another background operation. An AOF background was scheduled to start when possible.',
        );
      }
      this.rewriteScheduled = true;
      return true;
    }
    if (this.rewriting) this.abortSave();
    this.rewriteScheduled = false;
    this.aof.stop();
    return true;
  }

  /**
   * Loads the RDB file if there is one.
   * @returns what was loaded, null when there is no file
   * @throws RdbLoadError, what the disk throws, or ARENA_EXHAUSTED
   */
  load(merge = false, pause: (() => void) | null = null): RdbLoadResult | null {
    return runSteps(this.loadingRdb(merge), pause);
  }

  /** The same in steps. */
  private *loadingRdb(merge: boolean): LoadSteps<RdbLoadResult | null> {
    const { core } = this;
    const { disk } = core;
    const name = core.config.dbfilename;
    if (disk === null || !disk.exists(`${this.folder}/${name}`)) return null;
    const file = disk.open(`${this.folder}/${name}`, 'read');
    const source = new RdbFileSource(core.heap, disk, file);
    this.beginLoading(source.size);
    try {
      return yield* loadRdb(core, source, this.loadLibrary, merge);
    } finally {
      this.loading = false;
      source.release();
      disk.close(file);
    }
  }

  /**
   * DEBUG LOADAOF: loads the append-only files that the manifest on disk names; the data have been emptied.
   * @returns false when there are none
   * @throws AofLoadError, RdbLoadError, ManifestError, what the disk throws
   */
  loadAof(pause: (() => void) | null): boolean {
    const { core, aof } = this;
    const manifest = aof.readManifest();
    if (manifest === null) return false;
    const { effects } = core;
    const { active } = effects;
    // What the files say must not be written to them again.
    effects.active = false;
    try {
      runSteps(
        loadAppendOnlyFiles(core, manifest, (name) => aof.path(name)),
        pause,
      );
    } finally {
      effects.active = active;
    }
    return true;
  }
}
