import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import net from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createTarget } from '../../harness/target/create-target.ts';
import { isAlive, processStartTime } from '../../harness/target/process-identity.ts';
import { connectRedis } from '../../harness/target/redis-admin.ts';
import { ServerKeeper } from '../../harness/target/server-keeper.ts';
import type { RunningTarget } from '../../harness/target/target.ts';
import { describeReal } from '../support/real.ts';
import { makeScenario, makeTarget } from '../support/scenario.ts';

const MIB = 1_048_576;
const settings = { scenario: makeScenario(), limitBytes: 32 * MIB, datasetBytes: 116_000, entries: 1_000 };
const remoteOptions = { allowFlush: false };

async function waitFor(what: () => boolean, timeoutMs = 20_000): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  while (!what()) {
    if (Date.now() > deadline) throw new Error('The condition did not come true in time');
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

describeReal(['redis-server', 'memcached'], 'A server that the harness starts', () => {
  let keeper: ServerKeeper;
  beforeAll(() => {
    keeper = new ServerKeeper();
  });
  afterAll(async () => {
    await keeper.close();
    expect(existsSync(keeper.folder)).toBe(false);
  });

  const cases = [
    { engine: 'redis', socket: 'tcp' },
    { engine: 'redis', socket: 'unix' },
    { engine: 'memcached', socket: 'tcp' },
    { engine: 'memcached', socket: 'unix' },
  ] as const;
  it.each(cases)('answers, tells its facts and memory, and is gone after stop ($engine, $socket)', async (kind) => {
    const running = await createTarget(makeTarget({ ...kind }), keeper, remoteOptions).start(settings);
    const facts = await running.facts();
    expect(facts.version).toMatch(/^\d+\.\d+/);
    expect(facts.keysBefore).toBe(0);
    expect(Object.keys(facts.configuration).length).toBeGreaterThan(20);
    const limit = kind.engine === 'redis' ? facts.configuration['maxmemory'] : facts.configuration['maxbytes'];
    expect(limit).toBe(String(32 * MIB));
    const memory = await running.memory();
    expect(memory.keys).toBe(0);
    expect(memory.limit).toBe(32 * MIB);
    expect(memory.rss).toBeGreaterThan(500_000);
    const start = processStartTime(running.pid as number);
    expect(isAlive(running.pid as number, start)).toBe(true);
    await running.stop();
    await running.stop();
    expect(isAlive(running.pid as number, start)).toBe(false);
  });

  it('quotes its own words when it refuses to start', async () => {
    const target = createTarget(makeTarget({ flags: ['--no-such-option', 'x'] }), keeper, remoteOptions);
    await expect(target.start(settings)).rejects.toThrow(/^Cannot start redis-server: .*no-such-option/);
  });

  it('says that the port its flags ask for is in use', async () => {
    const blocker = net.createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => blocker.once('listening', resolve));
    const { port } = blocker.address() as net.AddressInfo;
    const target = createTarget(makeTarget({ flags: ['--port', String(port)] }), keeper, remoteOptions);
    await expect(target.start(settings)).rejects.toThrow(new RegExp(`port ${port} on 127.0.0.1.* is in use`));
    blocker.close();
  });

  it('is missing, with the reason, where the binary is not there', () => {
    expect(createTarget(makeTarget({ binary: 'no-such-server' }), keeper, remoteOptions).missing).toBe(
      'no-such-server is not on PATH',
    );
    expect(createTarget(makeTarget({ binary: '/no/such' }), keeper, remoteOptions).missing).toContain('no executable');
  });

  it('says how it ended when it dies', async () => {
    const running = await createTarget(makeTarget(), keeper, remoteOptions).start(settings);
    expect(running.died()).toBe(null);
    process.kill(running.pid as number, 'SIGKILL');
    await waitFor(() => running.died() !== null);
    expect(running.died()).toContain('was ended by SIGKILL');
    await running.stop();
  });

  it('measures payload and evictions of memcached exactly', async () => {
    const running = await createTarget(makeTarget({ engine: 'memcached' }), keeper, remoteOptions).start(settings);
    const address = running.endpoint.address as { port: number };
    const socket = net.connect(address.port, '127.0.0.1');
    let stored = 0;
    await new Promise<void>((resolve) => {
      socket.on('data', (data) => {
        stored += data.toString('latin1').split('STORED').length - 1;
        if (stored === 100) resolve();
      });
      for (let i = 0; i < 100; i++) socket.write(`set key${100 + i} 0 0 50\r\n${'x'.repeat(50)}\r\n`);
    });
    socket.destroy();
    const memory = await running.memory();
    expect(memory).toMatchObject({ keys: 100, payload: 100 * 56, payloadIs: 'exact', evictions: 0 });
    await running.flush();
    await running.stop();
  });

  it('and its folder are gone after kill -9 of the process that started it', async () => {
    const root = new URL('../../dist/harness/target/', import.meta.url).href;
    const script = `
      const { ServerKeeper } = await import('${root}server-keeper.js');
      const { createTarget } = await import('${root}create-target.js');
      const keeper = new ServerKeeper();
      const settings = ${JSON.stringify(settings)};
      const pids = [];
      for (const spec of ${JSON.stringify([makeTarget(), makeTarget({ engine: 'memcached' })])}) {
        pids.push((await createTarget(spec, keeper, { allowFlush: false }).start(settings)).pid);
      }
      console.log(JSON.stringify({ pids, folder: keeper.folder }));
      setInterval(() => {}, 1000);`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let text = '';
    child.stdout.on('data', (data) => {
      text += data;
    });
    await waitFor(() => text.includes('\n'));
    const { pids, folder } = JSON.parse(text) as { pids: number[]; folder: string };
    const starts = pids.map((pid) => processStartTime(pid));
    expect(pids.every((pid, i) => isAlive(pid, starts[i] as string))).toBe(true);
    expect(readFileSync(`/proc/${pids[0]}/cmdline`, 'latin1')).toContain('redis-server');
    child.kill('SIGKILL');
    await waitFor(() => pids.every((pid, i) => !isAlive(pid, starts[i] as string)) && !existsSync(folder));
  });
});

describeReal(['redis-server'], 'A server that the watchdog was not told of', () => {
  it('because the harness died in between, goes as well', async () => {
    const url = new URL('../../dist/harness/target/server-keeper.js', import.meta.url).href;
    const script = `
      const { spawn } = await import('node:child_process');
      const { ServerKeeper } = await import('${url}');
      const keeper = new ServerKeeper();
      const args = ['--port', '0', '--unixsocket', keeper.folder + '/s', '--save', ''];
      const child = spawn('redis-server', args, { cwd: keeper.folder, stdio: 'ignore', detached: true });
      console.log(JSON.stringify({ pid: child.pid, folder: keeper.folder }));
      setInterval(() => {}, 1000);`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let text = '';
    child.stdout.on('data', (data) => {
      text += data;
    });
    await waitFor(() => text.includes('\n'));
    const { pid, folder } = JSON.parse(text) as { pid: number; folder: string };
    const start = processStartTime(pid);
    expect(isAlive(pid, start)).toBe(true);
    child.kill('SIGKILL');
    await waitFor(() => !isAlive(pid, start) && !existsSync(folder));
  });
});

describe('An embedded engine', () => {
  const keeper = new ServerKeeper();
  afterAll(() => keeper.close());

  it.each([
    { engine: 'redis', socket: 'tcp', eventLoop: 'epoll' },
    { engine: 'redis', socket: 'unix', eventLoop: 'libuv' },
    { engine: 'memcached', socket: 'tcp', eventLoop: 'libuv' },
    { engine: 'memcached', socket: 'unix', eventLoop: 'epoll' },
  ] as const)('is a process of its own, started like the original ($engine, $socket, $eventLoop)', async (kind) => {
    const spec = makeTarget({ kind: 'embedded', ...kind });
    const running = await createTarget(spec, keeper, remoteOptions).start(settings);
    expect(running.commandLine?.slice(2, 4)).toEqual(['serve', kind.engine]);
    const facts = await running.facts();
    expect(facts.keysBefore).toBe(0);
    expect(facts.version).toMatch(/^\d+\.\d+/);
    const limit = kind.engine === 'redis' ? facts.configuration['maxmemory'] : facts.configuration['maxbytes'];
    expect(limit).toBe(String(32 * MIB));
    const memory = await running.memory();
    expect(memory).toMatchObject({ keys: 0, limit: 32 * MIB, evictions: 0 });
    expect(memory.rss).toBeGreaterThan(10 * MIB);
    await running.resetStats();
    const start = processStartTime(running.pid as number);
    await running.stop();
    expect(isAlive(running.pid as number, start)).toBe(false);
  });
});

describeReal(['redis-server', 'memcached'], 'A server elsewhere', () => {
  let keeper: ServerKeeper;
  const owners: RunningTarget[] = [];
  beforeAll(async () => {
    keeper = new ServerKeeper();
    owners.push(await createTarget(makeTarget(), keeper, remoteOptions).start(settings));
    owners.push(await createTarget(makeTarget({ engine: 'memcached' }), keeper, remoteOptions).start(settings));
  });
  afterAll(() => keeper.close());

  const remote = (engine: 'redis' | 'memcached', url: string, allowFlush = false) =>
    createTarget(makeTarget({ kind: 'remote', engine, url }), keeper, { allowFlush });

  it('loses only the keys of the scenario, and everything with allowFlush', async () => {
    const admin = await connectRedis((owners[0] as RunningTarget).endpoint, 10_000);
    await admin.call('SET', 'mine', 'precious');
    const url = (owners[0] as RunningTarget).address;
    const target = remote('redis', url);
    const running = await target.start(settings);
    expect((await running.facts()).keysBefore).toBe(1);
    await admin.call('MSET', 'key:000000000001', 'a', 'key:000000000999', 'b');
    expect(await running.flush()).toBe(2);
    expect(await admin.call('GET', 'mine')).toBe('precious');
    await running.stop();
    const flushed = await remote('redis', url, true).start(settings);
    expect(await flushed.flush()).toBe(null);
    expect(await admin.call('DBSIZE')).toBe(0);
    await flushed.stop();
    admin.close();
  });

  it('is refused where it already holds keys with the names of the scenario', async () => {
    const admin = await connectRedis((owners[0] as RunningTarget).endpoint, 10_000);
    await admin.call('SET', 'key:000000000007', 'theirs');
    const target = remote('redis', (owners[0] as RunningTarget).address);
    await expect(target.start(settings)).rejects.toThrow(/it already holds 1 keys .*--allow-flush/);
    await admin.call('DEL', 'key:000000000007');
    admin.close();
  });

  it('works for memcached likewise', async () => {
    const running = await remote('memcached', (owners[1] as RunningTarget).address).start(settings);
    expect(await running.flush()).toBe(0);
    expect((await running.memory()).evictions).toBe(0);
    await running.stop();
  });

  it('lets in with a password or a user of its own only', async () => {
    const guarded = await createTarget(
      makeTarget({ flags: ['--requirepass', 'se@cret'] }),
      keeper,
      remoteOptions,
    ).start(settings);
    const { port } = guarded.endpoint.address as { port: number };
    expect((await guarded.facts()).configuration['requirepass']).toBe('***');
    const admin = await connectRedis(guarded.endpoint, 10_000);
    await admin.call('ACL', 'SETUSER', 'me', 'on', '>p:w', '~*', '&*', '+@all');
    admin.close();
    for (const credentials of [':se%40cret', 'me:p%3Aw']) {
      const running = await remote('redis', `redis://${credentials}@127.0.0.1:${port}/2`).start(settings);
      expect(running.address).toBe(`redis://127.0.0.1:${port}/2`);
      expect((await running.facts()).keysBefore).toBe(0);
      await running.stop();
    }
    await expect(remote('redis', `redis://:wrong@127.0.0.1:${port}`).start(settings)).rejects.toThrow(
      /^Cannot reach redis:\/\/127\.0\.0\.1:\d+: .*WRONGPASS/,
    );
    await expect(remote('redis', `redis://127.0.0.1:${port}`).start(settings)).rejects.toThrow(/NOAUTH/);
    await guarded.stop();
  });

  it('that nobody answers at is an error in one line without the password', async () => {
    await expect(remote('redis', 'redis://u:secret@127.0.0.1:1').start(settings)).rejects.toThrow(
      /^Cannot reach redis:\/\/127\.0\.0\.1:1: [^\n]*ECONNREFUSED[^\n]*$/,
    );
    await expect(remote('memcached', 'memcached://127.0.0.1:1').start(settings)).rejects.toThrow(
      /^Cannot reach memcached:\/\/127\.0\.0\.1:1: [^\n]*ECONNREFUSED/,
    );
  });
});
