/**
 * HyperLogLogs, as the bytes of a string: about how many different elements have been added, in 16,384 registers of 6 bits. The
 * hash of an element chooses the register; the register keeps the longest run of zero bits (plus one) that the rest of a hash began with.
 *
 * | offset | field |
 * | --- | --- |
 * | 0 | "HYLL" |
 * | 4 | 0: dense, 1: sparse |
 * | 8 | the count when it was last computed, 64 bits; the highest bit tells that it is out of date |
 * | 16 | the registers |
 *
 * Dense: 6 bits a register, the first in the lowest bits of the first byte. Sparse: runs of registers.
 *
 * | first byte | run |
 * | --- | --- |
 * | 00llllll | l + 1 registers of 0 |
 * | 01llllll llllllll | l + 1 registers of 0 |
 * | 1vvvvvll | l + 1 registers of v + 1 |
 *
 * A sparse one becomes dense when it would grow beyond hll-sparse-max-bytes or gets a register above 32. Bytes may be anyone's (SET makes
 * strings too): what is broken is found when it is read.
 */
import type { Heap } from './heap.ts';
import { murmur64, murmurHigh, murmurLow } from './murmur.ts';
import { sdsFree, sdsLen, sdsMakeRoomFor, sdsNewRoom, sdsSetLen } from './sds.ts';

export const HLL_REGISTERS = 16_384;
export const HLL_DENSE = 0;
export const HLL_SPARSE = 1;
const HEADER_BYTES = 16;
const DENSE_BYTES = HEADER_BYTES + (HLL_REGISTERS * 6) / 8;
const INDEX_BITS = 14;
/** Bits of a hash that are left for the run of zeros. */
const RUN_BITS = 50;
const SEED = 0xadc83b19 | 0;

const VALUE_MAX = 32;
const VALUE_RUN_MAX = 4;
const ZERO_RUN_MAX = 64;
/** A change adds so many bytes at most. */
const GROWTH_MAX = 3;
/** After a change so many runs from the one before it on are looked at for joining. */
const JOIN_RUNS = 5;
const ALPHA_INFINITY = 0.5 / Math.LN2;

const ENCODING = 4;
const COUNT = 8;
const COUNT_TOP = 15;
const STALE = 0x80;

/** Where the string lies after a function that may have moved it. */
export let hllString = 0;

/** Whether a string's bytes may be a HyperLogLog's. */
export function hllIsValid(h: Heap, s: number): boolean {
  const length = sdsLen(h, s);
  const u8 = h.u8;
  if (length < HEADER_BYTES || u8[s] !== 72 || u8[s + 1] !== 89 || u8[s + 2] !== 76 || u8[s + 3] !== 76) return false;
  const encoding = u8[s + ENCODING];
  return encoding === HLL_SPARSE || (encoding === HLL_DENSE && length === DENSE_BYTES);
}

export function hllEncoding(h: Heap, s: number): number {
  return h.u8[s + ENCODING];
}

/** An empty one, sparse: one run of zeros. @returns an sds. @throws ARENA_EXHAUSTED */
export function hllNew(h: Heap): number {
  const s = sdsNewRoom(h, HEADER_BYTES + 2);
  h.u8.fill(0, s, s + HEADER_BYTES);
  h.putLatin1('HYLL', s);
  h.u8[s + ENCODING] = HLL_SPARSE;
  putZeros(h.u8, s + HEADER_BYTES, HLL_REGISTERS);
  return s;
}

/** Notes that the count kept in the header is out of date. */
export function hllInvalidateCount(h: Heap, s: number): void {
  h.u8[s + COUNT_TOP] |= STALE;
}

/** @returns the count kept in the header, or null when it is out of date */
export function hllCachedCount(h: Heap, s: number): bigint | null {
  if ((h.u8[s + COUNT_TOP] & STALE) !== 0) return null;
  return h.view.getBigUint64(s + COUNT, true);
}

export function hllSetCachedCount(h: Heap, s: number, count: number): void {
  h.view.setBigUint64(s + COUNT, BigInt(count), true);
}

/** Stores a run of zeros. @returns the offset behind it */
function putZeros(u8: Uint8Array, at: number, run: number): number {
  if (run > ZERO_RUN_MAX) {
    u8[at] = 0x40 | ((run - 1) >> 8);
    u8[at + 1] = run - 1;
    return at + 2;
  }
  u8[at] = run - 1;
  return at + 1;
}

function putValue(u8: Uint8Array, at: number, value: number, run: number): number {
  u8[at] = 0x80 | ((value - 1) << 2) | (run - 1);
  return at + 1;
}

/** Registers of the run at `p`. */
function runLength(u8: Uint8Array, p: number): number {
  const head = u8[p];
  if (head >= 0x80) return (head & 3) + 1;
  return head >= 0x40 ? (((head & 63) << 8) | u8[p + 1]) + 1 : head + 1;
}

/** Value of the registers of the run at `p`. */
function runValue(u8: Uint8Array, p: number): number {
  const head = u8[p];
  return head >= 0x80 ? ((head >> 2) & 31) + 1 : 0;
}

/** Bytes of the run at `p`. */
function runBytes(u8: Uint8Array, p: number): number {
  return (u8[p] & 0xc0) === 0x40 ? 2 : 1;
}

function getDense(u8: Uint8Array, registers: number, index: number): number {
  const bit = index * 6;
  const at = registers + (bit >> 3);
  const shift = bit & 7;
  return ((u8[at] >> shift) | (u8[at + 1] << (8 - shift))) & 63;
}

function putDense(u8: Uint8Array, registers: number, index: number, value: number): void {
  const bit = index * 6;
  const at = registers + (bit >> 3);
  const shift = bit & 7;
  u8[at] = (u8[at] & ~(63 << shift)) | (value << shift);
  if (shift > 2) u8[at + 1] = (u8[at + 1] & ~(63 >> (8 - shift))) | (value >> (8 - shift));
}

/** Raises a register of a dense one. @returns whether it was lower */
function raiseDense(h: Heap, s: number, index: number, value: number): boolean {
  if (getDense(h.u8, s + HEADER_BYTES, index) >= value) return false;
  putDense(h.u8, s + HEADER_BYTES, index, value);
  return true;
}

/**
 * Makes a sparse one dense; a dense one stays as it is.
 * @returns the string's new offset, or 0 when its bytes are broken (it is unchanged then)
 * @throws ARENA_EXHAUSTED
 */
export function hllToDense(h: Heap, s: number): number {
  if (hllEncoding(h, s) === HLL_DENSE) return s;
  const u8 = h.u8;
  const dense = sdsNewRoom(h, DENSE_BYTES);
  u8.fill(0, dense, dense + DENSE_BYTES);
  h.copy(s, dense, HEADER_BYTES);
  u8[dense + ENCODING] = HLL_DENSE;
  const end = s + sdsLen(h, s);
  let index = 0;
  for (let p = s + HEADER_BYTES; p < end && index <= HLL_REGISTERS; p += runBytes(u8, p)) {
    const run = runLength(u8, p);
    const value = runValue(u8, p);
    if (value > 0 && index + run <= HLL_REGISTERS) {
      for (let i = 0; i < run; i++) putDense(u8, dense + HEADER_BYTES, index + i, value);
    }
    index += run;
  }
  if (index !== HLL_REGISTERS) {
    sdsFree(h, dense);
    return 0;
  }
  sdsFree(h, s);
  return dense;
}

const UNCHANGED = 0;
const CHANGED = 1;
const BROKEN = -1;

/** The change goes beyond what a sparse one may be. */
function promote(h: Heap, s: number, index: number, value: number): number {
  const dense = hllToDense(h, s);
  if (dense === 0) return BROKEN;
  hllString = dense;
  raiseDense(h, dense, index, value);
  return CHANGED;
}

/** Raises a register of a sparse one. @returns UNCHANGED, CHANGED or BROKEN; hllString is where the string lies now */
function raiseSparse(h: Heap, old: number, index: number, value: number): number {
  if (value > VALUE_MAX) return promote(h, old, index, value);
  const u8 = h.u8;
  const s = sdsMakeRoomFor(h, old, GROWTH_MAX, true);
  hllString = s;
  const start = s + HEADER_BYTES;
  const end = s + sdsLen(h, s);
  let p = start;
  let before = 0;
  let first = 0;
  let run = 0;
  while (p < end) {
    run = runLength(u8, p);
    if (index < first + run) break;
    before = p;
    p += runBytes(u8, p);
    first += run;
  }
  // A run of two bytes whose second one is cut off is broken too.
  if (run === 0 || p + runBytes(u8, p) > end) return BROKEN;
  const oldValue = runValue(u8, p);
  if (oldValue >= value) return UNCHANGED;
  const oldBytes = runBytes(u8, p);
  if (run === 1 && oldBytes === 1) {
    putValue(u8, p, value, 1);
  } else {
    // One register of a longer run: the run is split into what is before it, itself, and what is behind.
    const last = first + run - 1;
    let room = h.scratch;
    if (index !== first) room = putRun(u8, room, oldValue, index - first);
    room = putValue(u8, room, value, 1);
    if (index !== last) room = putRun(u8, room, oldValue, last - index);
    const bytes = room - h.scratch;
    const growth = bytes - oldBytes;
    if (growth > 0 && end - s + growth > h.limits.hllSparseMaxBytes) return promote(h, s, index, value);
    const next = p + oldBytes;
    if (growth !== 0 && next < end) h.move(next, next + growth, end - next);
    h.copy(h.scratch, p, bytes);
    sdsSetLen(h, s, end - s + growth);
    u8[end + growth] = 0;
  }
  joinRuns(h, s, before === 0 ? start : before);
  hllInvalidateCount(h, s);
  return CHANGED;
}

function putRun(u8: Uint8Array, at: number, value: number, run: number): number {
  return value === 0 ? putZeros(u8, at, run) : putValue(u8, at, value, run);
}

/** Joins neighbouring runs of one value, looking at a few from `from` on. */
function joinRuns(h: Heap, s: number, from: number): void {
  const u8 = h.u8;
  let end = s + sdsLen(h, s);
  let p = from;
  for (let left = JOIN_RUNS; p < end && left > 0; left--) {
    if (u8[p] >= 0x80 && p + 1 < end && u8[p + 1] >= 0x80 && runValue(u8, p) === runValue(u8, p + 1)) {
      const run = runLength(u8, p) + runLength(u8, p + 1);
      if (run <= VALUE_RUN_MAX) {
        putValue(u8, p + 1, runValue(u8, p), run);
        h.move(p + 1, p, end - p);
        end--;
        sdsSetLen(h, s, end - s);
        u8[end] = 0;
        // The joined run may be joined with the next one too.
        continue;
      }
    }
    p += runBytes(u8, p);
  }
}

/** Raises a register to at least `value`. @returns 1: it was lower, 0: it was not, -1: the bytes are broken. See hllString. */
export function hllRaise(h: Heap, s: number, index: number, value: number): number {
  hllString = s;
  if (hllEncoding(h, s) === HLL_DENSE) return raiseDense(h, s, index, value) ? CHANGED : UNCHANGED;
  return raiseSparse(h, s, index, value);
}

function trailingZeros(word: number): number {
  return 31 - Math.clz32(word & -word);
}

/** Adds an element. @returns as hllRaise */
export function hllAdd(h: Heap, s: number, offset: number, length: number): number {
  murmur64(h, offset, length, SEED);
  const index = murmurLow & (HLL_REGISTERS - 1);
  const low = (murmurLow >>> INDEX_BITS) | (murmurHigh << (32 - INDEX_BITS));
  // A bit above the hash ends the run of zeros there at the latest.
  const high = (murmurHigh >>> INDEX_BITS) | (1 << (RUN_BITS - 32));
  const zeros = low !== 0 ? trailingZeros(low) : 32 + trailingZeros(high);
  return hllRaise(h, s, index, zeros + 1);
}

/** Raises each of the registers in `into` (a byte each) to that of `s`. @returns false when the bytes are broken */
export function hllMerge(h: Heap, s: number, into: Uint8Array): boolean {
  const u8 = h.u8;
  if (hllEncoding(h, s) === HLL_DENSE) {
    let at = s + HEADER_BYTES;
    for (let index = 0; index < HLL_REGISTERS; index += 4, at += 3) {
      const bits = u8[at] | (u8[at + 1] << 8) | (u8[at + 2] << 16);
      if (bits === 0) continue;
      for (let i = 0; i < 4; i++) {
        const value = (bits >>> (6 * i)) & 63;
        if (value > into[index + i]) into[index + i] = value;
      }
    }
    return true;
  }
  const end = s + sdsLen(h, s);
  let index = 0;
  for (let p = s + HEADER_BYTES; p < end; p += runBytes(u8, p)) {
    const run = runLength(u8, p);
    const value = runValue(u8, p);
    if (index + run > HLL_REGISTERS) return false;
    if (value > 0) for (let i = index; i < index + run; i++) if (value > into[i]) into[i] = value;
    index += run;
  }
  return index === HLL_REGISTERS;
}

/** How many registers have each value. */
const histogram = new Float64Array(64);

/** @returns the count that the registers stand for, computed anew; -1 when the bytes are broken */
export function hllCount(h: Heap, s: number): number {
  histogram.fill(0);
  const u8 = h.u8;
  if (hllEncoding(h, s) === HLL_DENSE) {
    let at = s + HEADER_BYTES;
    for (let index = 0; index < HLL_REGISTERS; index += 4, at += 3) {
      const bits = u8[at] | (u8[at + 1] << 8) | (u8[at + 2] << 16);
      histogram[bits & 63]++;
      histogram[(bits >>> 6) & 63]++;
      histogram[(bits >>> 12) & 63]++;
      histogram[bits >>> 18]++;
    }
    return estimate();
  }
  const end = s + sdsLen(h, s);
  let index = 0;
  for (let p = s + HEADER_BYTES; p < end; p += runBytes(u8, p)) {
    const run = runLength(u8, p);
    histogram[runValue(u8, p)] += run;
    index += run;
  }
  return index === HLL_REGISTERS ? estimate() : -1;
}

/** The count that registers of a byte each stand for. */
export function hllCountRaw(registers: Uint8Array): number {
  histogram.fill(0);
  for (let i = 0; i < HLL_REGISTERS; i++) histogram[registers[i]]++;
  return estimate();
}

/** The estimate of Otmar Ertl, "New cardinality estimation algorithms for HyperLogLog sketches" (2017), from the histogram. */
function estimate(): number {
  const m = HLL_REGISTERS;
  let z = m * tau((m - histogram[RUN_BITS + 1]) / m);
  for (let i = RUN_BITS; i >= 1; i--) {
    z += histogram[i];
    z *= 0.5;
  }
  z += m * sigma(histogram[0] / m);
  return Math.round((ALPHA_INFINITY * m * m) / z);
}

function sigma(share: number): number {
  if (share === 1) return Number.POSITIVE_INFINITY;
  let x = share;
  let y = 1;
  let z = x;
  let previous: number;
  do {
    x *= x;
    previous = z;
    z += x * y;
    y += y;
  } while (previous !== z);
  return z;
}

function tau(share: number): number {
  if (share === 0 || share === 1) return 0;
  let x = share;
  let y = 1;
  let z = 1 - x;
  let previous: number;
  do {
    x = Math.sqrt(x);
    previous = z;
    y *= 0.5;
    z -= (1 - x) * (1 - x) * y;
  } while (previous !== z);
  return z / 3;
}

/** Value of a register of a dense one. */
export function hllRegister(h: Heap, s: number, index: number): number {
  return getDense(h.u8, s + HEADER_BYTES, index);
}

/** The runs of a sparse one as text: "z:" and "Z:" for zeros, "v:value,registers". */
export function hllRunsText(h: Heap, s: number): string {
  const u8 = h.u8;
  const end = s + sdsLen(h, s);
  const runs: string[] = [];
  for (let p = s + HEADER_BYTES; p < end; p += runBytes(u8, p)) {
    const run = runLength(u8, p);
    if (u8[p] >= 0x80) runs.push(`v:${runValue(u8, p)},${run}`);
    else runs.push(`${u8[p] >= 0x40 ? 'Z' : 'z'}:${run}`);
  }
  return runs.join(' ');
}
