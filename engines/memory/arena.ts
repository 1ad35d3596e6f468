/**
 * The arena: all stored data of an engine in one SharedArrayBuffer, handed out in runs of 4 KiB pages.
 *
 * The buffer is as large as the platform gives (4 GiB on Node 20); pages that were never touched cost no physical memory. Page
 * boundaries are those of the process's address space, not of the buffer: the platform's allocator puts a header of 16 bytes before
 * the buffer, and the system can only take back whole pages of its own.
 */
import type { Memory } from '../ports.ts';
import { type ArenaBuffer, type ArenaHandle, makeArenaBuffer } from './arena-buffer.ts';
import { PageRuns } from './page-runs.ts';
import { SHARED_HEADER_BYTES, SharedPages } from './shared-pages.ts';

/** Bytes of a page. */
export const PAGE_BYTES = 4096;
/** An offset is an unsigned 32-bit number, so no arena is larger than this. */
export const ARENA_BYTES_MAX = 4 * 1024 * 1024 * 1024;
/** Below this an arena is of no use and its creation fails. */
export const ARENA_BYTES_MIN = 4 * PAGE_BYTES;

/** What an arena may be given. The system calls come from outside, because this room names no platform. */
export interface ArenaOptions {
  /** Size in bytes, a multiple of 4,096. Default: 4 GiB, halved until the platform gives it. */
  byteLength?: number;
  /** Bytes to use instead of new ones. */
  bytes?: ArenaBuffer;
  /** Pages may only be taken from this offset on: what lies before is somebody else's. */
  takeFrom?: number;
  /**
   * Several threads take pages of these bytes: each has an arena of its own over them, made with this option (and with the same
   * `takeFrom`). Views and offsets mean the same in all. Pages may be given back to any of the arena objects: they are that thread's then.
   */
  shared?: boolean;
  /** Tells the address in this process of the first byte of a view, or 0 if it cannot. */
  addressOf?: (view: Uint8Array) => number;
  /** Returns whole pages to the system so that they read as zero (madvise DONTNEED); false if it could not. */
  purge?: (address: number, bytes: number) => boolean;
}

/** What the arena tells about itself beyond the port. */
export interface Arena extends Memory {
  /** The bytes, for `openArenaBuffer` in another thread. */
  readonly handle: ArenaHandle;
  /** Pages not taken; of a shared arena, those that this object could still get. */
  readonly freePages: number;
  /** Pages there are in all. */
  readonly totalPages: number;
  /** Length in pages of the longest run that can be had. */
  readonly longestRun: number;
  /** Pages from this offset on have never been taken: they read as zero. */
  readonly zeroFrom: number;
  /** Deep check. @throws Error naming the first damage found */
  verify(): void;
}

/** @returns the bytes of an arena of this size, or of as much as the platform gives */
export function makeBuffer(byteLength?: number): ArenaBuffer {
  if (byteLength !== undefined) {
    if (
      !Number.isInteger(byteLength) ||
      byteLength % PAGE_BYTES !== 0 ||
      byteLength < ARENA_BYTES_MIN ||
      byteLength > ARENA_BYTES_MAX
    ) {
      throw new RangeError(
        `Cannot create an arena of ${byteLength} bytes: give a multiple of ${PAGE_BYTES} from ${ARENA_BYTES_MIN} to ${ARENA_BYTES_MAX}`,
      );
    }
    return makeArenaBuffer(byteLength);
  }
  for (let bytes = ARENA_BYTES_MAX; ; bytes /= 2) {
    try {
      return makeArenaBuffer(bytes);
    } catch (error) {
      if (bytes / 2 < ARENA_BYTES_MIN) throw error;
    }
  }
}

class PagedArena implements Arena {
  readonly buffer: SharedArrayBuffer;
  readonly u8: Uint8Array;
  readonly u16: Uint16Array;
  readonly u32: Uint32Array;
  readonly i32: Int32Array;
  readonly f64: Float64Array;
  readonly i64: BigInt64Array;
  readonly view: DataView;
  readonly byteLength: number;
  readonly address: number;
  readonly moveBytes: (from: number, to: number, length: number) => void;
  readonly handle: ArenaHandle;
  readonly totalPages: number;
  readonly #origin: number;
  #zeroFrom = 0;
  readonly #free: PageRuns;
  /** Where more pages come from, when other threads take of them too. */
  readonly #source: SharedPages | null;
  readonly #purge: ((address: number, bytes: number) => boolean) | null;

  constructor(options: ArenaOptions) {
    const { buffer, handle, moveBytes } = options.bytes ?? makeBuffer(options.byteLength);
    this.buffer = buffer;
    this.handle = handle;
    this.moveBytes = moveBytes;
    this.byteLength = buffer.byteLength;
    this.u8 = new Uint8Array(buffer);
    this.u16 = new Uint16Array(buffer);
    this.u32 = new Uint32Array(buffer);
    this.i32 = new Int32Array(buffer);
    this.f64 = new Float64Array(buffer);
    this.i64 = new BigInt64Array(buffer);
    this.view = new DataView(buffer);
    this.address = options.addressOf?.(this.u8) ?? 0;
    this.#purge = options.purge ?? null;
    // Offset 0 is the null pointer, so the page space starts at the next page boundary at the latest.
    const before = PAGE_BYTES - (this.address % PAGE_BYTES);
    this.#origin = options.shared === true && before < SHARED_HEADER_BYTES ? before + PAGE_BYTES : before;
    if (this.#origin % 8 !== 0)
      throw new Error(`Cannot use an arena at address ${this.address}: it is not aligned to 8 bytes`);
    this.totalPages = Math.floor((this.byteLength - this.#origin) / PAGE_BYTES);
    this.#free = new PageRuns(this.totalPages);
    const reserved = Math.max(0, Math.ceil(((options.takeFrom ?? 0) - this.#origin) / PAGE_BYTES));
    this.#source = options.shared === true ? new SharedPages(this.i32, this.totalPages) : null;
    if (this.#source !== null) this.#source.startAt(reserved);
    else this.#free.give(reserved, this.totalPages - reserved);
  }

  takePages(pages: number, alignPages = 1): number {
    if (!Number.isInteger(pages) || pages < 1)
      throw new RangeError(`Cannot take ${pages} pages: give a whole number from 1`);
    if (!(alignPages > 0) || (alignPages & (alignPages - 1)) !== 0) {
      throw new RangeError(`Cannot align to ${alignPages} pages: it is not a power of two`);
    }
    // Alignment counts in addresses of the process; without one, in offsets from the first page boundary.
    const firstPage = this.address === 0 ? 0 : Math.floor((this.address + this.#origin) / PAGE_BYTES) % alignPages;
    let page = this.#takeRun(pages, alignPages, -firstPage);
    if (page < 0 && this.#source?.take(pages, alignPages, -firstPage, this.#addStretch) === true) {
      page = this.#takeRun(pages, alignPages, -firstPage);
    }
    if (page < 0) return 0;
    const offset = this.#origin + page * PAGE_BYTES;
    this.#zeroFrom = Math.max(this.#zeroFrom, offset + pages * PAGE_BYTES);
    return offset;
  }

  #takeRun(pages: number, align: number, origin: number): number {
    return align === 1 ? this.#free.take(pages) : this.#free.takeAligned(pages, align, origin);
  }

  readonly #addStretch = (page: number, pages: number): void => this.#free.give(page, pages);

  get zeroFrom(): number {
    return this.#zeroFrom;
  }

  #pageOf(offset: number, verb: string): number {
    const page = (offset - this.#origin) / PAGE_BYTES;
    if (!Number.isInteger(page) || page < 0)
      throw new RangeError(`Cannot ${verb} pages at offset ${offset}: no page starts there`);
    return page;
  }

  givePages(offset: number, pages: number): void {
    const page = this.#pageOf(offset, 'give back');
    if (this.#free.overlaps(page, pages))
      throw new RangeError(`Cannot give back ${pages} pages at offset ${offset}: not taken`);
    this.#free.give(page, pages);
    // Those of another thread's arena object.
    if (this.#source !== null) this.#zeroFrom = Math.max(this.#zeroFrom, offset + pages * PAGE_BYTES);
  }

  purge(offset: number, pages: number): boolean {
    this.#pageOf(offset, 'purge');
    if (this.#purge === null || this.address === 0) return false;
    return this.#purge(this.address + offset, pages * PAGE_BYTES);
  }

  get freePages(): number {
    return this.#free.total + (this.#source?.left ?? 0);
  }

  get longestRun(): number {
    return Math.max(this.#free.longest, this.#source?.left ?? 0);
  }

  verify(): void {
    this.#free.verify();
  }
}

/**
 * @returns an empty arena
 * @throws RangeError when the size asked for is impossible or the platform does not give it
 */
export function createArena(options: ArenaOptions = {}): Arena {
  return new PagedArena(options);
}
