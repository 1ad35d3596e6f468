/** Random commands of all types over the same keys to our engine and to the original: no reply may differ. */
import { afterAll, beforeAll, it } from 'vitest';
import type { Random } from '../../engines/ports.ts';
import { AllCommands } from '../redis/support/random-all.ts';
import { startOurs, startReal, type TestServer } from '../redis/support/servers.ts';
import { runDifferential } from '../support/differential.ts';
import { describeReal } from '../support/real.ts';
import { testScale } from '../support/seed.ts';

/** With the tests of single types more than 200,000 in `npm test`, more than 2,000,000 in the nightly run. */
const COMMANDS_PER_SEED = 20_000 * testScale;

describeReal(['redis-server'], 'random commands of all types', () => {
  let ours: TestServer;
  let real: TestServer;

  beforeAll(async () => {
    [ours, real] = await Promise.all([startOurs(), startReal()]);
  });
  afterAll(async () => {
    await Promise.all([ours?.stop(), real?.stop()]);
  });

  const first = Number(process.env['TEST_SEED'] ?? Date.now() % 1_000_007);
  for (let run = 0; run < 4; run++) {
    const seed = first + run;
    const protocol = run % 2 === 0 ? 2 : 3;
    it(`are answered alike (seed ${seed}, RESP${protocol})`, { timeout: 120_000 * testScale }, async () => {
      console.log(`random commands of all types: TEST_SEED=${first} (this run: ${seed})`);
      const source = (random: Random) => new AllCommands(random);
      await runDifferential({ ours, real, seed, commands: COMMANDS_PER_SEED, protocol, source });
    });
  }
});
