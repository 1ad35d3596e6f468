/** The one place where the facts of commands meet their procedures. */
import { type CommandTable, joinCommands } from './command.ts';
import { commandFacts } from './command-table/index.ts';
import { clientProcs } from './commands/client.ts';
import { commandProcs } from './commands/command-info.ts';
import { configProcs } from './commands/config.ts';
import { connectionProcs } from './commands/connection.ts';
import { debugProcs } from './commands/debug.ts';
import { genericProcs } from './commands/generic.ts';
import { infoProcs } from './commands/info.ts';
import { memoryProcs } from './commands/memory.ts';
import { objectProcs } from './commands/object.ts';
import { pubsubProcs } from './commands/pubsub.ts';
import { serverProcs } from './commands/server.ts';
import { stringProcs } from './commands/string.ts';

/**
 * @param renames what `rename-command` asks for
 * @returns every command that this engine has, with counters at zero: a table belongs to one core
 */
export function createCommandTable(renames?: ReadonlyMap<string, string>): CommandTable {
  const procs = {
    ...stringProcs,
    ...genericProcs,
    ...connectionProcs,
    ...clientProcs,
    ...pubsubProcs,
    ...configProcs,
    ...serverProcs,
    ...memoryProcs,
    ...objectProcs,
    ...infoProcs,
    ...commandProcs,
    ...debugProcs,
  };
  return joinCommands(commandFacts, procs, renames);
}
