/** Random transactions: WATCH, MULTI, commands of several types, EXEC or DISCARD, and now and then one of them out of its place. */
import type { Draw } from './draw.ts';
import type { RandomCommand } from './random-commands.ts';
import { randomHashCommand } from './random-hash.ts';
import { randomListCommand } from './random-list.ts';
import { randomSetCommand } from './random-set.ts';
import { randomZsetCommand } from './random-zset.ts';

const MAX_COMMANDS = 12;
/** Tries to draw a command whose reply is the same on both sides. */
const TRIES = 20;

/** Makes one connection's transactions. While `inside`, its next command must come from here too: EXEC shows all their replies. */
export class RandomTransactions {
  private readonly draw: Draw;
  private left = 0;

  constructor(draw: Draw) {
    this.draw = draw;
  }

  get inside(): boolean {
    return this.left > 0;
  }

  next(): RandomCommand {
    return this.left > 0 ? this.nextInside() : this.nextOutside();
  }

  private nextOutside(): RandomCommand {
    const d = this.draw;
    if (d.chance(4)) return d.exact('WATCH', ...d.keys(4));
    if (d.chance(15)) return d.exact(d.pick(['UNWATCH', 'EXEC', 'DISCARD']));
    if (d.chance(3)) return d.exact('SET', d.key(), d.value());
    this.left = 1 + d.below(MAX_COMMANDS);
    return d.exact(d.word('MULTI'));
  }

  private nextInside(): RandomCommand {
    const d = this.draw;
    if (--this.left === 0) return d.exact(d.chance(8) ? 'DISCARD' : d.word('EXEC'));
    if (d.chance(60)) return d.exact(...d.pick([['NOSUCH', 'x'], ['GET'], ['MULTI'], ['WATCH', 'k'], ['EXEC', 'x']]));
    for (let i = 0; i < TRIES; i++) {
      const command = this.anyCommand();
      // The order of members in a payload is by chance, and so is the memory of a set or sorted set.
      if (command.compare === 'exact' && !/^(dump|memory)$/i.test(command.args[0]!)) return command;
    }
    return d.exact('GET', d.key());
  }

  private anyCommand(): RandomCommand {
    const d = this.draw;
    return d.pick([
      () => d.exact('SET', d.key(), d.value()),
      () => d.exact('GET', d.key()),
      () => d.exact('INCRBY', d.key(), d.integer()),
      () => d.exact('APPEND', d.key(), d.text(d.below(20))),
      () => d.exact('DEL', ...d.keys(3)),
      () => d.exact('TYPE', d.key()),
      () => d.exact('UNWATCH'),
      () => d.exact('RENAME', d.key(), d.key()),
      () => randomListCommand(d),
      () => randomSetCommand(d),
      () => randomHashCommand(d),
      () => randomZsetCommand(d),
    ])();
  }
}
