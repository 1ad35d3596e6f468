/**
 * Where the threads of one engine get pages from: a bump pointer in the buffer that they share.
 *
 * Each thread has an arena object of its own over the buffer, with its own set of free runs, so that taking and giving pages
 * touches nothing that others see. Only when a thread has no run that is long enough it takes a new stretch here. Pages
 * given back stay with the thread. One compare-and-exchange is all the protection this needs: the pointer only grows, and whoever moves it
 * owns what it passed.
 *
 * The header lies in the bytes before the first page, which no run ever covers because offset 0 is the null pointer. Cells of the header are zero in a new buffer, which is what they mean at the start; so nobody has to come first.
 */

/** Byte offset of the bump pointer: an int32, in pages from page 0 of the arena. */
const BUMP_OFFSET = 64;
/** Byte offset of 8 int32 cells that belong to the engine: where its shared tables are found by its other threads. */
export const ROOT_OFFSET = 128;
export const ROOT_CELLS = 8;
/** The header ends here: page 0 of a shared arena lies behind it. */
export const SHARED_HEADER_BYTES = ROOT_OFFSET + 4 * ROOT_CELLS;
/** Pages that a thread takes at least, so that it comes back seldom. */
const STEP_PAGES = 256;

export class SharedPages {
  private readonly i32: Int32Array;
  private readonly totalPages: number;

  /**
   * @param i32 view of the whole buffer
   * @param totalPages pages of the page space
   */
  constructor(i32: Int32Array, totalPages: number) {
    this.i32 = i32;
    this.totalPages = totalPages;
  }

  /** Nobody gets pages before this one; does nothing when some have been taken already. */
  startAt(page: number): void {
    Atomics.compareExchange(this.i32, BUMP_OFFSET >>> 2, 0, page);
  }

  /** Pages that no thread has taken. */
  get left(): number {
    return this.totalPages - Atomics.load(this.i32, BUMP_OFFSET >>> 2);
  }

  /**
   * Takes a stretch in which `pages` pages lie at a multiple of `align`, and where there is room for it, more.
   * @param origin the page from which alignment counts
   * @param got called with the first page and the number of pages of the stretch
   * @returns false when not enough is left
   */
  take(pages: number, align: number, origin: number, got: (page: number, pages: number) => void): boolean {
    const cell = BUMP_OFFSET >>> 2;
    for (;;) {
      const page = Atomics.load(this.i32, cell);
      const gap = (align - ((page - origin) & (align - 1))) & (align - 1);
      const needed = gap + pages;
      if (page + needed > this.totalPages) return false;
      const length = Math.min(Math.max(needed, STEP_PAGES), this.totalPages - page);
      if (Atomics.compareExchange(this.i32, cell, page, page + length) !== page) continue;
      got(page, length);
      return true;
    }
  }
}
