/** The buffer where the items of an aggregate wait until its length is known. One per core, empty between commands. */
import type { Client } from '../client.ts';
import type { Heap } from '../structures/heap.ts';

const FIRST_BYTES = 16_384;

export class Scratch {
  private readonly heap: Heap;
  /** Whose reply is being collected; null: nobody's. */
  client: Client | null = null;
  start = 0;
  length = 0;
  private room = 0;
  private depth = 0;

  constructor(heap: Heap) {
    this.heap = heap;
  }

  /** Enters a level. @returns the position of the head to insert at its end */
  open(c: Client): number {
    if (this.depth === 0) {
      this.start = this.heap.alloc(FIRST_BYTES);
      this.room = FIRST_BYTES;
      this.length = 0;
      this.client = c;
    }
    this.depth++;
    return this.length;
  }

  /** Leaves a level. @returns whether it was the outermost: its bytes are complete, and `client` is null again */
  close(): boolean {
    if (--this.depth > 0) return false;
    this.client = null;
    return true;
  }

  /** @throws ARENA_EXHAUSTED */
  reserve(bytes: number): number {
    if (this.length + bytes > this.room) this.grow(this.length + bytes);
    return this.start + this.length;
  }

  commit(end: number): void {
    this.length = end - this.start;
  }

  insert(position: number, text: string): void {
    this.reserve(text.length);
    this.heap.move(this.start + position, this.start + position + text.length, this.length - position);
    this.heap.putLatin1(text, this.start + position);
    this.length += text.length;
  }

  /** Frees the bytes. Also abandons all levels: for a command that failed half-way. */
  release(): void {
    if (this.start !== 0) this.heap.free(this.start);
    this.start = 0;
    this.room = 0;
    this.length = 0;
    this.depth = 0;
    this.client = null;
  }

  private grow(needed: number): void {
    let room = this.room * 2;
    while (room < needed) room *= 2;
    const moved = this.heap.alloc(room);
    this.heap.copy(this.start, moved, this.length);
    this.heap.free(this.start);
    this.start = moved;
    this.room = room;
  }
}
