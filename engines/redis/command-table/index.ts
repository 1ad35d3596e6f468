/** The facts of every command this engine may have. A command exists once the registry binds a procedure to its facts. */

import { bitmapCommands } from './bitmap.ts';
import { clusterCommands } from './cluster.ts';
import { connectionCommands } from './connection.ts';
import type { CommandFacts } from './facts.ts';
import { genericCommands } from './generic.ts';
import { genericMoreCommands } from './generic-more.ts';
import { geoCommands } from './geo.ts';
import { hashCommands } from './hash.ts';
import { hyperloglogCommands } from './hyperloglog.ts';
import { listCommands } from './list.ts';
import { pubsubCommands } from './pubsub.ts';
import { scriptingCommands } from './scripting.ts';
import { serverCommands } from './server.ts';
import { serverMoreCommands } from './server-more.ts';
import { setCommands } from './set.ts';
import { sortedSetCommands } from './sorted-set.ts';
import { streamCommands } from './stream.ts';
import { stringCommands } from './string.ts';
import { transactionsCommands } from './transactions.ts';

export type { ArgumentFacts, CommandFacts, KeySpecFacts } from './facts.ts';

export const commandFacts: readonly CommandFacts[] = [
  ...stringCommands,
  ...genericCommands,
  ...connectionCommands,
  ...serverCommands,
  ...pubsubCommands,
  ...clusterCommands,
  ...hyperloglogCommands,
  ...genericMoreCommands,
  ...transactionsCommands,
  ...geoCommands,
  ...serverMoreCommands,
  ...bitmapCommands,
  ...hashCommands,
  ...setCommands,
  ...sortedSetCommands,
  ...scriptingCommands,
  ...listCommands,
  ...streamCommands,
];
