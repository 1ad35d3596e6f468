/** Commands that run out of memory at any of their allocations leave the data whole, and nothing of what they had begun stays behind. */
import { describe, expect, it } from 'vitest';
import type { Random } from '../../engines/ports.ts';
import { attachAdmin } from '../../engines/redis/admin.ts';
import { verifyCore } from '../../engines/redis/verify.ts';
import { encodeCommand } from '../support/resp-client.ts';
import { seededRandom, testScale } from '../support/seed.ts';
import { Draw } from './support/draw.ts';
import { Loopback } from './support/loopback.ts';
import { randomBitmapCommand } from './support/random-bitmap.ts';
import { CommandSource, type RandomCommand } from './support/random-commands.ts';
import { randomGeoCommand } from './support/random-geo.ts';
import { randomHashCommand } from './support/random-hash.ts';
import { randomHyperLogLogCommand } from './support/random-hyperloglog.ts';
import { randomListCommand } from './support/random-list.ts';
import { randomSetCommand } from './support/random-set.ts';
import { randomSortCommand } from './support/random-sort.ts';
import { randomStreamCommand } from './support/random-stream.ts';
import { randomZsetCommand } from './support/random-zset.ts';

const ARENA_BYTES = 64 * 1024 * 1024;
const COMMANDS = 1_500 * testScale;
const VERIFY_EVERY = 50;
const LONGEST_BYTES = 10_000;

const groups: Record<string, (d: Draw) => RandomCommand> = {
  lists: randomListCommand,
  sets: randomSetCommand,
  hashes: randomHashCommand,
  'sorted sets': randomZsetCommand,
  streams: randomStreamCommand,
  places: randomGeoCommand,
  'sorted lists': randomSortCommand,
  bitmaps: randomBitmapCommand,
  HyperLogLogs: randomHyperLogLogCommand,
};

/** Lets one allocation in so many fail, while `on`. */
function failingAllocations(lab: Loopback, random: Random) {
  const state = { on: false, oneIn: 10, failed: 0 };
  const alloc = lab.allocator.alloc.bind(lab.allocator);
  lab.allocator.alloc = (bytes: number): number => {
    if (state.on && random.nextBelow(state.oneIn) === 0) {
      state.failed++;
      return 0;
    }
    return alloc(bytes);
  };
  return state;
}

describe('commands whose allocations fail', () => {
  for (const [group, next] of Object.entries(groups)) {
    it(`leave ${group} whole and leak nothing`, { timeout: 60_000 * testScale }, () => {
      const random = seededRandom(`failing ${group}`);
      // A command's first call would allocate its latency histogram, which stays.
      const lab = new Loopback(ARENA_BYTES, (config) => {
        config.latencyTracking = false;
      });
      attachAdmin(lab.core);
      lab.open(0);
      const draw = new Draw(random);
      const source = new CommandSource(random);
      const failures = failingAllocations(lab, random);
      const before = lab.allocator.usedBytes;
      for (let i = 0; i < COMMANDS; i++) {
        failures.oneIn = 1 + random.nextBelow(30);
        // Strings too, so that commands meet the wrong type and values are overwritten.
        let { args } = random.nextBelow(10) === 0 ? source.next() : next(draw);
        // After a long one the client would keep a larger buffer.
        if (args.some((arg) => arg.length > LONGEST_BYTES)) args = ['PING'];
        failures.on = i % 3 > 0;
        // A reply that breaks off is none that could be read.
        lab.feed(0, encodeCommand(args));
        failures.on = false;
        lab.take(0);
        if (i % VERIFY_EVERY === 0) verifyCore(lab.core);
      }
      expect(failures.failed).toBeGreaterThan(COMMANDS / 100);
      verifyCore(lab.core);
      lab.command(0, 'FLUSHALL');
      lab.core.lazyFree.drain(lab.core.heap);
      expect(lab.allocator.usedBytes).toBe(before);
    });
  }
});
