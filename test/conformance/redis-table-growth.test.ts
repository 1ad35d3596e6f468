/** Whether the table of a database grows near the memory limit: the original keeps it, and the keys that a larger one would cost. */
import { expect, it } from 'vitest';
import { startOurs, startReal } from '../redis/support/servers.ts';
import { describeReal } from '../support/real.ts';
import { RespClient } from '../support/resp-client.ts';

const BUCKETS = 4_096;
/** A table of twice as many takes 64 KiB. The first room is too small for it when the table is full, the second is not. */
const ROOMS = [90_000, 170_000];

async function tableAndKeys(client: RespClient, room: number): Promise<string> {
  for (let i = 0; i < BUCKETS; i++) await client.command('SET', `k:${i}`, 'v');
  const used = Number(/used_memory:(\d+)/.exec(String(await client.command('INFO', 'memory')))![1]);
  await client.command('CONFIG', 'SET', 'maxmemory', String(used + room));
  for (let i = BUCKETS; i < 2 * BUCKETS; i++) await client.command('SET', `k:${i}`, 'v');
  const keys = Number(await client.command('DBSIZE'));
  const table = /table size: (\d+)/.exec(String(await client.command('DEBUG', 'HTSTATS', '0')))![1];
  return `${keys > BUCKETS ? 'more keys than' : 'up to'} ${BUCKETS}, table ${table}`;
}

describeReal(['redis-server'], 'the table of a database near the memory limit', () => {
  for (const room of ROOMS) {
    it(`grows as the original's with room for ${room} bytes`, { timeout: 60_000 }, async () => {
      const said: string[] = [];
      for (const start of [startReal, startOurs]) {
        const server = await start(['--maxmemory-policy', 'allkeys-lru']);
        const client = await RespClient.connect({ path: server.path });
        try {
          said.push(await tableAndKeys(client, room));
        } finally {
          await client.close();
          await server.stop();
        }
      }
      expect(said[1]).toBe(said[0]);
    });
  }
});
