import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { createArena, PAGE_BYTES } from '../../engines/memory/arena.ts';
import { createJemalloc, type Jemalloc } from '../../engines/memory/jemalloc.ts';
import { type ClassTableName, classOf, classTable } from '../../engines/memory/size-classes.ts';
import type { Random } from '../../engines/ports.ts';
import { addressOf, canPurge, purge, residentAt } from '../support/native-memory.ts';
import { seededRandom } from '../support/seed.ts';

const MIB = 1024 * 1024;
const measured = new URL('../../../shared/data/redis-memory/jemalloc_classes.json', import.meta.url);
const builds: ClassTableName[] = ['debian', 'upstream'];

function make(mebibytes: number, classes: ClassTableName = 'debian', decayMs?: number): Jemalloc {
  return createJemalloc(createArena({ byteLength: mebibytes * MIB }), { classes, decayMs });
}

describe('size classes', () => {
  it.skipIf(!existsSync(measured))('equal the tables measured on the two builds', () => {
    const data = JSON.parse(readFileSync(measured, 'utf8'));
    for (const name of builds) {
      const table = classTable(name);
      data[name].forEach((row: { size: number; regs?: number; pgs?: number; large?: boolean }, c: number) => {
        expect(table.sizes[c]).toBe(row.size);
        expect(c >= table.smallCount).toBe(row.large === true);
        if (row.large) expect(table.pages[c]).toBe(row.size / 4096 + 1);
        else expect([table.regs[c], table.pages[c]]).toEqual([row.regs, row.pgs]);
      });
    }
  });

  it.each(builds)('are found for every size: the smallest class that is large enough (%s)', (name) => {
    const table = classTable(name);
    const sizes = [...table.sizes];
    const check = (bytes: number): void => {
      const c = classOf(table, bytes);
      expect(sizes[c]).toBeGreaterThanOrEqual(bytes);
      if (c > 0) expect(sizes[c - 1]).toBeLessThan(bytes);
    };
    for (let bytes = 1; bytes <= 70_000; bytes++) check(bytes);
    for (const size of sizes) {
      check(size);
      check(size - 1);
      if (size !== sizes.at(-1)) check(size + 1);
    }
    expect(classOf(table, 3.5 * 2 ** 30 + 1)).toBe(-1);
  });

  it('give a dictEntry of 24 bytes 32 in the one build and 24 in the other', () => {
    expect(make(1).sizeClass(24)).toBe(32);
    expect(make(1, 'upstream').sizeClass(24)).toBe(24);
  });

  it('refuse an unknown name', () => {
    expect(() => classTable('other' as ClassTableName)).toThrow(/Cannot build the class table "other"/);
  });
});

/** A size as servers ask for: mostly small, some large, now and then huge. */
function randomSize(random: Random): number {
  const kind = random.nextBelow(100);
  if (kind < 70) return 1 + random.nextBelow(300);
  if (kind < 90) return 1 + random.nextBelow(9000);
  if (kind < 98) return 1 + random.nextBelow(60_000);
  return 1 + random.nextBelow(600_000);
}

/** Fills an allocation to its usable size and later tells whether anyone else wrote there. */
function stamp(jemalloc: Jemalloc, offset: number, value: number): void {
  jemalloc.memory.u8.fill(value, offset, offset + jemalloc.usableSize(offset));
}
function intact(jemalloc: Jemalloc, offset: number, bytes: number, value: number): boolean {
  const { u8 } = jemalloc.memory;
  for (let i = offset; i < offset + bytes; i++) if (u8[i] !== value) return false;
  return true;
}

describe('the allocator', () => {
  it.each(builds)('keeps apart what it hands out, in random use (%s)', (name) => {
    const random = seededRandom(`jemalloc ${name}`);
    const jemalloc = createJemalloc(createArena({ byteLength: 64 * MIB, addressOf, purge }), { classes: name });
    const held: { offset: number; bytes: number; value: number }[] = [];
    let used = 0;
    let nowMs = 0;
    let exhausted = 0;
    for (let step = 0; step < 40_000; step++) {
      const choice = random.nextBelow(100);
      const growing = step % 16_000 < 9000;
      if (choice < (growing ? 60 : 35)) {
        const bytes = randomSize(random);
        const offset = choice === 0 ? jemalloc.allocFromSlab(bytes) : jemalloc.alloc(bytes);
        if (offset === 0) {
          exhausted++;
          continue;
        }
        const value = random.nextBelow(256);
        const usable = jemalloc.usableSize(offset);
        expect(usable).toBe(jemalloc.sizeClass(bytes));
        stamp(jemalloc, offset, value);
        held.push({ offset, bytes: usable, value });
        used += usable;
      } else if (choice < 90 && held.length > 0) {
        const at = random.nextBelow(held.length);
        const item = held[at];
        held[at] = held[held.length - 1];
        held.pop();
        if (!intact(jemalloc, item.offset, item.bytes, item.value)) throw new Error(`${item.offset} was overwritten`);
        used -= item.bytes;
        if (choice === 80) jemalloc.freeToSlab(item.offset);
        else jemalloc.free(item.offset);
      } else if (choice < 97 && held.length > 0) {
        const item = held[random.nextBelow(held.length)];
        const bytes = randomSize(random);
        const offset = jemalloc.realloc(item.offset, bytes);
        if (offset === 0) continue;
        const usable = jemalloc.usableSize(offset);
        expect(usable).toBe(jemalloc.sizeClass(bytes));
        if (!intact(jemalloc, offset, Math.min(usable, item.bytes), item.value))
          throw new Error('realloc lost content');
        stamp(jemalloc, offset, item.value);
        used += usable - item.bytes;
        item.offset = offset;
        item.bytes = usable;
      } else {
        jemalloc.tick((nowMs += random.nextBelow(400)));
      }
      if (jemalloc.usedBytes !== used) throw new Error(`usedBytes is ${jemalloc.usedBytes}, ${used} expected`);
      if (step % 4000 === 3999) jemalloc.verify();
    }
    for (const item of held) jemalloc.free(item.offset);
    expect(jemalloc.usedBytes).toBe(0);
    jemalloc.flushCaches();
    jemalloc.verify();
    jemalloc.purgeAll();
    const end = jemalloc.stats();
    expect([end.allocated, end.active, end.dirty, end.cached]).toEqual([0, 0, 0, 0]);
    expect(exhausted).toBeLessThan(40_000);
  });

  it('returns 0 when the arena is exhausted, keeps what it has, and works again after a free', () => {
    const jemalloc = make(4);
    const held: number[] = [];
    for (let offset = jemalloc.alloc(1000); offset !== 0; offset = jemalloc.alloc(1000)) held.push(offset);
    expect(held.length * 1024).toBeGreaterThan(3.5 * MIB);
    expect(jemalloc.alloc(100_000)).toBe(0);
    expect(jemalloc.alloc(2 ** 32 - 1)).toBe(0);
    expect(jemalloc.realloc(held[0], 100_000)).toBe(0);
    expect(jemalloc.usableSize(held[0])).toBe(1024);
    jemalloc.verify();
    for (const offset of held) jemalloc.free(offset);
    jemalloc.flushCaches();
    expect(jemalloc.alloc(3 * MIB)).not.toBe(0);
    jemalloc.verify();
  });

  it('throws for what was not allocated, freed twice or lies inside of an allocation', () => {
    const jemalloc = make(4);
    const small = jemalloc.alloc(100);
    const large = jemalloc.alloc(50_000);
    for (const wrong of [small + 8, small + 1, large + 4096, large + 1, 8, 4 * MIB, 2 ** 40, -1, Number.NaN]) {
      expect(() => jemalloc.free(wrong), String(wrong)).toThrow(/no allocation starts there/);
      expect(() => jemalloc.usableSize(wrong), String(wrong)).toThrow(/no allocation starts there/);
    }
    jemalloc.free(0);
    jemalloc.free(small);
    expect(() => jemalloc.free(small)).toThrow(/Cannot free offset/);
    jemalloc.free(large);
    expect(() => jemalloc.free(large)).toThrow(/Cannot free offset/);
    expect(() => jemalloc.alloc(-5)).toThrow(/must be at least 1/);
    jemalloc.verify();
  });

  it('resizes in place within the class and at the end of a large extent', () => {
    const jemalloc = make(16);
    const a = jemalloc.alloc(100);
    expect(jemalloc.realloc(a, 112)).toBe(a);
    expect(jemalloc.realloc(a, 113)).not.toBe(a);
    const big = jemalloc.alloc(100_000);
    expect(jemalloc.realloc(big, 200_000)).toBe(big);
    expect(jemalloc.usableSize(big)).toBe(229_376);
    expect(jemalloc.realloc(big, 40_000)).toBe(big);
    expect(jemalloc.usedBytes).toBe(40_960 + 128);
    jemalloc.verify();
  });

  it('gives zeroed bytes where asked for', () => {
    const jemalloc = make(4);
    const a = jemalloc.alloc(500);
    jemalloc.memory.u8.fill(9, a, a + 512);
    jemalloc.free(a);
    const b = jemalloc.allocZeroed(500);
    expect(intact(jemalloc, b, 512, 0)).toBe(true);
  });

  it.each([true, false])('gives large zeroed bytes wherever the pages come from (purging: %s)', (purging) => {
    const arena = createArena({ byteLength: 64 * MIB, addressOf, purge: purging && canPurge ? purge : undefined });
    // Pages that another user of the arena has left behind are not zero.
    const left = arena.takePages(1000);
    arena.u8.fill(5, left, left + 1000 * PAGE_BYTES);
    arena.givePages(left, 1000);
    const jemalloc = createJemalloc(arena, { classes: 'debian' });
    for (let round = 0; round < 3; round++) {
      for (const bytes of [20_000, 100_000, MIB, 10 * MIB]) {
        const offset = jemalloc.allocZeroed(bytes);
        expect(intact(jemalloc, offset, bytes, 0), `${bytes} in round ${round}`).toBe(true);
        stamp(jemalloc, offset, 7);
        jemalloc.free(offset);
      }
      if (round === 1) jemalloc.purgeAll();
    }
    jemalloc.verify();
  });

  it('counts allocated, active and resident as the original: cached objects are allocated, a large one takes a page more', () => {
    const jemalloc = make(64);
    jemalloc.alloc(100_000);
    let stats = jemalloc.stats();
    expect(stats.allocated).toBe(114_688);
    expect(stats.active).toBe(114_688 + 4096);
    expect(stats.resident).toBe(stats.active + stats.metadata);
    jemalloc.alloc(30);
    stats = jemalloc.stats();
    expect(jemalloc.usedBytes).toBe(114_688 + 32);
    // A miss fills half of the cache: 100 regions of 32 bytes.
    expect(stats.allocated).toBe(114_688 + 100 * 32);
    expect(stats.cached).toBe(99 * 32);
    const bin = jemalloc.bins().find((row) => row.size === 32);
    expect(bin).toMatchObject({ curregs: 100, curslabs: 1, nonfull: 0, regs: 128, pages: 1, nfills: 1 });
    expect(jemalloc.larges().find((row) => row.size === 114_688)).toMatchObject({ curlextents: 1, nmalloc: 1 });
  });

  it('fills the lowest slab with room first, so that later ones drain', () => {
    const jemalloc = make(16);
    const offsets = Array.from({ length: 64 * 20 }, () => jemalloc.alloc(64));
    for (const offset of offsets) if (offset % 3 === 1 || offset % 4096 < 2048) jemalloc.free(offset);
    jemalloc.flushCaches();
    const lowest = Math.min(...offsets);
    expect(jemalloc.allocFromSlab(64)).toBeLessThan(lowest + 4096);
    jemalloc.verify();
  });

  it('hints at what defragmentation should move: objects of sparse slabs that are not being filled', () => {
    const jemalloc = make(16);
    const offsets = Array.from({ length: 64 * 10 }, () => jemalloc.allocFromSlab(64));
    const perSlab = new Map<number, number[]>();
    for (const offset of offsets) {
      const page = Math.floor(offset / 4096);
      perSlab.set(page, [...(perSlab.get(page) ?? []), offset]);
    }
    const slabs = [...perSlab.values()];
    for (const offset of slabs[5].slice(2)) jemalloc.freeToSlab(offset);
    jemalloc.freeToSlab(slabs[1][0]);
    jemalloc.freeToSlab(slabs[2][0]);
    expect(jemalloc.defragHint(slabs[5][0])).toBe(true);
    expect(jemalloc.defragHint(slabs[8][0])).toBe(false);
    jemalloc.verify();
  });

  it('lets dirty pages go over ten seconds, slowly at first and at the end, and reuses them before', () => {
    const jemalloc = make(64);
    const offsets = Array.from({ length: 1000 }, () => jemalloc.alloc(10_000));
    jemalloc.tick(0);
    for (const offset of offsets) jemalloc.free(offset);
    jemalloc.flushCaches();
    const freed = jemalloc.stats().dirty;
    expect(freed).toBe(500 * 5 * PAGE_BYTES);
    const left: number[] = [];
    for (let nowMs = 50; nowMs <= 10_100; nowMs += 50) {
      jemalloc.tick(nowMs);
      const stats = jemalloc.stats();
      expect(stats.resident).toBe(stats.active + stats.dirty + stats.metadata);
      if (nowMs % 2500 === 50) left.push(stats.dirty / freed);
    }
    // 1 - smootherstep at a quarter, the half and three quarters of the time.
    expect(left[0]).toBeGreaterThan(0.99);
    expect(left[1]).toBeCloseTo(0.896, 1);
    expect(left[2]).toBeCloseTo(0.5, 1);
    expect(left[3]).toBeCloseTo(0.104, 1);
    expect(left[4]).toBe(0);
    expect(jemalloc.stats().retained).toBeGreaterThanOrEqual(freed);
    const before = jemalloc.memory.takePages(1);
    jemalloc.memory.givePages(before, 1);
    jemalloc.alloc(10_000);
    const after = jemalloc.memory.takePages(1);
    expect(after).toBe(before);
    jemalloc.verify();
  });

  it('gives extents of 8 MiB and more back at once, and everything on demand', () => {
    const jemalloc = make(64);
    jemalloc.free(jemalloc.alloc(8 * MIB));
    expect(jemalloc.stats()).toMatchObject({ dirty: 0, active: 0, purged: 8 * MIB + 4096 });
    jemalloc.free(jemalloc.alloc(MIB));
    expect(jemalloc.stats().dirty).toBe(MIB + 4096);
    jemalloc.purgeAll();
    expect(jemalloc.stats().dirty).toBe(0);
  });

  it('empties the caches of classes that nobody uses', () => {
    const jemalloc = make(16);
    const offsets = Array.from({ length: 150 }, () => jemalloc.alloc(30));
    for (const offset of offsets) jemalloc.free(offset);
    for (let nowMs = 0; nowMs < 20_000; nowMs += 1000) jemalloc.tick(nowMs);
    expect(jemalloc.stats().cached).toBeLessThan(32 * 4);
    jemalloc.verify();
  });

  it('works above 2 GiB', () => {
    const arena = createArena();
    arena.takePages(2 ** 19 + 10);
    const jemalloc = createJemalloc(arena, { classes: 'debian' });
    const offsets: number[] = [];
    for (let i = 0; i < 5000; i++) {
      const offset = jemalloc.alloc(1 + (i % 20_000) * 7);
      expect(offset).toBeGreaterThan(2 ** 31);
      arena.u8[offset] = i;
      offsets.push(offset);
    }
    offsets.forEach((offset, i) => {
      expect(arena.u8[offset]).toBe(i & 255);
      jemalloc.free(offset);
    });
    expect(jemalloc.usedBytes).toBe(0);
    const huge = jemalloc.alloc(1.5 * 2 ** 30);
    expect(huge + jemalloc.usableSize(huge)).toBeGreaterThan(3.5 * 2 ** 30);
    jemalloc.free(huge);
    jemalloc.flushCaches();
    expect(jemalloc.stats().active).toBe(0);
  });

  it.skipIf(!canPurge)('makes the memory of the process smaller when it purges', () => {
    const jemalloc = createJemalloc(createArena({ addressOf, purge }), { classes: 'debian' });
    const resident = (): number => residentAt(jemalloc.memory.address + 2 ** 20);
    const offsets = Array.from({ length: 4000 }, () => jemalloc.alloc(10_000));
    for (const offset of offsets) stamp(jemalloc, offset, 1);
    for (const offset of offsets) jemalloc.free(offset);
    jemalloc.flushCaches();
    // Taken close together: arenas of earlier tests may share the mapping, and the collector may free them at any time.
    const full = resident();
    jemalloc.purgeAll();
    expect(full - resident()).toBeGreaterThan(38_000_000);
    expect(jemalloc.memory.u8[offsets[100]]).toBe(0);
  });
});
