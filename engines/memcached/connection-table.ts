/**
 * What all threads know of each other's connections, for `stats conns`: each thread keeps its columns in the arena, one place a slot of its
 * loop. The thread stores state and time of the last command as it goes, without a lock; names are stored when a connection opens.
 */
import type { Memory } from '../ports.ts';
import { PROTOCOL_UNKNOWN } from './connection-protocol.ts';
import { LOCK_CONNECTIONS } from './lock-cells.ts';
import type { Locks } from './locks.ts';
import { ROW_CONNECTION_SLOTS, ROW_CONNECTIONS, type ThreadDirectory } from './thread-directory.ts';

const PAGE_BYTES = 4_096;
/** Longer than any IP address with its port, and than the 107 bytes of a Unix path. */
const NAME_BYTES_MAX = 120;
/** Bytes a place takes in all columns: two words, six bytes, two names. */
const PLACE_BYTES = 8 + 6 + 2 * NAME_BYTES_MAX;

/** States of a connection. READY: the next byte begins a command. */
export const STATE_READY = 0;
/** A value's bytes follow. */
export const STATE_READING = 1;
/** Bytes that cannot be stored follow. */
export const STATE_SWALLOWING = 2;
/** Closed by us: whatever still comes is ignored. */
export const STATE_CLOSING = 3;
/** Gets the event log; what it sends is ignored. */
export const STATE_WATCHING = 4;
/** Someone else writes to it at present (a dump): it is not read from. */
export const STATE_LENT = 5;
const STATE_LISTENING = 6;

const STATE_NAMES = [
  'conn_read',
  'conn_nread',
  'conn_swallow',
  'conn_closing',
  'conn_watch',
  'conn_watch',
  'conn_listening',
];

export const TRANSPORT_LOCAL = 0;
export const TRANSPORT_TCP = 1;
export const TRANSPORT_UDP = 2;

/** Columns of one table. */
interface Columns {
  readonly slots: number;
  readonly lastCommand: Uint32Array;
  /** Descriptor and one, 0 for a free place. */
  readonly fdPlusOne: Uint32Array;
  readonly state: Uint8Array;
  readonly protocol: Uint8Array;
  /** Not read from before its peer has taken some of its output. */
  readonly choked: Uint8Array;
  readonly transport: Uint8Array;
  readonly peerLength: Uint8Array;
  readonly localLength: Uint8Array;
  readonly names: Uint8Array;
}

function columnsAt(buffer: ArrayBufferLike, offset: number, slots: number): Columns {
  let at = offset;
  const words = (): Uint32Array => {
    at += slots * 4;
    return new Uint32Array(buffer, at - slots * 4, slots);
  };
  const bytes = (each: number): Uint8Array => {
    at += slots * each;
    return new Uint8Array(buffer, at - slots * each, slots * each);
  };
  return {
    slots,
    lastCommand: words(),
    fdPlusOne: words(),
    state: bytes(1),
    protocol: bytes(1),
    choked: bytes(1),
    transport: bytes(1),
    peerLength: bytes(1),
    localLength: bytes(1),
    names: bytes(2 * NAME_BYTES_MAX),
  };
}

/** One connection as `stats conns` shows it. */
export interface ConnectionRow {
  readonly fd: number;
  /** Thread (the directory's row) and slot. */
  readonly thread: number;
  readonly conn: number;
  readonly state: string;
  readonly isListening: boolean;
  readonly transport: number;
  /** As ports.ts has it. */
  readonly peer: string;
  readonly local: string;
  /** Relative seconds. */
  readonly lastCommand: number;
}

export class ConnectionTable {
  readonly #memory: Memory;
  readonly #directory: ThreadDirectory;
  readonly #locks: Locks;
  readonly #row: number;
  #columns: Columns = columnsAt(new ArrayBuffer(0), 0, 0);

  /** @param row the thread's number, or the directory's row of listening sockets */
  constructor(memory: Memory, directory: ThreadDirectory, locks: Locks, row: number) {
    this.#memory = memory;
    this.#directory = directory;
    this.#locks = locks;
    this.#row = row;
  }

  /** The columns that the core stores into itself; others after `grow`. */
  get state(): Uint8Array {
    return this.#columns.state;
  }

  get protocol(): Uint8Array {
    return this.#columns.protocol;
  }

  get choked(): Uint8Array {
    return this.#columns.choked;
  }

  get lastCommand(): Uint32Array {
    return this.#columns.lastCommand;
  }

  /** Makes places for so many slots at least. Where the arena has no room, they are private, and other threads do not see them. */
  grow(slots: number): void {
    const old = this.#columns;
    const pages = Math.ceil((slots * PLACE_BYTES) / PAGE_BYTES);
    const table = this.#memory.takePages(pages);
    const buffer = table === 0 ? new ArrayBuffer(slots * PLACE_BYTES) : this.#memory.buffer;
    const columns = columnsAt(buffer, table, slots);
    if (table !== 0) this.#memory.u8.fill(0, table, table + pages * PAGE_BYTES);
    for (const name of Object.keys(columns) as (keyof Columns)[]) {
      if (name !== 'slots') columns[name].set(old[name]);
    }
    const word = this.#directory.word(this.#row, ROW_CONNECTIONS);
    this.#locks.take(LOCK_CONNECTIONS);
    const before = this.#memory.u32[word]!;
    this.#memory.u32[word] = table;
    this.#memory.u32[this.#directory.word(this.#row, ROW_CONNECTION_SLOTS)] = table === 0 ? 0 : slots;
    this.#columns = columns;
    this.#locks.give(LOCK_CONNECTIONS);
    // Whoever read the old table did so under the lock.
    if (before !== 0) this.#memory.givePages(before, Math.ceil((old.slots * PLACE_BYTES) / PAGE_BYTES));
  }

  /** A connection begins. Its place must be there. @param fd -1 where there is none (it is then shown with descriptor 0) */
  open(conn: number, fd: number, transport: number, peer: string, local: string, now: number): void {
    const columns = this.#columns;
    columns.lastCommand[conn] = now;
    columns.state[conn] = STATE_READY;
    columns.choked[conn] = 0;
    columns.transport[conn] = transport;
    const at = conn * 2 * NAME_BYTES_MAX;
    columns.peerLength[conn] = storeText(columns.names, at, peer);
    columns.localLength[conn] = storeText(columns.names, at + NAME_BYTES_MAX, local);
    columns.fdPlusOne[conn] = Math.max(0, fd) + 1;
    this.#directory.sawDescriptor(fd);
  }

  /** A listening socket. */
  listen(fd: number, transport: number, name: string, now: number): void {
    const conn = this.#columns.fdPlusOne.indexOf(0);
    if (conn < 0) {
      this.grow(Math.max(8, this.#columns.slots * 2));
      this.listen(fd, transport, name, now);
      return;
    }
    this.open(conn, fd, transport, name, '', now);
    this.#columns.state[conn] = STATE_LISTENING;
  }

  close(conn: number): void {
    this.#columns.fdPlusOne[conn] = 0;
  }

  fd(conn: number): number {
    return this.#columns.fdPlusOne[conn]! - 1;
  }

  transport(conn: number): number {
    return this.#columns.transport[conn]!;
  }

  peer(conn: number): string {
    return textAt(this.#columns.names, conn * 2 * NAME_BYTES_MAX, this.#columns.peerLength[conn]!);
  }

  /** The connections of all threads and the listening sockets, by descriptor. */
  all(): ConnectionRow[] {
    const { u32, buffer } = this.#memory;
    const rows: ConnectionRow[] = [];
    this.#locks.take(LOCK_CONNECTIONS);
    for (let thread = 0; thread < this.#directory.rows; thread++) {
      const table = u32[this.#directory.word(thread, ROW_CONNECTIONS)]!;
      if (table === 0) continue;
      const columns = columnsAt(buffer, table, u32[this.#directory.word(thread, ROW_CONNECTION_SLOTS)]!);
      for (let conn = 0; conn < columns.slots; conn++) {
        if (columns.fdPlusOne[conn] === 0) continue;
        const state = columns.state[conn]!;
        const at = conn * 2 * NAME_BYTES_MAX;
        rows.push({
          fd: columns.fdPlusOne[conn]! - 1,
          thread,
          conn,
          state: stateName(columns, conn),
          isListening: state === STATE_LISTENING,
          transport: columns.transport[conn]!,
          peer: textAt(columns.names, at, columns.peerLength[conn]!),
          local: textAt(columns.names, at + NAME_BYTES_MAX, columns.localLength[conn]!),
          lastCommand: columns.lastCommand[conn]!,
        });
      }
    }
    this.#locks.give(LOCK_CONNECTIONS);
    return rows.sort((a, b) => a.fd - b.fd);
  }
}

/** What the original would call it. That output is waiting is known only of connections that have much of it. */
function stateName(columns: Columns, conn: number): string {
  const state = columns.state[conn]!;
  if (state === STATE_READY && columns.choked[conn] === 1) return 'conn_mwrite';
  if (state === STATE_READY && columns.protocol[conn] === PROTOCOL_UNKNOWN) return 'conn_new_cmd';
  return STATE_NAMES[state]!;
}

function storeText(u8: Uint8Array, at: number, text: string): number {
  const length = Math.min(text.length, NAME_BYTES_MAX);
  for (let i = 0; i < length; i++) u8[at + i] = text.charCodeAt(i);
  return length;
}

function textAt(u8: Uint8Array, at: number, length: number): string {
  let text = '';
  for (let i = 0; i < length; i++) text += String.fromCharCode(u8[at + i]!);
  return text;
}
