/** The frame of tests that send random commands to our engine and to the original. */
import { afterAll, beforeAll, it } from 'vitest';
import type { Random } from '../../engines/ports.ts';
import { startOurs, startReal, type TestServer } from '../redis/support/servers.ts';
import { type CommandGenerator, runDifferential } from './differential.ts';
import { describeReal } from './real.ts';
import { RespClient } from './resp-client.ts';
import { announceSeed, testScale, testSeed } from './seed.ts';

/** One test: a run of commands with a seed of its own. */
export interface Run {
  /** RESP version, 2 or 3. */
  readonly protocol: number;
  /** Ends the test's title. */
  readonly title?: string;
  /** Commands that both servers are given before. */
  readonly settings?: readonly (readonly string[])[];
}

export interface DifferentialOptions {
  /** For the command lines of both servers. */
  readonly flags?: readonly string[];
  /** Left out: one run with each protocol. */
  readonly runs?: readonly Run[];
}

/**
 * Describes tests in which both servers must answer the commands of `source` alike.
 * @param title what the commands are
 * @param commandsPerRun multiplied by the scale of the tests
 */
export function describeDifferential(
  title: string,
  commandsPerRun: number,
  source: (random: Random) => CommandGenerator,
  { flags = [], runs = [{ protocol: 2 }, { protocol: 3 }] }: DifferentialOptions = {},
): void {
  const commands = commandsPerRun * testScale;
  describeReal(['redis-server'], title, () => {
    let ours: TestServer;
    let real: TestServer;

    beforeAll(async () => {
      [ours, real] = await Promise.all([startOurs(flags), startReal(flags)]);
    });
    afterAll(async () => {
      await Promise.all([ours?.stop(), real?.stop()]);
    });

    runs.forEach(({ protocol, title: more = '', settings = [] }, index) => {
      const seed = testSeed + index;
      const name = `are answered alike${more} (seed ${seed}, RESP${protocol})`;
      it(name, { timeout: 120_000 * testScale }, async () => {
        announceSeed(`${title} ${name}`);
        for (const { path } of [ours, real]) {
          const client = await RespClient.connect({ path });
          for (const one of settings) await client.command(...one);
          await client.close();
        }
        await runDifferential({ ours, real, seed, commands, protocol, source });
      });
    });
  });
}
