/** The sorted set commands. */
import type { CommandProc } from '../command.ts';

export const sortedSetProcs: Readonly<Record<string, CommandProc>> = {};
