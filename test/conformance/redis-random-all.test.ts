/** Random commands of all types over the same keys to our engine and to the original: no reply may differ. */
import { AllCommands } from '../redis/support/random-all.ts';
import { describeDifferential } from '../support/describe-differential.ts';

// With the tests of single types more than 200,000 in `npm test`, more than 2,000,000 in the nightly run.
describeDifferential('random commands of all types', 20_000, (random) => new AllCommands(random), {
  runs: [2, 3, 2, 3].map((protocol) => ({ protocol })),
});
