/** The transactions commands. */
import type { CommandProc } from '../command.ts';

export const transactionProcs: Readonly<Record<string, CommandProc>> = {};
