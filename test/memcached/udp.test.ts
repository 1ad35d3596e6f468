import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { systemAvailable } from '../../engines/io/system.ts';
import { CommandMaker } from '../conformance/memcached-commands.ts';
import { requireReal } from '../support/real.ts';
import { seededRandom } from '../support/seed.ts';
import { NetworkServer, UdpClient } from './support/network-server.ts';

const TIMEOUT = { timeout: 60_000 };
const RANDOM_DATAGRAMS = 1_500;
/** Longer than this a datagram over loopback is not. */
const DATAGRAM_BYTES_MAX = 60_000;

function framed(id: number, body: Buffer | string, sequence = 0, count = 1, reserved = 0): Buffer {
  const frame = Buffer.alloc(8);
  frame.writeUInt16BE(id, 0);
  frame.writeUInt16BE(sequence, 2);
  frame.writeUInt16BE(count, 4);
  frame.writeUInt16BE(reserved, 6);
  return Buffer.concat([frame, typeof body === 'string' ? Buffer.from(body, 'latin1') : body]);
}

/** A binary request. */
function binary(opcode: number, key = '', value = '', extras = Buffer.alloc(0), opaque = 7): Buffer {
  const header = Buffer.alloc(24);
  header[0] = 0x80;
  header[1] = opcode;
  header.writeUInt16BE(key.length, 2);
  header[4] = extras.length;
  header.writeUInt32BE(extras.length + key.length + value.length, 8);
  header.writeUInt32BE(opaque, 12);
  return Buffer.concat([header, extras, Buffer.from(key + value, 'latin1')]);
}

const SET_EXTRAS = Buffer.alloc(8);
const COUNT_EXTRAS = Buffer.alloc(20);
COUNT_EXTRAS[7] = 1;

/** What is sent after each request, to know when all of its answer is there. */
const LAST = framed(0xfffe, 'version\r\n');
const MARK = framed(0xfffe, 'VERSION 1.6.18\r\n');

const set = (key: string, length: number): string => `set ${key} 0 0 ${length}\r\n${'v'.repeat(length)}\r\n`;

/** Requests whose answers are compared, in order. */
const REQUESTS: Buffer[] = [
  'version\r\n',
  set('a', 5),
  'get a\r\n',
  'get a\r\nget b\r\n',
  'get a b\r\n',
  'get b a\r\n',
  'get b b\r\n',
  'get b b a b b a b\r\n',
  'gets b a b\r\n',
  'gat 0 b a\r\n',
  // After an error replies do not leave, and a miss at the beginning of the next command is no frame of its own.
  ...['bget', 'get', 'gat', 'gat 0', 'gat x b', `get ${'k'.repeat(300)}`, `get b ${'k'.repeat(300)}`, 'gets'].map(
    (refused) => `get a\r\n${refused}\r\nget b a b\r\nget b a\r\n`,
  ),
  'version\r\nget b a\r\nget b\r\nget b a\r\n',
  `get ${'a '.repeat(60)}\r\n`,
  set('big', 5_000),
  'get big\r\n',
  'get big a big b\r\n',
  ...[1_368, 1_369, 1_370, 1_371, 1_376, 1_377].flatMap((length) => [set('e', length), 'get e\r\n']),
  set('huge', 50_000),
  'get huge\r\n',
  'append huge 0 0 5\r\nabcde\r\nget huge\r\n',
  'set a 0 0 5 noreply\r\nhello\r\n',
  'set a 0 0 5 noreply\r\nhello\r\nget a\r\n',
  'delete a noreply\r\n',
  'touch a 0 noreply\r\nversion\r\n',
  'mg big s v k\r\nmg none v\r\nmg none v q\r\nmn\r\n',
  'mg none v q\r\n',
  'ms m 2 q\r\nxx\r\n',
  'ms m 2\r\nxx\r\nmd m\r\nma m\r\n',
  'foo\r\n',
  '\r\n',
  'set a 0 0 5\r\nhelloxx\r\n',
  'get a\n',
  `get ${'k'.repeat(300)}\r\n`,
  `${'g'.repeat(3_000)}`,
  'GET / HTTP/1.0\r\n',
  'incr a 1\r\n',
  'set n 0 0 1\r\n5\r\nincr n 3\r\ndecr n 1 noreply\r\nget n\r\n',
  'verbosity 0\r\n',
  'stats bogus\r\n',
  'flush_all 100\r\n',
].map((text, i) => framed(i + 1, text));

REQUESTS.push(
  framed(7, 'get a\r\n', 0, 2),
  framed(7, 'get a\r\n', 1, 2),
  framed(7, 'get a\r\n', 0, 0),
  framed(7, 'get a\r\n', 0, 257),
  framed(7, 'get a\r\n', 5, 1, 0x0707),
  framed(7, ''),
  framed(7, 'x'),
  framed(7, 'get a'),
  framed(7, 'version\r\nget a'),
  Buffer.from([0, 9, 0]),
  Buffer.alloc(0),
  framed(7, binary(0x01, 'q', 'v', SET_EXTRAS)),
  framed(7, binary(0x00, 'q')),
  framed(7, binary(0x0a)),
  framed(7, Buffer.concat([binary(0x00, 'q'), binary(0x0a), binary(0x09, 'none'), binary(0x09, 'q')])),
  framed(7, Buffer.concat([binary(0x09, 'none'), binary(0x09, 'none'), binary(0x09, 'q'), binary(0x09, 'none')])),
  framed(7, Buffer.concat([binary(0x11, 'q', 'w', SET_EXTRAS), binary(0x11, 'q', 'x', SET_EXTRAS), binary(0x0a)])),
  ...[0x12, 0x13].flatMap((opcode) => ['q', 'none'].map((key) => framed(7, binary(opcode, key, 'v', SET_EXTRAS)))),
  ...[0x14, 0x09, 0x0c, 0x0d].flatMap((opcode) => ['m', 'none'].map((key) => framed(7, binary(opcode, key)))),
  ...[0x15, 0x16].map((opcode) => framed(7, binary(opcode, 'c', '', COUNT_EXTRAS))),
  // What a quiet get has found is held until its datagram is answered: no value is padded in place meanwhile.
  framed(7, binary(0x01, 'held', '10', SET_EXTRAS)),
  ...[0x09, 0x00].map((opcode) =>
    framed(7, Buffer.concat([binary(opcode, 'held'), binary(0x16, 'held', '', COUNT_EXTRAS), binary(0x00, 'held')])),
  ),
  framed(7, Buffer.concat([binary(0x16, 'held', '', COUNT_EXTRAS), binary(0x00, 'held')])),
  framed(7, binary(0x01, 'held', '10', SET_EXTRAS)),
  framed(7, Buffer.concat([binary(0x16, 'held', '', COUNT_EXTRAS), binary(0x00, 'held')])),
  framed(7, binary(0x00, 'held')),
  ...[0x19, 0x1a].flatMap((opcode) => ['q', 'nowhere'].map((key) => framed(7, binary(opcode, key, 'x')))),
  ...[0x1c, 0x1d, 0x1e, 0x23, 0x24].flatMap((opcode) =>
    ['q', 'nowhere'].map((key) => framed(7, binary(opcode, key, '', Buffer.alloc(4)))),
  ),
  framed(7, binary(0x00, 'huge')),
  framed(7, binary(0x10, 'bogus')),
  framed(7, binary(0x77)),
  framed(7, binary(0x0a).subarray(0, 20)),
  framed(7, Buffer.concat([binary(0x0a), Buffer.from('version\r\n')])),
  framed(7, Buffer.concat([Buffer.from('version\r\n'), binary(0x0a)])),
  // What closes a connection stands last: the original forgets to take that back for UDP and drops, from then on, what follows a reply.
  framed(7, 'version\r\nquit\r\nversion\r\n'),
  framed(7, 'quit\r\n'),
  framed(7, binary(0x00, '')),
  framed(7, binary(0x00, 'k'.repeat(251))),
  framed(7, binary(0x17)),
  framed(7, binary(0x07)),
);

const hex = (datagrams: Buffer[]): string[] => datagrams.map((bytes) => bytes.toString('latin1'));

/** Random datagrams of whole commands: what is cut short is compared nowhere, the original takes its rest from the next datagram. */
function* randomDatagrams(count: number): Generator<Buffer> {
  const random = seededRandom('random datagrams');
  const maker = new CommandMaker(random, 50);
  const out = new Uint8Array(1_000);
  for (let i = 0; i < count; i++) {
    const isBinary = random.nextBelow(2) === 0;
    const parts: Buffer[] = [];
    for (let n = 1 + random.nextBelow(4); n > 0; n--) {
      const bytes = isBinary ? Buffer.from(maker.binary(out)) : Buffer.from(wholeAscii(maker), 'latin1');
      parts.push(bytes);
    }
    const body = Buffer.concat(parts);
    if (body.length < DATAGRAM_BYTES_MAX) yield framed(1 + random.nextBelow(60_000), body);
  }
}

/** A command whose value, if any, has the length it says. */
function wholeAscii(maker: CommandMaker): string {
  for (;;) {
    const text = maker.ascii();
    const [line, ...rest] = text.split('\r\n');
    const words = line!.split(/ +/).filter((word) => word !== '');
    const isStore = ['set', 'add', 'replace', 'append', 'prepend', 'cas'].includes(words[0] ?? '');
    if (!isStore) {
      if (text.endsWith('\r\n') && !text.includes('\0')) return text;
      continue;
    }
    const valid = /^\d+$/.test(words[2] ?? '') && Number(words[2]) < 2 ** 32 && /^-?\d+$/.test(words[3] ?? '');
    if (valid && rest.length === 2 && Number(words[4]) === rest[0]!.length && rest[0]!.length < 30_000) return text;
  }
}

const loops = systemAvailable() ? (['epoll', 'libuv'] as const) : (['libuv'] as const);

describe.each(loops)('UDP on %s', (loop) => {
  let mine: NetworkServer;
  let client: UdpClient;
  beforeAll(async () => {
    mine = await NetworkServer.start('mine', ['-U', 'PORT', '--event-loop', loop, '-o', 'no_lru_maintainer']);
    client = await new UdpClient(mine.port).ready(LAST);
  }, 30_000);
  afterAll(async () => {
    client?.close();
    await mine?.stop();
  });

  it('drops what is not a whole request, and serves on', TIMEOUT, async () => {
    const truncated = [
      framed(1, 'set short 0 0 100\r\nhello\r\n'),
      framed(1, 'set large 0 0 2000000\r\nhello'),
      framed(1, binary(0x01, 'short', 'value', SET_EXTRAS).subarray(0, 40)),
      framed(1, `${'x'.repeat(40_000)}`),
    ];
    for (const request of truncated) expect(hex(await client.ask(request, LAST, MARK))).toEqual([]);
    expect(hex(await client.ask(framed(2, 'get short large\r\n'), LAST, MARK))).toEqual([
      framed(2, '', 0, 0).toString('latin1'),
      framed(2, 'END\r\n').toString('latin1'),
    ]);
    // Nobody can be sent events or dumps by UDP.
    for (const command of ['watch\r\n', 'lru_crawler metadump all\r\n']) {
      expect(hex(await client.ask(framed(3, command), LAST, MARK))).toEqual([
        framed(3, 'ERROR\r\n').toString('latin1'),
      ]);
    }
  });

  it('counts its socket among the connections and shows it', TIMEOUT, async () => {
    const tcp = await mine.connect();
    const stats = (await tcp.ask('stats conns\r\n', Buffer.from('END\r\n'))).toString();
    expect(stats).toMatch(
      new RegExp(`STAT (\\d+):UDP UDP\r\nSTAT \\1:addr udp:127.0.0.1:${mine.port}\r\nSTAT \\1:state conn_read\r\n`),
    );
    const general = (await tcp.ask('stats\r\n', Buffer.from('END\r\n'))).toString();
    expect(general).toContain('STAT curr_connections 2\r\n');
    tcp.socket.destroy();
  });

  it.skipIf(requireReal('memcached') === null)(
    'answers byte for byte as the real server, of one datagram or many',
    TIMEOUT,
    async () => {
      const real = await NetworkServer.start('real', ['-U', 'PORT', '-o', 'no_lru_maintainer', '-R', '1000']);
      const realClient = await new UdpClient(real.port).ready(LAST);
      try {
        const tcp = [await mine.connect(), await real.connect()];
        for (const each of tcp) await each.ask('flush_all\r\n', Buffer.from('OK\r\n'));
        for (const request of REQUESTS) {
          const mineSays = hex(await client.ask(request, LAST, MARK));
          // CAS ids may differ: the engine's server has stored other things before.
          const realSays = hex(await realClient.ask(request, LAST, MARK));
          expect([request.toString('latin1', 8, 80), ...mineSays]).toEqual([
            request.toString('latin1', 8, 80),
            ...realSays,
          ]);
        }
        for (const each of tcp) each.socket.destroy();
      } finally {
        realClient.close();
        await real.stop();
      }
    },
  );

  it.skipIf(requireReal('memcached') === null)(
    `answers ${RANDOM_DATAGRAMS} random datagrams as the real server`,
    TIMEOUT,
    async () => {
      const both = [
        await NetworkServer.start('real', ['-U', 'PORT', '-o', 'no_lru_maintainer', '-R', '1000']),
        await NetworkServer.start('mine', ['-U', 'PORT', '-o', 'no_lru_maintainer', '--event-loop', loop]),
      ];
      const clients = await Promise.all(both.map((server) => new UdpClient(server.port).ready(LAST)));
      try {
        let number = 0;
        for (const request of randomDatagrams(RANDOM_DATAGRAMS)) {
          const [realSays, mineSays] = await Promise.all(clients.map((each) => each.ask(request, LAST, MARK)));
          const text = `datagram ${number++}: ${request.toString('latin1', 8, 400)}`;
          expect([text, ...hex(mineSays!)]).toEqual([text, ...hex(realSays!)]);
        }
      } finally {
        for (const each of clients) each.close();
        for (const server of both) await server.stop();
      }
    },
  );
});

describe('UDP', () => {
  it('is off unless asked for', TIMEOUT, async () => {
    const server = await NetworkServer.start('mine', []);
    const client = new UdpClient(server.port);
    await expect(client.ask(framed(1, 'version\r\n'), LAST, MARK, 300)).rejects.toThrow('no answer');
    client.close();
    await server.stop();
  });
});
