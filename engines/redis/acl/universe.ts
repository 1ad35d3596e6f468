/**
 * What ACL rules are about: every command and subcommand of 7.0.15 with a number of its own, and the categories. Commands that this
 * engine does not execute are among them, so that a user's rules read and are described as by the original.
 */
import type { CommandFacts } from '../command-table/facts.ts';
import { commandFacts } from '../command-table/index.ts';

/** A command as rules see it. */
export interface AclCommand {
  /** Its place in a selector's bits. */
  readonly id: number;
  /** "get", "config|get". */
  readonly fullName: string;
  /** One bit for each category, by its place in ACL_CATEGORIES. */
  readonly categories: number;
  /** Whether it is a subcommand. */
  readonly isSub: boolean;
  readonly subcommands: readonly AclCommand[];
}

/** In the original's order, which decides between categories that describe a user equally well. */
export const ACL_CATEGORIES: readonly string[] = [
  'keyspace',
  'read',
  'write',
  'set',
  'sortedset',
  'list',
  'hash',
  'string',
  'bitmap',
  'hyperloglog',
  'geo',
  'stream',
  'pubsub',
  'admin',
  'fast',
  'slow',
  'blocking',
  'dangerous',
  'connection',
  'transaction',
  'scripting',
];

function categoryBits(words: string): number {
  let bits = 0;
  for (const word of words.split(' ')) {
    const at = ACL_CATEGORIES.indexOf(word.slice(1));
    if (at >= 0) bits |= 1 << at;
  }
  return bits;
}

const every: AclCommand[] = [];
const byName = new Map<string, AclCommand>();

function number(list: readonly CommandFacts[], isSub: boolean): AclCommand[] {
  return list.map((facts) => {
    const id = every.length;
    // The place is taken before the subcommands come: they have numbers of their own.
    every.push(null as never);
    const command: AclCommand = {
      id,
      fullName: facts.name,
      categories: categoryBits(facts.categories),
      isSub,
      subcommands: number(facts.subcommands ?? [], true),
    };
    every[id] = command;
    byName.set(facts.name, command);
    return command;
  });
}

/** Commands that are no subcommands. */
export const aclCommands: readonly AclCommand[] = number(commandFacts, false);
/** Commands and subcommands by their number. */
export const allAclCommands: readonly AclCommand[] = every;
/** The bit of a selector that only "+@all" sets: commands of later versions are allowed as well. */
export const FUTURE_COMMANDS = every.length;

/** @param name "get", "config|get", in any case; never a name that rename-command gave */
export function findAclCommand(name: string): AclCommand | null {
  return byName.get(name.toLowerCase()) ?? null;
}

/** @returns the bit of a category, 0 for an unknown one */
export function aclCategoryBit(name: string): number {
  const at = ACL_CATEGORIES.indexOf(name.toLowerCase());
  return at < 0 ? 0 : 1 << at;
}
