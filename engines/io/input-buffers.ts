/**
 * Where input goes, for all connections of a loop.
 *
 * All connections read through one shared buffer and are parsed right there. Only the rest of an incomplete command is
 * kept, in a buffer of the connection's own. A small rest is put back in front of the shared buffer at the next read (so
 * a pipeline is read in large pieces although nearly every piece ends within a command); a large one stays, and reads go
 * straight to its tail, which grows by doubling. So each byte is copied a bounded number of times.
 *
 * With `direct` the next bytes go where the core wants them, past both.
 */
import { copyInto } from '../base/copy-into.ts';
import type { Allocator, Memory } from '../ports.ts';

/** A rest up to this many bytes is moved in front of the shared buffer rather than read behind. */
const HEADROOM_BYTES = 1024;
const SMALL_BUFFER_BYTES = 1024;
const LARGE_BUFFER_BYTES = 32768;

export class InputBuffers {
  private readonly allocator: Allocator;
  private readonly memory: Memory;
  private shared: number;
  /** Takes the place of the shared buffer while the input in that one is still being worked on; 0: not made yet. */
  private spare = 0;
  private readonly sharedBytes: number;
  private readonly limit: number;

  /** Per connection: the own buffer (0: none), its capacity, where the kept bytes begin in it and how many they are. */
  private base: Uint32Array;
  private capacity: Uint32Array;
  private begin: Uint32Array;
  private length: Uint32Array;
  /** Per connection: where direct bytes go and how many are still to come. */
  private directAt: Uint32Array;
  private directLeft: Float64Array;

  /** Set by `prepare`: where to read to, and how much at the most. */
  readAt = 0;
  readRoom = 0;
  /** Set by `arrived` and `kept`: the input to hand over. */
  start = 0;
  end = 0;

  constructor(allocator: Allocator, slots: number, sharedBytes: number, limit: number) {
    this.allocator = allocator;
    this.memory = allocator.memory;
    this.sharedBytes = sharedBytes;
    this.limit = limit;
    this.shared = allocator.alloc(HEADROOM_BYTES + sharedBytes);
    if (this.shared === 0) throw new Error(`Cannot create an event loop: no ${sharedBytes} bytes for the read buffer`);
    this.base = new Uint32Array(slots);
    this.capacity = new Uint32Array(slots);
    this.begin = new Uint32Array(slots);
    this.length = new Uint32Array(slots);
    this.directAt = new Uint32Array(slots);
    this.directLeft = new Float64Array(slots);
  }

  growSlots(slots: number): void {
    this.base = copyInto(new Uint32Array(slots), this.base);
    this.capacity = copyInto(new Uint32Array(slots), this.capacity);
    this.begin = copyInto(new Uint32Array(slots), this.begin);
    this.length = copyInto(new Uint32Array(slots), this.length);
    this.directAt = copyInto(new Uint32Array(slots), this.directAt);
    this.directLeft = copyInto(new Float64Array(slots), this.directLeft);
  }

  /** Exchanges the shared buffer for another one, and back at the next call. @returns false when memory is exhausted */
  exchangeShared(): boolean {
    if (this.spare === 0) this.spare = this.allocator.alloc(HEADROOM_BYTES + this.sharedBytes);
    if (this.spare === 0) return false;
    const { shared } = this;
    this.shared = this.spare;
    this.spare = shared;
    return true;
  }

  bytesOf(conn: number): number {
    return this.length[conn];
  }

  capacityOf(conn: number): number {
    return this.capacity[conn];
  }

  setDirect(conn: number, offset: number, length: number): void {
    this.directAt[conn] = offset;
    this.directLeft[conn] = length;
  }

  isDirect(conn: number): boolean {
    return this.directLeft[conn] > 0;
  }

  /**
   * Chooses where the next bytes of a connection go (`readAt`, `readRoom`).
   * @returns false when the input would exceed its limit or memory is exhausted: the connection must be closed
   */
  prepare(conn: number): boolean {
    if (this.directLeft[conn] > 0) {
      this.readAt = this.directAt[conn];
      this.readRoom = this.directLeft[conn];
      return true;
    }
    const kept = this.length[conn];
    if (kept <= HEADROOM_BYTES) {
      this.readAt = this.shared + HEADROOM_BYTES;
      this.readRoom = this.sharedBytes;
      return true;
    }
    if (!this.makeTailRoom(conn, kept)) return false;
    const used = this.begin[conn] + kept;
    this.readAt = this.base[conn] + used;
    this.readRoom = this.capacity[conn] - used;
    return true;
  }

  /** A large rest: room for as much as is there already, or a shared buffer's worth, so that growth costs a constant a byte. */
  private makeTailRoom(conn: number, kept: number): boolean {
    const capacity = this.capacity[conn];
    const begin = this.begin[conn];
    if (capacity - begin - kept >= capacity >>> 2) return true;
    if (begin >= kept) {
      // At least half of the buffer is spent: moving the rest down is paid for by the bytes already consumed.
      const base = this.base[conn];
      this.memory.moveBytes(base + begin, base, kept);
      this.begin[conn] = 0;
      return true;
    }
    if (kept >= this.limit) return false;
    const larger = Math.min(Math.max(kept * 2, LARGE_BUFFER_BYTES), Math.max(this.limit, kept + LARGE_BUFFER_BYTES));
    return this.moveTo(conn, larger, this.base[conn] + begin, kept);
  }

  /**
   * `count` bytes were read to `readAt`. Direct bytes: counted off. Otherwise sets `start` and `end` to all the input that
   * is to be handed over.
   * @returns whether the bytes were direct ones
   */
  arrived(conn: number, count: number): boolean {
    if (this.directLeft[conn] > 0) {
      this.directAt[conn] += count;
      this.directLeft[conn] -= count;
      return true;
    }
    const kept = this.length[conn];
    const at = this.readAt;
    if (kept === 0) {
      this.start = at;
      this.end = at + count;
      return false;
    }
    if (kept <= HEADROOM_BYTES) {
      const from = this.base[conn] + this.begin[conn];
      this.memory.moveBytes(from, at - kept, kept);
      this.start = at - kept;
    } else {
      this.start = this.base[conn] + this.begin[conn];
    }
    this.end = at + count;
    return false;
  }

  /** Sets `start` and `end` to the kept input. */
  kept(conn: number): void {
    this.start = this.base[conn] + this.begin[conn];
    this.end = this.start + this.length[conn];
  }

  /**
   * Keeps [from, end) of the input that `arrived` or `kept` pointed at.
   * @returns false when memory is exhausted
   */
  keep(conn: number, from: number, end: number): boolean {
    const rest = end - from;
    if (rest === 0) {
      if (this.base[conn] !== 0) this.freeBuffer(conn);
      return true;
    }
    const base = this.base[conn];
    if (base !== 0 && from >= base && from < base + this.capacity[conn]) {
      this.begin[conn] = from - base;
      this.length[conn] = rest;
      // A small rest in a large buffer: the large one is not held for it.
      if (rest <= HEADROOM_BYTES && this.capacity[conn] > LARGE_BUFFER_BYTES) {
        return this.moveTo(conn, SMALL_BUFFER_BYTES, from, rest);
      }
      return true;
    }
    if (base !== 0 && rest <= this.capacity[conn]) {
      this.memory.moveBytes(from, base, end - from);
      this.begin[conn] = 0;
      this.length[conn] = rest;
      return true;
    }
    const size = rest <= HEADROOM_BYTES ? SMALL_BUFFER_BYTES : Math.max(rest * 2, LARGE_BUFFER_BYTES);
    return this.moveTo(conn, size, from, rest);
  }

  /** Gives the own buffer back and forgets direct reading. */
  release(conn: number): void {
    this.freeBuffer(conn);
    this.directLeft[conn] = 0;
  }

  private freeBuffer(conn: number): void {
    if (this.base[conn] !== 0) this.allocator.free(this.base[conn]);
    this.base[conn] = 0;
    this.capacity[conn] = 0;
    this.begin[conn] = 0;
    this.length[conn] = 0;
  }

  destroy(): void {
    this.allocator.free(this.shared);
    if (this.spare !== 0) this.allocator.free(this.spare);
  }

  private moveTo(conn: number, size: number, from: number, length: number): boolean {
    const target = this.allocator.alloc(size);
    if (target === 0) return false;
    this.memory.moveBytes(from, target, length);
    if (this.base[conn] !== 0) this.allocator.free(this.base[conn]);
    this.base[conn] = target;
    this.capacity[conn] = size;
    this.begin[conn] = 0;
    this.length[conn] = length;
    return true;
  }
}
