/**
 * A seeded bijection of [0, n): it scatters popularity ranks over the key space, so that popular keys are not neighbours
 * (in a hash table, in a log, in the numbering). Without a table: any n up to 2^31 costs the same few nanoseconds.
 *
 * The numbers of k bits (2^k the next power of two at or above n) are mixed by steps that each can be undone: xor with the
 * own upper half, multiplication by an odd number modulo 2^k, addition. A result at or above n is mixed again until it is below
 * ("cycle walking", Black and Rogaway 2002), which keeps it a bijection and takes fewer than two rounds on average.
 */
import { createRandom } from '../../engines/base/random.ts';

export interface Permutation {
  /** @param rank 0 to n - 1 @returns its place, 0 to n - 1 */
  apply(rank: number): number;
}

class MixedPermutation implements Permutation {
  readonly #n: number;
  readonly #mask: number;
  readonly #shift: number;
  readonly #m1: number;
  readonly #m2: number;
  readonly #m3: number;
  readonly #a1: number;
  readonly #a2: number;

  constructor(n: number, seed: string) {
    const random = createRandom(seed);
    const bits = Math.max(1, 32 - Math.clz32(n - 1));
    this.#n = n;
    this.#mask = bits === 32 ? -1 : (1 << bits) - 1;
    this.#shift = Math.max(1, bits >>> 1);
    this.#m1 = random.nextU32() | 1;
    this.#m2 = random.nextU32() | 1;
    this.#m3 = random.nextU32() | 1;
    this.#a1 = random.nextU32() | 0;
    this.#a2 = random.nextU32() | 0;
  }

  apply(rank: number): number {
    const mask = this.#mask;
    const shift = this.#shift;
    let x = rank;
    do {
      x = (Math.imul(x, this.#m1) + this.#a1) & mask;
      x ^= x >>> shift;
      x = (Math.imul(x, this.#m2) + this.#a2) & mask;
      x ^= x >>> shift;
      x = Math.imul(x, this.#m3) & mask;
      x ^= x >>> shift;
    } while (x >= this.#n);
    return x;
  }
}

/** Every rank stays where it is: for orders that mean something themselves (sequential, latest). */
export const identity: Permutation = { apply: (rank) => rank };

/**
 * @param n size of the domain, 1 to 2^31
 * @param seed text from which the bijection follows
 */
export function createPermutation(n: number, seed: string): Permutation {
  if (!(Number.isInteger(n) && n >= 1 && n <= 2 ** 31)) throw new RangeError(`Cannot permute ${n} numbers: 1 to 2^31`);
  return n === 1 ? identity : new MixedPermutation(n, seed);
}
