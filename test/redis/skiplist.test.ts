import { describe, expect, it } from 'vitest';
import { createRandom } from '../../engines/base/random.ts';
import { createArena } from '../../engines/memory/arena.ts';
import { createJemalloc } from '../../engines/memory/jemalloc.ts';
import { Heap } from '../../engines/redis/structures/heap.ts';
import { sdsLen, sdsNewLen } from '../../engines/redis/structures/sds.ts';
import {
  zslByRank,
  zslCreate,
  zslFirst,
  zslFree,
  zslFreeNode,
  zslInsert,
  zslLength,
  zslLevel,
  zslMember,
  zslNext,
  zslRank,
  zslScore,
  zslUnlink,
  zslUnlinkFirst,
  zslUpdateScore,
} from '../../engines/redis/structures/skiplist.ts';
import { zslVerify } from '../../engines/redis/structures/skiplist-check.ts';
import {
  LexRange,
  ScoreRange,
  zslDeleteByLex,
  zslDeleteByRank,
  zslDeleteByScore,
  zslFirstInLexRange,
  zslFirstInScoreRange,
  zslLastInLexRange,
  zslLastInScoreRange,
} from '../../engines/redis/structures/skiplist-range.ts';
import { seededRandom, testScale } from '../support/seed.ts';

const ARENA_BYTES = 32 * 1024 * 1024;

function setup(seed: string) {
  const memory = createArena({ byteLength: ARENA_BYTES });
  const allocator = createJemalloc(memory, { classes: 'debian' });
  const heap = new Heap(allocator, createRandom(seed));
  const page = memory.takePages(1);
  let used = 0;
  /** Puts a text into the arena; the last few stay. @returns its offset */
  const put = (text: string): number => {
    const at = page + (used++ % 8) * 512;
    heap.putLatin1(text, at);
    return at;
  };
  const member = (node: number): string => {
    const s = zslMember(heap, node);
    return heap.latin1(s, sdsLen(heap, s));
  };
  return { heap, allocator, put, member };
}

type Pair = readonly [string, number];

function sorted(model: ReadonlyMap<string, number>): Pair[] {
  return [...model].sort(([a, x], [b, y]) => x - y || (a < b ? -1 : 1));
}

describe('the skip list', () => {
  it('does what a sorted array does', { timeout: 60_000 }, () => {
    const random = seededRandom('skip list');
    const { heap, allocator, put, member } = setup('skip list');
    const before = allocator.usedBytes;
    const zsl = zslCreate(heap);
    const model = new Map<string, number>();
    const nodes = new Map<string, number>();
    const removed = (h: Heap, node: number): void => {
      model.delete(member(node));
      nodes.delete(member(node));
      zslFreeNode(h, node);
    };
    const score = () => (random.nextBelow(4) === 0 ? random.nextFloat() * 20 : random.nextBelow(20));
    for (let step = 0; step < 30_000 * testScale; step++) {
      const name = `m${random.nextBelow(step % 8_000 < 4_000 ? 400 : 30)}`;
      const dice = random.nextBelow(100);
      if (dice < 60) {
        const value = score();
        const node = nodes.get(name);
        if (node === undefined) nodes.set(name, zslInsert(heap, zsl, value, sdsNewLen(heap, put(name), name.length)));
        else nodes.set(name, zslUpdateScore(heap, zsl, node, value));
        model.set(name, value);
      } else if (dice < 80) {
        const value = model.get(name);
        const node = zslUnlink(heap, zsl, value ?? 3, put(name), name.length);
        expect(node).toBe(nodes.get(name) ?? 0);
        if (node !== 0) removed(heap, node);
      } else if (dice < 84) {
        const first = sorted(model)[0];
        const node = zslUnlinkFirst(heap, zsl);
        expect(node === 0 ? undefined : member(node)).toBe(first?.[0]);
        if (node !== 0) removed(heap, node);
      } else if (dice < 92) {
        const all = sorted(model);
        const at = random.nextBelow(all.length + 2);
        const node = zslByRank(heap, zsl, at);
        expect(node === 0 ? undefined : member(node)).toBe(all[at - 1]?.[0]);
        expect(zslRank(heap, zsl, model.get(name) ?? 1, put(name), name.length)).toBe(
          1 + all.findIndex(([one]) => one === name),
        );
      } else if (dice < 99) {
        const range = new ScoreRange();
        range.min = score() - 2;
        range.max = range.min + score() - 3;
        range.minExclusive = random.nextBelow(2) === 0;
        range.maxExclusive = random.nextBelow(2) === 0;
        const inside = sorted(model).filter(([, x]) => range.isAboveMin(x) && range.isBelowMax(x));
        const first = zslFirstInScoreRange(heap, zsl, range);
        const last = zslLastInScoreRange(heap, zsl, range);
        expect(first === 0 ? undefined : member(first)).toBe(inside[0]?.[0]);
        expect(last === 0 ? undefined : member(last)).toBe(inside.at(-1)?.[0]);
        if (dice === 98) expect(zslDeleteByScore(heap, zsl, range, removed, 0)).toBe(inside.length);
      } else {
        const start = 1 + random.nextBelow(30);
        const end = start + random.nextBelow(20);
        const there = Math.max(0, Math.min(end, model.size) - start + 1);
        expect(zslDeleteByRank(heap, zsl, start, end, removed, 0)).toBe(there);
      }
      expect(zslLength(heap, zsl)).toBe(model.size);
      if (step % 500 === 0) {
        zslVerify(heap, zsl);
        const all: Pair[] = [];
        for (let node = zslFirst(heap, zsl); node !== 0; node = zslNext(heap, node)) {
          all.push([member(node), zslScore(heap, node)]);
        }
        expect(all).toEqual(sorted(model));
      }
    }
    zslVerify(heap, zsl);
    zslFree(heap, zsl);
    expect(allocator.usedBytes).toBe(before);
  });

  it('finds and deletes ranges of members of one score', { timeout: 60_000 }, () => {
    const random = seededRandom('skip list by member');
    const { heap, put, member } = setup('skip list by member');
    const zsl = zslCreate(heap);
    const model = new Set<string>();
    const removed = (h: Heap, node: number): void => {
      model.delete(member(node));
      zslFreeNode(h, node);
    };
    const text = () => Array.from({ length: random.nextBelow(12) }, () => 'ab\xff\0'[random.nextBelow(4)]).join('');
    for (let step = 0; step < 10_000; step++) {
      const name = text();
      if (!model.has(name) && random.nextBelow(3) > 0) {
        zslInsert(heap, zsl, 0, sdsNewLen(heap, put(name), name.length));
        model.add(name);
      }
      const range = new LexRange();
      const min = text();
      const max = text();
      range.minKind = random.nextBelow(8) === 0 ? random.nextBelow(3) - 1 : 0;
      range.maxKind = random.nextBelow(8) === 0 ? random.nextBelow(3) - 1 : 0;
      range.minExclusive = range.minKind !== 0 || random.nextBelow(2) === 0;
      range.maxExclusive = range.maxKind !== 0 || random.nextBelow(2) === 0;
      range.minOffset = put(min);
      range.minLength = min.length;
      range.maxOffset = put(max);
      range.maxLength = max.length;
      const above = (one: string) =>
        range.minKind !== 0 ? range.minKind < 0 : range.minExclusive ? one > min : one >= min;
      const below = (one: string) =>
        range.maxKind !== 0 ? range.maxKind > 0 : range.maxExclusive ? one < max : one <= max;
      const inside = [...model].sort().filter((one) => above(one) && below(one));
      const first = zslFirstInLexRange(heap, zsl, range);
      const last = zslLastInLexRange(heap, zsl, range);
      expect(first === 0 ? undefined : member(first)).toBe(inside[0]);
      expect(last === 0 ? undefined : member(last)).toBe(inside.at(-1));
      if (random.nextBelow(20) === 0) expect(zslDeleteByLex(heap, zsl, range, removed, 0)).toBe(inside.length);
      if (step % 500 === 0) zslVerify(heap, zsl);
    }
    zslVerify(heap, zsl);
    zslFree(heap, zsl);
  });

  it('gives a quarter of the nodes of each level one more', () => {
    const { heap, allocator, put } = setup('levels');
    const zsl = zslCreate(heap);
    const before = allocator.usedBytes;
    const nodes = 60_000;
    for (let i = 0; i < nodes; i++) {
      const name = String(i);
      zslInsert(heap, zsl, i, sdsNewLen(heap, put(name), name.length));
    }
    expect(zslLevel(heap, zsl)).toBeGreaterThan(6);
    expect(zslLevel(heap, zsl)).toBeLessThan(16);
    // A member takes 8 bytes; a node 40 and, in a quarter of all cases each, 16 more for each further level.
    const perNode = (allocator.usedBytes - before) / nodes;
    expect(perNode).toBeGreaterThan(50);
    expect(perNode).toBeLessThan(62);
    zslVerify(heap, zsl);
  });
});
