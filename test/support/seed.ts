/**
 * Where the randomised tests begin. Every one of them takes its seed from here and prints it; `TEST_SEED=<integer>` runs a failure again.
 *
 * Without TEST_SEED, each file draws a fresh seed from the time, so that every run by hand and every nightly run tries something new.
 * Under CI the seed is a constant instead: a run there judges a change, and when it fails that must be the change's fault and not the
 * luck of the draw. New failures are found by hand and by night, and come to CI as tests of their own.
 */
import { createRandom } from '../../engines/base/random.ts';
import type { Random } from '../../engines/ports.ts';

/** The seed of all runs under CI. Any number would do. */
const CI_SEED = 20_261_123;
/** Fresh seeds lie below it: short enough to be typed. */
const FRESH_SEEDS = 1_000_000_007;

function chooseSeed(): number {
  const given = process.env['TEST_SEED'];
  if (given === undefined) return process.env['CI'] ? CI_SEED : Date.now() % FRESH_SEEDS;
  const seed = Number(given);
  if (given === '' || !Number.isSafeInteger(seed))
    throw new Error(`Cannot seed tests with TEST_SEED=${given}: give an integer`);
  return seed;
}

/** The seed of this file's tests. Those that need several in a row count on from it: the seed that is printed is always this first one. */
export const testSeed = chooseSeed();

/** Prints what TEST_SEED must be to run the test `name` again. @returns `testSeed` */
export function announceSeed(name: string): number {
  console.log(`${name}: TEST_SEED=${testSeed}`);
  return testSeed;
}

/**
 * @param name of the test; other names give other numbers under the same seed
 * @returns a seeded source of numbers; the seed is printed
 */
export function seededRandom(name: string): Random {
  return createRandom(`${name} ${announceSeed(name)}`);
}

/**
 * How much longer than usual randomised tests go on: 1 in `npm test`, more in `npm run test:nightly`. A test multiplies its number of
 * commands by it, and its timeout.
 */
export const testScale = Number(process.env['CACHELAB_TEST_SCALE'] ?? 1);
