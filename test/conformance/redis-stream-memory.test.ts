/** What streams and groups take of used memory, on our engine and the original: the same commands, the same growth. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startOurs, startReal, type TestServer } from '../redis/support/servers.ts';
import { describeReal } from '../support/real.ts';
import { encodeCommand, RespClient } from '../support/resp-client.ts';

/** What either server takes and gives back meanwhile for reasons of its own. */
const NOISE_BYTES = 512;

type Arguments = readonly string[];

const entries = (key: string, count: number, step: number, size: number): Arguments[] =>
  Array.from({ length: count }, (_, i) => [
    'XADD',
    key,
    `${1 + i * step}-${i % 3}`,
    'field',
    'v'.repeat(size),
    'n',
    String(i),
  ]);

const readers = (count: number): Arguments[] =>
  Array.from({ length: count }, (_, i) => [
    'XREADGROUP',
    'GROUP',
    'g',
    `consumer:${i % 7}`,
    'COUNT',
    '13',
    'STREAMS',
    's',
    '>',
  ]);

const ids = (count: number, step: number): string[] =>
  Array.from({ length: count }, (_, i) => `${1 + i * step}-${i % 3}`);

/** Workloads by what they do; each begins with empty databases. */
const WORKLOADS: Readonly<Record<string, readonly Arguments[]>> = {
  'few entries': entries('s', 3, 1, 10),
  'small entries with near ids': entries('s', 2_000, 1, 5),
  'ids far apart': entries('s', 2_000, 1_000_003, 20),
  'large entries': entries('s', 100, 5, 3_000),
  'entries larger than a node': entries('s', 20, 5, 9_000),
  'a trimmed stream': [...entries('s', 2_000, 7, 30), ['XTRIM', 's', 'MAXLEN', '777']],
  'a stream with holes': [...entries('s', 600, 7, 30), ['XDEL', 's', ...ids(600, 7).filter((_, i) => i % 4 !== 1)]],
  'a stream whose entries are all gone': [...entries('s', 300, 7, 30), ['XDEL', 's', ...ids(300, 7)]],
  'groups and consumers': Array.from({ length: 40 }, (_, i) => [
    'XGROUP',
    'CREATE',
    's',
    `group ${i}`,
    '$',
    'MKSTREAM',
  ]),
  'pending entries of several consumers': [
    ...entries('s', 1_000, 300, 10),
    ['XGROUP', 'CREATE', 's', 'g', '0'],
    ...readers(60),
  ],
  'acknowledged entries': [
    ...entries('s', 1_000, 300, 10),
    ['XGROUP', 'CREATE', 's', 'g', '0'],
    ...readers(60),
    ['XACK', 's', 'g', ...ids(700, 300).filter((_, i) => i % 3 !== 0)],
    ['XAUTOCLAIM', 's', 'g', 'consumer:1', '0', '0', 'COUNT', '200', 'JUSTID'],
    ['XGROUP', 'DELCONSUMER', 's', 'g', 'consumer:2'],
  ],
  copies: [...entries('s', 1_000, 3, 10), ['XGROUP', 'CREATE', 's', 'g', '0'], ...readers(20), ['COPY', 's', 'copy']],
};

describeReal(['redis-server'], 'used memory of streams', () => {
  let ours: TestServer;
  let real: TestServer;

  beforeAll(async () => {
    [ours, real] = await Promise.all([
      startOurs(['--latency-tracking', 'no']),
      startReal(['--latency-tracking', 'no']),
    ]);
  });
  afterAll(async () => {
    await Promise.all([ours?.stop(), real?.stop()]);
  });

  async function growth(server: TestServer, commands: readonly Arguments[]): Promise<{ used: number; usage: unknown }> {
    const client = await RespClient.connect({ path: server.path });
    const used = async () => Number(/used_memory:(\d+)/.exec(String(await client.command('INFO', 'memory')))![1]);
    try {
      await client.command('DEBUG', 'REPLYBUFFER', 'RESIZING', '0');
      await client.command('FLUSHALL', 'SYNC');
      await client.command('INFO', 'memory');
      const before = await used();
      for (let i = 0; i < commands.length; i += 100) {
        const batch = commands.slice(i, i + 100);
        await client.raw(Buffer.concat(batch.map((command) => encodeCommand(command))), batch.length);
      }
      // The client's buffers shrink to what they were when nothing is in them.
      for (let i = 0; i < 30; i++) await client.command('PING');
      const after = await used();
      const usage = await client.command('MEMORY', 'USAGE', 's', 'SAMPLES', '0');
      return { used: after - before, usage };
    } finally {
      await client.close();
    }
  }

  for (const [title, commands] of Object.entries(WORKLOADS)) {
    it(`grows alike with ${title}`, { timeout: 30_000 }, async () => {
      const [mine, theirs] = await Promise.all([growth(ours, commands), growth(real, commands)]);
      expect(mine.usage).toBe(theirs.usage);
      expect(Math.abs(mine.used - theirs.used)).toBeLessThanOrEqual(NOISE_BYTES);
    });
  }
});
