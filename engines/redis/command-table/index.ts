/** The facts of every command this engine may have. A command exists once the registry binds a procedure to its facts. */
import { connectionCommands } from './connection.ts';
import type { CommandFacts } from './facts.ts';
import { genericCommands } from './generic.ts';
import { pubsubCommands } from './pubsub.ts';
import { serverCommands } from './server.ts';
import { stringCommands } from './string.ts';

export type { ArgumentFacts, CommandFacts, KeySpecFacts } from './facts.ts';

export const commandFacts: readonly CommandFacts[] = [
  ...stringCommands,
  ...genericCommands,
  ...connectionCommands,
  ...serverCommands,
  ...pubsubCommands,
];
