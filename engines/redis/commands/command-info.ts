/** COMMAND: the command table as data for clients. */
import type { Client } from '../client.ts';
import { CMD_NO_MANDATORY_KEYS, type Command, type CommandProc, type CommandTable } from '../command.ts';
import type { ArgumentFacts, CommandFacts, KeySpecFacts } from '../command-table/facts.ts';
import { globMatchesText } from '../glob.ts';
import {
  findKeys,
  hasKeys,
  KEY_INCOMPLETE,
  KEY_VARIABLE,
  keyCount,
  keyFlagBits,
  keyFlagWords,
  keyIndexes,
} from '../key-specs.ts';
import {
  addReplyArrayLen,
  addReplyBulk,
  addReplyBulkString,
  addReplyError,
  addReplyLong,
  addReplyMapLen,
  addReplyNullArray,
  addReplySetLen,
  addReplyStatus,
  SYNTAX_ERROR,
} from '../protocol/reply.ts';
import type { RedisCore } from '../redis-core.ts';
import { addHelp } from './help.ts';

const split = (words: string | undefined): string[] => (words === undefined || words === '' ? [] : words.split(' '));

function addStatusSet(c: Client, words: readonly string[]): void {
  addReplySetLen(c, words.length);
  for (const word of words) addReplyStatus(c, word);
}

function addPair(c: Client, name: string, value: string): void {
  addReplyBulkString(c, name);
  addReplyBulkString(c, value);
}

function addCount(c: Client, name: string, value: number): void {
  addReplyBulkString(c, name);
  addReplyLong(c, value);
}

/** The head of one half of a key specification. */
function addHalf(c: Client, half: string, type: string, pairs: number): void {
  addReplyBulkString(c, half);
  addReplyMapLen(c, 2);
  addPair(c, 'type', type);
  addReplyBulkString(c, 'spec');
  addReplyMapLen(c, pairs);
}

function addKeySpec(c: Client, spec: KeySpecFacts): void {
  addReplyMapLen(c, spec.notes === undefined ? 3 : 4);
  if (spec.notes !== undefined) addPair(c, 'notes', spec.notes);
  addReplyBulkString(c, 'flags');
  addStatusSet(c, split(spec.flags));
  if (spec.keyword !== undefined) {
    addHalf(c, 'begin_search', 'keyword', 2);
    addPair(c, 'keyword', spec.keyword[0]);
    addCount(c, 'startfrom', spec.keyword[1]);
  } else if (spec.index !== 0) {
    addHalf(c, 'begin_search', 'index', 1);
    addCount(c, 'index', spec.index);
  } else {
    addHalf(c, 'begin_search', 'unknown', 0);
  }
  if (spec.keynum !== undefined) {
    addHalf(c, 'find_keys', 'keynum', 3);
    addCount(c, 'keynumidx', spec.keynum[0]);
    addCount(c, 'firstkey', spec.keynum[1]);
    addCount(c, 'keystep', spec.keynum[2]);
  } else if (spec.range !== undefined && (spec.index !== 0 || spec.keyword !== undefined)) {
    addHalf(c, 'find_keys', 'range', 3);
    addCount(c, 'lastkey', spec.range[0]);
    addCount(c, 'keystep', spec.range[1]);
    addCount(c, 'limit', spec.range[2]);
  } else {
    addHalf(c, 'find_keys', 'unknown', 0);
  }
}

function addInfo(c: Client, command: Command): void {
  const { facts } = command;
  addReplyArrayLen(c, 10);
  addReplyBulkString(c, command.fullName);
  addReplyLong(c, facts.arity);
  addStatusSet(c, split(facts.flags));
  for (const value of facts.keys) addReplyLong(c, value);
  addStatusSet(c, split(facts.categories));
  const tips = facts.tips ?? [];
  addReplySetLen(c, tips.length);
  for (const tip of tips) addReplyBulkString(c, tip);
  const specs = facts.keySpecs ?? [];
  addReplySetLen(c, specs.length);
  for (const spec of specs) addKeySpec(c, spec);
  const subcommands = command.subcommands?.all ?? [];
  addReplySetLen(c, subcommands.length);
  for (const subcommand of subcommands) addInfo(c, subcommand);
}

function addArguments(c: Client, list: readonly ArgumentFacts[]): void {
  addReplyArrayLen(c, list.length);
  for (const one of list) {
    const texts: [string, string | undefined][] = [
      ['token', one.token],
      ['summary', one.summary],
      ['since', one.since],
      ['deprecated_since', one.deprecatedSince],
    ];
    const present = texts.filter(([, text]) => text !== undefined);
    let pairs = 2 + present.length;
    for (const more of [one.displayText, one.keySpecIndex, one.flags, one.arguments]) if (more !== undefined) pairs++;
    addReplyMapLen(c, pairs);
    addPair(c, 'name', one.name);
    addPair(c, 'type', one.type);
    if (one.displayText !== undefined) addPair(c, 'display_text', one.displayText);
    if (one.keySpecIndex !== undefined) addCount(c, 'key_spec_index', one.keySpecIndex);
    for (const [name, text] of present) addPair(c, name, text!);
    if (one.flags !== undefined) {
      addReplyBulkString(c, 'flags');
      addStatusSet(c, split(one.flags));
    }
    if (one.arguments !== undefined) {
      addReplyBulkString(c, 'arguments');
      addArguments(c, one.arguments);
    }
  }
}

function addHistory(c: Client, history: NonNullable<CommandFacts['history']>): void {
  addReplyBulkString(c, 'history');
  addReplySetLen(c, history.length);
  for (const [version, change] of history) {
    addReplyArrayLen(c, 2);
    addReplyBulkString(c, version);
    addReplyBulkString(c, change);
  }
}

function addDocs(c: Client, command: Command): void {
  const { facts } = command;
  const subcommands = command.subcommands?.all ?? [];
  let pairs = 4;
  for (const more of [facts.docFlags, facts.deprecatedSince, facts.replacedBy, facts.history, facts.arguments]) {
    if (more !== undefined) pairs++;
  }
  if (subcommands.length > 0) pairs++;
  addReplyMapLen(c, pairs);
  addPair(c, 'summary', facts.summary);
  addPair(c, 'since', facts.since);
  addPair(c, 'group', facts.group);
  addPair(c, 'complexity', facts.complexity);
  if (facts.docFlags !== undefined) {
    addReplyBulkString(c, 'doc_flags');
    addStatusSet(c, split(facts.docFlags));
  }
  if (facts.deprecatedSince !== undefined) addPair(c, 'deprecated_since', facts.deprecatedSince);
  if (facts.replacedBy !== undefined) addPair(c, 'replaced_by', facts.replacedBy);
  if (facts.history !== undefined) addHistory(c, facts.history);
  if (facts.arguments !== undefined) {
    addReplyBulkString(c, 'arguments');
    addArguments(c, facts.arguments);
  }
  if (subcommands.length > 0) {
    addReplyBulkString(c, 'subcommands');
    addReplyMapLen(c, subcommands.length);
    for (const subcommand of subcommands) {
      addReplyBulkString(c, subcommand.fullName);
      addDocs(c, subcommand);
    }
  }
}

function all(core: RedisCore, c: Client): void {
  addReplyArrayLen(c, core.commands.all.length);
  for (const command of core.commands.all) addInfo(c, command);
}

function info(core: RedisCore, c: Client): void {
  if (c.argc === 2) {
    all(core, c);
    return;
  }
  addReplyArrayLen(c, c.argc - 2);
  for (let i = 2; i < c.argc; i++) {
    const command = core.commands.byName(c.argText(i));
    if (command === null) addReplyNullArray(c);
    else addInfo(c, command);
  }
}

function docs(core: RedisCore, c: Client): void {
  let chosen: readonly Command[] = core.commands.all;
  if (c.argc > 2) {
    const found: Command[] = [];
    for (let i = 2; i < c.argc; i++) {
      const command = core.commands.byName(c.argText(i));
      if (command !== null) found.push(command);
    }
    chosen = found;
  }
  addReplyMapLen(c, chosen.length);
  for (const command of chosen) {
    addReplyBulkString(c, command.fullName);
    addDocs(c, command);
  }
}

function everyCommand(table: CommandTable): Command[] {
  return table.all.flatMap((command) => [
    command,
    ...(command.subcommands === null ? [] : everyCommand(command.subcommands)),
  ]);
}

function list(core: RedisCore, c: Client): void {
  let chosen: readonly Command[];
  if (c.argc === 2) {
    chosen = everyCommand(core.commands);
  } else if (c.argc === 5 && c.argIs(2, 'filterby')) {
    const wanted = c.argText(4);
    const every = everyCommand(core.commands);
    if (c.argIs(3, 'module')) chosen = [];
    else if (c.argIs(3, 'aclcat')) {
      const category = `@${wanted.toLowerCase()}`;
      chosen = every.filter((one) => split(one.facts.categories).includes(category));
    } else if (c.argIs(3, 'pattern')) {
      chosen = every.filter((one) => globMatchesText(wanted, one.fullName, true));
    } else {
      addReplyError(c, SYNTAX_ERROR);
      return;
    }
  } else {
    addReplyError(c, SYNTAX_ERROR);
    return;
  }
  addReplyArrayLen(c, chosen.length);
  for (const command of chosen) addReplyBulkString(c, command.fullName);
}

function getKeys(core: RedisCore, c: Client, withFlags: boolean): void {
  const table = core.commands;
  const u8 = core.heap.u8;
  let command = table.find(u8, c.argOff[2]!, c.argLen[2]!);
  if (command !== null && command.subcommands !== null && c.argc > 3) {
    command = command.subcommands.find(u8, c.argOff[3]!, c.argLen[3]!);
  }
  if (command === null) {
    addReplyError(c, 'Invalid command specified');
    return;
  }
  if (!hasKeys(command)) {
    addReplyError(c, 'The command has no key arguments');
    return;
  }
  const argc = c.argc - 2;
  const fits = command.arity >= 0 ? command.arity === argc : argc >= -command.arity;
  if (!fits) {
    addReplyError(c, 'Invalid number of arguments specified for command');
    return;
  }
  if (!findKeys(c, command, 2, argc)) {
    if ((command.flags & CMD_NO_MANDATORY_KEYS) !== 0) addReplyArrayLen(c, 0);
    else addReplyError(c, 'Invalid arguments specified for command');
    return;
  }
  addReplyArrayLen(c, keyCount);
  for (let i = 0; i < keyCount; i++) {
    const index = keyIndexes[i] + 2;
    if (withFlags) addReplyArrayLen(c, 2);
    addReplyBulk(c, c.argOff[index], c.argLen[index]);
    if (withFlags) addStatusSet(c, keyFlagWords(keyFlagBits[i] & ~(KEY_VARIABLE | KEY_INCOMPLETE)));
  }
}

export const commandProcs: Readonly<Record<string, CommandProc>> = {
  command: all,
  'command|count': (core, c) => addReplyLong(c, core.commands.all.length),
  'command|info': info,
  'command|docs': docs,
  'command|list': list,
  'command|getkeys': (core, c) => getKeys(core, c, false),
  'command|getkeysandflags': (core, c) => getKeys(core, c, true),
  'command|help': addHelp([
    '(no subcommand)',
    '    Describe all commands.',
    'COUNT',
    '    Count the commands.',
    'LIST [FILTERBY (MODULE <name>|ACLCAT <category>|PATTERN <pattern>)]',
    '    List the names of commands.',
    'INFO [<command-name> ...]',
    '    Describe some or all commands.',
    'DOCS [<command-name> ...]',
    '    Document some or all commands.',
    'GETKEYS <full-command>',
    '    Tell which arguments of a command are keys.',
    'GETKEYSANDFLAGS <full-command>',
    '    Tell which arguments are keys and what the command does with them.',
  ]),
};
