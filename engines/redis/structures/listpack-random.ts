/** Random elements of listpacks that hold pairs. Pairs are told by the offset of their first element. */
import type { Heap } from './heap.ts';
import { LP_EOF, LP_HEADER_BYTES, lpLength, lpSeek, lpSkip } from './listpack-element.ts';

/** More draws than anybody asks for at once; times the pairs of a listpack it is exact in a number. */
const DRAWS_MAX = 2 ** 32;

/** A random pair of the `pairs` that there are. @returns the offset of its first element */
export function lpRandomPair(h: Heap, lp: number, pairs: number): number {
  return lpSeek(h, lp, h.random.nextBelow(pairs) * 2);
}

/** Draws `count` pairs, the same one perhaps more than once, in random order. */
export function lpRandomPairs(h: Heap, lp: number, count: number, into: Uint32Array): void {
  const pairs = lpLength(h, lp) >>> 1;
  // One pass finds all of them: the draws are sorted by index, and each remembers whose turn it was.
  const draws = new Float64Array(count);
  for (let i = 0; i < count; i++) draws[i] = h.random.nextBelow(pairs) * DRAWS_MAX + i;
  draws.sort();
  let at = lp + LP_HEADER_BYTES;
  let index = 0;
  for (let i = 0; i < count; i++) {
    const wanted = Math.floor(draws[i] / DRAWS_MAX);
    for (; index < wanted; index++) at = lpSkip(h, lpSkip(h, at));
    into[draws[i] - wanted * DRAWS_MAX] = at;
  }
}

/** Where lpNextRandom goes on: index of the element that comes next. */
export let lpNextIndex = 0;

/**
 * One step of drawing `remaining` different elements in their order: every choice of them is equally likely.
 * @param p the element to go on from, of index `index`
 * @param evenOnly draws only elements of an even index (the first ones of pairs)
 * @returns the element drawn, with its index in lpNextIndex; 0: there are none left. Go on from the one behind it.
 */
export function lpNextRandom(
  h: Heap,
  lp: number,
  p: number,
  index: number,
  remaining: number,
  evenOnly: boolean,
): number {
  const length = lpLength(h, lp);
  let at = p;
  for (let i = index; at !== 0 && h.u8[at] !== LP_EOF; i++, at = lpSkip(h, at)) {
    if (evenOnly && (i & 1) !== 0) continue;
    let available = length - i;
    if (evenOnly) available >>>= 1;
    if (h.random.nextFloat() * available <= remaining) {
      lpNextIndex = i;
      return at;
    }
  }
  return 0;
}

/** Draws up to `count` different pairs, in their order. @returns how many */
export function lpRandomPairsUnique(h: Heap, lp: number, count: number, into: Uint32Array): number {
  const wanted = Math.min(count, lpLength(h, lp) >>> 1);
  let at = lp + LP_HEADER_BYTES;
  let index = 0;
  let drawn = 0;
  while (drawn < wanted) {
    const p = lpNextRandom(h, lp, at, index, wanted - drawn, true);
    if (p === 0) break;
    into[drawn++] = p;
    at = lpSkip(h, p);
    index = lpNextIndex + 1;
  }
  return drawn;
}
