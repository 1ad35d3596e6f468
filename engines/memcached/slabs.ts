/**
 * Slab allocation as memcached 1.6.18 does it: size classes that grow by a factor, pages of 1 MiB cut into chunks of
 * their class, one free list a class. Pages come from the arena and are never given back.
 *
 * A page's chunks go onto the free list in order of address, each in front of the last, so the last chunk of a page is
 * handed out first (as in the original).
 */
import type { Memory } from '../ports.ts';
import { CLASS_COUNT, FLAG_SLABBED, ITEM_CLSID, ITEM_FLAGS, ITEM_NEXT, ITEM_PREV, ITEM_REFCOUNT } from './layout.ts';
import { LOCK_SLABS } from './lock-cells.ts';
import type { Locks } from './locks.ts';
import type { Settings } from './settings.ts';
import {
  CELL_LIMIT_REACHED,
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
  /** First chunk of each free list, 0 when empty. */
  readonly #freeHead: Uint32Array;
  readonly freeCount: Uint32Array;
  readonly #pageCount: Uint32Array;
  /** Offsets of each class's pages: SLAB_PAGES_MAX places a class. */
  readonly #pageTable: Uint32Array;
  /** Class by size in units of 8 bytes (chunk sizes are multiples of 8). */
  readonly #smallClass = new Uint8Array(SMALL_BYTES_MAX / CHUNK_ALIGN_BYTES + 1);
  /** The last class: all that is larger is stored in chunks. */
  largestClass = 0;

  /** @param isFirst whether the shared block is new; otherwise another thread has filled it */
  constructor(memory: Memory, block: SharedBlock, locks: Locks, settings: Settings, isFirst: boolean) {
    this.#memory = memory;
    this.#u8 = memory.u8;
    this.#u16 = memory.u16;
    this.#u32 = memory.u32;
    this.#settings = settings;
    this.#block = block;
    this.#locks = locks;
    this.#freeHead = block.freeHeads;
    this.freeCount = block.freeCounts;
    this.#pageCount = block.pageCounts;
    this.#pageTable = block.pageTable;
    this.#layClasses(settings);
    if (isFirst) memory.f64[block.number(F64_LIMIT_BYTES)] = this.#affordable(settings.maxBytes);
  }

  /** Bytes of all pages taken (`total_malloced`). */
  get mallocedBytes(): number {
    return this.#memory.f64[this.#block.number(F64_MALLOCED_BYTES)]!;
  }

  get limitBytes(): number {
    return this.#memory.f64[this.#block.number(F64_LIMIT_BYTES)]!;
  }

  /** True once a page was refused for the limit (the maintainer then starts to keep COLD short). */
  get limitReached(): boolean {
    return this.#u32[this.#block.cell(CELL_LIMIT_REACHED)] !== 0;
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
    let size = ITEM_STRUCT_BYTES + settings.chunkSize;
    let id = 0;
    while (++id < CLASS_MAX) {
      if (size >= settings.slabChunkSizeMax / settings.factor) break;
      size = Math.ceil(size / CHUNK_ALIGN_BYTES) * CHUNK_ALIGN_BYTES;
      this.chunkSize[id] = size;
      this.chunksPerPage[id] = Math.floor(settings.slabPageSize / size);
      size = Math.floor(size * settings.factor);
    }
    this.largestClass = id;
    this.chunkSize[id] = settings.slabChunkSizeMax;
    this.chunksPerPage[id] = Math.floor(settings.slabPageSize / settings.slabChunkSizeMax);
    for (let unit = 0, fit = 1; unit < this.#smallClass.length; unit++) {
      while (fit < id && this.chunkSize[fit]! < unit * CHUNK_ALIGN_BYTES) fit++;
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
    this.#locks.take(LOCK_SLABS);
    const chunk = this.#freeHead[id] !== 0 || this.#newPage(id) ? this.#pop(id) : 0;
    this.#locks.give(LOCK_SLABS);
    return chunk;
  }

  #pop(id: number): number {
    const u32 = this.#u32;
    const chunk = this.#freeHead[id];
    const next = u32[(chunk + ITEM_NEXT) >>> 2];
    this.#freeHead[id] = next;
    if (next !== 0) u32[(next + ITEM_PREV) >>> 2] = 0;
    this.freeCount[id]--;
    this.#u16[(chunk + ITEM_FLAGS) >>> 1] = 0;
    this.#u16[(chunk + ITEM_REFCOUNT) >>> 1] = 1;
    this.#u8[chunk + ITEM_CLSID] = 0;
    return chunk;
  }

  /** Puts a chunk back on its class's free list. */
  free(chunk: number, id: number): void {
    this.#locks.take(LOCK_SLABS);
    this.#push(chunk, id);
    this.#locks.give(LOCK_SLABS);
  }

  #push(chunk: number, id: number): void {
    const u32 = this.#u32;
    const head = this.#freeHead[id];
    this.#u16[(chunk + ITEM_FLAGS) >>> 1] = FLAG_SLABBED;
    this.#u8[chunk + ITEM_CLSID] = id;
    u32[(chunk + ITEM_NEXT) >>> 2] = head;
    u32[(chunk + ITEM_PREV) >>> 2] = 0;
    if (head !== 0) u32[(head + ITEM_PREV) >>> 2] = chunk;
    this.#freeHead[id] = chunk;
    this.freeCount[id]++;
  }

  /** Under LOCK_SLABS. */
  #newPage(id: number): boolean {
    const settings = this.#settings;
    const pages = this.#pageCount[id]!;
    const fullPage = settings.slabReassign || settings.slabChunkSizeMax !== settings.slabPageSize;
    const bytes = fullPage ? settings.slabPageSize : this.chunkSize[id]! * this.chunksPerPage[id]!;
    // A class without any page gets its first one even beyond the limit: otherwise a late size could never be stored.
    const isBeyond = this.mallocedBytes + bytes > this.limitBytes && pages > 0;
    const page = isBeyond || pages === SLAB_PAGES_MAX ? 0 : this.#memory.takePages(Math.ceil(bytes / ARENA_PAGE_BYTES));
    if (page === 0) {
      this.#u32[this.#block.cell(CELL_LIMIT_REACHED)] = 1;
      return false;
    }
    const size = this.chunkSize[id]!;
    const count = this.chunksPerPage[id]!;
    for (let i = 0; i < count; i++) this.#push(page + i * size, id);
    this.#pageTable[id * SLAB_PAGES_MAX + pages] = page;
    this.#pageCount[id] = pages + 1;
    this.#memory.f64[this.#block.number(F64_MALLOCED_BYTES)]! += bytes;
    return true;
  }

  /** Chunks of a class in use (linked, or held by a command or reply). */
  usedCount(id: number): number {
    return this.#pageCount[id] * this.chunksPerPage[id] - this.freeCount[id];
  }

  /** The part of a limit that the arena can hold beside hash table and connections' buffers, which would otherwise starve. */
  #affordable(bytes: number): number {
    const most = Math.floor((this.#memory.byteLength * ARENA_SHARE_MAX) / MEBIBYTE) * MEBIBYTE;
    return bytes === 0 ? most : Math.min(bytes, most);
  }

  /** Sets the limit while running (`cache_memlimit`): pages taken stay, further ones are refused above it. */
  setLimit(bytes: number): void {
    bytes = this.#affordable(bytes);
    this.#locks.take(LOCK_SLABS);
    this.#memory.f64[this.#block.number(F64_LIMIT_BYTES)] = bytes;
    const isReached = this.mallocedBytes + this.#settings.slabPageSize > bytes;
    this.#u32[this.#block.cell(CELL_LIMIT_REACHED)] = isReached ? 1 : 0;
    this.#locks.give(LOCK_SLABS);
  }

  /** Recounts the free lists. @throws Error naming the first thing that is wrong */
  verify(): void {
    let bytes = 0;
    for (let id = 1; id <= this.largestClass; id++) {
      let count = 0;
      let previous = 0;
      for (let chunk = this.#freeHead[id]; chunk !== 0; chunk = this.#u32[(chunk + ITEM_NEXT) >>> 2]) {
        if (this.#u32[(chunk + ITEM_PREV) >>> 2] !== previous)
          throw new Error(`slab class ${id}: broken prev at ${chunk}`);
        if ((this.#u16[(chunk + ITEM_FLAGS) >>> 1] & FLAG_SLABBED) === 0) {
          throw new Error(`slab class ${id}: chunk ${chunk} is free but not marked so`);
        }
        if (!this.#inPage(chunk, id))
          throw new Error(`slab class ${id}: free chunk ${chunk} lies in none of its pages`);
        if (++count > this.freeCount[id]) break;
        previous = chunk;
      }
      if (count !== this.freeCount[id]) {
        throw new Error(`slab class ${id}: ${count} free chunks found, ${this.freeCount[id]} counted`);
      }
      bytes += this.#pageCount[id]! * this.#settings.slabPageSize;
    }
    if (this.#settings.slabReassign && bytes !== this.mallocedBytes) {
      throw new Error(`slabs: ${bytes} bytes in pages, ${this.mallocedBytes} counted`);
    }
  }

  #inPage(chunk: number, id: number): boolean {
    const span = this.chunkSize[id] * this.chunksPerPage[id];
    for (let i = 0; i < this.#pageCount[id]; i++) {
      const page = this.pageAt(id, i);
      if (chunk >= page && chunk < page + span && (chunk - page) % this.chunkSize[id] === 0) return true;
    }
    return false;
  }
}
