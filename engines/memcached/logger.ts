/**
 * The event log of `watch` (logger.c). A thread writes what happens as entries into a ring of its own in the arena; the thread that runs the
 * background jobs reads all rings, words the lines and sends them (watchers.ts). While nobody watches, an event costs one test of a shared
 * cell: `wants`. A ring has one writer and one reader and needs no lock: an entry is there once ROW_RING_WRITE has been stored behind it.
 */
import type { Clock, Memory, Transport } from '../ports.ts';
import type { ConnectionTable } from './connection-table.ts';
import * as L from './layout.ts';
import { CELL_WATCHED_EVENTS, F64_LOGGER, type SharedBlock } from './shared-block.ts';
import {
  ROW_F64_DROPPED,
  ROW_F64_WRITTEN,
  ROW_RING,
  ROW_RING_BYTES,
  ROW_RING_READ,
  ROW_RING_WRITE,
  type ThreadDirectory,
} from './thread-directory.ts';

const PAGE_BYTES = 4_096;

// Bits of CELL_WATCHED_EVENTS: what a watcher can ask for …
export const LOG_SYSEVENTS = 2;
export const LOG_FETCHERS = 4;
export const LOG_MUTATIONS = 8;
export const LOG_CONNEVENTS = 32;
export const LOG_EVICTIONS = 64;
export const LOG_RAWCMDS = 512;
export const LOG_PROXYREQS = 1_024;
export const LOG_PROXYEVENTS = 2_048;
export const LOG_PROXYUSER = 4_096;
/** … and what -vv (commands and replies) and -vvv (lookups too) ask for. */
export const LOG_VERBOSE = 1 << 16;
export const LOG_LOOKUPS = 1 << 17;

/** Kinds of entries. */
export const ENTRY_TEXT = 1;
export const ENTRY_ITEM_GET = 2;
export const ENTRY_ITEM_STORE = 3;
export const ENTRY_EVICTION = 4;
export const ENTRY_CONN_NEW = 5;
export const ENTRY_CONN_CLOSE = 6;

/** An entry: these fields, then `ENTRY_LENGTH` bytes of key or text, padded to 8. */
export const ENTRY_BYTES_AT = 0;
export const ENTRY_KIND_AT = 4;
/** Microseconds since the Unix epoch, f64. */
export const ENTRY_TIME_AT = 8;
/** f64: the order of events over all threads. */
export const ENTRY_GID_AT = 16;
export const ENTRY_FLAGS_AT = 24;
export const ENTRY_LENGTH_AT = 28;
export const ENTRY_FD_AT = 32;
/** Four numbers whose meaning depends on the kind. */
export const ENTRY_A_AT = 36;
export const ENTRY_B_AT = 40;
export const ENTRY_C_AT = 44;
export const ENTRY_D_AT = 48;
export const ENTRY_TEXT_AT = 56;
/** In place of an entry's length: the rest of the ring is unused, the next entry stands at its start. */
export const RING_WRAPS = 0xffffffff;

const TEXT_BYTES_MAX = 511;
/** The clock's milliseconds and its finer monotonic time may part by so much before they are brought together again. */
const CLOCK_SLACK_US = 2_000;

/** What a lookup met. */
export const GET_NOT_FOUND = 0;
export const GET_FOUND = 1;
export const GET_FLUSHED = 2;
export const GET_EXPIRED = 3;

/** Why a connection ended. */
export const CLOSE_ERROR = 0;
export const CLOSE_NORMAL = 1;
export const CLOSE_IDLE = 2;
export const CLOSE_SHUTDOWN = 3;

export class Logger {
  readonly #memory: Memory;
  readonly #u8: Uint8Array;
  readonly #u32: Uint32Array;
  readonly #i32: Int32Array;
  readonly #f64: Float64Array;
  readonly #clock: Clock;
  readonly #watched: number;
  readonly #gid: number;
  readonly #ringBytes: number;
  readonly #row: { ring: number; bytes: number; write: number; read: number; written: number; dropped: number };
  readonly #connections: ConnectionTable;
  #epochUs = 0;
  /** The connection whose command is being executed. */
  conn = -1;
  /** Set with the core's transport. */
  transport: Transport | null = null;

  /** @param ringBytes worker_logbuf_size */
  constructor(
    memory: Memory,
    block: SharedBlock,
    directory: ThreadDirectory,
    thread: number,
    connections: ConnectionTable,
    clock: Clock,
    ringBytes: number,
  ) {
    this.#memory = memory;
    this.#u8 = memory.u8;
    this.#u32 = memory.u32;
    this.#i32 = memory.i32;
    this.#f64 = memory.f64;
    this.#clock = clock;
    this.#connections = connections;
    this.#watched = block.cell(CELL_WATCHED_EVENTS);
    this.#gid = block.number(F64_LOGGER);
    this.#ringBytes = Math.max(PAGE_BYTES, Math.ceil(ringBytes / PAGE_BYTES) * PAGE_BYTES);
    this.#row = {
      ring: directory.word(thread, ROW_RING),
      bytes: directory.word(thread, ROW_RING_BYTES),
      write: directory.word(thread, ROW_RING_WRITE),
      read: directory.word(thread, ROW_RING_READ),
      written: directory.number(thread, ROW_F64_WRITTEN),
      dropped: directory.number(thread, ROW_F64_DROPPED),
    };
  }

  /** Whether any of these events is asked for. Hot. */
  wants(events: number): boolean {
    return (this.#u32[this.#watched]! & events) !== 0;
  }

  /** The number that the next event gets; watchers are not sent what happened before they came. */
  nextGid(): number {
    return Number(Atomics.add(this.#memory.i64, this.#gid, 1n)) + 1;
  }

  /** The number that the last event has got. */
  get lastGid(): number {
    return Number(Atomics.load(this.#memory.i64, this.#gid));
  }

  set lastGid(gid: number) {
    Atomics.store(this.#memory.i64, this.#gid, BigInt(gid));
  }

  #nowUs(): number {
    const wallUs = this.#clock.wallMs() * 1_000;
    const monoUs = this.#clock.monoUs();
    const us = Math.floor(this.#epochUs + monoUs);
    if (Math.abs(us - wallUs) <= CLOCK_SLACK_US) return us;
    this.#epochUs = wallUs - monoUs;
    return wallUs;
  }

  /** Room for an entry whose head is filled in. @returns its offset, or 0 when the ring is full: the entry is then dropped and counted */
  #begin(kind: number, flags: number, length: number): number {
    const { ring, bytes, write, read, dropped } = this.#row;
    const u32 = this.#u32;
    if (u32[ring] === 0 && !this.#makeRing()) {
      this.#f64[dropped]!++;
      return 0;
    }
    const need = (ENTRY_TEXT_AT + length + 7) & ~7;
    const size = u32[bytes]!;
    const from = Atomics.load(u32, read);
    let at = u32[write]!;
    // One unit stays free: equal marks mean an empty ring.
    let fits: boolean;
    if (at >= from) {
      fits = at + need < size || (at + need === size && from > 0);
      if (!fits && need < from) {
        u32[(u32[ring]! + at) >>> 2] = RING_WRAPS;
        at = 0;
        fits = true;
      }
    } else {
      fits = at + need < from;
    }
    if (!fits) {
      this.#f64[dropped]!++;
      return 0;
    }
    this.#at = at;
    const entry = u32[ring]! + at;
    u32[(entry + ENTRY_BYTES_AT) >>> 2] = need;
    u32[(entry + ENTRY_KIND_AT) >>> 2] = kind;
    this.#f64[(entry + ENTRY_TIME_AT) / 8] = this.#nowUs();
    this.#f64[(entry + ENTRY_GID_AT) / 8] = this.nextGid();
    u32[(entry + ENTRY_FLAGS_AT) >>> 2] = flags;
    u32[(entry + ENTRY_LENGTH_AT) >>> 2] = length;
    return entry;
  }

  /** Where the entry under way begins in the ring. */
  #at = 0;

  /** Shows the entry to the reader. */
  #end(entry: number): void {
    const { bytes, write, written } = this.#row;
    let next = this.#at + this.#u32[(entry + ENTRY_BYTES_AT) >>> 2]!;
    if (next === this.#u32[bytes]) next = 0;
    this.#f64[written]!++;
    Atomics.store(this.#u32, write, next);
  }

  #makeRing(): boolean {
    const ring = this.#memory.takePages(this.#ringBytes / PAGE_BYTES);
    if (ring === 0) return false;
    this.#u32[this.#row.bytes] = this.#ringBytes;
    Atomics.store(this.#u32, this.#row.ring, ring);
    return true;
  }

  #fd(): number {
    return this.transport === null || this.conn < 0 ? -1 : this.transport.descriptor(this.conn);
  }

  /** For -vv and -vvv: write a line, a lookup to the log. */
  onNote: ((line: string) => void) | null = null;
  onLookup: ((met: number, keyAt: number, nkey: number) => void) | null = null;

  /** An item was looked up (do_item_get). @param met GET_… @param item 0 when nothing alive was met */
  lookup(met: number, keyAt: number, nkey: number, item: number): void {
    if (this.wants(LOG_LOOKUPS)) this.onLookup?.(met, keyAt, nkey);
    if (this.wants(LOG_FETCHERS)) this.#itemGet(met, keyAt, nkey, item);
  }

  #itemGet(met: number, keyAt: number, nkey: number, item: number): void {
    const entry = this.#begin(ENTRY_ITEM_GET, LOG_FETCHERS, nkey);
    if (entry === 0) return;
    const i32 = this.#i32;
    i32[(entry + ENTRY_FD_AT) >>> 2] = this.#fd();
    i32[(entry + ENTRY_A_AT) >>> 2] = met;
    i32[(entry + ENTRY_B_AT) >>> 2] = item === 0 ? 0 : i32[(item + L.ITEM_NBYTES) >>> 2]!;
    i32[(entry + ENTRY_C_AT) >>> 2] = item === 0 ? 0 : this.#u8[item + L.ITEM_CLSID]! & L.CLASS_MASK;
    this.#copy(entry, keyAt, nkey);
    this.#end(entry);
  }

  /**
   * A value was stored or not (do_store_item).
   * @param status RESULT_… of store.ts, or one of watchers.ts
   * @param how STORE_…
   * @param item the item that is stored or would have been
   * @param now relative seconds
   */
  itemStore(status: number, how: number, item: number, keyAt: number, now: number): void {
    const i32 = this.#i32;
    const exptime = this.#u32[(item + L.ITEM_EXPTIME) >>> 2]!;
    const ttl = exptime === 0 ? 0 : (exptime - now) >>> 0;
    const classId = this.#u8[item + L.ITEM_CLSID]! & L.CLASS_MASK;
    const nkey = this.#u8[item + L.ITEM_NKEY]!;
    this.#stored(status, how, keyAt, nkey, i32[(item + L.ITEM_NBYTES) >>> 2]!, ttl, classId);
  }

  /** A value for which there is no item: too large, or no memory. */
  itemRefused(status: number, how: number, keyAt: number, nkey: number): void {
    this.#stored(status, how, keyAt, nkey, 0, 0, 0);
  }

  #stored(status: number, how: number, keyAt: number, nkey: number, nbytes: number, ttl: number, clsid: number): void {
    const entry = this.#begin(ENTRY_ITEM_STORE, LOG_MUTATIONS, nkey);
    if (entry === 0) return;
    const i32 = this.#i32;
    i32[(entry + ENTRY_FD_AT) >>> 2] = this.#fd();
    i32[(entry + ENTRY_A_AT) >>> 2] = status | (how << 8);
    i32[(entry + ENTRY_B_AT) >>> 2] = nbytes;
    i32[(entry + ENTRY_C_AT) >>> 2] = clsid;
    this.#u32[(entry + ENTRY_D_AT) >>> 2] = ttl;
    this.#copy(entry, keyAt, nkey);
    this.#end(entry);
  }

  /** An item is about to be evicted. */
  eviction(item: number, keyAt: number, now: number): void {
    const nkey = this.#u8[item + L.ITEM_NKEY]!;
    const entry = this.#begin(ENTRY_EVICTION, LOG_EVICTIONS, nkey);
    if (entry === 0) return;
    const i32 = this.#i32;
    const exptime = this.#u32[(item + L.ITEM_EXPTIME) >>> 2]!;
    const isFetched = (this.#memory.u16[(item + L.ITEM_FLAGS) >>> 1]! & L.FLAG_FETCHED) !== 0;
    i32[(entry + ENTRY_FD_AT) >>> 2] = isFetched ? 1 : 0;
    i32[(entry + ENTRY_A_AT) >>> 2] = exptime > 0 ? exptime - now : -1;
    i32[(entry + ENTRY_B_AT) >>> 2] = i32[(item + L.ITEM_NBYTES) >>> 2]!;
    i32[(entry + ENTRY_C_AT) >>> 2] = this.#u8[item + L.ITEM_CLSID]! & L.CLASS_MASK;
    i32[(entry + ENTRY_D_AT) >>> 2] = now - this.#u32[(item + L.ITEM_TIME) >>> 2]!;
    this.#copy(entry, keyAt, nkey);
    this.#end(entry);
  }

  /** A connection came (`reason` -1) or went. */
  connection(conn: number, reason: number): void {
    const peer = this.#connections.peer(conn);
    const kind = reason < 0 ? ENTRY_CONN_NEW : ENTRY_CONN_CLOSE;
    const entry = this.#begin(kind, LOG_CONNEVENTS, peer.length);
    if (entry === 0) return;
    this.#i32[(entry + ENTRY_FD_AT) >>> 2] = this.#connections.fd(conn);
    this.#i32[(entry + ENTRY_A_AT) >>> 2] = reason;
    this.#i32[(entry + ENTRY_B_AT) >>> 2] = this.#connections.transport(conn);
    this.#text(entry, peer);
    this.#end(entry);
  }

  /** Anything else: the line behind `gid=`, such as "type=slab_move src=1 dst=2". Only if `wants(LOG_SYSEVENTS)`. */
  system(text: string): void {
    const line = text.slice(0, TEXT_BYTES_MAX);
    const entry = this.#begin(ENTRY_TEXT, LOG_SYSEVENTS, line.length);
    if (entry === 0) return;
    this.#text(entry, line);
    this.#end(entry);
  }

  #text(entry: number, text: string): void {
    for (let i = 0; i < text.length; i++) this.#u8[entry + ENTRY_TEXT_AT + i] = text.charCodeAt(i);
  }

  #copy(entry: number, from: number, length: number): void {
    const u8 = this.#u8;
    for (let i = 0; i < length; i++) u8[entry + ENTRY_TEXT_AT + i] = u8[from + i]!;
  }
}
