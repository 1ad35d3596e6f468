/** Fragmentation of the engine beside what was measured on redis-server 7.0.15, with both builds' allocators (data beside the project). */
import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { verifyCore } from '../../engines/redis/verify.ts';
import { FragmentationCase } from './support/fragmentation-case.ts';

const FOLDER = new URL('../../../shared/data/redis-fragmentation/', import.meta.url);
const RATIO_TOLERANCE = 0.03;
const RESIDENT_TOLERANCE = 0.05;
/**
 * When little is left after a defragmentation, the allocator's tables (140 bytes for each page up to the highest ever used, some
 * 15 MB here where jemalloc has 6) weigh most: 5.3 % were seen.
 */
const LITTLE_LEFT_TOLERANCE = 0.055;
const LITTLE_LEFT = new Set(['defrag_15s', 'end_purge']);

const DEFRAGMENTING = new Set(['defrag_1s', 'defrag_2s', 'defrag_4s', 'defrag_6s']);

interface Measured {
  phase: string;
  keys: number;
  allocator_allocated: number;
  allocator_active: number;
  allocator_resident: number;
}

function measured(name: string): Measured[] {
  return JSON.parse(readFileSync(new URL(`${name}.json`, FOLDER), 'utf8')).phases;
}

/** Holds every phase that the case has gone through against the real server's. */
function compare(run: FragmentationCase, real: readonly Measured[]): void {
  for (const { phase, keys, stats } of run.phases) {
    // The server itself before its first key is not what is compared here, nor how far a run has come at a moment.
    if (phase === 'start' || DEFRAGMENTING.has(phase)) continue;
    const there = real.find((row) => row.phase === phase)!;
    const ratio = stats.active / stats.allocated;
    const realRatio = there.allocator_active / there.allocator_allocated;
    expect(Math.abs(ratio - realRatio), `${phase}: fragmentation ${ratio}, ${realRatio} there`).toBeLessThan(
      RATIO_TOLERANCE,
    );
    const resident = stats.resident / there.allocator_resident;
    expect(Math.abs(resident - 1), `${phase}: resident memory ${resident} of that there`).toBeLessThan(
      LITTLE_LEFT.has(phase) ? LITTLE_LEFT_TOLERANCE : RESIDENT_TOLERANCE,
    );
    expect(Math.abs(keys / there.keys - 1), `${phase}: ${keys} keys, ${there.keys} there`).toBeLessThan(0.02);
  }
}

describe.skipIf(!existsSync(FOLDER))('fragmentation', () => {
  for (const name of ['debian', 'upstream'] as const) {
    it(`is the real server's at each step of fill, delete, refill, evict, defragment: ${name}`, {
      timeout: 240_000,
    }, () => {
      const run = new FragmentationCase(name);
      run.fillAndHalve();
      run.refillAndEvict();
      run.halveAgain();
      if (name === 'upstream') {
        run.defragment();
        const { hits, misses, keyHits } = run.lab.core.defrag;
        expect(Math.min(hits, misses, keyHits)).toBeGreaterThan(50_000);
        expect(run.lab.core.defrag.running).toBe(0);
        verifyCore(run.lab.core);
        run.lab.allocator.verify();
      }
      compare(run, measured(name));
    });
  }
});
