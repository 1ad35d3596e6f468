/**
 * The hash table over items: an array of buckets (8 bytes each, as the original's pointers), chained through the items'
 * h_next. It starts with 2^16 buckets and doubles when there are more than 1.5 items a bucket. While it grows, buckets
 * below the expand bucket have moved to the new table and the others are still looked up in the old one; `expandSome`
 * moves a few at a time, from a timer, so that no command waits for a whole table.
 *
 * Threads: a bucket is read and changed under the item lock of its hashes. There are never more item locks than buckets, so one lock covers
 * whole buckets, in the old table as in the new. The expand bucket passes a bucket under that bucket's lock: whoever holds the lock sees on
 * which side his bucket is, whatever the others do. Tables are exchanged under all item locks.
 */
import { equalShort } from '../base/short-bytes.ts';
import type { Memory } from '../ports.ts';
import { FLAG_CAS, ITEM_FLAGS, ITEM_H_NEXT, ITEM_HEADER_BYTES, ITEM_NKEY } from './layout.ts';
import type { Locks } from './locks.ts';
import {
  CELL_EXPAND_BUCKET,
  CELL_EXPANDING,
  CELL_OLD_TABLE,
  CELL_OLD_TABLE_MASK,
  CELL_TABLE,
  CELL_TABLE_MASK,
  CELL_TABLE_POWER,
  CELL_TABLE_WALKED,
  type SharedBlock,
} from './shared-block.ts';

const HASH_POWER_DEFAULT = 16;
/** The original's bounds of -o hashpower. */
export const HASH_POWER_MIN = 12;
export const HASH_POWER_MAX = 32;
/** What fits into the arena beside anything else: 2^28 buckets of 8 bytes. */
export const HASH_POWER_ARENA_MAX = 28;
/** Items a bucket beyond which the table grows. */
const GROW_LOAD = 1.5;
const BUCKET_BYTES = 8;
const PAGE_BYTES = 4_096;

export type HashFunction = (view: DataView, at: number, length: number) => number;

export class HashTable {
  readonly #memory: Memory;
  readonly #u8: Uint8Array;
  readonly #view: DataView;
  readonly #u16: Uint16Array;
  readonly #u32: Uint32Array;
  readonly #locks: Locks;
  /** Word of cell 0 of the shared block, where the table's own cells lie. */
  readonly #cells: number;
  readonly #mayGrow: boolean;
  readonly #hash: HashFunction;

  /** @param powerInit power of two of the buckets at the start, 0 for the default; -1: the table is there already, another thread made it */
  constructor(
    memory: Memory,
    block: SharedBlock,
    locks: Locks,
    powerInit: number,
    mayGrow: boolean,
    hash: HashFunction,
  ) {
    this.#memory = memory;
    this.#u8 = memory.u8;
    this.#view = memory.view;
    this.#u16 = memory.u16;
    this.#u32 = memory.u32;
    this.#locks = locks;
    this.#cells = block.cells;
    this.#hash = hash;
    this.#mayGrow = mayGrow;
    if (powerInit < 0) return;
    const power = powerInit === 0 ? HASH_POWER_DEFAULT : powerInit;
    const table = this.#take(power);
    if (table === 0) throw new Error(`Cannot make a hash table of 2^${power} buckets: the arena is too small`);
    this.#u32[this.#cells + CELL_TABLE] = table;
    this.#u32[this.#cells + CELL_TABLE_MASK] = 2 ** power - 1;
    this.#u32[this.#cells + CELL_TABLE_POWER] = power;
  }

  /** Power of two of the (new) table's bucket count. */
  get power(): number {
    return this.#u32[this.#cells + CELL_TABLE_POWER];
  }

  /** True while buckets are moving. */
  get expanding(): boolean {
    return this.#u32[this.#cells + CELL_EXPANDING] !== 0;
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
    const mask = this.#u32[this.#cells + CELL_TABLE_MASK];
    const oldMask = this.#u32[this.#cells + CELL_OLD_TABLE_MASK];
    return (mask + 1 + (this.expanding ? oldMask + 1 : 0)) * BUCKET_BYTES;
  }

  /** u32 index of the bucket's cell. */
  #cell(hash: number): number {
    const u32 = this.#u32;
    const cells = this.#cells;
    if (u32[cells + CELL_EXPANDING] !== 0) {
      const old = (hash & u32[cells + CELL_OLD_TABLE_MASK]) >>> 0;
      if (old >= u32[cells + CELL_EXPAND_BUCKET]) return (u32[cells + CELL_OLD_TABLE] + old * BUCKET_BYTES) >>> 2;
    }
    return (u32[cells + CELL_TABLE] + ((hash & u32[cells + CELL_TABLE_MASK]) >>> 0) * BUCKET_BYTES) >>> 2;
  }

  /** @returns the item with the key of `length` bytes at `at`, or 0 */
  find(hash: number, at: number, length: number): number {
    const u8 = this.#u8;
    const u32 = this.#u32;
    for (let item = u32[this.#cell(hash)]; item !== 0; item = u32[(item + ITEM_H_NEXT) >>> 2]) {
      if (u8[item + ITEM_NKEY] !== length) continue;
      const key = item + ITEM_HEADER_BYTES + ((this.#u16[(item + ITEM_FLAGS) >>> 1] & FLAG_CAS) !== 0 ? 8 : 0);
      if (equalShort(this.#view, key, at, length)) return item;
    }
    return 0;
  }

  /** Puts an item that is not in the table in front of its bucket. */
  insert(hash: number, item: number): void {
    const u32 = this.#u32;
    const cell = this.#cell(hash);
    u32[(item + ITEM_H_NEXT) >>> 2] = u32[cell];
    u32[cell] = item;
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

  /** Number of buckets while it is not growing. */
  get buckets(): number {
    return this.#u32[this.#cells + CELL_TABLE_MASK] + 1;
  }

  /** First item of a bucket while the table is not growing, 0 for none. */
  firstOf(bucket: number): number {
    return this.#u32[(this.#u32[this.#cells + CELL_TABLE] + bucket * BUCKET_BYTES) >>> 2];
  }

  /**
   * Begins to grow when it is time. Called by a background job, not by commands.
   * @param items linked now
   * @returns whether it has begun
   */
  growIfNeeded(items: number): boolean {
    const power = this.power;
    if (this.#u32[this.#cells + CELL_TABLE_WALKED] !== 0) return false;
    if (this.expanding || !this.#mayGrow || items <= 2 ** power * GROW_LOAD || power >= HASH_POWER_ARENA_MAX)
      return false;
    const table = this.#take(power + 1);
    // No room: the table stays as it is, which costs time but loses nothing (as in the original).
    if (table === 0) return false;
    const u32 = this.#u32;
    const cells = this.#cells;
    this.#locks.allItems();
    u32[cells + CELL_OLD_TABLE] = u32[cells + CELL_TABLE];
    u32[cells + CELL_OLD_TABLE_MASK] = u32[cells + CELL_TABLE_MASK];
    u32[cells + CELL_TABLE] = table;
    u32[cells + CELL_TABLE_POWER] = power + 1;
    u32[cells + CELL_TABLE_MASK] = 2 ** (power + 1) - 1;
    u32[cells + CELL_EXPAND_BUCKET] = 0;
    u32[cells + CELL_EXPANDING] = 1;
    this.#locks.unlockAllItems();
    return true;
  }

  /** Moves at most `buckets` buckets. @returns whether there are more to move */
  expandSome(buckets: number): boolean {
    if (!this.expanding) return false;
    const u32 = this.#u32;
    const cells = this.#cells;
    const oldMask = u32[cells + CELL_OLD_TABLE_MASK];
    const oldTable = u32[cells + CELL_OLD_TABLE];
    for (let i = 0; i < buckets; i++) {
      const bucket = u32[cells + CELL_EXPAND_BUCKET];
      // The bucket's number is the low bits of its items' hashes, and so names their lock.
      this.#locks.item(bucket);
      this.#moveBucket((oldTable + bucket * BUCKET_BYTES) >>> 2);
      u32[cells + CELL_EXPAND_BUCKET] = bucket + 1;
      this.#locks.unlockItem(bucket);
      if (bucket < oldMask) continue;
      this.#locks.allItems();
      u32[cells + CELL_EXPANDING] = 0;
      u32[cells + CELL_OLD_TABLE] = 0;
      this.#locks.unlockAllItems();
      this.#memory.givePages(oldTable, Math.ceil(((oldMask + 1) * BUCKET_BYTES) / PAGE_BYTES));
      return false;
    }
    return true;
  }

  /** Moves the items of an old bucket into the new table. @param from word of the old bucket's cell */
  #moveBucket(from: number): void {
    const u32 = this.#u32;
    const table = u32[this.#cells + CELL_TABLE];
    const mask = u32[this.#cells + CELL_TABLE_MASK];
    let item = u32[from];
    while (item !== 0) {
      const next = u32[(item + ITEM_H_NEXT) >>> 2];
      const to = (table + ((this.#hashOf(item) & mask) >>> 0) * BUCKET_BYTES) >>> 2;
      u32[(item + ITEM_H_NEXT) >>> 2] = u32[to];
      u32[to] = item;
      item = next;
    }
    u32[from] = 0;
  }

  #hashOf(item: number): number {
    const hasCas = (this.#u16[(item + ITEM_FLAGS) >>> 1] & FLAG_CAS) !== 0;
    return this.#hash(this.#view, item + ITEM_HEADER_BYTES + (hasCas ? 8 : 0), this.#u8[item + ITEM_NKEY]);
  }

  /**
   * Walks every bucket; nobody else may be at work.
   * @param count items linked
   * @throws Error naming the first item in a wrong bucket or a wrong count
   */
  verify(count: number): void {
    const cells = this.#cells;
    const u32 = this.#u32;
    let seen = 0;
    const walk = (table: number, mask: number, from: number): void => {
      for (let bucket = from; bucket <= mask; bucket++) {
        let item = u32[(table + bucket * BUCKET_BYTES) >>> 2];
        for (; item !== 0; item = u32[(item + ITEM_H_NEXT) >>> 2]) {
          if ((this.#hashOf(item) & mask) >>> 0 !== bucket)
            throw new Error(`hash table: item ${item} is in bucket ${bucket}`);
          if (++seen > count) throw new Error(`hash table: more items linked than the ${count} counted`);
        }
      }
    };
    walk(u32[cells + CELL_TABLE], u32[cells + CELL_TABLE_MASK], 0);
    if (this.expanding) {
      walk(u32[cells + CELL_OLD_TABLE], u32[cells + CELL_OLD_TABLE_MASK], u32[cells + CELL_EXPAND_BUCKET]);
    }
    if (seen !== count) throw new Error(`hash table: ${seen} items linked, ${count} counted`);
  }
}
