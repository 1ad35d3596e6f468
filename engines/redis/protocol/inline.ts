/** Inline requests: a line of words as a person types them, with quotes and escapes. */
import type { Client } from '../client.ts';

const SINGLE = 39;
const DOUBLE = 34;
const BACKSLASH = 92;

function isSpace(byte: number): boolean {
  return byte === 32 || (byte >= 9 && byte <= 13);
}

function hexDigit(byte: number): number {
  if (byte >= 48 && byte <= 57) return byte - 48;
  const lower = byte | 32;
  return lower >= 97 && lower <= 102 ? lower - 87 : -1;
}

function escaped(byte: number): number {
  switch (byte) {
    case 110:
      return 10;
    case 114:
      return 13;
    case 116:
      return 9;
    case 98:
      return 8;
    case 97:
      return 7;
    default:
      return byte;
  }
}

/**
 * Splits the line [from, end) into the client's arguments, which are copied: a word is never longer than its source. A NUL ends the
 * line.
 * @returns false when quotes are not balanced
 * @throws ARENA_EXHAUSTED
 */
export function splitInline(c: Client, from: number, end: number): boolean {
  const heap = c.core.heap;
  const u8 = heap.u8;
  let to = heap.alloc(end - from + 1);
  c.owned.push(to);
  c.argFixed = 1;
  let at = from;
  for (;;) {
    while (at < end && isSpace(u8[at])) at++;
    if (at >= end || u8[at] === 0) break;
    const word = to;
    let quote = 0;
    for (;;) {
      const byte = at < end ? u8[at] : 0;
      if (quote === 0) {
        if (byte === 0 || byte === 32 || byte === 10 || byte === 13 || byte === 9) break;
        if (byte === DOUBLE || byte === SINGLE) quote = byte;
        else u8[to++] = byte;
        at++;
        continue;
      }
      if (byte === 0) return false;
      if (byte === quote) {
        // A closing quote must end the word.
        if (at + 1 < end && u8[at + 1] !== 0 && !isSpace(u8[at + 1])) return false;
        at++;
        break;
      }
      if (byte === BACKSLASH && quote === SINGLE && u8[at + 1] === SINGLE && at + 1 < end) {
        u8[to++] = SINGLE;
        at += 2;
      } else if (byte === BACKSLASH && quote === DOUBLE && at + 1 < end && u8[at + 1] !== 0) {
        const high = at + 3 < end && u8[at + 1] === 120 ? hexDigit(u8[at + 2]) : -1;
        const low = high >= 0 ? hexDigit(u8[at + 3]) : -1;
        if (low >= 0) {
          u8[to++] = high * 16 + low;
          at += 4;
        } else {
          u8[to++] = escaped(u8[at + 1]);
          at += 2;
        }
      } else {
        u8[to++] = byte;
        at++;
      }
    }
    if (c.argc === c.argOff.length) c.growArguments(c.argc + 1);
    c.argOff[c.argc] = word;
    c.argLen[c.argc] = to - word;
    c.argc++;
  }
  c.argFixed = Math.max(1, c.argc);
  return true;
}
