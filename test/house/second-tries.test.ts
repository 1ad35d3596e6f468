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
