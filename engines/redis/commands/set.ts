/** The set commands. */
import type { CommandProc } from '../command.ts';

export const setProcs: Readonly<Record<string, CommandProc>> = {};
