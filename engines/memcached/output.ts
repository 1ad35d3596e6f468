/**
 * What is written in answer to the input under way. Room is reserved in the connection's output in steps, so that the replies of a pipelined batch
 * share a reservation and a commit; values from some size on are not copied but lent, and keep a reference until the transport releases them.
 */
import type { Memory } from '../ports.ts';
import { PROTOCOL_ASCII } from './connection-protocol.ts';
import type { Core } from './core.ts';
import type { Items } from './items.ts';
import { REFCOUNT_MAX } from './kept-items.ts';
import * as L from './layout.ts';
import { LOG_VERBOSE, type Logger } from './logger.ts';
import * as R from './replies.ts';
import { copyBytes } from './store.ts';

/** Values from this size on are lent to the output instead of being copied. */
const LEND_BYTES_MIN = 16_384;
/** Output room is asked for in pieces of this size, so that pipelined replies share a call. */
const OUTPUT_STEP_BYTES = 2_048;

export class Output {
  readonly #core: Core;
  readonly #memory: Memory;
  readonly #u8: Uint8Array;
  readonly #items: Items;
  readonly #logger: Logger;
  #conn = -1;
  /** What has been reserved: where it began, how far it has been written, and its end. 0, 0, 0: nothing. */
  #start = 0;
  #at = 0;
  #limit = 0;
  /** Bytes committed or lent since `begin`. */
  #sent = 0;
  /** Where the last reply to `stats` ended. */
  #statsEnd = 0;

  constructor(core: Core) {
    this.#core = core;
    this.#memory = core.memory;
    this.#u8 = core.u8;
    this.#items = core.items;
    this.#logger = core.logger;
  }

  /** What follows is written to this connection. */
  begin(conn: number): void {
    this.#conn = conn;
    this.#logger.conn = conn;
    this.#at = 0;
    this.#start = 0;
    this.#limit = 0;
    this.#sent = 0;
    this.#statsEnd = 0;
  }

  /** Commits what has been written. */
  finish(): void {
    if (this.#at !== this.#start) this.#core.transport.commit(this.#conn, this.#at);
    this.#sent += this.#at - this.#start;
    this.#at = 0;
    this.#start = 0;
    this.#limit = 0;
  }

  /** Forgets replies that have not left yet (all of this batch unless some left early or were many). */
  dropUncommitted(): void {
    this.#at = this.#start;
  }

  /** Bytes written since `begin`. */
  get bytes(): number {
    return this.#sent + this.#at - this.#start;
  }

  /**
   * Whether replies stand there that are still to be sent. Those of `get` and `mn` leave at once in the original; those of `stats`, which end
   * alike, do not.
   */
  get hasUnsentReplies(): boolean {
    const end = this.#at;
    if (end - this.#start < 4 || end === this.#statsEnd) return true;
    const u8 = this.#u8;
    const isEnd = u8[end - 5] === 69 && u8[end - 4] === 78 && u8[end - 3] === 68;
    const isMn = u8[end - 4] === 77 && u8[end - 3] === 78;
    return !isEnd && !isMn;
  }

  /** Room for `bytes` of output. @returns where to store; tell the end with `wrote`. 0 when memory is exhausted: the connection is then closed */
  room(bytes: number): number {
    if (this.#at + bytes <= this.#limit) return this.#at;
    return this.#moreRoom(bytes);
  }

  #moreRoom(bytes: number): number {
    this.finish();
    const want = Math.max(bytes, OUTPUT_STEP_BYTES);
    const at = this.#core.transport.reserve(this.#conn, want);
    if (at === 0) {
      this.#core.connections.closeNow(this.#conn);
      return 0;
    }
    this.#at = at;
    this.#start = at;
    this.#limit = at + want;
    return at;
  }

  /** What was stored in the room ends here. */
  wrote(end: number): void {
    this.#at = end;
  }

  /** Writes prepared bytes. */
  write(bytes: Uint8Array): void {
    if (this.#logger.wants(LOG_VERBOSE)) this.#logReply(bytes);
    this.put(bytes);
  }

  #logReply(bytes: Uint8Array): void {
    const { connections, verbose } = this.#core;
    if (connections.protocol[this.#conn] === PROTOCOL_ASCII) verbose.reply(this.#conn, bytes);
  }

  /** Writes prepared bytes that -vv does not show. */
  put(bytes: Uint8Array): void {
    const length = bytes.length;
    const at = this.room(length);
    if (at === 0) return;
    const u8 = this.#u8;
    for (let i = 0; i < length; i++) u8[at + i] = bytes[i];
    this.#at = at + length;
  }

  /** Writes text, one byte a character. For cold replies. */
  writeText(text: string): void {
    const at = this.room(text.length);
    if (at === 0) return;
    for (let i = 0; i < text.length; i++) this.#u8[at + i] = text.charCodeAt(i);
    this.#at = at + text.length;
  }

  /** The reply to `stats` ends here. */
  endStats(): void {
    this.put(R.END);
    this.#statsEnd = this.#at;
  }

  /** Writes an item's value without its last `skip` bytes: copied when small, else lent. */
  writeValue(item: number, skip: number): void {
    const items = this.#items;
    const length = items.i32[(item + L.ITEM_NBYTES) >>> 2] - skip;
    if ((items.u16[(item + L.ITEM_FLAGS) >>> 1] & L.FLAG_CHUNKED) === 0) {
      this.#writePiece(item, items.dataOf(item), length);
      return;
    }
    let left = length;
    for (let chunk = items.firstChunk(item); chunk !== 0 && left > 0; chunk = items.u32[(chunk + L.ITEM_NEXT) >>> 2]) {
      const bytes = Math.min(left, items.i32[(chunk + L.CHUNK_USED) >>> 2]);
      this.#writePiece(item, chunk + L.CHUNK_DATA, bytes);
      left -= bytes;
    }
  }

  #writePiece(item: number, from: number, length: number): void {
    if (length < LEND_BYTES_MIN || this.#items.refcount(item) >= REFCOUNT_MAX) {
      const at = this.room(length);
      if (at === 0) return;
      copyBytes(this.#memory, at, from, length);
      this.#at = at + length;
      return;
    }
    this.finish();
    this.#items.hold(item);
    this.#sent += length;
    this.#core.transport.lend(this.#conn, from, length, item);
  }
}
