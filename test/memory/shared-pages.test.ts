import { Worker } from 'node:worker_threads';
import { describe, expect, it } from 'vitest';
import { type Arena, createArena, makeBuffer } from '../../engines/memory/arena.ts';
import { openArenaBuffer } from '../../engines/memory/arena-buffer.ts';
import { ROOT_OFFSET, SHARED_HEADER_BYTES } from '../../engines/memory/shared-pages.ts';
import { addressOf, purge } from '../support/native-memory.ts';
import { seededRandom } from '../support/seed.ts';

const MEBIBYTE = 1024 * 1024;

function sharedArenas(byteLength: number, count: number, takeFrom = 0): Arena[] {
  const bytes = makeBuffer(byteLength);
  return Array.from({ length: count }, () => createArena({ bytes, shared: true, takeFrom, addressOf, purge }));
}

describe('an arena whose pages several threads take', () => {
  it('never gives a page to two arena objects over the same bytes', () => {
    const arenas = sharedArenas(16 * MEBIBYTE, 3);
    const random = seededRandom('shared pages');
    const owner = new Map<number, number>();
    for (let i = 0; i < 2_000; i++) {
      const me = random.nextBelow(3);
      const pages = 1 + random.nextBelow(8);
      const offset = arenas[me]!.takePages(pages, 1 << random.nextBelow(4));
      if (offset === 0) break;
      for (let page = offset; page < offset + pages * 4096; page += 4096) {
        expect(owner.get(page)).toBeUndefined();
        owner.set(page, me);
      }
    }
    expect(owner.size).toBeGreaterThan(3_000);
    for (const arena of arenas) arena.verify();
  });

  it('keeps pages that are given back for the object they came from, and takes no more of the source while those serve', () => {
    const [one, two] = sharedArenas(8 * MEBIBYTE, 2) as [Arena, Arena];
    const mine = one.takePages(100);
    const theirs = two.takePages(100);
    expect(Math.abs(mine - theirs)).toBe(MEBIBYTE);
    one.givePages(mine, 100);
    expect(one.takePages(256)).toBe(mine);
    expect(two.takePages(100)).toBe(theirs + 100 * 4096);
  });

  it('gives the last pages to whoever asks for them, and 0 after', () => {
    const [one, two] = sharedArenas(2 * MEBIBYTE, 2) as [Arena, Arena];
    expect(one.takePages(1)).not.toBe(0);
    const rest = two.freePages;
    expect(rest).toBe(one.totalPages - 256);
    expect(two.longestRun).toBe(rest);
    expect(two.takePages(rest + 1)).toBe(0);
    expect(two.takePages(rest)).not.toBe(0);
    expect(two.takePages(1)).toBe(0);
    expect(one.takePages(255)).not.toBe(0);
    expect(one.freePages).toBe(0);
  });

  it('leaves out what lies before takeFrom, and its own header', () => {
    const [one, two] = sharedArenas(4 * MEBIBYTE, 2, 2 * MEBIBYTE) as [Arena, Arena];
    expect(one.takePages(1)).toBeGreaterThanOrEqual(2 * MEBIBYTE);
    expect(two.takePages(1)).toBeGreaterThanOrEqual(3 * MEBIBYTE);
    const [third] = sharedArenas(65_536, 1) as [Arena];
    expect(third.takePages(1)).toBeGreaterThanOrEqual(SHARED_HEADER_BYTES);
  });

  it('tells that fresh pages are zero and that those of before may not be', () => {
    const [one, two] = sharedArenas(8 * MEBIBYTE, 2) as [Arena, Arena];
    const first = one.takePages(3);
    expect(one.zeroFrom).toBe(first + 3 * 4096);
    expect(two.takePages(1)).toBeGreaterThanOrEqual(two.zeroFrom - 4096);
  });

  it('shows the same cells and moves the same bytes in every object, also of an ordinary shared buffer', () => {
    for (const byteLength of [MEBIBYTE, 20 * 4096]) {
      const bytes = makeBuffer(byteLength);
      const one = createArena({ bytes, shared: true, addressOf });
      const two = createArena({ bytes: openArenaBuffer(one.handle), shared: true, addressOf });
      expect(two.address).toBe(one.address);
      one.i32[ROOT_OFFSET >>> 2] = 12_345;
      expect(two.i32[ROOT_OFFSET >>> 2]).toBe(12_345);
      const offset = one.takePages(1);
      one.u8.set([1, 2, 3, 4, 5], offset);
      two.moveBytes(offset, offset + 2, 3);
      expect([...one.u8.subarray(offset, offset + 5)]).toEqual([1, 2, 1, 2, 3]);
    }
  });

  it('serves four threads at once, each with an allocator of its own', { timeout: 60_000 }, async () => {
    const arena = createArena({ byteLength: 256 * MEBIBYTE, shared: true, addressOf, purge });
    const seed = String(seededRandom('shared takers').nextU32());
    const worker = new URL('./support/shared-taker.mjs', import.meta.url);
    const ends = Array.from({ length: 4 }, (_, i) => {
      const thread = new Worker(worker, { workerData: { handle: arena.handle, me: i + 1, seed, rounds: 6_000 } });
      return new Promise<{ address: number; byteLength: number; left: number }>((resolve, reject) => {
        thread.once('message', resolve);
        thread.once('error', reject);
      });
    });
    for (const told of await Promise.all(ends)) {
      expect(told.address).toBe(arena.address);
      expect(told.byteLength).toBe(arena.byteLength);
      expect(told.left).toBeGreaterThan(0);
    }
  });
});
