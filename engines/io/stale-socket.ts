/** Unix socket files that a server leaves behind when it dies. */
import { lstatSync, unlinkSync } from 'node:fs';

/** Removes what an earlier server left at `path`, but nothing that is not a socket (binding then says what is wrong). */
export function removeStaleSocket(path: string): void {
  try {
    if (lstatSync(path).isSocket()) unlinkSync(path);
  } catch {
    // Nothing is there, or it may not be removed.
  }
}
