/** The hash commands. */
import type { CommandProc } from '../command.ts';

export const hashProcs: Readonly<Record<string, CommandProc>> = {};
