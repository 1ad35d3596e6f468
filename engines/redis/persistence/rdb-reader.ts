/**
 * Reads the bytes that RdbWriter writes (and older forms). They may be anyone's: nothing beyond `end` is read, and the first broken
 * part sets `failed`, after which every read gives 0. Who reads checks `failed` before using what was read.
 */
import type { Heap } from '../structures/heap.ts';
import { lzfDecompress, lzfMayExpandTo } from '../structures/lzf.ts';
import { sdsNewLen } from '../structures/sds.ts';
import { ENCODED_INT8, ENCODED_INT16, ENCODED_INT32, ENCODED_LZF } from './rdb-string.ts';

const INTEGER_TEXT_ROOM = 24;

/** Supplies a reader with the bytes of a file. */
export interface RdbByteSource {
  /**
   * Makes the next `bytes` bytes lie contiguously from `r.at` on, moving what is left and setting `r.at` and `r.end`. Offsets that
   * were handed out before are then no longer valid.
   * @returns false when there are not so many left
   */
  refill(r: RdbReader, bytes: number): boolean;
  /** Bytes that are left behind `r.end`. */
  leftBehind(r: RdbReader): number;
}

export class RdbReader {
  readonly heap: Heap;
  /** The next byte to read. */
  at: number;
  end: number;
  failed = false;
  /** Set by a type's loadRdb that gives 0 because the value is an empty container, which old servers could save. */
  emptyKey = false;
  /** What readString found. Valid until the next read of a string, or release. */
  stringOffset = 0;
  stringLength = 0;
  /** Words of what readLength64 and readInt64 found. */
  low = 0;
  high = 0;
  /** A block for strings that are not in the bytes as they are. */
  private block = 0;
  /** readHead found no length but the number of an encoding. */
  private encoded = false;

  /** Where more bytes come from when those up to `end` are used up; null: there are no more. */
  private readonly source: RdbByteSource | null;

  constructor(heap: Heap, at: number, end: number, source: RdbByteSource | null = null) {
    this.heap = heap;
    this.at = at;
    this.end = end;
    this.source = source;
  }

  /** Bytes that are left altogether: whatever promises more is broken. */
  get left(): number {
    return this.end - this.at + (this.source?.leftBehind(this) ?? 0);
  }

  /** Marks the bytes as broken. @returns 0 */
  fail(): 0 {
    this.failed = true;
    return 0;
  }

  /** Whether `bytes` more are there. Fails if not. */
  private has(bytes: number): boolean {
    if (this.failed) return false;
    if (bytes > this.end - this.at && this.source?.refill(this, bytes) !== true) this.failed = true;
    return !this.failed;
  }

  readByte(): number {
    return this.has(1) ? this.heap.u8[this.at++] : 0;
  }

  /** Steps over bytes. @returns their offset, 0 after a failure */
  readRaw(bytes: number): number {
    if (!this.has(bytes)) return 0;
    const at = this.at;
    this.at += bytes;
    return at;
  }

  /** 64 bits, little-endian, into `low` and `high`. */
  readInt64(): void {
    const at = this.readRaw(8);
    this.low = at === 0 ? 0 : this.heap.view.getUint32(at, true);
    this.high = at === 0 ? 0 : this.heap.view.getInt32(at + 4, true);
  }

  readDouble(): number {
    const at = this.readRaw(8);
    return at === 0 ? 0 : this.heap.view.getFloat64(at, true);
  }

  /** A length or the number of an encoding, into `low` and `high`. */
  private readHead(): void {
    this.high = 0;
    this.low = 0;
    const head = this.readByte();
    if (this.failed) return;
    const kind = head & 0xc0;
    this.encoded = kind === 0xc0;
    if (this.encoded || kind === 0) {
      this.low = head & 0x3f;
    } else if (kind === 0x40) {
      this.low = ((head & 0x3f) << 8) | this.readByte();
    } else if (head === 0x80 || head === 0x81) {
      const wide = head === 0x81;
      const at = this.readRaw(wide ? 8 : 4);
      if (at === 0) return;
      if (wide) this.high = this.heap.view.getUint32(at, false);
      this.low = this.heap.view.getUint32(wide ? at + 4 : at, false);
    } else {
      this.failed = true;
    }
  }

  /**
   * A length. As in the original a head that names an encoding gives its number where a length is wanted. Lengths beyond 2^53 come
   * rounded, which is still far beyond what can follow.
   */
  readLength(): number {
    this.readHead();
    return this.failed ? 0 : this.high * 4294967296 + this.low;
  }

  /** A length of 64 bits into `low` and `high` (both unsigned). */
  readLength64(): void {
    this.readHead();
  }

  /** A string of any form: `stringOffset` and `stringLength` tell where its bytes are. @returns false after a failure */
  readString(): boolean {
    this.readHead();
    if (this.failed) return false;
    const length = this.high * 4294967296 + this.low;
    if (!this.encoded) {
      this.stringOffset = this.readRaw(length);
      this.stringLength = length;
    } else if (length === ENCODED_LZF) {
      this.readCompressed();
    } else {
      this.readInteger(length === ENCODED_INT8 ? 1 : length === ENCODED_INT16 ? 2 : length === ENCODED_INT32 ? 4 : 0);
    }
    return !this.failed;
  }

  /** The string as a new sds without spare room. @returns 0 after a failure. @throws ARENA_EXHAUSTED */
  readSds(): number {
    return this.readString() ? sdsNewLen(this.heap, this.stringOffset, this.stringLength) : 0;
  }

  /** The string in a new allocation of just its bytes (listpacks and the like), at least 1. @returns 0 after a failure */
  readBlock(): number {
    if (!this.readString()) return 0;
    const block = this.heap.alloc(Math.max(1, this.stringLength));
    this.heap.copy(this.stringOffset, block, this.stringLength);
    return block;
  }

  /** Frees what the reader holds; the bytes read from are the caller's. */
  release(): void {
    if (this.block !== 0) this.heap.free(this.block);
    this.block = 0;
  }

  private newBlock(bytes: number): number {
    this.release();
    this.block = this.heap.alloc(Math.max(1, bytes));
    return this.block;
  }

  private readInteger(bytes: number): void {
    if (bytes === 0) this.failed = true;
    const at = this.readRaw(bytes);
    if (this.failed) return;
    let value = 0;
    for (let i = 0; i < bytes; i++) value |= this.heap.u8[at + i] << (8 * i);
    const text = String((value << (32 - 8 * bytes)) >> (32 - 8 * bytes));
    this.stringOffset = this.newBlock(INTEGER_TEXT_ROOM);
    this.stringLength = text.length;
    this.heap.putLatin1(text, this.stringOffset);
  }

  private readCompressed(): void {
    const compressed = this.readLength();
    const length = this.readLength();
    const at = this.readRaw(compressed);
    if (this.failed) return;
    if (length > 0 && !lzfMayExpandTo(compressed, length)) {
      this.failed = true;
      return;
    }
    this.stringOffset = this.newBlock(length);
    this.stringLength = length;
    if (length > 0 && lzfDecompress(this.heap.u8, at, compressed, this.stringOffset, length) !== length) {
      this.failed = true;
    }
  }
}
