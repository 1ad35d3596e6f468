/** What connections cost in used memory, who is evicted for it, and what the arguments of a command count: ours beside the original. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startOurs, startReal, type TestServer } from '../redis/support/servers.ts';
import { describeReal } from '../support/real.ts';
import { RespClient } from '../support/resp-client.ts';
import { until } from '../support/wait.ts';

const CLIENTS = 60;
const WAIT_MS = 10_000;
/** The shares of one radix tree node and of lists that grow by steps. */
const TOLERANCE_BYTES = 40;
/** Query buffers go after 2 s of silence, reply buffers shrink after 5, and each client has its turn once a second. */
const IDLE_MS = 8_500;

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

function field(text: unknown, name: string): number {
  return Number(new RegExp(`${name}[:=](-?\\d+)`).exec(String(text))![1]);
}

interface Growth {
  opened: number;
  busy: number;
  idle: number;
  closed: number;
  lines: string[];
}

async function grow(server: TestServer): Promise<Growth> {
  const main = await RespClient.connect({ path: server.path });
  // Without what belongs to the client that asks: its buffers shrink at moments of their own.
  const used = async () => {
    const own = field(await main.command('CLIENT', 'INFO'), ' tot-mem');
    return field(await main.command('INFO', 'memory'), 'used_memory') - own;
  };
  await main.command('CLIENT', 'LIST');
  await used();
  const before = await used();
  const clients: RespClient[] = [];
  const lines: string[] = [];
  const look = async () =>
    lines.push(
      String(await main.command('CLIENT', 'LIST'))
        .split('\n')
        .at(-2)!,
    );
  for (let i = 0; i < CLIENTS; i++) clients.push(await RespClient.connect({ path: server.path }));
  // Whoever could connect may not have been let in yet.
  await until(
    'all clients are connected',
    async () => field(await main.command('INFO', 'clients'), 'connected_clients') > CLIENTS,
    WAIT_MS,
  );
  const opened = ((await used()) - before) / CLIENTS;
  await look();
  for (const client of clients) await client.command('ECHO', 'x'.repeat(100));
  const busy = ((await used()) - before) / CLIENTS;
  await look();
  await pause(IDLE_MS);
  const idle = ((await used()) - before) / CLIENTS;
  await look();
  for (const client of clients) await client.close();
  await pause(100);
  const closed = (await used()) - before;
  await main.close();
  return { opened, busy, idle, closed, lines };
}

describeReal(['redis-server'], 'memory of clients', () => {
  let ours: TestServer;
  let real: TestServer;
  beforeAll(async () => {
    const flags = ['--latency-tracking', 'no'];
    [ours, real] = await Promise.all([startOurs(flags), startReal(flags)]);
  });
  afterAll(async () => {
    await Promise.all([ours?.stop(), real?.stop()]);
  });

  it('grows and shrinks with each connection as in the original', { timeout: 60_000 }, async () => {
    const [a, b] = await Promise.all([grow(ours), grow(real)]);
    expect(Math.abs(a.opened - b.opened), `opened: ${a.opened} and ${b.opened}`).toBeLessThan(TOLERANCE_BYTES);
    expect(Math.abs(a.busy - b.busy), `busy: ${a.busy} and ${b.busy}`).toBeLessThan(TOLERANCE_BYTES);
    expect(Math.abs(a.idle - b.idle), `idle: ${a.idle} and ${b.idle}`).toBeLessThan(TOLERANCE_BYTES);
    for (const [i, line] of a.lines.entries()) {
      for (const name of ['qbuf', 'qbuf-free', 'argv-mem', 'rbs', 'rbp', 'obl', 'oll', 'omem', 'tot-mem']) {
        expect(field(line, ` ${name}`), `${name} of ${line} beside ${b.lines[i]}`).toBe(field(b.lines[i], ` ${name}`));
      }
    }
  });

  it('shows a client its own request in its query buffer, with all that was read with it', async () => {
    const said: unknown[] = [];
    for (const server of [ours, real]) {
      const client = await RespClient.connect({ path: server.path });
      const fields = (line: unknown) =>
        ['qbuf', 'qbuf-free', 'argv-mem', 'tot-mem'].map((name) => field(line, ` ${name}`));
      said.push([
        fields(await client.command('CLIENT', 'INFO')),
        fields(await client.command('CLIENT', 'LIST', 'ID', String(await client.command('CLIENT', 'ID')))),
        fields((await client.raw(Buffer.from('PING\r\nCLIENT INFO\r\nPING\r\nPING\r\n'), 4))[1]),
      ]);
      await client.close();
    }
    expect(said[0]).toEqual(said[1]);
  });

  it('evicts the largest clients, those without NO-EVICT alone', { timeout: 30_000 }, async () => {
    const said: unknown[][] = [];
    for (const server of [ours, real]) {
      const main = await RespClient.connect({ path: server.path });
      const told: unknown[] = [];
      await main.command('CLIENT', 'NO-EVICT', 'on');
      await main.command('SET', 'big', 'x'.repeat(200_000));
      const small = await RespClient.connect({ path: server.path });
      await small.command('CLIENT', 'SETNAME', 'small');
      // A request that never ends keeps its bytes in the query buffer.
      const large = await RespClient.connect({ path: server.path });
      await large.command('CLIENT', 'SETNAME', 'large');
      void large.raw(Buffer.from(`*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$900000\r\n${'y'.repeat(600_000)}`), 1).catch(() => {});
      await until(
        'its buffers are full',
        async () => {
          const list = String(await main.command('CLIENT', 'LIST')).split('\n');
          return list.some((line) => line.includes('name=large') && field(line, ' tot-mem') > 600_000);
        },
        WAIT_MS,
      );
      told.push(await main.command('CONFIG', 'SET', 'maxmemory-clients', '300kb'));
      await until(
        'a client is evicted',
        async () => field(await main.command('INFO', 'stats'), 'evicted_clients') > 0,
        WAIT_MS,
      );
      // Nobody else goes in the turns of the clients that follow.
      await pause(1_300);
      const list = String(await main.command('CLIENT', 'LIST'));
      told.push(['small', 'large'].map((name) => list.includes(`name=${name} `)));
      told.push(field(await main.command('INFO', 'stats'), 'evicted_clients'));
      told.push(await main.command('CONFIG', 'SET', 'maxmemory-clients', '0'));
      await Promise.allSettled([main.close(), small.close(), large.close()]);
      said.push(told);
    }
    expect(said[0]).toEqual(said[1]);
    expect(said[0][2]).toBe(1);
  });

  it('counts patterns and the prefixes of tracking', async () => {
    const prefixes = ['ab', 'b', 'acdef', 'acdeg', 'acdeh:1', 'acxx', 'cccc', 'ccdddd'];
    for (let i = 0; i < 120; i++) prefixes.push(`${i * 37}:`.padStart(8, '_'));
    const said: number[][] = [];
    for (const server of [ours, real]) {
      const client = await RespClient.connect({ path: server.path });
      const main = await RespClient.connect({ path: server.path });
      const id = String(await client.command('CLIENT', 'ID'));
      // Reply buffers shrink at moments of their own.
      const total = async () => {
        const list = await main.command('CLIENT', 'LIST', 'ID', id);
        return field(list, ' tot-mem') - field(list, ' rbs');
      };
      const before = await total();
      const told: number[] = [];
      for (const prefix of prefixes) {
        await client.command('CLIENT', 'TRACKING', 'ON', 'BCAST', 'PREFIX', prefix);
        told.push((await total()) - before);
      }
      await client.command('CLIENT', 'TRACKING', 'OFF');
      await client.command('CLIENT', 'TRACKING', 'ON', 'BCAST');
      told.push((await total()) - before);
      await client.command('CLIENT', 'TRACKING', 'OFF');
      await client.raw(Buffer.from('PSUBSCRIBE a* b* c*\r\n'), 3);
      told.push((await total()) - before);
      await Promise.all([client.close(), main.close()]);
      said.push(told);
    }
    expect(said[0]).toEqual(said[1]);
  });

  it('stops drawing for a client that may not be sent so much', { timeout: 30_000 }, async () => {
    for (const server of [ours, real]) {
      const main = await RespClient.connect({ path: server.path });
      const long = 'x'.repeat(100);
      for (const words of [
        'HSET h a b',
        'SADD s a',
        'ZADD z 1 a',
        `HSET h2 ${long} b`,
        `SADD s2 ${long}`,
        `ZADD z2 1 ${long}`,
      ]) {
        expect(await main.command(...words.split(' '))).toBe(1);
      }
      await main.command('CONFIG', 'SET', 'client-output-buffer-limit', 'normal 1000000 0 0');
      const begun = Date.now();
      for (const name of [
        'HRANDFIELD h',
        'SRANDMEMBER s',
        'ZRANDMEMBER z',
        'HRANDFIELD h2',
        'SRANDMEMBER s2',
        'ZRANDMEMBER z2',
      ]) {
        const greedy = await RespClient.connect({ path: server.path });
        greedy.command(...name.split(' '), -999_999_999).catch(() => {});
        await greedy.closed;
      }
      expect(Date.now() - begun).toBeLessThan(10_000);
      await main.command('CONFIG', 'SET', 'client-output-buffer-limit', 'normal 0 0 0');
      await main.close();
    }
  });

  it('counts the arguments of a command before it runs', { timeout: 30_000 }, async () => {
    const said: unknown[][] = [];
    for (const server of [ours, real]) {
      const client = await RespClient.connect({ path: server.path });
      await client.command('FLUSHALL');
      const used = field(await client.command('INFO', 'memory'), 'used_memory');
      await client.command('CONFIG', 'SET', 'maxmemory', String(used + 100_000));
      await client.command('CONFIG', 'SET', 'maxmemory-policy', 'noeviction');
      const told = [];
      for (const size of [1_000, 20_000, 60_000, 400_000]) {
        const reply = await client.command('SET', 'k', 'x'.repeat(size));
        told.push(reply === 'OK' ? 'OK' : (reply as Error).message);
      }
      await client.command('CONFIG', 'SET', 'maxmemory', '0');
      await client.close();
      said.push(told);
    }
    expect(said[0]).toEqual(said[1]);
  });
});
