/** `cachelab run`: measures scenarios on their targets, prints the answer and writes the reports. */
import { dirname, join } from 'node:path';
import type { CommandModule } from 'yargs';
import { loadScenario } from '../../scenarios/load.ts';
import { addTarget } from '../../scenarios/schema.ts';
import type { ScenarioPlan } from '../../scenarios/spec.ts';
import type { ResultDocument } from '../result.ts';
import { defaultLoadDriver } from '../run/load-driver.ts';
import { createProgress } from '../run/progress.ts';
import { describeWriteError } from '../run/result-store.ts';
import { runPlans } from '../run/run-plans.ts';
import {
  EXIT_FAILED,
  EXIT_INCONCLUSIVE,
  EXIT_INTERRUPTED,
  EXIT_OK,
  EXIT_TERMINATED,
  UsageError,
} from './exit-codes.ts';
import { reports } from './rooms.ts';
import { cachelabVersion } from './version.ts';

interface RunArguments {
  scenarios: string[];
  set: string[];
  target: string[];
  only: string[];
  out: string;
  repetitions?: number;
  duration?: string;
  seed?: string;
  png: boolean;
  allowFlush: boolean;
  quiet: boolean;
  json: boolean;
  strict: boolean;
}

/** @param exit told the exit code, because a handler of yargs returns nothing */
export function runCommand(exit: (code: number) => void): CommandModule<object, RunArguments> {
  return {
    command: 'run <scenarios..>',
    describe: 'Measure scenarios (names of built-in ones, or files) and write reports',
    builder: (y) =>
      y
        .positional('scenarios', { type: 'string', array: true, demandOption: true, describe: 'names or YAML files' })
        .option('set', {
          type: 'string',
          array: true,
          nargs: 1,
          default: [],
          describe: 'field=value, e.g. dataset.keys=1000',
        })
        .option('target', {
          type: 'string',
          array: true,
          nargs: 1,
          default: [],
          describe: 'a further target: URL or name=URL',
        })
        .option('only', {
          type: 'string',
          array: true,
          nargs: 1,
          default: [],
          describe: 'measure only this target (by id)',
        })
        .option('out', {
          type: 'string',
          default: 'out',
          requiresArg: true,
          coerce: lastGiven,
          describe: 'folder that receives a folder for this run',
        })
        .option('repetitions', {
          type: 'number',
          requiresArg: true,
          coerce: lastGiven,
          describe: 'measure each cell so often',
        })
        .option('duration', {
          type: 'string',
          requiresArg: true,
          coerce: lastGiven,
          describe: 'length of the measured phase, e.g. 5s',
        })
        .option('seed', {
          type: 'string',
          requiresArg: true,
          coerce: lastGiven,
          describe: 'every random choice follows from it',
        })
        .option('png', { type: 'boolean', default: true, describe: 'write PNG charts (--no-png leaves them out)' })
        .option('allow-flush', {
          type: 'boolean',
          default: false,
          describe: 'delete ALL data of a remote target before each measurement',
        })
        .option('quiet', { alias: 'q', type: 'boolean', default: false, describe: 'no progress' })
        .option('json', { type: 'boolean', default: false, describe: 'print the result document instead of the table' })
        .option('strict', { type: 'boolean', default: false, describe: 'exit with 3 if a run is inconclusive' })
        .example('$0 run quickstart', 'a first answer within a minute')
        .example('$0 run hit-ratio --set memory.limitShare=20%', 'one value instead of the axis')
        .example('$0 run my.yaml --target db=redis://user:secret@host/1', 'beside a server of your own') as never,
    handler: async (args) => exit(await run(args)),
  };
}

/** An option given twice counts as it was given last, so that a script's default can be overruled. */
function lastGiven<T>(value: T | T[]): T {
  return Array.isArray(value) ? (value[value.length - 1] as T) : value;
}

/** Options that stand for a field of the scenario. */
function settingsOf(args: RunArguments): string[] {
  const settings = [...args.set];
  if (args.repetitions !== undefined) settings.push(`repetitions=${args.repetitions}`);
  if (args.duration !== undefined) settings.push(`duration=${args.duration}`);
  if (args.seed !== undefined) settings.push(`seed=${args.seed}`);
  return settings;
}

function targetIds(plan: ScenarioPlan): string[] {
  return plan.cells[0]?.scenario.targets.map((target) => target.id) ?? [];
}

/** Leaves only the targets that were asked for. */
function keepOnly(plan: ScenarioPlan, ids: readonly string[]): ScenarioPlan {
  const known = targetIds(plan);
  const missing = ids.find((id) => !known.includes(id));
  if (missing !== undefined) {
    throw new UsageError(`Cannot measure only "${missing}": the targets of ${plan.name} are ${known.join(', ')}`);
  }
  const cells = plan.cells.map((cell) => ({
    ...cell,
    scenario: { ...cell.scenario, targets: cell.scenario.targets.filter((target) => ids.includes(target.id)) },
  }));
  return { ...plan, cells };
}

function readPlans(args: RunArguments): ScenarioPlan[] {
  return args.scenarios.map((source) => {
    let plan = loadScenario(source, { set: settingsOf(args) });
    const own = targetIds(plan);
    for (const written of args.target) plan = addTarget(plan, written);
    if (args.only.length === 0) return plan;
    // What --target added was asked for by being named.
    const added = targetIds(plan).filter((id) => !own.includes(id));
    return keepOnly(plan, [...args.only, ...added]);
  });
}

async function run(args: RunArguments): Promise<number> {
  if (args.out === '') throw new UsageError('Cannot write to --out "": name a folder');
  const plans = readPlans(args);
  const interruption = new AbortController();
  let interruptedBy: NodeJS.Signals | null = null;
  const onSignal = (signal: NodeJS.Signals): void => {
    const code = signal === 'SIGINT' ? EXIT_INTERRUPTED : EXIT_TERMINATED;
    // The second time at once: the exit handler of the server keeper kills what still runs.
    if (interruptedBy !== null) process.exit(code);
    interruptedBy = signal;
    process.stderr.write('\nStopping; what was measured is kept. Once more to stop at once.\n');
    interruption.abort(new Error('interrupted'));
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, onSignal);
  const progress = createProgress(process.stderr, args.quiet);
  const outcome = await runPlans({
    plans,
    out: args.out,
    commandLine: ['cachelab', ...process.argv.slice(2)],
    cachelabVersion: cachelabVersion(),
    allowFlush: args.allowFlush,
    driver: await defaultLoadDriver(),
    progress,
    signal: interruption.signal,
  });
  const { document, folder } = outcome;
  const files = await writeAll(document, folder, args, outcome.writeError);
  if (interruptedBy !== null) return interruptedBy === 'SIGINT' ? EXIT_INTERRUPTED : EXIT_TERMINATED;
  if (files === null || document.run.status === 'partial') return EXIT_FAILED;
  return args.strict && hasInconclusive(document) ? EXIT_INCONCLUSIVE : EXIT_OK;
}

function hasInconclusive(document: ResultDocument): boolean {
  return document.scenarios.some((one) => one.cells.some((cell) => cell.runs.some((r) => r.status === 'inconclusive')));
}

/** Prints the answer and writes the reports. @returns the files, or null where one could not be written */
async function writeAll(
  document: ResultDocument,
  folder: string,
  args: RunArguments,
  writeError: string | null,
): Promise<string[] | null> {
  const draw = await reports();
  if (args.json) process.stdout.write(`${JSON.stringify(document)}\n`);
  else {
    const color = process.stdout.isTTY === true && process.env['NO_COLOR'] === undefined;
    const text = draw.renderTerminal(document, { color, width: process.stdout.columns ?? 120 });
    process.stdout.write(text.endsWith('\n') ? text : `${text}\n`);
  }
  if (document.run.partialReason !== null && writeError === null) {
    process.stderr.write(`cachelab: the result is partial: ${document.run.partialReason}\n`);
  }
  if (writeError !== null) {
    process.stderr.write(`cachelab: ${writeError}\n`);
    return null;
  }
  try {
    const files = draw.writeReports(document, folder, { png: args.png });
    if (!args.quiet) process.stderr.write(describeFiles(folder, files));
    return files;
  } catch (error) {
    process.stderr.write(`cachelab: ${describeWriteError(folder, error)}\n`);
    return null;
  }
}

/** One line a file that a reader opens; charts are many and lie in a folder. */
function describeFiles(folder: string, files: readonly string[]): string {
  const charts = files.filter((file) => file.endsWith('.png'));
  const lines = [join(folder, 'result.json'), ...files.filter((file) => !file.endsWith('.png'))];
  if (charts.length > 0) lines.push(`${dirname(charts[0] as string)}/ (${charts.length} charts)`);
  return `Written:\n${lines.map((line) => `  ${line}\n`).join('')}`;
}
