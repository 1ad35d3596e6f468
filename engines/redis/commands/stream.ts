/** The stream commands. */
import type { CommandProc } from '../command.ts';

export const streamProcs: Readonly<Record<string, CommandProc>> = {};
