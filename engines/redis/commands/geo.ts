/** The geo commands. */
import type { CommandProc } from '../command.ts';

export const geoProcs: Readonly<Record<string, CommandProc>> = {};
