/** System calls that the arena is given in tests: the address of a buffer, and madvise. */
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
