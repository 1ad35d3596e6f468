/** The same random commands of the string and generic groups to our engine and to the original: no reply may differ. */
import { CommandSource } from '../redis/support/random-commands.ts';
import { describeDifferential } from '../support/describe-differential.ts';

describeDifferential(
  'random commands of the string and generic groups',
  34_000,
  (random) => new CommandSource(random),
  {
    runs: [2, 3, 2].map((protocol) => ({ protocol })),
  },
);
