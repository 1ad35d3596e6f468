/** Version of the package, from package.json, wherever this file lies (sources or dist/). */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

interface PackageFile {
  name?: string;
  version?: string;
  dependencies?: Record<string, string>;
}

/** Folder of the project's package.json. */
export function packageRoot(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, 'package.json'))) {
    const parent = dirname(folder);
    if (parent === folder) throw new Error('Cannot find package.json above the program');
    folder = parent;
  }
  return folder;
}

export function readPackage(folder: string = packageRoot()): PackageFile {
  return JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as PackageFile;
}

export function cachelabVersion(): string {
  return readPackage().version ?? '0.0.0';
}
