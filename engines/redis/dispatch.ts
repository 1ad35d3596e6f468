/** From a parsed request to a command's execution: what may run, and what is counted. */
import { permissionError } from './acl/check.ts';
import {
  CLIENT_BLOCKED,
  CLIENT_CLOSE_AFTER_COMMAND,
  CLIENT_DIRTY_CAS,
  CLIENT_DIRTY_EXEC,
  CLIENT_MONITOR,
  CLIENT_MULTI,
  CLIENT_PAUSED,
  CLIENT_PUBSUB,
  CLIENT_REPLY_SKIP,
  CLIENT_REPLY_SKIP_NEXT,
  CLIENT_SCRIPT,
  CLIENT_TRACKING,
  CLIENT_TRACKING_CACHING,
  type Client,
} from './client.ts';
import { isLocalClient } from './client-info.ts';
import {
  CMD_ADMIN,
  CMD_ALLOW_BUSY,
  CMD_DENYOOM,
  CMD_FAST,
  CMD_LOADING,
  CMD_MAY_REPLICATE,
  CMD_NO_AUTH,
  CMD_NO_MULTI,
  CMD_PROTECTED,
  CMD_READONLY,
  CMD_SKIP_MONITOR,
  CMD_SKIP_SLOWLOG,
  CMD_WRITE,
  type Command,
} from './command.ts';
import { LOADING_ERROR } from './config-set.ts';
import { EVICT_FAIL, performEvictions } from './evict.ts';
import { LatencyHistogram } from './latency-histogram.ts';
import { LOG_WARNING } from './log-levels.ts';
import { feedMonitors } from './monitor.ts';
import { addReplyError, addReplyProto } from './protocol/reply.ts';
import type { RedisCore } from './redis-core.ts';
import { ArenaExhausted } from './structures/heap.ts';
import { endCaching } from './tracking.ts';
import { discardTransaction, flagTransaction, QueuedCommands, queuedFlags } from './transactions.ts';

/** Longest part of a name or of the arguments that an error shows. */
const ERROR_TEXT_MAX = 128;
/** Such an attempt is logged once in so long. */
const WEB_REQUEST_LOG_SECONDS = 60;
const SUBSCRIBER_COMMANDS = new Set([
  'ping',
  'subscribe',
  'ssubscribe',
  'sunsubscribe',
  'unsubscribe',
  'psubscribe',
  'punsubscribe',
  'quit',
  'reset',
]);
export const OOM_ERROR = "-OOM command not allowed when used memory > 'maxmemory'.";
const SCRIPT_COMMANDS = new Set(['eval', 'eval_ro', 'evalsha', 'evalsha_ro', 'fcall', 'fcall_ro']);
const READONLY_SCRIPTS = new Set(['eval_ro', 'evalsha_ro', 'fcall_ro']);
/** Commands that are executed at once although the client is in a transaction. */
const NEVER_QUEUED = new Set(['exec', 'discard', 'multi', 'watch', 'quit', 'reset']);
/** Those of them that a client gets through although memory has run out: queueing takes memory, but they end the transaction. */
const ENDS_TRANSACTION = new Set(['exec', 'discard', 'quit', 'reset']);
export const ARENA_ERROR = '-OOM command not allowed: the arena is exhausted';

/** Counts and answers a command that does not get to run. */
function reject(core: RedisCore, c: Client, command: Command | null, text: string): void {
  flagTransaction(c);
  if (command !== null) command.rejectedCalls++;
  if (command !== null && command.fullName === 'exec') {
    // An EXEC that cannot run ends its transaction all the same.
    discardTransaction(core, c);
    const reason = text.startsWith('-') ? text.slice(1) : text;
    addReplyError(c, `-EXECABORT Transaction discarded because of: ${reason}`);
    if (core.monitors.length !== 0) feedMonitors(core, c);
  } else {
    addReplyError(c, text);
  }
  endOfCommand(core, c);
}

function unknownCommand(c: Client): string {
  let shown = '';
  for (let i = 1; i < c.argc && shown.length < ERROR_TEXT_MAX; i++) {
    shown += `'${cString(c.argText(i).slice(0, ERROR_TEXT_MAX - shown.length))}' `;
  }
  return `unknown command '${cString(c.argText(0)).slice(0, ERROR_TEXT_MAX)}', with args beginning with: ${shown}`;
}

/**
 * A browser can be made to send requests to any port, and their bodies could hold commands: whoever begins like HTTP is not heard out.
 */
function isWebRequest(c: Client): boolean {
  const name = cString(c.argText(0)).toLowerCase();
  return name === 'post' || name === 'host:';
}

function abortWebRequest(core: RedisCore, c: Client): void {
  core.closeClient(c, false);
  if (core.unixtime - core.webRequestLoggedAt < WEB_REQUEST_LOG_SECONDS) return;
  core.webRequestLoggedAt = core.unixtime;
  core.log(
    LOG_WARNING,
    `Possible SECURITY ATTACK detected: ${c.addr} sent POST or Host:, as a browser does that a foreign page has sent here. Connection aborted.`,
  );
}

/** The original prints arguments with %s, which ends at a NUL. */
function cString(text: string): string {
  const nul = text.indexOf('\0');
  return nul < 0 ? text : text.slice(0, nul);
}

/** Whether the number of arguments suits the command. */
function arityFits(command: Command, argc: number): boolean {
  return command.arity >= 0 ? command.arity === argc : argc >= -command.arity;
}

/**
 * Finds the command or subcommand that the arguments name.
 * @returns null when there is none; `notFoundParent` then tells whether a container was found
 */
export function lookupCommand(core: RedisCore, c: Client): Command | null {
  const u8 = core.heap.u8;
  const command = core.commands.find(u8, c.argOff[0], c.argLen[0]);
  if (command === null || command.subcommands === null || c.argc === 1) return command;
  return command.subcommands.find(u8, c.argOff[1], c.argLen[1]) ?? null;
}

/** Executes the request in the client's arguments, or answers why not. */
export function processCommand(core: RedisCore, c: Client): void {
  const command = lookupCommand(core, c);
  c.lastCommand = command;
  if (command === null) {
    c.command = null;
    const parent = core.commands.find(core.heap.u8, c.argOff[0], c.argLen[0]);
    if (parent === null) {
      if (isWebRequest(c)) abortWebRequest(core, c);
      else reject(core, c, null, unknownCommand(c));
    } else {
      const given = cString(c.argText(1)).slice(0, ERROR_TEXT_MAX);
      reject(core, c, null, `unknown subcommand '${given}'. Try ${parent.name.toUpperCase()} HELP.`);
    }
    return;
  }
  c.command = command;
  if (!arityFits(command, c.argc)) {
    reject(core, c, command, `wrong number of arguments for '${command.fullName}' command`);
    return;
  }
  if ((command.flags & CMD_PROTECTED) !== 0 && !protectedCommandAllowed(core, c, command)) {
    const name = command.fullName === 'debug' ? 'debug' : 'module';
    reject(
      core,
      c,
      command,
      `${name.toUpperCase()} command not allowed. If the enable-${name}-command option is set to "local", you can run it from a ` +
        'local connection, otherwise you need to set this option in the configuration file, and then restart the server.',
    );
    return;
  }
  if (!c.authenticated && (command.flags & CMD_NO_AUTH) === 0 && core.acl.loginRequired) {
    reject(core, c, command, '-NOAUTH Authentication required.');
    return;
  }
  const inMulti = (c.flags & CLIENT_MULTI) !== 0;
  // EXEC does what the queued commands do.
  let flags = command.flags;
  if (inMulti && command.fullName === 'exec') flags |= queuedFlags(c);
  else if (command.runsScript && core.scripting !== null) flags = core.scripting.commandFlags(c, flags);
  if (inMulti && (command.flags & CMD_NO_MULTI) !== 0) {
    reject(core, c, command, 'Command not allowed inside a transaction');
    return;
  }
  if (c.user !== null && !c.user.unrestricted) {
    const refusal = permissionError(core, c, command);
    if (refusal !== null) {
      reject(core, c, command, refusal);
      return;
    }
  }
  if (core.maxmemory !== 0 && !core.persistence.loading) {
    const outOfMemory = performEvictions(core, c) === EVICT_FAIL;
    if (core.tracking.hasPending) core.tracking.sendPending();
    core.outOfMemory = outOfMemory;
    if (outOfMemory && ((flags & CMD_DENYOOM) !== 0 || (inMulti && !ENDS_TRANSACTION.has(command.fullName)))) {
      reject(core, c, command, OOM_ERROR);
      return;
    }
  }
  if (core.tracking.clientCount !== 0) core.tracking.limit();
  if (((flags & CMD_WRITE) !== 0 || command.name === 'ping') && core.persistence.writesRefused !== '') {
    reject(core, c, command, core.persistence.writesRefused);
    return;
  }
  if ((c.flags & CLIENT_MONITOR) !== 0 && (flags & (CMD_READONLY | CMD_WRITE | CMD_MAY_REPLICATE)) !== 0) {
    reject(core, c, command, "Replica can't interact with the keyspace");
    return;
  }
  if ((c.flags & CLIENT_PUBSUB) !== 0 && c.resp === 2 && !SUBSCRIBER_COMMANDS.has(command.fullName)) {
    reject(
      core,
      c,
      command,
      `Can't execute '${command.fullName}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context`,
    );
    return;
  }
  if (core.persistence.loading && !runsWhileLoading(c, command)) {
    reject(core, c, command, LOADING_ERROR);
    return;
  }
  if (core.scripting?.timedOut === true && (command.flags & CMD_ALLOW_BUSY) === 0) {
    reject(core, c, command, core.scripting.busyError()!);
    return;
  }
  if (
    (core.pauseUntilMs !== 0 && heldBack(core, command, flags)) ||
    (command.beginsSnapshot && !inMulti && core.persistence.holdsBack)
  ) {
    c.flags |= CLIENT_PAUSED;
    core.pausedClients.push(c);
    core.transport.pause(c.conn);
    return;
  }
  if (inMulti && !NEVER_QUEUED.has(command.fullName)) queue(core, c, command, flags);
  else call(core, c, command);
  // In the middle of a command that lasts (a busy script) nobody is served: what it has changed is not whole yet.
  if (core.blocked.ready !== 0 && !core.executing && !core.effects.held) {
    core.serveReadyKeys();
    if (core.tracking.hasPending) core.tracking.sendPending();
  }
  endOfCommand(core, c);
}

/** Keeps a command for EXEC. @param flags what it may do: a script's own where it declares them */
function queue(core: RedisCore, c: Client, command: Command, flags: number): void {
  // What will be refused as a whole need not be kept.
  if ((c.flags & (CLIENT_DIRTY_CAS | CLIENT_DIRTY_EXEC)) === 0) {
    try {
      c.queued ??= new QueuedCommands(core.heap);
      c.queued.push(c, command, flags);
    } catch (error) {
      if (!(error instanceof ArenaExhausted)) throw error;
      flagTransaction(c);
      command.rejectedCalls++;
      addReplyError(c, ARENA_ERROR);
      return;
    }
  }
  addReplyProto(c, '+QUEUED\r\n');
}

function runsWhileLoading(c: Client, command: Command): boolean {
  if ((command.flags & CMD_LOADING) === 0) return false;
  return command.fullName !== 'exec' || c.queued === null || (c.queued.commonFlags & CMD_LOADING) !== 0;
}

function heldBack(core: RedisCore, command: Command, flags: number): boolean {
  if (core.nowMs >= core.pauseUntilMs) {
    core.unpauseClients();
    return false;
  }
  // CLIENT itself gets through, or nobody could end the pause.
  if (core.pauseAll) return command.parent?.name !== 'client';
  return (flags & (CMD_WRITE | CMD_MAY_REPLICATE)) !== 0;
}

function protectedCommandAllowed(core: RedisCore, c: Client, command: Command): boolean {
  const allowed = command.fullName === 'debug' ? core.protectedCommands : core.config.enableModuleCommand;
  return allowed === 'yes' || (allowed === 'local' && isLocalClient(c));
}

/** Commands that come upon expired keys by chance, whose ends have nothing to do with each other. */
const COMES_UPON_KEYS = new Set(['scan', 'randomkey']);

/** Runs a command and counts it. */
export function call(core: RedisCore, c: Client, command: Command): void {
  // A script that takes long lets others be served from within; its own unit of effects and its time go on.
  if (core.executing) {
    callInside(core, c, command);
    return;
  }
  const startUs = core.commandStartUs;
  core.executing = true;
  run(core, c, command);
  core.executing = false;
  if (core.effects.ops > 0) {
    if (COMES_UPON_KEYS.has(command.name)) core.effects.keepApart();
    core.effects.endUnit();
  }
  // The end of this command is the start of the next one of the same batch: one look at the clock for each.
  const endUs = core.clock.monoUs();
  core.advanceTime(endUs);
  account(core, c, command, endUs - startUs);
  const used = core.allocator.usedBytes;
  if (used > core.stats.peakMemory) core.stats.peakMemory = used;
  if (core.tracking.hasPending) core.tracking.sendPending();
}

/**
 * Runs a command inside another one that is being executed (EXEC, a script), and counts it. To the inner one it is as early as it
 * was when the outer one began: what has expired by then stays, what has not does not expire.
 * @param startUs when it begins, in monotonic time
 * @returns when it ended: the start of the next one of a row
 */
export function callInside(core: RedisCore, c: Client, command: Command, startUs = core.clock.monoUs()): number {
  core.nesting++;
  run(core, c, command);
  core.nesting--;
  const endUs = core.clock.monoUs();
  account(core, c, command, endUs - startUs);
  return endUs;
}

/** Commands whose effects are those of the commands that they run. */
const WRAPPERS = new Set(['exec', 'eval', 'evalsha', 'eval_ro', 'evalsha_ro', 'fcall', 'fcall_ro']);

/** Runs a command and writes down what it has changed. */
function runWithEffects(core: RedisCore, c: Client, command: Command): void {
  const { effects } = core;
  const outer = effects.replaced;
  const before = core.dirty;
  const { ops } = effects;
  effects.replaced = false;
  // A transaction's and a script's effects are those of what they run.
  const wraps = WRAPPERS.has(command.name);
  try {
    command.proc(core, c);
    if (core.dirty > before && !effects.replaced && !wraps) effects.addCommand(c);
  } catch (error) {
    // It broke off for want of memory and had changed something by then, or said that it would: no command says what has become of it.
    if (core.dirty !== before || effects.ops !== ops) effects.lose();
    throw error;
  } finally {
    effects.replaced = outer;
  }
}

/** Runs the procedure; errors replied since the last command inside count as this one's failure. */
function run(core: RedisCore, c: Client, command: Command): void {
  core.errorsInCommand = 0;
  // A script is shown before the commands that it calls.
  if (core.monitors.length !== 0 && SCRIPT_COMMANDS.has(command.fullName)) feedMonitors(core, c);
  try {
    if (core.effects.active) runWithEffects(core, c, command);
    else command.proc(core, c);
  } catch (error) {
    if (core.scratch.client !== null) core.scratch.release();
    if (!(error instanceof ArenaExhausted)) throw error;
    addReplyError(c, ARENA_ERROR);
  }
  if (core.errorsInCommand > 0) {
    command.failedCalls++;
    core.errorsInCommand = 0;
  }
}

function account(core: RedisCore, c: Client, command: Command, durationUs: number): void {
  command.calls++;
  command.usec += durationUs;
  core.stats.totalCommandsProcessed++;
  if (durationUs >= core.latencyThresholdUs) {
    core.latency.add((command.flags & CMD_FAST) !== 0 ? 'fast-command' : 'command', durationUs);
  }
  // One that waits has not ended: blocked.ts adds the rest when it has.
  if ((c.flags & CLIENT_BLOCKED) !== 0) c.blockedCommandUs = durationUs;
  else recordDuration(core, c, command, durationUs);
  if (core.monitors.length !== 0 && (command.flags & (CMD_SKIP_MONITOR | CMD_ADMIN)) === 0) feedMonitors(core, c);
  c.forgetRedacted();
  if (core.tracking.clientCount !== 0 && (command.flags & CMD_READONLY) !== 0) rememberKeys(core, c, command);
}

/** Lets the keys that a command has read be tracked for the client that caused it. */
function rememberKeys(core: RedisCore, c: Client, command: Command): void {
  // A script has read once a command that it calls does; all keys that it was given count then, whichever the command names.
  if (READONLY_SCRIPTS.has(command.fullName)) return;
  if ((c.flags & CLIENT_SCRIPT) === 0) {
    core.tracking.remember(c, command);
    return;
  }
  const caller = core.scripting?.caller ?? null;
  if (caller === null || (caller.flags & CLIENT_TRACKING) === 0) return;
  const call = lookupCommand(core, caller);
  if (call !== null) core.tracking.remember(caller, call);
}

/** Enters how long a command took into its histogram and, if it was slow, into the slow log. */
export function recordDuration(core: RedisCore, c: Client, command: Command, durationUs: number): void {
  if (core.latencyTracking) {
    if (command.histogram === null) makeHistogram(core, command);
    command.histogram?.record(durationUs * 1000);
  }
  const slow = core.slowlogLogSlowerThan;
  if (slow >= 0 && durationUs >= slow && (command.flags & CMD_SKIP_SLOWLOG) === 0) {
    for (const hook of core.hooks.slowCommand) hook(c, command, durationUs);
  }
}

function makeHistogram(core: RedisCore, command: Command): void {
  try {
    command.histogram = new LatencyHistogram(core.heap);
  } catch (error) {
    // Without memory there are no percentiles; the command has been executed all the same.
    if (!(error instanceof ArenaExhausted)) throw error;
  }
}

/** Without one of these nothing follows a command. */
const END_OF_COMMAND_MASK =
  CLIENT_REPLY_SKIP | CLIENT_REPLY_SKIP_NEXT | CLIENT_CLOSE_AFTER_COMMAND | CLIENT_TRACKING_CACHING;

/** What follows a command, executed or rejected: REPLY SKIP moves on by one. */
export function endOfCommand(core: RedisCore, c: Client): void {
  if ((c.flags & END_OF_COMMAND_MASK) === 0) return;
  // One that waits has not been answered: what concerns its reply comes when the wait is over.
  if ((c.flags & CLIENT_BLOCKED) !== 0) return;
  if ((c.flags & CLIENT_TRACKING_CACHING) !== 0) endCaching(c);
  c.flags &= ~CLIENT_REPLY_SKIP;
  if ((c.flags & CLIENT_REPLY_SKIP_NEXT) !== 0) {
    c.flags |= CLIENT_REPLY_SKIP;
    c.flags &= ~CLIENT_REPLY_SKIP_NEXT;
  }
  if ((c.flags & CLIENT_CLOSE_AFTER_COMMAND) !== 0) {
    c.flags &= ~CLIENT_CLOSE_AFTER_COMMAND;
    core.closeClient(c, true);
  }
}
