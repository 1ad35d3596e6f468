/**
 * Magazines: of each slab class every worker thread keeps back the chunk that it freed last, and takes it for its next item (Bonwick and Adams,
 * "Magazines and Vmem", with one round a magazine). A thread that stores over and over then leaves the slab lock and the common free list
 * alone, whose cache lines would travel between the cores with every SET, and writes into a chunk that its own core still has.
 *
 * A cell holds 0 (empty), a chunk's offset, or CLOSED. Only its thread puts a chunk in, by compare-and-exchange; anybody takes one out in the same way.
 * What is kept counts as free: who finds the free list empty takes from other threads' magazines before a page or an eviction is thought of, and
 * the page mover closes those of a class whose page it moves, so that nothing of the class is freed or handed out but under LOCK_SLABS.
 *
 * A kept chunk has no flags and no references.
 */
import { CLASS_COUNT } from './layout.ts';
import type { SharedBlock } from './shared-block.ts';

const EMPTY = 0;
/** No chunk lies at this offset. */
const CLOSED = 1;
/** Of a thread that keeps nothing back. */
const NONE = -1;

export class Magazines {
  readonly #cells: Uint32Array;
  /** Where this thread's cells begin, or NONE. */
  readonly #own: number;

  /** @param thread number of the worker; null for a thread that is alone or executes no commands */
  constructor(block: SharedBlock, thread: number | null) {
    this.#cells = block.magazines;
    this.#own = thread === null ? NONE : thread * CLASS_COUNT;
  }

  /** Takes what this thread has kept of a class. @returns 0 for nothing */
  take(id: number): number {
    if (this.#own === NONE) return 0;
    const cells = this.#cells;
    const chunk = cells[this.#own + id];
    if (chunk <= CLOSED) return 0;
    return Atomics.compareExchange(cells, this.#own + id, chunk, EMPTY) === chunk ? chunk : 0;
  }

  /** Whether this thread would keep a chunk of the class. */
  hasRoom(id: number): boolean {
    return this.#own !== NONE && this.#cells[this.#own + id] === EMPTY;
  }

  /** Keeps a chunk back. @returns false when it cannot: somebody has closed the magazine meanwhile */
  put(chunk: number, id: number): boolean {
    return Atomics.compareExchange(this.#cells, this.#own + id, EMPTY, chunk) === EMPTY;
  }

  /** Takes a chunk that any thread has kept. @returns 0 for none */
  takeAny(id: number): number {
    const cells = this.#cells;
    for (let at = id; at < cells.length; at += CLASS_COUNT) {
      const chunk = Atomics.load(cells, at);
      if (chunk > CLOSED && Atomics.compareExchange(cells, at, chunk, EMPTY) === chunk) return chunk;
    }
    return 0;
  }

  /** Closes the magazine of thread number `thread`. @returns the chunk that was in it, or 0 */
  close(id: number, thread: number): number {
    const before = Atomics.exchange(this.#cells, thread * CLASS_COUNT + id, CLOSED);
    return before > CLOSED ? before : 0;
  }

  /** Opens all that `close` closed. */
  open(id: number): void {
    const cells = this.#cells;
    for (let at = id; at < cells.length; at += CLASS_COUNT) Atomics.compareExchange(cells, at, CLOSED, EMPTY);
  }

  /** Worker threads. */
  get threads(): number {
    return this.#cells.length / CLASS_COUNT;
  }

  /** The chunk of a class that a thread keeps, or 0. */
  kept(id: number, thread: number): number {
    const chunk = Atomics.load(this.#cells, thread * CLASS_COUNT + id);
    return chunk > CLOSED ? chunk : 0;
  }

  /** How many chunks of a class are kept. */
  count(id: number): number {
    let sum = 0;
    for (let thread = 0; thread < this.threads; thread++) if (this.kept(id, thread) !== 0) sum++;
    return sum;
  }
}
