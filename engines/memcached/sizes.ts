/**
 * The histogram behind `stats sizes`: items by size in steps of 32 bytes, counted only while it is switched on. It lies in the arena, for all
 * threads, under LOCK_SIZES.
 */
import type { Memory } from '../ports.ts';
import { LOCK_SIZES } from './lock-cells.ts';
import type { Locks } from './locks.ts';
import type { Settings } from './settings.ts';
import { CELL_SIZES, F64_STATISTICS, type SharedBlock } from './shared-block.ts';

const STEP_BYTES = 32;
const PAGE_BYTES = 4_096;

export class SizesHistogram {
  readonly #memory: Memory;
  readonly #locks: Locks;
  readonly #buckets: number;
  /** Word that holds the histogram's offset, 0 while it is off. */
  readonly #cell: number;
  /** Items older than the switching on are not in the histogram, and must not be taken out of it: the CAS id of that time. */
  readonly #casMin: number;

  constructor(memory: Memory, block: SharedBlock, locks: Locks, settings: Settings) {
    this.#memory = memory;
    this.#locks = locks;
    this.#buckets = Math.floor(settings.itemSizeMax / STEP_BYTES) + 1;
    this.#cell = block.cell(CELL_SIZES);
    this.#casMin = block.number(F64_STATISTICS);
  }

  /** Hot. */
  get enabled(): boolean {
    return this.#memory.u32[this.#cell] !== 0;
  }

  get #pages(): number {
    return Math.ceil((this.#buckets * 4) / PAGE_BYTES);
  }

  /** @param casId the one given out last. @returns false when memory is short */
  enable(casId: number): boolean {
    const { u8, u32, f64 } = this.#memory;
    this.#locks.take(LOCK_SIZES);
    if (u32[this.#cell] === 0) {
      const offset = this.#memory.takePages(this.#pages);
      if (offset !== 0) u8.fill(0, offset, offset + this.#pages * PAGE_BYTES);
      f64[this.#casMin] = casId;
      u32[this.#cell] = offset;
    }
    const isOn = u32[this.#cell] !== 0;
    this.#locks.give(LOCK_SIZES);
    return isOn;
  }

  disable(): void {
    this.#locks.take(LOCK_SIZES);
    const offset = this.#memory.u32[this.#cell]!;
    this.#memory.u32[this.#cell] = 0;
    this.#locks.give(LOCK_SIZES);
    // Whoever was counting did so under the lock.
    if (offset !== 0) this.#memory.givePages(offset, this.#pages);
  }

  add(bytes: number, cas: number): void {
    this.#change(bytes, cas, 1);
  }

  remove(bytes: number, cas: number): void {
    this.#change(bytes, cas, -1);
  }

  #change(bytes: number, cas: number, by: number): void {
    const bucket = Math.ceil(bytes / STEP_BYTES);
    this.#locks.take(LOCK_SIZES);
    const offset = this.#memory.u32[this.#cell]!;
    if (offset !== 0 && cas >= this.#memory.f64[this.#casMin]! && bucket < this.#buckets) {
      this.#memory.i32[(offset >>> 2) + bucket]! += by;
    }
    this.#locks.give(LOCK_SIZES);
  }

  /** Non-empty buckets as [upper bound in bytes, items]. */
  entries(): [number, number][] {
    const all: [number, number][] = [];
    this.#locks.take(LOCK_SIZES);
    const offset = this.#memory.u32[this.#cell]!;
    for (let bucket = 0; offset !== 0 && bucket < this.#buckets; bucket++) {
      const count = this.#memory.i32[(offset >>> 2) + bucket]!;
      if (count !== 0) all.push([bucket * STEP_BYTES, count]);
    }
    this.#locks.give(LOCK_SIZES);
    return all;
  }
}
