/** A way through the entries of a stream between two ids, forwards or backwards. Any change to the stream ends it. */
import type { Heap } from './heap.ts';
import { LP_EOF, lpFirst, lpLast, lpPrev, lpSkip } from './listpack.ts';
import { lpIntHigh, lpIntLow } from './listpack-element.ts';
import { RaxIterator } from './rax-iterator.ts';
import {
  lpInteger,
  nodeFirstEntry,
  STREAM_ITEM_DELETED,
  STREAM_ITEM_SAME_FIELDS,
  streamLength,
  streamRax,
} from './stream.ts';
import {
  addStreamIdDifference,
  compareStreamIds,
  copyStreamId,
  decodeStreamId,
  encodeStreamId,
  newStreamId,
  STREAM_ID_BYTES,
  STREAM_ID_MAX,
  STREAM_ID_MIN,
  type StreamId,
  streamIdIsZero,
} from './stream-id.ts';

const seekKey = new Uint8Array(STREAM_ID_BYTES);

export class StreamIterator {
  private readonly h: Heap;
  /** Stands at the present node. */
  readonly nodes: RaxIterator;
  private readonly start = newStreamId();
  private readonly end = newStreamId();
  private backwards = false;
  private skipDeleted = true;
  private readonly master = newStreamId();
  private masterFields = 0;
  /** The first of the master entry's fields. */
  private masterFieldAt = 0;
  private lp = 0;
  /** Forwards: the next entry's flags, 0: the node is done. Backwards: the last element of the entry before. */
  private at = 0;
  /** The present entry: id, number of fields, and where its flags lie. */
  readonly id: StreamId = newStreamId();
  fields = 0;
  entryAt = 0;
  private flags = 0;
  private nextField = 0;
  private nextValue = 0;
  /** The elements that field() found. */
  fieldAt = 0;
  valueAt = 0;

  constructor(h: Heap, stream: number) {
    this.h = h;
    this.nodes = new RaxIterator(h, streamRax(h, stream));
  }

  /** Goes before the first entry of a range; nulls: from the first, to the last. */
  seek(stream: number, start: StreamId | null, end: StreamId | null, backwards: boolean, skipDeleted = true): void {
    copyStreamId(start ?? STREAM_ID_MIN, this.start);
    copyStreamId(end ?? STREAM_ID_MAX, this.end);
    this.backwards = backwards;
    this.skipDeleted = skipDeleted;
    this.lp = 0;
    this.at = 0;
    const nodes = this.nodes;
    nodes.use(streamRax(this.h, stream));
    const from = backwards ? this.end : this.start;
    if ((backwards ? end : start) === null || streamIdIsZero(from)) {
      if (backwards) nodes.last();
      else nodes.first();
    } else {
      encodeStreamId(from, seekKey, 0);
      if (!nodes.seekUpTo(seekKey, 0, STREAM_ID_BYTES)) {
        if (backwards) nodes.last();
        else nodes.first();
      }
    }
    if (nodes.node !== 0) this.enterNode();
  }

  private enterNode(): void {
    const h = this.h;
    this.lp = this.nodes.value;
    decodeStreamId(this.nodes.key, 0, this.master);
    const fieldsAt = lpSkip(h, lpSkip(h, lpFirst(h, this.lp)));
    this.masterFields = lpInteger(h, fieldsAt);
    this.masterFieldAt = lpSkip(h, fieldsAt);
    this.at = this.backwards ? lpLast(h, this.lp) : nodeFirstEntry(h, this.lp);
  }

  private otherNode(): boolean {
    if (this.nodes.node === 0 || !(this.backwards ? this.nodes.previous() : this.nodes.next())) return false;
    this.enterNode();
    return true;
  }

  /** To the next entry: its flags at entryAt, its id and fields. @returns false at the end of the node */
  private stepInNode(): boolean {
    const h = this.h;
    if (this.at === 0) return false;
    let p = this.at;
    if (this.backwards) {
      const elements = lpInteger(h, p);
      // The master entry ends with 0.
      if (elements <= 0) return false;
      for (let i = 0; i < elements && p !== 0; i++) p = lpPrev(h, this.lp, p);
      if (p === 0) return false;
      this.at = lpPrev(h, this.lp, p);
    }
    this.entryAt = p;
    this.flags = lpInteger(h, p);
    p = lpSkip(h, p);
    lpInteger(h, p);
    addStreamIdDifference(this.id, this.master, 0, lpIntLow, lpIntHigh);
    p = lpSkip(h, p);
    lpInteger(h, p);
    addStreamIdDifference(this.id, this.master, 2, lpIntLow, lpIntHigh);
    p = lpSkip(h, p);
    if ((this.flags & STREAM_ITEM_SAME_FIELDS) !== 0) {
      this.fields = this.masterFields;
    } else {
      this.fields = lpInteger(h, p);
      p = lpSkip(h, p);
    }
    this.nextField = this.masterFieldAt;
    this.nextValue = p;
    if (!this.backwards) {
      const elements = (this.flags & STREAM_ITEM_SAME_FIELDS) !== 0 ? this.fields : this.fields * 2;
      for (let i = 0; i < elements; i++) p = lpSkip(h, p);
      p = lpSkip(h, p);
      this.at = h.u8[p] === LP_EOF ? 0 : p;
    }
    return true;
  }

  /** To the next entry of the range. @returns whether there is one */
  next(): boolean {
    if (this.lp === 0) return false;
    for (;;) {
      if (!this.stepInNode()) {
        if (this.otherNode()) continue;
        this.lp = 0;
        return false;
      }
      if (this.skipDeleted && (this.flags & STREAM_ITEM_DELETED) !== 0) continue;
      if (this.backwards) {
        if (compareStreamIds(this.id, this.end) > 0) continue;
        if (compareStreamIds(this.id, this.start) >= 0) return true;
      } else {
        if (compareStreamIds(this.id, this.start) < 0) continue;
        if (compareStreamIds(this.id, this.end) <= 0) return true;
      }
      this.lp = 0;
      return false;
    }
  }

  /** Reads the entry's next field: where name and value are, in fieldAt and valueAt. To be called `fields` times at most. */
  field(): void {
    const h = this.h;
    if ((this.flags & STREAM_ITEM_SAME_FIELDS) !== 0) {
      this.fieldAt = this.nextField;
      this.nextField = lpSkip(h, this.nextField);
    } else {
      this.fieldAt = this.nextValue;
      this.nextValue = lpSkip(h, this.nextValue);
    }
    this.valueAt = this.nextValue;
    this.nextValue = lpSkip(h, this.nextValue);
  }
}

/** Iterators are kept for the next command: making one costs more than reading a short range with it. */
class KeptIterator {
  private iterator: StreamIterator | null = null;
  private heap: Heap | null = null;

  of(h: Heap, s: number): StreamIterator {
    if (this.iterator === null || this.heap !== h) {
      this.iterator = new StreamIterator(h, s);
      this.heap = h;
    }
    return this.iterator;
  }
}

const momentary = new KeptIterator();
const replying = new KeptIterator();

/** An iterator for a moment: the next call of anything here that takes no iterator uses it again. */
export function momentaryIterator(h: Heap, s: number): StreamIterator {
  return momentary.of(h, s);
}

/** An iterator for replying a range of entries; one command replies one range at a time. */
export function replyIterator(h: Heap, s: number): StreamIterator {
  return replying.of(h, s);
}

/** The id of the first or last entry. @returns false when there is none: `id` is then the greatest, or 0-0 */
export function streamEdgeId(h: Heap, s: number, first: boolean, id: StreamId): boolean {
  const it = momentaryIterator(h, s);
  it.seek(s, null, null, !first);
  const found = it.next();
  copyStreamId(found ? it.id : first ? STREAM_ID_MAX : STREAM_ID_MIN, id);
  return found;
}

/** Whether there is an entry of this id. */
export function streamHasEntry(h: Heap, s: number, id: StreamId): boolean {
  if (streamLength(h, s) === 0) return false;
  const it = momentaryIterator(h, s);
  it.seek(s, id, id, false);
  return it.next();
}
