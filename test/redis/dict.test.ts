import { describe, expect, it } from 'vitest';
import { createRandom } from '../../engines/base/random.ts';
import { createArena } from '../../engines/memory/arena.ts';
import { createJemalloc } from '../../engines/memory/jemalloc.ts';
import { dictCreate, dictDelete, dictFind, dictInsert, dictRelease } from '../../engines/redis/structures/dict.ts';
import { dictVerify } from '../../engines/redis/structures/dict-check.ts';
import {
  DICT_TYPE_DB,
  dictIsRehashing,
  dictKey,
  dictSetValue,
  dictSize,
  dictTableSize,
  dictValue,
} from '../../engines/redis/structures/dict-layout.ts';
import { dictNeedsResize, dictRehash, dictResize } from '../../engines/redis/structures/dict-rehash.ts';
import {
  dictFairRandomEntry,
  dictRandomEntry,
  dictSampleEntries,
  dictScan,
} from '../../engines/redis/structures/dict-sample.ts';
import { Heap } from '../../engines/redis/structures/heap.ts';
import { createEncodedString, robjIntNumber } from '../../engines/redis/structures/robj.ts';
import { sdsLen, sdsNewLen } from '../../engines/redis/structures/sds.ts';
import { seededRandom } from '../support/seed.ts';

const ARENA_BYTES = 32 * 1024 * 1024;

function setup(seed: string) {
  const memory = createArena({ byteLength: ARENA_BYTES });
  const allocator = createJemalloc(memory, { classes: 'debian' });
  const heap = new Heap(allocator, createRandom(seed));
  heap.mayShareIntegers = false;
  const text = memory.takePages(1);
  const put = (key: string): number => {
    heap.putLatin1(key, text);
    return text;
  };
  const set = (d: number, key: string, value: number) => {
    const entry = dictInsert(heap, d, sdsNewLen(heap, put(key), key.length));
    const digits = String(value);
    dictSetValue(heap, entry, createEncodedString(heap, put(digits), digits.length));
  };
  const keyOf = (entry: number) => heap.latin1(dictKey(heap, entry), sdsLen(heap, dictKey(heap, entry)));
  return { heap, allocator, put, set, keyOf };
}

describe('the dict', () => {
  it('samples each entry of a chain as often, also where the wanted number is reached within the chain', () => {
    const { heap, set, keyOf } = setup('chain');
    const d = dictCreate(heap, DICT_TYPE_DB);
    // Four keys in four buckets: most seeds of the hash put several into one chain.
    for (let i = 0; i < 4; i++) set(d, `key:${i}`, i);
    const chains: string[][] = [];
    let chain: string[] = [];
    let cursor = 0;
    do {
      chain = [];
      cursor = dictScan(heap, d, cursor, (entry) => chain.push(keyOf(entry)));
      chains.push(chain);
    } while (cursor !== 0);
    const long = chains.reduce((a, b) => (b.length > a.length ? b : a));
    expect(long.length, 'entries of a chain').toBeGreaterThan(1);
    const into = new Float64Array(1);
    const draw = {
      sample: () => {
        expect(dictSampleEntries(heap, d, into, 1)).toBe(1);
        return into[0];
      },
      fair: () => dictFairRandomEntry(heap, d),
    };
    for (const [name, entryOf] of Object.entries(draw)) {
      const times = new Map<string, number>(long.map((key) => [key, 0]));
      let draws = 0;
      for (let i = 0; i < 10_000; i++) {
        const key = keyOf(entryOf());
        if (!times.has(key)) continue;
        times.set(key, times.get(key)! + 1);
        draws++;
      }
      for (const [key, drawn] of times) expect(drawn / draws, `${name} ${key}`).toBeCloseTo(1 / long.length, 1);
    }
  });

  it('does not grow the table of a database beyond the memory limit while its chains are short', () => {
    const { heap, allocator, set } = setup('limit');
    const d = dictCreate(heap, DICT_TYPE_DB);
    for (let i = 0; i < 1_024; i++) set(d, `key:${i}`, i);
    expect(dictTableSize(heap, d, 0)).toBe(1_024);
    heap.maxmemory = allocator.usedBytes;
    let keys = 1_024;
    for (; !dictIsRehashing(heap, d); keys++) set(d, `key:${keys}`, keys);
    // The original's load factor, at which it grows in any case, is 1.618.
    expect(keys - 1).toBe(Math.ceil(1_024 * 1.618));
    dictRelease(heap, d);
  });

  it('does what a Map does, through growing, shrinking and rehashing', { timeout: 60_000 }, () => {
    const random = seededRandom('dict');
    const { heap, allocator, put, set, keyOf } = setup('dict');
    const before = allocator.usedBytes;
    const d = dictCreate(heap, DICT_TYPE_DB);
    const model = new Map<string, number>();
    for (let step = 0; step < 40_000; step++) {
      const key = `key:${random.nextBelow(step % 10_000 < 5_000 ? 3_000 : 50)}`;
      const dice = random.nextBelow(10);
      if (dice < 4) {
        const entry = dictFind(heap, d, put(key), key.length);
        expect(entry !== 0).toBe(model.has(key));
        if (entry !== 0) expect(robjIntNumber(heap, dictValue(heap, entry))).toBe(model.get(key));
        else {
          set(d, key, step);
          model.set(key, step);
        }
      } else if (dice < 8) {
        expect(dictDelete(heap, d, put(key), key.length)).toBe(model.delete(key));
      } else if (dice === 8 && model.size > 0) {
        expect(model.has(keyOf(dictRandomEntry(heap, d)))).toBe(true);
        expect(model.has(keyOf(dictFairRandomEntry(heap, d)))).toBe(true);
      } else if (dictNeedsResize(heap, d)) {
        dictResize(heap, d);
      } else if (dice === 9) {
        dictRehash(heap, d, 1);
      }
      expect(dictSize(heap, d)).toBe(model.size);
      if (step % 500 === 0) dictVerify(heap, d);
    }
    dictVerify(heap, d);
    dictRelease(heap, d);
    expect(allocator.usedBytes).toBe(before);
  });

  it('passes every key that stays in a scan, however the table is resized in between', { timeout: 60_000 }, () => {
    const random = seededRandom('dict scan');
    for (let round = 0; round < 60; round++) {
      const { heap, put, set, keyOf } = setup(`scan ${round}`);
      const d = dictCreate(heap, DICT_TYPE_DB);
      const stays = new Set<string>();
      for (let i = 0; i < 20 + random.nextBelow(300); i++) {
        set(d, `stay:${i}`, i);
        stays.add(`stay:${i}`);
      }
      const seen = new Set<string>();
      let cursor = 0;
      let others = 0;
      let removed = 0;
      do {
        cursor = dictScan(heap, d, cursor, (entry) => seen.add(keyOf(entry)));
        if (random.nextBelow(3) === 0) for (let i = random.nextBelow(200); i > 0; i--) set(d, `other:${others++}`, 1);
        if (random.nextBelow(3) === 0) {
          for (let i = random.nextBelow(400); i > 0 && removed < others; i--, removed++) {
            dictDelete(heap, d, put(`other:${removed}`), `other:${removed}`.length);
          }
        }
        if (dictNeedsResize(heap, d)) dictResize(heap, d);
        if (random.nextBelow(2) === 0) dictRehash(heap, d, random.nextBelow(50));
      } while (cursor !== 0 && seen.size < 100_000);
      for (const key of stays) expect(seen.has(key), key).toBe(true);
    }
  });

  it('starts with four buckets, doubles when full and rehashes a bucket an operation', () => {
    const { heap, put, set } = setup('growth');
    const d = dictCreate(heap, DICT_TYPE_DB);
    for (let i = 0; i < 4; i++) set(d, `k${i}`, i);
    expect([dictTableSize(heap, d, 0), dictTableSize(heap, d, 1)]).toEqual([4, 0]);
    set(d, 'k4', 4);
    expect([dictTableSize(heap, d, 0), dictTableSize(heap, d, 1)]).toEqual([4, 8]);
    for (let i = 0; i < 4; i++) dictFind(heap, d, put('k0'), 2);
    expect(dictIsRehashing(heap, d)).toBe(false);
    expect(dictTableSize(heap, d, 0)).toBe(8);
  });
});
