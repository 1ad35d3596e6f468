/** Replies made of list elements, written straight from listpacks into the output. */
import type { Client } from '../client.ts';
import { putUint } from '../protocol/decimal.ts';
import { addReplyArrayLen, addReplyBulk, addReplyBulkInt64, begin, finish } from '../protocol/reply.ts';
import type { RedisCore } from '../redis-core.ts';
import { ArenaExhausted, type Heap } from '../structures/heap.ts';
import {
  lpGet,
  lpIntHigh,
  lpIntLow,
  lpIntNumber,
  lpSeek,
  lpSkip,
  lpStringLength,
  lpStringOffset,
} from '../structures/listpack.ts';
import { elementHigh, elementLength, elementLow, elementOffset } from '../structures/quicklist.ts';
import { compressAsDue, decompressForUse } from '../structures/quicklist-compression.ts';
import { ListCursor } from '../structures/quicklist-cursor.ts';
import { nodeCount, nodeEntry, nodeIsPlain, nodeNext, nodeSize, quicklistDepth } from '../structures/quicklist-node.ts';
import { decimalLength, robjPtr } from '../structures/robj.ts';
import { listLength } from '../types/list.ts';

/** So many bytes of output are reserved at once. */
const CHUNK_BYTES = 4_096;
/** What an element takes beside its bytes at most: "$4096", an integer's digits, two line ends. */
const ELEMENT_HEAD_BYTES = 32;
const CR = 13;
const LF = 10;

const cursor = new ListCursor();

/** The element that quicklistPeek found, as a bulk string. */
export function addReplyPeeked(c: Client): void {
  if (elementOffset !== 0) addReplyBulk(c, elementOffset, elementLength);
  else addReplyBulkInt64(c, elementLow, elementHigh);
}

/** The element that a cursor stands on, as a bulk string. */
export function addReplyElement(c: Client, k: ListCursor): void {
  if (k.at !== 0) addReplyBulk(c, k.at, k.length);
  else addReplyBulkInt64(c, k.low, k.high);
}

/** Stores "$length CRLF integer CRLF" of a safe integer. @returns the offset behind it */
function putInteger(u8: Uint8Array, at: number, value: number): number {
  const length = decimalLength(value);
  u8[at] = 36;
  let p = putUint(u8, at + 1, length);
  u8[p] = CR;
  u8[p + 1] = LF;
  p += 2;
  if (value < 0) {
    u8[p] = 45;
    p = putUint(u8, p + 1, -value);
  } else {
    p = putUint(u8, p, value);
  }
  u8[p] = CR;
  u8[p + 1] = LF;
  return p + 2;
}

/** Replies `count` elements of a listpack from `p` on. */
function addElements(c: Client, h: Heap, first: number, count: number): void {
  const u8 = h.u8;
  let p = first;
  let left = count;
  while (left > 0) {
    const start = begin(c, CHUNK_BYTES);
    if (start === 0) return;
    const limit = start + CHUNK_BYTES - ELEMENT_HEAD_BYTES;
    let at = start;
    while (left > 0) {
      if (lpGet(h, p)) {
        const length = lpStringLength;
        if (at + length > limit) break;
        u8[at] = 36;
        at = putUint(u8, at + 1, length);
        u8[at] = CR;
        u8[at + 1] = LF;
        at += 2;
        h.copy(lpStringOffset, at, length);
        at += length;
        u8[at] = CR;
        u8[at + 1] = LF;
        at += 2;
      } else {
        if (at > limit || !Number.isSafeInteger(lpIntNumber)) break;
        at = putInteger(u8, at, lpIntNumber);
      }
      p = lpSkip(h, p);
      left--;
    }
    finish(c, at);
    if (left === 0 || at !== start) continue;
    // One that no chunk holds, or whose digits a number cannot tell.
    if (lpGet(h, p)) addReplyBulk(c, lpStringOffset, lpStringLength);
    else addReplyBulkInt64(c, lpIntLow, lpIntHigh);
    p = lpSkip(h, p);
    left--;
  }
}

function addForward(c: Client, h: Heap, ql: number, from: number, count: number): void {
  if (!cursor.seek(h, ql, from, true)) return;
  const compresses = quicklistDepth(h, ql) !== 0;
  let node = cursor.node;
  let index = cursor.offset;
  let left = count;
  while (left > 0 && node !== 0) {
    decompressForUse(h, node);
    if (nodeIsPlain(h, node)) {
      addReplyBulk(c, nodeEntry(h, node), nodeSize(h, node));
      left--;
    } else {
      if (index < 0) index += nodeCount(h, node);
      const here = Math.min(left, nodeCount(h, node) - index);
      addElements(c, h, lpSeek(h, nodeEntry(h, node), index), here);
      left -= here;
    }
    const next = nodeNext(h, node);
    if (compresses) compressAsDue(h, ql, node);
    node = next;
    index = 0;
  }
}

function addBackward(c: Client, h: Heap, ql: number, from: number, count: number): void {
  cursor.seek(h, ql, from, false);
  for (let left = count; left > 0 && cursor.next(h); left--) addReplyElement(c, cursor);
  cursor.end(h);
}

/** Replies the elements from index `start` to `end` (inclusive; negative ones count from the end) as an array. */
export function addReplyListRange(
  core: RedisCore,
  c: Client,
  o: number,
  start: number,
  end: number,
  reverse: boolean,
): void {
  const h = core.heap;
  const length = listLength(h, o);
  const first = Math.max(0, start < 0 ? start + length : start);
  const last = Math.min(length - 1, end < 0 ? end + length : end);
  if (first > last || first >= length) {
    addReplyArrayLen(c, 0);
    return;
  }
  const count = last - first + 1;
  addReplyArrayLen(c, count);
  try {
    if (reverse) addBackward(c, h, robjPtr(h, o), last, count);
    else addForward(c, h, robjPtr(h, o), first, count);
  } catch (error) {
    // The array has been promised; without memory to decompress the rest of it the connection cannot go on.
    if (!(error instanceof ArenaExhausted)) throw error;
    core.closeClient(c, false);
  }
}
