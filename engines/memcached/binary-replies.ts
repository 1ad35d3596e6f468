/** Responses of the binary protocol, and what of a request they repeat. */
import type { Core } from './core.ts';
import { LOG_VERBOSE } from './logger.ts';
import * as B from './protocol/binary.ts';
import { bytesOf } from './replies.ts';

export const NO_BYTES = new Uint8Array(0);

const ERROR_TEXTS = new Map<number, Uint8Array>(
  (
    [
      [B.STATUS_ENOMEM, 'Out of memory'],
      [B.STATUS_UNKNOWN_COMMAND, 'Unknown command'],
      [B.STATUS_KEY_ENOENT, 'Not found'],
      [B.STATUS_EINVAL, 'Invalid arguments'],
      [B.STATUS_KEY_EEXISTS, 'Data exists for key.'],
      [B.STATUS_E2BIG, 'Too large.'],
      [B.STATUS_DELTA_BADVAL, 'Non-numeric server-side value for incr or decr'],
      [B.STATUS_NOT_STORED, 'Not stored.'],
      [B.STATUS_AUTH_ERROR, 'Auth failure.'],
    ] as const
  ).map(([status, text]) => [status, bytesOf(text)]),
);

/** The status whose text tells what memory was wanted for. */
export const NO_MEMORY = {
  item: bytesOf('Out of memory allocating item'),
  newItem: bytesOf('Out of memory allocating new item'),
  value: bytesOf('Out of memory incrementing value'),
  reading: bytesOf('Out of memory during read'),
};

export class BinaryReplies {
  protected readonly core: Core;
  /** Of the request under way, quiet or not; and whether its success needs no response. */
  protected opcode = 0;
  protected opaque = 0;
  protected quiet = false;
  /** Where its key and extras lie, and the lengths that its header tells. */
  protected keyAt = 0;
  protected keyLength = 0;
  protected extrasAt = 0;
  protected extrasLength = 0;
  protected bodyLength = 0;
  /** Replies have been written that leave at once, with all before them. */
  #leaves = false;

  constructor(core: Core) {
    this.core = core;
  }

  protected get32(at: number): number {
    const { u8 } = this.core;
    return ((u8[at] << 24) | (u8[at + 1] << 16) | (u8[at + 2] << 8) | u8[at + 3]) >>> 0;
  }

  protected get64(at: number): bigint {
    return (BigInt(this.get32(at)) << 32n) | BigInt(this.get32(at + 4));
  }

  protected put32(at: number, value: number) {
    const { u8 } = this.core;
    u8[at] = value >>> 24;
    u8[at + 1] = value >>> 16;
    u8[at + 2] = value >>> 8;
    u8[at + 3] = value;
  }

  /** A response's header into room that is there. @returns its end */
  protected header(
    out: number,
    status: number,
    extrasLength: number,
    keyLength: number,
    bodyLength: number,
    casHigh: number,
    casLow: number,
  ): number {
    const { u8 } = this.core;
    u8[out] = B.MAGIC_RESPONSE;
    u8[out + 1] = this.opcode;
    u8[out + 2] = keyLength >>> 8;
    u8[out + 3] = keyLength;
    u8[out + 4] = extrasLength;
    u8[out + 5] = 0;
    u8[out + 6] = status >>> 8;
    u8[out + 7] = status;
    this.put32(out + 8, bodyLength);
    this.put32(out + 12, this.opaque);
    this.put32(out + 16, casHigh);
    this.put32(out + 20, casLow);
    if (this.core.logger.wants(LOG_VERBOSE)) this.core.verbose.binaryReply(this.core.logger.conn, out);
    return out + B.BINARY_HEADER_BYTES;
  }

  /** A success without key, unless the command is quiet. */
  protected respond(casHigh: number, casLow: number, value: Uint8Array) {
    if (this.quiet) return;
    const out = this.core.output.room(B.BINARY_HEADER_BYTES);
    if (out === 0) return;
    this.core.output.wrote(this.header(out, B.STATUS_SUCCESS, 0, 0, value.length, casHigh, casLow));
    if (value.length > 0) this.core.output.write(value);
  }

  /** An error, which leaves at once with all replies before it. */
  protected error(status: number, text = ERROR_TEXTS.get(status) ?? NO_BYTES) {
    const { core } = this;
    this.#leaves = true;
    if (core.logger.wants(LOG_VERBOSE)) core.verbose.binaryError(core.logger.conn, text);
    let out = core.output.room(B.BINARY_HEADER_BYTES + text.length);
    if (out === 0) return;
    out = this.header(out, status, 0, 0, text.length, 0, 0);
    for (let i = 0; i < text.length; i++) core.u8[out + i] = text[i];
    core.output.wrote(out + text.length);
  }

  /** The same for a reply that leaves later. */
  protected errorBytes(status: number, text = ERROR_TEXTS.get(status) ?? NO_BYTES): Uint8Array {
    const bytes = new Uint8Array(B.BINARY_HEADER_BYTES + text.length);
    bytes[0] = B.MAGIC_RESPONSE;
    bytes[1] = this.opcode;
    bytes[6] = status >>> 8;
    bytes[7] = status;
    bytes[11] = text.length;
    bytes[12] = this.opaque >>> 24;
    bytes[13] = this.opaque >>> 16;
    bytes[14] = this.opaque >>> 8;
    bytes[15] = this.opaque;
    bytes.set(text, B.BINARY_HEADER_BYTES);
    return bytes;
  }

  /** What is written now does not wait for the end of the batch. */
  protected leaveNow() {
    this.#leaves = true;
  }

  /** To be called when a request is done and no lock is held: lets go what its replies had kept, if they leave at once. */
  settle() {
    if (!this.#leaves) return;
    this.#leaves = false;
    this.core.repliesLeave();
  }

  protected errorAndSwallow(conn: number, status: number, bytes: number, text?: Uint8Array) {
    // Only with nothing to be thrown away does it leave at once.
    if (bytes === 0) this.error(status, text);
    else this.core.values.expectGarbage(conn, bytes, this.errorBytes(status, text));
  }

  /** The reply when a value under way finds no memory. */
  outOfMemory(opcode: number, opaque: number): Uint8Array {
    this.opcode = opcode;
    this.opaque = opaque;
    return this.errorBytes(B.STATUS_ENOMEM, NO_MEMORY.reading);
  }
}
