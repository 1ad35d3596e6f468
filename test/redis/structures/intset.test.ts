import { describe, expect, it } from 'vitest';
import { createRandom } from '../../../engines/base/random.ts';
import { createArena } from '../../../engines/memory/arena.ts';
import { createJemalloc } from '../../../engines/memory/jemalloc.ts';
import { Heap } from '../../../engines/redis/structures/heap.ts';
import {
  intsetAdd,
  intsetBytes,
  intsetChanged,
  intsetDup,
  intsetFind,
  intsetGet,
  intsetHigh,
  intsetLen,
  intsetLow,
  intsetNew,
  intsetRemove,
  intsetValidateIntegrity,
  intsetVerify,
} from '../../../engines/redis/structures/intset.ts';
import { seededRandom } from '../../support/seed.ts';

const ARENA_BYTES = 16 * 1024 * 1024;

function setup() {
  const allocator = createJemalloc(createArena({ byteLength: ARENA_BYTES }), { classes: 'debian' });
  return { heap: new Heap(allocator, createRandom('intset')), allocator };
}

const low = (value: bigint) => Number(BigInt.asUintN(32, value));
const high = (value: bigint) => Number(BigInt.asIntN(32, value >> 32n));

function contents(heap: Heap, is: number): bigint[] {
  const all: bigint[] = [];
  for (let i = 0; i < intsetLen(heap, is); i++) {
    intsetGet(heap, is, i);
    all.push((BigInt(intsetHigh) << 32n) | BigInt(intsetLow));
  }
  return all;
}

describe('the intset', () => {
  it('does what a set of numbers does, in order, whatever the widths', () => {
    const random = seededRandom('intset');
    for (let round = 0; round < 60; round++) {
      const { heap, allocator } = setup();
      const before = allocator.usedBytes;
      let is = intsetNew(heap);
      const model = new Set<bigint>();
      const bits = [8, 15, 16, 17, 31, 32, 33, 64];
      const widest = 1 + random.nextBelow(bits.length);
      let width = 2;
      for (let step = 0; step < 300; step++) {
        const raw = (BigInt(random.nextU32()) << 32n) | BigInt(random.nextU32());
        const value = BigInt.asIntN(bits[random.nextBelow(widest)]!, raw) >> BigInt(random.nextBelow(3));
        if (random.nextBelow(3) > 0) {
          is = intsetAdd(heap, is, low(value), high(value));
          expect(intsetChanged).toBe(!model.has(value));
          model.add(value);
          const needed = BigInt.asIntN(16, value) === value ? 2 : BigInt.asIntN(32, value) === value ? 4 : 8;
          width = Math.max(width, needed);
        } else {
          is = intsetRemove(heap, is, low(value), high(value));
          expect(intsetChanged).toBe(model.delete(value));
        }
        expect(intsetFind(heap, is, low(value), high(value))).toBe(model.has(value));
        expect(intsetBytes(heap, is)).toBe(8 + width * model.size);
        expect(heap.usable(is)).toBe(allocator.sizeClass(8 + width * model.size));
        intsetVerify(heap, is);
      }
      expect(contents(heap, is)).toEqual([...model].sort((a, b) => (a < b ? -1 : 1)));
      const copy = intsetDup(heap, is);
      expect(contents(heap, copy)).toEqual(contents(heap, is));
      heap.free(copy);
      heap.free(is);
      expect(allocator.usedBytes).toBe(before);
    }
  });

  it('is told from bytes that are none', () => {
    const { heap } = setup();
    let is = intsetNew(heap);
    expect(intsetValidateIntegrity(heap, is, 8)).toBe(false);
    for (const value of [5n, -7n, 300n, 2n ** 40n]) is = intsetAdd(heap, is, low(value), high(value));
    const bytes = intsetBytes(heap, is);
    expect(intsetValidateIntegrity(heap, is, bytes)).toBe(true);
    for (let size = 0; size < bytes; size++) expect(intsetValidateIntegrity(heap, is, size)).toBe(false);
    // Two equal integers, or two in the wrong order.
    heap.u8.copyWithin(is + 16, is + 8, is + 16);
    expect(intsetValidateIntegrity(heap, is, bytes)).toBe(false);
    heap.view.setBigInt64(is + 8, 9n, true);
    expect(intsetValidateIntegrity(heap, is, bytes)).toBe(false);
    heap.u32[is >>> 2] = 3;
    expect(intsetValidateIntegrity(heap, is, bytes)).toBe(false);
  });
});
