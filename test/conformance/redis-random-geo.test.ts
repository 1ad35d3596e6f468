/** Random geo commands to our engine and to the original: no reply may differ. */
import { Draw } from '../redis/support/draw.ts';
import { randomGeoCommand } from '../redis/support/random-geo.ts';
import { describeDifferential } from '../support/describe-differential.ts';

describeDifferential('random geo commands', 12_000, (random) => {
  const draw = new Draw(random);
  return { next: () => (draw.chance(150) ? draw.exact('SET', draw.key(), draw.value()) : randomGeoCommand(draw)) };
});
