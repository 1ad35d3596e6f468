/** `cachelab show NAME`: prints a scenario's file. */
import type { CommandModule } from 'yargs';
import { findScenario } from '../../scenarios/load.ts';

export const showCommand: CommandModule<object, { scenario: string }> = {
  command: 'show <scenario>',
  describe: 'Print the file of a scenario',
  builder: (y) =>
    y
      .positional('scenario', { type: 'string', demandOption: true, describe: 'a built-in name or a file' })
      .example('$0 show quickstart > mine.yaml', 'start from a built-in scenario') as never,
  handler: (args) => {
    const { text } = findScenario(args.scenario);
    process.stdout.write(text.endsWith('\n') ? text : `${text}\n`);
  },
};
