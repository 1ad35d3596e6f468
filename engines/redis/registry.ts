/** The one place where the facts of commands meet their procedures. */
import { type CommandTable, joinCommands } from './command.ts';
import { commandFacts } from './command-table/index.ts';
import { aclProcs } from './commands/acl.ts';
import { bitmapProcs } from './commands/bitmap.ts';
import { clientProcs } from './commands/client.ts';
import { commandProcs } from './commands/command-info.ts';
import { configProcs } from './commands/config.ts';
import { connectionProcs } from './commands/connection.ts';
import { debugProcs } from './commands/debug.ts';
import { genericProcs } from './commands/generic.ts';
import { geoProcs } from './commands/geo.ts';
import { hashProcs } from './commands/hash.ts';
import { hyperLogLogProcs } from './commands/hyperloglog.ts';
import { infoProcs } from './commands/info.ts';
import { latencyProcs } from './commands/latency.ts';
import { listProcs } from './commands/list.ts';
import { memoryProcs } from './commands/memory.ts';
import { monitorProcs } from './commands/monitor.ts';
import { notHereProcs } from './commands/not-here.ts';
import { objectProcs } from './commands/object.ts';
import { persistenceProcs } from './commands/persistence.ts';
import { pubsubProcs } from './commands/pubsub.ts';
import { scriptingProcs } from './commands/scripting.ts';
import { serverProcs } from './commands/server.ts';
import { setProcs } from './commands/set.ts';
import { sortedSetProcs } from './commands/sorted-set.ts';
import { streamProcs } from './commands/stream.ts';
import { stringProcs } from './commands/string.ts';
import { trackingProcs } from './commands/tracking.ts';
import { transactionProcs } from './commands/transactions.ts';

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
    ...persistenceProcs,
    ...configProcs,
    ...serverProcs,
    ...memoryProcs,
    ...objectProcs,
    ...infoProcs,
    ...commandProcs,
    ...notHereProcs,
    ...debugProcs,
    ...listProcs,
    ...setProcs,
    ...hashProcs,
    ...sortedSetProcs,
    ...geoProcs,
    ...streamProcs,
    ...bitmapProcs,
    ...hyperLogLogProcs,
    ...transactionProcs,
    ...scriptingProcs,
    ...aclProcs,
    ...monitorProcs,
    ...trackingProcs,
    ...latencyProcs,
  };
  return joinCommands(commandFacts, procs, renames);
}
