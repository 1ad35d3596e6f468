/** Random list commands to our engine and to the original, with small and large nodes, compressed ones and plain ones: no reply may differ. */
import { afterAll, beforeAll, it } from 'vitest';
import type { Random } from '../../engines/ports.ts';
import { Draw } from '../redis/support/draw.ts';
import { randomListCommand } from '../redis/support/random-list.ts';
import { startOurs, startReal, type TestServer } from '../redis/support/servers.ts';
import { runDifferential } from '../support/differential.ts';
import { describeReal } from '../support/real.ts';
import { RespClient } from '../support/resp-client.ts';
import { testScale } from '../support/seed.ts';

const COMMANDS_PER_SEED = 6_000 * testScale;

/** Settings of nodes, and from which length on elements get a node of their own. */
const SETTINGS: readonly (readonly [fill: string, depth: string, packed: string])[] = [
  ['-2', '0', '0'],
  ['5', '1', '0'],
  ['-1', '2', '0'],
  ['3', '0', '100'],
  ['16', '1', '300'],
];

function source(random: Random) {
  const draw = new Draw(random);
  return { next: () => (draw.chance(150) ? draw.exact('SET', draw.key(), draw.value()) : randomListCommand(draw)) };
}

describeReal(['redis-server'], 'random list commands', () => {
  let ours: TestServer;
  let real: TestServer;

  beforeAll(async () => {
    [ours, real] = await Promise.all([startOurs(), startReal()]);
  });
  afterAll(async () => {
    await Promise.all([ours?.stop(), real?.stop()]);
  });

  const first = Number(process.env['TEST_SEED'] ?? Date.now() % 1_000_007);
  SETTINGS.forEach(([fill, depth, packed], index) => {
    const seed = first + index;
    const protocol = 2 + (index % 2);
    const title = `are answered alike with nodes of ${fill}, depth ${depth}, packed below ${packed} (seed ${seed}, RESP${protocol})`;
    it(title, { timeout: 120_000 * testScale }, async () => {
      console.log(`random list commands: TEST_SEED=${first} (this run: ${seed})`);
      for (const server of [ours, real]) {
        const client = await RespClient.connect({ path: server.path });
        await client.command('CONFIG', 'SET', 'list-max-listpack-size', fill, 'list-compress-depth', depth);
        await client.command('DEBUG', 'QUICKLIST-PACKED-THRESHOLD', packed);
        await client.close();
      }
      await runDifferential({ ours, real, seed, commands: COMMANDS_PER_SEED, protocol, source });
    });
  });
});
