/** The command table and the keys of requests: COMMAND and its subcommands against the original's, for every command there is. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startOurs, startReal, type TestServer } from '../redis/support/servers.ts';
import { describeReal } from '../support/real.ts';
import { RespClient, RespError, type RespValue } from '../support/resp-client.ts';
import { seededRandom, testScale } from '../support/seed.ts';

const ROUNDS = 12 * testScale;
/** Prose is our own, whoever wrote it. */
const PROSE = new Set(['summary', 'complexity', 'history', 'notes']);

type Json = string | number | boolean | null | Json[] | { [key: string]: Json };

/** Subcommands that both servers have. */
const common = new Set<string>();

/** Plain values; maps become objects, sets are sorted, prose is left out. */
function plain(value: RespValue): Json {
  if (value instanceof RespError) return `error: ${value.message}`;
  if (value instanceof Set)
    return [...value].map(plain).sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));
  if (Array.isArray(value)) {
    const items = value.map(plain);
    // Subcommands come in the order of a hash table.
    const named = items.every((item) => Array.isArray(item) && String(item[0]).includes('|'));
    if (!named) return items;
    // Whether one side has more of them is a test of its own.
    return items
      .filter((item) => common.has(String((item as Json[])[0])))
      .sort((a, b) => (String(a) < String(b) ? -1 : 1));
  }
  if (value instanceof Map) {
    return Object.fromEntries(
      [...value]
        .filter(([key]) => !PROSE.has(String(key)) && (!String(key).includes('|') || common.has(String(key))))
        .map(([key, one]) => [String(key), plain(one)]),
    );
  }
  return value as Json;
}

describeReal(['redis-server'], 'the command table', () => {
  let servers: TestServer[] = [];
  let clients: RespClient[] = [];
  let names: string[] = [];
  let subcommands: string[] = [];

  beforeAll(async () => {
    servers = await Promise.all([startOurs(), startReal()]);
    clients = await Promise.all(servers.map((server) => RespClient.connect({ path: server.path })));
    for (const client of clients) await client.command('HELLO', '3');
    // Whether one side has more is a test of its own.
    const both = async (...args: string[]) => {
      const [mine, theirs] = (await ask('COMMAND', 'LIST', ...args)) as string[][];
      return theirs!.filter((name) => mine!.includes(name));
    };
    names = await both();
    subcommands = await both('FILTERBY', 'PATTERN', '*|*');
    for (const name of subcommands) common.add(name);
  });
  afterAll(async () => {
    await Promise.all(clients.map((client) => client.close()));
    await Promise.all(servers.map((server) => server.stop()));
  });

  const ask = (...args: string[]) => Promise.all(clients.map((client) => client.command(...args)));

  async function same(...args: string[]): Promise<void> {
    const [mine, theirs] = await ask(...args);
    expect(plain(mine!), args.join(' ')).toEqual(plain(theirs!));
  }

  it('has every command of the original, and no other', async () => {
    const [mine, theirs] = await ask('COMMAND', 'LIST');
    expect([...(mine as string[])].sort()).toEqual([...(theirs as string[])].sort());
    const [ours, real] = await ask('COMMAND', 'LIST', 'FILTERBY', 'PATTERN', '*|*');
    expect([...(ours as string[])].sort()).toEqual([...(real as string[])].sort());
    await same('COMMAND', 'COUNT');
  });

  it('describes each of them alike', async () => {
    for (const name of [...names, ...subcommands]) {
      await same('COMMAND', 'INFO', name);
      await same('COMMAND', 'DOCS', name);
    }
    await same('COMMAND', 'INFO', 'get', 'nope', 'GET', 'config|get', 'config|nope', 'get|x');
    await same('COMMAND', 'DOCS', 'nope', 'get');
  });

  it('lists them by category and pattern', async () => {
    const lists = [
      ['ACLCAT', 'read'],
      ['ACLCAT', 'SCRIPTING'],
      ['ACLCAT', 'dangerous'],
      ['ACLCAT', 'nope'],
      ['PATTERN', 'x*'],
      ['PATTERN', '*|s*'],
      ['PATTERN', 'GET'],
      ['MODULE', 'x'],
    ];
    for (const filter of lists) {
      const [mine, theirs] = await ask('COMMAND', 'LIST', 'FILTERBY', ...filter);
      const known = (theirs as string[]).filter((name) => names.includes(name) || subcommands.includes(name));
      expect([...(mine as string[])].sort(), filter.join(' ')).toEqual(known.sort());
    }
    for (const wrong of [['FILTERBY', 'PATTERN'], ['FOO'], ['FILTERBY', 'FOO', 'x'], ['FILTERBY']]) {
      await same('COMMAND', 'LIST', ...wrong);
    }
  });

  it('finds the keys of any request', { timeout: 60_000 * testScale }, async () => {
    const random = seededRandom('keys of requests');
    const pick = <T>(from: readonly T[]): T => from[random.nextBelow(from.length)]!;
    const words = (
      'a b c d 0 1 2 3 5 -1 2x 1.5 get set by store limit incrby overflow keys copy replace auth auth2 streams count block ' +
      'group left min max weights aggregate withscores storedist m km asc nx ex noack # *'
    ).split(' ');
    const args = (): string => (random.nextBelow(40) === 0 ? '' : pick(words));
    for (const name of [...names, ...subcommands]) {
      for (let round = 0; round < ROUNDS; round++) {
        const request = Array.from({ length: random.nextBelow(10) }, args);
        for (const sub of ['GETKEYS', 'GETKEYSANDFLAGS']) await same('COMMAND', sub, ...name.split('|'), ...request);
      }
    }
    const chosen = [
      'EVAL a 0',
      'EVAL a 3 b',
      'EVAL a 1x b',
      'MEMORY USAGE a',
      'config get x',
      'config nope x',
      'PUBLISH a b',
      'SPUBLISH a b',
      'SORT a BY b GET c STORE d STORE e',
      'SET a b GET',
      'SET a b NX',
      'MIGRATE h 1 x 0 1 KEYS a b',
      'XREAD STREAMS a b c d',
      'XREAD STREAMS a b c',
      'XREADGROUP GROUP g c STREAMS a b 1 2',
      'GEORADIUS a 1 2 3 m STORE x STOREDIST y',
      'BITFIELD a GET u1 0',
      'BITFIELD a GET u1 0 SET u1 0 1',
      'ZUNIONSTORE d 2 a b',
      'ZUNIONSTORE d 2x a b',
      'LMPOP 2 a b LEFT',
      'OBJECT ENCODING a',
      'XGROUP CREATE a b c',
      'MSET a b c',
      'nope a',
    ];
    for (const line of chosen) {
      if (line[0] !== 'n' && !names.includes(line.split(' ')[0]!.toLowerCase())) continue;
      for (const sub of ['GETKEYS', 'GETKEYSANDFLAGS']) await same('COMMAND', sub, ...line.split(' '));
    }
    await same('COMMAND', 'GETKEYS');
    await same('COMMAND', 'GETKEYS', 'get');
  });

  it('answers for the parts that are not here as where they are switched off', async () => {
    const lines = [
      'CLUSTER',
      'CLUSTER INFO',
      'CLUSTER FOO',
      'CLUSTER SLOTS x y',
      'CLUSTER HELP',
      'CLUSTER KEYSLOT',
      'CLUSTER KEYSLOT a',
      'ASKING',
      'READONLY',
      'READWRITE',
      'MODULE',
      'MODULE LIST',
      'MODULE LOAD /x',
      'MODULE LOADEX /x',
      'MODULE UNLOAD x',
      'MODULE FOO',
      'FAILOVER',
      'FAILOVER ABORT',
      'FAILOVER ABORT x',
      'FAILOVER TO a 1',
      'FAILOVER TO a x',
      'FAILOVER TIMEOUT 5',
      'FAILOVER TIMEOUT 0',
      'FAILOVER TIMEOUT x',
      'FAILOVER TO a 1 TIMEOUT 4 FORCE',
      'FAILOVER FORCE',
      'FAILOVER FOO',
      'REPLCONF',
      'REPLCONF listening-port 1',
      'REPLCONF capa eof',
      'REPLCONF foo bar',
      'REPLCONF foo',
      'PSYNC',
      'SYNC x',
      'MIGRATE',
      'MIGRATE a b',
      'MIGRATE localhost 1 nokey 0 100',
      'MIGRATE localhost 1 nokey 0 x',
      'MIGRATE localhost 1 nokey x 1',
      'MIGRATE localhost 1 nokey 0 100 FOO',
      'MIGRATE localhost 1 nokey 0 100 COPY REPLACE AUTH x AUTH2 y z',
      'MIGRATE localhost 1 nokey 0 100 AUTH',
      'MIGRATE localhost 1 nokey 0 100 KEYS a',
      'RESTORE-ASKING a 0 b',
    ];
    for (const line of lines) await same(...line.split(' '));
    await same('MIGRATE', 'localhost', '1', '', '0', '100', 'KEYS', 'nokey', 'nokey2');
  });
});
