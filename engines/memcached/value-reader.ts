/**
 * Reads what follows a storing command's line: a value, which is copied into its item as it comes or (when many bytes are missing) read into it
 * directly, or bytes that cannot be stored and are thrown away, after which the reply that was due leaves, as in the original.
 */
import type { AsciiCommands } from './ascii-commands.ts';
import type { BinaryCommands } from './binary-commands.ts';
import { PROTOCOL_BINARY } from './connection-protocol.ts';
import { STATE_READING, STATE_READY, STATE_SWALLOWING } from './connection-table.ts';
import { CONNECTIONS_AT_START, type Connections } from './connections.ts';
import type { Core } from './core.ts';
import { IncomingValues } from './incoming-values.ts';
import { copyBytes } from './store.ts';

/** Of a value that is not all there, so much must be missing for a read straight into the item. */
const DIRECT_BYTES_MIN = 2_048;

export class ValueReader {
  readonly #core: Core;
  readonly #connections: Connections;
  readonly #ascii: AsciiCommands;
  readonly #binary: BinaryCommands;
  readonly #values: IncomingValues;
  /** Reply to be sent once all is swallowed. */
  readonly #afterSwallow = new Map<number, Uint8Array>();

  /** @param core its items and connections must be there */
  constructor(core: Core, ascii: AsciiCommands, binary: BinaryCommands) {
    this.#core = core;
    this.#connections = core.connections;
    this.#ascii = ascii;
    this.#binary = binary;
    this.#values = new IncomingValues(core.items, CONNECTIONS_AT_START);
  }

  /** Makes places for so many connections. */
  grow(slots: number): void {
    this.#values.grow(slots);
  }

  /** The connection ends, or nothing more comes of what it has begun. */
  forget(conn: number): void {
    this.#values.drop(conn);
    this.#afterSwallow.delete(conn);
  }

  // ---- What commands ask for

  /**
   * The bytes of an item's value follow.
   * @param item held by the caller, who passes its reference on
   * @param how STORE_…
   * @param length bytes to come (the binary protocol sends no line end; it is added in the end)
   */
  expect(conn: number, item: number, hash: number, how: number, length: number, quiet: boolean): void {
    this.#values.begin(conn, item, hash, how, length, quiet);
    this.#connections.state[conn] = STATE_READING;
    if (length === 0) this.#complete(conn);
  }

  /** Binary: what the reply to the value under way needs. */
  rememberRequest(conn: number, opcode: number, opaque: number): void {
    this.#values.opcode[conn] = opcode;
    this.#values.opaque[conn] = opaque;
  }

  /** Bytes follow that cannot be stored. @param reply sent when all bytes are gone, null for none */
  expectGarbage(conn: number, length: number, reply: Uint8Array | null): void {
    this.#values.remaining[conn] = length;
    if (length === 0) {
      if (reply !== null) this.#core.output.write(reply);
      return;
    }
    this.#connections.state[conn] = STATE_SWALLOWING;
    if (reply !== null) this.#afterSwallow.set(conn, reply);
  }

  // ---- Bytes that come

  /** Throws away what comes in STATE_SWALLOWING. @returns the offset behind it */
  swallow(conn: number, at: number, end: number): number {
    const { remaining } = this.#values;
    const bytes = Math.min(remaining[conn], end - at);
    remaining[conn] -= bytes;
    if (remaining[conn] === 0) {
      this.#connections.state[conn] = STATE_READY;
      const reply = this.#afterSwallow.get(conn);
      if (reply !== undefined) {
        this.#afterSwallow.delete(conn);
        this.#core.output.write(reply);
      }
    }
    return at + bytes;
  }

  /** Stores what comes in STATE_READING. @returns the offset behind what belongs to the value */
  take(conn: number, at: number, end: number): number {
    const values = this.#values;
    const connections = this.#connections;
    while (at < end && connections.state[conn] === STATE_READING) {
      const to = this.#place(conn);
      if (to === 0) return at;
      const bytes = Math.min(values.room(conn), end - at);
      copyBytes(this.#core.memory, to, at, bytes);
      at += bytes;
      values.advance(conn, bytes);
      if (values.remaining[conn] === 0) {
        this.#complete(conn);
        return at;
      }
    }
    if (connections.state[conn] === STATE_READING && values.remaining[conn] >= DIRECT_BYTES_MIN)
      this.#readDirectly(conn);
    return at;
  }

  /** What was to be read into the item directly is there. */
  hasReadDirectly(conn: number): void {
    const values = this.#values;
    values.advance(conn, values.direct[conn]);
    values.direct[conn] = 0;
    if (values.remaining[conn] === 0) this.#complete(conn);
    else if (values.remaining[conn] >= DIRECT_BYTES_MIN) this.#readDirectly(conn);
  }

  #readDirectly(conn: number): void {
    const to = this.#place(conn);
    if (to === 0) return;
    const bytes = this.#values.room(conn);
    this.#values.direct[conn] = bytes;
    this.#core.transport.readInto(conn, to, bytes);
  }

  /** Where the next byte of the value goes. 0: no memory for a further chunk; the rest is then being swallowed. */
  #place(conn: number): number {
    const to = this.#values.place(conn, this.#connections.protocol[conn] === PROTOCOL_BINARY);
    if (to === 0) this.#fail(conn);
    return to;
  }

  // ---- How it ends

  /** No memory for the rest of a chunked value: the item is given up and what follows is swallowed. */
  #fail(conn: number): void {
    const values = this.#values;
    values.drop(conn);
    let reply: Uint8Array | null = null;
    if (this.#connections.protocol[conn] === PROTOCOL_BINARY) {
      reply = this.#binary.outOfMemory(values.opcode[conn], values.opaque[conn]);
    } else if (values.quiet[conn] === 0) {
      reply = this.#ascii.outOfMemoryReading;
    }
    this.#connections.state[conn] = STATE_READY;
    this.expectGarbage(conn, values.remaining[conn], reply);
  }

  #complete(conn: number): void {
    const { locks, items } = this.#core;
    const values = this.#values;
    const item = values.item[conn];
    const hash = values.hash[conn];
    const how = values.how[conn];
    locks.item(hash);
    this.#connections.state[conn] = STATE_READY;
    if (this.#connections.protocol[conn] === PROTOCOL_BINARY) {
      const opcode = values.opcode[conn];
      const opaque = values.opaque[conn];
      const isWhole = values.endLine(conn);
      values.item[conn] = 0;
      if (isWhole) this.#binary.complete(conn, item, how, hash, opcode, opaque);
      else this.#core.output.write(this.#binary.outOfMemory(opcode, opaque));
    } else {
      const isValid = values.endsLine(conn);
      values.item[conn] = 0;
      this.#ascii.complete(conn, item, how, hash, isValid, values.quiet[conn] === 1);
    }
    items.release(item);
    locks.unlockItem(hash);
    this.#binary.settle();
  }
}
