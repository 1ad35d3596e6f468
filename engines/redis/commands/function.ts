/** FUNCTION and FCALL. */
import type { Client } from '../client.ts';
import type { CommandProc } from '../command.ts';
import { globMatchesText } from '../glob.ts';
import {
  addReplyArrayLen,
  addReplyBulk,
  addReplyBulkObject,
  addReplyBulkString,
  addReplyError,
  addReplyLong,
  addReplyMapLen,
  addReplyNull,
  addReplyOk,
  addReplySetLen,
  addReplyStatus,
  addReplySubcommandSyntaxError,
} from '../protocol/reply.ts';
import type { RedisCore } from '../redis-core.ts';
import { scriptFlagWords } from '../scripting/flags.ts';
import type { Library, RestorePolicy } from '../scripting/functions.ts';
import { NO_INTERPRETER, type Scripting } from '../scripting/scripting.ts';
import { decrRefCount } from '../structures/robj.ts';
import { addHelp } from './help.ts';
import { argNumber, readInteger } from './integer-arguments.ts';

const FIRST_KEY = 3;

/** The scripts of the server. Where there are none the client has been told so. */
export function scriptingOf(core: RedisCore, c: Client): Scripting | null {
  if (core.scripting === null) addReplyError(c, NO_INTERPRETER);
  return core.scripting;
}

/** Reads "numkeys" in argument 2 into argNumber. @returns false: it was wrong and the client knows */
export function readKeyCount(core: RedisCore, c: Client, error?: string): boolean {
  if (!readInteger(core, c, 2, error)) return false;
  if (argNumber > c.argc - FIRST_KEY) {
    addReplyError(c, "Number of keys can't be greater than number of args");
    return false;
  }
  if (argNumber < 0) {
    addReplyError(c, "Number of keys can't be negative");
    return false;
  }
  return true;
}

function fcallGeneric(core: RedisCore, c: Client, readOnly: boolean): void {
  const scripting = scriptingOf(core, c);
  if (scripting === null) return;
  const fn = scripting.functions.find(c.argText(1));
  if (fn === null) {
    addReplyError(c, 'Function not found');
    return;
  }
  if (!readKeyCount(core, c, 'Bad number of keys provided')) return;
  const keys = argNumber;
  if (!scripting.prepare(c, fn.name, fn.flags, readOnly, false)) return;
  try {
    scripting.interpreter.run(c, fn.handle, keys, true);
  } finally {
    scripting.finish();
  }
}

function functionLoad(core: RedisCore, c: Client): void {
  const scripting = scriptingOf(core, c);
  if (scripting === null) return;
  let replace = false;
  for (let i = 2; i < c.argc - 1; i++) {
    if (!c.argIs(i, 'replace')) {
      addReplyError(c, `Unknown option given: ${c.argText(i)}`);
      return;
    }
    replace = true;
  }
  const library = scripting.functions.load(c.argText(c.argc - 1), replace);
  if (typeof library === 'string') {
    addReplyError(c, library);
    return;
  }
  core.dirty++;
  addReplyBulkString(c, library.name);
}

function functionDelete(core: RedisCore, c: Client): void {
  if (core.scripting?.functions.remove(c.argText(2)) !== true) {
    addReplyError(c, 'Library not found');
    return;
  }
  core.dirty++;
  addReplyOk(c);
}

function functionFlush(core: RedisCore, c: Client): void {
  if (c.argc > 3) {
    addReplySubcommandSyntaxError(c);
    return;
  }
  if (c.argc === 3 && !c.argIs(2, 'sync') && !c.argIs(2, 'async')) {
    addReplyError(c, 'FUNCTION FLUSH only supports SYNC|ASYNC option');
    return;
  }
  core.scripting?.functions.flush();
  core.dirty++;
  addReplyOk(c);
}

function addLibrary(c: Client, library: Library, withCode: boolean): void {
  addReplyMapLen(c, withCode ? 4 : 3);
  addReplyBulkString(c, 'library_name');
  addReplyBulkString(c, library.name);
  addReplyBulkString(c, 'engine');
  addReplyBulkString(c, 'LUA');
  addReplyBulkString(c, 'functions');
  addReplyArrayLen(c, library.functions.length);
  for (const one of library.functions) {
    addReplyMapLen(c, 3);
    addReplyBulkString(c, 'name');
    addReplyBulkString(c, one.name);
    addReplyBulkString(c, 'description');
    if (one.description === null) addReplyNull(c);
    else addReplyBulkString(c, one.description);
    const flags = scriptFlagWords(one.flags);
    addReplyBulkString(c, 'flags');
    addReplySetLen(c, flags.length);
    for (const flag of flags) addReplyStatus(c, flag);
  }
  if (!withCode) return;
  addReplyBulkString(c, 'library_code');
  addReplyBulkString(c, library.code);
}

function functionList(core: RedisCore, c: Client): void {
  let withCode = false;
  let pattern: string | null = null;
  for (let i = 2; i < c.argc; i++) {
    if (!withCode && c.argIs(i, 'withcode')) {
      withCode = true;
    } else if (pattern === null && c.argIs(i, 'libraryname')) {
      if (i + 1 >= c.argc) {
        addReplyError(c, 'library name argument was not given');
        return;
      }
      pattern = c.argText(++i);
    } else {
      addReplyError(c, `Unknown argument ${c.argText(i)}`);
      return;
    }
  }
  const all = core.scripting === null ? [] : [...core.scripting.functions.libraries.values()];
  const chosen = all.filter((one) => pattern === null || globMatchesText(pattern, one.name, true));
  addReplyArrayLen(c, chosen.length);
  for (const library of chosen) addLibrary(c, library, withCode);
}

function functionStats(core: RedisCore, c: Client): void {
  const scripting = core.scripting;
  addReplyMapLen(c, 2);
  addReplyBulkString(c, 'running_script');
  const caller = scripting?.caller ?? null;
  if (scripting === null || caller === null) {
    addReplyNull(c);
  } else {
    addReplyMapLen(c, 3);
    addReplyBulkString(c, 'name');
    addReplyBulkString(c, scripting.runName);
    addReplyBulkString(c, 'command');
    addReplyArrayLen(c, caller.argc);
    for (let i = 0; i < caller.argc; i++) addReplyBulk(c, caller.argOff[i], caller.argLen[i]);
    addReplyBulkString(c, 'duration_ms');
    addReplyLong(c, Math.floor((core.clock.monoUs() - scripting.startUs) / 1000));
  }
  addReplyBulkString(c, 'engines');
  addReplyMapLen(c, 1);
  addReplyBulkString(c, 'LUA');
  addReplyMapLen(c, 2);
  addReplyBulkString(c, 'libraries_count');
  addReplyLong(c, scripting?.functions.libraries.size ?? 0);
  addReplyBulkString(c, 'functions_count');
  addReplyLong(c, scripting?.functions.functionCount ?? 0);
}

function functionKill(core: RedisCore, c: Client): void {
  const error = core.scripting === null ? '-NOTBUSY No scripts in execution right now.' : core.scripting.kill(false);
  if (error === null) addReplyOk(c);
  else addReplyError(c, error);
}

function functionDump(core: RedisCore, c: Client): void {
  const scripting = scriptingOf(core, c);
  if (scripting === null) return;
  const payload = scripting.functions.dump();
  addReplyBulkObject(c, payload);
  decrRefCount(core.heap, payload);
}

function functionRestore(core: RedisCore, c: Client): void {
  const scripting = scriptingOf(core, c);
  if (scripting === null) return;
  if (c.argc > 4) {
    addReplySubcommandSyntaxError(c);
    return;
  }
  let policy: RestorePolicy = 'append';
  if (c.argc === 4) {
    const word = c.argText(3).toLowerCase();
    if (word !== 'append' && word !== 'flush' && word !== 'replace') {
      addReplyError(c, 'Wrong restore policy given, value should be either FLUSH, APPEND or REPLACE.');
      return;
    }
    policy = word;
  }
  const error = scripting.functions.restore(c.argOff[2], c.argLen[2], policy);
  if (error !== null) {
    addReplyError(c, error);
    return;
  }
  core.dirty++;
  addReplyOk(c);
}

const FUNCTION_HELP = [
  'DELETE <library-name>',
  '    Removes a library with its functions.',
  'DUMP',
  '    All libraries as a payload for RESTORE.',
  'FLUSH [ASYNC|SYNC]',
  '    Removes all libraries.',
  'KILL',
  '    Ends the running function if it has not written yet.',
  'LIST [LIBRARYNAME <pattern>] [WITHCODE]',
  '    The libraries, their functions and, if asked for, their code.',
  'LOAD [REPLACE] <code>',
  '    Adds a library, or replaces the one of the same name.',
  'RESTORE <payload> [FLUSH|APPEND|REPLACE]',
  '    Adds the libraries of a payload.',
  'STATS',
  '    What runs now, and how many libraries and functions there are.',
];

/** By full name. */
export const functionProcs: Readonly<Record<string, CommandProc>> = {
  fcall: (core, c) => fcallGeneric(core, c, false),
  fcall_ro: (core, c) => fcallGeneric(core, c, true),
  'function|load': functionLoad,
  'function|delete': functionDelete,
  'function|flush': functionFlush,
  'function|list': functionList,
  'function|stats': functionStats,
  'function|kill': functionKill,
  'function|dump': functionDump,
  'function|restore': functionRestore,
  'function|help': addHelp(FUNCTION_HELP),
};
