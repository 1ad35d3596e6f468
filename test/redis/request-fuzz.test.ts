/** Requests in any bytes and any slices: the reply is that of the same bytes in one piece, and the original's. */
import net from 'node:net';
import { isDeepStrictEqual } from 'node:util';
import { describe, expect, it } from 'vitest';
import type { Random } from '../../engines/ports.ts';
import { describeReal } from '../support/real.ts';
import { encodeCommand } from '../support/resp-client.ts';
import { seededRandom } from '../support/seed.ts';
import { Loopback } from './support/loopback.ts';
import { CommandSource } from './support/random-commands.ts';
import { startOurs, startReal, type TestServer } from './support/servers.ts';

const ROUNDS = 400;
const ARENA_BYTES = 64 * 1024 * 1024;
const QUIET_MS = 150;
/** Until then a busy machine may keep an answer back. */
const ANSWER_TIMEOUT_MS = 10_000;

/** Requests of all kinds, some of them damaged. */
function stream(random: Random): Buffer {
  const source = new CommandSource(random);
  const parts: Buffer[] = [];
  for (let i = 0; i < 6; i++) {
    const dice = random.nextBelow(10);
    if (dice < 6) {
      parts.push(encodeCommand(source.next().args));
    } else if (dice < 8) {
      const words = ['set', 'k0', '"a b"', "'c\\'d'", '"\\x41\\n\\q"', 'get', 'k0', '"open', 'x"y', '\t', '  '];
      const count = 1 + random.nextBelow(5);
      parts.push(
        Buffer.from(
          `${Array.from({ length: count }, () => words[random.nextBelow(words.length)]).join(' ')}${random.nextBelow(2) ? '\r\n' : '\n'}`,
          'latin1',
        ),
      );
    } else {
      parts.push(
        Buffer.from(['\r\n', '*0\r\n', '*-1\r\n', '*1\r\n$4\r\nPING\r\n', 'PING\n'][random.nextBelow(5)]!, 'latin1'),
      );
    }
  }
  const bytes = Buffer.concat(parts);
  if (random.nextBelow(2) === 0) {
    for (let i = 0; i < 3; i++) bytes[random.nextBelow(bytes.length)] = random.nextBelow(256);
  }
  return bytes;
}

/** TIME-dependent and random replies would differ between runs; these commands are none. */
function answer(bytes: Buffer, slices: (left: number) => number): { reply: string; closed: boolean } {
  const lab = new Loopback(ARENA_BYTES);
  lab.open(0);
  for (let at = 0; at < bytes.length; ) {
    const size = slices(bytes.length - at);
    lab.feed(0, bytes.subarray(at, at + size));
    at += size;
  }
  const result = { reply: lab.take(0).toString('latin1'), closed: lab.transport.closed.has(0) };
  lab.core.onClose(0, 0);
  return result;
}

describe('requests in random slices', () => {
  it('are answered as in one piece', { timeout: 120_000 }, () => {
    const random = seededRandom('request slices');
    for (let round = 0; round < ROUNDS; round++) {
      const bytes = stream(random);
      const whole = answer(bytes, (left) => left);
      const most = [1, 3, 20, 1000][round % 4]!;
      const sliced = answer(bytes, (left) => Math.min(left, 1 + random.nextBelow(most)));
      expect(sliced, JSON.stringify(bytes.toString('latin1').slice(0, 2000))).toEqual(whole);
    }
  });

  it('leave no memory behind when the connection closes in the middle', () => {
    const lab = new Loopback(ARENA_BYTES);
    lab.open(0);
    lab.command(0, 'SET', 'k', 'v');
    const before = lab.allocator.usedBytes;
    for (const head of [
      '*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$100000\r\nabc',
      '*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$33000\r\nabc',
      '*2\r\n$3\r\nGE',
    ]) {
      lab.open(1);
      lab.feed(1, Buffer.from(head));
      lab.core.onClose(1, 0);
      lab.transport.directs.delete(1);
    }
    expect(lab.allocator.usedBytes).toBe(before);
  });

  it('get no memory for an announcement alone', () => {
    const lab = new Loopback(ARENA_BYTES);
    lab.open(0);
    const before = lab.allocator.usedBytes;
    lab.feed(0, Buffer.from('*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$536870912\r\nabc'));
    expect(lab.allocator.usedBytes - before).toBeLessThan(3 * 1024 * 1024);
    expect(lab.transport.closed.has(0)).toBe(false);
  });
});

interface Outcome {
  reply: string;
  closed: boolean;
}

/** Sends bytes to both and collects what comes back until both have said the same, and nothing more for a while, or time is up. */
async function exchange(paths: readonly string[], bytes: Buffer): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  let changed = performance.now();
  const sockets = paths.map((path) => {
    const outcome = { reply: '', closed: false };
    outcomes.push(outcome);
    const socket = net.connect({ path }, () => {
      socket.write(bytes);
      changed = performance.now();
    });
    socket.on('data', (data) => {
      outcome.reply += data.toString('latin1');
      changed = performance.now();
    });
    socket.on('error', () => {});
    socket.on('close', () => {
      outcome.closed = true;
      changed = performance.now();
    });
    return socket;
  });
  const deadline = changed + ANSWER_TIMEOUT_MS;
  const areAlike = () => isDeepStrictEqual(outcomes[0], outcomes[1]);
  while (performance.now() < deadline && !(areAlike() && performance.now() > changed + QUIET_MS)) {
    await new Promise((resolve) => setTimeout(resolve, QUIET_MS / 10));
  }
  const seen = outcomes.map((outcome) => ({ ...outcome }));
  for (const socket of sockets) socket.destroy();
  return seen;
}

const malformed: string[] = [
  '*x\r\n',
  '*2147483648\r\n',
  '*-5\r\nPING\r\n',
  '*1\r\nPING\r\n',
  '*1\r\n$-1\r\n',
  '*1\r\n$-5\r\n',
  '*1\r\n$2147483648\r\n',
  '*1\r\n$536870913\r\n',
  '*1\r\n$x\r\n',
  '*1\r\n$\r\n',
  '*1\r\n+OK\r\n',
  '*1\r\n\r\n',
  '*1\r\n$4\r\nPINGxx*1\r\n$4\r\nPING\r\n',
  '*01\r\n$4\r\nPING\r\n',
  '*1\r\n$04\r\nPING\r\n',
  'set "a\r\n',
  "set 'a'b\r\n",
  'get "\\x4',
  `get "\\x41\\x4g\\a\\b"\r\n`,
  `echo "a\\x00b"\r\n`,
  'ping\0ping\r\n',
  '\r\n\r\nping\r\n',
  ' \t ping \r\n',
  `${'a'.repeat(70_000)}`,
  `*${'1'.repeat(70_000)}`,
  `*1\r\n$${'1'.repeat(70_000)}`,
  `${'b'.repeat(60_000)}\r\nping\r\n`,
  'FOO\0BAR baz\r\n',
  '*2\r\n$3\r\nfoo\r\n$5\r\na\r\nb\0\r\n',
  '*2\r\n$7\r\nfoo\r\nx\0\r\n$2\r\nab\r\n',
  'GET\r\n',
  '*3\r\n$3\r\nGET\r\n$1\r\na\r\n$1\r\nb\r\n',
];

describeReal(['redis-server'], 'malformed requests', () => {
  it('are answered as the original answers them', { timeout: 60_000 }, async () => {
    const servers: TestServer[] = await Promise.all([startOurs(), startReal()]);
    try {
      for (let from = 0; from < malformed.length; from += 8) {
        await Promise.all(
          malformed.slice(from, from + 8).map(async (text) => {
            const bytes = Buffer.from(text, 'latin1');
            const [mine, theirs] = await exchange(
              servers.map((server) => server.path),
              bytes,
            );
            expect(mine, JSON.stringify(text.slice(0, 80))).toEqual(theirs);
          }),
        );
      }
    } finally {
      await Promise.all(servers.map((server) => server.stop()));
    }
  });
});
