/** Numbers beyond what a JavaScript number holds exactly: both servers give the same digits. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startOurs, startReal, type TestServer } from '../redis/support/servers.ts';
import { describeReal } from '../support/real.ts';
import { encodeCommand, RespClient } from '../support/resp-client.ts';

const MAX = '9223372036854775807';
const NUMBERS = [
  MAX,
  '9223372036854775806',
  '-9223372036854775808',
  '9007199254740993',
  '9999999999999999',
  '100000000000000001',
];

function commands(number: string): string[][] {
  return [
    ['FLUSHALL'],
    ['INCRBY', 'n', number],
    ['DECRBY', 'n', '1'],
    ['INCR', 'n'],
    ['GET', 'n'],
    ['HINCRBY', 'h', 'f', number],
    ['HINCRBY', 'h', 'f', '-1'],
    ['BITFIELD', 'b', 'SET', 'i64', '0', number, 'GET', 'i64', '0', 'GET', 'u63', '1', 'GET', 'i60', '0'],
    ['SET', 'e', 'x'],
    ['PEXPIREAT', 'e', number],
    ['PEXPIRETIME', 'e'],
    ['EXPIRETIME', 'e'],
    ['SET', 'e', 'x', 'PXAT', number],
    ['PEXPIRETIME', 'e'],
    ['GETEX', 'e', 'PXAT', number],
    ['SET', 'e', 'x'],
    ['EXPIREAT', 'e', number],
    ['EXPIREAT', 'e', number.slice(0, -3)],
    ['EXPIRETIME', 'e'],
    ['PEXPIRETIME', 'e'],
    ['XADD', 's', `${number.replace('-', '')}-${number.replace('-', '')}`, 'f', 'v'],
    ['XGROUP', 'CREATE', 's', 'g', '0', 'ENTRIESREAD', number],
    ['XSETID', 's', '18446744073709551615-18446744073709551615', 'ENTRIESADDED', number, 'MAXDELETEDID', '1-1'],
    ['XINFO', 'STREAM', 's'],
    ['XINFO', 'GROUPS', 's'],
    ['XINFO', 'STREAM', 's', 'FULL'],
    ['XREADGROUP', 'GROUP', 'g', 'c', 'STREAMS', 's', '>'],
    [
      'XCLAIM',
      's',
      'g',
      'd',
      '0',
      `${number.replace('-', '')}-${number.replace('-', '')}`,
      'TIME',
      '1',
      'RETRYCOUNT',
      number,
    ],
    ['XINFO', 'GROUPS', 's'],
    ['SADD', 'i', number, '1'],
    ['SINTERCARD', '1', 'i', 'LIMIT', number],
    ['SMEMBERS', 'i'],
    ['ZADD', 'z', number, 'm'],
    ['ZINCRBY', 'z', '1', 'm'],
    ['ZSCORE', 'z', 'm'],
    ['ZCOUNT', 'z', '-inf', number],
    ['LPUSH', 'l', number],
    ['LPOS', 'l', number, 'RANK', number],
    ['RESTORE', 'r', '0', 'x', 'IDLETIME', number],
    ['EVAL', `return ${number}`, '0'],
    ['EVAL', "return redis.call('INCRBY', 'n2', ARGV[1])", '0', number],
    ['GET', 'n2'],
    ['SETRANGE', 'n2', number, 'x'],
    ['GETRANGE', 'n2', '0', number],
    ['BITPOS', 'n2', '1', '0', number],
    ['BITCOUNT', 'n2', '0', number],
    ['OBJECT', 'IDLETIME', 'n2'],
  ];
}

describeReal(['redis-server'], 'numbers beyond 53 bits', () => {
  let servers: TestServer[];

  beforeAll(async () => {
    servers = await Promise.all([startOurs(), startReal()]);
  });
  afterAll(async () => {
    await Promise.all((servers ?? []).map((server) => server.stop()));
  });

  for (const number of NUMBERS) {
    it(`have the same digits: ${number}`, async () => {
      const all = commands(number);
      const bytes = Buffer.concat(all.map((one) => encodeCommand(one)));
      const [mine, theirs] = await Promise.all(
        servers.map(async ({ path }) => {
          const client = await RespClient.connect({ path });
          const replies = await client.raw(bytes, all.length);
          await client.close();
          return replies.map((reply, i) => [all[i]!.join(' '), reply]);
        }),
      );
      for (let i = 0; i < all.length; i++) expect.soft(mine![i]).toEqual(theirs![i]);
    });
  }
});
