/**
 * Locks between the threads of a server. Each is one i32 of the shared block: 0 free, 1 taken, 2 taken and waited for (the mutex of Drepper's
 * "Futexes Are Tricky", with Atomics.wait in the futex's place). None is recursive. Alone in the server, a core pays one test for each call.
 *
 * Order: item lock -> LRU lock -> LOCK_SLABS -> one of the others. Who holds a lock may wait only for locks further to the right. Where
 * the other direction is needed (from the tail of an LRU to its item) the item lock is only tried: whoever holds it may be waiting for us.
 * At most one item lock is held at a time, but for `allItems`, which takes them in ascending order.
 *
 * Memory order: Atomics operations are sequentially consistent, so what a thread stored before `give` is seen by whoever takes the same
 * lock afterwards. Everything else of the shared state is read and stored plainly under its lock.
 */
import type { Memory } from '../ports.ts';
import { LOCK_SHIFT } from './lock-cells.ts';
import { ITEM_LOCKS_MAX, type SharedBlock } from './shared-block.ts';

const FREE = 0;
const TAKEN = 1;
const WAITED_FOR = 2;
/** Looks at a taken lock before the thread sleeps: holders keep it for about a microsecond. */
const SPINS = 100;

/** Nobody holds a lock for so long, unless he has died with it. Twice, because a process that was stopped for a while wakes up late once. */
const PATIENCE_MS = 30_000;
const PATIENCE_TURNS = 2;

/** Item locks by the number of worker threads, as powers of two: the original's choice. */
export function itemLockPower(threads: number): number {
  if (threads < 3) return 10;
  if (threads < 4) return 11;
  if (threads < 5) return 12;
  if (threads <= 10) return 13;
  if (threads <= 20) return 14;
  return 15;
}

export class Locks {
  /** Whether other threads exist at all. */
  readonly isShared: boolean;
  readonly #i32: Int32Array;
  readonly #named: number;
  readonly #items: number;
  readonly #itemMask: number;
  readonly #patienceMs: number;
  /** Alone: the item lock that the command under way holds, -1 for none. */
  #held = -1;

  /** @param patienceMs after twice as many milliseconds a lock that is not given back is an error */
  constructor(memory: Memory, block: SharedBlock, isShared: boolean, patienceMs = PATIENCE_MS) {
    this.#patienceMs = patienceMs;
    this.isShared = isShared;
    this.#i32 = memory.i32;
    this.#named = block.locks;
    this.#items = block.itemLocks;
    this.#itemMask = Math.min(ITEM_LOCKS_MAX, 2 ** itemLockPower(block.threads)) - 1;
  }

  /** Takes the lock of all items whose keys have such a hash. */
  item(hash: number): void {
    if (this.isShared) this.#take(this.#items + (hash & this.#itemMask));
    else this.#held = hash & this.#itemMask;
  }

  /** Alone, only the lock of the command under way is not to be had: what it works on must not be evicted beneath it. */
  tryItem(hash: number): boolean {
    if (!this.isShared) return (hash & this.#itemMask) !== this.#held;
    return Atomics.compareExchange(this.#i32, this.#items + (hash & this.#itemMask), FREE, TAKEN) === FREE;
  }

  unlockItem(hash: number): void {
    if (this.isShared) this.#give(this.#items + (hash & this.#itemMask));
    else if ((hash & this.#itemMask) === this.#held) this.#held = -1;
  }

  /** Takes every item lock: nobody else is at any item or in the hash table afterwards. */
  allItems(): void {
    if (!this.isShared) return;
    for (let i = 0; i <= this.#itemMask; i++) this.#take(this.#items + i);
  }

  unlockAllItems(): void {
    if (!this.isShared) return;
    for (let i = 0; i <= this.#itemMask; i++) this.#give(this.#items + i);
  }

  /** @param lock LOCK_… */
  take(lock: number): void {
    if (this.isShared) this.#take(this.#named + (lock << LOCK_SHIFT));
  }

  give(lock: number): void {
    if (this.isShared) this.#give(this.#named + (lock << LOCK_SHIFT));
  }

  #take(cell: number): void {
    if (Atomics.compareExchange(this.#i32, cell, FREE, TAKEN) !== FREE) this.#wait(cell);
  }

  #wait(cell: number): void {
    const i32 = this.#i32;
    for (let i = 0; i < SPINS; i++) {
      if (Atomics.load(i32, cell) === FREE && Atomics.compareExchange(i32, cell, FREE, TAKEN) === FREE) return;
    }
    let patience = PATIENCE_TURNS;
    while (Atomics.exchange(i32, cell, WAITED_FOR) !== FREE) {
      const outcome = Atomics.wait(i32, cell, WAITED_FOR, this.#patienceMs);
      if (outcome === 'timed-out' && --patience === 0) {
        // The server ends with this error. Otherwise it would stand still for good.
        throw new Error(
          `Cannot go on: lock at word ${cell - this.#named} is not given back, its thread must have died`,
        );
      }
    }
  }

  #give(cell: number): void {
    const before = Atomics.exchange(this.#i32, cell, FREE);
    if (before === WAITED_FOR) Atomics.notify(this.#i32, cell, 1);
    else if (before === FREE) throw new Error(`lock at word ${cell - this.#named} was given back without being held`);
  }
}
