/** Random HyperLogLog commands to our engine and to the original: no reply may differ. */
import { Draw } from '../redis/support/draw.ts';
import { randomHyperLogLogCommand } from '../redis/support/random-hyperloglog.ts';
import { describeDifferential } from '../support/describe-differential.ts';

describeDifferential('random HyperLogLog commands', 5_000, (random) => {
  const draw = new Draw(random);
  return { next: () => (draw.chance(150) ? draw.exact('SADD', draw.key(), 'x') : randomHyperLogLogCommand(draw)) };
});
