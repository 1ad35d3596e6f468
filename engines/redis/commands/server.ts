/** TIME, LOLWUT, ROLE, REPLICAOF, LASTSAVE, SAVE and its kin, SHUTDOWN, SLOWLOG. */
import { adminOf, type SlowEntry } from '../admin.ts';
import type { Client } from '../client.ts';
import type { CommandProc } from '../command.ts';
import { lolwut } from '../lolwut.ts';
import {
  addReplyArrayLen,
  addReplyBulkString,
  addReplyError,
  addReplyLong,
  addReplyOk,
  addReplySubcommandSyntaxError,
  addReplyVerbatim,
} from '../protocol/reply.ts';
import type { RedisCore } from '../redis-core.ts';
import { addHelp } from './help.ts';
import { integerArgument, integerOrReply } from './integer-arguments.ts';

const SLOWLOG_DEFAULT_COUNT = 10;

function time(core: RedisCore, c: Client): void {
  // The command's cached time has whole milliseconds; the clock is asked for this one reply.
  const wallMs = core.clock.wallMs();
  const micros = Math.floor(wallMs * 1000) % 1_000_000;
  const fraction = Math.floor(core.clock.monoUs()) % 1000;
  addReplyArrayLen(c, 2);
  addReplyBulkString(c, String(Math.floor(wallMs / 1000)));
  addReplyBulkString(c, String(Math.min(999_999, micros - (micros % 1000) + fraction)));
}

function lolwutCommand(core: RedisCore, c: Client): void {
  const numbers: number[] = [];
  let first = 1;
  if (c.argc >= 3 && c.argIs(1, 'version')) {
    if (integerOrReply(c, 2) === null) return;
    first = 3;
  }
  for (let i = first; i < c.argc; i++) {
    const value = integerArgument(c, i);
    if (value !== null) numbers.push(value);
  }
  addReplyVerbatim(c, lolwut(core.random, numbers), 'txt');
}

function role(_core: RedisCore, c: Client): void {
  addReplyArrayLen(c, 3);
  addReplyBulkString(c, 'master');
  addReplyLong(c, 0);
  addReplyArrayLen(c, 0);
}

function replicaOf(_core: RedisCore, c: Client): void {
  if (c.argIs(1, 'no') && c.argIs(2, 'one')) addReplyOk(c);
  else if (integerArgument(c, 2) === null) addReplyError(c, 'Invalid master port');
  else addReplyError(c, 'REPLICAOF is not available: this engine does not replicate yet');
}

function addSlowEntry(c: Client, entry: SlowEntry): void {
  addReplyArrayLen(c, 6);
  addReplyLong(c, entry.id);
  addReplyLong(c, entry.unixtime);
  addReplyLong(c, entry.durationUs);
  addReplyArrayLen(c, entry.args.length);
  for (const argument of entry.args) addReplyBulkString(c, argument);
  addReplyBulkString(c, entry.addr);
  addReplyBulkString(c, entry.name);
}

/** The slow log, as long as slowlog-max-len allows now: the original shortens it with the next command. */
function trimmedSlowLog(core: RedisCore): SlowEntry[] {
  const { slowLog } = adminOf(core);
  const { slowlogMaxLen } = core.config;
  if (slowLog.length > slowlogMaxLen && core.slowlogLogSlowerThan >= 0) slowLog.length = slowlogMaxLen;
  return slowLog;
}

function slowlogGet(core: RedisCore, c: Client): void {
  if (c.argc > 3) {
    addReplySubcommandSyntaxError(c);
    return;
  }
  let count = SLOWLOG_DEFAULT_COUNT;
  if (c.argc === 3) {
    const given = integerArgument(c, 2);
    if (given === null || given < -1) {
      addReplyError(c, 'count should be greater than or equal to -1');
      return;
    }
    count = given;
  }
  const slowLog = trimmedSlowLog(core);
  const entries = count === -1 ? slowLog : slowLog.slice(0, count);
  addReplyArrayLen(c, entries.length);
  for (const entry of entries) addSlowEntry(c, entry);
}

export const serverProcs: Readonly<Record<string, CommandProc>> = {
  time,
  lolwut: lolwutCommand,
  role,
  replicaof: replicaOf,
  slaveof: replicaOf,
  'slowlog|get': slowlogGet,
  'slowlog|len': (core, c) => addReplyLong(c, trimmedSlowLog(core).length),
  'slowlog|reset': (core, c) => {
    adminOf(core).slowLog.length = 0;
    addReplyOk(c);
  },
  'slowlog|help': addHelp([
    'GET [<count>]',
    '    List the latest <count> entries (default: 10, -1: all).',
    '    Each has: id, Unix time, duration in microseconds, arguments, address, client name.',
    'LEN',
    '    Count the entries.',
    'RESET',
    '    Empty the log.',
  ]),
};
