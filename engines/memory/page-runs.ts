/**
 * A set of free page runs, found by lowest address.
 *
 * Why a tree over the pages: first fit at the lowest address packs long-lived data at the front of the arena and keeps
 * the end free, and a plain list would have to be walked for it. Here leaf `p` of a binary tree holds the length of the free run
 * that starts at page `p` (0: none starts there) and each inner node the larger of its two children, so the lowest run of at
 * least n pages is found by one walk from the root (20 steps for 4 GiB). A second table tells which run ends
 * at a page, so that neighbours merge without a search. Both tables are typed arrays that cost nothing until touched.
 *
 * With `aged`, runs also form a list by the time they were given (a merged run counts as new): decay takes the oldest first.
 */
export class PageRuns {
  /** Pages in all runs together. */
  total = 0;
  /** Number of runs. */
  count = 0;
  readonly #leaves: number;
  readonly #pages: number;
  readonly #tree: Int32Array;
  /** At the last page of a run: its first page + 1. */
  readonly #endToStart: Int32Array;
  readonly #next: Int32Array | null;
  readonly #prev: Int32Array | null;

  /**
   * @param pages number of pages of the space; page numbers are 0 to pages - 1
   * @param aged whether `oldest` is wanted
   */
  constructor(pages: number, aged = false) {
    let leaves = 1;
    while (leaves < pages) leaves *= 2;
    this.#leaves = leaves;
    this.#pages = pages;
    this.#tree = new Int32Array(leaves * 2);
    this.#endToStart = new Int32Array(pages);
    // The list's head is node 0; page p is node p + 1. An untouched table therefore is an empty list.
    this.#next = aged ? new Int32Array(pages + 1) : null;
    this.#prev = aged ? new Int32Array(pages + 1) : null;
  }

  /** Bytes of the tables that describe the first `pages` pages: what bookkeeping costs once they have been used. */
  tableBytes(pages: number): number {
    return pages * (this.#next === null ? 12 : 20);
  }

  #setLeaf(page: number, length: number): void {
    const tree = this.#tree;
    let i = this.#leaves + page;
    tree[i] = length;
    while (i > 1) {
      const a = tree[i];
      const b = tree[i ^ 1];
      const max = Math.max(a, b);
      i >>>= 1;
      if (tree[i] === max) return;
      tree[i] = max;
    }
  }

  #link(page: number): void {
    const next = this.#next;
    const prev = this.#prev;
    if (next === null || prev === null) return;
    const node = page + 1;
    const last = prev[0];
    next[last] = node;
    prev[node] = last;
    next[node] = 0;
    prev[0] = node;
  }

  #unlink(page: number): void {
    const next = this.#next;
    const prev = this.#prev;
    if (next === null || prev === null) return;
    const node = page + 1;
    next[prev[node]] = next[node];
    prev[next[node]] = prev[node];
  }

  /** Moves the list place of the run at `from` to `to`: a run that lost its front keeps its age. */
  #relink(from: number, to: number): void {
    const next = this.#next;
    const prev = this.#prev;
    if (next === null || prev === null) return;
    const before = prev[from + 1];
    const after = next[from + 1];
    next[before] = to + 1;
    prev[after] = to + 1;
    prev[to + 1] = before;
    next[to + 1] = after;
  }

  /** Adds a run that is not in the set; it merges with its neighbours. */
  give(page: number, pages: number): void {
    if (pages < 1 || page < 0 || page + pages > this.#pages) {
      throw new RangeError(
        `Cannot free pages ${page} to ${page + pages - 1}: the space ends at page ${this.#pages - 1}`,
      );
    }
    const tree = this.#tree;
    const ends = this.#endToStart;
    const leaves = this.#leaves;
    this.total += pages;
    let start = page;
    let length = pages;
    const after = page + pages;
    const right = after < this.#pages ? tree[leaves + after] : 0;
    if (right > 0) {
      this.#unlink(after);
      this.#setLeaf(after, 0);
      ends[after + right - 1] = 0;
      length += right;
      this.count--;
    }
    const left = page > 0 ? ends[page - 1] : 0;
    if (left > 0) {
      start = left - 1;
      this.#unlink(start);
      ends[page - 1] = 0;
      length += page - start;
      this.count--;
    }
    ends[start + length - 1] = start + 1;
    this.#setLeaf(start, length);
    this.#link(start);
    this.count++;
  }

  /** Length of the run that starts at `page`, 0 if none does. */
  lengthAt(page: number): number {
    return page < this.#pages ? this.#tree[this.#leaves + page] : 0;
  }

  /** Length of the longest run. */
  get longest(): number {
    return this.#tree[1];
  }

  /**
   * @param from the first page to look at
   * @returns the first page of the lowest run of at least `pages` pages that starts at or after `from`, or -1
   */
  find(pages: number, from = 0): number {
    const tree = this.#tree;
    const leaves = this.#leaves;
    if (tree[1] < pages || from >= leaves) return -1;
    let i = 1;
    if (from > 0) {
      // Climb from the leaf until a subtree to the right (or the leaf itself) holds a run that is long enough.
      i = leaves + from;
      while (tree[i] < pages) {
        while ((i & 1) === 1) {
          i >>>= 1;
          if (i <= 1) return -1;
        }
        i += 1;
      }
    }
    while (i < leaves) i = tree[2 * i] >= pages ? 2 * i : 2 * i + 1;
    return i - leaves;
  }

  /**
   * Takes the lowest `pages` pages that lie in one run.
   * @returns the first page, or -1
   */
  take(pages: number): number {
    const page = this.find(pages);
    if (page >= 0) this.takeAt(page, pages);
    return page;
  }

  /** Takes the first `pages` pages of the run that starts at `page`. @returns false (nothing changed) if there is no such run */
  takeAt(page: number, pages: number): boolean {
    const length = this.lengthAt(page);
    if (length < pages || pages < 1) return false;
    this.total -= pages;
    this.#setLeaf(page, 0);
    if (length === pages) {
      this.#unlink(page);
      this.#endToStart[page + length - 1] = 0;
      this.count--;
    } else {
      this.#relink(page, page + pages);
      this.#endToStart[page + length - 1] = page + pages + 1;
      this.#setLeaf(page + pages, length - pages);
    }
    return true;
  }

  /** Takes the last `pages` pages of the run that starts at `page`, which must be longer than that. @returns the first page taken */
  takeTail(page: number, pages: number): number {
    const length = this.lengthAt(page);
    if (pages < 1 || length <= pages)
      throw new RangeError(`Cannot split run ${page}: it has ${length} pages, not more than ${pages}`);
    this.total -= pages;
    this.#endToStart[page + length - 1] = 0;
    this.#endToStart[page + length - pages - 1] = page + 1;
    this.#setLeaf(page, length - pages);
    return page + length - pages;
  }

  /**
   * Takes pages at a multiple of `align` (a power of two; counted from page `origin`).
   * @returns the first page, or -1
   */
  takeAligned(pages: number, align: number, origin: number): number {
    let run = this.find(pages);
    while (run >= 0) {
      const length = this.lengthAt(run);
      const gap = (align - ((run - origin) & (align - 1))) & (align - 1);
      if (gap + pages <= length) {
        this.takeAt(run, gap + pages);
        if (gap > 0) this.give(run, gap);
        return run + gap;
      }
      run = this.find(pages, run + 1);
    }
    return -1;
  }

  /** Whether any of these pages lies in a run. */
  overlaps(page: number, pages: number): boolean {
    const inside = this.find(1, page);
    if (inside >= 0 && inside < page + pages) return true;
    // The nearest run before: climb until a subtree to the left holds one, then keep right.
    const tree = this.#tree;
    let i = this.#leaves + page;
    do {
      while ((i & 1) === 0) i >>>= 1;
      if (i <= 1) return false;
      i -= 1;
    } while (tree[i] === 0);
    while (i < this.#leaves) i = tree[2 * i + 1] > 0 ? 2 * i + 1 : 2 * i;
    return i - this.#leaves + tree[i] > page;
  }

  /** First page of the run that was given longest ago, or -1. Only of an aged set. */
  get oldest(): number {
    return this.#next === null ? -1 : this.#next[0] - 1;
  }

  /** Walks all runs in address order. */
  forEach(visit: (page: number, pages: number) => void): void {
    for (let page = this.find(1); page >= 0; page = this.find(1, page + 1)) visit(page, this.lengthAt(page));
  }

  /** Recounts everything. @throws Error naming the first thing that is wrong */
  verify(): void {
    let total = 0;
    let count = 0;
    let previousEnd = -1;
    this.forEach((page, pages) => {
      if (page <= previousEnd)
        throw new Error(`Page runs are damaged: run ${page} touches the one before, which ends at ${previousEnd}`);
      if (this.#endToStart[page + pages - 1] !== page + 1)
        throw new Error(`Page runs are damaged: the end of run ${page} is not marked`);
      previousEnd = page + pages;
      total += pages;
      count++;
    });
    if (total !== this.total) throw new Error(`Page runs are damaged: ${total} pages found, ${this.total} counted`);
    if (count !== this.count) throw new Error(`Page runs are damaged: ${count} runs found, ${this.count} counted`);
    const tree = this.#tree;
    for (let i = this.#leaves - 1; i > 0; i--) {
      if (tree[i] !== Math.max(tree[2 * i], tree[2 * i + 1]))
        throw new Error(`Page runs are damaged: tree node ${i} is stale`);
    }
    if (this.#next !== null) {
      let listed = 0;
      for (let node = this.#next[0]; node !== 0; node = this.#next[node]) {
        if (this.lengthAt(node - 1) === 0)
          throw new Error(`Page runs are damaged: page ${node - 1} is listed but starts no run`);
        if (++listed > count) throw new Error('Page runs are damaged: the age list is a circle');
      }
      if (listed !== count) throw new Error(`Page runs are damaged: ${listed} runs listed by age, ${count} found`);
    }
  }
}
