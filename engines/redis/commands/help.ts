/** The HELP subcommands. */
import type { CommandProc } from '../command.ts';
import { addReplyHelp } from '../protocol/reply.ts';

/** @returns a procedure that replies the lines in the frame of every help text */
export function addHelp(lines: readonly string[]): CommandProc {
  return (_core, c) => addReplyHelp(c, lines);
}
