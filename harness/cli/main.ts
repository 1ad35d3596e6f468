#!/usr/bin/env node
/**
 * The command line's entry. `serve` goes its own way before anything else is loaded: a server under test carries no library
 * that it does not use. All other commands are told by yargs (program.ts).
 */
import { describeFailure, EXIT_OK, EXIT_USAGE } from './exit-codes.ts';
import { serve } from './serve.ts';

/** Waits until standard output has taken everything: a pipe may be slower than we are. */
function drain(stream: NodeJS.WriteStream): Promise<void> {
  return new Promise((resolve) => {
    if (stream.writableLength === 0 || stream.destroyed) resolve();
    else stream.write('', () => resolve());
  });
}

// `cachelab list | head` closes the pipe early; that is no error of ours.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(EXIT_OK);
  throw error;
});

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
await Promise.all([drain(process.stdout), drain(process.stderr)]);
// Handles that a library forgot must not keep the program alive.
process.exit(exitCode);
