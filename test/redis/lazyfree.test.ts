/** Lazy freeing: what is unlinked is gone at once, its memory comes back in slices of bounded time, and in the end to the byte. */
import { describe, expect, it } from 'vitest';
import { dictSize } from '../../engines/redis/structures/dict.ts';
import { verifyCore } from '../../engines/redis/verify.ts';
import { Loopback } from './support/loopback.ts';

const ARENA_BYTES = 128 * 1024 * 1024;
const KEYS = 50_000;

/** Lets slices run as turns would, with time passing between them. @returns how many were needed */
function drain(lab: Loopback): number {
  let slices = 0;
  while (lab.core.lazyFree.busy) {
    lab.nowMs += 1;
    lab.core.background();
    slices++;
    if (slices > 100_000) throw new Error('lazy freeing does not end');
  }
  return slices;
}

describe('FLUSHALL ASYNC', () => {
  it('detaches all keys at once and gives their memory back bit by bit, to the byte', () => {
    const lab = new Loopback(ARENA_BYTES);
    lab.open(0);
    for (const command of ['SET', 'FLUSHALL']) lab.command(0, command, ...(command === 'SET' ? ['k', 'v'] : []));
    const base = lab.dataBytes;
    lab.run(0, KEYS, (i) => ['SET', `key:${i}`, 'x'.repeat(100), 'EX', 1_000 + i]);
    const full = lab.dataBytes;
    expect(lab.command(0, 'FLUSHALL', 'ASYNC')).toBe('OK');
    expect(dictSize(lab.core.heap, lab.core.dbs[0].dict)).toBe(0);
    expect(lab.core.lazyFree.pendingObjects).toBe(KEYS);
    expect(lab.dataBytes).toBeGreaterThan(full * 0.9);
    expect(lab.command(0, 'SET', 'key:1', 'new')).toBe('OK');
    expect(drain(lab)).toBeGreaterThan(10);
    expect(lab.core.lazyFree.freedObjects).toBe(KEYS);
    expect(lab.core.lazyFree.pendingObjects).toBe(0);
    expect(lab.command(0, 'GET', 'key:1')).toBe('new');
    lab.command(0, 'FLUSHALL');
    // GET was not among the first calls; its histogram stays.
    expect(lab.dataBytes - base).toBe(24_576 + 112);
    verifyCore(lab.core);
    lab.allocator.verify();
  });

  it('is what FLUSHALL does with lazyfree-lazy-user-flush, and SYNC is not', () => {
    const lab = new Loopback(ARENA_BYTES);
    lab.open(0);
    lab.core.config.lazyfreeLazyUserFlush = true;
    lab.run(0, 1_000, (i) => ['SET', `key:${i}`, 'v']);
    lab.command(0, 'FLUSHDB', 'SYNC');
    expect(lab.core.lazyFree.busy).toBe(false);
    lab.run(0, 10_000, (i) => ['SET', `key:${i}`, 'v']);
    lab.command(0, 'FLUSHDB');
    expect(lab.core.lazyFree.busy).toBe(true);
    drain(lab);
  });

  it('makes room at once when the arena runs full', () => {
    const lab = new Loopback(24 * 1024 * 1024);
    lab.open(0);
    lab.run(0, 20_000, (i) => ['SET', `key:${i}`, 'x'.repeat(400)], 500);
    lab.command(0, 'FLUSHALL', 'ASYNC');
    // Time stands still, so nothing but the need for memory makes the slices run.
    for (let i = 0; i < 20_000; i++) expect(lab.command(0, 'SET', `other:${i}`, 'y'.repeat(400))).toBe('OK');
    verifyCore(lab.core);
  });
});
