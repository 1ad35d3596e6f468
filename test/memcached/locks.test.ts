import { Worker } from 'node:worker_threads';
import { describe, expect, it } from 'vitest';
import { LOCK_SLABS } from '../../engines/memcached/lock-cells.ts';
import { Locks } from '../../engines/memcached/locks.ts';
import { SharedBlock } from '../../engines/memcached/shared-block.ts';
import { createArena } from '../../engines/memory/arena.ts';

function makeLocks(isShared: boolean, patienceMs?: number): { locks: Locks; block: SharedBlock } {
  const memory = createArena({ byteLength: 16 * 2 ** 20, shared: true });
  const block = new SharedBlock(memory, { role: 'dispatcher', threads: 2 });
  return { locks: new Locks(memory, block, isShared, patienceMs), block };
}

describe('A lock', () => {
  it('that is never given back is an error, and not the end of all movement', () => {
    const { locks } = makeLocks(true, 20);
    locks.take(LOCK_SLABS);
    expect(() => locks.take(LOCK_SLABS)).toThrow(/Cannot go on: lock at word \d+ is not given back/);
    locks.give(LOCK_SLABS);
    locks.take(LOCK_SLABS);
  });

  it('that is given back while somebody sleeps wakes him', async () => {
    const { locks, block } = makeLocks(true, 20_000);
    locks.item(5);
    const worker = new Worker(
      `const { workerData: { buffer, cell } } = require('node:worker_threads');
       const i32 = new Int32Array(buffer);
       // Until the other has gone to sleep.
       while (Atomics.load(i32, cell) !== 2) Atomics.wait(i32, cell, 1, 5);
       Atomics.exchange(i32, cell, 0);
       Atomics.notify(i32, cell, 1);`,
      { eval: true, workerData: { buffer: block.memory.buffer, cell: block.itemLocks + 5 } },
    );
    locks.item(5);
    await new Promise((resolve) => worker.once('exit', resolve));
    expect(locks.tryItem(5)).toBe(false);
    locks.unlockItem(5);
    expect(locks.tryItem(5)).toBe(true);
  });

  it('that was not taken cannot be given back', () => {
    const { locks } = makeLocks(true);
    expect(() => locks.give(LOCK_SLABS)).toThrow(/without being held/);
  });

  it('alone in a server only keeps the item of the command under way from being evicted', () => {
    const { locks } = makeLocks(false);
    locks.item(5);
    locks.item(5);
    expect(locks.tryItem(5)).toBe(false);
    expect(locks.tryItem(6)).toBe(true);
    locks.unlockItem(5);
    expect(locks.tryItem(5)).toBe(true);
  });
});
