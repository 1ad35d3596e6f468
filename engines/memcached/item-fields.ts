/**
 * Items as they lie in memory: fields, key, value, CAS id, times, references. Nothing here links an item or frees it.
 *
 * Every method takes the offset of an item, and is called under that item's lock unless the item was never linked.
 */
import type { Memory } from '../ports.ts';
import type { HashFunction } from './assoc.ts';
import { CasIds } from './cas-ids.ts';
import * as L from './layout.ts';
import { CELL_NOW, CELL_OLDEST_LIVE, F64_OLDEST_CAS, F64_PROCESS_STARTED, type SharedBlock } from './shared-block.ts';

/** Relative times above it (30 days) are taken for absolute ones. */
export const REALTIME_MAXDELTA = 60 * 60 * 24 * 30;

export class ItemFields {
  readonly memory: Memory;
  readonly u8: Uint8Array;
  readonly view: DataView;
  readonly u16: Uint16Array;
  readonly u32: Uint32Array;
  readonly i32: Int32Array;
  protected readonly f64: Float64Array;
  readonly hash: HashFunction;
  readonly casIds: CasIds;
  /** Indices of the shared block's cells in u32 and f64. */
  readonly #cells: number;
  readonly #numbers: number;

  /** @param isShared whether other threads count CAS ids too */
  constructor(memory: Memory, block: SharedBlock, hash: HashFunction, isShared: boolean) {
    this.memory = memory;
    this.u8 = memory.u8;
    this.view = memory.view;
    this.u16 = memory.u16;
    this.u32 = memory.u32;
    this.i32 = memory.i32;
    this.f64 = memory.f64;
    this.hash = hash;
    this.casIds = new CasIds(block, isShared);
    this.#cells = block.cells;
    this.#numbers = block.numbers;
  }

  /** Present time in relative seconds; the server's tick advances it. */
  get now(): number {
    return this.u32[this.#cells + CELL_NOW];
  }

  set now(seconds: number) {
    this.u32[this.#cells + CELL_NOW] = seconds;
  }

  /** Unix time in seconds of relative time 0. */
  get processStarted(): number {
    return this.f64[this.#numbers + F64_PROCESS_STARTED];
  }

  set processStarted(seconds: number) {
    this.f64[this.#numbers + F64_PROCESS_STARTED] = seconds;
  }

  /** Items not newer than this (relative seconds) are flushed; 0: none. */
  get oldestLive(): number {
    return this.u32[this.#cells + CELL_OLDEST_LIVE];
  }

  set oldestLive(seconds: number) {
    this.u32[this.#cells + CELL_OLDEST_LIVE] = seconds;
  }

  get oldestCas(): number {
    return this.f64[this.#numbers + F64_OLDEST_CAS];
  }

  set oldestCas(cas: number) {
    this.f64[this.#numbers + F64_OLDEST_CAS] = cas;
  }

  /** Turns a client's expiry time (seconds) into a relative time: 0 never, 1 long ago. */
  realTime(exptime: number): number {
    if (exptime === 0) return 0;
    if (exptime < 0) return 1;
    if (exptime > REALTIME_MAXDELTA) return exptime <= this.processStarted ? 1 : exptime - this.processStarted;
    return exptime + this.now;
  }

  /** Bytes of an item in all: what `stats items` counts as requested. */
  totalBytes(item: number): number {
    const flags = this.u16[(item + L.ITEM_FLAGS) >>> 1];
    return (
      L.ITEM_HEADER_BYTES +
      this.u8[item + L.ITEM_NKEY] +
      1 +
      this.i32[(item + L.ITEM_NBYTES) >>> 2] +
      ((flags & L.FLAG_CFLAGS) !== 0 ? 4 : 0) +
      ((flags & L.FLAG_CAS) !== 0 ? 8 : 0)
    );
  }

  /** Offset of an item's key. */
  keyOf(item: number): number {
    return item + L.ITEM_HEADER_BYTES + ((this.u16[(item + L.ITEM_FLAGS) >>> 1] & L.FLAG_CAS) !== 0 ? 8 : 0);
  }

  /** Offset behind key, NUL and client flags: where the value begins, or a chunked item's own chunk header. */
  dataOf(item: number): number {
    const flags = this.u16[(item + L.ITEM_FLAGS) >>> 1];
    return (
      item +
      L.ITEM_HEADER_BYTES +
      ((flags & L.FLAG_CAS) !== 0 ? 8 : 0) +
      this.u8[item + L.ITEM_NKEY] +
      1 +
      ((flags & L.FLAG_CFLAGS) !== 0 ? 4 : 0)
    );
  }

  clientFlags(item: number): number {
    if ((this.u16[(item + L.ITEM_FLAGS) >>> 1] & L.FLAG_CFLAGS) === 0) return 0;
    return this.get32(this.dataOf(item) - 4);
  }

  /** Reads a u32 at any alignment. */
  get32(at: number): number {
    const u8 = this.u8;
    return (u8[at] | (u8[at + 1] << 8) | (u8[at + 2] << 16) | (u8[at + 3] << 24)) >>> 0;
  }

  put32(at: number, value: number): void {
    const u8 = this.u8;
    u8[at] = value;
    u8[at + 1] = value >>> 8;
    u8[at + 2] = value >>> 16;
    u8[at + 3] = value >>> 24;
  }

  casLow(item: number): number {
    if ((this.u16[(item + L.ITEM_FLAGS) >>> 1] & L.FLAG_CAS) === 0) return 0;
    return this.u32[(item + L.ITEM_HEADER_BYTES) >>> 2];
  }

  casHigh(item: number): number {
    if ((this.u16[(item + L.ITEM_FLAGS) >>> 1] & L.FLAG_CAS) === 0) return 0;
    return this.u32[(item + L.ITEM_HEADER_BYTES + 4) >>> 2];
  }

  /** CAS id of a linked item (ids given out here stay below 2^53). */
  casOf(item: number): number {
    return this.casHigh(item) * 4_294_967_296 + this.casLow(item);
  }

  setCas(item: number, high: number, low: number): void {
    if ((this.u16[(item + L.ITEM_FLAGS) >>> 1] & L.FLAG_CAS) === 0) return;
    this.u32[(item + L.ITEM_HEADER_BYTES) >>> 2] = low;
    this.u32[(item + L.ITEM_HEADER_BYTES + 4) >>> 2] = high;
  }

  /** Gives an item its new CAS id. */
  renewCas(item: number): void {
    if ((this.u16[(item + L.ITEM_FLAGS) >>> 1] & L.FLAG_CAS) === 0) return;
    const low = this.casIds.nextLow();
    this.u32[(item + L.ITEM_HEADER_BYTES) >>> 2] = low;
    this.u32[(item + L.ITEM_HEADER_BYTES + 4) >>> 2] = this.casIds.high(low);
  }

  isFlushed(item: number): boolean {
    const oldest = this.oldestLive;
    if (oldest === 0 || oldest > this.now) return false;
    if (this.u32[(item + L.ITEM_TIME) >>> 2] <= oldest) return true;
    if (this.oldestCas === 0) return false;
    const cas = this.casOf(item);
    return cas !== 0 && cas < this.oldestCas;
  }

  /** First data chunk of a chunked item, 0 when none is there yet. */
  firstChunk(item: number): number {
    return this.get32(this.dataOf(item) + L.ITEM_NEXT);
  }

  hold(item: number): void {
    this.u16[(item + L.ITEM_REFCOUNT) >>> 1]++;
  }

  refcount(item: number): number {
    return this.u16[(item + L.ITEM_REFCOUNT) >>> 1];
  }

  /** Hash of an item's key. */
  hashOf(item: number): number {
    return this.hash(this.view, this.keyOf(item), this.u8[item + L.ITEM_NKEY]);
  }
}
