/** Seeds of randomised tests: printed, and settable by TEST_SEED to run a failure again. */
import { createRandom } from '../../engines/base/random.ts';
import type { Random } from '../../engines/ports.ts';

/** @returns a seeded source; the seed is printed under `name` so that a failure can be repeated with TEST_SEED */
export function seededRandom(name: string): Random {
  const seed = process.env['TEST_SEED'] ?? String(Date.now() % 1_000_000_007);
  console.log(`${name}: TEST_SEED=${seed}`);
  return createRandom(seed);
}

/**
 * How much longer than usual randomised tests go on: 1 in `npm test`, more in `npm run test:nightly`. A test multiplies its number of
 * commands by it, and its timeout.
 */
export const testScale = Number(process.env['CACHELAB_TEST_SCALE'] ?? 1);
