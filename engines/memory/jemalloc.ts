/**
 * An allocator with the geometry of jemalloc, the one the original links: size classes, slabs, a cache of free objects in front of
 * them, large extents, and dirty pages that decay. Its counts (allocated, active, resident, retained) therefore
 * mean what the original's mean and can be held side by side with them.
 *
 * - Small (below 16 KiB): a slab of lcm(class, page) bytes holds the regions of one class; a bitmap says which are free. New regions come
 *   from the slab at the lowest address that has room, so that others can drain.
 * - Cached (up to 32 KiB): a stack of free objects per class takes the frequent case. A miss fills half of it at once, an
 *   overflow flushes the older half. As in the original, cached objects count as allocated but not as used.
 * - Large: pages of its own, one more than the class needs (the original's cache_oblivious).
 * - Freed pages are dirty first and reused from there; decay purges them (their memory goes back to the system, their
 *   addresses stay: retained).
 *
 * No object of the JavaScript heap stands for an allocation: all tables are typed arrays indexed by page, so neither the number of
 * allocations nor their turnover gives the garbage collector anything to do. Extents from 8 MiB are purged as soon as they are freed
 * (the original's oversize_threshold).
 */
import type { Allocator, Clock, Memory } from '../ports.ts';
import type { AllocatorStats, BinStats, LargeStats } from './allocator-stats.ts';
import { PagePool } from './page-pool.ts';
import { CACHED_CLASS_MAX, type ClassTable, type ClassTableName, classOf, classTable } from './size-classes.ts';
import { SlabHeap } from './slab-heap.ts';

const PAGE = 4096;
/** `opt.oversize_threshold`: freed extents of this class size or more do not wait for decay. */
const OVERSIZE_BYTES = 8 * 1024 * 1024;
/** Words of the region bitmap of a page: no slab has more than 512 regions. */
const BITMAP_WORDS = 16;
/** In the page table: this page belongs to a slab; bits 20 to 25 hold the class, the low 20 the slab's first page. */
const SLAB_FLAG = 0x4000_0000;
const SLAB_PAGE_MASK = 0xf_ffff;
/** How often caches that nobody uses are looked for. */
const CACHE_GC_INTERVAL_MS = 1000;
/** Default time in ms over which dirty pages go back (`opt.dirty_decay_ms`). */
export const DECAY_MS_DEFAULT = 10_000;

export interface JemallocOptions {
  /** Which build's classes, or a table of one's own. */
  classes: ClassTableName | ClassTable;
  /** Lets `tick` be called without a time. */
  clock?: Clock;
  /** Over how many ms dirty pages go back; 0 at once, negative never. Default 10,000. */
  decayMs?: number;
}

export class Jemalloc implements Allocator {
  readonly memory: Memory;
  readonly table: ClassTable;
  /** Offset of page 0 within its page: the same for every run of one arena. */
  readonly #shift: number;
  readonly #clock: Clock | null;
  readonly #u8: Uint8Array;
  readonly #lookup: Uint8Array;
  readonly #sizes: Uint32Array;
  /** One bit for each 8 bytes: an allocation that the caller holds starts here. */
  readonly #live: Int32Array;
  /** By page: SLAB_FLAG | class | first page, or ~class at the first page of a large extent, or 0. */
  readonly #owner: Int32Array;
  /** By a slab's first page: set bits are free regions. */
  readonly #bitmap: Int32Array;
  /** By a slab's first page: free regions. */
  readonly #slabFree: Int32Array;
  /** By class: slabs with room, and the slab that is being filled (-1: none). */
  readonly #roomy: SlabHeap[];
  readonly #current: Int32Array;
  /** By cached class: 256 entries each. */
  readonly #stacks: Uint32Array;
  readonly #cacheCount: Int32Array;
  readonly #cacheMax: Int32Array;
  readonly #cacheSeen: Int32Array;
  readonly #cachedClasses: number;
  readonly #pool: PagePool;
  /** By class. `#count` holds what is out of the bins (regions) or allocated (large extents). */
  readonly #count: Int32Array;
  readonly #slabs: Int32Array;
  readonly #nmalloc: Float64Array;
  readonly #ndalloc: Float64Array;
  readonly #nfills: Float64Array;
  readonly #nflushes: Float64Array;
  readonly #nslabs: Float64Array;
  /** A double in a typed array: a field would box a number each time it changes. */
  readonly #used = new Float64Array(1);
  #cacheGcAtMs = Number.NEGATIVE_INFINITY;

  constructor(memory: Memory, options: JemallocOptions) {
    const table = typeof options.classes === 'string' ? classTable(options.classes) : options.classes;
    const pages = Math.ceil(memory.byteLength / PAGE);
    const classes = table.sizes.length;
    this.memory = memory;
    this.table = table;
    this.#clock = options.clock ?? null;
    this.#pool = new PagePool(memory, table, options.decayMs ?? DECAY_MS_DEFAULT);
    this.#shift = this.#pool.shift;
    this.#u8 = memory.u8;
    this.#lookup = table.lookup;
    this.#sizes = table.sizes;
    this.#live = new Int32Array(Math.ceil(memory.byteLength / 256));
    this.#owner = new Int32Array(pages);
    this.#bitmap = new Int32Array(pages * BITMAP_WORDS);
    this.#slabFree = new Int32Array(pages);
    const places = new Int32Array(pages);
    this.#roomy = Array.from({ length: table.smallCount }, () => new SlabHeap(places));
    this.#current = new Int32Array(table.smallCount).fill(-1);
    this.#stacks = new Uint32Array(table.cachedCount * 256);
    this.#cacheCount = new Int32Array(table.cachedCount);
    this.#cacheMax = table.cacheMax;
    this.#cacheSeen = new Int32Array(table.cachedCount);
    this.#cachedClasses = table.cachedCount;
    this.#count = new Int32Array(classes);
    this.#slabs = new Int32Array(table.smallCount);
    this.#nmalloc = new Float64Array(classes);
    this.#ndalloc = new Float64Array(classes);
    this.#nfills = new Float64Array(table.cachedCount);
    this.#nflushes = new Float64Array(table.cachedCount);
    this.#nslabs = new Float64Array(table.smallCount);
  }

  get usedBytes(): number {
    return this.#used[0];
  }

  sizeClass(bytes: number): number {
    const c = classOf(this.table, bytes);
    if (c < 0) throw new RangeError(`Cannot size an allocation of ${bytes} bytes: no class is that large`);
    return this.#sizes[c];
  }

  alloc(bytes: number): number {
    if (bytes >>> 0 > CACHED_CLASS_MAX || bytes > CACHED_CLASS_MAX) return this.#allocUncached(bytes);
    const c = this.#lookup[(bytes + 7) >>> 3];
    const n = this.#cacheCount[c] - 1;
    if (n < 0) return this.#allocMiss(c);
    this.#cacheCount[c] = n;
    const offset = this.#stacks[(c << 8) + n];
    this.#live[offset >>> 8] |= 1 << (offset >>> 3);
    this.#used[0] += this.#sizes[c];
    return offset;
  }

  free(offset: number): void {
    if (offset === 0) return;
    const live = this.#live;
    const word = live[offset >>> 8];
    const bit = 1 << (offset >>> 3);
    if ((word & bit) === 0 || (offset & 7) !== 0) throw this.#notAllocated(offset, 'free');
    const page = (offset - this.#shift) >>> 12;
    const owner = this.#owner[page];
    const c = owner > 0 ? (owner >>> 20) & 63 : ~owner;
    live[offset >>> 8] = word & ~bit;
    this.#used[0] -= this.#sizes[c];
    if (c >= this.#cachedClasses) {
      this.#freeLarge(page, c);
      return;
    }
    let n = this.#cacheCount[c];
    if (n === this.#cacheMax[c]) {
      this.#flush(c, n - (n >>> 1));
      n = this.#cacheCount[c];
    }
    this.#stacks[(c << 8) + n] = offset;
    this.#cacheCount[c] = n + 1;
  }

  usableSize(offset: number): number {
    if ((this.#live[offset >>> 8] & (1 << (offset >>> 3))) === 0 || (offset & 7) !== 0) {
      throw this.#notAllocated(offset, 'size');
    }
    const owner = this.#owner[(offset - this.#shift) >>> 12];
    return this.#sizes[owner > 0 ? (owner >>> 20) & 63 : ~owner];
  }

  /**
   * Changes the size of an allocation. It stays where it is if the class is the same, or if it is a large one
   * that can give up or win pages at its end; else its content is copied.
   * @param offset what alloc returned, or 0: then this is alloc
   * @returns the offset, or 0 when the arena is exhausted (the old allocation stays as it was)
   */
  realloc(offset: number, bytes: number): number {
    if (offset === 0) return this.alloc(bytes);
    const oldBytes = this.usableSize(offset);
    const c = classOf(this.table, bytes);
    if (c < 0) return 0;
    const newBytes = this.#sizes[c];
    if (newBytes === oldBytes) return offset;
    if (c >= this.table.smallCount) {
      const page = (offset - this.#shift) >>> 12;
      const owner = this.#owner[page];
      if (owner < 0 && this.#resizeLarge(page, ~owner, c)) return offset;
    }
    const fresh = this.alloc(bytes);
    if (fresh === 0) return 0;
    this.memory.moveBytes(offset, fresh, Math.min(oldBytes, newBytes));
    this.free(offset);
    return fresh;
  }

  /** As `alloc`, but the usable bytes are all zero. Large ones on fresh pages need no store, so a huge table costs nothing until it is used. */
  allocZeroed(bytes: number): number {
    const offset = this.alloc(bytes);
    if (offset === 0) return 0;
    const usable = this.usableSize(offset);
    if (usable <= CACHED_CLASS_MAX || !this.#pool.tookZero) this.#u8.fill(0, offset, offset + usable);
    return offset;
  }

  /**
   * As `alloc`, but past the cache (the original's MALLOCX_TCACHE_NONE): the region comes from the lowest slab with room. For
   * defragmentation, where a cached region would be one of those just freed.
   */
  allocFromSlab(bytes: number): number {
    const c = classOf(this.table, bytes);
    if (c < 0 || c >= this.table.smallCount) return this.alloc(bytes);
    const offset = this.#takeRegion(c);
    if (offset !== 0) this.#markLive(offset, c);
    return offset;
  }

  /** As `free`, but past the cache. */
  freeToSlab(offset: number): void {
    const bytes = this.usableSize(offset);
    const c = classOf(this.table, bytes);
    if (c >= this.table.smallCount) {
      this.free(offset);
      return;
    }
    this.#live[offset >>> 8] &= ~(1 << (offset >>> 3));
    this.#used[0] -= bytes;
    this.#freeRegion(c, offset);
    this.#ndalloc[c]++;
  }

  /**
   * Whether moving this allocation would help (Redis's je_get_defrag_hint): it lies in a slab that is not being filled, has free
   * regions, and is used no more than 1.125 times the average of those slabs of its class that have some.
   */
  defragHint(offset: number): boolean {
    this.usableSize(offset);
    const owner = this.#owner[(offset - this.#shift) >>> 12];
    if (owner < 0) return false;
    const c = (owner >>> 20) & 63;
    const slab = owner & SLAB_PAGE_MASK;
    const current = this.#current[c];
    const free = this.#slabFree[slab];
    if (slab === current || free === 0) return false;
    const regs = this.table.regs[c];
    // Full slabs are no part of the average, nor is the one being filled.
    const nonfull = this.#roomy[c].size;
    let curregs = this.#count[c];
    let full = this.#slabs[c] - nonfull;
    if (current >= 0) {
      curregs -= regs - this.#slabFree[current];
      full -= 1;
    }
    curregs -= full * regs;
    return (regs - free) * nonfull <= curregs + Math.floor(curregs / 8);
  }

  /** Only the original's bundled build knows which allocations lie sparsely; Debian's links the system's. */
  get canDefrag(): boolean {
    return this.table.name === 'upstream';
  }

  moveIfSparse(offset: number): number {
    if (!this.defragHint(offset)) return 0;
    const bytes = this.usableSize(offset);
    const fresh = this.allocFromSlab(bytes);
    if (fresh === 0) return 0;
    this.memory.moveBytes(offset, fresh, bytes);
    this.freeToSlab(offset);
    return fresh;
  }

  /**
   * Lets time pass: purges what has decayed and empties caches nobody uses. Call it from the server's cron.
   * @param nowMs monotonic time in ms; without it the clock given at the start is asked
   */
  tick(nowMs?: number): void {
    if (nowMs === undefined) {
      if (this.#clock === null) throw new Error('Cannot tick without a time: the allocator was given no clock');
      nowMs = this.#clock.monoUs() / 1000;
    }
    this.#pool.tick(nowMs);
    if (nowMs - this.#cacheGcAtMs >= CACHE_GC_INTERVAL_MS) {
      this.#cacheGcAtMs = nowMs;
      this.#collectCaches();
    }
  }

  /** Gives all dirty pages back now (MEMORY PURGE). */
  purgeAll(): void {
    this.#pool.purgeAll();
  }

  /** Returns every cached object to its slab. */
  flushCaches(): void {
    for (let c = 0; c < this.#cachedClasses; c++) if (this.#cacheCount[c] > 0) this.#flush(c, this.#cacheCount[c]);
  }

  /** The counts of this moment. */
  stats(): AllocatorStats {
    let allocated = 0;
    for (let c = 0; c < this.#count.length; c++) allocated += this.#count[c] * this.#sizes[c];
    let cached = 0;
    for (let c = 0; c < this.#cachedClasses; c++) cached += this.#cacheCount[c] * this.#sizes[c];
    const pool = this.#pool;
    const active = pool.activePages * PAGE;
    const dirty = pool.dirtyPages * PAGE;
    // By page: the four tables here (4 + 64 + 4 + 4 bytes), the live bits (64) and those of the pool.
    const metadata = pool.highPage * (76 + 64) + pool.tableBytes;
    const mapped = active + dirty + metadata;
    return {
      allocated,
      active,
      resident: mapped,
      retained: pool.retainedPages * PAGE,
      metadata,
      mapped,
      dirty,
      cached,
      purged: pool.purgedPages * PAGE,
    };
  }

  /** Every small class. */
  bins(): BinStats[] {
    const bins: BinStats[] = [];
    const { regs, pages, smallCount } = this.table;
    for (let c = 0; c < smallCount; c++) {
      const room = this.#slabs[c] * regs[c];
      bins.push({
        size: this.#sizes[c],
        regs: regs[c],
        pages: pages[c],
        curregs: this.#count[c],
        curslabs: this.#slabs[c],
        // The original counts the slabs in its heap; the one being filled is in none.
        nonfull: this.#roomy[c].size,
        util: room === 0 ? 1 : this.#count[c] / room,
        cached: this.#cacheCount[c],
        nmalloc: this.#nmalloc[c],
        ndalloc: this.#ndalloc[c],
        nfills: this.#nfills[c],
        nflushes: this.#nflushes[c],
        nslabs: this.#nslabs[c],
      });
    }
    return bins;
  }

  /** Every large class. */
  larges(): LargeStats[] {
    const larges: LargeStats[] = [];
    for (let c = this.table.smallCount; c < this.#sizes.length; c++) {
      larges.push({
        size: this.#sizes[c],
        nmalloc: this.#nmalloc[c],
        ndalloc: this.#ndalloc[c],
        curlextents: this.#count[c],
      });
    }
    return larges;
  }

  #notAllocated(offset: number, verb: string): Error {
    return new Error(`Cannot ${verb} offset ${offset}: no allocation starts there`);
  }

  #markLive(offset: number, c: number): void {
    this.#live[offset >>> 8] |= 1 << (offset >>> 3);
    this.#used[0] += this.#sizes[c];
  }

  #offsetOf(page: number): number {
    return page * PAGE + this.#shift;
  }

  // ---- large ----

  #allocUncached(bytes: number): number {
    if (!(bytes >= 0)) throw new RangeError(`Cannot allocate ${bytes} bytes: the size must be at least 1`);
    const c = classOf(this.table, bytes);
    if (c < 0) return 0;
    const offset = this.#allocLarge(c);
    if (offset !== 0) this.#markLive(offset, c);
    return offset;
  }

  #allocLarge(c: number): number {
    const page = this.#pool.take(this.table.pages[c]);
    if (page < 0) return 0;
    this.#owner[page] = ~c;
    this.#count[c]++;
    this.#nmalloc[c]++;
    return this.#offsetOf(page);
  }

  #freeLarge(page: number, c: number): void {
    this.#owner[page] = 0;
    this.#count[c]--;
    this.#ndalloc[c]++;
    this.#pool.give(page, this.table.pages[c], this.#sizes[c] >= OVERSIZE_BYTES);
  }

  /** Resizes a large extent in its place. @returns false, nothing changed, if the pages after it are not free */
  #resizeLarge(page: number, from: number, to: number): boolean {
    const oldPages = this.table.pages[from];
    const newPages = this.table.pages[to];
    const end = page + oldPages;
    const more = newPages - oldPages;
    if (more < 0) {
      this.#pool.give(page + newPages, -more, this.#sizes[from] >= OVERSIZE_BYTES);
    } else {
      if (!this.#pool.extend(end, more)) return false;
    }
    this.#owner[page] = ~to;
    this.#count[from]--;
    this.#count[to]++;
    this.#ndalloc[from]++;
    this.#nmalloc[to]++;
    this.#used[0] += this.#sizes[to] - this.#sizes[from];
    return true;
  }

  // ---- cache ----

  #allocMiss(c: number): number {
    if (c >= this.table.smallCount) {
      const large = this.#allocLarge(c);
      if (large !== 0) this.#markLive(large, c);
      return large;
    }
    const want = this.#cacheMax[c] >>> 1;
    const base = c << 8;
    // Stored from the top down, so that the cache gives the regions out in address order.
    let place = base + want;
    while (place > base) {
      const offset = this.#takeRegion(c);
      if (offset === 0) break;
      this.#stacks[--place] = offset;
    }
    const got = base + want - place;
    if (got === 0) return 0;
    if (place > base) this.#stacks.copyWithin(base, place, base + want);
    this.#nfills[c]++;
    this.#cacheCount[c] = got - 1;
    const offset = this.#stacks[base + got - 1];
    this.#markLive(offset, c);
    return offset;
  }

  /** Returns the `n` objects that were cached longest ago. */
  #flush(c: number, n: number): void {
    const base = c << 8;
    const stacks = this.#stacks;
    if (c < this.table.smallCount) {
      for (let i = base; i < base + n; i++) this.#freeRegion(c, stacks[i]);
      this.#ndalloc[c] += n;
    } else {
      for (let i = base; i < base + n; i++) this.#freeLarge((stacks[i] - this.#shift) >>> 12, c);
    }
    stacks.copyWithin(base, base + n, base + this.#cacheCount[c]);
    this.#cacheCount[c] -= n;
    this.#nflushes[c]++;
  }

  /** Classes whose cache holds as much as a round ago lose three quarters of it, as the original's cache collection does. */
  #collectCaches(): void {
    for (let c = 0; c < this.#cachedClasses; c++) {
      const n = this.#cacheCount[c];
      if (n > 0 && n === this.#cacheSeen[c]) this.#flush(c, n - (n >>> 2));
      this.#cacheSeen[c] = this.#cacheCount[c];
    }
  }

  // ---- slabs ----

  /** Takes the lowest free region of the current slab, or of the next one with room. @returns its offset, or 0 */
  #takeRegion(c: number): number {
    let slab = this.#current[c];
    if (slab < 0 || this.#slabFree[slab] === 0) {
      slab = this.#roomy[c].lowest;
      if (slab >= 0) this.#roomy[c].remove(slab);
      else slab = this.#newSlab(c);
      if (slab < 0) return 0;
      this.#current[c] = slab;
    }
    const bitmap = this.#bitmap;
    const first = slab * BITMAP_WORDS;
    let i = first;
    while (bitmap[i] === 0) i++;
    const word = bitmap[i];
    const bit = word & -word;
    bitmap[i] = word ^ bit;
    this.#slabFree[slab]--;
    this.#count[c]++;
    this.#nmalloc[c]++;
    const region = ((i - first) << 5) + 31 - Math.clz32(bit);
    return slab * PAGE + this.#shift + region * this.#sizes[c];
  }

  #newSlab(c: number): number {
    const pages = this.table.pages[c];
    const slab = this.#pool.take(pages);
    if (slab < 0) return -1;
    const mark = SLAB_FLAG | (c << 20) | slab;
    for (let page = slab; page < slab + pages; page++) this.#owner[page] = mark;
    const regs = this.table.regs[c];
    const first = slab * BITMAP_WORDS;
    for (let left = regs, i = first; left > 0; left -= 32, i++) this.#bitmap[i] = left >= 32 ? -1 : (1 << left) - 1;
    this.#slabFree[slab] = regs;
    this.#slabs[c]++;
    this.#nslabs[c]++;
    return slab;
  }

  #freeRegion(c: number, offset: number): void {
    const slab = this.#owner[(offset - this.#shift) >>> 12] & SLAB_PAGE_MASK;
    const region = ((offset - this.#shift - slab * PAGE) / this.#sizes[c]) | 0;
    this.#bitmap[slab * BITMAP_WORDS + (region >>> 5)] |= 1 << region;
    const free = ++this.#slabFree[slab];
    this.#count[c]--;
    if (free === this.table.regs[c]) {
      this.#dropSlab(c, slab);
    } else if (free === 1 && slab !== this.#current[c]) {
      // The slab was full and has room again. The one being filled is always the lowest of those with room.
      const current = this.#current[c];
      if (current > slab) {
        if (this.#slabFree[current] > 0) this.#roomy[c].insert(current);
        this.#current[c] = slab;
      } else {
        this.#roomy[c].insert(slab);
      }
    }
  }

  #dropSlab(c: number, slab: number): void {
    if (slab === this.#current[c]) this.#current[c] = -1;
    else if (this.#roomy[c].has(slab)) this.#roomy[c].remove(slab);
    const pages = this.table.pages[c];
    for (let page = slab; page < slab + pages; page++) this.#owner[page] = 0;
    const first = slab * BITMAP_WORDS;
    this.#bitmap.fill(0, first, first + BITMAP_WORDS);
    this.#slabFree[slab] = 0;
    this.#slabs[c]--;
    this.#pool.give(slab, pages, false);
  }

  /** Recounts everything from the tables. @throws Error naming the first damage found */
  verify(): void {
    this.#pool.verify();
    const { sizes, regs, pages, smallCount } = this.table;
    const count = new Float64Array(sizes.length);
    const slabs = new Float64Array(smallCount);
    const held = new Float64Array(sizes.length);
    let active = 0;
    for (let page = 0; page < this.#owner.length; ) {
      const owner = this.#owner[page];
      if (owner === 0) {
        page++;
        continue;
      }
      const c = owner > 0 ? (owner >>> 20) & 63 : ~owner;
      if (this.#pool.isFree(page, pages[c])) {
        throw new Error(`Allocator is damaged: page ${page} is active and free`);
      }
      if (owner > 0) {
        this.#verifySlab(c, page);
        slabs[c]++;
        count[c] += regs[c] - this.#slabFree[page];
      } else {
        count[c]++;
      }
      for (let i = page * PAGE + this.#shift; i < (page + pages[c]) * PAGE + this.#shift; i += 8) {
        if ((this.#live[i >>> 8] & (1 << (i >>> 3))) !== 0) held[c]++;
      }
      active += pages[c];
      page += pages[c];
    }
    let used = 0;
    for (let c = 0; c < sizes.length; c++) {
      used += held[c] * sizes[c];
      const cached = c < this.#cachedClasses ? this.#cacheCount[c] : 0;
      if (
        count[c] !== this.#count[c] ||
        held[c] + cached !== count[c] ||
        (c < smallCount && slabs[c] !== this.#slabs[c])
      ) {
        throw new Error(
          `Allocator is damaged: class ${sizes[c]} counts ${this.#count[c]}, holds ${held[c]} and caches ${cached}; ${count[c]} found`,
        );
      }
    }
    if (used !== this.#used[0]) throw new Error(`Allocator is damaged: ${used} bytes used, ${this.#used[0]} counted`);
    if (active !== this.#pool.activePages) {
      throw new Error(`Allocator is damaged: ${active} pages active, ${this.#pool.activePages} counted`);
    }
    this.#verifyCaches();
    for (const heap of this.#roomy) heap.verify();
  }

  #verifySlab(c: number, slab: number): void {
    const mark = SLAB_FLAG | (c << 20) | slab;
    for (let page = slab; page < slab + this.table.pages[c]; page++) {
      if (this.#owner[page] !== mark)
        throw new Error(`Allocator is damaged: page ${page} does not name its slab ${slab}`);
    }
    let free = 0;
    for (let region = 0; region < BITMAP_WORDS * 32; region++) {
      if ((this.#bitmap[slab * BITMAP_WORDS + (region >>> 5)] & (1 << region)) === 0) continue;
      const offset = slab * PAGE + this.#shift + region * this.#sizes[c];
      if (region >= this.table.regs[c]) throw new Error(`Allocator is damaged: slab ${slab} has no region ${region}`);
      if ((this.#live[offset >>> 8] & (1 << (offset >>> 3))) !== 0)
        throw new Error(`Allocator is damaged: ${offset} is free and held`);
      free++;
    }
    if (free !== this.#slabFree[slab])
      throw new Error(`Allocator is damaged: slab ${slab} has ${free} free regions, ${this.#slabFree[slab]} counted`);
    const inHeap = this.#roomy[c].has(slab);
    if (inHeap !== (free > 0 && slab !== this.#current[c]))
      throw new Error(`Allocator is damaged: slab ${slab} is wrongly ${inHeap ? 'in' : 'out of'} the heap`);
  }

  #verifyCaches(): void {
    const seen = new Set<number>();
    for (let c = 0; c < this.#cachedClasses; c++) {
      for (let i = 0; i < this.#cacheCount[c]; i++) {
        const offset = this.#stacks[(c << 8) + i];
        const held = (this.#live[offset >>> 8] & (1 << (offset >>> 3))) !== 0;
        const owner = this.#owner[(offset - this.#shift) >>> 12];
        if (seen.has(offset) || held)
          throw new Error(`Allocator is damaged: ${offset} is cached and ${held ? 'held' : 'cached again'}`);
        if ((owner > 0 ? (owner >>> 20) & 63 : ~owner) !== c)
          throw new Error(`Allocator is damaged: ${offset} is cached in a wrong class`);
        seen.add(offset);
      }
    }
  }
}

/**
 * @returns an empty allocator; it takes pages of the arena as it needs them
 * @throws RangeError for an unknown class table
 */
export function createJemalloc(memory: Memory, options: JemallocOptions): Jemalloc {
  return new Jemalloc(memory, options);
}
