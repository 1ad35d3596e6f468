/** The few forms of RESP2 that publishing and subscribing need, on bytes in place. */

/** A message begins with its number (u32), when it was due and when it was stored (f64, µs), big-endian. */
export const MESSAGE_HEAD_BYTES = 20;

function putText(u8: Uint8Array, at: number, text: string): number {
  for (let i = 0; i < text.length; i++) u8[at + i] = text.charCodeAt(i);
  return at + text.length;
}

/** SUBSCRIBE channel. @returns the offset behind it */
export function putSubscribe(u8: Uint8Array, at: number, channel: string): number {
  return putText(u8, at, `*2\r\n$9\r\nSUBSCRIBE\r\n$${channel.length}\r\n${channel}\r\n`);
}

/** PUBLISH channel, up to where the `bytes` bytes of the message go; the caller adds them and a line end. */
export function putPublish(u8: Uint8Array, at: number, channel: string, bytes: number): number {
  return putText(u8, at, `*3\r\n$7\r\nPUBLISH\r\n$${channel.length}\r\n${channel}\r\n$${bytes}\r\n`);
}

/** One push to a subscriber. */
export interface Found {
  /** Offset behind it; 0: incomplete; -1: not a push of RESP2. */
  next: number;
  /** Offset of a message's payload; 0: it is the confirmation of a subscription. */
  payloadAt: number;
}

/** Filled anew by each call of `findMessage`. */
const found: Found = { next: 0, payloadAt: 0 };
let lengthAfter = 0;

/** Reads `$n\r\n` or `:n\r\n`. @returns n, -1: incomplete, -2: something else; `lengthAfter` is the offset behind it */
function readNumber(u8: Uint8Array, at: number, end: number, type: number): number {
  if (at >= end) return -1;
  if (u8[at] !== type) return -2;
  let value = 0;
  for (at++; at < end && u8[at] !== 13; at++) {
    const digit = u8[at]! - 48;
    if (digit < 0 || digit > 9) return -2;
    value = value * 10 + digit;
  }
  if (at + 1 >= end) return -1;
  lengthAfter = at + 2;
  return value;
}

/** Reads one push of three parts at `at`: ["message", channel, payload] or ["subscribe", channel, count]. */
export function findMessage(u8: Uint8Array, at: number, end: number): Found {
  found.next = 0;
  found.payloadAt = 0;
  const parts = readNumber(u8, at, end, 42);
  if (parts !== 3) return refuse(parts);
  const verb = readNumber(u8, lengthAfter, end, 36);
  if (verb < 0) return refuse(verb);
  // "message" and "subscribe" differ in length.
  const isMessage = verb === 7;
  const channel = readNumber(u8, lengthAfter + verb + 2, end, 36);
  if (channel < 0) return refuse(channel);
  const third = lengthAfter + channel + 2;
  const last = readNumber(u8, third, end, isMessage ? 36 : 58);
  if (last < 0) return refuse(last);
  if (!isMessage) {
    found.next = lengthAfter;
    return found;
  }
  const next = lengthAfter + last + 2;
  if (next > end) return found;
  if (last < MESSAGE_HEAD_BYTES) return refuse(-2);
  found.payloadAt = lengthAfter;
  found.next = next;
  return found;
}

function refuse(code: number): Found {
  found.next = code === -1 ? 0 : -1;
  return found;
}
