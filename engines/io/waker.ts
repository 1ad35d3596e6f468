/** Wakes an event loop from another thread. */
import { writeSync } from 'node:fs';
import type { Waker } from './event-loop.ts';

/** An eventfd adds up what is written; any count wakes. */
const ONE = new Uint8Array(new BigUint64Array([1n]).buffer);

/**
 * Makes the loop behind `waker` run its `onWake` soon. May be called from any thread, as often as wanted: calls that come
 * before the loop has woken are one. Does nothing when the loop is gone already.
 */
export function wakeLoop(waker: Waker): void {
  if (waker.cell !== null) {
    Atomics.add(waker.cell, 0, 1);
    Atomics.notify(waker.cell, 0);
  }
  if (waker.fd < 0) return;
  try {
    writeSync(waker.fd, ONE);
  } catch (error) {
    // EAGAIN: the counter is full, so the loop is being woken anyway. EBADF: the loop was destroyed.
    const code = (error as NodeJS.ErrnoException).code;
    if (code !== 'EAGAIN' && code !== 'EBADF') throw error;
  }
}
