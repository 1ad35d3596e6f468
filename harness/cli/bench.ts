/**
 * `cachelab bench engines`: the engines' speed and memory against the real servers, as a table of ratios.
 * `cachelab bench persistence`: the same for append-only files, snapshots and loading.
 * `cachelab bench micro`: what hashes, allocator, tables, parsers and recorders cost, in ns.
 */
import { appendFileSync } from 'node:fs';
import type { CommandModule } from 'yargs';
import { benchEngines, benchTable } from '../bench/bench-engines.ts';
import { benchPersistence, PERSISTENCE_GROUPS } from '../bench/bench-persistence.ts';
import { UsageError } from './exit-codes.ts';

/** Groups of rows by what is measured. */
const GROUPS: Record<string, readonly string[]> = {
  engines: ['redis', 'types', 'memcached', 'driver', 'load', 'memory'],
  persistence: PERSISTENCE_GROUPS,
};

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
      .positional('what', { choices: ['engines', 'persistence', 'micro'] as const, type: 'string', demandOption: true })
      .option('rounds', {
        type: 'number',
        default: 5,
        describe: 'engines, persistence: interleaved rounds of each pair',
      })
      .option('scale', {
        type: 'number',
        default: 1,
        describe: 'engines, persistence: share of the full number of operations (0.1 for a quick look)',
      })
      .option('only', {
        type: 'string',
        array: true,
        default: [] as string[],
        choices: [...new Set(Object.values(GROUPS).flat())],
        describe: `Only these groups of rows; ${Object.entries(GROUPS)
          .map(([what, groups]) => `${what}: ${groups.join(', ')}`)
          .join('; ')}`,
      })
      .option('time', { type: 'number', default: 300, describe: 'micro: milliseconds for each structure' })
      .option('out', { type: 'string', describe: 'Append the table to this file' }),
  handler: async (args) => {
    if (!(Number.isInteger(args.rounds) && args.rounds >= 1)) {
      throw new UsageError('Cannot measure: --rounds must be a whole number from 1');
    }
    if (!(args.scale > 0 && args.scale <= 100)) {
      throw new UsageError('Cannot measure: --scale must be above 0, and at most 100');
    }
    if (!(args.time >= 1)) throw new UsageError('Cannot measure: --time must be at least 1 ms');
    if (args.what === 'micro') {
      await micro(args);
      return;
    }
    const foreign = args.only.find((group) => !GROUPS[args.what]?.includes(group));
    if (foreign !== undefined) {
      throw new UsageError(`Cannot measure "${foreign}": bench ${args.what} has ${GROUPS[args.what]?.join(', ')}`);
    }
    const rows = await (args.what === 'engines' ? benchEngines : benchPersistence)({
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
