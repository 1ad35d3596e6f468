import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, unlinkSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { requireReal } from '../support/real.ts';
import { InProcess, parseStats } from './in-process.ts';
import { type RawConnection, settle } from './real-memcached.ts';
import { NetworkServer } from './support/network-server.ts';

const TIMEOUT = { timeout: 90_000 };
/** How long a reply may take, how long one waits to see that there is none, and that there are no more. */
const REPLY_MS = 15_000;
const CONVERSATIONS_AT_ONCE = 12;
/** A file that is to be refused has been looked at after this. */
const HANGUP_MS = 200;

const folder = mkdtempSync(join(tmpdir(), 'cachelab-auth-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

type Probe = readonly [request: Buffer | string, mark: Buffer];

/** A server with one worker thread. */
interface Talker {
  connect(): Promise<RawConnection>;
}

/** What is always answered, in each protocol, so that it can be told when a server has nothing more to say. */
const ASCII_PROBE = ['get probe\r\n', Buffer.from('\r\n')] as const;
const BINARY_PROBE = [request(0x0b), Buffer.from('1.6.18')] as const;

/**
 * What comes back for each piece sent; "closed" where the connection ends, null where nothing comes.
 * @param expected what is expected, where that is known: then there is no need to wait for more
 */
async function converse(
  server: Talker,
  pieces: (string | Buffer)[],
  expected?: (string | null)[],
  probe: Probe = ASCII_PROBE,
): Promise<(string | null)[]> {
  const connection = await server.connect();
  const replies: (string | null)[] = [];
  for (const [i, piece] of pieces.entries()) {
    const known = expected?.[i];
    const bytes = await nextReply(
      server,
      connection,
      piece,
      known === null || known === 'closed' ? undefined : known,
      probe,
    );
    replies.push(bytes.length > 0 ? bytes.toString('latin1') : connection.closed ? 'closed' : null);
  }
  connection.socket.destroy();
  return replies;
}

/** What comes after a piece: up to what is expected, else all that comes before the server has done with it. */
async function nextReply(
  server: Talker,
  connection: RawConnection,
  piece: string | Buffer,
  expected?: string,
  probe: Probe = ASCII_PROBE,
): Promise<Buffer> {
  const bytes = typeof piece === 'string' ? Buffer.from(piece, 'latin1') : piece;
  if (expected !== undefined) return connection.ask(bytes, Buffer.from(expected, 'latin1'), REPLY_MS);
  connection.socket.write(bytes);
  await settle(server, ...probe);
  return connection.ask('', Buffer.alloc(0), 0);
}

const login = (user: string, password: string, more = ''): string => {
  const value = `${user} ${password}${more}`;
  return `set x 0 0 ${value.length}\r\n${value}\r\n`;
};

const GOOD = login('user', 'pass');
const BAD = login('user', 'nope');
const VERSION = 'version\r\n';

/** Conversations with a server that knows user:pass. */
const ASCII_CASES: (string | Buffer)[][] = [
  [GOOD, VERSION],
  [VERSION, GOOD, 'set own 0 0 1\r\nb\r\n'],
  ['get a\r\n'],
  ['set a 0 0 4\r\nuser\r\n'],
  ['set a 0 0 0\r\n\r\n'],
  ['set a 0 0 abc\r\n'],
  ['set a 0 0 -1\r\n'],
  ['set a 0 0\r\n'],
  ['set a 0 0 \r\n\r\n', VERSION],
  ['set\r\n'],
  ['\r\n'],
  ['\n', 'x\n'],
  ['x'],
  [BAD, GOOD],
  [login('user', 'pass', ' more')],
  [login('user', 'pass', ' more x y z')],
  [login('user', 'pas')],
  [login('user', 'passs')],
  [login('use', 'pass')],
  ['set x 1 2 9 noreply\r\nuser pass\r\n'],
  ['set x y z 9\r\nuser pass\r\n'],
  ['SET x 0 0 9\r\nuser pass\r\n'],
  ['add x 0 0 9\r\nuser pass\r\n'],
  ['set x 0 0 9\nuser pass\r\n'],
  ['set x 0 0 9\r\nuser pass\n\n'],
  ['set x 0 0 9\r\nuser passXX', GOOD],
  ['set x 0 0 9\r\nus', 'er pass\r\n', VERSION],
  ['set x 0 0 9\r\n', `user pass\r\n${VERSION}`],
  [`${GOOD}${VERSION}get a\r\n`],
  ['x'.repeat(2_048)],
  ['x'.repeat(2_049)],
  [`${'x'.repeat(3_000)}\r\n`],
  [`set x 0 0 16000\r\n${'u'.repeat(16_002)}`],
  ['set x 0 0 100000\r\n', 'u'.repeat(10_000)],
  [Buffer.concat([Buffer.from([0x80]), Buffer.alloc(23)]), GOOD],
  ['quit\r\n'],
  ['set x 0 0 9 1 2 3\r\nuser pass\r\n'],
  ['set  x  0  0  9\r\nuser pass\r\n'],
  ['  set  x  0  0  9\r\nuser pass\r\n'],
  ['set x 0 0 10\r\nuser  pass\r\n'],
  ['set x 0 0 11\r\n user pass \r\n'],
  ['set x 0 0 9abc\r\nuser pass\r\n'],
  ['set x 0 0 9 \r\nuser pass\r\n'],
  ['GET / HTTP/1.1\r\n'],
  ['set x 0 0 9\r\nuser\0pass\r\n'],
  [`${VERSION}${VERSION}${GOOD}${VERSION}`],
  [VERSION + VERSION],
  [VERSION + BAD],
  [BAD + BAD],
  [BAD + VERSION],
  [BAD + VERSION + GOOD],
  [VERSION, VERSION + GOOD],
  [`${VERSION}x`, VERSION],
  [VERSION + GOOD.slice(0, 16), GOOD.slice(16)],
  [`set a 0 0 4\r\nuser\r\n${GOOD}`],
  [GOOD, GOOD.replace(' x ', ' own2 '), 'get own2\r\n'],
];

/** Files for -Y, with logins that are tried. */
const FILES: [string, string[]][] = [
  ['user:pass', ['user pass', 'user pas']],
  ['user:pass\r\n', []],
  ['', ['user pass']],
  ['\n', []],
  ['user\n', []],
  ['user:pass\n\n', []],
  ['user:pass\nbad\n', []],
  ['user:pass\nu2:p2', ['user pass', 'u2 p2', 'u2 p']],
  [':pass\n', [' pass', 'user pass']],
  ['user:\n', ['user pass', 'user ']],
  ['user:pa:ss\n', ['user pa:ss', 'user pa']],
  ['us er:pass\n', ['us er:pass', 'us er']],
  ['user:pass\0x\nu2:p2\n', ['user pass', 'u2 p2']],
  ['u2:p2\r\nuser:pass\r\n', ['u2 p2', 'user pass']],
  ['# c\nuser:pass\n', []],
  [
    Array.from({ length: 12 }, (_, i) => `u${i + 1}:p${i + 1}\n`).join(''),
    ['u1 p1', 'u7 p7', 'u8 p8', 'u9 p9', 'u12 p12', 'u1 p2', 'u10 p10'],
  ],
  ...[252, 253, 254, 400].map((length): [string, string[]] => [
    `u:${'p'.repeat(length)}\nv:w\n`,
    [`u ${'p'.repeat(length)}`, `u ${'p'.repeat(253)}`, 'v w'],
  ]),
  [`${'u'.repeat(300)}:p\nv:w\n`, []],
];

/** Holds conversations with both servers, several at a time, and compares what they say. */
async function compareConversations(
  cases: readonly (string | Buffer)[][],
  real: NetworkServer,
  mine: NetworkServer,
  probe: Probe,
): Promise<void> {
  for (let at = 0; at < cases.length; at += CONVERSATIONS_AT_ONCE) {
    const compared = cases.slice(at, at + CONVERSATIONS_AT_ONCE).map(async (pieces) => {
      const shown = pieces.map((piece) => piece.toString('latin1').slice(0, 60));
      const realSays = await converse(real, pieces, undefined, probe);
      return [
        [...shown, '->', ...(await converse(mine, pieces, realSays, probe))],
        [...shown, '->', ...realSays],
      ];
    });
    for (const [mineAll, realAll] of await Promise.all(compared)) expect(mineAll).toEqual(realAll);
  }
}

async function isUp(server: NetworkServer): Promise<boolean> {
  try {
    (await server.connect()).socket.destroy();
    return true;
  } catch {
    return false;
  }
}

const noReal = requireReal('memcached') === null;

describe('ASCII authentication (-Y)', () => {
  const file = join(folder, 'users');
  let mine: NetworkServer;
  beforeAll(async () => {
    writeFileSync(file, 'user:pass\n');
    mine = await NetworkServer.start('mine', ['-Y', file]);
  }, 30_000);
  afterAll(() => mine?.stop());

  it('lets nobody in without a name and a password', TIMEOUT, async () => {
    const replies = [
      'CLIENT_ERROR unauthenticated\r\n',
      'CLIENT_ERROR authentication failure\r\n',
      'STORED\r\n',
      'END\r\n',
    ];
    expect(await converse(mine, ['get a\r\n', BAD, GOOD, 'get a\r\n'], replies)).toEqual(replies);
    const ends = ['\r\n', 'END\r\n'];
    const [, stats] = await converse(mine, [GOOD, 'stats\r\n'], ends);
    expect(parseStats(stats!)).toMatchObject({ auth_cmds: '3', auth_errors: '1' });
    const [, settings] = await converse(mine, [GOOD, 'stats settings\r\n'], ends);
    expect(parseStats(settings!)).toMatchObject({
      auth_enabled_ascii: file,
      auth_enabled_sasl: 'no',
      binding_protocol: 'ascii',
    });
  });

  it('closes when more is sent than a name and a password can be', TIMEOUT, async () => {
    expect(await converse(mine, [`set x 0 0 17000\r\n${'u'.repeat(17_002)}`])).toEqual(['closed']);
  });

  it.skipIf(noReal)('answers as the real server, whatever is sent', TIMEOUT, async () => {
    const real = await NetworkServer.start('real', ['-Y', file]);
    await compareConversations(ASCII_CASES, real, mine, ASCII_PROBE);
    await real.stop();
  });

  it.skipIf(noReal)('reads files as the real server, and refuses those that it refuses', TIMEOUT, async () => {
    const core = new InProcess({ authFile: file }, 128 * 1024 * 1024);
    for (const [content, logins] of FILES) {
      writeFileSync(file, content, 'latin1');
      const real = await NetworkServer.spawn('real', ['-Y', file]);
      // With no login to be tried the file is expected to be refused.
      expect([content, core.core.credentials.set(content)]).toEqual([content, logins.length > 0]);
      if (logins.length === 0) {
        expect([content, await real.exited]).toEqual([content, 1]);
        expect(real.errors).toBe(`Authfile [${file}] has a malformed entry. Should be 'user:password'`);
        continue;
      }
      await until(() => isUp(real));
      for (const text of logins) {
        const command = `set x 0 0 ${text.length}\r\n${text}\r\n`;
        const conn = core.open();
        const [realSays] = await converse(real, [command], ['\r\n']);
        expect([content, text, core.send(conn, command)]).toEqual([content, text, realSays]);
        core.hangUp(conn);
      }
      real.child.kill('SIGKILL');
      await real.exited;
    }
  });

  it('does not start with a file that is not there or malformed', TIMEOUT, async () => {
    for (const [path, message] of [
      [
        join(folder, 'none'),
        'Could not open authfile [PATH] for reading, error No such file or directory: No such file or directory',
      ],
      [join(folder, 'malformed'), "Authfile [PATH] has a malformed entry. Should be 'user:password'"],
    ] as const) {
      writeFileSync(join(folder, 'malformed'), 'user\n');
      const server = await NetworkServer.spawn('mine', ['-Y', path]);
      expect(await server.exited).toBe(1);
      expect(server.errors.trim()).toBe(message.replace('PATH', path));
    }
  });

  it('reads the file again on SIGHUP, in every thread, and keeps the old one when it is bad', TIMEOUT, async () => {
    writeFileSync(file, 'user:pass\n');
    for (const threads of ['1', '2']) {
      const server = await NetworkServer.start('mine', ['-Y', file, '-t', threads]);
      const tries = async (user: string, password: string): Promise<string> => {
        const replies = new Set<string>();
        for (let i = 0; i < 4; i++) replies.add((await converse(server, [login(user, password)], ['\r\n']))[0]!);
        return [...replies].join('');
      };
      const write = async (content: string | null): Promise<void> => {
        if (content === null) unlinkSync(file);
        else writeFileSync(file, content);
        server.child.kill('SIGHUP');
        await new Promise((resolve) => setTimeout(resolve, HANGUP_MS));
      };
      expect(await tries('user', 'pass')).toBe('STORED\r\n');
      await write('user:new\n');
      await until(async () => (await tries('user', 'new')) === 'STORED\r\n');
      expect(await tries('user', 'pass')).toBe('CLIENT_ERROR authentication failure\r\n');
      await write('bad\n');
      expect(await tries('user', 'new')).toBe('STORED\r\n');
      await write(null);
      expect(await tries('user', 'new')).toBe('STORED\r\n');
      await write(`${Array.from({ length: 7 }, (_, i) => `u${i}:p\n`).join('')}user:pass\n`);
      await until(async () => (await tries('user', 'pass')) === 'STORED\r\n');
      await server.stop();
    }
  });
});

function request(opcode: number, key = '', value = '', extras = Buffer.alloc(0)): Buffer {
  const header = Buffer.alloc(24);
  header[0] = 0x80;
  header[1] = opcode;
  header.writeUInt16BE(key.length, 2);
  header[4] = extras.length;
  header.writeUInt32BE(extras.length + key.length + value.length, 8);
  header.writeUInt32BE(7, 12);
  return Buffer.concat([header, extras, Buffer.from(key + value, 'latin1')]);
}

const auth = (data: string, mechanism = 'PLAIN'): Buffer => request(0x21, mechanism, data);
const step = (data: string, mechanism = 'PLAIN'): Buffer => request(0x22, mechanism, data);
const RIGHT = '\0user\0secret';
const WRONG = '\0user\0bad';
const GET = request(0x00, 'a');
const SET_EXTRAS = Buffer.alloc(8);

/** Conversations with a server that knows user:secret. */
const SASL_CASES: Buffer[][] = [
  [GET],
  [request(0x0a)],
  [request(0x0b), request(0x20), GET],
  [request(0x20, 'x')],
  [request(0x01, 'a', 'v', SET_EXTRAS)],
  [auth(RIGHT), GET, request(0x01, 'own', 'v', SET_EXTRAS), request(0x00, 'own')],
  [auth(WRONG), GET],
  [auth(WRONG), auth(RIGHT), GET],
  [auth(RIGHT, 'FOO'), GET],
  [auth(RIGHT, ''), GET],
  [auth(RIGHT, 'plain'), GET],
  [auth(RIGHT, 'PLAIN\0x'), GET],
  [auth(RIGHT, 'PLAINX'), GET],
  [auth(RIGHT, 'P'.repeat(32)), GET],
  [auth(RIGHT, 'P'.repeat(33)), request(0x0b)],
  [auth(''), step(RIGHT), GET],
  [auth(''), step(WRONG), step(RIGHT), GET],
  [auth(''), step(''), step(RIGHT), GET],
  [auth(''), step(RIGHT, 'FOO'), GET],
  [auth(''), auth(RIGHT), GET],
  [auth(WRONG), step(RIGHT), GET],
  [step(RIGHT), GET],
  [auth(RIGHT), step(RIGHT), GET],
  [auth(RIGHT), step(WRONG), GET],
  [auth(RIGHT), auth(WRONG), GET],
  [auth(RIGHT), GET, request(0x20), GET],
  [auth('user'), GET],
  [auth('user\0secret'), GET],
  [auth('user\0user\0secret'), GET],
  [auth('other\0user\0secret'), GET],
  [auth('user\0\0secret'), GET],
  [auth('\0\0secret'), GET],
  [auth('\0\0'), GET],
  [auth('\0user\0'), GET],
  [auth(`${RIGHT}\0`), GET],
  [auth(`${RIGHT}\0x`), GET],
  [auth('\0 user \0secret'), GET],
  [auth('\0USER\0secret'), GET],
  [auth(`\0user\0${'x'.repeat(300)}`), GET],
  [auth(`\0user\0${'x'.repeat(100_000)}`), GET],
  [auth(`\0user\0${'x'.repeat(600_000)}`), request(0x0b), GET],
  [Buffer.concat([auth(RIGHT), GET, request(0x0a), auth(WRONG), request(0x0b)])],
  [Buffer.concat([auth(WRONG), auth(RIGHT), GET])],
  [auth(RIGHT).subarray(0, 30), auth(RIGHT).subarray(30), GET],
  [request(0x21, 'PLAIN', RIGHT, Buffer.alloc(4))],
  [request(0x00, 'k'.repeat(251))],
  [request(0x07)],
  [request(0x17)],
  [request(0x09, 'k')],
  [request(0x0b, 'k')],
  [request(0x99)],
  [request(0x10)],
  [Buffer.from('version\r\n')],
  [Buffer.from('version\r\nversion\r\nversion\r\n')],
];

/** A sasldb as the real server reads it: a hash of Berkeley DB, which Perl can write. @returns false where it cannot */
function writeSaslDatabase(path: string): boolean {
  const script =
    'tie my %h, "DB_File", $ARGV[0], O_RDWR|O_CREAT, 0600, $DB_HASH or die; $h{"user\\0$ARGV[1]\\0userPassword"} = "secret"';
  try {
    execFileSync('perl', ['-MFcntl', '-MDB_File', '-e', script, path, hostname()], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

describe('SASL (-S)', () => {
  const passwords = join(folder, 'passwords');
  let mine: NetworkServer;
  beforeAll(async () => {
    writeFileSync(passwords, 'other:x\nuser:secret\nthird:a:b\n');
    mine = await NetworkServer.start('mine', ['-S'], { MEMCACHED_SASL_PWDB: passwords });
  }, 30_000);
  afterAll(() => mine?.stop());

  it('lets memjs in with its name and password, and not without', TIMEOUT, async () => {
    const memjs = createRequire(import.meta.url)('memjs');
    const make = (options: object): ReturnType<typeof memjs.Client.create> =>
      memjs.Client.create(`127.0.0.1:${mine.port}`, { retries: 0, timeout: 5, ...options });
    const right = make({ username: 'user', password: 'secret' });
    expect(await right.set('memjs', 'hello', {})).toBe(true);
    expect((await right.get('memjs')).value.toString()).toBe('hello');
    right.close();
    for (const options of [{ username: 'user', password: 'wrong' }, {}]) {
      const wrong = make({ ...options, logger: { log() {} } });
      await expect(wrong.get('memjs')).rejects.toThrow();
      wrong.close();
    }
  });

  it('counts logins and failures, and says that it is on', TIMEOUT, async () => {
    const connection = await mine.connect();
    const END = request(0x0a);
    END[0] = 0x81;
    const stats = async (name: string): Promise<string> =>
      (await connection.ask(Buffer.concat([request(0x10, name), request(0x0a)]), END, REPLY_MS)).toString('latin1');
    await nextReply(mine, connection, auth(RIGHT), 'Authenticated');
    const count = (text: string, name: string): number => Number(new RegExp(`${name}(\\d+)`).exec(text)![1]);
    const before = await stats('');
    await nextReply(
      mine,
      connection,
      Buffer.concat([auth(WRONG), auth(''), step(WRONG), auth(RIGHT)]),
      'Authenticated',
    );
    const after = await stats('');
    expect(count(after, 'auth_cmds') - count(before, 'auth_cmds')).toBe(3);
    expect(count(after, 'auth_errors') - count(before, 'auth_errors')).toBe(2);
    expect(await stats('settings')).toContain('auth_enabled_saslyes');
    connection.socket.destroy();
  });

  it('follows its password file, line for line, and reads it again on SIGHUP', TIMEOUT, async () => {
    const tries = async (user: string, password: string): Promise<boolean> => {
      const connection = await mine.connect();
      const reply = await connection.ask(auth(`\0${user}\0${password}`), Buffer.from(''), REPLY_MS, 30);
      connection.socket.destroy();
      return reply.includes('Authenticated');
    };
    expect(await tries('third', 'a')).toBe(true);
    expect(await tries('third', 'a:b')).toBe(true);
    expect(await tries('third', 'a:')).toBe(false);
    expect(await tries('user', 'secre')).toBe(false);
    writeFileSync(passwords, `first:1\r\nfirst:2\nno colon\n:empty\n${'l'.repeat(300)}:x\nuser:secret`);
    mine.child.kill('SIGHUP');
    await until(async () => !(await tries('third', 'a')));
    expect(await tries('first', '1')).toBe(true);
    expect(await tries('first', '2')).toBe(false);
    expect(await tries('user', 'secret')).toBe(true);
    expect(await tries(`${'l'.repeat(45)}`, 'x')).toBe(true);
  });

  it('holds in every thread, also after its file has changed without a SIGHUP', TIMEOUT, async () => {
    const memjs = createRequire(import.meta.url)('memjs');
    const own = join(folder, 'own');
    writeFileSync(own, 'user:secret\n');
    const server = await NetworkServer.start('mine', ['-S', '-t', '4'], { MEMCACHED_SASL_PWDB: own });
    const login = async (password: string): Promise<boolean> => {
      const options = { retries: 0, timeout: 5, username: 'user', password, logger: { log() {} } };
      const client = memjs.Client.create(`127.0.0.1:${server.port}`, options);
      try {
        return await client.set('key', password, {});
      } catch {
        return false;
      } finally {
        client.close();
      }
    };
    const tries = async (password: string): Promise<string> =>
      [...new Set(await Promise.all(Array.from({ length: 8 }, () => login(password))))].join();
    expect(await tries('secret')).toBe('true');
    expect(await tries('wrong')).toBe('false');
    writeFileSync(own, 'user:changed\n');
    await until(async () => (await tries('changed')) === 'true');
    expect(await tries('secret')).toBe('false');
    await server.stop();
  });

  it('lets nobody in without a password file, and says so at the start', TIMEOUT, async () => {
    const server = await NetworkServer.start('mine', ['-S'], { MEMCACHED_SASL_PWDB: join(folder, 'none') });
    expect(server.errors).toContain('WARNING: Failed to open sasl database');
    expect((await converse(server, [auth(RIGHT)], ['Auth failure.']))[0]).toContain('Auth failure.');
    await server.stop();
  });

  it('answers as the real server, whatever is sent', TIMEOUT, async (context) => {
    writeFileSync(join(folder, 'memcached.conf'), `mech_list: plain\nsasldb_path: ${join(folder, 'sasldb')}\n`);
    if (noReal || !writeSaslDatabase(join(folder, 'sasldb')))
      return context.skip('no memcached, or no Perl with DB_File');
    const real = await NetworkServer.start('real', ['-S'], { SASL_CONF_PATH: folder });
    const own = await NetworkServer.start('mine', ['-S'], { MEMCACHED_SASL_PWDB: passwords });
    await compareConversations(SASL_CASES, real, own, BINARY_PROBE);
    await real.stop();
    await own.stop();
  });
});

async function until(condition: () => Promise<boolean>): Promise<void> {
  while (!(await condition())) await new Promise((resolve) => setTimeout(resolve, 20));
}
