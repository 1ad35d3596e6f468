/**
 * May this client's user run this request? Called only for users with restrictions (`AclUser.unrestricted` spares the rest); hands out
 * the error replies of its three callers: a command, one inside EXEC, one inside a script.
 */
import { CLIENT_MULTI, type Client } from '../client.ts';
import { clientInfo } from '../client-info.ts';
import { CMD_NO_AUTH, CMD_PUBSUB, type Command } from '../command.ts';
import { globMatchesBytes } from '../glob.ts';
import {
  findKeys,
  KEY_ACCESS,
  KEY_DELETE,
  KEY_INSERT,
  KEY_UPDATE,
  keyCount,
  keyFlagBits,
  keyIndexes,
} from '../key-specs.ts';
import type { RedisCore } from '../redis-core.ts';
import type { AclLogContext, AclLogReason } from './acl-log.ts';
import { type ChannelPattern, KEY_READ, KEY_WRITE, type Selector } from './selector.ts';
import type { AclUser } from './user.ts';

export const ACL_OK = 0;
export const ACL_DENIED_COMMAND = 1;
export const ACL_DENIED_KEY = 2;
/** Between them the original has the refused login, which is no outcome of a check: the order decides which error is told. */
export const ACL_DENIED_CHANNEL = 4;

/** Argument of the last refused check, relative to the command's name. */
export let deniedArgument = 0;

const CHANNELS_FROM_FIRST = 1;
const CHANNELS_FIRST_ONLY = 2;
const CHANNEL_PATTERNS = 3;

/** Commands with channels among their arguments that need a permission. */
const channelCommands = new Map<string, number>([
  ['subscribe', CHANNELS_FROM_FIRST],
  ['ssubscribe', CHANNELS_FROM_FIRST],
  ['psubscribe', CHANNEL_PATTERNS],
  ['publish', CHANNELS_FIRST_ONLY],
  ['spublish', CHANNELS_FIRST_ONLY],
]);

/** Whether a channel may be used; a pattern that is subscribed to must be among the permissions literally. */
export function channelAllowed(
  channels: readonly ChannelPattern[],
  u8: Uint8Array,
  offset: number,
  length: number,
  literally: boolean,
): boolean {
  for (const { bytes } of channels) {
    if (literally ? sameBytes(bytes, u8, offset, length) : globMatchesBytes(bytes, u8, offset, length)) return true;
  }
  return false;
}

function sameBytes(wanted: Uint8Array, u8: Uint8Array, offset: number, length: number): boolean {
  if (wanted.length !== length) return false;
  for (let i = 0; i < length; i++) if (wanted[i] !== u8[offset + i]) return false;
  return true;
}

/** What a key's flags ask of a key pattern. */
function neededAccess(flags: number): number {
  let needed = 0;
  if ((flags & KEY_ACCESS) !== 0) needed |= KEY_READ;
  if ((flags & (KEY_INSERT | KEY_DELETE | KEY_UPDATE)) !== 0) needed |= KEY_WRITE;
  return needed;
}

function keyAllowed(selector: Selector, u8: Uint8Array, offset: number, length: number, needed: number): boolean {
  for (const pattern of selector.keys) {
    if ((pattern.access & needed) === needed && globMatchesBytes(pattern.bytes, u8, offset, length)) return true;
  }
  return false;
}

function commandAllowed(selector: Selector, c: Client, command: Command, first: number, argc: number): boolean {
  if (selector.allCommands || (command.flags & CMD_NO_AUTH) !== 0) return true;
  if (command.aclId < 0) return false;
  if (selector.allowed[command.aclId] === 1) return true;
  const words = selector.firstArguments.get(command.aclId);
  if (words === undefined || argc < 2) return false;
  const given = c.argText(first + (command.parent === null ? 1 : 2)).toLowerCase();
  return words.some((word) => word.toLowerCase() === given);
}

/** Checks one selector; `deniedArgument` is set when a key or channel is refused. */
function checkSelector(selector: Selector, c: Client, command: Command, first: number, argc: number): number {
  if (!commandAllowed(selector, c, command, first, argc)) return ACL_DENIED_COMMAND;
  const u8 = c.core.heap.u8;
  if (!selector.allKeys && command.facts.keySpecs !== undefined) {
    findKeys(c, command, first, argc);
    for (let i = 0; i < keyCount; i++) {
      const at = first + keyIndexes[i]!;
      if (keyAllowed(selector, u8, c.argOff[at]!, c.argLen[at]!, neededAccess(keyFlagBits[i]!))) continue;
      deniedArgument = keyIndexes[i]!;
      return ACL_DENIED_KEY;
    }
  }
  if (!selector.allChannels && (command.flags & CMD_PUBSUB) !== 0) {
    const kind = channelCommands.get(command.fullName);
    if (kind === undefined) return ACL_OK;
    const end = kind === CHANNELS_FIRST_ONLY ? 2 : argc;
    for (let i = 1; i < end; i++) {
      const at = first + i;
      if (channelAllowed(selector.channels, u8, c.argOff[at]!, c.argLen[at]!, kind === CHANNEL_PATTERNS)) continue;
      deniedArgument = i;
      return ACL_DENIED_CHANNEL;
    }
  }
  return ACL_OK;
}

/**
 * @param first argument of the client that is the command's name (DRYRUN describes a request behind its own words)
 * @returns ACL_OK or what is refused; then `deniedArgument` says which argument
 */
export function checkRequest(user: AclUser, c: Client, command: Command, first: number, argc: number): number {
  deniedArgument = 0;
  if (user.unrestricted) return ACL_OK;
  // Of several selectors' refusals the one is told that got furthest.
  let worst = ACL_DENIED_COMMAND;
  let argument = 0;
  for (const selector of user.selectors) {
    deniedArgument = 0;
    const result = checkSelector(selector, c, command, first, argc);
    if (result === ACL_OK) return ACL_OK;
    if (result > worst || (result === worst && deniedArgument > argument)) {
      worst = result;
      argument = deniedArgument;
    }
  }
  deniedArgument = argument;
  return worst;
}

/**
 * Whether a user may run a command on keys that nobody can name beforehand (SORT with BY or GET): some selector must allow the command
 * and every key.
 * @param access KEY_READ, KEY_WRITE or both
 */
export function allKeysAllowed(c: Client, command: Command, access: number): boolean {
  const user = c.user;
  if (user === null || user.unrestricted) return true;
  return user.selectors.some(
    (selector) =>
      checkSelector(selector, c, command, 0, c.argc) === ACL_OK &&
      (selector.allKeys ||
        selector.keys.some((pattern) => pattern.text === '*' && (pattern.access & access) === access)),
  );
}

const reasons: Readonly<Record<number, AclLogReason>> = {
  [ACL_DENIED_COMMAND]: 'command',
  [ACL_DENIED_KEY]: 'key',
  [ACL_DENIED_CHANNEL]: 'channel',
};

/** Remembers a refusal for ACL LOG. `about` is the client to describe, for a script the one that called it. */
function remember(
  core: RedisCore,
  c: Client,
  about: Client,
  command: Command,
  denied: number,
  context: AclLogContext,
): void {
  addToAclLog(
    core,
    about,
    reasons[denied]!,
    context,
    denied === ACL_DENIED_COMMAND ? command.fullName : c.argText(deniedArgument),
    c.user!.name,
  );
}

export function addToAclLog(
  core: RedisCore,
  about: Client,
  reason: AclLogReason,
  context: AclLogContext,
  object: string,
  username: string,
): void {
  core.acl.log.add(
    { count: 1, reason, context, object, username, timeMs: core.nowMs, client: clientInfo(core, about) },
    core.config.acllogMaxLen,
  );
}

const toplevelTexts: Readonly<Record<number, string>> = {
  [ACL_DENIED_KEY]: '-NOPERM this user has no permissions to access one of the keys used as arguments',
  [ACL_DENIED_CHANNEL]: '-NOPERM this user has no permissions to access one of the channels used as arguments',
};

/** For a request of a client, also while MULTI queues. @returns null or the error reply; ACL LOG has it then */
export function permissionError(core: RedisCore, c: Client, command: Command): string | null {
  const user = c.user;
  if (user === null || user.unrestricted) return null;
  const denied = checkRequest(user, c, command, 0, c.argc);
  if (denied === ACL_OK) return null;
  remember(core, c, c, command, denied, (c.flags & CLIENT_MULTI) !== 0 ? 'multi' : 'toplevel');
  return toplevelTexts[denied] ?? `-NOPERM this user has no permissions to run the '${command.fullName}' command`;
}

const execTexts: Readonly<Record<number, string>> = {
  [ACL_DENIED_COMMAND]: 'no permission to execute the command or subcommand',
  [ACL_DENIED_KEY]: 'no permission to touch the specified keys',
  [ACL_DENIED_CHANNEL]: 'no permission to access one of the channels used as arguments',
};

/** For a queued command when EXEC comes to it: permissions may have changed since. @returns null or the error reply */
export function execPermissionError(core: RedisCore, c: Client, command: Command): string | null {
  const user = c.user;
  if (user === null || user.unrestricted) return null;
  const denied = checkRequest(user, c, command, 0, c.argc);
  if (denied === ACL_OK) return null;
  remember(core, c, c, command, denied, 'multi');
  return (
    '-NOPERM ACLs rules changed between the moment the transaction was accumulated and the EXEC call. ' +
    `This command is no longer allowed for the following reason: ${execTexts[denied]}`
  );
}

const scriptTexts: Readonly<Record<number, string>> = {
  [ACL_DENIED_COMMAND]: "The user executing the script can't run this command or subcommand",
  [ACL_DENIED_KEY]:
    "The user executing the script can't access at least one of the keys mentioned in the command arguments",
  [ACL_DENIED_CHANNEL]: "The user executing the script can't publish to the channel mentioned in the command",
};

/**
 * For a command that a script calls.
 * @param c the script's client with the command's arguments; its `user` is the caller's
 * @param caller who runs the script, as ACL LOG shows it
 * @returns null or the text of the error
 */
export function scriptPermissionError(core: RedisCore, c: Client, caller: Client, command: Command): string | null {
  const user = c.user;
  if (user === null || user.unrestricted) return null;
  const denied = checkRequest(user, c, command, 0, c.argc);
  if (denied === ACL_OK) return null;
  remember(core, c, caller, command, denied, 'lua');
  return scriptTexts[denied]!;
}
