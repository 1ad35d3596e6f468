/**
 * Keeps the result document on disk while the run goes on. Each write replaces the whole file at once (a new file is
 * renamed over it), so whatever happens, the file that is there is complete JSON of everything measured until then.
 */
import { closeSync, fsyncSync, mkdirSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import type { ResultDocument } from '../result.ts';
import { RunError } from './run-error.ts';

const WHY: Record<string, string> = {
  ENOSPC: 'no space is left on the device. Free some, or choose another folder with --out',
  EDQUOT: 'the disk quota is used up. Free some, or choose another folder with --out',
  EACCES: 'permission is denied. Choose another folder with --out',
  EROFS: 'the file system is read-only. Choose another folder with --out',
  ENOTDIR: 'a part of the path is a file. Choose another folder with --out',
};

/** @returns one line that says which file could not be written and what to do */
export function describeWriteError(path: string, error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  return `Cannot write ${path}: ${(code !== undefined && WHY[code]) || message}`;
}

/** 2026-11-22T10:15:30.123Z -> 20261122-101530 */
export function runId(startedAt: Date, name: string): string {
  const stamp = startedAt.toISOString().slice(0, 19).replace(/[-:]/g, '').replace('T', '-');
  const safe = name.replace(/[^A-Za-z0-9._-]+/g, '-').slice(0, 60);
  return `${stamp}-${safe}`;
}

export class ResultStore {
  /** Folder of this run below `out`. */
  readonly folder: string;
  readonly path: string;
  readonly id: string;

  /**
   * Makes the folder; a second run in the same second gets a name of its own.
   *
   * @throws RunError when the folder cannot be made
   */
  constructor(out: string, id: string) {
    try {
      mkdirSync(out, { recursive: true });
    } catch (error) {
      throw new RunError(describeWriteError(out, error), { cause: error });
    }
    for (let attempt = 1; ; attempt++) {
      this.id = attempt === 1 ? id : `${id}-${attempt}`;
      this.folder = join(out, this.id);
      try {
        mkdirSync(this.folder);
        break;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'EEXIST' && attempt < 1_000) continue;
        throw new RunError(describeWriteError(this.folder, error), { cause: error });
      }
    }
    this.path = join(this.folder, 'result.json');
  }

  /** @throws RunError in one line; the last good file stays */
  save(document: ResultDocument): void {
    const temporary = `${this.path}.new`;
    try {
      const bytes = Buffer.from(`${JSON.stringify(document)}\n`);
      const fd = openSync(temporary, 'w');
      try {
        for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at);
        // Some file systems find out that they are full only now.
        fsyncSync(fd);
      } finally {
        closeSync(fd);
      }
      renameSync(temporary, this.path);
    } catch (error) {
      rmSync(temporary, { force: true });
      throw new RunError(describeWriteError(this.path, error), { cause: error });
    }
  }
}
