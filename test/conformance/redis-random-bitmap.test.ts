/** Random bitmap commands to our engine and to the original: no reply may differ. */
import { Draw } from '../redis/support/draw.ts';
import { randomBitmapCommand } from '../redis/support/random-bitmap.ts';
import { describeDifferential } from '../support/describe-differential.ts';

describeDifferential('random bitmap commands', 15_000, (random) => {
  const draw = new Draw(random);
  return { next: () => (draw.chance(150) ? draw.exact('SADD', draw.key(), 'x') : randomBitmapCommand(draw)) };
});
