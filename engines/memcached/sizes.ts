/** The histogram behind `stats sizes`: items by size in steps of 32 bytes, counted only while it is switched on. */
import type { Settings } from './settings.ts';

const STEP_BYTES = 32;

export class SizesHistogram {
  readonly #buckets: number;
  #counts: Int32Array | null = null;
  /** Items older than the switching on are not in the histogram, and must not be taken out of it. */
  #casMin = 0;
  enabled = false;

  constructor(settings: Settings) {
    this.#buckets = Math.floor(settings.itemSizeMax / STEP_BYTES) + 1;
  }

  enable(casId: number): void {
    if (this.enabled) return;
    this.#counts = new Int32Array(this.#buckets);
    this.#casMin = casId;
    this.enabled = true;
  }

  disable(): void {
    this.#counts = null;
    this.enabled = false;
  }

  add(bytes: number, cas: number): void {
    this.#change(bytes, cas, 1);
  }

  remove(bytes: number, cas: number): void {
    this.#change(bytes, cas, -1);
  }

  #change(bytes: number, cas: number, by: number): void {
    if (this.#counts === null || this.#casMin > cas) return;
    const bucket = Math.ceil(bytes / STEP_BYTES);
    if (bucket < this.#buckets) this.#counts[bucket]! += by;
  }

  /** Non-empty buckets as [upper bound in bytes, items]. */
  entries(): [number, number][] {
    const all: [number, number][] = [];
    this.#counts?.forEach((count, bucket) => {
      if (count !== 0) all.push([bucket * STEP_BYTES, count]);
    });
    return all;
  }
}
