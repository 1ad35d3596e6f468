import { describe, expect, it } from 'vitest';
import type { Random } from '../../engines/ports.ts';
import { CommandMaker } from '../conformance/memcached-commands.ts';
import { InProcess } from '../memcached/in-process.ts';
import { seededRandom } from '../support/seed.ts';

const ROUNDS = 60;
const ARENA_BYTES = 256 * 1024 * 1024;

/** Cuts bytes at random places: mostly small pieces, now and then a large one. */
function slices(bytes: Buffer, random: Random): Buffer[] {
  const pieces: Buffer[] = [];
  for (let at = 0; at < bytes.length; ) {
    const length = random.nextBelow(4) === 0 ? 1 + random.nextBelow(20_000) : 1 + random.nextBelow(40);
    pieces.push(bytes.subarray(at, at + length));
    at += length;
  }
  return pieces;
}

/** Changes, drops or inserts a few bytes. */
function mutate(bytes: Buffer, random: Random): Buffer {
  const parts: Buffer[] = [];
  let at = 0;
  for (let i = random.nextBelow(6); i > 0; i--) {
    const next = Math.min(bytes.length, at + random.nextBelow(200));
    parts.push(bytes.subarray(at, next));
    const kind = random.nextBelow(3);
    if (kind === 0) parts.push(Buffer.from([random.nextBelow(256)]));
    if (kind === 1)
      parts.push(Buffer.from(['\r\n', ' ', '\0', '\n', '-1', '99999999999'][random.nextBelow(6)]!, 'latin1'));
    at = kind === 2 ? next : Math.min(bytes.length, next + 1 + random.nextBelow(3));
  }
  parts.push(bytes.subarray(at));
  return Buffer.concat(parts);
}

describe('bytes in random slices', () => {
  for (const kind of ['ascii', 'binary'] as const) {
    it(`are answered as the same ${kind} bytes in one piece, broken or not`, () => {
      const random = seededRandom(`${kind} bytes in slices`);
      const maker = new CommandMaker(random, 40);
      const whole = new InProcess({ lruMaintainer: false, lruSegmented: false }, ARENA_BYTES);
      const cut = new InProcess({ lruMaintainer: false, lruSegmented: false }, ARENA_BYTES);
      const out = new Uint8Array(1_000);
      for (let round = 0; round < ROUNDS; round++) {
        const one = whole.open();
        const two = cut.open();
        const commands = Array.from({ length: 20 }, () =>
          kind === 'ascii' ? Buffer.from(maker.ascii(), 'latin1') : Buffer.from(maker.binary(out)),
        );
        let bytes: Buffer = Buffer.concat(commands);
        // Whether an over-long line is put up with depends on how much of it comes at once: such lines are left out.
        if (round % 2 === 1 && bytes.every((_, i) => i < 2_000 || bytes.subarray(i - 2_000, i).includes(10))) {
          bytes = mutate(bytes, random);
        }
        whole.feed(one, bytes);
        for (const piece of slices(bytes, random)) cut.feed(two, piece);
        const left = whole.take(one);
        const right = cut.take(two);
        if (kind === 'ascii' || round % 2 === 0) {
          expect(right.toString('latin1'), `round ${round}`).toBe(left.toString('latin1'));
          expect(cut.isClosed(two)).toBe(whole.isClosed(one));
        }
        whole.hangUp(one);
        cut.hangUp(two);
        whole.core.verify();
        cut.core.verify();
        expect(cut.released).toBe(cut.lent);
        // Binary replies in one batch hold items longer, which an incr can tell: both start anew.
        if (kind === 'binary') {
          for (const server of [whole, cut]) server.send(server.open(), 'flush_all\r\n');
        }
      }
    });
  }

  it('of pure noise neither crash nor leak', () => {
    const random = seededRandom('noise');
    const server = new InProcess({ maxBytes: 4 * 1024 * 1024 }, ARENA_BYTES);
    for (let round = 0; round < 300; round++) {
      const conn = server.open();
      const bytes = Buffer.alloc(1 + random.nextBelow(3_000));
      for (let i = 0; i < bytes.length; i++) bytes[i] = random.nextBelow(256);
      if (round % 2 === 0) bytes[0] = 0x80;
      for (const piece of slices(bytes, random)) if (!server.isClosed(conn)) server.feed(conn, piece);
      server.hangUp(conn);
      server.core.verify();
    }
  });
});
