/** The commands, as yargs sees them. */
import yargs, { type CommandModule } from 'yargs';
import { benchCommand } from './bench.ts';
import { EXIT_OK, UsageError } from './exit-codes.ts';
import { initCommand } from './init.ts';
import { listCommand } from './list.ts';
import { reportCommand } from './report.ts';
import { runCommand } from './run.ts';
import { schemaCommand } from './schema.ts';
import { SERVE_USAGE } from './serve.ts';
import { showCommand } from './show.ts';
import { cachelabVersion } from './version.ts';

/** Here only for `--help`: `main` hands the words behind `serve` to the server before yargs sees them. */
const serveCommand: CommandModule = {
  command: 'serve <engine>',
  describe: 'Start one of the embedded engines (redis, memcached) with the flags of the original',
  builder: (y) => y.usage(SERVE_USAGE).strict(false),
  handler: () => {},
};

const EPILOGUE = [
  'Exit codes: 0 done; 1 a server, a disk or a check failed; 2 wrong command line or scenario;',
  '3 with --strict: a run is inconclusive; 130 interrupted (what was measured is kept).',
].join('\n');

/** What stands behind the commands that need something. */
const WANTED: Record<string, string> = {
  run: 'name a scenario (see `cachelab list`) or a file',
  report: 'name a result.json, or the folder that holds one',
  show: 'name a scenario (see `cachelab list`) or a file',
  bench: 'say what: engines, persistence or micro',
};

/** @param args the words behind the program's name @returns the exit code */
export async function runProgram(args: readonly string[]): Promise<number> {
  let code: number = EXIT_OK;
  const parser = yargs([...args])
    .scriptName('cachelab')
    .usage('$0 <command>\n\nSettles "Redis or Memcached, and configured how?" for a workload of your own.')
    .command([
      runCommand((value) => {
        code = value;
      }),
      reportCommand,
      listCommand,
      showCommand,
      initCommand,
      schemaCommand,
      serveCommand,
      benchCommand,
    ] as CommandModule[])
    .example('$0 run quickstart', 'compare the embedded engines, and real servers if they are on PATH')
    .example('$0 run my.yaml --target redis://db:6379', 'replay a scenario against a server of your own')
    .example('$0 run quickstart --set duration=2s --no-png', 'change any field of a scenario')
    .example('$0 report out/RUN/result.json --format markdown', 'draw a report again')
    .example('$0 serve redis --port 6400', 'start an engine to point real clients at')
    .epilogue(EPILOGUE)
    .version(cachelabVersion())
    .alias({ h: 'help', v: 'version' })
    .demandCommand(1, 'Say what to do: run, report, serve, list, show, init, schema, bench')
    .strict()
    .recommendCommands()
    .wrap(Math.min(110, process.stdout.columns ?? 100))
    .exitProcess(false)
    .fail((message, error) => {
      // A handler's error comes with `error`; so does an option without its value, which is a mistake in the command line like others.
      if (error && error.name !== 'YError') throw error;
      if (message.startsWith('Not enough non-option arguments')) {
        throw new UsageError(`Cannot ${args[0]} nothing: ${WANTED[String(args[0])] ?? 'a word is missing'}`);
      }
      throw new UsageError(message.startsWith('Did you mean') ? `Unknown command "${args[0]}". ${message}` : message);
    });
  await parser.parseAsync();
  return code;
}
