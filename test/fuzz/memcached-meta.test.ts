import { describe, expect, it } from 'vitest';
import type { Random } from '../../engines/ports.ts';
import { CommandMaker } from '../conformance/memcached-commands.ts';
import { MetaMaker } from '../conformance/memcached-meta-commands.ts';
import { InProcess, parseStats } from '../memcached/in-process.ts';
import { seededRandom, testScale } from '../support/seed.ts';

const ROUNDS = 80 * testScale;
const NOISE_ROUNDS = 400 * testScale;
const ARENA_BYTES = 256 * 1024 * 1024;
/** Bytes that a meta line is made of, the harmful among them more often than their share. */
const ALPHABET = 'mmggssddaaeenn  \r\n\r\n\0bcfhklqstuvxCDEFIJKLMNOPRSTWXZ0123456789-+=/Zm9v\x7f\x80\xff';

function slices(bytes: Buffer, random: Random): Buffer[] {
  const pieces: Buffer[] = [];
  for (let at = 0; at < bytes.length; ) {
    const length = random.nextBelow(5) === 0 ? 1 + random.nextBelow(5_000) : 1 + random.nextBelow(30);
    pieces.push(bytes.subarray(at, at + length));
    at += length;
  }
  return pieces;
}

/** Changes, inserts or drops a few bytes. */
function mutate(bytes: Buffer, random: Random): Buffer {
  const parts: Buffer[] = [];
  let at = 0;
  for (let i = random.nextBelow(8); i > 0; i--) {
    const next = Math.min(bytes.length, at + random.nextBelow(150));
    parts.push(bytes.subarray(at, next));
    if (random.nextBelow(2) === 0) {
      parts.push(Buffer.from(ALPHABET.charAt(random.nextBelow(ALPHABET.length)), 'latin1'));
    }
    at = Math.min(bytes.length, next + random.nextBelow(3));
  }
  parts.push(bytes.subarray(at));
  return Buffer.concat(parts);
}

/** Over-long lines without an end are judged by how much of them comes at once. */
function hasLongLine(bytes: Buffer): boolean {
  for (let at = 0; at < bytes.length; ) {
    const end = bytes.indexOf(10, at);
    if ((end < 0 ? bytes.length : end) - at > 2_000) return true;
    if (end < 0) return false;
    at = end + 1;
  }
  return false;
}

/** Deletes what is there and expects that nothing is left in use, in any class. */
function expectEmpty(server: InProcess): void {
  const { items } = server.core;
  for (let id = 0; id < 256; id++) {
    while (items.head(id) !== 0) items.unlink(items.head(id), items.hashOf(items.head(id)));
  }
  server.core.verify();
  const used = Object.entries(parseStats(server.send(server.open(), 'stats slabs\r\n')));
  expect(used.filter(([name, value]) => name.endsWith(':used_chunks') && value !== '0')).toEqual([]);
  expect(items.currItems).toBe(0);
  expect(items.currBytes).toBe(0);
}

describe('meta commands', () => {
  it('cut and mutated are answered as in one piece, and leave no reference behind', {
    timeout: 120_000 * testScale,
  }, () => {
    const random = seededRandom('meta commands, cut and mutated');
    const ascii = new CommandMaker(random, 30);
    const meta = new MetaMaker(random, ascii);
    const settings = { lruMaintainer: false, lruSegmented: false };
    const whole = new InProcess(settings, ARENA_BYTES);
    const cut = new InProcess(settings, ARENA_BYTES);
    for (let round = 0; round < ROUNDS; round++) {
      const commands = Array.from({ length: 30 }, () => Buffer.from(meta.next(), 'latin1'));
      let bytes: Buffer = Buffer.concat(commands);
      if (round % 2 === 1) bytes = mutate(bytes, random);
      if (hasLongLine(bytes)) continue;
      const one = whole.open();
      const two = cut.open();
      // What a batch's mg has fetched is held until its replies leave, which counting can tell: one side's batches are the other's slices.
      const calm = Buffer.from(bytes.toString('latin1').replaceAll('\nma ', '\nmx '), 'latin1');
      whole.feed(one, calm);
      for (const piece of slices(calm, random)) cut.feed(two, piece);
      expect(cut.take(two).toString('latin1'), `round ${round}`).toBe(whole.take(one).toString('latin1'));
      expect(cut.isClosed(two)).toBe(whole.isClosed(one));
      whole.hangUp(one);
      cut.hangUp(two);
      whole.core.verify();
      cut.core.verify();
      expect(cut.released).toBe(cut.lent);
    }
    expectEmpty(whole);
    expectEmpty(cut);
  });

  for (const [name, settings] of [
    ['roomy', {}],
    ['evicting', { maxBytes: 3 * 1024 * 1024 }],
    ['without CAS', { useCas: false }],
  ] as const) {
    it(`with every kind of value, truncated and abandoned, leave memory exact (${name})`, {
      timeout: 120_000 * testScale,
    }, () => {
      const random = seededRandom(`meta commands, ${name}`);
      const ascii = new CommandMaker(random, 60);
      const meta = new MetaMaker(random, ascii);
      const server = new InProcess(settings, ARENA_BYTES);
      for (let round = 0; round < ROUNDS; round++) {
        const conn = server.open();
        for (let i = 0; i < 25 && !server.isClosed(conn); i++) {
          const bytes = Buffer.from(random.nextBelow(4) === 0 ? ascii.ascii() : meta.next(), 'latin1');
          const end = random.nextBelow(30) === 0 ? random.nextBelow(bytes.length) : bytes.length;
          server.feed(conn, bytes.subarray(0, end));
          server.take(conn);
          if (end < bytes.length) break;
        }
        if (random.nextBelow(10) === 0) server.advance(1);
        server.hangUp(conn);
        server.core.verify();
        expect(server.released).toBe(server.lent);
      }
      expectEmpty(server);
    });
  }

  it('of random bytes neither crash nor leak', { timeout: 120_000 * testScale }, () => {
    const random = seededRandom('meta commands of random bytes');
    const server = new InProcess({ maxBytes: 4 * 1024 * 1024 }, ARENA_BYTES);
    for (let round = 0; round < NOISE_ROUNDS; round++) {
      const conn = server.open();
      let text = '';
      for (let i = 1 + random.nextBelow(600); i > 0; i--) text += ALPHABET.charAt(random.nextBelow(ALPHABET.length));
      // Lines that begin like a command get further.
      text = text.replaceAll('\n', () => `\n${['mg ', 'ms ', 'md ', 'ma ', 'me ', 'mn', ''][random.nextBelow(7)]}k `);
      const bytes = Buffer.from(text, 'latin1');
      for (const piece of slices(bytes, random)) if (!server.isClosed(conn)) server.feed(conn, piece);
      server.hangUp(conn);
      server.core.verify();
    }
    expectEmpty(server);
  });
});
