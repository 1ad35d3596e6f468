/** The scripting commands. */
import type { CommandProc } from '../command.ts';

export const scriptingProcs: Readonly<Record<string, CommandProc>> = {};
