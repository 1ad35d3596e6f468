/** Finds a program as a shell would. */
import { accessSync, constants, statSync } from 'node:fs';
import { delimiter, join, resolve } from 'node:path';

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

/** @param name a name to look up on PATH, or a path @returns its absolute path, or null */
export function findProgram(name: string): string | null {
  if (name.includes('/')) return isExecutable(resolve(name)) ? resolve(name) : null;
  for (const folder of (process.env['PATH'] ?? '').split(delimiter)) {
    if (folder !== '' && isExecutable(join(folder, name))) return resolve(folder, name);
  }
  return null;
}
