/** Transactions on several connections, played on our engine and on the original alike. */
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { verifyCore } from '../../engines/redis/verify.ts';
import { playScript } from '../redis/support/script.ts';
import { startOurs, startReal, type TestServer } from '../redis/support/servers.ts';
import { describeReal } from '../support/real.ts';
import { RespClient } from '../support/resp-client.ts';

/** What is played, by what it shows. */
const scripts: Readonly<Record<string, readonly string[]>> = {
  'a transaction replies with all replies': [
    'A: MULTI',
    'A: SET k 1',
    'A: INCR k',
    'A: GET k',
    'A: SET k v NX GET EX',
    'A: GETRANGE k a b',
    'A: EXEC',
    'A: EXEC',
    'A: GET k',
  ],
  'a transaction may be empty': ['A: MULTI', 'A: EXEC', 'A: MULTI', 'A: DISCARD', 'A: EXEC', 'A: DISCARD'],
  'RESP3 replies pass through': ['A: HELLO 3', 'A: MULTI', 'A: SET k v', 'A: GET none', 'A: CONFIG GET hz', 'A: EXEC'],
  'an unknown command refuses the whole': ['A: MULTI', 'A: SET k 1', 'A: NOSUCH', 'A: SET k 2', 'A: EXEC', 'A: GET k'],
  'a wrong number of arguments refuses the whole': ['A: MULTI', 'A: GET', 'A: EXEC', 'A: MULTI', 'A: EXEC'],
  'an unknown subcommand refuses the whole': ['A: MULTI', 'A: CONFIG NOSUCH', 'A: EXEC'],
  'EXEC with arguments refuses the whole': ['A: MULTI', 'A: SET k 1', 'A: EXEC now', 'A: EXEC', 'A: GET k'],
  'DISCARD with arguments does not discard': [
    'A: MULTI',
    'A: SET k 1',
    'A: DISCARD now',
    'A: EXEC',
    'A: EXEC',
    'A: GET k',
  ],
  'MULTI and WATCH inside MULTI': ['A: MULTI', 'A: MULTI', 'A: WATCH k', 'A: SET k 1', 'A: EXEC', 'A: UNWATCH'],
  'UNWATCH inside MULTI is queued': ['A: WATCH k', 'A: MULTI', 'A: UNWATCH', 'B: SET k 2', 'A: GET k', 'A: EXEC'],
  'subscribing inside MULTI': [
    'A: HELLO 3',
    'A: MULTI',
    'A: SUBSCRIBE c',
    'A: UNSUBSCRIBE',
    'A: PING',
    'A: EXEC',
    'A: PING',
  ],
  'commands that no transaction may hold': [
    'A: MULTI',
    'A: SAVE',
    'A: EXEC',
    'A: MULTI',
    'A: SHUTDOWN ABORT x',
    'A: EXEC',
  ],
  'a watched key that changes': [
    'A: SET k 1',
    'A: WATCH k',
    'B: SET k 2',
    'A: MULTI',
    'A: GET k',
    'A: EXEC',
    'A: MULTI',
    'A: GET k',
    'A: EXEC',
  ],
  'a watched key that does not change': [
    'A: SET k 1',
    'A: WATCH k other',
    'B: GET k',
    'B: DEL none',
    'A: MULTI',
    'A: GET k',
    'A: EXEC',
  ],
  'a watched key changed by the watcher itself': ['A: WATCH k', 'A: SET k 1', 'A: MULTI', 'A: PING', 'A: EXEC'],
  'a watched key changed and changed back': [
    'A: SET k 1',
    'A: WATCH k',
    'B: SET k 2',
    'B: SET k 1',
    'A: MULTI',
    'A: EXEC',
  ],
  'a watched key changed after MULTI': [
    'A: SET k 1',
    'A: WATCH k',
    'A: MULTI',
    'A: INCR k',
    'B: APPEND k 2',
    'A: EXEC',
    'A: GET k',
  ],
  'UNWATCH forgets': ['A: WATCH k', 'B: SET k 2', 'A: UNWATCH', 'A: MULTI', 'A: GET k', 'A: EXEC'],
  'DISCARD forgets': ['A: WATCH k', 'A: MULTI', 'A: DISCARD', 'B: SET k 2', 'A: MULTI', 'A: GET k', 'A: EXEC'],
  'EXEC forgets': ['A: WATCH k', 'A: MULTI', 'A: EXEC', 'B: SET k 2', 'A: MULTI', 'A: GET k', 'A: EXEC'],
  'WATCH once dirty': ['A: WATCH k', 'B: SET k 2', 'A: WATCH other', 'B: SET other 1', 'A: MULTI', 'A: EXEC'],
  'a key watched in another database': [
    'A: SELECT 1',
    'A: WATCH k',
    'B: SET k 2',
    'A: MULTI',
    'A: GET k',
    'A: EXEC',
    'A: WATCH k',
    'B: SELECT 1',
    'B: SET k 3',
    'A: MULTI',
    'A: EXEC',
  ],
  'a key watched in two databases': [
    'A: WATCH k',
    'A: SELECT 1',
    'A: WATCH k',
    'B: SET k 1',
    'A: MULTI',
    'A: EXEC',
    'B: SELECT 1',
    'B: SET k 2',
    'A: MULTI',
    'A: EXEC',
  ],
  'FLUSHDB touches keys that were there': ['A: SET k 1', 'A: WATCH k', 'B: FLUSHDB', 'A: MULTI', 'A: EXEC'],
  'FLUSHALL leaves keys alone that were not there': [
    'A: WATCH none',
    'B: SET k 1',
    'B: FLUSHALL',
    'A: MULTI',
    'A: EXEC',
  ],
  'FLUSHALL touches keys of every database': [
    'A: SELECT 3',
    'A: SET k 1',
    'A: WATCH k',
    'B: FLUSHALL',
    'A: MULTI',
    'A: EXEC',
  ],
  'SWAPDB touches keys that one side has': [
    'A: SET k 1',
    'A: WATCH k',
    'B: SWAPDB 0 1',
    'A: MULTI',
    'A: EXEC',
    'A: WATCH k',
    'B: SWAPDB 0 1',
    'A: MULTI',
    'A: EXEC',
  ],
  'SWAPDB leaves others alone': [
    'A: SET k 1',
    'A: WATCH none',
    'B: SWAPDB 0 1',
    'A: MULTI',
    'A: EXEC',
    'A: WATCH k',
    'B: SWAPDB 2 3',
    'A: MULTI',
    'A: EXEC',
  ],
  'SWAPDB with itself': ['A: SET k 1', 'A: WATCH k', 'B: SWAPDB 0 0', 'A: MULTI', 'A: EXEC'],
  'a watched key that expires': ['A: SET k 1 PX 50', 'A: WATCH k', '* 80', 'A: MULTI', 'A: EXEC'],
  'a watched key that had expired before': [
    'A: DEBUG SET-ACTIVE-EXPIRE 0',
    'A: SET k 1 PX 1',
    '* 10',
    'A: WATCH k',
    'A: MULTI',
    'A: PING',
    'A: EXEC',
    'A: DEBUG SET-ACTIVE-EXPIRE 1',
  ],
  'an expired watched key that is deleted': [
    'A: DEBUG SET-ACTIVE-EXPIRE 0',
    'A: SET k 1 PX 1',
    '* 10',
    'A: WATCH k',
    'B: GET k',
    'B: DEL k',
    'A: MULTI',
    'A: PING',
    'A: EXEC',
    'A: DEBUG SET-ACTIVE-EXPIRE 1',
  ],
  'an expired watched key that is flushed': [
    'A: DEBUG SET-ACTIVE-EXPIRE 0',
    'A: SET k 1 PX 1',
    '* 10',
    'A: WATCH k',
    'B: FLUSHALL',
    'A: MULTI',
    'A: PING',
    'A: EXEC',
    'A: DEBUG SET-ACTIVE-EXPIRE 1',
  ],
  'an expired watched key that comes again': [
    'A: DEBUG SET-ACTIVE-EXPIRE 0',
    'A: SET k 1 PX 1',
    '* 10',
    'A: WATCH k',
    'B: SET k 2',
    'A: MULTI',
    'A: PING',
    'A: EXEC',
    'A: DEBUG SET-ACTIVE-EXPIRE 1',
  ],
  'an expired watched key that is swapped': [
    'A: DEBUG SET-ACTIVE-EXPIRE 0',
    'A: SET k 1 PX 1',
    '* 10',
    'A: WATCH k',
    'B: SWAPDB 0 1',
    'A: MULTI',
    'A: PING',
    'A: EXEC',
    'A: WATCH k',
    'B: SWAPDB 0 1',
    'A: MULTI',
    'A: EXEC',
    'A: DEBUG SET-ACTIVE-EXPIRE 1',
  ],
  'a key does not expire between commands of a transaction': [
    'A& SET k 1 PX 40 ; MULTI ; GET k ; DEBUG SLEEP 0.06 ; GET k ; EXEC ; GET k',
  ],
  'SELECT inside a transaction stays': ['A: MULTI', 'A: SELECT 5', 'A: SET k 5', 'A: EXEC', 'A: GET k', 'B: GET k'],
  'RESET ends a transaction': ['A: WATCH k', 'A: MULTI', 'A: SET k 1', 'A: RESET', 'B: SET k 2', 'A: EXEC', 'A: GET k'],
  'QUIT ends it too': ['A: MULTI', 'A: SET k 1', 'A: QUIT', 'B: GET k'],
  'CLIENT LIST shows it': [
    'A: CLIENT SETNAME alice',
    'A: WATCH k',
    'A: MULTI',
    'A: SET k 1',
    'A: SET k 22',
    'B: CLIENT LIST ID $A',
    'C: SET k 3',
    'B: CLIENT LIST ID $A',
    'A: CLIENT INFO',
    'A: EXEC',
    'A: CLIENT INFO',
  ],
  'CLIENT INFO inside': ['A: MULTI', 'A: CLIENT INFO', 'A: GET k', 'A: EXEC'],
  'a silent transaction': [
    'A! CLIENT REPLY OFF',
    'A! MULTI',
    'A! SET k 1',
    'A! EXEC',
    'A: CLIENT REPLY ON',
    'A: GET k',
  ],
  'failed and refused commands are counted': [
    'A: CONFIG RESETSTAT',
    'A: SET k x',
    'A: MULTI',
    'A: INCR k',
    'A: GET k',
    'A: EXEC',
    'A: MULTI',
    'A: NOSUCH',
    'A: GET',
    'A: EXEC',
    'A: EXEC',
    'A: INFO commandstats',
    'A: INFO errorstats',
  ],
  'WAIT does not block inside': ['A: MULTI', 'A: WAIT 1 0', 'A: EXEC'],
  'AUTH and HELLO inside': ['A: MULTI', 'A: HELLO 3', 'A: CONFIG GET hz', 'A: EXEC', 'A: CONFIG GET hz'],
  'memory has run out': [
    'A: SET k v',
    'A: CONFIG SET maxmemory 1',
    'A: MULTI',
    'A: GET k',
    'A: EXEC',
    'A: MULTI',
    'A: CONFIG SET maxmemory 0',
    'A: DISCARD',
    'A: CONFIG SET maxmemory 0',
    'A: MULTI',
    'A: SET k w',
    'B: CONFIG SET maxmemory 1',
    'A: EXEC',
    'B: CONFIG SET maxmemory 0',
    'A: GET k',
    'A: MULTI',
    'A: GET k',
    'B: CONFIG SET maxmemory 1',
    'A: EXEC',
    'B: CONFIG SET maxmemory 0',
  ],
  'a pause of writers holds a transaction with writes': [
    'B: MULTI',
    'B: GET k',
    'C: MULTI',
    'C: SET k 1',
    'A: CLIENT PAUSE 80 WRITE',
    'B: EXEC',
    'C: EXEC',
    'C: GET k',
  ],
  'a pause that a transaction asks for begins after it': [
    'A: MULTI',
    'A: CLIENT PAUSE 60 WRITE',
    'A: SET k 2',
    'A: EXEC',
    'B: SET k 3',
    'A: GET k',
  ],
  'the subscriber mode refuses inside': ['A: SUBSCRIBE c', 'A: MULTI', 'A: PING'],
  'scripts inside and watched': [
    'A: WATCH k',
    `B: EVAL "return redis.call('set', KEYS[1], 1)" 1 k`,
    'A: MULTI',
    'A: EXEC',
    'A: MULTI',
    `A: EVAL "redis.call('incr', KEYS[1]); return redis.call('get', KEYS[1])" 1 k`,
    `A: EVAL "return redis.call('nosuch')" 0`,
    `A: EVAL "return redis.call('multi')" 0`,
    `A: EVAL "return redis.call('blpop', 'none', 0)" 0`,
    'A: GET k',
    'A: EXEC',
  ],
  'subscribing inside MULTI with RESP2': [
    'A: MULTI',
    'A: SUBSCRIBE c',
    'A: PING',
    'A: GET k',
    'A: UNSUBSCRIBE c',
    'A: PING',
    'A: EXEC',
    'A: GET k',
  ],
  'flushing inside': ['A: SET k 1', 'A: WATCH k', 'A: MULTI', 'A: FLUSHALL', 'A: SET k 2', 'A: EXEC', 'A: GET k'],
  'clients that wait are served after the whole': [
    'B! BLPOP l 0',
    '* 20',
    'A: MULTI',
    'A: RPUSH l x',
    'A: LPOP l',
    'A: EXEC',
    '* 20',
    'A: CLIENT LIST ID $B',
    'A: MULTI',
    'A: RPUSH l y z',
    'A: LRANGE l 0 -1',
    'A: EXEC',
    '* 20',
    'A: LRANGE l 0 -1',
  ],
  'a client that waits may have watched': [
    'B: WATCH k',
    'B! BLPOP l 0',
    '* 20',
    'A: SET k 1',
    'A: RPUSH l x',
    '* 20',
    'B: MULTI',
    'B: EXEC',
  ],
  'what a client that waits is served touches watched keys': [
    'C: WATCH l m',
    'B! BLMOVE l m LEFT LEFT 0',
    '* 20',
    'A: RPUSH l x',
    'C: MULTI',
    'C: EXEC',
    'A: LRANGE m 0 -1',
  ],
  'values of every type are watched': [
    'A: RPUSH l 1',
    'A: SADD s 1',
    'A: HSET h f 1',
    'A: ZADD z 1 m',
    'A: WATCH l',
    'B: LSET l 0 1',
    'A& MULTI ; EXEC ; WATCH s',
    'B: SADD s 1',
    'A& MULTI ; EXEC ; WATCH s',
    'B: SADD s 2',
    'A& MULTI ; EXEC ; WATCH h',
    'B: HSET h f 1',
    'A& MULTI ; EXEC ; WATCH z',
    'B: ZADD z 1 m',
    'A& MULTI ; EXEC ; WATCH z',
    'B: ZADD z 2 m',
    'A& MULTI ; EXEC ; WATCH l s h z',
    'B: SMOVE s t 1',
    'A& MULTI ; EXEC',
  ],
  'many arguments': [
    'A: MULTI',
    `A: MSET ${Array.from({ length: 100 }, (_, i) => `k${i} ${'v'.repeat(i)}`).join(' ')}`,
    'A: MGET k0 k1 k50 k99',
    'A: EXEC',
  ],
};

/** Times, descriptors and memory figures differ; the figures that concern a transaction do not. */
function normal(text: string): string {
  return text
    .replaceAll(/\b(fd|age|idle|qbuf|qbuf-free|argv-mem|rbs|rbp|obl|oll|omem|tot-mem|events)=\S+/g, '$1=…')
    .replaceAll(/\bid=\d+/g, 'id=…')
    .replaceAll(/"id": \d+/g, '"id": …')
    .replaceAll(/(l?addr)=\S+/g, '$1=…')
    .replaceAll(/usec=\d+,usec_per_call=[\d.]+/g, 'usec=…');
}

describeReal(['redis-server'], 'transactions', () => {
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
      const [mine, theirs] = await Promise.all([playScript(ours, lines, normal), playScript(real, lines, normal)]);
      expect(mine.map(sortStats)).toEqual(theirs.map(sortStats));
      const core = ours.running!.core;
      verifyCore(core);
      core.watched.verify();
      expect(core.watched.count).toBe(0);
      expect(core.keyListeners).toBe(0);
    });
  }
});

/** Lines of INFO come in the order of each server's table. */
function sortStats(text: string): string {
  return text.includes('cmdstat_') ? text.split('\\r\\n').sort().join('\n') : text;
}
