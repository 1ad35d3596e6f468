/** The deep check of a skip list. */
import type { Heap } from './heap.ts';
import { sdsLen, sdsVerify } from './sds.ts';
import {
  compareBytes,
  SKIPLIST_MAX_LEVEL,
  zslForward,
  zslHeader,
  zslLast,
  zslLength,
  zslLevel,
  zslMember,
  zslNext,
  zslPrevious,
  zslScore,
  zslSpan,
} from './skiplist.ts';

/** Checks a list's invariants by walking all levels: order, spans, back pointers, counts. @throws Error naming what is broken */
export function zslVerify(h: Heap, zsl: number): void {
  const broken = (what: string): never => {
    throw new Error(`Broken skip list at ${zsl}: ${what}`);
  };
  const header = zslHeader(h, zsl);
  const length = zslLength(h, zsl);
  const level = zslLevel(h, zsl);
  if (level < 1 || level > SKIPLIST_MAX_LEVEL) broken(`${level} levels`);
  const ranks = new Map<number, number>();
  let previous = 0;
  for (let node = zslNext(h, header); node !== 0; node = zslNext(h, node)) {
    const s = zslMember(h, node);
    sdsVerify(h, s);
    if (Number.isNaN(zslScore(h, node))) broken(`the score at ${node} is not a number`);
    if (zslPrevious(h, node) !== previous) broken(`the node at ${node} points back to ${zslPrevious(h, node)}`);
    if (previous !== 0) {
      const p = zslMember(h, previous);
      const inOrder =
        zslScore(h, previous) < zslScore(h, node) ||
        (zslScore(h, previous) === zslScore(h, node) && compareBytes(h, p, sdsLen(h, p), s, sdsLen(h, s)) < 0);
      if (!inOrder) broken(`the node at ${node} is out of order`);
    }
    ranks.set(node, ranks.size + 1);
    previous = node;
    if (ranks.size > length) broken(`more than the ${length} nodes it says`);
  }
  if (ranks.size !== length) broken(`${ranks.size} nodes, and it says ${length}`);
  if (zslLast(h, zsl) !== previous) broken(`the last node is ${previous}, and it says ${zslLast(h, zsl)}`);
  for (let i = 0; i < SKIPLIST_MAX_LEVEL; i++) {
    if (i >= level) {
      if (zslForward(h, header, i) !== 0) broken(`a node on level ${i} beyond the ${level} in use`);
      continue;
    }
    let passed = 0;
    for (let node = header; node !== 0; node = zslForward(h, node, i)) {
      const next = zslForward(h, node, i);
      const span = zslSpan(h, node, i);
      const reached = next === 0 ? length : ranks.get(next);
      if (reached === undefined) broken(`level ${i} leads to ${next}, which is no node`);
      if (next === 0 && span !== length - passed) broken(`the last span of level ${i} is ${span}`);
      if (next !== 0 && passed + span !== reached) broken(`a span of ${span} at ${node} on level ${i}`);
      passed += span;
    }
  }
}
