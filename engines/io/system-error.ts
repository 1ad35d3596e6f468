/** Failures of system calls as errors that carry the code by which callers tell them apart. */
import { constants } from 'node:os';
import { getSystemErrorName } from 'node:util';

/** A system call failed. `code` is the symbolic name ("EADDRINUSE"), `errno` the positive number of the system. */
export class SystemError extends Error {
  readonly code: string;
  readonly errno: number;
  readonly syscall: string;

  /**
   * @param syscall the call that failed, e.g. "bind"
   * @param errno positive error number
   * @param what what was being done, e.g. "Cannot listen on 127.0.0.1:6379"
   */
  constructor(syscall: string, errno: number, what: string) {
    const code = errnoName(errno);
    super(`${what}: ${syscall} failed with ${code}`);
    this.name = 'SystemError';
    this.code = code;
    this.errno = errno;
    this.syscall = syscall;
  }
}

/** @returns the symbolic name of a positive error number, "E<number>" when the system has none */
export function errnoName(errno: number): string {
  try {
    return getSystemErrorName(-errno);
  } catch {
    return `E${errno}`;
  }
}

/** @returns the positive error number of a symbolic name (0 when unknown) */
export function errnoOf(code: string | undefined): number {
  return (constants.errno as Record<string, number>)[code ?? ''] ?? 0;
}

/** Turns an error of Node's own modules (which carry code, errno and syscall) into a SystemError. */
export function fromNodeError(error: NodeJS.ErrnoException, what: string): SystemError {
  return new SystemError(error.syscall ?? 'call', Math.abs(error.errno ?? 0) || errnoOf(error.code), what);
}
