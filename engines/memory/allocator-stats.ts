/** What the allocator tells about itself: plain figures for INFO, MEMORY and reports. */

/** Counts in bytes, named as the original's `stats.*`. */
export interface AllocatorStats {
  /** Classes of all regions and extents that are not free, cached ones included. */
  allocated: number;
  /** Pages of all slabs and extents. */
  active: number;
  /** active + dirty + metadata. */
  resident: number;
  /** Address space whose memory was given back. */
  retained: number;
  /** The allocator's own tables, as far as they have been touched. */
  metadata: number;
  /** active + dirty + metadata: what is mapped and not retained. */
  mapped: number;
  /** Pages that are free and still hold memory. */
  dirty: number;
  /** Classes of the objects in caches (part of `allocated`). */
  cached: number;
  /** Bytes purged since the start. */
  purged: number;
}

/** One small class, named as in the original's malloc stats. */
export interface BinStats {
  size: number;
  /** Regions and pages of a slab. */
  regs: number;
  pages: number;
  /** Regions not free (cached ones included), slabs, slabs with room. */
  curregs: number;
  curslabs: number;
  nonfull: number;
  /** curregs / (curslabs * regs), 1 without slabs. */
  util: number;
  cached: number;
  /** Regions taken and returned by the cache, fills, flushes, slabs ever made. */
  nmalloc: number;
  ndalloc: number;
  nfills: number;
  nflushes: number;
  nslabs: number;
}

/** One large class. */
export interface LargeStats {
  size: number;
  nmalloc: number;
  ndalloc: number;
  curlextents: number;
}
