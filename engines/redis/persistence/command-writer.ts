/** Requests in RESP, written into the buffer of an RdbWriter: the base of an append-only file as commands. */
import { putUint } from '../protocol/decimal.ts';
import type { Heap } from '../structures/heap.ts';
import { lpGet, lpStringLength, lpStringOffset, lpText } from '../structures/listpack.ts';
import { sdsLen } from '../structures/sds.ts';
import type { RdbWriter } from './rdb-writer.ts';

/** Room for a type byte, digits and CRLF. */
const HEAD_BYTES = 24;

export class CommandWriter {
  readonly heap: Heap;
  private readonly w: RdbWriter;

  constructor(w: RdbWriter) {
    this.heap = w.heap;
    this.w = w;
  }

  private head(type: number, value: number): void {
    const at = this.w.reserve(HEAD_BYTES);
    const { u8 } = this.heap;
    u8[at] = type;
    const end = putUint(u8, at + 1, value);
    u8[end] = 13;
    u8[end + 1] = 10;
    this.w.commit(end + 2);
  }

  private lineEnd(): void {
    this.w.putByte(13);
    this.w.putByte(10);
  }

  /** Begins a request of so many arguments, its name included. */
  begin(argc: number, name: string): void {
    this.head(42, argc);
    this.text(name);
  }

  arg(offset: number, length: number): void {
    this.head(36, length);
    this.w.putRaw(offset, length);
    this.lineEnd();
  }

  sds(s: number): void {
    this.arg(s, sdsLen(this.heap, s));
  }

  /** One byte a char. */
  text(value: string): void {
    this.head(36, value.length);
    const at = this.w.reserve(value.length);
    this.w.commit(this.heap.putLatin1(value, at));
    this.lineEnd();
  }

  /** Bytes that lie in no arena. */
  bytes(from: Uint8Array, length: number): void {
    this.head(36, length);
    const at = this.w.reserve(length);
    for (let i = 0; i < length; i++) this.heap.u8[at + i] = from[i];
    this.w.commit(at + length);
    this.lineEnd();
  }

  /** An element of a listpack. */
  element(p: number): void {
    if (lpGet(this.heap, p)) this.arg(lpStringOffset, lpStringLength);
    else this.text(lpText(this.heap, p));
  }

  /** A mark of time; readers of files pass over it. */
  timestamp(unixtime: number): void {
    const line = `#TS:${unixtime}\r\n`;
    this.w.commit(this.heap.putLatin1(line, this.w.reserve(line.length)));
  }
}
