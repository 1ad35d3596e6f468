/** A file under pages of an arena: what is stored there is in the file, and outlives the process. */
import { closeSync, constants, ftruncateSync, openSync } from 'node:fs';
import { systemCalls } from './system.ts';

const PROT_READ_WRITE = 3;
const MAP_SHARED = 1;
const MAP_FIXED = 16;
/** Only the owner may read what clients have stored. */
const MODE = 0o700;

/** Opens a file for `mapFile`, made if it is not there, and gives it this length. @throws Error with `code` and `syscall` */
export function openForMapping(path: string, bytes: number): number {
  const fd = openSync(path, constants.O_RDWR | constants.O_CREAT, MODE);
  try {
    ftruncateSync(fd, bytes);
  } catch (error) {
    closeSync(fd);
    throw error;
  }
  return fd;
}

/**
 * Puts a file in the place of pages, for good: the mapping stays until the process ends, also when the file is closed.
 * @param address of the first page in this process, a multiple of the page size
 * @returns 0, or an errno; -1 where system calls cannot be made
 */
export function mapFile(fd: number, address: number, bytes: number): number {
  const sys = systemCalls();
  if (sys === null || address === 0) return -1;
  return sys.mmap(address, bytes, PROT_READ_WRITE, MAP_SHARED | MAP_FIXED, fd, 0) === address ? 0 : sys.errno();
}
