/** Memory for items: chunks of slab classes, where need be taken from the tails of their LRUs. */

import { copyShort } from '../base/short-bytes.ts';
import type { Items } from './items.ts';
import * as L from './layout.ts';
import { LOCK_LRU } from './lock-cells.ts';
import { PULL_EVICT, pullTail } from './lru.ts';

/** Tries to free memory in the item's class before it is given up. */
const ALLOC_TRIES_MAX = 10;

/** Bytes an item would take; its class by `slabs.classOf` tells whether it is too large. */
export function needBytes(items: Items, nkey: number, clientFlags: number, nbytes: number): number {
  return L.ITEM_HEADER_BYTES + nkey + 1 + nbytes + (clientFlags !== 0 ? 4 : 0) + (items.settings.useCas ? 8 : 0);
}

/** Takes a chunk of a class, evicting from its LRUs when there is none. @returns 0 when nothing could be freed */
function pull(items: Items, id: number): number {
  let chunk = 0;
  let tries = 0;
  for (; tries < ALLOC_TRIES_MAX; tries++) {
    // Without the segmented LRU the original looks for an expired tail before it takes fresh memory.
    if (!items.settings.lruSegmented) pullTail(items, id, L.LRU_COLD, 0, 0, 0);
    chunk = items.slabs.alloc(id);
    if (chunk !== 0) break;
    if (pullTail(items, id, L.LRU_COLD, 0, PULL_EVICT, 0) <= 0) {
      if (!items.settings.lruSegmented) break;
      pullTail(items, id, L.LRU_HOT, 0, 0, 0);
    }
  }
  if (tries > 0) {
    items.locks.take(LOCK_LRU + id);
    items.lru.directReclaims[id] += tries;
    items.locks.give(LOCK_LRU + id);
  }
  return chunk;
}

/**
 * Makes an item that is not linked, with refcount 1 and its key copied; its value is not yet set.
 * @param keyAt where the key lies (anywhere in the arena)
 * @param exptime relative time
 * @param nbytes value and its `\r\n`
 * @returns 0 when it is too large (`slabs.classOf(needBytes(…))` is 0) or memory is short
 */
export function allocItem(
  items: Items,
  keyAt: number,
  nkey: number,
  clientFlags: number,
  exptime: number,
  nbytes: number,
): number {
  const { u8, u16, u32, settings } = items;
  const total = needBytes(items, nkey, clientFlags, nbytes);
  const id = items.slabs.classOf(total);
  if (id === 0) return 0;
  let flags = (settings.useCas ? L.FLAG_CAS : 0) | (clientFlags !== 0 ? L.FLAG_CFLAGS : 0);
  let item: number;
  let headerClass = 0;
  if (total > settings.slabChunkSizeMax) {
    // The item itself holds key and a chunk header; its data go to chunks that are taken while they are read.
    headerClass = items.slabs.classOf(total - nbytes + L.CHUNK_HEADER_BYTES);
    item = pull(items, headerClass);
    flags |= L.FLAG_CHUNKED;
  } else {
    item = pull(items, id);
  }
  if (item === 0) {
    items.locks.take(LOCK_LRU + id);
    items.lru.outOfMemory[id]++;
    items.locks.give(LOCK_LRU + id);
    return 0;
  }
  let lru: number = L.LRU_COLD;
  if (settings.tempLru && exptime >= items.now && exptime - items.now <= settings.temporaryTtl) lru = L.LRU_TEMP;
  else if (settings.lruSegmented) lru = L.LRU_HOT;
  u8[item + L.ITEM_CLSID] = id | lru;
  u16[(item + L.ITEM_FLAGS) >>> 1] = flags;
  u8[item + L.ITEM_NKEY] = nkey;
  const word = item >>> 2;
  u32[word + (L.ITEM_NEXT >>> 2)] = 0;
  u32[word + (L.ITEM_PREV >>> 2)] = 0;
  u32[word + (L.ITEM_H_NEXT >>> 2)] = 0;
  u32[word + (L.ITEM_EXPTIME >>> 2)] = exptime;
  u32[word + (L.ITEM_NBYTES >>> 2)] = nbytes;
  let at = item + L.ITEM_HEADER_BYTES;
  if ((flags & L.FLAG_CAS) !== 0) {
    u32[at >>> 2] = 0;
    u32[(at + 4) >>> 2] = 0;
    at += 8;
  }
  copyShort(items.view, at, keyAt, nkey);
  u8[at + nkey] = 0;
  at += nkey + 1;
  if (clientFlags !== 0) {
    items.put32(at, clientFlags);
    at += 4;
  }
  if (headerClass !== 0) {
    u8.fill(0, at, at + L.CHUNK_HEADER_BYTES);
    u8[at + L.CHUNK_ORIG_CLSID] = headerClass;
  }
  return item;
}

/**
 * Adds a chunk behind `last` (0: the first one) of a chunked item.
 * @param remaining bytes still to come, which decide how large it is
 * @returns 0 when memory is short
 */
export function addChunk(items: Items, item: number, last: number, remaining: number): number {
  const sizeMax = items.settings.slabChunkSizeMax;
  let size = Math.min(remaining + L.CHUNK_HEADER_BYTES, sizeMax);
  let id = items.slabs.classOf(size);
  let chunk = pull(items, id);
  if (chunk === 0 && size !== sizeMax) {
    // The class that would fit has nothing to give, but evicting a large item may help.
    size = sizeMax;
    id = items.slabs.classOf(size);
    chunk = pull(items, id);
  }
  if (chunk === 0) return 0;
  const u32 = items.u32;
  u32[(chunk + L.ITEM_NEXT) >>> 2] = 0;
  u32[(chunk + L.ITEM_PREV) >>> 2] = last;
  u32[(chunk + L.CHUNK_HEAD) >>> 2] = item;
  u32[(chunk + L.CHUNK_SIZE) >>> 2] = size - L.CHUNK_HEADER_BYTES;
  u32[(chunk + L.CHUNK_USED) >>> 2] = 0;
  items.u8[chunk + L.ITEM_CLSID] = id;
  // In this order also for the page mover, which reads the head of whatever carries the flag.
  Atomics.store(items.u16, (chunk + L.ITEM_FLAGS) >>> 1, L.FLAG_CHUNK);
  if (last === 0) items.put32(items.dataOf(item) + L.ITEM_NEXT, chunk);
  else u32[(last + L.ITEM_NEXT) >>> 2] = chunk;
  return chunk;
}
