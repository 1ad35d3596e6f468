/**
 * The connections of one thread, one place for each slot of its loop: their protocol and state, how they begin and end, and which of them are
 * not read from because too much output waits for them. What other threads may see of them stands in the table (connection-table.ts).
 */
import { copyInto } from '../base/copy-into.ts';
import { PROTOCOL_ASCII, PROTOCOL_ASCII_AUTH, PROTOCOL_BINARY, PROTOCOL_UNKNOWN } from './connection-protocol.ts';
import {
  ConnectionTable,
  STATE_CLOSING,
  STATE_READY,
  STATE_WATCHING,
  TRANSPORT_LOCAL,
  TRANSPORT_TCP,
  TRANSPORT_UDP,
} from './connection-table.ts';
import type { Core } from './core.ts';
import { CLOSE_ERROR, CLOSE_IDLE, CLOSE_NORMAL, LOG_CONNEVENTS, LOG_VERBOSE } from './logger.ts';
import { threadsPerUdp } from './settings.ts';
import { CELL_CONNECTIONS } from './shared-block.ts';
import { SERVES_CONNECTIONS } from './thread-directory.ts';

/** A connection with more output waiting is not read from until its peer has taken some. */
export const OUTPUT_BYTES_MAX = 1024 * 1024;
/** Places that are there from the start. */
export const CONNECTIONS_AT_START = 64;
/** The reason for which a connection is closed that goes on in another thread's loop. */
const REASON_MOVED = -1;

export class Connections {
  readonly #core: Core;
  /** What other threads see of them. */
  readonly table: ConnectionTable;
  isOpen: Uint8Array = new Uint8Array(CONNECTIONS_AT_START);
  /** Number of the listening socket that it came by. */
  listener: Uint8Array = new Uint8Array(CONNECTIONS_AT_START);
  /** What a client has shown of who it is: AUTH… bits. */
  auth: Uint8Array = new Uint8Array(CONNECTIONS_AT_START);
  /** It has used up its requests and is handed over again. */
  hasYielded: Uint8Array = new Uint8Array(CONNECTIONS_AT_START);
  /** The table's columns: PROTOCOL_…, STATE_… and relative seconds. */
  protocol: Uint8Array;
  state: Uint8Array;
  lastCommandTime: Uint32Array;
  /** CLOSE_…: why it is about to be closed by us. */
  #closeReason = new Uint8Array(CONNECTIONS_AT_START);
  /** Those that are not read from. */
  #paused: number[] = [];
  /** Slots of sockets for datagrams. */
  readonly #datagramSockets = new Set<number>();

  constructor(core: Core) {
    this.#core = core;
    this.table = new ConnectionTable(core.memory, core.directory, core.locks, core.thread);
    this.table.grow(CONNECTIONS_AT_START);
    this.protocol = this.table.protocol;
    this.state = this.table.state;
    this.lastCommandTime = this.table.lastCommand;
  }

  #grow(least: number): void {
    const slots = Math.max(least, this.isOpen.length * 2);
    this.isOpen = copyInto(new Uint8Array(slots), this.isOpen);
    this.listener = copyInto(new Uint8Array(slots), this.listener);
    this.auth = copyInto(new Uint8Array(slots), this.auth);
    this.table.grow(slots);
    this.protocol = this.table.protocol;
    this.state = this.table.state;
    this.lastCommandTime = this.table.lastCommand;
    this.#closeReason = copyInto(new Uint8Array(slots), this.#closeReason);
    this.hasYielded = copyInto(new Uint8Array(slots), this.hasYielded);
    this.#core.values.grow(slots);
  }

  // ---- How they begin

  /** A connection has been accepted, or has come from another thread. @param listener its socket's number, below 0 for none */
  open(conn: number, listener: number): void {
    const core = this.#core;
    if (conn >= this.isOpen.length) this.#grow(conn + 1);
    this.isOpen[conn] = 1;
    this.listener[conn] = Math.max(0, listener);
    this.protocol[conn] = this.#protocolAtStart(listener);
    this.auth[conn] = 0;
    this.#closeReason[conn] = CLOSE_ERROR;
    const { transport } = core;
    const kind = core.settings.socketPath === null ? TRANSPORT_TCP : TRANSPORT_LOCAL;
    const fd = transport.descriptor(conn);
    this.table.open(conn, fd, kind, transport.peerName(conn), transport.localName(conn), core.items.now);
    this.hasYielded[conn] = 0;
    core.counters.currConnections++;
    // Others than its own a worker's dispatcher counts, as soon as they are accepted.
    if (core.role === 'alone') Atomics.add(core.memory.u32, core.shared.cell(CELL_CONNECTIONS), 1);
    // What a dispatcher opens was a worker's before.
    if (core.role === 'dispatcher') return;
    core.counters.totalConnections++;
    core.directory.serves(core.thread, SERVES_CONNECTIONS);
    if (core.logger.wants(LOG_VERBOSE)) core.verbose.opened(conn);
    if (core.logger.wants(LOG_CONNEVENTS)) core.logger.connection(conn, -1);
  }

  #protocolAtStart(listener: number): number {
    const { settings } = this.#core;
    if (settings.authFile !== null) return PROTOCOL_ASCII_AUTH;
    const protocol = settings.listenerProtocols[listener] ?? settings.protocol;
    return protocol === 'ascii' ? PROTOCOL_ASCII : protocol === 'binary' ? PROTOCOL_BINARY : PROTOCOL_UNKNOWN;
  }

  /** An ASCII client has shown who it is. */
  admitAscii(conn: number): void {
    this.protocol[conn] = PROTOCOL_ASCII;
  }

  /** A socket for datagrams, which is counted and shown as a connection by the first threads only. */
  openDatagramSocket(conn: number): void {
    const core = this.#core;
    if (conn >= this.isOpen.length) this.#grow(conn + 1);
    this.isOpen[conn] = 1;
    this.#datagramSockets.add(conn);
    const name = core.transport.localName(conn);
    const fd = core.transport.descriptor(conn);
    this.state[conn] = STATE_READY;
    if (!this.#countsDatagrams) return;
    this.table.open(conn, fd, TRANSPORT_UDP, name, name, core.items.now);
    core.counters.currConnections++;
    core.counters.totalConnections++;
    if (core.thread === 0 && core.logger.wants(LOG_VERBOSE)) core.hooks.log(`<${fd} server listening (udp)`);
  }

  get #countsDatagrams(): boolean {
    return this.#core.thread < threadsPerUdp(this.#core.settings);
  }

  // ---- How they end

  /** A connection is no more. @param reason errno, 0 for a clean end; REASON_MOVED: it lives on in another thread */
  closed(conn: number, reason: number): void {
    if (this.isOpen[conn] !== 1) return;
    const core = this.#core;
    const isMoved = reason === REASON_MOVED;
    this.isOpen[conn] = 0;
    if (!isMoved && core.logger.wants(LOG_CONNEVENTS | LOG_VERBOSE)) {
      const isPeers = this.state[conn] < STATE_CLOSING && reason === 0;
      this.#logClose(conn, isPeers ? CLOSE_NORMAL : this.#closeReason[conn]);
    }
    if (this.state[conn] === STATE_WATCHING) core.watchers.remove(conn);
    core.handOver.closed(conn, isMoved);
    if (!isMoved && !this.#datagramSockets.has(conn)) {
      Atomics.sub(core.memory.u32, core.shared.cell(CELL_CONNECTIONS), 1);
    }
    this.table.close(conn);
    core.values.forget(conn);
    if (core.crawler.isDumping(conn)) core.crawler.abandonDump();
    const isDatagrams = this.#datagramSockets.delete(conn);
    if (this.#countsDatagrams || !isDatagrams) core.counters.currConnections--;
  }

  #logClose(conn: number, reason: number): void {
    const { logger, verbose } = this.#core;
    if (logger.wants(LOG_VERBOSE)) verbose.closed(conn);
    if (logger.wants(LOG_CONNEVENTS)) logger.connection(conn, reason);
  }

  /** Closes after what was written has left. @param reason CLOSE_… */
  closeAfterOutput(conn: number, reason = CLOSE_ERROR): void {
    this.state[conn] = STATE_CLOSING;
    this.#closeReason[conn] = reason;
    this.#core.output.finish();
    this.#core.transport.close(conn, true);
  }

  /** Closes at once, whatever was still to be sent. @param reason CLOSE_… */
  closeNow(conn: number, reason = CLOSE_ERROR): void {
    this.state[conn] = STATE_CLOSING;
    this.#closeReason[conn] = reason;
    this.#core.transport.close(conn, false);
  }

  /** Closes connections that have been silent for longer than `idle_timeout` between two commands. */
  closeIdle(): void {
    const core = this.#core;
    const { idleTimeout, verbose } = core.settings;
    for (let conn = 0; conn < this.isOpen.length; conn++) {
      if (this.isOpen[conn] !== 1 || this.state[conn] !== STATE_READY || this.#datagramSockets.has(conn)) continue;
      if (core.items.now - this.lastCommandTime[conn] <= idleTimeout || core.transport.outputBytes(conn) > 0) continue;
      core.counters.idleKicks++;
      if (verbose > 1) core.hooks.log(`Closing idle fd ${this.table.fd(conn)}`);
      this.closeNow(conn, CLOSE_IDLE);
    }
  }

  // ---- Those whose peers do not take what is sent to them

  /** Whether more output waits for its peer than is good. */
  hasTooMuchOutput(conn: number): boolean {
    return this.#core.transport.outputBytes(conn) > OUTPUT_BYTES_MAX;
  }

  /** Reads no more from a connection until its peer has taken some of its output. */
  choke(conn: number): void {
    if (this.table.choked[conn] === 1) return;
    this.#paused.push(conn);
    this.table.choked[conn] = 1;
    this.#core.transport.pause(conn);
  }

  /** Reads again from connections whose peers have taken half of what waited for them. */
  resumeDrained(): void {
    if (this.#paused.length === 0) return;
    const { transport } = this.#core;
    this.#paused = this.#paused.filter((conn) => {
      if (this.isOpen[conn] !== 1) return false;
      if (transport.outputBytes(conn) > OUTPUT_BYTES_MAX / 2) return true;
      this.table.choked[conn] = 0;
      transport.resume(conn);
      return false;
    });
  }
}
