/** Lists do what arrays do, whatever their nodes are, also when memory runs out in the middle of it. */
import { afterAll, describe, expect, it } from 'vitest';
import type { Heap } from '../../../engines/redis/structures/heap.ts';
import { ARENA_EXHAUSTED } from '../../../engines/redis/structures/heap.ts';
import {
  elementHigh,
  elementLength,
  elementLow,
  elementOffset,
  quicklistDropPeeked,
  quicklistDup,
  quicklistFree,
  quicklistNew,
  quicklistPeek,
  quicklistPush,
} from '../../../engines/redis/structures/quicklist.ts';
import {
  deleteAtCursor,
  insertAtCursor,
  ListCursor,
  quicklistDeleteRange,
  replaceAtCursor,
} from '../../../engines/redis/structures/quicklist-cursor.ts';
import {
  quicklistCount,
  quicklistDepth,
  setPackedThreshold,
} from '../../../engines/redis/structures/quicklist-node.ts';
import { createObject, OBJ_ENCODING_QUICKLIST, OBJ_LIST } from '../../../engines/redis/structures/robj.ts';
import { listType } from '../../../engines/redis/types/list.ts';
import { seededRandom } from '../../support/seed.ts';
import { edgyText, structureLab } from './lab.ts';

const STEPS = 12_000;

function contents(h: Heap, ql: number, forward: boolean): string[] {
  const all: string[] = [];
  const k = new ListCursor();
  k.start(h, ql, forward);
  while (k.next(h)) all.push(k.text(h));
  k.end(h);
  return forward ? all : all.reverse();
}

function peeked(h: Heap): string {
  if (elementOffset !== 0) return h.latin1(elementOffset, elementLength);
  return ((BigInt(elementHigh) << 32n) | BigInt(elementLow)).toString();
}

describe('the quicklist', () => {
  afterAll(() => {
    setPackedThreshold(0);
  });

  for (const [fill, depth, packed] of [
    [-2, 0, 0],
    [-1, 1, 0],
    [1, 0, 0],
    [4, 1, 0],
    [5, 3, 60],
    [3, 0, 40],
    [0, 2, 0],
  ] as const) {
    it(`does what an array does: fill ${fill}, depth ${depth}, packed from ${packed}`, { timeout: 60_000 }, () => {
      const random = seededRandom(`quicklist ${fill} ${depth} ${packed}`);
      const { heap: h, allocator, put } = structureLab('quicklist');
      setPackedThreshold(packed);
      const used = allocator.usedBytes;
      let ql = quicklistNew(h, fill, depth);
      const o = createObject(h, OBJ_LIST, OBJ_ENCODING_QUICKLIST, ql);
      let model: string[] = [];
      const k = new ListCursor();
      // One allocation in so many fails, in the second half.
      let failing = 0;
      let failed = 0;
      const alloc = allocator.alloc.bind(allocator);
      allocator.alloc = (bytes) => (failing > 0 && random.nextBelow(failing) === 0 ? 0 : alloc(bytes));

      const step = (): void => {
        const text = edgyText(random, 400);
        const index = random.nextBelow(model.length + 1);
        const from = random.nextBelow(2) === 0 ? index : index - model.length;
        const dice = random.nextBelow(model.length < 60 ? 14 : 20);
        if (dice < 6) {
          quicklistPush(h, ql, put(text), text.length, dice < 3);
          if (dice < 3) model.unshift(text);
          else model.push(text);
        } else if (index === model.length) {
          expect(k.seek(h, ql, model.length, true)).toBe(false);
        } else if (dice < 10) {
          k.seek(h, ql, from, dice < 8);
          if (!k.next(h)) expect.fail('there is an element');
          expect(k.text(h)).toBe(model[index]);
          insertAtCursor(h, k, put(text), text.length, dice % 2 === 0);
          model.splice(dice % 2 === 0 ? index + 1 : index, 0, text);
        } else if (dice < 12) {
          k.seek(h, ql, from, true);
          if (!k.next(h)) expect.fail('there is an element');
          replaceAtCursor(h, k, put(text), text.length);
          model[index] = text;
        } else if (dice < 15) {
          const head = dice === 14;
          quicklistPeek(h, ql, head);
          expect(peeked(h)).toBe(head ? model[0] : model[model.length - 1]);
          quicklistDropPeeked(h, ql);
          if (head) model.shift();
          else model.pop();
        } else if (dice < 18) {
          const count = random.nextBelow(9);
          const before = failing;
          // Half of a range may be gone when memory runs out: that is for the caller to tell.
          failing = 0;
          quicklistDeleteRange(h, ql, from, count);
          failing = before;
          model.splice(index, count);
        } else {
          const before = failing;
          failing = 0;
          const wanted = model[index]!;
          k.start(h, ql, dice === 18);
          while (k.next(h)) if (k.text(h) === wanted) deleteAtCursor(h, k);
          k.end(h);
          failing = before;
          model = model.filter((one) => one !== wanted);
        }
      };

      for (let i = 0; i < STEPS; i++) {
        failing = i > STEPS / 2 ? 12 : 0;
        const before = [...model];
        try {
          step();
        } catch (error) {
          if (error !== ARENA_EXHAUSTED) throw error;
          failed++;
          model = before;
        } finally {
          failing = 0;
          k.end(h);
        }
        expect(quicklistCount(h, ql)).toBe(model.length);
        if (i % 25 !== 0 || model.length === 0) continue;
        // Without memory to decompress with, nodes at the ends may stay compressed.
        if (failed === 0 || quicklistDepth(h, ql) === 0) listType.verify(h, o);
        expect(contents(h, ql, true)).toEqual(model);
        expect(contents(h, ql, false)).toEqual(model);
        if (i % 500 !== 0) continue;
        const copy = quicklistDup(h, ql);
        quicklistFree(h, ql);
        ql = copy;
        h.u32[(o + 8) >>> 2] = copy;
        expect(contents(h, ql, true)).toEqual(model);
      }
      expect(failed).toBeGreaterThan(10);
      listType.free(h, o);
      h.free(o);
      expect(allocator.usedBytes).toBe(used);
    });
  }
});
