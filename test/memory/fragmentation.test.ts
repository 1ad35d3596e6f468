import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { createArena } from '../../engines/memory/arena.ts';
import { createJemalloc, type Jemalloc } from '../../engines/memory/jemalloc.ts';

const measured = new URL('../../../shared/data/redis-fragmentation/debian.json', import.meta.url);

interface Phase {
  phase: string;
  inserted?: number;
  allocator_allocated: number;
  allocator_active: number;
  bins: { size: number; curregs: number; curslabs: number; nonfull: number; util: number }[];
}

/** The generator that chose the keys to delete when the real server was measured (mulberry32, seed 12345). */
function mulberry32(state: number): () => number {
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/** What a SET of a new key with 16 bytes and a value of 150 allocates and frees, in the order of the original. */
function set(jemalloc: Jemalloc, held: Float64Array, at: number): void {
  const temporary = [jemalloc.alloc(16), jemalloc.alloc(16), jemalloc.alloc(5), jemalloc.alloc(20)];
  const object = jemalloc.alloc(16);
  const value = jemalloc.alloc(154);
  held.set([jemalloc.alloc(20), jemalloc.alloc(24), object, value], at);
  for (const offset of temporary) jemalloc.free(offset);
}

describe('fragmentation', () => {
  it.skipIf(!existsSync(measured))(
    'after deleting a random half is what the real server showed, class by class',
    () => {
      const phases: Phase[] = JSON.parse(readFileSync(measured, 'utf8')).phases;
      const [start, fill, half] = ['start', 'fill150', 'deleted_half'].map(
        (name) => phases.find((p) => p.phase === name)!,
      );
      const keys = fill.inserted!;
      const jemalloc = createJemalloc(createArena(), { classes: 'debian' });
      const held = new Float64Array(keys * 4);
      let table = jemalloc.alloc(32);
      for (let i = 0, buckets = 4; i < keys; i++) {
        if (i >= buckets) {
          const larger = jemalloc.alloc(buckets * 16);
          jemalloc.free(table);
          table = larger;
          buckets *= 2;
        }
        set(jemalloc, held, i * 4);
      }
      const compare = (phase: Phase): void => {
        for (const size of [32, 160]) {
          const real = phase.bins.find((bin) => bin.size === size)!;
          const before = start.bins.find((bin) => bin.size === size)!;
          const ours = jemalloc.bins().find((bin) => bin.size === size)!;
          // The real server had slabs of its own before the first key.
          expect(Math.abs(ours.curslabs - (real.curslabs - before.curslabs)), `slabs of ${size}`).toBeLessThan(
            real.curslabs * 0.005,
          );
          expect(Math.abs(ours.util - real.util), `use of ${size}`).toBeLessThan(0.005);
        }
        const { allocated, active } = jemalloc.stats();
        expect(active / allocated).toBeCloseTo(
          (phase.allocator_active - start.allocator_active) / (phase.allocator_allocated - start.allocator_allocated),
          1,
        );
      };
      compare(fill);
      const random = mulberry32(12345);
      for (let i = 0; i < keys; i++) if (random() < 0.5) for (let j = 0; j < 4; j++) jemalloc.free(held[i * 4 + j]);
      compare(half);
    },
  );
});
