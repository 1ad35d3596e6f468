/** MurmurHash64A (Austin Appleby), whose bits HyperLogLogs are made of: 64-bit arithmetic in 32-bit words. */
import type { Heap } from './heap.ts';

/** The hash that murmur64 computed last. */
export let murmurLow = 0;
export let murmurHigh = 0;

const M_LOW = 0x5bd1e995;
const M_HIGH = 0xc6a4a793 | 0;
const M_LOW_0 = M_LOW & 0xffff;
const M_LOW_1 = M_LOW >>> 16;

let low = 0;
let high = 0;

/** Multiplies low and high by the hash's constant, modulo 2^64. */
function multiply(): void {
  const a0 = low & 0xffff;
  const a1 = low >>> 16;
  const p00 = a0 * M_LOW_0;
  const middle = a1 * M_LOW_0 + Math.floor(p00 / 65_536);
  const middle2 = a0 * M_LOW_1 + (middle & 0xffff);
  const top = a1 * M_LOW_1 + Math.floor(middle / 65_536) + Math.floor(middle2 / 65_536);
  high = (top + Math.imul(low, M_HIGH) + Math.imul(high, M_LOW)) | 0;
  low = ((middle2 & 0xffff) << 16) | (p00 & 0xffff);
}

/** Hashes `length` bytes into murmurLow and murmurHigh (signed words). */
export function murmur64(h: Heap, offset: number, length: number, seed: number): void {
  const { u8, view } = h;
  low = length;
  high = 0;
  multiply();
  let hashLow = seed ^ low;
  let hashHigh = high;
  const blocksEnd = offset + (length & ~7);
  let at = offset;
  for (; at < blocksEnd; at += 8) {
    low = view.getInt32(at, true);
    high = view.getInt32(at + 4, true);
    multiply();
    low ^= high >>> 15;
    multiply();
    low ^= hashLow;
    high ^= hashHigh;
    multiply();
    hashLow = low;
    hashHigh = high;
  }
  low = hashLow;
  high = hashHigh;
  const left = length & 7;
  if (left > 0) {
    for (let i = 0; i < left; i++) {
      if (i < 4) low ^= u8[at + i] << (8 * i);
      else high ^= u8[at + i] << (8 * (i - 4));
    }
    multiply();
  }
  low ^= high >>> 15;
  multiply();
  murmurLow = low ^ (high >>> 15);
  murmurHigh = high;
}
