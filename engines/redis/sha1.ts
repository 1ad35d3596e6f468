/** SHA-1 over short byte arrays, for DEBUG DIGEST (the original's data set digest is made of it). Not for secrets. */

const rotate = (value: number, bits: number): number => (value << bits) | (value >>> (32 - bits));

function compress(state: Int32Array, words: Int32Array): void {
  for (let i = 16; i < 80; i++) words[i] = rotate(words[i - 3]! ^ words[i - 8]! ^ words[i - 14]! ^ words[i - 16]!, 1);
  let [a, b, c, d, e] = state as unknown as [number, number, number, number, number];
  for (let i = 0; i < 80; i++) {
    let f: number;
    let k: number;
    if (i < 20) [f, k] = [(b & c) | (~b & d), 0x5a827999];
    else if (i < 40) [f, k] = [b ^ c ^ d, 0x6ed9eba1];
    else if (i < 60) [f, k] = [(b & c) | (b & d) | (c & d), 0x8f1bbcdc];
    else [f, k] = [b ^ c ^ d, 0xca62c1d6];
    const next = (rotate(a, 5) + f + e + k + words[i]!) | 0;
    e = d;
    d = c;
    c = rotate(b, 30);
    b = a;
    a = next;
  }
  state[0]! += a;
  state[1]! += b;
  state[2]! += c;
  state[3]! += d;
  state[4]! += e;
}

/** @returns the 20 bytes of the SHA-1 of bytes [offset, offset + length) */
export function sha1(bytes: Uint8Array, offset: number, length: number): Uint8Array {
  const state = Int32Array.of(0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0);
  const words = new Int32Array(80);
  const blocks = Math.floor((length + 8) / 64) + 1;
  for (let block = 0; block < blocks; block++) {
    for (let i = 0; i < 16; i++) {
      let word = 0;
      for (let k = 0; k < 4; k++) {
        const at = block * 64 + i * 4 + k;
        word = (word << 8) | (at < length ? bytes[offset + at]! : at === length ? 0x80 : 0);
      }
      words[i] = word;
    }
    if (block === blocks - 1) {
      words[14] = Math.floor(length / 0x2000_0000);
      words[15] = length << 3;
    }
    compress(state, words);
  }
  const digest = new Uint8Array(20);
  for (let i = 0; i < 20; i++) digest[i] = state[i >> 2]! >>> (24 - (i & 3) * 8);
  return digest;
}
