/**
 * The other half of `watch`: reads the rings of all threads, words their entries as 1.6.18 does and sends the lines to the connections that
 * want them. Runs as a background job of the thread that has all watchers' connections in its loop. A watcher that does not read keeps at
 * the most `watcher_logbuf_size` bytes waiting; lines beyond that are skipped and counted, and it is told how many once it reads again.
 */
import type { Memory, Transport } from '../ports.ts';
import { LOCK_LOGGER } from './lock-cells.ts';
import type { Locks } from './locks.ts';
import type { Logger } from './logger.ts';
import * as E from './logger.ts';
import { CELL_LOGGER, CELL_WATCHED_EVENTS, F64_LOGGER, type SharedBlock } from './shared-block.ts';
import {
  ROW_F64_DROPPED,
  ROW_F64_WRITTEN,
  ROW_RING,
  ROW_RING_READ,
  ROW_RING_WRITE,
  type ThreadDirectory,
} from './thread-directory.ts';
import { uriEncode } from './uri-encode.ts';

export const WATCHERS_MAX = 20;
/** Room that the original keeps for a line that tells of skipped ones. */
const SKIPPED_BYTES = 128;
/** Between two looks at the rings, in ms: short after there was something, longer each time there was nothing. */
const SLEEP_MS_MIN = 1;
const SLEEP_MS_MAX = 50;
/** Without watchers there is nothing to do until the job is woken. */
const ASLEEP_MS = 60_000;

const CELL_WATCHERS = CELL_LOGGER;
// f64 cells; the first one of the room counts the events (logger.ts).
const F64_SENT = F64_LOGGER + 1;
const F64_SKIPPED = F64_LOGGER + 2;

/** Order of the original's enum store_item_type. */
const STATUS_TEXTS = ['not_stored', 'stored', 'exists', 'not_found', 'too_large', 'no_memory'];
export const STATUS_TOO_LARGE = 4;
export const STATUS_NO_MEMORY = 5;
const HOW_TEXTS = ['null', 'add', 'set', 'replace', 'append', 'prepend', 'cas'];
const MET_TEXTS = ['not_found', 'found', 'flushed', 'expired'];
const TRANSPORT_TEXTS = ['local', 'tcp', 'udp'];
const REASON_TEXTS = ['error', 'normal', 'idle_timeout', 'shutdown'];

/** Words of `watch` and what they stand for. The proxy's are accepted, as everywhere; there are no such events. */
export const WATCH_WORDS: Readonly<Record<string, number>> = {
  rawcmds: E.LOG_RAWCMDS,
  evictions: E.LOG_EVICTIONS,
  fetchers: E.LOG_FETCHERS,
  mutations: E.LOG_MUTATIONS,
  sysevents: E.LOG_SYSEVENTS,
  connevents: E.LOG_CONNEVENTS,
  proxyreqs: E.LOG_PROXYREQS,
  proxyevents: E.LOG_PROXYEVENTS,
  proxyuser: E.LOG_PROXYUSER,
};

interface Watcher {
  readonly conn: number;
  readonly events: number;
  /** Events numbered below it happened before it came. */
  readonly firstGid: number;
  skipped: number;
  /** It did not take its output at the last try of this round. */
  isFull: boolean;
}

export class Watchers {
  readonly name = 'logger';
  readonly #memory: Memory;
  readonly #block: SharedBlock;
  readonly #locks: Locks;
  readonly #directory: ThreadDirectory;
  readonly #logger: Logger;
  readonly #bufferBytes: number;
  readonly #watchers: Watcher[] = [];
  #sleepMs = SLEEP_MS_MIN;
  transport: Transport | null = null;

  /** @param bufferBytes watcher_logbuf_size */
  constructor(
    memory: Memory,
    block: SharedBlock,
    locks: Locks,
    directory: ThreadDirectory,
    logger: Logger,
    bufferBytes: number,
  ) {
    this.#memory = memory;
    this.#block = block;
    this.#locks = locks;
    this.#directory = directory;
    this.#logger = logger;
    this.#bufferBytes = bufferBytes;
  }

  /** How many there are, whatever thread asks. */
  get count(): number {
    return this.#memory.u32[this.#block.cell(CELL_WATCHERS)]!;
  }

  get sent(): number {
    return this.#memory.f64[this.#block.number(F64_SENT)]!;
  }

  get skipped(): number {
    return this.#memory.f64[this.#block.number(F64_SKIPPED)]!;
  }

  get written(): number {
    return this.#sumOverThreads(ROW_F64_WRITTEN);
  }

  get dropped(): number {
    return this.#sumOverThreads(ROW_F64_DROPPED);
  }

  #sumOverThreads(index: number): number {
    let sum = 0;
    for (let row = 0; row < this.#directory.rows; row++) sum += this.#memory.f64[this.#directory.number(row, index)]!;
    return sum;
  }

  /** `stats reset`. */
  resetCounters(): void {
    const { f64 } = this.#memory;
    f64[this.#block.number(F64_SENT)] = 0;
    f64[this.#block.number(F64_SKIPPED)] = 0;
    for (let row = 0; row < this.#directory.rows; row++) {
      f64[this.#directory.number(row, ROW_F64_WRITTEN)] = 0;
      f64[this.#directory.number(row, ROW_F64_DROPPED)] = 0;
    }
  }

  /** Takes a place for one more. From any thread, before its connection moves here. @returns false when all are taken */
  reserve(): boolean {
    this.#locks.take(LOCK_LOGGER);
    const cell = this.#block.cell(CELL_WATCHERS);
    const isFree = this.#memory.u32[cell]! < WATCHERS_MAX;
    if (isFree) this.#memory.u32[cell]!++;
    this.#locks.give(LOCK_LOGGER);
    return isFree;
  }

  /** Gives a reserved place back whose connection has not come. */
  cancel(): void {
    this.#locks.take(LOCK_LOGGER);
    this.#memory.u32[this.#block.cell(CELL_WATCHERS)]!--;
    this.#locks.give(LOCK_LOGGER);
  }

  /** A connection of this loop, for which a place is reserved, becomes a watcher. */
  add(conn: number, events: number): void {
    this.#watchers.push({ conn, events, firstGid: this.#logger.nextGid(), skipped: 0, isFull: false });
    this.#send(conn, 'OK\r\n');
    this.#publish();
    this.#sleepMs = SLEEP_MS_MIN;
  }

  /** A connection has gone. */
  remove(conn: number): boolean {
    const index = this.#watchers.findIndex((watcher) => watcher.conn === conn);
    if (index < 0) return false;
    this.#watchers.splice(index, 1);
    this.cancel();
    this.#publish();
    return true;
  }

  has(conn: number): boolean {
    return this.#watchers.some((watcher) => watcher.conn === conn);
  }

  /** Tells all threads what is wanted now. */
  #publish(): void {
    let events = 0;
    for (const watcher of this.#watchers) events |= watcher.events;
    setWatchedEvents(this.#memory, this.#block, this.#locks, E.LOG_VERBOSE - 1, events);
  }

  /** One look at all rings. @returns ms until the next */
  run(): number {
    let found = false;
    for (const watcher of this.#watchers) watcher.isFull = false;
    for (let row = 0; row < this.#directory.rows; row++) if (this.#readRing(row)) found = true;
    if (this.#watchers.length === 0) return ASLEEP_MS;
    this.#sleepMs = found ? SLEEP_MS_MIN : Math.min(SLEEP_MS_MAX, this.#sleepMs * 1.125);
    return this.#sleepMs;
  }

  #readRing(row: number): boolean {
    const { u32 } = this.#memory;
    const ring = Atomics.load(u32, this.#directory.word(row, ROW_RING));
    if (ring === 0) return false;
    const end = Atomics.load(u32, this.#directory.word(row, ROW_RING_WRITE));
    let at = u32[this.#directory.word(row, ROW_RING_READ)]!;
    if (at === end) return false;
    const size = u32[this.#directory.word(row, ROW_RING) + 1]!;
    while (at !== end) {
      const bytes = u32[(ring + at) >>> 2]!;
      if (bytes === E.RING_WRAPS) {
        at = 0;
        continue;
      }
      this.#deliver(ring + at);
      at += bytes;
      if (at === size) at = 0;
    }
    Atomics.store(u32, this.#directory.word(row, ROW_RING_READ), at);
    return true;
  }

  #deliver(entry: number): void {
    const { u32, f64 } = this.#memory;
    const flags = u32[(entry + E.ENTRY_FLAGS_AT) >>> 2]!;
    const gid = f64[(entry + E.ENTRY_GID_AT) / 8]!;
    let line = '';
    for (const watcher of this.#watchers) {
      if ((watcher.events & flags) === 0 || gid < watcher.firstGid) continue;
      if (line === '') line = this.#format(entry);
      if (!watcher.isFull) {
        const waiting = this.transport!.outputBytes(watcher.conn);
        watcher.isFull = waiting + line.length + SKIPPED_BYTES > this.#bufferBytes;
      }
      if (watcher.isFull) {
        watcher.skipped++;
        f64[this.#block.number(F64_SKIPPED)]!++;
        continue;
      }
      if (watcher.skipped > 0) {
        this.#send(watcher.conn, `skipped=${watcher.skipped}\n`);
        watcher.skipped = 0;
      }
      this.#send(watcher.conn, line);
      f64[this.#block.number(F64_SENT)]!++;
    }
  }

  #send(conn: number, line: string): void {
    const at = this.transport!.reserve(conn, line.length);
    if (at === 0) return;
    const { u8 } = this.#memory;
    for (let i = 0; i < line.length; i++) u8[at + i] = line.charCodeAt(i);
    this.transport!.commit(conn, at + line.length);
  }

  #format(entry: number): string {
    const { u8, u32, i32, f64 } = this.#memory;
    const us = f64[(entry + E.ENTRY_TIME_AT) / 8]!;
    const gid = f64[(entry + E.ENTRY_GID_AT) / 8]!;
    const length = u32[(entry + E.ENTRY_LENGTH_AT) >>> 2]!;
    const fd = i32[(entry + E.ENTRY_FD_AT) >>> 2]!;
    const a = i32[(entry + E.ENTRY_A_AT) >>> 2]!;
    const b = i32[(entry + E.ENTRY_B_AT) >>> 2]!;
    const c = i32[(entry + E.ENTRY_C_AT) >>> 2]!;
    // The microseconds are not padded to six digits, as in the original.
    const head = `ts=${Math.floor(us / 1e6)}.${us % 1e6} gid=${gid} `;
    const size = b > 0 ? b - 2 : 0;
    const key = () => uriEncode(u8, entry + E.ENTRY_TEXT_AT, length);
    switch (u32[(entry + E.ENTRY_KIND_AT) >>> 2]) {
      case E.ENTRY_ITEM_GET:
        return `${head}type=item_get key=${key()} status=${MET_TEXTS[a]} clsid=${c} cfd=${fd} size=${size}\n`;
      case E.ENTRY_ITEM_STORE: {
        const ttl = u32[(entry + E.ENTRY_D_AT) >>> 2];
        const status = STATUS_TEXTS[a & 255];
        const cmd = HOW_TEXTS[a >> 8] ?? 'na';
        return `${head}type=item_store key=${key()} status=${status} cmd=${cmd} ttl=${ttl} clsid=${c} cfd=${fd} size=${size}\n`;
      }
      case E.ENTRY_EVICTION: {
        const age = i32[(entry + E.ENTRY_D_AT) >>> 2];
        const fetched = fd === 1 ? 'yes' : 'no';
        return `${head}type=eviction key=${key()} fetch=${fetched} ttl=${a} la=${age} clsid=${c} size=${size}\n`;
      }
      case E.ENTRY_CONN_NEW:
      case E.ENTRY_CONN_CLOSE: {
        const [ip, port] = splitName(this.#text(entry, length), b);
        const event = a < 0 ? 'conn_new' : 'conn_close';
        const reason = a < 0 ? '' : ` reason=${REASON_TEXTS[a]}`;
        return `${head}type=${event} rip=${ip} rport=${port} transport=${TRANSPORT_TEXTS[b]}${reason} cfd=${fd}\n`;
      }
      default:
        return `${head}${this.#text(entry, length)}\n`;
    }
  }

  #text(entry: number, length: number): string {
    let text = '';
    for (let i = 0; i < length; i++) text += String.fromCharCode(this.#memory.u8[entry + E.ENTRY_TEXT_AT + i]!);
    return text;
  }
}

/** Address and port of "127.0.0.1:1" or "[::1]:1"; a Unix socket's peer has neither. */
function splitName(name: string, transport: number): [ip: string, port: string] {
  if (transport === 0) return ['unix', '0'];
  const colon = name.lastIndexOf(':');
  return [name.slice(0, colon).replace(/^\[(.*)\]$/, '$1'), name.slice(colon + 1)];
}

/** Stores the bits of `mask` in the cell that every thread looks at. */
export function setWatchedEvents(memory: Memory, block: SharedBlock, locks: Locks, mask: number, bits: number): void {
  const cell = block.cell(CELL_WATCHED_EVENTS);
  locks.take(LOCK_LOGGER);
  Atomics.store(memory.u32, cell, (memory.u32[cell]! & ~mask) | bits);
  locks.give(LOCK_LOGGER);
}
