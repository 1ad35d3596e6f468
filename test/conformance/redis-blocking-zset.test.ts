/** Clients that wait for members of sorted sets, played on our engine and on the original alike. */
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { verifyCore } from '../../engines/redis/verify.ts';
import { playScript } from '../redis/support/script.ts';
import { startOurs, startReal, type TestServer } from '../redis/support/servers.ts';
import { describeReal } from '../support/real.ts';
import { RespClient } from '../support/resp-client.ts';

/** What is played, by what it shows. A pause lets a client begin to wait, or a wait end. */
const scripts: Readonly<Record<string, readonly string[]>> = {
  'nobody waits for what is there': [
    'A: ZADD k 1 a 2 b 3 c',
    'A: BZPOPMIN none k 0',
    'A: BZPOPMAX k none 0',
    'A: BZMPOP 0 2 none k MIN COUNT 5',
    'A: EXISTS k',
  ],
  'RESP3 has doubles': ['A? HELLO 3', 'A: ZADD k 1.5 a 2 b 3 c', 'A: BZPOPMIN k 0', 'A: BZMPOP 0 1 k MAX COUNT 9'],
  'a member that comes ends the wait': ['A! BZPOPMIN k 5', '* 40', 'B: ZADD k 1 a 2 b', 'B: ZRANGE k 0 -1 WITHSCORES'],
  'of several that come the last is popped': ['A! BZPOPMAX k 5', '* 40', 'B: ZADD k 1 a 2 b', 'B: ZRANGE k 0 -1'],
  'the only member that comes leaves no key': ['A! BZPOPMIN k 5', '* 40', 'B: ZADD k 7 a', 'B: EXISTS k', 'B: TYPE k'],
  'several keys': ['A! BZPOPMIN k l m 5', '* 40', 'B: ZADD m 3 x', 'B: ZADD k 1 a', 'B: EXISTS k l m'],
  'BZMPOP takes as many as it may': ['A! BZMPOP 5 2 k l MAX COUNT 2', '* 40', 'B: ZADD l 1 a 2 b 3 c', 'B: ZCARD l'],
  'BZMPOP in RESP3': ['A? HELLO 3', 'A! BZMPOP 5 1 k MIN', '* 40', 'B: ZADD k 1 a 2 b', 'B: ZCARD k'],
  'first come, first served': [
    'A! BZPOPMIN k 5',
    '* 40',
    'B! BZPOPMIN k 5',
    '* 40',
    'C: ZADD k 1 a',
    'C: ZADD k 2 b',
    'C: EXISTS k',
  ],
  'two members serve two': [
    'A! BZPOPMIN k 5',
    '* 40',
    'B! BZPOPMAX k 5',
    '* 40',
    'C: ZADD k 1 a 2 b 3 c',
    'C: ZRANGE k 0 -1',
  ],
  'the time runs out': ['A: BZPOPMIN k 0.05', 'A: BZMPOP 0.05 1 k MIN', 'A? HELLO 3', 'A: BZPOPMAX k 0.05'],
  'CLIENT UNBLOCK ends a wait': [
    'A! BZPOPMIN k 0',
    '* 40',
    'B: CLIENT UNBLOCK $A',
    '* 20',
    'A! BZMPOP 0 1 k MIN',
    '* 40',
    'B: CLIENT UNBLOCK $A ERROR',
  ],
  'another type does not end it': [
    'A! BZPOPMIN k 1',
    '* 40',
    'B: SADD k x',
    'B: DEL k',
    'B: ZADD k 1 a',
    'B: EXISTS k',
  ],
  'a wrong type is an error at once': ['A: SET k x', 'A: BZPOPMIN k 0', 'A: BZMPOP 0 1 k MIN', 'A: BZPOPMIN none k 0'],
  'a transaction does not wait': ['A: MULTI', 'A: BZPOPMIN k 0', 'A: BZMPOP 0 1 k MIN', 'A: EXEC'],
  'a transaction serves at its end': [
    'A! BZPOPMIN k 5',
    '* 40',
    'B: MULTI',
    'B: ZADD k 1 a',
    'B: DEL k',
    'B: EXEC',
    'B: ZADD k 2 b',
  ],
  'a stored result serves': [
    'A! BZPOPMIN k 5',
    '* 40',
    'B: ZADD s 1 a 2 b',
    'B: ZUNIONSTORE k 1 s',
    'B: ZRANGE k 0 -1',
  ],
  'places serve': ['A! BZPOPMIN k 5', '* 40', 'B: GEOADD k 13 38 a', 'B: EXISTS k'],
  'RENAME and COPY serve': ['A! BZPOPMIN k 5', '* 40', 'B: ZADD s 1 a 2 b', 'B: RENAME s k', 'B: ZRANGE k 0 -1'],
  syntax: [
    'A: BZPOPMIN k x',
    'A: BZPOPMIN k -1',
    'A: BZMPOP x 1 k MIN',
    'A: BZMPOP 0 0 k MIN',
    'A: BZMPOP 0 1 k MID',
    'A: BZMPOP 0 1 k MIN COUNT 0',
    'A: BZMPOP 0 1 k MIN COUNT 1 COUNT 2',
    'A: BZMPOP 0 5 k MIN',
  ],
};

describeReal(['redis-server'], 'waiting for sorted sets', () => {
  let ours: TestServer;
  let real: TestServer;

  beforeAll(async () => {
    [ours, real] = await Promise.all([startOurs(), startReal()]);
  });
  afterAll(async () => {
    await Promise.all([ours?.stop(), real?.stop()]);
  });
  beforeEach(async () => {
    for (const server of [ours, real]) {
      const client = await RespClient.connect({ path: server.path });
      await client.command('FLUSHALL');
      await client.close();
    }
  });

  for (const [title, lines] of Object.entries(scripts)) {
    it(`${title}, as in the original`, { timeout: 5_000 }, async () => {
      const [mine, theirs] = await Promise.all([playScript(ours, lines), playScript(real, lines)]);
      expect(mine).toEqual(theirs);
      verifyCore(ours.running!.core);
    });
  }
});
