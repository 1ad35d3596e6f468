/**
 * The input loop: takes a connection's bytes command by command, according to its state.
 *
 * READY: the next byte begins a command. READING and SWALLOWING: what belongs to the last one follows (value-reader.ts). LENT: a dump is written
 * to it, and it is not read from before its end. In all others what still comes is ignored.
 */
import type { AsciiAuth } from './ascii-auth.ts';
import type { AsciiCommands } from './ascii-commands.ts';
import type { BinaryCommands } from './binary-commands.ts';
import { PROTOCOL_ASCII, PROTOCOL_BINARY, PROTOCOL_UNKNOWN } from './connection-protocol.ts';
import { STATE_CLOSING, STATE_LENT, STATE_READING, STATE_READY, STATE_SWALLOWING } from './connection-table.ts';
import type { Connections } from './connections.ts';
import type { Core } from './core.ts';
import type { KeptItems } from './kept-items.ts';
import { LOG_VERBOSE } from './logger.ts';
import type { Output } from './output.ts';
import { MAGIC_REQUEST } from './protocol/binary.ts';
import * as R from './replies.ts';
import { SERVES_COMMANDS } from './thread-directory.ts';
import type { ValueReader } from './value-reader.ts';

/** Output between two looks at what is waiting. */
const OUTPUT_CHECK_BYTES = 65_536;

export class Input {
  readonly #core: Core;
  readonly #connections: Connections;
  readonly #output: Output;
  readonly #values: ValueReader;
  readonly #kept: KeptItems;
  readonly #ascii: AsciiCommands;
  readonly #binary: BinaryCommands;
  readonly #asciiAuth: AsciiAuth;
  /** Whether a callback of a connection is under way, and what was released meanwhile. */
  #isInside = false;
  readonly #released: number[] = [];
  /** Where the batch under way begins. */
  #start = 0;
  /** Whether it is a datagram's. */
  isDatagram = false;

  /** @param core its other parts must be there */
  constructor(core: Core, ascii: AsciiCommands, binary: BinaryCommands, asciiAuth: AsciiAuth) {
    this.#core = core;
    this.#connections = core.connections;
    this.#output = core.output;
    this.#values = core.values;
    this.#kept = core.kept;
    this.#ascii = ascii;
    this.#binary = binary;
    this.#asciiAuth = asciiAuth;
  }

  /** Takes what it can of [start, end). @returns the offset behind what has been taken */
  take(conn: number, start: number, end: number): number {
    const connections = this.#connections;
    const output = this.#output;
    this.#start = start;
    this.#isInside = true;
    output.begin(conn);
    let at = start;
    // The original's `nreqs`: counted down wherever a connection would begin a command, the first of what was just read excepted.
    let requests = this.#core.settings.reqsPerEvent - connections.hasYielded[conn];
    connections.hasYielded[conn] = 0;
    while (at < end) {
      const state = connections.state[conn];
      if (state === STATE_READY) {
        const next = this.#command(conn, at, end);
        if (next < 0) break;
        // The line's last byte is kept back while a dump is written, so that this connection is served again without more input.
        at = connections.state[conn] === STATE_LENT ? next - 1 : next;
      } else if (state === STATE_READING) {
        at = this.#values.take(conn, at, end);
      } else if (state === STATE_SWALLOWING) {
        at = this.#values.swallow(conn, at, end);
      } else if (state === STATE_LENT) {
        if (!this.#dumpSome(conn)) break;
        at++;
      } else {
        at = end;
      }
      if (connections.state[conn] === STATE_READY && --requests < 0) break;
      if (output.bytes > OUTPUT_CHECK_BYTES && this.#isChoked(conn)) break;
    }
    // What ends just so counts as well when its replies are to be sent: the original is at the beginning of a command again then.
    if (requests === 0 && connections.state[conn] === STATE_READY && this.hasRepliesBefore(at)) requests = -1;
    output.finish();
    if (this.#kept.count > 0) this.#kept.release();
    this.#leave();
    if (requests < 0) this.#yield(conn, at < end);
    return at;
  }

  /** What a value's item was to be given directly is there. */
  takeDirect(conn: number): void {
    if (this.#connections.isOpen[conn] !== 1 || this.#connections.state[conn] !== STATE_READING) return;
    this.#isInside = true;
    this.#output.begin(conn);
    this.#values.hasReadDirectly(conn);
    this.#output.finish();
    this.#leave();
  }

  /** The callback ends: what was released meanwhile is given back. */
  #leave(): void {
    this.#isInside = false;
    if (this.#released.length > 0) this.#releaseDeferred();
  }

  #releaseDeferred(): void {
    for (const lease of this.#released) this.#core.items.releaseHeld(lease);
    this.#released.length = 0;
  }

  /** The transport needs what it was lent no longer. */
  released(lease: number): void {
    // A command under way may hold the item's lock, which is not to be taken twice.
    if (this.#isInside) this.#released.push(lease);
    else this.#core.items.releaseHeld(lease);
  }

  #command(conn: number, at: number, end: number): number {
    let protocol = this.#connections.protocol[conn];
    if (protocol === PROTOCOL_UNKNOWN) protocol = this.#negotiate(conn, at);
    if (protocol === PROTOCOL_ASCII) return this.#ascii.execute(conn, at, end);
    return protocol === PROTOCOL_BINARY ? this.#binary.execute(conn, at, end) : this.#asciiAuth.execute(conn, at, end);
  }

  /** The connection's first byte tells its protocol. */
  #negotiate(conn: number, at: number): number {
    const core = this.#core;
    core.directory.serves(core.thread, SERVES_COMMANDS);
    const isBinary = core.u8[at] === MAGIC_REQUEST;
    const protocol = isBinary ? PROTOCOL_BINARY : PROTOCOL_ASCII;
    this.#connections.protocol[conn] = protocol;
    if (core.logger.wants(LOG_VERBOSE)) core.verbose.protocol(conn, isBinary);
    return protocol;
  }

  /** Whether replies to earlier commands of the same batch are still to be sent when the command at `at` is executed. */
  hasRepliesBefore(at: number): boolean {
    return at !== this.#start && this.#output.hasUnsentReplies;
  }

  // ---- When a connection does not go on at once

  /** A connection has had its requests for this time: the others' turn. */
  #yield(conn: number, hasMore: boolean): void {
    const connections = this.#connections;
    if (connections.state[conn] >= STATE_CLOSING) return;
    this.#core.counters.connYields++;
    if (!hasMore) return;
    if (connections.hasTooMuchOutput(conn)) {
      connections.choke(conn);
      return;
    }
    connections.hasYielded[conn] = 1;
    this.#core.transport.yieldTurn(conn);
  }

  /** Whether too much output waits; the connection is then paused. */
  #isChoked(conn: number): boolean {
    this.#output.finish();
    this.#output.begin(conn);
    if (!this.#connections.hasTooMuchOutput(conn)) return false;
    this.#connections.choke(conn);
    return true;
  }

  /** The crawler is going to dump to this connection. */
  beginDump(conn: number): void {
    this.#connections.state[conn] = STATE_LENT;
  }

  /** A slice of a dump, as much as the client takes. @returns whether that was the last */
  #dumpSome(conn: number): boolean {
    const connections = this.#connections;
    const isDone = this.#core.crawler.dumpSome();
    if (connections.state[conn] !== STATE_LENT) return false;
    if (isDone) {
      connections.state[conn] = STATE_READY;
      this.#output.write(R.END);
      return true;
    }
    if (!this.#isChoked(conn)) this.#core.transport.yieldTurn(conn);
    return false;
  }

  // ---- Datagrams

  /** Commands of one datagram follow (`executeOne`). */
  beginDatagram(conn: number, isBinary: boolean): void {
    this.#isInside = true;
    this.isDatagram = true;
    this.#connections.protocol[conn] = isBinary ? PROTOCOL_BINARY : PROTOCOL_ASCII;
    this.#connections.state[conn] = STATE_READY;
  }

  /** Executes the command at `at`, with the value that belongs to it. @returns the offset behind it, or -1 when it is not all there */
  executeOne(conn: number, at: number, end: number): number {
    const connections = this.#connections;
    this.#start = at;
    this.#output.begin(conn);
    let next = this.#command(conn, at, end);
    while (next >= 0 && next < end) {
      if (connections.state[conn] === STATE_READING) next = this.#values.take(conn, next, end);
      else if (connections.state[conn] === STATE_SWALLOWING) next = this.#values.swallow(conn, next, end);
      else break;
    }
    this.#output.finish();
    const state = connections.state[conn];
    return state !== STATE_READING && state !== STATE_SWALLOWING ? next : -1;
  }

  /** The rest of a datagram, if any, does not count. */
  endDatagram(conn: number): void {
    this.#connections.state[conn] = STATE_READY;
    this.#values.forget(conn);
    if (this.#kept.count > 0) this.#kept.release();
    this.isDatagram = false;
    this.#leave();
  }
}
