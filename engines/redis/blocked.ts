/**
 * Clients that wait inside a command for something to happen or for their time to run out. Meanwhile their input is still read (so
 * that a disconnect is noticed) and kept by the loop unparsed, under the query buffer's limit.
 */
import { CLIENT_BLOCKED, type Client } from './client.ts';
import { endOfCommand } from './dispatch.ts';
import { addReplyError, addReplyLong } from './protocol/reply.ts';
import type { RedisCore } from './redis-core.ts';

const UNBLOCKED = '-UNBLOCKED client unblocked via CLIENT UNBLOCK';

/** How many wait, and until when. One per core. */
export class BlockedClients {
  count = 0;
  /** Those of them that do not wait for ever. */
  timed = 0;
  /** No wait ends before this time (ms since the epoch). */
  earliestMs = Number.POSITIVE_INFINITY;
}

/**
 * Lets the client wait. To be called by its command, which then does not reply.
 * @param untilMs since the epoch; 0: for ever
 */
export function blockClient(core: RedisCore, c: Client, untilMs: number): void {
  const blocked = core.blocked;
  c.flags |= CLIENT_BLOCKED;
  c.blockedUntilMs = untilMs;
  blocked.count++;
  if (untilMs === 0) return;
  blocked.timed++;
  if (untilMs < blocked.earliestMs) blocked.earliestMs = untilMs;
}

/** Takes the client out of the count: it goes on, or is gone. */
export function forgetBlocked(core: RedisCore, c: Client): void {
  if ((c.flags & CLIENT_BLOCKED) === 0) return;
  c.flags &= ~CLIENT_BLOCKED;
  core.blocked.count--;
  if (c.blockedUntilMs !== 0) core.blocked.timed--;
}

/** Lets a client whose command has been answered go on with what it has sent meanwhile. */
function unblockClient(core: RedisCore, c: Client): void {
  forgetBlocked(core, c);
  endOfCommand(core, c);
  // The end of a pause is what makes the loop hand over kept input again.
  core.transport.pause(c.conn);
  core.transport.resume(c.conn);
}

/** Ends a wait whose time has run out: no replica has confirmed anything. */
function timeOutBlocked(core: RedisCore, c: Client): void {
  addReplyLong(c, 0);
  unblockClient(core, c);
}

/**
 * Ends a wait before its time, for CLIENT UNBLOCK. As in the original the waiting command counts as failed in either case, and the
 * error is also one of the command that runs now.
 * @param withError false: the client is answered as if its time had run out
 */
export function interruptBlocked(core: RedisCore, c: Client, withError: boolean): void {
  if (c.lastCommand !== null) c.lastCommand.failedCalls++;
  if (withError) addReplyError(c, UNBLOCKED);
  else addReplyLong(c, 0);
  unblockClient(core, c);
}

/** Ends the waits whose time has run out. To be called in every turn while `timed` is not 0. */
export function endTimedOutWaits(core: RedisCore): void {
  const blocked = core.blocked;
  core.refreshTime();
  if (blocked.earliestMs >= core.nowMs) return;
  blocked.earliestMs = Number.POSITIVE_INFINITY;
  for (const c of core.clients) {
    if (c === null || (c.flags & CLIENT_BLOCKED) === 0 || c.blockedUntilMs === 0) continue;
    if (c.blockedUntilMs < core.nowMs) timeOutBlocked(core, c);
    else if (c.blockedUntilMs < blocked.earliestMs) blocked.earliestMs = c.blockedUntilMs;
  }
}
