/** The tracking commands. */
import type { CommandProc } from '../command.ts';

export const trackingProcs: Readonly<Record<string, CommandProc>> = {};
