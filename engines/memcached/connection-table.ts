/**
 * What all threads know of each other's connections, for `stats conns`: each thread keeps a table in the arena, one place a slot of its loop.
 * The table's thread stores state and time of the last command as it goes, without a lock; addresses are stored when the connection opens.
 */
import type { Memory } from '../ports.ts';
import { LOCK_CONNECTIONS } from './lock-cells.ts';
import type { Locks } from './locks.ts';
import { ROW_CONNECTION_SLOTS, ROW_CONNECTIONS, type ThreadDirectory } from './thread-directory.ts';

const PAGE_BYTES = 4_096;
const PLACE_BYTES = 288;
// Of a place: words, then bytes.
const WORD_FD = 0;
const WORD_LAST_COMMAND = 1;
const AT_STATE = 8;
const AT_TRANSPORT = 9;
const AT_PEER_LENGTH = 10;
const AT_LOCAL_LENGTH = 11;
const AT_PEER = 16;
/** Longer than any IP address with its port, and than the 107 bytes of a Unix path. */
const NAME_BYTES_MAX = 128;
const AT_LOCAL = AT_PEER + NAME_BYTES_MAX;

export const CONN_CLOSED = 0;
export const CONN_LISTENING = 1;
/** Waits for a command, or for the rest of one. */
export const CONN_READ = 2;
/** A value is coming in. */
export const CONN_NREAD = 3;
export const CONN_SWALLOW = 4;
/** Its replies wait for the peer to read. */
export const CONN_MWRITE = 5;
export const CONN_WATCH = 6;
export const CONN_CLOSING = 7;

const STATE_NAMES = [
  'conn_closed',
  'conn_listening',
  'conn_read',
  'conn_nread',
  'conn_swallow',
  'conn_mwrite',
  'conn_watch',
  'conn_closing',
];

export const TRANSPORT_LOCAL = 0;
export const TRANSPORT_TCP = 1;
export const TRANSPORT_UDP = 2;

/** One connection as `stats conns` shows it. */
export interface ConnectionRow {
  readonly fd: number;
  readonly thread: number;
  readonly conn: number;
  readonly state: string;
  readonly transport: number;
  /** As ports.ts has it; empty for a Unix socket. */
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
  #offset = 0;
  #slots = 0;

  /** @param row the thread's number, or the directory's row for listening sockets */
  constructor(memory: Memory, directory: ThreadDirectory, locks: Locks, row: number) {
    this.#memory = memory;
    this.#directory = directory;
    this.#locks = locks;
    this.#row = row;
  }

  /** Makes sure there are places for so many slots. @returns false when memory is short: the connection is then not shown */
  #grow(slots: number): boolean {
    const { u8, u32 } = this.#memory;
    const places = Math.max(slots, this.#slots * 2);
    const pages = Math.ceil((places * PLACE_BYTES) / PAGE_BYTES);
    const table = this.#memory.takePages(pages);
    if (table === 0) return false;
    const used = this.#slots * PLACE_BYTES;
    u8.copyWithin(table, this.#offset, this.#offset + used);
    u8.fill(0, table + used, table + pages * PAGE_BYTES);
    const old = this.#offset;
    const oldPages = Math.ceil(used / PAGE_BYTES);
    this.#locks.take(LOCK_CONNECTIONS);
    this.#offset = table;
    this.#slots = Math.floor((pages * PAGE_BYTES) / PLACE_BYTES);
    u32[this.#directory.word(this.#row, ROW_CONNECTIONS)] = table;
    u32[this.#directory.word(this.#row, ROW_CONNECTION_SLOTS)] = this.#slots;
    this.#locks.give(LOCK_CONNECTIONS);
    // Whoever read the old table did so under the lock.
    if (old !== 0) this.#memory.givePages(old, oldPages);
    return true;
  }

  /** A connection begins. */
  open(conn: number, fd: number, transport: number, peer: string, local: string, state: number, now: number): void {
    if (conn >= this.#slots && !this.#grow(conn + 1)) return;
    const { u8, u32 } = this.#memory;
    const place = this.#offset + conn * PLACE_BYTES;
    u32[(place >>> 2) + WORD_FD] = fd;
    u32[(place >>> 2) + WORD_LAST_COMMAND] = now;
    u8[place + AT_TRANSPORT] = transport;
    u8[place + AT_PEER_LENGTH] = storeText(u8, place + AT_PEER, peer);
    u8[place + AT_LOCAL_LENGTH] = storeText(u8, place + AT_LOCAL, local);
    Atomics.store(u8, place + AT_STATE, state);
  }

  close(conn: number): void {
    if (conn < this.#slots) this.#memory.u8[this.#offset + conn * PLACE_BYTES + AT_STATE] = CONN_CLOSED;
  }

  setState(conn: number, state: number): void {
    if (conn < this.#slots) this.#memory.u8[this.#offset + conn * PLACE_BYTES + AT_STATE] = state;
  }

  /** Notes a command. Hot. */
  touch(conn: number, now: number): void {
    if (conn < this.#slots) this.#memory.u32[((this.#offset + conn * PLACE_BYTES) >>> 2) + WORD_LAST_COMMAND] = now;
  }

  lastCommand(conn: number): number {
    return conn < this.#slots ? this.#memory.u32[((this.#offset + conn * PLACE_BYTES) >>> 2) + WORD_LAST_COMMAND]! : 0;
  }

  fd(conn: number): number {
    return conn < this.#slots ? this.#memory.i32[((this.#offset + conn * PLACE_BYTES) >>> 2) + WORD_FD]! : -1;
  }

  transport(conn: number): number {
    return conn < this.#slots ? this.#memory.u8[this.#offset + conn * PLACE_BYTES + AT_TRANSPORT]! : TRANSPORT_TCP;
  }

  peer(conn: number): string {
    if (conn >= this.#slots) return '';
    const place = this.#offset + conn * PLACE_BYTES;
    return textAt(this.#memory.u8, place + AT_PEER, this.#memory.u8[place + AT_PEER_LENGTH]!);
  }

  /** The connections of all threads and the listening sockets, by descriptor. */
  all(): ConnectionRow[] {
    const { u8, u32, i32 } = this.#memory;
    const rows: ConnectionRow[] = [];
    this.#locks.take(LOCK_CONNECTIONS);
    for (let row = 0; row < this.#directory.rows; row++) {
      const table = u32[this.#directory.word(row, ROW_CONNECTIONS)]!;
      const slots = u32[this.#directory.word(row, ROW_CONNECTION_SLOTS)]!;
      for (let conn = 0; conn < slots; conn++) {
        const place = table + conn * PLACE_BYTES;
        const state = u8[place + AT_STATE]!;
        if (state === CONN_CLOSED) continue;
        rows.push({
          fd: i32[(place >>> 2) + WORD_FD]!,
          thread: row,
          conn,
          state: STATE_NAMES[state]!,
          transport: u8[place + AT_TRANSPORT]!,
          peer: textAt(u8, place + AT_PEER, u8[place + AT_PEER_LENGTH]!),
          local: textAt(u8, place + AT_LOCAL, u8[place + AT_LOCAL_LENGTH]!),
          lastCommand: u32[(place >>> 2) + WORD_LAST_COMMAND]!,
        });
      }
    }
    this.#locks.give(LOCK_CONNECTIONS);
    return rows.sort((a, b) => a.fd - b.fd);
  }
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
