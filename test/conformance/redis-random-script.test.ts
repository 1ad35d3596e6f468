/** Random scripts to our engine and to the original: no reply may differ. */
import { Draw } from '../redis/support/draw.ts';
import { randomScriptCommand } from '../redis/support/random-script.ts';
import { describeDifferential } from '../support/describe-differential.ts';

describeDifferential('random scripts', 6_000, (random) => {
  const draw = new Draw(random);
  return { next: () => (draw.chance(150) ? draw.exact('SET', draw.key(), draw.value()) : randomScriptCommand(draw)) };
});
