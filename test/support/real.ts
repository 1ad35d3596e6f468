/**
 * Access to the programs that tests are held against: the real servers, their tools, a browser. A machine without one
 * skips those tests and says so; in CI a missing one is a failure, because a skipped oracle proves nothing.
 */
import { describe } from 'vitest';
import { findProgram } from '../../harness/target/find-program.ts';

export type RealProgram =
  | 'redis-server'
  | 'redis-cli'
  | 'redis-benchmark'
  | 'redis-check-rdb'
  | 'redis-check-aof'
  | 'memcached'
  | 'memcslap'
  | 'memcstat'
  | 'memccapable'
  | 'chromium'
  | 'openssl';

/** True where a missing program must fail the tests instead of skipping them. */
export const realRequired = process.env['CI'] === 'true' || process.env['CACHELAB_REQUIRE_REAL'] === '1';

/**
 * @returns the program's path, or null where it is missing and may be
 * @throws Error where it is missing and CI=true or CACHELAB_REQUIRE_REAL=1
 */
export function requireReal(name: RealProgram): string | null {
  const path = findProgram(name);
  if (path === null && realRequired) {
    throw new Error(`${name} is not on PATH, and CI=true or CACHELAB_REQUIRE_REAL=1 makes it mandatory: install it`);
  }
  return path;
}

/** A `describe` that runs only where all programs are there; otherwise its title says what is missing. */
export function describeReal(programs: readonly RealProgram[], title: string, body: () => void): void {
  const missing = programs.filter((name) => requireReal(name) === null);
  if (missing.length === 0) describe(title, body);
  else describe.skip(`${title} (skipped: ${missing.join(', ')} not on PATH)`, body);
}
