/**
 * Lazy freeing. A large value that is unlinked, or all the keys of a flushed database, are detached at once and freed bit by bit
 * afterwards, so that nobody waits for it. The original hands them to a thread; here no thread but the server's owns the arena, so the
 * work is cut into slices of bounded time that run at the ends of turns and from a timer. Used memory falls as they run.
 */
import type { RedisCore } from './redis-core.ts';
import { dictFreeEntry, dictRelease, dictTakeBucket } from './structures/dict.ts';
import { dictNext, dictSetValue, dictSize, dictValue } from './structures/dict-layout.ts';
import type { Heap } from './structures/heap.ts';
import { lpFree } from './structures/listpack.ts';
import { quicklistDropFirst } from './structures/quicklist.ts';
import { raxHead } from './structures/rax.ts';
import { raxFree, raxFreeStep } from './structures/rax-whole.ts';
import {
  decrRefCount,
  OBJ_ENCODING_HT,
  OBJ_ENCODING_QUICKLIST,
  OBJ_ENCODING_SKIPLIST,
  OBJ_HASH,
  OBJ_SET,
  OBJ_STREAM,
  OBJ_STRING,
  OBJ_ZSET,
  robjEncoding,
  robjPtr,
  robjRefCount,
  robjType,
} from './structures/robj.ts';
import { zslDropFirst } from './structures/skiplist.ts';
import { streamGroups, streamRax } from './structures/stream.ts';
import { freeGroup } from './structures/stream-groups.ts';
import { zsetDict, zsetSkiplist } from './types/zset-object.ts';

/** Values that take more single steps than this to free are freed lazily. */
export const LAZYFREE_THRESHOLD = 64;
/** Longest slice, and the pause between two of them: lazy freeing takes a third of the server's time at the most. */
const SLICE_US = 250;
const PAUSE_US = 500;
/** The timer that goes on with it while no requests come. */
const TIMER_MS = 1;
/** And so many steps at the most, as a virtual clock may stand still. */
const SLICE_STEPS = 64;
/** Entries freed between two looks at the clock. */
const ENTRIES_PER_CLOCK = 64;
/** Buckets looked at for each entry when they are mostly empty. */
const BUCKETS_PER_ENTRY = 8;

/** In place of a number of keys: a dict whose entries are no objects of their own. */
const UNCOUNTED = -1;

/** How a container of one kind is freed in steps. */
export interface SlicedFree {
  /** Whether it frees this object. */
  suits(h: Heap, o: number): boolean;
  /**
   * Frees about `steps` parts of what the object points to; at the end all of it (the object itself is freed by the caller).
   * The object is of use to nobody else, and need not be whole in between.
   * @param state empty at first, and kept for the next step
   * @returns whether nothing is left
   */
  step(h: Heap, o: number, steps: number, state: number[]): boolean;
}

/** Frees up to `steps` entries of a dict that nobody uses any more. @returns whether it is empty */
export function emptyDictStep(
  h: Heap,
  d: number,
  steps: number,
  onEntry: ((h: Heap, entry: number) => void) | null,
): boolean {
  let buckets = steps * BUCKETS_PER_ENTRY;
  while (steps > 0 && buckets > 0) {
    let entry = dictTakeBucket(h, d);
    if (entry < 0) return true;
    buckets--;
    while (entry !== 0) {
      const next = dictNext(h, entry);
      if (onEntry !== null) onEntry(h, entry);
      dictFreeEntry(h, d, entry);
      steps--;
      entry = next;
    }
  }
  return false;
}

const hashtableFree: SlicedFree = {
  suits(h, o) {
    const type = robjType(h, o);
    return (type === OBJ_SET || type === OBJ_HASH) && robjEncoding(h, o) === OBJ_ENCODING_HT;
  },
  step(h, o, steps) {
    const d = robjPtr(h, o);
    if (!emptyDictStep(h, d, steps, null)) return false;
    dictRelease(h, d);
    return true;
  },
};

const skiplistFree: SlicedFree = {
  suits: (h, o) => robjType(h, o) === OBJ_ZSET && robjEncoding(h, o) === OBJ_ENCODING_SKIPLIST,
  step(h, o, steps) {
    // The dict's keys belong to the nodes of the skip list, so it goes first.
    if (!emptyDictStep(h, zsetDict(h, o), steps, null)) return false;
    const zsl = zsetSkiplist(h, o);
    for (let i = 0; i < steps; i++) {
      if (zslDropFirst(h, zsl)) continue;
      h.types[OBJ_ZSET].free(h, o);
      return true;
    }
    return false;
  },
};

const quicklistFree: SlicedFree = {
  suits: (h, o) => robjEncoding(h, o) === OBJ_ENCODING_QUICKLIST,
  step(h, o, steps) {
    const ql = robjPtr(h, o);
    for (let i = 0; i < steps; i++) {
      if (quicklistDropFirst(h, ql)) continue;
      h.free(ql);
      return true;
    }
    return false;
  },
};

/** The nodes of a stream are freed in steps, its groups at the end. */
const streamFree: SlicedFree = {
  suits: (h, o) => robjType(h, o) === OBJ_STREAM,
  step(h, o, steps, state) {
    const s = robjPtr(h, o);
    const rax = streamRax(h, s);
    if (state.length === 0) state.push(raxHead(h, rax));
    for (let i = 0; i < steps && state.length > 0; i++) raxFreeStep(h, state, lpFree);
    if (state.length > 0) return false;
    h.free(rax);
    if (streamGroups(h, s) !== 0) raxFree(h, streamGroups(h, s), freeGroup);
    h.free(s);
    return true;
  },
};

/** The kinds that can be freed in steps; a value of another kind is freed whole. */
const slicedFrees: SlicedFree[] = [hashtableFree, skiplistFree, quicklistFree, streamFree];

export class LazyFree {
  /** Values and databases' dicts to be freed, by turns: offset, and how many keys it counts for (0: a single value). `next` is the first that is not done. */
  private readonly jobs: number[] = [];
  private next = 0;
  /** Values met in a database's dict that are too large to be freed at once. */
  private readonly inner: number[] = [];
  /** Where the freeing of the present value goes on; one is freed at a time. */
  private readonly state: number[] = [];
  /** Objects that wait, and those that have been freed: for INFO. */
  pendingObjects = 0;
  freedObjects = 0;
  private sliceEndedUs = Number.NEGATIVE_INFINITY;
  private readonly takeLarge = (h: Heap, entry: number): void => {
    const value = dictValue(h, entry);
    if (value === 0 || !isLarge(h, value)) return;
    dictSetValue(h, entry, 0);
    this.inner.push(value);
  };

  /** Whether something waits to be freed. */
  get busy(): boolean {
    return this.next < this.jobs.length;
  }

  /** Takes over the reference to a value if freeing it takes long. @returns whether it did */
  takeValue(core: RedisCore, value: number): boolean {
    if (!isLarge(core.heap, value)) return false;
    this.add(core, value, 0);
    return true;
  }

  /** Takes over the two dicts of a database; only the keys of the first count as objects. */
  takeDatabase(core: RedisCore, dict: number, expires: number): void {
    // The entries of expiry times point to keys of the other dict, but freeing them does not look at those.
    this.add(core, expires, UNCOUNTED);
    this.add(core, dict, dictSize(core.heap, dict) || UNCOUNTED);
  }

  private add(core: RedisCore, offset: number, keys: number): void {
    this.jobs.push(offset, keys);
    this.pendingObjects += objectsOf(keys);
    core.hooks.backgroundWork?.();
  }

  /** One slice of bounded time, unless the last one has just ended. To be called at the end of a turn. */
  endOfTurn(core: RedisCore): void {
    const nowUs = core.clock.monoUs();
    if (nowUs - this.sliceEndedUs >= PAUSE_US) this.run(core, nowUs + SLICE_US);
  }

  /** What the timer does. @returns ms until the next call, -1 when nothing is left */
  onTimer(core: RedisCore): number {
    if (this.busy) this.endOfTurn(core);
    return this.busy ? TIMER_MS : -1;
  }

  /** Frees until a monotonic time in µs. @returns whether nothing is left */
  run(core: RedisCore, untilUs: number): boolean {
    for (let steps = 0; this.busy && steps < SLICE_STEPS; steps++) {
      this.step(core.heap);
      if (core.clock.monoUs() >= untilUs) break;
    }
    this.sliceEndedUs = core.clock.monoUs();
    return !this.busy;
  }

  /** Frees everything that waits. @returns whether there was anything */
  drain(h: Heap): boolean {
    const any = this.busy;
    while (this.busy) this.step(h);
    return any;
  }

  private step(h: Heap): void {
    if (this.inner.length > 0) {
      if (freeValueStep(h, this.inner[this.inner.length - 1], this.state)) this.inner.pop();
      return;
    }
    const offset = this.jobs[this.next];
    const keys = this.jobs[this.next + 1];
    if (keys === 0) {
      if (freeValueStep(h, offset, this.state)) this.done(0);
    } else if (emptyDictStep(h, offset, ENTRIES_PER_CLOCK, this.takeLarge) && this.inner.length === 0) {
      dictRelease(h, offset);
      this.done(keys);
    }
  }

  private done(keys: number): void {
    this.pendingObjects -= objectsOf(keys);
    this.freedObjects += objectsOf(keys);
    this.next += 2;
    if (this.next < this.jobs.length) return;
    this.jobs.length = 0;
    this.next = 0;
  }
}

function objectsOf(keys: number): number {
  if (keys === UNCOUNTED) return 0;
  return keys === 0 ? 1 : keys;
}

function isLarge(h: Heap, value: number): boolean {
  const type = robjType(h, value);
  if (type === OBJ_STRING || robjRefCount(h, value) !== 1) return false;
  return h.types[type].freeEffort(h, value) > LAZYFREE_THRESHOLD;
}

/** @returns whether the object is gone */
function freeValueStep(h: Heap, o: number, state: number[]): boolean {
  for (const sliced of slicedFrees) {
    if (!sliced.suits(h, o)) continue;
    if (!sliced.step(h, o, ENTRIES_PER_CLOCK, state)) return false;
    state.length = 0;
    h.free(o);
    return true;
  }
  decrRefCount(h, o);
  return true;
}
