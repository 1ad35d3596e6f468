/** The hyperloglog commands. */
import type { CommandProc } from '../command.ts';

export const hyperLogLogProcs: Readonly<Record<string, CommandProc>> = {};
