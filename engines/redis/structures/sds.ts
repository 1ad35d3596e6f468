/**
 * Strings with their length and capacity in a header before them, as the original lays them out. A string is known by the
 * offset of its first byte; the byte before it tells the header's type; a NUL follows its last byte.
 *
 * | type | header | fields |
 * | --- | --- | --- |
 * | 0 | 1 byte | length in the upper five bits of the type byte, no capacity |
 * | 1 | 3 bytes | length and capacity of 1 byte each |
 * | 2 | 5 bytes | of 2 bytes |
 * | 3 | 9 bytes | of 4 bytes |
 *
 * (The original's type 4 is for strings of 4 GiB and more, which an arena of 4 GiB cannot hold.)
 */
import type { Heap } from './heap.ts';

export const SDS_TYPE_5 = 0;
export const SDS_TYPE_8 = 1;
export const SDS_TYPE_16 = 2;
export const SDS_TYPE_32 = 3;
const SDS_TYPE_MASK = 7;

/** Below it a growing string doubles, from it on it grows by so much more than asked. */
const SDS_MAX_PREALLOC = 1024 * 1024;

export function sdsReqType(length: number): number {
  if (length < 32) return SDS_TYPE_5;
  if (length < 256) return SDS_TYPE_8;
  if (length < 65_536) return SDS_TYPE_16;
  return SDS_TYPE_32;
}

export function sdsHeaderSize(type: number): number {
  return type === SDS_TYPE_5 ? 1 : type === SDS_TYPE_8 ? 3 : type === SDS_TYPE_16 ? 5 : 9;
}

function sdsTypeMaxSize(type: number): number {
  return type === SDS_TYPE_5 ? 31 : type === SDS_TYPE_8 ? 255 : type === SDS_TYPE_16 ? 65_535 : 4_294_967_295;
}

export function sdsLen(h: Heap, s: number): number {
  const flags = h.u8[s - 1];
  switch (flags & SDS_TYPE_MASK) {
    case SDS_TYPE_5:
      return flags >>> 3;
    case SDS_TYPE_8:
      return h.u8[s - 3];
    case SDS_TYPE_16:
      return h.u16[(s - 5) >>> 1];
    default:
      return h.u32[(s - 9) >>> 2];
  }
}

/** Capacity in bytes, without header and NUL. */
export function sdsAlloc(h: Heap, s: number): number {
  const flags = h.u8[s - 1];
  switch (flags & SDS_TYPE_MASK) {
    case SDS_TYPE_5:
      return flags >>> 3;
    case SDS_TYPE_8:
      return h.u8[s - 2];
    case SDS_TYPE_16:
      return h.u16[(s - 3) >>> 1];
    default:
      return h.u32[(s - 5) >>> 2];
  }
}

export function sdsAvail(h: Heap, s: number): number {
  return (h.u8[s - 1] & SDS_TYPE_MASK) === SDS_TYPE_5 ? 0 : sdsAlloc(h, s) - sdsLen(h, s);
}

export function sdsSetLen(h: Heap, s: number, length: number): void {
  switch (h.u8[s - 1] & SDS_TYPE_MASK) {
    case SDS_TYPE_5:
      h.u8[s - 1] = length << 3;
      break;
    case SDS_TYPE_8:
      h.u8[s - 3] = length;
      break;
    case SDS_TYPE_16:
      h.u16[(s - 5) >>> 1] = length;
      break;
    default:
      h.u32[(s - 9) >>> 2] = length;
  }
}

export function sdsSetAlloc(h: Heap, s: number, capacity: number): void {
  switch (h.u8[s - 1] & SDS_TYPE_MASK) {
    case SDS_TYPE_5:
      break;
    case SDS_TYPE_8:
      h.u8[s - 2] = capacity;
      break;
    case SDS_TYPE_16:
      h.u16[(s - 3) >>> 1] = capacity;
      break;
    default:
      h.u32[(s - 5) >>> 2] = capacity;
  }
}

/** Offset of the allocation that holds the string. */
export function sdsBase(h: Heap, s: number): number {
  return s - sdsHeaderSize(h.u8[s - 1] & SDS_TYPE_MASK);
}

/** Size class of the string's allocation in bytes. */
export function sdsZmallocSize(h: Heap, s: number): number {
  return h.usable(sdsBase(h, s));
}

/** The capacity that an allocation of `usable` bytes gives a string with this header. */
export function sdsClampCapacity(usable: number, header: number, type: number): number {
  const capacity = usable - header - 1;
  const most = sdsTypeMaxSize(type);
  return Math.min(capacity, most);
}

/** A string of `length` bytes of undefined content. @throws ARENA_EXHAUSTED */
export function sdsNewRoom(h: Heap, length: number): number {
  let type = sdsReqType(length);
  // An empty string is mostly there to be appended to, which type 5 is no good for.
  if (type === SDS_TYPE_5 && length === 0) type = SDS_TYPE_8;
  const header = sdsHeaderSize(type);
  const base = h.alloc(header + length + 1);
  const s = base + header;
  h.u8[s - 1] = type === SDS_TYPE_5 ? length << 3 : type;
  if (type !== SDS_TYPE_5) {
    sdsSetLen(h, s, length);
    sdsSetAlloc(h, s, sdsClampCapacity(h.usable(base), header, type));
  }
  h.u8[s + length] = 0;
  return s;
}

/** A string of the `length` bytes at `from`. @throws ARENA_EXHAUSTED */
export function sdsNewLen(h: Heap, from: number, length: number): number {
  const s = sdsNewRoom(h, length);
  h.copy(from, s, length);
  return s;
}

/**
 * Stores other bytes in a string where freeing it and making a new one would give the same allocation.
 * @returns false when that is not so; nothing has changed then
 */
export function sdsOverwrite(h: Heap, s: number, from: number, length: number): boolean {
  const type = h.u8[s - 1] & SDS_TYPE_MASK;
  if (type !== sdsReqType(length) || length === 0) return false;
  const header = sdsHeaderSize(type);
  const usable = h.usable(s - header);
  if (usable !== h.allocator.sizeClass(header + length + 1)) return false;
  sdsSetLen(h, s, length);
  if (type !== SDS_TYPE_5) sdsSetAlloc(h, s, sdsClampCapacity(usable, header, type));
  h.copy(from, s, length);
  h.u8[s + length] = 0;
  return true;
}

export function sdsFree(h: Heap, s: number): void {
  h.free(s - sdsHeaderSize(h.u8[s - 1] & SDS_TYPE_MASK));
}

/**
 * Makes room for `more` bytes behind the string. Greedy growth doubles (adds 1 MiB from 1 MiB on), so that repeated appends cost little.
 * @returns the string's new offset
 */
export function sdsMakeRoomFor(h: Heap, s: number, more: number, greedy: boolean): number {
  if (sdsAvail(h, s) >= more) return s;
  const oldType = h.u8[s - 1] & SDS_TYPE_MASK;
  const length = sdsLen(h, s);
  let wanted = length + more;
  if (greedy) wanted = wanted < SDS_MAX_PREALLOC ? wanted * 2 : wanted + SDS_MAX_PREALLOC;
  let type = sdsReqType(wanted);
  if (type === SDS_TYPE_5) type = SDS_TYPE_8;
  const header = sdsHeaderSize(type);
  const oldBase = s - sdsHeaderSize(oldType);
  if (oldType === type && h.usable(oldBase) === h.allocator.sizeClass(header + wanted + 1)) {
    // A reallocation to the same size class stays in place.
    sdsSetAlloc(h, s, sdsClampCapacity(h.usable(oldBase), header, type));
    return s;
  }
  const base = h.alloc(header + wanted + 1);
  const grown = base + header;
  h.copy(s, grown, length + 1);
  h.free(oldBase);
  h.u8[grown - 1] = type;
  sdsSetLen(h, grown, length);
  sdsSetAlloc(h, grown, sdsClampCapacity(h.usable(base), header, type));
  return grown;
}

/** Appends the `length` bytes at `from` (which must not lie in `s`). @returns the string's new offset */
export function sdsCatLen(h: Heap, s: number, from: number, length: number): number {
  const old = sdsLen(h, s);
  const grown = sdsMakeRoomFor(h, s, length, true);
  h.copy(from, grown + old, length);
  sdsSetLen(h, grown, old + length);
  h.u8[grown + old + length] = 0;
  return grown;
}

/** Makes the string at least `length` bytes long; new bytes are zero. @returns the string's new offset */
export function sdsGrowZero(h: Heap, s: number, length: number): number {
  const old = sdsLen(h, s);
  if (length <= old) return s;
  const grown = sdsMakeRoomFor(h, s, length - old, true);
  h.u8.fill(0, grown + old, grown + length + 1);
  sdsSetLen(h, grown, length);
  return grown;
}

/** Gives back spare room, if there is room to move to. @returns the string's new offset */
export function sdsRemoveFreeSpace(h: Heap, s: number): number {
  if (sdsAvail(h, s) === 0) return s;
  const oldType = h.u8[s - 1] & SDS_TYPE_MASK;
  const oldHeader = sdsHeaderSize(oldType);
  const length = sdsLen(h, s);
  const type = sdsReqType(length);
  const base = s - oldHeader;
  const keepsHeader = oldType === type || type > SDS_TYPE_8;
  const header = keepsHeader ? oldHeader : sdsHeaderSize(type);
  let moved = s;
  if (!keepsHeader || h.usable(base) !== h.allocator.sizeClass(header + length + 1)) {
    const smaller = h.allocator.alloc(header + length + 1);
    if (smaller === 0) return s;
    moved = smaller + header;
    h.copy(s, moved, length + 1);
    if (keepsHeader) h.u8[moved - 1] = oldType;
    else h.u8[moved - 1] = type === SDS_TYPE_5 ? length << 3 : type;
    h.free(base);
    sdsSetLen(h, moved, length);
  }
  sdsSetAlloc(h, moved, length);
  return moved;
}

/** Whether the string equals the `length` bytes at `other`. */
export function sdsEquals(h: Heap, s: number, other: number, length: number): boolean {
  return sdsLen(h, s) === length && h.equal(s, other, length);
}

/** Checks a string's invariants. @throws Error naming what is broken */
export function sdsVerify(h: Heap, s: number): void {
  const type = h.u8[s - 1] & SDS_TYPE_MASK;
  if (type > SDS_TYPE_32) throw new Error(`Broken string at ${s}: header type ${type}`);
  const length = sdsLen(h, s);
  const capacity = sdsAlloc(h, s);
  if (length > capacity) throw new Error(`Broken string at ${s}: length ${length} exceeds capacity ${capacity}`);
  if (h.u8[s + length] !== 0) throw new Error(`Broken string at ${s}: no NUL behind its last byte`);
}
