/**
 * A disk in memory whose faults are chosen by the test: any call may fail, a write may be short, and after a cut of the power only what
 * was synced is left.
 */
import type { Disk, FileHandle, OpenMode } from '../../engines/ports.ts';

/** What can be made to fail. */
export type DiskCall =
  | 'open'
  | 'read'
  | 'write'
  | 'sync'
  | 'truncate'
  | 'rename'
  | 'remove'
  | 'syncFolder'
  | 'makeFolder';

/** Decides about a call: null: it works; a code: it fails so; 'short': a write that takes some of the bytes only. */
export type Fault = (call: DiskCall, path: string) => null | 'ENOSPC' | 'EIO' | 'EACCES' | 'EROFS' | 'short';

const TEXTS: Readonly<Record<string, string>> = {
  ENOENT: 'no such file or directory',
  ENOSPC: 'no space left on device',
  EIO: 'i/o error',
  EACCES: 'permission denied',
  EROFS: 'read-only file system',
};

class File {
  bytes = new Uint8Array(64);
  length = 0;
  /** What a cut of the power leaves. */
  synced: Uint8Array = new Uint8Array(0);

  content(): Uint8Array {
    return this.bytes.slice(0, this.length);
  }

  put(bytes: Uint8Array): void {
    if (this.length + bytes.length > this.bytes.length) {
      const grown = new Uint8Array(Math.max(this.bytes.length * 2, this.length + bytes.length));
      grown.set(this.bytes.subarray(0, this.length));
      this.bytes = grown;
    }
    this.bytes.set(bytes, this.length);
    this.length += bytes.length;
  }
}

interface Open {
  readonly file: File;
  readonly path: string;
  at: number;
}

/** An error as Node's file calls throw it. */
function diskError(code: string, call: string): Error {
  return Object.assign(new Error(`${code}: ${TEXTS[code] ?? 'error'}, ${call}`), { code });
}

const folderOf = (path: string): string => path.slice(0, path.lastIndexOf('/'));

export class MemoryDisk implements Disk {
  private files = new Map<string, File>();
  /** The names that a cut of the power leaves. */
  private durable = new Map<string, File>();
  private readonly open_ = new Map<FileHandle, Open>();
  private nextHandle = 3;
  fault: Fault = () => null;
  /** A read gives so many bytes at the most. */
  readMost = Number.POSITIVE_INFINITY;
  /** Calls so far, and how many of them failed. */
  calls = 0;
  faults = 0;

  private check(call: DiskCall, path: string): void {
    this.calls++;
    const code = this.fault(call, path);
    if (code === null || code === 'short') return;
    this.faults++;
    throw diskError(code, call);
  }

  private find(path: string): File {
    const file = this.files.get(path);
    if (file === undefined) throw diskError('ENOENT', 'open');
    return file;
  }

  /** Puts a file there, whatever the faults. */
  put(path: string, bytes: Uint8Array): void {
    const file = new File();
    file.put(bytes);
    file.synced = file.content();
    this.files.set(path, file);
    this.durable.set(path, file);
  }

  /** Takes all files away. */
  clear(): void {
    this.files.clear();
    this.durable.clear();
  }

  get(path: string): Uint8Array {
    return this.find(path).content();
  }

  names(): string[] {
    return [...this.files.keys()].sort();
  }

  /** The process is gone: its files are as they were, but no more of them is synced than was. @returns the disk for the next one */
  afterKill(): MemoryDisk {
    const next = new MemoryDisk();
    const copies = new Map<File, File>();
    const copyOf = (file: File): File => {
      const copy = copies.get(file) ?? new File();
      if (!copies.has(file)) copy.put(file.content());
      copy.synced = file.synced;
      copies.set(file, copy);
      return copy;
    };
    for (const [path, file] of this.files) next.files.set(path, copyOf(file));
    for (const [path, file] of this.durable) next.durable.set(path, copyOf(file));
    return next;
  }

  /** The machine is gone: only what was synced is left. */
  afterPowerCut(): MemoryDisk {
    const next = new MemoryDisk();
    for (const [path, file] of this.durable) next.put(path, file.synced);
    return next;
  }

  readFile(path: string): Uint8Array {
    this.check('read', path);
    return this.find(path).content();
  }
  replaceFile(path: string, bytes: Uint8Array): void {
    this.check('rename', path);
    this.put(path, bytes);
  }
  exists(path: string): boolean {
    return this.files.has(path);
  }
  remove(path: string): void {
    this.check('remove', path);
    this.files.delete(path);
  }
  open(path: string, mode: OpenMode): FileHandle {
    this.check('open', path);
    let file = this.files.get(path);
    if (file === undefined) {
      if (mode === 'read') throw diskError('ENOENT', 'open');
      file = new File();
      this.files.set(path, file);
    }
    if (mode === 'write') file.length = 0;
    const handle = this.nextHandle++;
    this.open_.set(handle, { file, path, at: 0 });
    return handle;
  }
  private opened(handle: FileHandle): Open {
    const open = this.open_.get(handle);
    if (open === undefined) throw new Error(`Cannot use file ${handle}: it is not open`);
    return open;
  }
  read(handle: FileHandle, bytes: Uint8Array, offset: number, length: number): number {
    const open = this.opened(handle);
    this.check('read', open.path);
    const count = Math.max(0, Math.min(length, this.readMost, open.file.length - open.at));
    bytes.set(open.file.bytes.subarray(open.at, open.at + count), offset);
    open.at += count;
    return count;
  }
  write(handle: FileHandle, bytes: Uint8Array, offset: number, length: number): number {
    const { file, path } = this.opened(handle);
    this.calls++;
    const code = this.fault('write', path);
    const part = code === 'short' && length > 1 ? Math.ceil(length / 3) : length;
    if (code !== null) this.faults++;
    if (code !== null && code !== 'short') throw diskError(code, 'write');
    file.put(bytes.slice(offset, offset + part));
    return part;
  }
  sync(handle: FileHandle): void {
    const { file, path } = this.opened(handle);
    this.check('sync', path);
    file.synced = file.content();
  }
  size(handle: FileHandle): number {
    return this.opened(handle).file.length;
  }
  truncate(handle: FileHandle, length: number): void {
    const { file, path } = this.opened(handle);
    this.check('truncate', path);
    file.length = Math.min(file.length, length);
  }
  close(handle: FileHandle): void {
    this.opened(handle);
    this.open_.delete(handle);
  }
  /** Files that are open. */
  get openCount(): number {
    return this.open_.size;
  }
  rename(from: string, to: string): void {
    this.check('rename', to);
    const file = this.find(from);
    this.files.set(to, file);
    this.files.delete(from);
  }
  list(folder: string): string[] {
    return [...this.files.keys()]
      .filter((path) => folderOf(path) === folder)
      .map((path) => path.slice(folder.length + 1));
  }
  makeFolder(path: string): void {
    this.check('makeFolder', path);
  }
  syncFolder(path: string): void {
    this.check('syncFolder', path);
    for (const name of [...this.durable.keys()]) if (folderOf(name) === path) this.durable.delete(name);
    for (const [name, file] of this.files) if (folderOf(name) === path) this.durable.set(name, file);
  }
}
