/** Random hash commands to our engine and to the original: no reply may differ. */
import { Draw } from '../redis/support/draw.ts';
import { randomHashCommand } from '../redis/support/random-hash.ts';
import { describeDifferential } from '../support/describe-differential.ts';

describeDifferential('random hash commands', 12_000, (random) => {
  const draw = new Draw(random);
  return { next: () => (draw.chance(150) ? draw.exact('SET', draw.key(), draw.value()) : randomHashCommand(draw)) };
});
