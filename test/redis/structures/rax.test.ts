import { describe, expect, it } from 'vitest';
import type { Random } from '../../../engines/ports.ts';
import { ArenaExhausted } from '../../../engines/redis/structures/heap.ts';
import {
  raxFind,
  raxHas,
  raxInsert,
  raxNew,
  raxNodeCount,
  raxOld,
  raxRemove,
  raxSize,
} from '../../../engines/redis/structures/rax.ts';
import { RaxIterator } from '../../../engines/redis/structures/rax-iterator.ts';
import { raxFree, raxVerify } from '../../../engines/redis/structures/rax-whole.ts';
import { seededRandom } from '../../support/seed.ts';
import { structureLab } from './lab.ts';

const bytesOf = (text: string): Uint8Array => Uint8Array.from(text, (char) => char.charCodeAt(0));
const textOf = (it: RaxIterator): string => String.fromCharCode(...it.key.subarray(0, it.keyLength));

/** Keys that share prefixes: numbers as streams have them, words over a small alphabet, short and long ones. */
function someKey(random: Random): string {
  const word = (alphabet: string, most: number) =>
    Array.from({ length: random.nextBelow(most + 1) }, () => alphabet[random.nextBelow(alphabet.length)]).join('');
  switch (random.nextBelow(4)) {
    case 0:
      return `\0\0\0\0${String.fromCharCode(random.nextBelow(3), random.nextBelow(256))}\0\0`;
    case 1:
      return word('ab', 9);
    case 2:
      return word('abc\xff\0', 4);
    default:
      return `common:prefix:of:some:length:${word('xyz', 3)}`;
  }
}

function keysOf(it: RaxIterator, start: boolean, step: () => boolean): string[] {
  const keys: string[] = [];
  for (let more = start; more; more = step()) keys.push(textOf(it));
  return keys;
}

describe('a radix tree', () => {
  it('does what a sorted map does', () => {
    const { heap: h, allocator } = structureLab('rax');
    const random = seededRandom('rax keys');
    const base = allocator.usedBytes;
    for (let round = 0; round < 12; round++) {
      const rax = raxNew(h);
      const model = new Map<string, number>();
      const size = [3, 40, 400][round % 3]!;
      for (let i = 0; i < 3_000; i++) {
        const key = someKey(random);
        const bytes = bytesOf(key);
        const value = random.nextBelow(5) === 0 ? 0 : 8 + random.nextBelow(1_000_000);
        if (random.nextBelow(size * 2) > model.size) {
          const overwrite = random.nextBelow(3) > 0;
          expect(raxInsert(h, rax, bytes, 0, bytes.length, value, overwrite)).toBe(!model.has(key));
          expect(raxOld).toBe(model.get(key) ?? 0);
          if (overwrite || !model.has(key)) model.set(key, value);
        } else {
          const victim = random.nextBelow(2) === 0 ? key : ([...model.keys()][random.nextBelow(model.size + 1)] ?? key);
          const its = bytesOf(victim);
          expect(raxRemove(h, rax, its, 0, its.length)).toBe(model.has(victim));
          expect(raxOld).toBe(model.get(victim) ?? 0);
          model.delete(victim);
        }
        expect(raxSize(h, rax)).toBe(model.size);
        if (i % 50 === 0) {
          raxVerify(h, rax);
          const sorted = [...model.keys()].sort();
          const it = new RaxIterator(h, rax);
          expect(keysOf(it, it.first(), () => it.next())).toEqual(sorted);
          expect(keysOf(it, it.last(), () => it.previous())).toEqual([...sorted].reverse());
          const probe = someKey(random);
          const probeBytes = bytesOf(probe);
          expect(raxHas(h, rax, probeBytes, 0, probeBytes.length)).toBe(model.has(probe));
          expect(raxFind(h, rax, probeBytes, 0, probeBytes.length)).toBe(model.get(probe) ?? 0);
          const from = sorted.filter((one) => one >= probe);
          expect(keysOf(it, it.seekFrom(probeBytes, 0, probeBytes.length), () => it.next())).toEqual(from);
          const upTo = sorted.filter((one) => one <= probe).reverse();
          expect(keysOf(it, it.seekUpTo(probeBytes, 0, probeBytes.length), () => it.previous())).toEqual(upTo);
          if (it.first()) expect(it.value).toBe(model.get(sorted[0]!));
        }
      }
      for (const key of model.keys()) expect(raxRemove(h, rax, bytesOf(key), 0, key.length)).toBe(true);
      raxVerify(h, rax);
      expect(raxSize(h, rax)).toBe(0);
      raxFree(h, rax);
      expect(allocator.usedBytes).toBe(base);
    }
  });

  it('gives every value to the function that frees values', () => {
    const { heap: h, allocator } = structureLab('rax free');
    const base = allocator.usedBytes;
    const rax = raxNew(h);
    for (let i = 0; i < 500; i++) {
      const bytes = bytesOf(`key ${i}`);
      raxInsert(h, rax, bytes, 0, bytes.length, h.alloc(40));
    }
    expect(raxNodeCount(h, rax)).toBeGreaterThan(500);
    raxFree(h, rax, (heap, value) => heap.free(value));
    expect(allocator.usedBytes).toBe(base);
  });

  it('stays whole when memory runs out at any allocation', () => {
    const { heap: h, allocator } = structureLab('rax memory');
    const real = allocator.alloc.bind(allocator);
    let left = Number.POSITIVE_INFINITY;
    allocator.alloc = (bytes: number) => (left-- > 0 ? real(bytes) : 0);
    const base = allocator.usedBytes;
    const random = seededRandom('rax memory');
    const rax = raxNew(h);
    const model = new Set<string>();
    let failures = 0;
    for (let i = 0; i < 4_000; i++) {
      const key = someKey(random);
      const bytes = bytesOf(key);
      left = random.nextBelow(4);
      try {
        if (random.nextBelow(3) === 0) {
          raxRemove(h, rax, bytes, 0, bytes.length);
          model.delete(key);
        } else {
          raxInsert(h, rax, bytes, 0, bytes.length, 8);
          model.add(key);
        }
      } catch (error) {
        expect(error).toBeInstanceOf(ArenaExhausted);
        failures++;
      }
      raxVerify(h, rax);
      expect(raxSize(h, rax)).toBe(model.size);
    }
    expect(failures).toBeGreaterThan(50);
    raxFree(h, rax);
    expect(allocator.usedBytes).toBe(base);
  });

  it('takes the room that the original takes for the keys of a stream', () => {
    const lab = structureLab('rax room', 'upstream');
    const base = lab.allocator.usedBytes;
    const rax = raxNew(lab.heap);
    expect(lab.allocator.usedBytes - base).toBe(24 + 8);
    const key = new Uint8Array(16);
    raxInsert(lab.heap, rax, key, 0, 16, 8);
    // One compressed node of 16 bytes above a leaf with a value.
    expect(lab.allocator.usedBytes - base).toBe(24 + 32 + 16);
    expect(raxNodeCount(lab.heap, rax)).toBe(2);
    raxFree(lab.heap, rax);
  });
});
