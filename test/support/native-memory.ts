/** System calls that the arena is given in tests: the address of a buffer, and madvise. */
import { readFileSync } from 'node:fs';
import koffi from 'koffi';

const libc = process.platform === 'linux' ? koffi.load('libc.so.6') : null;
const madvise = libc?.func('int madvise(uintptr_t addr, size_t length, int advice)');
const MADV_DONTNEED = 4;

/** Whether pages can be given back to the system here. */
export const canPurge = madvise !== undefined;

export function addressOf(view: Uint8Array): number {
  return Number(koffi.address(view));
}

export function purge(address: number, bytes: number): boolean {
  return madvise?.(address, bytes, MADV_DONTNEED) === 0;
}

/** Physical memory in bytes under the mapping of this process that holds `address` (Linux): unlike the process's total it does not move with the garbage collector. */
export function residentAt(address: number): number {
  let inside = false;
  for (const line of readFileSync('/proc/self/smaps', 'utf8').split('\n')) {
    const range = /^([0-9a-f]+)-([0-9a-f]+) /.exec(line);
    if (range) inside = Number.parseInt(range[1], 16) <= address && address < Number.parseInt(range[2], 16);
    const rss = inside && /^Rss:\s+(\d+) kB/.exec(line);
    if (rss) return Number(rss[1]) * 1024;
  }
  throw new Error(`Cannot find a mapping at ${address}`);
}
