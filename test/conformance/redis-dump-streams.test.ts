/**
 * DUMP and RESTORE of streams: either server reads the other's payloads, and both refuse the same damage (the original when told to look
 * deep, as our engine always does).
 */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { payload } from '../redis/support/payloads.ts';
import { type Arguments, Twins } from '../redis/support/twins.ts';
import { describeReal } from '../support/real.ts';
import { RespError, type RespValue } from '../support/resp-client.ts';
import { seededRandom, testScale } from '../support/seed.ts';

const FORGED = 3_000 * testScale;
const BATCH = 200;

const add = (id: string, ...fields: (string | number)[]): Arguments => ['XADD', 'k', id, ...fields];

/** What makes the streams of the tests. Times are given, but for those when consumers were seen. */
const MAKERS: readonly (readonly Arguments[])[] = [
  [add('1-1', 'a', 'b')],
  [add('1-1', 'a', 'b'), add('1-2', 'a', '17'), add('5-0', 'other', 'x'.repeat(70)), add('7-0', 'a', 1, 'b', 2)],
  [add('9-9', 'a', 'b'), ['XDEL', 'k', '9-9']],
  [
    ...Array.from({ length: 250 }, (_, i) => add(`${i * 1_000_000_000}-${i}`, 'f', i, 'g', `value ${i}`)),
    ['XTRIM', 'k', 'MAXLEN', '133'],
  ],
  [...Array.from({ length: 30 }, (_, i) => add(`${i + 1}-0`, 'f', i)), ['XDEL', 'k', '3-0', '1-0', '30-0']],
  [
    ['XGROUP', 'CREATE', 'k', 'g', '$', 'MKSTREAM'],
    ['XGROUP', 'CREATE', 'k', '', '3-3', 'ENTRIESREAD', '12'],
  ],
  [add('18446744073709551615-18446744073709551615', '', '')],
  [
    ...Array.from({ length: 6 }, (_, i) => add(`${i + 1}-0`, 'f', i)),
    ['XGROUP', 'CREATE', 'k', 'g', '0'],
    ['XREADGROUP', 'GROUP', 'g', 'alice', 'COUNT', '4', 'STREAMS', 'k', '>'],
    ['XCLAIM', 'k', 'g', 'bob', '0', '1-0', '2-0', 'TIME', '1234567890', 'RETRYCOUNT', '70'],
    ['XGROUP', 'CREATECONSUMER', 'k', 'g', 'idle'],
  ],
];

describeReal(['redis-server'], 'DUMP and RESTORE of streams', () => {
  let twins: Twins;

  beforeAll(async () => {
    twins = await Twins.start(['--sanitize-dump-payload', 'yes']);
  });
  afterAll(async () => {
    await twins?.stop();
  });

  const alike = (commands: readonly Arguments[]): Promise<RespValue[]> => twins.alike(commands);

  it('give each other payloads that become the same value', async () => {
    for (const maker of MAKERS) {
      const [a, b] = await Promise.all(
        [twins.mine, twins.theirs].map((client) => twins.send(client, [['DEL', 'k'], ...maker, ['DUMP', 'k']])),
      );
      const dumps = [a!.at(-1) as string, b!.at(-1) as string];
      // The bytes are the same but for the times when consumers were seen.
      if (!maker.some((one) => one[0] === 'XREADGROUP')) expect(dumps[0]).toBe(dumps[1]);
      for (const dump of dumps) {
        await alike([
          ['RESTORE', 'r', '0', dump, 'REPLACE'],
          ['XINFO', 'STREAM', 'r', 'FULL', 'COUNT', '0'],
          ['XINFO', 'GROUPS', 'r'],
          ['DEBUG', 'DIGEST-VALUE', 'r', 'k'],
          ['MEMORY', 'USAGE', 'r', 'SAMPLES', '0'],
          ['COPY', 'r', 'r2', 'REPLACE'],
          ['XINFO', 'STREAM', 'r2', 'FULL', 'COUNT', '0'],
          ['MEMORY', 'USAGE', 'r2', 'SAMPLES', '0'],
          ['DUMP', 'r2'],
        ]);
      }
    }
  });

  it('read or refuse alike what has a right checksum and is broken behind it', {
    timeout: 60_000 * testScale,
  }, async () => {
    const random = seededRandom('forged streams');
    const bodies: string[] = [];
    for (const maker of MAKERS.filter((one) => one.length < 40)) {
      await Promise.all([twins.mine, twins.theirs].map((client) => twins.send(client, [['DEL', 'k'], ...maker])));
      await alike([['CONFIG', 'SET', 'rdbcompression', 'no']]);
      const body = ((await twins.send(twins.theirs, [['DUMP', 'k']]))[0] as string).slice(0, -10);
      bodies.push(body);
    }
    let good = 0;
    for (let done = 0; done < FORGED; done += BATCH) {
      const commands: Arguments[] = [];
      for (let i = 0; i < BATCH; i++) {
        let body = bodies[random.nextBelow(bodies.length)]!;
        for (let changes = 1 + random.nextBelow(2); changes > 0 && body.length > 2; changes--) {
          const at = 1 + random.nextBelow(body.length - 1);
          const bit = String.fromCharCode(body.charCodeAt(at) ^ (1 << random.nextBelow(8)));
          const byte = random.nextBelow(2) === 0 ? bit : String.fromCharCode(random.nextBelow(256));
          const kind = random.nextBelow(6);
          body = body.slice(0, at) + (kind === 0 ? '' : byte) + body.slice(kind === 1 ? at : at + 1);
          // The old form of streams, whose header is shorter.
          if (random.nextBelow(40) === 0) body = `\x0f${body.slice(1)}`;
        }
        commands.push(
          ['DEL', 'r'],
          ['RESTORE', 'r', '0', payload(body)],
          ['XLEN', 'r'],
          ['DEBUG', 'DIGEST-VALUE', 'r'],
        );
      }
      for (const reply of await alike(commands)) if (reply === 'OK') good++;
    }
    expect(good).toBeGreaterThan(FORGED / 20);
    expect(good).toBeLessThan(FORGED * 0.95);
  });

  it('refuse a payload cut short at any length, or with any byte turned', { timeout: 60_000 }, async () => {
    await Promise.all(
      [twins.mine, twins.theirs].map((client) => twins.send(client, [['DEL', 'k'], ...MAKERS.at(-1)!])),
    );
    const dump = (await twins.send(twins.theirs, [['DUMP', 'k']]))[0] as string;
    const commands: Arguments[] = [['DEL', 'r']];
    for (let i = 0; i < dump.length; i++) {
      commands.push(['RESTORE', 'r', '0', dump.slice(0, i)]);
      commands.push([
        'RESTORE',
        'r',
        '0',
        dump.slice(0, i) + String.fromCharCode(dump.charCodeAt(i) ^ 0x55) + dump.slice(i + 1),
      ]);
    }
    for (const reply of (await alike(commands)).slice(1)) expect(reply).toBeInstanceOf(RespError);
    // Cut short with a right checksum.
    const body = dump.slice(0, -10);
    const cut: Arguments[] = Array.from({ length: body.length }, (_, i) => [
      'RESTORE',
      'r',
      '0',
      payload(body.slice(0, i)),
      'REPLACE',
    ]);
    await alike(cut.slice(1));
  });
});
