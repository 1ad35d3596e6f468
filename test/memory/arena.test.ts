import { describe, expect, it } from 'vitest';
import { createArena, PAGE_BYTES } from '../../engines/memory/arena.ts';
import { PageRuns } from '../../engines/memory/page-runs.ts';
import { addressOf, canPurge, purge, residentAt } from '../support/native-memory.ts';
import { seededRandom } from '../support/seed.ts';

/** The plainest form of the same thing: one flag a page. */
class NaiveRuns {
  readonly free: boolean[];
  constructor(pages: number) {
    this.free = new Array(pages).fill(false);
  }
  find(pages: number, from: number, fits: (page: number) => boolean): number {
    // Runs are whole stretches, so the search stands at the start of each.
    for (let start = from; start < this.free.length; start++) {
      if (!this.free[start] || (start > 0 && this.free[start - 1])) continue;
      let end = start;
      while (end < this.free.length && this.free[end]) end++;
      for (let page = start; page + pages <= end; page++) if (fits(page)) return page;
    }
    return -1;
  }
  set(page: number, pages: number, value: boolean): void {
    this.free.fill(value, page, page + pages);
  }
}

describe('page runs', () => {
  it('agree with a naive model in random giving and taking', () => {
    const random = seededRandom('page runs');
    for (const pages of [1, 2, 3, 64, 100, 257]) {
      const runs = new PageRuns(pages, true);
      const naive = new NaiveRuns(pages);
      runs.give(0, pages);
      naive.set(0, pages, true);
      const taken: [number, number][] = [];
      for (let step = 0; step < 3000; step++) {
        const want = 1 + random.nextBelow(Math.min(pages, 1 + random.nextBelow(12)));
        const choice = random.nextBelow(10);
        if (choice < 5 && taken.length > 0) {
          const [page, length] = taken.splice(random.nextBelow(taken.length), 1)[0];
          expect(runs.overlaps(page, length)).toBe(false);
          runs.give(page, length);
          naive.set(page, length, true);
          expect(runs.overlaps(page, length)).toBe(true);
        } else if (choice < 8) {
          const page = runs.take(want);
          expect(page).toBe(naive.find(want, 0, () => true));
          if (page >= 0) {
            naive.set(page, want, false);
            taken.push([page, want]);
          }
        } else if (choice === 8) {
          const align = 1 << random.nextBelow(4);
          const origin = -random.nextBelow(8);
          const page = runs.takeAligned(want, align, origin);
          expect(page).toBe(naive.find(want, 0, (p) => (p - origin) % align === 0));
          if (page >= 0) {
            naive.set(page, want, false);
            taken.push([page, want]);
          }
        } else if (runs.oldest >= 0 && runs.lengthAt(runs.oldest) > 1) {
          const page = runs.takeTail(runs.oldest, 1);
          naive.set(page, 1, false);
          taken.push([page, 1]);
        }
        if (step % 50 === 0) runs.verify();
      }
      runs.verify();
      expect(runs.total).toBe(naive.free.filter(Boolean).length);
    }
  });

  it('give the oldest run first and let a merged run count as new', () => {
    const runs = new PageRuns(64, true);
    runs.give(10, 2);
    runs.give(20, 2);
    runs.give(30, 2);
    expect(runs.oldest).toBe(10);
    runs.give(12, 1);
    expect(runs.oldest).toBe(20);
    runs.takeAt(20, 1);
    expect(runs.oldest).toBe(21);
  });
});

describe('the arena', () => {
  it('hands out the lowest run, merges what comes back, and says 0 when nothing is left', () => {
    const arena = createArena({ byteLength: 16 * PAGE_BYTES });
    expect(arena.totalPages).toBe(15);
    const a = arena.takePages(5);
    const b = arena.takePages(5);
    const c = arena.takePages(5);
    expect([a, b, c]).toEqual([4096, 4096 * 6, 4096 * 11]);
    expect(arena.takePages(1)).toBe(0);
    arena.givePages(a, 5);
    arena.givePages(c, 5);
    expect(arena.takePages(6)).toBe(0);
    arena.givePages(b, 5);
    expect(arena.takePages(15)).toBe(a);
    arena.verify();
  });

  it('refuses sizes and offsets that make no sense', () => {
    expect(() => createArena({ byteLength: 1000 })).toThrow(/Cannot create an arena of 1000 bytes/);
    const arena = createArena({ byteLength: 16 * PAGE_BYTES });
    const run = arena.takePages(2);
    expect(() => arena.givePages(run + 8, 1)).toThrow(/no page starts there/);
    expect(() => arena.givePages(run, 3)).toThrow(/not taken/);
    arena.givePages(run, 2);
    expect(() => arena.givePages(run, 2)).toThrow(/not taken/);
    expect(() => arena.givePages(run + PAGE_BYTES, 1)).toThrow(/not taken/);
    expect(() => arena.takePages(0)).toThrow(/Cannot take 0 pages/);
    expect(() => arena.takePages(1, 3)).toThrow(/power of two/);
  });

  it('places pages and aligned runs at page boundaries of the process', () => {
    const arena = createArena({ byteLength: 1024 * PAGE_BYTES, addressOf });
    for (const align of [1, 2, 16, 256]) {
      const offset = arena.takePages(3, align);
      expect((arena.address + offset) % (align * PAGE_BYTES)).toBe(0);
      expect(offset % 8).toBe(0);
    }
    arena.verify();
  });

  it('stores and reads above 2 GiB in an arena of 4 GiB, whose untouched pages cost nothing', () => {
    const rssBefore = process.memoryUsage.rss();
    const arena = createArena({ addressOf });
    expect(arena.byteLength).toBe(2 ** 32);
    const low = arena.takePages(600_000);
    const high = arena.takePages(400_000);
    expect(high).toBeGreaterThan(2 ** 31);
    const last = high + 400_000 * PAGE_BYTES - 8;
    arena.u8[last] = 7;
    arena.u32[(last + 4) >>> 2] = 0xdeadbeef;
    expect(arena.view.getUint32(last + 4, true)).toBe(0xdeadbeef);
    expect(arena.view.getUint8(last)).toBe(7);
    arena.givePages(low, 600_000);
    arena.givePages(high, 400_000);
    arena.verify();
    expect(process.memoryUsage.rss() - rssBefore).toBeLessThan(64 * 1024 * 1024);
  });

  it.skipIf(!canPurge)('gives the memory of purged pages back to the system', () => {
    const arena = createArena({ byteLength: 64 * 1024 * 1024, addressOf, purge });
    const pages = 10_000;
    const offset = arena.takePages(pages);
    const resident = (): number => residentAt(arena.address + 2 ** 20);
    const before = resident();
    arena.u8.fill(1, offset, offset + pages * PAGE_BYTES);
    expect(resident() - before).toBeGreaterThan(30_000_000);
    expect(arena.purge(offset, pages)).toBe(true);
    expect(resident() - before).toBeLessThan(10_000_000);
    expect(arena.u8[offset + 12_345]).toBe(0);
  });

  it('says that it cannot purge without addresses', () => {
    const arena = createArena({ byteLength: 16 * PAGE_BYTES });
    expect(arena.purge(arena.takePages(1), 1)).toBe(false);
  });
});
