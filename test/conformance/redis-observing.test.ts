/** What is told of keys, commands and delays, played on our engine and on the original alike. */
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { verifyCore } from '../../engines/redis/verify.ts';
import { playScript } from '../redis/support/script.ts';
import { startOurs, startReal, type TestServer } from '../redis/support/servers.ts';
import { describeReal } from '../support/real.ts';
import { RespClient } from '../support/resp-client.ts';

/** What is played, by what it shows. */
const scripts: Readonly<Record<string, readonly string[]>> = {
  'classes of events are read and printed': [
    'A: CONFIG SET notify-keyspace-events KEg$lshzxetdn',
    'A: CONFIG GET notify-keyspace-events',
    'A: CONFIG SET notify-keyspace-events nmdxtgK',
    'A: CONFIG GET notify-keyspace-events',
    'A: CONFIG SET notify-keyspace-events AnKm',
    'A: CONFIG GET notify-keyspace-events',
    'A: CONFIG SET notify-keyspace-events Kq',
  ],
  'events of strings and keys': [
    'A: CONFIG SET notify-keyspace-events KEAmn',
    'B: HELLO 3',
    'B! PSUBSCRIBE __key*',
    'B? PING',
    'A: SET k 1',
    'A: INCR k',
    'A: APPEND k 2',
    'A: SETRANGE k 5 x',
    'A: GETSET k 3',
    'A: MSET k 4 l 5',
    'A: MSETNX m 1 n 2',
    'A: EXPIRE k 100',
    'A: PERSIST k',
    'A: RENAME k o',
    'A: COPY o p',
    'A: MOVE p 1',
    'A: GET none',
    'A: EXISTS none',
    'A: TTL none',
    'A: TYPE none',
    'A: SET e 1 PX 1',
    '* 5',
    'A: GET e',
    'A: GETDEL o',
    'A: SET o x EX 100',
    'A: GETEX o PERSIST',
    'A: EXPIRE o -1',
    'A: DEL l m none',
    'A: UNLINK n',
    'A: SET d x',
    'A: RESTORE r 0 "\\x00\\xc0*\\x0a\\x00\\x81\\xfb\\x5c\\xfa\\x86cOP"',
    'A: FLUSHALL',
  ],
  'only the classes asked for': [
    'A: CONFIG SET notify-keyspace-events Kg',
    'B: PSUBSCRIBE *',
    'A: SET k 1',
    'A: DEL k',
    'A: CONFIG SET notify-keyspace-events E$',
    'A: SET k 1',
    'A: DEL k',
    'A: CONFIG SET notify-keyspace-events A',
    'A: SET k 1',
    'A: CONFIG SET notify-keyspace-events ""',
    'A: SET k 1',
  ],
  'key names with any bytes': [
    'A: CONFIG SET notify-keyspace-events KEA',
    'B: HELLO 3',
    'B! PSUBSCRIBE *',
    'B? PING',
    'B! SUBSCRIBE "__keyspace@3__:\\x00\\xff"',
    'B? PING',
    'A: SELECT 3',
    'A: SET "\\x00\\xff" 1',
    'A: SET "" 1',
  ],
  'evicted keys': [
    'A: CONFIG SET notify-keyspace-events KEe',
    'B: HELLO 3',
    'B! PSUBSCRIBE *',
    'B? PING',
    'A: SET k 1',
    'A: CONFIG SET maxmemory-policy allkeys-random',
    'A: CONFIG SET maxmemory 1',
    'A: GET k',
    'A: CONFIG SET maxmemory 0',
    'A: CONFIG SET maxmemory-policy noeviction',
  ],
  'a client hears of what it does itself': [
    'A: CONFIG SET notify-keyspace-events KEA',
    'A: HELLO 3',
    'A! SUBSCRIBE __keyevent@0__:set __keyevent@0__:incrby',
    'A? PING',
    'A: SET k 1',
    'A: MULTI',
    'A: INCR k',
    'A: INCR k',
    'A! EXEC',
  ],
  'shard channels': [
    'A: HELLO 3',
    'A! SSUBSCRIBE s t',
    'A? PING',
    'A! SUBSCRIBE s',
    'A? PING',
    'B: SPUBLISH s hello',
    'B: PUBLISH s world',
    'B: PUBSUB SHARDCHANNELS t*',
    'B: PUBSUB SHARDNUMSUB s t u',
    'B: PUBSUB NUMSUB s t u',
    'B: PUBSUB CHANNELS s*',
    'B: PUBSUB NUMPAT',
    'A! SUNSUBSCRIBE s',
    'A? PING',
    'A! SUNSUBSCRIBE',
    'A? PING',
    'A! SUNSUBSCRIBE',
    'A? PING',
    'B: SPUBLISH s hello',
  ],
  'MONITOR shows what is executed': [
    'M: MONITOR',
    'A: SET k "a\\x00\\x01\\xff"',
    'A: SELECT 3',
    'A: NOSUCH',
    'A: GET',
    'A: AUTH secret',
    'A: AUTH default secret',
    'A: AUTH a b c',
    'A: HELLO 2 AUTH default secret SETNAME x',
    'A: HELLO 2 SETNAME y',
    'A: CONFIG GET hz',
    'A: SELECT 0',
    'A: SUBSCRIBE c',
    'A: UNSUBSCRIBE c',
    'A: INCRBYFLOAT f 1.5',
    'A: EXPIRE f 100',
    'A: DEL ""',
    'A: CLIENT LIST ID $M',
  ],
  'MONITOR shows transactions': [
    'M: MONITOR',
    'A: WATCH k',
    'A: MULTI',
    'A: SET k 1',
    'A: CONFIG GET hz',
    'A: PING',
    'A: EXEC',
    'A: MULTI',
    'A: SET k 2',
    'A: NOSUCH',
    'A: EXEC',
    'A: MULTI',
    'A: EXEC x',
    'A: MULTI',
    'A: DISCARD',
    'A: MULTI',
    'A: MONITOR',
    'A: EXEC',
  ],
  'a monitor is no reader': [
    'M: MONITOR',
    'M: GET k',
    'M: SET k 1',
    'M: PUBLISH c x',
    'M: PING',
    'M! MONITOR',
    'M: ECHO hi',
    'M: RESET',
    'M: GET k',
    'A: SET k 1',
  ],
  'SLOWLOG shows commands but no secrets': [
    'A: CONFIG SET slowlog-log-slower-than 0',
    'A: SLOWLOG RESET',
    'A: SET k 1',
    `A: SET k ${'x'.repeat(130)}`,
    `A: DEL ${Array.from({ length: 40 }, (_, i) => `k${i}`).join(' ')}`,
    'A: AUTH secret',
    'A: HELLO 2 AUTH default secret',
    'A: MULTI',
    'A: SET k 2',
    'A: EXEC',
    'A: CONFIG SET requirepass secret masterauth other hz 10',
    'A: CONFIG SET requirepass "" masterauth ""',
    'A: ACL SETUSER u on >secret',
    'A: ACL GETUSER u',
    'A: ACL DELUSER u v',
    'A: ACL WHOAMI',
    'A: CONFIG SET slowlog-log-slower-than -1',
    'A: SLOWLOG GET -1',
    'A: CONFIG SET slowlog-log-slower-than 10000',
    'A: SLOWLOG LEN',
    'A: SLOWLOG GET 2',
    'A: SLOWLOG GET 0',
    'A: SLOWLOG GET x',
    'A: SLOWLOG GET -2',
    'A: CONFIG SET slowlog-max-len 3',
    'A: SLOWLOG LEN',
    'A: SLOWLOG RESET',
    'A: SLOWLOG LEN',
    'A: CONFIG SET slowlog-max-len 128',
  ],
  'LATENCY remembers delays': [
    'A: LATENCY RESET',
    'A: CONFIG SET latency-monitor-threshold 100',
    'A& DEBUG SLEEP 0.15 ; LATENCY LATEST ; LATENCY HISTORY command ; LATENCY GRAPH command',
    'A: LATENCY HISTORY nosuch',
    'A: LATENCY GRAPH nosuch',
    'A: LATENCY RESET nosuch command',
    'A: LATENCY LATEST',
    'A: LATENCY RESET',
    'A: LATENCY',
    'A: LATENCY GRAPH',
    'A: CONFIG SET latency-monitor-threshold 0',
    'A: DEBUG SLEEP 0.15',
    'A: LATENCY LATEST',
  ],
  'commands that wait are counted when they end': [
    'A: CONFIG RESETSTAT',
    // Less than the waits, and more than a busy machine adds to what does not wait.
    'A: CONFIG SET slowlog-log-slower-than 70000',
    'A: SLOWLOG RESET',
    'A: BLPOP none 0.05',
    'A: INFO commandstats',
    'B! BLPOP none 0',
    'C! BLMOVE none other LEFT LEFT 0',
    '* 80',
    'A: CLIENT LIST ID $B $C',
    'A: INFO clients',
    'A: RPUSH none a b',
    '* 80',
    'A: INFO commandstats',
    'B! BLPOP none 0',
    'C! BLPOP none 0',
    '* 80',
    'A: CLIENT UNBLOCK $B TIMEOUT',
    'A: CLIENT UNBLOCK $C ERROR',
    'A: CLIENT UNBLOCK $C ERROR',
    'A: INFO commandstats',
    'A: INFO errorstats',
    'A: SLOWLOG LEN',
    'A: CONFIG SET slowlog-log-slower-than 10000',
  ],
  'a pause keeps the data as they are': [
    'A& SET k 1 PX 20 ; CLIENT PAUSE 150 WRITE',
    '* 50',
    'A: GET k',
    'A: DBSIZE',
    'A: CLIENT UNPAUSE',
    'A: GET k',
    'A: DBSIZE',
  ],
  'SLOWLOG shows commands that waited': [
    'A: CONFIG SET slowlog-log-slower-than 0',
    'A: SLOWLOG RESET',
    'B! BLPOP l m 0',
    '* 20',
    'A: RPUSH l x',
    '* 20',
    'A: BLPOP none 0.03',
    'A: MULTI',
    'A: BLPOP none 0',
    'A: EXEC',
    'A: SLOWLOG GET -1',
    'A: CONFIG SET slowlog-log-slower-than 10000',
  ],
  'scripts are shown, and what they call': [
    'M: MONITOR',
    `A: EVAL "redis.call('set', KEYS[1], ARGV[1]); return redis.call('get', KEYS[1])" 1 k v`,
    `A: EVAL_RO "return redis.call('get', KEYS[1])" 1 k`,
    'A: SELECT 2',
    `A: EVAL "redis.call('select', 3); return redis.call('dbsize')" 0`,
    'A: EVALSHA ffffffffffffffffffffffffffffffffffffffff 0',
    'A: MULTI',
    `A: EVAL "return redis.call('ping')" 0`,
    'A: EXEC',
    'A: CONFIG SET slowlog-log-slower-than 0',
    'A: SLOWLOG RESET',
    `A: EVAL "redis.call('set', KEYS[1], ARGV[1]); return redis.call('get', KEYS[1])" 1 k v`,
    'A: CONFIG SET slowlog-log-slower-than -1',
    'A: SLOWLOG GET -1',
    'A: CONFIG SET slowlog-log-slower-than 10000',
  ],
  'the flags of CLIENT LIST': [
    'A: CLIENT NO-EVICT ON',
    'A: CLIENT SETNAME alice',
    'B: HELLO 3 SETNAME bob',
    'B! SUBSCRIBE x y',
    'B? PING',
    'C: PSUBSCRIBE z*',
    'D: HELLO 3',
    'D! SSUBSCRIBE s',
    'D? PING',
    'A: CLIENT LIST ID $A $B $C $D',
    'A: CLIENT LIST TYPE pubsub',
    'A: CLIENT LIST TYPE replica',
    'A: CLIENT LIST TYPE nosuch',
    'A: CLIENT LIST ID',
    'A: CLIENT LIST ID x',
    'A: CLIENT LIST nosuch',
    'A: CLIENT NO-EVICT MAYBE',
    'A: RESET',
    'A: CLIENT LIST ID $A',
  ],
  'CLIENT KILL and its filters': [
    'A: PING',
    'B: SUBSCRIBE x',
    'C: CLIENT SETNAME carol',
    'D: PING',
    'A: CLIENT KILL TYPE pubsub SKIPME yes',
    'A: CLIENT LIST ID $B',
    'A: CLIENT KILL ID $C TYPE normal',
    'A: CLIENT KILL ID $A',
    'A: CLIENT KILL TYPE nosuch',
    'A: CLIENT KILL USER nosuch',
    'A: CLIENT KILL ID 0',
    'A: CLIENT KILL SKIPME maybe',
    'A: CLIENT KILL ADDR 1.2.3.4:5',
    'A: CLIENT KILL LADDR 1.2.3.4:5',
    'A: CLIENT KILL 1.2.3.4:5',
    'A: CLIENT KILL USER default ID $D',
    'A: CLIENT KILL ID $A SKIPME no',
    'E: CLIENT LIST ID $A $B $C $D',
  ],
  'CLIENT PAUSE holds writers': [
    'A: CLIENT PAUSE 100 WRITE',
    'B: GET k',
    'B: PUBSUB CHANNELS',
    'C! PUBLISH c x',
    'D! SET k 1',
    'E! GETSET k 2',
    '* 20',
    'B: INFO clients',
    'B: CLIENT LIST ID $D',
    'B: GET k',
    'B: CLIENT UNPAUSE',
    '* 20',
    'B: GET k',
    'A: CLIENT PAUSE x',
    'A: CLIENT PAUSE -1',
    'A: CLIENT PAUSE 1 NOSUCH',
  ],
};

/** Ids, addresses and times differ. */
function normal(text: string): string {
  if (text.includes('cmdstat_'))
    return [...text.matchAll(/cmdstat_(?:bl|rpush|client\|unb)[^\\]*/g)]
      .map(([one]) => one.replace(/usec=\d+,usec_per_call=[\d.]+/, ''))
      .sort()
      .join('\n');
  if (text.includes('INFO clients')) return /blocked_clients:\d+/.exec(text)![0];
  // A delay of 30 ms may take a little longer.
  if (text.includes('LATENCY')) text = text.replaceAll(/\b\d{10}\b/g, '<time>').replaceAll(/\b1[5-9]\d\b/g, '150');
  return text
    .replaceAll(/\b(fd|age|idle|qbuf|qbuf-free|argv-mem|rbs|rbp|obl|oll|omem|tot-mem|events)=\S+/g, '$1=…')
    .replaceAll(/(\b|\\n)id=\d+/g, '$1id=…')
    .replaceAll(/"id"(: |, )\d+/g, '"id" …')
    .replaceAll(/(l?addr)=\S+/g, '$1=…')
    .replaceAll(/\b\d{10}\.\d{6} /g, '<time> ')
    .replaceAll(/"[^" ]*\.sock:0"/g, '"<address>"')
    .replaceAll(/unix:\S+\.sock/g, 'unix:<path>')
    .replaceAll(/\[\d+, \d{10}, \d+, \[/g, '[…, [');
}

describeReal(['redis-server'], 'observing', () => {
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
      await client.command('CONFIG', 'SET', 'notify-keyspace-events', '');
      await client.close();
    }
  });

  for (const [title, lines] of Object.entries(scripts)) {
    it(`${title}, as in the original`, { timeout: 5_000 }, async () => {
      const [mine, theirs] = await Promise.all([playScript(ours, lines, normal), playScript(real, lines, normal)]);
      expect(mine).toEqual(theirs);
      verifyCore(ours.running!.core);
    });
  }
});
