/**
 * Counts by key prefix (`stats detail on`): what stands before the first delimiter (-D) of a key. Only while it is switched on. The counts lie
 * in the arena, for all threads, under LOCK_PREFIX: a table of 256 buckets as the original's, whose order the dump shows, and entries in
 * pieces that are filled one after another and given back together by `clear`.
 */
import type { Memory } from '../ports.ts';
import type { HashFunction } from './assoc.ts';
import { LOCK_PREFIX } from './lock-cells.ts';
import type { Locks } from './locks.ts';
import { CELL_STATISTICS, type SharedBlock } from './shared-block.ts';

const PAGE_BYTES = 4_096;
const BUCKETS = 256;
const PIECE_PAGES = 4;
/** Prefixes beyond what fits into so many pieces (16 MiB) are not counted: the original would take memory without end. */
const PIECES_MAX = 1_024;

// Words of the shared block, behind the directory's: the table, the piece being filled, its bytes in use, the number of pieces.
const CELL_TABLE = CELL_STATISTICS + 1;
const CELL_PIECE = CELL_STATISTICS + 2;
const CELL_USED = CELL_STATISTICS + 3;
const CELL_PIECES = CELL_STATISTICS + 4;
/** A piece begins with the offset of the one before. */
const PIECE_HEADER_BYTES = 8;

// An entry: four counts (f64), next entry of its bucket, length of the prefix, the prefix.
const COUNT_GET = 0;
const COUNT_HIT = 1;
const COUNT_SET = 2;
const COUNT_DELETE = 3;
const ENTRY_NEXT = 32;
const ENTRY_LENGTH = 36;
const ENTRY_PREFIX = 40;

export class PrefixStats {
  readonly #memory: Memory;
  readonly #cells: number;
  readonly #locks: Locks;
  readonly #hash: HashFunction;
  readonly #delimiter: number;

  constructor(memory: Memory, block: SharedBlock, locks: Locks, hash: HashFunction, delimiter: string) {
    this.#memory = memory;
    this.#cells = block.cells;
    this.#locks = locks;
    this.#hash = hash;
    this.#delimiter = delimiter.charCodeAt(0);
  }

  recordGet(u8: Uint8Array, at: number, length: number, isHit: boolean): void {
    this.#count(u8, at, length, COUNT_GET, isHit ? COUNT_HIT : -1);
  }

  recordSet(u8: Uint8Array, at: number, length: number): void {
    this.#count(u8, at, length, COUNT_SET, -1);
  }

  recordDelete(u8: Uint8Array, at: number, length: number): void {
    this.#count(u8, at, length, COUNT_DELETE, -1);
  }

  #count(u8: Uint8Array, at: number, length: number, count: number, another: number): void {
    let end = 0;
    while (end < length && u8[at + end] !== this.#delimiter && u8[at + end] !== 0) end++;
    // A key without the delimiter belongs to no prefix.
    if (end === length || u8[at + end] === 0) return;
    const hash = this.#hash(this.#memory.view, at, end);
    const { f64 } = this.#memory;
    this.#locks.take(LOCK_PREFIX);
    const entry = this.#entry(hash, at, end);
    if (entry !== 0) {
      f64[entry / 8 + count]!++;
      if (another >= 0) f64[entry / 8 + another]!++;
    }
    this.#locks.give(LOCK_PREFIX);
  }

  /** The entry of a prefix, made where it is missing. @returns 0 when there is no room */
  #entry(hash: number, at: number, length: number): number {
    const { u8, u32 } = this.#memory;
    let table = u32[this.#cells + CELL_TABLE]!;
    if (table === 0) {
      table = this.#memory.takePages(1);
      if (table === 0) return 0;
      u8.fill(0, table, table + PAGE_BYTES);
      u32[this.#cells + CELL_TABLE] = table;
    }
    const bucket = (table >>> 2) + ((hash >>> 0) % BUCKETS);
    for (let entry = u32[bucket]!; entry !== 0; entry = u32[(entry + ENTRY_NEXT) >>> 2]!) {
      if (u32[(entry + ENTRY_LENGTH) >>> 2] !== length) continue;
      let i = 0;
      while (i < length && u8[entry + ENTRY_PREFIX + i] === u8[at + i]) i++;
      if (i === length) return entry;
    }
    const entry = this.#take((ENTRY_PREFIX + length + 7) & ~7);
    if (entry === 0) return 0;
    u8.fill(0, entry, entry + ENTRY_NEXT);
    u32[(entry + ENTRY_NEXT) >>> 2] = u32[bucket]!;
    u32[(entry + ENTRY_LENGTH) >>> 2] = length;
    for (let i = 0; i < length; i++) u8[entry + ENTRY_PREFIX + i] = u8[at + i]!;
    u32[bucket] = entry;
    return entry;
  }

  /** Room for an entry: a key has 250 bytes at the most, so every one fits into an empty piece. */
  #take(bytes: number): number {
    const { u32 } = this.#memory;
    const cells = this.#cells;
    if (u32[cells + CELL_PIECE] === 0 || u32[cells + CELL_USED]! + bytes > PIECE_PAGES * PAGE_BYTES) {
      if (u32[cells + CELL_PIECES]! >= PIECES_MAX) return 0;
      const piece = this.#memory.takePages(PIECE_PAGES);
      if (piece === 0) return 0;
      u32[piece >>> 2] = u32[cells + CELL_PIECE]!;
      u32[cells + CELL_PIECE] = piece;
      u32[cells + CELL_USED] = PIECE_HEADER_BYTES;
      u32[cells + CELL_PIECES]!++;
    }
    const entry = u32[cells + CELL_PIECE]! + u32[cells + CELL_USED]!;
    u32[cells + CELL_USED]! += bytes;
    return entry;
  }

  clear(): void {
    const { u32 } = this.#memory;
    const cells = this.#cells;
    this.#locks.take(LOCK_PREFIX);
    const table = u32[cells + CELL_TABLE]!;
    for (let piece = u32[cells + CELL_PIECE]!; piece !== 0; ) {
      const before = u32[piece >>> 2]!;
      this.#memory.givePages(piece, PIECE_PAGES);
      piece = before;
    }
    if (table !== 0) this.#memory.givePages(table, 1);
    for (const cell of [CELL_TABLE, CELL_PIECE, CELL_USED, CELL_PIECES]) u32[cells + cell] = 0;
    this.#locks.give(LOCK_PREFIX);
  }

  /** The dump's text, with its END line. */
  dump(): string {
    const { u8, u32, f64 } = this.#memory;
    let text = '';
    this.#locks.take(LOCK_PREFIX);
    const table = u32[this.#cells + CELL_TABLE]!;
    for (let bucket = 0; table !== 0 && bucket < BUCKETS; bucket++) {
      for (let entry = u32[(table >>> 2) + bucket]!; entry !== 0; entry = u32[(entry + ENTRY_NEXT) >>> 2]!) {
        let prefix = '';
        for (let i = 0; i < u32[(entry + ENTRY_LENGTH) >>> 2]!; i++) {
          prefix += String.fromCharCode(u8[entry + ENTRY_PREFIX + i]!);
        }
        const [get, hit, set, del] = [COUNT_GET, COUNT_HIT, COUNT_SET, COUNT_DELETE].map((i) => f64[entry / 8 + i]);
        text += `PREFIX ${prefix} get ${get} hit ${hit} set ${set} del ${del}\r\n`;
      }
    }
    this.#locks.give(LOCK_PREFIX);
    return `${text}END\r\n`;
  }
}
