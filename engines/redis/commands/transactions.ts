/** MULTI, EXEC, DISCARD, WATCH, UNWATCH. */
import { execPermissionError } from '../acl/check.ts';
import { CLIENT_DENY_BLOCKING, CLIENT_DIRTY_CAS, CLIENT_DIRTY_EXEC, CLIENT_MULTI, type Client } from '../client.ts';
import type { CommandProc } from '../command.ts';
import { callInside } from '../dispatch.ts';
import { addReplyArrayLen, addReplyError, addReplyNullArray, addReplyOk } from '../protocol/reply.ts';
import type { RedisCore } from '../redis-core.ts';
import { discardTransaction } from '../transactions.ts';

function multi(_core: RedisCore, c: Client): void {
  if ((c.flags & CLIENT_MULTI) !== 0) {
    addReplyError(c, 'MULTI calls can not be nested');
    return;
  }
  c.flags |= CLIENT_MULTI;
  addReplyOk(c);
}

function discard(core: RedisCore, c: Client): void {
  if ((c.flags & CLIENT_MULTI) === 0) {
    addReplyError(c, 'DISCARD without MULTI');
    return;
  }
  discardTransaction(core, c);
  addReplyOk(c);
}

function exec(core: RedisCore, c: Client): void {
  if ((c.flags & CLIENT_MULTI) === 0) {
    addReplyError(c, 'EXEC without MULTI');
    return;
  }
  if (core.watched.anyExpired(c)) c.flags |= CLIENT_DIRTY_CAS;
  if ((c.flags & (CLIENT_DIRTY_CAS | CLIENT_DIRTY_EXEC)) !== 0) {
    if ((c.flags & CLIENT_DIRTY_EXEC) !== 0) {
      addReplyError(c, '-EXECABORT Transaction discarded because of previous errors.');
    } else {
      addReplyNullArray(c);
    }
    discardTransaction(core, c);
    return;
  }
  core.watched.forget(c);
  runQueued(core, c);
  discardTransaction(core, c);
}

/** Runs what is queued. Afterwards EXEC itself is the client's present command again. */
function runQueued(core: RedisCore, c: Client): void {
  const queued = c.queued;
  const count = queued === null ? 0 : queued.count;
  addReplyArrayLen(c, count);
  if (queued === null || count === 0) return;
  const execCommand = c.command;
  const { argc, argOff, argLen } = c;
  // The arguments of EXEC stay in their arrays; the queued commands use the core's.
  c.argOff = core.execArgOff;
  c.argLen = core.execArgLen;
  const denied = c.flags & CLIENT_DENY_BLOCKING;
  c.flags |= CLIENT_DENY_BLOCKING;
  core.inExec = true;
  let timeUs = core.clock.monoUs();
  try {
    for (let i = 0; i < count; i++) {
      const command = queued.load(c, i);
      c.command = command;
      const refusal = execPermissionError(core, c, command);
      if (refusal === null) timeUs = callInside(core, c, command, timeUs);
      else addReplyError(c, refusal);
    }
  } finally {
    core.inExec = false;
    core.keepExecArguments(c);
    c.argc = argc;
    c.argOff = argOff;
    c.argLen = argLen;
    c.command = execCommand;
    if (denied === 0) c.flags &= ~CLIENT_DENY_BLOCKING;
  }
}

function watch(core: RedisCore, c: Client): void {
  if ((c.flags & CLIENT_MULTI) !== 0) {
    addReplyError(c, 'WATCH inside MULTI is not allowed');
    return;
  }
  // Whose transaction will fail anyway need not watch more.
  if ((c.flags & CLIENT_DIRTY_CAS) === 0) {
    for (let i = 1; i < c.argc; i++) core.watched.watch(c, c.argOff[i], c.argLen[i]);
  }
  addReplyOk(c);
}

function unwatch(core: RedisCore, c: Client): void {
  core.watched.forget(c);
  c.flags &= ~CLIENT_DIRTY_CAS;
  addReplyOk(c);
}

/** By full name. */
export const transactionProcs: Readonly<Record<string, CommandProc>> = { multi, discard, exec, watch, unwatch };
