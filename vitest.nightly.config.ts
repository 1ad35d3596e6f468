import { defineConfig } from 'vitest/config';

/** Long runs: fuzzing for minutes, differential replays of millions of commands. */
export default defineConfig({
  test: {
    include: ['test/**/*.nightly.test.ts'],
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 3_600_000,
    hookTimeout: 60_000,
    passWithNoTests: true,
  },
});
