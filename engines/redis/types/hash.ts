/**
 * Hashes: few and short fields lie in a listpack, field and value in turn, others in a dict. A listpack becomes a dict when it gets more
 * than hash-max-listpack-entries fields or a text longer than hash-max-listpack-value; a dict never becomes a listpack.
 */

import type { RdbReader } from '../persistence/rdb-reader.ts';
import type { RdbWriter } from '../persistence/rdb-writer.ts';
import {
  dictAddBytes,
  dictCreate,
  dictDelete,
  dictFind,
  dictInsertHashed,
  dictRelease,
  lastHash,
} from '../structures/dict.ts';
import { dictVerify } from '../structures/dict-check.ts';
import { DictIterator } from '../structures/dict-iterator.ts';
import {
  DICT_BYTES,
  DICT_ENTRY_BYTES,
  DICT_TYPE_HASH,
  dictKey,
  dictSetValue,
  dictSize,
  dictSlots,
  dictValue,
} from '../structures/dict-layout.ts';
import { dictExpand, dictNeedsResize, dictResize } from '../structures/dict-rehash.ts';
import { Digest } from '../structures/digest.ts';
import type { Heap } from '../structures/heap.ts';
import {
  lpAppend,
  lpBytes,
  lpDeleteRangeWithEntry,
  lpDup,
  lpFind,
  lpFirst,
  lpFree,
  lpGet,
  lpIntHigh,
  lpIntLow,
  lpLength,
  lpNew,
  lpNext,
  lpPutInteger,
  lpReplace,
  lpSafeToAdd,
  lpShrinkToFit,
  lpStringLength,
  lpStringOffset,
  lpValidateIntegrity,
  lpVerify,
} from '../structures/listpack.ts';
import type { ObjectType } from '../structures/object-type.ts';
import {
  createObject,
  OBJ_ENCODING_HT,
  OBJ_ENCODING_LISTPACK,
  OBJ_HASH,
  ROBJ_BYTES,
  robjEncoding,
  robjPtr,
  robjSetPtr,
} from '../structures/robj.ts';
import { sdsFree, sdsLen, sdsNewLen, sdsOverwrite, sdsVerify, sdsZmallocSize } from '../structures/sds.ts';
import { listpackHoldsPairs, ziplistToListpack, zipmapLongest, zipmapToListpack } from '../structures/ziplist.ts';

const RDB_TYPE_HASH = 4;
const RDB_TYPE_HASH_ZIPMAP = 9;
const RDB_TYPE_HASH_ZIPLIST = 13;
const RDB_TYPE_HASH_LISTPACK = 16;
const POINTER_BYTES = 8;

function wrap(h: Heap, encoding: number, value: number): number {
  try {
    return createObject(h, OBJ_HASH, encoding, value);
  } catch (error) {
    if (encoding === OBJ_ENCODING_HT) dictRelease(h, value);
    else lpFree(h, value);
    throw error;
  }
}

/** An empty hash. @throws ARENA_EXHAUSTED */
export function createHashObject(h: Heap): number {
  return wrap(h, OBJ_ENCODING_LISTPACK, lpNew(h, 0));
}

/** Number of fields. */
export function hashTypeLength(h: Heap, o: number): number {
  const value = robjPtr(h, o);
  return robjEncoding(h, o) === OBJ_ENCODING_HT ? dictSize(h, value) : lpLength(h, value) >>> 1;
}

/** An element of a listpack as bytes: where lpGetText left them. */
let textOffset = 0;
let textLength = 0;

function getText(h: Heap, p: number): void {
  if (lpGet(h, p)) {
    textOffset = lpStringOffset;
    textLength = lpStringLength;
  } else {
    textOffset = h.scratch;
    textLength = lpPutInteger(h, h.scratch);
  }
}

/** Turns a listpack into a dict. @throws ARENA_EXHAUSTED, nothing changed */
export function hashTypeConvert(h: Heap, o: number): void {
  const lp = robjPtr(h, o);
  const d = dictCreate(h, DICT_TYPE_HASH);
  try {
    dictExpand(h, d, lpLength(h, lp) >>> 1);
    for (let p = lpFirst(h, lp); p !== 0; ) {
      getText(h, p);
      const entry = dictAddBytes(h, d, textOffset, textLength);
      if (entry === 0) throw new Error(`Broken hash at ${o}: a field stands twice in its listpack`);
      p = lpNext(h, lp, p);
      getText(h, p);
      dictSetValue(h, entry, sdsNewLen(h, textOffset, textLength));
      p = lpNext(h, lp, p);
    }
  } catch (error) {
    dictRelease(h, d);
    throw error;
  }
  lpFree(h, lp);
  h.u8[o] = OBJ_HASH | (OBJ_ENCODING_HT << 4);
  robjSetPtr(h, o, d);
}

/** Turns a listpack into a dict ahead of adding texts of these lengths, if one is too long or all are too many bytes. */
export function hashTypeTryConversion(h: Heap, o: number, lengths: Uint32Array, first: number, end: number): void {
  if (robjEncoding(h, o) !== OBJ_ENCODING_LISTPACK) return;
  const longest = h.limits.hashMaxListpackValue;
  let sum = 0;
  for (let i = first; i < end; i++) {
    if (lengths[i] > longest) {
      hashTypeConvert(h, o);
      return;
    }
    sum += lengths[i];
  }
  if (!lpSafeToAdd(h, robjPtr(h, o), sum)) hashTypeConvert(h, o);
}

/** A field's value, as hashTypeGet found it: a string's bytes, or an integer (listpacks hold integers as such). */
export let hashValueIsInteger = false;
export let hashValueOffset = 0;
export let hashValueLength = 0;
export let hashValueLow = 0;
export let hashValueHigh = 0;

/** Finds a field's value. @returns false when there is no such field */
export function hashTypeGet(h: Heap, o: number, offset: number, length: number): boolean {
  const value = robjPtr(h, o);
  if (robjEncoding(h, o) === OBJ_ENCODING_HT) {
    const entry = dictFind(h, value, offset, length);
    if (entry === 0) return false;
    hashValueIsInteger = false;
    hashValueOffset = dictValue(h, entry);
    hashValueLength = sdsLen(h, hashValueOffset);
    return true;
  }
  const p = lpFind(h, value, lpFirst(h, value), offset, length, 1);
  if (p === 0) return false;
  hashValueIsInteger = !lpGet(h, lpNext(h, value, p));
  if (hashValueIsInteger) {
    hashValueLow = lpIntLow;
    hashValueHigh = lpIntHigh;
  } else {
    hashValueOffset = lpStringOffset;
    hashValueLength = lpStringLength;
  }
  return true;
}

export function hashTypeExists(h: Heap, o: number, offset: number, length: number): boolean {
  const value = robjPtr(h, o);
  if (robjEncoding(h, o) === OBJ_ENCODING_HT) return dictFind(h, value, offset, length) !== 0;
  return lpFind(h, value, lpFirst(h, value), offset, length, 1) !== 0;
}

function setInDict(
  h: Heap,
  d: number,
  field: number,
  fieldLength: number,
  value: number,
  valueLength: number,
): boolean {
  let entry = dictFind(h, d, field, fieldLength);
  const hash = lastHash;
  if (entry !== 0 && sdsOverwrite(h, dictValue(h, entry), value, valueLength)) return true;
  const copy = sdsNewLen(h, value, valueLength);
  if (entry !== 0) {
    sdsFree(h, dictValue(h, entry));
    dictSetValue(h, entry, copy);
    return true;
  }
  let key = 0;
  try {
    key = sdsNewLen(h, field, fieldLength);
    entry = dictInsertHashed(h, d, key, hash);
  } catch (error) {
    if (key !== 0) sdsFree(h, key);
    sdsFree(h, copy);
    throw error;
  }
  dictSetValue(h, entry, copy);
  return false;
}

/** Sets a field. @returns whether it was there. @throws ARENA_EXHAUSTED, the hash still whole */
export function hashTypeSet(
  h: Heap,
  o: number,
  field: number,
  fieldLength: number,
  value: number,
  valueLength: number,
): boolean {
  if (robjEncoding(h, o) === OBJ_ENCODING_LISTPACK) {
    const longest = h.limits.hashMaxListpackValue;
    if (fieldLength <= longest && valueLength <= longest) {
      return setInListpack(h, o, field, fieldLength, value, valueLength);
    }
    hashTypeConvert(h, o);
  }
  return setInDict(h, robjPtr(h, o), field, fieldLength, value, valueLength);
}

function setInListpack(
  h: Heap,
  o: number,
  field: number,
  fieldLength: number,
  value: number,
  valueLength: number,
): boolean {
  let lp = robjPtr(h, o);
  const p = lpFind(h, lp, lpFirst(h, lp), field, fieldLength, 1);
  if (p !== 0) {
    lp = lpReplace(h, lp, lpNext(h, lp, p), value, valueLength);
    robjSetPtr(h, o, lp);
  } else {
    lp = lpAppend(h, lp, field, fieldLength);
    robjSetPtr(h, o, lp);
    try {
      lp = lpAppend(h, lp, value, valueLength);
    } catch (error) {
      robjSetPtr(h, o, lpDeleteRangeWithEntry(h, lp, lpFind(h, lp, lpFirst(h, lp), field, fieldLength, 1), 1));
      throw error;
    }
    robjSetPtr(h, o, lp);
  }
  if (lpLength(h, lp) >>> 1 > h.limits.hashMaxListpackEntries) hashTypeConvert(h, o);
  return p !== 0;
}

/** Deletes a field. @returns whether it was there */
export function hashTypeDelete(h: Heap, o: number, offset: number, length: number): boolean {
  const value = robjPtr(h, o);
  if (robjEncoding(h, o) === OBJ_ENCODING_HT) {
    if (!dictDelete(h, value, offset, length)) return false;
    if (dictNeedsResize(h, value)) dictResize(h, value);
    return true;
  }
  const p = lpFind(h, value, lpFirst(h, value), offset, length, 1);
  if (p === 0) return false;
  robjSetPtr(h, o, lpDeleteRangeWithEntry(h, value, p, 2));
  return true;
}

function memoryOfDict(h: Heap, d: number, samples: number): number {
  let looked = 0;
  let bytes = 0;
  const entries = new DictIterator(h, d);
  for (let entry = entries.next(); entry !== 0 && looked < samples; entry = entries.next()) {
    bytes += DICT_ENTRY_BYTES + sdsZmallocSize(h, dictKey(h, entry)) + sdsZmallocSize(h, dictValue(h, entry));
    looked++;
  }
  const base = ROBJ_BYTES + DICT_BYTES + POINTER_BYTES * dictSlots(h, d);
  return looked === 0 ? base : Math.floor(base + (bytes / looked) * dictSize(h, d));
}

function duplicateDict(h: Heap, from: number): number {
  const d = dictCreate(h, DICT_TYPE_HASH);
  try {
    dictExpand(h, d, dictSize(h, from));
    const entries = new DictIterator(h, from);
    for (let entry = entries.next(); entry !== 0; entry = entries.next()) {
      const key = dictKey(h, entry);
      const value = dictValue(h, entry);
      const added = dictAddBytes(h, d, key, sdsLen(h, key));
      dictSetValue(h, added, sdsNewLen(h, value, sdsLen(h, value)));
    }
  } catch (error) {
    dictRelease(h, d);
    throw error;
  }
  return d;
}

/** Reads fields and values one by one. @returns the hash, or 0 when the bytes are broken (also by a field that comes twice) */
function loadFields(r: RdbReader): number {
  const h = r.heap;
  const count = r.readLength();
  // A field and its value take at least two bytes, so what a length promises beyond that is broken before room is made for it.
  if (r.failed || count > r.left / 2) return 0;
  if (count === 0) {
    r.emptyKey = true;
    return 0;
  }
  const o = createHashObject(h);
  let whole = false;
  try {
    if (count > h.limits.hashMaxListpackEntries) {
      hashTypeConvert(h, o);
      dictExpand(h, robjPtr(h, o), count);
    }
    whole = loadInto(r, o, count);
  } finally {
    if (!whole) {
      hashType.free(h, o);
      h.free(o);
    }
  }
  return whole ? o : 0;
}

function loadInto(r: RdbReader, o: number, count: number): boolean {
  const h = r.heap;
  for (let i = 0; i < count; i++) {
    const field = r.readSds();
    if (field === 0) return false;
    try {
      if (!r.readString() || !loadField(r, o, field, count - i - 1)) return false;
    } finally {
      sdsFree(h, field);
    }
  }
  return true;
}

/** @param left pairs that follow. @returns false when the field is there already */
function loadField(r: RdbReader, o: number, field: number, left: number): boolean {
  const h = r.heap;
  const { stringOffset, stringLength } = r;
  const length = sdsLen(h, field);
  const longest = h.limits.hashMaxListpackValue;
  if (hashTypeExists(h, o, field, length)) return false;
  if (robjEncoding(h, o) === OBJ_ENCODING_HT) {
    setInDict(h, robjPtr(h, o), field, length, stringOffset, stringLength);
  } else if (length > longest || stringLength > longest || !lpSafeToAdd(h, robjPtr(h, o), length + stringLength)) {
    hashTypeConvert(h, o);
    setInDict(h, robjPtr(h, o), field, length, stringOffset, stringLength);
    dictExpand(h, robjPtr(h, o), left);
  } else {
    robjSetPtr(h, o, lpAppend(h, robjPtr(h, o), field, length));
    // Should there be no room for the value, the odd element goes with the whole hash.
    robjSetPtr(h, o, lpAppend(h, robjPtr(h, o), stringOffset, stringLength));
  }
  return true;
}

/** Reads a listpack, ziplist or zipmap. @returns the listpack, or 0 when the bytes are broken or empty */
function loadListpack(r: RdbReader, rdbType: number): number {
  const h = r.heap;
  const block = r.readBlock();
  if (block === 0) return 0;
  const size = r.stringLength;
  let lp = 0;
  try {
    if (rdbType === RDB_TYPE_HASH_ZIPLIST) lp = ziplistToListpack(h, block, size);
    else if (rdbType === RDB_TYPE_HASH_ZIPMAP) lp = zipmapToListpack(h, block, size);
    else if (lpValidateIntegrity(h, block, size, true)) lp = block;
  } finally {
    if (lp !== block) h.free(block);
  }
  if (lp === 0) return 0;
  let whole = false;
  try {
    r.emptyKey = lpFirst(h, lp) === 0;
    whole = !r.emptyKey && listpackHoldsPairs(h, lp);
  } finally {
    if (!whole) lpFree(h, lp);
  }
  return whole ? lp : 0;
}

function loadCompact(r: RdbReader, rdbType: number): number {
  const h = r.heap;
  const lp = loadListpack(r, rdbType);
  if (lp === 0) return 0;
  const tooLong = rdbType === RDB_TYPE_HASH_ZIPMAP && zipmapLongest > h.limits.hashMaxListpackValue;
  const o = wrap(h, OBJ_ENCODING_LISTPACK, lp);
  if (tooLong || lpLength(h, lp) >>> 1 > h.limits.hashMaxListpackEntries) {
    try {
      hashTypeConvert(h, o);
    } catch (error) {
      lpFree(h, lp);
      h.free(o);
      throw error;
    }
  } else if (rdbType === RDB_TYPE_HASH_ZIPLIST) {
    robjSetPtr(h, o, lpShrinkToFit(h, lp));
  }
  return o;
}

function verifyDict(h: Heap, d: number): void {
  dictVerify(h, d);
  const entries = new DictIterator(h, d);
  for (let entry = entries.next(); entry !== 0; entry = entries.next()) {
    sdsVerify(h, dictKey(h, entry));
    sdsVerify(h, dictValue(h, entry));
  }
}

/** Calls `visit` with every field's and value's bytes. */
function eachField(h: Heap, o: number, visit: (offset: number, length: number, isValue: boolean) => void): void {
  const value = robjPtr(h, o);
  if (robjEncoding(h, o) === OBJ_ENCODING_HT) {
    const entries = new DictIterator(h, value);
    for (let entry = entries.next(); entry !== 0; entry = entries.next()) {
      visit(dictKey(h, entry), sdsLen(h, dictKey(h, entry)), false);
      visit(dictValue(h, entry), sdsLen(h, dictValue(h, entry)), true);
    }
    return;
  }
  let isValue = false;
  for (let p = lpFirst(h, value); p !== 0; p = lpNext(h, value, p)) {
    getText(h, p);
    visit(textOffset, textLength, isValue);
    isValue = !isValue;
  }
}

export const hashType: ObjectType = {
  name: 'hash',
  free(h: Heap, o: number): void {
    if (robjEncoding(h, o) === OBJ_ENCODING_HT) dictRelease(h, robjPtr(h, o));
    else lpFree(h, robjPtr(h, o));
  },
  verify(h: Heap, o: number): void {
    const encoding = robjEncoding(h, o);
    const value = robjPtr(h, o);
    if (encoding === OBJ_ENCODING_HT) {
      verifyDict(h, value);
    } else if (encoding === OBJ_ENCODING_LISTPACK) {
      lpVerify(h, value);
      if (!listpackHoldsPairs(h, value)) throw new Error(`Broken hash at ${o}: its listpack holds no pairs`);
    } else {
      throw new Error(`Broken hash at ${o}: encoding ${encoding}`);
    }
    if (hashTypeLength(h, o) === 0) throw new Error(`Broken hash at ${o}: it is empty`);
  },
  encodingName: (h: Heap, o: number): string => (robjEncoding(h, o) === OBJ_ENCODING_HT ? 'hashtable' : 'listpack'),
  length: hashTypeLength,
  freeEffort: (h: Heap, o: number): number => (robjEncoding(h, o) === OBJ_ENCODING_HT ? dictSize(h, robjPtr(h, o)) : 1),
  memoryUsage(h: Heap, o: number, samples: number): number {
    const value = robjPtr(h, o);
    if (robjEncoding(h, o) === OBJ_ENCODING_HT) return memoryOfDict(h, value, samples);
    return ROBJ_BYTES + h.usable(value);
  },
  duplicate(h: Heap, o: number): number {
    const encoding = robjEncoding(h, o);
    const value = robjPtr(h, o);
    return wrap(h, encoding, encoding === OBJ_ENCODING_HT ? duplicateDict(h, value) : lpDup(h, value));
  },
  rdbType: (h: Heap, o: number): number =>
    robjEncoding(h, o) === OBJ_ENCODING_HT ? RDB_TYPE_HASH : RDB_TYPE_HASH_LISTPACK,
  saveRdb(w: RdbWriter, o: number): void {
    const h = w.heap;
    const value = robjPtr(h, o);
    if (robjEncoding(h, o) === OBJ_ENCODING_LISTPACK) {
      w.putBytes(value, lpBytes(h, value));
      return;
    }
    w.putLength(dictSize(h, value));
    eachField(h, o, (offset, length) => w.putBytes(offset, length));
  },
  rdbTypes: [RDB_TYPE_HASH, RDB_TYPE_HASH_ZIPMAP, RDB_TYPE_HASH_ZIPLIST, RDB_TYPE_HASH_LISTPACK],
  loadRdb: (r: RdbReader, rdbType: number): number =>
    rdbType === RDB_TYPE_HASH ? loadFields(r) : loadCompact(r, rdbType),
  mixDigest(h: Heap, o: number, digest: Digest): void {
    let pair = new Digest();
    eachField(h, o, (offset, length, isValue) => {
      pair.mix(h.u8, offset, length);
      if (!isValue) return;
      digest.xorDigest(pair);
      pair = new Digest();
    });
  },
};
