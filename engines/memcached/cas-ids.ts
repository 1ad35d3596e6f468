/**
 * CAS ids: 64-bit numbers, one up with each stored item, alike for all threads. Three words: the low half is counted by an atomic addition; of the high
 * half there are two copies, one for low halves below 2^31 and one for those above. Each copy is renewed while the other one is in use, a
 * quarter of the way (2^30 ids) before it is needed, so a thread that has its low half and not yet the high one is never
 * overtaken by a carry.
 */
import type { SharedBlock } from './shared-block.ts';

const LOW = 0;
const HIGH_EVEN = 1;
const HIGH_ODD = 2;
const QUARTER = 0x4000_0000;
const HALF = 0x8000_0000;
const THREE_QUARTERS = 0xc000_0000;
const WHOLE = 4_294_967_296;

export class CasIds {
  readonly #u32: Uint32Array;
  /** Word where the three begin. */
  readonly #at: number;
  readonly #isShared: boolean;

  constructor(block: SharedBlock, isShared: boolean) {
    this.#u32 = block.memory.u32;
    this.#at = block.casIds;
    this.#isShared = isShared;
  }

  /** Counts one id. @returns its low half; the high half is `high(low)` */
  nextLow(): number {
    let low: number;
    if (this.#isShared) low = (Atomics.add(this.#u32, this.#at + LOW, 1) + 1) >>> 0;
    else low = ++this.#u32[this.#at + LOW] >>> 0;
    if ((low & (QUARTER - 1)) === 0) this.#carry(low);
    return low;
  }

  /** High half of an id that was counted just now. */
  high(low: number): number {
    return this.#u32[this.#at + (low < HALF ? HIGH_EVEN : HIGH_ODD)];
  }

  #carry(low: number): void {
    const u32 = this.#u32;
    if (low === QUARTER) Atomics.store(u32, this.#at + HIGH_ODD, u32[this.#at + HIGH_EVEN]!);
    else if (low === THREE_QUARTERS) Atomics.store(u32, this.#at + HIGH_EVEN, u32[this.#at + HIGH_ODD]! + 1);
  }

  /** A new id as a number; ids given out here stay below 2^53. */
  next(): number {
    const low = this.nextLow();
    return this.high(low) * WHOLE + low;
  }

  /** The id given out last. */
  get last(): number {
    const low = Atomics.load(this.#u32, this.#at + LOW);
    return this.high(low) * WHOLE + low;
  }

  /** Only while no other thread is there. */
  set last(id: number) {
    const low = id % WHOLE;
    const high = Math.floor(id / WHOLE);
    this.#u32[this.#at + LOW] = low;
    this.#u32[this.#at + HIGH_EVEN] = low < THREE_QUARTERS ? high : high + 1;
    this.#u32[this.#at + HIGH_ODD] = high;
  }
}
