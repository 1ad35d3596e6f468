/**
 * Clients that wait inside a command for something to happen or for their time to run out. Meanwhile their input is still read (so
 * that a disconnect is noticed) and kept by the loop unparsed, under the query buffer's limit; their arguments are kept in the arena.
 *
 * Waiting for keys works in two steps, as in the original: a command that makes a key come into being marks it as ready
 * (`signalKey`), and when the command (a whole transaction or script) has ended, `serveReadyKeys` hands out what the key holds to
 * those that wait for it, first come, first served. Serving may make further keys ready; it goes on until there are none.
 */
import { CLIENT_BLOCKED, CLIENT_CLOSE_ASAP, type Client } from './client.ts';
import { type Db, LOOKUP_NONOTIFY, LOOKUP_NOSTATS, lookupKey } from './db.ts';
import { ARENA_ERROR, endOfCommand, recordDuration } from './dispatch.ts';
import { addReplyError, addReplyLong } from './protocol/reply.ts';
import type { RedisCore } from './redis-core.ts';
import { dictFind } from './structures/dict.ts';
import { dictValue } from './structures/dict-layout.ts';
import { ArenaExhausted } from './structures/heap.ts';
import { robjType } from './structures/robj.ts';

const UNBLOCKED = '-UNBLOCKED client unblocked via CLIENT UNBLOCK';
/** Size of the filter that most keys nobody waits for are recognised by. */
const FILTER_SLOTS = 256;

/** What a command does that waits for keys. One constant object for each such command. */
export interface BlockedOp {
  /** The type of value that it waits for: OBJ_LIST … */
  readonly type: number;
  /**
   * The key holds a value of that type: replies to the client if this is what it waits for.
   * @returns whether it replied (also with an error), which ends the wait
   */
  serve(core: RedisCore, c: Client, keyOff: number, keyLen: number, value: number): boolean;
  /** The key was signalled but holds no value of that type (any more). Left out: the client waits on. @returns whether it replied */
  lost?(core: RedisCore, c: Client, keyOff: number, keyLen: number): boolean;
  /** The time has run out: replies. */
  timedOut(core: RedisCore, c: Client): void;
}

/** Who waits, for what, and until when. One per core. */
export class BlockedClients {
  count = 0;
  /** Those of them that do not wait for ever. */
  timed = 0;
  /** No wait ends before this time (ms since the epoch). */
  earliestMs = Number.POSITIVE_INFINITY;
  /** Those of them that wait for keys. */
  onKeys = 0;
  /** Keys that are ready: serveReadyKeys has something to do. */
  ready = 0;
  /** Waiting clients by database and key (latin1), in the order of their coming. */
  private readonly waiting: Map<string, Set<Client>>[] = [];
  /** Number of waited-for keys by a few bits of their bytes. */
  private readonly filter = new Uint32Array(FILTER_SLOTS);
  private readyKeys: { db: Db; key: string }[] = [];
  private readonly isReady = new Set<string>();

  private inDb(db: Db): Map<string, Set<Client>> {
    while (this.waiting.length <= db.id) this.waiting.push(new Map());
    return this.waiting[db.id];
  }

  waitersOf(db: Db, key: string): Set<Client> | undefined {
    return this.inDb(db).get(key);
  }

  add(c: Client, key: string): void {
    const keys = this.inDb(c.db);
    let waiters = keys.get(key);
    if (waiters === undefined) {
      waiters = new Set();
      keys.set(key, waiters);
      this.filter[slotOf(key)]++;
    }
    waiters.add(c);
  }

  remove(c: Client, key: string): void {
    const keys = this.inDb(c.db);
    const waiters = keys.get(key);
    if (waiters === undefined) return;
    waiters.delete(c);
    if (waiters.size > 0) return;
    keys.delete(key);
    this.filter[slotOf(key)]--;
  }

  /** Notes that a key has come into being, or that its value has gone, if somebody waits for it. */
  signal(core: RedisCore, db: Db, offset: number, length: number): void {
    const u8 = core.heap.u8;
    const slot = length === 0 ? 0 : (length * 31 + u8[offset + length - 1] * 7 + u8[offset]) % FILTER_SLOTS;
    if (this.filter[slot] === 0) return;
    this.signalText(db, core.heap.latin1(offset, length));
  }

  private signalText(db: Db, key: string): void {
    if (this.waitersOf(db, key) === undefined) return;
    const id = `${db.id}:${key}`;
    if (this.isReady.has(id)) return;
    this.isReady.add(id);
    this.readyKeys.push({ db, key });
    this.ready++;
  }

  /** Notes every waited-for key of a database: its content has been exchanged or is about to go. */
  signalAll(db: Db): void {
    for (const key of this.inDb(db).keys()) this.signalText(db, key);
  }

  /** The keys that are ready now; those signalled from here on are another round's. */
  takeReady(): { db: Db; key: string }[] {
    const keys = this.readyKeys;
    this.readyKeys = [];
    this.isReady.clear();
    this.ready = 0;
    return keys;
  }
}

function slotOf(key: string): number {
  const length = key.length;
  return length === 0 ? 0 : (length * 31 + key.charCodeAt(length - 1) * 7 + key.charCodeAt(0)) % FILTER_SLOTS;
}

/**
 * Lets the client wait. To be called by its command, which then does not reply. The arguments stay readable.
 * @param untilMs since the epoch; 0: for ever
 * @throws ARENA_EXHAUSTED, nothing changed
 */
export function blockClient(core: RedisCore, c: Client, untilMs: number): void {
  c.keepArguments();
  const blocked = core.blocked;
  c.flags |= CLIENT_BLOCKED;
  c.blockedUntilMs = untilMs;
  blocked.count++;
  if (untilMs === 0) return;
  blocked.timed++;
  if (untilMs < blocked.earliestMs) blocked.earliestMs = untilMs;
}

/**
 * Lets the client wait for one of the keys that stand in its arguments from `firstArg` on. Where it may not wait (in a transaction or
 * script: CLIENT_DENY_BLOCKING) its command must answer at once instead of calling this.
 * @param untilMs as readTimeout gives it: ms since the epoch, 0 for ever
 * @param state what the operation keeps for this client: `c.blockedState`
 * @throws ARENA_EXHAUSTED, nothing changed
 */
export function blockForKeys(
  core: RedisCore,
  c: Client,
  firstArg: number,
  count: number,
  untilMs: number,
  op: BlockedOp,
  state: unknown = null,
): void {
  blockClient(core, c, untilMs);
  const blocked = core.blocked;
  c.blockedOp = op;
  c.blockedState = state;
  c.blockedFirstArg = firstArg;
  c.blockedKeys = [];
  for (let i = 0; i < count; i++) {
    const key = c.argText(firstArg + i);
    c.blockedKeys.push(key);
    blocked.add(c, key);
  }
  blocked.onKeys++;
}

/** Takes the client out of the count and lets go of its arguments: it goes on, or is gone. */
export function forgetBlocked(core: RedisCore, c: Client): void {
  if ((c.flags & CLIENT_BLOCKED) === 0) return;
  const blocked = core.blocked;
  c.flags &= ~CLIENT_BLOCKED;
  blocked.count--;
  if (c.blockedUntilMs !== 0) blocked.timed--;
  if (c.blockedOp !== null) {
    blocked.onKeys--;
    for (const key of c.blockedKeys) blocked.remove(c, key);
    c.blockedOp = null;
    c.blockedState = null;
    c.blockedKeys = [];
  }
  c.releaseArguments();
  c.argc = 0;
}

/** Lets a client whose command has been answered go on with what it has sent meanwhile. */
function unblockClient(core: RedisCore, c: Client): void {
  forgetBlocked(core, c);
  endOfCommand(core, c);
  // The end of a pause is what makes the loop hand over kept input again.
  core.transport.pause(c.conn);
  core.transport.resume(c.conn);
}

/** Answers that the time has run out: without keys it is WAIT, and no replica has confirmed anything. */
function replyTimedOut(core: RedisCore, c: Client): void {
  if (c.blockedOp === null) addReplyLong(c, 0);
  else c.blockedOp.timedOut(core, c);
}

/** Counts the end of a wait in the statistics of its command, which took so long beside the waiting itself. */
function countUnblocked(core: RedisCore, c: Client, replyUs: number, failed: boolean): void {
  const command = c.lastCommand;
  if (command === null) return;
  const durationUs = c.blockedCommandUs + replyUs;
  command.usec += durationUs;
  if (failed) command.failedCalls++;
  recordDuration(core, c, command, durationUs);
  core.latency.add('command-unblocking', replyUs);
}

/**
 * Ends a wait before its time, for CLIENT UNBLOCK. As in the original the waiting command counts as failed in either case, and the
 * error is also one of the command that runs now.
 * @param withError false: the client is answered as if its time had run out
 */
export function interruptBlocked(core: RedisCore, c: Client, withError: boolean): void {
  if (withError) addReplyError(c, UNBLOCKED);
  else replyTimedOut(core, c);
  countUnblocked(core, c, 0, true);
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
    if (c.blockedUntilMs < core.nowMs) {
      replyTimedOut(core, c);
      unblockClient(core, c);
    } else if (c.blockedUntilMs < blocked.earliestMs) {
      blocked.earliestMs = c.blockedUntilMs;
    }
  }
}

/** Hands out what the keys hold that have become ready. To be called after a command while `blocked.ready` is not 0. */
export function serveReadyKeys(core: RedisCore): void {
  const blocked = core.blocked;
  core.executing = true;
  while (blocked.ready > 0) {
    for (const { db, key } of blocked.takeReady()) {
      const waiters = blocked.waitersOf(db, key);
      if (waiters !== undefined) serveKey(core, db, key, waiters);
    }
  }
  core.executing = false;
}

/** Serves one client, who is told when there is no memory for it. @returns whether it replied */
function serveClient(
  core: RedisCore,
  c: Client,
  op: BlockedOp,
  offset: number,
  length: number,
  value: number,
): boolean {
  try {
    return op.serve(core, c, offset, length, value);
  } catch (error) {
    if (core.scratch.client !== null) core.scratch.release();
    if (!(error instanceof ArenaExhausted)) throw error;
    addReplyError(c, ARENA_ERROR);
    return true;
  }
}

function serveKey(core: RedisCore, db: Db, key: string, waiters: Set<Client>): void {
  const h = core.heap;
  let first = true;
  let value = 0;
  // The set shrinks as clients are served; its iterator copes with that.
  for (const c of waiters) {
    const op = c.blockedOp;
    if (op === null || (c.flags & CLIENT_CLOSE_ASAP) !== 0) continue;
    const arg = c.blockedFirstArg + c.blockedKeys.indexOf(key);
    const offset = c.argOff[arg];
    const length = c.argLen[arg];
    if (first) {
      value = lookupKey(core, db, offset, length, LOOKUP_NONOTIFY | LOOKUP_NOSTATS);
      first = false;
    } else {
      // Whoever was served before may have emptied the key.
      const entry = dictFind(h, db.dict, offset, length);
      value = entry === 0 ? 0 : dictValue(h, entry);
    }
    const fits = value !== 0 && robjType(h, value) === op.type;
    if (!fits && op.lost === undefined) continue;
    const startUs = core.clock.monoUs();
    const errors = core.stats.totalErrorReplies;
    // Whoever is served is the one who writes: it hears of its own changes after the reply.
    const present = core.currentClient;
    core.currentClient = c;
    const done = fits ? serveClient(core, c, op, offset, length, value) : op.lost!(core, c, offset, length);
    if (core.tracking.hasPending) core.tracking.sendPending();
    core.currentClient = present;
    // What one client got is a unit of its own.
    if (core.effects.ops > 0) core.effects.endUnit();
    if (!done) continue;
    countUnblocked(core, c, core.clock.monoUs() - startUs, core.stats.totalErrorReplies !== errors);
    unblockClient(core, c);
  }
}

export { readTimeout, timeoutUntilMs } from './blocked-timeout.ts';
