/** The HyperLogLog commands. */
import type { Client } from '../client.ts';
import type { CommandProc } from '../command.ts';
import { dbAddOwned, foundEntry, lookupKeyRead, lookupKeyWrite, NOTIFY_STRING } from '../db.ts';
import {
  addReplyArrayLen,
  addReplyBigInt,
  addReplyBulkString,
  addReplyError,
  addReplyLong,
  addReplyOk,
  addReplyStatus,
} from '../protocol/reply.ts';
import type { RedisCore } from '../redis-core.ts';
import {
  HLL_DENSE,
  HLL_REGISTERS,
  HLL_SPARSE,
  hllAdd,
  hllCachedCount,
  hllCount,
  hllCountRaw,
  hllEncoding,
  hllInvalidateCount,
  hllIsValid,
  hllMerge,
  hllNew,
  hllRaise,
  hllRegister,
  hllRunsText,
  hllSetCachedCount,
  hllString,
  hllToDense,
} from '../structures/hyperloglog.ts';
import { OBJ_ENCODING_INT, robjEncoding, robjPtr, robjSetPtr, wrapSds } from '../structures/robj.ts';
import { sdsFree } from '../structures/sds.ts';
import { isWrongType } from './integer-arguments.ts';
import { unshare } from './string.ts';

const BROKEN = '-INVALIDOBJ Corrupted HLL object detected';
const NOT_ONE = '-WRONGTYPE Key is not a valid HyperLogLog string value.';
const SELF_TEST_ELEMENTS = 100_000;
/** Where in the scratch page its elements are made. */
const SELF_TEST_AT = 1_024;
/** Four times the standard error of 16,384 registers. */
const SELF_TEST_ERROR = 4 * (1.04 / Math.sqrt(HLL_REGISTERS));

/** Replies with an error unless the object is a HyperLogLog. @returns whether it replied */
function isNoHll(core: RedisCore, c: Client, value: number): boolean {
  const h = core.heap;
  if (isWrongType(core, c, value)) return true;
  if (robjEncoding(h, value) !== OBJ_ENCODING_INT && hllIsValid(h, robjPtr(h, value))) return false;
  addReplyError(c, NOT_ONE);
  return true;
}

function changed(core: RedisCore, c: Client, changes: number): void {
  core.signalModifiedKey(c.db, c.argOff[1], c.argLen[1]);
  core.notifyKeyspaceEvent(NOTIFY_STRING, 'pfadd', c.argOff[1], c.argLen[1], c.db.id);
  core.dirty += changes;
}

/** The object of argument 1's key to change in place, a new empty one if there is none (`foundEntry` says which). */
function addHll(core: RedisCore, c: Client): number {
  const value = wrapSds(core.heap, hllNew(core.heap));
  dbAddOwned(core, c.db, c.argOff[1], c.argLen[1], value);
  return value;
}

function pfaddCommand(core: RedisCore, c: Client): void {
  const h = core.heap;
  let value = lookupKeyWrite(core, c.db, c.argOff[1], c.argLen[1]);
  let updated = 0;
  if (value === 0) {
    value = addHll(core, c);
    updated++;
  } else {
    const entry = foundEntry;
    if (isNoHll(core, c, value)) return;
    value = unshare(core, entry, value);
  }
  try {
    for (let i = 2; i < c.argc; i++) {
      let result: number;
      try {
        result = hllAdd(h, robjPtr(h, value), c.argOff[i], c.argLen[i]);
      } finally {
        // The string may have moved before there was no room for what came next.
        robjSetPtr(h, value, hllString);
      }
      if (result < 0) {
        addReplyError(c, BROKEN);
        return;
      }
      updated += result;
    }
  } catch (error) {
    // At the least its form may have changed.
    changed(core, c, Math.max(updated, 1));
    throw error;
  }
  if (updated > 0) {
    hllInvalidateCount(h, robjPtr(h, value));
    changed(core, c, updated);
  }
  addReplyLong(c, updated > 0 ? 1 : 0);
}

/** Registers of a union, a byte each; between commands anything. */
const merged = new Uint8Array(HLL_REGISTERS);

/** Merges the values of arguments from `first` on into `merged`. @returns whether one was dense (1), none (0); -1: error reply */
function mergeArguments(core: RedisCore, c: Client, first: number): number {
  const h = core.heap;
  let dense = 0;
  merged.fill(0);
  for (let i = first; i < c.argc; i++) {
    const value = lookupKeyRead(core, c.db, c.argOff[i], c.argLen[i]);
    if (value === 0) continue;
    if (isNoHll(core, c, value)) return -1;
    const s = robjPtr(h, value);
    if (hllEncoding(h, s) === HLL_DENSE) dense = 1;
    if (!hllMerge(h, s, merged)) {
      addReplyError(c, BROKEN);
      return -1;
    }
  }
  return dense;
}

function pfcountCommand(core: RedisCore, c: Client): void {
  if (c.argc > 2) {
    if (mergeArguments(core, c, 1) >= 0) addReplyLong(c, hllCountRaw(merged));
    return;
  }
  const h = core.heap;
  let value = lookupKeyRead(core, c.db, c.argOff[1], c.argLen[1]);
  if (value === 0) {
    addReplyLong(c, 0);
    return;
  }
  const entry = foundEntry;
  if (isNoHll(core, c, value)) return;
  value = unshare(core, entry, value);
  const s = robjPtr(h, value);
  const cached = hllCachedCount(h, s);
  if (cached !== null) {
    addReplyBigInt(c, cached);
    return;
  }
  const count = hllCount(h, s);
  if (count < 0) {
    addReplyError(c, BROKEN);
    return;
  }
  // A command that only reads, and yet the value changes: the count is kept for the next one.
  hllSetCachedCount(h, s, count);
  core.signalModifiedKey(c.db, c.argOff[1], c.argLen[1]);
  core.dirty++;
  addReplyLong(c, count);
}

function pfmergeCommand(core: RedisCore, c: Client): void {
  const h = core.heap;
  const dense = mergeArguments(core, c, 1);
  if (dense < 0) return;
  let value = lookupKeyWrite(core, c.db, c.argOff[1], c.argLen[1]);
  value = value === 0 ? addHll(core, c) : unshare(core, foundEntry, value);
  let s = robjPtr(h, value);
  let whole = false;
  try {
    if (dense === 1) {
      const denser = hllToDense(h, s);
      if (denser === 0) {
        addReplyError(c, BROKEN);
        whole = true;
        return;
      }
      s = denser;
      robjSetPtr(h, value, s);
    }
    for (let i = 0; i < HLL_REGISTERS; i++) {
      if (merged[i] === 0) continue;
      try {
        hllRaise(h, s, i, merged[i]);
      } finally {
        s = hllString;
        robjSetPtr(h, value, s);
      }
    }
    whole = true;
  } finally {
    if (!whole) changed(core, c, 1);
  }
  hllInvalidateCount(h, s);
  changed(core, c, 1);
  addReplyOk(c);
}

/** The text of an argument up to a NUL, as the original prints it. */
function cText(c: Client, i: number): string {
  return c.argText(i).split('\0', 1)[0]!;
}

/** Makes the value dense. @returns its string, 0 after an error reply */
function makeDense(core: RedisCore, c: Client, value: number): number {
  const h = core.heap;
  const s = robjPtr(h, value);
  if (hllEncoding(h, s) === HLL_DENSE) return s;
  const dense = hllToDense(h, s);
  if (dense === 0) {
    addReplyError(c, BROKEN);
    return 0;
  }
  robjSetPtr(h, value, dense);
  core.dirty++;
  return dense;
}

function debugGetRegisters(core: RedisCore, c: Client, value: number): void {
  const s = makeDense(core, c, value);
  if (s === 0) return;
  addReplyArrayLen(c, HLL_REGISTERS);
  for (let i = 0; i < HLL_REGISTERS; i++) addReplyLong(c, hllRegister(core.heap, s, i));
}

function debugDecode(core: RedisCore, c: Client, value: number): void {
  const s = robjPtr(core.heap, value);
  if (hllEncoding(core.heap, s) !== HLL_SPARSE) addReplyError(c, 'HLL encoding is not sparse');
  else addReplyBulkString(c, hllRunsText(core.heap, s));
}

function debugToDense(core: RedisCore, c: Client, value: number): void {
  const converts = hllEncoding(core.heap, robjPtr(core.heap, value)) === HLL_SPARSE;
  if (makeDense(core, c, value) !== 0) addReplyLong(c, converts ? 1 : 0);
}

function pfdebugCommand(core: RedisCore, c: Client): void {
  const h = core.heap;
  let value = lookupKeyWrite(core, c.db, c.argOff[2], c.argLen[2]);
  const entry = foundEntry;
  if (value === 0) {
    addReplyError(c, 'The specified key does not exist');
    return;
  }
  if (isNoHll(core, c, value)) return;
  value = unshare(core, entry, value);
  const known = ['getreg', 'decode', 'encoding', 'todense'].findIndex((name) => c.argIs(1, name));
  if (known < 0) addReplyError(c, `Unknown PFDEBUG subcommand '${cText(c, 1)}'`);
  else if (c.argc !== 3) addReplyError(c, `Wrong number of arguments for the '${cText(c, 1)}' subcommand`);
  else if (known === 0) debugGetRegisters(core, c, value);
  else if (known === 1) debugDecode(core, c, value);
  else if (known === 2) addReplyStatus(c, hllEncoding(h, robjPtr(h, value)) === HLL_DENSE ? 'dense' : 'sparse');
  else debugToDense(core, c, value);
}

/** Adds many elements to a new one and looks at the count every now and then. @returns what is wrong, '' when nothing is */
function selfTest(core: RedisCore): string {
  const h = core.heap;
  let s = hllNew(h);
  const element = h.scratch + SELF_TEST_AT;
  try {
    let checkAt = 1;
    for (let i = 1; i <= SELF_TEST_ELEMENTS; i++) {
      h.view.setUint32(element, i, true);
      h.view.setUint32(element + 4, ~i, true);
      let result: number;
      try {
        result = hllAdd(h, s, element, 8);
      } finally {
        s = hllString;
      }
      if (result < 0) return `TESTFAILED broken after ${i} elements`;
      if (i !== checkAt) continue;
      checkAt *= 10;
      const count = hllCount(h, s);
      if (Math.abs(count - i) > Math.max(1, i * SELF_TEST_ERROR)) return `TESTFAILED ${i} elements count as ${count}`;
    }
    return '';
  } finally {
    sdsFree(h, s);
  }
}

function pfselftestCommand(core: RedisCore, c: Client): void {
  const problem = selfTest(core);
  if (problem === '') addReplyOk(c);
  else addReplyError(c, `-${problem}`);
}

/** By full name. */
export const hyperLogLogProcs: Readonly<Record<string, CommandProc>> = {
  pfadd: pfaddCommand,
  pfcount: pfcountCommand,
  pfdebug: pfdebugCommand,
  pfmerge: pfmergeCommand,
  pfselftest: pfselftestCommand,
};
