/**
 * What every event loop has in common: the table of connections, their input and output, closing at safe points, timers,
 * and the order of a turn. A concrete loop adds how bytes are read, written and waited for.
 *
 * A turn: input of all ready connections -> resumed connections -> timers -> `onTurn` -> output leaves -> connections that
 * were closed meanwhile are torn down (`onClose`), and only then their slots can be used again. So a core may close any
 * connection in any callback and still touch it until that callback has returned.
 */
import { copyInto } from '../base/copy-into.ts';
import type { Allocator, ConnectionHandler, Memory } from '../ports.ts';
import {
  type EventLoop,
  type EventLoopName,
  type EventLoopOptions,
  type Listener,
  type LoopCounters,
  MOVED,
  type Waker,
} from './event-loop.ts';
import { InputBuffers } from './input-buffers.ts';
import { nowUs } from './now.ts';
import { OutputQueues } from './output-queues.ts';
import { errnoOf, SystemError } from './system-error.ts';
import { TimerQueue } from './timer-queue.ts';

export const FREE = 0;
/** An open attempt of ours is under way. */
export const CONNECTING = 1;
export const OPEN = 2;
/** No more input is wanted; closes when its output has left. */
export const DRAINING = 3;
/** The peer ended: what this turn still stores is offered to the system once, then it closes. */
export const ENDED = 4;
/** Waits for the end of the turn to be torn down. */
export const CLOSED = 5;

/** In `paused`: the core wants no input. */
export const PAUSED = 1;
/** In `paused`: the core has yielded; this connection's input waits for the others'. */
export const YIELDED = 2;

/** Connections that close within a turn hold their slot until its end; this many may do so beyond `maxConnections`. */
const SLOT_SLACK = 1024;
const DEFAULT_CONNECTIONS = 10_000;
const DEFAULT_READ_BUFFER_BYTES = 65_536;
const DEFAULT_CHUNK_BYTES = 16_384;
const DEFAULT_INPUT_LIMIT_BYTES = 2 ** 30;
const ENOMEM = errnoOf('ENOMEM');
const EMFILE = errnoOf('EMFILE');
const ENOBUFS = errnoOf('ENOBUFS');

export abstract class ConnectionLoop implements EventLoop {
  abstract readonly name: EventLoopName;
  readonly memory: Memory;
  readonly counters: LoopCounters = {
    turns: 0,
    reads: 0,
    writes: 0,
    bytesIn: 0,
    bytesOut: 0,
    accepted: 0,
    refused: 0,
  };
  onRefused: (() => Uint8Array | null) | null = null;
  isFull: (() => boolean) | null = null;
  onFull: (() => void) | null = null;
  onAccepted: ((fd: number, listener: Listener) => boolean) | null = null;
  onWake: (() => void) | null = null;
  tcpKeepAliveSeconds: number;
  connectionCount = 0;
  abstract readonly waker: Waker;

  protected readonly allocator: Allocator;
  protected readonly input: InputBuffers;
  protected readonly output: OutputQueues;
  protected readonly timers = new TimerQueue();
  protected handler: ConnectionHandler = noHandler;
  protected state: Uint8Array;
  protected paused: Uint8Array;
  /** The system takes no more for now: `writable` resumes sending. */
  protected blocked: Uint8Array;
  protected reason: Int32Array;
  /** Which listener a connection came from, -1 where we opened it. */
  protected origin: Int32Array;
  protected running = false;
  /** When the present turn woke: one reading of the clock serves its timers and its bookkeeping. */
  protected turnUs = 0;

  private limit: number;
  private freeSlots: Int32Array;
  private freeCount = 0;
  private slotCount = 0;
  private dirty: Int32Array;
  protected isDirty: Uint8Array;
  private dirtyCount = 0;
  protected resumed: number[] = [];
  /** A paused connection has nothing left to send: the core, which may wait for that, gets another turn. */
  private hasDrained = false;
  /** The connection that has yielded within the present onInput, or -1. */
  private yielding = -1;
  private closing: number[] = [];
  private sink = 0;
  private sinkBytes = 0;
  private deadline = Number.POSITIVE_INFINITY;

  private readonly sendsAfterEnd: boolean;

  constructor(allocator: Allocator, options: EventLoopOptions = {}) {
    this.allocator = allocator;
    this.memory = allocator.memory;
    this.limit = options.maxConnections ?? DEFAULT_CONNECTIONS;
    this.tcpKeepAliveSeconds = options.tcpKeepAliveSeconds ?? 0;
    this.sendsAfterEnd = options.sendsAfterEnd ?? false;
    const slots = this.limit + SLOT_SLACK;
    const chunkBytes = options.outputChunkBytes ?? DEFAULT_CHUNK_BYTES;
    this.input = new InputBuffers(
      allocator,
      slots,
      options.readBufferBytes ?? DEFAULT_READ_BUFFER_BYTES,
      options.inputLimitBytes ?? DEFAULT_INPUT_LIMIT_BYTES,
    );
    this.output = new OutputQueues(allocator, slots, chunkBytes);
    this.state = new Uint8Array(slots);
    this.paused = new Uint8Array(slots);
    this.blocked = new Uint8Array(slots);
    this.reason = new Int32Array(slots);
    this.origin = new Int32Array(slots);
    this.freeSlots = new Int32Array(slots);
    // Twice: while the list is worked off, each connection may be listed once more.
    this.dirty = new Int32Array(slots * 2);
    this.isDirty = new Uint8Array(slots);
    this.sinkBytes = chunkBytes;
    this.sink = allocator.alloc(chunkBytes);
  }

  // What a concrete loop adds.

  abstract listenTcp(host: string, port: number, backlog: number): Promise<Listener>;
  abstract listenUnix(path: string, backlog: number, mode: number): Promise<Listener>;
  abstract listenUdp(host: string, port: number): Promise<Listener>;
  abstract sendDatagram(conn: number, offset: number, length: number): void;
  abstract closeListeners(): void;
  abstract acceptAgain(): void;
  abstract connectTcp(host: string, port: number): number;
  abstract connectUnix(path: string): number;
  abstract run(): Promise<void>;
  abstract peerName(conn: number): string;
  abstract localName(conn: number): string;
  abstract descriptor(conn: number): number;
  /** Sends what it can of a connection's output; sets `blocked` where something is left, or calls `fail`. */
  protected abstract send(conn: number): void;
  /** Gives the system's side of a connection back. */
  protected abstract release(conn: number): void;
  /** Sees to it that a turn comes soon (called where something was queued, maybe outside a turn). */
  protected abstract wantTurn(): void;
  /** A connection was paused or resumed, or wants no more input. */
  protected abstract readingChanged(conn: number): void;
  protected abstract growTables(slots: number): void;
  protected abstract closeSystem(): void;

  setHandler(handler: ConnectionHandler): void {
    if (this.handler !== noHandler) throw new Error('Cannot set the handler of an event loop twice');
    this.handler = handler;
    this.output.onReleased = (lease) => handler.onReleased(lease);
  }

  nowUs(): number {
    return nowUs();
  }

  addTimer(delayMs: number, callback: () => number): number {
    const id = this.timers.add(nowUs() + delayMs * 1000, callback);
    this.timesChanged();
    return id;
  }

  cancelTimer(id: number): void {
    this.timers.cancel(id);
  }

  pollsBeforeDeadline = false;

  get deadlineUs(): number {
    return this.deadline;
  }

  set deadlineUs(us: number) {
    this.deadline = us;
    this.timesChanged();
  }

  get maxConnections(): number {
    return this.limit;
  }

  set maxConnections(count: number) {
    const slots = count + SLOT_SLACK;
    if (slots > this.state.length) this.growSlots(slots);
    this.limit = count;
  }

  stop(): void {
    this.running = false;
    this.wantTurn();
  }

  destroy(): void {
    this.stop();
    this.closeListeners();
    for (let conn = 0; conn < this.slotCount; conn++) {
      if (this.state[conn] !== FREE) this.markClosed(conn, 0);
    }
    this.tearDown();
    this.timers.clear();
    this.closeSystem();
    this.output.destroy();
    this.input.destroy();
    if (this.sink !== 0) this.allocator.free(this.sink);
    this.sink = 0;
    this.sinkBytes = 0;
  }

  // Transport

  reserve(conn: number, bytes: number): number {
    if (this.state[conn] !== OPEN) return this.reserveSink(bytes);
    // Marked here rather than at commit: a chunk that was reserved in vain is then cleared away as well.
    if (this.isDirty[conn] === 0) this.markDirty(conn);
    return this.output.reserve(conn, bytes);
  }

  commit(conn: number, end: number): void {
    if (this.state[conn] !== OPEN) return;
    this.output.commit(conn, end);
  }

  lend(conn: number, offset: number, length: number, lease: number): void {
    if (this.state[conn] !== OPEN) {
      this.handler.onReleased(lease);
      return;
    }
    this.output.lend(conn, offset, length, lease);
    if (this.isDirty[conn] === 0) this.markDirty(conn);
  }

  outputBytes(conn: number): number {
    return this.output.bytes[conn];
  }

  outputMemory(conn: number): number {
    return this.output.held[conn];
  }

  outputChunks(conn: number): number {
    const ranges = this.output.ranges[conn];
    return ranges > 0 ? ranges - 1 : 0;
  }

  inputBytes(conn: number): number {
    return this.input.bytesOf(conn);
  }

  inputCapacity(conn: number): number {
    return this.input.capacityOf(conn);
  }

  readInto(conn: number, offset: number, length: number): void {
    this.input.setDirect(conn, offset, length);
  }

  pause(conn: number): void {
    if (this.paused[conn] === PAUSED) return;
    this.paused[conn] = PAUSED;
    if (this.state[conn] === OPEN) this.readingChanged(conn);
  }

  resume(conn: number): void {
    if (this.paused[conn] === 0) return;
    this.paused[conn] = 0;
    if (this.state[conn] !== OPEN) return;
    this.readingChanged(conn);
    if (this.input.bytesOf(conn) > 0) {
      this.resumed.push(conn);
      this.wantTurn();
    }
  }

  yieldTurn(conn: number): void {
    this.yielding = conn;
  }

  close(conn: number, afterOutput: boolean): void {
    const state = this.state[conn];
    if (state === FREE || state === CLOSED) return;
    if (!afterOutput || state === CONNECTING) {
      this.markClosed(conn, 0);
      return;
    }
    if (state !== OPEN) return;
    this.state[conn] = DRAINING;
    this.readingChanged(conn);
    // With nothing to send the visit of `sendDirty` closes it.
    if (this.isDirty[conn] === 0) this.markDirty(conn);
  }

  // For concrete loops

  /** @returns a free slot, or -1 when the table is full */
  protected takeSlot(state: number, origin: number): number {
    let conn: number;
    if (this.freeCount > 0) conn = this.freeSlots[--this.freeCount];
    else if (this.slotCount < this.state.length) conn = this.slotCount++;
    else return -1;
    this.state[conn] = state;
    this.paused[conn] = 0;
    this.blocked[conn] = 0;
    this.reason[conn] = 0;
    this.origin[conn] = origin;
    this.connectionCount++;
    return conn;
  }

  /** A slot for a connection of our own. @throws SystemError EMFILE when the table is full */
  protected takeOwnSlot(what: string): number {
    const conn = this.connectionCount < this.limit ? this.takeSlot(CONNECTING, -1) : -1;
    if (conn < 0) throw new SystemError('connect', EMFILE, `${what}: ${this.limit} connections are open already`);
    return conn;
  }

  /** An open attempt of ours has succeeded. */
  protected established(conn: number): void {
    this.state[conn] = OPEN;
    this.handler.onOpen(conn, -1);
  }

  /** `count` bytes have been read to `input.readAt`. */
  protected received(conn: number, count: number): void {
    this.counters.bytesIn += count;
    const input = this.input;
    if (input.arrived(conn, count)) {
      if (!input.isDirect(conn)) this.handler.onDirect(conn);
      return;
    }
    this.handOver(conn, input.start, input.end);
  }

  private handOver(conn: number, start: number, end: number): void {
    const consumed = this.handler.onInput(conn, start, end);
    const yields = this.yielding === conn;
    this.yielding = -1;
    if (this.state[conn] !== OPEN && this.reason[conn] !== MOVED) return;
    if (consumed < start || consumed > end) {
      throw new Error(
        `Cannot keep input of connection ${conn}: onInput returned ${consumed}, not in ${start} to ${end}`,
      );
    }
    if (!this.input.keep(conn, consumed, end)) this.fail(conn, ENOMEM);
    else if (yields && consumed < end && this.paused[conn] === 0 && this.state[conn] === OPEN) {
      this.paused[conn] = YIELDED;
      this.readingChanged(conn);
      this.resumed.push(conn);
      this.wantTurn();
    }
  }

  /** Input that was read elsewhere: handed over in the next turn. */
  protected giveInput(conn: number, bytes: Uint8Array): void {
    const at = this.allocator.alloc(bytes.length);
    if (at !== 0) {
      this.memory.u8.set(bytes, at);
      const isKept = this.input.keep(conn, at, at + bytes.length);
      this.allocator.free(at);
      if (isKept) {
        this.resumed.push(conn);
        this.wantTurn();
        return;
      }
    }
    this.fail(conn, ENOMEM);
  }

  /** Chooses where to read; a connection whose input outgrows its bound is closed. */
  protected prepareRead(conn: number): boolean {
    if (this.input.prepare(conn)) return true;
    this.fail(conn, ENOBUFS);
    return false;
  }

  /** The peer has ended its side. Output of this turn is still offered to the system, or all of it sent. */
  protected ended(conn: number): void {
    if (this.sendsAfterEnd) {
      this.close(conn, true);
      return;
    }
    this.state[conn] = ENDED;
    if (this.isDirty[conn] === 0) this.markDirty(conn);
  }

  /** A connection is broken or could not be opened. */
  protected fail(conn: number, errno: number): void {
    const state = this.state[conn];
    if (state !== FREE && state !== CLOSED) this.markClosed(conn, errno);
  }

  /** Whether something is queued for the next turn, so that the loop must not sleep. */
  protected hasWork(): boolean {
    return this.dirtyCount > 0 || this.closing.length > 0 || this.resumed.length > 0 || this.hasDrained;
  }

  /** The earliest moment in µs at which the loop has to wake for a timer or the deadline. */
  protected nextWakeUs(): number {
    const due = this.timers.nextDueUs;
    return Math.min(due, this.deadline);
  }

  /** Overridden where a change of timers has to re-arm something. */
  protected timesChanged(): void {}

  /** The second half of a turn, after all input. */
  protected finishTurn(): void {
    this.counters.turns++;
    this.handOverResumed();
    if (this.timers.size > 0) this.timers.runDue(this.turnUs);
    this.hasDrained = false;
    this.handler.onTurn();
    if (this.dirtyCount > 0) this.sendDirty();
    if (this.closing.length > 0) this.tearDown();
  }

  /** The system takes bytes again. */
  protected writable(conn: number): void {
    this.blocked[conn] = 0;
    if (this.isDirty[conn] === 0) this.markDirty(conn);
  }

  protected refusal(): Uint8Array | null {
    this.counters.refused++;
    return this.onRefused === null ? null : this.onRefused();
  }

  protected markDirty(conn: number): void {
    this.isDirty[conn] = 1;
    this.dirty[this.dirtyCount++] = conn;
    if (this.dirtyCount === 1) this.wantTurn();
  }

  protected handOverResumed(): void {
    if (this.resumed.length === 0) return;
    const resumed = this.resumed;
    this.resumed = [];
    for (const conn of resumed) {
      if (this.state[conn] !== OPEN || this.paused[conn] === PAUSED) continue;
      if (this.paused[conn] === YIELDED) {
        this.paused[conn] = 0;
        this.readingChanged(conn);
      }
      if (this.input.bytesOf(conn) === 0) continue;
      this.input.kept(conn);
      this.handOver(conn, this.input.start, this.input.end);
    }
  }

  protected sendDirty(): void {
    // Callbacks while sending (onReleased) may queue more: those wait for the next turn.
    const count = this.dirtyCount;
    for (let i = 0; i < count; i++) {
      const conn = this.dirty[i];
      this.isDirty[conn] = 0;
      const state = this.state[conn];
      if (state === FREE || state === CLOSED) continue;
      if (this.blocked[conn] === 0) this.send(conn);
      if (this.paused[conn] === PAUSED && this.output.bytes[conn] === 0) this.hasDrained = true;
      if (this.state[conn] === ENDED) this.markClosed(conn, 0);
      else if (this.state[conn] === DRAINING && this.output.bytes[conn] === 0) {
        // MOVED, where the connection is on its way to another loop.
        this.markClosed(conn, this.reason[conn]);
      }
    }
    const added = this.dirtyCount - count;
    if (added > 0) this.dirty.copyWithin(0, count, this.dirtyCount);
    this.dirtyCount = added;
    if (added > 0 || this.hasDrained) this.wantTurn();
  }

  private markClosed(conn: number, reason: number): void {
    if (this.state[conn] === CLOSED) return;
    this.state[conn] = CLOSED;
    this.reason[conn] = reason;
    this.connectionCount--;
    this.closing.push(conn);
    if (this.closing.length === 1) this.wantTurn();
  }

  private tearDown(): void {
    while (this.closing.length > 0) {
      const closing = this.closing;
      this.closing = [];
      for (const conn of closing) {
        this.release(conn);
        this.output.drop(conn);
        this.input.release(conn);
        this.handler.onClose(conn, this.reason[conn]);
      }
      // Slots become free only after every onClose of the round: none of them sees its number in use by another.
      for (const conn of closing) {
        this.state[conn] = FREE;
        this.freeSlots[this.freeCount++] = conn;
      }
    }
  }

  private reserveSink(bytes: number): number {
    if (bytes > this.sinkBytes) {
      const larger = this.allocator.alloc(bytes);
      if (larger === 0) return 0;
      if (this.sink !== 0) this.allocator.free(this.sink);
      this.sink = larger;
      this.sinkBytes = bytes;
    }
    return this.sink;
  }

  private growSlots(slots: number): void {
    this.state = copyInto(new Uint8Array(slots), this.state);
    this.paused = copyInto(new Uint8Array(slots), this.paused);
    this.blocked = copyInto(new Uint8Array(slots), this.blocked);
    this.reason = copyInto(new Int32Array(slots), this.reason);
    this.origin = copyInto(new Int32Array(slots), this.origin);
    this.freeSlots = copyInto(new Int32Array(slots), this.freeSlots);
    this.dirty = copyInto(new Int32Array(slots * 2), this.dirty);
    this.isDirty = copyInto(new Uint8Array(slots), this.isDirty);
    this.input.growSlots(slots);
    this.output.growSlots(slots);
    this.growTables(slots);
  }
}

const noHandler: ConnectionHandler = {
  onOpen() {},
  onInput: (_conn, _start, end) => end,
  onDirect() {},
  onClose() {},
  onReleased() {},
  onTurn() {},
};
