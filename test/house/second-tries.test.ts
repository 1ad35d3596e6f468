import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { expect, it, vi } from 'vitest';
import type { TestCase } from 'vitest/node';
import SecondTries from '../support/second-tries.ts';

const tested = (fullName: string, flaky: boolean): TestCase =>
  ({ fullName, module: { relativeModuleId: 'test/a.test.ts' }, diagnostic: () => ({ flaky }) }) as unknown as TestCase;

it('names what passed only at the second try', () => {
  const log = vi.spyOn(console, 'log').mockImplementation(() => {});
  const reporter = new SecondTries();
  reporter.onTestCaseResult(tested('is late', true));
  reporter.onTestCaseResult(tested('is right', false));
  reporter.onTestRunEnd();
  const lines = log.mock.calls.flat();
  log.mockRestore();
  expect(lines).toEqual(['Passed only at the second try: 1', '  test/a.test.ts > is late']);
});

it('lets a few files run again that watch the original, and no others', () => {
  const folder = mkdtempSync(join(tmpdir(), 'cachelab-again-'));
  const again = (...failed: string[]) => {
    const result = join(folder, 'result.json');
    const file = (status: string) => (name: string) => ({ status, name: resolve(name) });
    const testResults = [...failed.map(file('failed')), ...['test/e2e/cli.test.ts'].map(file('passed'))];
    writeFileSync(result, JSON.stringify({ testResults }));
    return execFileSync('node', ['.ci/failed-files.mjs', result], { encoding: 'utf8' }).split('\n').filter(Boolean);
  };
  const [admin, stats, tools] = ['redis-admin', 'memcached-stats', 'memcached-tools'].map(
    (name) => `test/conformance/${name}.test.ts`,
  ) as [string, string, string];
  try {
    expect(again()).toEqual([]);
    expect(again(admin, stats)).toEqual([admin, stats]);
    expect(again(admin, stats, tools)).toEqual([]);
    expect(again(admin, 'test/memcached/thread-stress.test.ts')).toEqual([]);
    expect(again('test/conformance/redis-random-all.test.ts')).toEqual([]);
    expect(again('test/fuzz/kill-redis.test.ts')).toEqual([]);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
