/**
 * Sets: integers only and not too many of them lie in an intset, others in the keys of a dict. An intset becomes a dict when it grows
 * beyond set-max-intset-entries or gets a member that is no integer; a dict never becomes an intset.
 */

import type { RdbReader } from '../persistence/rdb-reader.ts';
import type { RdbWriter } from '../persistence/rdb-writer.ts';
import { putInt64 } from '../protocol/decimal.ts';
import {
  dictAddBytes,
  dictCreate,
  dictDelete,
  dictFind,
  dictFreeEntry,
  dictRelease,
  dictUnlinkHashed,
} from '../structures/dict.ts';
import { dictVerify } from '../structures/dict-check.ts';
import { DictIterator } from '../structures/dict-iterator.ts';
import {
  DICT_BYTES,
  DICT_ENTRY_BYTES,
  DICT_TYPE_SET,
  dictEntryHash,
  dictKey,
  dictSize,
  dictSlots,
} from '../structures/dict-layout.ts';
import { dictExpand, dictNeedsResize, dictResize } from '../structures/dict-rehash.ts';
import { dictFairRandomEntry } from '../structures/dict-sample.ts';
import type { Digest } from '../structures/digest.ts';
import type { Heap } from '../structures/heap.ts';
import { parsedHigh, parsedLow, parseInt64 } from '../structures/int64.ts';
import {
  intsetAdd,
  intsetBytes,
  intsetChanged,
  intsetDup,
  intsetFind,
  intsetGet,
  intsetHigh,
  intsetLen,
  intsetLow,
  intsetNew,
  intsetRemove,
  intsetValidateIntegrity,
  intsetVerify,
} from '../structures/intset.ts';
import type { ObjectType } from '../structures/object-type.ts';
import {
  createObject,
  OBJ_ENCODING_HT,
  OBJ_ENCODING_INTSET,
  OBJ_SET,
  ROBJ_BYTES,
  robjEncoding,
  robjPtr,
  robjSetPtr,
} from '../structures/robj.ts';
import { sdsLen, sdsVerify, sdsZmallocSize } from '../structures/sds.ts';

const RDB_TYPE_SET = 2;
const RDB_TYPE_SET_INTSET = 11;
/** No setting lets an intset grow beyond this. */
const INTSET_ENTRIES_MAX = 2 ** 30;
const POINTER_BYTES = 8;

function wrap(h: Heap, encoding: number, value: number): number {
  try {
    return createObject(h, OBJ_SET, encoding, value);
  } catch (error) {
    if (encoding === OBJ_ENCODING_HT) dictRelease(h, value);
    else h.free(value);
    throw error;
  }
}

/** An empty set that may hold anything. @throws ARENA_EXHAUSTED */
export function createSetObject(h: Heap): number {
  return wrap(h, OBJ_ENCODING_HT, dictCreate(h, DICT_TYPE_SET));
}

/** An empty set of integers. @throws ARENA_EXHAUSTED */
export function createIntsetObject(h: Heap): number {
  return wrap(h, OBJ_ENCODING_INTSET, intsetNew(h));
}

/** An empty set that suits its first member. @throws ARENA_EXHAUSTED */
export function setTypeCreate(h: Heap, offset: number, length: number): number {
  return parseInt64(h.u8, offset, length) ? createIntsetObject(h) : createSetObject(h);
}

/** Number of members. */
export function setTypeSize(h: Heap, o: number): number {
  return robjEncoding(h, o) === OBJ_ENCODING_HT ? dictSize(h, robjPtr(h, o)) : intsetLen(h, robjPtr(h, o));
}

function intsetEntriesMax(h: Heap): number {
  return Math.min(h.limits.setMaxIntsetEntries, INTSET_ENTRIES_MAX);
}

/** Turns an intset into a dict. @throws ARENA_EXHAUSTED, nothing changed */
function convertToDict(h: Heap, o: number): void {
  const is = robjPtr(h, o);
  const length = intsetLen(h, is);
  const d = dictCreate(h, DICT_TYPE_SET);
  try {
    dictExpand(h, d, length);
    for (let i = 0; i < length; i++) {
      intsetGet(h, is, i);
      const text = h.scratch;
      dictAddBytes(h, d, text, putInt64(h.u8, text, intsetLow, intsetHigh) - text);
    }
  } catch (error) {
    dictRelease(h, d);
    throw error;
  }
  h.free(is);
  h.u8[o] = OBJ_SET | (OBJ_ENCODING_HT << 4);
  robjSetPtr(h, o, d);
}

/** Adds a member. @returns whether it is new. @throws ARENA_EXHAUSTED, the set still whole */
export function setTypeAdd(h: Heap, o: number, offset: number, length: number): boolean {
  if (robjEncoding(h, o) === OBJ_ENCODING_HT) return dictAddBytes(h, robjPtr(h, o), offset, length) !== 0;
  if (parseInt64(h.u8, offset, length)) return addInteger(h, o, parsedLow, parsedHigh);
  convertToDict(h, o);
  return dictAddBytes(h, robjPtr(h, o), offset, length) !== 0;
}

/** Adds a member to an intset. */
function addInteger(h: Heap, o: number, low: number, high: number): boolean {
  const is = intsetAdd(h, robjPtr(h, o), low, high);
  robjSetPtr(h, o, is);
  if (!intsetChanged) return false;
  if (intsetLen(h, is) <= intsetEntriesMax(h)) return true;
  try {
    convertToDict(h, o);
  } catch (error) {
    robjSetPtr(h, o, intsetRemove(h, is, low, high));
    throw error;
  }
  return true;
}

/** Removes a member. @returns whether it was there */
export function setTypeRemove(h: Heap, o: number, offset: number, length: number): boolean {
  const value = robjPtr(h, o);
  if (robjEncoding(h, o) === OBJ_ENCODING_HT) {
    if (!dictDelete(h, value, offset, length)) return false;
    if (dictNeedsResize(h, value)) dictResize(h, value);
    return true;
  }
  return parseInt64(h.u8, offset, length) && removeInteger(h, o, parsedLow, parsedHigh);
}

function removeHashed(h: Heap, d: number, offset: number, length: number, hash: number): boolean {
  const entry = dictUnlinkHashed(h, d, offset, length, hash);
  if (entry === 0) return false;
  dictFreeEntry(h, d, entry);
  if (dictNeedsResize(h, d)) dictResize(h, d);
  return true;
}

function removeInteger(h: Heap, o: number, low: number, high: number): boolean {
  robjSetPtr(h, o, intsetRemove(h, robjPtr(h, o), low, high));
  return intsetChanged;
}

export function setTypeIsMember(h: Heap, o: number, offset: number, length: number): boolean {
  if (robjEncoding(h, o) === OBJ_ENCODING_HT) return dictFind(h, robjPtr(h, o), offset, length) !== 0;
  return parseInt64(h.u8, offset, length) && intsetFind(h, robjPtr(h, o), parsedLow, parsedHigh);
}

/** A member: as an integer (`isInteger`), or as bytes. */
export class SetMember {
  isInteger = false;
  low = 0;
  high = 0;
  offset = 0;
  length = 0;
  /** Whether it is that of an entry, and its hash then. */
  private isHashed = false;
  private hash = 0;

  /** Makes it the member of a dict's entry. */
  fromEntry(h: Heap, entry: number): void {
    this.isInteger = false;
    this.isHashed = true;
    this.hash = dictEntryHash(h, entry);
    this.offset = dictKey(h, entry);
    this.length = sdsLen(h, this.offset);
  }

  /** Makes it the integer that intsetGet found last. */
  fromIntset(): void {
    this.isInteger = true;
    this.isHashed = false;
    this.low = intsetLow;
    this.high = intsetHigh;
  }

  /** Makes sure that the bytes are there: an integer's text goes to the heap's scratch page. */
  asBytes(h: Heap): void {
    if (!this.isInteger) return;
    this.offset = h.scratch;
    this.length = putInt64(h.u8, h.scratch, this.low, this.high) - h.scratch;
  }

  isIn(h: Heap, o: number): boolean {
    if (this.isInteger && robjEncoding(h, o) === OBJ_ENCODING_INTSET) {
      return intsetFind(h, robjPtr(h, o), this.low, this.high);
    }
    this.asBytes(h);
    return setTypeIsMember(h, o, this.offset, this.length);
  }

  /** @returns whether it is new. @throws ARENA_EXHAUSTED */
  addTo(h: Heap, o: number): boolean {
    if (this.isInteger && robjEncoding(h, o) === OBJ_ENCODING_INTSET) return addInteger(h, o, this.low, this.high);
    this.asBytes(h);
    return setTypeAdd(h, o, this.offset, this.length);
  }

  /** Removes it from a set; its bytes may be those in the set, and are gone then. @returns whether it was there */
  removeFrom(h: Heap, o: number): boolean {
    if (this.isInteger && robjEncoding(h, o) === OBJ_ENCODING_INTSET) return removeInteger(h, o, this.low, this.high);
    if (this.isHashed && robjEncoding(h, o) === OBJ_ENCODING_HT)
      return removeHashed(h, robjPtr(h, o), this.offset, this.length, this.hash);
    this.asBytes(h);
    return setTypeRemove(h, o, this.offset, this.length);
  }
}

/** Finds a random member of a set that is not empty. */
export function setTypeRandom(h: Heap, o: number, into: SetMember): void {
  const value = robjPtr(h, o);
  if (robjEncoding(h, o) === OBJ_ENCODING_HT) {
    into.fromEntry(h, dictFairRandomEntry(h, value));
  } else {
    intsetGet(h, value, h.random.nextBelow(intsetLen(h, value)));
    into.fromIntset();
  }
}

/** Walks through the members of a set that does not change meanwhile (see DictIterator). */
export class SetIterator extends SetMember {
  private readonly h: Heap;
  private readonly entries: DictIterator | null;
  private readonly is: number;
  private index = 0;

  constructor(h: Heap, o: number) {
    super();
    this.h = h;
    const isDict = robjEncoding(h, o) === OBJ_ENCODING_HT;
    this.entries = isDict ? new DictIterator(h, robjPtr(h, o)) : null;
    this.is = isDict ? 0 : robjPtr(h, o);
  }

  /** Steps to the next member. @returns false at the end */
  next(): boolean {
    if (this.entries !== null) {
      const entry = this.entries.next();
      if (entry === 0) return false;
      this.fromEntry(this.h, entry);
      return true;
    }
    if (this.index === intsetLen(this.h, this.is)) return false;
    intsetGet(this.h, this.is, this.index++);
    this.fromIntset();
    return true;
  }
}

function memoryOfDict(h: Heap, d: number, samples: number): number {
  let looked = 0;
  let bytes = 0;
  const entries = new DictIterator(h, d);
  for (let entry = entries.next(); entry !== 0 && looked < samples; entry = entries.next()) {
    bytes += DICT_ENTRY_BYTES + sdsZmallocSize(h, dictKey(h, entry));
    looked++;
  }
  const base = ROBJ_BYTES + DICT_BYTES + POINTER_BYTES * dictSlots(h, d);
  return looked === 0 ? base : Math.floor(base + (bytes / looked) * dictSize(h, d));
}

function duplicateDict(h: Heap, from: number): number {
  const d = dictCreate(h, DICT_TYPE_SET);
  try {
    dictExpand(h, d, dictSize(h, from));
    const entries = new DictIterator(h, from);
    for (let entry = entries.next(); entry !== 0; entry = entries.next()) {
      const key = dictKey(h, entry);
      dictAddBytes(h, d, key, sdsLen(h, key));
    }
  } catch (error) {
    dictRelease(h, d);
    throw error;
  }
  return d;
}

/** Reads members one by one. @returns the set, or 0 when the bytes are broken (also by a member that comes twice) */
function loadMembers(r: RdbReader): number {
  const h = r.heap;
  const count = r.readLength();
  // A member takes at least a byte, so what a length promises beyond that is broken before room is made for it.
  if (r.failed || count > r.left) return 0;
  if (count === 0) {
    r.emptyKey = true;
    return 0;
  }
  const o = count > intsetEntriesMax(h) ? createSetObject(h) : createIntsetObject(h);
  let whole = false;
  try {
    if (robjEncoding(h, o) === OBJ_ENCODING_HT) dictExpand(h, robjPtr(h, o), count);
    whole = loadInto(r, o, count);
  } finally {
    if (!whole) {
      setType.free(h, o);
      h.free(o);
    }
  }
  return whole ? o : 0;
}

function loadInto(r: RdbReader, o: number, count: number): boolean {
  const h = r.heap;
  for (let i = 0; i < count; i++) {
    if (!r.readString()) return false;
    const { stringOffset, stringLength } = r;
    if (robjEncoding(h, o) === OBJ_ENCODING_INTSET && !parseInt64(h.u8, stringOffset, stringLength)) {
      convertToDict(h, o);
      dictExpand(h, robjPtr(h, o), count);
    }
    if (!setTypeAdd(h, o, stringOffset, stringLength)) return false;
  }
  return true;
}

function loadIntset(r: RdbReader): number {
  const h = r.heap;
  const is = r.readBlock();
  if (is === 0) return 0;
  if (!intsetValidateIntegrity(h, is, r.stringLength)) {
    h.free(is);
    return 0;
  }
  const o = wrap(h, OBJ_ENCODING_INTSET, is);
  if (intsetLen(h, is) > h.limits.setMaxIntsetEntries) {
    try {
      convertToDict(h, o);
    } catch (error) {
      h.free(is);
      h.free(o);
      throw error;
    }
  }
  return o;
}

export const setType: ObjectType = {
  name: 'set',
  free(h: Heap, o: number): void {
    if (robjEncoding(h, o) === OBJ_ENCODING_HT) dictRelease(h, robjPtr(h, o));
    else h.free(robjPtr(h, o));
  },
  verify(h: Heap, o: number): void {
    const encoding = robjEncoding(h, o);
    const value = robjPtr(h, o);
    if (encoding === OBJ_ENCODING_INTSET) {
      intsetVerify(h, value);
    } else if (encoding === OBJ_ENCODING_HT) {
      dictVerify(h, value);
      const entries = new DictIterator(h, value);
      for (let entry = entries.next(); entry !== 0; entry = entries.next()) sdsVerify(h, dictKey(h, entry));
    } else {
      throw new Error(`Broken set at ${o}: encoding ${encoding}`);
    }
    if (setTypeSize(h, o) === 0) throw new Error(`Broken set at ${o}: it is empty`);
  },
  encodingName: (h: Heap, o: number): string => (robjEncoding(h, o) === OBJ_ENCODING_HT ? 'hashtable' : 'intset'),
  length: setTypeSize,
  freeEffort: (h: Heap, o: number): number => (robjEncoding(h, o) === OBJ_ENCODING_HT ? dictSize(h, robjPtr(h, o)) : 1),
  memoryUsage(h: Heap, o: number, samples: number): number {
    const value = robjPtr(h, o);
    if (robjEncoding(h, o) === OBJ_ENCODING_HT) return memoryOfDict(h, value, samples);
    return ROBJ_BYTES + h.usable(value);
  },
  duplicate(h: Heap, o: number): number {
    const encoding = robjEncoding(h, o);
    const value = robjPtr(h, o);
    return wrap(h, encoding, encoding === OBJ_ENCODING_HT ? duplicateDict(h, value) : intsetDup(h, value));
  },
  rdbType: (h: Heap, o: number): number =>
    robjEncoding(h, o) === OBJ_ENCODING_HT ? RDB_TYPE_SET : RDB_TYPE_SET_INTSET,
  saveRdb(w: RdbWriter, o: number): void {
    const h = w.heap;
    const value = robjPtr(h, o);
    if (robjEncoding(h, o) === OBJ_ENCODING_INTSET) {
      w.putBytes(value, intsetBytes(h, value));
      return;
    }
    w.putLength(dictSize(h, value));
    const entries = new DictIterator(h, value);
    for (let entry = entries.next(); entry !== 0; entry = entries.next()) {
      const key = dictKey(h, entry);
      w.putBytes(key, sdsLen(h, key));
    }
  },
  rdbTypes: [RDB_TYPE_SET, RDB_TYPE_SET_INTSET],
  loadRdb: (r: RdbReader, rdbType: number): number => (rdbType === RDB_TYPE_SET ? loadMembers(r) : loadIntset(r)),
  mixDigest(h: Heap, o: number, digest: Digest): void {
    const members = new SetIterator(h, o);
    while (members.next()) {
      members.asBytes(h);
      digest.xor(h.u8, members.offset, members.length);
    }
  },
};
