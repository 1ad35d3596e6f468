/**
 * Seeded random numbers: xoshiro128** 1.1 (Blackman and Vigna, "Scrambled linear pseudorandom number generators", 2018), its
 * state filled by SplitMix64. Everything random in the project comes from here, so a seed names a run exactly.
 */

const MASK_64 = (1n << 64n) - 1n;

/** FNV-1a, 64 bits, over the UTF-16 code units of a text: only to turn a seed text into a number. */
function seedOfText(text: string): bigint {
  let hash = 0xcbf29ce484222325n;
  for (let i = 0; i < text.length; i++) {
    hash = ((hash ^ BigInt(text.charCodeAt(i))) * 0x100000001b3n) & MASK_64;
  }
  return hash;
}

/** The 64-bit seed of what a user gave: an integer as it stands (modulo 2^64), a text of digits as that integer, other text hashed. */
function seedBits(seed: number | bigint | string): bigint {
  if (typeof seed === 'bigint') return seed & MASK_64;
  if (typeof seed === 'number') {
    if (!Number.isInteger(seed)) throw new RangeError(`Cannot seed with ${seed}: give an integer`);
    return BigInt(seed) & MASK_64;
  }
  return /^-?\d+$/.test(seed) ? BigInt(seed) & MASK_64 : seedOfText(seed);
}

/** SplitMix64 (Steele, Lea and Flood 2014): one step. @returns [next state, output] */
function splitMix64(state: bigint): [bigint, bigint] {
  state = (state + 0x9e3779b97f4a7c15n) & MASK_64;
  let z = state;
  z = ((z ^ (z >> 30n)) * 0xbf58476d1ce4e5b9n) & MASK_64;
  z = ((z ^ (z >> 27n)) * 0x94d049bb133111ebn) & MASK_64;
  return [state, z ^ (z >> 31n)];
}

/** xoshiro128** on four 32-bit words of a typed array: no allocation per number. It has the shape of the port `Random`. */
export class Xoshiro128 {
  readonly #s: Int32Array;

  /** @param state four words, not all zero */
  constructor(state: ArrayLike<number>) {
    const s = Int32Array.of(state[0], state[1], state[2], state[3]);
    if ((s[0] | s[1] | s[2] | s[3]) === 0)
      throw new RangeError('Cannot seed xoshiro128**: its state must not be all zero');
    this.#s = s;
  }

  nextU32(): number {
    const s = this.#s;
    const s1 = s[1];
    const m = Math.imul(s1, 5);
    const result = Math.imul((m << 7) | (m >>> 25), 9);
    const s2 = s[2] ^ s[0];
    const s3 = s[3] ^ s1;
    s[1] = s1 ^ s2;
    s[0] ^= s3;
    s[2] = s2 ^ (s1 << 9);
    s[3] = (s3 << 11) | (s3 >>> 21);
    return result >>> 0;
  }

  nextFloat(): number {
    const high = this.nextU32() >>> 5;
    const low = this.nextU32() >>> 6;
    return (high * 67_108_864 + low) / 9_007_199_254_740_992;
  }

  nextBelow(bound: number): number {
    if (!(bound >= 1 && bound <= 4_294_967_296))
      throw new RangeError(`Cannot draw below ${bound}: give 1 to 4294967296`);
    // Numbers from the last, incomplete multiple of the bound are drawn again, so that no value is favoured.
    const limit = 4_294_967_296 - (4_294_967_296 % bound);
    let value = this.nextU32();
    while (value >= limit) value = this.nextU32();
    return value % bound;
  }
}

/**
 * @param seed an integer, or a text (a text of digits counts as that integer)
 * @throws RangeError for a number that is not an integer
 */
export function createRandom(seed: number | bigint | string): Xoshiro128 {
  const [middle, a] = splitMix64(seedBits(seed));
  const [, b] = splitMix64(middle);
  const words = [a & 0xffffffffn, a >> 32n, b & 0xffffffffn, b >> 32n].map(Number);
  // Two zero outputs in a row cannot come from SplitMix64 (its output is a bijection of the state), so this is never all zero.
  return new Xoshiro128(words.map((word) => word | 0));
}
