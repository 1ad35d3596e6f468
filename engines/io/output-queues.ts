/**
 * What waits to be sent, for all connections of a loop: per connection a queue of ranges. A range is an output chunk of
 * the loop's own or bytes lent by the core. Structs of typed arrays, no objects per connection or range.
 *
 * Chunks come from a small pool filled at the start, so that the allocator's `usedBytes` stays steady while ordinary
 * replies come and go; only what exceeds the pool is taken from and given back to the allocator.
 */
import { copyInto } from '../base/copy-into.ts';
import type { Allocator } from '../ports.ts';

/** Chunks that are kept for reuse; what comes back beyond is freed. */
const POOL_CHUNKS = 64;
const FIRST_RANGES = 256;
const NONE = -1;

export class OutputQueues {
  private readonly allocator: Allocator;
  private readonly chunkBytes: number;
  private readonly pool = new Uint32Array(POOL_CHUNKS);
  private pooled = 0;
  private freeRange = NONE;
  /** Called with each lease whose bytes are no longer needed. */
  onReleased: (lease: number) => void = () => {};

  /** Per connection: first and last range (-1: none), bytes not yet sent, memory held, number of ranges. */
  head: Int32Array;
  tail: Int32Array;
  bytes: Float64Array;
  held: Float64Array;
  ranges: Int32Array;

  /** Per range: where it begins, how much room it has, what of it is stored and what is sent, the next range, its lease. */
  base = new Uint32Array(FIRST_RANGES);
  private room = new Uint32Array(FIRST_RANGES);
  used = new Uint32Array(FIRST_RANGES);
  sent = new Uint32Array(FIRST_RANGES);
  next = new Int32Array(FIRST_RANGES);
  /** -1 for a chunk of our own. */
  private lease = new Float64Array(FIRST_RANGES);

  constructor(allocator: Allocator, slots: number, chunkBytes: number) {
    this.allocator = allocator;
    this.chunkBytes = chunkBytes;
    this.head = new Int32Array(slots).fill(NONE);
    this.tail = new Int32Array(slots).fill(NONE);
    this.bytes = new Float64Array(slots);
    this.held = new Float64Array(slots);
    this.ranges = new Int32Array(slots);
    this.linkFree(0, FIRST_RANGES);
    while (this.pooled < POOL_CHUNKS) {
      const chunk = allocator.alloc(chunkBytes);
      // A small arena: less is kept in reserve.
      if (chunk === 0) break;
      this.pool[this.pooled++] = chunk;
    }
  }

  /** Makes room for more connections; existing ones keep their slots. */
  growSlots(slots: number): void {
    const before = this.head.length;
    this.head = copyInto(new Int32Array(slots).fill(NONE), this.head);
    this.tail = copyInto(new Int32Array(slots).fill(NONE), this.tail);
    this.bytes = copyInto(new Float64Array(slots), this.bytes);
    this.held = copyInto(new Float64Array(slots), this.held);
    this.ranges = copyInto(new Int32Array(slots), this.ranges);
    if (slots < before) throw new Error('Cannot shrink the table of connections');
  }

  /** See Transport.reserve. */
  reserve(conn: number, bytes: number): number {
    const tail = this.tail[conn];
    if (tail !== NONE) {
      const used = this.used[tail];
      if (this.room[tail] - used >= bytes && this.lease[tail] < 0) return this.base[tail] + used;
    }
    return this.reserveChunk(conn, bytes);
  }

  private reserveChunk(conn: number, bytes: number): number {
    const tail = this.tail[conn];
    const size = Math.max(bytes, this.chunkBytes);
    const chunk = this.takeChunk(size);
    if (chunk === 0) return 0;
    if (tail !== NONE && this.lease[tail] < 0 && this.used[tail] === 0) {
      // Reserved before but nothing was stored: the larger chunk takes its place.
      this.giveChunk(this.base[tail], this.room[tail]);
      this.held[conn] += size - this.room[tail];
      this.base[tail] = chunk;
      this.room[tail] = size;
      return chunk;
    }
    this.append(conn, chunk, size, 0, NONE);
    this.held[conn] += size;
    return chunk;
  }

  /** See Transport.commit. */
  commit(conn: number, end: number): void {
    const tail = this.tail[conn];
    const used = end - this.base[tail];
    this.bytes[conn] += used - this.used[tail];
    this.used[tail] = used;
  }

  /** See Transport.lend. */
  lend(conn: number, offset: number, length: number, lease: number): void {
    this.append(conn, offset, length, length, lease);
    this.bytes[conn] += length;
    this.held[conn] += length;
  }

  /** Takes `count` sent bytes off the queue (0 clears away ranges that have nothing left) and releases what is done. */
  advance(conn: number, count: number): void {
    this.bytes[conn] -= count;
    let range = this.head[conn];
    while (range !== NONE) {
      const left = this.used[range] - this.sent[range];
      if (left > count) {
        this.sent[range] += count;
        return;
      }
      count -= left;
      range = this.dropHead(conn, range);
    }
  }

  /** Forgets everything that waits; leases are released. */
  drop(conn: number): void {
    let range = this.head[conn];
    while (range !== NONE) range = this.dropHead(conn, range);
    this.bytes[conn] = 0;
  }

  /** Copies what waits to `target`, as far as there is room. */
  copyTo(conn: number, u8: Uint8Array, target: Uint8Array): void {
    let at = 0;
    for (let range = this.head[conn]; range !== NONE && at < target.length; range = this.next[range]) {
      const from = this.base[range] + this.sent[range];
      const length = Math.min(this.used[range] - this.sent[range], target.length - at);
      target.set(u8.subarray(from, from + length), at);
      at += length;
    }
  }

  /** Frees the pool. Every queue must have been dropped before. */
  destroy(): void {
    while (this.pooled > 0) this.allocator.free(this.pool[--this.pooled]);
  }

  private dropHead(conn: number, range: number): number {
    const next = this.next[range];
    const room = this.room[range];
    const lease = this.lease[range];
    const base = this.base[range];
    this.head[conn] = next;
    if (next === NONE) this.tail[conn] = NONE;
    this.held[conn] -= room;
    this.ranges[conn]--;
    this.next[range] = this.freeRange;
    this.freeRange = range;
    if (lease < 0) this.giveChunk(base, room);
    else this.onReleased(lease);
    return this.head[conn];
  }

  private append(conn: number, base: number, room: number, used: number, lease: number): void {
    if (this.freeRange === NONE) this.growRanges();
    const range = this.freeRange;
    this.freeRange = this.next[range];
    this.base[range] = base;
    this.room[range] = room;
    this.used[range] = used;
    this.sent[range] = 0;
    this.next[range] = NONE;
    this.lease[range] = lease;
    const tail = this.tail[conn];
    if (tail === NONE) this.head[conn] = range;
    else this.next[tail] = range;
    this.tail[conn] = range;
    this.ranges[conn]++;
  }

  private takeChunk(bytes: number): number {
    if (bytes === this.chunkBytes && this.pooled > 0) return this.pool[--this.pooled];
    return this.allocator.alloc(bytes);
  }

  private giveChunk(base: number, bytes: number): void {
    if (bytes === this.chunkBytes && this.pooled < POOL_CHUNKS) this.pool[this.pooled++] = base;
    else this.allocator.free(base);
  }

  private growRanges(): void {
    const before = this.base.length;
    const after = before * 2;
    this.base = copyInto(new Uint32Array(after), this.base);
    this.room = copyInto(new Uint32Array(after), this.room);
    this.used = copyInto(new Uint32Array(after), this.used);
    this.sent = copyInto(new Uint32Array(after), this.sent);
    this.next = copyInto(new Int32Array(after), this.next);
    this.lease = copyInto(new Float64Array(after), this.lease);
    this.linkFree(before, after);
  }

  private linkFree(from: number, to: number): void {
    for (let range = to - 1; range >= from; range--) {
      this.next[range] = this.freeRange;
      this.freeRange = range;
    }
  }
}
