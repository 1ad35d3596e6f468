/** Reading numbers out of arguments, for commands that are not hot. */
import type { Client } from '../client.ts';
import { parseInteger } from '../config.ts';
import { addReplyError, NOT_AN_INTEGER } from '../protocol/reply.ts';

/** @returns the number, or null when the argument is none */
export function integerArgument(c: Client, index: number): number | null {
  return c.argLen[index]! > 20 ? null : parseInteger(c.argText(index));
}

/** As integerArgument; where there is no number, the client has been told so. */
export function integerOrReply(c: Client, index: number, error: string = NOT_AN_INTEGER): number | null {
  const value = integerArgument(c, index);
  if (value === null) addReplyError(c, error);
  return value;
}
