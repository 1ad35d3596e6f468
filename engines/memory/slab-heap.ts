/**
 * The slabs of one class that have room, as a binary heap by address: the lowest is filled first, so that the others can drain
 * and be given back. A table shared by all classes knows each slab's place, so that any one can be taken out.
 */
export class SlabHeap {
  /** By a slab's first page: its place in its heap + 1, 0 if it is in none. */
  readonly #places: Int32Array;
  #heap = new Int32Array(16);
  #size = 0;

  /** @param places one entry a page; a slab is in at most one of the heaps that share it */
  constructor(places: Int32Array) {
    this.#places = places;
  }

  get size(): number {
    return this.#size;
  }

  /** The slab at the lowest address, or -1. */
  get lowest(): number {
    return this.#size > 0 ? this.#heap[0] : -1;
  }

  has(slab: number): boolean {
    return this.#places[slab] !== 0;
  }

  insert(slab: number): void {
    if (this.#size === this.#heap.length) {
      const larger = new Int32Array(this.#size * 2);
      larger.set(this.#heap);
      this.#heap = larger;
    }
    this.#up(this.#size++, slab);
  }

  /** Takes out a slab that is in this heap. */
  remove(slab: number): void {
    const heap = this.#heap;
    const size = --this.#size;
    const place = this.#places[slab] - 1;
    this.#places[slab] = 0;
    if (place === size) return;
    const last = heap[size];
    if (place > 0 && heap[(place - 1) >>> 1] > last) this.#up(place, last);
    else this.#down(place, last);
  }

  #up(place: number, slab: number): void {
    const heap = this.#heap;
    while (place > 0) {
      const parent = (place - 1) >>> 1;
      const above = heap[parent];
      if (above <= slab) break;
      heap[place] = above;
      this.#places[above] = place + 1;
      place = parent;
    }
    heap[place] = slab;
    this.#places[slab] = place + 1;
  }

  #down(place: number, slab: number): void {
    const heap = this.#heap;
    const size = this.#size;
    for (;;) {
      let child = 2 * place + 1;
      if (child >= size) break;
      if (child + 1 < size && heap[child + 1] < heap[child]) child++;
      const below = heap[child];
      if (below >= slab) break;
      heap[place] = below;
      this.#places[below] = place + 1;
      place = child;
    }
    heap[place] = slab;
    this.#places[slab] = place + 1;
  }

  /** @throws Error when order or places are damaged */
  verify(): void {
    for (let i = 0; i < this.#size; i++) {
      const slab = this.#heap[i];
      if (this.#places[slab] !== i + 1 || (i > 0 && this.#heap[(i - 1) >>> 1] >= slab)) {
        throw new Error(`Allocator is damaged: the heap of slabs with room is out of order at slab ${slab}`);
      }
    }
  }
}
