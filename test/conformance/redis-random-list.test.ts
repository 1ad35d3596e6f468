/** Random list commands to our engine and to the original, with small and large nodes, compressed ones and plain ones: no reply may differ. */
import { Draw } from '../redis/support/draw.ts';
import { randomListCommand } from '../redis/support/random-list.ts';
import { describeDifferential } from '../support/describe-differential.ts';

/** Settings of nodes, and from which length on elements get a node of their own. */
const SETTINGS: readonly (readonly [fill: string, depth: string, packed: string])[] = [
  ['-2', '0', '0'],
  ['5', '1', '0'],
  ['-1', '2', '0'],
  ['3', '0', '100'],
  ['16', '1', '300'],
];

describeDifferential(
  'random list commands',
  6_000,
  (random) => {
    const draw = new Draw(random);
    return { next: () => (draw.chance(150) ? draw.exact('SET', draw.key(), draw.value()) : randomListCommand(draw)) };
  },
  {
    runs: SETTINGS.map(([fill, depth, packed], index) => ({
      protocol: 2 + (index % 2),
      title: ` with nodes of ${fill}, depth ${depth}, packed below ${packed}`,
      settings: [
        ['CONFIG', 'SET', 'list-max-listpack-size', fill, 'list-compress-depth', depth],
        ['DEBUG', 'QUICKLIST-PACKED-THRESHOLD', packed],
      ],
    })),
  },
);
