/** Assertions about the program itself. Mistakes of clients and users are never asserted: they get an error reply or a message. */

/**
 * @param message what should hold and what was found
 * @throws Error when the condition does not hold
 */
export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new Error(`Assertion failed: ${message}`);
}

/** For the branch that a complete switch never takes; the compiler checks that nothing is left. */
export function unreachable(value: never): never {
  throw new Error(`Assertion failed: ${String(value)} was not expected here`);
}
