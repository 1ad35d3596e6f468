/**
 * `node .ci/failed-files.mjs RESULT.json` prints the test files that failed, one a line, if all of them may be run once more: at most two files,
 * all of them among those that watch processes of the original beside ours. What its children and background threads do beside other tests on
 * two cores is not in our hands. Prints nothing where a second run could hide a fault of ours: tests in process, of threads, of killed servers,
 * and random commands (whose seeds are fixed here).
 */
import { readFileSync } from 'node:fs';
import { relative } from 'node:path';

const MAY_RUN_AGAIN = /^test\/(conformance|apps|e2e)\/(?!.*(random|differential))/;
const MOST_FILES = 2;

const { testResults } = JSON.parse(readFileSync(process.argv[2], 'utf8'));
const failed = testResults.filter((file) => file.status === 'failed').map((file) => relative('.', file.name));
if (failed.length <= MOST_FILES && failed.every((file) => MAY_RUN_AGAIN.test(file))) {
  for (const file of failed) console.log(file);
}
