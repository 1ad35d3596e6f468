/**
 * The append-only file: the effects of commands are written down before the replies leave, and reach the disk as `appendfsync` says.
 * It lies in parts in a folder of its own: a base (the data at one moment), increments behind it, and a manifest that names them.
 */

import { systemText } from '../../base/system-text.ts';
import type { FileHandle } from '../../ports.ts';
import { adminOf } from '../admin.ts';
import { LOG_NOTICE, LOG_WARNING } from '../log-levels.ts';
import type { RedisCore } from '../redis-core.ts';
import { ArenaExhausted } from '../structures/heap.ts';
import { AofBuffer } from './aof-buffer.ts';
import { AofManifest } from './aof-manifest.ts';
import { AofParts } from './aof-parts.ts';
import { AofSync } from './aof-sync.ts';

/** A write that waits for a sync is put off for so long at the most. */
const POSTPONED_SECONDS = 2;
/** Errors of writing are logged once in so long. */
const ERROR_LOG_SECONDS = 30;

export type AofState = 'off' | 'on' | 'waiting';

export class AppendOnlyFile extends AofParts {
  state: AofState = 'off';
  readonly sync: AofSync;
  private readonly buffer: AofBuffer;
  /** Bytes of all parts, and what they were after the last rewrite. */
  size = 0;
  rewriteBaseSize = 0;
  private postponedSince = 0;
  delayedSyncs = 0;
  /** Text of the error of the last write; empty: it went well. */
  private failedWrite = '';
  private errorLoggedAt = Number.NEGATIVE_INFINITY;
  /** Of the base file that is being written. */
  private rewriteSuffix = '.rdb';

  constructor(core: RedisCore) {
    super(core);
    this.sync = new AofSync(core);
    this.buffer = new AofBuffer(core);
  }

  /** Bytes that wait to be written. */
  get length(): number {
    return this.buffer.length;
  }

  /** Why the file cannot be written or synced; empty: it can. */
  get writeError(): string {
    return this.failedWrite !== '' ? this.failedWrite : this.sync.error;
  }

  /** The increment's name while there is no base for it yet: no start takes it for data. */
  private get firstName(): string {
    return `temp-${this.core.config.appendfilename}.incr`;
  }

  /** What the name of a base file that is written now ends with. */
  private baseSuffix(): string {
    return this.core.config.aofUseRdbPreamble ? '.rdb' : '.aof';
  }

  /** Takes effects from now on. */
  private listen(): void {
    this.core.effects.listen(
      (offset, length, several, ahead) => this.takeUnit(offset, length, several, ahead),
      () => this.unitLost(),
    );
  }

  /** @throws ARENA_EXHAUSTED, nothing taken */
  private takeUnit(offset: number, length: number, several: boolean, ahead: number): void {
    const { buffer } = this;
    const before = buffer.length;
    try {
      buffer.append(offset, length, several, ahead);
      return;
    } catch (error) {
      if (!(error instanceof ArenaExhausted)) throw error;
      buffer.length = before;
    }
    // What waits is written now, which leaves its room to this unit.
    this.flush(true);
    const left = buffer.length;
    try {
      buffer.append(offset, length, several, ahead);
    } catch (error) {
      buffer.length = left;
      throw error;
    }
  }

  /** There was no memory to write something down. The file is whole again after a rewrite. */
  private unitLost(): void {
    const { core } = this;
    if (core.config.appendfsync === 'always') {
      this.sync.fatal("Can't keep the AOF without memory when the AOF fsync policy is 'always'. Exiting...");
    }
    core.log(
      LOG_WARNING,
      'No memory to write a change to the AOF: it will be rewritten, and is not complete until then',
    );
    core.persistence.rewriteScheduled = true;
  }

  /** Whether this write has to wait for a sync in the background, so that it does not stand still behind it. */
  private postponed(): boolean {
    const { core } = this;
    if (core.config.appendfsync !== 'everysec' || !this.sync.busy) return false;
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
    if (this.state === 'off') return;
    const { buffer, sync } = this;
    const sleepUs = core.debug.aofFlushSleepUs;
    if (buffer.length === 0) {
      sync.due();
      return;
    }
    if (!force && this.postponed()) return;
    this.postponedSince = 0;
    if (sleepUs > 0) adminOf(core).host.sleepUs(sleepUs);
    const begun = core.latency.begin();
    const written = this.write();
    if (begun >= 0) this.tellWrite(begun);
    this.size += written;
    sync.size += written;
    buffer.written(written);
    if (buffer.length > 0) return;
    if (this.failedWrite !== '') {
      core.log(LOG_WARNING, 'AOF write error looks solved. The server can write again.');
      this.failedWrite = '';
    }
    sync.due();
  }

  /** A write is two events: one for all of them, and one that says what else was going on. */
  private tellWrite(begun: number): void {
    const { clock, latency, persistence } = this.core;
    const tookUs = clock.monoUs() - begun;
    const syncing = this.sync.busy;
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
    const { buffer, sync } = this;
    let written = 0;
    try {
      while (written < buffer.length) {
        const count = disk.write(sync.file, core.heap.u8, buffer.start + written, buffer.length - written);
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
        this.sync.fatal("Can't recover from AOF write error when the AOF fsync policy is 'always'. Exiting...");
      }
      this.failedWrite = text;
      return this.undoShortWrite(written);
    }
  }

  /** A half-written effect would make the file end in a broken one. @returns how many bytes stay */
  private undoShortWrite(written: number): number {
    if (written === 0) return 0;
    try {
      this.core.disk!.truncate(this.sync.file, this.sync.size);
      return 0;
    } catch (error) {
      this.core.log(LOG_WARNING, `Could not remove short write from the append-only file: ${systemText(error)}`);
      return written;
    }
  }

  /** Goes on with the parts that were loaded at the start, or makes the first ones. @param writeBase writes a base file of the data */
  openAtStart(manifest: AofManifest | null, writeBase: (name: string) => void): void {
    const { core } = this;
    const disk = core.disk!;
    const { appendfilename } = core.config;
    disk.makeFolder(this.folder);
    // An empty manifest is there where the lines are all comments.
    const isNew = manifest === null || manifest.isEmpty;
    const next = manifest ?? new AofManifest();
    if (isNew) {
      const base = next.addBase(appendfilename, this.baseSuffix());
      core.log(LOG_NOTICE, `Creating AOF base file ${base.name} on server start`);
      writeBase(base.name);
      // A base of commands begins with a mark of this very second.
      if (core.config.aofTimestampEnabled && !core.config.aofUseRdbPreamble) this.buffer.lastTimestamp = core.unixtime;
    }
    const last = next.increments.at(-1);
    const { name } = last ?? next.addIncrement(appendfilename);
    core.log(LOG_NOTICE, `${last === undefined ? 'Creating' : 'Opening'} AOF incr file ${name} on server start`);
    const file = last === undefined ? this.openEmpty(name) : disk.open(this.path(name), 'append');
    const bytes = disk.size(file);
    this.sync.open(file, bytes, bytes === 0);
    if (last === undefined) {
      this.persist(next);
    } else {
      this.manifest = next;
      // What the run before has named stays so when the power is cut, before more is built on it.
      disk.syncFolder(this.folder);
    }
    this.oweEarlierParts();
    this.sync.catchUp();
    this.collectGarbage();
    core.effects.forgetSelected();
    this.state = 'on';
    // A base that was just written is left out, as in the original.
    this.size = isNew ? 0 : this.sizeOnDisk();
    this.rewriteBaseSize = isNew ? 0 : this.baseSizeOnDisk();
    this.listen();
  }

  /** Whoever wrote the parts may have ended before they were synced, and the machine may end soon. Bases are complete when they are named. */
  private oweEarlierParts(): void {
    const { increments } = this.manifest;
    for (let i = 0; i < increments.length - 1; i++) {
      this.sync.owe(this.core.disk!.open(this.path(increments[i]!.name), 'append'));
    }
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
    const { sync } = this;
    if (this.state !== 'off') {
      this.flush(true);
      // The snapshot has what waits: in the new increment it would be done twice.
      if (this.length > 0) throw new Error(`the present increment cannot be written: ${this.writeError}`);
      sync.prepareToLeave();
    }
    const next = this.manifest.clone();
    const name = this.state === 'on' ? next.addIncrement(appendfilename).name : this.firstName;
    core.log(LOG_NOTICE, `Creating AOF incr file ${name} on background rewrite`);
    const file = this.openEmpty(name);
    try {
      if (this.state === 'on') this.persist(next);
    } catch (error) {
      // The new file stays, empty, as the manifest on disk may name it already, unless the old one can be put back.
      disk.close(file);
      try {
        this.persist(this.manifest);
      } catch (failure) {
        core.log(LOG_WARNING, `Could not put back the AOF manifest: ${systemText(failure)}`);
      }
      throw error;
    }
    // What the present one has is on disk before the first sync of the new one begins, unless it was for want of a base only.
    sync.leave(this.state === 'on');
    sync.open(file, 0, true);
    core.effects.forgetSelected();
    if (this.state === 'off') {
      this.state = 'waiting';
      this.listen();
    }
    return next.clone().addBase(appendfilename, this.rewriteSuffix).name;
  }

  /** Opens a file for appending. An attempt that failed may have left one of that name. */
  private openEmpty(name: string): FileHandle {
    const disk = this.core.disk!;
    const file = disk.open(this.path(name), 'append');
    try {
      if (disk.size(file) > 0) {
        disk.truncate(file, 0);
        // A name that counts must not come to what was in it.
        disk.sync(file);
      }
    } catch (error) {
      disk.close(file);
      throw error;
    }
    return file;
  }

  /** The base file is written: it and the present increment are all that is needed. */
  endRewrite(): void {
    const { core } = this;
    const next = this.manifest.clone();
    const made = [next.addBase(core.config.appendfilename, this.rewriteSuffix)];
    next.retireIncrements(this.state !== 'on');
    try {
      if (this.state === 'waiting') {
        const increment = next.addIncrement(core.config.appendfilename);
        core.disk!.rename(this.path(this.firstName), this.path(increment.name));
        made.push(increment);
      }
      this.persist(next);
    } catch (error) {
      // The manifest on disk may name them already: they must not be written over, and go when the next rewrite has ended well.
      this.manifest.giveUp(made);
      throw error;
    }
    this.sync.forgetOwed();
    // Rewritten while it is switched off, it stays so.
    if (this.state === 'waiting') this.state = 'on';
    this.size = this.sizeOnDisk();
    this.rewriteBaseSize = this.size;
    this.collectGarbage();
  }

  /** Removes files that are no longer needed, unless they are to stay. */
  private collectGarbage(): void {
    if (this.core.config.aofDisableAutoGc) return;
    try {
      this.removeHistory();
    } catch (error) {
      // They stay in the manifest's history, and the next rewrite tries again.
      this.core.log(LOG_WARNING, `Could not remove files of the AOF that are no longer needed: ${systemText(error)}`);
    }
  }

  /** A rewrite for CONFIG SET appendonly yes has failed, or it is switched off. */
  stop(): void {
    if (this.state === 'off') return;
    this.core.effects.silence();
    if (this.state === 'on') {
      this.flush(true);
      this.sync.end();
    } else {
      this.sync.leave(false);
      try {
        this.core.disk!.remove(this.path(this.firstName));
      } catch (error) {
        // No manifest names it, and the next attempt empties it.
        this.core.log(LOG_WARNING, `Could not remove ${this.firstName}: ${systemText(error)}`);
      }
    }
    this.state = 'off';
    this.buffer.release();
    this.failedWrite = '';
    this.size = 0;
  }

  /** Everything is on disk: for an orderly end. @throws what the disk throws */
  finish(): void {
    if (this.state === 'off') return;
    this.flush(true);
    this.sync.finish();
  }
}
