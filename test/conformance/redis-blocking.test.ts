/** Clients that wait for lists, played on our engine and on the original alike. */
import { expect, it } from 'vitest';
import { describeScripts } from '../redis/support/describe-scripts.ts';
import { playScript } from '../redis/support/script.ts';

const TEN = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j'].join(' ');

/** What is played, by what it shows. "* 30" gives the command before it the time to begin to wait. */
const scripts: Readonly<Record<string, readonly string[]>> = {
  'the first key that has elements is taken from': [
    'A: RPUSH b 1 2 3',
    'A: RPUSH c x',
    'A: BLPOP a b c 0',
    'A: BRPOP a c b 0',
    'A: BLMPOP 0 2 c b RIGHT COUNT 5',
    'A: BLMPOP 0.1 2 c a LEFT',
  ],
  'a wait ends with the first element': ['A! BLPOP k l 0', '* 30', 'B: RPUSH l x y', '* 30', 'B: LRANGE l 0 -1'],
  'who waits longest is served first': [
    'A! BLPOP k 0',
    '* 30',
    'B! BRPOP k 0',
    '* 30',
    'C! BLMPOP 0 1 k RIGHT COUNT 2',
    '* 30',
    `D: RPUSH k ${TEN}`,
    '* 30',
    'D: LRANGE k 0 -1',
  ],
  'who is served is gone from the other keys': [
    'A! BLPOP k l 0',
    '* 30',
    'B: RPUSH k 1',
    '* 20',
    'B: RPUSH l 1',
    'B: LLEN l',
    'B: EXISTS k',
  ],
  'a key named twice': ['A! BLPOP k k 0', '* 30', 'B: RPUSH k 1 2', '* 20', 'B: LRANGE k 0 -1'],
  'an element may pass through many lists': [
    'A! BLMOVE a b LEFT RIGHT 0',
    '* 30',
    'B! BLMOVE b c RIGHT LEFT 0',
    '* 30',
    'C! BRPOPLPUSH c d 0',
    '* 30',
    'D! BLPOP d 0',
    '* 30',
    'E: RPUSH a x',
    '* 30',
    'E: EXISTS a b c d',
  ],
  'a list may turn': ['A! BLMOVE a a LEFT RIGHT 0', '* 30', 'B: RPUSH a x y', '* 30', 'B: LRANGE a 0 -1'],
  'a destination of another type is told when the element comes': [
    'A! BLMOVE a s LEFT RIGHT 0',
    '* 30',
    'B: SET s x',
    'B: RPUSH a 1',
    '* 30',
    'B: LRANGE a 0 -1',
    'B: INFO errorstats',
  ],
  'a key of another type is no list': [
    'A: SET s x',
    'A: BLPOP n s 0',
    'A: BLMOVE s t LEFT LEFT 0',
    'A: BLMPOP 0 1 s LEFT',
  ],
  'another type does not end the wait': [
    'A! BLPOP k 0',
    '* 30',
    'B: SET k x',
    '* 20',
    'B: DEL k',
    'B: RPUSH k y',
    '* 20',
    'B: EXISTS k',
  ],
  'what is made and taken in one transaction is never seen': [
    'A! BLPOP k 0',
    '* 30',
    'B: MULTI',
    'B: RPUSH k 1',
    'B: DEL k',
    'B: EXEC',
    '* 30',
    'B: RPUSH k 2',
    '* 30',
  ],
  'a transaction serves at its end': [
    'A! BLPOP k 0',
    '* 30',
    'B: MULTI',
    'B: RPUSH k 1',
    'B: LPUSH k 0',
    'B: LLEN k',
    'B: EXEC',
    '* 30',
    'B: LRANGE k 0 -1',
  ],
  'nobody waits inside a transaction': [
    'A: MULTI',
    'A: BLPOP k 0',
    'A: BLMOVE k l LEFT LEFT 0',
    'A: BRPOPLPUSH k l 0',
    'A: BLMPOP 0 1 k LEFT',
    'A: WAIT 1 0',
    'A: EXEC',
  ],
  'keys come by other ways too': [
    'A! BLPOP k 0',
    '* 30',
    'B: RPUSH t 1',
    'B: RENAME t k',
    '* 30',
    'A! BLPOP k 0',
    '* 30',
    'B: RPUSH t 2',
    'B: COPY t k',
    '* 30',
    'A! BLPOP k 0',
    '* 30',
    'B: SELECT 1',
    'B: RPUSH k 3',
    'B: MOVE k 0',
    '* 30',
    'A! BLPOP k 0',
    '* 30',
    'B: RPUSH k 4',
    'B: SWAPDB 0 1',
    '* 30',
    'A! BLPOP k 0',
    '* 30',
    'B: SELECT 0',
    'B: RPUSH u 3 1 2',
    'B: SORT u STORE k',
    '* 30',
  ],
  'SWAPDB does not swap who waits': [
    'A! BLPOP k 0',
    '* 30',
    'B: SWAPDB 0 1',
    'B: RPUSH k 1',
    '* 30',
    'B: SELECT 1',
    'B: EXISTS k',
  ],
  'a wait ends when its time is over': [
    'A: BLPOP k 0.01',
    'A: BRPOP k l 0.001',
    'A: BLMOVE k l LEFT LEFT 0.01',
    'A: BRPOPLPUSH k l 0.01',
    'A: BLMPOP 0.01 1 k LEFT',
    'A? HELLO 3',
    'A: BLPOP k 0.01',
    'A: BLMOVE k l LEFT LEFT 0.01',
  ],
  'wrong timeouts': [
    'A: BLPOP k -1',
    'A: BLPOP k abc',
    'A: BLPOP k ""',
    'A: BLPOP k 1e400',
    'A: BLPOP k 9223372036854776',
    'A: BLPOP k inf',
    'A: BLPOP k nan',
    'A: BLPOP k -0.5',
    'A: RPUSH k 1',
    'A: BLPOP k 0x1p1',
  ],
  'CLIENT UNBLOCK ends a wait': [
    'A! BLPOP k 0',
    '* 30',
    'B: CLIENT UNBLOCK $A',
    '* 20',
    'B: CLIENT UNBLOCK $A',
    'A! BLMOVE k l LEFT LEFT 0',
    '* 30',
    'B: CLIENT UNBLOCK $A TIMEOUT',
    '* 20',
    'A! BLMPOP 0 1 k LEFT',
    '* 30',
    'B: CLIENT UNBLOCK $A ERROR',
    '* 20',
    'B: RPUSH k 1',
    'B: LLEN k',
    'B: CLIENT UNBLOCK $A WHY',
  ],
  'what a waiting client sends meanwhile is answered afterwards': [
    'A! BLPOP k 0',
    'A! PING',
    'A! BLPOP k 0',
    'A! ECHO x',
    '* 30',
    'B: RPUSH k 1',
    '* 30',
    'B: RPUSH k 2',
    '* 30',
  ],
  'a client that is gone waits no more': [
    'A! BLPOP k 0',
    '* 30',
    'B: CLIENT KILL ID $A',
    'B: RPUSH k 1',
    'B: LRANGE k 0 -1',
    'B: INFO clients',
  ],
  'who waits is told of in lists and counts': [
    'A! BLPOP k l 10',
    'C! BLPOP k l 0',
    '* 30',
    'B: CLIENT LIST',
    'B: INFO clients',
    'B: RPUSH k 1 2',
    '* 30',
    'B: INFO clients',
    'B: INFO commandstats',
  ],
  'replies may be switched off': [
    'A! CLIENT REPLY SKIP',
    'A! BLPOP k 0',
    'A! PING',
    '* 30',
    'B: RPUSH k 1',
    '* 30',
    'B: LLEN k',
  ],
  'a pushing client may be the next to wait': [
    'A! BLPOP k 0',
    '* 30',
    'B& RPUSH k 1 ; BLPOP k 0.01 ; RPUSH k 2 3 ; BLPOP k 0',
    '* 30',
  ],
  'events are those of the commands': [
    'E: CONFIG SET notify-keyspace-events KEA',
    'E: SUBSCRIBE __keyevent@0__:lpop __keyevent@0__:rpush __keyevent@0__:lpush __keyevent@0__:del __keyevent@0__:rpop',
    'A! BLMOVE k l LEFT LEFT 0',
    '* 30',
    'C! BLPOP m 0',
    '* 30',
    'D! BLMPOP 0 1 n RIGHT COUNT 2',
    '* 30',
    'B: RPUSH k 1',
    'B: RPUSH m 1 2',
    'B: RPUSH n 1 2 3',
    '* 30',
    'B: CONFIG SET notify-keyspace-events ""',
  ],
};

/** Those served change the data as often as on the original. */
const changing: readonly string[] = [
  'B: INFO persistence',
  'A! BLPOP k 0',
  '* 30',
  'B: RPUSH k 1',
  '* 20',
  'B: INFO persistence',
  'A! BLMPOP 0 1 k LEFT COUNT 3',
  '* 30',
  'B: RPUSH k 1 2',
  '* 20',
  'B: INFO persistence',
  'A! BLMOVE k l LEFT LEFT 0',
  '* 30',
  'B: RPUSH k 1 2',
  '* 20',
  'B: INFO persistence',
];

/** What must differ between two servers, or is no matter of this test. */
function normal(text: string): string {
  return text
    .replace(/# Clients.*/s, (section) => (/blocked_clients:\d+/.exec(section) ?? [''])[0])
    .replace(/# Commandstats.*/s, (section) =>
      [...section.matchAll(/cmdstat_(blpop|rpush):calls=\d+/g)]
        .map((match) => match[0])
        .sort()
        .join(' '),
    )
    .replace(/id=\d+ addr=[^\n]*? flags=(\w+) db=(\d+) [^\n]*? cmd=(\S+) [^\n"\\]*/g, 'flags=$1 db=$2 cmd=$3');
}

describeScripts(
  'clients that wait for lists',
  {
    scripts,
    normal,
    fresh: [['CONFIG', 'RESETSTAT']],
    check: (server) => expect(server.running!.core.blocked.count).toBe(0),
  },
  (servers) => {
    it('changes count', { timeout: 20_000 }, async () => {
      const [mine, theirs] = await Promise.all(
        [servers().ours, servers().real].map(async (server) => {
          const text = (await playScript(server, changing)).join('\n');
          const counts = [...text.matchAll(/rdb_changes_since_last_save:(\d+)/g)].map((match) => Number(match[1]));
          return counts.map((count) => count - counts[0]!);
        }),
      );
      expect(mine).toHaveLength(4);
      expect(mine).toEqual(theirs);
    });
  },
);
