/** Commands about files, and loads that take long: replies, log lines and files of our server process and of the original, side by side. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { waitFor } from '../support/processes.ts';
import { describeReal } from '../support/real.ts';
import { embeddedCommand, realCommand } from '../support/redis-pair.ts';
import { encodeCommand, RespClient, RespError, type RespValue, settle } from '../support/resp-client.ts';

const START_TIMEOUT_MS = 20_000;
const POLL_MS = 10;
/** A key that is loaded takes at least so long where a load is to be slow: half a minute for all, and whoever has seen enough ends it. */
const SLOW_KEY_US = 5_000;
const SLOW_KEYS = 6_000;
/** With an append-only file others are served after every thousand commands: more of them, and faster. */
const SLOW_COMMAND_US = 10;
const SLOW_COMMANDS = 60_000;
const FAILED_END = 'Errors trying to shut down the server';
/** Saves in the background take seconds. */
const SLOW_SAVES = ['--rdb-key-save-delay', '200'];

const SLEEP_MS = 10_000;

const running = new Set<ChildProcess>();
const root = mkdtempSync(join(tmpdir(), 'cachelab-files-'));
let folders = 0;

afterAll(() => {
  for (const child of running) child.kill('SIGKILL');
  rmSync(root, { recursive: true, force: true });
});

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

interface Server {
  readonly name: 'ours' | 'real';
  readonly process: ChildProcess;
  readonly folder: string;
  readonly client: RespClient;
  /** When the process and its children have ended and all that they said is read: the exit code. */
  readonly closed: Promise<number | null>;
  /** What it said since the last look, without times, numbers and what only processes with children say. */
  log(): string[];
  said(text: string): Promise<void>;
  /** How many times it has said that. */
  count(text: string): number;
  connect(): Promise<RespClient>;
  kill(): Promise<void>;
}

/** Lines that speak of the original's children, or of its platform, or come at any time. */
const NOT_COMPARED =
  /overcommit|Fork CoW|^C |Successfully renamed|Removing the history|rewrite terminated with success|saving terminated with success|RDB memory usage|Creating AOF incr|rewriting started|Background saving started|seconds$|RDB age|Redis version|is starting|given up|running AOF rewrite child|terminated by signal|SIGUSR1 in child|Configuration loaded|monotonic|thread|Failed applying new conf/;

function plain(line: string): string {
  return (
    line
      // A child that is killed writes its last line in five pieces, and its parent's whole line may come after any of them.
      .replace(/^.*?\d+:([A-Z]) \d+ \w+ \d{4} \d\d:\d\d:\d\d\.\d+ /, '$1 ')
      .replace(/^\d+:signal-handler \(\d+\)/, 'signal')
      .replace(/\(in server root dir [^)]*\)/, '(in FOLDER)')
      .replace(/temp-(bg-)?\d+\.rdb/, 'temp.rdb')
      .replace("Can't rewrite append only file in background: ", '')
      .replaceAll(root, 'ROOT')
      .replace(/[0-9]{4,}/g, 'N')
  );
}

async function connectTo(path: string, child: ChildProcess): Promise<RespClient> {
  const deadline = Date.now() + START_TIMEOUT_MS;
  for (;;) {
    try {
      return await RespClient.connect({ path });
    } catch (error) {
      if (child.exitCode !== null || Date.now() > deadline) throw error;
      await pause(POLL_MS);
    }
  }
}

/** Starts a server and connects as soon as that can be, whether it is ready or loads. */
async function start(kind: 'ours' | 'real', folder: string, flags: readonly string[] = []): Promise<Server> {
  const [program, args] = kind === 'ours' ? embeddedCommand() : realCommand();
  const socket = join(root, `${kind}-${folders++}.s`);
  const standard = ['--port', '0', '--unixsocket', socket, '--dir', folder, '--save', ''];
  const allowed = ['--enable-debug-command', 'yes', '--enable-protected-configs', 'yes'];
  const child = spawn(program, [...args, ...standard, ...allowed, ...flags], { stdio: ['ignore', 'pipe', 'pipe'] });
  running.add(child);
  child.once('exit', () => running.delete(child));
  let output = '';
  child.stdout.on('data', (data: Buffer) => (output += data.toString()));
  child.stderr.on('data', (data: Buffer) => (output += data.toString()));
  const closed = once(child, 'close').then(() => child.exitCode);
  const client = await connectTo(socket, child);
  let seen = 0;
  return {
    name: kind,
    process: child,
    folder,
    client,
    closed,
    log() {
      const end = output.lastIndexOf('\n') + 1;
      const lines = output.slice(seen, Math.max(seen, end)).split('\n').filter(Boolean).map(plain);
      seen = Math.max(seen, end);
      // What a child of the original says is said by our one process, perhaps for the second time.
      const compared = lines.filter((line) => !NOT_COMPARED.test(line));
      return compared.filter((line, i) => line !== compared[i - 1]);
    },
    async said(text) {
      const deadline = Date.now() + START_TIMEOUT_MS;
      while (!output.includes(text)) {
        if (Date.now() > deadline) throw new Error(`Cannot wait for "${text}" of ${kind} any longer: ${output}`);
        await pause(POLL_MS);
      }
    },
    count: (text) => output.split(text).length - 1,
    connect: () => connectTo(socket, child),
    async kill() {
      if (child.exitCode === null && child.signalCode === null) {
        child.kill('SIGKILL');
        await once(child, 'exit');
      }
    },
  };
}

function newFolder(): string {
  const folder = join(root, `f${folders++}`);
  mkdirSync(join(folder, 'inner'), { recursive: true });
  return folder;
}

const show = (value: RespValue): unknown => (value instanceof RespError ? `-${value.message}` : value);

/** Runs the same on both and expects the same account of it. */
async function onBoth(
  flags: readonly string[],
  body: (server: Server, note: (what: unknown) => void) => Promise<void>,
) {
  const accounts: unknown[][] = [];
  for (const kind of ['ours', 'real'] as const) {
    const server = await start(kind, newFolder(), flags);
    const account: unknown[] = [];
    try {
      await server.said('ready to accept connections at');
      server.log();
      await body(server, (what) => account.push(what));
    } finally {
      await server.client.close();
      await server.kill();
    }
    accounts.push(account);
  }
  expect(accounts[0]).toEqual(accounts[1]);
}

/** Runs commands in one breath and notes their replies: a server that loads has few moments for others, and what goes on meanwhile ends. */
async function runAtOnce(server: Server, note: (what: unknown) => void, commands: readonly string[]): Promise<void> {
  const all = commands.map((line) => line.split(' ').map((word) => word.replaceAll('~', ' ')));
  const replies = await server.client.raw(Buffer.concat(all.map((words) => encodeCommand(words))), all.length);
  commands.forEach((line, i) => {
    note([line, show(replies[i]!)]);
  });
}

/** Runs commands one after the other and notes their replies. */
async function run(server: Server, note: (what: unknown) => void, commands: readonly string[]): Promise<void> {
  for (const line of commands) {
    note([
      line.replace(server.folder, 'FOLDER'),
      show(await server.client.command(...line.split(' ').map((word) => word.replaceAll('~', ' ')))),
    ]);
  }
}

async function idle(server: Server): Promise<void> {
  const deadline = Date.now() + START_TIMEOUT_MS;
  for (;;) {
    const info = String(await server.client.command('INFO', 'persistence'));
    if (/rdb_bgsave_in_progress:0[\s\S]*aof_rewrite_in_progress:0\r\naof_rewrite_scheduled:0/.test(info)) return;
    if (Date.now() > deadline) throw new Error(`Cannot wait any longer for ${server.name}: ${info}`);
    await pause(POLL_MS);
  }
}

/** INFO persistence: names of all fields, and the values that are no measurements. */
async function persistenceFields(client: RespClient): Promise<string[]> {
  const text = String(await client.command('INFO', 'persistence'));
  const measured =
    /changes_since|time|cow|perc|processed|keys_total|size|loaded|eta|used_mem|total_bytes|buffer|pending_bio/;
  return text.split('\r\n').map((line) => (measured.test(line) ? line.replace(/:.*/, '') : line));
}

describeReal(['redis-server'], 'a command about files', () => {
  it('that saves fails as the original does where the folder is gone, and so does the end', {
    timeout: 60_000,
  }, async () => {
    await onBoth([], async (server, note) => {
      await run(server, note, ['SET a 1', 'SAVE', 'LASTSAVE x', 'BGSAVE foo']);
      await run(
        server,
        note,
        [`CONFIG SET dir ${server.folder}/inner`].map((line) => line),
      );
      rmdirSync(join(server.folder, 'inner'));
      await run(server, note, ['SAVE']);
      note(show(await server.client.command('BGSAVE')));
      await server.said('Background saving error');
      await idle(server);
      note(server.log());
      await run(server, note, [
        'SET b 1',
        'CONFIG SET save 3600~1',
        'SET b 1',
        'PING',
        'GET a',
        'EVAL return~redis.call("set","a","1") 0',
      ]);
      await run(server, note, ['MULTI', 'SET b 1', 'GET b', 'EXEC']);
      await run(server, note, [
        'CONFIG SET stop-writes-on-bgsave-error no',
        'SET b 2',
        'CONFIG SET stop-writes-on-bgsave-error yes',
      ]);
      note(await persistenceFields(server.client));
      await run(server, note, ['CONFIG SET appendonly yes', 'CONFIG GET appendonly', 'BGREWRITEAOF']);
      await settle(server.client);
      server.log();
      await run(server, note, [
        'SHUTDOWN',
        'SHUTDOWN SAVE',
        'SHUTDOWN NOSAVE FORCE ABORT',
        'SHUTDOWN SAVE NOSAVE',
        'SHUTDOWN ABORT',
        'SHUTDOWN foo',
      ]);
      for (const signal of ['SIGTERM', 'SIGINT'] as const) {
        await settle(server.client);
        const failures = server.count(FAILED_END);
        server.process.kill(signal);
        // The next turn of the cron obeys, and cannot.
        await waitFor(`the end by ${signal} fails`, () => server.count(FAILED_END) > failures, START_TIMEOUT_MS);
      }
      await run(server, note, ['GET b']);
      await server.client.command('SHUTDOWN', 'FORCE').catch(() => null);
      note(await server.closed);
      note(server.log());
    });
  });

  it('stops no writes where a save that somebody waited for has failed', { timeout: 60_000 }, async () => {
    await onBoth([], async (server, note) => {
      mkdirSync(join(server.folder, 'dump.rdb'));
      await run(server, note, ['CONFIG SET save 3600~1', 'SET a 1', 'SAVE', 'SHUTDOWN', 'PING', 'SET a 2']);
      note((await persistenceFields(server.client)).find((line) => line.startsWith('rdb_last_bgsave_status')));
    });
  });

  it('follows CONFIG SET dir and dbfilename', { timeout: 60_000 }, async () => {
    await onBoth([], async (server, note) => {
      const { folder } = server;
      const files = () => note(readdirSync(folder, { recursive: true }).map(String).sort());
      const dir = async (path: string) => note(show(await server.client.command('CONFIG', 'SET', 'dir', path)));
      await run(server, note, [
        'SET a 1',
        'SAVE',
        'CONFIG SET dbfilename x/y',
        'CONFIG SET dbfilename two.rdb',
        'SAVE',
      ]);
      await dir(join(folder, 'inner'));
      note(String(await server.client.command('CONFIG', 'GET', 'dir')).replace(folder, ''));
      await run(server, note, ['SAVE', 'BGSAVE']);
      await idle(server);
      files();
      await dir(join(folder, 'nowhere'));
      await dir('..');
      note(String(await server.client.command('CONFIG', 'GET', 'dir')).replace(folder, ''));
      mkdirSync(join(folder, 'three.rdb'));
      await run(server, note, ['CONFIG SET dbfilename three.rdb', 'SAVE', 'BGSAVE']);
      await server.said('Background saving error');
      await idle(server);
      await run(server, note, ['CONFIG SET appendonly yes']);
      await idle(server);
      await run(server, note, ['SET b 1', 'BGREWRITEAOF']);
      await idle(server);
      files();
      note(server.log());
    });
  });

  it('waits for another or refuses as the original does', { timeout: 90_000 }, async () => {
    await onBoth(['--rdb-key-save-delay', '100'], async (server, note) => {
      await run(server, note, ['DEBUG POPULATE 8000 k 100']);
      await runAtOnce(server, note, [
        'BGSAVE',
        'BGSAVE',
        'BGSAVE SCHEDULE',
        'SAVE',
        'BGREWRITEAOF',
        'BGREWRITEAOF',
        'DBSIZE',
      ]);
      await idle(server);
      await runAtOnce(server, note, ['BGREWRITEAOF', 'BGREWRITEAOF', 'BGSAVE', 'BGSAVE SCHEDULE', 'SHUTDOWN ABORT']);
      await idle(server);
      await run(server, note, ['CONFIG SET appendonly yes', 'DBSIZE']);
      await idle(server);
      await run(server, note, ['CONFIG SET appendonly no', 'DBSIZE']);
    });
  });

  it('leaves what it starts to the end of the transaction that it is part of', { timeout: 60_000 }, async () => {
    await onBoth([], async (server, note) => {
      await run(server, note, ['MULTI', 'SET a 1', 'BGREWRITEAOF', 'BGREWRITEAOF', 'EXEC']);
      await server.said('rewrite finished successfully');
      await idle(server);
      await run(server, note, ['MULTI', 'SET a 2', 'BGSAVE', 'BGSAVE SCHEDULE', 'EXEC']);
      await server.said('Background saving terminated with success');
      await idle(server);
      server.log();
      await run(server, note, ['MULTI', 'SET a 3', 'CONFIG SET appendonly yes', 'EXEC']);
      await waitFor('the second rewrite', () => server.count('rewrite finished successfully') > 1, START_TIMEOUT_MS);
      await idle(server);
      note(server.log());
      note(readdirSync(server.folder, { recursive: true }).map(String).sort());
      await run(server, note, ['MULTI', 'SET a 4', 'CONFIG SET appendonly no', 'CONFIG SET appendonly yes', 'EXEC']);
      await idle(server);
      await run(server, note, ['SET a 5', 'DEBUG LOADAOF', 'GET a']);
      server.log();
      await run(server, note, [
        `CONFIG SET rdb-key-save-delay ${SLEEP_MS * 1000}`,
        'BGREWRITEAOF',
        'CONFIG SET appendonly no',
      ]);
      const begun = Date.now();
      await server.said('Killing running AOF rewrite child');
      await run(server, note, ['PING']);
      // A writer that sleeps for ten seconds is not waited for.
      expect(Date.now() - begun).toBeLessThan(SLEEP_MS / 2);
      await idle(server);
      note(server.log());
    });
  });

  it('ends a snapshot that is not wanted any more, and leaves the file of the one before', {
    timeout: 90_000,
  }, async () => {
    await onBoth(SLOW_SAVES, async (server, note) => {
      const files = () => note(readdirSync(server.folder, { recursive: true }).map(String).sort());
      await run(server, note, ['SET old 1', 'SAVE', 'DEBUG POPULATE 20000 k 100', 'BGSAVE', 'FLUSHALL', 'SET new 1']);
      await idle(server);
      note(await persistenceFields(server.client));
      files();
      await run(server, note, ['DEBUG RELOAD NOSAVE', 'KEYS *']);
      // Where data are saved by themselves the flushed ones must not come back.
      await run(server, note, ['CONFIG SET save 3600~1', 'DEBUG POPULATE 20000 k 100', 'BGSAVE', 'FLUSHALL']);
      await idle(server);
      files();
      await run(server, note, ['DEBUG RELOAD NOSAVE', 'DBSIZE']);
      await run(server, note, ['CONFIG SET save ""', 'CONFIG SET appendonly yes', 'DEBUG POPULATE 20000 k 100']);
      await idle(server);
      // A rewrite goes on: what it writes down is made up for by the FLUSHALL that follows in the increment.
      await run(server, note, ['BGREWRITEAOF', 'FLUSHALL', 'SET new 2']);
      await idle(server);
      await run(server, note, ['DEBUG LOADAOF', 'KEYS *']);
      note(await persistenceFields(server.client));
    });
  });

  const ends = [
    { name: 'a save', first: ['BGSAVE'], words: [['SHUTDOWN']] },
    { name: 'a save, saving once more', first: ['BGSAVE'], words: [['SHUTDOWN', 'SAVE']] },
    {
      name: 'a save, where data are saved by themselves',
      first: ['CONFIG SET save 3600~1', 'BGSAVE'],
      words: [['SHUTDOWN']],
    },
    {
      name: 'a save, without saving',
      first: ['CONFIG SET save 3600~1', 'BGSAVE'],
      words: [['SHUTDOWN', 'NOSAVE', 'NOW']],
    },
    { name: 'a rewrite', first: ['BGREWRITEAOF'], words: [['SHUTDOWN']] },
    {
      name: 'the first rewrite',
      first: ['CONFIG SET appendonly yes'],
      words: [['SET', 'x', '1'], ['SHUTDOWN'], ['SHUTDOWN', 'FORCE']],
    },
  ];
  for (const { name, first, words } of ends) {
    it(`SHUTDOWN ends in the middle of ${name}`, { timeout: 60_000 }, async () => {
      await onBoth(SLOW_SAVES, async (server, note) => {
        await run(server, note, ['SET old 1', 'SAVE', 'DEBUG POPULATE 20000 k 100', ...first]);
        await settle(server.client);
        server.log();
        for (const one of words) note(show(await server.client.command(...one).catch(() => 'gone')));
        note(await server.closed);
        note(server.log());
        const files = readdirSync(server.folder, { recursive: true }).map(String).sort();
        note(files.filter((file) => !file.startsWith('temp-')));
        for (const flags of [[], ['--appendonly', 'yes']]) {
          const again = await start(server.name, server.folder, flags);
          await again.said('ready to accept connections at');
          note(await again.client.command('DBSIZE'));
          await again.client.close();
          await again.kill();
        }
      });
    });
  }

  it('rewrites an append-only file that is switched off, and switches on one that was there before', {
    timeout: 60_000,
  }, async () => {
    await onBoth([], async (server, note) => {
      await run(server, note, ['CONFIG SET appendonly yes', 'SET a 1', 'RPUSH l 1 2 3']);
      await idle(server);
      await run(server, note, [
        'SET b 2',
        'SAVE',
        'DEBUG LOADAOF',
        'DBSIZE',
        'CONFIG SET appendonly no',
        'SET c 3',
        'BGREWRITEAOF',
      ]);
      await idle(server);
      await run(server, note, [
        'CONFIG GET appendonly',
        'SET d 4',
        'DEBUG LOADAOF',
        'DBSIZE',
        'CONFIG SET appendonly yes',
        'SET e 5',
      ]);
      await idle(server);
      await run(server, note, ['SET f 6', 'DEBUG LOADAOF', 'DBSIZE', 'DEBUG DIGEST', 'DEBUG RELOAD foo']);
      await pause(200);
      note(readdirSync(join(server.folder, 'appendonlydir')).sort());
    });
  });
});

describeReal(['redis-server'], 'a load that takes long', () => {
  /** Files of a server that has so many keys. */
  async function prepared(appendonly: boolean): Promise<string> {
    const server = await start('real', newFolder(), appendonly ? ['--appendonly', 'yes'] : []);
    await server.said('ready to accept connections at');
    await server.client.command('DEBUG', 'POPULATE', SLOW_KEYS, 'key', 100);
    if (appendonly) for (let i = 0; i < SLOW_COMMANDS; i++) void server.client.command('SET', `s${i}`, i);
    await server.client.command('SAVE');
    await server.client.command('SHUTDOWN', 'NOSAVE').catch(() => null);
    await server.client.close();
    await server.kill();
    return server.folder;
  }

  const loads = [
    { what: 'an RDB file', appendonly: false, loops: ['epoll', 'libuv'] },
    { what: 'an append-only file', appendonly: true, loops: ['epoll', 'libuv'] },
  ];
  for (const { what, appendonly, loops } of loads) {
    it(`of ${what} lets clients know, as the original does`, { timeout: 120_000 }, async () => {
      const source = await prepared(appendonly);
      const accounts = new Map<string, unknown[]>();
      for (const name of ['real', ...loops]) {
        const folder = join(root, `load-${folders++}`);
        cpSync(source, folder, { recursive: true });
        const delayUs = appendonly ? SLOW_COMMAND_US : SLOW_KEY_US;
        const flags = ['--key-load-delay', String(delayUs), '--loading-process-events-interval-bytes', '1024'];
        if (appendonly) flags.push('--appendonly', 'yes');
        const kind = name === 'real' ? 'real' : 'ours';
        const server = await start(kind, folder, kind === 'ours' ? [...flags, '--event-loop', name] : flags);
        const account: unknown[] = [];
        const note = (value: unknown) => account.push(value);
        await server.said('Server initialized');
        await runAtOnce(server, note, [
          'PING',
          'GET a',
          'SET a 1',
          'BGSAVE',
          'SHUTDOWN ABORT',
          'MULTI',
          'GET a',
          'EXEC',
          'BLPOP l 1',
          'FLUSHALL',
          'CONFIG SET appendonly yes',
          'CONFIG SET save 1~1',
          'CONFIG GET loading*',
          'WATCH a',
          'PUBLISH x y',
          'CONFIG GET loading-process-events-interval-bytes',
          'CONFIG SET dir nowhere',
          'CONFIG SET repl-diskless-load disabled',
          'SCRIPT EXISTS a',
          'EVAL return~1 0',
          'ECHO a',
        ]);
        note(await persistenceFields(server.client));
        const info = String(await server.client.command('INFO', 'persistence'));
        const field = (of: string) => Number(new RegExp(`${of}:(.*)\r\n`).exec(info)?.[1]);
        note([field('loading'), field('async_loading'), field('loading_total_bytes')]);
        expect(field('loading_loaded_bytes'), name).toBeLessThan(field('loading_total_bytes'));
        const listener = await server.connect();
        note(show(await listener.command('SUBSCRIBE', 'x')));
        await listener.close();
        await server.client.command('CONFIG', 'SET', 'key-load-delay', '0');
        await server.said('ready to accept connections at');
        await server.client.command('CONFIG', 'SET', 'save', '');
        await run(server, note, ['DBSIZE', 'DEBUG DIGEST', 'PING']);
        note(String(await server.client.command('INFO', 'persistence')).includes('loading_'));
        // During DEBUG RELOAD nobody is served where the loop cannot turn within a turn.
        await server.client.close();
        await server.kill();
        accounts.set(name, account);
      }
      for (const loop of loops) expect(accounts.get(loop), loop).toEqual(accounts.get('real'));
    });
  }

  for (const how of ['SIGTERM', 'SIGINT', 'SHUTDOWN', 'SHUTDOWN SAVE'] as const) {
    it(`is ended by ${how} without a save`, { timeout: 60_000 }, async () => {
      const source = await prepared(false);
      const accounts: unknown[] = [];
      for (const kind of ['ours', 'real'] as const) {
        const folder = join(root, `load-${folders++}`);
        cpSync(source, folder, { recursive: true });
        const server = await start(kind, folder, [
          '--key-load-delay',
          String(SLOW_KEY_US),
          '--loading-process-events-interval-bytes',
          '1024',
          '--save',
          '1 1',
          '--dbfilename',
          'dump.rdb',
        ]);
        await server.said('Loading RDB produced');
        await server.client.command('INFO');
        await settle(server.client);
        server.log();
        if (how.startsWith('SIG')) server.process.kill(how as NodeJS.Signals);
        else server.client.command(...how.split(' ')).catch(() => null);
        const code = await server.closed;
        accounts.push([code, server.log(), existsSync(join(folder, 'dump.rdb'))]);
        await server.client.close();
      }
      expect(accounts[0]).toEqual(accounts[1]);
    });
  }

  it('by DEBUG RELOAD tells the other clients too', { timeout: 60_000 }, async () => {
    await onBoth(['--loading-process-events-interval-bytes', '1024'], async (server, note) => {
      await run(server, note, [`DEBUG POPULATE ${SLOW_KEYS} key 100`, `CONFIG SET key-load-delay ${SLOW_KEY_US}`]);
      const other = await server.connect();
      await other.command('MULTI');
      await other.command('GET', 'a');
      const reloaded = server.client.command('DEBUG', 'RELOAD');
      // Lets it arrive first; whoever comes then is told when the load has begun.
      await pause(50);
      note(show(await other.command('EXEC')));
      note(show(await other.command('GET', 'a')));
      note((await persistenceFields(other)).find((line) => line.startsWith('loading')));
      await other.command('CONFIG', 'SET', 'key-load-delay', '0');
      note(show(await reloaded));
      await run(server, note, ['DBSIZE', 'DEBUG DIGEST']);
      await other.close();
    });
  });
});
