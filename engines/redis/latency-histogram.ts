/**
 * A high dynamic range histogram of command durations with two significant digits, from 1 ns to 1 s, as the original keeps one
 * per command. Its struct and its counts lie in the arena because they count as used memory there: 112 + 24,576 bytes.
 */
import type { Heap } from './structures/heap.ts';

/** sizeof(struct hdr_histogram) as the original allocates it; only the size matters here. */
const STRUCT_BYTES = 104;
/** Counts of a histogram from 1 to 10^9 with 2 significant digits: 24 buckets of 128 after the first of 256. */
const COUNTS = 3_072;
const COUNT_BYTES = 8;
const SUB_BUCKET_HALF = 128;
const SUB_BUCKET_BITS = 8;
const MAX_NS = 1_000_000_000;

export class LatencyHistogram {
  private readonly heap: Heap;
  private readonly struct: number;
  private readonly counts: number;
  /** Number of recorded values. */
  total = 0;

  constructor(heap: Heap) {
    this.heap = heap;
    this.counts = heap.calloc(COUNTS * COUNT_BYTES);
    this.struct = heap.alloc(STRUCT_BYTES);
  }

  /** @param ns duration in nanoseconds; clamped to 1 ns .. 1 s */
  record(ns: number): void {
    const value = ns < 1 ? 1 : ns > MAX_NS ? MAX_NS : ns | 0;
    let bucket = 32 - Math.clz32(value | (2 * SUB_BUCKET_HALF - 1)) - SUB_BUCKET_BITS;
    if (bucket < 0) bucket = 0;
    const index = (bucket + 1) * SUB_BUCKET_HALF + ((value >>> bucket) - SUB_BUCKET_HALF);
    const at = (this.counts + index * COUNT_BYTES) >>> 2;
    const u32 = this.heap.u32;
    const low = (u32[at] + 1) >>> 0;
    u32[at] = low;
    if (low === 0) u32[at + 1]++;
    this.total++;
  }

  /** @returns the highest value in ns that counts as equal to the one at this percentile (0 to 100) */
  percentileNs(percentile: number): number {
    const wanted = Math.max(1, Math.floor((Math.min(percentile, 100) / 100) * this.total + 0.5));
    let seen = 0;
    for (let index = 0; index < COUNTS; index++) {
      seen += this.count(index);
      if (seen >= wanted) return this.highestEquivalent(index);
    }
    return 0;
  }

  /** Number of values recorded in cell `index`. */
  count(index: number): number {
    const at = (this.counts + index * COUNT_BYTES) >>> 2;
    return this.heap.u32[at] + this.heap.u32[at + 1] * 4294967296;
  }

  /** Number of cells. */
  get cells(): number {
    return COUNTS;
  }

  /** The highest value in ns that falls into cell `index`. */
  highestEquivalent(index: number): number {
    let bucket = (index >> 7) - 1;
    let sub = (index & (SUB_BUCKET_HALF - 1)) + SUB_BUCKET_HALF;
    if (bucket < 0) {
      sub -= SUB_BUCKET_HALF;
      bucket = 0;
    }
    return sub * 2 ** bucket + 2 ** bucket - 1;
  }

  /** Gives the memory back; the histogram must not be used afterwards. */
  free(): void {
    this.heap.free(this.counts);
    this.heap.free(this.struct);
  }
}
