/** The monitor commands. */
import type { CommandProc } from '../command.ts';

export const monitorProcs: Readonly<Record<string, CommandProc>> = {};
