/** The list commands. */
import type { CommandProc } from '../command.ts';

export const listProcs: Readonly<Record<string, CommandProc>> = {};
