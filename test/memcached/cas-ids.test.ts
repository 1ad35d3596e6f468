/** CAS ids are one up each, over every carry of their two halves. */
import { describe, expect, it } from 'vitest';
import { CasIds } from '../../engines/memcached/cas-ids.ts';
import { SharedBlock } from '../../engines/memcached/shared-block.ts';
import { createArena } from '../../engines/memory/arena.ts';

const WHOLE = 2 ** 32;

interface Made {
  ids: CasIds;
  another: CasIds;
  /** Counts as so many calls would that carry nothing. */
  skip(count: number): void;
}

function makeIds(isShared: boolean): Made {
  const memory = createArena({ byteLength: 16 * 2 ** 20, shared: isShared });
  const block = new SharedBlock(memory, isShared ? { role: 'dispatcher', threads: 2 } : { role: 'alone' });
  return {
    ids: new CasIds(block, isShared),
    another: new CasIds(block, isShared),
    skip: (count) => {
      memory.u32[block.casIds]! += count;
    },
  };
}

describe.each([false, true])('CAS ids (shared between threads: %s)', (isShared) => {
  it('begin with 1', () => {
    const { ids } = makeIds(isShared);
    expect(ids.last).toBe(0);
    expect([ids.next(), ids.next(), ids.last]).toEqual([1, 2, 2]);
  });

  it.each([2 ** 30, 2 ** 31, 3 * 2 ** 30, WHOLE, WHOLE + 2 ** 31, 7 * WHOLE, 2 ** 50 + 3 * 2 ** 30, 2 ** 52])(
    'go on around %i',
    (around) => {
      const { ids, another } = makeIds(isShared);
      ids.last = around - 3;
      for (let id = around - 2; id < around + 3; id++) {
        expect((id % 2 === 0 ? ids : another).next()).toBe(id);
        expect(another.last).toBe(id);
      }
    },
  );

  it('carry from quarter to quarter over two whole rounds', () => {
    const { ids, skip } = makeIds(isShared);
    ids.last = 5 * WHOLE - 2;
    for (let quarter = 0; quarter < 8; quarter++) {
      const start = 5 * WHOLE + quarter * 2 ** 30;
      expect([ids.next(), ids.next(), ids.next()]).toEqual([start - 1, start, start + 1]);
      skip(2 ** 30 - 3);
    }
  });
});
