/** Payloads of DUMP by themselves: what they hold comes back, and no bytes of anyone harm the arena. */
import { describe, expect, it } from 'vitest';
import { crc64 } from '../../engines/base/crc64.ts';
import { lzfCompress, lzfDecompress } from '../../engines/redis/structures/lzf.ts';
import { verifyCore } from '../../engines/redis/verify.ts';
import { RespError } from '../support/resp-client.ts';
import { seededRandom } from '../support/seed.ts';
import { Loopback } from './support/loopback.ts';

const ARENA_BYTES = 32 * 1024 * 1024;
const GUARD = 0xa5;
const GUARD_BYTES = 64;

describe('LZF', () => {
  it('gives back what it compressed, and stays within its room', () => {
    const random = seededRandom('lzf');
    const u8 = new Uint8Array(200_000);
    const [from, packed, unpacked] = [1_000, 60_000, 120_000];
    let compressed = 0;
    for (let round = 0; round < 2_000; round++) {
      const length = 1 + random.nextBelow(round % 20 === 0 ? 40_000 : 400);
      const letters = 1 + random.nextBelow(round % 3 === 0 ? 256 : 4);
      for (let i = 0; i < length; i++) {
        const repeats = i > 0 && random.nextBelow(4) > 0;
        u8[from + i] = repeats ? u8[from + random.nextBelow(i)]! : random.nextBelow(letters);
      }
      const room = Math.max(1, length - 4);
      const size = lzfCompress(u8, from, length, packed, room);
      expect(size).toBeLessThanOrEqual(room);
      if (size === 0) continue;
      compressed++;
      u8.fill(GUARD, unpacked, unpacked + length + GUARD_BYTES);
      expect(lzfDecompress(u8, packed, size, unpacked, length)).toBe(length);
      expect(Buffer.compare(u8.subarray(from, from + length), u8.subarray(unpacked, unpacked + length))).toBe(0);
      expect(lzfDecompress(u8, packed, size, unpacked, length - 1)).toBe(0);
    }
    expect(compressed).toBeGreaterThan(200);
  });

  it('never writes beyond its room, whatever it is given to expand', () => {
    const random = seededRandom('lzf rubbish');
    const u8 = new Uint8Array(4_096);
    for (let round = 0; round < 20_000; round++) {
      const length = random.nextBelow(60);
      for (let i = 0; i < length; i++) u8[i] = random.nextBelow(3) === 0 ? random.nextBelow(32) : random.nextBelow(256);
      const room = random.nextBelow(600);
      u8.fill(GUARD, 1_000, 2_000);
      expect(lzfDecompress(u8, 0, length, 1_100, room)).toBeLessThanOrEqual(room);
      for (let i = 1_000; i < 1_100; i++) if (u8[i] !== GUARD) expect.fail(`byte ${i} before the room was changed`);
      for (let i = 1_100 + room; i < 2_000; i++) if (u8[i] !== GUARD) expect.fail(`byte ${i} behind it was changed`);
    }
  });
});

describe('RESTORE', () => {
  it('of random values with a right checksum leaves the data whole and loses no memory', () => {
    const random = seededRandom('restore');
    const lab = new Loopback(ARENA_BYTES);
    lab.open(0);
    const round = (): void => {
      const body = Buffer.alloc(1 + random.nextBelow(40));
      for (let i = 1; i < body.length; i++) body[i] = random.nextBelow(256);
      if (random.nextBelow(2) === 0 && body.length > 4) body[1] = 0xc3;
      const sealed = Buffer.concat([body, Buffer.from([10, 0])]);
      const sum = Buffer.alloc(8);
      sum.writeBigUInt64LE(crc64(sealed));
      const reply = lab.command(0, 'RESTORE', 'k', 0, Buffer.concat([sealed, sum]).toString('latin1'), 'REPLACE');
      if (reply instanceof RespError) expect(reply.message).toBe('ERR Bad data format');
      else expect(reply).toBe('OK');
      lab.command(0, 'DUMP', 'k');
    };
    // The first key and the first call of each command take memory that stays.
    lab.command(0, 'SET', 'k', 'v');
    round();
    lab.command(0, 'DEL', 'k');
    const before = lab.allocator.usedBytes;
    for (let i = 0; i < 3_000; i++) {
      round();
      if (i % 100 === 0) verifyCore(lab.core);
    }
    lab.command(0, 'DEL', 'k');
    expect(lab.allocator.usedBytes).toBe(before);
    lab.allocator.verify();
  });
});
