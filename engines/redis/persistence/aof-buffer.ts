/** Effects that wait to be written to the append-only file, as bytes in the core's memory. */
import type { RedisCore } from '../redis-core.ts';

const FIRST_BYTES = 16_384;
/** A buffer that was larger is given back after it has been written. */
const KEPT_BYTES = 4_000;

export class AofBuffer {
  private readonly core: RedisCore;
  start = 0;
  private room = 0;
  /** Bytes that wait. */
  length = 0;
  /** Of the last mark of time, in seconds since the epoch. */
  lastTimestamp = 0;

  constructor(core: RedisCore) {
    this.core = core;
  }

  private reserve(bytes: number): number {
    const needed = this.length + bytes;
    if (needed > this.room) {
      const { heap } = this.core;
      const room = Math.max(FIRST_BYTES, needed, this.room * 2);
      const moved = heap.alloc(room);
      if (this.start !== 0) {
        heap.copy(this.start, moved, this.length);
        heap.free(this.start);
      }
      this.start = moved;
      this.room = room;
    }
    return this.start + this.length;
  }

  private appendText(text: string): void {
    const at = this.reserve(text.length);
    this.core.heap.putLatin1(text, at);
    this.length += text.length;
  }

  private appendBytes(offset: number, length: number): void {
    const at = this.reserve(length);
    this.core.heap.copy(offset, at, length);
    this.length += length;
  }

  /**
   * Takes the effects of one command or transaction.
   * @param several whether they are one transaction, in front of which the first `ahead` bytes come
   * @throws ARENA_EXHAUSTED, some of it taken
   */
  append(offset: number, length: number, several: boolean, ahead: number): void {
    const { core } = this;
    if (core.config.aofTimestampEnabled && core.unixtime > this.lastTimestamp) {
      this.lastTimestamp = core.unixtime;
      this.appendText(`#TS:${core.unixtime}\r\n`);
    }
    if (!several) {
      this.appendBytes(offset, length);
      return;
    }
    if (ahead !== 0) this.appendBytes(offset, ahead);
    this.appendText('*1\r\n$5\r\nMULTI\r\n');
    this.appendBytes(offset + ahead, length - ahead);
    this.appendText('*1\r\n$4\r\nEXEC\r\n');
  }

  /** The first bytes have been written. */
  written(bytes: number): void {
    if (bytes < this.length) {
      this.core.heap.move(this.start + bytes, this.start, this.length - bytes);
      this.length -= bytes;
      return;
    }
    this.length = 0;
    if (this.room > KEPT_BYTES) this.release();
  }

  /** Nothing waits, and the room is given back. */
  release(): void {
    if (this.start !== 0) this.core.heap.free(this.start);
    this.start = 0;
    this.room = 0;
    this.length = 0;
  }
}
