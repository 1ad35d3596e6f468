/** The latency commands. */
import type { CommandProc } from '../command.ts';

export const latencyProcs: Readonly<Record<string, CommandProc>> = {};
