/**
 * Values as bytes, in the format of snapshot files and DUMP payloads: a buffer in the arena that the parts of a value
 * are appended to. It grows, or its bytes go to a sink whenever it is full. The buffer is the room of an sds, so that a payload can become a string object without a copy.
 */
import type { Heap } from '../structures/heap.ts';
import { OBJ_ENCODING_INT, robjEncoding, robjIntNumber, robjIntText, robjPtr, wrapSds } from '../structures/robj.ts';
import { sdsFree, sdsLen, sdsNewRoom, sdsSetLen } from '../structures/sds.ts';
import {
  ENCODED,
  ENCODED_LZF,
  LENGTH_BYTES_MAX,
  putLength,
  putLength64,
  putRdbBytes,
  putRdbInteger,
  rdbBytesRoom,
} from './rdb-string.ts';

const FIRST_BYTES = 256;
/** So much is written at once where there is a sink. */
const SINK_BYTES = 65_536;

export class RdbWriter {
  readonly heap: Heap;
  /** Whether strings are compressed: rdbcompression. */
  readonly compress: boolean;
  private s = 0;
  private room = 0;
  /** Bytes in the buffer. */
  length = 0;
  /** Takes the bytes whenever the buffer is full; null: it grows. */
  private readonly sink: ((offset: number, length: number) => void) | null;

  constructor(heap: Heap, compress: boolean, sink: ((offset: number, length: number) => void) | null = null) {
    this.heap = heap;
    this.compress = compress;
    this.sink = sink;
    if (sink !== null) this.reserve(SINK_BYTES);
  }

  /** Hands the bytes in the buffer over to the sink. */
  flush(): void {
    if (this.length > 0) this.sink?.(this.s, this.length);
    this.length = 0;
  }

  /** Offset of the first byte written. Moves when the buffer grows. */
  get start(): number {
    return this.s;
  }

  /** Makes room for `bytes` more. @returns where they go. @throws ARENA_EXHAUSTED */
  reserve(bytes: number): number {
    if (this.sink !== null && this.length + bytes > this.room) this.flush();
    const needed = this.length + bytes;
    if (needed > this.room) {
      const h = this.heap;
      const room = Math.max(FIRST_BYTES, needed, Math.min(this.room * 2, this.room + 1_048_576));
      const moved = sdsNewRoom(h, room);
      if (this.s !== 0) {
        h.copy(this.s, moved, this.length);
        sdsFree(h, this.s);
      }
      this.s = moved;
      this.room = room;
    }
    return this.s + this.length;
  }

  /** Declares that bytes have been stored up to `end`. */
  commit(end: number): void {
    this.length = end - this.s;
  }

  putByte(value: number): void {
    const at = this.reserve(1);
    this.heap.u8[at] = value;
    this.length++;
  }

  /** A length: a safe integer. */
  putLength(value: number): void {
    const at = this.reserve(LENGTH_BYTES_MAX);
    this.commit(putLength(this.heap.u8, at, value));
  }

  /** A length of 64 bits as two words. */
  putLength64(low: number, high: number): void {
    const at = this.reserve(LENGTH_BYTES_MAX);
    this.commit(putLength64(this.heap.u8, at, low, high));
  }

  /** A string: as an integer where its text is one, compressed where that helps, else length and bytes. */
  putBytes(offset: number, length: number): void {
    const at = this.reserve(rdbBytesRoom(length));
    this.commit(putRdbBytes(this.heap, offset, length, at, this.compress));
  }

  /** A string that is compressed already: `length` compressed bytes that stand for `whole`. */
  putCompressed(offset: number, length: number, whole: number): void {
    this.putByte(ENCODED | ENCODED_LZF);
    this.putLength(length);
    this.putLength(whole);
    this.putRaw(offset, length);
  }

  /** An integer's text as a string: 1 to 5 bytes where it fits 32 bits. `value` is a safe integer. */
  putIntegerText(value: number): void {
    this.putIntegerBigText(value, String(value));
  }

  private putIntegerBigText(value: number, text: string): void {
    const at = this.reserve(LENGTH_BYTES_MAX + text.length);
    const end = putRdbInteger(this.heap.u8, at, value);
    this.commit(end !== 0 ? end : this.heap.putLatin1(text, putLength(this.heap.u8, at, text.length)));
  }

  /** The value of a string object. */
  putStringObject(o: number): void {
    const h = this.heap;
    if (robjEncoding(h, o) === OBJ_ENCODING_INT) this.putIntegerBigText(robjIntNumber(h, o), robjIntText(h, o));
    else this.putBytes(robjPtr(h, o), sdsLen(h, robjPtr(h, o)));
  }

  /** A string that is left as it is: length and bytes. */
  putPlainBytes(offset: number, length: number): void {
    this.putLength(length);
    this.putRaw(offset, length);
  }

  /** Bytes without a length. */
  putRaw(offset: number, length: number): void {
    const at = this.reserve(length);
    this.heap.copy(offset, at, length);
    this.length += length;
  }

  /** 64 bits, little-endian: a time in ms. */
  putInt64(low: number, high: number): void {
    const at = this.reserve(8);
    this.heap.view.setUint32(at, low >>> 0, true);
    this.heap.view.setInt32(at + 4, high | 0, true);
    this.length += 8;
  }

  /** A double, little-endian. */
  putDouble(value: number): void {
    const at = this.reserve(8);
    this.heap.view.setFloat64(at, value, true);
    this.length += 8;
  }

  /** Hands the bytes over as a raw string object; the writer is empty afterwards. */
  takeObject(): number {
    const h = this.heap;
    this.reserve(1);
    const s = this.s;
    sdsSetLen(h, s, this.length);
    h.u8[s + this.length] = 0;
    this.s = 0;
    this.room = 0;
    this.length = 0;
    return wrapSds(h, s);
  }

  /** Frees the buffer. */
  release(): void {
    if (this.s !== 0) sdsFree(this.heap, this.s);
    this.s = 0;
    this.room = 0;
    this.length = 0;
  }
}
