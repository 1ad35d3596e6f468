/**
 * jemalloc's size classes: multiples of the quantum up to four quanta's group, then four classes a doubling. Small classes live in slabs of
 * lcm(class, page) bytes; large ones (from 16 KiB) take pages of their own.
 *
 * Two builds are known, because they differ where it shows: Debian's package (jemalloc 5.3.0, quantum 16: a dictEntry of
 * 24 bytes takes 32) and the version bundled with Redis (5.2.1, quantum 8: it takes 24).
 */

const PAGE = 4096;
/** The first class that is large: four pages, as in both builds. */
export const LARGE_CLASS_MIN = 16_384;
/** The largest class that the thread cache keeps (`opt.tcache_max`). */
export const CACHED_CLASS_MAX = 32_768;
/** Cached objects of a small class: twice the regions of a slab, within these bounds (`opt.tcache_nslots_small_min` and `_max`). */
const CACHE_SMALL_MIN = 20;
const CACHE_SMALL_MAX = 200;
/** Cached objects of a large class (`opt.tcache_nslots_large`). */
const CACHE_LARGE = 20;
/** The last class: an arena of 4 GiB cannot hold the next. */
const CLASS_MAX = 3.5 * 1024 * 1024 * 1024;

/** Which known build. */
export type ClassTableName = 'debian' | 'upstream';

/** A table of size classes, smallest first. All arrays are indexed by class. */
export interface ClassTable {
  readonly name: string;
  /** What the original calls this allocator in INFO's mem_allocator. */
  readonly label: string;
  /** Bytes of each class. */
  readonly sizes: Uint32Array;
  /** Number of small classes; the following ones are large. */
  readonly smallCount: number;
  /** Number of classes, small and large, that the thread cache keeps. */
  readonly cachedCount: number;
  /** Regions in a slab (small classes). */
  readonly regs: Int32Array;
  /** Pages of a slab, or of a large extent with the page that cache_oblivious adds. */
  readonly pages: Int32Array;
  /** Objects that the cache of a class holds at the most (cached classes). */
  readonly cacheMax: Int32Array;
  /** Class by (bytes + 7) >>> 3 for bytes up to CACHED_CLASS_MAX. */
  readonly lookup: Uint8Array;
}

function gcd(a: number, b: number): number {
  return b === 0 ? a : gcd(b, a % b);
}

function sizesOf(quantum: number): number[] {
  const sizes = quantum === 16 ? [8, 16, 32, 48, 64] : [8, 16, 24, 32, 40, 48, 56, 64];
  for (let base = 64; ; base *= 2) {
    for (let i = 1; i <= 4; i++) {
      const size = base + (base / 4) * i;
      if (size > CLASS_MAX) return sizes;
      sizes.push(size);
    }
  }
}

function build(name: string, label: string, quantum: 8 | 16): ClassTable {
  const sizes = sizesOf(quantum);
  const smallCount = sizes.filter((size) => size < LARGE_CLASS_MIN).length;
  const cachedCount = sizes.filter((size) => size <= CACHED_CLASS_MAX).length;
  const regs = new Int32Array(smallCount);
  const pages = new Int32Array(sizes.length);
  const cacheMax = new Int32Array(cachedCount);
  sizes.forEach((size, c) => {
    if (c < smallCount) {
      regs[c] = PAGE / gcd(size, PAGE);
      pages[c] = size / gcd(size, PAGE);
      cacheMax[c] = Math.min(CACHE_SMALL_MAX, Math.max(CACHE_SMALL_MIN, regs[c] * 2));
    } else {
      pages[c] = size / PAGE + 1;
      if (c < cachedCount) cacheMax[c] = CACHE_LARGE;
    }
  });
  const lookup = new Uint8Array((CACHED_CLASS_MAX >>> 3) + 1);
  for (let eighth = 0, c = 0; eighth < lookup.length; eighth++) {
    while (sizes[c] < eighth * 8) c++;
    lookup[eighth] = c;
  }
  return { name, label, sizes: Uint32Array.from(sizes), smallCount, cachedCount, regs, pages, cacheMax, lookup };
}

/**
 * The table of a known build.
 * @throws RangeError for another name
 */
export function classTable(name: ClassTableName): ClassTable {
  if (name === 'debian') return build('debian', 'jemalloc-5.3.0', 16);
  if (name === 'upstream') return build('upstream', 'jemalloc-5.2.1', 8);
  throw new RangeError(`Cannot build the class table "${String(name)}": known are debian and upstream`);
}

/** @returns the class for `bytes` (1 to 3.5 GiB), or -1 where none is large enough */
export function classOf(table: ClassTable, bytes: number): number {
  if (bytes <= CACHED_CLASS_MAX) return table.lookup[(bytes + 7) >>> 3];
  if (bytes > CLASS_MAX) return -1;
  const last = bytes - 1;
  const log2 = 31 - Math.clz32(last);
  return table.cachedCount + (log2 - 15) * 4 + ((last >>> (log2 - 2)) & 3);
}
