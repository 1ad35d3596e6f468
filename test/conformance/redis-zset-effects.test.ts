/** What the commands of sorted sets and places do beside their replies, in our engine and in the original: events, and changes counted. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { verifyCore } from '../../engines/redis/verify.ts';
import { playScript } from '../redis/support/script.ts';
import { startOurs, startReal, type TestServer } from '../redis/support/servers.ts';
import { describeReal } from '../support/real.ts';

const commands: readonly string[] = [
  'ZADD k 1 a 2 b 3 c 4 d',
  'ZADD k 1 a',
  'ZADD k NX 5 a',
  'ZADD k XX CH 5 a 6 b',
  'ZADD none XX 5 a',
  'ZADD k GT 1 a',
  'ZADD k INCR 1 a',
  'ZINCRBY k 0 a',
  'ZINCRBY k 2 new',
  'ZADD i inf m',
  'ZADD i INCR -inf m',
  'ZREM k x',
  'ZREM k a x b',
  'ZPOPMIN k 0',
  'ZPOPMIN k',
  'ZPOPMAX k 10',
  'ZADD k 1 a 2 b 3 c 4 d 5 e 6 f 7 g',
  'ZMPOP 2 none k MIN COUNT 2',
  'BZPOPMIN k 0',
  'BZMPOP 0 1 k MAX',
  'ZREMRANGEBYRANK k 5 6',
  'ZREMRANGEBYRANK k 0 0',
  'ZREMRANGEBYSCORE k 100 200',
  'ZREMRANGEBYSCORE k 5 5',
  'ZREMRANGEBYLEX k - +',
  'EXISTS k',
  'ZADD k 1 a 2 b',
  'ZADD l 3 b 4 c',
  'ZUNIONSTORE d 2 k l',
  'ZINTERSTORE d 2 k l',
  'ZDIFFSTORE d 2 k l',
  'ZDIFFSTORE d 2 k k',
  'ZDIFFSTORE d 2 k k',
  'ZRANGESTORE d k 0 -1',
  'EXPIRE d 100',
  'ZRANGESTORE d k 0 0',
  'TTL d',
  'ZRANGESTORE d none 0 -1',
  'ZRANGESTORE d none 0 -1',
  'SET s x',
  'ZUNIONSTORE s 1 k',
  'GEOADD g 13 38 a 14 39 b',
  'GEOADD g 13 38 a',
  'GEOADD g CH 13.5 38 a',
  'GEOSEARCHSTORE d g FROMLONLAT 13 38 BYRADIUS 1000 KM',
  'GEOSEARCHSTORE d g FROMLONLAT 13 38 BYRADIUS 1 M',
  'GEORADIUS g 13 38 1000 KM STORE d',
  'GEORADIUS g 13 38 1000 KM STOREDIST d',
  'GEORADIUSBYMEMBER none m 1 M STORE d',
  'ZSCORE k a',
  'ZRANDMEMBER k 5',
  'ZSCAN k 0 MATCH a',
];

/** The statistics that are told. Changes count from the first time on: what others have done before does not matter. */
function statistics(): (text: string) => string {
  let first = -1;
  return (text) => {
    if (!text.includes('INFO')) return text;
    const changes = Number(/rdb_changes_since_last_save:(\d+)/.exec(text)?.[1] ?? Number.NaN);
    if (Number.isNaN(changes)) return (text.match(/(keyspace_hits|keyspace_misses):\d+/g) ?? []).join(' ');
    if (first < 0) first = changes;
    return `${changes - first} changes`;
  };
}

describeReal(['redis-server'], 'effects of the commands of sorted sets', () => {
  let ours: TestServer;
  let real: TestServer;

  beforeAll(async () => {
    [ours, real] = await Promise.all([startOurs(), startReal()]);
  });
  afterAll(async () => {
    await Promise.all([ours?.stop(), real?.stop()]);
  });

  for (const entries of ['128', '0']) {
    it(`are the original's, with up to ${entries} members in a listpack`, { timeout: 20_000 }, async () => {
      const lines = [
        'A: FLUSHALL',
        'A: CONFIG RESETSTAT',
        `A: CONFIG SET zset-max-listpack-entries ${entries} notify-keyspace-events AKE`,
        'S? PSUBSCRIBE __key*__:*',
        'A: INFO persistence',
        ...commands.flatMap((command) => [`A: ${command}`, 'A: INFO persistence', 'A: INFO stats']),
        'A: CONFIG SET notify-keyspace-events ""',
      ];
      const [mine, theirs] = await Promise.all([
        playScript(ours, lines, statistics()),
        playScript(real, lines, statistics()),
      ]);
      expect(mine).toEqual(theirs);
      expect(mine.filter((line) => line.startsWith('S heard')).length).toBeGreaterThan(commands.length);
      verifyCore(ours.running!.core);
    });
  }
});
