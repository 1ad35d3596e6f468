/**
 * Sorted sets in listpacks: each member followed by its score, in the order of score, then bytes. A score is an integer element where it
 * is one, else the text of %.17g. A listpack is `lp`, a pair is told by the offset of its member.
 */

import { approximateDouble, isIntegerScore, parseDouble, parsedDouble, putDouble17 } from './double.ts';
import type { Heap } from './heap.ts';
import {
  LP_AFTER,
  LP_BEFORE,
  lpAppend,
  lpBytes,
  lpDelete,
  lpDeleteRangeWithEntry,
  lpFind,
  lpFirst,
  lpGet,
  lpInsertInteger,
  lpInsertString,
  lpIntNumber,
  lpLast,
  lpLength,
  lpNewElement,
  lpNext,
  lpPrev,
  lpPutInteger,
  lpStringLength,
  lpStringOffset,
} from './listpack.ts';
import { sdsNewLen } from './sds.ts';
import { compareBytes } from './skiplist.ts';
import { LEX_MAX, LEX_MIN, type LexRange, type ScoreRange } from './skiplist-range.ts';

/** Where in the heap's scratch page texts are made: of integers to be compared, of scores, of members that are integers. */
const INTEGER_SCRATCH = 64;
const SCORE_SCRATCH = 128;
const MEMBER_SCRATCH = 192;
/** Scores that differ by a larger share than this are told apart by their approximations. */
const APPROXIMATION = 1e-12;

/** Number of pairs. */
export function zzlLength(h: Heap, lp: number): number {
  return lpLength(h, lp) >>> 1;
}

/** The score in an element. */
export function zzlScore(h: Heap, p: number): number {
  if (!lpGet(h, p)) return lpIntNumber;
  return parseDouble(h, lpStringOffset, lpStringLength) ? parsedDouble : 0;
}

/** The score behind a member. */
export function zzlScoreOf(h: Heap, lp: number, p: number): number {
  return zzlScore(h, lpNext(h, lp, p));
}

/** The first pair, 0: none. */
export function zzlFirst(h: Heap, lp: number): number {
  return lpFirst(h, lp);
}

/** The last pair, 0: none. */
export function zzlLast(h: Heap, lp: number): number {
  const score = lpLast(h, lp);
  return score === 0 ? 0 : lpPrev(h, lp, score);
}

/** The pair after it, 0: none. */
export function zzlNext(h: Heap, lp: number, p: number): number {
  return lpNext(h, lp, lpNext(h, lp, p));
}

/** The pair before it, 0: none. */
export function zzlPrevious(h: Heap, lp: number, p: number): number {
  const score = lpPrev(h, lp, p);
  return score === 0 ? 0 : lpPrev(h, lp, score);
}

/** The pair of this member, 0: none. */
export function zzlFind(h: Heap, lp: number, offset: number, length: number): number {
  return lpFind(h, lp, lpFirst(h, lp), offset, length, 1);
}

/** Orders an element's text and these bytes. @returns negative, 0 or positive */
export function zzlCompare(h: Heap, p: number, offset: number, length: number): number {
  if (lpGet(h, p)) return compareBytes(h, lpStringOffset, lpStringLength, offset, length);
  const text = h.scratch + INTEGER_SCRATCH;
  return compareBytes(h, text, lpPutInteger(h, text), offset, length);
}

/** An element's text as a new sds. @throws ARENA_EXHAUSTED */
export function zzlMemberSds(h: Heap, p: number): number {
  zzlMember(h, p);
  return sdsNewLen(h, zzlMemberOffset, zzlMemberLength);
}

/** The bytes of the member that zzlMember has looked at last. An integer's are overwritten by the next one. */
export let zzlMemberOffset = 0;
export let zzlMemberLength = 0;

/** Finds out where the bytes of a member are. */
export function zzlMember(h: Heap, p: number): void {
  if (lpGet(h, p)) {
    zzlMemberOffset = lpStringOffset;
    zzlMemberLength = lpStringLength;
  } else {
    zzlMemberOffset = h.scratch + MEMBER_SCRATCH;
    zzlMemberLength = lpPutInteger(h, zzlMemberOffset);
  }
}

/**
 * Inserts a pair before `p` (0: at the end).
 * @returns the listpack's new offset
 * @throws ARENA_EXHAUSTED; the listpack's offset is then in `zzlAfterFailure`, its pairs are as they were
 */
function insertAt(h: Heap, lp: number, p: number, offset: number, length: number, score: number): number {
  const moved = p === 0 ? lpAppend(h, lp, offset, length) : lpInsertString(h, lp, offset, length, p, LP_BEFORE);
  const member = lpNewElement;
  try {
    // As in the original, the sign of a zero is lost here.
    if (isIntegerScore(score)) return lpInsertInteger(h, moved, score + 0, member, LP_AFTER);
    const text = h.scratch + SCORE_SCRATCH;
    return lpInsertString(h, moved, text, putDouble17(h, text, score) - text, member, LP_AFTER);
  } catch (error) {
    zzlAfterFailure = lpDelete(h, moved, member);
    throw error;
  }
}

/** Orders the score in an element and another. Most are so far apart that an approximation tells. @returns negative, 0 or positive */
function scoreOrder(h: Heap, p: number, score: number): number {
  if (lpGet(h, p)) {
    const near = approximateDouble(h.u8, lpStringOffset, lpStringLength);
    if (Math.abs(near - score) > APPROXIMATION * (Math.abs(near) + Math.abs(score))) return near - score;
  }
  const exact = zzlScore(h, p);
  return exact > score ? 1 : exact === score ? 0 : -1;
}

/** Where the listpack lies after zzlInsert or zzlAppend has thrown. */
export let zzlAfterFailure = 0;

/** Adds a member that is not there, in its place. */
export function zzlInsert(h: Heap, lp: number, offset: number, length: number, score: number): number {
  zzlAfterFailure = lp;
  let p = lpFirst(h, lp);
  while (p !== 0) {
    const at = lpNext(h, lp, p);
    const order = scoreOrder(h, at, score);
    if (order > 0 || (order === 0 && zzlCompare(h, p, offset, length) > 0)) break;
    p = lpNext(h, lp, at);
  }
  return insertAt(h, lp, p, offset, length, score);
}

/** Adds a pair behind all others. */
export function zzlAppend(h: Heap, lp: number, offset: number, length: number, score: number): number {
  zzlAfterFailure = lp;
  return insertAt(h, lp, 0, offset, length, score);
}

/**
 * Gives the member of the pair at `p` another score. The new pair comes before the old one goes: when there is no memory for it, nothing
 * has changed.
 * @param offset where the member's bytes are, not in the listpack
 * @returns the listpack's new offset
 * @throws ARENA_EXHAUSTED; the listpack's offset is then in `zzlAfterFailure`
 */
export function zzlRescore(h: Heap, lp: number, p: number, offset: number, length: number, score: number): number {
  const old = p - lp;
  const bytes = lpBytes(h, lp);
  const moved = zzlInsert(h, lp, offset, length, score);
  const inserted = lpPrev(h, moved, lpNewElement) - moved;
  const shifted = inserted <= old ? lpBytes(h, moved) - bytes : 0;
  return zzlDelete(h, moved, moved + old + shifted, 1);
}

/** Deletes `count` pairs from `p` on. @returns the listpack's new offset */
export function zzlDelete(h: Heap, lp: number, p: number, count: number): number {
  return lpDeleteRangeWithEntry(h, lp, p, 2 * count);
}

/** The first pair in a range of scores, 0: none. */
export function zzlFirstInScoreRange(h: Heap, lp: number, range: ScoreRange): number {
  if (range.isEmpty()) return 0;
  for (let p = lpFirst(h, lp); p !== 0; ) {
    const at = lpNext(h, lp, p);
    const score = zzlScore(h, at);
    if (range.isAboveMin(score)) return range.isBelowMax(score) ? p : 0;
    p = lpNext(h, lp, at);
  }
  return 0;
}

/** The last pair in a range of scores, 0: none. */
export function zzlLastInScoreRange(h: Heap, lp: number, range: ScoreRange): number {
  if (range.isEmpty()) return 0;
  for (let p = zzlLast(h, lp); p !== 0; p = zzlPrevious(h, lp, p)) {
    const score = zzlScoreOf(h, lp, p);
    if (range.isBelowMax(score)) return range.isAboveMin(score) ? p : 0;
  }
  return 0;
}

/** Whether an element's text is not before the range. */
export function zzlAboveMin(h: Heap, p: number, range: LexRange): boolean {
  if (range.minKind !== 0) return range.minKind === LEX_MIN;
  const order = zzlCompare(h, p, range.minOffset, range.minLength);
  return range.minExclusive ? order > 0 : order >= 0;
}

/** Whether an element's text is not behind the range. */
export function zzlBelowMax(h: Heap, p: number, range: LexRange): boolean {
  if (range.maxKind !== 0) return range.maxKind === LEX_MAX;
  const order = zzlCompare(h, p, range.maxOffset, range.maxLength);
  return range.maxExclusive ? order < 0 : order <= 0;
}

/**
 * Whether some pair may be in the range of members: as the original, judged by the last and the first one, which tells where the
 * members of unequal scores are in no order.
 */
function mayBeInLexRange(h: Heap, lp: number, range: LexRange): boolean {
  if (range.isEmpty(h)) return false;
  const last = zzlLast(h, lp);
  return last !== 0 && zzlAboveMin(h, last, range) && zzlBelowMax(h, lpFirst(h, lp), range);
}

/** The first pair in a range of members, 0: none. */
export function zzlFirstInLexRange(h: Heap, lp: number, range: LexRange): number {
  if (!mayBeInLexRange(h, lp, range)) return 0;
  for (let p = lpFirst(h, lp); p !== 0; p = zzlNext(h, lp, p)) {
    if (zzlAboveMin(h, p, range)) return zzlBelowMax(h, p, range) ? p : 0;
  }
  return 0;
}

/** The last pair in a range of members, 0: none. */
export function zzlLastInLexRange(h: Heap, lp: number, range: LexRange): number {
  if (!mayBeInLexRange(h, lp, range)) return 0;
  for (let p = zzlLast(h, lp); p !== 0; p = zzlPrevious(h, lp, p)) {
    if (zzlBelowMax(h, p, range)) return zzlAboveMin(h, p, range) ? p : 0;
  }
  return 0;
}

/** Whether the score in an element can be read: for bytes from outside. */
export function zzlScoreIsValid(h: Heap, p: number): boolean {
  return !lpGet(h, p) || parseDouble(h, lpStringOffset, lpStringLength);
}
