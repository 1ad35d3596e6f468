/** The parts of an append-only file as they lie in a folder of their own, and the manifest that says which of them count. */
import { systemText } from '../../base/system-text.ts';
import { LOG_NOTICE, LOG_WARNING } from '../log-levels.ts';
import type { RedisCore } from '../redis-core.ts';
import { AofManifest } from './aof-manifest.ts';
import { writeAll } from './rdb-save.ts';

const utf8 = (text: string): Uint8Array => Uint8Array.from(text, (char) => char.charCodeAt(0));

export class AofParts {
  protected readonly core: RedisCore;
  manifest = new AofManifest();

  constructor(core: RedisCore) {
    this.core = core;
  }

  get folder(): string {
    return `${this.core.persistence.folder}/${this.core.config.appenddirname}`;
  }

  private get manifestName(): string {
    return `${this.core.config.appendfilename}.manifest`;
  }

  path(name: string): string {
    return `${this.folder}/${name}`;
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
    const noParts = manifest === null || manifest.isEmpty;
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

  /** Bytes of all parts that count. */
  protected sizeOnDisk(): number {
    let bytes = this.baseSizeOnDisk();
    for (const { name } of this.manifest.increments) bytes += this.sizeOf(name);
    return bytes;
  }

  /** Bytes of the base; 0: there is none. */
  protected baseSizeOnDisk(): number {
    return this.manifest.base === null ? 0 : this.sizeOf(this.manifest.base.name);
  }

  private sizeOf(name: string): number {
    const disk = this.core.disk!;
    try {
      const file = disk.open(this.path(name), 'read');
      try {
        return disk.size(file);
      } finally {
        disk.close(file);
      }
    } catch (error) {
      // Only the growth is reckoned from it.
      this.core.log(LOG_WARNING, `Unable to obtain the AOF file ${name} length: ${systemText(error)}`);
      return 0;
    }
  }

  /** Removes files that are no longer needed. */
  protected removeHistory(): void {
    if (this.manifest.history.length === 0) return;
    const next = this.manifest.clone();
    for (const { name } of next.history) this.core.disk!.remove(this.path(name));
    next.history.length = 0;
    this.persist(next);
  }
}
