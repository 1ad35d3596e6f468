/** ACL: users and what they may do. */
import { isUserName } from '../acl/acl-file.ts';
import { ACL_DENIED_COMMAND, ACL_DENIED_KEY, ACL_OK, checkRequest, deniedArgument } from '../acl/check.ts';
import type { Selector } from '../acl/selector.ts';
import { disconnectSubscribers, disconnectUsers } from '../acl/sessions.ts';
import { loadAclFile, saveAclFile } from '../acl/store.ts';
import { ACL_CATEGORIES, aclCategoryBit, allAclCommands } from '../acl/universe.ts';
import { type AclUser, joinSelectorWords } from '../acl/user.ts';
import { adminOf } from '../admin.ts';
import type { Client } from '../client.ts';
import type { Command, CommandProc } from '../command.ts';
import {
  addReplyArrayLen,
  addReplyBulkString,
  addReplyDouble,
  addReplyError,
  addReplyLong,
  addReplyMapLen,
  addReplyNull,
  addReplyOk,
  addReplySetLen,
  addReplySubcommandSyntaxError,
  NOT_AN_INTEGER,
} from '../protocol/reply.ts';
import type { RedisCore } from '../redis-core.ts';
import { addHelp } from './help.ts';
import { integerArgument } from './integer-arguments.ts';

const NO_FILE =
  'This Redis instance is not configured to use an ACL file. You may want to specify users via the ACL SETUSER command and then ' +
  'issue a CONFIG REWRITE (assuming you have a Redis configuration file set) in order to store users in the Redis configuration.';
const GENPASS_DEFAULT_BITS = 256;
const GENPASS_MAX_BITS = 4_096;
const GENPASS_RANGE =
  'ACL GENPASS argument must be the number of bits for the output password, a positive number up to 4096';
const LOG_DEFAULT_ENTRIES = 10;

function setUser(core: RedisCore, c: Client): void {
  for (let i = 2; i < c.argc; i++) c.redact(i);
  const name = c.argText(2);
  if (!isUserName(name)) {
    addReplyError(c, "Usernames can't contain spaces or null characters");
    return;
  }
  const words: string[] = [];
  for (let i = 3; i < c.argc; i++) words.push(c.argText(i));
  const { rules, unmatched } = joinSelectorWords(words);
  if (unmatched !== null) {
    addReplyError(c, `Unmatched parenthesis in acl selector starting at '${unmatched}'.`);
    return;
  }
  const changed = core.acl.preview(name, rules);
  if ('reason' in changed) {
    addReplyError(c, `Error in ACL SETUSER modifier '${changed.rule}': ${changed.reason}`);
    return;
  }
  const present = core.acl.users.get(name);
  if (present !== undefined) disconnectSubscribers(core, present, changed, c);
  core.acl.put(changed);
  addReplyOk(c);
}

function delUser(core: RedisCore, c: Client): void {
  const { acl } = core;
  const names: string[] = [];
  for (let i = 2; i < c.argc; i++) names.push(c.argText(i));
  if (names.includes(acl.defaultUser.name)) {
    addReplyError(c, "The 'default' user cannot be removed");
    return;
  }
  const gone: AclUser[] = [];
  for (const name of names) {
    const user = acl.users.get(name);
    if (user === undefined) continue;
    acl.users.delete(name);
    gone.push(user);
  }
  disconnectUsers(core, gone, c);
  addReplyLong(c, gone.length);
}

function addSelector(c: Client, selector: Selector): void {
  addReplyBulkString(c, 'commands');
  addReplyBulkString(c, selector.describeCommands());
  addReplyBulkString(c, 'keys');
  addReplyBulkString(c, selector.describeKeys());
  addReplyBulkString(c, 'channels');
  addReplyBulkString(c, selector.describeChannels());
}

function getUser(core: RedisCore, c: Client): void {
  const user = core.acl.users.get(c.argText(2));
  if (user === undefined) {
    addReplyNull(c);
    return;
  }
  addReplyMapLen(c, 6);
  const flags = user.flagWords();
  addReplyBulkString(c, 'flags');
  addReplySetLen(c, flags.length);
  for (const word of flags) addReplyBulkString(c, word);
  addReplyBulkString(c, 'passwords');
  addReplyArrayLen(c, user.passwords.length);
  for (const hash of user.passwords) addReplyBulkString(c, hash);
  addSelector(c, user.root);
  addReplyBulkString(c, 'selectors');
  addReplyArrayLen(c, user.selectors.length - 1);
  for (const selector of user.selectors.slice(1)) {
    addReplyMapLen(c, 3);
    addSelector(c, selector);
  }
}

function addList(c: Client, texts: readonly string[]): void {
  addReplyArrayLen(c, texts.length);
  for (const text of texts) addReplyBulkString(c, text);
}

function cat(_core: RedisCore, c: Client): void {
  if (c.argc > 3) {
    addReplySubcommandSyntaxError(c);
  } else if (c.argc === 2) {
    addList(c, ACL_CATEGORIES);
  } else {
    const bit = aclCategoryBit(c.argText(2));
    if (bit === 0) {
      addReplyError(c, `Unknown category '${c.argText(2)}'`);
      return;
    }
    const found = allAclCommands.filter((command) => (command.categories & bit) !== 0);
    addList(
      c,
      found.map((command) => command.fullName),
    );
  }
}

function load(core: RedisCore, c: Client): void {
  if (core.config.aclfile === '' || core.disk === null) {
    addReplyError(c, NO_FILE);
    return;
  }
  const error = loadAclFile(core, c);
  if (error === null) addReplyOk(c);
  else addReplyError(c, error);
}

function save(core: RedisCore, c: Client): void {
  if (core.config.aclfile === '' || core.disk === null) {
    addReplyError(c, NO_FILE);
    return;
  }
  const error = saveAclFile(core);
  if (error === null) addReplyOk(c);
  else addReplyError(c, error);
}

/** Hexadecimal digits with as many random bits as asked for. */
function genPass(core: RedisCore, c: Client): void {
  let bits = GENPASS_DEFAULT_BITS;
  if (c.argc > 3) {
    addReplySubcommandSyntaxError(c);
    return;
  }
  if (c.argc === 3) {
    const given = integerArgument(c, 2);
    if (given === null) {
      addReplyError(c, NOT_AN_INTEGER);
      return;
    }
    if (given <= 0 || given > GENPASS_MAX_BITS) {
      addReplyError(c, GENPASS_RANGE);
      return;
    }
    bits = given;
  }
  addReplyBulkString(c, adminOf(core).host.secretHex(Math.ceil(bits / 4)));
}

function showLog(core: RedisCore, c: Client): void {
  const { log } = core.acl;
  if (c.argc > 3) {
    addReplySubcommandSyntaxError(c);
    return;
  }
  let count = LOG_DEFAULT_ENTRIES;
  if (c.argc === 3) {
    if (c.argIs(2, 'reset')) {
      log.clear();
      addReplyOk(c);
      return;
    }
    const given = integerArgument(c, 2);
    if (given === null) {
      addReplyError(c, NOT_AN_INTEGER);
      return;
    }
    count = Math.max(0, given);
  }
  const shown = log.entries.slice(0, count);
  addReplyArrayLen(c, shown.length);
  for (const entry of shown) {
    addReplyMapLen(c, 7);
    addReplyBulkString(c, 'count');
    addReplyLong(c, entry.count);
    for (const name of ['reason', 'context', 'object', 'username'] as const) {
      addReplyBulkString(c, name);
      addReplyBulkString(c, entry[name]);
    }
    addReplyBulkString(c, 'age-seconds');
    const age = (core.nowMs - entry.timeMs) / 1000;
    addReplyDouble(c, age, seventeenDigits(age));
    addReplyBulkString(c, 'client-info');
    addReplyBulkString(c, entry.client);
  }
}

/** C's "%.17g" for numbers that need no exponent. */
function seventeenDigits(value: number): string {
  const text = value.toPrecision(17);
  return text.includes('.') ? text.replace(/\.?0+$/, '') : text;
}

/** The command that DRYRUN's arguments name, from its third on. */
function describedCommand(core: RedisCore, c: Client): Command | null {
  const u8 = core.heap.u8;
  const command = core.commands.find(u8, c.argOff[3]!, c.argLen[3]!);
  if (command === null || command.subcommands === null || c.argc === 4) return command;
  return command.subcommands.find(u8, c.argOff[4]!, c.argLen[4]!);
}

function dryRun(core: RedisCore, c: Client): void {
  const user = core.acl.users.get(c.argText(2));
  if (user === undefined) {
    addReplyError(c, `User '${c.argText(2)}' not found`);
    return;
  }
  const command = describedCommand(core, c);
  if (command === null) {
    addReplyError(c, `Command '${c.argText(3)}' not found`);
    return;
  }
  const argc = c.argc - 3;
  if (command.arity >= 0 ? command.arity !== argc : argc < -command.arity) {
    addReplyError(c, `wrong number of arguments for '${command.fullName}' command`);
    return;
  }
  const denied = checkRequest(user, c, command, 3, argc);
  if (denied === ACL_OK) {
    addReplyOk(c);
    return;
  }
  // An allowed dry run and a refused one are both good answers: the refusal is no error.
  if (denied === ACL_DENIED_COMMAND) {
    addReplyBulkString(c, `This user has no permissions to run the '${command.fullName}' command`);
    return;
  }
  const what = denied === ACL_DENIED_KEY ? 'key' : 'channel';
  addReplyBulkString(c, `This user has no permissions to access the '${c.argText(3 + deniedArgument)}' ${what}`);
}

export const aclProcs: Readonly<Record<string, CommandProc>> = {
  'acl|setuser': setUser,
  'acl|deluser': delUser,
  'acl|getuser': getUser,
  'acl|list': (core, c) => addList(c, core.acl.lines()),
  'acl|users': (core, c) =>
    addList(
      c,
      core.acl.sorted().map((user) => user.name),
    ),
  'acl|whoami': (_core, c) => {
    if (c.user === null) addReplyNull(c);
    else addReplyBulkString(c, c.user.name);
  },
  'acl|cat': cat,
  'acl|load': load,
  'acl|save': save,
  'acl|genpass': genPass,
  'acl|log': showLog,
  'acl|dryrun': dryRun,
  'acl|help': addHelp([
    'CAT [<category>]',
    '    List the categories, or the commands of one of them.',
    'DELUSER <username> [<username> ...]',
    '    Remove users and disconnect them.',
    'DRYRUN <username> <command> [<arg> ...]',
    '    Tell whether a user may run a command, without running it.',
    'GENPASS [<bits>]',
    '    Make up a password of 256 or so many random bits.',
    'GETUSER <username>',
    '    Show a user in parts.',
    'LIST',
    '    Show all users as lines of a configuration.',
    'LOAD',
    '    Replace the users by those of the ACL file.',
    'LOG [<count> | RESET]',
    '    Show or forget what was refused lately.',
    'SAVE',
    '    Write the users to the ACL file.',
    'SETUSER <username> <attribute> [<attribute> ...]',
    '    Make or change a user.',
    'USERS',
    '    List the names of the users.',
    'WHOAMI',
    '    Tell who this connection is.',
  ]),
};
