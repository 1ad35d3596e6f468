/** Who may come in, as configurations say it: users in redis.conf and in ACL files, renamed and guarded commands; on server processes. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { describeReal } from '../support/real.ts';
import { embeddedCommand, realCommand, type StartedServer, startServer } from '../support/redis-pair.ts';
import { RespError, type RespValue } from '../support/resp-client.ts';

describeReal(['redis-server'], 'a configuration', () => {
  let started: StartedServer[] = [];

  afterEach(async () => {
    await Promise.all(started.map((server) => server.stop()));
    started = [];
  });

  async function startBoth(config: string, options: readonly string[] = []): Promise<StartedServer[]> {
    started = await Promise.all([
      startServer(embeddedCommand(), options, config),
      startServer(realCommand(), options, config),
    ]);
    return started;
  }

  const shown = (value: RespValue): unknown => (value instanceof RespError ? `error: ${value.message}` : value);

  /** Sends lines to both on one connection each and compares the replies. */
  async function same(script: string): Promise<void> {
    const clients = await Promise.all(started.map((server) => server.connect()));
    for (const line of script.split('\n')) {
      const words = line.trim().split(' ');
      const [mine, theirs] = await Promise.all(clients.map((client) => client.command(...words)));
      expect(shown(mine!), line).toEqual(shown(theirs!));
    }
    await Promise.all(clients.map((client) => client.close()));
  }

  /** What a server says before it gives up, without times. */
  async function refusal(command: readonly [string, readonly string[]], config: string): Promise<string[]> {
    const error = await startServer(command, [], config).then(
      async (server) => {
        await server.stop();
        return new Error('it started');
      },
      (caught: Error) => caught,
    );
    return error.message
      .split('\n')
      .map((line) => line.replace(/^\d+:[A-Z] .*? [*#] /, ''))
      .filter((line) => /^(Error|Reading|>>>|\*\*\*|Bad|Critical|Spaces|Configuring|Aborting)/.test(line));
  }

  it('declares users, whom CONFIG REWRITE writes back', async () => {
    await startBoth(
      [
        'user alice on >secret ~a* +@read -get (+set ~b*)',
        'user bob off nopass allkeys allcommands allchannels',
        'user default on >open ~* &* +@all',
        'acllog-max-len 3',
      ].join('\n'),
    );
    await same(`PING
      AUTH wrong
      AUTH open
      ACL LIST
      AUTH bob x
      AUTH alice secret
      ACL WHOAMI
      SET b1 x
      SET a1 x
      GET a1
      STRLEN a1
      AUTH default open
      ACL SETUSER carol on nopass +ping
      ACL DELUSER bob
      CONFIG REWRITE`);
    const written = started.map((server) =>
      readFileSync(join(server.folder, 'redis.conf'), 'latin1')
        .split('\n')
        .filter((line) => line.startsWith('user ') || line.startsWith('acllog'))
        .sort(),
    );
    expect(written[0]).toHaveLength(4);
    expect(written[0]).toEqual(written[1]);
  });

  it('gives the default user its password in two ways, of which the users come last', async () => {
    await startBoth('requirepass first\nuser default on >second ~* +@all');
    await same('AUTH first\nAUTH second\nACL LIST\nCONFIG GET requirepass');
    await Promise.all(started.map((server) => server.stop()));
    await startBoth('requirepass first');
    await same('AUTH x\nAUTH first\nACL LIST\nCONFIG SET requirepass second\nACL LIST\nAUTH first\nAUTH second');
  });

  it('with mistakes in its users stops the server with the same words', { timeout: 60_000 }, async () => {
    const configs = [
      'user a on\nuser a off',
      'user x +foo',
      'user x zzz on',
      'user x >p <q',
      'user',
      'user "a b" on',
      'aclfile /nowhere/users.acl\nuser x on',
      'aclfile /nowhere/users.acl',
    ];
    for (const config of configs) {
      const mine = await refusal(embeddedCommand(), config);
      expect(mine, config).not.toEqual([]);
      expect(mine, config).toEqual(await refusal(realCommand(), config));
    }
    // The original crashes on this one.
    expect(await refusal(embeddedCommand(), 'user x +get (~a')).toContain(
      "Error in user declaration 'x': Unmatched parenthesis in acl selector starting at '(~a'.",
    );
  });

  it('renames commands and takes them away, while rules and tables keep their names', async () => {
    await startBoth(
      'rename-command ACL access\nrename-command HSET ""\nrename-command SADD zpush\nrename-command EVAL ""\nrename-command MULTI begin',
    );
    await same(`ACL WHOAMI
      ACCESS WHOAMI
      HSET a b c
      ZPUSH list x
      SADD list x
      EVAL a 0
      MULTI
      BEGIN
      EXEC
      ACCESS SETUSER x on nopass ~* -@all +sadd +acl
      ACCESS SETUSER x +access
      ACCESS SETUSER x +hset
      ACCESS DRYRUN x zpush a b
      ACCESS DRYRUN x sadd a b
      AUTH x x
      ZPUSH list y
      PING
      ACCESS WHOAMI`);
  });

  it('guards DEBUG and MODULE unless it says otherwise', async () => {
    await startBoth('');
    await same(
      'DEBUG SLEEP 0\nDEBUG\nMODULE LOAD x\nMODULE UNLOAD x\nMODULE LIST\nCONFIG SET enable-debug-command yes',
    );
    await Promise.all(started.map((server) => server.stop()));
    await startBoth('enable-debug-command local\nenable-module-command local');
    await same('DEBUG SLEEP 0\nMODULE UNLOAD x\nMODULE LOAD /nowhere/x');
  });

  it('never opens the port to others without a password for the default user', async () => {
    const refused = (config: string) =>
      startServer(embeddedCommand(), ['--port', '1'], `bind 192.0.2.1\n${config}`).then(
        () => 'started',
        (error: Error) => (error.message.includes('Refusing to listen on 192.0.2.1') ? 'refused' : 'tried'),
      );
    expect(await refused('')).toBe('refused');
    expect(await refused('user default on nopass ~* +@all')).toBe('refused');
    // The address is nobody's: with a password the server goes on to find that out.
    expect(await refused('user default on >secret ~* +@all')).toBe('tried');
    expect(await refused('user default off')).toBe('tried');
    expect(await refused('requirepass secret')).toBe('tried');
    expect(await refused('protected-mode no')).toBe('tried');
  });

  it('keeps users in a file of their own', async () => {
    started = [];
    await startBoth('');
    const [mine] = started;
    const file = join(mine!.folder, 'users.acl');
    writeFileSync(file, 'user default on >x ~* &* +@all\nuser reader on nopass %R~* +@read\n');
    started.push(await startServer(embeddedCommand(), [], `aclfile ${file}`));
    const client = await started[2]!.connect();
    expect(await client.command('PING')).toMatchObject({ message: 'NOAUTH Authentication required.' });
    expect(await client.command('AUTH', 'reader', '')).toBe('OK');
    expect(await client.command('GET', 'a')).toBeNull();
    expect(await client.command('SET', 'a', 'b')).toMatchObject({ message: expect.stringContaining('NOPERM') });
    // A user of the file who is not in it any more is gone.
    writeFileSync(file, 'user default on nopass ~* &* +@all\n');
    const admin = await started[2]!.connect();
    expect(await admin.command('AUTH', 'x')).toBe('OK');
    expect(await admin.command('ACL', 'LOAD')).toBe('OK');
    await client.closed;
    expect(await admin.command('ACL', 'WHOAMI')).toBe('default');
    await admin.close();
  });
});
