import { describe, expect, it } from 'vitest';
import type { Random, Transport } from '../../engines/ports.ts';
import { BinaryRequestMaker } from '../conformance/memcached-binary-requests.ts';
import { InProcess } from '../memcached/in-process.ts';
import { seededRandom } from '../support/seed.ts';

const ROUNDS = 150;
const REQUESTS_MAX = 12;
const ARENA_BYTES = 256 * 1024 * 1024;
const OTHER_PAGES_MAX = 200;
const SETTINGS = { lruMaintainer: false, lruSegmented: false };
/** What is longer is never seen whole, and what of it is answered depends on how it was cut. */
const READ_BUFFER_BYTES = 16_384;

function slices(bytes: Buffer, random: Random): Buffer[] {
  const pieces: Buffer[] = [];
  for (let at = 0; at < bytes.length; ) {
    const length = random.nextBelow(3) === 0 ? 1 + random.nextBelow(3_000) : 1 + random.nextBelow(30);
    pieces.push(bytes.subarray(at, at + length));
    at += length;
  }
  return pieces;
}

/** Changes some bytes of a header, or drops or adds a byte somewhere. */
function damage(request: Buffer, random: Random): Buffer {
  const bytes = Buffer.from(request);
  const kind = random.nextBelow(4);
  if (kind < 2) {
    // The fields that tell lengths, the opcode and the magic byte more often than the rest.
    const at = random.nextBelow(2) === 0 ? random.nextBelow(12) : random.nextBelow(24);
    bytes[at] = random.nextBelow(3) === 0 ? random.nextBelow(256) : bytes[at]! ^ (1 << random.nextBelow(8));
    return bytes;
  }
  const at = random.nextBelow(bytes.length);
  if (kind === 2) return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + 1)]);
  return Buffer.concat([bytes.subarray(0, at), Buffer.from([random.nextBelow(256)]), bytes.subarray(at)]);
}

describe('binary requests, damaged or not', () => {
  it('are answered the same in random slices as in one piece', { timeout: 60_000 }, () => {
    const random = seededRandom('binary requests in slices');
    const maker = new BinaryRequestMaker(random, 40);
    const whole = new InProcess(SETTINGS, ARENA_BYTES);
    const cut = new InProcess(SETTINGS, ARENA_BYTES);
    for (let round = 0; round < ROUNDS; round++) {
      const requests = Array.from({ length: 1 + random.nextBelow(REQUESTS_MAX) }, () =>
        random.nextBelow(20) === 0 ? maker.fatal() : maker.sound(),
      );
      if (round % 2 === 1) {
        const at = random.nextBelow(requests.length);
        requests[at] = damage(requests[at]!, random);
      }
      const bytes = Buffer.concat(requests);
      if (bytes.length > READ_BUFFER_BYTES) continue;
      const [one, two] = [whole.open(), cut.open()];
      whole.feed(one, bytes);
      for (const piece of slices(bytes, random)) if (!cut.isClosed(two)) cut.feed(two, piece);
      const left = whole.take(one).toString('latin1');
      const right = cut.take(two).toString('latin1');
      const where = `round ${round}: ${bytes.toString('hex').slice(0, 2_000)}`;
      // Of replies in one batch with a bad magic byte those are lost that have not left yet; in slices they have.
      expect([where, cut.isClosed(two)]).toEqual([where, whole.isClosed(one)]);
      if (whole.isClosed(one)) expect([where, right.slice(0, left.length)]).toEqual([where, left]);
      else expect([where, right]).toEqual([where, left]);
      whole.hangUp(one);
      cut.hangUp(two);
      if (round % 10 === 0) {
        whole.core.verify();
        cut.core.verify();
      }
      expect(cut.released).toBe(cut.lent);
      // Items that replies of a batch hold can be told by an incr: both start anew.
      for (const server of [whole, cut]) server.send(server.open(), 'flush_all\r\n');
    }
  });

  it('neither crash nor leak, with SASL asked for', () => {
    const random = seededRandom('binary requests with SASL');
    const maker = new BinaryRequestMaker(random, 40);
    const server = new InProcess(
      { ...SETTINGS, sasl: true, protocol: 'binary', passwords: 'user:secret\n', maxBytes: 8 * 1024 * 1024 },
      ARENA_BYTES,
    );
    for (let round = 0; round < 400; round++) {
      const conn = server.open();
      const login = Buffer.from(
        '802100050000000000000011000000070000000000000000504c41494e0075736572007365637265740a',
        'hex',
      );
      const parts = [login.subarray(0, -1), maker.sound(), maker.sound()].map((part) =>
        random.nextBelow(3) === 0 ? damage(part, random) : part,
      );
      for (const piece of slices(Buffer.concat(parts), random)) if (!server.isClosed(conn)) server.feed(conn, piece);
      server.take(conn);
      server.hangUp(conn);
      if (round % 20 === 0) server.core.verify();
    }
    server.core.verify();
    expect(server.core.totals().authCmds).toBeGreaterThan(0);
    expect(server.released).toBe(server.lent);
  });
});

/** Counts the pages that are in use. */
function pagesOf(server: InProcess): { taken: number } {
  const count = { taken: 0 };
  const { memory } = server;
  const [take, give] = [memory.takePages.bind(memory), memory.givePages.bind(memory)];
  memory.takePages = (pages, align) => {
    const at = take(pages, align);
    if (at !== 0) count.taken += pages;
    return at;
  };
  memory.givePages = (at, pages) => {
    count.taken -= pages;
    give(at, pages);
  };
  return count;
}

describe('datagrams of noise', () => {
  it('are answered in frames that fit together, and leave nothing behind', { timeout: 60_000 }, () => {
    const random = seededRandom('datagrams of noise');
    const maker = new BinaryRequestMaker(random, 40);
    const server = new InProcess({ ...SETTINGS, maxBytes: 8 * 1024 * 1024 }, ARENA_BYTES);
    const { memory, core } = server;
    const sent: Buffer[] = [];
    (server as Transport).sendDatagram = (_conn, offset, length) => {
      sent.push(Buffer.from(memory.u8.slice(offset, offset + length)));
    };
    const at = memory.takePages(32);
    // The slot of a connection that has ended.
    const conn = server.open();
    server.hangUp(conn);
    core.onDatagramSocket(conn);
    const pages = pagesOf(server);
    const verbs = [
      'get',
      'gets',
      'set',
      'gat 0',
      'mg',
      'ms',
      'delete',
      'stats',
      'watch',
      'lru_crawler metadump',
      'quit',
    ];
    for (let round = 0; round < 3_000; round++) {
      const frame = Buffer.alloc(8);
      frame.writeUInt16BE(round, 0);
      frame.writeUInt16BE(random.nextBelow(20) === 0 ? random.nextBelow(3) : 1, 4);
      let body: Buffer = Buffer.alloc(random.nextBelow(200));
      for (let i = 0; i < body.length; i++) body[i] = random.nextBelow(256);
      const kind = random.nextBelow(4);
      if (kind === 1) body = damage(maker.sound(), random);
      if (kind === 2) body = Buffer.concat([maker.sound(), maker.sound(), maker.fatal(), maker.sound()]);
      if (kind === 3) {
        const keys = Array.from({ length: random.nextBelow(30) }, () => `key:${random.nextBelow(40)}`).join(' ');
        const verb = verbs[random.nextBelow(verbs.length)]!;
        body = Buffer.concat([Buffer.from(`${verb} ${keys}\r\n`), maker.sound(), body]);
      }
      const datagram = Buffer.concat([frame, body]).subarray(0, 65_507);
      const length = random.nextBelow(10) === 0 ? random.nextBelow(datagram.length) : datagram.length;
      memory.u8.set(datagram.subarray(0, length), at);
      core.onDatagram(conn, at, at + length);
      checkFrames(sent.splice(0), round);
      if (round % 100 !== 99) continue;
      core.verify();
      expect(core.transport).toBe(server);
      // Beside slabs and tables of statistics, pages are taken for one run of output; a reply's further runs are given back.
      expect(pages.taken - core.items.slabs.mallocedBytes / 4_096).toBeLessThan(OTHER_PAGES_MAX);
    }
    // Nothing is held any more.
    core.onClose(conn);
    expect(core.totals().currConnections).toBe(0);
    core.verify();
  });
});

/** Datagrams of one request: numbered from 0 for each reply, all but the last full. */
function checkFrames(datagrams: Buffer[], round: number): void {
  let next = 0;
  let count = 0;
  for (const [i, datagram] of datagrams.entries()) {
    const where = `round ${round}, datagram ${i}`;
    expect([where, datagram.readUInt16BE(0), datagram.readUInt16BE(6)]).toEqual([where, round, 0]);
    expect([where, datagram.readUInt16BE(2)]).toEqual([where, next]);
    if (next > 0) expect([where, datagram.readUInt16BE(4)]).toEqual([where, count]);
    count = datagram.readUInt16BE(4);
    const isLast = next + 1 >= count;
    if (!isLast) expect([where, datagram.length]).toEqual([where, 1_400]);
    expect(datagram.length).toBeLessThanOrEqual(1_400);
    next = isLast ? 0 : next + 1;
  }
  expect([round, next]).toEqual([round, 0]);
}
