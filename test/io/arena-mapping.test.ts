/** Frozen views of an arena: what a snapshot sees, what is copied, and that nothing is lost when the copies are merged. */
import { describe, expect, it } from 'vitest';
import { ArenaMapping, countCopies, mapFrozen, PAGE_BYTES } from '../../engines/io/arena-mapping.ts';
import { addressOf, systemAvailable } from '../../engines/io/system.ts';
import { createArena, makeBuffer } from '../../engines/memory/arena.ts';
import { seededRandom } from '../support/seed.ts';

const ARENA_BYTES = 8 * 1024 * 1024;

interface Mapped {
  buffer: SharedArrayBuffer;
  words: Uint32Array;
  mapping: ArenaMapping;
  first: number;
}

function createMapped(): Mapped {
  const bytes = makeBuffer(ARENA_BYTES);
  const { buffer } = bytes;
  const mapping = ArenaMapping.create(buffer);
  if (mapping === null) throw new Error('Cannot map a memory file on this platform');
  const first = createArena({ bytes, addressOf }).takePages(1);
  return { buffer, words: new Uint32Array(buffer), mapping, first };
}

const never = () => false;

describe.skipIf(!systemAvailable())('a mapped arena', () => {
  it('shows a snapshot what was there when it was frozen, and keeps what is stored meanwhile', () => {
    const random = seededRandom('arena mapping');
    const { buffer, words, mapping } = createMapped();
    const other = makeBuffer(ARENA_BYTES).buffer;
    const model = new Uint32Array(words.length);
    // The bytes before the first whole page and behind the last are not part of the arena.
    const low = PAGE_BYTES / 4;
    const span = words.length - 2 * low;
    const store = (count: number) => {
      for (let i = 0; i < count; i++) {
        const at = low + random.nextBelow(span);
        words[at] = model[at] = random.nextU32();
      }
    };
    try {
      store(3_000);
      for (let round = 0; round < 5; round++) {
        const frozen = model.slice();
        const view = mapping.freeze();
        expect(view).not.toBeNull();
        expect(mapping.freeze(), 'a second one at the same time').toBeNull();
        store(400);
        expect(mapFrozen(other, view!)).toBe(true);
        const seen = new Uint32Array(other);
        for (let i = low; i < low + span; i++) if (seen[i] !== frozen[i]) expect.fail(`word ${i} differs`);
        store(400);
        const copies = countCopies(view!, ARENA_BYTES);
        expect(copies).toBeGreaterThan(0);
        expect(copies).toBeLessThanOrEqual(800);
        mapping.release();
        let pieces = 0;
        while (!mapping.merge(ARENA_BYTES, () => true)) {
          pieces++;
          // The engine goes on between the pieces.
          store(20);
        }
        expect(pieces).toBeGreaterThan(5);
        expect(mapping.copiedPages).toBeGreaterThanOrEqual(copies);
        for (let i = low; i < low + span; i++) if (words[i] !== model[i]) expect.fail(`word ${i} was lost`);
      }
    } finally {
      mapping.close();
    }
    expect(buffer.byteLength).toBe(ARENA_BYTES);
  });

  it('counts exactly the pages that were stored to', () => {
    const { words, mapping, first } = createMapped();
    try {
      for (let page = 0; page < 100; page++) words[(first + page * PAGE_BYTES) / 4] = page;
      const view = mapping.freeze()!;
      // Reading copies nothing; storing twice copies once.
      let sum = 0;
      for (let page = 0; page < 100; page++) sum += words[(first + page * PAGE_BYTES) / 4]!;
      expect(sum).toBe(4_950);
      for (let page = 0; page < 100; page += 4) words[(first + page * PAGE_BYTES) / 4]! += 1;
      for (let page = 0; page < 100; page += 4) words[(first + page * PAGE_BYTES) / 4]! += 1;
      expect(countCopies(view, ARENA_BYTES)).toBe(25);
      mapping.release();
      expect(mapping.merge(ARENA_BYTES, never)).toBe(true);
      expect(mapping.copiedPages).toBe(25);
      expect(mapping.ready).toBe(true);
    } finally {
      mapping.close();
    }
  });

  it('gives pages back as zeros, but not while copies are out', () => {
    const { buffer, words, mapping, first } = createMapped();
    const address = addressOf(new Uint8Array(buffer)) + first;
    try {
      words[first / 4] = 7;
      expect(mapping.purge(address, PAGE_BYTES)).toBe(true);
      expect(words[first / 4]).toBe(0);
      words[first / 4] = 8;
      mapping.freeze();
      expect(mapping.purge(address, PAGE_BYTES)).toBe(false);
      expect(words[first / 4]).toBe(8);
      mapping.release();
      expect(mapping.purge(address, PAGE_BYTES)).toBe(false);
      mapping.merge(ARENA_BYTES, never);
      expect(mapping.purge(address, PAGE_BYTES)).toBe(true);
      expect(words[first / 4]).toBe(0);
    } finally {
      mapping.close();
    }
  });
});
