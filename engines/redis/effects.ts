/**
 * The effects of commands: what has to be done again to get the same data. A command that changed something is its own effect,
 * unless it says otherwise: one that depends on chance, on the time or on what others do writes down the plain commands that have
 * the same result (SPOP becomes SREM, EXPIRE becomes PEXPIREAT).
 *
 * The effects of one unit (a command with all that it runs inside: a transaction, a script, clients that it serves) are collected as
 * requests and handed on together at its end, between MULTI and EXEC when there are several, so that a log that breaks off never has
 * half of them.
 *
 * While nobody listens nothing is written down, and `active` is all that anyone looks at.
 *
 * Nothing here throws: whoever writes down an effect has changed data already, or is about to. When there is no memory for it the whole
 * unit is lost, and the listener is told that it no longer has what the data have become.
 */
import type { Client } from './client.ts';
import type { Db } from './db.ts';
import { putUint } from './protocol/decimal.ts';
import { ArenaExhausted, type Heap } from './structures/heap.ts';

const FIRST_BYTES = 4_096;
/** A buffer that has grown beyond this is given back after the unit. */
const KEPT_BYTES = 65_536;
/** Room for a type byte, digits and CRLF. */
const HEAD_BYTES = 24;

/**
 * Takes the bytes of a unit: requests in RESP.
 * @param several they belong together, all but the first `ahead` bytes (the choice of a database)
 */
export type EffectSink = (offset: number, length: number, several: boolean, ahead: number) => void;

export class Effects {
  private readonly heap: Heap;
  /** Whether effects are wanted. */
  active = false;
  private sink: EffectSink | null = null;
  private lost: () => void = () => {};
  /** The present unit is lost. */
  private broken = false;
  private start = 0;
  private room = 0;
  private length = 0;
  /** Effects of this unit so far. */
  ops = 0;
  /** Bytes that stand before the first of them: the choice of its database. */
  private ahead = 0;
  /** The unit goes on whatever else ends: a script is being run, and others are served from within. */
  held = false;
  /** The present command has written its effects itself, or has none in spite of a change. */
  replaced = false;
  /** Each deletion stands for itself: nothing asked for them to be one. */
  private single = false;
  /** The database that the listener was told of last, -1: none. */
  private selected = -1;

  constructor(heap: Heap) {
    this.heap = heap;
  }

  /**
   * Begins to collect. The first effect will say which database it is about.
   * @param sink may throw ARENA_EXHAUSTED, having taken nothing: the unit is lost then
   * @param lost a unit has not been handed over
   */
  listen(sink: EffectSink, lost: () => void = () => {}): void {
    this.sink = sink;
    this.lost = lost;
    this.active = true;
    this.selected = -1;
  }

  /** Nobody wants effects any more. */
  silence(): void {
    this.active = false;
    this.sink = null;
    this.clear();
  }

  /** The listener begins anew: the database is to be said again. */
  forgetSelected(): void {
    this.selected = -1;
  }

  /** The present unit cannot be written down: what the data have become does not follow from what is. */
  lose(): void {
    this.broken = true;
    if (this.ops === 0) this.ops = 1;
  }

  /** @returns where the next bytes go; 0: nowhere, the unit is lost */
  private reserve(bytes: number): number {
    if (this.broken) return 0;
    const needed = this.length + bytes;
    if (needed > this.room) {
      const room = Math.max(FIRST_BYTES, needed, this.room * 2);
      const moved = this.allocate(room);
      if (moved === 0) return 0;
      if (this.start !== 0) {
        this.heap.copy(this.start, moved, this.length);
        this.heap.free(this.start);
      }
      this.start = moved;
      this.room = room;
    }
    return this.start + this.length;
  }

  private allocate(bytes: number): number {
    try {
      return this.heap.alloc(bytes);
    } catch (error) {
      if (!(error instanceof ArenaExhausted)) throw error;
      this.lose();
      return 0;
    }
  }

  private head(type: number, value: number): void {
    const at = this.reserve(HEAD_BYTES);
    if (at === 0) return;
    const u8 = this.heap.u8;
    u8[at] = type;
    const p = putUint(u8, at + 1, value);
    u8[p] = 13;
    u8[p + 1] = 10;
    this.length = p + 2 - this.start;
  }

  /** Begins an effect of `argc` arguments, its name included. The present command is then not an effect itself. */
  begin(db: Db, argc: number): void {
    if (this.selected !== db.id) {
      this.selected = db.id;
      this.head(42, 2);
      this.text('SELECT');
      this.text(String(db.id));
      if (this.ops === 0) this.ahead = this.length;
    }
    this.head(42, argc);
    this.ops++;
    this.replaced = true;
  }

  /** An argument of arena bytes. */
  arg(offset: number, length: number): void {
    this.head(36, length);
    const at = this.reserve(length + 2);
    if (at === 0) return;
    const h = this.heap;
    h.copy(offset, at, length);
    h.u8[at + length] = 13;
    h.u8[at + length + 1] = 10;
    this.length += length + 2;
  }

  /** An argument of one byte a char. */
  text(value: string): void {
    this.head(36, value.length);
    const at = this.reserve(value.length + 2);
    if (at === 0) return;
    const h = this.heap;
    const end = h.putLatin1(value, at);
    h.u8[end] = 13;
    h.u8[end + 1] = 10;
    this.length += value.length + 2;
  }

  /** Argument `i` of the client's command. */
  argOf(c: Client, i: number): void {
    this.arg(c.argOff[i], c.argLen[i]);
  }

  /** The present command comes to the deletion of the key of its argument 1. */
  deletion(c: Client, lazily = false): void {
    this.begin(c.db, 2);
    this.text(lazily ? 'UNLINK' : 'DEL');
    this.argOf(c, 1);
  }

  /** The effects of this unit stand each for itself, however many there are: what they are about was come upon by chance. */
  keepApart(): void {
    this.single = true;
  }

  /** The present command changed something that need not be done again. */
  suppress(): void {
    this.replaced = true;
  }

  /** The client's command as it stands. */
  addCommand(c: Client): void {
    this.begin(c.db, c.argc);
    for (let i = 0; i < c.argc; i++) this.argOf(c, i);
  }

  /** A key that went by itself: expired or evicted. */
  addDeletion(db: Db, offset: number, length: number, lazily: boolean, inUnit: boolean): void {
    const replaced = this.replaced;
    this.begin(db, 2);
    this.text(lazily ? 'UNLINK' : 'DEL');
    this.arg(offset, length);
    // It does not speak for the command that came upon it.
    this.replaced = replaced;
    if (!inUnit) this.single = true;
  }

  /** Ends the unit: its effects are handed on. */
  endUnit(): void {
    if (this.held) return;
    if (this.ops > 0 && !this.broken) this.handOver();
    const lost = this.broken;
    this.clear();
    if (lost) {
      // The database that was said with it is lost too.
      this.selected = -1;
      this.lost();
    }
  }

  private handOver(): void {
    try {
      this.sink?.(this.start, this.length, this.ops > 1 && !this.single, this.ahead);
    } catch (error) {
      if (!(error instanceof ArenaExhausted)) throw error;
      this.broken = true;
    }
  }

  private clear(): void {
    this.ops = 0;
    this.length = 0;
    this.ahead = 0;
    this.broken = false;
    this.single = false;
    if (this.room > KEPT_BYTES) {
      this.heap.free(this.start);
      this.start = 0;
      this.room = 0;
    }
  }
}
