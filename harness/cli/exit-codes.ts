/** Exit codes of the command line, as documented in README.md and `cachelab --help`. */
export const EXIT_OK = 0;
/** Something failed on the way: a server, a disk, a wrong value. */
export const EXIT_FAILED = 1;
/** The command line or a scenario file is wrong; nothing was started. */
export const EXIT_USAGE = 2;
/** With --strict: measured, but at least one run is inconclusive. */
export const EXIT_INCONCLUSIVE = 3;
/** Interrupted by Ctrl-C (128 + SIGINT). */
export const EXIT_INTERRUPTED = 130;
/** Ended by SIGTERM (128 + SIGTERM). */
export const EXIT_TERMINATED = 143;

/** A mistake in the command line; the message says what to write instead. */
export class UsageError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'UsageError';
  }
}

/** Errors whose message is meant for the user as it is; anything else is a defect and is shown with its stack. */
const FOR_USERS: Record<string, number> = {
  UsageError: EXIT_USAGE,
  ScenarioError: EXIT_USAGE,
  TargetError: EXIT_FAILED,
  RunError: EXIT_FAILED,
  ResultError: EXIT_FAILED,
};

/** @returns the exit code for an error, and the text to print on standard error */
export function describeFailure(error: unknown): { code: number; text: string } {
  if (error instanceof Error) {
    const code = FOR_USERS[error.name];
    if (code !== undefined) return { code, text: `cachelab: ${error.message}` };
    return { code: EXIT_FAILED, text: `cachelab: unexpected error, please report it: ${error.stack ?? error.message}` };
  }
  return { code: EXIT_FAILED, text: `cachelab: ${String(error)}` };
}
