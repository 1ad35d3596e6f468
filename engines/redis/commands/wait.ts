/** WAIT, on a server that has no replicas. */
import { blockClient } from '../blocked.ts';
import { CLIENT_DENY_BLOCKING, type Client } from '../client.ts';
import type { CommandProc } from '../command.ts';
import { addReplyError, addReplyLong } from '../protocol/reply.ts';
import type { RedisCore } from '../redis-core.ts';
import { argNumber, readInteger } from './integer-arguments.ts';

function waitCommand(core: RedisCore, c: Client): void {
  if (!readInteger(core, c, 1)) return;
  const replicas = argNumber;
  if (!readInteger(core, c, 2, 'timeout is not an integer or out of range')) return;
  if (argNumber < 0) {
    addReplyError(c, 'timeout is negative');
    return;
  }
  // No replica will ever confirm, so a client that asks for one can only wait for its time to run out.
  if (replicas <= 0 || (c.flags & CLIENT_DENY_BLOCKING) !== 0) addReplyLong(c, 0);
  else blockClient(core, c, argNumber === 0 ? 0 : argNumber + core.nowMs);
}

/** By full name. */
export const waitProcs: Readonly<Record<string, CommandProc>> = { wait: waitCommand };
