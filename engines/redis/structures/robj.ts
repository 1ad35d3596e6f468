/**
 * Value objects, 16 bytes each: type (4 bits), encoding (4), access clock (24), reference count (32), pointer (64). An integer
 * value takes the pointer's place.
 */
import { ARENA_EXHAUSTED, type Heap } from './heap.ts';
import { parsedHigh, parsedLow, parsedNumber, parseInt64, wordsToBigInt } from './int64.ts';
import {
  SDS_TYPE_8,
  sdsAvail,
  sdsClampCapacity,
  sdsFree,
  sdsHeaderSize,
  sdsLen,
  sdsNewLen,
  sdsNewRoom,
  sdsRemoveFreeSpace,
  sdsReqType,
  sdsSetAlloc,
  sdsSetLen,
} from './sds.ts';

export const OBJ_STRING = 0;
export const OBJ_LIST = 1;
export const OBJ_SET = 2;
export const OBJ_ZSET = 3;
export const OBJ_HASH = 4;
export const OBJ_STREAM = 6;

export const OBJ_ENCODING_RAW = 0;
export const OBJ_ENCODING_INT = 1;
export const OBJ_ENCODING_HT = 2;
export const OBJ_ENCODING_INTSET = 6;
export const OBJ_ENCODING_SKIPLIST = 7;
export const OBJ_ENCODING_EMBSTR = 8;
export const OBJ_ENCODING_QUICKLIST = 9;
export const OBJ_ENCODING_STREAM = 10;
export const OBJ_ENCODING_LISTPACK = 11;

export const ROBJ_BYTES = 16;
/** Reference count of an object that is never freed. */
export const SHARED_REFCOUNT = 0x7fffffff;
export const SHARED_INTEGERS = 10_000;
/** A string up to this length lies in one allocation with its object: 16 + 3 + 44 + 1 = 64 bytes. */
export const EMBSTR_LIMIT = 44;
/** Longest text that may be stored as an integer. */
const INTEGER_TEXT_LIMIT = 20;
const EMBSTR_HEADER = 3;

export function robjType(h: Heap, o: number): number {
  return h.u8[o] & 15;
}

export function robjEncoding(h: Heap, o: number): number {
  return h.u8[o] >>> 4;
}

/** The access field: LRU clock, or minutes << 8 | counter under LFU. */
export function robjLru(h: Heap, o: number): number {
  return h.u32[o >>> 2] >>> 8;
}

export function robjSetLru(h: Heap, o: number, lru: number): void {
  const at = o >>> 2;
  const head = h.u32[at];
  // Most accesses of a second set what is there already; not storing it leaves the cache line clean.
  if (head >>> 8 !== lru) h.u32[at] = (head & 0xff) | (lru << 8);
}

export function robjRefCount(h: Heap, o: number): number {
  return h.i32[(o + 4) >>> 2];
}

/** Offset that the object points to: its string, or later its container. */
export function robjPtr(h: Heap, o: number): number {
  return h.u32[(o + 8) >>> 2];
}

export function robjSetPtr(h: Heap, o: number, pointer: number): void {
  h.u32[(o + 8) >>> 2] = pointer;
  h.u32[(o + 12) >>> 2] = 0;
}

/** The integer of an int-encoded object; rounded beyond 2^53: see robjIntBig. */
export function robjIntNumber(h: Heap, o: number): number {
  return h.i32[(o + 12) >>> 2] * 4294967296 + h.u32[(o + 8) >>> 2];
}

export function robjIntBig(h: Heap, o: number): bigint {
  return wordsToBigInt(h.u32[(o + 8) >>> 2], h.i32[(o + 12) >>> 2]);
}

export function robjIntText(h: Heap, o: number): string {
  return robjIntBig(h, o).toString();
}

export function robjSetInt(h: Heap, o: number, low: number, high: number): void {
  h.u32[(o + 8) >>> 2] = low;
  h.i32[(o + 12) >>> 2] = high;
}

function newObject(h: Heap, bytes: number, type: number, encoding: number): number {
  const o = h.alloc(bytes);
  const at = o >>> 2;
  h.u32[at] = type | (encoding << 4) | (h.newObjectLru << 8);
  h.u32[at + 1] = 1;
  h.u32[at + 2] = 0;
  h.u32[at + 3] = 0;
  return o;
}

/** An object around `pointer`, with one reference. @throws ARENA_EXHAUSTED */
export function createObject(h: Heap, type: number, encoding: number, pointer: number): number {
  const o = newObject(h, ROBJ_BYTES, type, encoding);
  h.u32[(o + 8) >>> 2] = pointer;
  return o;
}

/** A string in the object's own allocation. */
export function createEmbeddedString(h: Heap, from: number, length: number): number {
  const o = newObject(h, ROBJ_BYTES + EMBSTR_HEADER + length + 1, OBJ_STRING, OBJ_ENCODING_EMBSTR);
  const s = o + ROBJ_BYTES + EMBSTR_HEADER;
  const u8 = h.u8;
  h.u32[(o + 8) >>> 2] = s;
  u8[s - 3] = length;
  u8[s - 2] = length;
  u8[s - 1] = SDS_TYPE_8;
  h.copy(from, s, length);
  u8[s + length] = 0;
  return o;
}

/** A raw string; spare room of its size class is kept as capacity. */
export function createRawString(h: Heap, from: number, length: number): number {
  const s = sdsNewLen(h, from, length);
  return wrapSds(h, s);
}

/** An object that takes over the string `s`; `s` is freed if there is no room for the object. */
export function wrapSds(h: Heap, s: number): number {
  const o = h.allocator.alloc(ROBJ_BYTES);
  if (o === 0) {
    sdsFree(h, s);
    throw ARENA_EXHAUSTED;
  }
  const at = o >>> 2;
  h.u32[at] = OBJ_STRING | (OBJ_ENCODING_RAW << 4) | (h.newObjectLru << 8);
  h.u32[at + 1] = 1;
  h.u32[at + 2] = s;
  h.u32[at + 3] = 0;
  return o;
}

/** A string object, embedded or raw by length, never an integer. */
export function createStringObject(h: Heap, from: number, length: number): number {
  return length <= EMBSTR_LIMIT ? createEmbeddedString(h, from, length) : createRawString(h, from, length);
}

/** A string object of a JavaScript string, one byte a char. */
export function createStringFromText(h: Heap, text: string): number {
  const room = sdsNewRoom(h, text.length);
  h.putLatin1(text, room);
  try {
    return createStringObject(h, room, text.length);
  } finally {
    sdsFree(h, room);
  }
}

/** A value object for bytes that a client sent: integer (shared if small), embedded or raw without spare room. */
export function createEncodedString(h: Heap, from: number, length: number): number {
  if (length <= INTEGER_TEXT_LIMIT && parseInt64(h.u8, from, length)) {
    return createIntegerObject(h, parsedLow, parsedHigh, parsedNumber);
  }
  if (length <= EMBSTR_LIMIT) return createEmbeddedString(h, from, length);
  const s = sdsNewLen(h, from, length);
  if (sdsAvail(h, s) > Math.floor(length / 10)) sdsSetAlloc(h, s, length);
  return wrapSds(h, s);
}

/**
 * Stores other bytes in a string object where freeing it and making a new one would give the same allocations: nobody else
 * refers to it, and the encoding, header and size class stay. What is left is what createEncodedString would have made.
 * @returns false when that is not so; nothing has changed then
 */
export function overwriteString(h: Heap, o: number, from: number, length: number): boolean {
  // A text that may be an integer has another encoding.
  if (length <= INTEGER_TEXT_LIMIT || h.i32[(o + 4) >>> 2] !== 1) return false;
  const head = h.u8[o];
  const s = h.u32[(o + 8) >>> 2];
  if (head === (OBJ_STRING | (OBJ_ENCODING_RAW << 4))) {
    const type = sdsReqType(length);
    if (length <= EMBSTR_LIMIT || (h.u8[s - 1] & 7) !== type) return false;
    const header = sdsHeaderSize(type);
    const usable = h.usable(s - header);
    if (usable !== h.allocator.sizeClass(header + length + 1)) return false;
    sdsSetLen(h, s, length);
    const spare = usable - header - 1 - length;
    sdsSetAlloc(h, s, spare > Math.floor(length / 10) ? length : sdsClampCapacity(usable, header, type));
  } else {
    if (head !== (OBJ_STRING | (OBJ_ENCODING_EMBSTR << 4)) || length > EMBSTR_LIMIT) return false;
    if (h.usable(o) !== h.allocator.sizeClass(ROBJ_BYTES + EMBSTR_HEADER + length + 1)) return false;
    h.u8[s - 3] = length;
    h.u8[s - 2] = length;
  }
  h.copy(from, s, length);
  h.u8[s + length] = 0;
  h.u32[o >>> 2] = head | (h.newObjectLru << 8);
  return true;
}

/** An integer object, shared where it may be; `value` is the words' value. */
export function createIntegerObject(h: Heap, low: number, high: number, value: number): number {
  if (value >= 0 && value < SHARED_INTEGERS && h.mayShareIntegers) return h.sharedIntegers[value];
  const o = newObject(h, ROBJ_BYTES, OBJ_STRING, OBJ_ENCODING_INT);
  h.u32[(o + 8) >>> 2] = low;
  h.i32[(o + 12) >>> 2] = high;
  return o;
}

/** Gives back more than a tenth of spare room of a raw string. */
export function trimStringObject(h: Heap, o: number): void {
  if (robjEncoding(h, o) !== OBJ_ENCODING_RAW) return;
  const s = robjPtr(h, o);
  if (sdsAvail(h, s) > Math.floor(sdsLen(h, s) / 10)) robjSetPtr(h, o, sdsRemoveFreeSpace(h, s));
}

export function incrRefCount(h: Heap, o: number): void {
  const at = (o + 4) >>> 2;
  const count = h.i32[at];
  if (count !== SHARED_REFCOUNT) h.i32[at] = count + 1;
}

/** Lets a reference go; the last one frees the object and what it points to. */
export function decrRefCount(h: Heap, o: number): void {
  const at = (o + 4) >>> 2;
  const count = h.i32[at];
  if (count === SHARED_REFCOUNT) return;
  if (count > 1) {
    h.i32[at] = count - 1;
    return;
  }
  if (count !== 1) throw new Error(`Cannot release the object at ${o}: its reference count is ${count}`);
  const head = h.u8[o];
  if ((head & 15) === OBJ_STRING) {
    if (head >>> 4 === OBJ_ENCODING_RAW) sdsFree(h, h.u32[(o + 8) >>> 2]);
  } else {
    h.types[head & 15].free(h, o);
  }
  h.free(o);
}

/** Makes the objects for 0 to 9,999; they count as used memory, as in the original. */
export function createSharedIntegers(h: Heap): void {
  const all = new Uint32Array(SHARED_INTEGERS);
  for (let i = 0; i < SHARED_INTEGERS; i++) {
    const o = newObject(h, ROBJ_BYTES, OBJ_STRING, OBJ_ENCODING_INT);
    h.u32[(o + 8) >>> 2] = i;
    h.i32[(o + 4) >>> 2] = SHARED_REFCOUNT;
    all[i] = o;
  }
  h.sharedIntegers = all;
}

/** Length in bytes of a string object's text. */
export function stringObjectLen(h: Heap, o: number): number {
  if (robjEncoding(h, o) === OBJ_ENCODING_INT) {
    const value = robjIntNumber(h, o);
    return Number.isSafeInteger(value) ? decimalLength(value) : robjIntText(h, o).length;
  }
  return sdsLen(h, robjPtr(h, o));
}

/** Number of characters of a safe integer in decimal. */
export function decimalLength(value: number): number {
  let length = 1;
  if (value < 0) {
    value = -value;
    length = 2;
  }
  for (let limit = 10; value >= limit; limit *= 10) length++;
  return length;
}

/** Checks an object's invariants and those of its value. @throws Error naming what is broken */
export function robjVerify(h: Heap, o: number): void {
  const count = robjRefCount(h, o);
  if (count < 1) throw new Error(`Broken object at ${o}: reference count ${count}`);
  const type = h.types[robjType(h, o)];
  if (type === undefined) throw new Error(`Broken object at ${o}: type ${robjType(h, o)}`);
  type.verify(h, o);
}
