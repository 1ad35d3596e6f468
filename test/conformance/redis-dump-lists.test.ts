/**
 * DUMP and RESTORE of lists: either server reads the other's payloads, old encodings too, and both refuse the same damage (the original
 * when told to look deep, as our engine always does).
 */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { little, payload, rdbString, ziplist } from '../redis/support/payloads.ts';
import { type Arguments, Twins } from '../redis/support/twins.ts';
import { describeReal } from '../support/real.ts';
import type { RespValue } from '../support/resp-client.ts';
import { seededRandom, testScale } from '../support/seed.ts';

const FORGED = 4_000 * testScale;
const BATCH = 200;

const words = (count: number, prefix: string, length = 0) =>
  Array.from({ length: count }, (_, i) => `${prefix}${i}`.padEnd(length, 'abc'));

/** What makes the lists of the tests, and with which fill, depth and packed threshold. */
const makers: readonly (readonly [string, string, string, Arguments])[] = [
  ['-2', '0', '0', ['a', 'b', 12, -1, 300, 70_000, -8_000_000, 2 ** 40, '', 'x'.repeat(100)]],
  ['3', '0', '0', words(20, 'e')],
  ['4', '1', '0', words(40, 'element', 60)],
  ['4', '0', '50', [...words(5, 'e'), 'y'.repeat(60), 'z', '1'.repeat(80), 'w'.repeat(50)]],
  ['2', '2', '50', words(30, 'v', 70)],
];

describeReal(['redis-server'], 'DUMP and RESTORE of lists', () => {
  let twins: Twins;

  beforeAll(async () => {
    twins = await Twins.start(['--sanitize-dump-payload', 'yes']);
  });
  afterAll(async () => {
    await twins?.send(twins.mine, [['DEBUG', 'QUICKLIST-PACKED-THRESHOLD', '0']]);
    await twins?.stop();
  });

  const alike = (commands: readonly Arguments[]): Promise<RespValue[]> => twins.alike(commands);

  async function make(index: number, compression = 'yes'): Promise<string> {
    const [fill, depth, packed, elements] = makers[index]!;
    const replies = await alike([
      ['CONFIG', 'SET', 'list-max-listpack-size', fill, 'list-compress-depth', depth, 'rdbcompression', compression],
      ['DEBUG', 'QUICKLIST-PACKED-THRESHOLD', packed],
      ['DEL', 'k'],
      ['RPUSH', 'k', ...elements],
      ['DUMP', 'k'],
    ]);
    return replies[4] as string;
  }

  it('give the same bytes, which become the same value', async () => {
    for (let i = 0; i < makers.length; i++) {
      const dump = await make(i);
      for (const [fill, depth] of [
        ['-2', '0'],
        ['2', '1'],
      ]) {
        await alike([
          ['CONFIG', 'SET', 'list-max-listpack-size', fill!, 'list-compress-depth', depth!],
          ['RESTORE', 'r', '0', dump, 'REPLACE'],
          ['LRANGE', 'r', '0', '-1'],
          ['DEBUG', 'DIGEST-VALUE', 'r', 'k'],
          ['MEMORY', 'USAGE', 'r', 'SAMPLES', '0'],
          ['COPY', 'r', 'r2', 'REPLACE'],
          ['MEMORY', 'USAGE', 'r2', 'SAMPLES', '0'],
          ['DUMP', 'r2'],
          ['RPUSH', 'r2', 'x'.repeat(40)],
          ['LINSERT', 'r2', 'BEFORE', 'x'.repeat(40), 'y'],
          ['DUMP', 'r2'],
        ]);
      }
    }
  });

  it('read what older versions wrote', async () => {
    await alike([['CONFIG', 'SET', 'list-max-listpack-size', '-2', 'list-compress-depth', '0']]);
    const mixed = ['a', 1n, 'b', 12n, -1n, 300n, 70_000n, -8_000_000n, 2n ** 40n, 'text', '', 'x'.repeat(70)];
    const long = ['k'.repeat(300), 'v'.repeat(20_000), '123'];
    for (const body of [
      `\x01\x03\x01a\x01b\x03abc`,
      `\x01\x03\x01a\xc0\x05\xc2\x01\x02\x03\x04`,
      '\x01\x00',
      '\x01\x02\x01a',
      '\x01\x01\x00',
      `\x0a${rdbString(ziplist(mixed))}`,
      `\x0a${rdbString(ziplist(long))}`,
      `\x0a${rdbString(ziplist([]))}`,
      `\x0a${rdbString(ziplist(Array.from({ length: 3_000 }, (_, i) => BigInt(i * 1_000))))}`,
      `\x0e\x02${rdbString(ziplist(mixed))}${rdbString(ziplist(long))}`,
      `\x0e\x02${rdbString(ziplist([]))}${rdbString(ziplist(mixed))}`,
      `\x0e\x01${rdbString(ziplist([]))}`,
      '\x0e\x00',
      '\x12\x00',
      '\x12\x01\x01\x03abc',
      '\x12\x01\x01\x00',
      '\x12\x01\x03\x03abc',
      '\x12\x02\x01\x03abc\x01\xc0\x05',
      `\x12\x01\x02${rdbString(`${little(7, 4)}\0\0\xff`)}`,
      `\x12\x02\x02${rdbString(`${little(7, 4)}\0\0\xff`)}\x01\x01a`,
      `\x12\x01\x02${rdbString(`${little(9, 4)}\xff\xff\x05\x01\xff`)}`,
      '\x12\x81\x7f\xff\xff\xff\xff\xff\xff\xff\x01\x01a',
      '\x01\x80\x7f\xff\xff\xff\x01a',
    ]) {
      await alike([
        ['DEL', 'r'],
        ['RESTORE', 'r', '0', payload(body)],
        ['LRANGE', 'r', '0', '-1'],
        ['DEBUG', 'DIGEST-VALUE', 'r'],
        ['MEMORY', 'USAGE', 'r', 'SAMPLES', '0'],
      ]);
    }
  });

  it('refuse payloads that were cut or changed without a new checksum', async () => {
    const dump = await make(3);
    for (let at = 0; at < dump.length; at++) {
      const flipped = dump.slice(0, at) + String.fromCharCode(dump.charCodeAt(at) ^ 1) + dump.slice(at + 1);
      await alike([
        ['RESTORE', 'cut', '0', dump.slice(0, at)],
        ['RESTORE', 'flipped', '0', flipped],
        ['EXISTS', 'cut', 'flipped'],
      ]);
    }
  });

  it('read or refuse alike what has a right checksum and is broken behind it', {
    timeout: 60_000 * testScale,
  }, async () => {
    const random = seededRandom('forged lists');
    const bodies = [
      `\x0a${rdbString(ziplist(['a', 1n, 'b', -300n, '70000', 'long'.repeat(30)]))}`,
      `\x0e\x02${rdbString(ziplist(['a', 1n]))}${rdbString(ziplist(['long'.repeat(30), 'b']))}`,
      '\x01\x04\x01a\x01b\xc0\x05\xc1\x05\x01',
    ];
    for (let i = 0; i < makers.length; i++) bodies.push((await make(i, i % 2 === 0 ? 'no' : 'yes')).slice(0, -10));
    let good = 0;
    for (let done = 0; done < FORGED; done += BATCH) {
      const commands: Arguments[] = [];
      for (let i = 0; i < BATCH; i++) {
        let body = bodies[random.nextBelow(bodies.length)]!;
        for (let changes = 1 + random.nextBelow(2); changes > 0 && body.length > 2; changes--) {
          const at = 1 + random.nextBelow(Math.min(body.length, 60) - 1);
          const bit = String.fromCharCode(body.charCodeAt(at) ^ (1 << random.nextBelow(8)));
          const byte = random.nextBelow(2) === 0 ? bit : String.fromCharCode(random.nextBelow(256));
          const kind = random.nextBelow(5);
          body = body.slice(0, at) + (kind === 0 ? '' : byte) + body.slice(kind === 1 ? at : at + 1);
        }
        commands.push(['DEL', 'r'], ['RESTORE', 'r', '0', payload(body)], ['DEBUG', 'DIGEST-VALUE', 'r']);
        commands.push(['LPUSH', 'r', 'x'], ['LREM', 'r', '1', 'a'], ['LRANGE', 'r', '0', '20']);
      }
      for (const reply of await alike(commands)) if (reply === 'OK') good++;
    }
    expect(good).toBeGreaterThan(FORGED / 20);
    expect(good).toBeLessThan(FORGED * 0.95);
  });
});
