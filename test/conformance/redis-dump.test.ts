/** DUMP and RESTORE: payloads of both servers are the same bytes, each reads the other's, and both refuse the same damage. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { crc64 } from '../../engines/base/crc64.ts';
import type { Random } from '../../engines/ports.ts';
import { verifyCore } from '../../engines/redis/verify.ts';
import { startOurs, startReal, type TestServer } from '../redis/support/servers.ts';
import { describeReal } from '../support/real.ts';
import { encodeCommand, RespClient, RespError, type RespValue } from '../support/resp-client.ts';
import { seededRandom } from '../support/seed.ts';

const VALUES = 6_000;
const BATCH = 100;
const FORGED = 3_000;

type Arguments = readonly (string | number)[];

/** Values of several shapes: noise, few letters, repeats at all distances, runs, numbers. */
function randomValue(random: Random): string {
  const below = (n: number): number => random.nextBelow(n);
  const length = [30, 30, 300, 300, 3_000, 20_000][below(6)]!;
  const noise = (n: number, letters: number): string => {
    let text = '';
    for (let i = 0; i < n; i++) text += String.fromCharCode(below(letters));
    return text;
  };
  const repeats = (): string => {
    let text = noise(1 + below(40), 256);
    const wanted = 1 + below(length);
    while (text.length < wanted) {
      const from = below(text.length);
      text += text.slice(from, from + 1 + below(300)) + noise(below(5), 256);
    }
    return text;
  };
  switch (below(6)) {
    case 0:
      return noise(below(length), 256);
    case 1:
      return noise(below(length), 1 + below(4));
    case 2:
      return repeats();
    case 3:
      return noise(1, 256).repeat(below(length));
    case 4:
      return noise(1 + below(30), 256).repeat(1 + below(30)) + noise(below(4), 256);
    default:
      return String(BigInt.asIntN(1 + below(64), BigInt(random.nextU32()) * BigInt(random.nextU32())));
  }
}

/** A payload with a right footer around any bytes. */
function payload(body: string, version = 10): string {
  const bytes = Buffer.from(`${body}${String.fromCharCode(version & 255, version >> 8)}`, 'latin1');
  const sum = Buffer.alloc(8);
  sum.writeBigUInt64LE(crc64(bytes));
  return Buffer.concat([bytes, sum]).toString('latin1');
}

const show = (value: RespValue): unknown => (value instanceof RespError ? `error: ${value.message}` : value);

describeReal(['redis-server'], 'DUMP and RESTORE', () => {
  let ours: TestServer;
  let real: TestServer;
  let mine: RespClient;
  let theirs: RespClient;

  beforeAll(async () => {
    [ours, real] = await Promise.all([startOurs(), startReal()]);
    [mine, theirs] = await Promise.all([
      RespClient.connect({ path: ours.path }),
      RespClient.connect({ path: real.path }),
    ]);
  });
  afterAll(async () => {
    await Promise.all([mine?.close(), theirs?.close()]);
    await Promise.all([ours?.stop(), real?.stop()]);
  });

  const send = (client: RespClient, commands: readonly Arguments[]): Promise<RespValue[]> =>
    client.raw(Buffer.concat(commands.map((command) => encodeCommand(command))), commands.length);
  const both = async (commands: readonly Arguments[]): Promise<[RespValue[], RespValue[]]> =>
    Promise.all([send(mine, commands), send(theirs, commands)]);
  /** Sends the same to both and holds them to the same replies. */
  const alike = async (commands: readonly Arguments[]): Promise<RespValue[]> => {
    const [a, b] = await both(commands);
    for (let i = 0; i < commands.length; i++) {
      expect(show(a[i]!), JSON.stringify(commands[i])).toEqual(show(b[i]!));
    }
    return a;
  };

  for (const compression of ['yes', 'no']) {
    it(`have the same payloads, read by either server, with rdbcompression ${compression}`, {
      timeout: 60_000,
    }, async () => {
      const random = seededRandom(`dump ${compression}`);
      await both([['CONFIG', 'SET', 'rdbcompression', compression]]);
      for (let done = 0; done < VALUES; done += BATCH) {
        const values = Array.from({ length: BATCH }, () => randomValue(random));
        const dumps = await alike(
          values.flatMap((value) => [
            ['SET', 'k', value],
            ['DUMP', 'k'],
          ]),
        );
        const restored = await alike(
          values.flatMap((_, i) => [
            ['RESTORE', 'r', '0', dumps[i * 2 + 1] as string, 'REPLACE'],
            ['GET', 'r'],
            ['OBJECT', 'ENCODING', 'r'],
            ['MEMORY', 'USAGE', 'r'],
          ]),
        );
        for (let i = 0; i < BATCH; i++) expect(restored[i * 4 + 1] === values[i]).toBe(true);
      }
      await both([['CONFIG', 'SET', 'rdbcompression', 'yes']]);
    });
  }

  it('tell the length of a value in a snapshot', async () => {
    const random = seededRandom('serializedlength');
    const length = (reply: RespValue): string => /serializedlength:\d+/.exec(String(reply))![0];
    for (let i = 0; i < 500; i++) {
      const [a, b] = await both([
        ['SET', 'k', randomValue(random)],
        ['DEBUG', 'OBJECT', 'k'],
      ]);
      expect(length(a[1]!)).toBe(length(b[1]!));
    }
  });

  it('refuse every flipped bit and every shortened payload alike', { timeout: 60_000 }, async () => {
    for (const value of ['', '7', '-300', '70000', 'hello', 'abcabcabcabcabcabcabcabcabcabc', 'x'.repeat(100)]) {
      const dump = (
        await alike([
          ['SET', 'k', value],
          ['DUMP', 'k'],
        ])
      )[1] as string;
      const broken: Arguments[] = [];
      for (let at = 0; at < dump.length; at++) {
        broken.push(['RESTORE', 'never', '0', dump.slice(0, at)]);
        for (let bit = 0; bit < 8; bit++) {
          const flipped = String.fromCharCode(dump.charCodeAt(at) ^ (1 << bit));
          broken.push(['RESTORE', 'never', '0', dump.slice(0, at) + flipped + dump.slice(at + 1)]);
        }
      }
      for (const reply of await alike(broken)) {
        expect(show(reply)).toBe('error: ERR DUMP payload version or checksum are wrong');
      }
    }
  });

  it('read or refuse alike what has a right checksum and is broken behind it', { timeout: 60_000 }, async () => {
    const random = seededRandom('forged payloads');
    const seeds = (
      await alike(
        ['12', '-300', '70000', 'hello', 'abcabcabcabcabcabcabcabcabcabc', `${'x'.repeat(80)}12345`].flatMap(
          (value) => [
            ['SET', 'k', value],
            ['DUMP', 'k'],
          ],
        ),
      )
    ).filter((_, i) => i % 2 === 1) as string[];
    const commands: Arguments[] = [];
    for (let i = 0; i < FORGED; i++) {
      const seed = seeds[random.nextBelow(seeds.length)]!;
      let body = seed.slice(0, -10);
      for (let changes = 1 + random.nextBelow(3); changes > 0; changes--) {
        // The type byte stays: other types are not known here.
        const at = 1 + random.nextBelow(body.length - 1);
        const byte = String.fromCharCode(random.nextBelow(256));
        const kind = random.nextBelow(3);
        body = body.slice(0, at) + (kind === 0 ? '' : byte) + body.slice(kind === 1 ? at : at + 1);
        if (body.length < 2) break;
      }
      commands.push(['RESTORE', 'r', '0', payload(body), 'REPLACE'], ['GET', 'r'], ['OBJECT', 'ENCODING', 'r']);
    }
    for (const body of [
      '',
      '\0',
      '\x08',
      '\x14',
      '\xff',
      '\0\xc3\0\0',
      '\0\xc3\x01\0',
      '\0\xc3\x01\0\x05',
      '\0\x81\0\0\0\0\0\0\0\x01a',
      '\0\x82',
      '\0\xc4',
      '\0\x81\xff\xff\xff\xff\xff\xff\xff\xff',
      '\0\x80\x7f\xff\xff\xff',
    ]) {
      commands.push(['DEL', 'r'], ['RESTORE', 'r', '0', payload(body)], ['GET', 'r']);
    }
    for (const version of [0, 1, 9, 10, 11, 256])
      commands.push(['RESTORE', 'r', '0', payload('\0\x01a', version), 'REPLACE']);
    const replies = await alike(commands);
    const good = replies.filter((reply) => reply === 'OK').length;
    expect(good).toBeGreaterThan(FORGED / 20);
    expect(good).toBeLessThan(FORGED * 0.95);
    verifyCore(ours.running!.core);
  });

  it('take options and refuse wrong ones alike', async () => {
    const dump = (
      await alike([
        ['SET', 'k', 'value'],
        ['DUMP', 'k'],
        ['DUMP', 'none'],
      ])
    )[1] as string;
    const tails: string[][] = [
      [],
      ['REPLACE'],
      ['replace', 'ABSTTL'],
      ['ABSTTL'],
      ['IDLETIME', '5'],
      ['REPLACE', 'IDLETIME', '1000'],
      ['REPLACE', 'IDLETIME', '99999999'],
      ['REPLACE', 'IDLETIME', '-1'],
      ['REPLACE', 'IDLETIME', '9223372036854775807'],
      ['IDLETIME'],
      ['REPLACE', 'FREQ', '7'],
      ['FREQ', '256'],
      ['FREQ', '-1'],
      ['FREQ', 'x'],
      ['FREQ'],
      ['REPLACE', 'FREQ', '1', 'IDLETIME', '1'],
      ['IDLETIME', '1', 'FREQ', '1'],
      ['foo'],
    ];
    // Without it counters would fall at the turn of a minute.
    await alike([['CONFIG', 'SET', 'lfu-decay-time', '0']]);
    for (const policy of ['noeviction', 'allkeys-lfu']) {
      await alike([['CONFIG', 'SET', 'maxmemory-policy', policy]]);
      for (const ttl of ['0', '-1', 'x', '1000000', '4102444800000', '9223372036854775807']) {
        for (const tail of tails) {
          // Looking at a key that is there counts an access by chance, so the counter is only asked for right after.
          const restore = ['RESTORE', 'r', ttl, dump, ...tail];
          // So few are executed in one turn of a server, in which its clock of accesses stands still.
          await alike([
            ['DEL', 'r'],
            restore,
            ['OBJECT', 'FREQ', 'r'],
            ['OBJECT', 'IDLETIME', 'r'],
            restore,
            ['EXISTS', 'r'],
          ]);
        }
        await alike([
          ['RESTORE', 'r', ttl, 'rubbish'],
          ['DEL', 'r'],
          ['RESTORE', 'r', ttl, dump, 'ABSTTL'],
          ['EXISTS', 'r'],
          ['DEL', 'r'],
        ]);
      }
    }
    await alike([['CONFIG', 'SET', 'maxmemory-policy', 'noeviction']]);
    const [a, b] = await both([
      ['RESTORE', 't', '100000', dump],
      ['PTTL', 't'],
      ['RESTORE', 't', '4102444800000', dump, 'ABSTTL', 'REPLACE'],
      ['PEXPIRETIME', 't'],
    ]);
    expect(Math.abs(Number(a[1]) - Number(b[1]))).toBeLessThan(20_000);
    expect(a[3]).toBe(b[3]);
  });
});
