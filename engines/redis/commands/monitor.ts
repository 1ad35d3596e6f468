/** MONITOR. */
import { CLIENT_DENY_BLOCKING, CLIENT_MONITOR, type Client } from '../client.ts';
import type { CommandProc } from '../command.ts';
import { startMonitoring } from '../monitor.ts';
import { addReplyError, addReplyOk } from '../protocol/reply.ts';
import type { RedisCore } from '../redis-core.ts';

function monitor(core: RedisCore, c: Client): void {
  if ((c.flags & CLIENT_DENY_BLOCKING) !== 0) {
    addReplyError(c, "MONITOR isn't allowed for DENY BLOCKING client");
    return;
  }
  // Asked a second time, it says nothing, as the original.
  if ((c.flags & CLIENT_MONITOR) !== 0) return;
  startMonitoring(core, c);
  addReplyOk(c);
}

/** By full name. */
export const monitorProcs: Readonly<Record<string, CommandProc>> = { monitor };
