/**
 * Finds the items again in slab pages that a stopped server has left in its memory file (restart.c: restart_fixup).
 *
 * Only the pages themselves survive: page tables, free lists, hash table and the ends of the LRU lists are made anew from what the chunks
 * say of themselves. Because a file may be damaged and must then not bring the server down, everything is looked at before anything is
 * taken over: classes, sizes, that each list of items is one list from end to end, that each chunk of a large item belongs to it alone.
 *
 * A page of which nothing was ever used, or that was in the pool, begins with a chunk of class 0. A chunk that is neither linked nor part of
 * a linked item is free, whatever it was: its owner is gone.
 */
import type { Items } from './items.ts';
import * as L from './layout.ts';
import type { MemoryRegion } from './settings.ts';

const TWO_32 = 4_294_967_296;
/** An item whose value lies in external storage. */
const FLAG_EXTERNAL = 128;

/** The file does not hold what its description promises. */
class Damage extends Error {}

export class PageRestorer {
  readonly #items: Items;
  readonly #region: MemoryRegion;
  /** What is added to a pointer of the file for an arena offset. */
  readonly #shift: number;
  /** Pointers of the file are arena offsets, not the original's addresses. */
  readonly #isOurs: boolean;
  readonly #pageSize: number;
  /** Class of each page, 0 for the pool. */
  readonly #classes: Uint8Array;
  /** Chunks of large items that have been met in their item's chain. */
  readonly #claimed = new Set<number>();
  readonly #heads = new Uint32Array(L.LRU_COUNT);
  readonly #tails = new Uint32Array(L.LRU_COUNT);
  readonly #bytes = new Float64Array(L.LRU_COUNT);
  readonly #counts = new Uint32Array(L.LRU_COUNT);

  /** @param oldBase what the file's first byte counts as in its pointers */
  constructor(items: Items, region: MemoryRegion, oldBase: number) {
    this.#items = items;
    this.#region = region;
    this.#shift = region.offset - oldBase;
    this.#isOurs = oldBase < TWO_32;
    this.#pageSize = items.settings.slabPageSize;
    this.#classes = new Uint8Array(region.bytes / this.#pageSize);
  }

  /**
   * Takes the pages over. Nothing else may have happened to `items` since its start, and no other thread is there yet.
   * @returns null, or what is damaged: then nothing was changed
   */
  restore(): string | null {
    try {
      this.#classes.forEach((_, page) => {
        this.#classes[page] = this.#classOfPage(this.#pageAt(page));
      });
      this.#eachLinked((item, id) => this.#checkItem(item, id));
      this.#eachLinked((item) => this.#checkPlace(item));
      this.#checkLists();
    } catch (error) {
      if (error instanceof Damage) return error.message;
      throw error;
    }
    this.#takeOver();
    return null;
  }

  #pageAt(page: number): number {
    return this.#region.offset + page * this.#pageSize;
  }

  #flags(chunk: number): number {
    return this.#items.u16[(chunk + L.ITEM_FLAGS) >>> 1]!;
  }

  #classOfPage(page: number): number {
    const { u8, slabs } = this.#items;
    const flags = this.#flags(page);
    let id = u8[page + L.ITEM_CLSID]! & L.CLASS_MASK;
    // A large item names the class of its whole; its own chunk's stands in the header of its chain.
    if (id !== 0 && (flags & (L.FLAG_CHUNKED | L.FLAG_SLABBED)) === L.FLAG_CHUNKED) {
      id = u8[this.#items.dataOf(page) + L.CHUNK_ORIG_CLSID]!;
      if (id === 0) throw new Damage(`large item at ${page} lies in no class`);
    }
    if (id > slabs.largestClass) throw new Damage(`page ${page} is of class ${id}, which does not exist`);
    return id;
  }

  #isLinked(chunk: number): boolean {
    return (this.#flags(chunk) & L.FLAG_LINKED) !== 0;
  }

  #eachLinked(visit: (item: number, id: number) => void): void {
    const { slabs } = this.#items;
    this.#classes.forEach((id, page) => {
      if (id === 0) return;
      const size = slabs.chunkSize[id]!;
      const start = this.#pageAt(page);
      for (let i = 0; i < slabs.chunksPerPage[id]!; i++) {
        if (this.#isLinked(start + i * size)) visit(start + i * size, id);
      }
    });
  }

  /** Reads a pointer of the file. @returns an arena offset at which a chunk begins, or 0 */
  #pointer(at: number): number {
    const items = this.#items;
    // Of pointers of our own only the lower half counts: the upper one is never stored, and may be left from whatever lay there before.
    const upper = this.#isOurs ? 0 : items.get32(at + 4);
    const value = upper * TWO_32 + items.get32(at);
    if (value === 0) return 0;
    const offset = value + this.#shift;
    if (this.#chunkClass(offset) === 0) throw new Damage(`the pointer at ${at} leads to no chunk`);
    return offset;
  }

  /** @returns the class in whose pages a chunk begins at this place, or 0 */
  #chunkClass(offset: number): number {
    const page = Math.floor((offset - this.#region.offset) / this.#pageSize);
    const id = this.#classes[page] ?? 0;
    if (id === 0) return 0;
    const { slabs } = this.#items;
    const index = (offset - this.#pageAt(page)) / slabs.chunkSize[id]!;
    return Number.isInteger(index) && index < slabs.chunksPerPage[id]! ? id : 0;
  }

  /** What an item says of itself. @param id class of its page */
  #checkItem(item: number, id: number): void {
    const items = this.#items;
    const { u8, i32, slabs, settings } = items;
    const flags = this.#flags(item);
    const nkey = u8[item + L.ITEM_NKEY]!;
    const nbytes = i32[(item + L.ITEM_NBYTES) >>> 2]!;
    const own = u8[item + L.ITEM_CLSID]! & L.CLASS_MASK;
    if ((flags & (L.FLAG_SLABBED | L.FLAG_CHUNK | FLAG_EXTERNAL)) !== 0)
      throw new Damage(`item ${item} has flags ${flags}`);
    if (nkey === 0 || nkey > L.KEY_BYTES_MAX) throw new Damage(`item ${item} has a key of ${nkey} bytes`);
    if (nbytes < 2 || nbytes > settings.itemSizeMax) throw new Damage(`item ${item} has a value of ${nbytes} bytes`);
    if (own === 0 || own > slabs.largestClass) throw new Damage(`item ${item} is of class ${own}`);
    const total = items.totalBytes(item);
    if ((flags & L.FLAG_CHUNKED) === 0) {
      if (own !== id || total > slabs.chunkSize[id]!) throw new Damage(`item ${item} does not fit into its page`);
      return;
    }
    if (total - nbytes + L.CHUNK_HEADER_BYTES > slabs.chunkSize[id]!) throw new Damage(`item ${item} is too large`);
    if (u8[items.dataOf(item) + L.CHUNK_ORIG_CLSID] !== id) throw new Damage(`item ${item} is of another class`);
    this.#claimChunks(item, nbytes);
  }

  #claimChunks(item: number, nbytes: number): void {
    const { i32, slabs, u8 } = this.#items;
    let bytes = 0;
    let chunk = this.#pointer(this.#items.dataOf(item) + L.ITEM_NEXT);
    for (; chunk !== 0; chunk = this.#pointer(chunk + L.ITEM_NEXT)) {
      const id = this.#chunkClass(chunk);
      const used = i32[(chunk + L.CHUNK_USED) >>> 2]!;
      const size = i32[(chunk + L.CHUNK_SIZE) >>> 2]!;
      if (this.#flags(chunk) !== L.FLAG_CHUNK || u8[chunk + L.ITEM_CLSID] !== id || this.#claimed.has(chunk)) {
        throw new Damage(`item ${item} has a chunk at ${chunk} that is none of its own`);
      }
      if (used < 0 || used > size || size > slabs.chunkSize[id]! - L.CHUNK_DATA) {
        throw new Damage(`the chunk at ${chunk} is too full`);
      }
      this.#claimed.add(chunk);
      bytes += used;
    }
    if (bytes !== nbytes) throw new Damage(`item ${item} has ${bytes} bytes of ${nbytes}`);
  }

  /** An item's neighbours in its LRU. */
  #checkPlace(item: number): void {
    const lru = this.#items.u8[item + L.ITEM_CLSID]!;
    const next = this.#neighbour(item, lru, L.ITEM_NEXT, L.ITEM_PREV);
    const previous = this.#neighbour(item, lru, L.ITEM_PREV, L.ITEM_NEXT);
    if (next === 0) {
      if (this.#tails[lru] !== 0) throw new Damage(`LRU ${lru} has two ends`);
      this.#tails[lru] = item;
    }
    if (previous === 0) {
      if (this.#heads[lru] !== 0) throw new Damage(`LRU ${lru} has two beginnings`);
      this.#heads[lru] = item;
    }
    this.#counts[lru]!++;
  }

  #neighbour(item: number, lru: number, field: number, back: number): number {
    const other = this.#pointer(item + field);
    if (other === 0) return 0;
    const isOfList = this.#isLinked(other) && this.#items.u8[other + L.ITEM_CLSID] === lru;
    if (!isOfList || this.#pointer(other + back) !== item) throw new Damage(`LRU ${lru} is broken at item ${item}`);
    return other;
  }

  /** Neighbours agree, so what is not reached from the beginning is a circle. */
  #checkLists(): void {
    this.#heads.forEach((head, lru) => {
      let count = 0;
      for (let item = head; item !== 0; item = this.#pointer(item + L.ITEM_NEXT)) count++;
      if (count !== this.#counts[lru])
        throw new Damage(`LRU ${lru} has ${this.#counts[lru]} items, ${count} in its list`);
    });
  }

  #takeOver(): void {
    const { slabs } = this.#items;
    this.#classes.forEach((id, page) => {
      slabs.adoptPage(id, this.#pageAt(page));
    });
    this.#classes.forEach((id, page) => {
      if (id === 0) return;
      const size = slabs.chunkSize[id]!;
      for (let i = 0; i < slabs.chunksPerPage[id]!; i++) {
        const chunk = this.#pageAt(page) + i * size;
        if (this.#isLinked(chunk)) this.#takeItem(chunk);
        else if (!this.#claimed.has(chunk)) slabs.free(chunk, id);
      }
    });
    this.#counts.forEach((count, lru) => {
      this.#items.setList(lru, this.#heads[lru]!, this.#tails[lru]!, count, this.#bytes[lru]!);
    });
  }

  #takeItem(item: number): void {
    const items = this.#items;
    const { u8, u16 } = items;
    this.#put(item + L.ITEM_NEXT, this.#pointer(item + L.ITEM_NEXT));
    this.#put(item + L.ITEM_PREV, this.#pointer(item + L.ITEM_PREV));
    this.#put(item + L.ITEM_H_NEXT, 0);
    u16[(item + L.ITEM_REFCOUNT) >>> 1] = 1;
    if ((this.#flags(item) & L.FLAG_CHUNKED) !== 0) this.#takeChunks(item);
    const total = items.totalBytes(item);
    this.#bytes[u8[item + L.ITEM_CLSID]!]! += total;
    items.counters.totalItems++;
    items.table.insert(items.hash(items.view, items.keyOf(item), u8[item + L.ITEM_NKEY]!), item);
    if (items.sizes.enabled) items.sizes.add(total, items.casOf(item));
  }

  #takeChunks(item: number): void {
    const header = this.#items.dataOf(item) + L.ITEM_NEXT;
    let previous = 0;
    let chunk = this.#pointer(header);
    this.#put(header, chunk);
    while (chunk !== 0) {
      const next = this.#pointer(chunk + L.ITEM_NEXT);
      this.#put(chunk + L.ITEM_NEXT, next);
      this.#put(chunk + L.ITEM_PREV, previous);
      this.#put(chunk + L.CHUNK_HEAD, item);
      previous = chunk;
      chunk = next;
    }
  }

  /** Stores a pointer as it is kept here: the upper half is 0. */
  #put(at: number, offset: number): void {
    this.#items.put32(at, offset);
    this.#items.put32(at + 4, 0);
  }
}

/**
 * Makes the pages say of themselves what only tables knew so far: that a page is in the pool, and what class one is of whose first chunk nobody
 * has. Pointers get their upper half, for the original's sake. To be called when nothing works on items any more.
 */
export function markPages(items: Items): void {
  const { slabs, u8, u16 } = items;
  for (let i = 0; i < slabs.pageCount(0); i++) {
    const page = slabs.pageAt(0, i);
    u8.fill(0, page, page + L.ITEM_HEADER_BYTES);
  }
  for (let id = 1; id <= slabs.largestClass; id++) {
    for (let i = 0; i < slabs.pageCount(id); i++) {
      const page = slabs.pageAt(id, i);
      widenPointers(items, page, id);
      const flags = u16[(page + L.ITEM_FLAGS) >>> 1]!;
      if ((flags & (L.FLAG_LINKED | L.FLAG_CHUNK)) !== 0) continue;
      u16[(page + L.ITEM_FLAGS) >>> 1] = L.FLAG_SLABBED;
      u8[page + L.ITEM_CLSID] = id;
    }
  }
}

function widenPointers(items: Items, page: number, id: number): void {
  const { slabs, u16, u32 } = items;
  const size = slabs.chunkSize[id]!;
  for (let i = 0; i < slabs.chunksPerPage[id]!; i++) {
    const chunk = page + i * size;
    if ((u16[(chunk + L.ITEM_FLAGS) >>> 1]! & (L.FLAG_LINKED | L.FLAG_CHUNK)) === 0) continue;
    for (const field of [L.ITEM_NEXT, L.ITEM_PREV, L.ITEM_H_NEXT]) u32[(chunk + field + 4) >>> 2] = 0;
  }
}
