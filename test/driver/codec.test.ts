import { describe, expect, test } from 'vitest';
import {
  type Codec,
  type KeyValueWriter,
  REPLY_BROKEN,
  REPLY_ERROR,
  REPLY_FINE,
  REPLY_HIT,
  REPLY_INCOMPLETE,
  REPLY_MISS,
  REPLY_REFUSED,
} from '../../harness/driver/codec.ts';
import { MemcachedAsciiCodec, MemcachedBinaryCodec } from '../../harness/driver/codec-memcached.ts';
import { RespCodec } from '../../harness/driver/codec-resp.ts';
import {
  OP_ADD,
  OP_APPEND,
  OP_DELETE,
  OP_GET,
  OP_INCR,
  OP_MGET,
  OP_MSET,
  OP_REPLACE,
  OP_SET,
  OP_TOUCH,
} from '../../harness/workload/operation.ts';
import { seededRandom } from '../support/seed.ts';

/** Keys "k0", "k1", …; values of "v" as long as asked. */
const data: KeyValueWriter = {
  keyLength: (index) => `k${index}`.length,
  valueBytesOf: (index) => index + 1,
  writeKey: (u8, offset, index) => offset + Buffer.from(u8.buffer, u8.byteOffset).write(`k${index}`, offset, 'latin1'),
  writeValue: (u8, offset, _index, bytes) => {
    u8.fill(118, offset, offset + bytes);
    return offset + bytes;
  },
  checkValue: () => true,
};

interface Asked {
  kind: number;
  keys: number;
}

/** Reads the replies to these operations as the driver does; the input arrives in pieces that end at `cuts`. */
function outcomes(codec: Codec, bytes: Buffer, asked: readonly Asked[], cuts: readonly number[]): string[] {
  const seen: string[] = [];
  let at = 0;
  let operation = 0;
  let replies = 0;
  for (const end of [...cuts, bytes.length]) {
    while (at < end && operation < asked.length) {
      const { kind, keys } = asked[operation]!;
      const found = codec.parse(bytes, at, end, kind, keys, replies);
      if (found === REPLY_INCOMPLETE) break;
      if (found === REPLY_BROKEN) return [...seen, 'broken'];
      const value =
        found === REPLY_HIT ? bytes.toString('latin1', codec.valueAt, codec.valueAt + codec.valueBytes) : '';
      const text = found === REPLY_ERROR ? bytes.toString('latin1', codec.textAt, codec.textAt + codec.textBytes) : '';
      seen.push(`${operation}:${found}${value}${text}${codec.last ? '.' : ''}`);
      if (codec.nextAt <= at) throw new Error('the parser does not move on');
      at = codec.nextAt;
      replies++;
      if (codec.last) {
        operation++;
        replies = 0;
      }
    }
  }
  return seen;
}

function request(codec: Codec, kind: number, keys: number[], valueBytes: number, ttlS: number): string {
  const u8 = new Uint8Array(
    codec.room(
      kind,
      keys.length,
      keys.reduce((sum, key) => sum + key + 1, valueBytes),
    ),
  );
  const end = codec.encode(u8, 0, kind, Uint32Array.from(keys), 0, keys.length, valueBytes, ttlS, 1);
  return Buffer.from(u8.subarray(0, end)).toString('latin1');
}

function binary(opcode: number, status: number, opaque: number, body: string, extras = 0): string {
  const header = Buffer.alloc(24);
  header[0] = 0x81;
  header[1] = opcode;
  header[4] = extras;
  header.writeUInt16BE(status, 6);
  header.writeUInt32BE(body.length, 8);
  header.writeUInt32BE(opaque, 12);
  return header.toString('latin1') + body;
}

const CASES: { name: string; codec: Codec; replies: string; asked: Asked[]; expected: string[] }[] = [
  {
    name: 'RESP',
    codec: new RespCodec(data, true),
    replies: [
      '$5\r\nhello\r\n',
      '$-1\r\n',
      '$0\r\n\r\n',
      '+OK\r\n',
      '$-1\r\n',
      ':0\r\n',
      ':1\r\n',
      ':17\r\n',
      '*3\r\n$1\r\na\r\n$-1\r\n$13\r\n\r\n\r\n$-1\r\n\r\n\r\n\r\n',
      '-ERR no\r\n',
      '+OK\r\n-OOM full\r\n+OK\r\n',
      '-WRONGTYPE x\r\n',
    ].join(''),
    asked: [
      { kind: OP_GET, keys: 1 },
      { kind: OP_GET, keys: 1 },
      { kind: OP_GET, keys: 1 },
      { kind: OP_SET, keys: 1 },
      { kind: OP_ADD, keys: 1 },
      { kind: OP_DELETE, keys: 1 },
      { kind: OP_TOUCH, keys: 1 },
      { kind: OP_INCR, keys: 1 },
      { kind: OP_MGET, keys: 3 },
      { kind: OP_MGET, keys: 3 },
      { kind: OP_MSET, keys: 3 },
      { kind: OP_GET, keys: 1 },
    ],
    expected: [
      `0:${REPLY_HIT}hello.`,
      `1:${REPLY_MISS}.`,
      `2:${REPLY_HIT}.`,
      `3:${REPLY_FINE}.`,
      `4:${REPLY_REFUSED}.`,
      `5:${REPLY_REFUSED}.`,
      `6:${REPLY_FINE}.`,
      `7:${REPLY_FINE}.`,
      `8:${REPLY_FINE}`,
      `8:${REPLY_HIT}a`,
      `8:${REPLY_MISS}`,
      `8:${REPLY_HIT}\r\n\r\n$-1\r\n\r\n\r\n.`,
      `9:${REPLY_ERROR}ERR no.`,
      `10:${REPLY_FINE}`,
      `10:${REPLY_ERROR}OOM full`,
      `10:${REPLY_FINE}.`,
      `11:${REPLY_ERROR}WRONGTYPE x.`,
    ],
  },
  {
    name: 'memcached ASCII',
    codec: new MemcachedAsciiCodec(data),
    replies: [
      'VALUE k1 0 5\r\nEND\r\n\r\nEND\r\n',
      'END\r\n',
      'STORED\r\n',
      'NOT_STORED\r\n',
      'NOT_FOUND\r\n',
      'TOUCHED\r\n',
      '18\r\n',
      'VALUE k1 0 1\r\na\r\nVALUE k3 0 0\r\n\r\nEND\r\n',
      'STORED\r\nSERVER_ERROR out of memory storing object\r\nSTORED\r\n',
      'ERROR\r\n',
    ].join(''),
    asked: [
      { kind: OP_GET, keys: 1 },
      { kind: OP_GET, keys: 1 },
      { kind: OP_SET, keys: 1 },
      { kind: OP_APPEND, keys: 1 },
      { kind: OP_DELETE, keys: 1 },
      { kind: OP_TOUCH, keys: 1 },
      { kind: OP_INCR, keys: 1 },
      { kind: OP_MGET, keys: 3 },
      { kind: OP_MSET, keys: 3 },
      { kind: OP_GET, keys: 1 },
    ],
    expected: [
      `0:${REPLY_HIT}END\r\n`,
      `0:${REPLY_FINE}.`,
      `1:${REPLY_MISS}.`,
      `2:${REPLY_FINE}.`,
      `3:${REPLY_REFUSED}.`,
      `4:${REPLY_REFUSED}.`,
      `5:${REPLY_FINE}.`,
      `6:${REPLY_FINE}.`,
      `7:${REPLY_HIT}a`,
      `7:${REPLY_HIT}`,
      `7:${REPLY_FINE}.`,
      `8:${REPLY_FINE}`,
      `8:${REPLY_ERROR}SERVER_ERROR out of memory storing object`,
      `8:${REPLY_FINE}.`,
      `9:${REPLY_ERROR}ERROR.`,
    ],
  },
  {
    name: 'memcached binary',
    codec: new MemcachedBinaryCodec(data),
    replies:
      binary(0, 0, 0, '\0\0\0\0hello', 4) +
      binary(0, 1, 0, 'Not found') +
      binary(1, 0, 0, '') +
      binary(2, 2, 0, 'Data exists for key.') +
      binary(9, 0, 2, '\0\0\0\0x', 4) +
      binary(10, 0, 3, '') +
      binary(1, 0, 0, '') +
      binary(1, 0x82, 0, 'Out of memory') +
      binary(4, 1, 0, 'Not found'),
    asked: [
      { kind: OP_GET, keys: 1 },
      { kind: OP_GET, keys: 1 },
      { kind: OP_SET, keys: 1 },
      { kind: OP_ADD, keys: 1 },
      { kind: OP_MGET, keys: 3 },
      { kind: OP_MSET, keys: 2 },
      { kind: OP_DELETE, keys: 1 },
    ],
    expected: [
      `0:${REPLY_HIT}hello.`,
      `1:${REPLY_MISS}.`,
      `2:${REPLY_FINE}.`,
      `3:${REPLY_REFUSED}.`,
      `4:${REPLY_HIT}x`,
      `4:${REPLY_FINE}.`,
      `5:${REPLY_FINE}`,
      `5:${REPLY_ERROR}Out of memory.`,
      `6:${REPLY_REFUSED}.`,
    ],
  },
];

describe.each(CASES)('replies in $name', ({ codec, replies, asked, expected }) => {
  const bytes = Buffer.from(replies, 'latin1');

  test('are told apart', () => {
    expect(outcomes(codec, bytes, asked, [])).toEqual(expected);
  });

  test('mean the same however they are cut', () => {
    for (let cut = 1; cut < bytes.length; cut++) {
      expect(outcomes(codec, bytes, asked, [cut]), `cut at ${cut}`).toEqual(expected);
    }
    const each = Array.from({ length: bytes.length - 1 }, (_, i) => i + 1);
    expect(outcomes(codec, bytes, asked, each)).toEqual(expected);
  });

  test('that are damaged neither throw nor stall the reader', () => {
    const random = seededRandom('damaged replies');
    for (let round = 0; round < 3_000; round++) {
      const damaged = Buffer.from(bytes);
      for (let n = random.nextBelow(4); n >= 0; n--) damaged[random.nextBelow(damaged.length)] = random.nextBelow(256);
      const cut = random.nextBelow(damaged.length);
      const whole = outcomes(codec, damaged, asked, []);
      // Whatever the damage does, cutting the bytes anywhere must not change what is read.
      expect(outcomes(codec, damaged, asked, [cut]), `round ${round}`).toEqual(whole);
    }
  });
});

describe('requests', () => {
  test('in RESP are those of the table', () => {
    const codec = new RespCodec(data, false);
    const words = (text: string): string[] => text.split('\r\n').filter((_, i) => i > 0 && i % 2 === 0);
    const of = (kind: number, keys: number[], bytes: number, ttl: number): string =>
      words(request(codec, kind, keys, bytes, ttl))
        .join(' ')
        .trim();
    expect(request(codec, OP_GET, [7], 0, 0)).toBe('*2\r\n$3\r\nGET\r\n$2\r\nk7\r\n');
    expect(of(OP_SET, [7], 3, 0)).toBe('SET k7 vvv');
    expect(of(OP_SET, [7], 3, 60)).toBe('SET k7 vvv EX 60');
    expect(of(OP_ADD, [7], 3, 60)).toBe('SET k7 vvv EX 60 NX');
    expect(of(OP_REPLACE, [7], 3, 0)).toBe('SET k7 vvv XX');
    expect(of(OP_APPEND, [7], 3, 0)).toBe('APPEND k7 vvv');
    expect(of(OP_DELETE, [7], 0, 0)).toBe('DEL k7');
    expect(of(OP_TOUCH, [7], 0, 5)).toBe('EXPIRE k7 5');
    expect(of(OP_TOUCH, [7], 0, 0)).toBe('PERSIST k7');
    expect(of(OP_INCR, [7], 0, 0)).toBe('INCR k7');
    expect(of(OP_MGET, [1, 10], 0, 0)).toBe('MGET k1 k10');
    expect(of(OP_MSET, [1, 2], 0, 0)).toBe('MSET k1 vv k2 vvv');
    expect(request(new RespCodec(data, true), OP_MSET, [1, 2], 0, 9)).toBe(
      request(codec, OP_SET, [1], 2, 9) + request(codec, OP_SET, [2], 3, 9),
    );
  });

  test('in memcached ASCII are those of the table', () => {
    const codec = new MemcachedAsciiCodec(data);
    expect(request(codec, OP_GET, [7], 0, 0)).toBe('get k7\r\n');
    expect(request(codec, OP_SET, [7], 3, 60)).toBe('set k7 0 60 3\r\nvvv\r\n');
    expect(request(codec, OP_ADD, [7], 1, 0)).toBe('add k7 0 0 1\r\nv\r\n');
    expect(request(codec, OP_REPLACE, [7], 1, 0)).toBe('replace k7 0 0 1\r\nv\r\n');
    expect(request(codec, OP_APPEND, [7], 2, 0)).toBe('append k7 0 0 2\r\nvv\r\n');
    expect(request(codec, OP_DELETE, [7], 0, 0)).toBe('delete k7\r\n');
    expect(request(codec, OP_TOUCH, [7], 0, 5)).toBe('touch k7 5\r\n');
    expect(request(codec, OP_INCR, [7], 0, 0)).toBe('incr k7 1\r\n');
    expect(request(codec, OP_MGET, [1, 10], 0, 0)).toBe('get k1 k10\r\n');
    expect(request(codec, OP_MSET, [0, 1], 0, 0)).toBe('set k0 0 0 1\r\nv\r\nset k1 0 0 2\r\nvv\r\n');
    // Beyond 30 days memcached takes a time for an absolute one.
    const far = Number(/^set k7 0 (\d+) /.exec(request(codec, OP_SET, [7], 1, 40 * 86_400))![1]);
    expect(Math.abs(far - (Date.now() / 1_000 + 40 * 86_400))).toBeLessThan(2);
  });

  test('never need more room than they say', () => {
    for (const codec of [new RespCodec(data, false), new MemcachedAsciiCodec(data), new MemcachedBinaryCodec(data)]) {
      for (let kind = OP_GET; kind <= OP_MSET; kind++) {
        for (const keys of kind >= OP_MGET ? [[1], [1, 2, 3]] : [[999_999]]) {
          const payload = kind === OP_MSET ? keys.reduce((sum, key) => sum + key + 1, 0) : 50;
          const room = codec.room(kind, keys.length, payload);
          expect(request(codec, kind, keys, kind === OP_MSET ? 0 : 50, 1_000).length).toBeLessThanOrEqual(room);
        }
      }
    }
  });
});
