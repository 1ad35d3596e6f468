/** Random scripts to our engine and to the original: no reply may differ. */
import { afterAll, beforeAll, it } from 'vitest';
import type { Random } from '../../engines/ports.ts';
import { Draw } from '../redis/support/draw.ts';
import { randomScriptCommand } from '../redis/support/random-script.ts';
import { startOurs, startReal, type TestServer } from '../redis/support/servers.ts';
import { runDifferential } from '../support/differential.ts';
import { describeReal } from '../support/real.ts';
import { testScale } from '../support/seed.ts';

const COMMANDS_PER_SEED = 6_000 * testScale;

function source(random: Random) {
  const draw = new Draw(random);
  return { next: () => (draw.chance(150) ? draw.exact('SET', draw.key(), draw.value()) : randomScriptCommand(draw)) };
}

describeReal(['redis-server'], 'random scripts', () => {
  let ours: TestServer;
  let real: TestServer;

  beforeAll(async () => {
    [ours, real] = await Promise.all([startOurs(), startReal()]);
  });
  afterAll(async () => {
    await Promise.all([ours?.stop(), real?.stop()]);
  });

  const first = Number(process.env['TEST_SEED'] ?? Date.now() % 1_000_007);
  for (const protocol of [2, 3]) {
    const seed = first + protocol;
    it(`are answered alike (seed ${seed}, RESP${protocol})`, { timeout: 120_000 * testScale }, async () => {
      console.log(`random scripts: TEST_SEED=${first} (this run: ${seed})`);
      await runDifferential({ ours, real, seed, commands: COMMANDS_PER_SEED, protocol, source });
    });
  }
});
