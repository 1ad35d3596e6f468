/** One connected client: identity, selected database, parser state, the arguments of its present command. */
import type { Transport } from '../ports.ts';
import type { AclUser } from './acl/user.ts';
import type { BlockedOp } from './blocked.ts';
import { ClientMemory } from './client-buffers.ts';
import type { Command } from './command.ts';
import type { Db } from './db.ts';
import type { RedisCore } from './redis-core.ts';
import { sdsFree } from './structures/sds.ts';
import type { QueuedCommands } from './transactions.ts';
import type { WatchedKey } from './watched-keys.ts';

/** Between MULTI and EXEC: commands are queued. */
export const CLIENT_MULTI = 1 << 0;
/** Waits inside a command: see blocked.ts. */
export const CLIENT_BLOCKED = 1 << 1;
/** A watched key has changed: EXEC will do nothing. */
export const CLIENT_DIRTY_CAS = 1 << 2;
/** A command could not be queued: EXEC will refuse. */
export const CLIENT_DIRTY_EXEC = 1 << 3;
/** The connection closes when its output has left; nothing more is executed or replied. */
export const CLIENT_CLOSE_AFTER_REPLY = 1 << 4;
/** The connection is being closed; nothing more is executed or replied. */
export const CLIENT_CLOSE_ASAP = 1 << 5;
/** Subscribed to at least one channel or pattern. */
export const CLIENT_PUBSUB = 1 << 7;
export const CLIENT_REPLY_OFF = 1 << 8;
/** Set by CLIENT REPLY SKIP: the next command turns it into CLIENT_REPLY_SKIP. */
export const CLIENT_REPLY_SKIP_NEXT = 1 << 9;
export const CLIENT_REPLY_SKIP = 1 << 10;
/** While set, replies leave in spite of REPLY_OFF and REPLY_SKIP: pushes do. */
export const CLIENT_PUSHING = 1 << 11;
export const CLIENT_NO_EVICT = 1 << 12;
export const CLIENT_MONITOR = 1 << 13;
export const CLIENT_TRACKING = 1 << 14;
/** Held back by CLIENT PAUSE; its command is kept unread. */
export const CLIENT_PAUSED = 1 << 15;
export const CLIENT_READONLY = 1 << 16;
/** Whoever set this asked to be disconnected as soon as the present command ends (e.g. a failed AUTH limit). */
export const CLIENT_CLOSE_AFTER_COMMAND = 1 << 17;
/** No command may block: inside EXEC and scripts. */
export const CLIENT_DENY_BLOCKING = 1 << 18;
/** No connection but the one that scripts call commands through. */
export const CLIENT_SCRIPT = 1 << 19;
/** How a client tracks: see tracking.ts. */
export const CLIENT_TRACKING_BCAST = 1 << 20;
export const CLIENT_TRACKING_OPTIN = 1 << 21;
export const CLIENT_TRACKING_OPTOUT = 1 << 22;
export const CLIENT_TRACKING_NOLOOP = 1 << 23;
/** CLIENT CACHING was given for the next command. */
export const CLIENT_TRACKING_CACHING = 1 << 24;
/** The client that messages were redirected to is gone. */
export const CLIENT_TRACKING_BROKEN = 1 << 25;

/** No reply may be stored with one of these. */
export const CLIENT_NO_REPLY_MASK = CLIENT_CLOSE_AFTER_REPLY | CLIENT_CLOSE_ASAP | CLIENT_REPLY_OFF | CLIENT_REPLY_SKIP;
/** No further command is executed with one of these. */
export const CLIENT_STOP_MASK = CLIENT_CLOSE_AFTER_REPLY | CLIENT_CLOSE_ASAP | CLIENT_BLOCKED | CLIENT_PAUSED;

/** Argument slots that a client keeps between commands; larger ones are given back. */
const KEPT_ARGUMENT_SLOTS = 1_024;
const FIRST_ARGUMENT_SLOTS = 8;

export class Client {
  readonly core: RedisCore;
  readonly conn: number;
  readonly transport: Transport;
  /** Nobody reads its replies. */
  readonly silent: boolean;
  /** Increases with every client of this server. */
  readonly id: number;
  /** The listener it came in by, -1 for a client without one. */
  readonly listener: number;
  flags = 0;
  /** Protocol version, 2 or 3. */
  resp = 2;
  db: Db;
  authenticated = false;
  /** Whose permissions it has; null: every one, without being a user (the server's own clients). */
  user: AclUser | null = null;
  /** Set by CLIENT SETNAME or HELLO; empty: none. */
  name = '';
  /** Peer and local address as the original prints them. */
  readonly addr: string;
  readonly laddr: string;
  /** Seconds since the epoch. */
  readonly ctime: number;
  /** Seconds since the epoch of the last command or subscription. */
  lastInteraction: number;
  /** The command that was asked for last, null before the first and after an unknown one. */
  lastCommand: Command | null = null;
  /** The command being executed; inside EXEC the queued one. */
  command: Command | null = null;
  /** Channels, patterns and shard channels, as latin1 strings; null: never subscribed. */
  channels: Set<string> | null = null;
  patterns: Set<string> | null = null;
  shardChannels: Set<string> | null = null;
  /** What has been queued since MULTI; null: never anything. */
  queued: QueuedCommands | null = null;
  /** Keys that it watches; null: never any. */
  watched: WatchedKey[] | null = null;
  /** While it tracks: the client that is told instead (its id, 0: none), and the prefixes it hears of, in the order of their bytes. */
  trackingRedirect = 0;
  trackingPrefixes: string[] | null = null;
  /** Arguments of the present command that logs must not show; null almost always. */
  private redacted: number[] | null = null;
  /** When the soft output limit was first exceeded, in seconds since the epoch; 0: not exceeded. */
  softLimitSince = 0;
  /** Most bytes that waited in the reply buffer lately (see client-memory.ts). */
  peakOutput = 0;

  /** What stands in the arena for its record and buffers. */
  readonly memory = new ClientMemory();
  /** Place among the clients by size while some may be evicted: see client-eviction.ts. */
  evictionBucket = -1;
  /** What was last put down to it. */
  countedBytes = 0;
  /** Whether its memory is to be counted again at the turn's end. */
  toBeCounted = false;

  /** Number of arguments of the present command, its name included. */
  argc = 0;
  /** Offsets of the arguments in memory.u8. */
  argOff: Uint32Array = new Uint32Array(FIRST_ARGUMENT_SLOTS);
  /** Lengths of the arguments. */
  argLen: Uint32Array = new Uint32Array(FIRST_ARGUMENT_SLOTS);

  // Parser state of an incomplete request (protocol/request.ts).
  /** 0: at the start of a request, 1: inline, 2: multibulk. */
  requestType = 0;
  /** Arguments still to come. */
  multibulkLeft = 0;
  /** Length of the argument being read, -1 before its header. */
  bulkLength = -1;
  /** How far the incomplete request has been parsed, relative to its first kept byte. */
  parsed = 0;
  /** Where the kept bytes lay when their argument offsets were written. */
  parseBase = 0;
  /** Arguments below this index lie in blocks of `owned`, not in the input buffer. */
  argFixed = 0;
  /** Blocks that hold arguments; freed after the command unless taken over. Empty almost always. */
  readonly owned: number[] = [];
  /** The sds that a direct read is filling, 0 for none; its capacity and what has been asked for. */
  bigSds = 0;
  bigRoom = 0;
  bigAsked = 0;
  /** Bytes of input that are being understood just now, its present request's among them; 0 outside. */
  inputBytes = 0;
  /** The argument that is an sds of its own because it was read directly (the last such one), -1: none. */
  bigArg = -1;
  /** Its sds, 0 once it has been taken over. */
  bigArgSds = 0;

  /** While it waits inside a command: until when, in ms since the epoch; 0: for ever. */
  blockedUntilMs = 0;
  /** Why it waits; null: not for keys. */
  blockedOp: BlockedOp | null = null;
  /** What the operation keeps for itself. */
  blockedState: unknown = null;
  /** The keys waited for, as latin1 strings, and where they stand in the arguments. */
  blockedKeys: string[] = [];
  blockedFirstArg = 0;
  /** How long its command took before it began to wait, in µs. */
  blockedCommandUs = 0;

  /** A complete command waits in the arguments for the end of CLIENT PAUSE. */
  pendingCommand = false;

  /** @param transport where replies go; a client without a connection (`conn` below 0) is silent unless it has one of its own */
  constructor(
    core: RedisCore,
    conn: number,
    listener: number,
    id: number,
    db: Db,
    transport: Transport = core.transport,
  ) {
    this.core = core;
    this.conn = conn;
    this.transport = transport;
    this.silent = conn < 0 && transport === core.transport;
    this.id = id;
    this.listener = listener;
    this.db = db;
    this.addr = conn < 0 ? '' : core.transport.peerName(conn);
    this.laddr = conn < 0 ? '' : core.transport.localName(conn);
    this.ctime = core.unixtime;
    this.lastInteraction = core.unixtime;
  }

  /** Makes room for at least `count` arguments, keeping those that are there. */
  growArguments(count: number): void {
    let size = this.argOff.length;
    while (size < count) size *= 2;
    const off = new Uint32Array(size);
    off.set(this.argOff);
    const len = new Uint32Array(size);
    len.set(this.argLen);
    this.argOff = off;
    this.argLen = len;
  }

  /** Gives back argument slots after an unusually long command. */
  trimArguments(): void {
    if (this.argOff.length > KEPT_ARGUMENT_SLOTS) {
      this.argOff = new Uint32Array(FIRST_ARGUMENT_SLOTS);
      this.argLen = new Uint32Array(FIRST_ARGUMENT_SLOTS);
    }
  }

  /** Frees the blocks that hold arguments and forgets a half-read one. */
  releaseArguments(): void {
    const heap = this.core.heap;
    for (let block = this.owned.pop(); block !== undefined; block = this.owned.pop()) heap.free(block);
    if (this.bigArgSds !== 0) sdsFree(heap, this.bigArgSds);
    if (this.bigSds !== 0) sdsFree(heap, this.bigSds);
    this.bigArgSds = 0;
    this.bigSds = 0;
    this.bigArg = -1;
    this.argFixed = 0;
  }

  /**
   * Moves the arguments that lie in the input buffer into a block of their own, where they stay until releaseArguments.
   * @throws ARENA_EXHAUSTED, nothing changed
   */
  keepArguments(): void {
    const heap = this.core.heap;
    let bytes = 0;
    for (let i = this.argFixed; i < this.argc; i++) bytes += this.argLen[i];
    if (this.argc > this.argFixed) {
      let to = heap.alloc(Math.max(bytes, 1));
      this.owned.push(to);
      for (let i = this.argFixed; i < this.argc; i++) {
        heap.copy(this.argOff[i], to, this.argLen[i]);
        this.argOff[i] = to;
        to += this.argLen[i];
      }
    }
    this.argFixed = this.argc;
  }

  /** Takes over the sds of argument `i` if it is one of its own. @returns its offset, or 0 */
  takeSds(i: number): number {
    // Monitors will read the argument when the command is done; what is taken over may have moved by then.
    if (i !== this.bigArg || this.core.monitors.length !== 0) return 0;
    const s = this.bigArgSds;
    this.bigArgSds = 0;
    this.bigArg = -1;
    return s;
  }

  /** Keeps an argument (a password) out of the slow log and from monitors. */
  redact(i: number): void {
    if (this.redacted === null) this.redacted = [];
    this.redacted.push(i);
  }

  isRedacted(i: number): boolean {
    return this.redacted?.includes(i) === true;
  }

  /** Ends what redact said: the command is over. */
  forgetRedacted(): void {
    if (this.redacted !== null) this.redacted = null;
  }

  /** An argument as a string, one char a byte. Not for hot paths. */
  argText(i: number): string {
    return this.core.heap.latin1(this.argOff[i], this.argLen[i]);
  }

  /** Whether argument `i` is this word (given in lower case), in any case. */
  argIs(i: number, word: string): boolean {
    const length = word.length;
    if (this.argLen[i] !== length) return false;
    const u8 = this.core.heap.u8;
    const at = this.argOff[i];
    for (let k = 0; k < length; k++) {
      let byte = u8[at + k];
      if (byte >= 65 && byte <= 90) byte += 32;
      if (byte !== word.charCodeAt(k)) return false;
    }
    return true;
  }
}
