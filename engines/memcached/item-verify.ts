/** Whether hash table, LRU lists and slabs agree: for tests, and for servers that have stopped. */
import type { Items } from './items.ts';
import * as L from './layout.ts';
import { type SlabReport, verifySlabs } from './slab-verify.ts';

/** @returns which item has more references than that of being linked, or null; for a server without connections */
export function firstHeld(items: Items): string | null {
  for (let id = 0; id < L.LRU_COUNT; id++) {
    for (let item = items.head(id); item !== 0; item = items.u32[(item + L.ITEM_NEXT) >>> 2]) {
      const count = items.refcount(item);
      if (count !== 1) return `item ${item} has ${count} references, but nobody is there to hold it`;
    }
  }
  return null;
}

/** Checks slabs, table and lists against each other. @returns what was found in slab memory. @throws Error naming the first contradiction */
export function verifyItems(items: Items): SlabReport {
  items.table.verify(items.currItems);
  let found = 0;
  let bytes = 0;
  for (let id = 0; id < L.LRU_COUNT; id++) {
    let previous = 0;
    let count = 0;
    for (let item = items.head(id); item !== 0; item = items.u32[(item + L.ITEM_NEXT) >>> 2]) {
      if (items.u8[item + L.ITEM_CLSID] !== id) throw new Error(`LRU ${id}: item ${item} belongs to another`);
      if (items.u32[(item + L.ITEM_PREV) >>> 2] !== previous) throw new Error(`LRU ${id}: broken prev at ${item}`);
      if (items.refcount(item) < 1) throw new Error(`LRU ${id}: item ${item} is linked without a reference`);
      const nkey = items.u8[item + L.ITEM_NKEY];
      if (items.table.find(items.hash(items.view, items.keyOf(item), nkey), items.keyOf(item), nkey) !== item) {
        throw new Error(`LRU ${id}: item ${item} is not found by its key`);
      }
      bytes += items.totalBytes(item);
      if (++count > items.lruItems(id)) throw new Error(`LRU ${id}: longer than the ${items.lruItems(id)} counted`);
      previous = item;
    }
    if (count !== items.lruItems(id)) throw new Error(`LRU ${id}: ${count} items, ${items.lruItems(id)} counted`);
    if (items.tail(id) !== previous) throw new Error(`LRU ${id}: the tail is not the last item`);
    found += count;
  }
  if (found !== items.currItems) throw new Error(`items: ${found} in LRUs, ${items.currItems} counted`);
  if (bytes !== items.currBytes) throw new Error(`items: ${bytes} bytes in LRUs, ${items.currBytes} counted`);
  return verifySlabs(items);
}
