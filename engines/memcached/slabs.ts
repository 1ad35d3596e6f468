/**
 * Slab allocation as memcached 1.6.18 does it: size classes that grow by a factor (or whose sizes are given), pages of 1 MiB cut into chunks
 * of their class, one free list a class. Pages come from the arena. The mover (slab-mover.ts) takes them from one class for another, or for
 * the global pool (class 0), from which any class takes a page before it asks the arena.
 *
 * A page's chunks go onto the free list in order of address, each in front of the last, so the last chunk of a page is
 * handed out first (as in the original).
 *
 * Free lists, page tables and totals are guarded by LOCK_SLABS. A chunk is in its free list exactly when it carries FLAG_SLABBED, which is set and
 * taken away under that lock only. With several threads, each keeps a free chunk of each class to itself (magazines.ts).
 */
import type { Memory } from '../ports.ts';
import { CLASS_COUNT, FLAG_SLABBED, ITEM_CLSID, ITEM_FLAGS, ITEM_NEXT, ITEM_PREV, ITEM_REFCOUNT } from './layout.ts';
import { LOCK_SLABS } from './lock-cells.ts';
import type { Locks } from './locks.ts';
import { Magazines } from './magazines.ts';
import type { Settings } from './settings.ts';
import {
  CELL_SLAB_MOVER,
  F64_LIMIT_BYTES,
  F64_MALLOCED_BYTES,
  type SharedBlock,
  SLAB_PAGES_MAX,
} from './shared-block.ts';

/** Chunk sizes are multiples of it. */
const CHUNK_ALIGN_BYTES = 8;
const ITEM_STRUCT_BYTES = 48;
const ARENA_PAGE_BYTES = 4_096;
const MEBIBYTE = 1024 * 1024;
/** Share of the arena that slab pages may take. */
const ARENA_SHARE_MAX = 0.9;
/** Classes up to this size are looked up instead of searched for. */
const SMALL_BYTES_MAX = 8_192;
/** The largest class number there can be. */
const CLASS_MAX = CLASS_COUNT - 1;
/** The class number of the global pool: pages that belong to no class. */
export const PAGE_POOL = 0;
/** Cell of the shared block: the first of the pages given back for a lower limit, each holding the next one's offset; 0 none. LOCK_SLABS. */
const CELL_RELEASED_PAGES = CELL_SLAB_MOVER + 8;

/** Chunk sizes of the classes that settings ask for, by class number (0 stands for the pool and has none); the last is the largest class. */
export function classSizes(settings: Settings): number[] {
  const sizes = [0];
  // Unsigned, as in the original: from less than nothing it wraps, and is beyond all classes.
  let size = (ITEM_STRUCT_BYTES + settings.chunkSize) >>> 0;
  while (sizes.length < CLASS_MAX) {
    if (settings.slabSizes !== null) {
      if (sizes.length > settings.slabSizes.length) break;
      size = settings.slabSizes[sizes.length - 1]!;
    } else if (size >= settings.slabChunkSizeMax / settings.factor) break;
    size = Math.ceil(size / CHUNK_ALIGN_BYTES) * CHUNK_ALIGN_BYTES;
    sizes.push(size);
    if (settings.slabSizes === null) size = Math.floor(size * settings.factor);
  }
  sizes.push(settings.slabChunkSizeMax);
  return sizes;
}

/** @returns megabytes that the memory limit must have for `preallocate` (-L), which takes a page for every class */
export function preallocationMegabytes(settings: Settings): number {
  const classes = classSizes(settings).length - 1;
  return Math.ceil((classes * settings.slabPageSize) / MEBIBYTE);
}

export class Slabs {
  readonly #memory: Memory;
  readonly #u32: Uint32Array;
  readonly #u16: Uint16Array;
  readonly #u8: Uint8Array;
  readonly #settings: Settings;
  /** Chunk size of each class in bytes; 0 for classes that do not exist. */
  readonly chunkSize = new Uint32Array(CLASS_COUNT);
  readonly chunksPerPage = new Uint32Array(CLASS_COUNT);
  readonly #locks: Locks;
  readonly #block: SharedBlock;
  readonly #magazines: Magazines;
  /** Head and length of each class's free list. */
  readonly #freeLists: Uint32Array;
  readonly #pageCount: Uint32Array;
  /** Offsets of each class's pages: SLAB_PAGES_MAX places a class. */
  readonly #pageTable: Uint32Array;
  /** Class by size in units of 8 bytes (chunk sizes are multiples of 8). */
  readonly #smallClass = new Uint8Array(SMALL_BYTES_MAX / CHUNK_ALIGN_BYTES + 1);
  /** The last class: all that is larger is stored in chunks. */
  largestClass = 0;

  /**
   * @param isFirst whether the shared block is new; otherwise another thread has filled it
   * @param thread the worker's number
   */
  constructor(memory: Memory, block: SharedBlock, locks: Locks, settings: Settings, isFirst: boolean, thread: number) {
    this.#memory = memory;
    this.#u8 = memory.u8;
    this.#u16 = memory.u16;
    this.#u32 = memory.u32;
    this.#settings = settings;
    this.#block = block;
    this.#locks = locks;
    this.#magazines = new Magazines(block, locks.isShared && thread < block.threads ? thread : null);
    this.#freeLists = block.freeLists;
    this.#pageCount = block.pageCounts;
    this.#pageTable = block.pageTable;
    this.#layClasses(settings);
    if (!isFirst) return;
    memory.f64[block.number(F64_LIMIT_BYTES)] = this.#affordable(settings.maxBytes);
    if (settings.memoryRegion?.isReused === true) return;
    this.fillRegion();
    if (settings.preallocate) this.preallocate();
  }

  /** Puts all pages of the memory file (-e) into the pool: those that classes take first are the file's first ones. */
  fillRegion(): void {
    const { memoryRegion: region, slabPageSize } = this.#settings;
    if (region === null) return;
    for (let at = region.bytes; at > 0; at -= slabPageSize)
      this.adoptPage(PAGE_POOL, region.offset + at - slabPageSize);
  }

  /** Enters a page of the memory file into a class or the pool; its chunks are another matter. Only while no other thread is there. */
  adoptPage(id: number, page: number): void {
    const pages = this.#pageCount[id]!;
    this.#pageTable[id * SLAB_PAGES_MAX + pages] = page;
    this.#pageCount[id] = pages + 1;
    this.#memory.f64[this.#block.number(F64_MALLOCED_BYTES)]! += this.#settings.slabPageSize;
  }

  /** Gives every class its first page, as `preallocate` asks for it. Only while no other thread is there. */
  preallocate(): void {
    for (let id = 1; id <= this.largestClass; id++) this.#newPage(id);
  }

  /** Bytes of all pages taken (`total_malloced`). */
  get mallocedBytes(): number {
    return this.#memory.f64[this.#block.number(F64_MALLOCED_BYTES)]!;
  }

  get limitBytes(): number {
    return this.#memory.f64[this.#block.number(F64_LIMIT_BYTES)]!;
  }

  /** Free chunks of a class, those that threads keep included. */
  freeChunks(id: number): number {
    return this.#freeLists[2 * id + 1]! + this.#magazines.count(id);
  }

  /** The free chunks of a class that threads keep. */
  keptChunks(id: number): number[] {
    const { threads } = this.#magazines;
    return Array.from({ length: threads }, (_, thread) => this.#magazines.kept(id, thread)).filter(
      (chunk) => chunk !== 0,
    );
  }

  /** Pages that a class has. */
  pageCount(id: number): number {
    return this.#pageCount[id];
  }

  /** Offset of page number `index` of a class. */
  pageAt(id: number, index: number): number {
    return this.#pageTable[id * SLAB_PAGES_MAX + index];
  }

  #layClasses(settings: Settings): void {
    const sizes = classSizes(settings);
    const last = sizes.length - 1;
    for (let id = 1; id <= last; id++) {
      this.chunkSize[id] = sizes[id]!;
      this.chunksPerPage[id] = Math.floor(settings.slabPageSize / sizes[id]!);
    }
    this.largestClass = last;
    for (let unit = 0, fit = 1; unit < this.#smallClass.length; unit++) {
      while (fit < last && this.chunkSize[fit]! < unit * CHUNK_ALIGN_BYTES) fit++;
      this.#smallClass[unit] = fit;
    }
  }

  /** The class for `size` bytes in all; 0 when no item may be that large. Larger than a chunk of the last class: the last class. */
  classOf(size: number): number {
    if (size === 0 || size > this.#settings.itemSizeMax) return 0;
    if (size <= SMALL_BYTES_MAX) return this.#smallClass[(size + 7) >>> 3];
    const sizes = this.chunkSize;
    const largest = this.largestClass;
    if (size > sizes[largest]) return largest;
    let low = 1;
    let high = largest;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (sizes[middle] < size) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** Takes a chunk of a class. @returns its offset with refcount 1 and no flags, or 0 when the limit is reached */
  alloc(id: number): number {
    const own = this.#magazines.take(id);
    if (own !== 0) return this.#handOut(own);
    this.#locks.take(LOCK_SLABS);
    let chunk = 0;
    if (this.#freeLists[2 * id] === 0) chunk = this.#magazines.takeAny(id);
    if (chunk !== 0) this.#handOut(chunk);
    else if (this.#freeLists[2 * id] !== 0 || this.#newPage(id)) chunk = this.#pop(id);
    this.#locks.give(LOCK_SLABS);
    return chunk;
  }

  #handOut(chunk: number): number {
    this.#u16[(chunk + ITEM_FLAGS) >>> 1] = 0;
    this.#u16[(chunk + ITEM_REFCOUNT) >>> 1] = 1;
    this.#u8[chunk + ITEM_CLSID] = 0;
    return chunk;
  }

  /** Takes a free chunk if there is one; never a page. Under LOCK_SLABS. @returns 0 when there is none */
  takeFreeNolock(id: number): number {
    return this.#freeLists[2 * id] === 0 ? 0 : this.#pop(id);
  }

  /** Takes this chunk, which is free, out of its free list. Under LOCK_SLABS. */
  cutFreeNolock(chunk: number, id: number): void {
    const u32 = this.#u32;
    const next = u32[(chunk + ITEM_NEXT) >>> 2];
    const previous = u32[(chunk + ITEM_PREV) >>> 2];
    if (previous !== 0) u32[(previous + ITEM_NEXT) >>> 2] = next;
    else this.#freeLists[2 * id] = next;
    if (next !== 0) u32[(next + ITEM_PREV) >>> 2] = previous;
    this.#freeLists[2 * id + 1]--;
  }

  #pop(id: number): number {
    const u32 = this.#u32;
    const chunk = this.#freeLists[2 * id];
    const next = u32[(chunk + ITEM_NEXT) >>> 2];
    this.#freeLists[2 * id] = next;
    if (next !== 0) u32[(next + ITEM_PREV) >>> 2] = 0;
    this.#freeLists[2 * id + 1]--;
    return this.#handOut(chunk);
  }

  /** Puts a chunk back on its class's free list, or keeps it for this thread's next item. */
  free(chunk: number, id: number): void {
    if (this.#magazines.hasRoom(id)) {
      this.#u16[(chunk + ITEM_FLAGS) >>> 1] = 0;
      if (this.#magazines.put(chunk, id)) return;
    }
    this.#locks.take(LOCK_SLABS);
    this.#push(chunk, id);
    this.#locks.give(LOCK_SLABS);
  }

  /**
   * Puts an item that has chunks back, its own one first as the original does it. All at once: whoever finds a chunk that is not free, holding
   * the lock, may rely on the item that it belongs to.
   * @param id class of the item's own chunk; the others know theirs
   */
  freeChain(item: number, id: number, firstChunk: number): void {
    this.#locks.take(LOCK_SLABS);
    this.#push(item, id);
    for (let chunk = firstChunk; chunk !== 0; ) {
      const next = this.#u32[(chunk + ITEM_NEXT) >>> 2];
      this.#push(chunk, this.#u8[chunk + ITEM_CLSID]);
      chunk = next;
    }
    this.#locks.give(LOCK_SLABS);
  }

  /**
   * Until `openMagazinesNolock` no thread keeps a chunk of the class: all that are free are in its free list, and none is freed or handed out but
   * under LOCK_SLABS, which the caller holds.
   */
  closeMagazinesNolock(id: number): void {
    for (let thread = 0; thread < this.#magazines.threads; thread++) {
      const chunk = this.#magazines.close(id, thread);
      if (chunk !== 0) this.#push(chunk, id);
    }
  }

  openMagazinesNolock(id: number): void {
    this.#magazines.open(id);
  }

  #push(chunk: number, id: number): void {
    const u32 = this.#u32;
    const head = this.#freeLists[2 * id];
    this.#u16[(chunk + ITEM_FLAGS) >>> 1] = FLAG_SLABBED;
    this.#u8[chunk + ITEM_CLSID] = id;
    u32[(chunk + ITEM_NEXT) >>> 2] = head;
    u32[(chunk + ITEM_PREV) >>> 2] = 0;
    if (head !== 0) u32[(head + ITEM_PREV) >>> 2] = chunk;
    this.#freeLists[2 * id] = chunk;
    this.#freeLists[2 * id + 1]++;
  }

  /** Under LOCK_SLABS. */
  #newPage(id: number): boolean {
    const settings = this.#settings;
    const fullPage = settings.slabReassign || settings.slabChunkSizeMax !== settings.slabPageSize;
    const bytes = fullPage ? settings.slabPageSize : this.chunkSize[id]! * this.chunksPerPage[id]!;
    const page = this.#takePage(id, bytes);
    if (page === 0) return false;
    this.#addPage(id, page);
    return true;
  }

  /** A page from the pool, or else from the arena, as far as the limit allows. @returns 0 for none */
  #takePage(id: number, bytes: number): number {
    const pages = this.#pageCount[id]!;
    if (pages === SLAB_PAGES_MAX) return 0;
    const pooled = this.#pageCount[PAGE_POOL]!;
    if (pooled > 0) {
      this.#pageCount[PAGE_POOL] = pooled - 1;
      return this.pageAt(PAGE_POOL, pooled - 1);
    }
    // The memory file has no more than what the pool was given at the start.
    if (this.#settings.memoryRegion !== null) return 0;
    // A class without any page gets its first one even beyond the limit: otherwise a late size could never be stored.
    if (this.mallocedBytes + bytes > this.limitBytes && pages > 0) return 0;
    const released = this.#block.cell(CELL_RELEASED_PAGES);
    let page = this.#u32[released]!;
    if (page !== 0) this.#u32[released] = this.#u32[page >>> 2]!;
    else page = this.#memory.takePages(Math.ceil(bytes / ARENA_PAGE_BYTES));
    if (page !== 0) this.#memory.f64[this.#block.number(F64_MALLOCED_BYTES)]! += bytes;
    return page;
  }

  /** Cuts a page into free chunks of a class. Under LOCK_SLABS. */
  #addPage(id: number, page: number): void {
    const size = this.chunkSize[id]!;
    const count = this.chunksPerPage[id]!;
    for (let i = 0; i < count; i++) this.#push(page + i * size, id);
    const pages = this.#pageCount[id]!;
    this.#pageTable[id * SLAB_PAGES_MAX + pages] = page;
    this.#pageCount[id] = pages + 1;
  }

  /**
   * Makes the first page of a class, of whose chunks none is free or in use any more, one of another class or of the pool. What the pool
   * then has beyond the limit is given back. Under LOCK_SLABS.
   */
  movePageNolock(from: number, to: number): void {
    const first = from * SLAB_PAGES_MAX;
    const page = this.#pageTable[first]!;
    const left = this.#pageCount[from]! - 1;
    this.#pageTable.copyWithin(first, first + 1, first + 1 + left);
    this.#pageCount[from] = left;
    if (to !== PAGE_POOL) {
      this.#addPage(to, page);
      return;
    }
    const pooled = this.#pageCount[PAGE_POOL]!;
    this.#pageTable[PAGE_POOL * SLAB_PAGES_MAX + pooled] = page;
    this.#pageCount[PAGE_POOL] = pooled + 1;
    this.#releasePages();
  }

  /**
   * Gives pages of the pool back to the system while there are more pages than the limit allows. They stay in a list of ours, from which
   * classes take them again: the arena's own lists belong to one thread each.
   */
  #releasePages(): void {
    const { slabPageSize, slabReassign, preallocate } = this.#settings;
    if (!slabReassign || preallocate) return;
    const released = this.#block.cell(CELL_RELEASED_PAGES);
    while (this.mallocedBytes > this.limitBytes && this.#pageCount[PAGE_POOL]! > 0) {
      const pooled = this.#pageCount[PAGE_POOL]! - 1;
      const page = this.pageAt(PAGE_POOL, pooled);
      this.#pageCount[PAGE_POOL] = pooled;
      this.#memory.purge(page, slabPageSize / ARENA_PAGE_BYTES);
      this.#u32[page >>> 2] = this.#u32[released]!;
      this.#u32[released] = page;
      this.#memory.f64[this.#block.number(F64_MALLOCED_BYTES)]! -= slabPageSize;
    }
  }

  /** Offsets of the pages that were given back for a lower limit. */
  releasedPages(): number[] {
    const pages: number[] = [];
    let page = this.#u32[this.#block.cell(CELL_RELEASED_PAGES)]!;
    for (; page !== 0; page = this.#u32[page >>> 2]!) pages.push(page);
    return pages;
  }

  /** First chunk of a class's free list, 0 for none. */
  freeChunk(id: number): number {
    return this.#freeLists[2 * id];
  }

  /** Chunks of a class in use (linked, or held by a command or reply). */
  usedCount(id: number): number {
    return this.#pageCount[id] * this.chunksPerPage[id] - this.freeChunks(id);
  }

  /** The part of a limit that the arena can hold beside hash table and connections' buffers, which would otherwise starve. */
  #affordable(bytes: number): number {
    const most = Math.floor((this.#memory.byteLength * ARENA_SHARE_MAX) / MEBIBYTE) * MEBIBYTE;
    return bytes === 0 ? most : Math.min(bytes, most);
  }

  /**
   * Sets the limit while running (`cache_memlimit`): pages that classes have stay theirs until the mover takes them, further ones are refused
   * above it.
   * @returns false when it cannot be changed, because all memory was taken at the start (-L)
   */
  setLimit(bytes: number): boolean {
    if (this.#settings.preallocate) return false;
    this.#locks.take(LOCK_SLABS);
    this.#memory.f64[this.#block.number(F64_LIMIT_BYTES)] = this.#affordable(bytes);
    this.#releasePages();
    this.#locks.give(LOCK_SLABS);
    return true;
  }
}
