/**
 * Where each thread's own tables lie: a run of the arena with one row a thread, so that every thread finds those of the others (the log
 * rings, the tables of connections). A row is stored by its thread alone; who reads it does so by Atomics.
 */
import type { Memory } from '../ports.ts';
import { CELL_STATISTICS, type SharedBlock } from './shared-block.ts';

const PAGE_BYTES = 4_096;
const ROW_BYTES = 64;

// u32 words of a row.
/** The thread's table of connections and its number of places (LOCK_CONNECTIONS). */
export const ROW_CONNECTIONS = 0;
export const ROW_CONNECTION_SLOTS = 1;
/** The thread's log ring, its length in bytes, where the next entry goes and where the next one to be read begins. */
export const ROW_RING = 2;
export const ROW_RING_BYTES = 3;
export const ROW_RING_WRITE = 4;
export const ROW_RING_READ = 5;
// f64 cells of a row, counted from its start.
/** Log entries written and dropped. */
export const ROW_F64_WRITTEN = 4;
export const ROW_F64_DROPPED = 5;

/** What the thread has done so far: SERVES_…. */
export const ROW_SERVES = 6;
export const SERVES_CONNECTIONS = 1;
export const SERVES_COMMANDS = 2;

// Words of the shared block behind the directory's own; prefix-stats.ts has those between.
const CELL_SEEN = CELL_STATISTICS + 5;
const CELL_STRUCTURES = CELL_STATISTICS + 6;
/** `stats reset` was asked for. */
export const CELL_WAS_RESET = CELL_STATISTICS + 7;
/** Descriptors up to this one are remembered. */
const DESCRIPTORS_MAX = 65_536;

export class ThreadDirectory {
  readonly #memory: Memory;
  readonly #block: SharedBlock;
  readonly #offset: number;
  /** Rows: the workers', the dispatcher's, and one for the listening sockets. */
  readonly rows: number;

  /** @param isFirst whether this thread starts the server and so makes the directory. @throws Error when the arena is too small */
  constructor(memory: Memory, block: SharedBlock, isFirst: boolean) {
    this.rows = block.threads + 2;
    const cell = block.cell(CELL_STATISTICS);
    if (isFirst) {
      const pages = Math.ceil((this.rows * ROW_BYTES) / PAGE_BYTES);
      const offset = memory.takePages(pages);
      if (offset === 0) throw new Error('Cannot start: the arena has no room for the threads’ directory');
      memory.u8.fill(0, offset, offset + pages * PAGE_BYTES);
      memory.u32[cell] = offset;
      const seenPages = DESCRIPTORS_MAX / 8 / PAGE_BYTES;
      const seen = memory.takePages(seenPages);
      if (seen === 0) throw new Error('Cannot start: the arena has no room for the table of descriptors');
      memory.u8.fill(0, seen, seen + seenPages * PAGE_BYTES);
      memory.u32[block.cell(CELL_SEEN)] = seen;
    }
    this.#memory = memory;
    this.#block = block;
    this.#offset = memory.u32[cell]!;
  }

  /** The row of the listening sockets, which no thread serves in particular. */
  get listeners(): number {
    return this.rows - 1;
  }

  /** Index in `memory.u32` of a word of a row. */
  word(row: number, word: number): number {
    return ((this.#offset + row * ROW_BYTES) >>> 2) + word;
  }

  /** Index in `memory.f64` of a number of a row. */
  number(row: number, index: number): number {
    return (this.#offset + row * ROW_BYTES) / 8 + index;
  }

  /** A connection or a listening socket has this descriptor (-1: none). */
  sawDescriptor(fd: number): void {
    if (fd < 0 || fd >= DESCRIPTORS_MAX) return;
    const { u32 } = this.#memory;
    const bit = 1 << (fd & 31);
    const before = Atomics.or(u32, (u32[this.#block.cell(CELL_SEEN)]! >>> 2) + (fd >>> 5), bit);
    if ((before & bit) === 0) Atomics.add(u32, this.#block.cell(CELL_STRUCTURES), 1);
  }

  /** Descriptors that have ever been seen: the original keeps a structure for each, for good. */
  get structures(): number {
    return this.#memory.u32[this.#block.cell(CELL_STRUCTURES)]!;
  }

  /** How many threads have done something of SERVES_…. */
  countThreads(serves: number): number {
    let count = 0;
    for (let row = 0; row < this.rows; row++) {
      if ((this.#memory.u32[this.word(row, ROW_SERVES)]! & serves) !== 0) count++;
    }
    return count;
  }

  /** Notes that a thread does something for the first time. */
  serves(row: number, what: number): void {
    this.#memory.u32[this.word(row, ROW_SERVES)]! |= what;
  }
}
