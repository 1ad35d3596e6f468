/** A transport that keeps what is replied to a client without a connection: a script reads the replies of its commands here. */
import { Unconnected } from '../../base/unconnected.ts';
import type { Transport } from '../../ports.ts';
import type { Heap } from '../structures/heap.ts';

/** Room that is kept between scripts. */
const KEPT_BYTES = 16_384;
const FIRST_BYTES = 1_024;

export class CaptureTransport extends Unconnected implements Transport {
  private readonly heap: Heap;
  /** Where the replies lie. */
  start = 0;
  length = 0;
  private room = 0;

  constructor(heap: Heap) {
    super();
    this.heap = heap;
  }

  get memory(): Heap['memory'] {
    return this.heap.memory;
  }

  /** @throws ARENA_EXHAUSTED */
  reserve(_conn: number, bytes: number): number {
    if (this.length + bytes > this.room) this.grow(this.length + bytes);
    return this.start + this.length;
  }

  commit(_conn: number, end: number): void {
    this.length = end - this.start;
  }

  /** Forgets the reply that has been read. */
  clear(): void {
    this.length = 0;
  }

  /** Gives memory back after a script. */
  trim(): void {
    this.length = 0;
    if (this.room > KEPT_BYTES) this.release();
  }

  release(): void {
    if (this.start !== 0) this.heap.free(this.start);
    this.start = 0;
    this.room = 0;
    this.length = 0;
  }

  private grow(needed: number): void {
    let room = Math.max(this.room * 2, FIRST_BYTES);
    while (room < needed) room *= 2;
    const moved = this.heap.alloc(room);
    if (this.start !== 0) {
      this.heap.copy(this.start, moved, this.length);
      this.heap.free(this.start);
    }
    this.start = moved;
    this.room = room;
  }

  // What only connections have.
  lend(): void {
    throw new Error('Cannot lend a reply to a script: its client has no connection');
  }
}
