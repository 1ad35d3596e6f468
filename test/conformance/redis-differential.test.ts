/** The same random commands to our engine and to the original: no reply may differ. */
import { afterAll, beforeAll, it } from 'vitest';
import { CommandSource } from '../redis/support/random-commands.ts';
import { startOurs, startReal, type TestServer } from '../redis/support/servers.ts';
import { runDifferential } from '../support/differential.ts';
import { describeReal } from '../support/real.ts';
import { testScale } from '../support/seed.ts';

const COMMANDS_PER_SEED = 34_000 * testScale;

describeReal(['redis-server'], 'random commands of the string and generic groups', () => {
  let ours: TestServer;
  let real: TestServer;

  beforeAll(async () => {
    [ours, real] = await Promise.all([startOurs(), startReal()]);
  });
  afterAll(async () => {
    await Promise.all([ours?.stop(), real?.stop()]);
  });

  const first = Number(process.env['TEST_SEED'] ?? Date.now() % 1_000_007);
  for (let run = 0; run < 3; run++) {
    const seed = first + run;
    const protocol = run === 1 ? 3 : 2;
    it(`are answered alike (seed ${seed}, RESP${protocol})`, { timeout: 120_000 * testScale }, async () => {
      console.log(`random commands: TEST_SEED=${first} (this run: ${seed})`);
      await runDifferential({
        ours,
        real,
        seed,
        commands: COMMANDS_PER_SEED,
        protocol,
        source: (random) => new CommandSource(random),
      });
    });
  }
});
