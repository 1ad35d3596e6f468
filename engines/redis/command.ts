/** Commands as data joined with their procedures, and the table that finds one by the bytes of its name. */
import { findAclCommand } from './acl/universe.ts';
import type { Client } from './client.ts';
import type { CommandFacts } from './command-table/facts.ts';
import { keyFlags } from './key-specs.ts';
import type { LatencyHistogram } from './latency-histogram.ts';
import type { RedisCore } from './redis-core.ts';

export const CMD_WRITE = 1 << 0;
export const CMD_READONLY = 1 << 1;
export const CMD_DENYOOM = 1 << 2;
export const CMD_ADMIN = 1 << 3;
export const CMD_PUBSUB = 1 << 4;
export const CMD_NOSCRIPT = 1 << 5;
export const CMD_BLOCKING = 1 << 6;
export const CMD_LOADING = 1 << 7;
export const CMD_STALE = 1 << 8;
export const CMD_SKIP_MONITOR = 1 << 9;
export const CMD_SKIP_SLOWLOG = 1 << 10;
export const CMD_ASKING = 1 << 11;
export const CMD_FAST = 1 << 12;
export const CMD_NO_AUTH = 1 << 13;
export const CMD_MAY_REPLICATE = 1 << 14;
export const CMD_NO_MANDATORY_KEYS = 1 << 15;
export const CMD_PROTECTED = 1 << 16;
export const CMD_NO_ASYNC_LOADING = 1 << 17;
export const CMD_NO_MULTI = 1 << 18;
export const CMD_MOVABLE_KEYS = 1 << 19;
export const CMD_ALLOW_BUSY = 1 << 20;

/** Executes a command: reads its arguments from the client, replies to it. */
export type CommandProc = (core: RedisCore, c: Client) => void;

/** A command that can be called, with its counters. One shape for all, so that the dispatch stays monomorphic. */
export class Command {
  readonly facts: CommandFacts;
  readonly name: string;
  /** "set", "config|get". */
  readonly fullName: string;
  readonly arity: number;
  readonly flags: number;
  readonly proc: CommandProc;
  readonly parent: Command | null;
  /** What it runs is a script, which may say itself whether it writes. */
  readonly runsScript: boolean;
  /** It may begin a snapshot, and can wait until memory is ready for that. */
  readonly beginsSnapshot: boolean;
  /** Its place in the bits of ACL selectors; -1: no rule can allow it. */
  readonly aclId: number;
  /** The flags of each of its key specifications, as bits. */
  readonly keySpecFlags: readonly number[];
  /** Null where there are none. */
  subcommands: CommandTable | null = null;
  calls = 0;
  /** Microseconds in all calls (a fraction is kept). */
  usec = 0;
  rejectedCalls = 0;
  failedCalls = 0;
  /** Made at the first call (as in the original, where it counts as used memory). */
  histogram: LatencyHistogram | null = null;

  constructor(facts: CommandFacts, proc: CommandProc, parent: Command | null) {
    this.facts = facts;
    this.fullName = facts.name;
    this.name = facts.name.slice(facts.name.indexOf('|') + 1);
    this.arity = facts.arity;
    this.flags =
      flagBits(facts.flags) |
      (PROTECTED_COMMANDS.includes(facts.name) ? CMD_PROTECTED : 0) |
      (MAY_REPLICATE_COMMANDS.includes(facts.name) ? CMD_MAY_REPLICATE : 0);
    this.proc = proc;
    this.parent = parent;
    this.runsScript = SCRIPT_COMMANDS.includes(facts.name);
    this.beginsSnapshot = SNAPSHOT_COMMANDS.includes(facts.name);
    this.aclId = findAclCommand(facts.name)?.id ?? -1;
    this.keySpecFlags = (facts.keySpecs ?? []).map(keyFlags);
  }
}

const SNAPSHOT_COMMANDS = ['bgsave', 'bgrewriteaof'];
const SCRIPT_COMMANDS = ['eval', 'evalsha', 'eval_ro', 'evalsha_ro', 'fcall', 'fcall_ro'];

const FLAG_BITS: Readonly<Record<string, number>> = {
  write: CMD_WRITE,
  readonly: CMD_READONLY,
  denyoom: CMD_DENYOOM,
  admin: CMD_ADMIN,
  pubsub: CMD_PUBSUB,
  noscript: CMD_NOSCRIPT,
  blocking: CMD_BLOCKING,
  loading: CMD_LOADING,
  stale: CMD_STALE,
  skip_monitor: CMD_SKIP_MONITOR,
  skip_slowlog: CMD_SKIP_SLOWLOG,
  asking: CMD_ASKING,
  fast: CMD_FAST,
  no_auth: CMD_NO_AUTH,
  may_replicate: CMD_MAY_REPLICATE,
  no_mandatory_keys: CMD_NO_MANDATORY_KEYS,
  no_async_loading: CMD_NO_ASYNC_LOADING,
  no_multi: CMD_NO_MULTI,
  movablekeys: CMD_MOVABLE_KEYS,
  allow_busy: CMD_ALLOW_BUSY,
};

/** Commands that enable-debug-command and enable-module-command guard; COMMAND INFO does not show this flag. */
const PROTECTED_COMMANDS = ['debug', 'module|load', 'module|loadex', 'module|unload'];
/** Commands that are no writes but may have effects elsewhere: a pause of writers holds them back. COMMAND INFO does not show it. */
const MAY_REPLICATE_COMMANDS = ['publish', 'spublish', 'pfcount', 'eval', 'evalsha', 'fcall'];

function flagBits(words: string): number {
  let bits = 0;
  for (const word of words.split(' ')) bits |= FLAG_BITS[word] ?? 0;
  return bits;
}

const MIN_SLOTS = 8;
/** Clears the bit that tells the cases of letters apart in four characters. */
const CASE_MASK = ~0x20202020;

/** The first four bytes of a name of at least three; of three bytes those. */
function headWord(u8: Uint8Array, offset: number, length: number): number {
  const word = u8[offset] | (u8[offset + 1] << 8) | (u8[offset + 2] << 16);
  return length === 3 ? word : word | (u8[offset + 3] << 24);
}

/** The last four bytes, of which names shorter than eight share some with the first four. */
function tailWord(u8: Uint8Array, offset: number, length: number): number {
  if (length < 5) return 0;
  const at = offset + length - 4;
  return u8[at] | (u8[at + 1] << 8) | (u8[at + 2] << 16) | (u8[at + 3] << 24);
}

function mixWords(head: number, tail: number, length: number): number {
  // Folding the case by clearing a bit also folds a few other bytes, which only costs a comparison.
  const h = Math.imul((head & CASE_MASK) ^ Math.imul(tail & CASE_MASK, 0x01000193) ^ length, 0x9e3779b1);
  return h ^ (h >>> 15);
}

function hashName(u8: Uint8Array, offset: number, length: number): number {
  if (length >= 3) return mixWords(headWord(u8, offset, length), tailWord(u8, offset, length), length);
  return length === 0 ? 0 : (u8[offset] & ~0x20) + length;
}

/** Commands by name, case-insensitive. Open addressing over a table at most a quarter full. */
export class CommandTable {
  readonly all: readonly Command[];
  private readonly slots: Int32Array;
  private readonly mask: number;
  private readonly names: readonly Uint8Array[];
  /** Heads and tails of the names in lower and in upper case: by index, 4 words each. */
  private readonly words: Int32Array;

  /** @param lookupNames the names to find them by, where these are not their own (rename-command) */
  constructor(commands: readonly Command[], lookupNames: readonly string[] = commands.map((command) => command.name)) {
    this.all = commands;
    let size = MIN_SLOTS;
    while (size < commands.length * 4) size *= 2;
    this.mask = size - 1;
    this.slots = new Int32Array(size).fill(-1);
    this.names = lookupNames.map(bytesOf);
    this.words = new Int32Array(commands.length * 4);
    for (let i = 0; i < commands.length; i++) {
      const name = this.names[i];
      const length = name.length;
      if (length >= 3) {
        const upper = bytesOf(lookupNames[i].toUpperCase());
        this.words[i * 4] = headWord(name, 0, length);
        this.words[i * 4 + 1] = tailWord(name, 0, length);
        this.words[i * 4 + 2] = headWord(upper, 0, length);
        this.words[i * 4 + 3] = tailWord(upper, 0, length);
      }
      let at = hashName(name, 0, length) & this.mask;
      while (this.slots[at] >= 0) at = (at + 1) & this.mask;
      this.slots[at] = i;
    }
  }

  /** @returns the command whose name is the `length` bytes at `offset` in any case, or null */
  find(u8: Uint8Array, offset: number, length: number): Command | null {
    // Up to eight bytes, all in one case: head and tail are the whole name.
    if (length >= 3 && length <= 8) {
      const head = headWord(u8, offset, length);
      const tail = tailWord(u8, offset, length);
      const i = this.slots[mixWords(head, tail, length) & this.mask];
      if (i < 0) return null;
      const words = this.words;
      const w = i * 4;
      if (
        this.names[i].length === length &&
        ((words[w] === head && words[w + 1] === tail) || (words[w + 2] === head && words[w + 3] === tail))
      ) {
        return this.all[i];
      }
    }
    return this.search(u8, offset, length);
  }

  private search(u8: Uint8Array, offset: number, length: number): Command | null {
    let at = hashName(u8, offset, length) & this.mask;
    for (;;) {
      const i = this.slots[at];
      if (i < 0) return null;
      const name = this.names[i];
      if (name.length === length) {
        let k = 0;
        while (k < length) {
          let byte = u8[offset + k];
          if (byte >= 65 && byte <= 90) byte += 32;
          if (byte !== name[k]) break;
          k++;
        }
        if (k === length) return this.all[i];
      }
      at = (at + 1) & this.mask;
    }
  }

  /** By a full name such as "set" or "config|get". For tools and tests. */
  byName(fullName: string): Command | null {
    const [first, rest, more] = fullName.toLowerCase().split('|', 3);
    if (more !== undefined) return null;
    const command = this.all.find((one) => one.name === first) ?? null;
    if (rest === undefined || command === null) return command;
    return command.subcommands?.byName(rest) ?? null;
  }
}

/**
 * Joins the facts of commands with procedures.
 * @param procs by full name ("set", "config|get"). A command exists once it has a procedure, or subcommands with one.
 * @param renames new names by old ones, in lower case; empty: the command cannot be called. It keeps its own name in reports.
 */
export function joinCommands(
  facts: readonly CommandFacts[],
  procs: Readonly<Record<string, CommandProc>>,
  renames: ReadonlyMap<string, string> = new Map(),
): CommandTable {
  const commands = joinLevel(facts, procs, null).filter((command) => renames.get(command.name) !== '');
  return new CommandTable(
    commands,
    commands.map((command) => (renames.get(command.name) ?? command.name).toLowerCase()),
  );
}

function joinLevel(
  facts: readonly CommandFacts[],
  procs: Readonly<Record<string, CommandProc>>,
  parent: Command | null,
): Command[] {
  const commands: Command[] = [];
  for (const one of facts) {
    const command = new Command(one, procs[one.name] ?? NO_PROC, parent);
    const subcommands = one.subcommands ? joinLevel(one.subcommands, procs, command) : [];
    if (subcommands.length > 0) command.subcommands = new CommandTable(subcommands);
    if (command.proc !== NO_PROC || subcommands.length > 0) commands.push(command);
  }
  return commands;
}

/** The procedure of a container command that cannot be called by itself (its arity says so). */
const NO_PROC: CommandProc = () => {};

function bytesOf(name: string): Uint8Array {
  return Uint8Array.from(name, (char) => char.charCodeAt(0));
}
