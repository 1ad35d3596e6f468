/** CONFIG. */
import { adminOf } from '../admin.ts';
import type { Client } from '../client.ts';
import { isLocalClient } from '../client-info.ts';
import type { CommandProc, CommandTable } from '../command.ts';
import { rewriteConfigText } from '../config-file.ts';
import { getSettings, setSettings } from '../config-set.ts';
import { globMatchesText } from '../glob.ts';
import { LOG_NOTICE, LOG_WARNING } from '../log-levels.ts';
import { addReplyBulkString, addReplyError, addReplyMapLen, addReplyOk, SYNTAX_ERROR } from '../protocol/reply.ts';
import type { RedisCore } from '../redis-core.ts';
import { Stats } from '../stats.ts';
import { addHelp } from './help.ts';

/** Directives whose values no log may show. */
const SECRETS = new Set(['requirepass', 'masterauth', 'masteruser', 'tls-key-file-pass', 'tls-client-key-file-pass']);

function get(core: RedisCore, c: Client): void {
  const patterns: string[] = [];
  for (let i = 2; i < c.argc; i++) patterns.push(c.argText(i));
  const found = getSettings(core.config, patterns, (pattern, name) => globMatchesText(pattern, name, true));
  addReplyMapLen(c, found.size);
  for (const [name, value] of found) {
    addReplyBulkString(c, name);
    addReplyBulkString(c, value);
  }
}

function set(core: RedisCore, c: Client): void {
  if (c.argc % 2 !== 0) {
    addReplyError(c, SYNTAX_ERROR);
    return;
  }
  const pairs: [string, string][] = [];
  for (let i = 2; i < c.argc; i += 2) {
    const name = c.argText(i);
    if (SECRETS.has(name.toLowerCase())) c.redact(i + 1);
    pairs.push([name, c.argText(i + 1)]);
  }
  const { host } = adminOf(core);
  const allowed = core.config.enableProtectedConfigs;
  const protectedAllowed = allowed === 'yes' || (allowed === 'local' && isLocalClient(c));
  const error = setSettings(core.config, pairs, host.appliers, protectedAllowed, core.persistence.loading);
  if (error !== null) {
    addReplyError(c, error);
    return;
  }
  core.applyConfig();
  addReplyOk(c);
}

function resetCommands(table: CommandTable): void {
  for (const command of table.all) {
    command.calls = 0;
    command.usec = 0;
    command.rejectedCalls = 0;
    command.failedCalls = 0;
    command.histogram?.free();
    command.histogram = null;
    if (command.subcommands !== null) resetCommands(command.subcommands);
  }
}

function resetStat(core: RedisCore, c: Client): void {
  const { peakMemory } = core.stats;
  Object.assign(core.stats, new Stats());
  core.stats.peakMemory = peakMemory;
  resetCommands(core.commands);
  core.errorStats.clear();
  adminOf(core).resetStats();
  core.lazyFree.freedObjects = 0;
  core.defrag.resetStats();
  addReplyOk(c);
}

function toText(bytes: Uint8Array): string {
  let text = '';
  for (const byte of bytes) text += String.fromCharCode(byte);
  return text;
}

/**
 * Brings the configuration file up to date.
 * @param everything also settings that have their default
 * @returns null, or why that failed
 */
export function rewriteConfigFile(core: RedisCore, everything: boolean): string | null {
  const path = core.host.configFile;
  if (core.disk === null) return 'No such file or directory';
  try {
    const present = core.disk.exists(path) ? toText(core.disk.readFile(path)) : '';
    const users = core.config.aclfile === '' ? core.acl.lines() : [];
    const text = rewriteConfigText(core.config, adminOf(core).defaults, present, users, everything);
    core.disk.replaceFile(
      path,
      Uint8Array.from(text, (char) => char.charCodeAt(0)),
    );
    return null;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

function rewrite(core: RedisCore, c: Client): void {
  if (core.host.configFile === '' || core.disk === null) {
    addReplyError(c, 'The server is running without a config file');
    return;
  }
  const reason = rewriteConfigFile(core, false);
  if (reason !== null) {
    core.log(LOG_WARNING, `CONFIG REWRITE failed: ${reason}`);
    addReplyError(c, `Rewriting config file: ${reason}`);
    return;
  }
  core.log(LOG_NOTICE, 'CONFIG REWRITE executed with success.');
  addReplyOk(c);
}

export const configProcs: Readonly<Record<string, CommandProc>> = {
  'config|get': get,
  'config|set': set,
  'config|resetstat': resetStat,
  'config|rewrite': rewrite,
  'config|help': addHelp([
    'GET <pattern> [<pattern> ...]',
    '    Read the settings whose names match.',
    'SET <directive> <value> [<directive> <value> ...]',
    '    Change settings, all or none.',
    'RESETSTAT',
    '    Set the counters of INFO back to zero.',
    'REWRITE',
    '    Write the present settings to the configuration file.',
  ]),
};
