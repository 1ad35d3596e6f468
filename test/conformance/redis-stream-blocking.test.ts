/** Clients that wait for stream entries, on our engine and the original: the same steps give the same replies in the same order. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startOurs, startReal, type TestServer } from '../redis/support/servers.ts';
import { describeReal } from '../support/real.ts';
import { RespClient, RespError, type RespValue, settle } from '../support/resp-client.ts';

type Step = readonly [client: 'a' | 'b' | 'c', ...args: string[]];

/** A wait that runs out, though not in the step that begins it. */
const WAIT_MS = 700;
/** Longer than it, by more than the period of the server's cron. */
const PAUSE_MS = 1_200;

const show = (value: RespValue): unknown => {
  if (value instanceof RespError) return `error: ${value.message}`;
  if (value instanceof Map) return { map: [...value] };
  return value;
};

/** Plays steps on fresh connections. @returns the replies that came with each step, by client, as their order on different sockets is open */
async function play(server: TestServer, steps: readonly Step[], protocol: string): Promise<unknown[]> {
  const clients = new Map<string, RespClient>();
  for (const name of ['a', 'b', 'c', 'probe']) {
    const client = await RespClient.connect({ path: server.path });
    await client.command('HELLO', protocol);
    clients.set(name, client);
  }
  let seen: [string, string, unknown][] = [];
  const all: unknown[] = [];
  await clients.get('c')!.command('FLUSHALL');
  try {
    for (const [at, [name, ...args]] of steps.entries()) {
      if (args[0] === 'PAUSE') await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
      if (args[0] !== 'PAUSE') {
        void clients
          .get(name)!
          .command(...args)
          .then((value) => {
            seen.push([name, args.join(' '), show(value)]);
          });
      }
      await settle(clients.get('probe')!);
      all.push([at, seen.sort((x, y) => x[0].localeCompare(y[0]))]);
      seen = [];
    }
    return all;
  } finally {
    for (const client of clients.values()) client.socket.destroy();
  }
}

const SCRIPTS: Readonly<Record<string, readonly Step[]>> = {
  'XREAD waits for an entry behind $ on several streams': [
    ['c', 'XADD', 's', '1-1', 'old', 'x'],
    ['a', 'XREAD', 'BLOCK', '0', 'STREAMS', 's', 't', '$', '$'],
    ['b', 'XREAD', 'COUNT', '1', 'BLOCK', '0', 'STREAMS', 't', 's', '5', '2-0'],
    ['c', 'XADD', 't', '2-1', 'f', 'v'],
    ['c', 'XADD', 's', '2-1', 'f', 'v'],
  ],
  'XREAD waits for an id in the future, and times out': [
    ['a', 'XREAD', 'BLOCK', '0', 'STREAMS', 's', '10-5'],
    ['b', 'XREAD', 'BLOCK', String(WAIT_MS), 'STREAMS', 's', '$'],
    ['c', 'PAUSE'],
    ['c', 'XADD', 's', '9-1', 'f', 'v'],
    ['c', 'XADD', 's', '10-5', 'f', 'v'],
    ['c', 'XADD', 's', '10-6', 'f', 'v'],
  ],
  'XREAD goes on waiting while the key is deleted or of another type': [
    ['c', 'XADD', 's', '1-1', 'f', 'v'],
    ['a', 'XREAD', 'BLOCK', '0', 'STREAMS', 's', '$'],
    ['c', 'DEL', 's'],
    ['c', 'SET', 's', 'x'],
    ['c', 'DEL', 's'],
    ['c', 'XADD', 's', '1-0', 'f', 'v'],
    ['c', 'XADD', 's', '3-0', 'f', 'v'],
  ],
  'entries of a group go to those who wait in their order': [
    ['c', 'XGROUP', 'CREATE', 's', 'g', '$', 'MKSTREAM'],
    ['a', 'XREADGROUP', 'GROUP', 'g', 'alice', 'BLOCK', '0', 'STREAMS', 's', '>'],
    ['b', 'XREADGROUP', 'GROUP', 'g', 'bob', 'COUNT', '1', 'BLOCK', '0', 'NOACK', 'STREAMS', 's', '>'],
    ['c', 'XADD', 's', '1-1', 'f', 'v'],
    ['c', 'XADD', 's', '1-2', 'f', 'v'],
    ['c', 'XPENDING', 's', 'g'],
    ['c', 'XINFO', 'GROUPS', 's'],
    ['a', 'XREADGROUP', 'GROUP', 'g', 'alice', 'BLOCK', '0', 'STREAMS', 's', '0'],
    ['a', 'XACK', 's', 'g', '1-1'],
  ],
  'who waits in a group that is destroyed hears of it': [
    ['c', 'XGROUP', 'CREATE', 's', 'g', '$', 'MKSTREAM'],
    ['a', 'XREADGROUP', 'GROUP', 'g', 'alice', 'BLOCK', '0', 'STREAMS', 's', '>'],
    ['b', 'XREAD', 'BLOCK', '0', 'STREAMS', 's', '$'],
    ['c', 'XGROUP', 'DESTROY', 's', 'g'],
    ['c', 'XADD', 's', '1-1', 'f', 'v'],
  ],
  'who waits in a group of a stream that goes hears of it': [
    ['c', 'XGROUP', 'CREATE', 's', 'g', '$', 'MKSTREAM'],
    ['a', 'XREADGROUP', 'GROUP', 'g', 'alice', 'BLOCK', '0', 'STREAMS', 's', '>'],
    ['c', 'DEL', 's'],
    ['c', 'XGROUP', 'CREATE', 's', 'g', '$', 'MKSTREAM'],
    ['a', 'XREADGROUP', 'GROUP', 'g', 'alice', 'BLOCK', '0', 'STREAMS', 's', '>'],
    ['c', 'SET', 's', 'x'],
    ['c', 'DEL', 's'],
    ['c', 'XGROUP', 'CREATE', 's', 'g', '$', 'MKSTREAM'],
    ['a', 'XREADGROUP', 'GROUP', 'g', 'alice', 'BLOCK', '0', 'STREAMS', 's', '>'],
    ['c', 'RENAME', 's', 't'],
    ['a', 'XREADGROUP', 'GROUP', 'g', 'alice', 'BLOCK', '0', 'STREAMS', 't', '>'],
    ['c', 'FLUSHALL'],
  ],
  'nothing waits in a transaction, and what a transaction adds comes at its end': [
    ['b', 'XREAD', 'BLOCK', '0', 'STREAMS', 's', '$'],
    ['a', 'MULTI'],
    ['a', 'XREAD', 'BLOCK', '0', 'STREAMS', 't', '$'],
    ['a', 'XADD', 's', '1-1', 'f', 'v'],
    ['a', 'XADD', 's', '1-2', 'f', 'v'],
    ['a', 'EXEC'],
  ],
  'a bad timeout is refused': [
    ['a', 'XREAD', 'BLOCK', '-1', 'STREAMS', 's', '$'],
    ['a', 'XREAD', 'BLOCK', 'x', 'STREAMS', 's', '$'],
    ['a', 'XREAD', 'BLOCK', '1.5', 'STREAMS', 's', '$'],
    ['a', 'XREADGROUP', 'GROUP', 'g', 'c', 'BLOCK', '0', 'STREAMS', 's', '>'],
    ['a', 'XREADGROUP', 'BLOCK', '0', 'STREAMS', 's', '>'],
    ['a', 'XREADGROUP', 'GROUP', 'g', 'c', 'BLOCK', '0', 'STREAMS', 's', '$'],
    ['a', 'XREAD', 'STREAMS', 's', '>'],
  ],
};

describeReal(['redis-server'], 'waiting for stream entries', () => {
  let ours: TestServer;
  let real: TestServer;

  beforeAll(async () => {
    [ours, real] = await Promise.all([startOurs(), startReal()]);
  });
  afterAll(async () => {
    await Promise.all([ours?.stop(), real?.stop()]);
  });

  for (const [title, steps] of Object.entries(SCRIPTS)) {
    for (const protocol of ['2', '3']) {
      it(`${title} (RESP${protocol})`, { timeout: 30_000 }, async () => {
        const [mine, theirs] = await Promise.all([play(ours, steps, protocol), play(real, steps, protocol)]);
        expect(mine).toEqual(theirs);
      });
    }
  }
});
