/**
 * The deep check of slab memory: every page belongs to one class or the pool, every chunk is free or in use once, and the counts are exact.
 * It walks all there is, so it is for tests and for servers that stand still: no other thread may be at work.
 */
import type { Items } from './items.ts';
import * as L from './layout.ts';
import { FLAGS_CLEARED } from './slab-mover.ts';
import { PAGE_POOL } from './slabs.ts';

const UNSEEN = 0;
const FREE = 1;
const IN_USE = 2;

interface Page {
  readonly start: number;
  readonly end: number;
  /** -1 for a page that was given back. */
  readonly id: number;
  readonly marks: Uint8Array;
}

/** What is known of slab memory once it is found to be right. */
export interface SlabReport {
  /** Pages of classes and of the pool. */
  pages: number;
  freeChunks: number;
  /** Chunks of items that can be found. */
  linkedChunks: number;
  /** Chunks that are neither: of items being read in or still held. None on a server without connections. */
  floatingChunks: number;
}

/** @throws Error naming the first thing that is wrong */
export function verifySlabs(items: Items): SlabReport {
  return new SlabCheck(items).run();
}

class SlabCheck {
  readonly #items: Items;
  readonly #pages: Page[] = [];
  readonly #report: SlabReport = { pages: 0, freeChunks: 0, linkedChunks: 0, floatingChunks: 0 };

  constructor(items: Items) {
    this.#items = items;
  }

  run(): SlabReport {
    this.#gatherPages();
    for (let id = 1; id <= this.#items.slabs.largestClass; id++) this.#walkFree(id);
    for (let id = 0; id < L.LRU_COUNT; id++) {
      let item = this.#items.head(id);
      for (; item !== 0; item = this.#items.u32[(item + L.ITEM_NEXT) >>> 2]!) this.#walkItem(item, id & L.CLASS_MASK);
    }
    for (const page of this.#pages) if (page.id > PAGE_POOL) this.#walkRest(page);
    return this.#report;
  }

  #gatherPages(): void {
    const { slabs, settings } = this.#items;
    const isWhole = settings.slabReassign || settings.slabChunkSizeMax !== settings.slabPageSize;
    let bytes = 0;
    const add = (start: number, id: number): void => {
      const span = id > PAGE_POOL ? slabs.chunkSize[id]! * slabs.chunksPerPage[id]! : settings.slabPageSize;
      const length = isWhole ? settings.slabPageSize : span;
      if (id >= PAGE_POOL) {
        bytes += length;
        this.#report.pages++;
      }
      const marks = new Uint8Array(id > PAGE_POOL ? slabs.chunksPerPage[id]! : 0);
      this.#pages.push({ start, end: start + length, id, marks });
    };
    for (let id = PAGE_POOL; id <= slabs.largestClass; id++) {
      for (let i = 0; i < slabs.pageCount(id); i++) add(slabs.pageAt(id, i), id);
    }
    for (const start of slabs.releasedPages()) add(start, -1);
    this.#pages.sort((a, b) => a.start - b.start);
    this.#pages.forEach((page, i) => {
      const before = this.#pages[i - 1];
      if (before !== undefined && before.end > page.start) {
        throw new Error(`slabs: page ${page.start} of class ${page.id} overlaps one of class ${before.id}`);
      }
    });
    if (bytes !== slabs.mallocedBytes) {
      throw new Error(`slabs: ${bytes} bytes in pages, ${slabs.mallocedBytes} counted`);
    }
  }

  /** Notes that a chunk was met. */
  #mark(chunk: number, id: number, mark: number): void {
    let low = 0;
    let high = this.#pages.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.#pages[middle]!.start <= chunk) low = middle;
      else high = middle - 1;
    }
    const page = this.#pages[low];
    const size = this.#items.slabs.chunkSize[id]!;
    const index = page === undefined ? -1 : (chunk - page.start) / size;
    if (page === undefined || page.id !== id || !Number.isInteger(index) || index < 0 || index >= page.marks.length) {
      throw new Error(`slab class ${id}: chunk ${chunk} lies in none of its pages`);
    }
    if (page.marks[index] !== UNSEEN) {
      const kinds = [mark, page.marks[index]].map((kind) => (kind === FREE ? 'free' : 'in use'));
      throw new Error(`slab class ${id}: chunk ${chunk} is ${kinds.join(' and ')}`);
    }
    page.marks[index] = mark;
  }

  #walkFree(id: number): void {
    const { slabs, u8, u16, u32 } = this.#items;
    let count = 0;
    let previous = 0;
    for (let chunk = slabs.freeChunk(id); chunk !== 0; chunk = u32[(chunk + L.ITEM_NEXT) >>> 2]!) {
      this.#mark(chunk, id, FREE);
      if (u32[(chunk + L.ITEM_PREV) >>> 2] !== previous) throw new Error(`slab class ${id}: broken prev at ${chunk}`);
      if (u16[(chunk + L.ITEM_FLAGS) >>> 1] !== L.FLAG_SLABBED || u8[chunk + L.ITEM_CLSID] !== id) {
        throw new Error(`slab class ${id}: chunk ${chunk} is free but not marked so`);
      }
      previous = chunk;
      count++;
    }
    for (const chunk of slabs.keptChunks(id)) {
      this.#mark(chunk, id, FREE);
      if (u16[(chunk + L.ITEM_FLAGS) >>> 1] !== 0 || u16[(chunk + L.ITEM_REFCOUNT) >>> 1] !== 0) {
        throw new Error(`slab class ${id}: chunk ${chunk} is kept by a thread and in use`);
      }
      count++;
    }
    if (count !== slabs.freeChunks(id)) {
      throw new Error(`slab class ${id}: ${count} free chunks found, ${slabs.freeChunks(id)} counted`);
    }
    this.#report.freeChunks += count;
  }

  #walkItem(item: number, id: number): void {
    const items = this.#items;
    const { u8, u16, u32, i32, slabs } = items;
    const flags = u16[(item + L.ITEM_FLAGS) >>> 1]!;
    if ((flags & L.FLAG_LINKED) === 0 || (flags & (L.FLAG_SLABBED | L.FLAG_CHUNK)) !== 0) {
      throw new Error(`slab class ${id}: item ${item} in an LRU has flags ${flags}`);
    }
    this.#report.linkedChunks++;
    if ((flags & L.FLAG_CHUNKED) === 0) {
      this.#mark(item, id, IN_USE);
      if (items.totalBytes(item) > slabs.chunkSize[id]!) {
        throw new Error(`slab class ${id}: item ${item} is larger than its chunk`);
      }
      return;
    }
    this.#mark(item, u8[items.dataOf(item) + L.CHUNK_ORIG_CLSID]!, IN_USE);
    let bytes = 0;
    let previous = 0;
    for (let chunk = items.firstChunk(item); chunk !== 0; chunk = u32[(chunk + L.ITEM_NEXT) >>> 2]!) {
      const chunkId = u8[chunk + L.ITEM_CLSID]!;
      this.#mark(chunk, chunkId, IN_USE);
      this.#report.linkedChunks++;
      if (u16[(chunk + L.ITEM_FLAGS) >>> 1] !== L.FLAG_CHUNK) throw new Error(`item ${item}: ${chunk} is no chunk`);
      if (u32[(chunk + L.CHUNK_HEAD) >>> 2] !== item) throw new Error(`item ${item}: chunk ${chunk} is another's`);
      if (u32[(chunk + L.ITEM_PREV) >>> 2] !== previous) throw new Error(`item ${item}: broken prev at chunk ${chunk}`);
      const used = i32[(chunk + L.CHUNK_USED) >>> 2]!;
      if (used > slabs.chunkSize[chunkId]! - L.CHUNK_DATA) throw new Error(`item ${item}: chunk ${chunk} is too full`);
      bytes += used;
      previous = chunk;
    }
    const length = i32[(item + L.ITEM_NBYTES) >>> 2]!;
    if (bytes !== length) throw new Error(`item ${item}: ${bytes} bytes in chunks, ${length} in all`);
  }

  /** What is neither in a free list nor linked must be held by somebody, or cleared by the mover. */
  #walkRest(page: Page): void {
    const { u16, slabs, mover } = this.#items;
    const size = slabs.chunkSize[page.id]!;
    page.marks.forEach((mark, index) => {
      if (mark !== UNSEEN) return;
      const chunk = page.start + index * size;
      const flags = u16[(chunk + L.ITEM_FLAGS) >>> 1]!;
      if (page.start === mover.page && flags === FLAGS_CLEARED) return;
      if ((flags & (L.FLAG_SLABBED | L.FLAG_LINKED)) !== 0) {
        throw new Error(`slab class ${page.id}: chunk ${chunk} with flags ${flags} is in no list`);
      }
      if (u16[(chunk + L.ITEM_REFCOUNT) >>> 1] === 0) {
        throw new Error(`slab class ${page.id}: chunk ${chunk} is in use without a reference`);
      }
      this.#report.floatingChunks++;
    });
  }
}
