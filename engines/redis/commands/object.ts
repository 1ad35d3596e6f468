/** OBJECT. */
import { idleTimeMs, lfuDecayedCounter } from '../access.ts';
import type { Client } from '../client.ts';
import type { CommandProc } from '../command.ts';
import { LOOKUP_NONOTIFY, LOOKUP_NOTOUCH, lookupKey } from '../db.ts';
import { policyIsLfu } from '../evict.ts';
import { addReplyBulkString, addReplyError, addReplyLong, addReplyNull } from '../protocol/reply.ts';
import type { RedisCore } from '../redis-core.ts';
import { robjRefCount, robjType } from '../structures/robj.ts';
import { addHelp } from './help.ts';

const SWITCHING_NOTE =
  'Please note that when switching between policies at runtime LRU and LFU data will take some time to adjust.';

/** @returns the name of an object's encoding as OBJECT ENCODING gives it */
export function encodingName(core: RedisCore, robj: number): string {
  return core.heap.types[robjType(core.heap, robj)].encodingName(core.heap, robj);
}

/** @returns the object of the key in argument 2 without touching its clock; 0 after a nil reply */
function objectOrNull(core: RedisCore, c: Client): number {
  const robj = lookupKey(core, c.db, c.argOff[2]!, c.argLen[2]!, LOOKUP_NOTOUCH | LOOKUP_NONOTIFY);
  if (robj === 0) addReplyNull(c);
  return robj;
}

function encoding(core: RedisCore, c: Client): void {
  const robj = objectOrNull(core, c);
  if (robj !== 0) addReplyBulkString(c, encodingName(core, robj));
}

function refCount(core: RedisCore, c: Client): void {
  const robj = objectOrNull(core, c);
  if (robj !== 0) addReplyLong(c, robjRefCount(core.heap, robj));
}

function idleTime(core: RedisCore, c: Client): void {
  const robj = objectOrNull(core, c);
  if (robj === 0) return;
  if (policyIsLfu(core)) {
    addReplyError(c, `An LFU maxmemory policy is selected, idle time not tracked. ${SWITCHING_NOTE}`);
  } else {
    addReplyLong(c, Math.floor(idleTimeMs(core, robj) / 1000));
  }
}

function frequency(core: RedisCore, c: Client): void {
  const robj = objectOrNull(core, c);
  if (robj === 0) return;
  if (!policyIsLfu(core)) {
    addReplyError(c, `An LFU maxmemory policy is not selected, access frequency not tracked. ${SWITCHING_NOTE}`);
  } else {
    addReplyLong(c, lfuDecayedCounter(core, robj));
  }
}

export const objectProcs: Readonly<Record<string, CommandProc>> = {
  'object|encoding': encoding,
  'object|refcount': refCount,
  'object|idletime': idleTime,
  'object|freq': frequency,
  'object|help': addHelp([
    'ENCODING <key>',
    '    Tell how the value is encoded in memory.',
    'FREQ <key>',
    '    Tell the logarithmic access counter, under an LFU policy.',
    'IDLETIME <key>',
    '    Tell for how many seconds the key has not been touched.',
    'REFCOUNT <key>',
    '    Tell how many references the value has.',
  ]),
};
