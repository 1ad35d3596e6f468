/**
 * Requests: an incremental parser of multibulk and inline commands that leaves the arguments where the input lies and
 * notes their offsets. An incomplete request costs nothing to take up again: the client keeps how far it has been read.
 *
 * An argument of 32 KiB and more that has not wholly arrived is read by the loop straight into the string that will be stored.
 * As the loop then consumes all input before it, the arguments that came earlier are first moved into a block of their own.
 *
 * Bounds, conditions and texts of errors are the original's, down to the places where it does not look (the two bytes
 * behind an argument may be anything, and a NUL hides the line end behind it).
 */
import {
  CLIENT_BLOCKED,
  CLIENT_CLOSE_AFTER_REPLY,
  CLIENT_CLOSE_ASAP,
  CLIENT_PAUSED,
  CLIENT_STOP_MASK,
  type Client,
} from '../client.ts';
import { closeOverLimit, closeOverQueryLimit, hasOutputLimit } from '../client-limits.ts';
import { noteLongArgumentBegin, noteLongArgumentEnd } from '../client-memory.ts';
import { processCommand } from '../dispatch.ts';
import { LOG_VERBOSE } from '../log-levels.ts';
import type { RedisCore } from '../redis-core.ts';
import { ArenaExhausted } from '../structures/heap.ts';
import { parsedNumber, parseInt64 } from '../structures/int64.ts';
import { sdsAlloc, sdsFree, sdsMakeRoomFor, sdsNewRoom, sdsSetAlloc, sdsSetLen } from '../structures/sds.ts';
import { splitInline } from './inline.ts';
import { addReplyError } from './reply.ts';

/** Longest inline request, and longest line of a header. */
export const INLINE_MAX_BYTES = 64 * 1024;
/** Arguments from this size on are read directly. */
export const BIG_ARGUMENT_BYTES = 32 * 1024;
/** What a client may ask for before it has logged in. */
const UNAUTHENTICATED_MAX_ARGUMENTS = 10;
const UNAUTHENTICATED_MAX_BYTES = 16_384;
const MAX_ARGUMENTS = 0x7fffffff;
/** A big argument gets at most this much room at once and more as its bytes arrive: an announcement alone costs nothing. */
const DIRECT_FIRST_BYTES = 1024 * 1024;

const REQUEST_INLINE = 1;
const REQUEST_MULTIBULK = 2;

/** Outcomes of parsing that are no position. */
const INCOMPLETE = -1;
const FAILED = -2;
const DIRECT = -3;

/**
 * Executes every complete request of [start, end).
 * @returns the offset of the first byte to keep
 */
export function processInput(core: RedisCore, c: Client, start: number, end: number): number {
  if (closeOverQueryLimit(core, c, end - start - c.parsed)) return end;
  const limited = hasOutputLimit(core, c);
  const { heap, lookahead } = core;
  lookahead.reset();
  let at = start;
  while (at < end) {
    if ((c.flags & CLIENT_STOP_MASK) !== 0) break;
    if (lookahead.isSpent(at)) lookahead.scan(heap, c.db, at, end);
    let next = c.requestType === 0 ? lookahead.take(heap, c, at) : 0;
    if (next === 0) {
      next = parseRequest(core, c, at, end);
      if (next === INCOMPLETE) break;
      if (next === FAILED) return end;
      if (next === DIRECT) return end;
    }
    if (c.argc > 0) {
      processCommand(core, c);
      heap.knownOffset = 0;
      heap.memberOffset = 0;
      if (limited) closeOverLimit(core, c);
    }
    if ((c.flags & CLIENT_PAUSED) !== 0) {
      // Held back: the request stays in the input and is parsed again later.
      resetRequest(c);
      return at;
    }
    resetRequest(c);
    at = next;
  }
  // Whoever is being closed has no further say.
  return (c.flags & (CLIENT_CLOSE_AFTER_REPLY | CLIENT_CLOSE_ASAP)) !== 0 ? end : at;
}

/** The parser is to begin a new request. The arguments of one that waits inside its command stay. */
function resetRequest(c: Client): void {
  c.requestType = 0;
  c.multibulkLeft = 0;
  c.bulkLength = -1;
  c.parsed = 0;
  if ((c.flags & CLIENT_BLOCKED) !== 0) return;
  if (c.argFixed !== 0) c.releaseArguments();
  c.argc = 0;
}

function protocolError(core: RedisCore, c: Client, text: string): number {
  addReplyError(c, `Protocol error: ${text}`);
  core.log(LOG_VERBOSE, `Protocol error (${text}) from client: id=${c.id} addr=${c.addr}`);
  core.closeClient(c, true);
  resetRequest(c);
  return FAILED;
}

function parseRequest(core: RedisCore, c: Client, start: number, end: number): number {
  if (c.requestType === 0) {
    c.requestType = core.heap.u8[start] === 42 ? REQUEST_MULTIBULK : REQUEST_INLINE;
    c.parseBase = start;
  } else if (c.parseBase !== start) {
    // The kept bytes have moved: so have the arguments in them.
    const shift = start - c.parseBase;
    for (let i = c.argFixed; i < c.argc; i++) c.argOff[i] += shift;
    c.parseBase = start;
  }
  try {
    return c.requestType === REQUEST_INLINE ? parseInline(core, c, start, end) : parseMultibulk(core, c, start, end);
  } catch (error) {
    if (!(error instanceof ArenaExhausted)) throw error;
    addReplyError(c, '-OOM command not allowed: the arena has no room for its arguments');
    core.closeClient(c, true);
    resetRequest(c);
    return FAILED;
  }
}

/** Finds `wanted` from `at` on. @returns its offset, or -1 when a NUL or the end comes first */
function findByte(u8: Uint8Array, at: number, end: number, wanted: number): number {
  for (let p = at; p < end; p++) {
    const byte = u8[p];
    if (byte === wanted) return p;
    if (byte === 0) return -1;
  }
  return -1;
}

/** The length of one or two digits that stands at `at` before a CR; -1 where something else does. */
function shortLength(u8: Uint8Array, at: number): number {
  const first = u8[at] - 48;
  if (first < 0 || first > 9) return -1;
  const next = u8[at + 1];
  if (next === 13) return first;
  return first > 0 && next >= 48 && next <= 57 && u8[at + 2] === 13 ? first * 10 + next - 48 : -1;
}

function parseMultibulk(core: RedisCore, c: Client, start: number, end: number): number {
  const u8 = core.heap.u8;
  let at = start + c.parsed;
  // Counts of one digit and lengths of one or two are nearly all there are, so they do without the general way.
  if (c.multibulkLeft === 0 && at + 4 <= end && u8[at + 2] === 13 && u8[at + 1] >= 49 && u8[at + 1] <= 57) {
    c.multibulkLeft = u8[at + 1] - 48;
    at += 4;
  } else if (c.multibulkLeft === 0) {
    const cr = findByte(u8, at, end, 13);
    if (cr < 0) return end - at > INLINE_MAX_BYTES ? protocolError(core, c, 'too big mbulk count string') : INCOMPLETE;
    if (cr + 2 > end) return INCOMPLETE;
    if (!parseInt64(u8, at + 1, cr - at - 1) || parsedNumber > MAX_ARGUMENTS) {
      return protocolError(core, c, 'invalid multibulk length');
    }
    if (parsedNumber > UNAUTHENTICATED_MAX_ARGUMENTS && !c.authenticated) {
      return protocolError(core, c, 'unauthenticated multibulk length');
    }
    at = cr + 2;
    if (parsedNumber <= 0) return at;
    c.multibulkLeft = parsedNumber;
  }
  while (c.multibulkLeft > 0) {
    const short = c.bulkLength < 0 && at + 5 <= end && u8[at] === 36 ? shortLength(u8, at + 1) : -1;
    if (short >= 0) {
      at += short > 9 ? 5 : 4;
      c.bulkLength = short;
    } else if (c.bulkLength < 0) {
      const cr = findByte(u8, at, end, 13);
      if (cr < 0) {
        if (end - at > INLINE_MAX_BYTES) return protocolError(core, c, 'too big bulk count string');
        break;
      }
      if (cr + 2 > end) break;
      if (u8[at] !== 36) return protocolError(core, c, `expected '$', got '${String.fromCharCode(u8[at])}'`);
      if (!parseInt64(u8, at + 1, cr - at - 1) || parsedNumber < 0 || parsedNumber > core.config.protoMaxBulkLen) {
        return protocolError(core, c, 'invalid bulk length');
      }
      if (parsedNumber > UNAUTHENTICATED_MAX_BYTES && !c.authenticated) {
        return protocolError(core, c, 'unauthenticated bulk length');
      }
      at = cr + 2;
      c.bulkLength = parsedNumber;
    }
    const length = c.bulkLength;
    if (end - at < length + 2) {
      if (length >= BIG_ARGUMENT_BYTES) return startDirectRead(core, c, at, end);
      break;
    }
    if (length >= BIG_ARGUMENT_BYTES) noteLongArgumentEnd(core, c, length);
    if (c.argc === c.argOff.length) c.growArguments(c.argc + 1);
    c.argOff[c.argc] = at;
    c.argLen[c.argc] = length;
    c.argc++;
    at += length + 2;
    c.bulkLength = -1;
    c.multibulkLeft--;
  }
  c.parsed = at - start;
  return c.multibulkLeft === 0 ? at : INCOMPLETE;
}

function parseInline(core: RedisCore, c: Client, start: number, end: number): number {
  const u8 = core.heap.u8;
  const newline = findByte(u8, start + c.parsed, end, 10);
  if (newline < 0) {
    if (end - start > INLINE_MAX_BYTES) return protocolError(core, c, 'too big inline request');
    // A NUL is not passed: the original looks no further, however much follows.
    let scanned = start + c.parsed;
    while (scanned < end && u8[scanned] !== 0) scanned++;
    c.parsed = scanned - start;
    return INCOMPLETE;
  }
  const lineEnd = newline > start && u8[newline - 1] === 13 ? newline - 1 : newline;
  if (!splitInline(c, start, lineEnd)) return protocolError(core, c, 'unbalanced quotes in request');
  return newline + 1;
}

/** The payload begins at `at`, and only [at, end) of it has arrived. */
function startDirectRead(core: RedisCore, c: Client, at: number, end: number): number {
  const heap = core.heap;
  const wanted = c.bulkLength + 2;
  const have = end - at;
  c.keepArguments();
  // The room is the original's: payload and its line end, so that a stored value's size class is the same.
  const s = sdsNewRoom(heap, Math.min(wanted, Math.max(DIRECT_FIRST_BYTES, have)));
  heap.copy(at, s, have);
  noteLongArgumentBegin(core, c);
  c.bigSds = s;
  c.bigAsked = have;
  c.argFixed = c.argc + 1;
  askForMore(core, c);
  return DIRECT;
}

/** Asks the loop for what fits into the string, growing it when it is full. */
function askForMore(core: RedisCore, c: Client): void {
  const heap = core.heap;
  const wanted = c.bulkLength + 2;
  let room = Math.min(sdsAlloc(heap, c.bigSds), wanted);
  if (c.bigAsked === room) {
    sdsSetLen(heap, c.bigSds, c.bigAsked);
    const more = Math.min(wanted - c.bigAsked, c.bigAsked);
    c.bigSds = sdsMakeRoomFor(heap, c.bigSds, more, false);
    room = Math.min(sdsAlloc(heap, c.bigSds), wanted);
  }
  // One byte more than is allowed shows that the limit has been passed.
  room = Math.min(room, core.config.clientQueryBufferLimit + 1);
  const from = c.bigAsked;
  c.bigAsked = room;
  core.transport.readInto(c.conn, c.bigSds + from, room - from);
}

/** A direct read has ended: the argument is complete, or more of it is asked for. */
export function onDirectRead(core: RedisCore, c: Client): void {
  const heap = core.heap;
  if (c.bigSds === 0) return;
  if (closeOverQueryLimit(core, c, c.bigAsked)) return;
  if (c.bigAsked < c.bulkLength + 2) {
    try {
      askForMore(core, c);
    } catch (error) {
      if (!(error instanceof ArenaExhausted)) throw error;
      addReplyError(c, '-OOM command not allowed: the arena has no room for its arguments');
      core.closeClient(c, true);
      resetRequest(c);
    }
    return;
  }
  const s = c.bigSds;
  const length = c.bulkLength;
  sdsSetLen(heap, s, length);
  heap.u8[s + length] = 0;
  c.bigSds = 0;
  noteLongArgumentEnd(core, c, length);
  // Of several big arguments only the last can be stored as it is; the others are kept until the command ends.
  if (c.bigArgSds !== 0) {
    const copy = heap.allocator.alloc(Math.max(1, c.argLen[c.bigArg]));
    if (copy !== 0) {
      heap.copy(c.bigArgSds, copy, c.argLen[c.bigArg]);
      c.argOff[c.bigArg] = copy;
      c.owned.push(copy);
      sdsFree(heap, c.bigArgSds);
    }
  }
  if (c.argc === c.argOff.length) c.growArguments(c.argc + 1);
  c.argOff[c.argc] = s;
  c.argLen[c.argc] = length;
  c.bigArg = c.argc;
  c.bigArgSds = s;
  c.argc++;
  c.argFixed = c.argc;
  c.bulkLength = -1;
  c.multibulkLeft--;
  c.parsed = 0;
  if (sdsAlloc(heap, s) < length) sdsSetAlloc(heap, s, length);
  if (c.multibulkLeft > 0) return;
  processCommand(core, c);
  if ((c.flags & CLIENT_PAUSED) !== 0) {
    // Nothing of it is left in the input to be parsed again, so it cannot be held back; it runs when the pause is over.
    c.pendingCommand = true;
    return;
  }
  resetRequest(c);
}

/** Runs the complete command of a client that was held back with its arguments. */
export function runPendingCommand(core: RedisCore, c: Client): void {
  c.pendingCommand = false;
  processCommand(core, c);
  if ((c.flags & CLIENT_PAUSED) === 0) resetRequest(c);
  else c.pendingCommand = true;
}
