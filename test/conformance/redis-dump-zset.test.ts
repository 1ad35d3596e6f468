/**
 * DUMP and RESTORE of sorted sets: either server reads the other's payloads, old encodings too; what damage our engine lets pass, the
 * original (told to look deep) reads as the same value. Beyond the original our engine refuses listpacks whose pairs are out of order.
 */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { crc64 } from '../../engines/base/crc64.ts';
import { verifyCore } from '../../engines/redis/verify.ts';
import { type Arguments, Twins } from '../redis/support/twins.ts';
import { describeReal } from '../support/real.ts';
import { RespError, type RespValue } from '../support/resp-client.ts';
import { seededRandom, testScale } from '../support/seed.ts';

const FORGED = 3_000 * testScale;
const BATCH = 100;
const FOOTER_BYTES = 10;

/** A payload with a right footer around any bytes. */
function payload(body: string): string {
  const bytes = Buffer.from(`${body}\x0a\0`, 'latin1');
  const sum = Buffer.alloc(8);
  sum.writeBigUInt64LE(crc64(bytes));
  return Buffer.concat([bytes, sum]).toString('latin1');
}

/** A short string of a payload: length and bytes. */
const rdbString = (text: string): string =>
  text.length < 64 ? String.fromCharCode(text.length) + text : `\x40${String.fromCharCode(text.length)}${text}`;

/** A ziplist of short texts. */
function ziplist(elements: readonly string[]): string {
  let body = '';
  let previous = 0;
  let last = 10;
  for (const element of elements) {
    last = 10 + body.length;
    const one = String.fromCharCode(previous, element.length) + element;
    body += one;
    previous = one.length;
  }
  const head = Buffer.alloc(10);
  head.writeUInt32LE(11 + body.length, 0);
  head.writeUInt32LE(last, 4);
  head.writeUInt16LE(elements.length, 8);
  return `${head.toString('latin1')}${body}\xff`;
}

const double = (value: number): string => {
  const bytes = Buffer.alloc(8);
  bytes.writeDoubleLE(value);
  return bytes.toString('latin1');
};

const pairs = (count: number, make: (i: number) => Arguments): Arguments =>
  Array.from({ length: count }, (_, i) => make(i)).flat();

const makers: readonly Arguments[] = [
  ['ZADD', 'k', 1, 'a'],
  ['ZADD', 'k', ...pairs(10, (i) => [i * 1.5, `m${i}`])],
  [
    'ZADD',
    'k',
    '-inf',
    'a',
    'inf',
    'b',
    '0.1',
    '17',
    '1e300',
    '',
    '-1e17',
    '-5',
    '5',
    '9223372036854775807',
    '-0',
    'z',
  ],
  ['ZADD', 'k', ...pairs(128, (i) => [i, `member:${i}`])],
  ['ZADD', 'k', ...pairs(129, (i) => [i, `member:${i}`])],
  ['ZADD', 'k', 1, 'x'.repeat(65), 2, '12', 3, '-70000', 3, 'y'],
  ['ZADD', 'k', ...pairs(500, (i) => [(i * 7) % 50, i])],
  ['GEOADD', 'k', ...pairs(20, (i) => [i * 3 - 20, i, `place${i}`])],
];

const old: readonly string[] = [
  `\x0c${rdbString(ziplist(['a', '1', 'b', '2.5', 'c', '300']))}`,
  `\x0c${rdbString(ziplist(['a', '1', 'b']))}`,
  `\x0c${rdbString(ziplist(['a', '1', 'a', '2']))}`,
  `\x0c${rdbString(ziplist([]))}`,
  `\x03\x02\x01a\x011\x01b\x032.5`,
  `\x03\x03\x01a\xfe\x01b\xff\x01c\x010`,
  '\x03\x01\x01a\xfd',
  '\x03\x00',
  `\x05\x02\x01a${double(1)}\x01b${double(-0)}`,
  `\x05\x02\x01a${double(1)}\x01a${double(2)}`,
  `\x05\x01\x01a${double(Number.NaN)}`,
  `\x05\x02\x01a${double(1)}`,
  '\x05\x00',
  '\x05\x81\x7f\xff\xff\xff\xff\xff\xff\xff\x01a',
  '\x05\x80\x7f\xff\xff\xff\x01a',
];

describeReal(['redis-server'], 'DUMP and RESTORE of sorted sets', () => {
  let twins: Twins;

  beforeAll(async () => {
    twins = await Twins.start(['--sanitize-dump-payload', 'yes']);
  });
  afterAll(async () => {
    await twins?.stop();
  });

  const alike = (commands: readonly Arguments[]): Promise<RespValue[]> => twins.alike(commands);

  it('give the same bytes, which become the same value', async () => {
    for (const maker of makers) {
      const replies = await alike([['DEL', 'k'], maker, ['DUMP', 'k']]);
      const dump = replies[2] as string;
      const packed = (await alike([['OBJECT', 'ENCODING', 'k']]))[0] === 'listpack';
      await alike([
        ['RESTORE', 'r', 0, dump, 'REPLACE'],
        ['OBJECT', 'ENCODING', 'r'],
        ['ZRANGE', 'r', 0, -1, 'WITHSCORES'],
        ['DEBUG', 'DIGEST-VALUE', 'r', 'k'],
        ['COPY', 'r', 'r2', 'REPLACE'],
        ['DEBUG', 'DIGEST-VALUE', 'r2'],
        ['DUMP', 'r2'],
      ]);
      // The levels of a skip list are drawn by chance.
      if (packed) await alike(['k', 'r', 'r2'].map((key) => ['MEMORY', 'USAGE', key]));
    }
  });

  it('read what older versions wrote', async () => {
    for (const body of old) {
      await alike([
        ['DEL', 'r'],
        ['RESTORE', 'r', 0, payload(body)],
        ['OBJECT', 'ENCODING', 'r'],
        ['ZRANGE', 'r', 0, -1, 'WITHSCORES'],
        ['DEBUG', 'DIGEST-VALUE', 'r'],
      ]);
    }
  });

  it('refuse a payload with any byte changed or cut off', async () => {
    await alike([['DEL', 'k', 'r'], makers[2]!]);
    const dump = (await twins.send(twins.theirs, [['DUMP', 'k']]))[0] as string;
    const damaged: Arguments[] = [];
    for (let at = 0; at < dump.length; at++) {
      damaged.push(['RESTORE', 'r', 0, dump.slice(0, at)]);
      const byte = String.fromCharCode(dump.charCodeAt(at) ^ 1);
      damaged.push(['RESTORE', 'r', 0, dump.slice(0, at) + byte + dump.slice(at + 1)]);
    }
    for (const reply of await alike(damaged)) expect(reply).toBeInstanceOf(RespError);
  });

  it('let nothing broken in behind a right checksum', { timeout: 60_000 * testScale }, async () => {
    const random = seededRandom('forged sorted sets');
    const bodies = [...old.filter((body) => body.length > 12)];
    for (const maker of makers.filter((one) => one.length < 50)) {
      await alike([['CONFIG', 'SET', 'rdbcompression', 'no'], ['DEL', 'k'], maker]);
      bodies.push(((await twins.send(twins.theirs, [['DUMP', 'k']]))[0] as string).slice(0, -FOOTER_BYTES));
    }
    let good = 0;
    for (let done = 0; done < FORGED; done += BATCH) {
      const commands: Arguments[] = [];
      for (let i = 0; i < BATCH; i++) {
        let body = bodies[random.nextBelow(bodies.length)]!;
        for (let changes = 1 + random.nextBelow(2); changes > 0; changes--) {
          const at = 1 + random.nextBelow(body.length - 1);
          const byte = String.fromCharCode(body.charCodeAt(at) ^ (1 << random.nextBelow(8)));
          const kind = random.nextBelow(6);
          body = body.slice(0, at) + (kind === 0 ? '' : byte) + body.slice(kind === 1 ? at : at + 1);
        }
        commands.push(['DEL', 'r'], ['RESTORE', 'r', 0, payload(body)], ['DEBUG', 'DIGEST-VALUE', 'r']);
      }
      const [a, b] = await Promise.all([twins.send(twins.mine, commands), twins.send(twins.theirs, commands)]);
      verifyCore(twins.ours.running!.core);
      for (let i = 1; i < commands.length; i += 3) {
        if (a[i] !== 'OK') continue;
        good++;
        expect([b[i], a[i + 1]], JSON.stringify(commands[i])).toEqual(['OK', b[i + 1]]);
      }
    }
    expect(good).toBeGreaterThan(FORGED / 20);
    expect(good).toBeLessThan(FORGED * 0.95);
  });
});
