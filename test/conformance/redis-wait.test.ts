/** WAIT on servers without replicas: who has to wait, what ends a wait, and what happens to the others meanwhile. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { describeReal } from '../support/real.ts';
import { embeddedCommand, realCommand, type StartedServer, startServer } from '../support/redis-pair.ts';
import { encodeCommand, type RespClient, RespError, type RespValue } from '../support/resp-client.ts';

/** Longer than this process takes to look at the one who waits. */
const WAIT_MS = 1_500;
/** A wait may end late by the period of the cron, and by what else this machine does. */
const LATE_MS = 10_000;

const show = (value: RespValue | undefined): unknown =>
  value instanceof RespError ? `error: ${value.message}` : value;
const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

async function infoField(client: RespClient, section: string, name: string): Promise<string> {
  const text = String(await client.command('INFO', section));
  return new RegExp(`^${name}:(.*)\r$`, 'm').exec(text)?.[1] ?? '';
}

/** Comes back when so many clients wait. */
async function untilBlocked(watcher: RespClient, count: number): Promise<void> {
  for (let tries = 0; tries < 2_000; tries++) {
    if ((await infoField(watcher, 'clients', 'blocked_clients')) === String(count)) return;
    await sleep(5);
  }
  expect.fail(`there are not ${count} blocked clients`);
}

function sharedTests(start: () => Promise<StartedServer>): void {
  let server: StartedServer;
  let waiter: RespClient;
  let other: RespClient;

  beforeAll(async () => {
    server = await start();
  });
  afterAll(async () => {
    await server?.stop();
  });
  const within = async (run: () => Promise<void>): Promise<void> => {
    [waiter, other] = await Promise.all([server.connect(), server.connect()]);
    try {
      await run();
    } finally {
      await Promise.all([waiter.close(), other.close()]);
      const watcher = await server.connect();
      await untilBlocked(watcher, 0);
      await watcher.close();
    }
  };

  it('answers at once where nothing is to be waited for', () =>
    within(async () => {
      const replies: unknown[] = [];
      for (const args of [
        ['0', '0'],
        ['-1', '0'],
        ['0', '100000'],
        ['x', '0'],
        ['1', 'x'],
        ['1', '-1'],
        ['0', '9223372036854775807'],
      ]) {
        replies.push(show(await waiter.command('WAIT', ...args)));
      }
      expect(replies).toEqual([
        0,
        0,
        0,
        'error: ERR value is not an integer or out of range',
        'error: ERR timeout is not an integer or out of range',
        'error: ERR timeout is negative',
        0,
      ]);
    }));

  it('waits until the time is over, lets others go on and then runs what the client had sent behind', () =>
    within(async () => {
      const started = Date.now();
      const all = waiter.raw(
        Buffer.concat([
          encodeCommand(['SET', 'k', '1']),
          encodeCommand(['WAIT', '1', WAIT_MS]),
          encodeCommand(['INCR', 'k']),
        ]),
        3,
      );
      await untilBlocked(other, 1);
      expect(String(await other.command('CLIENT', 'LIST'))).toMatch(/flags=bU .*cmd=wait/);
      const later = waiter.command('GET', 'k');
      expect(await other.command('GET', 'k')).toBe('1');
      expect(await all).toEqual(['OK', 0, 2]);
      expect(await later).toBe('2');
      const took = Date.now() - started;
      expect(took).toBeGreaterThanOrEqual(WAIT_MS);
      expect(took).toBeLessThan(WAIT_MS + LATE_MS);
    }));

  it('is ended by CLIENT UNBLOCK, with 0 or an error', () =>
    within(async () => {
      const id = Number(await waiter.command('CLIENT', 'ID'));
      expect(await other.command('CLIENT', 'UNBLOCK', id)).toBe(0);
      for (const [reason, expected] of [
        [[], 0],
        [['TIMEOUT'], 0],
        [['error'], 'error: UNBLOCKED client unblocked via CLIENT UNBLOCK'],
      ] as const) {
        const waiting = waiter.command('WAIT', 1, 0);
        await untilBlocked(other, 1);
        expect(await other.command('CLIENT', 'UNBLOCK', id, ...reason)).toBe(1);
        expect(show(await waiting)).toBe(expected);
        expect(await waiter.command('PING')).toBe('PONG');
      }
      const stats = String(await other.command('INFO', 'commandstats'));
      expect(/cmdstat_wait:.*failed_calls=(\d+)/.exec(stats)?.[1]).toBe('6');
      expect(/cmdstat_client\|unblock:.*failed_calls=(\d+)/.exec(stats)?.[1]).toBe('1');
    }));

  it('ends with the connection, whoever closes it', () =>
    within(async () => {
      const gone = await server.connect();
      void gone.command('WAIT', 5, 0);
      await untilBlocked(other, 1);
      gone.socket.destroy();
      await untilBlocked(other, 0);
      const id = Number(await waiter.command('CLIENT', 'ID'));
      const waiting = waiter.command('WAIT', 1, 60_000);
      await untilBlocked(other, 1);
      expect(await infoField(other, 'clients', 'clients_in_timeout_table')).toBe('1');
      expect(await other.command('CLIENT', 'KILL', 'ID', id)).toBe(1);
      expect(show(await waiting)).toBe('error: (connection closed)');
    }));

  it('keeps a skipped reply skipped', () =>
    within(async () => {
      const bytes = Buffer.concat([
        encodeCommand(['CLIENT', 'REPLY', 'SKIP']),
        encodeCommand(['WAIT', '1', '50']),
        encodeCommand(['PING']),
      ]);
      expect(await waiter.raw(bytes, 1)).toEqual(['PONG']);
    }));
}

describeReal(['redis-server'], 'WAIT of redis-server', () => sharedTests(() => startServer(realCommand())));

for (const loop of ['epoll', 'libuv']) {
  describe(`WAIT of the embedded server over ${loop}`, () =>
    sharedTests(() => startServer(embeddedCommand(), ['--event-loop', loop])));
}
