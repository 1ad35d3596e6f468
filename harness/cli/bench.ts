/** `cachelab bench`: measurements of cachelab itself, for those who work on it. */
import type { CommandModule } from 'yargs';
import { entryUrl } from '../../engines/base/entry.ts';

interface BenchArguments {
  what: string;
}

export const benchCommand: CommandModule<object, BenchArguments> = {
  command: 'bench <what>',
  describe: 'Measure the embedded engines against the real servers',
  builder: (y) =>
    y
      .positional('what', { type: 'string', choices: ['engines'], demandOption: true, describe: 'what to measure' })
      .strict(false) as never,
  handler: async () => {
    const { benchEngines } = await import(entryUrl(import.meta.url, '../run/bench-engines.ts').href);
    const code: unknown = await benchEngines(process.argv.slice(4));
    if (typeof code === 'number') process.exitCode = code;
  },
};
