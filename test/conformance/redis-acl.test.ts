/** Users and permissions: the same administration and the same requests on our engine and on the original. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { startOurs, startReal, type TestServer } from '../redis/support/servers.ts';
import { describeReal } from '../support/real.ts';
import { RespClient, RespError, type RespValue } from '../support/resp-client.ts';
import { seededRandom, testScale } from '../support/seed.ts';

/** Rules about single commands come in the order of a hash table in the original. */
function normalRules(text: string): string {
  if (!/[+-]@all/.test(text)) return text;
  return text.replace(/([+-]@all)((?: [+-][^ )]+)*)/g, (_, base: string, rest: string) => {
    const rules = rest.split(' ').filter((rule) => rule !== '');
    const single = rules.filter((rule) => rule[1] !== '@').sort();
    return [base, ...rules.filter((rule) => rule[1] === '@'), ...single].join(' ');
  });
}

/** Replies with what may differ taken out: order of rules, times, figures and numbers of clients. */
function normal(value: RespValue): unknown {
  if (value instanceof RespError) return `error: ${value.message}`;
  if (typeof value === 'string') {
    if (value.startsWith('id=')) return value.replace(/.* (flags=\S+ db=\S+).* (user=\S+).*/, '$1 $2');
    return normalRules(value);
  }
  if (Array.isArray(value)) {
    return value.map((one, i) => (value[i - 1] === 'age-seconds' || value[i - 1] === 'id' ? 'varies' : normal(one)));
  }
  if (value instanceof Map) {
    return [...value].map(([key, one]) => [key, key === 'age-seconds' || key === 'id' ? 'varies' : normal(one)]);
  }
  if (value instanceof Set) return { set: [...value].map(normal) };
  return value;
}

describeReal(['redis-server'], 'users and their permissions', () => {
  let servers: TestServer[] = [];
  let open: RespClient[] = [];

  beforeAll(async () => {
    servers = await Promise.all([startOurs(), startReal()]);
  });
  afterAll(async () => {
    await Promise.all(servers.map((server) => server.stop()));
  });
  afterEach(async () => {
    await Promise.all(open.map((client) => client.close()));
    open = [];
    const [ours, real] = await pair();
    for (const client of [ours, real]) {
      const names = (await client!.command('ACL', 'USERS')) as string[];
      for (const name of names) if (name !== 'default') await client!.command('ACL', 'DELUSER', name);
      await client!.command('ACL', 'SETUSER', 'default', 'reset', 'on', 'nopass', '~*', '&*', '+@all');
      await client!.command('CONFIG', 'SET', 'requirepass', '', 'acl-pubsub-default', 'resetchannels');
      await client!.command('ACL', 'LOG', 'RESET');
      await client!.close();
    }
    open = [];
  });

  async function pair(): Promise<RespClient[]> {
    const clients = await Promise.all(servers.map((server) => RespClient.connect({ path: server.path })));
    open.push(...clients);
    return clients;
  }

  /** Sends one command to both and compares. @returns our reply */
  async function both(clients: readonly RespClient[], ...args: string[]): Promise<RespValue> {
    const [mine, theirs] = await Promise.all(clients.map((client) => client.command(...args)));
    expect(normal(mine!), args.join(' ')).toEqual(normal(theirs!));
    return mine!;
  }

  /** Lines of words; quotes hold blanks together. */
  async function all(clients: readonly RespClient[], script: string): Promise<void> {
    for (const line of script.split('\n')) {
      const words = [...line.matchAll(/"([^"]*)"|(\S+)/g)].map((match) => match[1] ?? match[2]!);
      if (words.length > 0) await both(clients, ...words);
    }
  }

  it('are administered with the same replies', async () => {
    const clients = await pair();
    await all(
      clients,
      `ACL LIST
      ACL USERS
      ACL CAT
      ACL CAT foo
      ACL CAT a b
      ACL WHOAMI
      ACL GENPASS 0
      ACL GENPASS 4097
      ACL GENPASS x
      ACL GENPASS 1 2
      ACL LOAD
      ACL SAVE
      ACL SETUSER
      ACL SETUSER u
      ACL GETUSER u
      ACL GETUSER nope
      ACL SETUSER u +foo
      ACL SETUSER u +config|foo
      ACL SETUSER u +select|0 +@foo
      ACL SETUSER u zzz
      ACL SETUSER u ~
      ACL SETUSER u %R
      ACL SETUSER u %X~a
      ACL SETUSER u %~a
      ACL SETUSER u allkeys ~a
      ACL SETUSER u allchannels &a
      ACL SETUSER u #abc
      ACL SETUSER u <foo
      ACL SETUSER u !foo
      ACL SETUSER u (
      ACL SETUSER u (+get
      ACL SETUSER u "(+get on)"
      ACL SETUSER u (+get ~a) (+set ~b) x)
      ACL SETUSER u "a b"
      ACL SETUSER u ""
      ACL SETUSER u "()" "( )" "((~a)" 
      ACL SETUSER u "(~a))" (ALLKEYS) (~x~)
      ACL SETUSER u +select|0|1
      ACL SETUSER u -select|0
      ACL SETUSER u +select|
      ACL SETUSER u +config|get|x
      ACL SETUSER u +client|id|a
      ACL SETUSER u +get|x
      ACL SETUSER u + 
      ACL SETUSER u -
      ACL SETUSER u +@
      ACL SETUSER u >
      ACL GETUSER u
      ACL SETUSER "u u" on
      ACL LIST
      ACL DELUSER default
      ACL DELUSER nope u
      ACL DELUSER
      ACL DRYRUN nope get a
      ACL DRYRUN default foo
      ACL DRYRUN default get
      ACL DRYRUN default get a
      ACL DRYRUN default
      ACL LOG x
      ACL LOG -1
      ACL LOG 1 2
      ACL LOG RESET
      ACL FOO
      ACL
      ACL SETUSER a on >p1 >p2 ~x* %R~y* %W~z* %RW~w* %WR~q &c* +@read -get +config|get +select|0 +select|1 "(+set ~s)" "(allkeys -@all +@list &ch)"
      ACL GETUSER a
      ACL LIST
      HELLO 3
      ACL GETUSER a
      HELLO 2
      ACL SETUSER b skip-sanitize-payload nopass allcommands
      ACL SETUSER b sanitize-payload -@dangerous +keys
      ACL LIST
      ACL SETUSER a <p1
      ACL SETUSER a <p1
      ACL SETUSER a (+get nopass (+set
      ACL SETUSER a (+get (+set ~k) +del
      ACL LIST
      ACL SETUSER a clearselectors resetkeys
      ACL LIST
      ACL SETUSER a reset
      ACL LIST
      CONFIG SET acl-pubsub-default allchannels
      ACL SETUSER dd "(~a)"
      ACL GETUSER dd
      ACL LIST
      CONFIG SET requirepass foo
      ACL LIST
      ACL SETUSER default resetpass
      CONFIG GET requirepass
      ACL LIST
      CONFIG SET requirepass foo
      ACL LIST
      CONFIG SET requirepass ""
      ACL LIST
      CLIENT KILL USER nobody`,
    );
    for (const category of (await both(clients, 'ACL', 'CAT')) as string[]) {
      const [mine, theirs] = await Promise.all(clients.map((client) => client.command('ACL', 'CAT', category)));
      expect([...(mine as string[])].sort(), category).toEqual([...(theirs as string[])].sort());
    }
  });

  it('log in and are refused with the same words, which ACL LOG remembers', async () => {
    const admins = await pair();
    await both(
      admins,
      ...'ACL SETUSER a on >p +get +mget +multi +exec +discard +publish +subscribe +psubscribe +acl|whoami ~k* &ch* +client|setname +select|1'.split(
        ' ',
      ),
    );
    const clients = await pair();
    await all(
      clients,
      `AUTH a x
      AUTH a p b
      AUTH x
      AUTH a
      AUTH a p
      ACL WHOAMI
      ACL LIST
      GET foo
      GET kfoo
      MGET kq foo
      MGET kq k2
      SET a b
      PUBLISH x y
      PUBLISH ch1 y
      PSUBSCRIBE x*
      PSUBSCRIBE ch1*
      PSUBSCRIBE ch* x
      SELECT 1
      SELECT 2
      CLIENT GETNAME
      CLIENT SETNAME x
      MULTI
      GET x
      SET x y
      GET kfoo
      EXEC
      MULTI
      GET kfoo
      EXEC
      HELLO 3 AUTH a x
      FOO
      ACL FOO
      AUTH default x
      CLIENT KILL USER a SKIPME yes
      ACL DRYRUN a get foo
      ACL DRYRUN a set foo
      ACL DRYRUN a set foo b
      ACL DRYRUN a publish foo b
      ACL DRYRUN a client setname b
      ACL DRYRUN a client getname
      ACL DRYRUN a select 1
      ACL DRYRUN a select 2
      ACL DRYRUN a client
      ACL DRYRUN a client|setname x
      ACL DRYRUN a config nope
      ACL LOG
      HELLO 3
      ACL LOG 2`,
    );
  });

  it('are checked again when EXEC runs what was queued', async () => {
    const admins = await pair();
    await both(admins, ...'ACL SETUSER ex on nopass +@all ~* &*'.split(' '));
    const clients = await pair();
    await all(clients, 'AUTH ex x\nMULTI\nSET a b\nGET zz\nPUBLISH zz b\nACL WHOAMI');
    await both(admins, ...'ACL SETUSER ex resetkeys resetchannels -set'.split(' '));
    await both(clients, 'EXEC');
  });

  it('are checked for every command of a script', async () => {
    const admins = await pair();
    await both(admins, 'SET', 'kfoo', 'v');
    await both(
      admins,
      ...'ACL SETUSER s on nopass ~k* &ch* -@all +get +publish +eval +evalsha +fcall +script|load +multi +exec'.split(
        ' ',
      ),
    );
    const clients = await pair();
    await all(
      clients,
      `AUTH s x
      EVAL "return redis.call('get','kfoo')" 0
      EVAL "return redis.call('get','foo')" 0
      EVAL "return redis.pcall('get','foo')" 0
      EVAL "return redis.call('set','kfoo','x')" 0
      EVAL "return redis.call('publish','foo','x')" 0
      EVAL "return redis.call('publish','ch1','x')" 0
      EVAL "return 1" 1 foo
      EVAL "return 1" 1 kfoo
      EVAL "return redis.acl_check_cmd('get', 'foo')" 0
      EVAL "return redis.acl_check_cmd('get', 'kfoo')" 0
      SCRIPT FLUSH
      MULTI
      EVAL "return redis.call('get','foo')" 0
      EXEC
      AUTH default x
      ACL LOG`,
    );
    await both(admins, 'DEL', 'kfoo');
  });

  it('may SORT by foreign keys only if they may read all keys', async () => {
    const admins = await pair();
    await all(
      admins,
      `RPUSH ab 1 2
      ACL SETUSER sr on nopass +@all ~a*
      ACL SETUSER all on nopass +@all %R~* %W~a*
      ACL SETUSER two on nopass "(+@all ~a*)" "(+sort %R~*)"`,
    );
    for (const user of ['sr', 'all', 'two']) {
      const clients = await pair();
      await all(
        clients,
        `AUTH ${user} x
        SORT ab
        SORT ab BY x*
        SORT ab BY nosort
        SORT ab GET # BY nosort
        SORT ab GET x*
        SORT_RO ab BY x*
        SORT_RO ab GET #
        SORT ab STORE b
        SORT ab STORE ab2
        SORT ab BY x* STORE ab3`,
      );
    }
    await both(admins, 'DEL', 'ab', 'ab2', 'ab3');
  });

  it('lose their connections with their account or their channels', async () => {
    const admins = await pair();
    const make = 'ACL SETUSER ex reset on nopass +@all ~* &*'.split(' ');
    await both(admins, ...make);
    const subscribers = await pair();
    await all(subscribers, 'AUTH ex x\nPSUBSCRIBE x*\nSUBSCRIBE y');
    await both(admins, ...'ACL SETUSER ex resetchannels &x* &y*'.split(' '));
    await both(subscribers, 'PING');
    await both(admins, ...'ACL SETUSER ex resetchannels &y*'.split(' '));
    await Promise.all(subscribers.map((client) => client.closed));

    await both(admins, ...make);
    const others = await pair();
    await both(others, 'AUTH', 'ex', 'x');
    await both(admins, 'ACL', 'DELUSER', 'ex');
    await Promise.all(others.map((client) => client.closed));

    await both(admins, ...make);
    const blocked = await pair();
    await both(blocked, 'AUTH', 'ex', 'x');
    const waits = blocked.map((client) => client.command('BLPOP', 'nothing', '0'));
    await new Promise((resolve) => setTimeout(resolve, 50));
    await both(admins, 'ACL', 'DELUSER', 'ex');
    await Promise.all([...blocked.map((client) => client.closed), ...waits]);
    await both(admins, 'RPUSH', 'nothing', 'x');
    await both(admins, 'LPOP', 'nothing');

    await both(admins, ...make);
    const own = await pair();
    await both(own, 'AUTH', 'ex', 'x');
    await both(own, 'ACL', 'DELUSER', 'ex');
    await Promise.all(own.map((client) => client.closed));
  });

  it('are loaded from and saved to a file, or not at all', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'cachelab-acl-'));
    const file = join(folder, 'users.acl');
    writeFileSync(file, 'user a on nopass\n');
    const fromFile = await Promise.all([startOurs(['--aclfile', file]), startReal(['--aclfile', file])]);
    const clients = await Promise.all(fromFile.map((server) => RespClient.connect({ path: server.path })));
    try {
      await both(clients, 'ACL', 'LIST');
      const texts = [
        'user a on\nuser a off\nuser "x y" on\nuser q +sel|x\nfoo bar\nuser\n user z on\n\n\t\nuser b on  +get\t+set\nuser d (+get ~x) (~y)\n',
        'user "x y" on\n',
        'user q +sel|x\nuser q +foo\nuser q ~* ~x\nuser p <x !foo #bar zzz\n',
        'user a on nopass\n\n   user b on >x ~foo ( +get ~y )\n',
        'user default on nopass +@all ~*\n# no comments\n',
      ];
      for (const text of texts) {
        writeFileSync(file, text);
        await both(clients, 'ACL', 'LOAD');
        await both(clients, 'ACL', 'LIST');
      }
      await both(clients, 'ACL', 'SETUSER', 'c', 'on', '>x', '~a*', '+get');
      const saved: string[] = [];
      for (const client of clients) {
        expect(await client.command('ACL', 'SAVE')).toBe('OK');
        saved.push(readFileSync(file, 'latin1'));
      }
      expect(saved[0]).toBe(saved[1]);
      rmSync(file);
      await both(clients, 'ACL', 'LOAD');
      writeFileSync(file, 'user default off >secret\n');
      await both(clients, 'ACL', 'LOAD');
      await both(clients, 'ACL', 'LIST');
    } finally {
      await Promise.all(clients.map((client) => client.close()));
      await Promise.all(fromFile.map((server) => server.stop()));
      rmSync(folder, { recursive: true });
    }
  });

  it('can be anything that random rules make of them', { timeout: 60_000 * testScale }, async () => {
    const random = seededRandom('ACL rules');
    const clients = await pair();
    const pick = <T>(from: readonly T[]): T => from[random.nextBelow(from.length)]!;
    const names = (await clients[1]!.command('COMMAND', 'LIST')) as string[];
    const subs = (await clients[1]!.command('COMMAND', 'LIST', 'FILTERBY', 'PATTERN', '*|*')) as string[];
    const categories = [...((await clients[1]!.command('ACL', 'CAT')) as string[]), 'all', 'all'];
    const atom = (): string =>
      pick<() => string>([
        () => `${pick(['+', '-'])}@${pick(categories)}`,
        () => `${pick(['+', '-'])}@${pick(categories)}`,
        () => `${pick(['+', '-'])}${pick(names)}`,
        () => `${pick(['+', '-'])}${pick(subs)}`,
        () => `+${pick(['select', 'get', 'config', 'zz', 'ping'])}|${pick(['0', 'x', 'get', ''])}`,
        () => `${pick(['~', '%R~', '%W~', '%RW~', '%'])}${pick(['a*', 'k?', '*', 'b', '[ab]*'])}`,
        () => `&${pick(['a*', 'k?', '*', 'b'])}`,
        () => pick(['allkeys', 'resetkeys', 'allchannels', 'resetchannels', 'allcommands', 'nocommands', 'ALLKEYS']),
      ])();
    const rule = (): string =>
      pick<() => string>([
        atom,
        atom,
        atom,
        atom,
        () => `(${Array.from({ length: 1 + random.nextBelow(3) }, atom).join(' ')})`,
        () => `${pick(['>', '<'])}${pick(['p1', 'p2'])}`,
        () => Array.from({ length: 1 + random.nextBelow(6) }, () => pick([...'+-@|~%&()<>#! aRW*get"\\'])).join(''),
        () => pick(['on', 'off', 'nopass', 'resetpass', 'clearselectors', 'sanitize-payload', 'reset', 'x']),
      ])();
    const requests = [
      ['GET', 'a1'],
      ['SET', 'k1', 'v'],
      ['SET', 'a1', 'v', 'GET'],
      ['COPY', 'a1', 'b'],
      ['SELECT', '0'],
      ['CONFIG', 'GET', 'x'],
      ['PUBLISH', 'ab', 'x'],
      ['PSUBSCRIBE', 'a*', 'b'],
      ['SSUBSCRIBE', 'b', 'kx'],
      ['MGET', 'a', 'b', 'k1'],
      ['XREAD', 'STREAMS', 'a', 'kk', '0', '0'],
      ['EVAL', 'return 1', '2', 'a', 'b'],
      ['LMPOP', '2', 'b', 'kk', 'LEFT'],
      ['AUTH', 'x'],
      ['KEYS', '*'],
    ];
    for (let round = 0; round < 60 * testScale; round++) {
      const user = pick(['u1', 'u2', 'u3']);
      if (random.nextBelow(8) === 0) await both(clients, 'ACL', 'DELUSER', user);
      await both(clients, 'ACL', 'SETUSER', user, ...Array.from({ length: 1 + random.nextBelow(5) }, rule));
      await both(clients, 'ACL', 'GETUSER', user);
      const known = new Set((await clients[0]!.command('COMMAND', 'LIST')) as string[]);
      for (const request of requests) {
        // What this engine does not execute yet is an unknown command to it.
        if (known.has(request[0]!.toLowerCase())) await both(clients, 'ACL', 'DRYRUN', user, ...request);
      }
    }
    await both(clients, 'ACL', 'LIST');
  });
});
