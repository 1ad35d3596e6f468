/**
 * DUMP and RESTORE of sets and hashes: either server reads the other's payloads, old encodings too, and both refuse the same damage
 * (the original when told to look deep, as our engine always does).
 */
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Random } from '../../engines/ports.ts';
import { payload, rdbString, ziplist, zipmap } from '../redis/support/payloads.ts';
import { type Arguments, Twins } from '../redis/support/twins.ts';
import { describeReal } from '../support/real.ts';
import { RespError, type RespValue } from '../support/resp-client.ts';
import { seededRandom, testScale } from '../support/seed.ts';

const FORGED = 4_000 * testScale;
const BATCH = 200;

describeReal(['redis-server'], 'DUMP and RESTORE of sets and hashes', () => {
  let twins: Twins;

  beforeAll(async () => {
    twins = await Twins.start(['--sanitize-dump-payload', 'yes']);
  });
  afterAll(async () => {
    await twins?.stop();
  });

  const alike = (commands: readonly Arguments[]): Promise<RespValue[]> => twins.alike(commands);

  /** The commands that make the values of the tests, one for each kind. */
  function makers(random: Random): Arguments[] {
    const numbers = (count: number, step: number) => Array.from({ length: count }, (_, i) => i * step - 5);
    const words = (count: number, prefix: string) => Array.from({ length: count }, (_, i) => `${prefix}${i}`);
    const shift = random.nextBelow(100);
    return [
      ['SADD', 'k', ...numbers(3 + shift, 1)],
      ['SADD', 'k', ...numbers(4, 100_000)],
      ['SADD', 'k', ...numbers(4, 10_000_000_000)],
      ['SADD', 'k', ...words(1, 'x')],
      ['SADD', 'k', ...words(5 + shift, 'member'), 7, 'y'.repeat(200)],
      ['SADD', 'k', ...numbers(600, 3)],
      ['HSET', 'k', 'a', '1', 'b', 'two', 'c', '-70000', '12', 'x'.repeat(60)],
      ['HSET', 'k', ...words(100 + 2 * shift, 'f')],
      ['HSET', 'k', 'field', 'x'.repeat(65), '3', '4', 'y', ''],
      ['HSET', 'k', ...words(1_200, 'f')],
    ];
  }

  it('give each other payloads that become the same value', async () => {
    const random = seededRandom('container payloads');
    for (const maker of makers(random)) {
      const [a, b] = await Promise.all(
        [twins.mine, twins.theirs].map((client) => twins.send(client, [['DEL', 'k'], maker, ['DUMP', 'k']])),
      );
      const dumps = [a![2] as string, b![2] as string];
      // Compact encodings have an order of their own, so even the bytes are the same; what a dict gives depends on its hash function.
      const encoding = await alike([['OBJECT', 'ENCODING', 'k']]);
      if (encoding[0] !== 'hashtable') expect(dumps[0]).toBe(dumps[1]);
      for (const dump of dumps) {
        await alike([
          ['RESTORE', 'r', '0', dump, 'REPLACE'],
          ['OBJECT', 'ENCODING', 'r'],
          ['DEBUG', 'DIGEST-VALUE', 'r', 'k'],
          ['COPY', 'r', 'r2', 'REPLACE'],
          ['DEBUG', 'DIGEST-VALUE', 'r2'],
          ['MEMORY', 'USAGE', 'r', 'SAMPLES', '0'],
          ['MEMORY', 'USAGE', 'r2', 'SAMPLES', '0'],
        ]);
      }
    }
  });

  it('read what older versions wrote', async () => {
    const elements = [
      'a',
      1n,
      'b',
      12n,
      'c',
      -1n,
      'd',
      300n,
      'e',
      70_000n,
      'f',
      -8_000_000n,
      'g',
      2n ** 40n,
      'h',
      'text',
    ];
    const long = ['k'.repeat(300), 'v'.repeat(20_000), 'next', '123'];
    for (const body of [
      `\x0d${rdbString(ziplist(elements))}`,
      `\x0d${rdbString(ziplist(long))}`,
      `\x0d${rdbString(ziplist(['a', 'b', 'c']))}`,
      `\x0d${rdbString(ziplist(['a', 'b', 'a', 'c']))}`,
      `\x0d${rdbString(ziplist([]))}`,
      `\x0d${rdbString(ziplist(Array.from({ length: 1_100 }, (_, i) => BigInt(i))))}`,
      `\x09${rdbString(zipmap([]))}`,
      `\x09${rdbString(zipmap([['a', 'b']]))}`,
      `\x09${rdbString(
        zipmap([
          ['a', 'b'],
          ['a', 'c'],
        ]),
      )}`,
      `\x09${rdbString(
        zipmap([
          ['a', '17'],
          ['xx', 'y'.repeat(64)],
        ]),
      )}`,
      `\x09${rdbString(
        zipmap([
          ['a', '17'],
          ['xx', 'y'.repeat(65)],
        ]),
      )}`,
      `\x09${rdbString(zipmap([['z'.repeat(254), 'y'.repeat(300)]]))}`,
      `\x02\x00`,
      `\x04\x00`,
      `\x02\x03\x01a\x01b\x01a`,
      `\x02\x03\x011\x012\x011`,
      `\x04\x02\x01a\x01b\x01a\x01c`,
      `\x02\x81\x7f\xff\xff\xff\xff\xff\xff\xff\x01a`,
      `\x04\x80\x7f\xff\xff\xff\x01a\x01b`,
    ]) {
      await alike([
        ['DEL', 'r'],
        ['RESTORE', 'r', '0', payload(body)],
        ['OBJECT', 'ENCODING', 'r'],
        ['DEBUG', 'DIGEST-VALUE', 'r'],
        ['MEMORY', 'USAGE', 'r', 'SAMPLES', '0'],
      ]);
    }
  });

  it('read or refuse alike what has a right checksum and is broken behind it', {
    timeout: 60_000 * testScale,
  }, async () => {
    const random = seededRandom('forged containers');
    const bodies: string[] = [
      `\x0d${rdbString(ziplist(['a', 1n, 'b', -300n, '70000', 'long'.repeat(30)]))}`,
      `\x09${rdbString(
        zipmap([
          ['a', 'b'],
          ['cc', 'dd'],
          ['ee', '12'],
        ]),
      )}`,
      '\x02\x04\x01a\x01b\xc0\x05\xc1\x05\x01',
      '\x04\x02\x01a\x01b\xc0\x05\xc1\x05\x01',
    ];
    for (const maker of makers(random).filter((one) => one.length < 40)) {
      const replies = await alike([['CONFIG', 'SET', 'rdbcompression', 'no'], ['DEL', 'k'], maker]);
      expect(replies[2]).not.toBeInstanceOf(RespError);
      bodies.push(((await twins.send(twins.theirs, [['DUMP', 'k']]))[0] as string).slice(0, -10));
    }
    let good = 0;
    for (let done = 0; done < FORGED; done += BATCH) {
      const commands: Arguments[] = [];
      for (let i = 0; i < BATCH; i++) {
        let body = bodies[random.nextBelow(bodies.length)]!;
        for (let changes = 1 + random.nextBelow(2); changes > 0 && body.length > 2; changes--) {
          const at = 1 + random.nextBelow(Math.min(body.length, 40) - 1);
          const bit = String.fromCharCode(body.charCodeAt(at) ^ (1 << random.nextBelow(8)));
          const byte = random.nextBelow(2) === 0 ? bit : String.fromCharCode(random.nextBelow(256));
          const kind = random.nextBelow(5);
          body = body.slice(0, at) + (kind === 0 ? '' : byte) + body.slice(kind === 1 ? at : at + 1);
        }
        commands.push(
          ['DEL', 'r'],
          ['RESTORE', 'r', '0', payload(body)],
          ['OBJECT', 'ENCODING', 'r'],
          ['DEBUG', 'DIGEST-VALUE', 'r'],
        );
      }
      for (const reply of await alike(commands)) if (reply === 'OK') good++;
    }
    expect(good).toBeGreaterThan(FORGED / 20);
    expect(good).toBeLessThan(FORGED * 0.95);
  });
});
