/** Pieces of meta commands' replies. Each writes into room that is there and returns its end. */
import { copyShort } from '../base/short-bytes.ts';
import type { Memory } from '../ports.ts';
import type { AsciiLine } from './ascii-line.ts';
import { base64Bytes, encodeBase64 } from './base64.ts';
import type { Items } from './items.ts';
import * as L from './layout.ts';
import { BINARY, KEY, type MetaFlags, OPAQUE, OPAQUE_BYTES_MAX } from './meta-flags.ts';
import { putDecimal } from './numbers.ts';
import { bytesOf } from './replies.ts';

export const OPAQUE_TOO_LONG = bytesOf('CLIENT_ERROR opaque token too long\r\n');
/** What `tail` returns when the opaque token is too long. */
export const TOO_LONG = 0;

/** ` k`, a key in Base64 and ` b`. */
export const KEY_ROOM = 2 + base64Bytes(L.KEY_BYTES_MAX) + 2;
/** ` c` and a CAS id, the longest of the other answers. */
const FLAG_ROOM = 22;
/** Code, length, ` W X Z` and line end. */
const LINE_ROOM = 2 + 11 + 6 + 2;

/** Room that a reply's line takes at most. @param tokens of the command */
export function lineRoom(flags: MetaFlags, tokens: number): number {
  let room = LINE_ROOM + (tokens - 2) * FLAG_ROOM;
  if ((flags.lower & KEY) !== 0) room += KEY_ROOM;
  if ((flags.upper & OPAQUE) !== 0) room += OPAQUE_BYTES_MAX;
  return room;
}

/** Two letters. */
export function putCode(u8: Uint8Array, out: number, code: number): number {
  u8[out] = code >> 8;
  u8[out + 1] = code;
  return out + 2;
}

/** A space and a letter. */
export function putLetter(u8: Uint8Array, out: number, letter: number): number {
  u8[out] = 32;
  u8[out + 1] = letter;
  return out + 2;
}

/** A space, a letter and a number. */
export function putNumber(u8: Uint8Array, out: number, letter: number, value: number): number {
  u8[out] = 32;
  u8[out + 1] = letter;
  return putDecimal(u8, out + 2, value);
}

/** ` t` and the seconds that are left; what has expired already shows as a 32-bit number that went below 0. */
export function putTtl(u8: Uint8Array, out: number, exptime: number, now: number): number {
  if (exptime !== 0) return putNumber(u8, out, 116, (exptime - now) >>> 0);
  out = putLetter(u8, out, 116);
  u8[out] = 45;
  u8[out + 1] = 49;
  return out + 2;
}

/** A key as it is or in Base64. */
export function putKeyText(memory: Memory, out: number, keyAt: number, nkey: number, binary: boolean): number {
  if (binary) return encodeBase64(memory.u8, keyAt, nkey, out);
  copyShort(memory.view, out, keyAt, nkey);
  return out + nkey;
}

/** ` kKEY`, or in Base64 ` kKEY b`. */
export function putKey(memory: Memory, out: number, keyAt: number, nkey: number, binary: boolean): number {
  const { u8 } = memory;
  out = putKeyText(memory, putLetter(u8, out, 107), keyAt, nkey, binary);
  return binary ? putLetter(u8, out, 98) : out;
}

/** The same for an item's key, which knows how it was sent. */
export function putItemKey(items: Items, out: number, item: number): number {
  return putKey(items.memory, out, items.keyOf(item), items.u8[item + L.ITEM_NKEY], isKeyBinary(items, item));
}

export function isKeyBinary(items: Items, item: number): boolean {
  return (items.u16[(item + L.ITEM_FLAGS) >>> 1] & L.FLAG_KEY_BINARY) !== 0;
}

/** A space and the bytes of a token. */
export function putToken(memory: Memory, out: number, at: number, length: number): number {
  memory.u8[out] = 32;
  copyShort(memory.view, out + 1, at, length);
  return out + 1 + length;
}

/** What a reply without an item repeats of its command: opaque token and key. @returns TOO_LONG for too long a token */
export function putRepeated(line: AsciiLine, flags: MetaFlags, out: number): number {
  const { memory, u8 } = line.core;
  const { tokenAt, tokenLength } = line;
  for (let i = 2; tokenLength[i] !== 0; i++) {
    const letter = u8[tokenAt[i]];
    if (letter === 79) {
      if (tokenLength[i] > OPAQUE_BYTES_MAX) return TOO_LONG;
      out = putToken(memory, out, tokenAt[i], tokenLength[i]);
    } else if (letter === 107) {
      out = putKey(memory, out, tokenAt[1], tokenLength[1], (flags.lower & BINARY) !== 0);
    }
  }
  return out;
}

export function putLineEnd(u8: Uint8Array, out: number): number {
  u8[out] = 13;
  u8[out + 1] = 10;
  return out + 2;
}
