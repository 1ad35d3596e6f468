/** `cachelab bench engines`: the engines' speed and memory against the real servers, as a table of ratios. */
import { appendFileSync } from 'node:fs';
import type { CommandModule } from 'yargs';
import { benchEngines, benchTable } from '../bench/bench-engines.ts';

interface BenchArguments {
  what: string;
  rounds: number;
  scale: number;
  only: string[];
  out: string | undefined;
}

export const benchCommand: CommandModule<object, BenchArguments> = {
  command: 'bench <what>',
  describe: 'Hold the engines against the real servers (server CPU per operation, memory)',
  builder: (yargs) =>
    yargs
      .positional('what', { choices: ['engines'] as const, type: 'string', demandOption: true })
      .option('rounds', { type: 'number', default: 5, describe: 'Interleaved rounds of each pair' })
      .option('scale', {
        type: 'number',
        default: 1,
        describe: 'Share of the full number of operations (0.1 for a quick look)',
      })
      .option('only', {
        type: 'string',
        array: true,
        default: [] as string[],
        choices: ['redis', 'memcached', 'driver', 'load', 'memory'],
        describe: 'Only these groups of rows',
      })
      .option('out', { type: 'string', describe: 'Append the table to this file' }),
  handler: async (args) => {
    const rows = await benchEngines({
      rounds: args.rounds,
      scale: args.scale,
      only: args.only,
      progress: (line) => process.stderr.write(`${line}\n`),
    });
    const short = rows.filter((row) => !row.met);
    const table = benchTable(rows);
    const verdict =
      short.length === 0
        ? `All ${rows.length} rows meet their targets.\n`
        : `${short.length} of ${rows.length} rows fall short: ${short.map((row) => row.work).join('; ')}.\n`;
    process.stdout.write(`${table}\n${verdict}`);
    if (args.out !== undefined) appendFileSync(args.out, `${table}\n${verdict}`);
  },
};
