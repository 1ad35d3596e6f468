/** Lazy freeing: what is unlinked is gone at once, its memory comes back in slices of bounded time, and in the end to the byte. */
import { describe, expect, it } from 'vitest';
import { dictSize } from '../../engines/redis/structures/dict-layout.ts';
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

const MEMBERS = 5_000;
const shapes: [string, (i: number) => (string | number)[]][] = [
  ['set', (i) => ['SADD', 'k', `member:${i}`]],
  ['hash', (i) => ['HSET', 'k', `field:${i}`, `value:${i}`]],
  ['sorted set', (i) => ['ZADD', 'k', i, `member:${i}`]],
  ['stream', (i) => ['XADD', 'k', `${i + 1}-0`, 'field', 'x'.repeat(100)]],
  ['list', () => ['RPUSH', 'k', 'x'.repeat(1_000)]],
];

describe('UNLINK', () => {
  for (const [name, args] of shapes) {
    it(`gives a large ${name} back bit by bit, to the byte, and so do the other ways with their settings`, () => {
      const lab = new Loopback(ARENA_BYTES);
      lab.open(0);
      const { config, lazyFree } = lab.core;
      const fill = () => lab.run(0, MEMBERS, args);
      for (const command of ['DEL', 'UNLINK', 'RENAME', 'SET', 'PEXPIRE', 'FLUSHALL', 'GET']) {
        lab.command(0, command, 'k', 'k', '1');
      }
      lab.command(0, 'SET', 'other', 'v');
      lab.command(0, ...args(0));
      for (const command of ['UNLINK', 'DEL', 'GET', 'PEXPIRE']) {
        lab.command(0, ...(command === 'PEXPIRE' ? [command, 'k', '1'] : [command, 'k']));
      }
      lab.command(0, 'RENAME', 'other', 'k');
      lab.command(0, 'FLUSHALL');
      const base = lab.dataBytes;
      const say = (...words: (string | number)[]) => lab.command(0, ...words);
      const ends: [string, boolean, () => void][] = [
        ['DEL', false, () => say('DEL', 'k')],
        ['UNLINK', true, () => say('UNLINK', 'k')],
        ['SET', false, () => say('SET', 'k', 'v')],
        [
          'lazy DEL',
          true,
          () => {
            config.lazyfreeLazyUserDel = true;
            say('DEL', 'k');
          },
        ],
        [
          'lazy SET',
          true,
          () => {
            config.lazyfreeLazyServerDel = true;
            say('SET', 'k', 'v');
          },
        ],
        [
          'lazy RENAME',
          true,
          () => {
            say('SET', 'other', 'v');
            say('RENAME', 'other', 'k');
          },
        ],
        [
          'lazy expiry',
          true,
          () => {
            config.lazyfreeLazyExpire = true;
            say('PEXPIRE', 'k', 1);
            lab.nowMs += 2;
            expect(say('GET', 'k')).toBe(null);
          },
        ],
      ];
      for (const [what, lazily, end] of ends) {
        fill();
        const freed = lazyFree.freedObjects;
        end();
        expect(lazyFree.pendingObjects + lazyFree.freedObjects - freed, what).toBe(lazily ? 1 : 0);
        drain(lab);
        lab.command(0, 'FLUSHALL');
        expect(lab.dataBytes - base, what).toBe(0);
      }
      lab.allocator.verify();
    });

    it(`waits for a large ${name} when a database is flushed`, () => {
      const lab = new Loopback(ARENA_BYTES);
      lab.open(0);
      lab.command(0, ...args(0));
      lab.command(0, 'FLUSHALL');
      const base = lab.dataBytes;
      lab.run(0, MEMBERS, args);
      lab.command(0, 'FLUSHALL', 'ASYNC');
      expect(lab.core.lazyFree.pendingObjects + lab.core.lazyFree.freedObjects).toBe(1);
      drain(lab);
      expect(lab.dataBytes).toBe(base);
    });
  }
});
