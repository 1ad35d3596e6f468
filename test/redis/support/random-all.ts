/**
 * Random commands of all groups, transactions among them, over the same few keys and members, so that commands of every type meet values of every other. For some
 * hundred commands most are of one or two groups, or nearly every command would find the wrong type.
 */
import type { Random } from '../../../engines/ports.ts';
import { Draw } from './draw.ts';
import { randomBitmapCommand } from './random-bitmap.ts';
import { CommandSource, type RandomCommand } from './random-commands.ts';
import { randomGeoCommand } from './random-geo.ts';
import { randomHashCommand } from './random-hash.ts';
import { randomHyperLogLogCommand } from './random-hyperloglog.ts';
import { randomListCommand } from './random-list.ts';
import { randomSetCommand } from './random-set.ts';
import { randomSortCommand } from './random-sort.ts';
import { randomStreamCommand } from './random-stream.ts';
import { RandomTransactions } from './random-transactions.ts';
import { randomZsetCommand } from './random-zset.ts';

const GROUPS = [
  randomListCommand,
  randomSetCommand,
  randomHashCommand,
  randomZsetCommand,
  randomGeoCommand,
  randomStreamCommand,
  randomBitmapCommand,
  randomHyperLogLogCommand,
  randomSortCommand,
];
const PHASE_COMMANDS = 250;

/** Replies that depend on the order of a hash table, which is random on either server, or on how far its rehashing has got. */
function comparable(command: RandomCommand): RandomCommand {
  const [name, subcommand] = command.args;
  const word = name!.toLowerCase();
  if (word === 'dump' || (word === 'memory' && subcommand?.toLowerCase() === 'usage')) {
    return { args: command.args, compare: 'presence' };
  }
  // Members of equal weight come in the order of the set's table; what is stored of them would differ from then on.
  if (/^sort/.test(word) && command.args.some((arg) => arg.toLowerCase() === 'by')) {
    const options = command.args.map((arg) => arg.toLowerCase());
    if (options.includes('store')) return { args: ['EXISTS', command.args[1] ?? ''], compare: 'exact' };
    return { args: command.args, compare: options.includes('limit') ? 'length' : 'unordered' };
  }
  return command;
}

export class AllCommands {
  private readonly draw: Draw;
  private readonly strings: CommandSource;
  private readonly transactions: RandomTransactions;
  private left = 0;
  private kept: RandomCommand | null = null;
  private main = GROUPS[0]!;
  private second = GROUPS[0]!;

  constructor(random: Random) {
    this.draw = new Draw(random);
    this.strings = new CommandSource(random);
    this.transactions = new RandomTransactions(this.draw);
  }

  /**
   * The next command. Before a SORT comes one that parses a plain number: the original's SORT looks at an errno that an overflow in an
   * earlier command may have left, and then finds fault with good numbers.
   */
  next(): RandomCommand {
    const kept = this.kept;
    if (kept !== null) {
      this.kept = null;
      return kept;
    }
    // What a transaction queues must be drawn for that: EXEC shows all of its replies.
    if (this.transactions.inside) return this.transactions.next();
    const command = this.choose();
    if (!/^sort/i.test(command.args[0]!)) return command;
    this.kept = command;
    return this.draw.exact('GEORADIUS_RO', 'no such key', '0', '0', '1', 'm');
  }

  private choose(): RandomCommand {
    const d = this.draw;
    if (this.left-- <= 0) {
      this.left = PHASE_COMMANDS;
      this.main = d.pick(GROUPS);
      this.second = d.pick(GROUPS);
      if (d.chance(2)) return d.exact('FLUSHALL');
    }
    const dice = d.below(100);
    if (dice < 60) return comparable(this.main(d));
    if (dice < 75) return comparable(this.second(d));
    if (dice < 85) return comparable(d.pick(GROUPS)(d));
    if (dice < 87) return this.transactions.next();
    // A key that is gone can be of any type again.
    if (dice < 91) return d.exact(d.pick(['DEL', 'UNLINK']), ...d.keys(3));
    return comparable(this.strings.next());
  }
}
