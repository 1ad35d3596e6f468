/**
 * Commands of parts that this engine does not have: cluster, modules, replication, migration. They answer as the original does where that
 * part is switched off, empty or out of reach, so that a client finds out in the way it is prepared for.
 */
import type { Client } from '../client.ts';
import type { CommandProc } from '../command.ts';
import { lookupKeyRead } from '../db.ts';
import {
  addReplyArrayLen,
  addReplyError,
  addReplyOk,
  addReplyProto,
  NOT_AN_INTEGER,
  SYNTAX_ERROR,
} from '../protocol/reply.ts';
import type { RedisCore } from '../redis-core.ts';
import { addHelp } from './help.ts';
import { integerArgument } from './integer-arguments.ts';

const noCluster: CommandProc = (_core, c) => addReplyError(c, 'This instance has cluster support disabled');

const CLUSTER_COMMANDS = [
  'addslots',
  'addslotsrange',
  'bumpepoch',
  'count-failure-reports',
  'countkeysinslot',
  'delslots',
  'delslotsrange',
  'failover',
  'flushslots',
  'forget',
  'getkeysinslot',
  'help',
  'info',
  'keyslot',
  'links',
  'meet',
  'myid',
  'nodes',
  'replicas',
  'replicate',
  'reset',
  'saveconfig',
  'set-config-epoch',
  'setslot',
  'shards',
  'slaves',
  'slots',
];

/** Its own rules of writing first, then that there is nobody to hand over to. */
function failover(_core: RedisCore, c: Client): void {
  if (c.argc === 2 && c.argIs(1, 'abort')) {
    addReplyError(c, 'No failover in progress.');
    return;
  }
  let timeout = false;
  let target = false;
  let force = false;
  for (let i = 1; i < c.argc; i++) {
    if (c.argIs(i, 'timeout') && i + 1 < c.argc && !timeout) {
      const ms = integerArgument(c, i + 1);
      if (ms === null) {
        addReplyError(c, NOT_AN_INTEGER);
        return;
      }
      if (ms <= 0) {
        addReplyError(c, 'FAILOVER timeout must be greater than 0');
        return;
      }
      timeout = true;
      i++;
    } else if (c.argIs(i, 'to') && i + 2 < c.argc && !target) {
      if (integerArgument(c, i + 2) === null) {
        addReplyError(c, NOT_AN_INTEGER);
        return;
      }
      target = true;
      i += 2;
    } else if (c.argIs(i, 'force') && !force) {
      force = true;
    } else {
      addReplyError(c, SYNTAX_ERROR);
      return;
    }
  }
  addReplyError(c, 'FAILOVER requires connected replicas.');
}

const REPLICA_FACTS = ['listening-port', 'ip-address', 'capa', 'rdb-only', 'rdb-filter-only'];

/** What a replica tells of itself before it asks for the data, which it will not get. */
function replconf(_core: RedisCore, c: Client): void {
  if (c.argc % 2 === 0) {
    addReplyError(c, SYNTAX_ERROR);
    return;
  }
  for (let i = 1; i < c.argc; i += 2) {
    if (REPLICA_FACTS.some((word) => c.argIs(i, word))) continue;
    // Confirmations are not answered.
    if (c.argIs(i, 'ack') || c.argIs(i, 'getack')) return;
    addReplyError(c, `Unrecognized REPLCONF option: ${c.argText(i)}`);
    return;
  }
  addReplyOk(c);
}

const noSync: CommandProc = (_core, c) => addReplyError(c, 'This server cannot have replicas: there is no replication');

/** Nothing can be sent elsewhere, but that there is nothing to send can be said. */
function migrate(core: RedisCore, c: Client): void {
  let from = 3;
  let count = 1;
  for (let i = 6; i < c.argc; i++) {
    const more = c.argc - 1 - i;
    if (c.argIs(i, 'copy') || c.argIs(i, 'replace')) continue;
    if (c.argIs(i, 'auth') && more >= 1) i++;
    else if (c.argIs(i, 'auth2') && more >= 2) i += 2;
    else if (c.argIs(i, 'keys')) {
      if (c.argLen[3] !== 0) {
        addReplyError(c, 'When using MIGRATE KEYS option, the key argument must be set to the empty string');
        return;
      }
      from = i + 1;
      count = c.argc - from;
      break;
    } else {
      addReplyError(c, SYNTAX_ERROR);
      return;
    }
  }
  if (integerArgument(c, 5) === null || integerArgument(c, 4) === null) {
    addReplyError(c, NOT_AN_INTEGER);
    return;
  }
  let found = 0;
  for (let i = from; i < from + count; i++) {
    if (lookupKeyRead(core, c.db, c.argOff[i]!, c.argLen[i]!) !== 0) found++;
  }
  if (found === 0) addReplyProto(c, '+NOKEY\r\n');
  else addReplyError(c, '-IOERR error or timeout connecting to the client');
}

export const notHereProcs: Readonly<Record<string, CommandProc>> = {
  ...Object.fromEntries(CLUSTER_COMMANDS.map((name) => [`cluster|${name}`, noCluster])),
  asking: noCluster,
  readonly: noCluster,
  readwrite: noCluster,
  'module|list': (_core, c) => addReplyArrayLen(c, 0),
  'module|load': (_core, c) => addReplyError(c, 'Error loading the extension. Please check the server logs.'),
  'module|loadex': (_core, c) => addReplyError(c, 'Error loading the extension. Please check the server logs.'),
  'module|unload': (_core, c) => addReplyError(c, 'Error unloading module: no such module with that name'),
  'module|help': addHelp([
    'LIST',
    '    List the modules: there are none.',
    'LOAD <path> [<arg> ...]',
    '    Would load one; here this fails.',
    'LOADEX <path> [[CONFIG NAME VALUE] [CONFIG NAME VALUE]] [ARGS ...]',
    '    The same with settings.',
    'UNLOAD <name>',
    '    Would unload one.',
  ]),
  failover,
  replconf,
  psync: noSync,
  sync: noSync,
  migrate,
};
