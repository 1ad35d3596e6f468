/** The machine's own files behind the Disk port. */
import { closeSync, existsSync, fsyncSync, openSync, readFileSync, renameSync, rmSync, writeSync } from 'node:fs';
import type { Disk } from '../ports.ts';

/** @returns a disk whose errors are Node's (an Error with `code`) */
export function createLocalDisk(): Disk {
  return {
    readFile: (path) => readFileSync(path),
    exists: (path) => existsSync(path),
    remove: (path) => rmSync(path, { force: true }),
    replaceFile(path, bytes) {
      const beside = `${path}.${process.pid}.tmp`;
      const fd = openSync(beside, 'w', 0o644);
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
  };
}
