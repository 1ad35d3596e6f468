/** Ranges of a skip list's nodes, by score, by member or by rank: their ends, what is in them, taking it out. */
import type { Heap } from './heap.ts';
import { sdsLen } from './sds.ts';
import {
  compareBytes,
  LEVEL,
  LEVEL_BYTES,
  LEVELS,
  SPAN,
  zslFirst,
  zslLast,
  zslMember,
  zslNext,
  zslPath,
  zslScore,
  zslUnlinkNode,
} from './skiplist.ts';

const path = zslPath;

/** A range of scores. One instance is filled for each command that has one. */
export class ScoreRange {
  min = 0;
  max = 0;
  minExclusive = false;
  maxExclusive = false;

  isAboveMin(score: number): boolean {
    return this.minExclusive ? score > this.min : score >= this.min;
  }

  isBelowMax(score: number): boolean {
    return this.maxExclusive ? score < this.max : score <= this.max;
  }

  /** No score can be in it. */
  isEmpty(): boolean {
    return this.min > this.max || (this.min === this.max && (this.minExclusive || this.maxExclusive));
  }
}

/** The ends of a range of members that are no bytes: before and after everything. */
export const LEX_MIN = -1;
export const LEX_MAX = 1;

/** A range of members by their bytes. An end is bytes in the arena, or LEX_MIN or LEX_MAX as its kind. */
export class LexRange {
  minKind = 0;
  minOffset = 0;
  minLength = 0;
  minExclusive = false;
  maxKind = 0;
  maxOffset = 0;
  maxLength = 0;
  maxExclusive = false;

  isAboveMin(h: Heap, offset: number, length: number): boolean {
    if (this.minKind !== 0) return this.minKind === LEX_MIN;
    const order = compareBytes(h, offset, length, this.minOffset, this.minLength);
    return this.minExclusive ? order > 0 : order >= 0;
  }

  isBelowMax(h: Heap, offset: number, length: number): boolean {
    if (this.maxKind !== 0) return this.maxKind === LEX_MAX;
    const order = compareBytes(h, offset, length, this.maxOffset, this.maxLength);
    return this.maxExclusive ? order < 0 : order <= 0;
  }

  /** No member can be in it. */
  isEmpty(h: Heap): boolean {
    let order: number;
    if (this.minKind !== 0 || this.maxKind !== 0) order = this.minKind - this.maxKind;
    else order = compareBytes(h, this.minOffset, this.minLength, this.maxOffset, this.maxLength);
    return order > 0 || (order === 0 && (this.minExclusive || this.maxExclusive));
  }
}

/** Whether some node may be in the range. */
export function zslIsInScoreRange(h: Heap, zsl: number, range: ScoreRange): boolean {
  if (range.isEmpty()) return false;
  const last = zslLast(h, zsl);
  return last !== 0 && range.isAboveMin(zslScore(h, last)) && range.isBelowMax(zslScore(h, zslFirst(h, zsl)));
}

/** The last node before the range; the header when there is none. Leaves the way to it in `zslPath`. */
function beforeScoreRange(h: Heap, zsl: number, range: ScoreRange): number {
  const u32 = h.u32;
  let x = u32[zsl >>> 2];
  for (let i = u32[(zsl + LEVEL) >>> 2] - 1; i >= 0; i--) {
    const at = LEVELS + i * LEVEL_BYTES;
    let next = u32[(x + at) >>> 2];
    while (next !== 0 && !range.isAboveMin(zslScore(h, next))) {
      x = next;
      next = u32[(x + at) >>> 2];
    }
    path[i] = x;
  }
  return x;
}

/** The first node in the range, or 0. */
export function zslFirstInScoreRange(h: Heap, zsl: number, range: ScoreRange): number {
  if (!zslIsInScoreRange(h, zsl, range)) return 0;
  const node = zslNext(h, beforeScoreRange(h, zsl, range));
  return node !== 0 && range.isBelowMax(zslScore(h, node)) ? node : 0;
}

/** The last node in the range, or 0. */
export function zslLastInScoreRange(h: Heap, zsl: number, range: ScoreRange): number {
  if (!zslIsInScoreRange(h, zsl, range)) return 0;
  const u32 = h.u32;
  let x = u32[zsl >>> 2];
  for (let i = u32[(zsl + LEVEL) >>> 2] - 1; i >= 0; i--) {
    const at = LEVELS + i * LEVEL_BYTES;
    for (
      let next = u32[(x + at) >>> 2];
      next !== 0 && range.isBelowMax(zslScore(h, next));
      next = u32[(x + at) >>> 2]
    ) {
      x = next;
    }
  }
  return x !== u32[zsl >>> 2] && range.isAboveMin(zslScore(h, x)) ? x : 0;
}

/** Whether some node may be in the range. */
export function zslIsInLexRange(h: Heap, zsl: number, range: LexRange): boolean {
  if (range.isEmpty(h)) return false;
  const last = zslLast(h, zsl);
  return last !== 0 && nodeAboveMin(h, last, range) && nodeBelowMax(h, zslFirst(h, zsl), range);
}

function nodeAboveMin(h: Heap, node: number, range: LexRange): boolean {
  const s = zslMember(h, node);
  return range.isAboveMin(h, s, sdsLen(h, s));
}

function nodeBelowMax(h: Heap, node: number, range: LexRange): boolean {
  const s = zslMember(h, node);
  return range.isBelowMax(h, s, sdsLen(h, s));
}

/** As `beforeScoreRange`. */
function beforeLexRange(h: Heap, zsl: number, range: LexRange): number {
  const u32 = h.u32;
  let x = u32[zsl >>> 2];
  for (let i = u32[(zsl + LEVEL) >>> 2] - 1; i >= 0; i--) {
    const at = LEVELS + i * LEVEL_BYTES;
    for (let next = u32[(x + at) >>> 2]; next !== 0 && !nodeAboveMin(h, next, range); next = u32[(x + at) >>> 2])
      x = next;
    path[i] = x;
  }
  return x;
}

/** The first node in the range, or 0. Members of unequal scores have no such order: what is found then is what the original finds. */
export function zslFirstInLexRange(h: Heap, zsl: number, range: LexRange): number {
  if (!zslIsInLexRange(h, zsl, range)) return 0;
  const node = zslNext(h, beforeLexRange(h, zsl, range));
  return node !== 0 && nodeBelowMax(h, node, range) ? node : 0;
}

/** The last node in the range, or 0. */
export function zslLastInLexRange(h: Heap, zsl: number, range: LexRange): number {
  if (!zslIsInLexRange(h, zsl, range)) return 0;
  const u32 = h.u32;
  let x = u32[zsl >>> 2];
  for (let i = u32[(zsl + LEVEL) >>> 2] - 1; i >= 0; i--) {
    const at = LEVELS + i * LEVEL_BYTES;
    for (let next = u32[(x + at) >>> 2]; next !== 0 && nodeBelowMax(h, next, range); next = u32[(x + at) >>> 2])
      x = next;
  }
  return x !== u32[zsl >>> 2] && nodeAboveMin(h, x, range) ? x : 0;
}

/** Called with a node that has been taken out; it frees it. */
export type NodeRemoved = (h: Heap, node: number, context: number) => void;

/** Takes out a node; `zslPath` leads to it. @returns the one behind it, which the path leads to afterwards */
function takeOut(h: Heap, zsl: number, node: number, removed: NodeRemoved, context: number): number {
  const next = zslNext(h, node);
  zslUnlinkNode(h, zsl, node);
  removed(h, node, context);
  return next;
}

/** Takes out all nodes in the range of scores. @returns how many */
export function zslDeleteByScore(
  h: Heap,
  zsl: number,
  range: ScoreRange,
  removed: NodeRemoved,
  context: number,
): number {
  let node = zslNext(h, beforeScoreRange(h, zsl, range));
  let count = 0;
  while (node !== 0 && range.isBelowMax(zslScore(h, node))) {
    node = takeOut(h, zsl, node, removed, context);
    count++;
  }
  return count;
}

/** Takes out all nodes in the range of members. @returns how many */
export function zslDeleteByLex(h: Heap, zsl: number, range: LexRange, removed: NodeRemoved, context: number): number {
  let node = zslNext(h, beforeLexRange(h, zsl, range));
  let count = 0;
  while (node !== 0 && nodeBelowMax(h, node, range)) {
    node = takeOut(h, zsl, node, removed, context);
    count++;
  }
  return count;
}

/** Takes out the nodes of ranks `start` to `end` (from 1, inclusive). @returns how many */
export function zslDeleteByRank(
  h: Heap,
  zsl: number,
  start: number,
  end: number,
  removed: NodeRemoved,
  context: number,
): number {
  const u32 = h.u32;
  let x = u32[zsl >>> 2];
  let passed = 0;
  for (let i = u32[(zsl + LEVEL) >>> 2] - 1; i >= 0; i--) {
    const at = LEVELS + i * LEVEL_BYTES;
    let next = u32[(x + at) >>> 2];
    while (next !== 0 && passed + u32[(x + at + SPAN) >>> 2] < start) {
      passed += u32[(x + at + SPAN) >>> 2];
      x = next;
      next = u32[(x + at) >>> 2];
    }
    path[i] = x;
  }
  let node = zslNext(h, x);
  let count = 0;
  for (let at = passed + 1; node !== 0 && at <= end; at++) {
    node = takeOut(h, zsl, node, removed, context);
    count++;
  }
  return count;
}
