/** Sorted sets in an arena that runs full: commands are refused or done in part, and nothing breaks or stays behind. */
import { describe, expect, it } from 'vitest';
import { ARENA_EXHAUSTED } from '../../engines/redis/structures/heap.ts';
import { verifyCore } from '../../engines/redis/verify.ts';
import { RespError } from '../support/resp-client.ts';
import { seededRandom, testScale } from '../support/seed.ts';
import { Draw } from './support/draw.ts';
import { Loopback } from './support/loopback.ts';
import { randomGeoCommand } from './support/random-geo.ts';
import { randomZsetCommand } from './support/random-zset.ts';

const ARENA_BYTES = 64 * 1024 * 1024;
const COMMANDS = 6_000 * testScale;
/** Commands before the first failure. */
const QUIET = COMMANDS / 4;
const HISTOGRAM_BYTES = 24_576 + 112;

/** Used memory without data. */
function emptied(lab: Loopback): number {
  lab.command(0, 'FLUSHALL');
  lab.settle();
  return lab.dataBytes;
}

describe('sorted sets without memory', () => {
  it('stay whole when any allocation may fail, and leave nothing behind', { timeout: 60_000 * testScale }, () => {
    const random = seededRandom('failing allocations');
    const draw = new Draw(random);
    const lab = new Loopback(ARENA_BYTES);
    lab.open(0);
    const heap = lab.core.heap;
    const allocate = heap.alloc.bind(heap);
    let armed = false;
    let countdown = 0;
    let failed = 0;
    let base = 0;
    // Every allocation that may throw goes through here; the n-th of a command fails.
    heap.alloc = (bytes: number): number => {
      if (armed && --countdown === 0) {
        failed++;
        throw ARENA_EXHAUSTED;
      }
      return allocate(bytes);
    };
    const commands = () => (draw.chance(3) ? randomGeoCommand(draw) : randomZsetCommand(draw)).args;
    for (let i = 0; i < COMMANDS; i++) {
      const args = commands();
      if (i === QUIET) base = emptied(lab);
      armed = i > QUIET;
      countdown = 1 + random.nextBelow(12);
      const reply = lab.command(0, ...args);
      armed = false;
      if (reply instanceof RespError && reply.message.startsWith('OOM')) expect(failed).toBeGreaterThan(0);
      if (i % 50 === 0) verifyCore(lab.core);
    }
    verifyCore(lab.core);
    expect(failed).toBeGreaterThan(COMMANDS / 50);
    // A command that has been called for the first time meanwhile has made its histogram.
    expect((emptied(lab) - base) % HISTOGRAM_BYTES).toBe(0);
  });
});
