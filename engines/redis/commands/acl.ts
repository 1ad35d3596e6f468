/** The acl commands. */
import type { CommandProc } from '../command.ts';

export const aclProcs: Readonly<Record<string, CommandProc>> = {};
