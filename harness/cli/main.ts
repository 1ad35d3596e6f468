#!/usr/bin/env node
/**
 * The command line's entry. `serve` goes its own way before anything else is loaded: a server under test carries no library
 * that it does not use. All other commands are told by yargs (program.ts).
 */
import { describeFailure, EXIT_OK, EXIT_USAGE } from './exit-codes.ts';
import { forgiveClosedPipes, leave } from './leave.ts';
import { serve } from './serve.ts';

forgiveClosedPipes();

let exitCode: number;
try {
  const args = process.argv.slice(2);
  exitCode = args[0] === 'serve' ? await serve(args.slice(1)) : await (await import('./program.ts')).runProgram(args);
  if (exitCode === EXIT_OK && typeof process.exitCode === 'number') exitCode = process.exitCode;
} catch (error) {
  const failure = describeFailure(error);
  exitCode = failure.code;
  process.stderr.write(`${failure.text}\n`);
  if (exitCode === EXIT_USAGE) process.stderr.write('Try `cachelab --help` or `cachelab <command> --help`.\n');
}
await leave(exitCode);
