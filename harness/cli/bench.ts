/**
 * `cachelab bench engines`: the engines' speed and memory against the real servers, as a table of ratios.
 * `cachelab bench micro`: what hashes, allocator, tables, parsers and recorders cost, in ns.
 */
import { appendFileSync } from 'node:fs';
import type { CommandModule } from 'yargs';
import { benchEngines, benchTable } from '../bench/bench-engines.ts';

interface BenchArguments {
  what: string;
  rounds: number;
  scale: number;
  only: string[];
  time: number;
  out: string | undefined;
}

async function micro({ time, out }: BenchArguments): Promise<void> {
  // Loaded only here: tinybench is there in a checkout only.
  const { benchMicro, microTable } = await import('../bench/micro.ts');
  const table = microTable(await benchMicro({ timeMs: time }));
  process.stdout.write(table);
  if (out !== undefined) appendFileSync(out, table);
}

export const benchCommand: CommandModule<object, BenchArguments> = {
  command: 'bench <what>',
  describe: 'Measure cachelab itself: its engines against the real servers, or its hot structures one by one',
  builder: (yargs) =>
    yargs
      .positional('what', { choices: ['engines', 'micro'] as const, type: 'string', demandOption: true })
      .option('rounds', { type: 'number', default: 5, describe: 'engines: interleaved rounds of each pair' })
      .option('scale', {
        type: 'number',
        default: 1,
        describe: 'engines: share of the full number of operations (0.1 for a quick look)',
      })
      .option('only', {
        type: 'string',
        array: true,
        default: [] as string[],
        choices: ['redis', 'types', 'memcached', 'driver', 'load', 'memory'],
        describe: 'engines: only these groups of rows',
      })
      .option('time', { type: 'number', default: 300, describe: 'micro: milliseconds for each structure' })
      .option('out', { type: 'string', describe: 'Append the table to this file' }),
  handler: async (args) => {
    if (args.what === 'micro') {
      await micro(args);
      return;
    }
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
