/** Serving other clients from within a command that lasts long: a script, a load. */
import type { Client } from './client.ts';
import type { RedisCore } from './redis-core.ts';

/**
 * One turn of the loop for the other clients. The command that lasts goes on afterwards as if no time had passed.
 * @param caller whose command lasts; nothing is read from it meanwhile
 * @returns false when the server was told to stop
 */
export function serveOthers(core: RedisCore, caller: Client): boolean {
  const turn = core.hooks.processEventsWhileBlocked;
  if (turn === null) return true;
  // In the middle of an aggregate's collection nobody else may reply: no command that lasts is run there.
  if (core.scratch.client !== null) return true;
  const { nowMs, unixtime, commandStartUs, executing, nesting, currentClient, inExec } = core;
  const { held } = core.effects;
  if (caller.conn >= 0) caller.transport.pause(caller.conn);
  core.effects.held = true;
  core.executing = false;
  core.nesting = 0;
  core.inExec = false;
  try {
    return turn();
  } finally {
    if (caller.conn >= 0) caller.transport.resume(caller.conn);
    core.restoreTime(nowMs, unixtime, commandStartUs);
    core.effects.held = held;
    core.executing = executing;
    core.nesting = nesting;
    core.inExec = inExec;
    core.currentClient = currentClient;
    core.lookahead.reset();
    core.heap.knownOffset = 0;
    core.heap.memberOffset = 0;
  }
}
