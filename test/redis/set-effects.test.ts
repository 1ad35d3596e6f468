import { expect, it } from 'vitest';
import { dataDigest } from '../../engines/redis/digest.ts';
import { verifyCore } from '../../engines/redis/verify.ts';
import { seededRandom } from '../support/seed.ts';
import { Loopback } from './support/loopback.ts';

const ARENA_BYTES = 64 * 1024 * 1024;

it('writes down what was popped by chance, so that a copy of the data stays the same', () => {
  const random = seededRandom('set effects');
  const lab = new Loopback(ARENA_BYTES, () => {}, 1);
  const copy = new Loopback(ARENA_BYTES, () => {}, 2);
  for (const one of [lab, copy]) one.open(0);
  const effects: Buffer[] = [];
  lab.core.effects.listen((offset, length) => {
    effects.push(Buffer.from(lab.memory.u8.slice(offset, offset + length)));
  });
  const names = new Set<string>();
  for (let step = 0; step < 400; step++) {
    const key = `k${random.nextBelow(4)}`;
    const dice = random.nextBelow(8);
    if (dice < 3) {
      const word = random.nextBelow(2) === 0 ? '' : 'm';
      const members = Array.from({ length: 1 + random.nextBelow(1_500) }, () => `${word}${random.nextBelow(5_000)}`);
      lab.command(0, 'SADD', key, ...members);
    } else if (dice < 5) {
      lab.command(0, 'SPOP', key);
    } else if (dice < 7) {
      const size = Number(lab.command(0, 'SCARD', key));
      const some = random.nextBelow(2) === 0 ? size + 5 : random.nextBelow(size + 5);
      lab.command(0, 'SPOP', key, random.nextBelow(3) === 0 ? some : Math.floor(size * 0.95));
    } else {
      lab.command(0, 'HINCRBYFLOAT', 'h', `f${random.nextBelow(5)}`, String(random.nextFloat()));
    }
    for (const effect of effects.splice(0)) {
      for (const [name] of effect.toString('latin1').matchAll(/(?<=\r\n)[A-Z]{3,}(?=\r\n)/g)) names.add(name);
      copy.feed(0, effect);
    }
    copy.take(0);
    if (step % 20 !== 19) continue;
    expect(dataDigest(copy.core)).toBe(dataDigest(lab.core));
  }
  expect([...names].sort()).toEqual(['DEL', 'HSET', 'SADD', 'SELECT', 'SREM']);
  verifyCore(copy.core);
});
