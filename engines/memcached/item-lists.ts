/** The LRU lists: heads, tails, counts and bytes in the shared block, links in the items. One list for each class and segment, each with its lock. */
import type { Memory } from '../ports.ts';
import type { HashFunction } from './assoc.ts';
import { ItemFields } from './item-fields.ts';
import * as L from './layout.ts';
import { LIST_BYTES_F64, LIST_COUNT, LIST_HEAD, LIST_TAIL, LOCK_LRU, LOCK_SHIFT } from './lock-cells.ts';
import type { Locks } from './locks.ts';
import type { SharedBlock } from './shared-block.ts';

export class ItemLists extends ItemFields {
  readonly locks: Locks;
  /** Where the crawler goes on in each list, by LRU id (crawler.ts). */
  readonly crawlNext: Uint32Array;
  /** Word of u32 where the lists begin (lock-cells.ts). */
  readonly #lists: number;

  constructor(memory: Memory, block: SharedBlock, locks: Locks, hash: HashFunction) {
    super(memory, block, hash, locks.isShared);
    this.locks = locks;
    this.crawlNext = block.crawlArray(0);
    this.#lists = block.locks + (LOCK_LRU << LOCK_SHIFT);
  }

  /** The most recent item of an LRU, 0 for none. */
  head(id: number): number {
    return this.u32[this.#lists + (id << LOCK_SHIFT) + LIST_HEAD];
  }

  /** The least recent item of an LRU, 0 for none. */
  tail(id: number): number {
    return this.u32[this.#lists + (id << LOCK_SHIFT) + LIST_TAIL];
  }

  /** Number of items of an LRU. */
  lruItems(id: number): number {
    return this.u32[this.#lists + (id << LOCK_SHIFT) + LIST_COUNT];
  }

  /** Their bytes. */
  lruBytes(id: number): number {
    return this.f64[((this.#lists + (id << LOCK_SHIFT)) >>> 1) + LIST_BYTES_F64];
  }

  /** Sets an LRU as a whole, whose items are linked with each other already. */
  setList(id: number, head: number, tail: number, count: number, bytes: number): void {
    const list = this.#lists + (id << LOCK_SHIFT);
    this.u32[list + LIST_HEAD] = head;
    this.u32[list + LIST_TAIL] = tail;
    this.u32[list + LIST_COUNT] = count;
    this.f64[(list >>> 1) + LIST_BYTES_F64] = bytes;
  }

  /** Items that can be found. */
  get currItems(): number {
    let sum = 0;
    for (let id = 0; id < L.LRU_COUNT; id++) sum += this.lruItems(id);
    return sum;
  }

  get currBytes(): number {
    let sum = 0;
    for (let id = 0; id < L.LRU_COUNT; id++) sum += this.lruBytes(id);
    return sum;
  }

  /** Puts an item at the head of its LRU. @param size its totalBytes, where the caller knows it */
  lruLink(item: number, size = this.totalBytes(item)): void {
    const lock = LOCK_LRU + this.u8[item + L.ITEM_CLSID];
    this.locks.take(lock);
    this.lruLinkNolock(item, size);
    this.locks.give(lock);
  }

  /** Takes an item out of its LRU. @param size its totalBytes, where the caller knows it */
  lruUnlink(item: number, size = this.totalBytes(item)): void {
    const lock = LOCK_LRU + this.u8[item + L.ITEM_CLSID];
    this.locks.take(lock);
    this.lruUnlinkNolock(item, size);
    this.locks.give(lock);
  }

  /** `lruLink` for who holds the LRU's lock. */
  lruLinkNolock(item: number, size: number): void {
    const u32 = this.u32;
    const id = this.u8[item + L.ITEM_CLSID];
    const list = this.#lists + (id << LOCK_SHIFT);
    const head = u32[list + LIST_HEAD];
    u32[(item + L.ITEM_PREV) >>> 2] = 0;
    u32[(item + L.ITEM_NEXT) >>> 2] = head;
    if (head !== 0) u32[(head + L.ITEM_PREV) >>> 2] = item;
    else u32[list + LIST_TAIL] = item;
    u32[list + LIST_HEAD] = item;
    u32[list + LIST_COUNT]++;
    this.f64[(list >>> 1) + LIST_BYTES_F64] += size;
  }

  /** `lruUnlink` for who holds the LRU's lock. */
  lruUnlinkNolock(item: number, size: number): void {
    const u32 = this.u32;
    const id = this.u8[item + L.ITEM_CLSID];
    const list = this.#lists + (id << LOCK_SHIFT);
    const next = u32[(item + L.ITEM_NEXT) >>> 2];
    const previous = u32[(item + L.ITEM_PREV) >>> 2];
    if (previous !== 0) u32[(previous + L.ITEM_NEXT) >>> 2] = next;
    else u32[list + LIST_HEAD] = next;
    if (next !== 0) u32[(next + L.ITEM_PREV) >>> 2] = previous;
    else u32[list + LIST_TAIL] = previous;
    // The crawler stands in front of this item: its way goes on with the one before.
    if (this.crawlNext[id] === item) this.crawlNext[id] = previous;
    u32[list + LIST_COUNT]--;
    this.f64[(list >>> 1) + LIST_BYTES_F64] -= size;
  }
}
