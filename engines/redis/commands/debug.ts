/** DEBUG: the subcommands that tests and tools use. */
import { idleTimeMs } from '../access.ts';
import { adminOf } from '../admin.ts';
import type { Client } from '../client.ts';
import type { CommandProc } from '../command.ts';
import { LOOKUP_NONOTIFY, LOOKUP_NOSTATS, LOOKUP_NOTOUCH, lookupKey, setKey } from '../db.ts';
import { type DebugKnobs, REPLY_PEAK_MS } from '../debug-knobs.ts';
import { dictStats } from '../dict-stats.ts';
import { dataDigest, valueDigest } from '../digest.ts';
import { LOG_WARNING } from '../log-levels.ts';
import { RdbWriter } from '../persistence/rdb-writer.ts';
import {
  addReplyArrayLen,
  addReplyBigNumber,
  addReplyBool,
  addReplyBulkString,
  addReplyDouble,
  addReplyError,
  addReplyHelp,
  addReplyLong,
  addReplyMapLen,
  addReplyNull,
  addReplyOk,
  addReplyProto,
  addReplyPushLen,
  addReplySetLen,
  addReplyStatus,
  addReplyVerbatim,
  NO_SUCH_KEY,
} from '../protocol/reply.ts';
import type { RedisCore } from '../redis-core.ts';
import { dictFind } from '../structures/dict.ts';
import { dictKey, dictValue } from '../structures/dict-layout.ts';
import { setPackedThreshold } from '../structures/quicklist-node.ts';
import {
  createEncodedString,
  OBJ_ENCODING_INT,
  OBJ_STRING,
  robjEncoding,
  robjLru,
  robjPtr,
  robjRefCount,
  robjType,
} from '../structures/robj.ts';
import { sdsAvail, sdsLen, sdsZmallocSize } from '../structures/sds.ts';
import { rewriteConfigFile } from './config.ts';
import { integerArgument, integerOrReply } from './integer-arguments.ts';
import { encodingName } from './object.ts';
import { debugLoadAof, debugReload } from './persistence.ts';

const NO_TOUCH = LOOKUP_NOTOUCH | LOOKUP_NONOTIFY | LOOKUP_NOSTATS;

/** Bytes of a value in a snapshot file. */
function savedBytes(core: RedisCore, robj: number): number {
  const h = core.heap;
  const w = new RdbWriter(h, core.config.rdbcompression);
  try {
    h.types[robjType(h, robj)].saveRdb(w, robj);
    return w.length;
  } finally {
    w.release();
  }
}

/** @returns the object of the key in argument 2, or 0 after an error reply */
function objectOrError(core: RedisCore, c: Client): number {
  const robj = lookupKey(core, c.db, c.argOff[2]!, c.argLen[2]!, NO_TOUCH);
  if (robj === 0) addReplyError(c, NO_SUCH_KEY);
  return robj;
}

/** The same without a look at the key's time: one that is over and not yet deleted is shown. */
function presentOrError(core: RedisCore, c: Client): number {
  const entry = dictFind(core.heap, c.db.dict, c.argOff[2]!, c.argLen[2]!);
  if (entry !== 0) return dictValue(core.heap, entry);
  addReplyError(c, NO_SUCH_KEY);
  return 0;
}

function debugObject(core: RedisCore, c: Client): void {
  const robj = presentOrError(core, c);
  if (robj === 0) return;
  const h = core.heap;
  addReplyStatus(
    c,
    `Value at:0x${robj.toString(16)} refcount:${robjRefCount(h, robj)} encoding:${encodingName(core, robj)} ` +
      `serializedlength:${savedBytes(core, robj)} lru:${robjLru(h, robj)} ` +
      `lru_seconds_idle:${Math.floor(idleTimeMs(core, robj) / 1000)}` +
      (h.types[robjType(h, robj)].debugFields?.(h, robj) ?? ''),
  );
}

function debugSdsLen(core: RedisCore, c: Client): void {
  const robj = presentOrError(core, c);
  if (robj === 0) return;
  const h = core.heap;
  if (robjType(h, robj) !== OBJ_STRING || robjEncoding(h, robj) === OBJ_ENCODING_INT) {
    addReplyError(c, 'Not an sds encoded string.');
    return;
  }
  const key = dictKey(h, dictFind(h, c.db.dict, c.argOff[2]!, c.argLen[2]!));
  const value = robjPtr(h, robj);
  // An embedded value shares the allocation of its object, which is reported here as the original's sdsAllocPtr would see it.
  const valueBytes = encodingName(core, robj) === 'embstr' ? h.usable(robj) - 16 : sdsZmallocSize(h, value);
  addReplyStatus(
    c,
    `key_sds_len:${sdsLen(h, key)}, key_sds_avail:${sdsAvail(h, key)}, key_zmalloc: ${sdsZmallocSize(h, key)}, ` +
      `val_sds_len:${sdsLen(h, value)}, val_sds_avail:${sdsAvail(h, value)}, val_zmalloc: ${valueBytes}`,
  );
}

function debugSleep(core: RedisCore, c: Client): void {
  const seconds = Number.parseFloat(c.argText(2));
  if (seconds > 0) adminOf(core).host.sleepUs(seconds * 1e6);
  addReplyOk(c);
}

function debugHtStats(core: RedisCore, c: Client): void {
  const id = integerOrReply(c, 2);
  if (id === null) return;
  const db = core.dbs[id];
  if (db === undefined) {
    addReplyError(c, 'Out of range database');
    return;
  }
  const text = `[Dictionary HT]\n${dictStats(core.heap, db.dict)}[Expires HT]\n${dictStats(core.heap, db.expires)}`;
  addReplyVerbatim(c, text, 'txt');
}

function debugHtStatsKey(core: RedisCore, c: Client): void {
  if (objectOrError(core, c) === 0) return;
  addReplyError(c, 'The value stored at the specified key is not represented using an hash table');
}

function debugPopulate(core: RedisCore, c: Client): void {
  const count = integerArgument(c, 2);
  if (count === null || count < 0) {
    addReplyError(c, 'value is out of range, must be positive');
    return;
  }
  const prefix = c.argc > 3 ? c.argText(3) : 'key';
  const size = c.argc > 4 ? integerArgument(c, 4) : 0;
  if (size === null || size < 0) {
    addReplyError(c, 'value is out of range, must be positive');
    return;
  }
  const h = core.heap;
  const room = h.alloc(Math.max(size, 32) + prefix.length + 32);
  for (let i = 0; i < count; i++) {
    const keyLength = h.putLatin1(`${prefix}:${i}`, room) - room;
    if (dictFind(h, c.db.dict, room, keyLength) !== 0) continue;
    const at = room + keyLength;
    let length = h.putLatin1(`value:${i}`, at) - at;
    if (size > 0) {
      if (length < size) h.u8.fill(0, at + length, at + size);
      length = size;
    }
    setKey(core, c.db, room, keyLength, createEncodedString(h, at, length), false, 0);
  }
  h.free(room);
  addReplyOk(c);
}

const protocolTypes = 'string|integer|double|bignum|null|array|set|map|attrib|push|verbatim|true|false';

/** A reply of each type, for the makers of clients. */
function debugProtocol(_core: RedisCore, c: Client): void {
  switch (c.argText(2).toLowerCase()) {
    case 'string':
      addReplyBulkString(c, 'Hello World');
      break;
    case 'integer':
      addReplyLong(c, 12345);
      break;
    case 'double':
      addReplyDouble(c, Number('3.141'), '3.141');
      break;
    case 'bignum':
      addReplyBigNumber(c, '1234567999999999999999999999999999999');
      break;
    case 'null':
      addReplyNull(c);
      break;
    case 'array':
      addReplyArrayLen(c, 3);
      for (let i = 0; i < 3; i++) addReplyLong(c, i);
      break;
    case 'set':
      addReplySetLen(c, 3);
      for (let i = 0; i < 3; i++) addReplyLong(c, i);
      break;
    case 'map':
      addReplyMapLen(c, 3);
      for (let i = 0; i < 3; i++) {
        addReplyLong(c, i);
        addReplyBool(c, i === 1);
      }
      break;
    case 'attrib':
      if (c.resp === 3) {
        addReplyProto(c, '|1\r\n$14\r\nkey-popularity\r\n*2\r\n$7\r\nkey:123\r\n:90\r\n');
      }
      addReplyBulkString(c, 'Some real reply following the attribute');
      break;
    case 'push':
      if (c.resp === 2) {
        addReplyError(c, 'RESP2 is not supported by this command');
        break;
      }
      addReplyPushLen(c, 2);
      addReplyBulkString(c, 'server-cpu-usage');
      addReplyLong(c, 42);
      addReplyBulkString(c, 'Some real reply following the push reply');
      break;
    case 'verbatim':
      addReplyVerbatim(c, 'This is a verbatim\nstring', 'txt');
      break;
    case 'true':
      addReplyBool(c, true);
      break;
    case 'false':
      addReplyBool(c, false);
      break;
    default:
      addReplyError(c, `Wrong protocol type name. Please use one of the following: ${protocolTypes}`);
  }
}

function debugDigestValue(core: RedisCore, c: Client): void {
  addReplyArrayLen(c, c.argc - 2);
  for (let i = 2; i < c.argc; i++) {
    const robj = lookupKey(core, c.db, c.argOff[i]!, c.argLen[i]!, NO_TOUCH);
    addReplyStatus(c, valueDigest(core, c.db, c.argOff[i]!, c.argLen[i]!, robj));
  }
}

/** Replies a text as an error as it is; the first word is its code. */
function debugError(_core: RedisCore, c: Client): void {
  addReplyError(c, `-${c.argText(2)}`);
}

/** A number of bytes as in a configuration file, with or without a unit. @returns null when it is none */
function memoryArgument(c: Client, i: number): number | null {
  const match = /^(\d+)(b|k|kb|m|mb|g|gb)?$/i.exec(c.argText(i));
  if (match === null) return null;
  const units: Readonly<Record<string, number>> = { k: 1e3, kb: 2 ** 10, m: 1e6, mb: 2 ** 20, g: 1e9, gb: 2 ** 30 };
  return Number(match[1]) * (units[match[2]?.toLowerCase() ?? ''] ?? 1);
}

/** From which length on an element of a list gets a node of its own. */
function debugPackedThreshold(_core: RedisCore, c: Client): void {
  const bytes = memoryArgument(c, 2);
  if (bytes === null || !setPackedThreshold(bytes)) {
    addReplyError(c, 'argument must be a memory value bigger than 1 and smaller than 4gb');
    return;
  }
  addReplyOk(c);
}

/** Prints a value's listpack to the standard output in the original; here only whether it has one is told. */
function debugListpack(core: RedisCore, c: Client): void {
  const robj = objectOrError(core, c);
  if (robj === 0) return;
  if (encodingName(core, robj) === 'listpack') addReplyStatus(c, 'Listpack structure printed on stdout');
  else addReplyError(c, 'Not a listpack encoded object.');
}

/** An argument as atoi reads it: 0 where no number begins it. */
const looseInteger = (c: Client, index: number): number => Number.parseInt(c.argText(index), 10) || 0;

/** A subcommand that turns a knob to the number behind it. */
const knob =
  (turn: (debug: DebugKnobs, value: number) => void): CommandProc =>
  (core, c) => {
    turn(core.debug, looseInteger(c, 2));
    addReplyOk(c);
  };

/** When a reply buffer's peak is forgotten, and whether reply buffers are resized at all. */
function debugReplyBuffer(core: RedisCore, c: Client): void {
  if (c.argIs(2, 'resizing')) {
    core.debug.resizesReplyBuffers = looseInteger(c, 3) !== 0;
  } else if (!c.argIs(2, 'peak-reset-time')) {
    refuseSubcommand(c);
    return;
  } else if (c.argIs(3, 'never')) {
    core.debug.replyPeakMs = -1;
  } else if (c.argIs(3, 'reset')) {
    core.debug.replyPeakMs = REPLY_PEAK_MS;
  } else {
    const ms = integerOrReply(c, 3);
    if (ms === null) return;
    core.debug.replyPeakMs = ms;
  }
  addReplyOk(c);
}

/** By name: how many arguments, the two names included (negative: at least), and what to do. */
const subcommands: Readonly<Record<string, readonly [arity: number, proc: CommandProc]>> = {
  object: [-3, debugObject],
  sdslen: [3, debugSdsLen],
  sleep: [3, debugSleep],
  'set-active-expire': [
    3,
    (core, c) => {
      core.activeExpireEnabled = Number.parseInt(c.argText(2), 10) !== 0;
      addReplyOk(c);
    },
  ],
  htstats: [-3, debugHtStats],
  'htstats-key': [-3, debugHtStatsKey],
  'change-repl-id': [
    2,
    (core, c) => {
      const admin = adminOf(core);
      core.log(LOG_WARNING, 'Changing replication IDs after receiving change-repl-id');
      admin.replicationId = admin.randomHex(40);
      addReplyOk(c);
    },
  ],
  error: [3, debugError],
  log: [
    3,
    (core, c) => {
      core.log(LOG_WARNING, `DEBUG LOG: ${c.argText(2)}`);
      addReplyOk(c);
    },
  ],
  digest: [2, (core, c) => addReplyStatus(c, dataDigest(core))],
  'digest-value': [-3, debugDigestValue],
  protocol: [3, debugProtocol],
  populate: [-3, debugPopulate],
  reload: [-2, debugReload],
  loadaof: [-2, debugLoadAof],
  'pause-cron': [3, knob((debug, value) => (debug.pausesCron = value !== 0))],
  'quicklist-packed-threshold': [3, debugPackedThreshold],
  listpack: [3, debugListpack],
  replybuffer: [4, debugReplyBuffer],
  'aof-flush-sleep': [3, knob((debug, value) => (debug.aofFlushSleepUs = value))],
  'set-disable-deny-scripts': [3, knob((debug, value) => (debug.scriptsMayAll = value !== 0))],
  'set-skip-checksum-validation': [3, knob((debug, value) => (debug.skipsChecksums = value !== 0))],
  'config-rewrite-force-all': [
    2,
    (core, c) => {
      const reason = rewriteConfigFile(core, true);
      if (reason === null) addReplyOk(c);
      else addReplyError(c, `CONFIG-REWRITE-FORCE-ALL failed: ${reason}`);
    },
  ],
};

const help: readonly string[] = [
  'AOF-FLUSH-SLEEP <microseconds>',
  '    Sleep before each write to the append-only file.',
  'CHANGE-REPL-ID',
  '    Give the server new replication ids.',
  'CONFIG-REWRITE-FORCE-ALL',
  '    Rewrite the configuration file with all settings, defaults too.',
  'DIGEST',
  '    Reply a digest of all data.',
  'DIGEST-VALUE <key> [<key> ...]',
  '    Reply a digest of each value.',
  'ERROR <string>',
  '    Reply the string as an error.',
  'HTSTATS <dbid>',
  '    Report figures of the hash tables of a database.',
  'LOADAOF',
  '    Empty all databases and load the append-only files.',
  'LISTPACK <key>',
  '    Tell whether a value lies in a listpack.',
  'LOG <message>',
  '    Write a line to the log.',
  'OBJECT <key>',
  '    Show how a value is stored.',
  'PAUSE-CRON <0|1>',
  '    Stop what is done periodically.',
  'QUICKLIST-PACKED-THRESHOLD <size>',
  '    From which length on a list element gets a node of its own (0: the default).',
  'POPULATE <count> [<prefix>] [<size>]',
  '    Create <count> strings named <prefix>:<number>.',
  'PROTOCOL <type>',
  `    Reply a value of a type: ${protocolTypes.replaceAll('|', ', ')}.`,
  'RELOAD [MERGE] [NOFLUSH] [NOSAVE]',
  '    Save, empty and load all data.',
  'REPLYBUFFER PEAK-RESET-TIME <NEVER|RESET|milliseconds>',
  "    When a reply buffer's peak is forgotten.",
  'REPLYBUFFER RESIZING <0|1>',
  '    Whether reply buffers are resized.',
  'SDSLEN <key>',
  '    Show lengths and allocations of key and value.',
  'SET-ACTIVE-EXPIRE <0|1>',
  '    Switch the active expiry of keys.',
  'SET-DISABLE-DENY-SCRIPTS <0|1>',
  '    Whether scripts may call what they otherwise must not.',
  'SET-SKIP-CHECKSUM-VALIDATION <0|1>',
  '    Whether RESTORE takes payloads with any checksum.',
  'SLEEP <seconds>',
  '    Stop the server for a while.',
];

function debug(core: RedisCore, c: Client): void {
  const name = c.argText(1).toLowerCase();
  if (name === 'help' && c.argc === 2) {
    addReplyHelp(c, help);
    return;
  }
  const found = Object.hasOwn(subcommands, name) ? subcommands[name] : undefined;
  if (found !== undefined && (found[0] >= 0 ? c.argc === found[0] : c.argc >= -found[0])) {
    found[1](core, c);
    return;
  }
  refuseSubcommand(c);
}

function refuseSubcommand(c: Client): void {
  const given = c.argText(1).slice(0, 128);
  addReplyError(c, `unknown subcommand or wrong number of arguments for '${given}'. Try DEBUG HELP.`);
}

export const debugProcs: Readonly<Record<string, CommandProc>> = { debug };
