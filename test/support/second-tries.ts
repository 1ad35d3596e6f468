/** A reporter beside the others: names the tests that failed first and passed when they were tried again. */
import type { Reporter, TestCase } from 'vitest/node';

export default class SecondTries implements Reporter {
  readonly #names: string[] = [];

  onTestCaseResult(test: TestCase): void {
    if (test.diagnostic()?.flaky) this.#names.push(`${test.module.relativeModuleId} > ${test.fullName}`);
  }

  onTestRunEnd(): void {
    console.log(`Passed only at the second try: ${this.#names.length}`);
    for (const name of this.#names) console.log(`  ${name}`);
  }
}
