/** Random stream commands to our engine and to the original: no reply may differ. */
import { Draw } from '../redis/support/draw.ts';
import { randomStreamCommand } from '../redis/support/random-stream.ts';
import { describeDifferential } from '../support/describe-differential.ts';

describeDifferential(
  'random stream commands',
  12_000,
  (random) => {
    const draw = new Draw(random);
    return { next: () => (draw.chance(200) ? draw.exact('SET', draw.key(), draw.value()) : randomStreamCommand(draw)) };
  },
  // Small nodes, so that streams have several.
  { flags: ['--stream-node-max-entries', '12'] },
);
