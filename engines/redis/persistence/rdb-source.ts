/** The bytes of an RDB file for a reader: a buffer in the arena that is refilled, and the checksum of all that has been read. */
import { crc64Update } from '../../base/crc64.ts';
import type { Disk, FileHandle } from '../../ports.ts';
import type { Heap } from '../structures/heap.ts';
import { type RdbByteSource, RdbReader } from './rdb-reader.ts';

const BUFFER_BYTES = 1024 * 1024;

export class RdbFileSource implements RdbByteSource {
  private readonly heap: Heap;
  private readonly disk: Disk;
  private readonly file: FileHandle;
  private buffer: number;
  private room = BUFFER_BYTES;
  /** Bytes of the file before the buffer's first. */
  private before = 0;
  /** Up to here (in the buffer) the checksum is reckoned. */
  private summed: number;
  private readonly state = new Int32Array(2);
  /** Bytes of the file. */
  readonly size: number;
  readonly reader: RdbReader;
  /** Called after each piece with the number of bytes taken from the file. */
  progress: (bytes: number) => void = () => {};

  constructor(heap: Heap, disk: Disk, file: FileHandle) {
    this.heap = heap;
    this.disk = disk;
    this.file = file;
    this.size = disk.size(file);
    this.buffer = heap.alloc(this.room);
    this.summed = this.buffer;
    this.reader = new RdbReader(heap, this.buffer, this.buffer, this);
  }

  /** Position in the file of the next byte to be read. */
  get position(): number {
    return this.before + this.reader.at - this.buffer;
  }

  refill(r: RdbReader, bytes: number): boolean {
    const { heap } = this;
    const left = r.end - r.at;
    if (bytes > this.size - this.position) return false;
    this.sumTo(r.at);
    this.before += r.at - this.buffer;
    if (bytes > this.room) {
      const room = Math.max(bytes, BUFFER_BYTES);
      const grown = heap.alloc(room);
      heap.copy(r.at, grown, left);
      heap.free(this.buffer);
      this.buffer = grown;
      this.room = room;
    } else {
      heap.move(r.at, this.buffer, left);
    }
    let have = left;
    while (have < bytes) {
      const got = this.disk.read(this.file, heap.u8, this.buffer + have, this.room - have);
      if (got <= 0) break;
      have += got;
    }
    r.at = this.buffer;
    r.end = this.buffer + have;
    this.summed = this.buffer;
    this.progress(this.before + have);
    return have >= bytes;
  }

  leftBehind(r: RdbReader): number {
    return this.size - this.before - (r.end - this.buffer);
  }

  private sumTo(at: number): void {
    crc64Update(this.state, this.heap.u8, this.summed, at - this.summed);
    this.summed = at;
  }

  /** The checksum of all bytes read so far. @returns [low, high] */
  checksum(): Int32Array {
    this.sumTo(this.reader.at);
    return this.state;
  }

  /** Frees the buffer. The file stays open. */
  release(): void {
    this.reader.release();
    if (this.buffer !== 0) this.heap.free(this.buffer);
    this.buffer = 0;
  }
}
