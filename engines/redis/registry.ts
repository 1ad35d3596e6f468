/** The one place where the facts of commands meet their procedures. */
import { type CommandTable, joinCommands } from './command.ts';
import { commandFacts } from './command-table/index.ts';
import { clientProcs } from './commands/client.ts';
import { connectionProcs } from './commands/connection.ts';
import { pubsubProcs } from './commands/pubsub.ts';

/** @returns every command that this engine has, with counters at zero: a table belongs to one core */
export function createCommandTable(): CommandTable {
  return joinCommands(commandFacts, {
    ...connectionProcs,
    ...clientProcs,
    ...pubsubProcs,
  });
}
