import { expect, it } from 'vitest';
import { murmur64, murmurHigh, murmurLow } from '../../../engines/redis/structures/murmur.ts';
import { seededRandom } from '../../support/seed.ts';
import { structureLab } from './lab.ts';

/** The hash once more, in plain 64-bit arithmetic. */
function model(bytes: Buffer, seed: bigint): bigint {
  const m = 0xc6a4a7935bd1e995n;
  const times = (a: bigint) => BigInt.asUintN(64, a * m);
  let h = seed ^ times(BigInt(bytes.length));
  let at = 0;
  for (; at + 8 <= bytes.length; at += 8) {
    let k = times(bytes.readBigUInt64LE(at));
    k ^= k >> 47n;
    h = times(h ^ times(k));
  }
  if (at < bytes.length) {
    const tail = Buffer.alloc(8);
    bytes.copy(tail, 0, at);
    h = times(h ^ tail.readBigUInt64LE());
  }
  h = times(h ^ (h >> 47n));
  return h ^ (h >> 47n);
}

it('hashes as 64-bit arithmetic does', () => {
  const random = seededRandom('murmur');
  const { heap, put } = structureLab('murmur');
  for (let i = 0; i < 3_000; i++) {
    const bytes = Buffer.from(Array.from({ length: random.nextBelow(40) }, () => random.nextBelow(256)));
    murmur64(heap, put(bytes.toString('latin1')), bytes.length, 0xadc83b19 | 0);
    const hash = (BigInt(murmurHigh >>> 0) << 32n) | BigInt(murmurLow >>> 0);
    expect(hash).toBe(model(bytes, 0xadc83b19n));
  }
});
