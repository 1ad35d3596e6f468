/**
 * The allocator's pages: active ones are in use, dirty ones are free but still hold memory, retained ones are address space whose
 * memory went back to the system. Wanted pages come from the dirty ones, then from the retained ones, then from the arena.
 */
import type { Memory } from '../ports.ts';
import type { Arena } from './arena.ts';
import { Decay } from './decay.ts';
import { PageRuns } from './page-runs.ts';
import { type ClassTable, classOf } from './size-classes.ts';

const PAGE = 4096;
/** The first run that is taken from the arena; the next ones follow the size classes upwards, as the original's do. */
const GROW_BYTES_FIRST = 2 * 1024 * 1024;

export class PagePool {
  /** Offset of page 0 within its page: the same for every run of one arena. */
  readonly shift: number;
  /** Pages in use. */
  activePages = 0;
  /** Pages purged since the start. */
  purgedPages = 0;
  /** Pages from 0 on that have ever been in use: as far as tables by page have been touched. */
  highPage = 0;
  /** Whether the pages taken last read as zero. */
  tookZero = false;
  readonly #memory: Memory;
  readonly #sizes: Uint32Array;
  readonly #decay: Decay;
  readonly #dirty: PageRuns;
  readonly #retained: PageRuns;
  /** Whether all retained pages read as zero: true as long as the system takes what is purged. */
  #retainedIsZero = true;
  #growClass: number;

  constructor(memory: Memory, table: ClassTable, decayMs: number) {
    const pages = Math.ceil(memory.byteLength / PAGE);
    this.#memory = memory;
    this.#sizes = table.sizes;
    this.#decay = new Decay(decayMs);
    this.#dirty = new PageRuns(pages, true);
    this.#retained = new PageRuns(pages);
    this.#growClass = classOf(table, GROW_BYTES_FIRST);
    // One page is asked for and given back to learn where page boundaries lie in this arena.
    const probe = memory.takePages(1);
    this.shift = probe % PAGE;
    if (probe !== 0) memory.givePages(probe, 1);
  }

  get dirtyPages(): number {
    return this.#dirty.total;
  }

  get retainedPages(): number {
    return this.#retained.total;
  }

  /** Bytes of this pool's tables, as far as they have been touched. */
  get tableBytes(): number {
    return this.#dirty.tableBytes(this.highPage) + this.#retained.tableBytes(this.highPage);
  }

  /** @returns the first page of a run that now is active, or -1 when the arena is exhausted */
  take(pages: number): number {
    let page = this.#dirty.take(pages);
    this.tookZero = page < 0;
    if (page < 0) page = this.#retained.take(pages);
    if (page < 0) page = this.#grow(pages);
    if (page < 0) {
      // Dirty and retained pages may lie side by side; given back, they form one run.
      this.#purgeDirty(this.#dirty.total);
      page = this.#retained.take(pages);
    }
    if (!this.#retainedIsZero) this.tookZero = false;
    if (page >= 0) this.#activate(page, pages);
    return page;
  }

  /** Makes the pages from `page` on active if they are free in one run that starts there. */
  extend(page: number, pages: number): boolean {
    if (!this.#dirty.takeAt(page, pages) && !this.#retained.takeAt(page, pages)) return false;
    this.#activate(page, pages);
    return true;
  }

  #activate(page: number, pages: number): void {
    this.activePages += pages;
    if (page + pages > this.highPage) this.highPage = page + pages;
  }

  /** Takes more of the arena: as much as the next growth step says, or else just what is needed. */
  #grow(pages: number): number {
    const step = Math.min(this.#growClass, this.#sizes.length - 1);
    const wanted = Math.max(pages, this.#sizes[step] / PAGE);
    const zeroFrom = (this.#memory as Partial<Arena>).zeroFrom ?? Number.POSITIVE_INFINITY;
    let got = wanted;
    let offset = this.#memory.takePages(wanted);
    if (offset === 0 && wanted > pages) {
      got = pages;
      offset = this.#memory.takePages(pages);
    }
    if (offset === 0) return -1;
    if (got === wanted) this.#growClass = step + 1;
    // Pages that someone had before are made zero, so that all retained ones are alike.
    if (offset < zeroFrom && !this.#memory.purge(offset, got)) this.#retainedIsZero = false;
    this.#retained.give((offset - this.shift) / PAGE, got);
    return this.#retained.take(pages);
  }

  /** Frees active pages: they become dirty, or with `atOnce` retained. */
  give(page: number, pages: number, atOnce: boolean): void {
    this.activePages -= pages;
    if (atOnce) this.#purgeRun(page, pages);
    else this.#dirty.give(page, pages);
  }

  /** Purges the dirty pages that have decayed. */
  tick(nowMs: number): void {
    const dirty = this.#dirty.total;
    const limit = this.#decay.limit(nowMs, dirty);
    if (limit < dirty) this.#purgeDirty(dirty - limit);
  }

  /** Purges all dirty pages. */
  purgeAll(): void {
    this.#purgeDirty(this.#dirty.total);
  }

  /** Where the system cannot take pages the counts still follow the model. */
  #purgeRun(page: number, pages: number): void {
    if (!this.#memory.purge(page * PAGE + this.shift, pages)) this.#retainedIsZero = false;
    this.purgedPages += pages;
    this.#retained.give(page, pages);
  }

  /** Purges this many dirty pages, those of the oldest runs first and of each run those at its end. */
  #purgeDirty(pages: number): void {
    const dirty = this.#dirty;
    while (pages > 0 && dirty.oldest >= 0) {
      let page = dirty.oldest;
      let length = dirty.lengthAt(page);
      if (length > pages) {
        page = dirty.takeTail(page, pages);
        length = pages;
      } else {
        dirty.takeAt(page, length);
      }
      this.#purgeRun(page, length);
      pages -= length;
    }
  }

  /** Whether any of these pages is dirty or retained. */
  isFree(page: number, pages: number): boolean {
    return this.#dirty.overlaps(page, pages) || this.#retained.overlaps(page, pages);
  }

  /** @throws Error when a table is damaged */
  verify(): void {
    this.#dirty.verify();
    this.#retained.verify();
    this.#dirty.forEach((page, pages) => {
      if (this.#retained.overlaps(page, pages))
        throw new Error(`Allocator is damaged: page ${page} is dirty and retained`);
    });
  }
}
