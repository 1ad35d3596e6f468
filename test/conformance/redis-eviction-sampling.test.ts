/**
 * Which key of a chain of the hash table is evicted, the newest being its first: with one sample and equal access times each one must be
 * as likely as the others, in both servers.
 */
import { expect, it } from 'vitest';
import { startOurs, startReal } from '../redis/support/servers.ts';
import { describeReal } from '../support/real.ts';
import { RespClient } from '../support/resp-client.ts';

const ROUNDS = 150;
const KEYS = 64;
/** Less than a key takes, so that one goes. */
const SHORT_OF_BYTES = 100;

async function infoNumber(client: RespClient, section: string, field: string): Promise<number> {
  return Number(new RegExp(`${field}:(\\d+)`).exec(String(await client.command('INFO', section)))![1]);
}

/** @returns the keys of each bucket; a SCAN of one shows a bucket in the order of its chain */
async function chainsOf(client: RespClient): Promise<string[][]> {
  const chains: string[][] = [];
  let cursor = '0';
  do {
    const [next, keys] = (await client.command('SCAN', cursor, 'COUNT', '1')) as [unknown, unknown[]];
    cursor = String(next);
    chains.push(keys.map(String));
  } while (cursor !== '0');
  return chains;
}

describeReal(['redis-server'], 'the key that one sample evicts', () => {
  for (const [name, start] of Object.entries({ ours: startOurs, original: startReal })) {
    it(`is any of its chain, not the newest: ${name}`, { timeout: 60_000 }, async () => {
      const server = await start(['--maxmemory-policy', 'allkeys-lru', '--maxmemory-samples', '1']);
      const client = await RespClient.connect({ path: server.path });
      let first = 0;
      let later = 0;
      try {
        for (let round = 0; round < ROUNDS; round++) {
          await client.command('CONFIG', 'SET', 'maxmemory', '0');
          await client.command('FLUSHALL');
          for (let i = 0; i < KEYS; i++) await client.command('SET', `key:${round}:${i}`, 'x'.repeat(200));
          const chains = await chainsOf(client);
          const used = await infoNumber(client, 'memory', 'used_memory');
          await client.command('CONFIG', 'SET', 'maxmemory', String(used - SHORT_OF_BYTES));
          await client.command('CONFIG', 'SET', 'maxmemory', '0');
          const left = new Set(((await client.command('KEYS', '*')) as unknown[]).map(String));
          for (const chain of chains) {
            const at = chain.findIndex((key) => !left.has(key));
            if (chain.length < 2 || at < 0) continue;
            if (at === 0) first++;
            else later++;
          }
        }
      } finally {
        await client.close();
        await server.stop();
      }
      // Of chains of two, half; of longer ones, more. Some 60 chains are seen.
      expect(first + later).toBeGreaterThan(20);
      expect(later / (first + later), `${later} of ${first + later} not the first`).toBeGreaterThan(0.3);
    });
  }
});
