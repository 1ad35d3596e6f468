/** The server as a process: its command line, log, signals, limits; held against the real one where both can be asked. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { findProgram } from '../../harness/target/find-program.ts';
import { freePort } from '../support/ports.ts';
import { waitFor } from '../support/processes.ts';
import { describeReal } from '../support/real.ts';
import { converse, embeddedCommand, realCommand, type StartedServer, startServer } from '../support/redis-pair.ts';
import { RespError } from '../support/resp-client.ts';
import { until } from '../support/wait.ts';

const running: StartedServer[] = [];
const folders: string[] = [];
const children: ChildProcess[] = [];

afterEach(async () => {
  for (const child of children.splice(0)) if (child.exitCode === null) child.kill('SIGKILL');
  await Promise.all(running.splice(0).map((server) => server.stop()));
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

/** The text of a reply or of an error. */
const said = (reply: unknown): string => (reply instanceof RespError ? reply.message : String(reply));

/** A flat list of names and values as pairs. */
const pairsOf = (flat: readonly string[]): string[][] =>
  Array.from({ length: flat.length / 2 }, (_, i) => flat.slice(2 * i, 2 * i + 2));

const temporary = (): string => {
  const folder = mkdtempSync(join(tmpdir(), 'cachelab-server-'));
  folders.push(folder);
  return folder;
};

async function start(options: readonly string[] = [], config = ''): Promise<StartedServer> {
  const server = await startServer(embeddedCommand(), options, config);
  running.push(server);
  return server;
}

/** Runs a command line until it ends; process id and time are taken out of log lines. */
async function runToEnd(
  [program, args]: readonly [string, readonly string[]],
  options: readonly string[],
): Promise<{ code: number | null; output: string }> {
  const child = spawn(program, [...args, ...options], { stdio: ['ignore', 'pipe', 'pipe'] });
  children.push(child);
  let output = '';
  child.stdout.on('data', (data: Buffer) => (output += data.toString()));
  child.stderr.on('data', (data: Buffer) => (output += data.toString()));
  await once(child, 'close');
  return {
    code: child.exitCode,
    output: output.replace(/^\d+:([CM]) .*?\d ([-.*#]) /gm, '$1 $2 ').replace(/pid=\d+/g, 'pid=N'),
  };
}

describeReal(['redis-server'], 'a wrong configuration', () => {
  const texts = [
    ...[
      'foo bar',
      'port',
      'port abc',
      'port 70000',
      'maxmemory 12x',
      'appendonly maybe',
      'loglevel foo',
      'port "abc',
      'save 1',
    ],
    ...[
      'client-output-buffer-limit foo 1 2 3',
      'port 1 2',
      'activedefrag yes',
      'notify-keyspace-events q',
      'slaveof a b',
      'unixsocketperm 999',
    ],
    ...[
      'dir /nonexistent',
      'logfile /nonexistent/x',
      'requirepass "a b" c',
      'sentinel foo',
      'hz 0\nbogus',
      "appendfilename ''",
    ],
    ...[
      'dbfilename a/b',
      'PORT foo',
      'oom-score-adj-values 1 2',
      'io-threads 200',
      'enable-debug-command x',
      'include /nonexistent',
    ],
    ...[
      'latency-tracking-info-percentiles 200',
      'shutdown-on-sigterm save nosave',
      'maxmemory-policy foo',
      'cluster-port x',
    ],
    // A line without words is right for some; the next one then ends the start.
    ...[
      'save',
      'bind',
      'client-output-buffer-limit',
      'client-output-buffer-limit ""',
      'oom-score-adj-values',
      'latency-tracking-info-percentiles',
      'latency-tracking-info-percentiles ""',
      'shutdown-on-sigint',
      'shutdown-on-sigint ""',
      'requirepass',
      'replicaof',
      'lua-replicate-commands no',
      'lua-replicate-commands',
    ].map((line) => `${line}\nbogus`),
  ];

  it('ends the start with the same words and the same exit code', async () => {
    const folder = temporary();
    for (const text of texts) {
      const file = join(folder, 'redis.conf');
      writeFileSync(file, `\n${text}\n`);
      const [mine, theirs] = await Promise.all([runToEnd(embeddedCommand(), [file]), runToEnd(realCommand(), [file])]);
      expect({ text, ...mine }).toEqual({ text, ...theirs });
    }
  }, 240_000);

  it('is told apart by line also on the command line', async () => {
    const lines = [
      ['--foo'],
      ['--port', 'abc', 'x y'],
      ['--port'],
      ['--port', '1', '2'],
      ['--loglevel', 'x', '--port', '1'],
    ];
    lines.push(['/nonexistent.conf'], ['--bogus x'], ['--port 1x']);
    for (const line of lines) {
      const [mine, theirs] = await Promise.all([runToEnd(embeddedCommand(), line), runToEnd(realCommand(), line)]);
      expect({ line, ...mine }).toEqual({ line, ...theirs });
    }
  }, 240_000);

  it('such as a port in use ends it with the same lines', async () => {
    const holder = net.createServer().listen(0, '127.0.0.1');
    await once(holder, 'listening');
    const { port } = holder.address() as net.AddressInfo;
    const options = ['--port', String(port), '--bind', '127.0.0.1', '--save', ''];
    const [mine, theirs] = await Promise.all([runToEnd(embeddedCommand(), options), runToEnd(realCommand(), options)]);
    holder.close();
    expect(mine).toEqual(theirs);
    expect(mine.output).toContain(`listening socket 127.0.0.1:${port}: bind: Address already in use`);
  });
});

describeReal(['redis-server'], 'a damaged snapshot', () => {
  it('ends the start with both check sums in the log', async () => {
    const folder = temporary();
    const server = await startServer(realCommand(), ['--dir', folder]);
    running.push(server);
    const client = await server.connect();
    await client.command('SET', 'a', '1');
    await client.command('SAVE');
    await client.close();
    const file = join(folder, 'dump.rdb');
    const bytes = readFileSync(file);
    bytes.write('foobar00', bytes.length - 8, 'latin1');
    writeFileSync(file, bytes);
    const options = ['--port', '0', '--unixsocket', join(folder, 's'), '--dir', folder];
    const ends = [await runToEnd(embeddedCommand(), options), await runToEnd(realCommand(), options)];
    const sums = ends.map(({ code, output }) => [code, /^.*Wrong RDB checksum.*$/m.exec(output)?.[0]]);
    expect(sums[0]).toEqual(sums[1]);
    for (const { output } of ends) expect(output).toContain('RDB CRC error');
  });
});

describeReal(['redis-server'], 'beside the original', () => {
  async function pair(options: readonly string[]): Promise<StartedServer[]> {
    const servers = await Promise.all([startServer(embeddedCommand(), options), startServer(realCommand(), options)]);
    running.push(...servers);
    return servers;
  }

  it('a script returns tables in tables down to the depth where the stack ends', async () => {
    const scripts = [
      'local a = {} local b = {a} a[1] = b return a',
      'local a = {} a[1] = "x" a[2] = a return a',
      'local a = {} local b = a for i = 1, 6000 do b[1] = {map = {x = {}}} b = b[1].map.x end return a',
      'local a = {} local b = a for i = 1, 9000 do b[1] = {} b = b[1] end return a',
    ];
    const lines = `${scripts.map((script) => `EVAL '${script}' 0`).join('\r\n')}\r\nPING\r\nQUIT\r\n`;
    const [mine, theirs] = await Promise.all((await pair([])).map((server) => converse(server, lines, 'closed')));
    expect(mine).toContain('reached lua stack limit');
    expect(mine === theirs).toBe(true);
  });

  it('a signal ends the server with the next turn of the cron, so that it can be taken back', async () => {
    const seen: unknown[] = [];
    for (const server of await pair(['--enable-debug-command', 'yes'])) {
      const client = await server.connect();
      const aborted: unknown[] = [];
      for (const signal of ['SIGTERM', 'SIGINT'] as const) {
        await client.command('DEBUG', 'PAUSE-CRON', 1);
        server.process.kill(signal);
        await waitFor('the signal is logged', () => server.output().includes(`Received ${signal} scheduling`), 10_000);
        aborted.push(await client.command('SHUTDOWN', 'ABORT'));
        await client.command('DEBUG', 'PAUSE-CRON', 0);
        aborted.push(said(await client.command('SHUTDOWN', 'ABORT')));
      }
      expect(server.output()).toContain('* Shutdown manually aborted.\n');
      expect(server.output()).not.toContain('User requested shutdown');
      server.process.kill('SIGINT');
      await server.closed;
      seen.push({ aborted, code: server.process.exitCode });
    }
    expect(seen[0]).toEqual(seen[1]);
  });

  it('SHUTDOWN NOSAVE ends a busy script, whose client hears nothing of it', async () => {
    const scripts = [
      'while true do end',
      'redis.call("set", "k", "v") while true do pcall(redis.call, "get", "k") end',
    ];
    for (const script of scripts) {
      const seen: unknown[] = [];
      for (const server of await pair(['--busy-reply-threshold', '50', '--appendonly', 'yes'])) {
        const caller = converse(server, `EVAL '${script}' 0\r\nPING\r\n`, 'closed');
        const client = await server.connect();
        await until('the script is busy', async () => said(await client.command('PING')).startsWith('BUSY'));
        const reply = client.command('SHUTDOWN', 'NOSAVE').catch(() => 'closed');
        seen.push({ caller: await caller.catch(() => ''), reply: said(await reply) });
        await server.closed;
        expect(server.output()).not.toContain('killed by user');
        expect(server.process.exitCode).toBe(0);
      }
      expect(seen[0]).toEqual(seen[1]);
    }
  });

  it('a client on this machine may change protected settings that are "local"', async () => {
    const lines = 'CONFIG SET dbfilename foo\r\nCONFIG GET dbfilename\r\nQUIT\r\n';
    for (const allowed of ['local', 'yes', 'no']) {
      const servers = await pair(['--enable-protected-configs', allowed]);
      const [mine, theirs] = await Promise.all(servers.map((server) => converse(server, lines, 'closed')));
      expect({ allowed, reply: mine }).toEqual({ allowed, reply: theirs });
    }
  });
});

describeReal(['redis-server'], 'reply buffers beside the original', () => {
  it('shrink after the time that DEBUG sets, grow again, and keep their size while resizing is off', async () => {
    const seen: unknown[] = [];
    for (const command of [embeddedCommand(), realCommand()]) {
      const server = await startServer(command);
      running.push(server);
      const [admin, other] = [await server.connect(), await server.connect()];
      const room = async () => {
        const lines = String(await admin.command('CLIENT', 'LIST')).split('\n');
        return Number(/ rbs=(\d+) /.exec(lines.find((line) => line.includes('name=other'))!)![1]);
      };
      const settled = async (wanted: (bytes: number) => boolean, work = 'PING'): Promise<number> => {
        const deadline = Date.now() + 10_000;
        for (let bytes = await room(); ; bytes = await room()) {
          if (wanted(bytes) || Date.now() > deadline) return bytes;
          await new Promise((resolve) => setTimeout(resolve, 50));
          if (work !== 'PING') await other.command('GET', work);
        }
      };
      await other.command('CLIENT', 'SETNAME', 'other');
      await admin.command('DEBUG', 'REPLYBUFFER', 'RESIZING', 0);
      await admin.command('DEBUG', 'REPLYBUFFER', 'PEAK-RESET-TIME', 100);
      await new Promise((resolve) => setTimeout(resolve, 2_500));
      const fixed = await room();
      await admin.command('DEBUG', 'REPLYBUFFER', 'RESIZING', 1);
      const small = await settled((bytes) => bytes < 2_048);
      await admin.command('DEBUG', 'REPLYBUFFER', 'PEAK-RESET-TIME', 'never');
      await admin.command('SET', 'big', 'x'.repeat(32_768));
      seen.push({ fixed, small, grown: await settled((bytes) => bytes >= 16_384, 'big') });
      await Promise.all([admin.close(), other.close()]);
    }
    expect(seen[0]).toEqual(seen[1]);
  }, 60_000);
});

describe('a server process', () => {
  it('evicts when maxmemory is lowered, without waiting for a command', async () => {
    const server = await start(['--maxmemory-policy', 'allkeys-lru', '--notify-keyspace-events', 'Ee']);
    const [listener, client] = [new Redis(server.socket), new Redis(server.socket)];
    const evicted: string[] = [];
    listener.on('message', (_, key: string) => evicted.push(key));
    await listener.subscribe('__keyevent@0__:evicted');
    await client.mset('a', '1', 'b', '2');
    await client.config('SET', 'maxmemory', '1');
    await waitFor('both keys are evicted', () => evicted.length === 2, 10_000);
    listener.disconnect();
    client.disconnect();
  });

  it('changes its title with the template', async () => {
    const server = await start();
    const client = await server.connect();
    await client.command('CONFIG', 'SET', 'proc-title-template', 'TEST {unixsocket} {port}');
    expect(readFileSync(`/proc/${server.process.pid}/cmdline`, 'latin1')).toContain(`TEST ${server.socket} 0`);
    await client.close();
  });

  it('shows its port and process id once it listens where the logo is asked for', async () => {
    const shown = await start(['--always-show-logo', 'yes']);
    expect(shown.output()).toMatch(new RegExp(` Port: 0\n[^\n]* PID: ${shown.process.pid}\n`));
    expect(shown.output()).not.toContain('Running mode');
    const hidden = await start();
    expect(hidden.output()).toContain('Running mode=standalone, port=0.');
    expect(hidden.output()).not.toContain(' PID: ');
  });

  it('refuses to serve other machines without a password while protected mode is on', async () => {
    const { code, output } = await runToEnd(embeddedCommand(), ['--port', '1', '--bind', '0.0.0.0']);
    expect(code).toBe(1);
    expect(output).toContain('Refusing to listen on 0.0.0.0 without a password');
  });

  it('ends on SIGTERM with exit code 0, its files removed and the original lines in its log', async () => {
    const folder = temporary();
    const pidFile = join(folder, 'pid');
    const server = await start(['--pidfile', pidFile, '--unixsocketperm', '700']);
    expect(Number(readFileSync(pidFile, 'utf8'))).toBe(server.process.pid);
    expect(statSync(server.socket).mode & 0o777).toBe(0o700);
    const client = await server.connect();
    await client.command('SET', 'a', '1');
    const begun = Date.now();
    server.process.kill('SIGTERM');
    await server.closed;
    expect(Date.now() - begun).toBeLessThan(20_000);
    expect(server.process.exitCode).toBe(0);
    await client.closed;
    expect([existsSync(pidFile), existsSync(server.socket)]).toEqual([false, false]);
    const log = server.output();
    for (const line of [
      /:C \d\d \w{3} \d{4} \d\d:\d\d:\d\d\.\d{3} # oO0OoO0OoO0Oo Redis is starting oO0OoO0OoO0Oo\n/,
      /:M .* \* The server is now ready to accept connections at /,
      /:signal-handler \(\d+\) Received SIGTERM scheduling shutdown\.\.\.\n/,
      /:M .* # User requested shutdown\.\.\.\n/,
      /:M .* # Redis is now ready to exit, bye bye\.\.\.\n/,
    ]) {
      expect(log).toMatch(line);
    }
  });

  it('ends on SHUTDOWN and gives no reply', async () => {
    const server = await start();
    expect(await converse(server, 'PING\r\nSHUTDOWN NOSAVE\r\n', 'closed')).toBe('+PONG\r\n');
    await server.closed;
    expect(server.process.exitCode).toBe(0);
  });

  it('goes into the background with daemonize yes, writing pid file and log file', async () => {
    const folder = temporary();
    const pidFile = join(folder, 'pid');
    const logFile = join(folder, 'log');
    const socket = join(folder, 's');
    const options = [
      '--port',
      '0',
      '--unixsocket',
      socket,
      '--daemonize',
      'yes',
      '--pidfile',
      pidFile,
      '--logfile',
      logFile,
    ];
    const { code } = await runToEnd(embeddedCommand(), options);
    expect(code).toBe(0);
    await waitFor('the pid file', () => existsSync(pidFile) && readFileSync(pidFile, 'utf8').endsWith('\n'));
    const pid = Number(readFileSync(pidFile, 'utf8'));
    expect(pid).toBeGreaterThan(1);
    process.kill(pid, 'SIGTERM');
    await waitFor('the end', () => !existsSync(pidFile) && readFileSync(logFile, 'utf8').includes('bye bye'));
  });

  it('asks for the password that is set', async () => {
    const server = await start(['--requirepass', 'geheim']);
    const script = ['GET a', 'AUTH wrong', 'HELLO 3', 'QUIT'].join('\r\n');
    const replies = (await converse(server, `${script}\r\n`, 'closed')).split('\r\n');
    expect(replies.slice(0, 2)).toEqual([
      '-NOAUTH Authentication required.',
      '-WRONGPASS invalid username-password pair or user is disabled.',
    ]);
    expect(replies[2]).toMatch(/^-NOAUTH HELLO must be called with the client already authenticated/);
    const client = await server.connect();
    expect(await client.command('AUTH', 'default', 'geheim')).toBe('OK');
    expect(await client.command('GET', 'a')).toBeNull();
    await client.close();
  });

  it('obeys rename-command', async () => {
    const server = await start([], 'rename-command FLUSHALL ""\nrename-command CONFIG my-config\n');
    const client = await server.connect();
    expect(await client.command('FLUSHALL')).toBeInstanceOf(RespError);
    expect(await client.command('CONFIG', 'GET', 'hz')).toBeInstanceOf(RespError);
    expect(await client.command('MY-CONFIG', 'GET', 'hz')).toEqual(['hz', '10']);
    await client.close();
  });

  it('turns away clients beyond maxclients and goes on', async () => {
    const server = await start(['--maxclients', '2']);
    const first = await server.connect();
    // The connection that asked whether the server is up may be there still.
    await vi.waitFor(async () => {
      expect(String(await first.command('INFO', 'clients'))).toMatch(/connected_clients:1\r/);
    }, 10_000);
    const second = await server.connect();
    await second.command('PING');
    expect(await converse(server, '', 'closed')).toBe('-ERR max number of clients reached\r\n');
    await second.close();
    expect(await first.command('PING')).toBe('PONG');
    expect(String(await first.command('INFO', 'stats'))).toMatch(/rejected_connections:1\r/);
    await first.close();
  });

  it('disconnects a subscriber that does not read, with the original log line, and nobody else', async () => {
    const server = await start(['--client-output-buffer-limit', 'pubsub', '1mb', '512kb', '60']);
    const deaf = net.connect(server.socket);
    deaf.on('error', () => {});
    deaf.write('SUBSCRIBE c\r\n');
    deaf.pause();
    const publisher = await server.connect();
    const reader = await server.connect();
    await reader.command('HELLO', 3);
    await reader.raw(Buffer.from('SUBSCRIBE c\r\n'), 0);
    await vi.waitFor(async () => {
      expect(await publisher.command('PUBSUB', 'NUMSUB', 'c')).toEqual(['c', 2]);
    }, 10_000);
    const payload = 'x'.repeat(65_536);
    let last: unknown;
    for (let i = 0; i < 60; i++) last = await publisher.command('PUBLISH', 'c', payload);
    expect(last).toBe(1);
    await vi.waitFor(async () => {
      expect(server.output()).toMatch(
        /# Client id=\d+ .* scheduled to be closed ASAP for overcoming of output buffer limits\./,
      );
      expect(String(await publisher.command('INFO', 'clients'))).toMatch(/connected_clients:2\r/);
    }, 10_000);
    deaf.destroy();
    await publisher.close();
    await reader.close();
  });

  it('closes idle clients after the timeout', async () => {
    const server = await start(['--timeout', '1']);
    const client = await server.connect();
    await client.command('PING');
    await client.closed;
  });

  it('holds writes back while paused and goes on afterwards', async () => {
    const server = await start();
    const admin = await server.connect();
    const other = await server.connect();
    expect(await admin.command('CLIENT', 'PAUSE', 5_000, 'WRITE')).toBe('OK');
    expect(await other.command('GET', 'a')).toBeNull();
    // A script that says it only reads is no write; the pause would outlast this test's patience.
    const begun = Date.now();
    expect(await other.command('EVAL', "#!lua flags=no-writes\nreturn 'read'", 0)).toBe('read');
    expect(Date.now() - begun).toBeLessThan(4_000);
    let done = false;
    const write = other.command('SET', 'a', '1').then((reply) => {
      done = true;
      return reply;
    });
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(done).toBe(false);
    await admin.command('CLIENT', 'UNPAUSE');
    expect(await write).toBe('OK');
    await admin.close();
    await other.close();
  });

  it('writes all of its settings to the configuration file and starts with them', async () => {
    const settings = async (server: StartedServer) => {
      const client = await server.connect();
      const all = (await client.command('CONFIG', 'GET', '*')) as string[];
      const forced = await client.command('DEBUG', 'CONFIG-REWRITE-FORCE-ALL');
      await client.close();
      const own = ['dir', 'unixsocket'];
      return { forced, all: Object.fromEntries(pairsOf(all).filter(([name]) => !own.includes(name!))) };
    };
    const first = await start(['--save', '60 7', '--enable-debug-command', 'yes']);
    const before = await settings(first);
    expect(before.forced).toBe('OK');
    const text = readFileSync(join(first.folder, 'redis.conf'), 'utf8');
    for (const line of ['hz 10', 'save 60 7', 'client-output-buffer-limit normal 0 0 0']) {
      expect(`\n${text}`).toContain(`\n${line}\n`);
    }
    await first.stop();
    running.splice(running.indexOf(first), 1);
    const kept = text.replace(/^(dir|unixsocket) .*\n/gm, '');
    expect(await settings(await start(['--save', '60 7'], kept))).toEqual(before);
  });

  it('rewrites its configuration file', async () => {
    const server = await start(['--maxmemory', '1gb'], '# mine\nhz 20\n');
    const client = await server.connect();
    await client.command('CONFIG', 'SET', 'hz', '30', 'maxmemory-policy', 'allkeys-lru');
    expect(await client.command('CONFIG', 'REWRITE')).toBe('OK');
    const text = readFileSync(join(server.folder, 'redis.conf'), 'utf8');
    expect(text).toMatch(/^# mine\nhz 30\n# Generated by CONFIG REWRITE\n/);
    expect(text).toContain('maxmemory 1gb\nmaxmemory-policy allkeys-lru\n');
    await client.close();
  });

  for (const loop of ['epoll', 'libuv']) {
    it(`serves ioredis over ${loop}: pipelines, subscriptions, a large value`, async () => {
      const port = await freePort();
      const server = await start(['--event-loop', loop, '--port', String(port)]);
      const client = new Redis({ host: '127.0.0.1', port, lazyConnect: true });
      const subscriber = new Redis({ path: server.socket, lazyConnect: true });
      try {
        await Promise.all([client.connect(), subscriber.connect()]);
        expect(await client.set('k', 'v', 'EX', 100)).toBe('OK');
        const replies = await client.pipeline().get('k').incr('n').mget('k', 'n').persist('k').exec();
        expect(replies?.map(([error, reply]) => error ?? reply)).toEqual(['v', 1, ['v', '1'], 1]);
        const heard = new Promise((resolve) => subscriber.on('message', (channel, text) => resolve([channel, text])));
        await subscriber.subscribe('news');
        expect(await client.publish('news', 'hello')).toBe(1);
        expect(await heard).toEqual(['news', 'hello']);
        const large = 'y'.repeat(3_000_000);
        await client.set('large', large);
        expect(await client.get('large')).toBe(large);
      } finally {
        client.disconnect();
        subscriber.disconnect();
      }
    });
  }

  it.skipIf(findProgram('redis-benchmark') === null)('serves redis-benchmark and redis-cli', async () => {
    const server = await start();
    const options = ['-s', server.socket, '-q', '-t', 'set,get,incr,mset,ping', '-n', '20000', '-P', '4'];
    const { code, output } = await runToEnd(['timeout', ['20', 'redis-benchmark']], options);
    expect(code).toBe(0);
    expect(output.match(/requests per second/g)?.length).toBe(6);
    const cli = await runToEnd(['redis-cli', ['-s', server.socket]], ['SET', 'greeting', 'hello']);
    expect(cli).toEqual({ code: 0, output: 'OK\n' });
    expect((await runToEnd(['redis-cli', ['-3', '-s', server.socket]], ['PING'])).output).toBe('PONG\n');
  });
});
