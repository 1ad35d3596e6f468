/**
 * Requests by UDP. A datagram begins with a frame of 8 bytes: request id, number of this datagram, number of datagrams (each 16 bits,
 * big-endian), two bytes that are 0. A request is one datagram and may hold several commands. Each command is answered on its own,
 * with datagrams that are numbered from 0 and carry at most 1,400 bytes each; so is each key of a get. What needs more bytes than its datagram
 * has is dropped, as is whatever has no valid frame.
 */
import { Unconnected } from '../base/unconnected.ts';
import type { Transport } from '../ports.ts';
import type { Core } from './core.ts';
import * as B from './protocol/binary.ts';
import { bytesOf, END, ERROR, equals } from './replies.ts';

export const UDP_FRAME_BYTES = 8;
const DATAGRAM_BYTES_MAX = 1_400;
const PAYLOAD_BYTES_MAX = DATAGRAM_BYTES_MAX - UDP_FRAME_BYTES;

const PAGE_BYTES = 4_096;
/** Output of a command goes to a run of so many pages; further runs are taken for what does not fit. */
const RUN_PAGES = 16;

/** Commands that go on answering after they have been executed, which a datagram's sender cannot be given. */
const ENDLESS = [bytesOf('watch'), bytesOf('lru_crawler metadump'), bytesOf('lru_crawler mgdump')];

export class Udp {
  readonly #core: Core;
  readonly #output: DatagramOutput;
  #packetAt = 0;
  #requestId = 0;
  #conn = -1;
  /** No reply stands before the next one, of those that leave together. */
  #isFirst = true;
  #leaves = false;

  constructor(core: Core) {
    this.#core = core;
    this.#output = new DatagramOutput(core.transport);
  }

  /** Executes and answers a datagram that came to socket `conn`. */
  receive(conn: number, start: number, end: number): void {
    const core = this.#core;
    const { u8 } = core;
    // Requests of several datagrams are dropped, whichever of them this is.
    if (end - start <= UDP_FRAME_BYTES || u8[start + 4] !== 0 || u8[start + 5] !== 1) return;
    if (this.#packetAt === 0) this.#packetAt = core.memory.takePages(1);
    if (this.#packetAt === 0) return;
    this.#conn = conn;
    this.#requestId = (u8[start]! << 8) | u8[start + 1]!;
    const isBinary = u8[start + UDP_FRAME_BYTES] === B.MAGIC_REQUEST;
    const transport = core.transport;
    const output = this.#output;
    output.isClosed = false;
    this.#isFirst = true;
    core.transport = output;
    core.input.beginDatagram(conn, isBinary);
    for (let at = start + UDP_FRAME_BYTES; at < end && !output.isClosed; ) {
      const next = isBinary ? core.input.executeOne(conn, at, end) : this.#ascii(at, end);
      if (next < 0) break;
      const leaves = this.#leaves || (!isBinary && this.#hasGot(at));
      // A `quit` has an empty reply as well.
      this.#send(isBinary || (output.isClosed && u8[at] === 0x71));
      if (leaves) this.#isFirst = true;
      this.#leaves = false;
      at = next;
    }
    core.input.endDatagram(conn);
    output.clear((lease) => core.items.releaseHeld(lease));
    core.transport = transport;
  }

  #ascii(at: number, end: number): number {
    const core = this.#core;
    for (const word of ENDLESS) {
      if (end - at <= word.length || !equals(core.u8, at, word.length, word)) continue;
      const eol = core.u8.indexOf(10, at);
      if (eol < 0 || eol >= end) return -1;
      core.transport.commit(this.#conn, this.#store(ERROR));
      return eol + 1;
    }
    return core.input.executeOne(this.#conn, at, end);
  }

  #store(bytes: Uint8Array): number {
    const at = this.#output.reserve(this.#conn, bytes.length);
    this.#core.u8.set(bytes, at);
    return at + bytes.length;
  }

  /** What has been written is a reply of its own, even if that is nothing. */
  endReply(): void {
    this.#send(true);
  }

  /** The reply under way and those before it do not wait for others. */
  repliesLeave(): void {
    this.#leaves = true;
  }

  /** Whether the command at `at` was a get or one of its kin and has been answered as such: after an error replies do not leave. */
  #hasGot(at: number): boolean {
    const { u8 } = this.#core;
    return (u8[at] === 0x67 || (u8[at] === 0x62 && u8[at + 1] === 0x67)) && this.#output.endsWith(END);
  }

  /**
   * Sends what has been written as one reply.
   * @param always also when nothing has been written: a frame alone, of 0 datagrams. As in the original only the first of those replies
   *   that leave together can be such a one.
   */
  #send(always: boolean): void {
    const core = this.#core;
    const { u8 } = core;
    const output = this.#output;
    const count = Math.ceil(output.bytes / PAYLOAD_BYTES_MAX);
    const inner = output.inner;
    for (let sequence = 0; sequence < Math.max(count, always && this.#isFirst ? 1 : 0); sequence++) {
      this.#isFirst = false;
      const at = this.#packetAt;
      put16(u8, at, this.#requestId);
      put16(u8, at + 2, sequence);
      put16(u8, at + 4, count);
      put16(u8, at + 6, 0);
      const length = output.take(u8, at + UDP_FRAME_BYTES, PAYLOAD_BYTES_MAX);
      inner.sendDatagram!(this.#conn, at, UDP_FRAME_BYTES + length);
    }
    output.clear((lease) => core.items.releaseHeld(lease));
  }
}

function put16(u8: Uint8Array, at: number, value: number): void {
  u8[at] = value >>> 8;
  u8[at + 1] = value;
}

/** Stands in for the loop while a datagram is executed: gathers what is written for it. What a datagram lacks does not come later. */
class DatagramOutput extends Unconnected implements Transport {
  readonly inner: Transport;
  readonly memory: Transport['memory'];
  /** The command has closed its connection, which here means: the rest of the datagram does not count. */
  isClosed = false;
  /** Bytes gathered and not yet taken. */
  bytes = 0;
  /** Where what was written lies, in order: offsets and lengths; how far it has been taken. */
  #at: number[] = [];
  #length: number[] = [];
  #taken = 0;
  #leases: number[] = [];
  /** Runs of pages that output goes to: offsets and numbers of pages. The first one stays. */
  #runs: { at: number; pages: number }[] = [];
  #next = 0;
  #limit = 0;

  constructor(inner: Transport) {
    super();
    this.inner = inner;
    this.memory = inner.memory;
  }

  reserve(_conn: number, bytes: number): number {
    if (this.#next + bytes > this.#limit) {
      const pages = Math.max(RUN_PAGES, Math.ceil(bytes / PAGE_BYTES));
      const at = this.memory.takePages(pages);
      if (at === 0) return 0;
      this.#runs.push({ at, pages });
      this.#next = at;
      this.#limit = at + pages * PAGE_BYTES;
    }
    return this.#next;
  }

  commit(_conn: number, end: number): void {
    this.#add(this.#next, end - this.#next);
    this.#next = end;
  }

  lend(_conn: number, offset: number, length: number, lease: number): void {
    this.#add(offset, length);
    this.#leases.push(lease);
  }

  #add(offset: number, length: number): void {
    if (length === 0) return;
    this.#at.push(offset);
    this.#length.push(length);
    this.bytes += length;
  }

  /** Copies up to `max` bytes to `to`. @returns how many */
  take(u8: Uint8Array, to: number, max: number): number {
    let done = 0;
    while (done < max && this.#taken < this.#at.length) {
      const from = this.#at[this.#taken]!;
      const bytes = Math.min(this.#length[this.#taken]!, max - done);
      u8.copyWithin(to + done, from, from + bytes);
      done += bytes;
      this.#at[this.#taken] = from + bytes;
      this.#length[this.#taken]! -= bytes;
      if (this.#length[this.#taken] === 0) this.#taken++;
    }
    this.bytes -= done;
    return done;
  }

  /** Whether the piece that was written last, of what has not been taken, ends with `bytes`. */
  endsWith(bytes: Uint8Array): boolean {
    const last = this.#at.length - 1;
    const length = last < this.#taken ? 0 : this.#length[last]!;
    const { u8 } = this.memory;
    return length >= bytes.length && equals(u8, this.#at[last]! + length - bytes.length, bytes.length, bytes);
  }

  /** Forgets what was gathered. @param release gets what was lent */
  clear(release: (lease: number) => void): void {
    for (const lease of this.#leases) release(lease);
    this.#leases = [];
    this.#at = [];
    this.#length = [];
    this.#taken = 0;
    this.bytes = 0;
    while (this.#runs.length > 1) {
      const run = this.#runs.pop()!;
      this.memory.givePages(run.at, run.pages);
    }
    const first = this.#runs[0];
    this.#next = first?.at ?? 0;
    this.#limit = first === undefined ? 0 : first.at + first.pages * PAGE_BYTES;
  }

  override close(): void {
    this.isClosed = true;
  }

  override peerName(conn: number): string {
    return this.inner.peerName(conn);
  }
  override localName(conn: number): string {
    return this.inner.localName(conn);
  }
  override descriptor(conn: number): number {
    return this.inner.descriptor(conn);
  }
}
