/**
 * The Memcached-like core: connections' state, the values they send, and their replies. It is given memory, clock and
 * transport, and names no platform; engines/servers puts it on sockets, a simulator on virtual time.
 *
 * A connection is in one of a few states. READY: the next byte begins a command. READING: a value's bytes follow; they
 * are copied into its item, or (when many are missing) read into it directly. SWALLOWING: bytes of a value that cannot
 * be stored are thrown away, after which the reply that was due leaves, as in the original.
 */
import { jenkins } from '../base/jenkins.ts';
import { murmur3 } from '../base/murmur3.ts';
import type { Clock, ConnectionHandler, Memory, Transport } from '../ports.ts';
import { AsciiCommands } from './ascii-commands.ts';
import type { HashFunction } from './assoc.ts';
import { Background } from './background.ts';
import { BinaryCommands } from './binary-commands.ts';
import { PROTOCOL_ASCII, PROTOCOL_BINARY, PROTOCOL_UNKNOWN } from './connection-protocol.ts';
import { type Counters, makeCounters } from './counters.ts';
import { Items } from './items.ts';
import * as L from './layout.ts';
import { Locks } from './locks.ts';
import { Maintainer } from './maintainer.ts';
import { PrefixStats } from './prefix-stats.ts';
import { type Settings, SharedSettings } from './settings.ts';
import { type Placement, SharedBlock } from './shared-block.ts';
import { copyBytes, Store } from './store.ts';

const STATE_READY = 0;
const STATE_READING = 1;
const STATE_SWALLOWING = 2;
/** Closed by us: whatever still comes is ignored. */
const STATE_CLOSING = 3;

/** Values from this size on are lent to the output instead of being copied. */
export const LEND_BYTES_MIN = 16_384;
/** A lent item must keep room in its 16-bit refcount; beyond this it is copied. */
const LEND_REFCOUNT_MAX = 32_768;
/** Of a value that is not all there, so much must be missing for a read straight into the item. */
const DIRECT_BYTES_MIN = 2_048;
/** Output room is asked for in pieces of this size, so that pipelined replies share a call. */
const OUTPUT_STEP_BYTES = 2_048;
/** A connection with more output waiting is not read from until its peer has taken some. */
export const OUTPUT_BYTES_MAX = 1024 * 1024;
/** Output between two looks at what is waiting. */
const OUTPUT_CHECK_BYTES = 65_536;
const CONNECTIONS_AT_START = 64;

export type CoreEvent = 'shutdown' | 'shutdown-graceful';

/** What a core needs of its server beside the ports. */
export interface CoreHooks {
  /** Lines of the log (-v and above), without line end. */
  log(line: string): void;
  /** The client asked for a shutdown (-A). */
  onShutdown(kind: CoreEvent): void;
  /** Process figures for `stats`; all 0 under virtual time. */
  usage(): { pid: number; userSeconds: number; systemSeconds: number };
  /** Another thread's commands have work for the background jobs: see to it that `maintain` is called soon there. */
  wakeBackground?(): void;
}

export function hashFunction(name: Settings['hashAlgorithm']): HashFunction {
  // xxh3 is accepted and answered with murmur3: which hash spreads the keys shows nowhere but in speed.
  return name === 'jenkins' ? jenkins : murmur3;
}

export class Core implements ConnectionHandler {
  readonly memory: Memory;
  readonly u8: Uint8Array;
  readonly settings: Settings;
  readonly clock: Clock;
  readonly hooks: CoreHooks;
  /** What this core is among the threads of its server, and its number there (the dispatcher comes behind the workers). */
  readonly role: Placement['role'];
  readonly thread: number;
  readonly shared: SharedBlock;
  readonly locks: Locks;
  /** This thread's. */
  readonly counters: Counters;
  readonly background: Background;
  readonly #sharedSettings: SharedSettings;
  readonly items: Items;
  readonly store: Store;
  readonly prefixes: PrefixStats;
  readonly maintainer: Maintainer;
  readonly hash: HashFunction;
  transport!: Transport;
  readonly #ascii: AsciiCommands;
  readonly #binary: BinaryCommands;
  readonly #startMs: number;

  // One entry a connection.
  open: Uint8Array = new Uint8Array(CONNECTIONS_AT_START);
  protocol: Uint8Array = new Uint8Array(CONNECTIONS_AT_START);
  state: Uint8Array = new Uint8Array(CONNECTIONS_AT_START);
  listener: Uint8Array = new Uint8Array(CONNECTIONS_AT_START);
  lastCommandTime: Float64Array = new Float64Array(CONNECTIONS_AT_START);
  /** How the value under way is to be stored: STORE_…. */
  #how = new Uint8Array(CONNECTIONS_AT_START);
  #quiet = new Uint8Array(CONNECTIONS_AT_START);
  /** Item whose value is being read, its key's hash, and the chunk that is being filled. */
  #item = new Uint32Array(CONNECTIONS_AT_START);
  #itemHash = new Int32Array(CONNECTIONS_AT_START);
  #chunk = new Uint32Array(CONNECTIONS_AT_START);
  /** Bytes of the value (or of what is to be swallowed) still to come. */
  #remaining = new Float64Array(CONNECTIONS_AT_START);
  /** Length of the direct read under way, 0 for none. */
  #direct = new Uint32Array(CONNECTIONS_AT_START);
  /** Binary: opcode and opaque of the request whose value is being read. */
  #opcode = new Uint8Array(CONNECTIONS_AT_START);
  #opaque = new Uint32Array(CONNECTIONS_AT_START);
  /** Reply to be sent once all is swallowed. */
  readonly #afterSwallow = new Map<number, Uint8Array>();
  #paused: number[] = [];
  /** Whether a callback of a connection is under way, and what was released meanwhile. */
  #isInside = false;
  readonly #released: number[] = [];
  #kept = new Uint32Array(64);
  #keptCount = 0;

  // Output of the callback under way.
  #outConn = -1;
  #outAt = 0;
  #outStart = 0;
  #outLimit = 0;
  #outSinceCheck = 0;

  /** @param placement which thread of its server it is; by default it is the only one */
  constructor(
    memory: Memory,
    clock: Clock,
    settings: Settings,
    hooks: CoreHooks,
    placement: Placement = { role: 'alone' },
  ) {
    this.memory = memory;
    this.u8 = memory.u8;
    this.clock = clock;
    this.settings = settings;
    this.hooks = hooks;
    this.hash = hashFunction(settings.hashAlgorithm);
    this.#startMs = clock.monoUs() / 1000;
    this.role = placement.role;
    this.shared = new SharedBlock(memory, placement);
    this.thread = placement.role === 'alone' ? 0 : placement.role === 'worker' ? placement.thread : placement.threads;
    this.locks = new Locks(memory, this.shared, placement.role !== 'alone');
    this.counters = makeCounters(this.shared.counters(this.thread));
    const isFirst = placement.role !== 'worker';
    const wallSeconds = Math.floor(clock.wallMs() / 1000);
    this.items = new Items(memory, this.shared, this.locks, settings, this.counters, this.hash, isFirst, wallSeconds);
    this.#sharedSettings = new SharedSettings(memory, this.shared, this.locks, settings, isFirst);
    this.background = new Background(memory, this.shared, clock, () => hooks.wakeBackground?.());
    this.store = new Store(this.items);
    this.prefixes = new PrefixStats(settings.prefixDelimiter);
    this.maintainer = new Maintainer(this.items);
    this.background.add(this.maintainer);
    this.#ascii = new AsciiCommands(this);
    this.#binary = new BinaryCommands(this);
  }

  /** Set before the first connection. */
  setTransport(transport: Transport): void {
    this.transport = transport;
  }

  /** Seconds since the start, as the original counts them (it begins with 2). */
  get uptimeSeconds(): number {
    return this.items.now - 60;
  }

  /** Advances the core's second clock. To be called at least once a second, and before a simulated command. */
  tick(): void {
    // The dispatcher's clock is everybody's.
    if (this.role === 'worker') return;
    this.items.now = Math.floor((this.clock.monoUs() / 1000 - this.#startMs) / 1000) + 62;
  }

  /** Background work in a slice; not for workers. @returns ms until it wants to be called again */
  maintain(): number {
    this.#sharedSettings.refresh();
    return this.background.run();
  }

  /** Tells the other threads of settings that were changed in `settings`. */
  publishSettings(): void {
    this.#sharedSettings.publish();
  }

  /** Sums of all threads' counters. */
  totals(): Counters {
    if (this.role === 'alone') return this.counters;
    const totals = makeCounters();
    for (let thread = 0; thread <= this.shared.threads; thread++) totals.add(this.shared.counters(thread));
    return totals;
  }

  /** `stats reset` for all threads. */
  resetCounters(): void {
    if (this.role === 'alone') this.counters.reset();
    else for (let i = 0; i <= this.shared.threads; i++) makeCounters(this.shared.counters(i)).reset();
  }

  // ---- Connections

  onOpen(conn: number, listener: number): void {
    if (conn >= this.open.length) this.#grow(conn + 1);
    this.open[conn] = 1;
    this.listener[conn] = Math.max(0, listener);
    const { protocol } = this.settings;
    this.protocol[conn] =
      protocol === 'ascii' ? PROTOCOL_ASCII : protocol === 'binary' ? PROTOCOL_BINARY : PROTOCOL_UNKNOWN;
    this.state[conn] = STATE_READY;
    this.lastCommandTime[conn] = this.items.now;
    this.#item[conn] = 0;
    this.#direct[conn] = 0;
    this.counters.currConnections++;
    this.counters.totalConnections++;
  }

  #grow(least: number): void {
    const slots = Math.max(least, this.open.length * 2);
    const grown = <T extends { set(from: T): void }>(larger: T, old: T): T => {
      larger.set(old);
      return larger;
    };
    this.open = grown(new Uint8Array(slots), this.open);
    this.protocol = grown(new Uint8Array(slots), this.protocol);
    this.state = grown(new Uint8Array(slots), this.state);
    this.listener = grown(new Uint8Array(slots), this.listener);
    this.lastCommandTime = grown(new Float64Array(slots), this.lastCommandTime);
    this.#how = grown(new Uint8Array(slots), this.#how);
    this.#quiet = grown(new Uint8Array(slots), this.#quiet);
    this.#item = grown(new Uint32Array(slots), this.#item);
    this.#itemHash = grown(new Int32Array(slots), this.#itemHash);
    this.#chunk = grown(new Uint32Array(slots), this.#chunk);
    this.#remaining = grown(new Float64Array(slots), this.#remaining);
    this.#direct = grown(new Uint32Array(slots), this.#direct);
    this.#opcode = grown(new Uint8Array(slots), this.#opcode);
    this.#opaque = grown(new Uint32Array(slots), this.#opaque);
  }

  onClose(conn: number): void {
    if (this.open[conn] !== 1) return;
    this.open[conn] = 0;
    if (this.#item[conn] !== 0) this.items.release(this.#item[conn]);
    this.#item[conn] = 0;
    this.#afterSwallow.delete(conn);
    this.counters.currConnections--;
  }

  onReleased(lease: number): void {
    // A command under way may hold the item's lock, which is not to be taken twice.
    if (this.#isInside) this.#released.push(lease);
    else this.items.releaseHeld(lease);
  }

  #releaseDeferred(): void {
    for (const lease of this.#released) this.items.releaseHeld(lease);
    this.#released.length = 0;
  }

  onTurn(): void {
    if (this.#paused.length > 0) this.resumeDrained();
  }

  /** Reads again from connections whose peers have taken half of what waited for them. */
  resumeDrained(): void {
    this.#paused = this.#paused.filter((conn) => {
      if (this.open[conn] !== 1) return false;
      if (this.transport.outputBytes(conn) > OUTPUT_BYTES_MAX / 2) return true;
      this.transport.resume(conn);
      return false;
    });
  }

  onInput(conn: number, start: number, end: number): number {
    this.#sharedSettings.refresh();
    this.#isInside = true;
    this.#begin(conn);
    let at = start;
    while (at < end) {
      const state = this.state[conn];
      if (state === STATE_READY) {
        const next = this.#command(conn, at, end);
        if (next < 0) break;
        at = next;
      } else if (state === STATE_READING) {
        at = this.#takeValue(conn, at, end);
      } else if (state === STATE_SWALLOWING) {
        at = this.#swallow(conn, at, end);
      } else {
        at = end;
      }
      if (this.#outSinceCheck + this.#outAt - this.#outStart > OUTPUT_CHECK_BYTES && this.#isChoked(conn)) break;
    }
    this.#finish();
    if (this.#keptCount > 0) this.releaseKept();
    this.#isInside = false;
    if (this.#released.length > 0) this.#releaseDeferred();
    return at;
  }

  #command(conn: number, at: number, end: number): number {
    let protocol = this.protocol[conn];
    if (protocol === PROTOCOL_UNKNOWN) {
      protocol = this.u8[at] === 0x80 ? PROTOCOL_BINARY : PROTOCOL_ASCII;
      this.protocol[conn] = protocol;
    }
    return protocol === PROTOCOL_ASCII ? this.#ascii.execute(conn, at, end) : this.#binary.execute(conn, at, end);
  }

  /** Whether too much output waits; the connection is then paused. */
  #isChoked(conn: number): boolean {
    this.#finish();
    this.#begin(conn);
    if (this.transport.outputBytes(conn) <= OUTPUT_BYTES_MAX) return false;
    this.#paused.push(conn);
    this.transport.pause(conn);
    return true;
  }

  // ---- Output

  #begin(conn: number): void {
    this.#outConn = conn;
    this.#outAt = 0;
    this.#outStart = 0;
    this.#outLimit = 0;
    this.#outSinceCheck = 0;
  }

  /** Commits what has been written. */
  #finish(): void {
    if (this.#outAt !== this.#outStart) this.transport.commit(this.#outConn, this.#outAt);
    this.#outSinceCheck += this.#outAt - this.#outStart;
    this.#outAt = 0;
    this.#outStart = 0;
    this.#outLimit = 0;
  }

  /** Room for `bytes` of output. @returns where to store; tell the end with `wrote`. 0 when memory is exhausted: the connection is then closed */
  room(bytes: number): number {
    if (this.#outAt + bytes <= this.#outLimit) return this.#outAt;
    return this.#moreRoom(bytes);
  }

  #moreRoom(bytes: number): number {
    this.#finish();
    const want = Math.max(bytes, OUTPUT_STEP_BYTES);
    const at = this.transport.reserve(this.#outConn, want);
    if (at === 0) {
      this.closeNow(this.#outConn);
      return 0;
    }
    this.#outAt = at;
    this.#outStart = at;
    this.#outLimit = at + want;
    return at;
  }

  wrote(end: number): void {
    this.#outAt = end;
  }

  /** Writes prepared bytes. */
  write(bytes: Uint8Array): void {
    const length = bytes.length;
    const at = this.room(length);
    if (at === 0) return;
    const { u8 } = this;
    for (let i = 0; i < length; i++) u8[at + i] = bytes[i];
    this.#outAt = at + length;
  }

  /** Writes text, one byte a character. For cold replies. */
  writeText(text: string): void {
    const at = this.room(text.length);
    if (at === 0) return;
    for (let i = 0; i < text.length; i++) this.u8[at + i] = text.charCodeAt(i);
    this.#outAt = at + text.length;
  }

  /** Writes an item's value without its last `skip` bytes: copied when small, else lent. */
  writeValue(item: number, skip: number): void {
    const { items } = this;
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
    if (length < LEND_BYTES_MIN || this.items.refcount(item) >= LEND_REFCOUNT_MAX) {
      const at = this.room(length);
      if (at === 0) return;
      copyBytes(this.u8, at, from, length);
      this.#outAt = at + length;
      return;
    }
    this.#finish();
    this.items.hold(item);
    this.#outSinceCheck += length;
    this.transport.lend(this.#outConn, from, length, item);
  }

  /**
   * Keeps an item until the replies of this batch leave. The original holds every item of a binary get so long, and that shows:
   * an incr that follows in the same batch makes a new item instead of padding the old value with spaces.
   */
  keep(item: number): void {
    this.items.hold(item);
    if (this.#keptCount === this.#kept.length) {
      const larger = new Uint32Array(this.#kept.length * 2);
      larger.set(this.#kept);
      this.#kept = larger;
    }
    this.#kept[this.#keptCount++] = item;
  }

  /** The replies so far are on their way. */
  releaseKept(): void {
    while (this.#keptCount > 0) this.items.releaseHeld(this.#kept[--this.#keptCount]);
  }

  /** Closes after what was written has left. */
  closeAfterOutput(conn: number): void {
    this.state[conn] = STATE_CLOSING;
    this.#finish();
    this.transport.close(conn, true);
  }

  closeNow(conn: number): void {
    this.state[conn] = STATE_CLOSING;
    this.transport.close(conn, false);
  }

  // ---- Values that come in

  /**
   * The bytes of an item's value follow.
   * @param item held by the caller, who passes its reference on
   * @param length bytes to come (the binary protocol sends no line end; `completeValue` adds it)
   */
  expectValue(conn: number, item: number, hash: number, how: number, length: number, quiet: boolean): void {
    this.#item[conn] = item;
    this.#itemHash[conn] = hash;
    this.#chunk[conn] = 0;
    this.#how[conn] = how;
    this.#remaining[conn] = length;
    this.#quiet[conn] = quiet ? 1 : 0;
    this.state[conn] = STATE_READING;
    if (length === 0) this.#complete(conn);
  }

  /** Binary: what the reply to the value under way needs. */
  rememberRequest(conn: number, opcode: number, opaque: number): void {
    this.#opcode[conn] = opcode;
    this.#opaque[conn] = opaque;
  }

  /** @param reply sent when all bytes are gone, null for none */
  expectGarbage(conn: number, length: number, reply: Uint8Array | null): void {
    this.#remaining[conn] = length;
    if (length === 0) {
      if (reply !== null) this.write(reply);
      return;
    }
    this.state[conn] = STATE_SWALLOWING;
    if (reply !== null) this.#afterSwallow.set(conn, reply);
  }

  #swallow(conn: number, at: number, end: number): number {
    const bytes = Math.min(this.#remaining[conn], end - at);
    this.#remaining[conn] -= bytes;
    if (this.#remaining[conn] === 0) {
      this.state[conn] = STATE_READY;
      const reply = this.#afterSwallow.get(conn);
      if (reply !== undefined) {
        this.#afterSwallow.delete(conn);
        this.write(reply);
      }
    }
    return at + bytes;
  }

  #takeValue(conn: number, at: number, end: number): number {
    const item = this.#item[conn];
    while (at < end && this.state[conn] === STATE_READING) {
      const to = this.#placeOfValue(conn, item);
      if (to === 0) return at;
      const bytes = Math.min(this.#room(conn, item), end - at);
      copyBytes(this.u8, to, at, bytes);
      at += bytes;
      this.#advance(conn, bytes);
      if (this.#remaining[conn] === 0) {
        this.#complete(conn);
        return at;
      }
    }
    if (this.state[conn] === STATE_READING && this.#remaining[conn] >= DIRECT_BYTES_MIN) {
      this.#readDirectly(conn, item);
    }
    return at;
  }

  /** Where the next byte of the value goes. 0: no memory for a further chunk; the rest is then being swallowed. */
  #placeOfValue(conn: number, item: number): number {
    const { items } = this;
    const remaining = this.#remaining[conn];
    if ((items.u16[(item + L.ITEM_FLAGS) >>> 1] & L.FLAG_CHUNKED) === 0) {
      const tail = this.protocol[conn] === PROTOCOL_BINARY ? 2 : 0;
      return items.dataOf(item) + items.i32[(item + L.ITEM_NBYTES) >>> 2] - tail - remaining;
    }
    let chunk = this.#chunk[conn];
    if (chunk === 0 || items.i32[(chunk + L.CHUNK_USED) >>> 2] === items.i32[(chunk + L.CHUNK_SIZE) >>> 2]) {
      // The binary protocol sends no line end, but it is stored: the last chunk must have room for it.
      chunk = items.addChunk(item, chunk, remaining + (this.protocol[conn] === PROTOCOL_BINARY ? 2 : 0));
      if (chunk === 0) {
        this.#failValue(conn);
        return 0;
      }
      this.#chunk[conn] = chunk;
    }
    return chunk + L.CHUNK_DATA + items.i32[(chunk + L.CHUNK_USED) >>> 2];
  }

  /** Bytes that may be stored at the present place. */
  #room(conn: number, item: number): number {
    const { items } = this;
    const remaining = this.#remaining[conn];
    if ((items.u16[(item + L.ITEM_FLAGS) >>> 1] & L.FLAG_CHUNKED) === 0) return remaining;
    const chunk = this.#chunk[conn];
    return Math.min(remaining, items.i32[(chunk + L.CHUNK_SIZE) >>> 2] - items.i32[(chunk + L.CHUNK_USED) >>> 2]);
  }

  #advance(conn: number, bytes: number): void {
    this.#remaining[conn] -= bytes;
    const chunk = this.#chunk[conn];
    if (chunk !== 0) this.items.i32[(chunk + L.CHUNK_USED) >>> 2] += bytes;
  }

  #readDirectly(conn: number, item: number): void {
    const to = this.#placeOfValue(conn, item);
    if (to === 0) return;
    const bytes = this.#room(conn, item);
    this.#direct[conn] = bytes;
    this.transport.readInto(conn, to, bytes);
  }

  onDirect(conn: number): void {
    if (this.open[conn] !== 1 || this.state[conn] !== STATE_READING) return;
    this.#sharedSettings.refresh();
    this.#isInside = true;
    this.#begin(conn);
    this.#advance(conn, this.#direct[conn]);
    this.#direct[conn] = 0;
    if (this.#remaining[conn] === 0) this.#complete(conn);
    else if (this.#remaining[conn] >= DIRECT_BYTES_MIN) this.#readDirectly(conn, this.#item[conn]);
    this.#finish();
    this.#isInside = false;
    if (this.#released.length > 0) this.#releaseDeferred();
  }

  /** No memory for the rest of a chunked value: the item is given up and what follows is swallowed. */
  #failValue(conn: number): void {
    const item = this.#item[conn];
    this.#item[conn] = 0;
    this.items.release(item);
    const reply =
      this.protocol[conn] === PROTOCOL_BINARY
        ? this.#binary.outOfMemory(this.#opcode[conn], this.#opaque[conn])
        : this.#ascii.outOfMemoryReading;
    this.state[conn] = STATE_READY;
    this.expectGarbage(conn, this.#remaining[conn], reply);
  }

  #complete(conn: number): void {
    const item = this.#item[conn];
    const hash = this.#itemHash[conn];
    this.locks.item(hash);
    this.state[conn] = STATE_READY;
    this.#item[conn] = 0;
    if (this.protocol[conn] === PROTOCOL_BINARY) {
      if (this.#endLine(item, this.#chunk[conn])) {
        const opcode = this.#opcode[conn];
        this.#binary.complete(item, this.#how[conn], hash, opcode, this.#opaque[conn]);
      } else {
        this.write(this.#binary.outOfMemory(this.#opcode[conn], this.#opaque[conn]));
      }
    } else {
      const isValid = this.#endsLine(item, this.#chunk[conn]);
      this.#ascii.complete(item, this.#how[conn], hash, isValid, this.#quiet[conn] === 1);
    }
    this.items.release(item);
    this.locks.unlockItem(hash);
  }

  /** Stores the line end of a binary value. */
  #endLine(item: number, chunk: number): boolean {
    const { items, u8 } = this;
    if ((items.u16[(item + L.ITEM_FLAGS) >>> 1] & L.FLAG_CHUNKED) === 0) {
      const end = items.dataOf(item) + items.i32[(item + L.ITEM_NBYTES) >>> 2];
      u8[end - 2] = 13;
      u8[end - 1] = 10;
      return true;
    }
    if (items.i32[(chunk + L.CHUNK_SIZE) >>> 2] - items.i32[(chunk + L.CHUNK_USED) >>> 2] < 2) {
      chunk = items.addChunk(item, chunk, 2);
      if (chunk === 0) return false;
    }
    const at = chunk + L.CHUNK_DATA + items.i32[(chunk + L.CHUNK_USED) >>> 2];
    u8[at] = 13;
    u8[at + 1] = 10;
    items.i32[(chunk + L.CHUNK_USED) >>> 2] += 2;
    return true;
  }

  /** Whether the value's last two bytes are the line end that an ASCII client must send. */
  #endsLine(item: number, chunk: number): boolean {
    const { items, u8 } = this;
    if ((items.u16[(item + L.ITEM_FLAGS) >>> 1] & L.FLAG_CHUNKED) === 0) {
      const end = items.dataOf(item) + items.i32[(item + L.ITEM_NBYTES) >>> 2];
      return u8[end - 2] === 13 && u8[end - 1] === 10;
    }
    const used = items.i32[(chunk + L.CHUNK_USED) >>> 2];
    const last = u8[chunk + L.CHUNK_DATA + used - 1];
    if (used > 1) return u8[chunk + L.CHUNK_DATA + used - 2] === 13 && last === 10;
    const before = items.u32[(chunk + L.ITEM_PREV) >>> 2];
    const beforeUsed = items.i32[(before + L.CHUNK_USED) >>> 2];
    return u8[before + L.CHUNK_DATA + beforeUsed - 1] === 13 && last === 10;
  }

  /** Deep check of everything stored, while no other thread works. @throws Error naming the first contradiction */
  verify(): void {
    this.items.verify();
  }
}
