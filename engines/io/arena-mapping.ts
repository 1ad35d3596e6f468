/**
 * Frozen views of an arena without a fork. The pages of the arena's buffer are those of a memory file (memfd), mapped shared. A
 * snapshot maps them anew as private: from then on the kernel copies each page at the first store to it, exactly as it does for a
 * process that has forked, while the memory file keeps what was there at that moment. A thread that maps the file into a
 * buffer of its own reads the frozen data. Afterwards the copies are written back to the file piece by piece, and the pieces are mapped
 * shared again.
 *
 * Nothing of this costs the engine a store that it would not make without it, and no privilege is needed.
 */
import { closeSync, openSync, readSync, writeSync } from 'node:fs';
import { addressOf, systemCalls } from './system.ts';

export const PAGE_BYTES = 4096;

const PROT_READ_WRITE = 3;
const MAP_SHARED = 1;
const MAP_PRIVATE = 2;
const MAP_FIXED = 16;
const MAP_NORESERVE = 0x4000;
const MFD_CLOEXEC = 1;
const FALLOC_PUNCH_HOLE = 3;
const MADV_DONTNEED = 4;
/**
 * Pages that are looked at, and mapped shared again, in one piece of the merge. A piece with a copy in every seventh page takes 0.1 ms;
 * smaller ones cost more calls (twice the time in all with 64 pages), larger ones gain nothing.
 */
const PIECE_PAGES = 256;
/** Pages that are let go in one piece before they are frozen: some 50 µs. */
const THIN_PAGES = 512;
/** Pages whose entries are read at a time when copies are only counted. */
const COUNT_PAGES = 8_192;
/** An entry of /proc/self/pagemap: 8 bytes a page; in the upper word bit 31 is "present", 30 "swapped", 29 "file page or shared". */
const ENTRY_BYTES = 8;

/** Where the whole pages of a buffer lie: its address is rarely a page boundary. */
interface PageSpan {
  /** Address of the first whole page, and its offset in the buffer. */
  readonly base: number;
  readonly origin: number;
  readonly bytes: number;
}

function pageSpan(buffer: SharedArrayBuffer): PageSpan | null {
  const address = addressOf(new Uint8Array(buffer));
  if (address === 0) return null;
  const origin = PAGE_BYTES - (address % PAGE_BYTES);
  const bytes = Math.floor((buffer.byteLength - origin) / PAGE_BYTES) * PAGE_BYTES;
  return { base: address + origin, origin, bytes };
}

/** What another thread needs to see the frozen data. */
export interface FrozenView {
  readonly fd: number;
  readonly origin: number;
  readonly byteLength: number;
  /** Address in this process of the first whole page of the frozen buffer: what is stored there meanwhile is copied. */
  readonly base: number;
}

/** Tells from an entry of /proc/self/pagemap, by its upper word, whether the page is a copy. */
function isCopy(upper: number): boolean {
  return (upper & 0xc0000000) !== 0 && (upper & 0x20000000) === 0;
}

/** Reads entries of /proc/self/pagemap. @param page number of the first page in the process */
function readEntries(pagemap: number, entries: Uint8Array, page: number, count: number): void {
  const wanted = count * ENTRY_BYTES;
  if (readSync(pagemap, entries, 0, wanted, page * ENTRY_BYTES) !== wanted) {
    throw new Error('Cannot tell which pages a snapshot has copied: /proc/self/pagemap is short');
  }
}

/**
 * Counts the pages of a frozen arena that have been copied so far. Any thread of the process may: it is work for milliseconds, which
 * nobody should have to wait for.
 * @param usedBytes how far into the arena it has been used: what lies behind holds no copies
 */
export function countCopies(view: FrozenView, usedBytes: number): number {
  const words = new Uint32Array((COUNT_PAGES * ENTRY_BYTES) / 4);
  const bytes = new Uint8Array(words.buffer);
  const last = Math.ceil(Math.min(usedBytes, view.byteLength - view.origin) / PAGE_BYTES);
  const pagemap = openSync('/proc/self/pagemap', 'r');
  let copies = 0;
  try {
    for (let page = 0; page < last; page += COUNT_PAGES) {
      const count = Math.min(COUNT_PAGES, last - page);
      readEntries(pagemap, bytes, view.base / PAGE_BYTES + page, count);
      for (let i = 0; i < count; i++) if (isCopy(words[i * 2 + 1]!)) copies++;
    }
  } finally {
    closeSync(pagemap);
  }
  return copies;
}

export class ArenaMapping {
  private readonly buffer: Uint8Array;
  private readonly span: PageSpan;
  private readonly fd: number;
  private readonly pagemap: number;
  private readonly entries = new Uint32Array((PIECE_PAGES * ENTRY_BYTES) / 4);
  private readonly entryBytes = new Uint8Array(this.entries.buffer);
  /** A frozen view is in use. */
  private frozen = false;
  /** Pages before this one are mapped shared again; the span's number of pages when all are. */
  private merged: number;
  /** Pages before this one have been let go for the freeze to come. */
  private thinned = 0;
  private readonly pages: number;
  /** Pages that were copied by the last snapshot and have been merged so far. */
  copiedPages = 0;

  private constructor(buffer: SharedArrayBuffer, span: PageSpan, fd: number, pagemap: number) {
    this.buffer = new Uint8Array(buffer);
    this.span = span;
    this.fd = fd;
    this.pagemap = pagemap;
    this.pages = span.bytes / PAGE_BYTES;
    this.merged = this.pages;
  }

  /**
   * Puts a memory file under the pages of a buffer that has never been written to.
   * @returns null where the platform cannot
   */
  static create(buffer: SharedArrayBuffer): ArenaMapping | null {
    const sys = systemCalls();
    const span = pageSpan(buffer);
    if (sys === null || span === null || sys.memfd === null) return null;
    let pagemap: number;
    try {
      pagemap = openSync('/proc/self/pagemap', 'r');
    } catch {
      return null;
    }
    const fd = sys.memfd('cachelab-arena', MFD_CLOEXEC);
    if (fd >= 0 && sys.ftruncate(fd, span.bytes) === 0) {
      const mapping = new ArenaMapping(buffer, span, fd, pagemap);
      if (mapping.map(MAP_SHARED, 0, span.bytes)) return mapping;
    }
    if (fd >= 0) closeSync(fd);
    closeSync(pagemap);
    return null;
  }

  private map(kind: number, offset: number, bytes: number): boolean {
    const { base } = this.span;
    const flags = kind | MAP_FIXED | MAP_NORESERVE;
    return systemCalls()!.mmap(base + offset, bytes, PROT_READ_WRITE, flags, this.fd, offset) === base + offset;
  }

  /** Whether a snapshot can be begun: none is in use, and the last one has been merged. */
  get ready(): boolean {
    return !this.frozen && this.merged === this.pages;
  }

  /** Whether there are copies to merge and nobody reads the frozen view any more. */
  get merging(): boolean {
    return !this.frozen && this.merged < this.pages;
  }

  /**
   * Lets go the page table entries of what is to be frozen soon, until the time is over: a freeze has to remove all that are left, which
   * takes 50 ns each while everything waits. The pages stay in the memory file, and are mapped again when they are touched.
   * @param usedBytes how far into the arena it has been used
   * @param expired tells whether the time is over; asked after each piece
   * @returns whether it has been through everything
   */
  thin(usedBytes: number, expired: () => boolean): boolean {
    const last = Math.min(this.pages, Math.ceil(usedBytes / PAGE_BYTES));
    while (this.thinned < last) {
      const count = Math.min(THIN_PAGES, last - this.thinned);
      systemCalls()!.madvise(this.span.base + this.thinned * PAGE_BYTES, count * PAGE_BYTES, MADV_DONTNEED);
      this.thinned += count;
      if (expired()) break;
    }
    return this.thinned >= last;
  }

  /** Freezes what the arena holds now. @returns null when it is not ready or the system refuses */
  freeze(): FrozenView | null {
    if (!this.ready || !this.map(MAP_PRIVATE, 0, this.span.bytes)) return null;
    this.frozen = true;
    this.merged = 0;
    this.thinned = 0;
    this.copiedPages = 0;
    const { origin, base } = this.span;
    return { fd: this.fd, origin, byteLength: this.buffer.byteLength, base };
  }

  /** Nobody reads the frozen view any more: merging may begin. */
  release(): void {
    this.frozen = false;
  }

  /**
   * Writes copies back and maps their pieces shared again until the time is over.
   * @param usedBytes how far into the arena it has been used: what lies behind holds no copies
   * @param expired tells whether the time is over; asked after each piece
   * @returns whether everything is merged
   */
  merge(usedBytes: number, expired: () => boolean): boolean {
    const last = Math.min(this.pages, Math.ceil(usedBytes / PAGE_BYTES));
    while (this.merged < last) {
      this.mergePiece();
      if (expired()) return false;
    }
    if (this.merged < this.pages) {
      // Nothing behind has ever been stored to.
      const offset = this.merged * PAGE_BYTES;
      if (!this.map(MAP_SHARED, offset, this.span.bytes - offset))
        throw new Error('Cannot merge a snapshot: mmap failed');
      this.merged = this.pages;
    }
    return true;
  }

  private mergePiece(): void {
    const first = this.merged;
    const count = Math.min(PIECE_PAGES, this.pages - first);
    const { entries } = this;
    readEntries(this.pagemap, this.entryBytes, this.span.base / PAGE_BYTES + first, count);
    for (let i = 0; i < count; i++) {
      if (!isCopy(entries[i * 2 + 1]!)) continue;
      let end = i + 1;
      while (end < count && isCopy(entries[end * 2 + 1]!)) end++;
      this.writeBack(first + i, end - i);
      this.copiedPages += end - i;
      i = end;
    }
    if (!this.map(MAP_SHARED, first * PAGE_BYTES, count * PAGE_BYTES)) {
      throw new Error('Cannot merge a snapshot: mmap failed');
    }
    this.merged = first + count;
  }

  private writeBack(page: number, count: number): void {
    let at = page * PAGE_BYTES;
    const end = at + count * PAGE_BYTES;
    while (at < end) at += writeSync(this.fd, this.buffer, this.span.origin + at, end - at, at);
  }

  /**
   * Gives whole pages back to the system; they read as zero afterwards.
   * @returns false while a snapshot has private pages: they are unchanged then
   */
  purge(address: number, bytes: number): boolean {
    if (this.merged < this.pages) return false;
    const offset = address - this.span.base;
    return systemCalls()!.fallocate!(this.fd, FALLOC_PUNCH_HOLE, offset, bytes) === 0;
  }

  /** Closes the memory file; the mapping lives as long as the buffer. */
  close(): void {
    closeSync(this.fd);
    closeSync(this.pagemap);
  }
}

/**
 * Maps a frozen view under the pages of a buffer of this thread. Stores to it stay in this thread.
 * @returns false where the buffer lies differently or the system refuses
 */
export function mapFrozen(buffer: SharedArrayBuffer, view: FrozenView): boolean {
  const sys = systemCalls();
  const span = pageSpan(buffer);
  if (sys === null || span === null || span.origin !== view.origin) return false;
  const flags = MAP_PRIVATE | MAP_FIXED | MAP_NORESERVE;
  return sys.mmap(span.base, span.bytes, PROT_READ_WRITE, flags, view.fd, 0) === span.base;
}

/**
 * Lets go the physical pages that this thread's view of the frozen data has been read into: they are the file's.
 * @param bytes from the arena's beginning; what this thread has stored there is lost
 */
export function dropFrozen(buffer: SharedArrayBuffer, bytes: number): void {
  const span = pageSpan(buffer);
  if (span === null) return;
  const whole = Math.floor(Math.min(bytes, span.bytes) / PAGE_BYTES) * PAGE_BYTES;
  if (whole > 0) systemCalls()?.madvise(span.base, whole, MADV_DONTNEED);
}
