/**
 * The ids of stream entries: milliseconds and a sequence number, unsigned 64 bits each. As four words, the most significant first
 * (ms high, ms low, sequence high, sequence low), so that two compare word by word; in structs as two little-endian integers, as keys
 * of radix trees as 16 big-endian bytes.
 */
import type { Heap } from './heap.ts';

export type StreamId = Uint32Array;

export const STREAM_ID_BYTES = 16;
const WORD = 4294967296;

export function newStreamId(): StreamId {
  return new Uint32Array(4);
}

export const STREAM_ID_MAX: StreamId = new Uint32Array(4).fill(0xffffffff);
export const STREAM_ID_MIN: StreamId = new Uint32Array(4);

/** Negative, 0 or positive as `a` is smaller, equal or greater. */
export function compareStreamIds(a: StreamId, b: StreamId): number {
  for (let i = 0; i < 4; i++) if (a[i] !== b[i]) return a[i] < b[i] ? -1 : 1;
  return 0;
}

export function streamIdIsZero(id: StreamId): boolean {
  return (id[0] | id[1] | id[2] | id[3]) === 0;
}

export function streamIdIsMax(id: StreamId): boolean {
  return (id[0] & id[1] & id[2] & id[3]) === -1;
}

export function copyStreamId(from: StreamId, to: StreamId): void {
  to[0] = from[0];
  to[1] = from[1];
  to[2] = from[2];
  to[3] = from[3];
}

/** Sets the milliseconds from a safe integer; the sequence becomes 0. */
export function setStreamIdMs(id: StreamId, ms: number): void {
  id[0] = Math.floor(ms / WORD);
  id[1] = ms >>> 0;
  id[2] = 0;
  id[3] = 0;
}

/** To the next id. @returns false where there is none: it is 0-0 then */
export function incrementStreamId(id: StreamId): boolean {
  for (let i = 3; i >= 0; i--) {
    id[i]++;
    if (id[i] !== 0) return true;
  }
  return false;
}

/** To the id before. @returns false where there is none: it is the greatest then */
export function decrementStreamId(id: StreamId): boolean {
  for (let i = 3; i >= 0; i--) {
    const word = id[i];
    id[i]--;
    if (word !== 0) return true;
  }
  return false;
}

/** Reads the id in a struct. */
export function loadStreamId(h: Heap, at: number, id: StreamId): void {
  const w = at >>> 2;
  id[0] = h.u32[w + 1];
  id[1] = h.u32[w];
  id[2] = h.u32[w + 3];
  id[3] = h.u32[w + 2];
}

/** Stores the id into a struct. */
export function storeStreamId(h: Heap, at: number, id: StreamId): void {
  const w = at >>> 2;
  h.u32[w + 1] = id[0];
  h.u32[w] = id[1];
  h.u32[w + 3] = id[2];
  h.u32[w + 2] = id[3];
}

/** Writes the id as a key. */
export function encodeStreamId(id: StreamId, key: Uint8Array, offset: number): void {
  for (let i = 0; i < 4; i++) {
    const word = id[i];
    const at = offset + i * 4;
    key[at] = word >>> 24;
    key[at + 1] = word >>> 16;
    key[at + 2] = word >>> 8;
    key[at + 3] = word;
  }
}

/** Reads the id that a key is. */
export function decodeStreamId(key: Uint8Array, offset: number, id: StreamId): void {
  for (let i = 0; i < 4; i++) {
    const at = offset + i * 4;
    id[i] = (key[at] << 24) | (key[at + 1] << 16) | (key[at + 2] << 8) | key[at + 3];
  }
}

function wordsText(high: number, low: number): string {
  const value = high * WORD + low;
  return Number.isSafeInteger(value) ? String(value) : ((BigInt(high) << 32n) | BigInt(low)).toString();
}

/** The milliseconds written last, and their text: neighbouring entries mostly have the same. */
let writtenHigh = 0;
let writtenLow = 0;
let writtenText = '0';

/** "ms-sequence", or with another sign between. */
export function streamIdText(id: StreamId, between = '-'): string {
  if (id[1] !== writtenLow || id[0] !== writtenHigh) {
    writtenHigh = id[0];
    writtenLow = id[1];
    writtenText = wordsText(writtenHigh, writtenLow);
  }
  return writtenText + between + wordsText(id[2], id[3]);
}

/** Milliseconds above `base`'s, in the low and high word of a signed integer: what the entries of a node are stored as. */
export let differenceLow = 0;
export let differenceHigh = 0;
/** @param part 0: milliseconds, 2: sequence */
export function streamIdDifference(id: StreamId, base: StreamId, part: number): void {
  differenceLow = (id[part + 1] - base[part + 1]) >>> 0;
  differenceHigh = (id[part] - base[part] - (id[part + 1] < base[part + 1] ? 1 : 0)) | 0;
}

/** Sets a part of `id` to that of `base` plus a signed difference. */
export function addStreamIdDifference(id: StreamId, base: StreamId, part: number, low: number, high: number): void {
  const sum = base[part + 1] + low;
  id[part + 1] = sum >>> 0;
  id[part] = (base[part] + high + (sum >= WORD ? 1 : 0)) >>> 0;
}
