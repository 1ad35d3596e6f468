import { createRequire } from 'node:module';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { systemAvailable } from '../../engines/io/system.ts';
import * as B from '../../engines/memcached/protocol/binary.ts';
import { binaryRequest } from '../conformance/memcached-binary-requests.ts';
import { seededRandom } from '../support/seed.ts';
import type { RawConnection } from './real-memcached.ts';
import { NetworkServer, UdpClient } from './support/network-server.ts';

const TIMEOUT = { timeout: 60_000 };
const THREADS = 4;
const CLIENTS = 8;
const ROUNDS = 60;
const BATCH = 40;
const COUNTERS = ['one', 'two', 'three'].map((name) => Buffer.from(`counter:${name}`));
const VERSIONED = ['x', 'y'].map((name) => Buffer.from(`versioned:${name}`));
const REPLY_MS = 20_000;
/** Requests by UDP, and how many of them are under way at a time. */
const IDS = 400;
const WINDOW = 8;

const NOOP = binaryRequest({ opcode: B.OP_NOOP, opaque: 0xfeedface });
const MARK = Buffer.from(NOOP);
MARK[0] = B.MAGIC_RESPONSE;

/** Extras of a count by one that begins with 0. */
const BY_ONE = Buffer.alloc(20);
BY_ONE[7] = 1;

interface Response {
  opcode: number;
  status: number;
  cas: bigint;
  value: Buffer;
}

function responsesOf(bytes: Buffer): Response[] {
  const responses: Response[] = [];
  for (let at = 0; at < bytes.length; ) {
    const skip = bytes[at + 4]! + bytes.readUInt16BE(at + 2);
    const end = at + B.BINARY_HEADER_BYTES + bytes.readUInt32BE(at + 8);
    responses.push({
      opcode: bytes[at + 1]!,
      status: bytes.readUInt16BE(at + 6),
      cas: bytes.readBigUInt64BE(at + 16),
      value: bytes.subarray(at + B.BINARY_HEADER_BYTES + skip, end),
    });
    at = end;
  }
  return responses;
}

async function ask(connection: RawConnection, requests: Buffer[]): Promise<Response[]> {
  return responsesOf(await connection.ask(Buffer.concat([...requests, NOOP]), MARK, REPLY_MS)).slice(0, -1);
}

/** A value that tells whether it is whole: its version, over and over, to a length that follows from it. */
function versionedValue(version: number): Buffer {
  const length = 8 * (1 + (version % 4_000));
  return Buffer.alloc(length, String(version).padStart(8, '0'));
}

const number = (value: Buffer): number => Number(value.toString('latin1').trim());

describe.skipIf(!systemAvailable())('binary clients of four worker threads', () => {
  let server: NetworkServer;
  beforeAll(async () => {
    // So little memory that values are evicted all the time, but the table is small enough for the hot keys to stay.
    const args = ['-t', String(THREADS), '-U', 'PORT', '-m', '64', '--verify-on-exit'];
    server = await NetworkServer.start('mine', args);
  }, 30_000);
  afterAll(async () => {
    await server.stop();
    // All of memory has been checked.
    expect(server.errors).not.toContain('Error');
    expect(await server.exited).toBe(0);
  });

  it('lose no count and no compare-and-swap, and see no torn value', TIMEOUT, async () => {
    const sums = new Map<string, number>();
    const swaps = new Map<string, number>();
    const add = (map: Map<string, number>, key: Buffer, by: number): void => {
      map.set(key.toString(), (map.get(key.toString()) ?? 0) + by);
    };
    const first = await server.connect();
    await ask(
      first,
      VERSIONED.map((key) =>
        binaryRequest({ opcode: B.OP_SET, key, extras: Buffer.alloc(8), value: versionedValue(0) }),
      ),
    );
    // Two that make a counter at the same moment would be told so, here as in the original.
    await ask(
      first,
      COUNTERS.map((key) => binaryRequest({ opcode: B.OP_INCREMENT, key, extras: BY_ONE })),
    );
    const client = async (id: number): Promise<void> => {
      const random = seededRandom(`binary threads, client ${id}`);
      const connection = await server.connect();
      for (let round = 0; round < ROUNDS; round++) {
        const requests: Buffer[] = [];
        for (let i = 0; i < BATCH; i++) {
          const key = COUNTERS[random.nextBelow(COUNTERS.length)]!;
          const opcode = random.nextBelow(2) === 0 ? B.OP_INCREMENT : B.OP_INCREMENTQ;
          requests.push(binaryRequest({ opcode, key, extras: BY_ONE }));
          add(sums, key, 1);
          const other = Buffer.from(`other:${random.nextBelow(3_000)}`);
          const value = Buffer.alloc(
            random.nextBelow(40) === 0 ? random.nextBelow(600_000) : random.nextBelow(2_000),
            'o',
          );
          const kind = random.nextBelow(4);
          if (kind === 0)
            requests.push(binaryRequest({ opcode: B.OP_SETQ, key: other, extras: Buffer.alloc(8), value }));
          if (kind === 1) requests.push(binaryRequest({ opcode: B.OP_GETKQ, key: other }));
          if (kind === 2) requests.push(binaryRequest({ opcode: B.OP_DELETEQ, key: other }));
          if (kind === 3)
            requests.push(binaryRequest({ opcode: B.OP_APPENDQ, key: other, value: value.subarray(0, 50) }));
        }
        for (const response of await ask(connection, requests)) {
          if (response.opcode === B.OP_INCREMENT) expect(response.status).toBe(B.STATUS_SUCCESS);
        }
        const key = VERSIONED[random.nextBelow(VERSIONED.length)]!;
        const [got] = await ask(connection, [binaryRequest({ opcode: B.OP_GET, key })]);
        const version = Number(got!.value.subarray(0, 8).toString('latin1'));
        expect(got!.value.equals(versionedValue(version))).toBe(true);
        const swap = {
          opcode: B.OP_SET,
          key,
          extras: Buffer.alloc(8),
          value: versionedValue(version + 1),
          cas: got!.cas,
        };
        const [done] = await ask(connection, [binaryRequest(swap)]);
        if (done!.status === B.STATUS_SUCCESS) add(swaps, key, 1);
        else expect(done!.status).toBe(B.STATUS_KEY_EEXISTS);
      }
      connection.socket.destroy();
    };
    await Promise.all(Array.from({ length: CLIENTS }, (_, id) => client(id)));
    for (const key of COUNTERS) {
      const [got] = await ask(first, [binaryRequest({ opcode: B.OP_GET, key })]);
      expect([key.toString(), number(got!.value)]).toEqual([key.toString(), sums.get(key.toString())]);
    }
    for (const key of VERSIONED) {
      const [got] = await ask(first, [binaryRequest({ opcode: B.OP_GET, key })]);
      expect([key.toString(), Number(got!.value.subarray(0, 8))]).toEqual([key.toString(), swaps.get(key.toString())]);
    }
    first.socket.destroy();
  });

  it('are all served by memjs at once', TIMEOUT, async () => {
    const memjs = createRequire(import.meta.url)('memjs');
    const clients = Array.from({ length: CLIENTS }, () =>
      memjs.Client.create(`127.0.0.1:${server.port}`, { retries: 0, timeout: 20 }),
    );
    // Of several clients that begin a counter at a time only one is told that it was stored, in the original too.
    await clients[0].increment('memjs:count', 0, { initial: 0 });
    await Promise.all(
      clients.map(async (client, id) => {
        for (let i = 0; i < 30; i++) {
          const value = Buffer.alloc(1 + i * 1_000, String(id));
          expect(await client.set(`memjs:${id}`, value, {})).toBe(true);
          expect((await client.get(`memjs:${id}`)).value.equals(value)).toBe(true);
          await client.increment('memjs:count', 1, {});
        }
        client.close();
      }),
    );
    const client = memjs.Client.create(`127.0.0.1:${server.port}`);
    expect((await client.get('memjs:count')).value.toString().trim()).toBe(String(CLIENTS * 30));
    client.close();
  });

  it('are answered by UDP by whichever thread is there first', TIMEOUT, async () => {
    const framed = (id: number, body: string): Buffer => {
      const frame = Buffer.alloc(8);
      frame.writeUInt16BE(id, 0);
      frame.writeUInt16BE(1, 4);
      return Buffer.concat([frame, Buffer.from(body)]);
    };
    const connection = await server.connect();
    const client = await new UdpClient(server.port).ready(framed(1, 'version\r\n'));
    const value = (id: number): string => String(id).repeat(1 + (id % 1_000));
    const answers = new Map<number, string>();
    for (let id = 2; id < IDS; ) {
      // No more at a time than the system keeps for a socket.
      const until = Math.min(IDS, id + WINDOW);
      const count = until - id;
      for (; id < until; id++) {
        const set = `set udp:${id} 0 0 ${value(id).length}\r\n${value(id)}\r\n`;
        client.send(framed(id, `${set}get udp:${id} none udp:${id}\r\n`));
      }
      for (const [key, text] of await client.gather((ended) => ended === count)) answers.set(key, text);
    }
    for (let id = 2; id < IDS; id++) {
      const line = `VALUE udp:${id} 0 ${value(id).length}\r\n${value(id)}\r\n`;
      expect([id, answers.get(id)]).toEqual([id, `STORED\r\n${line}${line}END\r\n`]);
    }
    const stats = (await connection.ask('stats conns\r\n', Buffer.from('END\r\n'))).toString();
    expect(stats.match(/:UDP UDP\r\n/g)).toHaveLength(THREADS);
    client.close();
    connection.socket.destroy();
  });
});
