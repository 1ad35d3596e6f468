/** XGROUP. */
import type { Client } from '../client.ts';
import type { CommandProc } from '../command.ts';
import { lookupKeyWrite, NOTIFY_STREAM } from '../db.ts';
import { addReplyError, addReplyLong, addReplyOk, addReplySubcommandSyntaxError } from '../protocol/reply.ts';
import type { RedisCore } from '../redis-core.ts';
import { raxSize } from '../structures/rax.ts';
import { OBJ_STREAM, robjPtr } from '../structures/robj.ts';
import { STREAM_LAST_ID } from '../structures/stream.ts';
import {
  consumerCreate,
  consumerDelete,
  consumerFind,
  consumerPending,
  ENTRIES_READ_UNKNOWN,
  GROUP_LAST_ID,
  groupCreate,
  groupDestroy,
  groupFind,
  setGroupEntriesRead,
} from '../structures/stream-groups.ts';
import { loadStreamId, newStreamId, storeStreamId } from '../structures/stream-id.ts';
import { addHelp } from './help.ts';
import { argBigInt, isWrongType, readInteger } from './integer-arguments.ts';
import { addStream, argCString, parseStreamIdText, readStreamId } from './stream-arguments.ts';

/** The stream of argument 2; 0: there is none. */
let stream = 0;
let entriesRead = ENTRIES_READ_UNKNOWN;
let makesStream = false;
const id = newStreamId();

/** Reads MKSTREAM and ENTRIESREAD. @returns false after an error reply */
function readOptions(core: RedisCore, c: Client, mayMake: boolean): boolean {
  entriesRead = ENTRIES_READ_UNKNOWN;
  makesStream = false;
  for (let i = 5; i < c.argc; i++) {
    if (mayMake && c.argIs(i, 'mkstream')) {
      makesStream = true;
    } else if (c.argIs(i, 'entriesread') && i + 1 < c.argc) {
      if (!readInteger(core, c, ++i)) return false;
      entriesRead = argBigInt();
      if (entriesRead < 0n && entriesRead !== ENTRIES_READ_UNKNOWN) {
        addReplyError(c, 'value for ENTRIESREAD must be positive or -1');
        return false;
      }
    } else {
      addReplySubcommandSyntaxError(c);
      return false;
    }
  }
  return true;
}

/** Finds the stream. @returns false after an error reply */
function findStream(core: RedisCore, c: Client, mayMiss: boolean): boolean {
  const o = lookupKeyWrite(core, c.db, c.argOff[2], c.argLen[2]);
  if (isWrongType(core, c, o, OBJ_STREAM)) return false;
  stream = o === 0 ? 0 : robjPtr(core.heap, o);
  if (stream !== 0 || mayMiss) return true;
  addReplyError(
    c,
    'The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use the MKSTREAM option ' +
      'to create an empty stream automatically.',
  );
  return false;
}

/** Finds stream and group. @returns the group, or 0 after an error reply */
function findGroup(core: RedisCore, c: Client): number {
  if (!findStream(core, c, false)) return 0;
  const group = groupFind(core.heap, stream, c.argOff[3], c.argLen[3]);
  if (group === 0) {
    addReplyError(c, `-NOGROUP No such consumer group '${argCString(c, 3)}' for key name '${argCString(c, 2)}'`);
  }
  return group;
}

/**
 * Reads argument 4: an id, or "$" for the stream's last one.
 * @param signs whether "-" and "+" are ids
 * @returns false after an error reply
 */
function readGroupId(core: RedisCore, c: Client, signs: boolean): boolean {
  const text = argCString(c, 4);
  if (text !== '$') return signs && parseStreamIdText(c.argText(4), id, 0, false) ? true : readStreamId(c, 4, id);
  id.fill(0);
  if (stream !== 0) loadStreamId(core.heap, stream + STREAM_LAST_ID, id);
  return true;
}

function notify(core: RedisCore, c: Client, event: string): void {
  core.dirty++;
  core.notifyKeyspaceEvent(NOTIFY_STREAM, event, c.argOff[2], c.argLen[2], c.db.id);
}

function create(core: RedisCore, c: Client): void {
  if (!readOptions(core, c, true) || !findStream(core, c, makesStream)) return;
  if (c.argc > 8) {
    addReplySubcommandSyntaxError(c);
    return;
  }
  if (!readGroupId(core, c, false)) return;
  if (stream === 0) {
    stream = robjPtr(core.heap, addStream(core, c, 2));
    core.signalModifiedKey(c.db, c.argOff[2], c.argLen[2]);
  }
  if (groupCreate(core.heap, stream, c.argOff[3], c.argLen[3], id, entriesRead) === 0) {
    addReplyError(c, '-BUSYGROUP Consumer Group name already exists');
    return;
  }
  addReplyOk(c);
  notify(core, c, 'xgroup-create');
}

function setId(core: RedisCore, c: Client): void {
  if (!readOptions(core, c, false)) return;
  const group = findGroup(core, c);
  if (group === 0) return;
  if (c.argc !== 5 && c.argc !== 7) {
    addReplySubcommandSyntaxError(c);
    return;
  }
  if (!readGroupId(core, c, true)) return;
  storeStreamId(core.heap, group + GROUP_LAST_ID, id);
  setGroupEntriesRead(core.heap, group, entriesRead);
  addReplyOk(c);
  notify(core, c, 'xgroup-setid');
}

function destroy(core: RedisCore, c: Client): void {
  if (!findStream(core, c, false)) return;
  if (!groupDestroy(core.heap, stream, c.argOff[3], c.argLen[3])) {
    addReplyLong(c, 0);
    return;
  }
  addReplyLong(c, 1);
  notify(core, c, 'xgroup-destroy');
  // Who waits for the group must hear that it is gone.
  core.signalKeyAsReady(c.db, c.argOff[2], c.argLen[2]);
}

function createConsumer(core: RedisCore, c: Client): void {
  const group = findGroup(core, c);
  if (group === 0) return;
  if (consumerFind(core.heap, group, c.argOff[4], c.argLen[4]) !== 0) {
    addReplyLong(c, 0);
    return;
  }
  consumerCreate(core.heap, group, c.argOff[4], c.argLen[4], core.nowMs);
  notify(core, c, 'xgroup-createconsumer');
  addReplyLong(c, 1);
}

function deleteConsumer(core: RedisCore, c: Client): void {
  const h = core.heap;
  const group = findGroup(core, c);
  if (group === 0) return;
  const consumer = consumerFind(h, group, c.argOff[4], c.argLen[4]);
  let pending = 0;
  if (consumer !== 0) {
    pending = raxSize(h, consumerPending(h, consumer));
    consumerDelete(h, group, consumer);
    core.signalModifiedKey(c.db, c.argOff[2], c.argLen[2]);
    notify(core, c, 'xgroup-delconsumer');
  }
  addReplyLong(c, pending);
}

export const streamGroupProcs: Readonly<Record<string, CommandProc>> = {
  'xgroup|create': create,
  'xgroup|setid': setId,
  'xgroup|destroy': destroy,
  'xgroup|createconsumer': createConsumer,
  'xgroup|delconsumer': deleteConsumer,
  'xgroup|help': addHelp([
    'CREATE <key> <group> <id|$> [MKSTREAM] [ENTRIESREAD <count>]',
    '    Add a group that begins behind the id ($: behind the last entry).',
    'CREATECONSUMER <key> <group> <consumer>',
    '    Add a consumer to a group.',
    'DELCONSUMER <key> <group> <consumer>',
    '    Remove a consumer with what is pending for it.',
    'DESTROY <key> <group>',
    '    Remove a group with its consumers.',
    'SETID <key> <group> <id|$> [ENTRIESREAD <count>]',
    '    Set the last id that the group has been given.',
  ]),
};
