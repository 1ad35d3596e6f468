/**
 * Values that are being read in, one a connection: which item each belongs to, how much of it is there, and where its next byte goes. What is to
 * be done before and after says the core.
 */

import { copyInto } from '../base/copy-into.ts';
import { addChunk } from './item-alloc.ts';
import type { Items } from './items.ts';
import * as L from './layout.ts';

export class IncomingValues {
  readonly #items: Items;
  /** Item whose value is being read (0: none), its key's hash, and the chunk that is being filled. */
  item: Uint32Array;
  hash: Int32Array;
  #chunk: Uint32Array;
  /** How the value is to be stored: STORE_…; whether no reply is wanted. */
  how: Uint8Array;
  quiet: Uint8Array;
  /** Bytes of the value (or of what is to be swallowed) still to come. */
  remaining: Float64Array;
  /** Length of the direct read under way, 0 for none. */
  direct: Uint32Array;
  /** Binary: opcode and opaque of the request. Its values come without the line end that is stored with them. */
  opcode: Uint8Array;
  opaque: Uint32Array;

  constructor(items: Items, slots: number) {
    this.#items = items;
    this.item = new Uint32Array(slots);
    this.hash = new Int32Array(slots);
    this.#chunk = new Uint32Array(slots);
    this.how = new Uint8Array(slots);
    this.quiet = new Uint8Array(slots);
    this.remaining = new Float64Array(slots);
    this.direct = new Uint32Array(slots);
    this.opcode = new Uint8Array(slots);
    this.opaque = new Uint32Array(slots);
  }

  grow(slots: number): void {
    this.item = copyInto(new Uint32Array(slots), this.item);
    this.hash = copyInto(new Int32Array(slots), this.hash);
    this.#chunk = copyInto(new Uint32Array(slots), this.#chunk);
    this.how = copyInto(new Uint8Array(slots), this.how);
    this.quiet = copyInto(new Uint8Array(slots), this.quiet);
    this.remaining = copyInto(new Float64Array(slots), this.remaining);
    this.direct = copyInto(new Uint32Array(slots), this.direct);
    this.opcode = copyInto(new Uint8Array(slots), this.opcode);
    this.opaque = copyInto(new Uint32Array(slots), this.opaque);
  }

  /** @param length bytes to come; the item's reference is passed on to here */
  begin(conn: number, item: number, hash: number, how: number, length: number, quiet: boolean): void {
    this.item[conn] = item;
    this.hash[conn] = hash;
    this.#chunk[conn] = 0;
    this.how[conn] = how;
    this.remaining[conn] = length;
    this.quiet[conn] = quiet ? 1 : 0;
  }

  /** A connection begins or ends, or the value cannot be stored: gives the item up, if there is one. */
  drop(conn: number): void {
    const item = this.item[conn];
    this.item[conn] = 0;
    this.direct[conn] = 0;
    // It was never linked, so nobody else has anything to do with it.
    if (item !== 0) this.#items.release(item);
  }

  /** Where the next byte goes; `room` tells for how many. @returns 0 when there is no memory for a further chunk */
  place(conn: number, isBinary: boolean): number {
    const items = this.#items;
    const item = this.item[conn];
    const remaining = this.remaining[conn];
    const lineEnd = isBinary ? 2 : 0;
    if ((items.u16[(item + L.ITEM_FLAGS) >>> 1] & L.FLAG_CHUNKED) === 0) {
      return items.dataOf(item) + items.i32[(item + L.ITEM_NBYTES) >>> 2] - lineEnd - remaining;
    }
    let chunk = this.#chunk[conn];
    if (chunk === 0 || items.i32[(chunk + L.CHUNK_USED) >>> 2] === items.i32[(chunk + L.CHUNK_SIZE) >>> 2]) {
      // The last chunk must have room for the line end.
      chunk = addChunk(items, item, chunk, remaining + lineEnd);
      if (chunk === 0) return 0;
      this.#chunk[conn] = chunk;
    }
    return chunk + L.CHUNK_DATA + items.i32[(chunk + L.CHUNK_USED) >>> 2];
  }

  /** Bytes that may be stored at the present place. */
  room(conn: number): number {
    const items = this.#items;
    const remaining = this.remaining[conn];
    if ((items.u16[(this.item[conn] + L.ITEM_FLAGS) >>> 1] & L.FLAG_CHUNKED) === 0) return remaining;
    const chunk = this.#chunk[conn];
    return Math.min(remaining, items.i32[(chunk + L.CHUNK_SIZE) >>> 2] - items.i32[(chunk + L.CHUNK_USED) >>> 2]);
  }

  /** So many bytes have been stored at the present place. */
  advance(conn: number, bytes: number): void {
    this.remaining[conn] -= bytes;
    const chunk = this.#chunk[conn];
    if (chunk !== 0) this.#items.i32[(chunk + L.CHUNK_USED) >>> 2] += bytes;
  }

  /** Stores the line end of a binary value. @returns false when there is no memory for it */
  endLine(conn: number): boolean {
    const items = this.#items;
    const { u8 } = items;
    const item = this.item[conn];
    if ((items.u16[(item + L.ITEM_FLAGS) >>> 1] & L.FLAG_CHUNKED) === 0) {
      const end = items.dataOf(item) + items.i32[(item + L.ITEM_NBYTES) >>> 2];
      u8[end - 2] = 13;
      u8[end - 1] = 10;
      return true;
    }
    let chunk = this.#chunk[conn];
    if (items.i32[(chunk + L.CHUNK_SIZE) >>> 2] - items.i32[(chunk + L.CHUNK_USED) >>> 2] < 2) {
      chunk = addChunk(items, item, chunk, 2);
      if (chunk === 0) return false;
    }
    const at = chunk + L.CHUNK_DATA + items.i32[(chunk + L.CHUNK_USED) >>> 2];
    u8[at] = 13;
    u8[at + 1] = 10;
    items.i32[(chunk + L.CHUNK_USED) >>> 2] += 2;
    return true;
  }

  /** Whether the value's last two bytes are the line end that an ASCII client must send. */
  endsLine(conn: number): boolean {
    const items = this.#items;
    const { u8 } = items;
    const item = this.item[conn];
    if ((items.u16[(item + L.ITEM_FLAGS) >>> 1] & L.FLAG_CHUNKED) === 0) {
      const end = items.dataOf(item) + items.i32[(item + L.ITEM_NBYTES) >>> 2];
      return u8[end - 2] === 13 && u8[end - 1] === 10;
    }
    const chunk = this.#chunk[conn];
    const used = items.i32[(chunk + L.CHUNK_USED) >>> 2];
    const last = u8[chunk + L.CHUNK_DATA + used - 1];
    if (used > 1) return u8[chunk + L.CHUNK_DATA + used - 2] === 13 && last === 10;
    const before = items.u32[(chunk + L.ITEM_PREV) >>> 2];
    const beforeUsed = items.i32[(before + L.CHUNK_USED) >>> 2];
    return u8[before + L.CHUNK_DATA + beforeUsed - 1] === 13 && last === 10;
  }
}
