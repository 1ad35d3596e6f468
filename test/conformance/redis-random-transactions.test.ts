/** Random transactions on our engine and on the original: no reply may differ. */
import { Draw } from '../redis/support/draw.ts';
import { RandomTransactions } from '../redis/support/random-transactions.ts';
import { describeDifferential } from '../support/describe-differential.ts';

describeDifferential('random transactions', 10_000, (random) => new RandomTransactions(new Draw(random)));
