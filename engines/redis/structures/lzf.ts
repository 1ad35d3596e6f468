/**
 * LZF, the compression of long strings in RDB files and DUMP payloads. Compressed bytes are a row of
 *
 * | first byte | meaning |
 * | --- | --- |
 * | 000nnnnn | n + 1 literal bytes follow |
 * | nnnooooo, then oooooooo | repeat n + 2 bytes (n from 1 to 6) that begin o + 1 bytes back |
 * | 111ooooo, then nnnnnnnn, oooooooo | repeat n + 9 bytes that begin o + 1 bytes back |
 *
 * Many outputs stand for the same input. Which candidates the compressor remembers (a table by the hash of three bytes, of which a
 * repeat enters only its end) is chosen so that its output is that of the original, byte for byte.
 */

const HASH_BITS = 16;
const LITERALS_MAX = 32;
const DISTANCE_MAX = 1 << 13;
const REPEAT_MAX = 264;
/** Longest repeat that its first byte can tell. */
const SHORT_REPEAT = 8;
/** So many bytes come at most from one byte of compressed input: 264 from 3. */
const EXPANSION_MAX = 88;

/**
 * Where three bytes of a hash were seen last, as position + `epoch`. What earlier inputs left is below the present epoch, so that the
 * table need not be cleared for each.
 */
const seen = new Float64Array(1 << HASH_BITS);
let epoch = 1;

function hash(u8: Uint8Array, at: number): number {
  const three = (u8[at] << 16) | (u8[at + 1] << 8) | u8[at + 2];
  return ((three >> (24 - HASH_BITS)) - three * 5) & ((1 << HASH_BITS) - 1);
}

/**
 * How many bytes from `at` on are taken as a repeat of those from `earlier` on; 3 are known to be one. The bound is the original's: it
 * leaves the last two bytes of the input out, except that three bytes are always taken and that the first 19 are compared without a
 * look at the bound when that is 17 or 18.
 */
function repeatLength(u8: Uint8Array, earlier: number, at: number, end: number): number {
  const bound = Math.min(end - at - 2, REPEAT_MAX);
  const most = bound === 17 || bound === 18 ? 19 : bound;
  let length = 3;
  while (length < most && u8[earlier + length] === u8[at + length]) length++;
  return length;
}

/**
 * Compresses the `length` bytes at `from`.
 * @param to where the output goes: `room` bytes, and some 40 more that may be written over even if it does not fit
 * @returns the length of the output, or 0 when it is longer than `room` (or nearly)
 */
export function lzfCompress(u8: Uint8Array, from: number, length: number, to: number, room: number): number {
  if (length === 0 || room === 0) return 0;
  const end = from + length;
  const roomEnd = to + room;
  const base = epoch - from;
  epoch += length;
  let at = from;
  // The head of a run of literals is stored when the run ends; its place is kept free.
  let literals = 0;
  let out = to + 1;
  while (at < end - 2) {
    const slot = hash(u8, at);
    const earlier = seen[slot] - base;
    seen[slot] = at + base;
    if (
      earlier > from &&
      at - earlier <= DISTANCE_MAX &&
      u8[earlier] === u8[at] &&
      u8[earlier + 1] === u8[at + 1] &&
      u8[earlier + 2] === u8[at + 2]
    ) {
      if (out - (literals === 0 ? 1 : 0) + 4 >= roomEnd) return 0;
      if (literals === 0) out--;
      else u8[out - literals - 1] = literals - 1;
      const repeat = repeatLength(u8, earlier, at, end);
      const distance = at - earlier - 1;
      if (repeat <= SHORT_REPEAT) {
        u8[out++] = (distance >> 8) + ((repeat - 2) << 5);
      } else {
        u8[out++] = (distance >> 8) + (7 << 5);
        u8[out++] = repeat - SHORT_REPEAT - 1;
      }
      u8[out++] = distance;
      literals = 0;
      out++;
      at += repeat;
      if (at >= end - 2) break;
      seen[hash(u8, at - 2)] = at - 2 + base;
      seen[hash(u8, at - 1)] = at - 1 + base;
    } else {
      if (out >= roomEnd) return 0;
      u8[out++] = u8[at++];
      if (++literals === LITERALS_MAX) {
        u8[out - LITERALS_MAX - 1] = LITERALS_MAX - 1;
        literals = 0;
        out++;
      }
    }
  }
  if (out + 3 > roomEnd) return 0;
  while (at < end) {
    u8[out++] = u8[at++];
    if (++literals === LITERALS_MAX) {
      u8[out - LITERALS_MAX - 1] = LITERALS_MAX - 1;
      literals = 0;
      out++;
    }
  }
  if (literals === 0) out--;
  else u8[out - literals - 1] = literals - 1;
  return out - to;
}

/** @returns whether `length` bytes can come of `compressed` bytes at all: to be asked before room is made for them */
export function lzfMayExpandTo(compressed: number, length: number): boolean {
  return length <= compressed * EXPANSION_MAX;
}

/**
 * Expands the `length` bytes at `from` into the `room` bytes at `to`. Whatever the input, nothing outside of both is read or written.
 * @returns the length of the output; 0 when the input is broken or its output does not fit
 */
export function lzfDecompress(u8: Uint8Array, from: number, length: number, to: number, room: number): number {
  const end = from + length;
  const roomEnd = to + room;
  let at = from;
  let out = to;
  while (at < end) {
    const head = u8[at++];
    if (head < LITERALS_MAX) {
      const literals = head + 1;
      if (out + literals > roomEnd || at + literals > end) return 0;
      for (let i = 0; i < literals; i++) u8[out++] = u8[at++];
      continue;
    }
    if (at >= end) return 0;
    let repeat = head >> 5;
    if (repeat === 7) {
      repeat += u8[at++];
      if (at >= end) return 0;
    }
    repeat += 2;
    let earlier = out - ((head & 31) << 8) - 1 - u8[at++];
    if (out + repeat > roomEnd || earlier < to) return 0;
    // The repeated bytes may be those that are just being written, so they go one by one.
    for (let i = 0; i < repeat; i++) u8[out++] = u8[earlier++];
  }
  return out - to;
}
