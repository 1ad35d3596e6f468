/** Deleting entries of a stream: one by its id, or the oldest ones. */
import type { Heap } from './heap.ts';
import {
  LP_EOF,
  LP_REPLACE,
  lpFirst,
  lpFree,
  lpInsertInteger,
  lpIntHigh,
  lpIntLow,
  lpLast,
  lpPrev,
  lpSkip,
} from './listpack.ts';
import { raxRemove } from './rax.ts';
import { RaxIterator } from './rax-iterator.ts';
import { raxNodeReplaceValue } from './rax-node.ts';
import {
  changeNodeCounts,
  deleteEntryAt,
  lpInteger,
  nodeFirstEntry,
  STREAM_FIRST_ID,
  STREAM_ITEM_DELETED,
  STREAM_ITEM_SAME_FIELDS,
  STREAM_MAX_DELETED_ID,
  setStreamLength,
  streamLength,
  streamRax,
} from './stream.ts';
import {
  addStreamIdDifference,
  compareStreamIds,
  decodeStreamId,
  loadStreamId,
  newStreamId,
  STREAM_ID_MIN,
  type StreamId,
  storeStreamId,
} from './stream-id.ts';
import { momentaryIterator, streamEdgeId } from './stream-iterator.ts';

const other = newStreamId();

/** Deletes the entry of this id. The stream's first id is then the caller's to renew (renewFirstId). @returns whether it was there */
export function streamDelete(h: Heap, s: number, id: StreamId): boolean {
  const it = momentaryIterator(h, s);
  it.seek(s, id, id, false);
  if (!it.next()) return false;
  deleteEntryAt(h, s, it.nodes, it.entryAt);
  loadStreamId(h, s + STREAM_MAX_DELETED_ID, other);
  if (compareStreamIds(id, other) > 0) storeStreamId(h, s + STREAM_MAX_DELETED_ID, id);
  return true;
}

/** Finds the first id again after entries have gone. */
export function renewFirstId(h: Heap, s: number): void {
  if (streamLength(h, s) === 0) {
    storeStreamId(h, s + STREAM_FIRST_ID, STREAM_ID_MIN);
    return;
  }
  streamEdgeId(h, s, true, other);
  storeStreamId(h, s + STREAM_FIRST_ID, other);
}

let keptIterator: RaxIterator | null = null;
let keptHeap: Heap | null = null;

/** One iterator serves all trims of a heap: XADD trims often and mostly has nothing to do. */
function trimIterator(h: Heap, rax: number): RaxIterator {
  if (keptIterator === null || keptHeap !== h) {
    keptIterator = new RaxIterator(h, rax);
    keptHeap = h;
  }
  keptIterator.use(rax);
  return keptIterator;
}

const masterId = newStreamId();
const entryId = newStreamId();

/** Reads the differences that lie at `p` and behind into entryId. @returns what follows them */
function readEntryId(h: Heap, p: number): number {
  lpInteger(h, p);
  addStreamIdDifference(entryId, masterId, 0, lpIntLow, lpIntHigh);
  const next = lpSkip(h, p);
  lpInteger(h, next);
  addStreamIdDifference(entryId, masterId, 2, lpIntLow, lpIntHigh);
  return lpSkip(h, next);
}

/** Reads the id of a node's last entry, deleted or not, into entryId. */
function readLastId(h: Heap, lp: number): void {
  entryId.fill(0);
  let p = lpLast(h, lp);
  const elements = lpInteger(h, p);
  if (elements <= 0) return;
  for (let i = 0; i < elements && p !== 0; i++) p = lpPrev(h, lp, p);
  if (p !== 0) readEntryId(h, lpSkip(h, p));
}

/**
 * Deletes entries from the beginning: all but the last `maxLength`, or those with ids below `minId` where it is given.
 * @param approximate whole nodes only
 * @param limit deletes at most so many; 0: no limit
 * @returns how many have been deleted
 */
export function streamTrim(
  h: Heap,
  s: number,
  maxLength: number,
  minId: StreamId | null,
  approximate: boolean,
  limit: number,
): number {
  if (minId === null && streamLength(h, s) <= maxLength && streamLength(h, s) > 0) return 0;
  const rax = streamRax(h, s);
  const it = trimIterator(h, rax);
  let deleted = 0;
  let more = it.first();
  while (more) {
    const length = streamLength(h, s);
    if (minId === null && length <= maxLength) break;
    const lp = it.value;
    const entries = lpInteger(h, lpFirst(h, lp));
    if (limit > 0 && deleted + entries > limit) break;
    decodeStreamId(it.key, 0, masterId);
    let whole: boolean;
    if (minId === null) {
      whole = length - entries >= maxLength;
    } else {
      readLastId(h, lp);
      whole = compareStreamIds(entryId, minId) < 0;
    }
    if (whole) {
      lpFree(h, lp);
      raxRemove(h, rax, it.key, 0, it.keyLength);
      setStreamLength(h, s, length - entries);
      deleted += entries;
      more = it.first();
      continue;
    }
    if (!approximate) deleted += trimNode(h, s, it, entries, maxLength, minId);
    break;
  }
  if (streamLength(h, s) === 0 || deleted > 0) renewFirstId(h, s);
  return deleted;
}

/** Marks entries of one node as deleted. @returns how many. @throws ARENA_EXHAUSTED, nothing changed */
function trimNode(
  h: Heap,
  s: number,
  it: RaxIterator,
  entries: number,
  maxLength: number,
  minId: StreamId | null,
): number {
  const lp = it.value;
  const length = streamLength(h, s);
  const deleted = markEntries(h, lp, length, maxLength, minId, false);
  const marked = lpInteger(h, lpSkip(h, lpFirst(h, lp)));
  const moved = changeNodeCounts(h, lp, entries - deleted, marked + deleted);
  if (moved !== lp) raxNodeReplaceValue(h, it.node, moved);
  markEntries(h, moved, length, maxLength, minId, true);
  setStreamLength(h, s, length - deleted);
  return deleted;
}

/** Finds the entries of a node that trimming a stream of `length` entries deletes. @returns how many; marks them if told to */
function markEntries(
  h: Heap,
  lp: number,
  length: number,
  maxLength: number,
  minId: StreamId | null,
  marks: boolean,
): number {
  const masterFields = lpInteger(h, lpSkip(h, lpSkip(h, lpFirst(h, lp))));
  let left = length;
  let p = nodeFirstEntry(h, lp);
  while (p !== 0) {
    const flagsAt = p;
    const flags = lpInteger(h, p);
    p = readEntryId(h, lpSkip(h, p));
    if (minId === null ? left <= maxLength : compareStreamIds(entryId, minId) >= 0) break;
    let elements = masterFields;
    if ((flags & STREAM_ITEM_SAME_FIELDS) === 0) {
      elements = lpInteger(h, p) * 2;
      p = lpSkip(h, p);
    }
    for (let i = 0; i <= elements; i++) p = lpSkip(h, p);
    if ((flags & STREAM_ITEM_DELETED) === 0) {
      // One byte before and after: nothing moves.
      if (marks) lpInsertInteger(h, lp, flags | STREAM_ITEM_DELETED, flagsAt, LP_REPLACE);
      left--;
    }
    if (h.u8[p] === LP_EOF) p = 0;
  }
  return length - left;
}
