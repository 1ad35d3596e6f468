/** `cachelab init`: writes a scenario to start from, every field explained. */
import { writeFileSync } from 'node:fs';
import { dirname, relative, resolve, sep } from 'node:path';
import type { CommandModule } from 'yargs';
import { schemaPath, templateText } from '../../scenarios/load.ts';
import { UsageError } from './exit-codes.ts';

interface InitArguments {
  file: string;
  force: boolean;
}

/** The line by which editors find the schema, relative to where the file lies. */
function schemaComment(file: string): string {
  const path = relative(dirname(resolve(file)), schemaPath())
    .split(sep)
    .join('/');
  return `# yaml-language-server: $schema=${path.startsWith('.') ? path : `./${path}`}\n`;
}

function write(file: string, force: boolean): void {
  try {
    writeFileSync(file, schemaComment(file) + templateText(), { flag: force ? 'w' : 'wx' });
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'EEXIST') throw new UsageError(`Cannot write ${file}: it is there already (--force replaces it)`);
    if (code === 'ENOENT') throw new UsageError(`Cannot write ${file}: its folder is not there`);
    throw new UsageError(`Cannot write ${file}: ${code ?? String(error)}`);
  }
}

export const initCommand: CommandModule<object, InitArguments> = {
  command: 'init [file]',
  describe: 'Write a commented scenario to start from',
  builder: (y) =>
    y
      .positional('file', { type: 'string', default: 'scenario.yaml', describe: 'file to write' })
      .option('force', { type: 'boolean', default: false, describe: 'replace a file that is there' }) as never,
  handler: (args) => {
    write(args.file, args.force);
    process.stdout.write(`Written: ${args.file}\nRun it:  cachelab run ${args.file}\n`);
  },
};
