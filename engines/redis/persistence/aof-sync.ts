/**
 * When the bytes of the append-only file's increments reach the disk: what `appendfsync` promises.
 *
 * An increment that is written no more stays owed until a sync of it has worked, and nothing behind it is synced before: otherwise a cut
 * of the power could leave a hole in the data. The thread that syncs gets one file at a time; what it says is looked at in every turn, so
 * that writes are refused from the moment of an error on, and what failed is tried again each second, so that they are taken again when
 * the disk is well. (The original asks nobody how the sync of a closed increment went; and after an error of another it waits for more to
 * be written, which it refuses.)
 */
import { systemText } from '../../base/system-text.ts';
import type { Disk, FileHandle } from '../../ports.ts';
import { LOG_NOTICE, LOG_WARNING } from '../log-levels.ts';
import type { RedisCore } from '../redis-core.ts';

/** Syncs files in the background, one at a time. */
export interface FileSyncer {
  /** The one that was asked for has not ended. */
  readonly busy: boolean;
  /** Text of the last one's error; empty: it went well. */
  readonly error: string;
  /** To be called when it is not busy. */
  sync(file: FileHandle): void;
  /** Waits until nothing is under way. */
  wait(): void;
}

const NONE = -1;

export class AofSync {
  private readonly core: RedisCore;
  /** Null: files are synced in the foreground. */
  syncer: FileSyncer | null = null;
  /** What must not go on without its data on disk ends here. Does not return. */
  fatal: (text: string) => never = (text) => {
    throw new Error(text);
  };
  /** The increment that is written; -1: there is none. */
  file: FileHandle = NONE;
  /** Its bytes. */
  size = 0;
  /** How many of them have been given to a sync that has not failed; -1: that is not known. */
  private synced = 0;
  private lastSync = 0;
  /** Increments that are written no more and may not be on disk, oldest first, and when the first was last tried. */
  private readonly owed: FileHandle[] = [];
  private owedTriedAt = 0;
  /** What the syncer was given and has not been asked about since; -1: nothing. */
  private atWork: FileHandle = NONE;
  /** It was given because it is owed: then that is all of it. */
  private atWorkOwed = false;
  /** Why the last sync failed; empty: it did not. */
  error = '';
  private errorOfOwed = false;

  constructor(core: RedisCore) {
    this.core = core;
  }

  private get disk(): Disk {
    return this.core.disk!;
  }

  /** The increment that is written is being synced: a write may stand still behind that. */
  get busy(): boolean {
    return this.atWork !== NONE && this.atWork === this.file && this.syncer!.busy;
  }

  /** Goes on with this increment; there was none, or it has been left. @param onDisk whether all that it has is known to be there */
  open(file: FileHandle, size: number, onDisk: boolean): void {
    this.file = file;
    this.size = size;
    this.synced = onDisk ? size : -1;
  }

  /** An increment that an earlier run has left: perhaps its end is in the system's memory only. */
  owe(file: FileHandle): void {
    this.owed.push(file);
  }

  /** Syncs what an earlier run may not have, before anybody is served. What fails is tried again later. */
  catchUp(): void {
    if (this.synced === this.size && this.owed.length === 0) return;
    try {
      this.finish();
    } catch (error) {
      this.note(systemText(error), this.owed.length > 0);
    }
  }

  /** Where nothing is synced in the background the present increment is now, so that it can be left. @throws what the disk throws */
  prepareToLeave(): void {
    if (this.syncer !== null || this.file === NONE) return;
    this.settle();
    this.syncPresent();
  }

  /** The present increment is written no more. @param needed whether it has to reach the disk */
  leave(needed: boolean): void {
    const { file } = this;
    this.file = NONE;
    if (file === NONE) return;
    if (needed && (this.synced !== this.size || this.atWork === file)) {
      this.owe(file);
      this.giveOwed();
    } else {
      this.closeUnlessAtWork(file);
    }
  }

  /** What is owed is no longer needed: another file holds it. */
  forgetOwed(): void {
    this.look();
    for (const file of this.owed) this.closeUnlessAtWork(file);
    this.owed.length = 0;
    if (this.errorOfOwed) this.note('', false);
  }

  private closeUnlessAtWork(file: FileHandle): void {
    if (file !== this.atWork) this.disk.close(file);
  }

  private giveOwed(): void {
    if (this.syncer === null || this.atWork !== NONE || this.owed.length === 0) return;
    this.owedTriedAt = this.core.unixtime;
    this.give(this.owed[0]!, true);
  }

  private give(file: FileHandle, isOwed: boolean): void {
    this.atWork = file;
    this.atWorkOwed = isOwed;
    this.syncer!.sync(file);
  }

  /** Notices the end of what was in the background. @returns whether it went well, or goes on */
  private look(): boolean {
    if (this.atWork === NONE || this.syncer!.busy) return true;
    const file = this.atWork;
    const { error } = this.syncer!;
    this.atWork = NONE;
    if (file === this.file) {
      if (error !== '') this.synced = -1;
      this.note(error, false);
    } else if (!this.owed.includes(file)) {
      this.disk.close(file);
    } else {
      this.note(error, true);
      // Otherwise it was left while this went on, and its end may be missing.
      if (this.atWorkOwed && error === '') this.disk.close(this.owed.shift()!);
    }
    return error === '';
  }

  /** From an error on writes are refused until a sync works. */
  private note(error: string, ofOwed: boolean): void {
    if (error !== '' && this.error === '') this.core.log(LOG_WARNING, `Fail to fsync the AOF file: ${error}`);
    if (error === '' && this.error !== '') this.core.log(LOG_NOTICE, 'The AOF file can be synced again.');
    // Who wants no syncs is promised nothing.
    this.error = this.core.config.appendfsync === 'no' ? '' : error;
    this.errorOfOwed = ofOwed;
  }

  /** Syncs what is due; to be called after writes and in every turn. */
  due(): void {
    if (this.atWork === NONE && this.synced === this.size && this.owed.length === 0 && this.error === '') return;
    const { core } = this;
    const { appendfsync, noAppendfsyncOnRewrite } = core.config;
    if (this.atWork !== NONE) {
      // One after the other, unless the disk is ill.
      if (this.look()) this.giveOwed();
    }
    if (appendfsync === 'no') this.error = '';
    if (noAppendfsyncOnRewrite && core.persistence.saving) return;
    if (appendfsync === 'always') {
      // What has been given to the thread under another policy counts when it is done.
      if (this.synced !== this.size || this.owed.length > 0 || this.atWork !== NONE) this.syncNow();
    } else if (this.atWork !== NONE) {
      return;
    } else if (this.owed.length > 0 && this.syncer !== null) {
      if (core.unixtime > this.owedTriedAt) this.giveOwed();
    } else if (appendfsync === 'everysec' && this.synced !== this.size && core.unixtime > this.lastSync) {
      this.lastSync = core.unixtime;
      if (this.syncer === null) {
        this.syncNow();
      } else {
        this.synced = this.size;
        this.give(this.file, false);
      }
    }
  }

  /** Syncs everything while everybody waits. */
  private syncNow(): void {
    const { latency } = this.core;
    const begun = latency.begin();
    try {
      this.settle();
      this.syncPresent();
    } catch (error) {
      this.fatal(
        `Can't persist AOF for fsync error when the AOF fsync policy is 'always': ${systemText(error)}. Exiting...`,
      );
    }
    latency.end('aof-fsync-always', begun);
  }

  private syncPresent(): void {
    this.disk.sync(this.file);
    this.lastSync = this.core.unixtime;
    this.synced = this.size;
    this.note('', false);
  }

  /** Syncs and closes what is owed. @throws what the disk throws */
  private settle(): void {
    this.syncer?.wait();
    this.look();
    for (; this.owed.length > 0; this.owed.shift()) {
      this.disk.sync(this.owed[0]!);
      this.disk.close(this.owed[0]!);
    }
  }

  /** Everything is on disk: for an orderly end. @throws what the disk throws */
  finish(): void {
    this.settle();
    this.syncPresent();
  }

  /** The same, and all is closed. An error is logged: whoever switches the file off has nobody to wait for. */
  end(): void {
    try {
      this.finish();
    } catch (error) {
      this.core.log(LOG_WARNING, `Fail to fsync the AOF file: ${systemText(error)}`);
    }
    for (const file of this.owed) this.disk.close(file);
    this.owed.length = 0;
    this.disk.close(this.file);
    this.file = NONE;
    this.error = '';
  }
}
