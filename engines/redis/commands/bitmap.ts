/** The bitmap commands. */
import type { CommandProc } from '../command.ts';

export const bitmapProcs: Readonly<Record<string, CommandProc>> = {};
