/**
 * Servers as processes are sent random requests, whole and damaged, in random slices over sockets: one server gets each stream in
 * one piece, its twin gets it sliced, and both must answer alike. So loop, buffers, direct reads and parsers are tried together.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { OP_APPEND, OP_DELETE, OP_GET, OP_SET } from '../../engines/memcached/protocol/binary.ts';
import { binaryConcat, binaryGet, binaryStore } from '../../engines/memcached/protocol/encode.ts';
import type { Random } from '../../engines/ports.ts';
import { destroyPeers, Peer, shorten, subjects, Victim } from '../support/hostile.ts';
import { encodeCommand } from '../support/resp-client.ts';
import { seededRandom } from '../support/seed.ts';
import { sleep, until } from '../support/wait.ts';

const ROUNDS = 25;
const REQUESTS = 12;
/** Values of these sizes take every way in: kept, grown, read directly, and several reads of the system. */
const SIZES = [0, 1, 20, 1_000, 20_000, 40_000, 70_000, 200_000];

interface Protocol {
  title: string;
  server: 'redis' | 'memcached';
  request: (random: Random) => Buffer;
  barrier: [string, string];
}

const pick = <T>(random: Random, from: readonly T[]): T => from[random.nextBelow(from.length)]!;
const key = (random: Random): string => `key${random.nextBelow(8)}`;

/** Bytes among which those that mean something to a parser are frequent. */
function value(random: Random): Buffer {
  const bytes = Buffer.alloc(pick(random, SIZES));
  for (let i = 0; i < bytes.length; i++) bytes[i] = i % 7 === 0 ? random.nextBelow(256) : 120;
  if (bytes.length > 8) bytes.write('\r\n$1\r\n*\0', random.nextBelow(bytes.length - 8), 'latin1');
  return bytes;
}

function respRequest(random: Random): Buffer {
  switch (random.nextBelow(8)) {
    case 0:
    case 1:
      return encodeCommand(['SET', key(random), value(random)]);
    case 2:
      return encodeCommand(['GET', key(random)]);
    case 3:
      return encodeCommand(['ECHO', value(random)]);
    case 4:
      return encodeCommand(['MSET', key(random), value(random), key(random), value(random)]);
    case 5:
      return encodeCommand(['STRLEN', key(random)]);
    case 6:
      return Buffer.from(`${pick(random, ['set', 'GET', 'echo'])} ${key(random)} "a\\x41 b"\r\n`);
    default:
      return Buffer.from(pick(random, ['\r\n', '*0\r\n', 'PING\n', '*-1\r\n', '*1\r\n$4\r\nPING\r\n']));
  }
}

function asciiRequest(random: Random): Buffer {
  const data = value(random);
  switch (random.nextBelow(6)) {
    case 0:
    case 1:
      return Buffer.concat([Buffer.from(`set ${key(random)} 5 0 ${data.length}\r\n`), data, Buffer.from('\r\n')]);
    case 2:
      return Buffer.concat([Buffer.from(`append ${key(random)} 0 0 ${data.length}\r\n`), data, Buffer.from('\r\n')]);
    case 3:
      return Buffer.from(`get ${key(random)} ${key(random)}\r\n`);
    case 4:
      return Buffer.from(`${pick(random, ['delete', 'incr', 'get'])} ${key(random)} 1\r\n`);
    default:
      return Buffer.from(pick(random, ['\r\n', 'version\r\n', 'foo\n', 'mn\r\n', 'get\r\n']));
  }
}

function binaryRequest(random: Random): Buffer {
  const name = Buffer.from(key(random));
  const data = value(random);
  const out = new Uint8Array(200);
  switch (random.nextBelow(5)) {
    case 0:
    case 1: {
      const end = binaryStore(out, 0, name, 0, name.length, 5, 0, data.length, 9, OP_SET);
      return Buffer.concat([out.subarray(0, end), data]);
    }
    case 2: {
      const end = binaryConcat(out, 0, OP_APPEND, name, 0, name.length, data.length, 9);
      return Buffer.concat([out.subarray(0, end), data]);
    }
    case 3:
      return Buffer.from(out.subarray(0, binaryGet(out, 0, name, 0, name.length, 9, OP_DELETE)));
    default:
      return Buffer.from(out.subarray(0, binaryGet(out, 0, name, 0, name.length, 9, OP_GET)));
  }
}

const VERSION: [string, string] = ['version\r\n', 'VERSION 1.6.18\r\n'];
const protocols: Protocol[] = [
  { title: 'RESP', server: 'redis', request: respRequest, barrier: ['PING\r\n', '+PONG\r\n'] },
  { title: 'memcached ASCII', server: 'memcached', request: asciiRequest, barrier: VERSION },
  { title: 'memcached binary', server: 'memcached', request: binaryRequest, barrier: VERSION },
];

/** Every other stream is damaged in a few places. */
function stream(random: Random, protocol: Protocol): Buffer {
  const bytes = Buffer.concat(Array.from({ length: REQUESTS }, () => protocol.request(random)));
  if (random.nextBelow(2) === 0) {
    for (let i = random.nextBelow(4); i >= 0; i--) bytes[random.nextBelow(bytes.length)] = random.nextBelow(256);
  }
  return bytes;
}

/** Cuts bytes into at most some 40 slices, of which many are tiny. */
function slices(random: Random, bytes: Buffer): Buffer[] {
  const pieces: Buffer[] = [];
  for (let at = 0; at < bytes.length; ) {
    const many = pieces.length < 40 ? pick(random, [1, 3, 40, 5_000, 100_000]) : bytes.length;
    const length = 1 + random.nextBelow(many);
    pieces.push(bytes.subarray(at, at + length));
    at += length;
  }
  return pieces;
}

/** The embedded server with the title's loop, on which both twins run. */
const loops = (server: 'redis' | 'memcached') =>
  subjects(
    server === 'redis' ? 'redis-server' : 'memcached',
    (port) => (server === 'redis' ? ['redis', '--port', String(port)] : ['memcached', '-p', String(port), '-t', '1']),
    () => [],
  ).filter(({ real }) => !real);

const setups = protocols.flatMap((protocol) =>
  loops(protocol.server).map((subject) => ({ ...protocol, ...subject, name: `${protocol.title}, ${subject.title}` })),
);

describe.each(setups)('Slices on the wire: $name', (setup) => {
  const victims: Victim[] = [];
  const controls: Peer[] = [];
  beforeAll(async () => {
    for (let i = 0; i < 2; i++) {
      victims.push(await Victim.start(setup.command));
      controls.push(await Peer.connect(victims[i]!.port));
    }
  });
  afterAll(async () => {
    destroyPeers(null);
    for (const victim of victims) await victim.stop();
  });

  async function answer(twin: number, pieces: Buffer[]): Promise<Peer> {
    const peer = await Peer.connect(victims[twin]!.port);
    for (const [i, piece] of pieces.entries()) {
      await peer.write(piece);
      // Now and then the server is given the time to meet a slice alone.
      if (i % 4 === 0) await sleep(0);
    }
    await controls[twin]!.ask(...setup.barrier);
    await controls[twin]!.ask(...setup.barrier);
    return peer;
  }

  it('are answered as in one piece', async () => {
    const random = seededRandom(setup.name);
    for (let round = 0; round < ROUNDS; round++) {
      const bytes = stream(random, setup);
      const whole = await answer(0, [bytes]);
      const sliced = await answer(1, slices(random, bytes));
      const alike = (): boolean => whole.length === sliced.length && whole.closed === sliced.closed;
      await until('both have answered alike', alike, 2_000).catch(() => {});
      await sleep(2);
      const seen = (peer: Peer) => ({ reply: shorten(peer.text()), closed: peer.closed });
      // A broken frame closes the connection, and replies of its batch that have not left are lost with it: in slices more have left.
      const lost =
        setup.name.startsWith('memcached binary') &&
        whole.closed &&
        sliced.closed &&
        sliced.text().startsWith(whole.text());
      if (!lost) {
        expect(seen(sliced), `round ${round}: ${shorten(bytes.toString('latin1'))}`).toEqual(seen(whole));
        expect(sliced.text()).toBe(whole.text());
      }
      whole.destroy();
      sliced.destroy();
    }
    expect(victims.every(({ alive }) => alive)).toBe(true);
  });
});
