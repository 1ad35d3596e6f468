/** Scripts whose replies are held against the original's, and what else EVAL and SCRIPT do. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { verifyCore } from '../../engines/redis/verify.ts';
import { libraryScripts, scripts, shebangScripts } from '../redis/support/script-corpus.ts';
import { startOurs, startReal, type TestServer } from '../redis/support/servers.ts';
import { describeReal } from '../support/real.ts';
import { RespClient, RespError, type RespValue } from '../support/resp-client.ts';

const INSIDE_PCALL = (script: string) =>
  `local r = {pcall(function() ${script} end)} for i = 1, #r do r[i] = tostring(r[i]) end return r`;
const SHA_OF_RETURN_1 = 'e0e1f9fabfc9d4800c877a703b823ac0578ff8db';
const ADDRESS = /(table|function|thread|userdata): 0x[0-9a-f]+/g;

/** A reply as text, without addresses. */
function shown(value: RespValue): string {
  const text = JSON.stringify(value, (_, one) => {
    if (one instanceof Map) return { map: [...one] };
    if (one instanceof Set) return { set: [...one] };
    if (one instanceof RespError) return { error: one.message };
    return typeof one === 'bigint' ? `${one}n` : one;
  });
  return text.replace(ADDRESS, '$1');
}

describeReal(['redis-server'], 'scripts', () => {
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

  async function both(...args: string[]): Promise<[string, string]> {
    const [mine, theirs] = await Promise.all(clients.map((client) => client.command(...args)));
    return [shown(mine!), shown(theirs!)];
  }

  async function same(...args: string[]): Promise<void> {
    const [mine, theirs] = await both(...args);
    expect(mine, JSON.stringify(args)).toBe(theirs);
  }

  async function prepare(): Promise<void> {
    for (const line of ['flushall', 'set kk v', 'hset h f v', 'sadd s a', 'zadd z 1.5 a', 'rpush l b a c']) {
      await both(...line.split(' '));
    }
  }

  it('find the libraries as the original has them, errors included', { timeout: 60_000 }, async () => {
    await prepare();
    for (const script of libraryScripts) {
      await same('EVAL', INSIDE_PCALL(script), '0');
      // A reply of a thousand nested arrays is for others to read.
      if (!script.includes('1000)..')) await same('EVAL', script, '0');
    }
  });

  for (const protocol of ['2', '3']) {
    it(`get and give values as in the original, in RESP${protocol}`, { timeout: 60_000 }, async () => {
      await Promise.all(clients.map((client) => client.command('HELLO', protocol)));
      await prepare();
      for (const script of scripts) await same('EVAL', script, '0');
      for (const script of shebangScripts) {
        await same('EVAL', script, '0');
        await same('EVAL_RO', script, '0');
      }
      await Promise.all(clients.map((client) => client.command('HELLO', '2')));
      verifyCore(ours.running!.core);
    });
  }

  it('are cached by their digest until they are flushed', async () => {
    await same('SCRIPT', 'FLUSH');
    await same('EVALSHA', SHA_OF_RETURN_1, '0');
    await same('SCRIPT', 'LOAD', 'return 1');
    await same('SCRIPT', 'EXISTS', SHA_OF_RETURN_1, SHA_OF_RETURN_1.toUpperCase(), 'x');
    await same('EVALSHA', SHA_OF_RETURN_1.toUpperCase(), '0');
    await same('EVALSHA_RO', SHA_OF_RETURN_1, '0');
    await same('SCRIPT', 'LOAD', 'foo(');
    await same('SCRIPT', 'FLUSH', 'ASYNC');
    await same('EVALSHA', SHA_OF_RETURN_1, '0');
    for (const args of [
      ['FLUSH', 'x'],
      ['FLUSH', 'SYNC', 'x'],
      ['EXISTS'],
      ['LOAD'],
      ['KILL'],
      ['DEBUG', 'x'],
      ['x'],
    ]) {
      await same('SCRIPT', ...args);
    }
  });

  it('are refused where the number of keys is wrong', async () => {
    for (const args of [['return 1'], ['return 1', 'x'], ['return 1', '-1'], ['return 1', '2', 'a']]) {
      await same('EVAL', ...args);
      await same('EVALSHA', ...args);
    }
  });

  it('may not write beyond maxmemory unless they have begun to', async () => {
    await both('FLUSHALL');
    await both('SET', 'a', 'b');
    await both('CONFIG', 'SET', 'maxmemory', '1');
    await same('EVAL', 'return redis.call("set", "x", "y")', '0');
    await same('EVAL', 'redis.call("del", "a") return redis.call("set", "x", "y")', '0');
    await same('EVAL', '#!lua\nreturn 1', '0');
    await same('EVAL', '#!lua flags=allow-oom\nreturn redis.call("set", "x", "y")', '0');
    await same('EVAL', '#!lua flags=no-writes\nreturn redis.call("get", "x")', '0');
    await both('CONFIG', 'SET', 'maxmemory', '0');
  });

  it('see one moment of time and run inside transactions', async () => {
    await same(
      'EVAL',
      'redis.call("set", KEYS[1], 1, "px", 20) local i = 0 while i < 5e6 do i = i + 1 end return redis.call("get", KEYS[1])',
      '1',
      'soon',
    );
    for (const line of [
      'MULTI',
      'SET|a|1',
      'EVAL|return redis.call("incr","a")|0',
      'EVAL|error("x")|0',
      'GET|a',
      'EXEC',
    ]) {
      await same(...line.split('|'));
    }
  });

  it('count as commands, and as errors once', async () => {
    await both('CONFIG', 'RESETSTAT');
    await both('EVAL', 'redis.pcall("get") redis.pcall("lpush", "kk") return redis.pcall("nosuch")', '0');
    await both('EVAL', 'return redis.call("get", "a")', '0');
    await both('EVAL', 'error("x")', '0');
    const counts = async (section: string) => {
      const texts = await Promise.all(clients.map((client) => client.command('INFO', section)));
      return texts.map((text) =>
        String(text)
          .split('\r\n')
          .filter((line) => /^(cmdstat_(eval|get)|errorstat)/.test(line))
          .map((line) => line.replace(/usec[a-z_]*=[\d.]+,?/g, ''))
          .sort(),
      );
    };
    for (const section of ['commandstats', 'errorstats']) {
      const [mine, theirs] = await counts(section);
      expect(mine!.join('\n')).toBe(theirs!.join('\n'));
    }
  });

  it('hold memory that is reported and given back', async () => {
    const client = clients[0]!;
    await client.command('SCRIPT', 'FLUSH');
    const used = () => ours.running!.core.allocator.usedBytes;
    const number = async (name: string) =>
      Number(new RegExp(`${name}:(\\d+)`).exec(String(await client.command('INFO', 'memory')))![1]);
    await client.command('EVAL', 'return 1', '0');
    const cached = await number('used_memory_scripts_eval');
    await client.command('EVAL', `return 2 --${'x'.repeat(10_000)}`, '0');
    expect(await number('number_of_cached_scripts')).toBe(2);
    expect(await number('used_memory_scripts_eval')).toBeGreaterThan(cached + 10_000);
    expect(await number('used_memory_lua')).toBeGreaterThan(10_000);
    const run = async () => {
      await client.command('EVAL', 'for i = 1, 1000 do redis.call("echo", string.rep("x", i)) end', '0');
      await client.command('SCRIPT', 'FLUSH');
      return used();
    };
    const first = await run();
    expect(await run()).toBe(first);
    expect(await number('number_of_cached_scripts')).toBe(0);
  });
});
