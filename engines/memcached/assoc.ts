/**
 * The hash table over items: an array of buckets (8 bytes each, as the original's pointers), chained through the items'
 * h_next. It starts with 2^16 buckets and doubles when there are more than 1.5 items a bucket. While it grows, buckets
 * below `#expandBucket` have moved to the new table and the others are still looked up in the old one; `expandSome`
 * moves a few at a time, from a timer, so that no command waits for a whole table.
 */
import type { Memory } from '../ports.ts';
import { FLAG_CAS, ITEM_FLAGS, ITEM_H_NEXT, ITEM_HEADER_BYTES, ITEM_NKEY } from './layout.ts';

const HASH_POWER_DEFAULT = 16;
/** The original's bounds of -o hashpower. */
export const HASH_POWER_MIN = 12;
export const HASH_POWER_MAX = 32;
/** What fits into the arena beside anything else: 2^28 buckets of 8 bytes. */
const HASH_POWER_ARENA_MAX = 28;
const BUCKET_BYTES = 8;
const PAGE_BYTES = 4_096;

export type HashFunction = (u8: Uint8Array, at: number, length: number) => number;

export class HashTable {
  readonly #memory: Memory;
  readonly #u8: Uint8Array;
  readonly #u16: Uint16Array;
  readonly #u32: Uint32Array;
  /** Power of two of the (new) table's bucket count. */
  power: number;
  #table: number;
  #oldTable = 0;
  #mask: number;
  #oldMask = 0;
  #expandBucket = 0;
  /** True while buckets are moving. */
  expanding = false;
  count = 0;
  /** Items beyond which it should grow. */
  #growAt: number;
  readonly #mayGrow: boolean;
  readonly #hash: HashFunction;

  constructor(memory: Memory, powerInit: number, mayGrow: boolean, hash: HashFunction) {
    this.#memory = memory;
    this.#u8 = memory.u8;
    this.#u16 = memory.u16;
    this.#u32 = memory.u32;
    this.#hash = hash;
    this.#mayGrow = mayGrow;
    this.power = powerInit === 0 ? HASH_POWER_DEFAULT : powerInit;
    this.#table = this.#take(this.power);
    if (this.#table === 0)
      throw new Error(`Cannot make a hash table of 2^${this.power} buckets: the arena is too small`);
    this.#mask = 2 ** this.power - 1;
    this.#growAt = 2 ** this.power * 1.5;
  }

  #take(power: number): number {
    const pages = Math.ceil((2 ** power * BUCKET_BYTES) / PAGE_BYTES);
    const table = this.#memory.takePages(pages);
    // Pages that were used before are not zero; asking the system for fresh ones leaves those of an idle table untouched.
    if (table !== 0 && !this.#memory.purge(table, pages)) this.#u8.fill(0, table, table + pages * PAGE_BYTES);
    return table;
  }

  /** Bytes of the bucket arrays (`hash_bytes`). */
  get bytes(): number {
    return (this.#mask + 1 + (this.expanding ? this.#oldMask + 1 : 0)) * BUCKET_BYTES;
  }

  /** u32 index of the bucket's cell. */
  #cell(hash: number): number {
    if (this.expanding) {
      const old = (hash & this.#oldMask) >>> 0;
      if (old >= this.#expandBucket) return (this.#oldTable + old * BUCKET_BYTES) >>> 2;
    }
    return (this.#table + ((hash & this.#mask) >>> 0) * BUCKET_BYTES) >>> 2;
  }

  /** @returns the item with the key of `length` bytes at `at`, or 0 */
  find(hash: number, at: number, length: number): number {
    const u8 = this.#u8;
    const u32 = this.#u32;
    for (let item = u32[this.#cell(hash)]; item !== 0; item = u32[(item + ITEM_H_NEXT) >>> 2]) {
      if (u8[item + ITEM_NKEY] !== length) continue;
      const key = item + ITEM_HEADER_BYTES + ((this.#u16[(item + ITEM_FLAGS) >>> 1] & FLAG_CAS) !== 0 ? 8 : 0);
      let i = 0;
      while (i < length && u8[key + i] === u8[at + i]) i++;
      if (i === length) return item;
    }
    return 0;
  }

  /** Puts an item that is not in the table in front of its bucket. */
  insert(hash: number, item: number): void {
    const u32 = this.#u32;
    const cell = this.#cell(hash);
    u32[(item + ITEM_H_NEXT) >>> 2] = u32[cell];
    u32[cell] = item;
    this.count++;
  }

  /** Takes an item out of its bucket. @throws Error when it is not there */
  remove(hash: number, item: number): void {
    const u32 = this.#u32;
    let cell = this.#cell(hash);
    while (u32[cell] !== item) {
      if (u32[cell] === 0) throw new Error(`hash table: item ${item} is not in its bucket`);
      cell = (u32[cell] + ITEM_H_NEXT) >>> 2;
    }
    u32[cell] = u32[(item + ITEM_H_NEXT) >>> 2];
    u32[(item + ITEM_H_NEXT) >>> 2] = 0;
    this.count--;
  }

  /** Puts an item in the place of another with the same key. @throws Error when the other is not there */
  replace(hash: number, old: number, item: number): void {
    const u32 = this.#u32;
    let cell = this.#cell(hash);
    while (u32[cell] !== old) {
      if (u32[cell] === 0) throw new Error(`hash table: item ${old} is not in its bucket`);
      cell = (u32[cell] + ITEM_H_NEXT) >>> 2;
    }
    u32[cell] = item;
    u32[(item + ITEM_H_NEXT) >>> 2] = u32[(old + ITEM_H_NEXT) >>> 2];
    u32[(old + ITEM_H_NEXT) >>> 2] = 0;
  }

  /** Begins to grow when it is time. Called by the maintenance timer, not by commands. */
  growIfNeeded(): void {
    if (this.expanding || !this.#mayGrow || this.count <= this.#growAt || this.power >= HASH_POWER_ARENA_MAX) return;
    const table = this.#take(this.power + 1);
    // No room: the table stays as it is, which costs time but loses nothing (as in the original).
    if (table === 0) return;
    this.#oldTable = this.#table;
    this.#oldMask = this.#mask;
    this.#table = table;
    this.power++;
    this.#mask = 2 ** this.power - 1;
    this.#growAt = 2 ** this.power * 1.5;
    this.#expandBucket = 0;
    this.expanding = true;
  }

  /** Moves at most `buckets` buckets. @returns whether there are more to move */
  expandSome(buckets: number): boolean {
    if (!this.expanding) return false;
    const u32 = this.#u32;
    for (let i = 0; i < buckets; i++) {
      const from = (this.#oldTable + this.#expandBucket * BUCKET_BYTES) >>> 2;
      let item = u32[from];
      while (item !== 0) {
        const next = u32[(item + ITEM_H_NEXT) >>> 2];
        const hash = this.#hashOf(item);
        const to = (this.#table + ((hash & this.#mask) >>> 0) * BUCKET_BYTES) >>> 2;
        u32[(item + ITEM_H_NEXT) >>> 2] = u32[to];
        u32[to] = item;
        item = next;
      }
      u32[from] = 0;
      if (++this.#expandBucket > this.#oldMask) {
        this.expanding = false;
        this.#memory.givePages(this.#oldTable, Math.ceil(((this.#oldMask + 1) * BUCKET_BYTES) / PAGE_BYTES));
        this.#oldTable = 0;
        return false;
      }
    }
    return true;
  }

  #hashOf(item: number): number {
    const hasCas = (this.#u16[(item + ITEM_FLAGS) >>> 1] & FLAG_CAS) !== 0;
    return this.#hash(this.#u8, item + ITEM_HEADER_BYTES + (hasCas ? 8 : 0), this.#u8[item + ITEM_NKEY]);
  }

  /** Walks every bucket. @throws Error naming the first item in a wrong bucket or a wrong count */
  verify(): void {
    let seen = 0;
    const walk = (table: number, mask: number, from: number): void => {
      for (let bucket = from; bucket <= mask; bucket++) {
        let item = this.#u32[(table + bucket * BUCKET_BYTES) >>> 2];
        for (; item !== 0; item = this.#u32[(item + ITEM_H_NEXT) >>> 2]) {
          if ((this.#hashOf(item) & mask) >>> 0 !== bucket)
            throw new Error(`hash table: item ${item} is in bucket ${bucket}`);
          if (++seen > this.count) throw new Error(`hash table: more items linked than the ${this.count} counted`);
        }
      }
    };
    walk(this.#table, this.#mask, 0);
    if (this.expanding) walk(this.#oldTable, this.#oldMask, this.#expandBucket);
    if (seen !== this.count) throw new Error(`hash table: ${seen} items linked, ${this.count} counted`);
  }
}
