/** The machine's own files behind the Disk port. */
import {
  closeSync,
  existsSync,
  fdatasyncSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import type { Disk, OpenMode } from '../ports.ts';

const NODE_FLAGS: Readonly<Record<OpenMode, string>> = { read: 'r', write: 'w', append: 'a' };
const FILE_MODE = 0o644;

function syncFolder(path: string): void {
  const fd = openSync(path, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** @returns a disk whose errors are Node's (an Error with `code`) */
export function createLocalDisk(): Disk {
  return {
    readFile: (path) => readFileSync(path),
    exists: (path) => existsSync(path),
    remove: (path) => rmSync(path, { force: true }),
    replaceFile(path, bytes) {
      const beside = `${path}.${process.pid}.tmp`;
      const fd = openSync(beside, 'w', FILE_MODE);
      try {
        for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at);
        fsyncSync(fd);
      } catch (error) {
        closeSync(fd);
        rmSync(beside, { force: true });
        throw error;
      }
      closeSync(fd);
      renameSync(beside, path);
    },
    open: (path, mode) => openSync(path, NODE_FLAGS[mode], FILE_MODE),
    read: (file, bytes, offset, length) => readSync(file, bytes, offset, length, null),
    write: (file, bytes, offset, length) => writeSync(file, bytes, offset, length),
    // The length of a file is synced with its bytes; when it was changed may be lost.
    sync: fdatasyncSync,
    size: (file) => fstatSync(file).size,
    truncate: ftruncateSync,
    close: closeSync,
    rename: renameSync,
    list: (folder) => (existsSync(folder) ? readdirSync(folder) : []),
    makeFolder: (path) => {
      // Not `recursive`: Node then never returns when the process's own folder is gone.
      try {
        mkdirSync(path, 0o755);
      } catch (error) {
        if ((error as { code?: string }).code !== 'EEXIST' || !statSync(path).isDirectory()) throw error;
      }
    },
    syncFolder,
  };
}
