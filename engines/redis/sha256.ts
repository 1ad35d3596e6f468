/** SHA-256 of short texts: passwords of ACL users are kept and compared as their hashes (FIPS 180-4). */

/** The first 32 bits of the fractional parts of the cube roots of the first 64 primes. */
const ROUND_WORDS = fractions(64, 1 / 3);
/** The same of the square roots of the first 8. */
const FIRST_STATE = fractions(8, 1 / 2);

function fractions(count: number, power: number): Uint32Array {
  const words = new Uint32Array(count);
  let found = 0;
  for (let n = 2; found < count; n++) {
    let prime = true;
    for (let d = 2; d * d <= n; d++) if (n % d === 0) prime = false;
    if (!prime) continue;
    const root = n ** power;
    // 32 bits of the fraction fit a double beside the at most 7 bits of the whole part.
    words[found++] = Math.floor((root - Math.floor(root)) * 2 ** 32);
  }
  return words;
}

const rotate = (value: number, bits: number): number => (value >>> bits) | (value << (32 - bits));

function compress(state: Uint32Array, words: Uint32Array): void {
  for (let i = 16; i < 64; i++) {
    const w15 = words[i - 15]!;
    const w2 = words[i - 2]!;
    const s0 = rotate(w15, 7) ^ rotate(w15, 18) ^ (w15 >>> 3);
    const s1 = rotate(w2, 17) ^ rotate(w2, 19) ^ (w2 >>> 10);
    words[i] = words[i - 16]! + s0 + words[i - 7]! + s1;
  }
  const v = Uint32Array.from(state);
  for (let i = 0; i < 64; i++) {
    const [a, b, c, d, e, f, g, h] = v as unknown as number[];
    const s1 = rotate(e!, 6) ^ rotate(e!, 11) ^ rotate(e!, 25);
    const choice = (e! & f!) ^ (~e! & g!);
    const first = (h! + s1 + choice + ROUND_WORDS[i]! + words[i]!) | 0;
    const s0 = rotate(a!, 2) ^ rotate(a!, 13) ^ rotate(a!, 22);
    const majority = (a! & b!) ^ (a! & c!) ^ (b! & c!);
    v.copyWithin(1, 0, 7);
    v[4] = d! + first;
    v[0] = first + s0 + majority;
  }
  for (let i = 0; i < 8; i++) state[i]! += v[i]!;
}

/** @returns the hash of a text of one byte a char, as 64 lower-case hexadecimal digits */
export function sha256Hex(text: string): string {
  const state = Uint32Array.from(FIRST_STATE);
  const words = new Uint32Array(64);
  const blocks = Math.floor((text.length + 8) / 64) + 1;
  for (let block = 0; block < blocks; block++) {
    for (let i = 0; i < 16; i++) {
      let word = 0;
      for (let k = 0; k < 4; k++) {
        const at = block * 64 + i * 4 + k;
        word = (word << 8) | (at < text.length ? text.charCodeAt(at) : at === text.length ? 0x80 : 0);
      }
      words[i] = word;
    }
    if (block === blocks - 1) {
      words[14] = Math.floor(text.length / 2 ** 29);
      words[15] = text.length << 3;
    }
    compress(state, words);
  }
  let hex = '';
  for (const word of state) hex += word.toString(16).padStart(8, '0');
  return hex;
}
