/** The file that tells supervisors a server's process id. */
import { readFileSync, unlinkSync, writeFileSync } from 'node:fs';

/**
 * Writes this process's id and a newline.
 * @returns an error text, or null. A server runs on without its pid file, as the originals do, so this does not throw.
 */
export function writePidFile(path: string): string | null {
  try {
    writeFileSync(path, `${process.pid}\n`);
    return null;
  } catch (error) {
    return `Cannot write pid file ${path}: ${(error as Error).message}`;
  }
}

/** Removes the file if it still names this process: a successor's is left alone. */
export function removePidFile(path: string): void {
  try {
    if (Number(readFileSync(path, 'utf8')) === process.pid) unlinkSync(path);
  } catch {
    // Gone already, or not ours to remove.
  }
}
