/** Scripts that run too long: others are told so and can end them, on our server process as on the original. */
import { expect, it } from 'vitest';
import { onBothServers } from '../apps/servers.ts';
import { RespError, type RespValue } from '../support/resp-client.ts';

const THRESHOLD_MS = 100;
/** Lets the script arrive first: who asks then is kept waiting until the threshold, however long that script would take. */
const PAUSE_MS = 30;

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
const error = (message: string) => new RespError(message);
const BUSY = error('BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.');
const BUSY_FUNCTION = error('BUSY Redis is busy running a script. You can only call FUNCTION KILL or SHUTDOWN NOSAVE.');

onBothServers('a script that runs too long', (server) => {
  async function twoClients() {
    const started = server().server;
    const a = await started.connect();
    const b = await started.connect();
    await b.command('CONFIG', 'SET', 'busy-reply-threshold', String(THRESHOLD_MS));
    return { a, b, close: () => Promise.all([a.close(), b.close()]) };
  }

  it('keeps the others waiting only until they are told, and can be killed', { timeout: 30_000 }, async () => {
    const { a, b, close } = await twoClients();
    await b.command('SET', 'k', 'v');
    // A pcall of its own does not save it.
    const result = a.command('EVAL', 'while true do pcall(function() while true do end end) end', '0');
    await pause(PAUSE_MS);
    expect(await b.command('GET', 'k')).toEqual(BUSY);
    expect(await b.command('EVAL', 'return 1', '0')).toEqual(BUSY);
    expect(await b.command('FUNCTION', 'KILL')).toEqual(BUSY);
    expect(await b.command('SCRIPT', 'KILL')).toBe('OK');
    expect((await result) as RespError).toMatchObject({
      message: expect.stringMatching(
        /^ERR Script killed by user with SCRIPT KILL\.\.\. script: [0-9a-f]{40}, on @user_script:1\.$/,
      ),
    });
    expect(await b.command('GET', 'k')).toBe('v');
    expect(await b.command('SCRIPT', 'KILL')).toEqual(error('NOTBUSY No scripts in execution right now.'));
    await close();
  });

  it('cannot be killed once it has written', { timeout: 60_000 }, async () => {
    const { a, b, close } = await twoClients();
    const result = a.command(
      'EVAL',
      'redis.call("set", "k", "w") local i = 0 while i < 1e8 do i = i + 1 end return i',
      '0',
    );
    await pause(PAUSE_MS);
    expect(await b.command('SCRIPT', 'KILL')).toMatchObject({ message: expect.stringMatching(/^UNKILLABLE Sorry/) });
    expect(await result).toBe(100_000_000);
    expect(await b.command('GET', 'k')).toBe('w');
    await close();
  });

  it('is named by FUNCTION STATS when it is a function', { timeout: 30_000 }, async () => {
    const { a, b, close } = await twoClients();
    const code = "#!lua name=spin\nredis.register_function('spin', function() while true do end end)";
    await a.command('FUNCTION', 'LOAD', 'REPLACE', code);
    const result = a.command('FCALL', 'spin', '0', 'x');
    await pause(PAUSE_MS);
    expect(await b.command('GET', 'k')).toEqual(BUSY_FUNCTION);
    const stats = (await b.command('FUNCTION', 'STATS')) as RespValue[];
    expect(stats[1]).toEqual([
      'name',
      'spin',
      'command',
      ['FCALL', 'spin', '0', 'x'],
      'duration_ms',
      expect.any(Number),
    ]);
    expect(await b.command('SCRIPT', 'KILL')).toEqual(BUSY_FUNCTION);
    expect(await b.command('FUNCTION', 'KILL')).toBe('OK');
    expect(await result).toEqual(
      error('ERR Script killed by user with SCRIPT KILL... script: spin, on @user_function:2.'),
    );
    await close();
  });

  it('lets those who wait for its keys wait until it ends, whatever others ask', { timeout: 30_000 }, async () => {
    const { a, b, close } = await twoClients();
    const waiting = await server().server.connect();
    const popped = waiting.command('BLPOP', 'list', '0');
    await pause(PAUSE_MS);
    const result = a.command(
      'EVAL',
      'redis.call("rpush", KEYS[1], "x") local i = 0 while i < 5e7 do i = i + 1 end redis.call("lpush", KEYS[1], "y") return 1',
      '1',
      'list',
    );
    await pause(PAUSE_MS);
    expect(await b.command('PING')).toEqual(BUSY);
    // A command that may run meanwhile.
    expect(await b.command('HELLO', '2', 'SETNAME', 'b')).toEqual(expect.any(Array));
    expect(await result).toBe(1);
    expect(await popped).toEqual(['list', 'y']);
    await waiting.close();
    await close();
  });

  it('lets what was sent behind it wait', { timeout: 30_000 }, async () => {
    const { a, b, close } = await twoClients();
    const replies = ['return 1', 'local i = 0 while i < 5e7 do i = i + 1 end return 2', 'return 3'].map((script) =>
      a.command('EVAL', script, '0'),
    );
    await pause(PAUSE_MS);
    expect([await b.command('PING')]).toEqual([BUSY]);
    expect(await Promise.all(replies)).toEqual([1, 2, 3]);
    await close();
  });
});
