import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // Long runs have an npm script of their own (`npm run test:nightly`).
    exclude: ['**/*.nightly.test.ts', 'node_modules/**', 'dist/**'],
    pool: 'forks',
    // Two cores: more workers would only make the servers under test wait for one another.
    maxWorkers: 2,
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
});
