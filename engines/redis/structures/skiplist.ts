/**
 * The skip list of the original: members in the order of score, then bytes. A list is an arena struct of 32 bytes:
 *
 * | offset | field |
 * | --- | --- |
 * | 0 | header node, with 32 levels and no member |
 * | 8 | last node, 0: none |
 * | 16 | number of nodes |
 * | 24 | levels in use |
 *
 * A node takes 24 bytes (member as an sds at 0, score at 8, node before it at 16) and 16 for each of its levels: the next node of this
 * level, and the span, how many nodes of the lowest level that step passes. Adding the spans on the way to a node gives its rank.
 * Each level has a quarter of the nodes of the one below, by chance.
 */
import type { Heap } from './heap.ts';
import { sdsFree, sdsLen } from './sds.ts';

export const SKIPLIST_BYTES = 32;
export const SKIPLIST_MAX_LEVEL = 32;
/** Offset of a node's score: a dict's values point here. */
export const NODE_SCORE = 8;
const NODE_BYTES = 24;
const BACKWARD = 16;
const TAIL = 8;
const LENGTH = 16;
// What skiplist-range.ts needs as well.
/** Of a list. */
export const LEVEL = 24;
/** Of a node: where its levels begin, how long each is, and where in it the span stands. */
export const LEVELS = 24;
export const LEVEL_BYTES = 16;
export const SPAN = 8;

/**
 * Where the last search went down: the last node before the place on each level. Whoever has filled it (skiplist-range.ts does so as well) may
 * take out the nodes that follow, one after the other.
 */
export const zslPath = new Uint32Array(SKIPLIST_MAX_LEVEL);
const path = zslPath;
/** Their ranks. */
const rank = new Uint32Array(SKIPLIST_MAX_LEVEL);

/** Orders two runs of bytes as memcmp does, a shorter one before its extensions. @returns negative, 0 or positive */
export function compareBytes(h: Heap, a: number, aLength: number, b: number, bLength: number): number {
  const shared = aLength < bLength ? aLength : bLength;
  const view = h.view;
  const words = shared & ~3;
  let i = 0;
  // Equal words are passed four bytes at a time; the first that differ are looked at again byte by byte.
  while (i < words && view.getInt32(a + i, true) === view.getInt32(b + i, true)) i += 4;
  const u8 = h.u8;
  for (; i < shared; i++) {
    const difference = u8[a + i] - u8[b + i];
    if (difference !== 0) return difference;
  }
  return aLength - bLength;
}

/** The levels of a new node: each further one with probability 1/4. */
function randomLevel(h: Heap): number {
  let level = 1;
  let bits = h.random.nextU32();
  let left = 16;
  while ((bits & 3) === 0 && level < SKIPLIST_MAX_LEVEL) {
    level++;
    bits >>>= 2;
    if (--left === 0) {
      bits = h.random.nextU32();
      left = 16;
    }
  }
  return level;
}

function createNode(h: Heap, levels: number, score: number, member: number): number {
  const node = h.alloc(NODE_BYTES + levels * LEVEL_BYTES);
  const at = node >>> 2;
  h.u32[at] = member;
  h.u32[at + 1] = 0;
  h.f64[(node + NODE_SCORE) >>> 3] = score;
  // A loop, as nearly all nodes have one level or two, for which calling the built-in costs more.
  const f64 = h.f64;
  const end = (node + LEVELS + levels * LEVEL_BYTES) >>> 3;
  for (let i = (node + BACKWARD) >>> 3; i < end; i++) f64[i] = 0;
  return node;
}

/** An empty list. @throws ARENA_EXHAUSTED */
export function zslCreate(h: Heap): number {
  const zsl = h.calloc(SKIPLIST_BYTES);
  let header: number;
  try {
    header = createNode(h, SKIPLIST_MAX_LEVEL, 0, 0);
  } catch (error) {
    h.free(zsl);
    throw error;
  }
  h.u32[zsl >>> 2] = header;
  h.u32[(zsl + LEVEL) >>> 2] = 1;
  return zsl;
}

/** Frees a node taken out of its list, and its member. */
export function zslFreeNode(h: Heap, node: number): void {
  sdsFree(h, h.u32[node >>> 2]);
  h.free(node);
}

/** Frees the list with all its nodes and members. */
export function zslFree(h: Heap, zsl: number): void {
  const header = zslHeader(h, zsl);
  let node = zslNext(h, header);
  h.free(header);
  h.free(zsl);
  while (node !== 0) {
    const next = zslNext(h, node);
    zslFreeNode(h, node);
    node = next;
  }
}

export function zslHeader(h: Heap, zsl: number): number {
  return h.u32[zsl >>> 2];
}

/** Number of nodes. */
export function zslLength(h: Heap, zsl: number): number {
  return h.u32[(zsl + LENGTH) >>> 2];
}

/** Levels in use, at least 1. */
export function zslLevel(h: Heap, zsl: number): number {
  return h.u32[(zsl + LEVEL) >>> 2];
}

/** The first node, 0: none. */
export function zslFirst(h: Heap, zsl: number): number {
  return zslNext(h, zslHeader(h, zsl));
}

/** The last node, 0: none. */
export function zslLast(h: Heap, zsl: number): number {
  return h.u32[(zsl + TAIL) >>> 2];
}

/** The node after it, 0: none. */
export function zslNext(h: Heap, node: number): number {
  return h.u32[(node + LEVELS) >>> 2];
}

/** The node after it on a level of its own from 0, 0: none. */
export function zslForward(h: Heap, node: number, level: number): number {
  return h.u32[(node + LEVELS + level * LEVEL_BYTES) >>> 2];
}

/** How many nodes of the lowest level the step to that node passes; without one, those that follow. */
export function zslSpan(h: Heap, node: number, level: number): number {
  return h.u32[(node + LEVELS + level * LEVEL_BYTES + SPAN) >>> 2];
}

/** The node before it, 0: none. */
export function zslPrevious(h: Heap, node: number): number {
  return h.u32[(node + BACKWARD) >>> 2];
}

/** The node's member: an sds. */
export function zslMember(h: Heap, node: number): number {
  return h.u32[node >>> 2];
}

export function zslScore(h: Heap, node: number): number {
  return h.f64[(node + NODE_SCORE) >>> 3];
}

/** Goes down to the last nodes before (score, member); leaves them in `zslPath` and their ranks in `rank`. */
function descend(h: Heap, zsl: number, score: number, member: number, length: number): void {
  const u32 = h.u32;
  const f64 = h.f64;
  let x = u32[zsl >>> 2];
  let passed = 0;
  // The node at which the level above ended: it need not be looked at again, which spares a quarter of the looks.
  let beyond = 0;
  for (let i = u32[(zsl + LEVEL) >>> 2] - 1; i >= 0; i--) {
    const at = LEVELS + i * LEVEL_BYTES;
    let word = (x + at) >>> 2;
    let next = u32[word];
    while (next !== beyond) {
      const nextScore = f64[(next + NODE_SCORE) >>> 3];
      if (nextScore >= score) {
        if (nextScore > score) break;
        const s = u32[next >>> 2];
        if (compareBytes(h, s, sdsLen(h, s), member, length) >= 0) break;
      }
      passed += u32[word + 2];
      x = next;
      word = (x + at) >>> 2;
      next = u32[word];
    }
    beyond = next;
    path[i] = x;
    rank[i] = passed;
  }
}

/** Puts a node of so many levels behind the nodes in `zslPath`. */
function link(h: Heap, zsl: number, node: number, levels: number): void {
  const u32 = h.u32;
  const header = u32[zsl >>> 2];
  const length = u32[(zsl + LENGTH) >>> 2];
  const used = u32[(zsl + LEVEL) >>> 2];
  if (levels > used) {
    for (let i = used; i < levels; i++) {
      rank[i] = 0;
      path[i] = header;
      u32[(header + LEVELS + i * LEVEL_BYTES + SPAN) >>> 2] = length;
    }
    u32[(zsl + LEVEL) >>> 2] = levels;
  }
  for (let i = 0; i < levels; i++) {
    const at = LEVELS + i * LEVEL_BYTES;
    const before = (path[i] + at) >>> 2;
    const mine = (node + at) >>> 2;
    u32[mine] = u32[before];
    u32[before] = node;
    const steps = rank[0] - rank[i];
    u32[mine + 2] = u32[before + 2] - steps;
    u32[before + 2] = steps + 1;
  }
  for (let i = levels; i < used; i++) u32[(path[i] + LEVELS + i * LEVEL_BYTES + SPAN) >>> 2]++;
  u32[(node + BACKWARD) >>> 2] = path[0] === header ? 0 : path[0];
  const next = u32[(node + LEVELS) >>> 2];
  if (next !== 0) u32[(next + BACKWARD) >>> 2] = node;
  else u32[(zsl + TAIL) >>> 2] = node;
  u32[(zsl + LENGTH) >>> 2] = length + 1;
}

/** Takes out the node that the nodes in `zslPath` lead to. */
export function zslUnlinkNode(h: Heap, zsl: number, node: number): void {
  const u32 = h.u32;
  let used = u32[(zsl + LEVEL) >>> 2];
  for (let i = 0; i < used; i++) {
    const at = LEVELS + i * LEVEL_BYTES;
    const before = (path[i] + at) >>> 2;
    if (u32[before] === node) {
      u32[before + 2] += u32[(node + at + SPAN) >>> 2] - 1;
      u32[before] = u32[(node + at) >>> 2];
    } else {
      u32[before + 2]--;
    }
  }
  const next = u32[(node + LEVELS) >>> 2];
  if (next !== 0) u32[(next + BACKWARD) >>> 2] = u32[(node + BACKWARD) >>> 2];
  else u32[(zsl + TAIL) >>> 2] = u32[(node + BACKWARD) >>> 2];
  const header = u32[zsl >>> 2];
  while (used > 1 && u32[(header + LEVELS + (used - 1) * LEVEL_BYTES) >>> 2] === 0) used--;
  u32[(zsl + LEVEL) >>> 2] = used;
  u32[(zsl + LENGTH) >>> 2]--;
}

/**
 * Adds a member that is not in the list yet.
 * @param member an sds, which the list takes over
 * @returns the node. @throws ARENA_EXHAUSTED before anything has changed (the member stays the caller's)
 */
export function zslInsert(h: Heap, zsl: number, score: number, member: number): number {
  const levels = randomLevel(h);
  const node = createNode(h, levels, score, member);
  descend(h, zsl, score, member, sdsLen(h, member));
  link(h, zsl, node, levels);
  return node;
}

/**
 * Takes a member out. @param score its score @returns the node, which the caller frees with zslFreeNode, or 0 when it is not there
 */
export function zslUnlink(h: Heap, zsl: number, score: number, member: number, length: number): number {
  descend(h, zsl, score, member, length);
  const node = zslNext(h, path[0]);
  if (node === 0 || zslScore(h, node) !== score) return 0;
  const s = zslMember(h, node);
  if (sdsLen(h, s) !== length || !h.equal(s, member, length)) return 0;
  zslUnlinkNode(h, zsl, node);
  return node;
}

/** Takes the first node out, whose place needs no search. @returns the node, or 0 */
export function zslUnlinkFirst(h: Heap, zsl: number): number {
  const node = zslFirst(h, zsl);
  if (node === 0) return 0;
  const header = zslHeader(h, zsl);
  for (let i = zslLevel(h, zsl) - 1; i >= 0; i--) path[i] = header;
  zslUnlinkNode(h, zsl, node);
  return node;
}

/**
 * Gives a member that is there another score.
 * @returns its node, which is another one unless the place stays. @throws ARENA_EXHAUSTED before anything has changed
 */
export function zslUpdateScore(h: Heap, zsl: number, node: number, score: number): number {
  const before = zslPrevious(h, node);
  const next = zslNext(h, node);
  if ((before === 0 || zslScore(h, before) < score) && (next === 0 || zslScore(h, next) > score)) {
    h.f64[(node + NODE_SCORE) >>> 3] = score;
    return node;
  }
  const member = zslMember(h, node);
  const length = sdsLen(h, member);
  const levels = randomLevel(h);
  const moved = createNode(h, levels, score, member);
  descend(h, zsl, zslScore(h, node), member, length);
  zslUnlinkNode(h, zsl, node);
  h.free(node);
  descend(h, zsl, score, member, length);
  link(h, zsl, moved, levels);
  return moved;
}

/** @returns the rank of a member from 1, or 0 when it is not there with this score */
export function zslRank(h: Heap, zsl: number, score: number, member: number, length: number): number {
  descend(h, zsl, score, member, length);
  const node = zslNext(h, path[0]);
  if (node === 0 || zslScore(h, node) !== score) return 0;
  const s = zslMember(h, node);
  return sdsLen(h, s) === length && h.equal(s, member, length) ? rank[0] + 1 : 0;
}

/** @param wanted a rank from 1 @returns the node, or 0 */
export function zslByRank(h: Heap, zsl: number, wanted: number): number {
  const u32 = h.u32;
  let x = u32[zsl >>> 2];
  let passed = 0;
  for (let i = u32[(zsl + LEVEL) >>> 2] - 1; i >= 0; i--) {
    const at = LEVELS + i * LEVEL_BYTES;
    let next = u32[(x + at) >>> 2];
    while (next !== 0 && passed + u32[(x + at + SPAN) >>> 2] <= wanted) {
      passed += u32[(x + at + SPAN) >>> 2];
      x = next;
      next = u32[(x + at) >>> 2];
    }
    if (passed === wanted && passed > 0) return x;
  }
  return 0;
}

/**
 * Lets `move` put the node of a member elsewhere, and mends every pointer to it within the list.
 * @param move takes the node's offset and returns its new one, or 0 when it stays
 * @returns where the node is now
 */
export function zslRelocate(
  h: Heap,
  zsl: number,
  score: number,
  member: number,
  length: number,
  move: (node: number) => number,
): number {
  const u32 = h.u32;
  descend(h, zsl, score, member, length);
  const node = zslNext(h, path[0]);
  const fresh = move(node);
  if (fresh === 0) return node;
  for (let i = zslLevel(h, zsl) - 1; i >= 0; i--) {
    const at = (path[i] + LEVELS + i * LEVEL_BYTES) >>> 2;
    if (u32[at] === node) u32[at] = fresh;
  }
  const next = zslNext(h, fresh);
  u32[(next === 0 ? zsl + TAIL : next + BACKWARD) >>> 2] = fresh;
  return fresh;
}

/**
 * Frees the first node and its member of a list that is being emptied bit by bit and used for nothing else: only the lowest level is kept
 * in order.
 * @returns whether there was one
 */
export function zslDropFirst(h: Heap, zsl: number): boolean {
  const first = zslFirst(h, zsl);
  if (first === 0) return false;
  h.u32[(zslHeader(h, zsl) + LEVELS) >>> 2] = zslNext(h, first);
  zslFreeNode(h, first);
  return true;
}
