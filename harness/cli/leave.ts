/** How every command of this package ends. */
import { EXIT_OK } from './exit-codes.ts';

/** `cachelab list | head` closes the pipe early; that is no error of ours. */
export function forgiveClosedPipes(): void {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(EXIT_OK);
    throw error;
  });
}

/** Waits until standard output has taken everything: a pipe may be slower than we are. */
function drain(stream: NodeJS.WriteStream): Promise<void> {
  return new Promise((resolve) => {
    if (stream.writableLength === 0 || stream.destroyed) resolve();
    else stream.write('', () => resolve());
  });
}

/** Leaves once all output has left. Handles that a library forgot must not keep the program alive. */
export async function leave(exitCode: number): Promise<never> {
  await Promise.all([drain(process.stdout), drain(process.stderr)]);
  process.exit(exitCode);
}
