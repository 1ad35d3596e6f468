/**
 * What a client has queued since MULTI. Each command's arguments lie in a block of their own in the arena, and a table of 24 bytes a
 * command (as the original's) points to them, so a long transaction is used memory and not garbage for V8.
 */
import { CLIENT_DIRTY_CAS, CLIENT_DIRTY_EXEC, CLIENT_MULTI, type Client } from './client.ts';
import type { Command } from './command.ts';
import type { RedisCore } from './redis-core.ts';
import type { Heap } from './structures/heap.ts';
import { WATCHED_KEY_BYTES } from './watched-keys.ts';

/** One entry of the table: offset of the block at 0, number of arguments at 8. */
const ENTRY_BYTES = 24;
const ARGC = 8;
/** Whoever sends MULTI is taken to queue at least two commands. */
const FIRST_ENTRIES = 2;
/** A block begins with 8 bytes for each argument: its length. */
const SLOT_BYTES = 8;

/** The commands that one client has queued. */
export class QueuedCommands {
  private readonly heap: Heap;
  private readonly commands: Command[] = [];
  /** Offset of the table, 0 while nothing is queued, and how many entries it has room for. */
  private table = 0;
  private room = 0;
  /** Flags that any queued command has. */
  flags = 0;
  /** Flags that all of them have. */
  commonFlags = -1;
  /** Bytes of all arguments, with 8 for each: the `multi-mem` of CLIENT LIST. */
  argumentBytes = 0;

  constructor(heap: Heap) {
    this.heap = heap;
  }

  get count(): number {
    return this.commands.length;
  }

  /** Memory in bytes as the original reckons it. */
  get memory(): number {
    return this.argumentBytes + this.room * ENTRY_BYTES;
  }

  /** Keeps the client's present command, which does what `flags` say. @throws ARENA_EXHAUSTED, nothing is queued then */
  push(c: Client, command: Command, flags = command.flags): void {
    const h = this.heap;
    this.makeRoom();
    let bytes = 0;
    for (let i = 0; i < c.argc; i++) bytes += SLOT_BYTES + c.argLen[i];
    const block = h.alloc(bytes);
    let to = block + c.argc * SLOT_BYTES;
    for (let i = 0; i < c.argc; i++) {
      const length = c.argLen[i];
      h.u32[(block + i * SLOT_BYTES) >>> 2] = length;
      h.copy(c.argOff[i], to, length);
      to += length;
    }
    const entry = this.table + this.commands.length * ENTRY_BYTES;
    h.u32[entry >>> 2] = block;
    h.u32[(entry + ARGC) >>> 2] = c.argc;
    this.commands.push(command);
    this.flags |= flags;
    this.commonFlags &= flags;
    this.argumentBytes += bytes;
  }

  private makeRoom(): void {
    const count = this.commands.length;
    if (count < this.room) return;
    const room = count === 0 ? FIRST_ENTRIES : this.room * 2;
    const table = this.heap.alloc(room * ENTRY_BYTES);
    if (this.table !== 0) {
      this.heap.copy(this.table, table, count * ENTRY_BYTES);
      this.heap.free(this.table);
    }
    this.table = table;
    this.room = room;
  }

  /** Makes queued command `i` the client's present one. */
  load(c: Client, i: number): Command {
    const h = this.heap;
    const entry = this.table + i * ENTRY_BYTES;
    const block = h.u32[entry >>> 2];
    const argc = h.u32[(entry + ARGC) >>> 2];
    c.argc = 0;
    if (c.argOff.length < argc) c.growArguments(argc);
    let at = block + argc * SLOT_BYTES;
    for (let k = 0; k < argc; k++) {
      const length = h.u32[(block + k * SLOT_BYTES) >>> 2];
      c.argOff[k] = at;
      c.argLen[k] = length;
      at += length;
    }
    c.argc = argc;
    return this.commands[i];
  }

  /** Frees everything. */
  clear(): void {
    const h = this.heap;
    for (let i = 0; i < this.commands.length; i++) h.free(h.u32[(this.table + i * ENTRY_BYTES) >>> 2]);
    if (this.table !== 0) h.free(this.table);
    this.commands.length = 0;
    this.table = 0;
    this.room = 0;
    this.flags = 0;
    this.commonFlags = -1;
    this.argumentBytes = 0;
  }
}

/** Flags of the commands that a client has queued, 0 for none. */
export function queuedFlags(c: Client): number {
  return c.queued === null ? 0 : c.queued.flags;
}

/** Memory in bytes that a client's queued commands and watched keys are reckoned to take. */
export function transactionMemory(c: Client): number {
  return (c.queued?.memory ?? 0) + (c.watched?.length ?? 0) * WATCHED_KEY_BYTES;
}

/** A command could not be queued: EXEC will refuse the whole. */
export function flagTransaction(c: Client): void {
  if ((c.flags & CLIENT_MULTI) !== 0) c.flags |= CLIENT_DIRTY_EXEC;
}

/** Ends a client's transaction, whether there is one or not, and its watching. */
export function discardTransaction(core: RedisCore, c: Client): void {
  c.queued?.clear();
  c.flags &= ~(CLIENT_MULTI | CLIENT_DIRTY_CAS | CLIENT_DIRTY_EXEC);
  core.watched.forget(c);
}
