/** Random SORT commands to our engine and to the original: no reply may differ. */
import { Draw } from '../redis/support/draw.ts';
import { randomSortCommand } from '../redis/support/random-sort.ts';
import { describeDifferential } from '../support/describe-differential.ts';

describeDifferential('random SORT commands', 12_000, (random) => {
  const draw = new Draw(random);
  return { next: () => randomSortCommand(draw) };
});
