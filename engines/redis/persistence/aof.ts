/**
 * The append-only file: the effects of commands are written down before the replies leave, and reach the disk as `appendfsync` says.
 * It lies in parts in a folder of its own: a base (the data at one moment), increments behind it, and a manifest that names them.
 */
import { systemText } from '../../base/system-text.ts';
import { LOG_NOTICE, LOG_WARNING } from '../log-levels.ts';
import type { RedisCore } from '../redis-core.ts';
import { ArenaExhausted } from '../structures/heap.ts';
import { AofManifest } from './aof-manifest.ts';
import { writeAll } from './rdb-save.ts';

const FIRST_BYTES = 16_384;
/** A buffer that was larger is given back after it has been written. */
const KEPT_BYTES = 4_000;
/** A write that waits for a sync is put off for so long at the most. */
const POSTPONED_SECONDS = 2;
/** Errors of writing are logged once in so long. */
const ERROR_LOG_SECONDS = 30;

/** Syncs files in the background. */
export interface FileSyncer {
  /** One has been asked for and has not ended. */
  readonly busy: boolean;
  /** Text of the last one's error; empty: it went well. */
  readonly error: string;
  sync(file: number): void;
  /** The same for a file that is not written to any more, which is closed then. Files are done in the order in which they are given. */
  syncAndClose(file: number): void;
  /** Waits until nothing is under way: the file is to be closed. */
  wait(): void;
}

export type AofState = 'off' | 'on' | 'waiting';

const utf8 = (text: string): Uint8Array => Uint8Array.from(text, (char) => char.charCodeAt(0));

export class AppendOnlyFile {
  private readonly core: RedisCore;
  /** Null: files are synced in the foreground. */
  syncer: FileSyncer | null = null;
  /** What must not go on without its data on disk ends here. Does not return. */
  fatal: (text: string) => never = (text) => {
    throw new Error(text);
  };
  state: AofState = 'off';
  manifest = new AofManifest();
  private file = -1;
  private start = 0;
  private room = 0;
  /** Bytes that wait to be written. */
  length = 0;
  /** Bytes of all parts, and what they were after the last rewrite. */
  size = 0;
  rewriteBaseSize = 0;
  /** Bytes of the present increment, and how many of them have been given to a sync. */
  private incrementSize = 0;
  private syncedSize = 0;
  private lastSync = 0;
  private postponedSince = 0;
  delayedSyncs = 0;
  writeOk = true;
  private syncOk = true;
  writeError = '';
  private errorLoggedAt = Number.NEGATIVE_INFINITY;
  private lastTimestamp = 0;
  /** Of the base file that is being written. */
  private rewriteSuffix = '.rdb';

  constructor(core: RedisCore) {
    this.core = core;
  }

  get folder(): string {
    return `${this.core.persistence.folder}/${this.core.config.appenddirname}`;
  }

  private get manifestName(): string {
    return `${this.core.config.appendfilename}.manifest`;
  }

  /** The increment's name while there is no base for it yet: no start takes it for data. */
  private get firstName(): string {
    return `temp-${this.core.config.appendfilename}.incr`;
  }

  /** What the name of a base file that is written now ends with. */
  private baseSuffix(): string {
    return this.core.config.aofUseRdbPreamble ? '.rdb' : '.aof';
  }

  path(name: string): string {
    return `${this.folder}/${name}`;
  }

  /** Takes effects from now on. */
  private listen(): void {
    this.core.effects.listen(
      (offset, length, several, ahead) => this.takeUnit(offset, length, several, ahead),
      () => this.unitLost(),
    );
  }

  private reserve(bytes: number): number {
    const needed = this.length + bytes;
    if (needed > this.room) {
      const { heap } = this.core;
      const room = Math.max(FIRST_BYTES, needed, this.room * 2);
      const moved = heap.alloc(room);
      if (this.start !== 0) {
        heap.copy(this.start, moved, this.length);
        heap.free(this.start);
      }
      this.start = moved;
      this.room = room;
    }
    return this.start + this.length;
  }

  private appendText(text: string): void {
    const at = this.reserve(text.length);
    this.core.heap.putLatin1(text, at);
    this.length += text.length;
  }

  /** @throws ARENA_EXHAUSTED, nothing taken */
  private takeUnit(offset: number, length: number, several: boolean, ahead: number): void {
    const before = this.length;
    try {
      this.append(offset, length, several, ahead);
      return;
    } catch (error) {
      if (!(error instanceof ArenaExhausted)) throw error;
      this.length = before;
    }
    // What waits is written now, which leaves its room to this unit.
    this.flush(true);
    const left = this.length;
    try {
      this.append(offset, length, several, ahead);
    } catch (error) {
      this.length = left;
      throw error;
    }
  }

  /** There was no memory to write something down. The file is whole again after a rewrite. */
  private unitLost(): void {
    const { core } = this;
    if (core.config.appendfsync === 'always') {
      this.fatal("Can't keep the AOF without memory when the AOF fsync policy is 'always'. Exiting...");
    }
    core.log(
      LOG_WARNING,
      'No memory to write a change to the AOF: it will be rewritten, and is not complete until then',
    );
    core.persistence.rewriteScheduled = true;
  }

  private append(offset: number, length: number, several: boolean, ahead: number): void {
    const { core } = this;
    if (core.config.aofTimestampEnabled && core.unixtime > this.lastTimestamp) {
      this.lastTimestamp = core.unixtime;
      this.appendText(`#TS:${core.unixtime}\r\n`);
    }
    if (!several) {
      this.appendBytes(offset, length);
      return;
    }
    if (ahead !== 0) this.appendBytes(offset, ahead);
    this.appendText('*1\r\n$5\r\nMULTI\r\n');
    this.appendBytes(offset + ahead, length - ahead);
    this.appendText('*1\r\n$4\r\nEXEC\r\n');
  }

  private appendBytes(offset: number, length: number): void {
    const at = this.reserve(length);
    this.core.heap.copy(offset, at, length);
    this.length += length;
  }

  private syncNow(): void {
    const { core } = this;
    const begun = core.latency.begin();
    try {
      core.disk!.sync(this.file);
    } catch (error) {
      this.fatal(
        `Can't persist AOF for fsync error when the AOF fsync policy is 'always': ${systemText(error)}. Exiting...`,
      );
    }
    core.latency.end('aof-fsync-always', begun);
    this.lastSync = core.unixtime;
    this.syncedSize = this.incrementSize;
  }

  private syncIfDue(): void {
    const { core } = this;
    const { config } = core;
    if (config.noAppendfsyncOnRewrite && core.persistence.saving) return;
    if (config.appendfsync === 'always') {
      if (this.syncedSize !== this.incrementSize) this.syncNow();
    } else if (config.appendfsync === 'everysec' && core.unixtime > this.lastSync) {
      if (this.syncer === null) this.syncNow();
      else if (!this.syncer.busy) {
        this.noteSyncError(this.syncer.error);
        this.syncer.sync(this.file);
        this.syncedSize = this.incrementSize;
      }
      this.lastSync = core.unixtime;
    }
  }

  /** A sync in the background has failed: from now on writes are refused until one works. */
  private noteSyncError(error: string): void {
    if (error === '' && this.syncOk) return;
    if (error !== '' && this.syncOk) this.core.log(LOG_WARNING, `Fail to fsync the AOF file: ${error}`);
    this.syncOk = error === '';
    this.writeOk = this.syncOk;
    this.writeError = error;
  }

  /** Whether this write has to wait for a sync in the background, so that it does not stand still behind it. */
  private postponed(): boolean {
    const { core } = this;
    if (core.config.appendfsync !== 'everysec' || this.syncer === null || !this.syncer.busy) return false;
    if (this.postponedSince === 0) {
      this.postponedSince = core.unixtime;
      return true;
    }
    if (core.unixtime - this.postponedSince < POSTPONED_SECONDS) return true;
    this.delayedSyncs++;
    core.log(
      LOG_NOTICE,
      'Asynchronous AOF fsync is taking too long (disk is busy?). Writing the AOF buffer without waiting for fsync to complete, this may slow down Redis.',
    );
    return false;
  }

  /** Writes what has come together, before the replies leave. @param force also when a sync is under way */
  flush(force = false): void {
    const { core } = this;
    if (this.state === 'off' || this.file < 0) return;
    if (this.length === 0) {
      if (this.syncedSize !== this.incrementSize) this.syncIfDue();
      return;
    }
    if (!force && this.postponed()) return;
    this.postponedSince = 0;
    const begun = core.latency.begin();
    const written = this.write();
    if (begun >= 0) this.tellWrite(begun);
    this.size += written;
    this.incrementSize += written;
    if (written < this.length) {
      core.heap.move(this.start + written, this.start, this.length - written);
      this.length -= written;
      return;
    }
    if (!this.writeOk && this.syncOk) {
      core.log(LOG_WARNING, 'AOF write error looks solved. The server can write again.');
      this.writeOk = true;
    }
    this.length = 0;
    if (this.room > KEPT_BYTES) {
      core.heap.free(this.start);
      this.start = 0;
      this.room = 0;
    }
    this.syncIfDue();
  }

  /** A write is two events: one for all of them, and one that says what else was going on. */
  private tellWrite(begun: number): void {
    const { clock, latency, persistence } = this.core;
    const tookUs = clock.monoUs() - begun;
    const syncing = this.syncer?.busy === true;
    latency.add(
      syncing ? 'aof-write-pending-fsync' : persistence.saving ? 'aof-write-active-child' : 'aof-write-alone',
      tookUs,
    );
    latency.add('aof-write', tookUs);
  }

  /** @returns how many bytes are in the file now; fewer than there are after an error */
  private write(): number {
    const { core } = this;
    const disk = core.disk!;
    let written = 0;
    try {
      while (written < this.length) {
        const count = disk.write(this.file, core.heap.u8, this.start + written, this.length - written);
        if (count <= 0) throw new Error('the disk takes no more');
        written += count;
      }
      return written;
    } catch (error) {
      const text = systemText(error);
      if (core.unixtime - this.errorLoggedAt > ERROR_LOG_SECONDS) {
        this.errorLoggedAt = core.unixtime;
        core.log(LOG_WARNING, `Error writing to the AOF file: ${text}`);
      }
      if (core.config.appendfsync === 'always') {
        this.fatal("Can't recover from AOF write error when the AOF fsync policy is 'always'. Exiting...");
      }
      this.writeOk = false;
      this.writeError = text;
      return this.undoShortWrite(written);
    }
  }

  /** A half-written effect would make the file end in a broken one. @returns how many bytes stay */
  private undoShortWrite(written: number): number {
    if (written === 0) return 0;
    try {
      this.core.disk!.truncate(this.file, this.incrementSize);
      return 0;
    } catch (error) {
      this.core.log(LOG_WARNING, `Could not remove short write from the append-only file: ${systemText(error)}`);
      return written;
    }
  }

  /** Writes the manifest beside the old one and puts it into its place. @throws what the disk throws */
  persist(manifest: AofManifest): void {
    const disk = this.core.disk!;
    const temporary = this.path(`temp-${this.manifestName}`);
    const bytes = utf8(manifest.toString());
    const file = disk.open(temporary, 'write');
    try {
      writeAll(disk, file, bytes, 0, bytes.length);
      disk.sync(file);
    } finally {
      disk.close(file);
    }
    disk.rename(temporary, this.path(this.manifestName));
    disk.syncFolder(this.folder);
    this.manifest = manifest;
  }

  /** The manifest on disk; null when there is none. @throws ManifestError */
  readManifest(): AofManifest | null {
    const disk = this.core.disk!;
    if (!disk.exists(this.path(this.manifestName))) return null;
    return AofManifest.parse(String.fromCharCode(...disk.readFile(this.path(this.manifestName))));
  }

  /**
   * Before it had parts the file lay by itself in the data folder. Such a one becomes the base, unless there are parts already.
   * @param manifest as readManifest gives it
   * @returns the manifest to go on with
   * @throws what the disk throws
   */
  adoptOldFile(manifest: AofManifest | null): AofManifest | null {
    const { core } = this;
    const disk = core.disk!;
    const name = core.config.appendfilename;
    const old = `${core.persistence.folder}/${name}`;
    if (!disk.exists(old)) return manifest;
    const noParts = manifest === null || (manifest.base === null && manifest.increments.length === 0);
    // The manifest was written, but the server ended before the file was moved.
    const begun = manifest?.increments.length === 0 && manifest.base?.name === name && !disk.exists(this.path(name));
    if (!noParts && !begun) return manifest;
    disk.makeFolder(this.folder);
    const next = new AofManifest();
    next.base = { name, seq: 1, type: 'b' };
    next.baseSeq = 1;
    this.persist(next);
    disk.rename(old, this.path(name));
    disk.syncFolder(this.folder);
    core.log(
      LOG_NOTICE,
      `Successfully migrated an old-style AOF configuration (${name}) into the AOF directory (${core.config.appenddirname}).`,
    );
    return next;
  }

  /** Writes what waits, syncs it and closes the present increment. */
  private closeIncrement(): void {
    if (this.file < 0) return;
    this.flush(true);
    this.syncer?.wait();
    this.core.disk!.sync(this.file);
    this.core.disk!.close(this.file);
    this.file = -1;
  }

  /** Opens an increment for appending. */
  private openIncrement(name: string): void {
    const disk = this.core.disk!;
    this.file = disk.open(this.path(name), 'append');
    this.incrementSize = disk.size(this.file);
    this.syncedSize = this.incrementSize;
    this.core.effects.forgetSelected();
  }

  /** Goes on with the parts that were loaded at the start, or makes the first ones. @param writeBase writes a base file of the data */
  openAtStart(manifest: AofManifest | null, writeBase: (name: string) => void): void {
    const { core } = this;
    const disk = core.disk!;
    const { appendfilename } = core.config;
    disk.makeFolder(this.folder);
    let next = manifest;
    if (next === null) {
      next = new AofManifest();
      const base = next.addBase(appendfilename, this.baseSuffix());
      core.log(LOG_NOTICE, `Creating AOF base file ${base.name} on server start`);
      writeBase(base.name);
      // A base of commands begins with a mark of this very second.
      if (core.config.aofTimestampEnabled && !core.config.aofUseRdbPreamble) this.lastTimestamp = core.unixtime;
    }
    let last = next.increments.at(-1);
    if (last === undefined) {
      last = next.addIncrement(appendfilename);
      core.log(LOG_NOTICE, `Creating AOF incr file ${last.name} on server start`);
    } else {
      core.log(LOG_NOTICE, `Opening AOF incr file ${last.name} on server start`);
    }
    this.openIncrement(last.name);
    this.persist(next);
    this.state = 'on';
    this.lastSync = core.unixtime;
    this.size = this.sizeOnDisk();
    this.rewriteBaseSize = this.size;
    this.listen();
  }

  private sizeOnDisk(): number {
    const disk = this.core.disk!;
    const { base, increments } = this.manifest;
    let bytes = 0;
    for (const { name } of [...(base === null ? [] : [base]), ...increments]) {
      try {
        const file = disk.open(this.path(name), 'read');
        bytes += disk.size(file);
        disk.close(file);
      } catch (error) {
        // Only the growth is reckoned from it.
        this.core.log(LOG_WARNING, `Unable to obtain the AOF file ${name} length: ${systemText(error)}`);
      }
    }
    return bytes;
  }

  /**
   * A rewrite begins: from here on effects go to a new increment. When that fails the present one goes on.
   * @param switchOn whether it is to be switched on by it if it is not yet
   * @returns the name of the base file to write
   * @throws an Error that says why it cannot begin
   */
  beginRewrite(switchOn: boolean): string {
    const { core } = this;
    const { appendfilename } = core.config;
    const disk = core.disk!;
    try {
      disk.makeFolder(this.folder);
    } catch (error) {
      throw new Error(`Can't open or create append-only dir ${core.config.appenddirname}: ${systemText(error)}`);
    }
    // Files may lie there from a time when it was switched on.
    if (this.state === 'off') this.manifest = this.readManifest() ?? new AofManifest();
    this.rewriteSuffix = this.baseSuffix();
    if (this.state === 'off' && !switchOn)
      return this.manifest.clone().addBase(appendfilename, this.rewriteSuffix).name;
    const present = this.file;
    if (present >= 0) {
      this.flush(true);
      // The snapshot has what waits: in the new increment it would be done twice.
      if (this.length > 0) throw new Error(`the present increment cannot be written: ${this.writeError}`);
      if (this.syncer === null) disk.sync(present);
    }
    const next = this.manifest.clone();
    const name = this.state === 'on' ? next.addIncrement(appendfilename).name : this.firstName;
    core.log(LOG_NOTICE, `Creating AOF incr file ${name} on background rewrite`);
    // An attempt that failed may have left one.
    if (this.state !== 'on') disk.remove(this.path(name));
    this.openIncrement(name);
    try {
      if (this.state === 'on') this.persist(next);
    } catch (error) {
      // The new file stays, empty, as the manifest on disk may name it already, unless the old one can be put back.
      disk.close(this.file);
      try {
        this.persist(this.manifest);
      } catch (failure) {
        core.log(LOG_WARNING, `Could not put back the AOF manifest: ${systemText(failure)}`);
      }
      this.file = present;
      this.incrementSize = disk.size(present);
      this.syncedSize = this.incrementSize;
      throw error;
    }
    if (present >= 0) {
      // What it has is on disk before the first sync of the new one ends.
      if (this.syncer !== null) this.syncer.syncAndClose(present);
      else disk.close(present);
    }
    if (this.state === 'off') {
      this.state = 'waiting';
      this.listen();
    }
    return next.clone().addBase(appendfilename, this.rewriteSuffix).name;
  }

  /** The base file is written: it and the present increment are all that is needed. */
  endRewrite(): void {
    const { core } = this;
    const next = this.manifest.clone();
    next.addBase(core.config.appendfilename, this.rewriteSuffix);
    next.retireIncrements(this.state !== 'on');
    if (this.state === 'waiting') {
      const { name } = next.addIncrement(core.config.appendfilename);
      core.disk!.rename(this.path(this.firstName), this.path(name));
    }
    this.persist(next);
    // Rewritten while it is switched off, it stays so.
    if (this.state === 'waiting') this.state = 'on';
    this.size = this.sizeOnDisk();
    this.rewriteBaseSize = this.size;
    if (core.config.aofDisableAutoGc) return;
    try {
      this.removeHistory();
    } catch (error) {
      // They stay in the manifest's history, and the next rewrite tries again.
      core.log(LOG_WARNING, `Could not remove files of the AOF that are no longer needed: ${systemText(error)}`);
    }
  }

  /** Removes files that are no longer needed. */
  private removeHistory(): void {
    if (this.manifest.history.length === 0) return;
    const next = this.manifest.clone();
    for (const { name } of next.history) this.core.disk!.remove(this.path(name));
    next.history.length = 0;
    this.persist(next);
  }

  /** A rewrite for CONFIG SET appendonly yes has failed, or it is switched off. */
  stop(): void {
    if (this.state === 'off') return;
    this.core.effects.silence();
    if (this.state === 'on') this.closeIncrement();
    else if (this.file >= 0) {
      this.core.disk!.close(this.file);
      this.file = -1;
      this.core.disk!.remove(this.path(this.firstName));
    }
    this.state = 'off';
    if (this.start !== 0) this.core.heap.free(this.start);
    this.start = 0;
    this.room = 0;
    this.length = 0;
    this.size = 0;
  }

  /** Everything is on disk: for an orderly end. */
  finish(): void {
    if (this.state === 'off' || this.file < 0) return;
    this.flush(true);
    this.syncer?.wait();
    this.core.disk!.sync(this.file);
  }
}
