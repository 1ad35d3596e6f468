import { describe, expect, it } from 'vitest';
import type { Heap } from '../../../engines/redis/structures/heap.ts';
import {
  LP_AFTER,
  LP_BEFORE,
  lpAppend,
  lpAppendInteger,
  lpBytes,
  lpCompare,
  lpDelete,
  lpDeleteRange,
  lpDup,
  lpEstimateBytesRepeatedInteger,
  lpFind,
  lpFirst,
  lpFree,
  lpGet,
  lpGetBytes,
  lpInsertString,
  lpIntNumber,
  lpLast,
  lpLength,
  lpMerge,
  lpNew,
  lpNewElement,
  lpNext,
  lpNextElement,
  lpPrepend,
  lpPrependInteger,
  lpPrev,
  lpRandomPairs,
  lpRandomPairsUnique,
  lpReplace,
  lpReplaceInteger,
  lpSeek,
  lpText,
  lpValidateIntegrity,
  lpVerify,
} from '../../../engines/redis/structures/listpack.ts';
import { describeReal } from '../../support/real.ts';
import { realCommand, startServer } from '../../support/redis-pair.ts';
import { seededRandom } from '../../support/seed.ts';
import { edgyText, structureLab } from './lab.ts';

function contents(h: Heap, lp: number): string[] {
  const all: string[] = [];
  for (let p = lpFirst(h, lp); p !== 0; p = lpNext(h, lp, p)) all.push(lpText(h, p));
  return all;
}

function backwards(h: Heap, lp: number): string[] {
  const all: string[] = [];
  for (let p = lpLast(h, lp); p !== 0; p = lpPrev(h, lp, p)) all.unshift(lpText(h, p));
  return all;
}

describe('the listpack', () => {
  it('does what an array of strings does', { timeout: 60_000 }, () => {
    const random = seededRandom('listpack');
    const { heap: h, allocator, put, memory } = structureLab('listpack');
    const used = allocator.usedBytes;
    const out = memory.takePages(2);
    let lp = lpNew(h, 0);
    let model: string[] = [];
    for (let step = 0; step < 20_000; step++) {
      const text = edgyText(random);
      const index = random.nextBelow(model.length + 1);
      const p = index < model.length ? lpSeek(h, lp, random.nextBelow(2) === 0 ? index : index - model.length) : 0;
      expect(p !== 0).toBe(index < model.length);
      const grow = model.length < 40 || (step % 4_000 > 2_000 && model.length < 150);
      const dice = random.nextBelow(grow ? 12 : 18);
      if (dice < 2) {
        lp = lpAppend(h, lp, put(text), text.length);
        model.push(text);
        expect(lpText(h, lpNewElement)).toBe(text);
      } else if (dice < 4) {
        lp = lpPrepend(h, lp, put(text), text.length);
        model.unshift(text);
      } else if (dice < 5) {
        const value = random.nextBelow(2 ** 32) - 2 ** 31;
        lp = step % 2 ? lpAppendInteger(h, lp, value) : lpPrependInteger(h, lp, value);
        if (step % 2) model.push(String(value));
        else model.unshift(String(value));
      } else if (dice < 8 && p !== 0) {
        const after = dice === 7;
        lp = lpInsertString(h, lp, put(text), text.length, p, after ? LP_AFTER : LP_BEFORE);
        model.splice(after ? index + 1 : index, 0, text);
        expect(lpText(h, lpNewElement)).toBe(text);
      } else if (dice < 10 && p !== 0) {
        lp = lpReplace(h, lp, p, put(text), text.length);
        model[index] = text;
      } else if (dice < 11 && p !== 0) {
        lp = lpReplaceInteger(h, lp, p, -step);
        model[index] = String(-step);
      } else if (dice < 12) {
        const found = lpFind(h, lp, lpFirst(h, lp), put(text), text.length, 0);
        const at = model.indexOf(text);
        expect(found === 0 ? -1 : contents(h, lp).indexOf(lpText(h, found))).toBe(at);
        if (found !== 0) expect(lpCompare(h, found, put(text), text.length)).toBe(true);
      } else if (dice < 16 && p !== 0) {
        lp = lpDelete(h, lp, p);
        model.splice(index, 1);
        expect(lpNextElement === 0 ? undefined : lpText(h, lpNextElement)).toBe(model[index]);
      } else if (p !== 0) {
        const count = random.nextBelow(6);
        lp = lpDeleteRange(h, lp, dice === 16 ? index : index - model.length, count);
        model.splice(index, count);
      }
      lpVerify(h, lp);
      expect(lpLength(h, lp)).toBe(model.length);
      if (step % 20 === 0) {
        expect(contents(h, lp)).toEqual(model);
        expect(backwards(h, lp)).toEqual(model);
        if (model.length > 0) {
          const one = lpSeek(h, lp, step % model.length);
          expect(h.latin1(out, lpGetBytes(h, one, out))).toBe(model[step % model.length]);
        }
      }
      if (step % 500 === 0 && model.length > 0) {
        const other = lpDup(h, lp);
        const joined = step % 1000 === 0 ? lpMerge(h, lp, other) : lpMerge(h, other, lpDelete(h, lp, lpFirst(h, lp)));
        model = step % 1000 === 0 ? [...model, ...model] : [...model, ...model.slice(1)];
        lp = joined;
        expect(contents(h, lp)).toEqual(model);
        lp = lpDeleteRange(h, lp, 20, 10_000);
        model.splice(20);
      }
    }
    lpFree(h, lp);
    expect(allocator.usedBytes).toBe(used);
  });

  it('counts beyond 65,534 elements and knows the number again when there are fewer', () => {
    const { heap: h, put } = structureLab('listpack');
    let lp = lpNew(h, 0);
    for (let i = 0; i < 70_000; i++) lp = lpAppend(h, lp, put('x'), 1);
    expect(lpLength(h, lp)).toBe(70_000);
    expect(lpText(h, lpSeek(h, lp, -70_000))).toBe('x');
    expect(lpSeek(h, lp, 70_000)).toBe(0);
    lp = lpDeleteRange(h, lp, 10, 60_000);
    expect(lpLength(h, lp)).toBe(10_000);
    lpVerify(h, lp);
  });

  it('tells how long a repeated integer is', () => {
    const { heap: h } = structureLab('listpack');
    let lp = lpNew(h, 0);
    for (let i = 0; i < 9; i++) lp = lpAppendInteger(h, lp, 100_000);
    expect(lpEstimateBytesRepeatedInteger(100_000, 9)).toBe(lpBytes(h, lp));
  });

  it('never accepts bytes that it could not walk', () => {
    const random = seededRandom('listpack bytes');
    const { heap: h, put } = structureLab('listpack');
    let accepted = 0;
    for (let round = 0; round < 20_000; round++) {
      let lp = lpNew(h, 0);
      for (let i = random.nextBelow(5); i >= 0; i--) {
        const text = edgyText(random, 130);
        lp = lpAppend(h, lp, put(text), text.length);
      }
      const size = lpBytes(h, lp);
      for (let flips = 1 + random.nextBelow(3); flips > 0; flips--) {
        h.u8[lp + random.nextBelow(size)] ^= 1 << random.nextBelow(8);
      }
      if (lpValidateIntegrity(h, lp, size, true, (p) => lpGet(h, p) || Number.isFinite(lpIntNumber))) {
        accepted++;
        expect(contents(h, lp)).toEqual(backwards(h, lp));
        expect(contents(h, lp)).toHaveLength(lpLength(h, lp));
      }
      h.free(lp);
    }
    expect(accepted).toBeGreaterThan(0);
  });

  it('draws random pairs evenly, with and without repetition', () => {
    const { heap: h, put } = structureLab('listpack pairs');
    let lp = lpNew(h, 0);
    for (let i = 0; i < 5; i++) {
      lp = lpAppend(h, lp, put(`k${i}`), 2);
      lp = lpAppendInteger(h, lp, i);
    }
    const seen = new Map<string, number>();
    const into = new Uint32Array(20);
    for (let round = 0; round < 3_000; round++) {
      lpRandomPairs(h, lp, 2, into);
      const one = lpText(h, into[0]!);
      seen.set(one, (seen.get(one) ?? 0) + 1);
      expect(lpRandomPairsUnique(h, lp, 3, into)).toBe(3);
      const unique = [...into.subarray(0, 3)].map((p) => lpText(h, p));
      expect(new Set(unique).size).toBe(3);
      seen.set(unique[1]!, (seen.get(unique[1]!) ?? 0) + 1);
    }
    expect([...seen.keys()].sort()).toEqual(['k0', 'k1', 'k2', 'k3', 'k4']);
    expect(lpRandomPairsUnique(h, lp, 9, into)).toBe(5);
  });
});

describeReal(['redis-server'], 'the listpack beside the real server', () => {
  it('has the bytes that the real server dumps', { timeout: 60_000 }, async () => {
    const random = seededRandom('listpack dump');
    const { heap: h, put, memory } = structureLab('listpack');
    const server = await startServer(realCommand(), ['--rdbcompression', 'no', '--list-max-listpack-size', '-5']);
    try {
      const client = await server.connect();
      for (let round = 0; round < 150; round++) {
        let lp = lpNew(h, 0);
        await client.command('DEL', 'l');
        for (let i = random.nextBelow(12); i >= 0; i--) {
          const text = edgyText(random);
          lp = lpAppend(h, lp, put(text), text.length);
          await client.command('RPUSH', 'l', text);
        }
        const dump = Buffer.from((await client.command('DUMP', 'l')) as string, 'latin1');
        const mine = Buffer.from(memory.u8.slice(lp, lp + lpBytes(h, lp)));
        // Behind the bytes stand the version and the checksum, before them the type, the numbers of nodes and the length.
        const theirs = dump.subarray(dump.length - 10 - mine.length, dump.length - 10);
        expect(theirs.toString('hex')).toBe(mine.toString('hex'));
        h.free(lp);
      }
      await client.close();
    } finally {
      await server.stop();
    }
  });
});
