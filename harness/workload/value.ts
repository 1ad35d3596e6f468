/**
 * Values that prove themselves. A wrong value in a reply (another key's, a torn one, a stale length, a flipped byte) must be found
 * by looking at it, without asking a second store.
 *
 * - 16 bytes and more: key index, version, length, check word (4 bytes each, little-endian), then a body of letters that follows
 *   from key index and version alone. Checking recomputes all of it, so every byte counts.
 * - 1 to 15 bytes: letters that follow from the key index and the length (6 bits a byte; a swapped one-byte value passes in 1 of 64
 *   cases, a four-byte one in 1 of 16 million). The version has no room. None of the letters is a digit, so that no value
 *   turns into an integer inside a Redis.
 * - Counters (for incr): 8 decimal digits, beginning with 1, so that they neither shrink nor grow in practice.
 *
 * The body repeats a seed-free pattern with a period of 251 bytes: a prime, so that pages or chunks that changed places do not match.
 */

/** Bytes of a counter when stored. */
export const COUNTER_BYTES = 8;
/** Bytes that one `append` adds. */
export const APPEND_BYTES = 8;

const HEADER_BYTES = 16;
const PERIOD = 251;

const ALPHABET = new TextEncoder().encode('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-_.:,;!*+=~^');

/** Two periods of letters in random order, so that a period can be read from any start without wrapping. */
const PATTERN = makePattern();
/** Bodies begin at one of so many places of the period. */
const STARTS = 16;
const START_STEP = 15;
/**
 * Views of the pattern by length (up to a period) and start, made when first needed: a native copy from a view costs a third of a loop over
 * the bytes from some 30 bytes on, and making the view each time would cost more than the copy.
 */
const VIEWS: (Uint8Array | undefined)[] = new Array((PERIOD + 1) * STARTS).fill(undefined);
/** Bodies below this are written byte by byte. */
const LOOP_BYTES = 24;

function viewOf(length: number, place: number): Uint8Array {
  const at = length * STARTS + place;
  let view = VIEWS[at];
  if (view === undefined) {
    view = PATTERN.subarray(place * START_STEP, place * START_STEP + length);
    VIEWS[at] = view;
  }
  return view;
}

function makePattern(): Uint8Array {
  const pattern = new Uint8Array(2 * PERIOD);
  for (let i = 0; i < PERIOD; i++) {
    const letter = ALPHABET[mix(i, 0x51ed270b) & 63];
    pattern[i] = letter;
    pattern[i + PERIOD] = letter;
  }
  return pattern;
}

/** Mixes two 32-bit words into one (multiply and xor-shift rounds; not for secrets). */
function mix(a: number, b: number): number {
  let h = Math.imul(a ^ 0x9e3779b9, 0x85ebca6b) ^ b;
  h = Math.imul(h ^ (h >>> 16), 0x7feb352d);
  h = Math.imul(h ^ (h >>> 15), 0x846ca68b);
  return (h ^ (h >>> 16)) >>> 0;
}

function putU32(u8: Uint8Array, at: number, value: number): void {
  u8[at] = value;
  u8[at + 1] = value >>> 8;
  u8[at + 2] = value >>> 16;
  u8[at + 3] = value >>> 24;
}

function getU32(u8: Uint8Array, at: number): number {
  return (u8[at] | (u8[at + 1] << 8) | (u8[at + 2] << 16) | (u8[at + 3] << 24)) >>> 0;
}

function checkWord(keyIndex: number, version: number, bytes: number): number {
  return mix(mix(keyIndex, version), bytes);
}

function writeTiny(u8: Uint8Array, offset: number, keyIndex: number, bytes: number): void {
  let word = mix(keyIndex, bytes);
  for (let i = 0; i < bytes; i++) {
    if (i % 5 === 0 && i > 0) word = mix(word, i);
    u8[offset + i] = ALPHABET[word & 63];
    word >>>= 6;
  }
}

function checkTiny(u8: Uint8Array, offset: number, keyIndex: number, bytes: number): boolean {
  let word = mix(keyIndex, bytes);
  for (let i = 0; i < bytes; i++) {
    if (i % 5 === 0 && i > 0) word = mix(word, i);
    if (u8[offset + i] !== ALPHABET[word & 63]) return false;
    word >>>= 6;
  }
  return true;
}

/**
 * Writes a value of exactly `bytes` bytes.
 * @param version anything that differs between two stores of one key (32 bits of it count)
 * @returns the offset after its last byte
 */
export function writeValue(u8: Uint8Array, offset: number, keyIndex: number, bytes: number, version: number): number {
  const end = offset + bytes;
  if (bytes < HEADER_BYTES) {
    writeTiny(u8, offset, keyIndex, bytes);
    return end;
  }
  const check = checkWord(keyIndex, version, bytes);
  putU32(u8, offset, keyIndex);
  putU32(u8, offset + 4, version);
  putU32(u8, offset + 8, bytes);
  putU32(u8, offset + 12, check);
  const body = offset + HEADER_BYTES;
  const place = check % STARTS;
  const length = end - body;
  if (length < LOOP_BYTES) {
    const start = place * START_STEP;
    for (let i = 0; i < length; i++) u8[body + i] = PATTERN[start + i];
    return end;
  }
  u8.set(viewOf(Math.min(length, PERIOD), place), body);
  for (let filled = PERIOD; filled < length; filled *= 2) {
    u8.copyWithin(body + filled, body, body + Math.min(filled, length - filled));
  }
  return end;
}

/** @returns whether these bytes are a value written by `writeValue` for this key, whole and unchanged */
export function checkValue(u8: Uint8Array, offset: number, bytes: number, keyIndex: number): boolean {
  if (bytes < HEADER_BYTES) return checkTiny(u8, offset, keyIndex, bytes);
  if (getU32(u8, offset) !== keyIndex >>> 0 || getU32(u8, offset + 8) !== bytes) return false;
  const check = checkWord(keyIndex, getU32(u8, offset + 4), bytes);
  if (getU32(u8, offset + 12) !== check) return false;
  const start = (check % STARTS) * START_STEP;
  const body = offset + HEADER_BYTES;
  const length = bytes - HEADER_BYTES;
  const first = Math.min(length, PERIOD);
  for (let i = 0; i < first; i++) if (u8[body + i] !== PATTERN[start + i]) return false;
  if (length <= PERIOD) return true;
  // The rest repeats what lies a period before it: one comparison of the body with itself, shifted, in native code. The view is an
  // object, but only a sampled share of long values comes here.
  const view = Buffer.from(u8.buffer, u8.byteOffset + body, length);
  return view.compare(view, 0, length - PERIOD, PERIOD, length) === 0;
}

/**
 * As checkValue, for a key that `append` may have lengthened by APPEND_BYTES at a time (each piece is written as a value of that length).
 * Appending to a missing key creates one on Redis, so pieces alone are right as well.
 */
export function checkAppendedValue(u8: Uint8Array, offset: number, bytes: number, keyIndex: number): boolean {
  let base = 0;
  if (bytes >= HEADER_BYTES && getU32(u8, offset) === keyIndex >>> 0) base = getU32(u8, offset + 8);
  else base = bytes % APPEND_BYTES;
  // A tiny base of 8 to 15 bytes may stand before the pieces as well.
  for (let candidate = base; candidate <= bytes && candidate < base + HEADER_BYTES; candidate += APPEND_BYTES) {
    if (
      checkValue(u8, offset, candidate, keyIndex) &&
      checkPieces(u8, offset + candidate, bytes - candidate, keyIndex)
    ) {
      return true;
    }
  }
  return false;
}

function checkPieces(u8: Uint8Array, offset: number, bytes: number, keyIndex: number): boolean {
  if (bytes % APPEND_BYTES !== 0) return false;
  for (let at = offset; at < offset + bytes; at += APPEND_BYTES) {
    if (!checkTiny(u8, at, keyIndex, APPEND_BYTES)) return false;
  }
  return true;
}

/** Writes a counter's start value: 8 digits. @returns the offset after its last byte */
export function writeCounter(u8: Uint8Array, offset: number, keyIndex: number): number {
  let rest = mix(keyIndex, 0x27d4eb2f) % 1_000_000;
  u8[offset] = 49;
  u8[offset + 1] = 48;
  for (let at = offset + COUNTER_BYTES - 1; at >= offset + 2; at--) {
    u8[at] = 48 + (rest % 10);
    rest = Math.floor(rest / 10);
  }
  return offset + COUNTER_BYTES;
}

/** @returns whether these bytes are a decimal number as a counter holds (its key cannot be told from it) */
export function checkCounter(u8: Uint8Array, offset: number, bytes: number): boolean {
  if (bytes < 1 || bytes > 20) return false;
  for (let at = offset; at < offset + bytes; at++) if (u8[at] < 48 || u8[at] > 57) return false;
  return true;
}
