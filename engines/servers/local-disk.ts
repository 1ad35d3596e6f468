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

/** Names come as bytes, one a character: the system gets the same bytes, UTF-8 or not. */
const bytes = (path: string): Buffer => Buffer.from(path, 'latin1');

function syncFolder(path: string): void {
  const fd = openSync(bytes(path), 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** @returns a disk whose errors are Node's (an Error with `code`) */
export function createLocalDisk(): Disk {
  return {
    readFile: (path) => readFileSync(bytes(path)),
    exists: (path) => existsSync(bytes(path)),
    remove: (path) => rmSync(bytes(path), { force: true }),
    replaceFile(path, content) {
      const beside = bytes(`${path}.${process.pid}.tmp`);
      const fd = openSync(beside, 'w', FILE_MODE);
      try {
        for (let at = 0; at < content.length; ) at += writeSync(fd, content, at);
        fsyncSync(fd);
      } catch (error) {
        closeSync(fd);
        rmSync(beside, { force: true });
        throw error;
      }
      closeSync(fd);
      renameSync(beside, bytes(path));
    },
    open: (path, mode) => openSync(bytes(path), NODE_FLAGS[mode], FILE_MODE),
    read: (file, to, offset, length) => readSync(file, to, offset, length, null),
    write: (file, from, offset, length) => writeSync(file, from, offset, length),
    // The length of a file is synced with its bytes; when it was changed may be lost.
    sync: fdatasyncSync,
    size: (file) => fstatSync(file).size,
    truncate: ftruncateSync,
    close: closeSync,
    rename: (from, to) => renameSync(bytes(from), bytes(to)),
    list: (folder) => (existsSync(bytes(folder)) ? readdirSync(bytes(folder), 'latin1') : []),
    makeFolder: (path) => {
      // Not `recursive`: Node then never returns when the process's own folder is gone.
      try {
        mkdirSync(bytes(path), 0o755);
      } catch (error) {
        if ((error as { code?: string }).code !== 'EEXIST' || !statSync(bytes(path)).isDirectory()) throw error;
      }
    },
    syncFolder,
  };
}
