/** Misses that wait for the modelled origin: a binary heap by due time, in typed arrays, so that a waiting miss costs no object. */

/** More misses than this do not wait at once: a load that gets here is far beyond what its origin could carry. */
export const ORIGIN_WAITING_MAX = 1 << 20;

export class OriginHeap {
  private due = new Float64Array(1_024);
  private conns = new Int32Array(1_024);
  private keys = new Uint32Array(1_024);
  private sizes = new Uint32Array(1_024);
  /** Misses waiting. */
  size = 0;
  /** Of the miss taken last. */
  conn = 0;
  key = 0;
  valueBytes = 0;
  dueUs = 0;

  /** When the earliest origin answer comes, in µs; Infinity: none waits. */
  get nextUs(): number {
    return this.size === 0 ? Number.POSITIVE_INFINITY : this.due[0]!;
  }

  /** @returns false when `ORIGIN_WAITING_MAX` wait already */
  add(dueUs: number, conn: number, key: number, valueBytes: number): boolean {
    if (this.size === this.due.length && !this.grow()) return false;
    let at = this.size++;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (this.due[parent]! <= dueUs) break;
      this.move(parent, at);
      at = parent;
    }
    this.due[at] = dueUs;
    this.conns[at] = conn;
    this.keys[at] = key;
    this.sizes[at] = valueBytes;
    return true;
  }

  /** Takes the earliest one and sets conn, key, valueBytes and dueUs. Only when size > 0. */
  take(): void {
    this.dueUs = this.due[0]!;
    this.conn = this.conns[0]!;
    this.key = this.keys[0]!;
    this.valueBytes = this.sizes[0]!;
    const last = --this.size;
    const due = this.due[last]!;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= last) break;
      if (child + 1 < last && this.due[child + 1]! < this.due[child]!) child++;
      if (this.due[child]! >= due) break;
      this.move(child, at);
      at = child;
    }
    if (last > 0) this.move(last, at);
  }

  /** Forgets the misses of a connection that was lost. */
  drop(conn: number): void {
    const size = this.size;
    this.size = 0;
    for (let i = 0; i < size; i++) {
      // Entries are read before the heap that is built anew in the same arrays can reach them.
      if (this.conns[i] !== conn) this.add(this.due[i]!, this.conns[i]!, this.keys[i]!, this.sizes[i]!);
    }
  }

  private move(from: number, to: number): void {
    this.due[to] = this.due[from]!;
    this.conns[to] = this.conns[from]!;
    this.keys[to] = this.keys[from]!;
    this.sizes[to] = this.sizes[from]!;
  }

  private grow(): boolean {
    const length = this.due.length * 2;
    if (length > ORIGIN_WAITING_MAX) return false;
    const [due, conns, keys, sizes] = [this.due, this.conns, this.keys, this.sizes];
    (this.due = new Float64Array(length)).set(due);
    (this.conns = new Int32Array(length)).set(conns);
    (this.keys = new Uint32Array(length)).set(keys);
    (this.sizes = new Uint32Array(length)).set(sizes);
    return true;
  }
}
