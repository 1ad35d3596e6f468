/** Decimals of all lengths, also where a JavaScript number is not exact any more. */
import { expect, it } from 'vitest';
import { putInt64, putUint } from '../../../engines/redis/protocol/decimal.ts';
import { seededRandom } from '../../support/seed.ts';

const u8 = new Uint8Array(40);
const text = (end: number): string => Buffer.from(u8.subarray(3, end)).toString('latin1');

it('non-negative integers are written with the digits that they have', () => {
  const random = seededRandom('decimals');
  const values = [0, 9, 10, 99, 100, 2 ** 30 - 1, 2 ** 30, 2 ** 32, 2 ** 53 - 1, 2 ** 53, 2 ** 53 + 2, 1e16, 2 ** 63];
  for (let power = 1; power < 1e19; power *= 10) values.push(power - 1, power, power + 1);
  for (let i = 0; i < 20_000; i++)
    values.push(Math.floor((random.nextU32() * 2 ** 32 + random.nextU32()) / 2 ** random.nextBelow(63)));
  for (const value of values) expect(text(putUint(u8, 3, value))).toBe(BigInt(value).toString());
});

it('integers of 64 bits are written exactly', () => {
  const random = seededRandom('decimals of 64 bits');
  for (let i = 0; i < 20_000; i++) {
    const value = BigInt.asIntN(
      64,
      ((BigInt(random.nextU32()) << 32n) | BigInt(random.nextU32())) >> BigInt(random.nextBelow(64)),
    );
    const low = Number(BigInt.asUintN(32, value));
    const high = Number(value >> 32n);
    expect(text(putInt64(u8, 3, low, high))).toBe(value.toString());
  }
});
