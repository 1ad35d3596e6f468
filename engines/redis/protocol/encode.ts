/**
 * Requests as a client writes them: bytes at an offset, no strings on the way. A command is a head with the number of its
 * arguments, then each argument; `encodeBulkHead` lets a caller store a payload by itself, followed by `encodeCrlf`.
 */
import { putUint } from './decimal.ts';

/** Upper bound of the bytes around one argument's payload: "$", its length, two line ends. */
export const BULK_OVERHEAD_BYTES = 24;
/** Upper bound of the bytes of a command's head. */
export const HEAD_BYTES = 16;

/** @returns the offset behind the line end */
export function encodeCrlf(u8: Uint8Array, at: number): number {
  u8[at] = 13;
  u8[at + 1] = 10;
  return at + 2;
}

/** "*argc". @returns the offset behind it */
export function encodeHead(u8: Uint8Array, at: number, argc: number): number {
  u8[at] = 42;
  return encodeCrlf(u8, putUint(u8, at + 1, argc));
}

/** "$length": its payload and a line end must follow. @returns the offset behind it */
export function encodeBulkHead(u8: Uint8Array, at: number, length: number): number {
  u8[at] = 36;
  return encodeCrlf(u8, putUint(u8, at + 1, length));
}

/** One argument from bytes. @returns the offset behind it */
export function encodeBytes(u8: Uint8Array, at: number, from: Uint8Array, offset: number, length: number): number {
  let p = encodeBulkHead(u8, at, length);
  for (let i = 0; i < length; i++) u8[p + i] = from[offset + i];
  p += length;
  return encodeCrlf(u8, p);
}

/** One argument from a string with one byte a char. @returns the offset behind it */
export function encodeText(u8: Uint8Array, at: number, text: string): number {
  const p = encodeBulkHead(u8, at, text.length);
  for (let i = 0; i < text.length; i++) u8[p + i] = text.charCodeAt(i);
  return encodeCrlf(u8, p + text.length);
}

/** One argument that is a non-negative safe integer. @returns the offset behind it */
export function encodeUint(u8: Uint8Array, at: number, value: number): number {
  let digits = 1;
  for (let limit = 10; value >= limit; limit *= 10) digits++;
  return encodeCrlf(u8, putUint(u8, encodeBulkHead(u8, at, digits), value));
}
