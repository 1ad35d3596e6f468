/** Function libraries, held against the original's. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { functionCommands } from '../redis/support/function-corpus.ts';
import { startOurs, startReal, type TestServer } from '../redis/support/servers.ts';
import { describeReal } from '../support/real.ts';
import { RespClient, RespError, type RespValue } from '../support/resp-client.ts';

const ONE = "#!lua name=one\nredis.register_function('f1', function(keys, args) return {keys[1], args[1]} end)";
const TWO = "#!lua name=two\nredis.register_function('f2', function(keys, args) return 2 end)";
const OTHER_F1 = "#!lua name=three\nredis.register_function('f1', function(keys, args) return 3 end)";

function shown(value: RespValue): string {
  return JSON.stringify(value, (_, one) => {
    if (one instanceof Map) return { map: [...one] };
    if (one instanceof Set) return { set: [...one] };
    return one instanceof RespError ? { error: one.message } : one;
  });
}

describeReal(['redis-server'], 'functions', () => {
  let ours: TestServer;
  let real: TestServer;
  let clients: RespClient[];

  beforeAll(async () => {
    [ours, real] = await Promise.all([startOurs(), startReal()]);
    clients = [await RespClient.connect({ path: ours.path }), await RespClient.connect({ path: real.path })];
  });
  afterAll(async () => {
    for (const client of clients ?? []) await client.close();
    await Promise.all([ours?.stop(), real?.stop()]);
  });

  async function same(...args: string[]): Promise<RespValue> {
    const [mine, theirs] = await Promise.all(clients.map((client) => client.command(...args)));
    expect(shown(mine!), JSON.stringify(args)).toBe(shown(theirs!));
    return mine!;
  }

  for (const protocol of ['2', '3']) {
    it(`are loaded, listed and called as in the original, in RESP${protocol}`, { timeout: 60_000 }, async () => {
      await Promise.all(clients.map((client) => client.command('HELLO', protocol)));
      await same('FUNCTION', 'FLUSH');
      for (const args of functionCommands) await same(...args);
      await Promise.all(clients.map((client) => client.command('HELLO', '2')));
    });
  }

  it('are dumped in the bytes of the original and restored from them, whole or not at all', {
    timeout: 60_000,
  }, async () => {
    await same('FUNCTION', 'FLUSH');
    await same('FUNCTION', 'LOAD', ONE);
    const dump = String(await same('FUNCTION', 'DUMP'));
    for (const policy of [[], ['APPEND'], ['REPLACE'], ['FLUSH'], ['x']])
      await same('FUNCTION', 'RESTORE', dump, ...policy);
    await same('FCALL', 'f1', '1', 'a', 'b');
    for (let i = 0; i < dump.length; i++) {
      await same('FUNCTION', 'RESTORE', dump.slice(0, i), 'REPLACE');
      const flipped = dump.slice(0, i) + String.fromCharCode(dump.charCodeAt(i) ^ 1) + dump.slice(i + 1);
      await same('FUNCTION', 'RESTORE', flipped, 'REPLACE');
    }
    await same('FUNCTION', 'FLUSH');
    await same('FUNCTION', 'LOAD', TWO);
    await same('FUNCTION', 'LOAD', OTHER_F1);
    for (const policy of ['APPEND', 'REPLACE', 'FLUSH']) {
      await same('FUNCTION', 'RESTORE', dump, policy);
      await same('FUNCTION', 'STATS');
      await same('FCALL', 'f1', '1', 'a', 'b');
    }
  });

  it('keep what their library remembers between calls', async () => {
    await same('FUNCTION', 'FLUSH');
    await same(
      'FUNCTION',
      'LOAD',
      "#!lua name=n\nlocal n = 0 redis.register_function('n', function() n = n + 1 return n end)",
    );
    for (let i = 0; i < 3; i++) await same('FCALL', 'n', '0');
    await same(
      'FUNCTION',
      'LOAD',
      'REPLACE',
      "#!lua name=n\nlocal n = 9 redis.register_function('n', function() n = n + 1 return n end)",
    );
    await same('FCALL', 'n', '0');
    await same('FUNCTION', 'DELETE', 'n');
    await same('FCALL', 'n', '0');
  });
});
