/** CLIENT TRACKING on several connections, played on our engine and on the original alike. */
import { expect, it } from 'vitest';
import { describeScripts } from '../redis/support/describe-scripts.ts';
import { RespClient } from '../support/resp-client.ts';

/** What is played, by what it shows. */
const scripts: Readonly<Record<string, readonly string[]>> = {
  'a reader hears of a change once': [
    'A: HELLO 3',
    'A: CLIENT TRACKING ON',
    'A: GET k',
    'B: SET k 1',
    'B: SET k 2',
    'A: PING',
    'A: MGET k l',
    'B: MSET k 1 l 2 m 3',
    'A: CLIENT TRACKINGINFO',
    'A: CLIENT GETREDIR',
    'A: CLIENT INFO',
    'A: CLIENT TRACKING OFF',
    'A: GET k',
    'B: SET k 1',
    'A: CLIENT TRACKINGINFO',
    'A: CLIENT GETREDIR',
  ],
  'deletion, expiry and renaming are changes': [
    'A: HELLO 3',
    'A: CLIENT TRACKING ON',
    'B: MSET k 1 l 2 m 3 n 4',
    'A: MGET k l m n o p',
    'B: DEL k',
    'B: RENAME l o',
    'B: EXPIRE m 100',
    'B: PEXPIRE n 1',
    '* 20',
    'B: GET n',
    'B: COPY m p',
  ],
  'a writer hears of its own changes after the reply': [
    'A: HELLO 3',
    'A: CLIENT TRACKING ON',
    'A: GET k',
    'A: SET k 1',
    'A: GET k',
    'A: MULTI',
    'A: SET k 2',
    'A: GET k',
    'A: SET k 3',
    'A: EXEC',
    'A: PING',
  ],
  'who waited hears of its own changes after the reply': [
    'A: HELLO 3',
    'A: CLIENT TRACKING ON',
    'B: RPUSH to a',
    'A: LRANGE to 0 -1',
    'A! BLMOVE from to LEFT LEFT 0',
    '* 30',
    'B: RPUSH from foo',
    '* 30',
    'A: LRANGE to 0 -1',
    'A: CLIENT TRACKING OFF',
    'A: CLIENT TRACKING ON NOLOOP',
    'A: LRANGE to 0 -1',
    'A! BLMOVE from to LEFT LEFT 0',
    '* 30',
    'B: RPUSH from bar',
    '* 30',
    'A: PING',
  ],
  'NOLOOP spares the writer': [
    'A: HELLO 3',
    'A: CLIENT TRACKING ON NOLOOP',
    'A: GET k',
    'A: SET k 1',
    'A: GET k',
    'B: SET k 1',
    'A: PING',
    'A: CLIENT TRACKINGINFO',
  ],
  'OPTIN tracks what is asked for': [
    'A: HELLO 3',
    'A: CLIENT TRACKING ON OPTIN',
    'A: GET k',
    'B: SET k 1',
    'A: CLIENT CACHING YES',
    'A: CLIENT TRACKINGINFO',
    'A: GET k',
    'A: GET l',
    'B: MSET k 2 l 2',
    'A: CLIENT CACHING NO',
    'A: CLIENT CACHING MAYBE',
    'A: CLIENT CACHING YES',
    'A: MULTI',
    'A: GET k',
    'A: GET l',
    'A: EXEC',
    'B: MSET k 3 l 3',
    'A: CLIENT TRACKINGINFO',
  ],
  'OPTOUT leaves out what is asked for': [
    'A: HELLO 3',
    'A: CLIENT TRACKING ON OPTOUT',
    'A: GET k',
    'B: SET k 1',
    'A: CLIENT CACHING NO',
    'A: CLIENT TRACKINGINFO',
    'A: GET k',
    'A: GET l',
    'B: MSET k 2 l 2',
    'A: CLIENT CACHING YES',
  ],
  'messages are redirected to a subscriber': [
    'R: SUBSCRIBE __redis__:invalidate',
    'A: CLIENT TRACKING ON REDIRECT $R',
    'A: CLIENT GETREDIR',
    'A: CLIENT LIST ID $A',
    'A: GET k',
    'B: SET k 1',
    'A: GET k',
    'A: SET k 2',
    'B: FLUSHALL',
    'A: CLIENT TRACKINGINFO',
  ],
  'messages are redirected to a client of RESP3': [
    'R: HELLO 3',
    'A: CLIENT TRACKING ON REDIRECT $R',
    'A: GET k',
    'B: SET k 1',
    'B: FLUSHDB',
  ],
  'messages are redirected to one who is gone': [
    'R: PING',
    'A: HELLO 3',
    'A: CLIENT TRACKING ON REDIRECT $R',
    'A: GET k',
    'R: QUIT',
    '* 30',
    'B: SET k 1',
    'A: PING',
    'A: CLIENT TRACKINGINFO',
    'A: CLIENT LIST ID $A',
    'A: CLIENT TRACKING OFF',
    'A: CLIENT TRACKINGINFO',
  ],
  'without RESP3 and redirection nothing is sent': [
    'A: CLIENT TRACKING ON',
    'A: GET k',
    'B: SET k 1',
    'A: PING',
    'R: PING',
    'C: CLIENT TRACKING ON REDIRECT $R',
    'C: GET k',
    'B: SET k 1',
    'R: PING',
  ],
  'broadcasts tell of all keys': [
    'A: HELLO 3',
    'A: CLIENT TRACKING ON BCAST',
    'B: SET k 1',
    'B: MSET l 1 a 2',
    'B: GET k',
    'A: PING',
    'A: SET own 1',
    'A: CLIENT TRACKINGINFO',
    'A: CLIENT LIST ID $A',
    'B& SET k 1 ; SET j 1 ; SET k 2 ; DEL l',
  ],
  'broadcasts tell of keys with prefixes': [
    'A: HELLO 3',
    'A: CLIENT TRACKING ON BCAST PREFIX foo PREFIX bar',
    'C: HELLO 3',
    'C: CLIENT TRACKING ON BCAST PREFIX f NOLOOP',
    'B& SET foo1 1 ; SET bar 1 ; SET ba 1 ; SET foo 1',
    'C& SET foo1 1 ; SET fa 1',
    'B: SET fa 1',
    'A: CLIENT TRACKING ON BCAST PREFIX foobar',
    'A: CLIENT TRACKING ON BCAST PREFIX x PREFIX xy',
    'A: CLIENT TRACKING ON BCAST PREFIX baz PREFIX y',
    'A: CLIENT TRACKINGINFO',
    'B& SET y1 1 ; SET bazaar 1',
    'B: INFO stats',
    'B: INFO clients',
    'A: CLIENT TRACKING OFF',
    'B: SET foo1 1',
    'A: CLIENT TRACKING ON',
    'A: CLIENT TRACKINGINFO',
  ],
  'options that contradict each other': [
    'A: CLIENT TRACKING',
    'A: CLIENT TRACKING MAYBE',
    'A: CLIENT TRACKING ON PREFIX x',
    'A: CLIENT TRACKING ON BCAST OPTIN',
    'A: CLIENT TRACKING ON BCAST OPTOUT',
    'A: CLIENT TRACKING ON OPTIN OPTOUT',
    'A: CLIENT TRACKING ON REDIRECT',
    'A: CLIENT TRACKING ON REDIRECT x',
    'A: CLIENT TRACKING ON REDIRECT 99999999',
    'A: CLIENT TRACKING ON REDIRECT $A REDIRECT $A',
    'A: CLIENT TRACKING ON BCAST PREFIX a PREFIX ab',
    'A: CLIENT TRACKING ON OPTIN',
    'A: CLIENT TRACKING ON OPTOUT',
    'A: CLIENT TRACKING ON BCAST',
    'A: CLIENT TRACKING ON',
    'A: CLIENT TRACKINGINFO',
    'A: CLIENT TRACKING OFF NOSUCH',
    'A: CLIENT TRACKING OFF',
    'A: CLIENT CACHING YES',
    'A: CLIENT TRACKING ON BCAST',
    'A: CLIENT TRACKING ON',
    'A: CLIENT CACHING YES',
    'A: RESET',
    'A: CLIENT TRACKINGINFO',
  ],
  'flushing tells everybody': [
    'A: HELLO 3',
    'A: CLIENT TRACKING ON',
    'A: GET k',
    'C: HELLO 3',
    'C: CLIENT TRACKING ON BCAST',
    'B: SELECT 4',
    'B: FLUSHDB',
    'A: FLUSHALL',
    'A: GET k',
    'B: INFO stats',
    'B: FLUSHALL',
    'B: INFO stats',
    'A: MULTI',
    'A: FLUSHALL',
    'A: PING',
    'A: EXEC',
  ],
  'what scripts read and write counts': [
    'A: HELLO 3',
    'A: CLIENT TRACKING ON',
    `A: EVAL "return redis.call('get', KEYS[1])" 1 k`,
    'B: SET k 1',
    `A: EVAL_RO "return {redis.call('get', KEYS[1]), redis.call('get', KEYS[2])}" 2 k l`,
    `B: EVAL "redis.call('set', KEYS[1], 2); return redis.call('set', KEYS[2], 2)" 2 k l`,
    'A: GET k',
    `A: EVAL "redis.call('set', KEYS[1], 3); return 'done'" 1 k`,
    'A: PING',
    'A: CLIENT TRACKING OFF',
    'A: CLIENT TRACKING ON BCAST NOLOOP',
    `A: EVAL "return redis.call('set', KEYS[1], 4)" 1 k`,
    'A: SET l 5',
    'A: PING',
  ],
  'a script that reads anything has read all keys that it was given': [
    'A: HELLO 3',
    'A: CLIENT TRACKING ON',
    `A: EVAL "return redis.call('set', KEYS[1], 1)" 2 k l`,
    'B: MSET l 2 k 2',
    `A: EVAL "return redis.call('get', 'other')" 2 k l`,
    'B: MSET l 3 k 3 other 3',
    'A: PING',
    `A: EVAL_RO "return redis.call('ping')" 2 k l`,
    'B: MSET l 4 k 4',
    `A: EVAL_RO "return redis.call('get', KEYS[1])" 2 k l`,
    'B: MSET l 5 k 5',
    'A: PING',
    'A: MULTI',
    `A: EVAL "return redis.call('exists', 'other')" 1 l`,
    'A: GET k',
    'A: EXEC',
    'B: MSET l 6 k 6',
    'A: PING',
  ],
  'blocked and pushed': [
    'A: HELLO 3',
    'A: CLIENT TRACKING ON',
    'A: LRANGE l 0 -1',
    'C! BLPOP l 0',
    '* 20',
    'B: RPUSH l x',
    'A: PING',
  ],
  'a key is not told to one who has switched to broadcasts': [
    'A: HELLO 3',
    'A: CLIENT TRACKING ON',
    'A: GET k',
    'A: CLIENT TRACKING OFF',
    'A: CLIENT TRACKING ON BCAST PREFIX x',
    'B: SET k 1',
    'A: PING',
  ],
  'a silent client still hears of changes': [
    'A: HELLO 3',
    'A: CLIENT TRACKING ON',
    'A: GET k',
    'A! CLIENT REPLY OFF',
    '* 10',
    'B: SET k 1',
    '* 10',
    'A: CLIENT REPLY ON',
  ],
};

/** Ids, addresses and figures that have nothing to do with tracking differ. */
function normal(text: string): string {
  if (text.includes('INFO ')) {
    return `${text.slice(0, text.indexOf(' -> '))} ${(text.match(/tracking_\w+:\d+/g) ?? []).join(' ')}${
      text.includes('flags=') ? /flags=\S+/.exec(text)![0] : ''
    }`;
  }
  return text
    .replaceAll(/\b(fd|age|idle|qbuf|qbuf-free|argv-mem|rbs|rbp|obl|oll|omem|tot-mem|events)=\S+/g, '$1=…')
    .replaceAll(/\bid=\d+/g, 'id=…')
    .replaceAll(/redir=[1-9]\d*/g, 'redir=…')
    .replaceAll(/"redirect": [1-9]\d*/g, '"redirect": …')
    .replaceAll(/"redirect", [1-9]\d*/g, '"redirect", …')
    .replaceAll(/broken", \d+/g, 'broken", …')
    .replaceAll(/GETREDIR -> [1-9]\d*/g, 'GETREDIR -> …')
    .replaceAll(/"id"(: |, )\d+/g, '"id" …')
    .replaceAll(/(l?addr)=\S+/g, '$1=…');
}

describeScripts(
  'tracking',
  {
    scripts,
    normal,
    check: (server) => {
      const { tracking } = server.running!.core;
      tracking.verify();
      expect(tracking.clientCount).toBe(0);
    },
  },
  (servers) => {
    it('keeps the table within its bound', async () => {
      const { ours, real } = servers();
      const figures: string[] = [];
      for (const server of [ours, real]) {
        const client = await RespClient.connect({ path: server.path });
        await client.command('HELLO', 3);
        await client.command('CONFIG', 'SET', 'tracking-table-max-keys', 10);
        await client.command('CLIENT', 'TRACKING', 'ON');
        for (let i = 0; i < 50; i++) await client.command('GET', `k${i}`);
        await client.command('PING');
        const info = String(await client.command('INFO', 'stats'));
        figures.push(`${/tracking_total_keys:\d+/.exec(info)} ${/tracking_total_items:\d+/.exec(info)}`);
        figures.push(`${client.unasked.length} told`);
        await client.command('CONFIG', 'SET', 'tracking-table-max-keys', 1_000_000);
        await client.close();
      }
      expect(figures.slice(0, 2)).toEqual(figures.slice(2));
      ours.running!.core.tracking.verify();
    });

    it('keeps it so although the command that lowers the bound is the last', async () => {
      const { ours, real } = servers();
      for (const server of [ours, real]) {
        const [reader, other] = await Promise.all([1, 2].map(() => RespClient.connect({ path: server.path })));
        await reader!.command('HELLO', 3);
        await reader!.command('CLIENT', 'TRACKING', 'ON');
        await reader!.command('MGET', 'a', 'b', 'c');
        await other!.command('CONFIG', 'SET', 'tracking-table-max-keys', 1);
        await expect.poll(() => reader!.unasked.length, { timeout: 5_000 }).toBe(2);
        await other!.command('CONFIG', 'SET', 'tracking-table-max-keys', 1_000_000);
        await Promise.all([reader!.close(), other!.close()]);
      }
      ours.running!.core.tracking.verify();
    });
  },
);
