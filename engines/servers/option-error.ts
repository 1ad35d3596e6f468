/** sysexits.h, as the original uses them. */
export const EX_FAILURE = 1;
export const EX_USAGE = 64;
export const EX_NOUSER = 67;
export const EX_OSERR = 71;

/** A command line that the original refuses: what it prints and the code that it leaves with. */
export class OptionError extends Error {
  readonly exitCode: number;
  constructor(message: string, exitCode: number) {
    super(message);
    this.name = 'OptionError';
    this.exitCode = exitCode;
  }
}
